package scenario

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// islandHop: staff of a provider are phished under one foreign domain, a mailbox and a remote-support tool of the
// intruder's own follow, then the provider's VPN accounts, its tool and its good name open the way to the clients.
var islandHop = kind{name: "island-hop", cast: castIslandHop, plan: planIslandHop}

var accessLayers = []tenant.Layer{tenant.LayerAccess, tenant.LayerNetwork, tenant.LayerEndpoint, tenant.LayerMail}

func castIslandHop(w *world) {
	outside, fr := w.foothold()
	unheld := outside && len(w.clients) > 3 && fr.chance(0.5) // else a contractor's account opens the door
	r := newRNG(w.o.Seed, "cast")
	first := []Outcome{Attempted, Exposed, Blind, Succeeded, Attempted}
	rest := []Outcome{Attempted, Attempted, Exposed, Exposed, Exposed, Succeeded, Blind, Clear}
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: accessLayers}
		ways := []string{"recon", "denied", "mail"}
		if outcome == Succeeded {
			ways = []string{"desktop", "tool", "reply"}
		}
		if way := ways[(i+r.IntN(3))%3]; outcome == Succeeded || outcome == Attempted {
			c.part.way = way
		}
		switch outcome {
		case Blind:
			cloud := r.chance(0.5)
			c.layers = map[tenant.Layer]bool{tenant.LayerCloud: cloud}
			c.reach.gdap = false
		case Clear:
			c.reach = reach{app: true}
			c.layers[tenant.LayerCloud] = true
		}
		switch c.part.way {
		case "recon":
			c.part.seen = []tenant.Layer{tenant.LayerAccess, tenant.LayerNetwork}
		case "denied":
			c.part.seen = []tenant.Layer{tenant.LayerAccess, tenant.LayerNetwork, tenant.LayerEndpoint}
		case "mail":
			c.part.seen = []tenant.Layer{tenant.LayerMail}
		case "desktop":
			c.part.seen = []tenant.Layer{tenant.LayerAccess, tenant.LayerNetwork, tenant.LayerEndpoint}
			c.part.success = []tenant.Layer{tenant.LayerNetwork, tenant.LayerEndpoint}
		case "tool":
			c.part.seen = []tenant.Layer{tenant.LayerEndpoint, tenant.LayerNetwork}
			c.part.success = []tenant.Layer{tenant.LayerEndpoint}
		case "reply":
			c.layers[tenant.LayerCloud] = true
			c.part.seen = []tenant.Layer{tenant.LayerMail, tenant.LayerNetwork, tenant.LayerCloud}
			c.part.success = []tenant.Layer{tenant.LayerCloud}
		}
	}
	w.neighbour.part = part{outcome: Clear}
	p := w.provider
	all := []tenant.Layer{tenant.LayerCloud, tenant.LayerEndpoint, tenant.LayerNetwork, tenant.LayerMail, tenant.LayerAccess}
	p.part = part{outcome: Succeeded, shows: all, seen: all, success: []tenant.Layer{tenant.LayerCloud, tenant.LayerEndpoint, tenant.LayerNetwork}}
	p.tenant = !unheld
}

// hop is the state of one island hop while it is planned.
type hop struct {
	w    *world
	s    *scribe
	r    *rng
	zero *person // the first member of staff who is taken in
	acts []act
}

func planIslandHop(w *world) {
	outside, _ := w.foothold()
	s := w.planner("attack")
	h := &hop{w: w, s: s, r: s.r}
	p := w.provider
	h.zero = p.people[h.r.IntN(p.techs+2)]
	d0 := w.workday(int(float64(w.o.Days) * (0.1 + 0.25*h.r.Float64())))
	ask := Ask{Ask: p.id, For: h.zero.mail, From: w.day(d0), To: w.end()}
	var inside time.Time
	if outside && p.tenant {
		h.zero = p.people[p.techs]
		inside = h.contractor(d0)
		ask = Ask{Ask: w.lender, For: h.zero.mail, From: w.day(max(0, d0-7)), To: inside}
	} else {
		inside = h.phish(d0)
	}
	inside = h.ownTool(inside)
	last := h.clients(inside)
	if outside && !p.tenant {
		ask = h.askProvider(w.day(d0), last)
	}
	w.campaign(outside, h.acts, ask, w.infrastructure())
}

// askProvider is what the provider must look up, whose logs nobody here has: what the first act at a client came from.
func (h *hop) askProvider(from, last time.Time) Ask {
	ask := Ask{Ask: h.w.provider.id, For: h.w.provider.gateway.String(), From: from, To: last}
	first := last.Add(time.Hour)
	for _, a := range h.acts {
		if a.org.client && a.at.Before(first) {
			first = a.at
			ask.To, ask.For = a.at, a.entity.Value
			if a.layer == tenant.LayerAccess {
				ask.For = a.from.String()
			}
		}
	}
	return ask
}

func (h *hop) as(step string, run func(s *scribe)) {
	h.s.step = step
	run(h.s)
	h.s.step = ""
}

// phish: the same page under one foreign domain for many; one person follows and signs in, minutes later somebody
// else does with that password.
func (h *hop) phish(d0 int) time.Time {
	w, p := h.w, h.w.provider
	t := w.clock(h.r, d0, 6.5, 13)
	targets := some(h.r, p.people, h.r.between(5, 8))
	if !slices.Contains(targets, h.zero) {
		targets[len(targets)-1] = h.zero
	}
	got := t // when the first victim's copy came
	subject, text := pick(h.r, spamSubjects), pick(h.r, spamTexts)
	link := "https://" + w.victim(p) + "/m/" + h.s.n.token(8)
	h.as("T1566.002", func(s *scribe) {
		for i, to := range targets {
			l := letter{t: t.Add(time.Duration(i) * s.r.span(2*time.Second, 40*time.Second)), to: to, subject: subject, text: text, link: link, linkText: "securemail." + p.domain, kind: "foreign-domain"}
			if to == h.zero {
				got = l.t
			}
			s.letter(p, l.stranger("Secure Mail", "notice@"+w.foe.apex, w.foe.web))
		}
	})
	h.acts = append(h.acts, act{at: got, org: p, layer: tenant.LayerMail, entity: Entity{"mailbox", h.zero.mail}})
	click := got.Add(h.r.span(7*time.Minute, 90*time.Minute))
	h.as("T1566.002", func(s *scribe) {
		s.visit(p, click, h.zero.desk.ip, w.victim(p), w.foe.web, 3900, 21000)
		s.visit(p, click.Add(50*time.Second), h.zero.desk.ip, w.victim(p), w.foe.web, 7200, 4100)
		s.resolved(p, h.zero.desk, click, edge, w.victim(p), w.foe.web)
	})
	h.acts = append(h.acts, act{at: click, org: p, layer: tenant.LayerNetwork, entity: Entity{"domain", w.victim(p)}})
	in := click.Add(h.r.span(3*time.Minute, 25*time.Minute))
	h.mailbox(in)
	return in
}

// contractor: nobody was phished here; the account of somebody from outside is simply used from a new place.
func (h *hop) contractor(d0 int) time.Time {
	in := h.w.clock(h.r, d0, 6.5, 16)
	h.mailbox(in)
	return in
}

// mailbox: sign-in from the intruder's network, mail read, a rule that hides the answers.
func (h *hop) mailbox(in time.Time) {
	w, p := h.w, h.w.provider
	from := where{w.foe.exit, w.foe.asn, w.foe.place}
	h.as("T1078.004", func(s *scribe) {
		s.signIn(p, signIn{t: in, who: h.zero, app: appExchange, from: from, interactive: true, mfa: s.r.chance(0.5)})
		s.signIn(p, signIn{t: in.Add(2 * time.Minute), who: h.zero, app: appTeams, from: from})
	})
	h.acts = append(h.acts, act{at: in, org: p, layer: tenant.LayerCloud, entity: Entity{"user", h.zero.mail}})
	h.as("T1114.002", func(s *scribe) {
		for i := range s.r.between(3, 7) {
			s.m365(p, in.Add(time.Duration(i+2)*s.n.span(time.Minute, 4*time.Minute)), "MailItemsAccessed", h.zero.mail, from.ip, h.zero)
		}
	})
	h.as("T1564.008", func(s *scribe) {
		s.m365(p, in.Add(50*time.Minute), "New-InboxRule", h.zero.mail, from.ip, h.zero, pair{"Name", "."}, pair{"MoveToFolder", "RSS Feeds"}, pair{"SubjectContainsWords", "ticket"})
	})
}

// ownTool: the intruder's own instance of the product that the provider uses too, first on the desk of the first
// victim, then on a jump host.
func (h *hop) ownTool(after time.Time) time.Time {
	w, p := h.w, h.w.provider
	d := w.workday(int(after.Sub(w.start)/(24*time.Hour)) + h.r.IntN(2))
	t := w.clock(h.r, d, 7, 15)
	if t.Before(after) {
		t = after.Add(h.r.span(20*time.Minute, 90*time.Minute))
	}
	desk, jump := h.zero.desk, p.servers[p.jumps[h.r.IntN(2)]]
	h.as("T1219.002", func(s *scribe) {
		s.installs(p, desk, t, w.foeAgent(desk), h.zero.login, w.foe.relayIP)
		s.agentLog(p, desk, t.Add(9*time.Minute), w.foeAgent(desk), 100, "Cloud Account Administrator Connected")
		s.runs(p, desk, t.Add(12*time.Minute), w.foeAgent(desk), some(s.r, adminCommands, 3))
	})
	h.acts = append(h.acts, act{at: t, org: p, layer: tenant.LayerEndpoint, entity: Entity{"rmm-instance", w.foe.instance}})
	t = t.Add(h.r.span(time.Hour, 4*time.Hour))
	h.as("T1021.001", func(s *scribe) {
		s.rdp(p, t, desk.ip, jump.ip, h.zero.login, desk.name, s.n.span(45*time.Minute, 55*time.Minute))
		l := &logon{host: jump, user: h.zero.login, kind: 10, workstation: desk.name, ip: desk.ip}
		s.logon(p, t.Add(3*time.Second), l, true)
		s.commands(p, jump, t.Add(2*time.Minute), h.zero.login, l.id, some(s.r, adminCommands, s.r.between(3, 5)))
		s.logoff(p, t.Add(50*time.Minute), l)
	})
	h.as("T1219.002", func(s *scribe) {
		s.installs(p, jump, t.Add(8*time.Minute), w.foeAgent(jump), h.zero.login, w.foe.relayIP)
	})
	return t.Add(time.Hour)
}

// clients walks through the clients in an order of its own, some on the same day, some later, by day and by evening.
func (h *hop) clients(after time.Time) time.Time {
	w := h.w
	last := after
	for _, i := range h.r.Perm(len(w.clients)) {
		c := w.clients[i]
		if c.part.outcome != Succeeded && c.part.outcome != Attempted {
			continue
		}
		first := int(after.Sub(w.start) / (24 * time.Hour))
		d := min(w.workday(first+h.r.IntN(max(1, w.o.Days-first))), w.o.Days-1)
		t := w.clock(h.r, d, 7, 15)
		if h.r.chance(0.4) {
			t = w.clock(h.r, d, 17, 20.5)
		}
		if t.Before(after) {
			t = after.Add(h.r.span(5*time.Minute, 2*time.Hour))
		}
		if latest := w.end().Add(-3 * time.Hour); t.After(latest) {
			t = latest
		}
		h.client(c, t)
		if t.After(last) {
			last = t
		}
	}
	return last
}

func (h *hop) client(c *org, t time.Time) {
	w := h.w
	switch c.part.way {
	case "mail", "reply":
		h.lateral(c, t)
		return
	case "tool":
		h.throughTool(c, t)
		return
	}
	v := w.copySession(h.r, c, t, h.r.span(40*time.Minute, 110*time.Minute))
	tn := w.tunnelOf(c, v)
	tn.out, tn.in = h.s.n.between(400_000, 3_000_000), h.s.n.between(2_000_000, 40_000_000)
	jump := w.provider.servers[w.provider.jumps[v.jump]]
	honest := w.planner("control visit " + strconv.Itoa(c.idx))
	w.honestVisit(honest, c, w.otherDay(honest.r, t), &v)
	h.as("T1133", func(s *scribe) {
		s.tunnelOut(c, v, jump)
		s.tunnel(c, tn)
	})
	h.acts = append(h.acts, act{at: t, org: c, layer: tenant.LayerAccess, entity: Entity{"user", tn.user}, from: tn.from})
	h.as("T1046", func(s *scribe) { h.recon(c, tn.pool, t.Add(4*time.Minute)) })
	targets := some(h.r, c.servers, h.r.between(2, 3))
	switch c.part.way {
	case "denied":
		h.as("T1110", func(s *scribe) {
			for i, srv := range targets {
				for n := range s.r.between(2, 4) {
					at := t.Add(25*time.Minute + time.Duration(i*5+n)*40*time.Second)
					s.conn(c, flow{t: at.Add(-time.Second), src: tn.pool, dst: srv.ip, dport: 445, state: "RSTO", dur: time.Second, out: 900, in: 700})
					s.denied(c, at, logon{host: srv, user: tn.user, kind: 3, workstation: tn.machine, ip: tn.pool})
				}
			}
		})
	case "desktop":
		h.as("T1021.001", func(s *scribe) {
			for i, srv := range targets {
				at := t.Add(22*time.Minute + time.Duration(i)*7*time.Minute)
				s.rdpLogon(c, srv, at, tn, s.r.span(4*time.Minute, 6*time.Minute), some(s.r, adminCommands, s.r.between(3, 6)), i == 0)
				if i == 0 {
					s.share(c, at.Add(3*time.Minute), tn.pool, srv, true, "C$")
				}
			}
		})
	}
}

// recon asks many addresses on few ports; most do not answer.
func (h *hop) recon(c *org, src netip.Addr, t time.Time) {
	s := h.s
	ports := some(h.r, probePorts, h.r.between(1, 3))
	alive := map[netip.Addr]*host{}
	for _, srv := range c.servers {
		alive[srv.ip] = srv
	}
	list := h.r.Perm(sweepLast)[:h.r.between(22, 45)]
	pace := h.r.span(200*time.Millisecond, 20*time.Second)
	for _, i := range list {
		dst := at(c.serverNet, i+1)
		for _, port := range ports {
			t = t.Add(time.Duration(float64(pace) * (0.4 + h.r.Float64())))
			f := flow{t: t, src: src, dst: dst, dport: port, state: "S0"}
			if alive[dst] != nil {
				f.state = "REJ"
				if port == 445 || port == 3389 || port == 135 {
					f.state, f.dur, f.out, f.in = "RSTO", s.n.span(time.Millisecond, 300*time.Millisecond), s.n.between(0, 90), s.n.between(0, 90)
				}
			}
			s.conn(c, f)
		}
	}
}

// throughTool: the provider's own remote-support server, with a technician's login.
func (h *hop) throughTool(c *org, t time.Time) {
	w := h.w
	tech := h.r.IntN(w.provider.techs)
	who := w.provider.people[tech]
	from := w.provider.servers[w.provider.jumps[0]].ip
	h.as("T1072", func(s *scribe) {
		for i, srv := range some(s.r, c.servers, s.r.between(2, 3)) {
			a := assist{tech: tech, host: srv, start: t.Add(time.Duration(i) * 9 * time.Minute), commands: some(s.r, adminCommands, s.r.between(3, 5)), files: i == 0}
			a.end = a.start.Add(8 * time.Minute)
			s.serverSide(c, a, who.full(), from)
			s.hostSide(c, a, who.full())
		}
	})
	h.acts = append(h.acts, act{at: t, org: c, layer: tenant.LayerEndpoint, entity: Entity{"user", who.full()}})
	honest := w.planner("control tool " + strconv.Itoa(c.idx))
	w.assistTwice(honest, c, tech, pick(honest.r, c.servers), w.otherDay(honest.r, t))
}

// lateral writes to people of a client from the real mailbox, through the provider's real server.
func (h *hop) lateral(c *org, t time.Time) {
	w, p := h.w, h.w.provider
	h.r.IntN(3) // the words are drawn elsewhere; the story of a seed goes on as it did when they were drawn here
	h.r.IntN(4)
	to := some(h.r, c.people, h.r.between(2, 5))
	h.as("T1534", func(s *scribe) {
		s.lateralMail(c, h.zero, to, t, func() string { return "https://" + w.victim(c) + "/s/" + s.n.token(8) })
		s.m365(p, t, "Send", h.zero.mail, w.foe.exit, h.zero)
	})
	h.acts = append(h.acts, act{at: t, org: c, layer: tenant.LayerMail, entity: Entity{"mailbox", h.zero.mail}})
	if c.part.way != "reply" {
		return
	}
	victim := to[0]
	click := t.Add(h.r.span(5*time.Minute, 50*time.Minute))
	h.as("T1566.002", func(s *scribe) {
		s.visit(c, click, victim.desk.ip, w.victim(c), w.foe.web, 4100, 20500)
		s.resolved(c, victim.desk, click, edge, w.victim(c), w.foe.web)
	})
	in := click.Add(h.r.span(3*time.Minute, 15*time.Minute))
	h.as("T1078.004", func(s *scribe) {
		s.signIn(c, signIn{t: in, who: victim, app: appExchange, from: where{w.foe.exit, w.foe.asn, w.foe.place}, interactive: true})
		for i := range s.r.between(2, 4) {
			s.m365(c, in.Add(time.Duration(i+1)*90*time.Second), "MailItemsAccessed", victim.mail, w.foe.exit, victim)
		}
	})
}
