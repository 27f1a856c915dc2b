package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// twoProviders: two providers look after the same clients in the same way. One of them is the way in; the other scans
// by approval in the same days and must not be blamed. In a quarter of the seeds both are, in two campaigns of two
// intruders who know nothing of each other.
var twoProviders = kind{name: "two-providers", cast: castTwoProviders, plan: planTwoProviders, minClients: 4, directory: true}

// guilty draws which of the two is the way in.
func (w *world) guilty() (first, second bool) {
	switch newRNG(w.o.Seed, "guilty").IntN(8) {
	case 0, 1:
		return true, true
	case 2, 3, 4:
		return true, false
	}
	return false, true
}

func castTwoProviders(w *world) {
	first, second := w.guilty()
	outside, _ := w.foothold()
	r := newRNG(w.o.Seed, "cast")
	w.neighbour.part = part{outcome: Clear}
	p := w.provider
	all := []tenant.Layer{tenant.LayerCloud, tenant.LayerEndpoint, tenant.LayerNetwork}
	p.part = part{outcome: Clear}
	if first {
		p.part = part{outcome: Succeeded, shows: all, seen: all, success: all}
		p.tenant = !outside || len(w.clients) < 5
	}
	one := []Outcome{Succeeded, Attempted, Exposed, Blind}
	rest := []Outcome{Exposed, Exposed, Attempted, Succeeded}
	outcomes := allot(r, len(w.clients), one, rest)
	var others []Outcome
	if second { // the same clients are blind, the rest is its own story
		for _, o := range outcomes {
			if o != Blind {
				o = pick(r, []Outcome{Exposed, Exposed, Attempted, Succeeded, Clear})
			}
			others = append(others, o)
		}
		spread(others)
	}
	var with []*org
	for i, c := range w.clients {
		c.part = castPart(outcomes[i])
		if second && !first {
			c.part = castPart(others[i])
		} else if second {
			c.second = castPart(others[i])
		}
		if outcomes[i] == Blind {
			quiet(c, r)
		} else {
			watched(c, inside...)
		}
		if second && others[i] != Clear || !second && (i < 2 || r.chance(0.7)) {
			with = append(with, c)
		}
	}
	w.newFirm("provider", "second", 3, 30, with)
}

// spread makes sure that the outcomes that a campaign must have occur among those that are not blind.
func spread(list []Outcome) {
	want := []Outcome{Succeeded, Attempted, Exposed}
	for i := range list {
		if list[i] != Blind && len(want) > 0 {
			list[i], want = want[0], want[1:]
		}
	}
}

// castPart is the part of a client to which somebody may come through a tunnel.
func castPart(o Outcome) part {
	p := part{outcome: o, shows: inside}
	switch o {
	case Succeeded:
		p.seen, p.success, p.way = inside, []tenant.Layer{tenant.LayerNetwork, tenant.LayerEndpoint}, "tunnel"
	case Attempted:
		p.seen, p.way = inside, "tunnel"
	case Clear:
		p.shows = nil
	}
	return p
}

func planTwoProviders(w *world) {
	first, second := w.guilty()
	outside, _ := w.foothold()
	day := w.workday(w.o.Days / 6)
	if first {
		x := w.insider(false)
		begin := w.clock(x.r, day, 7, 15)
		x.opens(begin)
		for _, c := range w.reached(x.r, func(c *org) bool { return c.part.way != "" }) {
			t := x.later(begin.Add(2*time.Hour), x.habit)
			tn, who, _ := x.goesTo(c, t, x.r.span(2*time.Hour, 4*time.Hour), true)
			x.on(c, tn, who, tn.start.Add(x.r.span(2*time.Minute, 12*time.Minute)))
		}
		w.campaign(outside && !w.provider.tenant, x.acts, x.question(begin), x.foe.own())
	}
	if !second {
		return
	}
	f := w.firms[0]
	foe, parts := &w.foe, func(o *org) part { return o.part }
	if first {
		foe, parts = w.otherFoe(), func(o *org) part {
			if o.second.outcome == "" {
				return part{outcome: Clear}
			}
			return o.second
		}
	}
	x := w.intrusion("attack by the second", foe)
	x.outcome = func(o *org) Outcome { return parts(o).outcome }
	abroad, habit, who := x.r.chance(0.5), pick(x.r, habits), x.r.IntN(len(f.accounts))
	for _, c := range w.reached(x.r, func(c *org) bool { return parts(c).way != "" }) {
		x.throughFirm(c, f, who, x.later(w.day(day), habit), abroad)
	}
	w.campaignThrough(f.id, parts, true, x.acts, x.firstAt(f.id, f.accounts[who], w.start), foe.own())
}

// later draws when the intruder comes next, after a moment and well before the end.
func (x *intrusion) later(after time.Time, habit string) time.Time {
	w := x.w
	from := int(after.Sub(w.start) / (24 * time.Hour))
	t := x.hour(min(from+x.r.IntN(max(1, w.o.Days-from)), w.o.Days-1), habit)
	if t.Before(after) {
		t = after.Add(x.r.span(10*time.Minute, 3*time.Hour))
	}
	if latest := w.end().Add(-6 * time.Hour); t.After(latest) {
		t = latest
	}
	return t
}
