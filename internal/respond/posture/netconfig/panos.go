package netconfig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

func isPanOS(_ string, head []byte) bool {
	return bytes.Contains(head, []byte("<config ")) && (bytes.Contains(head, []byte("urldb=")) || bytes.Contains(head, []byte("detail-version=")) || bytes.Contains(head, []byte("<mgt-config>"))) ||
		bytes.Contains(head, []byte("<vsys>")) && bytes.Contains(head, []byte("<entry name=")) || bytes.Contains(head, []byte("<device-group>")) && bytes.Contains(head, []byte("<config"))
}

// panOS reads a configuration of PAN-OS or Panorama. Objects are looked up where the rule stands, then among the
// shared ones. Zones of a rule may be crossed; a rule of an application lets that through on the application's own
// ports, which the file doesn't tell.
type panOS struct {
	s    *source
	d    *device
	book *book
}

const sharedScope = "shared"

func parsePanOS(s *source) (*device, error) {
	doc, err := readXML(s.data)
	config := doc.get("config")
	if config == nil {
		config = doc.get("response", "result", "config")
	}
	if config == nil {
		return nil, fmt.Errorf("reading %s as a configuration of PAN-OS: %w", s.in.Name, cmp.Or(err, errors.New("it has no element config")))
	}
	if err != nil {
		s.bad(0, "the file is cut off or broken: %v", err)
	}
	p := &panOS{s: s, d: newDevice(), book: newBook(s)}
	p.objects(config.get("shared"), sharedScope)
	type scope struct {
		name string
		at   *element
	}
	var scopes []scope
	for _, dev := range config.get("devices").all("entry") {
		if p.d.name == "" {
			p.d.name = dev.get("deviceconfig", "system", "hostname").string()
		}
		p.zones(dev)
		for _, v := range dev.get("vsys").all("entry") {
			scopes = append(scopes, scope{v.attr, v})
			p.zones(v)
		}
		for _, g := range dev.get("device-group").all("entry") {
			scopes = append(scopes, scope{g.attr, g})
		}
		for _, t := range dev.get("template").all("entry") {
			for _, inside := range t.get("config", "devices").all("entry") {
				p.zones(inside)
				for _, v := range inside.get("vsys").all("entry") {
					p.zones(v)
				}
			}
		}
	}
	shared := config.get("shared")
	for _, sc := range scopes {
		p.objects(sc.at, sc.name)
		p.collectZones(sc.at)
	}
	p.collectZones(shared)
	p.sides(config)
	p.d.zones.guess()
	p.d.named = p.book.names()
	if len(scopes) == 0 {
		scopes = append(scopes, scope{sharedScope, shared})
	}
	for _, sc := range scopes {
		pol := &policy{name: sc.name, stage: "security " + sc.name, inbound: true, ordered: true}
		var bases []*element
		for _, where := range []string{"pre-rulebase", "rulebase", "post-rulebase"} {
			if where != "post-rulebase" && shared != nil && sc.at != shared {
				bases = append(bases, shared.get(where))
			}
			bases = append(bases, sc.at.get(where))
			if where == "post-rulebase" && shared != nil && sc.at != shared {
				bases = append(bases, shared.get(where))
			}
		}
		for _, base := range bases {
			for i, e := range base.get("security", "rules").all("entry") {
				if i%1024 == 0 {
					if err := s.ctx.Err(); err != nil {
						return nil, err
					}
				}
				if r := p.rule(e, sc.name); r != nil {
					pol.rules = append(pol.rules, r)
				}
			}
		}
		if len(pol.rules) == 0 {
			continue
		}
		pol.rules = append(pol.rules, &rule{name: "interzone default", enabled: true, action: deny, def: true, boxes: byFamily([]box{everything})})
		p.d.policies = append(p.d.policies, pol)
	}
	return p.d, nil
}

// objects takes in the objects of a scope.
func (p *panOS) objects(at *element, scope string) {
	key := func(name string) string { return scope + "\x00" + name }
	for _, e := range at.get("address").all("entry") {
		o := &entry{line: e.line}
		switch {
		case e.get("ip-netmask") != nil:
			s, ok := addressSet(e.get("ip-netmask").string())
			if !ok {
				o.unknown = e.get("ip-netmask").string()
			}
			o.set = s
		case e.get("ip-range") != nil:
			s, ok := addressSet(e.get("ip-range").string())
			if !ok {
				p.s.bad(e.line, "the range %q can't be read", e.get("ip-range").string())
				o.unknown = "broken range"
			}
			o.set = s
		case e.get("fqdn") != nil:
			o.unknown = e.get("fqdn").string()
		default:
			o.unknown = "wildcard mask"
		}
		p.book.put(p.book.addrs, key(e.attr), o)
	}
	for _, e := range at.get("address-group").all("entry") {
		o := &entry{line: e.line}
		for _, m := range e.get("static").members() {
			o.members = append(o.members, p.key(p.book.addrs, scope, m))
		}
		if e.get("dynamic") != nil {
			o.unknown = "dynamic group"
		}
		p.book.put(p.book.addrs, key(e.attr), o)
	}
	for _, e := range at.get("region").all("entry") {
		p.book.put(p.book.addrs, key(e.attr), &entry{line: e.line, unknown: "region"})
	}
	for _, e := range at.get("external-list").all("entry") {
		p.book.put(p.book.addrs, key(e.attr), &entry{line: e.line, unknown: "external list"})
	}
	for _, e := range at.get("service").all("entry") {
		o := &entry{line: e.line}
		for _, proto := range []string{"tcp", "udp", "sctp"} {
			if x := e.get("protocol", proto); x != nil {
				n, _ := protocolNumber(proto)
				ports, err := panPorts(x.get("port").string())
				sports := full
				if sp := x.get("source-port").string(); sp != "" && err == nil {
					sports, err = panPorts(sp)
				}
				if err != nil {
					p.s.bad(e.line, "the service %s: %v", e.attr, err)
					o.unknown = "broken ports"
					continue
				}
				o.services = append(o.services, service{portSet(n, ports), sports})
			}
		}
		p.book.put(p.book.svcs, key(e.attr), o)
	}
	for _, e := range at.get("service-group").all("entry") {
		o := &entry{line: e.line}
		for _, m := range e.get("members").members() {
			o.members = append(o.members, p.key(p.book.svcs, scope, m))
		}
		p.book.put(p.book.svcs, key(e.attr), o)
	}
}

// key finds the scope in which a name is known from here. Groups may be written before their members: a name that is
// not there yet is taken to be of the same scope, unless the shared ones have it.
func (p *panOS) key(in map[string]*entry, scope, name string) string {
	if in[scope+"\x00"+name] == nil && in[sharedScope+"\x00"+name] != nil {
		return sharedScope + "\x00" + name
	}
	return scope + "\x00" + name
}

// panPorts reads ports as PAN-OS writes them: 80,443,8000-8100.
func panPorts(text string) (set, error) {
	var out set
	for _, part := range strings.Split(text, ",") {
		s, ok := portRange(strings.TrimSpace(part), "-")
		if !ok {
			return nil, fmt.Errorf("the ports %q can't be read", short(text))
		}
		out = union(out, s)
	}
	return out, nil
}

func (p *panOS) zones(at *element) {
	for _, z := range at.get("zone").all("entry") {
		p.d.zones.collect(z.attr)
	}
}

// collectZones makes the zones known that rules name.
func (p *panOS) collectZones(at *element) {
	for _, base := range []string{"rulebase", "pre-rulebase", "post-rulebase"} {
		for _, r := range at.get(base, "security", "rules").all("entry") {
			for _, z := range slices.Concat(r.get("from").members(), r.get("to").members()) {
				p.d.zones.collect(z)
			}
		}
	}
}

// sides finds the zones of the interfaces over which the default routes lead.
func (p *panOS) sides(at *element) {
	interfaces := map[string]string{}
	defaults := []string{}
	var look func(e *element, depth int)
	look = func(e *element, depth int) {
		if depth > maxDepth {
			return
		}
		if e.name == "zone" {
			for _, z := range e.all("entry") {
				for _, kind := range []string{"layer3", "layer2", "virtual-wire", "tap", "tunnel"} {
					for _, m := range z.get("network", kind).members() {
						interfaces[m] = z.attr
					}
				}
			}
		}
		if e.name == "static-route" {
			for _, r := range e.all("entry") {
				if to := r.get("destination").string(); to == "0.0.0.0/0" || to == "::/0" {
					defaults = append(defaults, r.get("interface").string())
				}
			}
		}
		for _, c := range e.list {
			if len(c.list) > 0 {
				look(c, depth+1)
			}
		}
	}
	look(at, 0)
	marked := false
	for _, i := range defaults {
		if zone := interfaces[i]; zone != "" && sideOf(zone) != inner {
			p.d.zones.mark(zone, outer)
			marked = true
		}
	}
	if !marked {
		return
	}
	for _, zone := range interfaces {
		if sideOf(zone) != outer {
			p.d.zones.mark(zone, inner)
		}
	}
}

// rule reads one rule.
func (p *panOS) rule(e *element, scope string) *rule {
	r := &rule{line: e.line, name: e.attr, comment: e.get("description").string(), enabled: e.get("disabled").string() != "yes"}
	switch e.get("action").string() {
	case "allow":
		r.action = accept
	case "deny", "drop", "reset-client", "reset-server", "reset-both":
		r.action = deny
	default:
		p.s.bad(e.line, "the rule %q does %q, which is not known", e.attr, e.get("action").string())
		return nil
	}
	b := everything
	b[dimIn], b[dimOut] = p.zone(r, e, "from"), p.zone(r, e, "to")
	b[dimSrc] = r.side(p.addresses(e.get("source").members(), scope), e.get("negate-source").string() == "yes")
	b[dimDst] = r.side(p.addresses(e.get("destination").members(), scope), e.get("negate-destination").string() == "yes")
	services := p.services(r, e, scope)
	boxes := []box{b}
	switch e.get("rule-type").string() {
	case "intrazone":
		boxes = nil
		for _, z := range splitSet(b[dimIn]) {
			boxes = append(boxes, b.with(dimIn, z).with(dimOut, z))
		}
	case "interzone":
		same := b
		boxes = nil
		for _, z := range splitSet(intersect(b[dimIn], p.d.zones.every())) {
			boxes = append(boxes, same.with(dimIn, z).with(dimOut, full.without(z)))
		}
	}
	r.boxes = byFamily(addServices(boxes, services))
	for name, what := range map[string]string{"source-user": "user", "category": "category of URL", "source-hip": "state of the device", "destination-hip": "state of the device"} {
		if list := e.get(name).members(); len(list) > 0 && !slices.Contains(list, "any") {
			if what == "category of URL" {
				r.narrow(what)
			} else {
				r.ask(what)
			}
		}
	}
	slices.Sort(r.over)
	slices.Sort(r.asks)
	if s := e.get("schedule").string(); s != "" {
		r.schedule = s
		r.narrow("schedule")
	}
	return r
}

// every is the zones that are known, each by itself.
func (z *zones) every() set {
	if len(z.names) < 2 {
		return nil
	}
	return interval(1, uint64(len(z.names)-1))
}

// splitSet gives each number of a small set by itself, at most 256.
func splitSet(s set) (out []set) {
	for _, sp := range s {
		for n := sp.lo; !sp.hi.less(n) && len(out) < 256; n = n.next() {
			out = append(out, set{{n, n}})
		}
	}
	return out
}

func (p *panOS) zone(r *rule, e *element, side string) set {
	var out set
	for _, name := range e.get(side).members() {
		if name == "any" || name == "multicast" {
			return full
		}
		s, ok := p.d.zones.set(name)
		if !ok {
			r.unresolved("zone " + name)
			continue
		}
		out = union(out, s)
	}
	if e.get(side) == nil || len(e.get(side).members()) == 0 {
		return full
	}
	return out
}

// addresses resolves the members of a source or destination.
func (p *panOS) addresses(names []string, scope string) resolved {
	var out resolved
	var spans []span
	for _, name := range names {
		if name == "any" {
			return resolved{set: full}
		}
		if k := p.key(p.book.addrs, scope, name); p.book.addrs[k] != nil {
			x := p.book.resolve(p.book.addrs, k, 0)
			spans = append(spans, x.set...)
			for _, u := range x.unknown {
				out.unknown = appendName(out.unknown, u)
			}
			continue
		}
		if s, ok := addressSet(name); ok {
			spans = append(spans, s...)
			continue
		}
		switch name {
		case "any-ipv4":
			spans = append(spans, v4All...)
		case "any-ipv6":
			spans = append(spans, v6All...)
		default: // a country, an address book that Panorama keeps elsewhere
			out.unknown = appendName(out.unknown, name)
		}
	}
	if len(names) == 0 {
		return resolved{set: full}
	}
	out.set = normal(spans)
	return out
}

// appPorts are the ports of the applications by which machines are run, as PAN-OS's application-default has them.
var appPorts = map[string][]uint64{"ssh": {22}, "telnet": {23}, "ms-rdp": {3389}, "vnc": {5900}, "ms-ds-smb": {445, 139}, "teamviewer": {5938}, "anydesk": {7070}, "radmin": {4899}, "web-browsing": {80}, "ssl": {443}, "ftp": {21}, "smtp": {25}, "ldap": {389}, "mssql-db": {1433}, "mysql": {3306}}

// services resolves the services of a rule: those that it names, else the ports of its applications, as far as they
// are known. An application on any port is taken to be on its own: which others it may be on is not known.
func (p *panOS) services(r *rule, e *element, scope string) []service {
	apps := e.get("application").members()
	anyApp := len(apps) == 0 || slices.Contains(apps, "any")
	var out []service
	for _, name := range e.get("service").members() {
		switch name {
		case "any", "application-default":
			if anyApp {
				out = append(out, anyService)
				if name != "any" {
					r.narrow("application-default")
				}
				continue
			}
			for _, app := range apps {
				ports, ok := appPorts[app]
				if !ok {
					r.unresolved("ports of the application " + app)
				}
				for _, n := range ports {
					out = append(out, service{one(protoTCP<<16 | n), full})
				}
				if app == "ms-rdp" {
					out = append(out, service{one(protoUDP<<16 | 3389), full})
				}
			}
			continue
		case "service-http":
			out = append(out, service{union(one(protoTCP<<16|80), one(protoTCP<<16|8080)), full})
			continue
		case "service-https":
			out = append(out, service{one(protoTCP<<16 | 443), full})
			continue
		}
		x := p.book.resolve(p.book.svcs, p.key(p.book.svcs, scope, name), 0)
		out = append(out, x.services...)
		for _, u := range x.unknown {
			r.unresolved(u)
		}
	}
	if len(e.get("service").members()) == 0 && anyApp {
		out = append(out, anyService)
	}
	if !anyApp {
		r.narrow("application")
	}
	return out
}
