package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// merger: two clients become one house: mail to everybody, and the desks of one open the other's file server for the
// first time, two days after both were declared to each other.
func merger(w *world, s *scribe) {
	pair := w.reached(s.r, func(c *org) bool {
		return c.reach.vpn && !c.hub && c.part.outcome != Clear && c.part.outcome != Blind && c.layers[tenant.LayerNetwork]
	})
	if len(pair) < 2 || pair[0].serverNet == pair[1].serverNet {
		return
	}
	a, b := pair[0], pair[1]
	d := w.workday(w.o.Days / 2)
	from := w.day(max(0, d-2)).Add(9 * time.Hour)
	for _, x := range [][2]*org{{a, b}, {b, a}} {
		w.partners = append(w.partners, partnerConf{ID: x[0].id, Name: x[0].name, Tenant: x[0].id})
		w.trusts = append(w.trusts, trustConf{ID: x[0].id + "-" + x[1].id, Partner: x[0].id, Tenant: x[1].id, Owner: x[1].owner(), Networks: []string{x[0].deskNet.String()},
			MailDomains: []string{x[0].domain}, ValidFrom: stamp(from)})
	}
	boss := a.people[0]
	t := w.day(d).Add(8 * time.Hour)
	for _, o := range []*org{a, b} {
		for i, p := range o.people[:9] {
			l := letter{t: t.Add(time.Duration(i) * 3 * time.Second), to: p, subject: "We become one house", kind: "announcement",
				text: "Dear colleagues,\n\nfrom today you find the common folders of " + a.name + " and " + b.name + " on both file servers.\n\n" + boss.full()}
			s.letter(o, s.w.fromPerson(l, a, boss))
		}
	}
	for _, p := range b.people[:8] {
		at := t.Add(s.r.span(time.Hour, 8*time.Hour))
		s.share(a, at, p.desk.ip, a.servers[2], false, "Projects")
		l := &logon{host: a.servers[2], user: p.login, kind: 3, workstation: p.desk.name, ip: p.desk.ip}
		s.logon(a, at, l, false)
		s.logoff(a, at.Add(10*time.Minute), l)
	}
}
