package scenario

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// slowEspionage: weeks to months with a provider's valid accounts, a few touches on some days and nothing on most: a
// handful of probes an hour, names asked for, one desktop, one mailbox, files copied to the provider and out from there.
var slowEspionage = kind{name: "slow-espionage", cast: castSlowEspionage, plan: planSlowEspionage, days: 45, minDays: 10, directory: true, pace: 0.35}

func castSlowEspionage(w *world) {
	outside, fr := w.foothold()
	unheld := outside && len(w.clients) > 3 && fr.chance(0.5) // else the account of lent staff is used
	r := newRNG(w.o.Seed, "cast")
	first := []Outcome{Succeeded, Exposed, Blind, Attempted}
	if !unheld {
		first = []Outcome{Attempted, Exposed, Blind, Succeeded}
	}
	rest := []Outcome{Exposed, Exposed, Exposed, Exposed, Exposed, Attempted, Blind, Clear, Clear}
	shows := []tenant.Layer{tenant.LayerAccess, tenant.LayerNetwork, tenant.LayerEndpoint, tenant.LayerCloud}
	for i, outcome := range allot(r, len(w.clients), first, rest) {
		c := w.clients[i]
		c.part = part{outcome: outcome, shows: shows}
		switch outcome {
		case Blind:
			c.layers = map[tenant.Layer]bool{}
			c.reach.gdap = false
		case Clear:
			c.reach = reach{app: true}
			watched(c, tenant.LayerCloud)
		case Attempted:
			watched(c, inside...)
			c.part.seen = []tenant.Layer{tenant.LayerAccess, tenant.LayerNetwork, tenant.LayerEndpoint}
			c.part.way = "looks"
		case Succeeded:
			watched(c, inside...)
			c.part.seen, c.part.success = inside, []tenant.Layer{tenant.LayerNetwork, tenant.LayerEndpoint}
			c.part.way = "stays"
			if r.chance(0.5) {
				c.part.way, c.reach.gdap = "stays and reads", true
				watched(c, tenant.LayerCloud)
				c.part.seen = append(inside[:3:3], tenant.LayerCloud)
				c.part.success = append(c.part.success, tenant.LayerCloud)
			}
		}
	}
	w.neighbour.part = part{outcome: Clear}
	p := w.provider
	all := []tenant.Layer{tenant.LayerCloud, tenant.LayerEndpoint, tenant.LayerNetwork}
	p.part = part{outcome: Succeeded, shows: all, seen: all, success: all}
	p.tenant = !unheld
	w.castSecond(r, 30)
}

// castSecond gives some clients a second provider beside the first.
func (w *world) castSecond(r *rng, pools int) *firm {
	var with []*org
	for _, i := range r.Perm(len(w.clients)) {
		if c := w.clients[i]; c.reach.vpn && len(with) < 2+len(w.clients)/2 {
			with = append(with, c)
		}
	}
	return w.newFirm("provider", "second", 3, pools, with)
}

// slow is the state of a slow intrusion.
type slow struct {
	*insider
	seen map[*org]int // touches so far
}

func planSlowEspionage(w *world) {
	outside, _ := w.foothold()
	x := &slow{insider: w.insider(outside), seen: map[*org]int{}}
	d := w.workday(1 + x.r.IntN(max(1, w.o.Days/12)))
	begin := w.clock(x.r, d, 7, 15)
	x.opens(begin)
	var targets []*org
	for _, i := range x.r.Perm(len(w.clients)) {
		if c := w.clients[i]; c.part.way != "" {
			targets = append(targets, c)
		}
	}
	// A few days of work, then weeks of nothing, until the end.
	d++
	for d < w.o.Days {
		for range x.r.between(1, 4) {
			if d >= w.o.Days {
				break
			}
			x.works(targets, d)
			d += 1 + x.r.IntN(2)
		}
		d += x.r.between(max(1, w.o.Days/15), max(2, w.o.Days/5))
	}
	for _, c := range targets { // whom nobody came to yet
		for x.seen[c] < map[bool]int{true: 4, false: 2}[c.part.outcome == Succeeded] {
			x.touch(c, w.workday(w.o.Days-1-x.r.IntN(3)))
		}
	}
	w.campaign(outside, x.acts, x.question(begin), x.foe.own())
}

// works is a day of work: one client, at most two.
func (x *slow) works(targets []*org, day int) {
	for range x.r.between(1, 2) {
		if len(targets) > 0 {
			x.touch(targets[min(x.r.IntN(len(targets)), x.r.IntN(len(targets)))], day)
		}
	}
}

// touch is one visit to a client: the further the intruder has come, the further he goes.
func (x *slow) touch(c *org, day int) {
	w := x.w
	n := x.seen[c]
	x.seen[c]++
	if c.part.way == "stays and reads" && n%3 == 2 {
		x.reads(c, x.hour(day, x.habit))
		return
	}
	tn, who, jump := x.goesTo(c, x.hour(day, x.habit), x.r.span(45*time.Minute, 3*time.Hour), n == 0)
	t := tn.start.Add(x.r.span(2*time.Minute, 12*time.Minute))
	if c.part.way == "looks" {
		if n%2 == 0 {
			x.sweeps(c, who.ip, t, x.r.between(3, 9), some(x.r, probePorts, 1), x.r.span(4*time.Minute, 15*time.Minute))
		} else {
			x.refusedAt(c, who, t, 2)
		}
		return
	}
	switch n {
	case 0:
		x.sweeps(c, who.ip, t, x.r.between(3, 9), some(x.r, probePorts, 1), x.r.span(4*time.Minute, 15*time.Minute))
	case 1:
		x.maps(c, who, t, x.r.between(1, 2))
	case 2:
		x.desktop(c, pick(x.r, c.servers[2:]), t, tn, x.r.span(8*time.Minute, 30*time.Minute))
	case 3:
		x.service(c, who, pick(x.r, c.servers), t)
	default:
		switch x.r.IntN(4) {
		case 0:
			x.copies(c, who, t)
		case 1:
			x.sweeps(c, who.ip, t, x.r.between(2, 6), some(x.r, probePorts, 1), x.r.span(8*time.Minute, 20*time.Minute))
		default:
			bytes := x.r.between(80, 500) * 1_000_000
			x.takes(c, who, pick(x.r, c.servers[2:]), t, bytes)
			x.sends(w.provider, jump, t.Add(x.r.span(2*time.Hour, 3*time.Hour)), bytes*9/10)
		}
	}
}

// reads looks into mailboxes of a client by delegated administration, one or two people's at a time.
func (x *slow) reads(c *org, t time.Time) {
	w := x.w
	w.honestDelegation(c, t, x.tech)
	from := where{x.foe.exit, x.foe.asn, x.foe.place}
	if x.r.chance(0.5) {
		from = w.provider.office()
	}
	x.as("T1114.002", func(s *scribe) {
		v := delegated{tech: x.tech, start: t, ask: -1, vm: -1, app: appPowerShell, id: s.n.guid()}
		s.delegatedSignIn(c, v, from)
		for _, box := range s.r.Perm(9)[:s.r.between(1, 2)] {
			v.ask = box
			s.delegatedWork(c, v, from, s.r.between(1, 3))
			v.start = v.start.Add(s.r.span(4*time.Minute, 30*time.Minute))
		}
	})
	x.did(t, c, tenant.LayerCloud, "user", w.provider.people[x.tech].mail, from.ip)
}
