package sigma

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Filter is one Sigma filter (filters specification 2.1.0): a condition that the matches of other rules must meet as
// well. What doesn't meet it is a match all the same, and becomes a finding that says who suppressed it.
//
// Selections of a filter have names of their own: one that a rule's selection has too means another.
type Filter struct {
	ID, Title, Description string
	LogSource              LogSource // rules of no other are meant, whatever Rules says
	Rules                  []string  // ids and names; empty: any rule of the log source
	Owner                  string    // our own key breakwater.owner
	Reason                 string    // breakwater.reason; the title where missing
	Until                  time.Time // breakwater.until, exclusive: from then on it acts no more. Zero: no end
	File                   string
	Line                   int

	name string
	cond *expr
	acts int // how many rules it acts on
}

// Acts returns on how many rules of the set the filter acts.
func (f *Filter) Acts() int { return f.acts }

// Expired reports whether the filter has ended by a time.
func (f *Filter) Expired(at time.Time) bool { return !f.Until.IsZero() && !at.Before(f.Until) }

// Suppression returns what findings say of the filter.
func (f *Filter) Suppression() *ocsf.Suppression {
	reason := fmt.Sprintf("Sigma filter %q", f.Title)
	if f.Reason != "" {
		reason += ": " + f.Reason
	}
	return &ocsf.Suppression{By: "filter", Owner: f.Owner, Reason: reason, Until: f.Until}
}

// Filters returns the filters in the order of their ids.
func (s *RuleSet) Filters() []*Filter { return slices.Clone(s.filters) }

// Filtered returns the filter that suppresses the match of a rule on an event, or nil. Match and Matches tell what
// rules match, filters or not.
func (s *RuleSet) Filtered(e *ocsf.Event, r *Rule) *Filter {
	if len(s.filtersOf[r]) == 0 {
		return nil
	}
	w := s.work.Get().(*scratch)
	defer s.work.Put(w)
	defer w.forget()
	w.load(e)
	f, _ := w.filtered(r)
	return f
}

// filtered returns the filter that suppresses a match of the rule on the loaded event, and one that would have and
// has ended.
func (w *scratch) filtered(r *Rule) (acts, ended *Filter) {
	for _, f := range w.set.filtersOf[r] {
		if f.Expired(w.event.Time) {
			if ended == nil && !w.plain(f.cond) {
				ended = f
			}
			continue
		}
		if !w.plain(f.cond) {
			return f, nil
		}
	}
	return nil, ended
}

// parseFilter reads a filter document.
func parseFilter(n *yaml.Node, values placeholders) (*Filter, error) {
	head, err := parseHead(n, true)
	if err != nil {
		return nil, err
	}
	body := entry(n, "filter")
	if body.Kind != yaml.MappingNode {
		return nil, at(body, "filter: a mapping was expected")
	}
	if v := entry(n, "detection"); v != nil {
		return nil, at(v, "a document is a detection or a filter; put the detection into one of its own, after ---")
	}
	f := &Filter{ID: head.ID, Title: head.Title, Description: head.Description, LogSource: head.LogSource, Line: head.Line, name: head.Name}
	if f.ID == "" {
		f.ID = madeID(head, body)
	}
	rules := entry(body, "rules")
	if rules == nil {
		return nil, at(body, "filter: no rules: name them by id or name, or write any")
	}
	if f.Rules, err = listOf(body, "rules", MaxRules); err != nil {
		return nil, err
	}
	if len(f.Rules) == 0 { // an empty list must not come to mean any
		return nil, at(rules, "filter: no rules: name them by id or name, or write any")
	}
	if rules.Kind == yaml.ScalarNode && len(f.Rules) == 1 && (strings.EqualFold(f.Rules[0], "any") || strings.EqualFold(f.Rules[0], "all")) {
		f.Rules = nil
	}
	if c := entry(body, "condition"); c == nil || c.Kind != yaml.ScalarNode {
		return nil, at(body, "filter: one condition is needed")
	}
	// The rest is a detection in all but the list of rules.
	det := &yaml.Node{Kind: yaml.MappingNode, Line: body.Line}
	for i := 0; i+1 < len(body.Content); i += 2 {
		if body.Content[i].Value != "rules" {
			det.Content = append(det.Content, body.Content[i], body.Content[i+1])
		}
	}
	own := &Rule{Title: f.Title}
	if err := parseDetection(own, det, values); err != nil {
		return nil, err
	}
	f.cond = own.cond
	return f, f.parseOwn(entry(n, "breakwater"))
}

// parseOwn reads owner, reason and end.
func (f *Filter) parseOwn(own *yaml.Node) error {
	if own == nil {
		return nil
	}
	if own.Kind != yaml.MappingNode {
		return at(own, "breakwater: a mapping of owner, reason and until was expected")
	}
	for i := 0; i+1 < len(own.Content); i += 2 {
		switch k := own.Content[i]; k.Value {
		case "owner", "reason", "until":
		default:
			return at(k, "breakwater: unknown key %q: use owner, reason or until", k.Value)
		}
	}
	f.Owner, f.Reason = scalar(own, "owner"), scalar(own, "reason")
	text := scalar(own, "until")
	if text == "" {
		return nil
	}
	for _, layout := range [...]string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			f.Until = t.UTC()
			return nil
		}
	}
	return at(entry(own, "until"), "breakwater: until %q: write a day as 2027-01-31, or a time as 2027-01-31T18:00:00Z; the end is exclusive", text)
}

// tie puts the filters to the rules that they mean. Rules that a filter names and that aren't here, or are of
// another log source, are told: a team that relies on it should know.
func (s *RuleSet) tie(all []*Filter) (errs []LoadError) {
	slices.SortFunc(all, func(a, b *Filter) int { return cmp.Compare(a.ID, b.ID) })
	s.filters = all
	s.filtersOf = map[*Rule][]*Filter{}
	byName := map[string][]*Rule{}
	for _, r := range s.rules {
		byName[r.ID] = append(byName[r.ID], r)
		if r.Name != "" && r.Name != r.ID {
			byName[r.Name] = append(byName[r.Name], r)
		}
	}
	for _, f := range all {
		s.slots.addAll(f.cond)
		put := func(r *Rule) {
			if list := s.filtersOf[r]; len(list) == 0 || list[len(list)-1] != f {
				s.filtersOf[r] = append(list, f)
				f.acts++
			}
		}
		for _, r := range s.rules {
			if len(f.Rules) == 0 && f.LogSource.covers(r.LogSource) {
				put(r)
			}
		}
		for _, ref := range f.Rules {
			found := byName[ref]
			if len(found) == 0 {
				found = byName[strings.ToLower(ref)]
			}
			reason := fmt.Sprintf("filter: there is no rule with the id or name %q; it acts on the others that it names", ref)
			for _, r := range found {
				if f.LogSource.covers(r.LogSource) {
					put(r)
					reason = ""
				} else if reason != "" {
					reason = fmt.Sprintf("filter: rule %q is for %s and the filter for %s, so that it doesn't act on it", ref, r.LogSource, f.LogSource)
				}
			}
			if reason != "" {
				errs = append(errs, LoadError{File: f.File, Line: f.Line, Rule: f.Title, Reason: reason})
			}
		}
	}
	return errs
}

// covers reports whether every part that l names is the other's.
func (l LogSource) covers(o LogSource) bool {
	return (l.Category == "" || l.Category == o.Category) && (l.Product == "" || l.Product == o.Product) && (l.Service == "" || l.Service == o.Service)
}
