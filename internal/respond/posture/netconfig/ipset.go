package netconfig

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// matchSet limits the rule to the members of an ipset.
func (p *iptables) matchSet(r *nfRule, name, how string, not bool) {
	entries, ok := p.sets[name]
	if !ok {
		r.ask("set " + name)
		return
	}
	directions := strings.Split(how, ",")
	var plain, holes [dims]set
	var pairs []box
	for _, e := range entries {
		b := everything
		for i, part := range strings.Split(e.text, ",") {
			way := directions[min(i, len(directions)-1)]
			if protocol, port, ok := strings.Cut(part, ":"); ok && !strings.Contains(port, ":") {
				n, ok1 := protocolNumber(protocol)
				ports, ok2 := portRange(port, "-")
				if !ok1 || !ok2 {
					continue
				}
				b = b.with(dimSvc, portSet(n, ports))
				continue
			}
			d := dimSrc
			if strings.HasPrefix(way, "d") {
				d = dimDst
			}
			s, ok := addressSet(part)
			if !ok {
				ports, ok := portRange(part, "-")
				if !ok {
					p.s.bad(e.line, "the member %q of the set %s can't be read", e.text, name)
					r.ask("set " + name)
					continue
				}
				b = b.with(dimSvc, union(portSet(protoTCP, ports), portSet(protoUDP, ports)))
				continue
			}
			if len(directions) == 1 {
				if e.not {
					holes[d] = append(holes[d], s...)
				} else {
					plain[d] = append(plain[d], s...)
				}
				continue
			}
			b = b.with(d, s)
		}
		if len(directions) > 1 {
			pairs = append(pairs, b)
		}
	}
	if len(directions) == 1 {
		d := dimSrc
		if strings.HasPrefix(how, "d") {
			d = dimDst
		}
		if len(plain[d]) == 0 && len(entries) > 0 {
			r.ask("set " + name)
			return
		}
		s := normal(plain[d]).without(normal(holes[d]))
		family := v4All
		if s.meets(v6All) {
			family = v6All
		}
		r.cutNot(d, s, not, family)
		return
	}
	if not || len(pairs) > maxBoxes {
		r.ask("set " + name)
		return
	}
	r.cutBoxes(pairs)
}

func (p *iptables) icmp(r *nfRule, word, value string, not bool) {
	protocol := uint64(protoICMP)
	if word == "--icmpv6-type" {
		protocol = protoICMPv6
	}
	s, ok := icmpSet(protocol, value)
	switch {
	case value == "any":
	case !ok:
		r.narrow("type of ICMP")
	case not:
		r.cut(dimSvc, protocolSet(protocol).without(s))
	default:
		r.cut(dimSvc, s)
	}
}

// schedule keeps when a rule holds. The end that iptables writes for "no end" is the last second of 32 bits.
func (p *iptables) schedule(r *nfRule, word, value string) {
	if word == "--datestop" {
		if strings.HasPrefix(value, "2038-01-19") {
			return
		}
		if t, err := time.Parse("2006-01-02T15:04:05", value); err == nil {
			r.ends = t
			if at := p.s.in.At; !at.IsZero() && t.Before(at) {
				r.enabled = false
			}
		}
	}
	r.narrow("time")
	r.schedule = strings.TrimSpace(r.schedule + " " + strings.TrimPrefix(word, "--") + " " + value)
}

// forwardTo reads the destination of a translation: address, address-address, address:port, [v6]:port.
func forwardTo(text string) (forward, error) {
	host, port := text, ""
	if rest, ok := strings.CutPrefix(text, "["); ok {
		h, p, ok := strings.Cut(rest, "]")
		if !ok {
			return forward{}, fmt.Errorf("the destination %q can't be read", text)
		}
		host, port = h, strings.TrimPrefix(p, ":")
	} else if i := strings.LastIndexByte(text, ':'); i >= 0 {
		if a, err := netip.ParseAddr(text); err != nil || a.Is4() {
			host, port = text[:i], text[i+1:]
		}
	}
	var f forward
	if host != "" {
		s, ok := addressSet(host)
		if !ok {
			return f, fmt.Errorf("the destination %q can't be read", text)
		}
		f.to = s
	}
	if port != "" {
		port, _, _ = strings.Cut(port, "/")
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			f.port = one(n)
		} else if s, ok := portRange(port, "-:"); ok {
			f.port = s
		} else {
			return f, fmt.Errorf("the port of %q can't be read", text)
		}
	}
	return f, nil
}
