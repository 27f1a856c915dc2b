package sigma

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// RuleSet is a set of compiled rules. It is immutable and safe for use by several goroutines.
type RuleSet struct {
	rules []*Rule
	parts []part
	slots *slots
	plans plans
	work  sync.Pool // *scratch

	correlations []*Correlation
	feeds        map[*Rule][]feed  // the correlations that look at a rule
	carried      map[*Rule][]int32 // the slots that they, and those that look at them, ask for
	quiet        map[*Rule]bool    // rules without findings of their own
	filters      []*Filter
	filtersOf    map[*Rule][]*Filter
}

// part holds the rules of one log source.
type part struct {
	source LogSource
	rules  []int32 // positions in the rule set
}

// Options are what the rules of a set are compiled with.
type Options struct {
	// Placeholders gives the values of %names% for the modifier expand, by name without percent signs; values may
	// hold wildcards. A rule with a name that isn't here is refused.
	Placeholders map[string][]string
}

// Compile compiles every rule of the documents. Rules that can't be compiled are left out and told as errors,
// in the order of the documents; of two rules with one id the first is kept.
func Compile(docs []Document) (*RuleSet, []LoadError) { return Options{}.Compile(docs) }

// Compile is as the function of that name, with the options.
func (o Options) Compile(docs []Document) (*RuleSet, []LoadError) {
	var errs []LoadError
	if len(docs) > MaxDocuments {
		errs = append(errs, LoadError{File: docs[MaxDocuments].Name, Reason: fmt.Sprintf("%d documents, at most %d are read: this and all after it are left out", len(docs), MaxDocuments)})
		docs = docs[:MaxDocuments]
	}
	s := &RuleSet{slots: newSlots()}
	byID := map[string]LoadError{} // whose it is
	taken := func(id, title, file string, line int) bool {
		first, known := byID[id]
		if known {
			errs = append(errs, LoadError{File: file, Line: line, Rule: title, Reason: fmt.Sprintf("id %s is already that of %q in %s", id, first.Rule, first.File)})
		} else {
			byID[id] = LoadError{File: file, Rule: title}
		}
		return known
	}
	var correlations []*Correlation
	var filters []*Filter
	for _, d := range docs {
		found, bad := parseDocument(d, o.Placeholders)
		errs = append(errs, bad...)
		for _, r := range found.rules {
			if !taken(r.ID, r.Title, r.File, r.Line) {
				s.rules = append(s.rules, r)
			}
		}
		for _, c := range found.correlations {
			if !taken(c.ID, c.Title, c.File, c.Line) {
				correlations = append(correlations, c)
			}
		}
		for _, f := range found.filters {
			if !taken(f.ID, f.Title, f.File, f.Line) {
				filters = append(filters, f)
			}
		}
	}
	s.build()
	errs = append(errs, s.link(correlations)...)
	return s, append(errs, s.tie(filters)...)
}

// build sorts the rules by id, so that the order of files never matters, and parts them by log source. What is
// matched together is compiled when the first such event comes.
func (s *RuleSet) build() {
	slices.SortFunc(s.rules, func(a, b *Rule) int { return cmp.Compare(a.ID, b.ID) })
	at := map[LogSource]int{}
	for i, r := range s.rules {
		n, ok := at[r.LogSource]
		if !ok {
			n = len(s.parts)
			at[r.LogSource], s.parts = n, append(s.parts, part{source: r.LogSource})
		}
		s.parts[n].rules = append(s.parts[n].rules, int32(i))
		for _, sel := range r.selections { // a condition need not name it, but explanations do
			s.slots.addAll(sel.expr)
		}
	}
	slices.SortFunc(s.parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.source.Product, b.source.Product), cmp.Compare(a.source.Service, b.source.Service), cmp.Compare(a.source.Category, b.source.Category))
	})
	s.work.New = func() any { return newScratch(s) }
}

// Rules returns the rules in the order of their ids.
func (s *RuleSet) Rules() []*Rule { return slices.Clone(s.rules) }

// Rule returns the rule with that id, or nil.
func (s *RuleSet) Rule(id string) *Rule {
	i, ok := slices.BinarySearchFunc(s.rules, id, func(r *Rule, id string) int { return cmp.Compare(r.ID, id) })
	if !ok {
		return nil
	}
	return s.rules[i]
}

// Len returns how many rules there are.
func (s *RuleSet) Len() int { return len(s.rules) }

// Match calls yield for each rule that matches an event of the batch, with the event's position: events in
// order, and the rules of one event in the order of their ids.
func (s *RuleSet) Match(batch []*ocsf.Event, yield func(event int, r *Rule)) {
	w := s.work.Get().(*scratch)
	defer s.work.Put(w)
	for i, e := range batch {
		w.load(e)
		for _, pos := range w.match() {
			yield(i, s.rules[pos])
		}
	}
	w.forget()
}

// Match is one rule that matches one event of a batch.
type Match struct {
	Event      int // position in the batch
	Rule       *Rule
	Selections []string // names of those that hold, in the order of the rule; valid until the loop goes on
}

// Matches returns what Match finds, together with the selections that hold: events in order, and the rules of one
// event in the order of their ids.
func (s *RuleSet) Matches(batch []*ocsf.Event) iter.Seq[Match] {
	return func(yield func(Match) bool) {
		w := s.work.Get().(*scratch)
		defer s.work.Put(w)
		defer w.forget()
		var names []string
		for i, e := range batch {
			w.load(e)
			for _, pos := range w.match() {
				r := s.rules[pos]
				names = names[:0]
				for j := range r.selections {
					if w.plain(r.selections[j].expr) {
						names = append(names, r.selections[j].name)
					}
				}
				if !yield(Match{i, r, names}) {
					return
				}
			}
		}
	}
}
