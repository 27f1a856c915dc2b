package scenario

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cell is a source at an hour of the day in which the intruder acts.
type cell struct {
	file string
	hour int
	org  int
}

func compareCells(a, b cell) int {
	return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.hour, b.hour), cmp.Compare(a.org, b.org))
}

// controls writes honest records of the same source and hour as the intruder's, on other days: where nobody else
// ever works at eight in the evening, the hour alone would tell. They are part of the background: they stand there
// whether or not the attack is written.
func (w *world) controls() {
	s := w.planner("controls")
	for i, c := range slices.SortedFunc(maps.Keys(w.cells), compareCells) {
		o := w.orgs[c.org]
		for k := range 6 {
			at := w.day((i + 2*k + 1) % w.o.Days).Add(time.Duration(c.hour)*time.Hour + s.r.span(0, 50*time.Minute))
			if off := o.shown(c.file, at).Sub(at); off != 0 { // so that the sensor's clock shows that hour
				if at = at.Add(-off); at.Before(w.start) {
					at = at.AddDate(0, 0, 1)
				}
			}
			w.control(s, o, c.file, at, k)
		}
	}
}

func (w *world) control(s *scribe, o *org, file string, at time.Time, k int) {
	source, _, _ := strings.Cut(file, "/")
	p := o.people[s.r.IntN(9)]
	home := where{newRNG(w.names, "home", p.mail).public(), o.asn, o.place}
	switch {
	case file == signInFile:
		if k%2 == 0 {
			s.signIn(o, signIn{t: at, who: p, app: pick(s.r, userApps), from: home, interactive: true, mfa: true})
			return
		}
		from := where{pick(s.n, w.guessers), pick(s.n, hostingASNs), pick(s.n, farPlaces)}
		s.signIn(o, signIn{t: at, who: p, app: pick(s.r, userApps), from: from, interactive: true, err: 50126})
	case file == m365File:
		s.m365(o, at, "MailItemsAccessed", p.mail, home.ip, p)
	case file == activityFile && k < 4:
		s.activity(o, at, "MICROSOFT.COMPUTE/VIRTUALMACHINES/RUNCOMMAND/ACTION", pick(s.r, o.servers), "pipeline@"+o.domain, o.entra, o.egress)
	case source == "mail":
		s := w.planner("control mail " + strconv.Itoa(o.idx) + " " + at.Sub(w.start).String())
		lang := w.language(o)
		tk := pick(s.r, talks[lang])
		s.mail(o, s.chat(&tk, lang, w.mailer(o, o.people[(k+9)%len(o.people)]), w.mailer(o, p), k, at, "colleague"))
	case file == rmmFile && k < 3:
		clients := w.reached(s.r, (*org).managed)
		if len(clients) == 0 {
			return
		}
		tech := s.r.IntN(w.provider.techs)
		w.assistTwice(s, clients[0], tech, pick(s.r, clients[0].servers), at)
	case source == "vpn" && k < 3 && o.reach.vpn:
		w.honestVisit(s, o, at, nil)
	case source == "vpn" && !o.reach.vpn:
		s.tunnel(o, tunnel{user: p.login, from: home.ip, pool: lentTo(o, 55), machine: p.desk.name, machineID: newRNG(w.names, "home", p.mail).guid(), country: o.place.country,
			group: "STAFF", start: at, end: at.Add(s.r.span(10*time.Minute, 40*time.Minute)), out: 2_000_000, in: 9_000_000})
	case file == consoleFile:
		s.consoleSignIn(at, s.r.IntN(w.provider.techs))
	case file == webFile:
		s.asked(at, newRNG(w.names, "home", p.mail).public(), []string{"GET", "POST"}[k%2], w.platform.login, pick(s.r, agents), 200)
	case file == oktaFile:
		s.oktaSignIn(o, at, p.actor(), home, true, 2)
	case file == awsFile:
		s.reads(o, at, s.iam(o, "svc-etl"), o.egress, awsAgents[1], o.buckets()[:1], 2)
	case file == githubFile:
		s.github(o, at, "git.fetch", "access", p.handle(), pick(s.r, repos), home, w.tokenOf(o, p.handle()))
	case file == auditFile:
		s.resets(o, at, o.people[len(o.people)-1].mail, o.egress, p, true)
		s.registers(o, at.Add(5*time.Minute), p, home)
	case source == "firewall":
		s.share(o, at, lentTo(o, 54), o.servers[2], true, "Home")
		s.conn(o, flow{t: at, src: pick(s.n, w.guessers), dst: o.gateway, dport: 3389, state: "S0"})
	case file == "zeek/kerberos.log", file == "zeek/ldap_search.log":
		s.asks(o, at, o.people[len(o.people)-1].caller(), 2)
	case file == "zeek/dce_rpc.log", file == "zeek/smb_files.log", file == "zeek/ntlm.log":
		s.remoteService(o, at, o.people[len(o.people)-1].caller(), pick(s.r, o.servers), deployers[0], true, some(s.r, adminCommands, 2))
	case file == "zeek/rdp.log", file == "zeek/smb_mapping.log", file == "zeek/ssh.log":
		admin := o.people[len(o.people)-1]
		srv := pick(s.r, o.servers)
		s.rdp(o, at, admin.desk.ip, srv.ip, admin.login, admin.desk.name, s.n.span(2*time.Minute, 9*time.Minute))
		s.share(o, at.Add(30*time.Second), admin.desk.ip, srv, true, "C$")
		l := &logon{host: srv, user: admin.login, kind: 10, workstation: admin.desk.name, ip: admin.desk.ip}
		s.logon(o, at.Add(time.Second), l, true)
		s.logoff(o, at.Add(6*time.Minute), l)
	case file == "zeek/dns.log", file == "zeek/ssl.log":
		st := pick(s.r, w.sites)
		s.visit(o, at, p.desk.ip, st.name, st.ip, s.n.between(700, 6000), s.n.between(900, 90000))
	}
}

// lentTo is an address of the VPN pool.
func lentTo(o *org, last int) netip.Addr { return at(o.poolNet, last) }

// assistTwice writes both sides of an honest remote-support session.
func (w *world) assistTwice(s *scribe, c *org, tech int, h *host, at time.Time) {
	who := w.provider.people[tech]
	a := assist{tech: tech, host: h, start: at, end: at.Add(s.r.span(3*time.Minute, 9*time.Minute)), commands: some(s.r, adminCommands, 3), files: true}
	s.serverSide(c, a, who.full(), who.desk.ip)
	s.hostSide(c, a, who.full())
}

// honestVisit writes one more visit of a technician through the VPN; with like, of that one by the same jump host.
func (w *world) honestVisit(s *scribe, c *org, at time.Time, like *session) {
	if !c.reach.vpn {
		return
	}
	v := w.copySession(s.r, c, at, s.r.span(40*time.Minute, 80*time.Minute))
	if like != nil {
		v.tech, v.jump = like.tech, like.jump
	}
	s.wayOut(c, v)
	tn := w.tunnelOf(c, v)
	tn.out, tn.in = s.n.between(400_000, 3_000_000), s.n.between(2_000_000, 40_000_000)
	s.tunnel(c, tn)
	for i, h := range some(s.r, c.servers, 3) {
		t := at.Add(time.Minute + time.Duration(i)*13*time.Minute)
		s.rdpLogon(c, h, t, tn, s.r.span(4*time.Minute, 12*time.Minute), some(s.r, adminCommands, s.r.between(1, 3)), i < 2)
		s.share(c, t.Add(40*time.Second), tn.pool, h, true, pick(s.r, []string{"ADMIN$", "C$"}))
	}
}

// otherDay returns the same hour on a day that is not t's.
func (w *world) otherDay(r *rng, t time.Time) time.Time {
	d := int(t.Sub(w.start) / (24 * time.Hour))
	other := (d + 1 + r.IntN(w.o.Days-1)) % w.o.Days
	return w.day(other).Add(t.Sub(w.day(d)).Truncate(time.Hour) + r.span(0, 40*time.Minute))
}
