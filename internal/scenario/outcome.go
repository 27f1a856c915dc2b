package scenario

import (
	"net/netip"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// settle returns the outcome that the kept telemetry can carry: what was written without a layer is not known by it.
func (w *world) settle(o *org, p part) Outcome {
	kept := func(ls []tenant.Layer) bool {
		return slices.ContainsFunc(ls, func(l tenant.Layer) bool { return w.keeps(o, l) })
	}
	switch {
	case p.outcome == Clear || p.outcome == Blind:
		return p.outcome
	case p.outcome == Succeeded && kept(p.success):
		return Succeeded
	case kept(p.seen):
		return Attempted
	case kept(p.shows):
		return Exposed
	}
	return Blind
}

// untold reports whether the Internet's noise may come from the intruder's addresses too: they are shared ones, but
// where the truth says that nothing of the intruder was seen, nothing may look like it.
func (p part) untold() bool {
	return p.outcome == "" || p.outcome == Succeeded || p.outcome == Attempted
}

// act is a step of the intruder that could be told as the first foothold.
type act struct {
	at     time.Time
	org    *org
	layer  tenant.Layer
	entity Entity
	from   netip.Addr // in the access layer: whence it came
}

// campaign adds the campaign through the provider: its first foothold is the first of acts that the telemetry holds.
// ask is what remains where the first foothold is not held, or where outside says that it never was.
func (w *world) campaign(outside bool, acts []act, ask Ask, infrastructure []string) {
	w.campaignThrough(w.provider.id, func(o *org) part { return o.part }, outside, acts, ask, infrastructure)
}

// campaignThrough adds a campaign through any partner, in which each organisation has the part that parts says.
func (w *world) campaignThrough(partner string, parts func(*org) part, outside bool, acts []act, ask Ask, infrastructure []string) {
	if w.o.WithoutAttack {
		return
	}
	c := Campaign{Partner: tenant.PartnerID(partner), Infrastructure: infrastructure}
	for _, o := range w.orgs {
		if o.tenant {
			c.Tenants = append(c.Tenants, TenantOutcome{tenant.ID(o.id), w.settle(o, parts(o))})
		}
	}
	slices.SortStableFunc(acts, func(a, b act) int { return a.at.Compare(b.at) })
	if i := slices.IndexFunc(acts, func(a act) bool { return w.keeps(a.org, a.layer) }); i >= 0 && !outside {
		a := acts[i]
		c.FirstFoothold = &Foothold{a.at.Truncate(time.Second), tenant.ID(a.org.id), a.entity, a.layer}
	} else {
		ask.From, ask.To = ask.From.Truncate(time.Hour), ask.To.Truncate(time.Hour).Add(time.Hour)
		c.Ask = &ask
	}
	w.campaigns = append(w.campaigns, c)
}

func (w *world) truth() *Truth {
	t := &Truth{Kind: w.o.Kind, Seed: w.o.Seed, Rename: w.o.Rename, WithoutAttack: w.o.WithoutAttack, WithoutLayers: w.o.WithoutLayers, Campaigns: w.campaigns, Mail: w.mailTruth,
		Overlap: w.o.Overlap, SharedNAT: w.o.SharedNAT, Late: w.o.Late, IPv6: w.o.IPv6}
	if w.o.Skew > 0 {
		t.Skew = w.o.Skew.String()
	}
	if t.Campaigns == nil {
		t.Campaigns = []Campaign{}
	}
	return t
}

// allot draws the outcome of each client: one of each of the wanted ones, then by weight.
func allot(r *rng, n int, first []Outcome, rest []Outcome) []Outcome {
	out := append([]Outcome(nil), first[:min(n, len(first))]...)
	for len(out) < n {
		out = append(out, pick(r, rest))
	}
	r.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// foothold draws where the campaign began: in a third of the seeds outside the telemetry.
func (w *world) foothold() (outside bool, r *rng) {
	r = newRNG(w.o.Seed, "foothold")
	return r.IntN(3) == 0, r
}

// copySession looks for a visit of the client's background to imitate: the same technician through the same jump
// host, at an address that was lent before and is free at that time. The address stays lent for that time.
func (w *world) copySession(r *rng, c *org, start time.Time, lasts time.Duration) session {
	var seen []session
	pools := map[int]bool{}
	for d := range w.o.Days {
		for _, v := range w.sessions(c, d) {
			if v.staff < 0 {
				seen = append(seen, v)
				pools[v.pool] = true
			}
		}
	}
	v := session{jump: r.IntN(len(w.provider.jumps)), tech: r.IntN(w.provider.techs), staff: -1}
	if len(seen) > 0 {
		v = pick(r, seen)
	}
	v.start, v.end = start, start.Add(lasts)
	busy := w.lentAt(c, v.start, v.end)
	first := r.IntN(poolSize)
	v.pool = poolFirst + first
	for _, known := range []bool{true, false} {
		for i := range poolSize {
			p := poolFirst + (first+i)%poolSize
			if !busy[p] && (pools[p] || !known) {
				v.pool = p
				w.lent[c] = append(w.lent[c], v)
				return v
			}
		}
	}
	return v
}

// lentAt returns the addresses of a client's VPN pool that somebody holds in a span, by their last byte: a gateway
// lends each to one at a time.
func (w *world) lentAt(c *org, start, end time.Time) map[int]bool {
	busy := map[int]bool{}
	last := w.o.Days - 1
	from, to := int(start.Sub(w.start)/(24*time.Hour)), int(end.Sub(w.start)/(24*time.Hour))
	held := w.lent[c]
	for d := max(0, min(from-1, last)); d <= min(max(to, 0), last); d++ {
		held = append(held[:len(held):len(held)], w.sessions(c, d)...)
	}
	for _, x := range held {
		if start.Before(x.end.Add(time.Minute)) && x.start.Before(end.Add(time.Minute)) {
			busy[x.pool] = true
		}
	}
	return busy
}

// victim returns the name under the intruder's domain that carries a victim's real domain as labels.
func (w *world) victim(o *org) string { return w.foe.label + "." + o.domain + "." + w.foe.apex }

func (w *world) infrastructure() []string {
	out := []string{w.foe.apex, w.foe.web.String(), w.foe.exit.String(), w.foe.instance, w.foe.relay, w.foe.relayIP.String()}
	for _, e := range w.foe.exits {
		out = append(out, e.String())
	}
	return out
}
