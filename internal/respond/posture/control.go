package posture

import (
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Status is what a control, or one fact under it, comes to.
type Status string

// The statuses.
const (
	Fail     Status = "fail"     // a fact shows that it does not hold
	Stale    Status = "stale"    // it held, by facts older than the control takes
	Unknown  Status = "unknown"  // no fact tells
	Excepted Status = "excepted" // somebody answers for it not holding, until a day
	Pass     Status = "pass"     // fresh facts show that it holds
)

// Statuses lists the statuses, the worst first.
var Statuses = []Status{Fail, Stale, Unknown, Excepted, Pass}

// rank orders statuses, the worst lowest.
func (s Status) rank() int {
	for i, x := range Statuses {
		if x == s {
			return i
		}
	}
	return len(Statuses)
}

// worse returns the worse of two statuses; "" is better than any.
func worse(a, b Status) Status {
	if b.rank() < a.rank() {
		return b
	}
	return a
}

// Counting says which facts count where there are several in time.
type Counting string

// The ways of counting. By default (CountEach) every fact counts; one that is older than the control takes gives way
// to a newer one of the same kind about the same subject, partner and trust.
const (
	CountEach   Counting = "each"
	CountLatest Counting = "latest" // of each subject only the newest, such as the last restore of each repository
	CountRecent Counting = "recent" // only those that are fresh, such as the exercises of a year; none of them: stale
)

// Reference is a place in a published text that asks for what a control checks.
type Reference struct {
	Source string `json:"source" yaml:"source"` // such as CIS v8, AA22-131A, NIST CSF 2.0
	ID     string `json:"id" yaml:"id"`         // such as 15.1 or DE.CM-06
}

// String returns source and place.
func (r Reference) String() string { return r.Source + " " + r.ID }

// Control is one thing that must hold of a tenant, as its YAML file says it. It doesn't change once read.
type Control struct {
	ID         string
	Title      string
	Pillar     evidence.Pillar
	Severity   ocsf.Severity
	About      string // why it matters and what to do
	References []Reference
	Reads      []string      // kinds of facts
	Fresh      time.Duration // facts older than this don't make it pass
	Counts     Counting
	NonePass   bool           // facts of its kinds without one that it concerns let it pass (none: pass)
	Where      string         // CEL over one fact: which it concerns; empty: all of its kinds
	Require    string         // CEL over one fact that must hold of each; or
	Expect     string         // CEL over all of them
	Says       string         // CEL that words a failure; empty: the title's negation by status alone
	Settings   map[string]any // defaults
	// ContradictedBy names detectors, rules or techniques whose findings about a partner speak against that partner's
	// claim that the control passes.
	ContradictedBy []string
	Examples       []Example
	File           string // as the user knows it; embedded ones begin with "controls/"
	Digest         string // SHA-256 of the file, hexadecimal

	where, require, expect, says *expression
}

// Example is evidence with the status that it must come to.
type Example struct {
	Name       string
	Want       Status
	Now        time.Time
	Settings   map[string]any
	Exceptions []Exception
	Evidence   []evidence.Item
	Line       int
}

// Problem is one thing that is wrong in a file that somebody wrote: a control, a policy.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // from 1; 0: the file as a whole
	Reason string `json:"reason"`
}

// Error returns "FILE:LINE: reason".
func (p Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Reason
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Reason)
}
