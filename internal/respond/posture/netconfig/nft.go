package netconfig

import (
	"net/netip"
	"slices"
	"strings"
)

// nftSet is a named set or map: of each element its parts, and its verdict where it is a map of verdicts.
type nftSet struct {
	line  int64
	elems []nftElem
}

type nftElem struct {
	parts   []string // of one field, or of several (a . b)
	verdict string
	target  string
}

// nft is a ruleset of nftables, read from text or JSON (nft(8), libnftables-json(5)).
type nft struct {
	ruleset
	sets map[string]*nftSet // table + name
}

func newNFT(s *source) *nft {
	d := newDevice()
	d.whole = true
	return &nft{ruleset: ruleset{s: s, d: d, chains: map[string]*nfChain{}}, sets: map[string]*nftSet{}}
}

func familySet(family string) set {
	switch family {
	case "ip", "":
		return v4All
	case "ip6":
		return v6All
	}
	return full
}

// hook makes a base chain of a chain.
func (c *nfChain) hooked(kind, hook, policy string) {
	if policy == "drop" {
		c.policy = deny
	}
	switch {
	case kind == "nat" && hook == "prerouting":
		c.stage = "translate"
	case kind == "nat", kind == "route":
		c.stage = "source"
	case hook == "input", hook == "forward":
		c.stage, c.filter = hook, true
	case hook == "prerouting", hook == "ingress":
		c.stage = "prerouting"
	default:
		c.stage = "output"
	}
}

// elements returns what a word stands for: the members of a named set, or itself.
func (p *nft) elements(table string, list []nftElem) (out []nftElem, ok bool) {
	for _, e := range list {
		if len(e.parts) == 1 && strings.HasPrefix(e.parts[0], "@") {
			s := p.sets[table+" "+e.parts[0][1:]]
			if s == nil {
				return nil, false
			}
			out = append(out, s.elems...)
			continue
		}
		out = append(out, e)
	}
	return out, len(out) <= maxObjects
}

// match limits a rule by fields: one, or several joined by dots.
func (p *nft) match(r *nfRule, table string, fields []string, not bool, list []nftElem) {
	list, ok := p.elements(table, list)
	if !ok {
		r.ask(strings.Join(fields, " . "))
		return
	}
	if len(fields) == 1 {
		words := make([]string, 0, len(list))
		for _, e := range list {
			if len(e.parts) == 1 {
				words = append(words, e.parts[0])
			}
		}
		p.field(r, fields[0], not, words)
		return
	}
	if not || len(list) > maxBoxes {
		r.ask(strings.Join(fields, " . "))
		return
	}
	var boxes []box
	for _, e := range list {
		if len(e.parts) != len(fields) {
			continue
		}
		one := newNfRule(r.line)
		for i, f := range fields {
			p.field(one, f, false, []string{e.parts[i]})
		}
		for _, c := range one.asks {
			r.ask(c)
		}
		for _, c := range one.over {
			r.narrow(c)
		}
		boxes = append(boxes, one.boxes...)
	}
	r.cutBoxes(boxes)
}

// field limits a rule by one field.
func (p *nft) field(r *nfRule, field string, not bool, words []string) {
	field = strings.TrimPrefix(field, "meta ")
	switch field {
	case "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr":
		p.addresses(r, field, not, words)
	case "tcp dport", "udp dport", "sctp dport", "dccp dport", "udplite dport", "th dport", "tcp sport", "udp sport", "sctp sport", "dccp sport", "udplite sport", "th sport":
		p.ports(r, field, not, words)
	case "ip protocol", "ip6 nexthdr", "l4proto":
		var s set
		for _, w := range words {
			n, ok := protocolNumber(w)
			if !ok {
				r.ask(field + " " + w)
				return
			}
			s = union(s, protocolSet(n))
		}
		if not {
			s = interval(0, lastService).without(s)
		}
		r.cut(dimSvc, s)
		if field == "ip protocol" {
			r.cut(dimSrc, v4All)
		} else if field == "ip6 nexthdr" {
			r.cut(dimSrc, v6All)
		}
	case "nfproto", "protocol":
		var s set
		for _, w := range words {
			switch w {
			case "ipv4", "ip":
				s = union(s, v4All)
			case "ipv6", "ip6":
				s = union(s, v6All)
			}
		}
		if not {
			s = full.without(s)
		}
		r.cut(dimSrc, s)
	case "icmp type", "icmpv6 type":
		protocol := uint64(protoICMP)
		if field == "icmpv6 type" {
			protocol = protoICMPv6
		}
		var s set
		for _, w := range words {
			t, ok := icmpSet(protocol, w)
			if !ok {
				r.narrow("type of ICMP")
				t = protocolSet(protocol)
			}
			s = union(s, t)
		}
		if not {
			s = protocolSet(protocol).without(s)
		}
		r.cut(dimSvc, s)
	case "iif", "iifname", "oif", "oifname":
		p.interfaces(r, field, not, words)
	case "ct state":
		r.states(words, not)
	case "ct status":
		if slices.Equal(words, []string{"dnat"}) && !not {
			r.states(words, not)
		} else {
			r.ask(field)
		}
	case "day", "hour", "time":
		r.narrow("time")
		r.schedule = strings.TrimSpace(r.schedule + " " + field + " " + strings.Join(words, ", "))
	case "tcp flags", "ip dscp", "ip6 dscp", "ip length", "length", "pkttype", "icmp code", "icmpv6 code", "ip ttl", "ip6 hoplimit":
		r.narrow(field)
	default:
		r.ask(field)
	}
}

func (p *nft) addresses(r *nfRule, field string, not bool, words []string) {
	family := v4All
	if strings.HasPrefix(field, "ip6") {
		family = v6All
	}
	spans := make([]span, 0, len(words))
	for _, w := range words {
		s, ok := addressSet(w)
		if !ok {
			r.unresolved(w)
			continue
		}
		spans = append(spans, s...)
	}
	d := dimSrc
	if strings.HasSuffix(field, "daddr") {
		d = dimDst
	}
	s := normal(spans)
	if len(r.under) > 0 && not {
		r.ask(field)
	}
	r.cutNot(d, s, not, family)
}

func (p *nft) ports(r *nfRule, field string, not bool, words []string) {
	var s set
	for _, w := range words {
		ports, ok := portRange(w, "-")
		if !ok {
			r.ask(field + " " + w)
			return
		}
		s = union(s, ports)
	}
	if not {
		s = interval(0, lastPort).without(s)
	}
	name, end, _ := strings.Cut(field, " ")
	protocol, known := protocolNumber(name)
	if end == "sport" {
		if known {
			r.cut(dimSvc, protocolSet(protocol))
		}
		r.cut(dimSport, s)
		return
	}
	r.ports(dimSvc, s, protocol, known)
}

func (p *nft) interfaces(r *nfRule, field string, not bool, words []string) {
	var s set
	for _, w := range words {
		one, ok := p.d.zones.set(strings.Trim(w, `"`))
		if !ok {
			r.ask(field + " " + w)
			return
		}
		s = union(s, one)
	}
	d := dimIn
	if field[0] == 'o' {
		d = dimOut
	}
	if not {
		s = full.without(s)
	} else if d == dimIn {
		r.in = append(r.in, words...)
	} else {
		r.out = append(r.out, words...)
	}
	r.cut(d, s)
}

// collect makes the names of interfaces known, before any set of them is made.
func (p *nft) collect(table, field string, list []nftElem) {
	switch strings.TrimPrefix(field, "meta ") {
	case "iif", "iifname", "oif", "oifname":
		list, _ = p.elements(table, list)
		for _, e := range list {
			if len(e.parts) == 1 {
				p.d.zones.collect(strings.Trim(e.parts[0], `"`))
			}
		}
	}
}

// addTo gives a rule to its chain: itself, or one for each element of a map of verdicts.
func (p *nft) addTo(c *nfChain, r *nfRule, table string, key []string, list []nftElem) {
	if key == nil {
		c.rules = append(c.rules, r)
		return
	}
	list, ok := p.elements(table, list)
	if !ok || len(list) > maxRules {
		r.ask("map of " + strings.Join(key, " . "))
		return
	}
	for _, e := range list {
		if !p.s.room(r.line) {
			return
		}
		one := *r
		one.boxes = slices.Clone(r.boxes)
		one.over, one.asks, one.under = slices.Clone(r.over), slices.Clone(r.asks), slices.Clone(r.under)
		p.match(&one, table, key, false, []nftElem{{parts: e.parts}})
		one.verdict, one.target = e.verdict, e.target
		c.rules = append(c.rules, &one)
	}
}

// translate notes a translation of destinations.
func (r *nfRule) translate(addr, port string) {
	var f forward
	if addr != "" {
		if s, ok := addressSet(addr); ok {
			f.to = s
		} else {
			return
		}
	}
	if port != "" {
		s, ok := portRange(port, "-")
		if !ok {
			return
		}
		f.port = s
	}
	if f.to == nil && f.port == nil {
		return
	}
	r.forward = append(r.forward, f)
}

// isAddress reports whether a word is an address rather than a name.
func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
