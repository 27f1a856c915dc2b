package hop

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of the search for candidates.
const (
	MaxCandidates = 8         // paths given
	maxWalks      = 2_000     // choices looked at
	maxLooked     = 4_000_000 // sessions weighed, after which no further path is looked for
	leastShare    = 1e-6      // of a way; those that are less likely are not followed
	tiedWithin    = 1.0       // scores that differ by less than a doubling of likelihood can't be told apart
)

// Candidate is one way in which it may have come, with how likely it is beside the others.
type Candidate struct {
	Trace
	Share float64 // product of the shares of its hops, 0 to 1: of all ways that the telemetry shows
	Tied  string  // why it can't be told from the one ranked before it; "" where it can
}

// choice is one session that may explain a step.
type choice struct {
	edge  *edge
	w     weights
	score float64
	share float64
}

// choices returns the sessions that may explain a step, one for each place it may have come from, the likeliest first.
// Mounted shares and logons over the network are everywhere, so one of them counts only where no other session is
// there and all come from one place, or under the same account.
func (ix *traceIndex) choices(s step, passed func(Place) bool) []choice {
	best, weak := map[Place]choice{}, map[Place]choice{}
	ix.open(s.at, s.when, func(e *edge) {
		ix.looked++
		if passed(e.from) || s.when.After(e.end.Add(e.slack())) {
			return
		}
		into := best
		if e.weak() && (s.user == "" || e.user != s.user) {
			into = weak
		}
		w := ix.weigh(e, s)
		if c, known := into[e.from]; !known || w.sum() > c.score { // of equals the last that was opened
			into[e.from] = choice{edge: e, w: w, score: w.sum()}
		}
	})
	if len(best) == 0 && len(weak) == 1 {
		best = weak
	}
	list := make([]choice, 0, len(best))
	for _, c := range best {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b choice) int {
		return cmp.Or(cmp.Compare(b.score, a.score), compareEdges(b.edge, a.edge), comparePlaces(a.edge.from, b.edge.from))
	})
	total := 0.0
	for _, c := range list {
		total += math.Exp2(c.score - list[0].score)
	}
	for i := range list {
		list[i].share = math.Exp2(list[i].score-list[0].score) / total
	}
	return list
}

// walk is a path that is being followed back.
type walk struct {
	step  step
	hops  []TraceHop // the first leads into the source
	share float64
}

func (w *walk) passed(source Place) func(Place) bool {
	return func(p Place) bool {
		return p == source || slices.ContainsFunc(w.hops, func(h TraceHop) bool { return h.From == p })
	}
}

// take returns the walk one session farther back.
func (ix *traceIndex) take(w *walk, c choice, list []choice) *walk {
	e, s := c.edge, w.step
	h := TraceHop{From: e.from, To: s.at, Start: e.start.UTC(), End: e.end.UTC(), Kind: e.kind, Port: e.port, Packets: e.packets,
		User: e.user, Seen: slices.Clone(e.seen), Others: len(list) - 1, Score: c.score, Share: c.share, Told: e.told, JoinKey: e.key,
		Evidence: ocsf.Evidence{File: e.file, Record: e.record}}
	h.For, h.Against = ix.words(e, s, c.w)
	switch n := len(list) - 1; {
	case n == 0:
		h.For = append(h.For, fmt.Sprintf("nobody else had a session into %s then", s.at.Name()))
	default:
		h.Against = append(h.Against, fmt.Sprintf("one of %d with a session into %s then", n+1, s.at.Name()))
	}
	next := &walk{hops: append(slices.Clone(w.hops), h), share: w.share * c.share,
		step: step{at: e.from, when: e.start, until: s.until, user: firstOf(e.user, s.user), onward: e}}
	if e.packets > 0 {
		next.step.until = e.end // of logons and leases the end is not always told: what came of it is the best that is known
	}
	return next
}

// Candidates returns the ways in which what happened at a point may have come, at most a number of them and never more
// than MaxCandidates. The first is that of Trace; the others follow by their share. There is always one, which may
// have no hops. The answer is the same for the same model and telemetry in any order.
func (g *Graph) Candidates(m *tenant.Model, from TracePoint, most int) []Candidate {
	ix := g.traceIndex(m)
	ix.looked = 0
	first := ix.start(from)
	best := ix.follow(first)
	out := []Candidate{{Trace: g.trace(ix, from, first.step.at, best), Share: best.share}}
	known := map[string]bool{walkKey(best): true}
	open := []*walk{first}
	for looked := 0; len(open) > 0 && len(out) < min(most, MaxCandidates) && looked < maxWalks && ix.looked < maxLooked; looked++ {
		k := 0
		for i, w := range open {
			if w.share > open[k].share {
				k = i
			}
		}
		w := open[k]
		open = slices.Delete(open, k, k+1)
		var list []choice
		if len(w.hops) < MaxTraceHops {
			list = ix.choices(w.step, w.passed(first.step.at))
		}
		if len(list) == 0 {
			if key := walkKey(w); !known[key] {
				known[key] = true
				c := Candidate{Trace: g.trace(ix, from, first.step.at, w), Share: w.share}
				c.Tied = tied(c.Trace, out)
				out = append(out, c)
			}
			continue
		}
		for _, c := range list[:min(len(list), MaxCandidates)] {
			if w.share*c.share >= leastShare && len(open) < maxWalks {
				open = append(open, ix.take(w, c, list))
			}
		}
	}
	return out
}

// tied says why a path can't be told from one ranked before it: where they part, the scores are as good as equal.
func tied(t Trace, before []Candidate) string {
	for _, o := range slices.Backward(before) {
		a, b := t.Hops, o.Hops
		for len(a) > 0 && len(b) > 0 {
			x, y := &a[len(a)-1], &b[len(b)-1]
			if x.From == y.From {
				a, b = a[:len(a)-1], b[:len(b)-1]
				continue
			}
			if math.Abs(x.Score-y.Score) < tiedWithin {
				return fmt.Sprintf("%s and %s can't be told apart: both had a session into %s, and their scores are %.2f and %.2f", y.From.Name(), x.From.Name(), x.To.Name(), y.Score, x.Score)
			}
			break
		}
	}
	return ""
}

func walkKey(w *walk) string {
	var b []byte
	for i := range w.hops {
		p := &w.hops[i].From
		b = fmt.Appendf(b, "%s\x00%s\x00%s\x00%s\x00%s\n", p.Tenant, p.Partner, p.Addr, p.Host, p.view)
	}
	return string(b)
}

// start is the walk that has gone nowhere yet, in the time of the clock that the tenants' are measured by.
func (ix *traceIndex) start(from TracePoint) *walk {
	s := step{at: ix.point(from), when: ix.common(from.Tenant, from.Time), until: ix.common(from.Tenant, from.End), user: from.User}
	if from.End.Before(from.Time) {
		s.until = s.when
	}
	return &walk{step: s, share: 1}
}

// follow takes the likeliest session again and again.
func (ix *traceIndex) follow(w *walk) *walk {
	source := w.step.at
	for len(w.hops) < MaxTraceHops {
		list := ix.choices(w.step, w.passed(source))
		if len(list) == 0 {
			break
		}
		w = ix.take(w, list[0], list)
	}
	return w
}

// common is a tenant's time by the clock that its group is measured by; local is the way back.
func (ix *traceIndex) common(id tenant.ID, t time.Time) time.Time { return t.Add(-ix.shifts[id].by) }

func (ix *traceIndex) local(id tenant.ID, t time.Time) time.Time { return t.Add(ix.shifts[id].by) }

func comparePlaces(a, b Place) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Partner, b.Partner), a.Addr.Compare(b.Addr), cmp.Compare(a.Host, b.Host), cmp.Compare(a.view, b.view))
}
