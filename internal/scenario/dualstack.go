package scenario

import (
	"net/netip"
	"strings"
)

// setFamilies makes about half of the clients dual stack: their servers, desks and VPN pools have an address of each
// family, with the same last byte.
func (w *world) setFamilies() {
	if !w.o.IPv6 {
		return
	}
	some := false
	for _, o := range w.orgs {
		n := newRNG(w.names, "ipv6", o.idx)
		o.v6 = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x2a, 0x02, byte(n.IntN(256)), byte(n.IntN(256)), byte(n.IntN(256)), byte(o.idx)}), 48)
		o.dual = newRNG(w.o.Seed, "dual stack", o.idx).chance(0.5)
		some = some || o.dual && o.client
	}
	if !some {
		w.clients[0].dual = true
	}
}

// nets6 are the IPv6 networks that stand beside the three private ones of a dual stack organisation.
func (o *org) nets6() map[netip.Prefix]netip.Prefix {
	out := map[netip.Prefix]netip.Prefix{}
	for i, p := range []netip.Prefix{o.serverNet, o.deskNet, o.poolNet} {
		b := o.v6.Addr().As16()
		b[7] = byte(16 * (i + 1))
		out[p] = netip.PrefixFrom(netip.AddrFrom16(b), 64)
	}
	return out
}

// twinAddr returns the IPv6 address of whoever has the private one; the zero address where there is none.
func (o *org) twinAddr(a netip.Addr) netip.Addr {
	if !o.dual || !a.Is4() {
		return netip.Addr{}
	}
	for i, p := range []netip.Prefix{o.serverNet, o.deskNet, o.poolNet} {
		if p.Contains(a) {
			b := o.v6.Addr().As16()
			b[7], b[15] = byte(16*(i+1)), a.As4()[3]
			return netip.AddrFrom16(b)
		}
	}
	return netip.Addr{}
}

// family says by which addresses two hosts of an organisation speak. Known hosts are called by name: half of the pairs
// then take IPv6. Who tries addresses takes one family for all of them.
func (s *scribe) family(o *org, src, dst netip.Addr, probe bool) (netip.Addr, netip.Addr) {
	if !o.dual {
		return src, dst
	}
	a, b := o.twinAddr(src), o.twinAddr(dst)
	if !a.IsValid() || !b.IsValid() {
		return src, dst
	}
	switch s.only {
	case 4:
		return src, dst
	case 6:
		return a, b
	}
	place := func(x netip.Addr) int { // the same host under another name is the same host
		if o.serverNet.Contains(x) && x.As4()[3] >= 10 {
			return int(x.As4()[3]-10) / 3
		}
		return 100 + int(x.As4()[3])
	}
	r := newRNG(s.w.o.Seed, "family", o.idx, place(src), map[bool]int{true: -1, false: place(dst)}[probe])
	if r.chance(0.5) {
		return a, b
	}
	return src, dst
}

// local reports whether an address is inside.
func (o *org) local(a netip.Addr) bool { return a.IsPrivate() || o.dual && o.v6.Contains(a) }

// declareDualStack writes the IPv6 side of whatever trusts and approvals name inside a dual stack client.
func (w *world) declareDualStack() {
	for _, o := range w.orgs {
		if !o.dual {
			continue
		}
		for i := range w.trusts {
			if t := &w.trusts[i]; t.Tenant == o.id {
				for _, n := range t.Networks {
					if p, err := netip.ParsePrefix(n); err == nil {
						t.Networks = appendTwin(t.Networks, o, p)
					}
				}
			}
		}
		for _, a := range w.approvals[:len(w.approvals):len(w.approvals)] {
			src, err := netip.ParseAddr(a.Src)
			dst, err2 := netip.ParsePrefix(a.Dst)
			six, known := o.nets6()[dst]
			if err != nil || err2 != nil || !known || !strings.HasSuffix(a.Trust, "-"+o.id) || !o.twinAddr(src).IsValid() {
				continue
			}
			a.Src, a.Dst = o.twinAddr(src).String(), six.String()
			w.approvals = append(w.approvals, a)
		}
	}
}

func appendTwin(list []string, o *org, p netip.Prefix) []string {
	if p.IsSingleIP() {
		if a := o.twinAddr(p.Addr()); a.IsValid() {
			return append(list, a.String()+"/128")
		}
		return list
	}
	if six, ok := o.nets6()[p]; ok {
		return append(list, six.String())
	}
	return list
}
