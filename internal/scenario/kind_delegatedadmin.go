package scenario

import (
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// delegatedAdmin: passwords of a provider's staff are guessed, and with one technician's account the intruder
// enters client clouds by delegated administration: mailboxes are read, commands run on machines.
var delegatedAdmin = kind{name: "delegated-admin", cast: castDelegatedAdmin, plan: planDelegatedAdmin}

func castDelegatedAdmin(w *world) {
	outside, fr := w.foothold()
	unheld := outside && len(w.clients) > 3 && fr.chance(0.5) // else the provider keeps no cloud logs
	r := newRNG(w.o.Seed, "cast")
	cloud := []tenant.Layer{tenant.LayerCloud}
	w.neighbour.part = part{outcome: Clear}
	p := w.provider
	p.tenant = !unheld
	p.part = part{outcome: Succeeded, shows: cloud, seen: cloud, success: cloud}
	first := []Outcome{Attempted, Exposed, Blind, Succeeded, Clear, Succeeded}
	if outside && !unheld {
		p.layers[tenant.LayerCloud] = false
		p.part = part{outcome: Blind}
		first = []Outcome{Attempted, Exposed, Succeeded, Blind, Clear, Succeeded}
	}
	rest := []Outcome{Exposed, Exposed, Exposed, Attempted, Succeeded, Blind, Clear, Clear}
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: cloud}
		c.reach.gdap = outcome != Clear
		c.layers[tenant.LayerCloud] = outcome != Blind
		switch outcome {
		case Succeeded:
			c.part.seen, c.part.success = cloud, cloud
			c.part.way = []string{"mailboxes", "machines", "both"}[(i+r.IntN(3))%3]
		case Attempted:
			c.part.seen, c.part.way = cloud, "refused"
		}
	}
}

func planDelegatedAdmin(w *world) {
	outside, _ := w.foothold()
	s := w.planner("attack")
	p := w.provider
	d0 := w.workday(int(float64(w.o.Days) * (0.15 + 0.25*s.r.Float64())))
	tech := w.usualDelegate(s.r)
	begin := w.clock(s.r, d0, 0.5, 5)
	in := w.spray(s, begin, tech)
	acts := []act{{at: in, org: p, layer: tenant.LayerCloud, entity: Entity{"user", p.people[tech].mail}}}
	from := where{w.foe.exit, w.foe.asn, w.foe.place}
	if s.r.chance(0.4) { // through the provider's own way out, as a technician would
		from = p.office()
	}
	s.step = "T1078.004"
	s.signIn(p, signIn{t: in.Add(9 * time.Minute), who: p.people[tech], app: appPortal, from: from, interactive: true, mfa: true})
	s.step = ""
	first := w.end()
	day := int(in.Sub(w.start) / (24 * time.Hour))
	for _, i := range s.r.Perm(len(w.clients)) {
		c := w.clients[i]
		if c.part.way == "" {
			continue
		}
		d := min(w.workday(day+s.r.IntN(max(1, w.o.Days-day))), w.o.Days-1)
		t := w.clock(s.r, d, 7, 16)
		if s.r.chance(0.4) {
			t = w.clock(s.r, d, 17, 21)
		}
		if t.Before(in.Add(time.Hour)) {
			t = in.Add(time.Hour + s.r.span(0, 3*time.Hour))
		}
		w.enterCloud(s, c, t, tech, from)
		acts = append(acts, act{at: t, org: c, layer: tenant.LayerCloud, entity: Entity{"user", p.people[tech].mail}})
		if t.Before(first) {
			first = t
		}
	}
	ask := Ask{Ask: p.id, For: p.people[tech].mail, From: w.day(d0), To: first}
	w.campaign(outside, acts, ask, w.infrastructure())
}

// usualDelegate picks a technician who looks after client clouds anyway.
func (w *world) usualDelegate(r *rng) int {
	n := map[int]int{}
	for _, c := range w.clients {
		for d := range w.o.Days {
			for _, v := range w.delegations(c, d) {
				n[v.tech]++
			}
		}
	}
	var usual []int
	for i := range w.provider.techs {
		if n[i] >= 2 {
			usual = append(usual, i)
		}
	}
	if len(usual) == 0 {
		return r.IntN(w.provider.techs)
	}
	return pick(r, usual)
}

// spray tries few passwords on many of the provider's people from many places, slowly; the last try fits.
func (w *world) spray(s *scribe, t time.Time, tech int) time.Time {
	p := w.provider
	s.step = "T1110.003"
	defer func() { s.step = "" }()
	pace := s.r.span(40*time.Second, 7*time.Minute)
	for range s.r.between(1, 2) {
		for _, i := range s.r.Perm(min(len(p.people), 14)) {
			t = t.Add(time.Duration(float64(pace) * (0.5 + s.r.Float64())))
			from := where{pick(s.r, w.foe.exits), pick(s.r, hostingASNs), pick(s.r, farPlaces)}
			s.signIn(p, signIn{t: t, who: p.people[i], app: pick(s.r, userApps), from: from, err: 50126, interactive: s.r.chance(0.7)})
		}
	}
	t = t.Add(s.r.span(time.Minute, 30*time.Minute))
	s.step = "T1078.004"
	s.signIn(p, signIn{t: t, who: p.people[tech], app: appExchange, from: where{pick(s.r, w.foe.exits), w.foe.asn, w.foe.place}, interactive: true})
	return t
}

// enterCloud is the visit to one client: refused, or mailboxes of several people, or a command on machines.
func (w *world) enterCloud(s *scribe, c *org, t time.Time, tech int, from where) {
	s.step = "T1199"
	defer func() { s.step = "" }()
	visit := delegated{tech: tech, start: t, ask: -1, vm: -1, app: pick(s.r, adminApps)}
	if c.part.way == "refused" {
		for range s.r.between(2, 4) {
			visit.err, visit.id = pick(s.r, []int{53003, 50076}), s.n.guid()
			s.delegatedSignIn(c, visit, from)
			visit.start = visit.start.Add(s.r.span(30*time.Second, 9*time.Minute))
		}
		return
	}
	w.honestDelegation(c, t, tech)
	visit.id = s.n.guid()
	s.delegatedSignIn(c, visit, from)
	if c.part.way != "machines" {
		for _, box := range s.r.Perm(9)[:s.r.between(3, 5)] {
			s.step = "T1114.002"
			visit.ask = box
			s.delegatedWork(c, visit, from, s.r.between(1, 4))
			visit.start = visit.start.Add(s.r.span(3*time.Minute, 15*time.Minute))
		}
	}
	if c.part.way != "mailboxes" {
		visit.ask = -1
		for _, vm := range s.r.Perm(len(c.servers))[:2] {
			s.step = "T1651"
			visit.vm = vm
			s.delegatedWork(c, visit, from, 0)
			visit.start = visit.start.Add(s.r.span(4*time.Minute, 20*time.Minute))
		}
	}
}

// honestDelegation is a visit by the same technician on another day, with a ticket.
func (w *world) honestDelegation(c *org, t time.Time, tech int) {
	s := w.planner("control delegation " + strconv.Itoa(c.idx))
	v := delegated{tech: tech, start: w.otherDay(s.r, t), ask: s.r.IntN(9), vm: s.r.IntN(len(c.servers)), app: pick(s.r, adminApps), id: s.n.guid()}
	s.delegatedSignIn(c, v, w.provider.office())
	s.delegatedWork(c, v, w.provider.office(), 2)
}
