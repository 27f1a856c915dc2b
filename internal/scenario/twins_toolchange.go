package scenario

import "time"

// toolChange: one client gets another remote-management product, installed by the old one; the trust declares the
// new product before the first day. Another client's agents update themselves, all in one evening.
func toolChange(w *world, s *scribe) {
	clients := w.reached(s.r, (*org).managed)
	if len(clients) == 0 {
		return
	}
	c := clients[0]
	const console = "app.ninjarmm.com"
	ip := newRNG(w.names, console).public()
	for i := range w.trusts {
		if w.trusts[i].ID == w.trustID(c) {
			w.trusts[i].RemoteTools = append(w.trusts[i].RemoteTools, toolConf{Tool: "ninjaone", Hosts: []string{console}})
		}
	}
	d := w.workday(s.r.IntN(w.o.Days))
	t := w.clock(s.r, d, 8, 11)
	exe := `C:\Program Files (x86)\NinjaRMMAgent\NinjaRMMAgent.exe`
	for i, h := range append(c.servers[:len(c.servers):len(c.servers)], c.desks[:min(len(c.desks), 10)]...) {
		at := t.Add(time.Duration(i) * s.r.span(time.Minute, 5*time.Minute))
		s.runs(c, h, at, w.providerAgent(h), []process{{image: `C:\Windows\System32\msiexec.exe`, cmd: `msiexec.exe /i C:\Windows\Temp\ninja-agent.msi /quiet`}})
		s.service(c, h, at.Add(30*time.Second), "NinjaRMMAgent", `"`+exe+`"`)
		s.resolved(c, h, at.Add(40*time.Second), exe, console, ip)
		s.visit(c, at.Add(40*time.Second), h.ip, console, ip, s.n.between(3000, 30000), s.n.between(3000, 60000))
	}
	c = clients[len(clients)-1]
	t = w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 17, 19)
	for i, h := range c.servers {
		s.service(c, h, t.Add(time.Duration(i)*s.r.span(time.Second, time.Minute)), w.providerAgent(h).product(), w.providerAgent(h).command())
	}
	// On its own desks the provider rolls its agent out by hand, as a client's user would.
	p := w.provider
	for i, who := range p.people[:8] {
		s.installs(p, who.desk, w.clock(s.r, w.workday(i%w.o.Days), 7, 21), w.providerAgent(who.desk), who.login, p.gateway)
	}
	for i, j := range p.jumps {
		s.installs(p, p.servers[j], w.clock(s.r, w.workday(i), 8, 16), w.providerAgent(p.servers[j]), p.people[i].login, p.gateway)
	}
}
