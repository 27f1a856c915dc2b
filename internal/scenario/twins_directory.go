package scenario

import (
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// directoryBenign are the twins of the kinds whose sensors log the directory's protocols. (The backup's nightly walk
// over SMB, the administrator with two accounts and the poller with dead targets are daily life.)
var directoryBenign = []twin{
	{"vulnerability-scan", vulnerabilityScan}, {"discovery", discovery}, {"reset-wave", resetWave}, {"night-maintenance", nightMaintenance}, {"new-controller", newController},
	{"bulk-copies", bulkCopies}, {"travel", travel}, {"legacy-hosts", legacyHosts},
	{"joiners", joiners},
}

// vulnerabilityScan is a second provider's quarterly scan, approved: every address, many ports, and where it has a
// login it reads what is installed on each server.
func vulnerabilityScan(w *world, s *scribe) {
	for _, f := range w.firms {
		if f.kind != "provider" {
			continue
		}
		day := w.workday(s.r.IntN(w.o.Days))
		for i, c := range f.clients {
			if i >= 3 {
				break
			}
			src := w.firmScanner(c)
			t := w.day(min(day+i, w.o.Days-1)).Add(time.Duration(s.r.between(1, 19))*time.Hour + s.r.span(0, 40*time.Minute))
			v := session{start: t.Add(-time.Hour), end: t.Add(5 * time.Hour)}
			for _, net := range []netip.Prefix{c.serverNet, c.deskNet} {
				w.approve(f.id+"-"+c.id, src, net, v, c.owner(), "quarterly vulnerability scan")
			}
			who := caller{f.accounts[0], "SCAN-" + c.short, src}
			alive := map[netip.Addr]*host{}
			for _, h := range c.servers {
				alive[h.ip] = h
			}
			pace := s.r.span(20*time.Millisecond, 3*time.Second)
			for _, k := range s.r.Perm(sweepLast) {
				dst := at(c.serverNet, k+1)
				for _, port := range some(s.r, scanPorts, s.r.between(2, 5)) {
					t = t.Add(time.Duration(float64(pace) * (0.3 + s.r.Float64())))
					s.knock(c, t, src, dst, port, alive[dst] != nil)
				}
			}
			s.reverses(c, t, src, 12, time.Second)
			for k, h := range c.servers {
				at := t.Add(time.Duration(k+1) * s.r.span(time.Minute, 4*time.Minute))
				s.registryLook(c, at, who, h)
			}
			s.listsPeople(c, t.Add(time.Hour), who, true)
			s.asks(c, t.Add(time.Hour+time.Minute), who, 3)
		}
	}
}

var scanPorts = append([]int{21, 23, 25, 80, 88, 389, 1433, 3306, 8080, 8443, 9100, 5900}, probePorts...)

// knock tries one port of an address.
func (s *scribe) knock(o *org, t time.Time, src, dst netip.Addr, port int, alive bool) {
	f := flow{t: t, src: src, dst: dst, dport: port, state: "S0"}
	if alive {
		f.state = "REJ"
		if port == 445 || port == 3389 || port == 135 {
			f.state, f.dur, f.out, f.in = "RSTO", s.n.span(time.Millisecond, 300*time.Millisecond), s.n.between(0, 90), s.n.between(0, 90)
		}
	}
	s.conn(o, f)
}

// resetWave is the help desk after a migration: passwords and second factors of many people are reset in a morning,
// each on a call; people register their new factor from where they always sit, or from home.
func resetWave(w *world, s *scribe) {
	clients := w.reached(s.r, func(c *org) bool { return c.reach.gdap && c.layers[tenant.LayerCloud] })
	for _, c := range clients[:min(2, len(clients))] {
		day := w.workday(s.r.IntN(w.o.Days))
		desk := w.provider.people[s.r.IntN(w.provider.techs)]
		for _, i := range s.r.Perm(len(c.people))[:min(9, len(c.people))] {
			t := w.clock(s.r, day, 6, 16)
			s.resets(c, t, guest(w.provider, desk), w.provider.egress, c.people[i], s.r.chance(0.7))
			from := c.office()
			if s.r.chance(0.3) {
				from = where{newRNG(w.names, "home", c.people[i].mail).public(), c.asn, c.place}
			}
			s.registers(c, t.Add(s.r.span(2*time.Minute, 20*time.Minute)), c.people[i], from)
		}
	}
	// Here and there somebody forgets a password in the evening.
	for _, c := range clients {
		for range 3 {
			p := c.people[s.r.IntN(9)]
			t := w.clock(s.r, s.r.IntN(w.o.Days), 0, 23)
			s.resets(c, t, guest(w.provider, w.provider.people[s.r.IntN(w.provider.techs)]), w.provider.egress, p, s.r.chance(0.5))
			s.registers(c, t.Add(9*time.Minute), p, where{newRNG(w.names, "home", p.mail).public(), c.asn, c.place})
		}
	}
}

// resets writes a help desk's reset: the password, the second factor too, at some houses the local directory follows.
func (s *scribe) resets(o *org, t time.Time, by string, from netip.Addr, p *person, factor bool) {
	s.audit(o, t, "Reset user password", by, from, p)
	s.audit(o, t.Add(2*time.Second), "Update user", by, from, p, pair{"LastPasswordChange", t.Format(time.RFC3339)})
	if factor {
		s.audit(o, t.Add(s.n.span(20*time.Second, 3*time.Minute)), "Admin deleted security info", by, from, p)
	}
}

// registers writes what a person does after a reset: the sign-in and the new second factor.
func (s *scribe) registers(o *org, t time.Time, p *person, from where) {
	s.signIn(o, signIn{t: t, who: p, app: pick(s.r, userApps), from: from, interactive: true})
	s.audit(o, t.Add(s.n.span(30*time.Second, 3*time.Minute)), "User registered security info", p.mail, from.ip, p)
	s.signIn(o, signIn{t: t.Add(4 * time.Minute), who: p, app: pick(s.r, userApps), from: from, interactive: true, mfa: true})
}

// nightMaintenance is a partner's work while nobody is in: several servers after one another, files put on shares,
// services stopped and started.
func nightMaintenance(w *world, s *scribe) {
	for i, f := range w.firms {
		if f.kind == "house" || len(f.clients) == 0 {
			continue
		}
		c := f.clients[i%len(f.clients)]
		t := w.clock(s.r, min(1+s.r.IntN(w.o.Days), w.o.Days-1), 0.5, 3.5)
		v := visit{firm: f, who: s.r.IntN(len(f.accounts)), pool: f.pools + 4, start: t, end: t.Add(2 * time.Hour)}
		tn := w.tunnelOfFirm(c, v)
		s.tunnel(c, tn)
		who := caller{tn.user, tn.machine, tn.pool}
		for k, h := range c.servers[2:] {
			at := t.Add(time.Duration(k)*s.r.span(9*time.Minute, 14*time.Minute) + 2*time.Minute)
			s.rdpLogon(c, h, at, tn, 8*time.Minute, some(s.r, adminCommands, 2), false)
			x := s.smb(c, at.Add(time.Minute), who, h, true, true, 0)
			x.open(at.Add(61*time.Second), "C$")
			x.file(at.Add(62*time.Second), "C$", "SMB::FILE_WRITE", `Temp\update\setup.msi`, s.n.between(900_000, 60_000_000))
			s.state(c, h, at.Add(2*time.Minute), "Print Spooler", "stopped")
			s.state(c, h, at.Add(5*time.Minute), "Print Spooler", "running")
		}
	}
}

// newController promotes a server to a domain controller: it copies the whole directory, then answers for it. A
// technician of the provider does it, from the VPN.
func newController(w *world, s *scribe) {
	for i, c := range w.reached(s.r, (*org).managed) {
		if i > 0 {
			break
		}
		day := w.workday(s.r.IntN(w.o.Days))
		t := w.clock(s.r, day, 15, 18)
		fresh := &host{name: strings.TrimRight(c.servers[1].name, "2") + "3", role: "DC", ip: at(c.serverNet, 44)}
		v := w.copySession(s.r, c, t, 90*time.Minute)
		w.wayAndTunnel(s, c, v)
		tn := w.tunnelOf(c, v)
		s.rdpLogon(c, c.servers[0], t.Add(2*time.Minute), tn, 20*time.Minute, some(s.r, adminCommands, 3), false)
		s.ticket(c, t.Add(24*time.Minute), fresh.caller(), "", nil, "")
		s.ldap(c, t.Add(25*time.Minute), fresh.caller(), adminSearches[0], adminSearches[5], adminSearches[4])
		for i := range 6 {
			at := t.Add(26*time.Minute + time.Duration(i)*s.r.span(20*time.Second, 2*time.Minute))
			s.rpc(c, at, fresh.caller(), c.servers[0], "drsuapi", "DRSBind", "DRSGetNCChanges", "DRSGetNCChanges", "DRSUnbind")
			s.replicated(c, at, fresh.name+"$")
		}
		// The technician starts it by hand once, as repadmin does.
		s.rpc(c, t.Add(40*time.Minute), caller{tn.user, tn.machine, tn.pool}, c.servers[0], "drsuapi", "DRSBind", "DRSReplicaSync", "DRSUnbind")
		for d := day + 1; d < w.o.Days; d++ {
			at := w.clock(s.r, d, 0, 23)
			s.rpc(c, at, c.servers[0].caller(), fresh, "drsuapi", "DRSBind", "DRSGetNCChanges", "DRSUnbind")
			s.reverses(c, at.Add(time.Hour), fresh.ip, 6, time.Minute)
		}
	}
}

// wayAndTunnel writes both sides of a technician's VPN session.
func (w *world) wayAndTunnel(s *scribe, c *org, v session) {
	s.wayOut(c, v)
	tn := w.tunnelOf(c, v)
	tn.out, tn.in = s.n.between(400_000, 3_000_000), s.n.between(2_000_000, 40_000_000)
	s.tunnel(c, tn)
}

// bulkCopies are large files that partners take along for good reasons: logs for a maker's support, a database for a
// test. They leave through the VPN, and the provider sends some on to a maker.
func bulkCopies(w *world, s *scribe) {
	for i, c := range w.reached(s.r, (*org).managed) {
		if i > 3 {
			break
		}
		t := w.clock(s.r, s.r.IntN(w.o.Days), 7, 21)
		v := w.copySession(s.r, c, t, time.Hour)
		w.wayAndTunnel(s, c, v)
		tn := w.tunnelOf(c, v)
		h := c.servers[2+i%2]
		s.takes(c, t.Add(10*time.Minute), caller{tn.user, tn.machine, tn.pool}, h, []string{`Temp\case-` + s.n.hex(2) + `.zip`, `Temp\logs.7z`}, s.n.between(50, 400)*1_000_000)
		jump := w.provider.servers[w.provider.jumps[v.jump]]
		s.visit(w.provider, t.Add(50*time.Minute), jump.ip, "support."+w.vendor.domain, newRNG(w.names, "vendor upload").public(), s.n.between(50, 400)*1_000_000, s.n.between(9000, 90_000))
	}
}

// takes copies files from a server over SMB.
func (s *scribe) takes(o *org, t time.Time, who caller, h *host, files []string, bytes int) {
	x := s.smb(o, t, who, h, true, true, bytes)
	x.open(t.Add(time.Second), "C$")
	for i, f := range files {
		x.file(t.Add(time.Duration(20*i+2)*time.Second), "C$", "SMB::FILE_OPEN", f, bytes/len(files))
	}
}

// travel: members of staff come over the VPN from hotels, in whatever country.
func travel(w *world, s *scribe) {
	for _, c := range w.clients {
		for range 2 {
			p := c.people[s.r.IntN(9)]
			n := newRNG(w.names, "hotel", p.mail)
			t := w.clock(s.r, s.r.IntN(w.o.Days), 0, 22)
			tn := tunnel{user: p.login, from: n.public(), pool: at(c.poolNet, 56+s.r.IntN(3)), machine: p.desk.name, machineID: newRNG(w.names, "home", p.mail).guid(),
				country: pick(s.r, append(farPlaces[:len(farPlaces):len(farPlaces)], w.foe.place)).country, group: "STAFF", start: t, end: t.Add(s.r.span(10*time.Minute, 90*time.Minute)), out: 2_000_000, in: 20_000_000}
			s.tunnel(c, tn)
			s.share(c, t.Add(time.Minute), tn.pool, c.servers[2], true, "Home")
		}
	}
	for i, c := range w.clients { // whom the rules of the directory turn away there
		for k := range 8 {
			p := c.people[s.r.IntN(9)]
			from := where{newRNG(w.names, "hotel", p.mail).public(), pick(s.n, hostingASNs), pick(s.n, farPlaces)}
			s.signIn(c, signIn{t: w.clock(s.r, s.r.IntN(w.o.Days), 0, 23), who: p, app: pick(s.r, userApps), from: from, err: []int{53003, 50076}[(i+k)%2], interactive: true})
		}
	}
	// In the country where the intruder seems to sit, others work too.
	for i := range 3 {
		c := w.clients[i%len(w.clients)]
		p := c.people[i]
		t := w.clock(s.r, s.r.IntN(w.o.Days), 6, 19)
		s.tunnel(c, tunnel{user: p.login, from: newRNG(w.names, "branch", i).public(), pool: at(c.poolNet, 57), machine: p.desk.name, machineID: newRNG(w.names, "home", p.mail).guid(),
			country: w.foe.place.country, group: "STAFF", start: t, end: t.Add(time.Hour), out: 2_000_000, in: 20_000_000})
	}
}

// joiners: people begin work or get another task, and a house's administrator makes their accounts and groups.
func joiners(w *world, s *scribe) {
	for _, c := range w.clients {
		for i := range 2 {
			t := w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 6, 16)
			login := lower(pick(s.n, givenNames)[:1] + "." + pick(s.n, familyNames))
			s.account(c, t, 4720, c.adminLogin, login, "")
			s.account(c, t.Add(20*time.Second), 4728, c.adminLogin, login, pick(s.r, []string{"Sales", "Warehouse", "Server Operators"}))
			if i == 0 {
				s.account(c, t.Add(time.Hour), 4724, c.adminLogin, login, "")
			}
		}
	}
}

// discovery is a partner's one inventory from the VPN, approved beforehand: every address is tried on a few ports, who
// answers is asked over WMI and SAMR, and the shares of some servers are listed. It is done before a contract is renewed
// or a house is moved.
func discovery(w *world, s *scribe) {
	for _, c := range w.clients {
		trust, who := "", caller{}
		t := w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 6, 15)
		tn := tunnel{pool: at(c.poolNet, 59), country: w.provider.place.country, group: "PARTNER", start: t, end: t.Add(5 * time.Hour), out: 9_000_000, in: 40_000_000}
		if c.reach.vpn {
			jump := w.provider.servers[w.provider.jumps[0]]
			trust, tn.user, tn.from, tn.machine = w.trustID(c), w.techAccount(s.r.IntN(w.provider.techs)), w.outside(w.provider.gateway, w.natPool, "discovery", c.idx), jump.name
		} else {
			for _, f := range w.firms {
				for _, x := range f.clients {
					if x == c && f.kind != "supplier" {
						trust, tn.user, tn.from, tn.machine = f.id+"-"+c.id, f.accounts[0], w.outside(f.gateway, f.natPool, "discovery", c.idx), f.machines[0]
					}
				}
			}
		}
		if trust == "" {
			continue
		}
		tn.machineID = newRNG(w.names, "machine", tn.machine).guid()
		s.tunnel(c, tn)
		who = caller{tn.user, tn.machine, tn.pool}
		for _, net := range []netip.Prefix{c.serverNet, c.deskNet} {
			w.approve(trust, tn.pool, net, session{start: t.Add(-time.Hour), end: t.Add(6 * time.Hour)}, c.owner(), "inventory before renewal")
		}
		alive := map[netip.Addr]bool{}
		for _, h := range c.servers {
			alive[h.ip] = true
		}
		families := []int{4}
		if c.dual { // each address of each host
			families = []int{4, 6}
		}
		t = t.Add(3 * time.Minute)
		pace := s.r.span(50*time.Millisecond, 900*time.Millisecond)
		for k := range sweepLast {
			dst := at(c.serverNet, k+1)
			ports := some(s.r, probePorts, 1)
			if alive[dst] {
				ports = probePorts
			}
			for _, port := range ports {
				t = t.Add(time.Duration(float64(pace) * (0.4 + s.r.Float64())))
				for _, s.only = range families {
					s.knock(c, t, tn.pool, dst, port, alive[dst])
				}
			}
		}
		s.only = 0
		if !w.kind.directory { // nobody would log the rest
			continue
		}
		s.ticket(c, t, who, "", nil, "")
		for i, h := range c.servers {
			for _, s.only = range families {
				at := t.Add(time.Duration(i+1) * s.r.span(4*time.Second, 90*time.Second))
				s.rpc(c, at, who, h, "ISystemActivator", "RemoteCreateInstance")
				s.listsShares(c, at.Add(10*time.Second), who, h, i%2 == 0, "C$")
			}
		}
		s.only = 0
		s.listsPeople(c, t.Add(40*time.Minute), who, true)
		s.asks(c, t.Add(41*time.Minute), who, 4)
	}
}
