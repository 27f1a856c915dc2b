package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// AdvanceEvery is how much event time passes between two calls of Advance.
const AdvanceEvery = time.Minute

// Engine runs detectors over one stream of events in event time and keeps their findings.
type Engine struct {
	detectors []Detector
	snapshot  string // version of the declared model, written on every finding
	ledger    map[string]*ocsf.Finding
	advanced  time.Time
	version   uint64 // rises with every finding that is kept or dropped
	told      uint64 // what Changed last saw of version and of what is pending
	emit      Emit   // keep, made once: a method value costs an allocation each time
}

// NewEngine returns an engine over the detectors; version is the declared model's.
func NewEngine(version string, detectors ...Detector) *Engine {
	g := &Engine{detectors: detectors, snapshot: version, ledger: map[string]*ocsf.Finding{}}
	g.emit = g.keep
	return g
}

// Process gives one event to every detector. Events must come in event time.
func (g *Engine) Process(e *ocsf.Event) {
	if e.Time.Sub(g.advanced) >= AdvanceEvery {
		g.advanced = e.Time
		for _, d := range g.detectors {
			d.Advance(e.Time, g.emit)
		}
	}
	for _, d := range g.detectors {
		d.Process(e, g.emit)
	}
}

// Feed is Process for an event whose time can't be right, such as one from the future: it moves no clock and closes
// no window.
func (g *Engine) Feed(e *ocsf.Event) {
	for _, d := range g.detectors {
		d.Process(e, g.emit)
	}
}

// ProcessLate gives an event that came after its time to the detectors that keep no order; the others, and every
// baseline, never see it.
func (g *Engine) ProcessLate(e *ocsf.Event) {
	for _, d := range g.detectors {
		if u, ok := d.(Unordered); ok {
			u.ProcessLate(e, g.advanced, g.emit)
		}
	}
}

// Finish closes every window.
func (g *Engine) Finish() {
	for _, d := range g.detectors {
		d.Advance(g.advanced.Add(100*365*24*time.Hour), g.emit)
	}
}

func (g *Engine) keep(f *ocsf.Finding) {
	f.Snapshot = g.snapshot
	g.ledger[f.ID] = f
	g.version++
}

// Findings returns what was found so far, by time, then tenant, then id.
func (g *Engine) Findings() []*ocsf.Finding { return sorted(maps.Clone(g.ledger)) }

// Current returns what Findings would return after Finish, as if the input ended now, and changes nothing. The
// findings may be read while the engine goes on.
func (g *Engine) Current() []*ocsf.Finding {
	all := maps.Clone(g.ledger)
	for _, d := range g.detectors {
		d.Conclude(func(f *ocsf.Finding) {
			f.Snapshot = g.snapshot
			all[f.ID] = f
		})
	}
	return sorted(all)
}

// Changed reports whether Current may return something else than when Changed was asked last. It is true at first.
func (g *Engine) Changed() bool {
	now := g.version + 1
	for _, d := range g.detectors {
		if p, ok := d.(Pender); ok {
			now += p.Pending()
		}
	}
	changed := now != g.told
	g.told = now
	return changed
}

// Ledger returns the findings kept so far by their ids: those that were emitted, without what Conclude would add.
// The map is the caller's, the findings are not to be changed.
func (g *Engine) Ledger() map[string]*ocsf.Finding { return maps.Clone(g.ledger) }

// RestoreLedger takes in findings of an earlier run as they were kept then.
func (g *Engine) RestoreLedger(findings []*ocsf.Finding) {
	for _, f := range findings {
		g.ledger[f.ID] = f
	}
	g.version++
}

// Forget drops the findings that ended before the time; whoever wants them has stored them. What a detector still
// lets grow comes back with its next emission.
func (g *Engine) Forget(before time.Time) {
	n := len(g.ledger)
	maps.DeleteFunc(g.ledger, func(_ string, f *ocsf.Finding) bool { return f.End.Before(before) })
	if len(g.ledger) != n {
		g.version++
	}
}

func sorted(ledger map[string]*ocsf.Finding) []*ocsf.Finding {
	out := make([]*ocsf.Finding, 0, len(ledger))
	for _, f := range ledger {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *ocsf.Finding) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		if c := strings.Compare(string(a.Tenant), string(b.Tenant)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Explain asks every detector that can explain itself about one event.
func (g *Engine) Explain(e *ocsf.Event) map[string][]string {
	out := map[string][]string{}
	for _, d := range g.detectors {
		if x, ok := d.(Explainer); ok {
			out[d.Name()] = x.Explain(e)
		}
	}
	return out
}

// own is the name under which the engine keeps its own state beside its detectors'.
const own = "engine"

// Snapshot returns the state of every detector by name, and the engine's own. The findings are not part of it:
// whoever keeps them has them already.
func (g *Engine) Snapshot() (map[string][]byte, error) {
	advanced, err := EncodeState(g.advanced)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{own: advanced}
	for _, d := range g.detectors {
		b, err := d.Snapshot()
		if err != nil {
			return nil, fmt.Errorf("snapshot of detector %s: %w", d.Name(), err)
		}
		out[d.Name()] = b
	}
	return out, nil
}

// Restore gives every detector the state that Snapshot returned for its name. A detector that was not there
// then begins anew.
func (g *Engine) Restore(states map[string][]byte) error {
	if b, ok := states[own]; ok {
		if err := DecodeState(b, &g.advanced); err != nil {
			return fmt.Errorf("restoring the engine: %w", err)
		}
	}
	for _, d := range g.detectors {
		if b, ok := states[d.Name()]; ok {
			if err := d.Restore(b); err != nil {
				return fmt.Errorf("restoring detector %s: %w", d.Name(), err)
			}
		}
	}
	return nil
}
