package recon

import (
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// generations hold sources of which little is known yet, so that a flood of spoofed addresses can't push out those
// that were learned: when the newer is full, the older goes as a whole.
type generations struct{ fresh, old map[sourceKey]*source }

const (
	maxYoung     = 32_768 // sources of one generation
	youngQuiet   = 4_096  // sources of the newer up to which events are kept ahead of any finding
	grownUp      = 6      // contacts and hosts known of a source that is young no more
	maxTellers   = 1_000  // sources of one tenant and hour about which something is said; beyond, they are counted
	floodDoubles = 4
)

func (g *generations) find(k sourceKey) *source {
	if s := g.fresh[k]; s != nil {
		return s
	}
	s := g.old[k]
	if s != nil {
		delete(g.old, k)
		g.fresh[k] = s // may pass the bound by as many as the older holds
	}
	return s
}

// put takes a new source; dropped is called with each that goes.
func (g *generations) put(k sourceKey, s *source, dropped func(sourceKey)) {
	if g.fresh == nil {
		g.fresh = map[sourceKey]*source{}
	}
	if len(g.fresh) >= maxYoung {
		for k := range g.old {
			dropped(k)
		}
		g.old, g.fresh = g.fresh, make(map[sourceKey]*source, maxYoung/4)
	}
	g.fresh[k] = s
}

func (g *generations) remove(k sourceKey) {
	delete(g.fresh, k)
	delete(g.old, k)
}

// all calls f with every source of both.
func (g *generations) all(f func(sourceKey, *source)) {
	for k, s := range g.old {
		f(k, s)
	}
	for k, s := range g.fresh {
		f(k, s)
	}
}

// flood counts the sources of one hour about which something is said, and those that were too many.
type flood struct {
	Hour        int64 // hours since 1970
	Tellers     int
	Silent      int // sources that were only counted
	First, Last int64
	Evidence    []*ocsf.Event
	Emitted     int
}

// admit reports whether one more source may be told of in this hour.
func (ts *tenantState) admit(d *Detector, ep *episode, emit detect.Emit) bool {
	h := ep.Last / hour
	if ts.flood == nil || ts.flood.Hour != h {
		ts.tellFlood(d, emit)
		ts.flood = &flood{Hour: h}
	}
	f := ts.flood
	if f.Tellers < maxTellers {
		f.Tellers++
		return true
	}
	if f.Silent == 0 {
		f.First = ep.Start
	}
	d.pending++
	f.Silent++
	f.Last = ep.Last
	if len(f.Evidence) < ocsf.MaxEvidence && len(ep.Evidence) > 0 {
		f.Evidence = append(f.Evidence, ep.Evidence[0])
	}
	if f.Silent >= floodDoubles*f.Emitted {
		ts.tellFlood(d, emit)
	}
	return false
}

func (f *flood) untold() bool { return f != nil && f.Silent > 0 && f.Silent != f.Emitted }

func (ts *tenantState) tellFlood(d *Detector, emit detect.Emit) {
	if f := ts.flood; f.untold() {
		f.Emitted = f.Silent
		emit(ts.floodFinding(d))
	}
}

func (ts *tenantState) closeFlood(d *Detector, at int64, emit detect.Emit) {
	if ts.flood != nil && at/hour > ts.flood.Hour {
		ts.tellFlood(d, emit)
		ts.flood = nil
	}
}

func (ts *tenantState) floodFinding(d *Detector) *ocsf.Finding {
	x := ts.flood
	f := &ocsf.Finding{Tenant: ts.id, Layer: x.Evidence[0].Layer, Detector: "recon", Rule: "recon/source-flood", Technique: "T1046",
		Severity: ocsf.SeverityMedium, Confidence: 60, Outcome: ocsf.OutcomeAttempted, Snapshot: d.model.Version}
	f.Identify(time.Unix(x.Hour*3600, 0).UTC())
	for _, e := range x.Evidence {
		f.AddEvidence(e)
	}
	f.Time, f.End, f.Count = time.Unix(0, x.First).UTC(), time.Unix(0, x.Last).UTC(), x.Silent
	f.Title = fmt.Sprintf("More than %d sources scan at once", maxTellers)
	f.Reason = fmt.Sprintf("Beside %d sources of this hour that have findings of their own, about %d more failed at new targets as scanners do. So many at once are spoofed addresses, a worm, or a network that lost its route; they are counted and not named.",
		maxTellers, x.Silent)
	return f
}
