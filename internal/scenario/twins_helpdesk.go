package scenario

import "time"

// helpDesk: attended sessions with a ticket: one host, the user present, raised rights, a few commands, done in less
// than an hour. Some in the evening, for those who work late.
func helpDesk(w *world, s *scribe) {
	for k, c := range w.reached(s.r, (*org).managed) {
		for i := range 2 {
			p := c.people[s.r.IntN(9)]
			tech := (2*k + i) % w.provider.techs
			who := w.provider.people[tech]
			t := w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 7, 15)
			if i == 1 {
				t = w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 17, 21.5)
			}
			a := assist{tech: tech, host: p.desk, start: t, end: t.Add(s.r.span(6*time.Minute, 50*time.Minute)), commands: some(s.r, adminCommands, 3), files: true}
			from := who.desk.ip
			if i == 1 { // from home, by way of the jump host
				from = w.provider.servers[w.provider.jumps[0]].ip
			}
			s.serverSide(c, a, who.full(), from)
			s.hostSide(c, a, who.full())
		}
	}
}
