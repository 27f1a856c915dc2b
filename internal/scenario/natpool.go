package scenario

import "net/netip"

// natFirst and natSize are the last bytes, in a client's VPN network, of the addresses behind which the gateway hides
// all people of partners where they share them.
const natFirst, natSize = 8, 2

// setNAT draws the public pool of the provider and says which clients keep their gateways' translations: half of them.
func (w *world) setNAT() {
	if !w.o.SharedNAT {
		return
	}
	b := newRNG(w.names, "carrier").public().As4()
	b[3] &^= 7
	w.natPool = netip.PrefixFrom(netip.AddrFrom4(b), 29)
	for _, o := range w.orgs {
		o.translates = o.client && newRNG(w.o.Seed, "translations", o.idx).chance(0.5)
		if o.translates {
			o.firewall = o.product()
		}
	}
}

// product is whose firewall an organisation has; the VPN gateway is the same box where it is an ASA.
func (o *org) product() string {
	if o.vpn == "asa" {
		return "asa"
	}
	return "fortigate"
}

// outside returns the public address from which the provider's people come in one session. It is one address, or
// one of a pool that they share with the carrier's other customers.
func (w *world) outside(gateway netip.Addr, label ...any) netip.Addr {
	if !w.natPool.IsValid() {
		return gateway
	}
	b := w.natPool.Addr().As4()
	b[3] += byte(newRNG(w.o.Seed, append([]any{"nat"}, label...)...).IntN(8))
	return netip.AddrFrom4(b)
}

// hide puts a partner's session behind the shared addresses of the client's gateway: the VPN log alone tells the
// address that was lent, and the translations, where they are kept.
func (w *world) hide(c *org, t tunnel) tunnel {
	if !w.o.SharedNAT {
		return t
	}
	t.lent = t.pool
	t.pool = at(c.poolNet, natFirst+newRNG(w.o.Seed, "hidden", c.idx, t.start.Sub(w.start)).IntN(natSize))
	return t
}

// behindOf tells the scribe whom the shared address of a session stands for.
func (s *scribe) behindOf(t tunnel) {
	if !t.lent.IsValid() {
		return
	}
	if s.behind == nil {
		s.behind = map[netip.Addr]netip.Addr{}
	}
	s.behind[t.pool] = t.lent
}
