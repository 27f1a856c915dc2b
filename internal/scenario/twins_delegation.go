package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// delegationChange: broad delegated rights are replaced by narrow ones with an end; both directories tell the same.
func delegationChange(w *world, s *scribe) {
	clients := w.reached(s.r, func(c *org) bool { return c.reach.gdap && c.layers[tenant.LayerCloud] })
	for _, c := range clients[:min(2, len(clients))] {
		admin := c.people[len(c.people)-1]
		t := w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 7, 15)
		s.directory(c, t, "RoleManagement", "Add delegated admin relationship", admin.mail, w.provider.name, pair{"Roles", "Helpdesk Administrator;Exchange Administrator"}, pair{"Duration", "P180D"})
		s.directory(w.provider, t.Add(40*time.Second), "RoleManagement", "Add delegated admin relationship", w.provider.people[0].mail, c.name, pair{"Roles", "Helpdesk Administrator;Exchange Administrator"}, pair{"Duration", "P180D"})
		s.directory(c, t.Add(time.Hour), "RoleManagement", "Remove partner from company", admin.mail, w.provider.name, pair{"Role", "Global Administrator"})
		for i := range 3 {
			v := delegated{tech: i % w.provider.techs, start: t.Add(time.Duration(i+2) * time.Hour / 2), ask: -1, vm: -1, app: pick(s.r, adminApps), id: s.n.guid()}
			s.delegatedSignIn(c, v, w.provider.office())
		}
	}
	// A new rule wants managed devices: technicians are turned away until theirs are enrolled.
	for i, code := range []int{53003, 50076, 53003, 50076, 53003, 50076, 53003, 50076, 53003, 50076, 53003, 50076} {
		if len(clients) == 0 {
			break
		}
		v := delegated{tech: i / 2 % w.provider.techs, start: w.clock(s.r, w.workday(i%w.o.Days), 7, 16), ask: -1, vm: -1, app: pick(s.r, adminApps), err: code, id: s.n.guid()}
		s.delegatedSignIn(clients[i%len(clients)], v, w.provider.office())
	}
	// A mailbox migration: many mailboxes, one technician, one ticket.
	if len(clients) > 0 {
		c := clients[len(clients)-1]
		v := delegated{tech: s.r.IntN(w.provider.techs), start: w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 8, 13), vm: -1, app: appPowerShell, id: s.n.guid()}
		s.delegatedSignIn(c, v, w.provider.office())
		for box := range 9 {
			v.ask = box
			s.m365(c, v.start.Add(20*time.Second), "Add-MailboxPermission", guest(w.provider, w.provider.people[v.tech]), w.provider.egress, c.people[box], pair{"Identity", c.people[box].mail}, pair{"AccessRights", "FullAccess"})
			s.delegatedWork(c, v, w.provider.office(), 1)
			v.start = v.start.Add(10 * time.Minute)
		}
	}
}
