package netconfig

import (
	"fmt"
	"strings"
)

// policies puts the access lists where their groups bind them.
func (p *asa) policies() error {
	global := ""
	byIface := map[string]map[bool]string{}
	var ifaces []string
	for _, b := range p.bound {
		if b.iface == "" {
			global = b.list
			continue
		}
		if byIface[b.iface] == nil {
			byIface[b.iface] = map[bool]string{}
			ifaces = append(ifaces, b.iface)
		}
		byIface[b.iface][b.in] = b.list
	}
	for _, name := range ifaces {
		zone, _ := p.d.zones.set(name)
		for _, in := range []bool{true, false} {
			list, ok := byIface[name][in]
			if !ok {
				continue
			}
			way, d := "in", dimIn
			if !in {
				way, d = "out", dimOut
			}
			pol := &policy{name: list + " " + way + " " + name, stage: way + " " + name, inbound: in, ordered: true}
			if err := p.rules(pol, list, everything.with(d, zone)); err != nil {
				return err
			}
			if in && global != "" {
				if err := p.rules(pol, global, everything.with(d, zone)); err != nil {
					return err
				}
			}
			p.end(pol, everything.with(d, zone))
		}
	}
	if global != "" {
		left := full
		for _, name := range ifaces {
			if _, ok := byIface[name][true]; ok {
				zone, _ := p.d.zones.set(name)
				left = left.without(zone)
			}
		}
		pol := &policy{name: global + " global", stage: "in global", inbound: true, ordered: true}
		if err := p.rules(pol, global, everything.with(dimIn, left)); err != nil {
			return err
		}
		p.end(pol, everything.with(dimIn, left))
	}
	if len(p.local.rules) > 0 {
		for _, r := range p.local.rules {
			zone, _ := p.d.zones.set(r.comment)
			r.comment = ""
			r.boxes = byFamily([]box{r.boxes[0].with(dimIn, zone)})
		}
		p.end(p.local, everything)
	}
	return nil
}

func (p *asa) end(pol *policy, b box) {
	pol.rules = append(pol.rules, &rule{name: "implicit deny", enabled: true, action: deny, def: true, boxes: byFamily([]box{b})})
	p.d.policies = append(p.d.policies, pol)
}

func (p *asa) rules(pol *policy, list string, b box) error {
	if p.lists[list] == nil {
		p.s.bad(0, "the access list %q is bound to an interface and not there", list)
	}
	for i, l := range p.lists[list] {
		if i%1024 == 0 {
			if err := p.s.ctx.Err(); err != nil {
				return err
			}
		}
		if len(pol.rules) >= maxRules {
			p.s.bad(l.n, "more than %d rules: the rest is not looked at", maxRules)
			return nil
		}
		r, err := p.rule(l, b)
		if err != nil {
			p.s.bad(l.n, "access-list %s: %v", list, err)
			continue
		}
		pol.rules = append(pol.rules, r)
	}
	return nil
}

// rule reads a line of an access list: permit tcp host a object-group b eq 22 log time-range t inactive.
func (p *asa) rule(l asaLine, b box) (*rule, error) {
	w := l.words
	r := &rule{line: l.n, enabled: true, comment: l.note, name: l.note}
	if len(w) < 4 {
		return nil, fmt.Errorf("the line %q is cut off", short(strings.Join(w, " ")))
	}
	switch w[0] {
	case "permit":
		r.action = accept
	case "deny":
		r.action = deny
	default:
		return nil, fmt.Errorf("the line does %q, which is not known", short(w[0]))
	}
	services, protos, w, err := p.protocol(r, w[1:])
	if err != nil {
		return nil, err
	}
	src, w, err := p.endpoint(r, w, l.six)
	if err != nil {
		return nil, err
	}
	sports, w, err := p.ports(r, w, protos)
	if err != nil {
		return nil, err
	}
	dst, w, err := p.endpoint(r, w, l.six)
	if err != nil {
		return nil, err
	}
	dports, w, err := p.ports(r, w, protos)
	if err != nil {
		return nil, err
	}
	if dports != nil {
		var cut []service
		for _, n := range protos {
			for _, x := range dports {
				cut = append(cut, service{intersect(protocolSet(n), x.services), full})
			}
		}
		services = cut
	}
	p.rest(r, w, protos, &services)
	for _, s := range sports {
		for i := range services {
			ports := set(nil)
			for _, n := range protos {
				ports = union(ports, portsOf(s.services, n))
			}
			services[i].sports = intersect(services[i].sports, ports)
		}
	}
	b = b.with(dimSrc, src).with(dimDst, dst)
	if l.six {
		b = b.with(dimSrc, v6All)
	}
	r.boxes = byFamily(addServices([]box{b}, services))
	return r, nil
}

// protocol reads what a line is about: a protocol, or an object or group of protocols or services.
func (p *asa) protocol(r *rule, w []string) ([]service, []uint64, []string, error) {
	if w[0] == "object-group" || w[0] == "object" {
		x := p.book.resolve(p.book.svcs, w[1], 0)
		for _, u := range x.unknown {
			r.unresolved("service " + u)
		}
		return x.services, []uint64{protoTCP, protoUDP}, w[2:], nil
	}
	if w[0] == "ip" {
		return []service{anyService}, nil, w[1:], nil
	}
	n, ok := protocolNumber(w[0])
	if !ok {
		return nil, nil, nil, fmt.Errorf("the protocol %q is not known", short(w[0]))
	}
	return []service{{protocolSet(n), full}}, []uint64{n}, w[1:], nil
}

// endpoint reads one end of a line: any, host a, object o, object-group g, interface i, a network and its mask.
func (p *asa) endpoint(r *rule, w []string, six bool) (set, []string, error) {
	for len(w) > 1 && (w[0] == "user" || w[0] == "user-group" || w[0] == "object-group-user" || w[0] == "security-group" || w[0] == "object-group-security") {
		r.ask("user")
		if w = w[2:]; len(w) > 1 && (w[0] == "name" || w[0] == "tag") {
			w = w[2:]
		}
	}
	if len(w) == 0 {
		return nil, nil, fmt.Errorf("the line is cut off before its end")
	}
	switch w[0] {
	case "any":
		if six {
			return v6All, w[1:], nil
		}
		return full, w[1:], nil
	case "any4":
		return v4All, w[1:], nil
	case "any6":
		return v6All, w[1:], nil
	}
	if strings.Contains(w[0], "/") {
		if s, ok := addressSet(w[0]); ok {
			return s, w[1:], nil
		}
	}
	if len(w) < 2 {
		return nil, nil, fmt.Errorf("the line is cut off after %q", short(w[0]))
	}
	switch w[0] {
	case "host":
		s, ok := addressSet(p.address(w[1]))
		if !ok {
			return nil, nil, fmt.Errorf("the host %q can't be read", short(w[1]))
		}
		return s, w[2:], nil
	case "object", "object-group":
		x := p.book.resolve(p.book.addrs, w[1], 0)
		return r.side(x, false), w[2:], nil
	case "interface":
		if s, ok := p.own[w[1]]; ok {
			return s, w[2:], nil
		}
		r.unresolved("address of the interface " + w[1])
		return nil, w[2:], nil
	}
	s, ok := maskedSet(p.address(w[0]), w[1])
	if !ok {
		return nil, nil, fmt.Errorf("the network %q can't be read", short(w[0]+" "+w[1]))
	}
	return s, w[2:], nil
}

// ports reads the ports behind an end, if there are any: eq 22, or a group of ports.
func (p *asa) ports(r *rule, w []string, protos []uint64) ([]service, []string, error) {
	if len(w) > 1 && w[0] == "object-group" && p.book.svcs[w[1]] != nil && p.book.addrs[w[1]] == nil {
		x := p.book.resolve(p.book.svcs, w[1], 0)
		for _, u := range x.unknown {
			r.unresolved("service " + u)
		}
		if x.services == nil {
			x.services = []service{}
		}
		return x.services, w[2:], nil
	}
	if len(protos) == 1 && (protos[0] == protoICMP || protos[0] == protoICMPv6) {
		return nil, w, nil
	}
	ports, used, err := asaPorts(w)
	if err != nil || used == 0 {
		return nil, w, err
	}
	var out []service
	for _, n := range protos {
		out = append(out, service{portSet(n, ports), full})
	}
	return out, w[used:], nil
}

// rest reads what follows the ends.
func (p *asa) rest(r *rule, w []string, protos []uint64, services *[]service) {
	for i := 0; i < len(w); i++ {
		switch w[i] {
		case "inactive":
			r.enabled = false
		case "time-range":
			if i++; i >= len(w) {
				return
			}
			r.schedule = w[i]
			r.narrow("time range")
			if t := p.times[w[i]]; t != nil {
				r.schedule, r.ends = t.text, t.ends
				if at := p.s.in.At; !t.ends.IsZero() && !at.IsZero() && t.ends.Before(at) {
					r.enabled = false
				}
			}
		case "log", "interval", "disable", "default", "established":
			if w[i] == "established" {
				r.narrow("state")
				r.answers = true
			}
		default:
			if len(protos) == 1 && i == 0 && (protos[0] == protoICMP || protos[0] == protoICMPv6) {
				if s, ok := icmpSet(protos[0], w[i]); ok {
					*services = []service{{s, full}}
				} else {
					r.narrow("type of ICMP")
				}
			}
		}
	}
}
