package scenario

import (
	"fmt"
	"time"
)

// onboarding: a client takes on a second partner for its telephones: the client's own administrator makes the
// accounts, the trust begins an hour before, agents go on all servers and each is visited in one afternoon.
func onboarding(w *world, s *scribe) {
	clients := w.reached(s.r, (*org).managed)
	if len(clients) == 0 {
		return
	}
	c := clients[len(clients)/2]
	n := newRNG(w.names, "newcomer")
	stem := pick(n, orgStems)
	id := "n" + lower(stem) + "-telefon"
	a := agent{instance: n.hex(8), relay: "fern." + id + ".de", key: "BgIAAACkAABSU0Ex" + n.token(12)}
	home := n.public()
	d := w.workday(s.r.IntN(w.o.Days))
	t := w.day(d).Add(7 * time.Hour)
	w.partners = append(w.partners, partnerConf{ID: id, Name: stem + " Telefon"})
	w.trusts = append(w.trusts, trustConf{ID: id + "-" + c.id, Partner: id, Tenant: c.id, Owner: c.owner(), Networks: []string{home.String() + "/32"}, Accounts: []string{id + "-*"},
		MailDomains: []string{id + ".de"}, RemoteTools: []toolConf{{"screenconnect", a.instance, []string{a.relay}}}, ValidFrom: stamp(t.Add(-time.Hour))})
	for i := range 2 {
		login := fmt.Sprintf("%s-%d", id, i+1)
		s.account(c, t.Add(time.Duration(i)*time.Minute), 4720, c.adminLogin, login, "")
		s.account(c, t.Add(time.Duration(i)*time.Minute+2*time.Second), 4728, c.adminLogin, login, "Server Operators")
	}
	tn := tunnel{user: id + "-1", from: home, pool: at(c.poolNet, 61), machine: "FERN-01", machineID: n.guid(), country: c.place.country, group: "PARTNER", start: t.Add(3 * time.Hour), end: t.Add(10 * time.Hour), out: 9_000_000, in: 40_000_000}
	s.tunnel(c, tn)
	for i, h := range c.servers {
		a.session = n.guid()
		s.installs(c, h, t.Add(time.Hour+time.Duration(i)*s.r.span(time.Minute, 6*time.Minute)), a, c.adminLogin, home)
		s.rdpLogon(c, h, t.Add(3*time.Hour+time.Duration(i)*17*time.Minute), tn, 15*time.Minute, some(s.r, adminCommands, 2), false)
	}
}
