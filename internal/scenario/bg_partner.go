package scenario

import (
	"net/netip"
	"time"
)

// session is a technician's planned VPN visit to a client, as both sides see it.
type session struct {
	tech, jump int // index of the person, of the jump host among provider.jumps
	pool       int // last byte of the address lent
	start, end time.Time
	staff      int // not -1: not a technician but a member of the client's own staff, at home
}

const poolFirst, poolSize = 20, 8

// sessions returns the VPN visits of a day, in order of start. Everybody may ask: it draws from its own stream.
func (w *world) sessions(c *org, day int) []session {
	if !c.reach.vpn && c != w.neighbour {
		return nil
	}
	r := newRNG(w.o.Seed, "sessions", c.idx, day)
	var out []session
	add := func(v session, from, to float64, lo, hi time.Duration) {
		v.start = w.clock(r, day, from, to)
		v.end = v.start.Add(r.span(lo, hi))
		busy := map[int]bool{}
		for _, x := range out {
			if v.start.Before(x.end.Add(time.Minute)) && x.start.Before(v.end.Add(time.Minute)) {
				busy[x.pool] = true
			}
		}
		v.pool = poolFirst + r.IntN(poolSize)
		for range poolSize {
			if !busy[v.pool] {
				break
			}
			v.pool = poolFirst + (v.pool-poolFirst+1)%poolSize
		}
		out = append(out, v)
	}
	tech := func() session {
		return session{tech: r.IntN(w.provider.techs), jump: r.IntN(len(w.provider.jumps)), staff: -1}
	}
	if c.reach.vpn {
		if w.works(day) {
			for range r.between(1, 3) {
				add(tech(), 6, 15.5, 15*time.Minute, 80*time.Minute)
			}
		}
		if r.chance(0.55) || day < 2 {
			add(tech(), 16.5, 21.5, 10*time.Minute, 50*time.Minute)
		}
		if r.chance(0.12) {
			add(tech(), 22, 23, 10*time.Minute, 30*time.Minute)
		}
	}
	if w.works(day) {
		for range r.between(0, 2) {
			add(session{staff: r.IntN(9)}, 5, 17, 30*time.Minute, 4*time.Hour)
		}
	}
	return out
}

// tunnelOf turns a technician's session into what the client's gateway logs.
func (w *world) tunnelOf(c *org, v session) tunnel {
	if v.staff >= 0 {
		p := c.people[v.staff]
		home := newRNG(w.names, "home", p.mail)
		return tunnel{user: p.login, from: home.public(), pool: at(c.poolNet, v.pool), machine: p.desk.name, machineID: home.guid(), country: c.place.country, group: "STAFF", start: v.start, end: v.end, out: 4_000_000, in: 60_000_000}
	}
	j := w.provider.servers[w.provider.jumps[v.jump]]
	return w.hide(c, tunnel{user: w.techAccount(v.tech), from: w.outside(w.provider.gateway, w.natPool, c.idx, v.start.Sub(w.start)), pool: at(c.poolNet, v.pool), machine: j.name, machineID: newRNG(w.names, "machine", j.name).guid(),
		country: w.provider.place.country, group: "PARTNER", start: v.start, end: v.end, out: 1_200_000, in: 21_000_000})
}

// tunnels writes the VPN visits: at a client the session and what is done in it, at the provider its way out.
func tunnels(s *scribe, o *org, day int) {
	if o == s.w.provider {
		for _, c := range s.w.clients {
			for _, v := range s.w.sessions(c, day) {
				if v.staff < 0 {
					s.wayOut(c, v)
				}
			}
		}
		return
	}
	for _, v := range s.w.sessions(o, day) {
		t := s.w.tunnelOf(o, v)
		t.out, t.in = s.n.between(400_000, 3_000_000), s.n.between(2_000_000, 40_000_000)
		s.tunnel(o, t)
		if v.staff >= 0 {
			s.share(o, v.start.Add(time.Minute), t.pool, o.servers[2], true, "Home")
			s.share(o, v.start.Add(6*time.Minute), t.pool, o.servers[2], true, pick(s.r, shares))
			l := &logon{host: o.servers[2], user: t.user, kind: 3, workstation: t.machine, ip: t.pool}
			s.logon(o, v.start.Add(time.Minute), l, false)
			s.logoff(o, v.start.Add(10*time.Minute), l)
			continue
		}
		s.visitServers(o, v, some(s.r, o.servers, s.r.between(1, 3)))
	}
}

// wayOut writes what the provider's own sensors see of a visit: desk to jump host, jump host to the client's gateway.
func (s *scribe) wayOut(c *org, v session) {
	p := s.w.provider
	tech, jump := p.people[v.tech], p.servers[p.jumps[v.jump]]
	dur := v.end.Sub(v.start)
	s.rdp(p, v.start.Add(-70*time.Second), tech.desk.ip, jump.ip, tech.login, tech.desk.name, dur+3*time.Minute)
	l := &logon{host: jump, user: tech.login, kind: 10, workstation: tech.desk.name, ip: tech.desk.ip}
	s.logon(p, v.start.Add(-68*time.Second), l, true)
	s.logoff(p, v.end.Add(30*time.Second), l)
	s.tunnelOut(c, v, jump)
}

func (s *scribe) tunnelOut(c *org, v session, from *host) {
	f := flow{t: v.start, src: from.ip, dst: c.gateway, dport: 443, service: "ssl", dur: v.end.Sub(v.start), out: s.n.between(400_000, 3_000_000), in: s.n.between(2_000_000, 40_000_000)}
	if c.vpn == "openvpn" {
		f.proto, f.dport, f.service = "udp", 1194, "openvpn"
	}
	s.conn(s.w.provider, f)
}

// visitServers writes the work of one visit: desktops opened, a share, a shell, sometimes a typing error.
func (s *scribe) visitServers(o *org, v session, targets []*host) {
	tn := s.w.tunnelOf(o, v)
	step := v.end.Sub(v.start) / time.Duration(len(targets)+1)
	for i, h := range targets {
		t := v.start.Add(20*time.Second + time.Duration(i)*step)
		s.rdpLogon(o, h, t, tn, step-30*time.Second, some(s.r, adminCommands, s.r.between(0, 4)), s.r.chance(0.12))
		switch s.r.IntN(6) {
		case 0:
			s.share(o, t.Add(30*time.Second), tn.pool, h, s.r.chance(0.6), pick(s.r, []string{"ADMIN$", "C$", "IPC$"}))
		case 1:
			s.ssh(o, t.Add(40*time.Second), tn.pool, pick(s.r, o.servers).ip, s.n.span(time.Minute, 9*time.Minute))
		case 2: // looked for at the wrong address, or behind a host firewall
			for range s.r.between(1, 3) {
				s.conn(o, flow{t: t.Add(s.n.span(time.Second, time.Minute)), src: tn.pool, dst: pick(s.r, o.servers).ip, dport: pick(s.r, probePorts), state: pick(s.r, []string{"REJ", "S0"})})
			}
		case 3:
			s.conn(o, flow{t: t.Add(9 * time.Second), src: tn.pool, dst: h.ip, dport: pick(s.r, []int{443, 5985}), service: "ssl", dur: s.n.span(time.Second, time.Minute), out: s.n.between(900, 9000), in: s.n.between(900, 90000)})
		}
	}
}

// rdpLogon writes one desktop opened through a tunnel, on the wire and on the host.
func (s *scribe) rdpLogon(o *org, h *host, t time.Time, tn tunnel, dur time.Duration, cmds []process, typo bool) {
	s.rdp(o, t, tn.pool, h.ip, tn.user, tn.machine, dur)
	l := &logon{host: h, user: tn.user, kind: 10, workstation: tn.machine, ip: tn.pool}
	if typo {
		bad := *l
		bad.kind = 3
		s.denied(o, t.Add(time.Second), bad)
	}
	net := &logon{host: h, user: tn.user, kind: 3, workstation: tn.machine, ip: tn.pool} // network level authentication
	s.logon(o, t.Add(2*time.Second), net, false)
	s.logon(o, t.Add(4*time.Second), l, true)
	s.logoff(o, t.Add(6*time.Second), net)
	s.commands(o, h, t.Add(s.n.span(30*time.Second, 3*time.Minute)), tn.user, l.id, cmds)
	s.logoff(o, t.Add(dur), l)
}

// assist is a remote-support session on one host of a client.
type assist struct {
	tech     int
	host     *host
	start    time.Time
	end      time.Time
	commands []process
	files    bool
}

func (w *world) assists(c *org, day int) []assist {
	if !c.reach.rmm {
		return nil
	}
	r := newRNG(w.o.Seed, "assists", c.idx, day)
	n := r.between(1, 3)
	from, to := 6.5, 16.5
	if !w.works(day) {
		n, from, to = r.IntN(2), 7, 20
	}
	var out []assist
	add := func(from, to float64) {
		a := assist{tech: r.IntN(w.provider.techs), start: w.clock(r, day, from, to), files: r.chance(0.2)}
		a.host = c.desks[r.IntN(min(len(c.desks), 12))]
		if r.chance(0.35) {
			a.host = pick(r, c.servers)
		}
		a.end = a.start.Add(r.span(4*time.Minute, 40*time.Minute))
		if r.chance(0.6) {
			a.commands = some(r, adminCommands, r.between(1, 3))
		}
		out = append(out, a)
	}
	for range n {
		add(from, to)
	}
	if r.chance(0.3) {
		add(17, 22)
	}
	return out
}

// support writes remote-support sessions: the host's side at the client, the server's side at the provider.
func support(s *scribe, o *org, day int) {
	w := s.w
	if o == w.provider {
		for _, c := range w.clients {
			for _, a := range w.assists(c, day) {
				who := w.provider.people[a.tech]
				s.serverSide(c, a, who.full(), who.desk.ip)
			}
		}
		return
	}
	for _, a := range w.assists(o, day) {
		s.hostSide(o, a, w.provider.people[a.tech].full())
	}
	if o.hasVendor && (s.r.chance(0.4) || day < 1) {
		h, t, who := o.servers[3+s.r.IntN(2)], w.clock(s.r, day, 7, 17), pick(s.r, w.vendor.techs)
		a := w.vendorAgent(h)
		s.agentLog(o, h, t, a, 100, who+" Connected")
		s.runs(o, h, t.Add(2*time.Minute), a, some(s.r, adminCommands, s.r.between(1, 2)))
		s.agentLog(o, h, t.Add(3*time.Minute), a, 201, "Transferred files with action: SendFiles")
		s.agentLog(o, h, t.Add(14*time.Minute), a, 101, who+" Disconnected")
		if s.r.chance(0.3) || day < 1 { // a new version of the agent
			s.installs(o, h, t.Add(5*time.Minute), a, o.adminLogin, w.vendor.relayIP)
		}
		s.visit(o, t, h.ip, w.vendor.relay, w.vendor.relayIP, s.n.between(4000, 90000), s.n.between(4000, 400000))
	}
}

func (s *scribe) serverSide(c *org, a assist, who string, from netip.Addr) {
	s.serverLog(a.start, c, a.host, who, from.String(), "Connected", "")
	for i, cmd := range a.commands {
		s.serverLog(a.start.Add(time.Duration(i+1)*time.Minute), c, a.host, who, from.String(), "RanCommand", "timeout=30000 "+cmd.cmd)
	}
	if a.files {
		s.serverLog(a.start.Add(3*time.Minute), c, a.host, who, from.String(), "SentFiles", "")
	}
	s.serverLog(a.end, c, a.host, who, from.String(), "Disconnected", "")
}

func (s *scribe) hostSide(o *org, a assist, who string) {
	ag := s.w.providerAgent(a.host)
	s.agentLog(o, a.host, a.start, ag, 100, who+" Connected")
	for i, cmd := range a.commands {
		s.runs(o, a.host, a.start.Add(time.Duration(i+1)*time.Minute), ag, []process{cmd})
	}
	if a.files {
		s.agentLog(o, a.host, a.start.Add(3*time.Minute), ag, 201, "Transferred files with action: SendFiles")
	}
	s.agentLog(o, a.host, a.end, ag, 101, who+" Disconnected")
	s.visit(o, a.start.Add(-time.Second), a.host.ip, s.w.relay, s.w.provider.gateway, s.n.between(9000, 400000), s.n.between(9000, 900000))
}

// probePorts are the ports that monitoring, inventories and people looking for a server try.
var probePorts = []int{445, 3389, 22, 135, 5985, 443}
