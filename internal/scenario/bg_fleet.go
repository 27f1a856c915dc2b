package scenario

import "time"

// task is one order that the provider's people gave to a client's hosts through the platform's console.
type task struct {
	tech  int // -1: the schedule
	name  string
	start time.Time
	hosts []*host
	pack  int // what of packs it brings along; -1: nothing
	list  []process
}

// procedures are the names under which scripts lie in the console.
var procedures = []string{"Health check", "Install package", "Agent Hot-fix", "Inventory", "Clear temp", "Restart services", "Deploy update"}

// tasks draws the orders of a day. Both sides ask: the console's audit and the hosts.
func (w *world) tasks(c *org, day int) []task {
	if !c.fleet {
		return nil
	}
	r := newRNG(w.o.Seed, "tasks", c.idx, day)
	all := append(c.servers[:len(c.servers):len(c.servers)], c.desks[:min(len(c.desks), 12)]...)
	var out []task
	add := func(tech int, from, to float64, hosts int) {
		t := task{tech: tech, name: pick(r, procedures), start: w.clock(r, day, from, to), hosts: some(r, all, hosts), pack: -1}
		if r.chance(0.4) || day == 0 {
			t.pack = r.IntN(len(packs))
		}
		t.list = some(r, adminCommands, r.between(1, 3))
		out = append(out, t)
	}
	add(-1, 0, 5, r.between(3, 6))
	if w.works(day) {
		for range r.between(1, 3) {
			add(r.IntN(w.provider.techs), 6, 16.5, r.between(1, 4))
		}
	}
	if r.chance(0.4) || day < 2 {
		add(r.IntN(w.provider.techs), 16.5, 23.5, r.between(1, 5))
	}
	return out
}

// fleetLife writes the platform's day: agents' calls and orders at a client, the console at the provider.
func fleetLife(s *scribe, o *org, day int) {
	w := s.w
	if o == w.provider {
		for _, c := range w.clients {
			for _, t := range w.tasks(c, day) {
				s.orders(c, t)
			}
		}
		host, _ := w.platformHost()
		for _, c := range w.clients {
			if c.fleet && len(w.platform.hosts) == 0 { // their agents' calls come in from outside
				for range 3 {
					s.tls(o, w.clock(s.r, day, 0, 23.9), c.egress, o.gateway, w.platform.port, host, s.n.span(time.Second, 20*time.Second), s.n.between(900, 30_000), s.n.between(900, 90_000))
				}
			}
		}
		for range 2 { // the server clears up after itself
			s.serverRuns(w.clock(s.r, day, 0, 23.5), pick(s.r, chores))
		}
		for i := range s.r.between(2, 5) { // reports, at the end of a quarter on many clients in a row
			tech := s.r.IntN(w.provider.techs)
			t := w.clock(s.r, day, 5, 21)
			s.consoleSignIn(t, tech)
			for k, c := range w.reached(s.r, func(c *org) bool { return c.fleet && (i == 0 || s.r.chance(0.3)) }) {
				s.console(t.Add(time.Duration(k+1)*s.n.span(5*time.Second, 2*time.Minute)), order{user: w.operator(tech), event: pick(s.r, []string{"report", "list hosts"}), object: pick(s.r, consoleLists), from: w.provider.people[tech].desk.ip, client: c})
			}
		}
		return
	}
	if !o.fleet {
		return
	}
	host, ip := w.platformHost()
	for _, h := range some(s.r, append(o.servers[:len(o.servers):len(o.servers)], o.desks...), 14) {
		t := w.clock(s.r, day, 0, 23.9)
		s.dns(o, t, h.ip, host, ip)
		s.tls(o, t.Add(time.Second), h.ip, ip, w.platform.port, host, s.n.span(time.Second, 20*time.Second), s.n.between(900, 30_000), s.n.between(900, 90_000))
	}
	for _, t := range w.tasks(o, day) {
		for i, h := range t.hosts {
			at := t.start.Add(time.Duration(i) * s.n.span(time.Second, 40*time.Second))
			if t.pack >= 0 {
				s.installsPack(o, h, at, packs[t.pack])
				continue
			}
			s.job(o, h, at, t.list)
		}
	}
}

// chores are what the server's program starts a shell for.
var chores = []string{`cmd.exe /c del /q C:\inetpub\logs\LogFiles\W3SVC1\old\*.log`, `cmd.exe /c whoami`, `cmd.exe /c rmdir /s /q C:\Windows\Temp\upload`}

// serverRuns is a shell below the program of the platform's own server.
func (s *scribe) serverRuns(t time.Time, cmd string) {
	pl := s.w.platform
	program := pl.server
	if program == "" {
		program = `C:\Windows\System32\inetsrv\w3wp.exe`
	}
	s.process(s.w.provider, s.w.managementServer(), t, process{image: cmdExe, original: "Cmd.Exe", cmd: cmd, user: `NT AUTHORITY\NETWORK SERVICE`, parent: program, parentCmd: `"` + program + `"`})
}

// operator is the name of a technician in the console.
func (w *world) operator(tech int) string { return w.provider.people[tech].login }

var consoleLists = []string{"all hosts", "installed software", "local users", "network connections", "open alerts"}

// consoleSignIn writes a technician's sign-in at the console: from the desk, or from home with a second factor.
func (s *scribe) consoleSignIn(t time.Time, tech int) {
	w := s.w
	p := w.provider.people[tech]
	a := order{user: w.operator(tech), event: "login", from: p.desk.ip, factor: s.r.chance(0.6)}
	if s.r.chance(0.25) {
		a.from = newRNG(w.names, "home", p.mail).public()
	}
	if s.r.chance(0.15) {
		bad := a
		bad.failed, bad.factor = true, false
		s.console(t.Add(-20*time.Second), bad)
	}
	s.console(t, a)
}

// orders writes the console's side of a task.
func (s *scribe) orders(c *org, t task) {
	a := order{user: "scheduler", event: "run procedure", object: t.name, from: s.w.managementServer().ip, client: c, hosts: len(t.hosts)}
	if t.tech >= 0 {
		s.consoleSignIn(t.start.Add(-4*time.Minute), t.tech)
		a.user, a.from = s.w.operator(t.tech), s.w.provider.people[t.tech].desk.ip
		if t.pack >= 0 {
			made := a
			made.event, made.client, made.hosts = "create procedure", nil, 0
			s.console(t.start.Add(-2*time.Minute), made)
		}
	}
	s.console(t.start.Add(-9*time.Second), a)
}

// guardLife writes what protection says: what it dislikes of what people fetch.
func guardLife(s *scribe, o *org, day int) {
	if !s.r.chance(0.35) && day > 1 {
		return
	}
	p := pick(s.r, o.people)
	t := s.w.clock(s.r, day, 5, 20)
	s.detected(o, p.desk, t, pick(s.r, threats), `C:\Users\`+p.login+`\Downloads\`+s.n.hex(3)+`.exe`, edge)
}

// otherPaths are what scanners of the Internet ask every server for.
var otherPaths = []string{"/", "/robots.txt", "/.env", "/owa/auth/logon.aspx", "/wp-login.php", "/favicon.ico"}

// webLife writes the web server before the platform's server: agents, the provider's people, and scanners that ask for
// every flaw that was ever in the news.
func webLife(s *scribe, o *org, day int) {
	w := s.w
	if o != w.provider {
		return
	}
	pl := w.platform
	for _, c := range w.clients {
		if !c.fleet {
			continue
		}
		for range s.r.between(5, 10) {
			t := w.clock(s.r, day, 0, 23.9)
			s.asked(t, c.egress, "POST", pl.check, pl.original, 200)
			if s.r.chance(0.3) {
				s.asked(t.Add(2*time.Second), c.egress, "GET", pl.give, pl.original, 200)
			}
		}
	}
	for range s.r.between(4, 8) {
		p := o.people[s.r.IntN(o.techs)]
		from, agent := o.egress, agents[newRNG(1, p.mail).IntN(len(agents))]
		if s.r.chance(0.3) {
			from = newRNG(w.names, "home", p.mail).public()
		}
		t := w.clock(s.r, day, 4, 23)
		s.asked(t, from, "GET", pl.login, agent, 200)
		s.asked(t.Add(9*time.Second), from, "POST", pl.login, agent, 302)
	}
	for range s.r.between(5, 11) {
		path, status := pick(s.r, otherPaths), 404
		switch s.r.IntN(4) {
		case 0:
			path, status = pl.hit, pick(s.r, []int{403, 404, 302})
		case 1:
			path, status = pl.login, 200
		}
		s.asked(w.clock(s.r, day, 0, 23.9), pick(s.n, w.guessers), pick(s.r, []string{"GET", "GET", "POST"}), path, pick(s.r, agents), status)
	}
}
