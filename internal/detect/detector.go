// Package detect is the engine that runs every detector over the events of all tenants in event time, and keeps
// what they found. The detectors live below: each is deterministic, keeps its state per tenant, and can be
// snapshotted and restored, so that a run that stopped goes on as if it had not.
package detect

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Emit takes a finding. A finding with the id of an earlier one replaces it: detectors emit again as evidence
// grows. A finding that was emitted is never changed again, so that others may read it at any time; who goes on
// working on it emits a clone.
type Emit func(*ocsf.Finding)

// Detector looks at events and says what it found.
//
// Process is called with events in event time; equal times come in the order of event ids. Advance is called
// with a time that no later event will precede, and at the end of input with a far time, so that windows close.
// Conclude emits what Advance to that far time would emit now, and leaves the state as it is. A detector need not
// emit at every event of a flood, but what it holds back must be emitted by the next Advance, and Pending must
// have risen.
// Snapshot and Restore carry the whole state; Restore is called on a fresh detector of the same configuration.
// State is bounded for a run of years: what can't matter any more is dropped by Advance.
type Detector interface {
	Name() string
	Process(e *ocsf.Event, emit Emit)
	Advance(now time.Time, emit Emit)
	Conclude(emit Emit)
	Snapshot() ([]byte, error)
	Restore([]byte) error
}

// Pender is a detector that may hold something back until Advance. Pending rises whenever Conclude may have come
// to emit something else than before; it need not survive a restart.
type Pender interface {
	Pending() uint64
}

// Unordered is a detector that keeps no order of events and learns nothing from them, so that an event which came
// after its time does no harm. Now is the time that the last Advance told: what belongs to a window that was closed
// by then becomes a finding of its own, and never replaces the one of the window.
type Unordered interface {
	ProcessLate(e *ocsf.Event, now time.Time, emit Emit)
}

// Explainer is a detector that can say why it did or did not fire on one event; `breakwater explain` asks it.
type Explainer interface {
	// Explain returns lines in plain words: what was looked at and what was missing. It changes no state.
	Explain(e *ocsf.Event) []string
}

// Context is what every detector may know of the world: the declared model and nothing of other detectors.
type Context struct {
	Model *tenant.Model
}
