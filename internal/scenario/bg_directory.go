package scenario

import "time"

// directoryLife writes what people, servers and domain controllers say to the directory and to file services in a day.
func directoryLife(s *scribe, o *org, day int) {
	w := s.w
	works := w.works(day)
	dc, second, files := o.servers[0], o.servers[1], o.servers[2]
	// The domain controllers copy each other's changes, by day and by night.
	for range s.r.between(2, 4) {
		t := w.clock(s.r, day, 0, 23.9)
		from, to := second, dc
		if s.r.chance(0.4) {
			from, to = dc, second
		}
		s.rpc(o, t, from.caller(), to, "drsuapi", "DRSBind", "DRSGetNCChanges", "DRSUnbind")
		if to == dc {
			s.replicated(o, t.Add(50*time.Millisecond), from.name+"$")
		}
	}
	// Servers renew their tickets and read their policies.
	for _, h := range o.servers[2:] {
		if !s.r.chance(0.5) {
			continue
		}
		t := w.clock(s.r, day, 0, 23.9)
		s.ticket(o, t, h.caller(), "", nil, "")
		s.ldap(o, t.Add(2*time.Second), h.caller(), search{"wholeSubtree", "CN=Policies,CN=System", "(objectClass=groupPolicyContainer)", "cn,gPCFileSysPath,versionNumber", 2, 9})
		if s.r.chance(0.4) {
			s.rpc(o, t.Add(9*time.Second), h.caller(), dc, "lsarpc", "LsarOpenPolicy2", "LsarQueryInformationPolicy", "LsarLookupSids")
		}
		if s.r.chance(0.5) {
			s.rpc(o, t.Add(4*time.Second), h.caller(), dc, "netlogon", "NetrLogonGetCapabilities", "NetrLogonSamLogonEx")
		}
	}
	// The log server, the mail gateway and the like want names for addresses.
	reader := o.servers[len(o.servers)-1]
	for range s.r.between(1, 3) {
		s.reverses(o, w.clock(s.r, day, 0, 22), reader.ip, s.r.between(2, 9), s.r.span(time.Second, 5*time.Minute))
	}
	s.copiesFiles(o, day)
	if !works {
		return
	}
	for _, p := range o.people[:min(len(o.people), 10)] {
		if s.r.chance(0.25) {
			continue
		}
		t := w.clock(s.r, day, 5.7, 9)
		if s.r.chance(0.08) {
			s.ticket(o, t.Add(-12*time.Second), p.caller(), "", nil, "KDC_ERR_PREAUTH_FAILED")
		}
		s.ticket(o, t, p.caller(), "", nil, "")
		if s.r.chance(0.3) { // policies at logon
			x := s.smb(o, t.Add(9*time.Second), p.caller(), o.servers[s.r.IntN(2)], false, false, s.n.between(900, 9000))
			x.open(t.Add(10*time.Second), "SYSVOL")
			x.file(t.Add(11*time.Second), "SYSVOL", "SMB::FILE_OPEN", o.ad+`\Policies\{31B2F340-016D-11D2-945F-00C04FB984F9}\gpt.ini`, 22)
		}
		if s.r.chance(0.5) {
			s.listsShares(o, w.clock(s.r, day, 6, 17), p.caller(), files, s.r.chance(0.2), pick(s.r, shares[:5]))
		} else {
			x := s.smb(o, t.Add(30*time.Second), p.caller(), files, false, false, s.n.between(20_000, 4_000_000))
			x.open(t.Add(31*time.Second), "Home")
			for i := range s.r.between(1, 3) {
				x.file(t.Add(time.Duration(32+7*i)*time.Second), "Home", pick(s.r, []string{"SMB::FILE_OPEN", "SMB::FILE_OPEN", "SMB::FILE_WRITE", "SMB::FILE_DELETE"}), pick(s.r, shareFiles), s.n.between(900, 900_000))
			}
		}
	}
	s.adminDay(o, day)
}

// adminDay writes what the house's own administrator does with the directory and the servers. Some have a second
// account for it.
func (s *scribe) adminDay(o *org, day int) {
	w := s.w
	admin := o.people[len(o.people)-1]
	who := admin.caller()
	t := w.clock(s.r, day, 7, 14)
	srv := pick(s.r, o.servers)
	if o.idx%2 == 0 {
		who.user = "a-" + admin.login
		s.explicit(o, t.Add(-3*time.Second), admin.desk, admin.login, who.user, srv, `C:\Windows\System32\runas.exe`)
		s.ticket(o, t.Add(-2*time.Second), who, "", nil, "")
	}
	switch s.r.IntN(4) {
	case 0:
		s.asks(o, t, who, s.r.between(1, 3))
	case 1:
		s.listsPeople(o, t, who, s.r.chance(0.4))
	case 2:
		s.listsShares(o, t, who, srv, s.r.chance(0.4), "C$")
	}
	if s.r.chance(0.35) {
		d := pick(s.r, deployers)
		for i, h := range some(s.r, o.servers, s.r.between(1, 3)) {
			s.remoteService(o, t.Add(time.Duration(i)*s.r.span(20*time.Second, 4*time.Minute)+time.Hour), who, h, d, s.r.chance(0.4), some(s.r, adminCommands, s.r.between(1, 2)))
		}
	}
	if s.r.chance(0.4) {
		s.reverses(o, t.Add(2*time.Hour), who.ip, s.r.between(3, 12), s.r.span(200*time.Millisecond, 20*time.Second))
	}
}

// copiesFiles is the nightly backup over SMB: one server walks through the others with its own account, opens the
// administrative shares and reads. One of its jobs is for a server long gone.
func (s *scribe) copiesFiles(o *org, day int) {
	w := s.w
	fixed := newRNG(w.o.Seed, "backup job", o.idx)
	hour := fixed.between(18, 22)
	src := o.servers[len(o.servers)-1]
	who := caller{"svc-backup", src.name, src.ip}
	t := w.day(day).Add(time.Duration(hour)*time.Hour + s.r.span(0, 20*time.Minute))
	s.ticket(o, t, who, "", nil, "")
	for i, h := range o.servers[:len(o.servers)-1] {
		if h.role == "DC" && fixed.chance(0.5) {
			continue
		}
		at := t.Add(time.Duration(i+1) * s.r.span(40*time.Second, 5*time.Minute))
		x := s.smb(o, at, who, h, fixed.chance(0.3), true, s.n.between(4_000_000, 90_000_000))
		x.open(at.Add(time.Second), pick(fixed, []string{"C$", "ADMIN$"}))
		x.file(at.Add(2*time.Second), "C$", "SMB::FILE_OPEN", `ProgramData\backup\catalog.xml`, s.n.between(900, 90_000))
	}
	gone := at(o.serverNet, fixed.between(62, 90))
	for i := range 3 {
		s.conn(o, flow{t: t.Add(time.Duration(40+i) * time.Minute), src: src.ip, dst: gone, dport: 445, state: "S0"})
	}
}

// directoryWork writes what the provider's technicians do with the directory and the servers in their VPN visits.
func directoryWork(s *scribe, o *org, day int) {
	w := s.w
	if !o.client {
		return
	}
	for _, v := range w.sessions(o, day) {
		if v.staff >= 0 || v.end.Sub(v.start) < 15*time.Minute {
			continue
		}
		tn := w.tunnelOf(o, v)
		s.behindOf(tn)
		s.directoryVisit(o, v.start.Add(2*time.Minute), caller{tn.user, tn.machine, tn.pool}, v.end.Sub(v.start)-5*time.Minute)
	}
}

// directoryVisit is a part of a partner's visit: now and then a question to the directory, a deployment, names looked
// up, the desks' network looked through for a printer.
func (s *scribe) directoryVisit(o *org, t time.Time, who caller, room time.Duration) {
	s.ticket(o, t, who, "", nil, "")
	room = min(room, 30*time.Minute)
	later := func() time.Time { return t.Add(s.r.span(10*time.Second, max(room, time.Minute))) }
	if s.r.chance(0.3) {
		s.asks(o, later(), who, s.r.between(1, 3))
	}
	if s.r.chance(0.25) {
		s.listsPeople(o, later(), who, s.r.chance(0.5))
	}
	if s.r.chance(0.3) {
		s.listsShares(o, later(), who, pick(s.r, o.servers), s.r.chance(0.5), pick(s.r, []string{"C$", "Projects", ""}))
	}
	if s.r.chance(0.2) {
		s.remoteService(o, later(), who, pick(s.r, o.servers), deployers[0], s.r.chance(0.6), some(s.r, adminCommands, s.r.between(1, 2)))
	}
	if s.r.chance(0.2) {
		s.reverses(o, later(), who.ip, s.r.between(1, 6), s.r.span(time.Second, time.Minute))
	}
	if s.r.chance(0.2) {
		s.ssh(o, later(), who.ip, pick(s.r, o.servers).ip, s.n.span(time.Minute, 9*time.Minute))
	}
}
