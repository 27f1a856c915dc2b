package scenario

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// massMail: the provider writes one text to all clients at once, and a declared trainer sends an awareness exercise
// that carries each client's own domain as labels under the trainer's; some people follow it.
func massMail(w *world, s *scribe) {
	n := newRNG(w.names, "trainer")
	stem := pick(n, orgStems)
	id := "a" + lower(stem) + "-awareness"
	apex := id + ".com"
	ip := n.public()
	w.partners = append(w.partners, partnerConf{ID: id, Name: stem + " Awareness"})
	d := w.workday(s.r.IntN(w.o.Days))
	t := w.day(d).Add(8*time.Hour + s.r.span(0, time.Hour))
	for i, subject := range spamSubjects {
		for k, o := range w.orgs {
			if !o.tenant {
				continue
			}
			if i == 0 {
				w.trusts = append(w.trusts, trustConf{ID: id + "-" + o.id, Partner: id, Tenant: o.id, Owner: o.owner(), MailDomains: []string{apex}, Networks: []string{ip.String() + "/32"}, ValidFrom: stamp(w.start.AddDate(0, -3, 0))})
				w.approve(id+"-"+o.id, ip, netip.PrefixFrom(o.mx, 32), session{start: t, end: t.Add(6 * time.Hour)}, o.owner(), "phishing exercise, announced to the works council")
				w.approvals[len(w.approvals)-1].Kind = "phishing-exercise"
			}
			to := o.people[(i*5+k)%9]
			host := "securemail." + o.domain + "." + apex
			l := letter{t: t.Add(time.Duration(i*20+k) * time.Minute / 4), to: to, subject: subject, text: spamTexts[i%len(spamTexts)], link: "https://" + host + "/t/" + s.n.token(8), linkText: "Continue", bulk: true, kind: "awareness-simulation"}
			s.letter(o, l.stranger("Secure Mail", "notice@"+apex, ip))
			if s.r.chance(0.3) {
				s.visit(o, l.t.Add(s.r.span(time.Minute, time.Hour)), to.desk.ip, host, ip, s.n.between(3000, 7000), s.n.between(4000, 22000))
			}
		}
	}
	d = w.workday(s.r.IntN(w.o.Days))
	readers := w.reached(s.r, func(c *org) bool { return c.reach.mail && c.layers[tenant.LayerMail] })
	for i := range w.provider.techs + 2 { // the same text at several clients, from a person
		for k, c := range readers[:min(3, len(readers))] {
			lang := w.language(c)
			sc := ofKind(machineMails[lang], "share-known-host")[0]
			s.says(c, &sc, lang, w.mailer(w.provider, w.provider.people[i]), w.mailer(c, c.people[(i+k)%9]), w.day(d).Add(8*time.Hour+time.Duration(i*50+k)*time.Minute),
				"https://share."+w.provider.domain+fmt.Sprintf("/c/%d", i), nil)
		}
	}
}
