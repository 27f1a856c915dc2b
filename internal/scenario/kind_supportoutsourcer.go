package scenario

import (
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// supportOutsourcer: the provider is a help desk for others. From a half-managed network that came with a merger the
// intruder takes over a support engineer's computer and does, in the engineer's name and with the desk's own tools, what
// the desk does all day: resets passwords and second factors, opens screens, looks into mailboxes.
var supportOutsourcer = kind{name: "support-outsourcer", cast: castSupportOutsourcer, plan: planSupportOutsourcer, minClients: 4, directory: true}

func castSupportOutsourcer(w *world) {
	outside, _ := w.foothold()
	r := newRNG(w.o.Seed, "cast")
	cloud := []tenant.Layer{tenant.LayerCloud}
	shows := []tenant.Layer{tenant.LayerCloud, tenant.LayerEndpoint}
	first := []Outcome{Attempted, Exposed, Blind, Succeeded}
	rest := []Outcome{Exposed, Exposed, Exposed, Exposed, Succeeded, Attempted, Blind, Clear}
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: shows}
		c.reach.gdap = true
		switch outcome {
		case Blind:
			c.layers = map[tenant.Layer]bool{tenant.LayerMail: r.chance(0.5)}
		case Clear:
			c.reach = reach{app: true}
			watched(c, tenant.LayerCloud)
		case Attempted:
			watched(c, tenant.LayerCloud)
			c.part.seen, c.part.way = cloud, pick(r, []string{"blocked", "withdrawn"})
		case Succeeded:
			watched(c, tenant.LayerCloud, tenant.LayerEndpoint)
			c.part.seen, c.part.success, c.part.way = shows, cloud, "reset"
			if r.chance(0.4) {
				c.part.way, c.part.success = "screen", []tenant.Layer{tenant.LayerEndpoint}
				c.part.seen = []tenant.Layer{tenant.LayerEndpoint, tenant.LayerNetwork}
				watched(c, tenant.LayerNetwork)
			} else {
				c.part.seen = cloud
			}
		}
	}
	w.neighbour.part = part{outcome: Clear}
	p := w.provider
	all := []tenant.Layer{tenant.LayerEndpoint, tenant.LayerNetwork}
	p.part = part{outcome: Succeeded, shows: []tenant.Layer{tenant.LayerEndpoint, tenant.LayerNetwork, tenant.LayerCloud, tenant.LayerAccess}, seen: all, success: all}
	p.tenant = !outside
	w.castSecond(r, 30)
}

// legacy is a host of the network that came with a merger.
func (w *world) legacy(i int) *host {
	return &host{name: "OLD-" + w.provider.short[:min(3, len(w.provider.short))] + strconv.Itoa(i+1), role: "WS", ip: at(w.provider.deskNet, 236+i)}
}

// legacyHosts: people from the merged house still work on their old hosts and go to their new desks from there, some
// late; the desks' protection is stopped and started when it is updated; new phones are registered by everybody.
func legacyHosts(w *world, s *scribe) {
	p := w.provider
	for _, who := range p.people[:p.techs+1] {
		for i := range 2 {
			t := w.clock(s.r, s.r.IntN(w.o.Days), 0.5, 22)
			h := w.legacy(i)
			s.fromLegacy(t, h, who, s.r.span(4*time.Minute, time.Hour))
			s.stopsGuard(t.Add(3*time.Hour/2), who)
			s.visit(p, t.Add(20*time.Minute), who.desk.ip, "raw.githubusercontent.com", siteNamed(w, "raw.githubusercontent.com").ip, s.n.between(900, 9000), s.n.between(40_000, 4_000_000))
		}
	}
	for _, c := range w.clients {
		if !c.reach.gdap {
			continue
		}
		for i, who := range c.people {
			t := w.clock(s.r, w.workday(i%w.o.Days), 5.5, 16)
			s.audit(c, t, "User registered security info", who.mail, c.egress, who)
			if i < 9 {
				desk := w.provider.people[(i+c.idx)%w.provider.techs]
				s.resets(c, w.clock(s.r, s.r.IntN(w.o.Days), 6, 21), guest(w.provider, desk), w.provider.egress, who, s.r.chance(0.5))
			}
		}
	}
}

func siteNamed(w *world, name string) site {
	for _, x := range w.sites {
		if x.name == name {
			return x
		}
	}
	return w.sites[0]
}

// fromLegacy is a remote desktop from an old host to a desk.
func (s *scribe) fromLegacy(t time.Time, h *host, who *person, dur time.Duration) {
	p := s.w.provider
	s.rdp(p, t, h.ip, who.desk.ip, who.login, h.name, dur)
	l := &logon{host: who.desk, user: who.login, kind: 10, workstation: h.name, ip: h.ip}
	s.logon(p, t.Add(2*time.Second), l, s.r.chance(0.5))
	s.commands(p, who.desk, t.Add(2*time.Minute), who.login, l.id, some(s.r, adminCommands, s.r.between(1, 3)))
	s.logoff(p, t.Add(dur), l)
}

// stopsGuard stops a desk's protection for a while, as its updates do.
func (s *scribe) stopsGuard(t time.Time, who *person) {
	s.state(s.w.provider, who.desk, t, "Endpoint Protection Service", "stopped")
	s.state(s.w.provider, who.desk, t.Add(s.n.span(time.Minute, 40*time.Minute)), "Endpoint Protection Service", "running")
}

func planSupportOutsourcer(w *world) {
	outside, _ := w.foothold()
	x := w.intrusion("attack", &w.foe)
	p := w.provider
	tech := x.r.IntN(p.techs)
	who := p.people[tech]
	begin := x.hour(w.workday(w.o.Days/6), pick(x.r, habits))
	for i := range x.r.between(2, 4) { // several nights on the computer, looking for what the desk can do
		t := begin.Add(time.Duration(i) * x.r.span(20*time.Hour, 27*time.Hour))
		x.as("T1021.001", func(s *scribe) { s.fromLegacy(t, w.legacy(s.r.IntN(2)), who, s.r.span(20*time.Minute, 2*time.Hour)) })
		if i == 0 {
			x.did(t, p, tenant.LayerNetwork, "user", who.login, w.legacy(0).ip)
		}
		if i < 2 {
			x.as("T1562.001", func(s *scribe) { s.stopsGuard(t.Add(9*time.Minute), who) })
			x.as("T1105", func(s *scribe) {
				const host = "raw.githubusercontent.com"
				s.visit(p, t.Add(14*time.Minute), who.desk.ip, host, siteNamed(w, host).ip, 2400, s.n.between(300_000, 3_000_000))
				s.wrote(p, who.desk, t.Add(15*time.Minute), edge, `C:\Users\`+who.login+`\Downloads\setup.exe`)
			})
		}
	}
	day := begin.Add(x.r.span(20*time.Hour, 60*time.Hour))
	t := day
	for _, c := range w.reached(x.r, func(c *org) bool { return c.part.way != "" }) {
		if x.r.chance(0.4) { // else all within the hour
			t = x.later(day, pick(x.r, habits[:2]))
		}
		if latest := w.end().Add(-4 * time.Hour); t.After(latest) {
			t = latest
		}
		x.asDesk(c, t, tech)
		t = t.Add(x.r.span(4*time.Minute, 25*time.Minute))
	}
	ask := x.firstAt(p.id, who.mail, w.start)
	w.campaign(outside, x.acts, ask, x.foe.own())
}

// asDesk is what the intruder does at one client in the engineer's name.
func (x *intrusion) asDesk(c *org, t time.Time, tech int) {
	w, p := x.w, x.w.provider
	who := p.people[tech]
	honest := w.planner("control desk " + strconv.Itoa(c.idx))
	victim := c.people[x.r.IntN(9)]
	if c.part.way == "screen" {
		hosts := []*host{victim.desk, pick(x.r, c.servers)}
		for _, h := range hosts {
			w.assistTwice(honest, c, tech, h, w.otherDay(honest.r, t))
		}
		x.as("T1219.002", func(s *scribe) {
			for i, h := range hosts {
				a := assist{tech: tech, host: h, start: t.Add(time.Duration(i) * 11 * time.Minute), commands: some(s.r, adminCommands, s.r.between(1, 3)), files: i == 1}
				a.end = a.start.Add(s.r.span(5*time.Minute, 10*time.Minute))
				s.serverSide(c, a, who.full(), who.desk.ip)
				s.hostSide(c, a, who.full())
			}
		})
		x.did(t, c, tenant.LayerEndpoint, "user", who.full(), who.desk.ip)
		return
	}
	w.honestDelegation(c, t, tech)
	x.as("T1199", func(s *scribe) {
		s.delegatedSignIn(c, delegated{tech: tech, start: t, ask: -1, vm: -1, app: appPortal, id: s.n.guid()}, p.office())
	})
	x.did(t, c, tenant.LayerCloud, "user", who.mail, p.egress)
	at := t.Add(x.r.span(2*time.Minute, 9*time.Minute))
	x.as("T1098.005", func(s *scribe) { s.resets(c, at, guest(p, who), p.egress, victim, true) })
	at = at.Add(x.r.span(3*time.Minute, 20*time.Minute))
	from := where{x.foe.exit, x.foe.asn, x.foe.place}
	switch c.part.way {
	case "blocked":
		x.as("T1078.004", func(s *scribe) {
			for range s.r.between(2, 4) {
				s.signIn(c, signIn{t: at, who: victim, app: pick(s.r, userApps), from: from, interactive: true, err: pick(s.r, []int{53003, 50076})})
				at = at.Add(s.r.span(20*time.Second, 3*time.Minute))
			}
		})
	case "withdrawn": // the client's own people notice and put it back
		admin := c.people[len(c.people)-1]
		honest.audit(c, at, "Reset user password", admin.mail, c.egress, victim)
	case "reset":
		x.as("T1556.006", func(s *scribe) { s.registers(c, at, victim, from) })
		x.as("T1114.002", func(s *scribe) {
			for i := range s.r.between(2, 6) {
				s.m365(c, at.Add(time.Duration(i+4)*s.n.span(time.Minute, 4*time.Minute)), pick(s.r, []string{"MailItemsAccessed", "FileDownloaded"}), victim.mail, from.ip, victim)
			}
		})
		if x.r.chance(0.5) { // the second, more privileged account
			next := c.people[len(c.people)-1]
			x.as("T1098.005", func(s *scribe) { s.resets(c, at.Add(time.Hour), guest(p, who), p.egress, next, true) })
			x.as("T1556.006", func(s *scribe) { s.registers(c, at.Add(70*time.Minute), next, from) })
		}
	}
}
