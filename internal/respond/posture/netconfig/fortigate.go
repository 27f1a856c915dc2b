package netconfig

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
)

var fortiHead = regexp.MustCompile(`(?m)^\s*config firewall (policy6?|address6?|addrgrp6?|service custom|vip)\s*$`)

func isFortiGate(_ string, head []byte) bool {
	return fortiHead.Match(head) || bytes.HasPrefix(head, []byte("#config-version=FG")) || bytes.HasPrefix(head, []byte("#config-version=FW"))
}

// fortiObject is an entry (edit … next) of a table (config … end), with what is set in it.
type fortiObject struct {
	line int64
	name string
	set  map[string][]string
	list map[string][]*fortiObject // tables within
}

func (o *fortiObject) one(key string) string {
	if v := o.set[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (o *fortiObject) on(key string) bool { return o.one(key) == "enable" }

// forti reads the configuration of FortiOS as it is backed up.
type forti struct {
	s    *source
	d    *device
	book *book
	vdom string
	when map[string]*fortiObject // schedules that happen once
}

// fortiTables are the tables that are read; others are stepped over.
var fortiTables = map[string]bool{
	"system global": true, "system interface": true, "system zone": true, "system sdwan": true, "system virtual-wan-link": true, "router static": true, "router static6": true,
	"firewall address": true, "firewall address6": true, "firewall addrgrp": true, "firewall addrgrp6": true, "firewall service custom": true, "firewall service group": true,
	"firewall vip": true, "firewall vip6": true, "firewall vipgrp": true, "firewall vipgrp6": true, "firewall policy": true, "firewall policy6": true, "firewall schedule onetime": true, "firewall internet-service-name": true,
}

func parseFortiGate(s *source) (*device, error) {
	p := &forti{s: s, d: newDevice()}
	p.reset("")
	vdoms, err := p.read()
	if err != nil {
		return nil, err
	}
	var global *fortiObject
	for _, v := range vdoms {
		for _, g := range v.tables["system global"] {
			global = cmp.Or(global, g)
		}
	}
	if global != nil {
		p.d.name = global.one("hostname")
	}
	shared := vdoms[0]
	for _, v := range vdoms { // names of interfaces of all, before any set of them
		p.collect(v.tables)
	}
	for _, v := range vdoms {
		p.sides(v.tables)
	}
	p.d.zones.guess()
	for _, v := range vdoms {
		p.reset(v.name)
		if v != shared {
			p.objects(shared.tables)
		}
		p.objects(v.tables)
		if err := p.policies(v.tables); err != nil {
			return nil, err
		}
		for name, set := range p.book.names() {
			p.d.named[name] = set
		}
	}
	return p.d, nil
}

func (p *forti) reset(vdom string) {
	p.vdom, p.book, p.when = vdom, newBook(p.s), map[string]*fortiObject{}
}

// fortiVdom is a virtual firewall with its tables; the first stands for what lies outside of any.
type fortiVdom struct {
	name   string
	tables map[string][]*fortiObject
}

// read reads tables and their entries.
func (p *forti) read() ([]*fortiVdom, error) {
	vdoms := []*fortiVdom{{tables: map[string][]*fortiObject{}}}
	vdom := vdoms[0]
	var stack []fortiLevel
	deep := 0 // tables beyond the depth that is read
	var more strings.Builder
	moreAt := int64(0)
	err := p.s.lines(func(n int64, line string) error {
		if more.Len() > 0 { // text in quotation marks goes on over lines
			more.WriteByte('\n')
			more.WriteString(line)
			if !closesQuote(more.String()) && more.Len() < 1<<20 {
				return nil
			}
			n, line = moreAt, more.String()
			more.Reset()
		} else if !closesQuote(line) {
			moreAt = n
			more.WriteString(line)
			return nil
		}
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' {
			return nil
		}
		words, err := shellWords(trimmed)
		if err != nil || len(words) == 0 {
			p.s.bad(n, "not a line of a configuration: %s", trimmed)
			return nil
		}
		switch words[0] {
		case "config":
			if len(stack) >= maxDepth {
				deep++
				return nil
			}
			stack = append(stack, fortiLevel{table: strings.Join(words[1:], " ")})
			if len(stack) == 1 && stack[0].table == "vdom" {
				vdom = &fortiVdom{tables: map[string][]*fortiObject{}}
			}
		case "edit":
			if len(stack) == 0 || len(words) < 2 {
				p.s.bad(n, "an entry outside of any table: %s", trimmed)
				return nil
			}
			top := &stack[len(stack)-1]
			top.entry = &fortiObject{line: n, name: words[1], set: map[string][]string{}, list: map[string][]*fortiObject{}}
			if top.table == "vdom" && len(stack) == 1 {
				if i := slices.IndexFunc(vdoms, func(v *fortiVdom) bool { return v.name == words[1] }); i > 0 {
					vdom = vdoms[i]
				} else if len(vdoms) < 1000 {
					vdom = &fortiVdom{name: words[1], tables: map[string][]*fortiObject{}}
					vdoms = append(vdoms, vdom)
				}
				return nil
			}
			p.keep(vdom, stack)
		case "set", "append":
			if len(stack) == 0 || len(words) < 3 {
				return nil
			}
			top := &stack[len(stack)-1]
			if top.entry == nil { // a table of one entry, such as system global
				top.entry = &fortiObject{line: n, set: map[string][]string{}, list: map[string][]*fortiObject{}}
				p.keep(vdom, stack)
			}
			if !p.s.room(n) {
				return nil
			}
			if words[0] == "append" {
				top.entry.set[words[1]] = append(top.entry.set[words[1]], words[2:]...)
			} else {
				top.entry.set[words[1]] = words[2:]
			}
		case "next":
			if len(stack) > 0 {
				if stack[len(stack)-1].table == "vdom" && len(stack) == 1 {
					return nil
				}
				stack[len(stack)-1].entry = nil
			}
		case "end":
			switch {
			case deep > 0:
				deep--
			case len(stack) > 0:
				stack = stack[:len(stack)-1]
			default:
				p.s.bad(n, "an end without a beginning")
			}
			if len(stack) == 0 {
				vdom = vdoms[0]
			}
		case "unset", "delete", "clear", "abort", "purge", "rename", "move", "clone":
		default:
			p.s.bad(n, "neither config, edit, set, next nor end: %s", trimmed)
		}
		return nil
	})
	if err == nil && len(stack) > 0 {
		p.s.bad(0, "the file ends within the table %q: it is cut off", stack[len(stack)-1].table)
	}
	return vdoms, err
}

// fortiLevel is a table that is open, with the entry that is open in it.
type fortiLevel struct {
	table string
	entry *fortiObject
}

// keep puts an entry where it belongs: into a table, or into the entry whose table it is in.
func (p *forti) keep(vdom *fortiVdom, stack []fortiLevel) {
	for len(stack) > 0 && (stack[0].table == "vdom" || stack[0].table == "global") {
		stack = stack[1:]
	}
	if len(stack) == 0 {
		return
	}
	top := stack[len(stack)-1]
	if len(stack) == 1 {
		if fortiTables[top.table] {
			vdom.tables[top.table] = append(vdom.tables[top.table], top.entry)
		}
		return
	}
	if parent := stack[len(stack)-2]; parent.entry != nil {
		parent.entry.list[top.table] = append(parent.entry.list[top.table], top.entry)
	} else if fortiTables[stack[0].table] && len(stack) == 2 { // config system sdwan / config members
		key := stack[0].table + " " + top.table
		vdom.tables[key] = append(vdom.tables[key], top.entry)
	}
}

// closesQuote reports whether every quotation mark of a text is closed.
func closesQuote(s string) bool {
	in := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			in = !in
		}
	}
	return !in
}

// fortiPolicies are the tables of rules.
var fortiPolicies = []string{"firewall policy", "firewall policy6"}

func (p *forti) collect(t map[string][]*fortiObject) {
	for _, i := range slices.Concat(t["system interface"], t["system zone"], t["system sdwan zone"]) {
		p.d.zones.collect(i.name)
	}
	for _, table := range fortiPolicies {
		for _, r := range t[table] {
			for _, name := range slices.Concat(r.set["srcintf"], r.set["dstintf"]) {
				if name != "any" {
					p.d.zones.collect(name)
				}
			}
		}
	}
}

// sides finds the interfaces with the internet behind them: those of the default routes, those whose role is wan, and
// the zones that hold one.
func (p *forti) sides(t map[string][]*fortiObject) {
	out := map[string]bool{}
	for _, r := range slices.Concat(t["router static"], t["router static6"]) {
		dst := strings.Join(r.set["dst"], " ")
		if dst == "" || dst == "0.0.0.0 0.0.0.0" || dst == "::/0" || dst == "0.0.0.0/0" {
			for _, d := range slices.Concat(r.set["device"], r.set["sdwan-zone"]) {
				out[d] = sideOf(d) != inner
			}
			if r.on("sdwan") || r.on("virtual-wan-link") {
				out["virtual-wan-link"] = true
			}
		}
	}
	for _, m := range slices.Concat(t["system sdwan members"], t["system virtual-wan-link members"]) {
		out[m.one("interface")] = true
		out[cmp.Or(m.one("zone"), "virtual-wan-link")] = true
	}
	for _, i := range t["system interface"] {
		switch role := i.one("role"); {
		case role == "wan":
			out[i.name] = true
		case role == "lan", role == "dmz":
			p.d.zones.mark(i.name, inner)
			out[i.name] = false
		case i.one("type") == "tunnel" && !out[i.name]:
			p.d.zones.mark(i.name, inner)
		}
	}
	for _, z := range t["system zone"] {
		for _, m := range z.set["interface"] {
			if out[m] {
				out[z.name] = true
			}
		}
	}
	some := false
	for name, is := range out {
		if is {
			p.d.zones.mark(name, outer)
			some = true
		}
	}
	if some { // who knows the way out knows the others for ways in
		for _, i := range slices.Concat(t["system interface"], t["system zone"]) {
			if sideOf(i.name) != outer {
				p.d.zones.mark(i.name, inner)
			}
		}
	}
}

// objects takes in addresses, services and their groups.
func (p *forti) objects(t map[string][]*fortiObject) {
	b := p.book
	for _, o := range t["firewall address"] {
		p.address(o)
	}
	for _, o := range t["firewall address6"] {
		e := &entry{line: o.line}
		text := cmp.Or(o.one("ip6"), rangeOf(o.one("start-ip"), o.one("end-ip")))
		s, ok := addressSet(text)
		switch {
		case text == "" && o.name == "all":
			e.set = v6All
		case !ok:
			e.unknown = cmp.Or(o.one("fqdn"), o.one("type"), "no address")
		default:
			e.set = s
		}
		b.put(b.addrs, "6\x00"+o.name, e)
	}
	for prefix, tables := range map[string][]string{"4": {"firewall addrgrp", "firewall vipgrp"}, "6": {"firewall addrgrp6", "firewall vipgrp6"}} {
		for _, table := range tables {
			for _, o := range t[table] {
				e := &entry{line: o.line}
				for _, m := range o.set["member"] {
					e.members = append(e.members, prefix+"\x00"+m)
				}
				if o.on("exclude") {
					for _, m := range o.set["exclude-member"] {
						e.except = append(e.except, prefix+"\x00"+m)
					}
				}
				b.put(b.addrs, prefix+"\x00"+o.name, e)
			}
		}
	}
	for prefix, table := range map[string]string{"4": "firewall vip", "6": "firewall vip6"} {
		for _, o := range t[table] {
			p.vip(prefix, o)
		}
	}
	for _, o := range t["firewall service custom"] {
		p.service(o)
	}
	for _, o := range t["firewall service group"] {
		b.put(b.svcs, o.name, &entry{line: o.line, members: o.set["member"]})
	}
	for _, o := range t["firewall schedule onetime"] {
		p.when[o.name] = o
	}
}

func rangeOf(from, to string) string {
	if from == "" || to == "" {
		return ""
	}
	return from + "-" + to
}

func (p *forti) address(o *fortiObject) {
	e := &entry{line: o.line}
	kind := o.one("type")
	switch {
	case kind == "" && len(o.set["subnet"]) == 0 && o.one("start-ip") != "", kind == "iprange":
		s, ok := addressSet(rangeOf(o.one("start-ip"), o.one("end-ip")))
		if e.set = s; !ok {
			e.unknown = "broken range"
			p.s.bad(o.line, "the range of the address %q can't be read", o.name)
		}
	case kind == "" || kind == "ipmask" || kind == "subnet" || kind == "interface-subnet":
		v := o.set["subnet"]
		switch {
		case len(v) == 0 && (kind == "" || kind == "ipmask"): // the default, which backups leave out
			e.set = v4All
		case len(v) == 0:
			e.unknown = kind
		default:
			s, ok := maskedSet(v[0], strings.Join(v[1:], ""))
			if len(v) == 1 {
				s, ok = addressSet(v[0])
			}
			if e.set = s; !ok {
				e.unknown = "broken network"
				p.s.bad(o.line, "the network of the address %q can't be read", o.name)
			}
		}
	default: // fqdn, geography, dynamic, wildcard, mac
		e.unknown = cmp.Or(o.one("fqdn"), o.one("country"), kind)
	}
	p.book.put(p.book.addrs, "4\x00"+o.name, e)
}

// vip is an address outside that stands for one inside: the rule's service is that of the host inside.
func (p *forti) vip(prefix string, o *fortiObject) {
	e := &entry{line: o.line}
	for _, m := range o.set["mappedip"] {
		s, ok := addressSet(m)
		if !ok {
			e.unknown = cmp.Or(o.one("type"), "no mapped address")
		}
		e.set = union(e.set, s)
	}
	if len(e.set) == 0 && e.unknown == "" {
		e.unknown = cmp.Or(o.one("type"), "no mapped address")
	}
	if o.on("portforward") {
		n, ok := protocolNumber(cmp.Or(o.one("protocol"), "tcp"))
		ports, ok2 := portRange(cmp.Or(o.one("mappedport"), o.one("extport")), "-")
		if ok && ok2 {
			e.services = []service{{portSet(n, ports), full}}
		}
	}
	p.book.put(p.book.addrs, prefix+"\x00"+o.name, e)
}

func (p *forti) service(o *fortiObject) {
	e := &entry{line: o.line}
	switch protocol := o.one("protocol"); protocol {
	case "", "TCP/UDP/SCTP", "TCP/UDP/UDP-Lite/SCTP":
		for key, n := range map[string]uint64{"tcp-portrange": protoTCP, "udp-portrange": protoUDP, "sctp-portrange": protoSCTP, "udplite-portrange": 136} {
			for _, v := range o.set[key] {
				dst, src, split := strings.Cut(v, ":")
				ports, ok := portRange(dst, "-")
				sports, ok2 := full, true
				if split {
					sports, ok2 = portRange(src, "-")
				}
				if !ok || !ok2 {
					p.s.bad(o.line, "the ports %q of the service %q can't be read", v, o.name)
					e.unknown = "broken ports"
					continue
				}
				e.services = append(e.services, service{portSet(n, ports), sports})
			}
		}
		slices.SortFunc(e.services, func(a, b service) int { return a.services[0].lo.compare(b.services[0].lo) })
		if len(e.services) == 0 && e.unknown == "" && o.name == "ALL" {
			e.services = []service{anyService}
		}
	case "ICMP":
		e.services = []service{{protocolSet(protoICMP), full}}
		if s, ok := icmpSet(protoICMP, o.one("icmptype")); ok {
			e.services[0].services = s
		}
	case "ICMP6":
		e.services = []service{{protocolSet(protoICMPv6), full}}
	case "IP":
		if n, ok := protocolNumber(o.one("protocol-number")); ok && n != 0 {
			e.services = []service{{protocolSet(n), full}}
		} else {
			e.services = []service{anyService}
		}
	default:
		e.unknown = protocol
	}
	p.book.put(p.book.svcs, o.name, e)
}
