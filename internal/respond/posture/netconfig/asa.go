package netconfig

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

var asaHead = regexp.MustCompile(`(?m)^(ASA Version |: Saved\s*$|access-list \S+ (line \d+ )?(extended|remark) |access-group \S+ (in|out) interface |\s+security-level \d+\s*$)`)

func isASA(_ string, head []byte) bool { return asaHead.Match(head) }

// asa reads show running-config of a Cisco ASA (Cisco Secure Firewall ASA command reference: access-list extended,
// object, object-group, access-group, time-range). An access list counts where an access-group puts it on an interface,
// or on all; what no line permits is denied.
type asa struct {
	s     *source
	d     *device
	book  *book
	names map[string]string // name → address
	lists map[string][]asaLine
	order []string
	bound []asaBinding
	times map[string]*asaTime
	own   map[string]set // addresses of interfaces by their names
	local *policy        // who may run the firewall itself

	block []string // words of the line that opened the block, such as object network X
	open  *entry
}

type asaLine struct {
	n     int64
	words []string
	note  string // the remark before it
	six   bool
}

type asaBinding struct {
	list, iface string // no interface: all
	in          bool
}

type asaTime struct {
	text string
	ends time.Time
}

func parseASA(s *source) (*device, error) {
	p := &asa{s: s, d: newDevice(), book: newBook(s), names: map[string]string{}, lists: map[string][]asaLine{}, times: map[string]*asaTime{}, own: map[string]set{},
		local: &policy{name: "management", stage: "device", inbound: true, ordered: true}}
	note := map[string]string{}
	err := s.lines(func(n int64, line string) error {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '!' || trimmed[0] == ':' {
			return nil
		}
		words := strings.Fields(trimmed)
		if line[0] == ' ' && p.block != nil {
			p.within(n, words, trimmed)
			return nil
		}
		p.block, p.open = nil, nil
		p.line(n, words, trimmed, note)
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.d.zones.guess()
	p.d.named = p.book.names()
	for name, addr := range p.names {
		if set, ok := addressSet(addr); ok {
			p.d.named[strings.ToLower(name)] = set
		}
	}
	return p.d, p.policies()
}

// line reads a line that stands by itself, or opens a block.
func (p *asa) line(n int64, w []string, text string, note map[string]string) {
	switch w[0] {
	case "hostname":
		if len(w) > 1 {
			p.d.name = w[1]
		}
	case "name":
		if len(w) > 2 {
			p.names[w[2]] = w[1]
		}
	case "interface":
		p.block = append([]string(nil), w...)
	case "object", "object-group":
		if len(w) < 3 {
			p.s.bad(n, "an object without a name: %s", text)
			return
		}
		p.block, p.open = w, &entry{line: n}
		if w[1] == "service" || w[1] == "protocol" || w[1] == "icmp-type" {
			p.book.put(p.book.svcs, w[2], p.open)
		} else {
			p.book.put(p.book.addrs, w[2], p.open)
			if w[1] != "network" {
				p.open.unknown = w[1]
			}
		}
	case "time-range":
		if len(w) > 1 {
			p.block = w
			p.times[w[1]] = &asaTime{text: w[1]}
		}
	case "route":
		if len(w) > 3 && (w[2] == "0.0.0.0" || w[2] == "0") && (w[3] == "0.0.0.0" || w[3] == "0") {
			p.outside(w[1])
		}
	case "ipv6":
		switch {
		case len(w) > 3 && w[1] == "route" && w[3] == "::/0":
			p.outside(w[2])
		case len(w) > 4 && w[1] == "access-list":
			p.acl(n, w[2], append([]string{"extended"}, w[3:]...), true, note)
		}
	case "access-list":
		if len(w) < 3 {
			p.s.bad(n, "not a line of an access list: %s", text)
			return
		}
		rest := w[2:]
		if rest[0] == "line" && len(rest) > 2 {
			rest = rest[2:]
		}
		p.acl(n, w[1], rest, false, note)
	case "access-group":
		switch {
		case len(w) >= 5 && w[3] == "interface":
			p.d.zones.collect(w[4])
			p.bound = append(p.bound, asaBinding{w[1], w[4], w[2] == "in"})
		case len(w) >= 3 && w[2] == "global":
			p.bound = append(p.bound, asaBinding{w[1], "", true})
		}
	case "ssh", "telnet", "http":
		p.access(n, w)
	}
}

func (p *asa) outside(name string) {
	p.d.zones.collect(name)
	if sideOf(name) != inner {
		p.d.zones.mark(name, outer)
	}
}

// acl takes a line of an access list in. Standard lists choose routes and filter nothing.
func (p *asa) acl(n int64, name string, w []string, six bool, note map[string]string) {
	switch w[0] {
	case "remark":
		note[name] = strings.Join(w[1:], " ")
		return
	case "standard", "ethertype", "webtype", "deny-flow-max", "alert-interval":
		return
	case "extended":
		w = w[1:]
	}
	if !p.s.room(n) {
		return
	}
	if _, ok := p.lists[name]; !ok {
		p.order = append(p.order, name)
	}
	p.lists[name] = append(p.lists[name], asaLine{n, w, note[name], six})
	delete(note, name)
}

// access reads who may log in to the firewall: ssh 192.0.2.0 255.255.255.0 outside.
func (p *asa) access(n int64, w []string) {
	if len(w) != 4 && len(w) != 3 {
		return
	}
	iface := w[len(w)-1]
	s, ok := set(nil), false
	if len(w) == 4 {
		s, ok = maskedSet(p.address(w[1]), w[2])
	} else {
		s, ok = addressSet(w[1])
		ok = ok && strings.Contains(w[1], "/")
	}
	if !ok {
		return // a setting: ssh timeout 5
	}
	p.d.zones.collect(iface)
	port := map[string]uint64{"ssh": 22, "telnet": 23, "http": 443}[w[0]]
	r := &rule{line: n, name: strings.Join(w, " "), enabled: true, action: accept, comment: iface}
	r.boxes = []box{everything.with(dimSrc, s).with(dimSvc, one(protoTCP<<16|port))}
	p.local.rules = append(p.local.rules, r)
}

// within reads a line of a block.
func (p *asa) within(n int64, w []string, text string) {
	switch p.block[0] {
	case "interface":
		p.iface(w)
	case "time-range":
		t := p.times[p.block[1]]
		t.text = strings.TrimSpace(t.text + " " + text)
		if i := indexWord(w, "end"); w[0] == "absolute" && i >= 0 && len(w) >= i+5 {
			// The clock of the firewall, whose zone the line doesn't tell: taken as UTC.
			if end, err := time.Parse("15:04 2 January 2006", strings.Join(w[i+1:i+5], " ")); err == nil {
				t.ends = end
			}
		}
	default:
		if w[0] == "description" || w[0] == "nat" {
			return
		}
		if !p.s.room(n) {
			return
		}
		if err := p.member(w); err != nil {
			p.s.bad(n, "%s %s: %v", p.block[0], p.block[2], err)
			p.open.unknown = "broken member"
		}
	}
}

func indexWord(w []string, word string) int {
	for i := range w {
		if w[i] == word {
			return i
		}
	}
	return -1
}

// iface reads a line of an interface's block. The security level says on which side it lies: 0 is outside.
func (p *asa) iface(w []string) {
	if w[0] == "nameif" && len(w) > 1 {
		p.d.zones.collect(w[1])
		p.block = append(p.block[:1:1], "nameif", w[1])
		return
	}
	if len(p.block) < 3 || p.block[1] != "nameif" {
		return
	}
	name := p.block[2]
	switch {
	case w[0] == "security-level" && len(w) > 1:
		if w[1] == "0" {
			p.d.zones.mark(name, outer)
		} else {
			p.d.zones.mark(name, inner)
		}
	case len(w) > 2 && w[0] == "ip" && w[1] == "address":
		if a, err := netip.ParseAddr(p.address(w[2])); err == nil {
			p.own[name] = union(p.own[name], oneAddress(a))
		}
	}
}

// address is the address that a name stands for, or the word itself.
func (p *asa) address(s string) string {
	if a, ok := p.names[s]; ok {
		return a
	}
	return s
}

// member reads a member of an object or group.
func (p *asa) member(w []string) error {
	e := p.open
	switch w[0] {
	case "host", "subnet", "range", "fqdn":
		return p.network(e, w)
	case "network-object":
		if len(w) < 2 {
			return fmt.Errorf("a member without an address")
		}
		switch w[1] {
		case "host":
			return p.network(e, w[1:])
		case "object":
			if len(w) < 3 {
				return fmt.Errorf("a member without a name")
			}
			e.members = append(e.members, w[2])
			return nil
		}
		return p.network(e, append([]string{"subnet"}, w[1:]...))
	case "group-object":
		if len(w) < 2 {
			return fmt.Errorf("a group without a name")
		}
		e.members = append(e.members, w[1])
		return nil
	case "service":
		list, err := p.service(w[1:])
		e.services = append(e.services, list...)
		return err
	case "service-object":
		if len(w) > 2 && w[1] == "object" {
			e.members = append(e.members, w[2])
			return nil
		}
		list, err := p.service(w[1:])
		e.services = append(e.services, list...)
		return err
	case "port-object":
		ports, n, err := asaPorts(w[1:])
		if err != nil || n == 0 {
			return fmt.Errorf("ports %q can't be read", strings.Join(w[1:], " "))
		}
		for _, proto := range p.protocolsOf() {
			e.services = append(e.services, service{portSet(proto, ports), full})
		}
		return nil
	case "protocol-object":
		if len(w) > 1 && w[1] == "ip" {
			e.services = append(e.services, anyService)
			return nil
		}
		if len(w) > 1 {
			if n, ok := protocolNumber(w[1]); ok {
				e.services = append(e.services, service{protocolSet(n), full})
				return nil
			}
		}
		return fmt.Errorf("the protocol %q is not known", strings.Join(w[1:], " "))
	case "icmp-object":
		if len(w) > 1 {
			if s, ok := icmpSet(protoICMP, w[1]); ok {
				e.services = append(e.services, service{s, full})
				return nil
			}
		}
		e.services = append(e.services, service{protocolSet(protoICMP), full})
		return nil
	}
	return fmt.Errorf("the member %q is not known", short(strings.Join(w, " ")))
}

// protocolsOf are those that a group of ports is for: the word behind its name.
func (p *asa) protocolsOf() []uint64 {
	if len(p.block) > 3 {
		switch p.block[3] {
		case "tcp":
			return []uint64{protoTCP}
		case "udp":
			return []uint64{protoUDP}
		}
	}
	return []uint64{protoTCP, protoUDP}
}

func (p *asa) network(e *entry, w []string) error {
	if len(w) < 2 {
		return fmt.Errorf("%s without an address", w[0])
	}
	var s set
	ok := false
	switch w[0] {
	case "host":
		s, ok = addressSet(p.address(w[1]))
	case "range":
		if len(w) > 2 {
			s, ok = addressSet(p.address(w[1]) + "-" + p.address(w[2]))
		}
	case "fqdn":
		e.unknown = w[len(w)-1]
		return nil
	default:
		if len(w) > 2 {
			s, ok = maskedSet(p.address(w[1]), w[2])
		} else {
			s, ok = addressSet(w[1])
		}
	}
	if !ok {
		return fmt.Errorf("the address %q can't be read", short(strings.Join(w[1:], " ")))
	}
	e.set = union(e.set, s)
	return nil
}

// asaPorts reads eq, neq, lt, gt or range with their ports; used is how many words that took, 0 for none of them.
func asaPorts(w []string) (ports set, used int, err error) {
	if len(w) < 2 {
		return nil, 0, nil
	}
	n, ok := portNumber(w[1])
	switch w[0] {
	case "eq", "neq", "lt", "gt":
		if !ok {
			return nil, 0, fmt.Errorf("the port %q is not known", short(w[1]))
		}
	}
	switch w[0] {
	case "eq":
		return one(n), 2, nil
	case "neq":
		return interval(0, lastPort).without(one(n)), 2, nil
	case "lt":
		if n == 0 {
			return nil, 0, fmt.Errorf("no port is below 0")
		}
		return interval(0, n-1), 2, nil
	case "gt":
		if n == lastPort {
			return nil, 0, fmt.Errorf("no port is above %d", lastPort)
		}
		return interval(n+1, lastPort), 2, nil
	case "range":
		if len(w) < 3 || !ok {
			return nil, 0, fmt.Errorf("a range without its ends")
		}
		m, ok2 := portNumber(w[2])
		if !ok2 || m < n {
			return nil, 0, fmt.Errorf("the ports %s to %s can't be read", short(w[1]), short(w[2]))
		}
		return interval(n, m), 3, nil
	}
	return nil, 0, nil
}

// service reads "tcp source eq 1 destination eq 2".
func (p *asa) service(w []string) ([]service, error) {
	if len(w) == 0 {
		return nil, fmt.Errorf("a service without a protocol")
	}
	protos := []uint64{protoTCP, protoUDP}
	switch w[0] {
	case "ip":
		return []service{anyService}, nil
	case "tcp-udp":
	default:
		n, ok := protocolNumber(w[0])
		if !ok {
			return nil, fmt.Errorf("the protocol %q is not known", short(w[0]))
		}
		protos = []uint64{n}
	}
	src, dst := full, full
	for i := 1; i < len(w); {
		switch w[i] {
		case "source", "destination":
			ports, n, err := asaPorts(w[i+1:])
			if err != nil || n == 0 {
				return nil, fmt.Errorf("the ports of %q can't be read", short(strings.Join(w, " ")))
			}
			if w[i] == "source" {
				src = ports
			} else {
				dst = ports
			}
			i += 1 + n
		default:
			if ports, n, err := asaPorts(w[i:]); err == nil && n > 0 { // older lines leave the word destination out
				dst = ports
				i += n
				continue
			}
			i++
		}
	}
	var out []service
	for _, n := range protos {
		out = append(out, service{portSet(n, dst), src})
	}
	return out, nil
}
