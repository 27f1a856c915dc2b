package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// appsBenign are the twins of an intruder with a partner's key or a person's password.
var appsBenign = []twin{{"application-moves", applicationMoves}, {"lost-phones", lostPhones}, {"new-laptops", newLaptops}, {"restore", restore},
	{"on-the-road", onTheRoad}, {"managed-devices", managedDevices}}

// applicationMoves: the partner's application runs from another host for a day, told beforehand and declared, and reads
// what it always reads; at some clients conditional access turns it away until the address is entered.
func applicationMoves(w *world, s *scribe) {
	move := newRNG(w.names, "application's new home")
	from := where{move.public(), pick(move, hostingASNs), w.provider.place}
	d := w.workday(s.r.IntN(w.o.Days))
	for _, c := range w.reached(s.r, func(c *org) bool { return c.reach.app }) {
		for i := range w.trusts {
			if w.trusts[i].ID == w.trustID(c) {
				w.trusts[i].Networks = append(w.trusts[i].Networks, from.ip.String()+"/32")
			}
		}
		for i := range 4 {
			t := w.clock(s.r, d, float64(5*i), float64(5*i)+4)
			if i == 0 || s.r.chance(0.3) {
				s.appRefused(c, t, w.appKey, from)
			}
			s.appSignIn(c, t.Add(20*time.Minute), w.appKey, from)
			s.appReads(c, t.Add(21*time.Minute), from, some(s.r, c.people, s.r.between(1, 4)))
			if c.apps["aws"] {
				for k := range 2 {
					s.assumes(c, t.Add(time.Duration(30+k)*time.Minute), "PartnerBackup", from.ip, awsAgents[1], "AccessDenied")
				}
			}
		}
	}
}

// lostPhones: people of clients without or with a new phone call the desk, one credential each, here and there both.
func lostPhones(w *world, s *scribe) {
	for _, c := range w.clients {
		if !c.reach.vpn {
			continue
		}
		for i := range 5 {
			desk, p := w.provider.people[s.r.IntN(w.provider.techs)], c.people[s.r.IntN(9)]
			t := w.clock(s.r, s.r.IntN(w.o.Days), 4, 22)
			from := where{newRNG(w.names, "home", p.mail).public(), c.asn, c.place}
			if c.apps["okta"] {
				s.oktaResets(c, t, desk.actor(), w.provider.office(), p, i%2 == 0)
				s.oktaRegisters(c, t.Add(s.r.span(4*time.Minute, 20*time.Minute)), p, from, 2)
			}
			if c.reach.gdap {
				s.resets(c, t, guest(w.provider, desk), w.provider.egress, p, i%2 == 0)
				s.registers(c, t.Add(9*time.Minute), p, from)
			}
			s.account(c, t.Add(time.Minute), 4724, w.techAccount(s.r.IntN(w.provider.techs)), p.login, "")
		}
	}
}

// newLaptops: developers get new machines and clone all they need in a morning.
func newLaptops(w *world, s *scribe) {
	for _, c := range w.clients {
		if !c.apps["github"] {
			continue
		}
		for _, p := range c.people[:2] {
			t := w.clock(s.r, s.r.IntN(w.o.Days), 5, 22)
			from := where{newRNG(w.names, "home", p.mail).public(), c.asn, c.place}
			for i, repo := range repos {
				s.github(c, t.Add(time.Duration(i)*s.n.span(20*time.Second, 3*time.Minute)), "git.clone", "access", p.handle(), repo, from, w.tokenOf(c, p.handle()))
			}
		}
	}
}

// restore is a drill: much more than usual is read back from the copies, by the client's own administrator.
func restore(w *world, s *scribe) {
	for _, c := range w.clients {
		if !c.apps["aws"] || !c.layers[tenant.LayerCloud] {
			continue
		}
		admin := c.people[len(c.people)-1]
		for _, agent := range awsAgents {
			s.reads(c, w.clock(s.r, s.r.IntN(w.o.Days), 4, 22), s.iam(c, admin.login), c.egress, agent, c.buckets(), s.r.between(4, 9))
		}
	}
}

// onTheRoad: people work from wherever they are, or wherever their VPN comes out.
func onTheRoad(w *world, s *scribe) {
	for i, place := range farPlaces {
		from := where{s.n.public(), pick(s.n, hostingASNs), place}
		for _, app := range []string{"github", "okta"} {
			clients := w.reached(s.r, func(c *org) bool { return c.apps[app] && c.layers[tenant.LayerCloud] })
			if len(clients) == 0 {
				continue
			}
			c := clients[i%len(clients)]
			p, t := c.people[s.r.IntN(5)], w.clock(s.r, s.r.IntN(w.o.Days), 4, 22)
			if app == "okta" {
				s.oktaSignIn(c, t, p.actor(), from, true, 2)
				continue
			}
			for _, repo := range some(s.r, repos, 2) {
				s.github(c, t.Add(s.n.span(0, time.Hour)), "git.fetch", "access", p.handle(), repo, from, w.tokenOf(c, p.handle()))
			}
		}
	}
}

// managedDevices: a new rule turns people away until their machines are enrolled, or until they have shown a factor.
func managedDevices(w *world, s *scribe) {
	for _, c := range w.clients {
		for i, wrong := range []int{53003, 50076, 53003, 50076, 53003, 50076} {
			p := c.people[(i*3+c.idx)%9]
			from := where{newRNG(w.names, "home", p.mail).public(), c.asn, c.place}
			s.signIn(c, signIn{t: w.clock(s.r, s.r.IntN(w.o.Days), 5, 22), who: p, app: pick(s.r, userApps), from: from, interactive: true, err: wrong})
		}
	}
}
