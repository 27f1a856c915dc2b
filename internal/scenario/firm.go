package scenario

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// firm is a partner beside the provider whose people come to clients: a second provider, a supplier, or a client that
// looks after others. Of most no telemetry is held.
type firm struct {
	id, name, domain, prefix string
	kind                     string // provider, supplier, house, contractor
	gateway                  netip.Addr
	natPool                  netip.Prefix // in its place, where the firm's people share addresses with others
	place                    place
	accounts                 []string // at the clients
	machines                 []string
	clients                  []*org
	org                      *org // where the firm is one of the organisations
	jump                     *host
	pools                    int // last byte of the first address that its people are lent
	seed                     string
}

// newFirm names a firm. Its accounts at clients follow one pattern, which the trusts declare.
func (w *world) newFirm(kind, label string, people int, pools int, clients []*org) *firm {
	n := newRNG(w.names, "firm", label)
	trade := map[string][]string{"provider": providerTrades, "supplier": {"Klimatechnik", "Buchhaltung", "Gebaeudetechnik", "Aufzuege", "Kassensysteme", "Brandschutz", "Waagenbau"}, "house": {""}, "contractor": {"Datenanalyse", "Softwareentwicklung", "Consulting", "Data Engineering"}}[kind]
	stem := (&namer{n, w.takenNames}).stem() // nobody's name resembles it
	tail := pick(n, trade)
	f := &firm{id: strings.ToLower(stem), name: strings.TrimSpace(stem + " " + tail), kind: kind, gateway: n.public(), place: pick(n, places), clients: clients, pools: pools, seed: label}
	f.domain = f.id + "." + pick(n, topLevels)
	f.prefix = f.id[:5]
	for i := range people {
		f.accounts = append(f.accounts, fmt.Sprintf("%s-%s%c", f.prefix, strings.ToLower(pick(n, familyNames)), 'a'+rune(i)))
		f.machines = append(f.machines, fmt.Sprintf("%s-NB%02d", strings.ToUpper(f.prefix), i+1))
	}
	if people == 1 {
		f.accounts[0] = f.prefix + "-service"
	}
	w.firms = append(w.firms, f)
	return f
}

// houseFirm makes a firm of one of the clients, which looks after others.
func (w *world) houseFirm(o *org, people int, pools int, clients []*org) *firm {
	f := &firm{id: o.id, name: o.name, domain: o.domain, prefix: o.prefix, kind: "house", gateway: o.gateway, place: o.place, clients: clients, org: o, pools: pools, seed: "house"}
	f.jump = o.servers[len(o.servers)-2]
	for i := range people {
		f.accounts = append(f.accounts, o.prefix+"-"+o.people[i].login)
		f.machines = append(f.machines, f.jump.name)
	}
	o.hub = true
	w.firms = append(w.firms, f)
	return f
}

// declareFirms writes the firms' trusts.
func (w *world) declareFirms() {
	for _, f := range w.firms {
		p := partnerConf{ID: f.id, Name: f.name}
		if f.org != nil {
			p.Tenant = f.org.id
		}
		w.partners = append(w.partners, p)
		for _, c := range f.clients {
			t := trustConf{ID: f.id + "-" + c.id, Partner: f.id, Tenant: c.id, Owner: c.owner(), Networks: []string{w.firmNet(f)},
				Accounts: []string{f.prefix + "-*"}, MailDomains: []string{f.domain}, ValidFrom: stamp(w.start.AddDate(-2, 0, 0))}
			if f.kind == "contractor" { // who comes by no network, only to clouds
				t.Networks = nil
			}
			if f.kind == "provider" {
				t.Networks = append(t.Networks, w.firmScanner(c).String()+"/32")
			}
			w.trusts = append(w.trusts, t)
		}
	}
}

func (*world) firmNet(f *firm) string {
	if f.natPool.IsValid() {
		return f.natPool.String()
	}
	return f.gateway.String() + "/32"
}

// firmScanner is the address of the second provider's vulnerability scanner in a client's network.
func (w *world) firmScanner(c *org) netip.Addr { return at(c.serverNet, 7) }

// visit is one VPN session of a firm's person at a client.
type visit struct {
	firm       *firm
	who, pool  int
	start, end time.Time
}

// visits draws a firm's VPN sessions at a client on a day. A provider comes daily, by day and in the evening; a supplier
// once or twice a week, often at night, when nobody is disturbed.
func (w *world) visits(f *firm, c *org, day int) []visit {
	r := newRNG(w.o.Seed, "visits", f.seed, c.idx, day)
	var out []visit
	add := func(from, to float64, lo, hi time.Duration) {
		v := visit{firm: f, who: r.IntN(len(f.accounts)), start: w.clock(r, day, from, to)}
		v.end = v.start.Add(r.span(lo, hi))
		v.pool = f.pools + r.IntN(4)
		for _, x := range out {
			if v.pool == x.pool && v.start.Before(x.end) && x.start.Before(v.end) {
				v.pool = f.pools + (v.pool-f.pools+1)%4
			}
		}
		out = append(out, v)
	}
	works := w.works(day)
	switch f.kind {
	case "supplier":
		if works && r.chance(0.25) || day == 0 {
			add(6, 15, 10*time.Minute, 50*time.Minute)
		}
		if r.chance(0.2) || day == 1 {
			add(19.5, 23, 20*time.Minute, 55*time.Minute)
		}
		if r.chance(0.12) {
			add(0.5, 4, 20*time.Minute, 50*time.Minute)
		}
	default:
		if works {
			for range r.between(0, 2) {
				add(6, 15.5, 15*time.Minute, 70*time.Minute)
			}
		}
		if r.chance(0.45) || day == 0 {
			add(16.5, 22, 12*time.Minute, 50*time.Minute)
		}
	}
	return out
}

// taken reports whether the address of a visit is lent to somebody else of the firm at that time.
func (w *world) taken(c *org, v visit) bool {
	d := int(v.start.Sub(w.start) / (24 * time.Hour))
	for _, day := range []int{d - 1, d, d + 1} {
		if day < 0 {
			continue
		}
		for _, x := range w.visits(v.firm, c, day) {
			if x.pool == v.pool && v.start.Before(x.end.Add(time.Minute)) && x.start.Before(v.end.Add(time.Minute)) {
				return true
			}
		}
	}
	return false
}

// tunnelOfFirm is what the client's gateway logs of a firm's session.
func (w *world) tunnelOfFirm(c *org, v visit) tunnel {
	f := v.firm
	from := w.outside(f.gateway, f.natPool, f.seed, c.idx, v.start.Sub(w.start))
	machine := f.machines[v.who]
	return w.hide(c, tunnel{user: f.accounts[v.who], from: from, pool: at(c.poolNet, v.pool), machine: machine, machineID: newRNG(w.names, "machine", machine).guid(),
		country: f.place.country, group: "PARTNER", start: v.start, end: v.end, out: 900_000, in: 9_000_000})
}

// serves are the servers that a firm looks after at a client: all for a provider, two for a supplier.
func (f *firm) serves(c *org) []*host {
	if f.kind == "supplier" {
		return c.servers[3:5]
	}
	return c.servers
}

// firmVisits writes the sessions of firms at a client, and the portal of a client with suppliers.
func firmVisits(s *scribe, o *org, day int) {
	for _, f := range s.w.firms {
		for _, c := range f.clients {
			if c != o {
				continue
			}
			for _, v := range s.w.visits(f, o, day) {
				s.firmVisit(o, v)
			}
			if f.kind == "supplier" && (s.r.chance(0.2) || day == 0) {
				s.portal(o, s.w.clock(s.r, day, 7, 16), f.accounts[0], f.gateway, true)
			}
		}
	}
	if s.hasSupplier(o) {
		s.portalJobs(o, day)
		for range s.r.between(2, 4) { // other suppliers and staff use the portal too
			p := pick(s.r, o.people)
			s.portal(o, s.w.clock(s.r, day, 5, 22.5), p.login, newRNG(s.w.names, "home", p.mail).public(), s.r.chance(0.9))
		}
	}
}

func (s *scribe) hasSupplier(o *org) bool {
	for _, f := range s.w.firms {
		for _, c := range f.clients {
			if f.kind == "supplier" && c == o {
				return true
			}
		}
	}
	return false
}

// firmVisit writes one session and the work in it.
func (s *scribe) firmVisit(o *org, v visit) {
	tn := s.w.tunnelOfFirm(o, v)
	tn.out, tn.in = s.n.between(300_000, 3_000_000), s.n.between(1_000_000, 20_000_000)
	s.tunnel(o, tn)
	list := some(s.r, v.firm.serves(o), s.r.between(1, 2))
	step := v.end.Sub(v.start) / time.Duration(len(list)+1)
	for i, h := range list {
		t := v.start.Add(30*time.Second + time.Duration(i)*step)
		s.rdpLogon(o, h, t, tn, step-20*time.Second, some(s.r, adminCommands, s.r.between(0, 3)), s.r.chance(0.1))
		if s.r.chance(0.2) { // looked for where it once was
			s.conn(o, flow{t: t.Add(40 * time.Second), src: tn.pool, dst: pick(s.r, o.servers).ip, dport: pick(s.r, probePorts), state: pick(s.r, []string{"S0", "REJ"})})
		}
	}
	who := caller{tn.user, tn.machine, tn.pool}
	if v.firm.kind == "supplier" {
		s.listsShares(o, v.start.Add(2*time.Minute), who, list[0], s.r.chance(0.6), pick(s.r, []string{"Scans", ""}))
		return
	}
	s.directoryVisit(o, v.start.Add(2*time.Minute), who, v.end.Sub(v.start)-5*time.Minute)
}

// firmsOut writes, where a firm is one of the organisations, its own side of the visits.
func firmsOut(s *scribe, o *org, day int) {
	for _, f := range s.w.firms {
		if f.org != o {
			continue
		}
		for _, c := range f.clients {
			for _, v := range s.w.visits(f, c, day) {
				s.houseOut(c, v)
			}
		}
	}
}

func (s *scribe) houseOut(c *org, v visit) {
	f := v.firm
	p, dur := f.org.people[v.who], v.end.Sub(v.start)
	s.rdp(f.org, v.start.Add(-50*time.Second), p.desk.ip, f.jump.ip, p.login, p.desk.name, dur+2*time.Minute)
	l := &logon{host: f.jump, user: p.login, kind: 10, workstation: p.desk.name, ip: p.desk.ip}
	s.logon(f.org, v.start.Add(-48*time.Second), l, true)
	s.logoff(f.org, v.end.Add(20*time.Second), l)
	s.wayTo(f.org, c, f.jump, v.start, dur)
}

// wayTo writes the connection of a VPN session as the caller's own sensor sees it.
func (s *scribe) wayTo(from, c *org, h *host, t time.Time, dur time.Duration) {
	f := flow{t: t, src: h.ip, dst: c.gateway, dport: 443, service: "ssl", dur: dur, out: s.n.between(400_000, 3_000_000), in: s.n.between(2_000_000, 40_000_000)}
	if c.vpn == "openvpn" {
		f.proto, f.dport, f.service = "udp", 1194, "openvpn"
	}
	s.conn(from, f)
}

// portalHost is the server of a client's supplier portal, in the server network's outer part.
func (o *org) portalHost() *host { return o.servers[4] }

// portalJobs are what the portal's server does by itself: it reads groups for its roles and puts uploads on the file
// server; its makers work on it from its own desktop now and then.
func (s *scribe) portalJobs(o *org, day int) {
	h := o.portalHost()
	t := s.w.clock(s.r, day, 0, 23)
	s.listsPeople(o, t, h.caller(), true)
	s.listsShares(o, t.Add(4*time.Minute), h.caller(), o.servers[2], true, "Scans")
	s.takes(o, t.Add(9*time.Minute), caller{"svc-backup", h.name, h.ip}, o.servers[2], []string{`ProgramData\portal\uploads.zip`}, s.n.between(1, 40)*1_000_000)
	if day%4 == 1 {
		s.directoryRound(o, t.Add(30*time.Minute), caller{o.adminLogin, h.name, h.ip})
	}
}

// portal writes a sign-in at the portal: the page from outside, the logon with a password on the server, the look into
// the directory and the database behind it.
func (s *scribe) portal(o *org, t time.Time, user string, from netip.Addr, right bool) {
	h := o.portalHost()
	s.tls(o, t, from, h.ip, 443, "portal."+o.domain, s.n.span(20*time.Second, 9*time.Minute), s.n.between(3000, 900_000), s.n.between(20_000, 400_000))
	l := &logon{host: h, user: user, kind: 8, workstation: h.name, ip: from}
	if !right {
		s.denied(o, t.Add(2*time.Second), *l)
		return
	}
	s.logon(o, t.Add(2*time.Second), l, false)
	s.logoff(o, t.Add(s.n.span(time.Minute, 20*time.Minute)), l)
	s.ldap(o, t.Add(time.Second), h.caller(), search{"wholeSubtree", "", "(&(objectClass=user)(sAMAccountName=" + user + "))", "memberOf,displayName", 1, 1})
	s.conn(o, flow{t: t.Add(3 * time.Second), src: h.ip, dst: o.servers[3].ip, dport: 1433, service: "mssql", dur: s.n.span(time.Second, time.Minute), out: s.n.between(900, 9000), in: s.n.between(900, 90_000)})
}
