package scenario

import "time"

// renewal: a client's administrator renews the credential of the provider's application, old and new key side by side
// for a while and from the same address, and moves sign-in to the house's own identity server.
func renewal(w *world, s *scribe) {
	clients := w.reached(s.r, func(c *org) bool { return c.reach.app })
	if len(clients) == 0 {
		return
	}
	c := clients[0]
	admin := c.people[len(c.people)-1]
	newKey := newRNG(w.names, "new key").guid()
	d := w.workday(w.o.Days / 3)
	t := w.clock(s.r, d, 7, 12)
	s.directory(c, t, "ApplicationManagement", "Update application – Certificates and secrets management ", admin.mail, w.provider.name+" Baseline",
		pair{"KeyDescription", `["[KeyIdentifier=` + newKey + `,KeyType=X509Certificate,KeyUsage=Verify]"]`})
	s.directory(c, t.Add(20*time.Second), "ApplicationManagement", "Add service principal credentials", admin.mail, w.provider.name+" Baseline", pair{"KeyDescription", newKey})
	for day := d; day < w.o.Days; day++ {
		s.appSignIn(c, w.clock(s.r, day, 13, 23), newKey, w.provider.office())
	}
	c = clients[len(clients)-1]
	admin = c.people[len(c.people)-1]
	t = w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 7, 12)
	s.directory(c, t, "DirectoryManagement", "Set federation settings on domain", admin.mail, c.domain, pair{"IssuerUri", "http://sso." + c.domain + "/adfs/services/trust"})
	s.directory(c, t.Add(time.Minute), "Policy", "Update conditional access policy", admin.mail, "Require MFA", pair{"State", "enabled"})
}
