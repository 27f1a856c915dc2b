package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// twoHops: the intruder comes through the provider to a client that looks after other houses itself, and goes on to
// them. The truth's partner is the provider, who has no trust into the last houses; the way leads over two.
var twoHops = kind{name: "two-hops", cast: castTwoHops, plan: planTwoHops, minClients: 4, directory: true}

// The places among the clients: the house in the middle, then those behind it.
func castTwoHops(w *world) {
	outside, fr := w.foothold()
	r := newRNG(w.o.Seed, "cast")
	order := r.Perm(len(w.clients))
	hub := w.clients[order[0]]
	hub.part = castPart(Succeeded)
	watched(hub, inside...)
	last := []Outcome{Attempted}
	if len(w.clients) > 4 {
		last = []Outcome{Succeeded, Attempted}
	}
	rest := append([]Outcome{Exposed, Blind}, allot(r, max(0, len(order)-3-len(last)), nil, []Outcome{Exposed, Exposed, Attempted, Blind, Clear})...)
	var behind []*org
	for i, k := range order[1:] {
		c := w.clients[k]
		if i < len(last) {
			c.part = castPart(last[i])
			c.part.way = "behind"
			c.reach = reach{} // only the house in the middle comes here
			behind = append(behind, c)
			watched(c, inside...)
			continue
		}
		c.part = castPart(rest[i-len(last)])
		switch c.part.outcome {
		case Blind:
			quiet(c, r)
		case Clear:
			c.reach = reach{app: true}
			watched(c, tenant.LayerCloud)
		default:
			watched(c, inside...)
		}
	}
	if len(w.clients) > 5 { // one more house that nobody went to
		for _, k := range order[1+len(last):] {
			if c := w.clients[k]; c.part.outcome == Exposed {
				behind = append(behind, c)
				break
			}
		}
	}
	w.neighbour.part = part{outcome: Clear}
	p := w.provider
	all := []tenant.Layer{tenant.LayerCloud, tenant.LayerEndpoint, tenant.LayerNetwork}
	p.part = part{outcome: Succeeded, shows: all, seen: all, success: all}
	p.tenant = !(outside && fr.chance(0.6))
	w.houseFirm(hub, 3, 50, behind)
	w.castSecond(r, 30)
}

func planTwoHops(w *world) {
	outside, _ := w.foothold()
	x := w.insider(outside)
	f := w.firms[0]
	hub := f.org
	begin := w.clock(x.r, w.workday(w.o.Days/8), 7, 15)
	x.opens(begin)
	// The house in the middle: a visit that looks round, ends on the host from which it serves others.
	t := x.later(begin.Add(2*time.Hour), x.habit)
	if latest := w.end().Add(-30 * time.Hour); t.After(latest) {
		t = latest
	}
	tn, who, _ := x.goesTo(hub, t, x.r.span(3*time.Hour, 4*time.Hour), true)
	at := x.maps(hub, who, tn.start.Add(5*time.Minute), x.r.between(1, 2))
	if x.r.chance(0.5) {
		at = x.sweeps(hub, who.ip, at, x.r.between(8, 30), some(x.r, probePorts, 2), x.r.span(300*time.Millisecond, 10*time.Second))
	}
	x.service(hub, who, pick(x.r, hub.servers[:4]), at.Add(5*time.Minute))
	x.desktop(hub, f.jump, at.Add(20*time.Minute), tn, 90*time.Minute)
	person := x.r.IntN(len(f.accounts))
	x.as("T1021.001", func(s *scribe) { // with the account of one of the house's own people, from the host it knows
		p := hub.people[person]
		l := &logon{host: f.jump, user: p.login, kind: 3, workstation: tn.machine, ip: tn.pool}
		s.logon(hub, at.Add(30*time.Minute), l, true)
		s.logoff(hub, at.Add(40*time.Minute), l)
	})
	after := at.Add(time.Hour)
	for _, c := range w.reached(x.r, func(c *org) bool { return c.part.way == "behind" }) {
		x.throughFirm(c, f, person, x.later(after, x.habit), false)
	}
	for _, c := range w.reached(x.r, func(c *org) bool { return c.part.way == "tunnel" && c != hub }) {
		tn, who, _ := x.goesTo(c, x.later(begin.Add(2*time.Hour), x.habit), x.r.span(2*time.Hour, 3*time.Hour), true)
		x.on(c, tn, who, tn.start.Add(5*time.Minute))
	}
	w.campaign(outside, x.acts, x.question(begin), x.foe.own())
}
