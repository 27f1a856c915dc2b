// Package sigma compiles Sigma rules (specification 2.1.0) once and matches them against batches of events.
//
// Documents come in, a RuleSet goes out together with one LoadError for each document that was refused: a rule
// is never dropped silently. A RuleSet is immutable and safe for use by several goroutines; there are no
// globals. Matches gives event, rule and selections over a batch, Explain says of one event and one rule why they
// don't meet. NewDetector makes a detector of a RuleSet, which turns matches into findings.
//
// The language is that of the Sigma rules specification 2.1.0 with its modifiers appendix, as docs/sigma-engine.md
// lists it clause by clause, with what was decided where the specification leaves it open.
//
// Rules are routed by their log source: an event is only tried against rules written for its kind. Within one
// log source every literal of every rule is found in one pass over the event's fields, each rule waits for its
// rarest necessary literal, and only rules whose literal was seen are evaluated. The plain evaluation without
// any of that is kept beside it, and tests hold both to the same answer.
package sigma

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Limits on what a rule may be. A document beyond one of them is a LoadError.
const (
	MaxDocument  = 1 << 20 // bytes of one document
	MaxDocuments = 100_000 // documents of one rule set
	MaxDepth     = 32      // nesting of a detection or condition
	MaxValues    = 20_000  // values of one rule, after modifiers have multiplied them
	MaxValue     = 16_384  // bytes of one value
	MaxRegex     = 4_096   // bytes of one regular expression
	MaxCondition = 16_384  // bytes of one condition

	MaxSelections = 5_000   // selections of one rule
	MaxParts      = 200_000 // parts of one rule's conditions, counting a selection as often as it is named
	MaxRules      = 5_000   // rules of one document
)

// Document is one file of rules in YAML; it may hold several documents separated by "---".
type Document struct {
	Name string // path as it was given, slash-separated
	Data []byte
	// License is that of the pack; it stands for rules that name none themselves.
	License string
	// Prepare, where set, may change each rule's tree before it is read, e.g. by a processing pipeline. It sees
	// trees without aliases within the limits, and keeps the lines of what it changes. Its error refuses the rule,
	// at the line that a method Line() int of it tells.
	Prepare func(rule *yaml.Node) error
}

// LoadError says why a document, or one rule of it, was not loaded.
type LoadError struct {
	File   string
	Line   int // 1-based; 0 where the file as a whole is meant
	Rule   string
	Reason string
}

// Error returns file, line, rule and reason in one line.
func (e LoadError) Error() string {
	at := e.File
	if e.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Rule != "" {
		return fmt.Sprintf("%s: rule %q: %s", at, e.Rule, e.Reason)
	}
	return at + ": " + e.Reason
}

// LogSource says which events a rule is written for; empty parts fit any event.
type LogSource struct {
	Category string
	Product  string
	Service  string
}

// String returns the parts that are set, as product/service/category.
func (l LogSource) String() string {
	out := ""
	for _, p := range [...]string{l.Product, l.Service, l.Category} {
		if p == "" {
			continue
		}
		if out != "" {
			out += "/"
		}
		out += p
	}
	return out
}

// Rule is one compiled Sigma rule with what its author says of it.
type Rule struct {
	ID             string // as the rule has it, else made of its title, log source and detection
	Name           string // by which correlation rules may call it
	Title          string
	Description    string
	Status         string // stable, test, experimental, deprecated, unsupported
	Level          string // informational, low, medium, high, critical
	Author         string
	Date, Modified string
	License        string
	Tags           []string
	References     []string
	FalsePositives []string
	Fields         []string
	LogSource      LogSource
	Conditions     []string // as the rule has them, any of which must hold
	Outcome        string   // our own key breakwater.outcome: attempted, succeeded, unknown; empty: from the event
	Silent         bool     // our own key breakwater.quiet: there for correlations alone, also where they generate
	File           string
	Line           int

	cond       *expr
	selections []selection
}

// selection is one named part of a detection, in the order of the document.
type selection struct {
	name string
	expr *expr
	size int // parts of expr
}
