package scenario

import (
	"net/netip"
	"time"
)

// inventory: the provider's discovery walks through each client's address space once, by approval; who looks after
// itself does so itself. Most addresses do not answer. (The daily poller with its dead targets is in background.go.)
func inventory(w *world, s *scribe) {
	for i, o := range w.orgs {
		src := w.scanner(o)
		t := w.day(i % min(3, w.o.Days)).Add(time.Hour + s.r.span(0, 90*time.Minute))
		v := session{start: t.Add(-time.Minute), end: t.Add(3 * time.Hour)}
		if o.client && o.reach.vpn {
			for _, net := range []netip.Prefix{o.serverNet, o.deskNet} {
				w.approve(w.trustID(o), src, net, v, o.owner(), "asset discovery")
			}
		}
		alive := map[netip.Addr]bool{}
		for _, h := range append(o.servers[:len(o.servers):len(o.servers)], o.desks...) {
			alive[h.ip] = true
		}
		scan := func(dst netip.Addr, ports []int) {
			for _, port := range ports {
				t = t.Add(s.n.span(20*time.Millisecond, 30*time.Second))
				f := flow{t: t, src: src, dst: dst, dport: port, state: "S0"}
				if alive[dst] {
					f.state = pick(s.r, []string{"REJ", "RSTO"})
					if f.state == "RSTO" {
						f.dur, f.out, f.in = s.n.span(time.Millisecond, 300*time.Millisecond), s.n.between(0, 90), s.n.between(0, 90)
					}
				}
				s.conn(o, f)
			}
		}
		for k := range sweepLast {
			scan(at(o.serverNet, k+1), some(s.r, probePorts, 2))
		}
		for k := 18; k < 50; k++ {
			scan(at(o.deskNet, k), some(s.r, probePorts, 1))
		}
	}
}
