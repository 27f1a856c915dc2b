package scenario

import "time"

// resetStorm: the first working day after a password change: many people locked out, one factor each reset by the
// provider's desk, everybody signs in again from the usual place.
func resetStorm(w *world, s *scribe) {
	clients := w.reached(s.r, func(c *org) bool { return c.reach.vpn })
	for _, c := range clients[:min(2, len(clients))] {
		day := w.workday(s.r.IntN(w.o.Days))
		desk := w.techAccount(s.r.IntN(w.provider.techs))
		for _, i := range s.r.Perm(len(c.people) - 1)[:min(8, len(c.people)-1)] {
			p := c.people[i]
			t := w.clock(s.r, day, 6, 10)
			for n := range s.r.between(1, 4) {
				s.denied(c, t.Add(time.Duration(n)*20*time.Second), logon{host: p.desk, user: p.login, kind: 2})
				s.signIn(c, signIn{t: t.Add(time.Duration(n) * 25 * time.Second), who: p, app: pick(s.r, userApps), from: c.office(), err: 50126, interactive: true})
			}
			s.account(c, t.Add(6*time.Minute), 4724, desk, p.login, "")
			l := &logon{host: p.desk, user: p.login, kind: 2}
			s.logon(c, t.Add(8*time.Minute), l, false)
			s.signIn(c, signIn{t: t.Add(9 * time.Minute), who: p, app: appExchange, from: c.office(), interactive: true, mfa: true})
		}
	}
}
