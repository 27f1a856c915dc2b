package scenario

import (
	"net/netip"
	"time"
)

// component is one part of daily life; it writes a day of an organisation with streams of its own.
type component struct {
	name string
	run  func(s *scribe, o *org, day int)
}

var daily = []component{
	{"desks", desks}, {"servers", serverLife}, {"tunnels", tunnels}, {"support", support}, {"poller", poller},
	{"noise", noise}, {"letters", letters}, {"cloud", cloudLife}, {"delegation", delegation},
}

// daily lists the components of a scenario: sensors that log the directory's protocols see more.
func (w *world) daily() []component {
	list := daily[:len(daily):len(daily)]
	if w.platform != nil {
		list = append(list, component{"fleet", fleetLife}, component{"guard", guardLife})
	}
	if w.kind.web {
		list = append(list, component{"web", webLife})
	}
	if w.kind.apps {
		list = append(list, component{"apps", appsLife})
	}
	if w.kind.maker {
		list = append(list, component{"product", productLife})
	}
	if !w.kind.directory {
		return list
	}
	return append(list, component{"directory", directoryLife}, component{"directory work", directoryWork}, component{"firms", firmVisits}, component{"firms' way out", firmsOut})
}

// bulk writes one hour of office traffic; it alone grows with Options.Events.
func bulk(s *scribe, o *org, day, hour int) {
	rate := 0.05
	if s.w.works(day) && hour >= 6 && hour < 17 {
		rate = 0.62
		if hour == 11 {
			rate = 0.35
		}
	}
	n := int(12*rate*s.w.scale + s.r.Float64())
	for range n {
		t := s.w.clock(s.r, day, float64(hour), float64(hour)+0.999)
		p := pick(s.r, o.people)
		switch x := s.r.IntN(100); {
		case x < 68:
			site := s.w.sites[min(s.r.IntN(len(s.w.sites)), s.r.IntN(len(s.w.sites)))]
			s.visit(o, t, p.desk.ip, site.name, site.ip, s.n.between(700, 6000), s.n.between(900, 240000))
		case x < 76:
			h := s.r.IntN(len(plainHosts))
			s.http(o, t, p.desk.ip, s.w.sites[h].ip, plainHosts[h], pick(s.r, plainPaths), pick(s.r, plainAgents), s.n.between(300, 8000))
		case x < 88:
			s.share(o, t, p.desk.ip, o.servers[2], s.r.chance(0.85), pick(s.r, shares))
		case x < 92:
			s.conn(o, flow{t: t, src: p.desk.ip, dst: o.servers[s.r.IntN(2)].ip, dport: 88, service: "krb_tcp", dur: s.n.span(4*time.Millisecond, 30*time.Millisecond), out: s.n.between(1300, 1900), in: s.n.between(1400, 1900)})
		case x < 96:
			s.userProcess(o, t, p)
		default:
			l := &logon{host: o.servers[2], user: p.login, kind: 3, workstation: p.desk.name, ip: p.desk.ip}
			s.logon(o, t, l, false)
			s.logoff(o, t.Add(s.n.span(20*time.Second, 15*time.Minute)), l)
		}
	}
}

var shares = []string{"Home", "Finance", "Projects", "Public", "Scans", "IPC$"}

// desks writes the day of the people: lease, logon, mistakes, the programs they start, the local administrator.
func desks(s *scribe, o *org, day int) {
	if !s.w.works(day) {
		return
	}
	for _, p := range o.people[:min(len(o.people), 24)] {
		if s.r.chance(0.12) { // not in today
			continue
		}
		t := s.w.clock(s.r, day, 5.6, 8.4)
		s.lease(o, t.Add(-40*time.Second), p.desk)
		l := &logon{host: p.desk, user: p.login, kind: 2}
		if s.r.chance(0.06) {
			s.denied(o, t.Add(-9*time.Second), *l)
		}
		s.logon(o, t, l, false)
		s.userProcess(o, t.Add(s.n.span(time.Minute, 20*time.Minute)), p)
		s.logoff(o, s.w.clock(s.r, day, 14.5, 17.5), l)
		if o.reach.rmm || !o.client {
			s.visit(o, t.Add(-20*time.Second), p.desk.ip, s.w.relay, s.w.provider.gateway, s.n.between(4000, 20000), s.n.between(4000, 40000))
		}
		if o.hasVendor && s.r.chance(0.2) {
			s.visit(o, t.Add(-11*time.Second), p.desk.ip, s.w.vendor.relay, s.w.vendor.relayIP, s.n.between(4000, 20000), s.n.between(4000, 40000))
		}
	}
	admin := o.people[len(o.people)-1]
	for range s.r.between(1, 2) {
		srv := pick(s.r, o.servers)
		t, dur := s.w.clock(s.r, day, 7, 16), s.r.span(4*time.Minute, 40*time.Minute)
		s.rdp(o, t, admin.desk.ip, srv.ip, admin.login, admin.desk.name, dur)
		l := &logon{host: srv, user: admin.login, kind: 10, workstation: admin.desk.name, ip: admin.desk.ip}
		s.logon(o, t.Add(2*time.Second), l, true)
		s.commands(o, srv, t.Add(time.Minute), admin.login, l.id, some(s.r, adminCommands, s.r.between(0, 2)))
		s.logoff(o, t.Add(dur), l)
	}
}

// serverLife writes what servers do among themselves, by day and by night.
func serverLife(s *scribe, o *org, day int) {
	for i, h := range o.servers {
		for range s.r.between(1, 3) {
			t := s.w.clock(s.r, day, 0, 23.9)
			l := &logon{host: o.servers[s.r.IntN(2)], user: h.name + "$", kind: 3, workstation: h.name, ip: h.ip}
			s.logon(o, t, l, false)
			s.logoff(o, t.Add(s.n.span(time.Second, time.Minute)), l)
			s.conn(o, flow{t: t, src: h.ip, dst: o.servers[s.r.IntN(2)].ip, dport: pick(s.r, []int{389, 88, 135}), service: "ldap", dur: s.n.span(time.Millisecond, time.Second), out: s.n.between(300, 4000), in: s.n.between(300, 9000)})
		}
		t := s.w.clock(s.r, day, 0, 23.9)
		s.conn(o, flow{t: t, src: h.ip, dst: s.w.sites[2].ip, dport: 123, proto: "udp", service: "ntp", dur: s.n.span(9*time.Millisecond, 50*time.Millisecond), out: 48, in: 48})
		s.registry(o, h, t.Add(time.Second), `C:\Windows\System32\svchost.exe`, `HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Config\LastKnownGoodTime`, "QWORD (0x01dc0000-0x"+s.n.hex(4)+")")
		p := pick(s.r, serverPrograms)
		p.user = `NT AUTHORITY\SYSTEM`
		s.process(o, h, t.Add(time.Minute), p)
		if i%3 == 0 {
			s.created(o, h, t.Add(time.Minute), p)
		}
	}
	// The backup reads the file and database servers at night.
	t := s.w.clock(s.r, day, 20.2, 21)
	for i := 2; i < 4; i++ {
		src := o.servers[len(o.servers)-1]
		s.share(o, t.Add(time.Duration(i)*time.Minute), src.ip, o.servers[i], false, "ADMIN$")
		l := &logon{host: o.servers[i], user: "svc-backup", kind: 3, workstation: src.name, ip: src.ip}
		s.logon(o, t.Add(time.Duration(i)*time.Minute), l, true)
		s.logoff(o, t.Add(time.Duration(i+20)*time.Minute), l)
	}
}

// poller writes the provider's monitoring: the same pairs every day, some of them long dead. The neighbour and the
// provider watch themselves.
func poller(s *scribe, o *org, day int) {
	src := at(o.serverNet, 5)
	fixed := newRNG(s.w.o.Seed, "poller", o.idx)
	dead := []netip.Addr{at(o.serverNet, fixed.between(62, 90)), at(o.serverNet, fixed.between(62, 90)), at(o.deskNet, fixed.between(60, 80))}
	deadPort := pick(fixed, []int{161, 9100, 443, 445, 3389})
	for round := range 5 {
		t := s.w.day(day).Add(time.Duration(round)*288*time.Minute + s.r.span(0, 4*time.Minute))
		for i, h := range o.servers {
			t = t.Add(s.n.span(500*time.Millisecond, 2*time.Second))
			switch (i + round) % 3 {
			case 0:
				s.conn(o, flow{t: t, src: src, dst: h.ip, sport: 8, dport: 0, proto: "icmp", state: "OTH", dur: s.n.span(time.Millisecond, 20*time.Millisecond), out: 56, in: 56})
			case 1:
				s.conn(o, flow{t: t, src: src, dst: h.ip, dport: 161, proto: "udp", service: "snmp", dur: s.n.span(time.Millisecond, 20*time.Millisecond), out: s.n.between(40, 80), in: s.n.between(90, 300)})
			default:
				s.conn(o, flow{t: t, src: src, dst: h.ip, dport: pick(fixed, []int{443, 3389, 445}), dur: s.n.span(10*time.Millisecond, 3*time.Second), out: s.n.between(100, 900), in: s.n.between(100, 4000)})
			}
		}
		for i, d := range dead {
			port := []int{deadPort, 445, 3389}[i]
			s.conn(o, flow{t: t.Add(time.Duration(i+1) * 700 * time.Millisecond), src: src, dst: d, dport: port, state: []string{"S0", "REJ"}[(i+round)%2]})
		}
	}
}

// noise writes what the Internet throws at everybody.
func noise(s *scribe, o *org, day int) {
	w := s.w
	for range s.r.between(10, 18) {
		src := pick(s.n, w.guessers)
		if s.r.chance(0.03) && o.part.untold() {
			src = pick(s.n, append([]netip.Addr{w.foe.exit}, w.foe.exits...))
		}
		f := flow{t: w.clock(s.r, day, 0, 23.99), src: src, dst: o.gateway, dport: pick(s.r, []int{22, 23, 80, 443, 445, 3389, 8080, 5985, 135}), state: pick(s.r, []string{"S0", "S0", "REJ", "RSTO"})}
		if f.state == "RSTO" {
			f.dur, f.out, f.in = s.n.span(time.Second, 9*time.Second), s.n.between(100, 1500), s.n.between(100, 2000)
		}
		s.conn(o, f)
	}
	if o.client && s.r.chance(0.7) {
		user := pick(s.r, []string{"admin", "test", "vpn", "scan", o.people[s.r.IntN(len(o.people))].login})
		s.refused(o, w.clock(s.r, day, 0, 23.9), tunnel{user: user, from: pick(s.n, w.guessers), country: pick(s.n, farPlaces).country, machine: "WIN-" + s.n.token(8), machineID: s.n.guid()})
	}
}
