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
// grows.
type Emit func(*ocsf.Finding)

// Detector looks at events and says what it found.
//
// Process is called with events in event time; equal times come in the order of event ids. Advance is called
// with a time that no later event will precede, and at the end of input with a far time, so that windows close.
// Snapshot and Restore carry the whole state; Restore is called on a fresh detector of the same configuration.
type Detector interface {
	Name() string
	Process(e *ocsf.Event, emit Emit)
	Advance(now time.Time, emit Emit)
	Snapshot() ([]byte, error)
	Restore([]byte) error
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
