package scenario

import (
	"net/netip"
	"slices"
	"time"
)

// natFirst and natSize are the last bytes, in a client's VPN network, of the addresses behind which the gateway hides
// all people of partners where they share them.
const natFirst, natSize = 8, 2

// carrierSize is how many addresses of the carrier's pool are in use.
const carrierSize = 4

// setNAT draws the public pool of the provider and says which clients keep their gateways' translations: half of them.
func (w *world) setNAT() {
	if !w.o.SharedNAT {
		return
	}
	w.natPool = w.poolOf("carrier")
	for _, f := range w.firms {
		if f.kind != "supplier" && f.kind != "contractor" {
			f.natPool = w.poolOf("carrier of " + f.seed)
		}
	}
	for _, o := range w.orgs {
		o.translates = o.client && newRNG(w.o.Seed, "translations", o.idx).chance(0.5)
		if o.translates {
			o.firewall = o.product()
		}
	}
}

// poolOf draws eight public addresses.
func (w *world) poolOf(whose string) netip.Prefix {
	b := newRNG(w.names, whose).public().As4()
	b[3] &^= 7
	return netip.PrefixFrom(netip.AddrFrom4(b), 29)
}

// product is whose firewall an organisation has; the VPN gateway is the same box where it is an ASA.
func (o *org) product() string {
	if o.vpn == "asa" {
		return "asa"
	}
	return "fortigate"
}

// outside returns the public address from which a partner's people come in one session. It is the partner's own, or
// one of a pool that they share with the carrier's other customers.
func (w *world) outside(gateway netip.Addr, pool netip.Prefix, label ...any) netip.Addr {
	if !pool.IsValid() {
		return gateway
	}
	b := pool.Addr().As4()
	b[3] += byte(newRNG(w.o.Seed, append([]any{"nat"}, label...)...).IntN(carrierSize))
	return netip.AddrFrom4(b)
}

// hide puts a partner's session behind the shared addresses of the client's gateway, the same lent address always behind
// the same shared one: the VPN log alone tells the
// address that was lent, and the translations, where they are kept.
func (w *world) hide(c *org, t tunnel) tunnel {
	if !w.o.SharedNAT {
		return t
	}
	t.lent = t.pool
	t.pool = at(c.poolNet, natFirst+int(t.lent.As4()[3])%natSize)
	return t
}

// carrier writes what the carrier's other customers do at the clients' gateways from the same addresses: staff at home,
// and strangers who guess.
func (w *world) carrier() {
	if !w.natPool.IsValid() {
		return
	}
	s := w.planner("carrier")
	for _, c := range w.clients {
		for i, from := range w.pooled(c) {
			p := c.people[s.r.IntN(9)]
			t := w.clock(s.r, s.r.IntN(w.o.Days), 5, 20)
			s.tunnel(c, tunnel{user: p.login, from: from, pool: at(c.poolNet, 50+i%4), machine: p.desk.name, machineID: newRNG(w.names, "home", p.mail).guid(),
				country: c.place.country, group: "STAFF", start: t, end: t.Add(s.r.span(20*time.Minute, 3*time.Hour)), out: 2_000_000, in: 20_000_000})
			s.refused(c, w.clock(s.r, s.r.IntN(w.o.Days), 0, 23), tunnel{user: pick(s.r, []string{"admin", "test", "vpn"}), from: from, country: c.place.country, machine: "WIN-" + s.n.token(8), machineID: s.n.guid()})
		}
	}
}

// pooled lists the addresses in use of the pools from which partners come to a client.
func (w *world) pooled(c *org) (out []netip.Addr) {
	add := func(p netip.Prefix) {
		for i := range carrierSize {
			if p.IsValid() {
				b := p.Addr().As4()
				b[3] += byte(i)
				out = append(out, netip.AddrFrom4(b))
			}
		}
	}
	if c.reach.vpn {
		add(w.natPool)
	}
	for _, f := range w.firms {
		if slices.Contains(f.clients, c) {
			add(f.natPool)
		}
	}
	return out
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
