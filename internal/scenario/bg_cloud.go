package scenario

import "time"

// cloudLife writes a day of an organisation's cloud: sign-ins, mailboxes, the provider's application, guessing from
// the Internet, the traveller.
func cloudLife(s *scribe, o *org, day int) {
	w := s.w
	works := w.works(day)
	for i, p := range o.people[:min(len(o.people), 24)] {
		if !works && !s.r.chance(0.15) {
			continue
		}
		from := o.office()
		if o.traveller(w) == i {
			from = o.abroad(w)
		}
		for n := range s.r.between(1, 2) {
			v := signIn{t: w.clock(s.r, day, 5.5, 17), who: p, app: pick(s.r, userApps), from: from, interactive: n == 0, mfa: s.r.chance(0.7)}
			if s.r.chance(0.05) {
				bad := v
				bad.t, bad.err = v.t.Add(-20*time.Second), 50126
				s.signIn(o, bad)
			}
			s.signIn(o, v)
		}
		least := 0
		if day == w.workday(0) {
			least = 1
		}
		for range s.r.between(least, 2) {
			t := w.clock(s.r, day, 5.6, 18)
			op := pick(s.r, []string{"MailItemsAccessed", "MailItemsAccessed", "Send", "FileAccessed", "FileDownloaded", "UserLoggedIn"})
			s.m365(o, t, op, p.mail, from.ip, p)
		}
		if s.r.chance(0.03) || i == day%len(o.people) {
			name := pick(s.r, ruleNames)
			s.m365(o, w.clock(s.r, day, 6, 17), "New-InboxRule", p.mail, from.ip, p, pair{"Name", name}, pair{"MoveToFolder", pick(s.r, ruleFolders)}, pair{"SubjectContainsWords", pick(s.r, []string{"newsletter", "invoice", "ticket"})})
		}
		if s.r.chance(0.12) { // at home in the evening
			home := where{newRNG(w.names, "home", p.mail).public(), o.asn, o.place}
			s.signIn(o, signIn{t: w.clock(s.r, day, 17, 22), who: p, app: pick(s.r, userApps), from: home, interactive: true, mfa: true})
			s.m365(o, w.clock(s.r, day, 18, 22.5), "MailItemsAccessed", p.mail, home.ip, p)
		}
	}
	for range s.r.between(1, 4) {
		from := where{pick(s.n, w.guessers), pick(s.n, hostingASNs), pick(s.n, farPlaces)}
		if s.r.chance(0.1) && o.part.untold() {
			from.ip = pick(s.n, w.foe.exits)
		}
		s.signIn(o, signIn{t: w.clock(s.r, day, 0, 23.9), who: pick(s.r, o.people), app: pick(s.r, userApps), from: from, interactive: s.r.chance(0.5), err: pick(s.r, []int{50126, 50126, 50126, 50053, 53003, 50076})})
	}
	if o.reach.app {
		for range s.r.between(1, 3) {
			s.appSignIn(o, w.clock(s.r, day, 0, 23.9), w.appKey, w.provider.office())
		}
	}
	admin := o.people[len(o.people)-1]
	vm := pick(s.r, o.servers)
	s.activity(o, w.clock(s.r, day, 1, 4), "MICROSOFT.COMPUTE/VIRTUALMACHINES/RUNCOMMAND/ACTION", vm, "pipeline@"+o.domain, o.entra, o.egress)
	if works && s.r.chance(0.5) {
		op := pick(s.r, []string{"MICROSOFT.COMPUTE/VIRTUALMACHINES/START/ACTION", "MICROSOFT.COMPUTE/VIRTUALMACHINES/DEALLOCATE/ACTION", "MICROSOFT.COMPUTE/VIRTUALMACHINES/RUNCOMMAND/ACTION"})
		s.activity(o, w.clock(s.r, day, 6, 17), op, vm, admin.mail, o.entra, o.egress)
	}
}

var (
	ruleNames   = []string{"Newsletter", "Tickets", ".", "invoices", "Archive"}
	ruleFolders = []string{"RSS Feeds", "Archive", "Tickets", "Newsletter"}
)

// traveller is the number of the person who is abroad these days, by chance nobody.
func (o *org) traveller(w *world) int { return newRNG(w.o.Seed, "traveller", o.idx).between(-3, 8) }

func (o *org) abroad(w *world) where {
	r := newRNG(w.names, "abroad", o.idx)
	return where{r.public(), pick(r, append(accessASNs[5:], hostingASNs...)), pick(r, farPlaces)}
}

// delegated is a technician's visit to a client's cloud through delegated administration.
type delegated struct {
	tech  int
	start time.Time
	ask   int // whose mailbox the ticket is about; -1: none
	vm    int // which machine gets a command; -1: none
	app   app
	err   int
	id    string
}

func (w *world) delegations(c *org, day int) []delegated {
	if !c.reach.gdap {
		return nil
	}
	r := newRNG(w.o.Seed, "delegations", c.idx, day)
	n := r.between(1, 2)
	if !w.works(day) {
		n = r.IntN(2)
	}
	if day == 0 {
		n = 3
	}
	var out []delegated
	for i := range n {
		from, to := 6.0, 16.5
		if r.chance(0.3) {
			from, to = 16.5, 21.5
		}
		v := delegated{tech: r.IntN(w.provider.techs), start: w.clock(r, day, from, to), ask: -1, vm: -1, app: pick(r, adminApps), id: newRNG(w.names, "delegation", c.idx, day, i).guid()}
		switch x := r.IntN(10); {
		case x < 5:
			v.ask = r.IntN(9)
		case x < 7:
			v.vm = r.IntN(len(c.servers))
		case x == 7:
			v.err = pick(r, []int{50076, 53003, 50126})
		}
		out = append(out, v)
	}
	return out
}

// delegation writes the technicians' visits to client clouds, at the client and in the provider's own directory.
func delegation(s *scribe, o *org, day int) {
	w := s.w
	if o == w.provider {
		for _, c := range w.clients {
			for _, v := range w.delegations(c, day) {
				s.delegatedSignIn(c, v, w.provider.office())
			}
		}
		return
	}
	for _, v := range w.delegations(o, day) {
		s.delegatedSignIn(o, v, w.provider.office())
		if v.err != 0 {
			continue
		}
		s.delegatedWork(o, v, w.provider.office(), 1)
	}
}

func (s *scribe) delegatedSignIn(c *org, v delegated, from where) {
	p := s.w.provider
	s.signIn(c, signIn{t: v.start, id: v.id, who: p.people[v.tech], home: p, app: v.app, from: from, err: v.err, interactive: true, mfa: v.err == 0})
}

// delegatedWork writes what is done in such a visit: one mailbox looked after, or a command on a machine.
func (s *scribe) delegatedWork(o *org, v delegated, from where, reads int) {
	tech := s.w.provider.people[v.tech]
	if v.ask >= 0 {
		box := o.people[v.ask]
		t := v.start.Add(s.n.span(time.Minute, 5*time.Minute))
		if s.r.chance(0.4) {
			s.m365(o, t, "Add-MailboxPermission", guest(s.w.provider, tech), from.ip, box, pair{"Identity", box.mail}, pair{"AccessRights", "FullAccess"})
		}
		for i := range reads + s.r.IntN(3) {
			s.m365(o, t.Add(time.Duration(i+1)*s.n.span(20*time.Second, 2*time.Minute)), "MailItemsAccessed", guest(s.w.provider, tech), from.ip, box)
		}
	}
	if v.vm >= 0 {
		vm := o.servers[v.vm]
		t := v.start.Add(s.n.span(time.Minute, 9*time.Minute))
		s.activity(o, t, "MICROSOFT.COMPUTE/VIRTUALMACHINES/RUNCOMMAND/ACTION", vm, tech.mail, s.w.provider.entra, from.ip)
		s.runCommand(o, vm, t.Add(20*time.Second), some(s.r, adminCommands, s.r.between(1, 3)))
	}
}

// runCommand writes what the machine itself sees of a Run Command: a script under the cloud's agent.
func (s *scribe) runCommand(o *org, vm *host, t time.Time, list []process) {
	const agentExe = `C:\Packages\Plugins\Microsoft.CPlat.Core.RunCommandWindows\1.1.15\bin\RunCommandExtension.exe`
	ps := `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`
	const script = `powershell -ExecutionPolicy Unrestricted -File script0.ps1`
	guid := s.process(o, vm, t, process{image: ps, original: "PowerShell.EXE", cmd: script, user: `NT AUTHORITY\SYSTEM`, parent: agentExe, parentCmd: agentExe + ` "enable"`})
	for i, c := range list {
		c.user, c.parent, c.parentCmd, c.parentGUID = `NT AUTHORITY\SYSTEM`, ps, script, guid
		s.process(o, vm, t.Add(time.Duration(i+1)*s.n.span(time.Second, 3*time.Second)), c)
	}
}
