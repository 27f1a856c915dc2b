package sigma

import (
	"slices"
	"time"
)

// CorrelationType is what a correlation rule asks of the matches of others (correlation rules specification,
// "Correlation type"; the metrics over numbers are those of its JSON schema and of pySigma).
type CorrelationType string

// The types of correlation.
const (
	EventCount      CorrelationType = "event_count"      // how many events
	ValueCount      CorrelationType = "value_count"      // how many different values, or combinations of values
	Temporal        CorrelationType = "temporal"         // how many of the rules
	TemporalOrdered CorrelationType = "temporal_ordered" // the rules, one after the other as they are listed
	ValueSum        CorrelationType = "value_sum"
	ValueAvg        CorrelationType = "value_avg" // arithmetic mean
	ValuePercentile CorrelationType = "value_percentile"
	ValueMedian     CorrelationType = "value_median"
)

// Limits on correlations. A rule beyond one of the first is a LoadError; what of the matches goes beyond one of the
// others is left out and counted, see Left.
const (
	MaxCorrelated   = 64                   // rules that one correlation names
	MaxGroupBy      = 16                   // fields of a group, and fields that are counted
	MaxChain        = 8                    // correlations of correlations of …
	MaxTimespan     = 400 * 24 * time.Hour // of one window
	MaxAlternatives = 64                   // ways in which a condition over rule names can hold

	MaxWindow        = 1 << 16 // matches in one window
	MaxWindows       = 20_000  // groups of one tenant and correlation that are watched at once
	MaxTenantMatches = 1 << 18 // matches in all windows of one tenant
	maxTenantSamples = 20_000  // events kept as evidence in all windows of one tenant
	maxWaiting       = 1 << 20 // conditions that wait for their timespan to be over
	maxOrigins       = 256     // different origins that one match of a correlation hands to the next
	maxScanned       = 4_096   // matches of a window that are looked through for them
	maxValue         = 1_024   // bytes of a field's value that are compared
)

// Correlation is one compiled correlation rule. Its matches are found by the detector: see NewDetector.
//
// A window slides with event time: at each match it holds what the correlation's rules matched in the timespan
// before, both ends included. Conditions that further matches can't undo (gt, gte, rules that occurred) are decided
// at once. Others (lt, lte, eq, neq, ranges, not) are decided when the timespan after their beginning is over, by the
// most that was reached within it; for averages, medians and percentiles by what they were at the last match.
//
// A match without a field of group-by belongs to no group and is left out. Values are compared without regard to
// case. Windows are kept for each tenant apart.
type Correlation struct {
	Rule     // what its author says of it; it has no log source
	Type     CorrelationType
	Rules    []string // the rules it looks at, as it names them
	GroupBy  []string
	Timespan time.Duration
	Generate bool // its rules are findings of their own too

	aliases    map[string]map[string]string // alias → rule as it names it → field
	fields     []string                     // of value_*
	percentile float64
	bounds     bounds
	ways       []way // of temporal with a condition over names, and of temporal_ordered

	number  int // position in the rule set
	members []member
	feeds   []feed            // the correlations that look at this one
	asks    map[askKey]*asked // by member and by the rule that an event matched
	carries bool              // its windows must keep origins, for those that look at it
	print   string            // of everything that a stored window depends on
	quiet   bool              // makes no finding of its own
}

// member is one rule that a correlation looks at: a detection rule or another correlation.
type member struct {
	ref   string
	rule  *Rule
	inner *Correlation
}

// head returns what its author says of the member.
func (m *member) head() *Rule {
	if m.inner != nil {
		return &m.inner.Rule
	}
	return m.rule
}

// feed says to which correlation a match goes, and which of its members it is.
type feed struct {
	to     *Correlation
	member int
}

// askKey says by which way a match came to a correlation: field aliases differ by it.
type askKey struct {
	member int
	rule   *Rule
}

// asked is what a correlation asks of an event, by slots.
type asked struct {
	group  []int32
	fields []int32
}

// way is one way in which rules can occur so that a condition holds.
type way struct {
	with    []int // members that occur, in the order of the list
	without []int // members that don't
}

// deferred reports whether further matches could undo what holds now.
func (c *Correlation) deferred() bool {
	if len(c.ways) > 0 {
		return slices.ContainsFunc(c.ways, func(w way) bool { return len(w.without) > 0 })
	}
	return c.bounds.above || c.bounds.hasNot
}

// numeric reports whether the type works with numbers.
func (t CorrelationType) numeric() bool {
	return t == ValueSum || t == ValueAvg || t == ValuePercentile || t == ValueMedian
}

// peaks reports whether the type's value only rises while nothing leaves the window, so that the most it reached
// decides.
func (t CorrelationType) peaks() bool {
	return t == EventCount || t == ValueCount || t == Temporal || t == ValueSum
}

// Correlations returns the correlation rules in the order of their ids.
func (s *RuleSet) Correlations() []*Correlation { return slices.Clone(s.correlations) }

// Correlation returns the correlation rule with that id, or nil.
func (s *RuleSet) Correlation(id string) *Correlation {
	for _, c := range s.correlations {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Quiet reports whether the rule with that id makes no findings of its own, since correlations look at it and none
// of them says `generate: true` (correlation rules specification, "Generate").
func (s *RuleSet) Quiet(id string) bool {
	if c := s.Correlation(id); c != nil {
		return c.quiet
	}
	r := s.Rule(id)
	return r != nil && s.quiet[r]
}
