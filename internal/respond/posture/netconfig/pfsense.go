package netconfig

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func isPfSense(_ string, head []byte) bool {
	return bytes.Contains(head, []byte("<pfsense>")) || bytes.Contains(head, []byte("<opnsense>"))
}

// pfSense reads config.xml of pfSense and OPNsense, as pfSense's filter.inc makes rules of pf from it: floating rules
// first, those without quick last; then the rules of groups and of each interface, of which the first that matches
// decides; what none matches is blocked.
type pfSense struct {
	s     *source
	d     *device
	root  *element
	book  *book
	nets  map[string]set // of each interface
	addrs map[string]set
	zones map[string][]string // members of groups of interfaces
}

func parsePfSense(s *source) (*device, error) {
	doc, err := readXML(s.data)
	root := doc.get("pfsense")
	if root == nil {
		root = doc.get("opnsense")
	}
	if root == nil || root.get("filter") == nil && err != nil {
		return nil, fmt.Errorf("reading %s as config.xml of pfSense: %w", s.in.Name, cmp.Or(err, fmt.Errorf("it has no element pfsense or opnsense")))
	}
	if err != nil {
		s.bad(0, "the file is cut off or broken: %v", err)
	}
	p := &pfSense{s: s, d: newDevice(), root: root, book: newBook(s), nets: map[string]set{}, addrs: map[string]set{}, zones: map[string][]string{}}
	p.d.whole = true
	if host := root.get("system", "hostname").string(); host != "" {
		p.d.name = host
	}
	p.interfaces()
	p.aliases()
	p.d.named = p.book.names()
	if err := p.rules(); err != nil {
		return nil, err
	}
	p.forwards()
	return p.d, nil
}

// interfaces reads what each interface is, and on which side. One with a gateway, or whose address a provider gives,
// has the internet behind it.
func (p *pfSense) interfaces() {
	list := p.root.get("interfaces")
	if list != nil {
		for _, i := range list.list {
			p.d.zones.collect(i.name)
		}
	}
	for _, name := range []string{"enc0", "openvpn", "ipsec", "wireguard", "l2tp", "pppoe", "lo0"} {
		p.d.zones.collect(name)
		p.d.zones.mark(name, inner)
	}
	for _, g := range p.root.get("ifgroups").all("ifgroupentry") {
		p.zones[g.get("ifname").string()] = strings.FieldsFunc(g.get("members").string(), func(r rune) bool { return r == ' ' || r == ',' })
	}
	if list == nil {
		return
	}
	for _, i := range list.list {
		for _, v := range []struct{ addr, bits string }{{i.get("ipaddr").string(), i.get("subnet").string()}, {i.get("ipaddrv6").string(), i.get("subnetv6").string()}} {
			a, err := netip.ParseAddr(v.addr)
			n, err2 := strconv.Atoi(v.bits)
			if err != nil || err2 != nil || n < 0 || n > a.BitLen() {
				continue
			}
			p.addrs[i.name] = union(p.addrs[i.name], oneAddress(a))
			p.nets[i.name] = union(p.nets[i.name], prefixSet(netip.PrefixFrom(a, n)))
		}
		address := i.get("ipaddr").string()
		switch {
		case i.name == "wan" || i.get("gateway").string() != "" || address == "pppoe" || address == "ppp" || address == "pptp" || address == "l2tp":
			p.d.zones.mark(i.name, outer)
		case address == "dhcp" && sideOf(i.get("descr").string()) != inner:
			p.d.zones.mark(i.name, outer)
		default:
			if sideOf(i.get("descr").string()) == outer {
				p.d.zones.mark(i.name, outer)
			}
			p.d.zones.mark(i.name, inner)
		}
	}
}

func (p *pfSense) aliases() {
	list := p.root.get("aliases").all("alias")
	list = append(list, p.root.get("OPNsense", "Firewall", "Alias", "aliases").all("alias")...)
	for _, a := range list {
		name, kind := a.get("name").string(), a.get("type").string()
		e := &entry{line: a.line}
		text := a.get("address").string()
		if text == "" {
			text = a.get("content").string()
		}
		for _, w := range strings.Fields(text) {
			if !p.s.room(a.line) {
				break
			}
			switch kind {
			case "port":
				if ports, ok := portRange(w, ":-"); ok {
					e.services = append(e.services, service{ports, full})
				} else {
					e.members = append(e.members, w)
				}
				continue
			case "host", "network", "":
			default: // lists from elsewhere: urltable, geoip, external
				e.unknown = kind
				continue
			}
			s, ok := addressSet(strings.TrimPrefix(w, "!"))
			switch {
			case ok && strings.HasPrefix(w, "!"):
				e.except = append(e.except, "\x01"+w)
				p.book.put(p.book.addrs, "\x01"+w, &entry{line: a.line, set: s})
			case ok:
				e.set = append(e.set, s...)
			default:
				e.members = append(e.members, w)
			}
		}
		e.set = normal(e.set)
		if kind == "port" {
			p.book.put(p.book.svcs, name, e)
		} else {
			p.book.put(p.book.addrs, name, e)
		}
	}
	for _, e := range p.book.addrs { // a member that is no alias is a host's name
		for _, m := range e.members {
			if p.book.addrs[m] == nil {
				e.unknown = cmp.Or(e.unknown, m)
			}
		}
		e.members = slices.DeleteFunc(e.members, func(m string) bool { return p.book.addrs[m] == nil })
	}
}

// rules puts the rules in the order in which pf sees them.
func (p *pfSense) rules() error {
	var quick, groups, plain, late []*rule
	for i, e := range p.root.get("filter").all("rule") {
		if i%1024 == 0 {
			if err := p.s.ctx.Err(); err != nil {
				return err
			}
		}
		r, out := p.rule(e)
		if r == nil || out {
			continue
		}
		_, group := p.zones[e.get("interface").string()]
		switch {
		case e.get("floating").string() == "yes" && !truthy(e.get("quick")):
			late = append(late, r)
		case e.get("floating").string() == "yes":
			quick = append(quick, r)
		case group:
			groups = append(groups, r)
		default:
			plain = append(plain, r)
		}
	}
	slices.Reverse(late) // of rules without quick the last that matches decides
	all := slices.Concat(quick, groups, plain, late)
	all = append(all, &rule{line: p.root.get("filter").at(), name: "default deny", enabled: true, action: deny, def: true, boxes: byFamily([]box{everything})})
	p.d.policies = append(p.d.policies, &policy{name: "filter", stage: "forward", inbound: true, ordered: true, rules: all})
	return nil
}

func (e *element) at() int64 {
	if e == nil {
		return 0
	}
	return e.line
}

// truthy reports whether a setting that is on by being there is on.
func truthy(e *element) bool {
	return e != nil && e.string() != "0" && e.string() != "no"
}

// rule reads one rule; out is set for those on packets that leave.
func (p *pfSense) rule(e *element) (r *rule, out bool) {
	r = &rule{line: e.line, enabled: !truthy(e.get("disabled")), name: e.get("descr").string(), comment: e.get("descr").string()}
	if e.get("enabled") != nil && e.get("enabled").string() == "0" {
		r.enabled = false
	}
	switch e.get("type").string() {
	case "pass", "":
		r.action = accept
	case "block", "reject":
		r.action = deny
	case "match":
	default:
		p.s.bad(e.line, "the rule does %q, which is not known", e.get("type").string())
		return nil, false
	}
	b := everything
	switch e.get("ipprotocol").string() {
	case "inet", "":
		b = b.with(dimSrc, v4All).with(dimDst, v4All)
	case "inet6":
		b = b.with(dimSrc, v6All).with(dimDst, v6All)
	}
	var in set
	for _, name := range strings.Split(e.get("interface").string(), ",") {
		name = strings.TrimSpace(name)
		members := []string{name}
		if m, ok := p.zones[name]; ok {
			members = m
		}
		for _, m := range members {
			s, ok := p.d.zones.set(m)
			switch {
			case m == "any" || m == "":
				s = full
			case !ok:
				p.s.bad(e.line, "the interface %q is not there", m)
				s = nil
			}
			in = union(in, s)
		}
	}
	if truthy(e.get("interfacenot")) {
		in = full.without(in)
	}
	b = b.with(dimIn, in)
	src, sport := p.side(r, e.get("source"))
	dst, dport := p.side(r, e.get("destination"))
	b = b.with(dimSrc, src).with(dimDst, dst)
	boxes := p.protocol(r, e, b, sport, dport)
	r.boxes = byFamily(boxes)
	if e.get("sched").string() != "" {
		r.schedule = e.get("sched").string()
		r.narrow("schedule")
	}
	if e.get("os").string() != "" {
		r.narrow("operating system")
	}
	if e.get("tcpflags1").string() != "" || e.get("statetype").string() == "none" {
		r.narrow("flags of TCP")
	}
	return r, e.get("direction").string() == "out"
}

// protocol cuts a rule's box to its protocol and ports.
func (p *pfSense) protocol(r *rule, e *element, b box, sport, dport set) []box {
	var list []uint64
	switch name := strings.ToLower(e.get("protocol").string()); name {
	case "", "any":
		return []box{b}
	case "tcp/udp":
		list = []uint64{protoTCP, protoUDP}
	case "icmp":
		if e.get("icmptype").string() != "" && e.get("icmptype").string() != "any" {
			r.narrow("type of ICMP")
		}
		list = []uint64{protoICMP, protoICMPv6}
	default:
		n, ok := protocolNumber(name)
		if !ok {
			r.ask("protocol " + name)
			return []box{b}
		}
		list = []uint64{n}
	}
	var svc set
	for _, n := range list {
		svc = union(svc, portSet(n, dport))
	}
	return addServices([]box{b}, []service{{svc, sport}})
}

// side reads a source or destination: addresses and ports.
func (p *pfSense) side(r *rule, e *element) (addrs, ports set) {
	addrs, ports = full, full
	if e == nil {
		return addrs, ports
	}
	not := truthy(e.get("not"))
	name := e.get("address").string()
	if name == "" {
		name = e.get("network").string()
	}
	if e.get("any") == nil && name != "" && name != "any" {
		addrs = r.side(p.address(name), not)
	} else if not {
		addrs = nil
	}
	if port := e.get("port").string(); port != "" && port != "any" {
		if s, ok := portRange(port, "-:"); ok {
			ports = s
		} else {
			x := p.book.resolve(p.book.svcs, port, 0)
			for _, u := range x.unknown {
				r.unresolved(u)
			}
			ports = nil
			for _, s := range x.services {
				ports = union(ports, s.services)
			}
		}
	}
	return addrs, ports
}

// address resolves what a side names: an address, an alias, an interface's network (lan) or its own address (lanip).
func (p *pfSense) address(name string) resolved {
	if s, ok := addressSet(name); ok {
		return resolved{set: s}
	}
	if p.book.addrs[name] != nil {
		return p.book.resolve(p.book.addrs, name, 0)
	}
	if name == "(self)" {
		var all set
		for _, s := range p.addrs {
			all = union(all, s)
		}
		if all.empty() {
			return resolved{unknown: []string{"this firewall"}}
		}
		return resolved{set: all}
	}
	if s, ok := p.nets[name]; ok {
		return resolved{set: s}
	}
	if s, ok := p.addrs[strings.TrimSuffix(name, "ip")]; ok && strings.HasSuffix(name, "ip") {
		return resolved{set: s}
	}
	return resolved{unknown: []string{name}}
}

// forwards reads translations of destinations; those that pass what they translate need no rule beside them.
func (p *pfSense) forwards() {
	translate := &policy{name: "nat", stage: "translate"}
	for _, e := range p.root.get("nat").all("rule") {
		r, _ := p.natRule(e)
		if r == nil {
			continue
		}
		if e.get("associated-rule-id").string() == "pass" {
			f := p.d.policies[0]
			passed := *r
			passed.action, passed.forward = accept, nil
			for i := range passed.boxes {
				b := &passed.boxes[i]
				for _, to := range r.forward {
					if to.to != nil {
						b[dimDst] = to.to
					}
					if to.port != nil {
						b[dimSvc] = union(portSet(protoTCP, to.port), portSet(protoUDP, to.port))
					}
				}
			}
			f.rules = slices.Insert(f.rules, 0, &passed)
			continue
		}
		translate.rules = append(translate.rules, r)
	}
	p.d.policies = append(p.d.policies, translate)
}

func (p *pfSense) natRule(e *element) (*rule, bool) {
	r, _ := p.rule(e)
	if r == nil || truthy(e.get("nordr")) {
		return nil, false
	}
	r.action = other
	var f forward
	target := p.address(e.get("target").string())
	if len(target.unknown) > 0 || target.set.empty() {
		return nil, false
	}
	f.to = target.set
	if port := e.get("local-port").string(); port != "" {
		if s, ok := portRange(port, "-:"); ok {
			f.port = s
		} else {
			var ports set
			for _, s := range p.book.resolve(p.book.svcs, port, 0).services {
				ports = union(ports, s.services)
			}
			f.port = ports
		}
	}
	// A range outside becomes a range inside that begins at the port given.
	if len(r.boxes) > 0 && len(f.port) == 1 && f.port.size() == number(1) {
		if outside := portsOf(r.boxes[0][dimSvc], protoTCP); len(outside) == 1 {
			n := outside.size().lo
			f.port = interval(f.port[0].lo.lo, min(f.port[0].lo.lo+n-1, lastPort))
		}
	}
	r.forward = []forward{f}
	return r, true
}
