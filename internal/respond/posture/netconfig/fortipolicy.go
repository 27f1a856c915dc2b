package netconfig

import (
	"slices"
	"strings"
	"time"
)

// fortiServices are services of the factory's that a backup may leave out, by their ports.
var fortiServices = map[string][]service{
	"ALL": {anyService}, "ANY": {anyService}, "ALL_TCP": {{protocolSet(protoTCP), full}}, "ALL_UDP": {{protocolSet(protoUDP), full}}, "ALL_ICMP": {{protocolSet(protoICMP), full}}, "ALL_ICMP6": {{protocolSet(protoICMPv6), full}}, "PING": {{interval(protoICMP<<16|8<<8, protoICMP<<16|8<<8|255), full}},
	"HTTP": {{one(protoTCP<<16 | 80), full}}, "HTTPS": {{one(protoTCP<<16 | 443), full}}, "SSH": {{one(protoTCP<<16 | 22), full}}, "TELNET": {{one(protoTCP<<16 | 23), full}}, "RDP": {{one(protoTCP<<16 | 3389), full}}, "SMB": {{one(protoTCP<<16 | 445), full}}, "SAMBA": {{one(protoTCP<<16 | 139), full}},
	"VNC": {{one(protoTCP<<16 | 5900), full}}, "FTP": {{one(protoTCP<<16 | 21), full}}, "SMTP": {{one(protoTCP<<16 | 25), full}}, "SMTPS": {{one(protoTCP<<16 | 465), full}}, "IMAP": {{one(protoTCP<<16 | 143), full}}, "IMAPS": {{one(protoTCP<<16 | 993), full}}, "POP3": {{one(protoTCP<<16 | 110), full}},
	"DNS": {{union(one(protoTCP<<16|53), one(protoUDP<<16|53)), full}}, "NTP": {{union(one(protoTCP<<16|123), one(protoUDP<<16|123)), full}}, "SNMP": {{union(interval(protoTCP<<16|161, protoTCP<<16|162), interval(protoUDP<<16|161, protoUDP<<16|162)), full}}, "LDAP": {{one(protoTCP<<16 | 389), full}}, "SYSLOG": {{one(protoUDP<<16 | 514), full}},
	"IKE": {{union(one(protoUDP<<16|500), one(protoUDP<<16|4500)), full}}, "ESP": {{protocolSet(50), full}}, "AH": {{protocolSet(51), full}}, "GRE": {{protocolSet(47), full}}, "MYSQL": {{one(protoTCP<<16 | 3306), full}}, "MS-SQL": {{interval(protoTCP<<16|1433, protoTCP<<16|1434), full}},
}

// policies reads the rules.
func (p *forti) policies(t map[string][]*fortiObject) error {
	name := "policy"
	if p.vdom != "" {
		name = p.vdom + " policy"
	}
	pol := &policy{name: name, stage: "forward " + p.vdom, inbound: true, ordered: true}
	for _, table := range fortiPolicies {
		for i, o := range t[table] {
			if i%1024 == 0 {
				if err := p.s.ctx.Err(); err != nil {
					return err
				}
			}
			if r := p.rule(o, table == "firewall policy6"); r != nil {
				pol.rules = append(pol.rules, r)
			}
		}
	}
	if len(pol.rules) > 0 {
		pol.rules = append(pol.rules, &rule{name: "implicit deny", enabled: true, action: deny, def: true, boxes: byFamily([]box{everything})})
		p.d.policies = append(p.d.policies, pol)
	}
	return nil
}

func (p *forti) rule(o *fortiObject, six bool) *rule {
	r := &rule{line: o.line, name: strings.TrimSpace(o.name + " " + o.one("name")), comment: strings.Join(o.set["comments"], " "), enabled: o.one("status") != "disable"}
	switch o.one("action") {
	case "accept", "ipsec", "ssl-vpn":
		r.action = accept
	case "deny", "": // the default, which backups leave out
		r.action = deny
	default:
		p.s.bad(o.line, "the policy %s does %q, which is not known", o.name, o.one("action"))
		return nil
	}
	b := everything
	b[dimIn], b[dimOut] = p.iface(r, o.set["srcintf"]), p.iface(r, o.set["dstintf"])
	svc := p.services(r, o)
	if len(o.set["internet-service-src-name"]) > 0 || len(o.set["internet-service-src-id"]) > 0 {
		r.unresolved("internet service")
	}
	for key, what := range map[string]string{"users": "user", "groups": "user", "fsso-groups": "user", "src-vendor-mac": "vendor of the card", "ztna-ems-tag": "device tag"} {
		if len(o.set[key]) > 0 {
			r.ask(what)
		}
	}
	slices.Sort(r.over)
	slices.Sort(r.asks)
	p.schedule(r, o.one("schedule"))
	families := []struct{ prefix, src, dst string }{{"4", "srcaddr", "dstaddr"}, {"6", "srcaddr6", "dstaddr6"}}
	if six {
		families = []struct{ prefix, src, dst string }{{"6", "srcaddr", "dstaddr"}}
	}
	for _, f := range families {
		if len(o.set[f.src]) == 0 && len(o.set[f.dst]) == 0 {
			continue
		}
		src := r.side(p.addresses(f.prefix, o.set[f.src]), o.on(f.src+"-negate") || f.prefix == "6" && o.on("srcaddr-negate"))
		family := v4All
		if f.prefix == "6" {
			family = v6All
		}
		c := b.with(dimSrc, intersect(src, family))
		for _, to := range p.targets(r, f.prefix, o.set[f.dst], o.on(f.dst+"-negate")) {
			boxes := []box{c.with(dimDst, intersect(to.set, family))}
			if len(to.services) > 0 {
				boxes = addServices(boxes, to.services)
			}
			r.boxes = append(r.boxes, addServices(boxes, svc)...)
		}
	}
	r.boxes = byFamily(r.boxes)
	return r
}

// targets resolves destinations: addresses together, each virtual address with the ports that it forwards.
func (p *forti) targets(r *rule, prefix string, names []string, not bool) (out []resolved) {
	var plain resolved
	var spans []span
	for _, name := range names {
		x := p.addresses(prefix, []string{name})
		if len(x.services) > 0 && !not {
			for _, u := range x.unknown {
				r.unresolved(u)
			}
			out = append(out, x)
			continue
		}
		spans = append(spans, x.set...)
		plain.unknown = append(plain.unknown, x.unknown...)
	}
	plain.set = normal(spans)
	if s := r.side(plain, not); !s.empty() {
		out = append(out, resolved{set: s})
	}
	return out
}

func (p *forti) iface(r *rule, names []string) set {
	var out set
	for _, name := range names {
		if name == "any" {
			return full
		}
		s, ok := p.d.zones.set(name)
		if !ok {
			r.unresolved("interface " + name)
			continue
		}
		out = union(out, s)
	}
	if len(names) == 0 {
		return full
	}
	return out
}

// addresses resolves names of addresses.
func (p *forti) addresses(prefix string, names []string) resolved {
	var out resolved
	var spans []span
	for _, name := range names {
		if p.book.addrs[prefix+"\x00"+name] == nil {
			switch name {
			case "all":
				if spans = append(spans, v4All...); prefix == "6" {
					spans = append(spans[:len(spans)-1], v6All...)
				}
				continue
			case "none":
				continue
			}
		}
		x := p.book.resolve(p.book.addrs, prefix+"\x00"+name, 0)
		spans = append(spans, x.set...)
		out.services = append(out.services, x.services...)
		for _, u := range x.unknown {
			out.unknown = appendName(out.unknown, u)
		}
	}
	out.set = normal(spans)
	return out
}

func (p *forti) services(r *rule, o *fortiObject) (out []service) {
	for _, name := range o.set["service"] {
		if p.book.svcs[name] == nil {
			if list, ok := fortiServices[name]; ok {
				out = append(out, list...)
				continue
			}
		}
		x := p.resolveService(name)
		out = append(out, x.services...)
		for _, u := range x.unknown {
			r.unresolved("service " + u)
		}
	}
	if o.on("service-negate") {
		var all set
		for _, s := range out {
			all = union(all, s.services)
		}
		return []service{{full.without(all), full}}
	}
	if len(o.set["service"]) == 0 {
		if o.on("internet-service") {
			r.narrow("internet service")
		}
		return []service{anyService}
	}
	return out
}

// resolveService looks a service up, with those of the factory's that its group may name.
func (p *forti) resolveService(name string) resolved {
	if e := p.book.svcs[name]; e != nil {
		for _, m := range e.members {
			if list, ok := fortiServices[m]; ok && p.book.svcs[m] == nil {
				p.book.svcs[m] = &entry{line: e.line, services: list}
			}
		}
	}
	return p.book.resolve(p.book.svcs, name, 0)
}

// schedule keeps when a rule holds; one whose time is over is off.
func (p *forti) schedule(r *rule, name string) {
	if name == "" || name == "always" {
		return
	}
	r.schedule = name
	r.narrow("schedule")
	once := p.when[name]
	if name == "none" {
		r.enabled = false
	}
	if once == nil {
		return
	}
	// FortiOS writes "hh:mm yyyy/mm/dd" in the zone of the machine; taken as UTC.
	if t, err := time.Parse("15:04 2006/01/02", strings.Join(once.set["end"], " ")); err == nil {
		r.ends = t
		if at := p.s.in.At; !at.IsZero() && t.Before(at) {
			r.enabled = false
		}
	}
}
