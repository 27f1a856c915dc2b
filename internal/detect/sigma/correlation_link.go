package sigma

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// linker ties correlations to the rules that they name.
type linker struct {
	set    *RuleSet
	byName map[string][]called
	state  map[*Correlation]int // 1 on the way, 2 done, 3 refused
	depth  map[*Correlation]int
	errs   []LoadError
}

// called is a rule or correlation by its name.
type called struct {
	rule  *Rule
	inner *Correlation
}

func (n called) head() *Rule { return (&member{rule: n.rule, inner: n.inner}).head() }

// link looks up what the correlations name, leaves out those whose rules aren't all there, and works out who looks at
// whom. The rules of the set are in order already.
func (s *RuleSet) link(all []*Correlation) []LoadError {
	if len(all) == 0 {
		return nil
	}
	l := &linker{set: s, byName: map[string][]called{}, state: map[*Correlation]int{}, depth: map[*Correlation]int{}}
	put := func(n called) {
		h := n.head()
		l.byName[h.ID] = append(l.byName[h.ID], n)
		if h.Name != "" && h.Name != h.ID {
			l.byName[h.Name] = append(l.byName[h.Name], n)
		}
	}
	for _, r := range s.rules {
		put(called{rule: r})
	}
	slices.SortFunc(all, func(a, b *Correlation) int { return cmp.Compare(a.ID, b.ID) })
	for _, c := range all {
		put(called{inner: c})
	}
	for _, c := range all {
		l.resolve(c)
	}
	for _, c := range all {
		if l.state[c] == 2 {
			c.number = len(s.correlations)
			s.correlations = append(s.correlations, c)
		}
	}
	l.feeds()
	l.silence()
	return l.errs
}

func (l *linker) refuse(c *Correlation, format string, args ...any) bool {
	l.state[c] = 3
	l.errs = append(l.errs, LoadError{File: c.File, Line: c.Line, Rule: c.Title, Reason: fmt.Sprintf(format, args...)})
	return false
}

// resolve finds the members of a correlation, and theirs.
func (l *linker) resolve(c *Correlation) bool {
	switch l.state[c] {
	case 1:
		return l.refuse(c, "correlation: it looks at itself, by way of others")
	case 2, 3:
		return l.state[c] == 2
	}
	l.state[c] = 1
	depth := 1
	c.members = nil
	for _, ref := range c.Rules {
		n, reason := l.find(c, ref)
		if reason != "" {
			return l.refuse(c, "correlation: %s", reason)
		}
		if n.inner != nil {
			if n.inner == c || !l.resolve(n.inner) {
				if l.state[c] == 3 {
					return false
				}
				return l.refuse(c, "correlation: %q, which it looks at, could not be loaded", ref)
			}
			depth = max(depth, l.depth[n.inner]+1)
		}
		if slices.ContainsFunc(c.members, func(m member) bool { return m.rule == n.rule && m.inner == n.inner }) {
			return l.refuse(c, "correlation: %q is a rule that it names already", ref)
		}
		c.members = append(c.members, member{ref, n.rule, n.inner})
	}
	if depth > MaxChain {
		return l.refuse(c, "correlation: a chain of more than %d correlations", MaxChain)
	}
	for alias, fields := range c.aliases {
		for ref := range fields {
			if !l.reaches(c, ref) {
				return l.refuse(c, "aliases: %s: %q is none of the rules", alias, ref)
			}
		}
	}
	if c.Level == "" {
		// The level of a correlation adjusts that of its rules (specification, "Level"): without one, theirs holds.
		for i := range c.members {
			if h := c.members[i].head(); h.severity() > c.severity() || c.Level == "" {
				c.Level = h.Level
			}
		}
	}
	l.state[c], l.depth[c] = 2, depth
	return true
}

// find looks a rule up by id or name; of several of one name the one in the correlation's own file is meant.
func (l *linker) find(c *Correlation, ref string) (called, string) {
	found := l.byName[ref]
	if len(found) == 0 {
		found = l.byName[strings.ToLower(ref)] // ids are kept in lower case
	}
	if len(found) > 1 {
		own := slices.DeleteFunc(slices.Clone(found), func(n called) bool { return n.head().File != c.File })
		if len(own) == 1 {
			found = own
		}
	}
	switch {
	case len(found) == 0:
		return called{}, fmt.Sprintf("there is no rule with the id or name %q", ref)
	case len(found) > 1:
		return called{}, fmt.Sprintf("the name %q is that of %d rules: name the one that is meant by its id", ref, len(found))
	}
	return found[0], ""
}

// reaches reports whether a name is that of a rule that the correlation looks at, by way of others too.
func (l *linker) reaches(c *Correlation, ref string) bool {
	return slices.ContainsFunc(c.members, func(m member) bool {
		return m.ref == ref || m.head().Name == ref || strings.EqualFold(m.head().ID, ref) || m.inner != nil && l.reaches(m.inner, ref)
	})
}

// feeds works out to which correlations the matches of each rule go and what those ask of an event.
func (l *linker) feeds() {
	s := l.set
	s.feeds, s.carried = map[*Rule][]feed{}, map[*Rule][]int32{}
	for _, c := range s.correlations {
		c.asks = map[askKey]*asked{}
		for i := range c.members {
			if m := &c.members[i]; m.inner != nil {
				m.inner.feeds = append(m.inner.feeds, feed{c, i})
				m.inner.carries = true
			} else {
				s.feeds[m.rule] = append(s.feeds[m.rule], feed{c, i})
			}
		}
	}
	for _, c := range s.correlations {
		for i := range c.members {
			for r := range c.members[i].bases() {
				a := c.ask(&c.members[i], r, s.slots)
				c.asks[askKey{i, r}] = a
				s.carried[r] = append(s.carried[r], slices.Concat(a.group, a.fields)...)
			}
		}
	}
	for r, slots := range s.carried {
		slices.Sort(slots)
		s.carried[r] = slices.Compact(slots)
	}
	for _, c := range s.correlations {
		c.print = c.describe()
	}
}

// bases yields the detection rules behind a member.
func (m *member) bases() map[*Rule]bool {
	out := map[*Rule]bool{}
	if m.inner == nil {
		out[m.rule] = true
		return out
	}
	for i := range m.inner.members {
		maps.Copy(out, m.inner.members[i].bases())
	}
	return out
}

// ask resolves the fields of a correlation for events that a rule matched.
func (c *Correlation) ask(m *member, r *Rule, s *slots) *asked {
	slot := func(name string) int32 {
		for _, ref := range [...]string{m.ref, m.head().ID, m.head().Name, r.ID, r.Name} {
			if field, ok := c.aliases[name][ref]; ok && ref != "" {
				name = field
				break
			}
		}
		return s.add(name)
	}
	a := &asked{}
	for _, f := range c.GroupBy {
		a.group = append(a.group, slot(f))
	}
	for _, f := range c.fields {
		a.fields = append(a.fields, slot(f))
	}
	return a
}

// describe writes down what stored windows of the correlation depend on.
func (c *Correlation) describe() string {
	var ids []string
	for i := range c.members {
		ids = append(ids, c.members[i].head().ID)
	}
	// Maps are printed in the order of their keys.
	return fmt.Sprintf("%s %q %q %q %v %v %v %v %v %v", c.Type, ids, c.GroupBy, c.fields, c.aliases, c.Timespan, c.percentile, c.bounds, c.ways, c.carries)
}

// silence finds the rules that are there for correlations alone: those that one looks at and none generates, and those
// that say so themselves.
func (l *linker) silence() {
	s := l.set
	s.quiet = map[*Rule]bool{}
	for _, c := range s.correlations {
		for i := range c.members {
			if m := &c.members[i]; m.inner != nil {
				m.inner.quiet = true
			} else {
				s.quiet[m.rule] = true
			}
		}
	}
	for _, c := range s.correlations {
		for i := range c.members {
			if m := &c.members[i]; !c.Generate {
				continue
			} else if m.inner != nil {
				m.inner.quiet = false
			} else {
				delete(s.quiet, m.rule)
			}
		}
	}
	for _, c := range s.correlations {
		c.quiet = c.quiet || c.Silent && len(c.feeds) > 0
	}
	for _, r := range s.rules {
		if r.Silent && len(s.feeds[r]) > 0 {
			s.quiet[r] = true
		}
	}
}

// techniqueOf returns the technique of the correlation, else of the first of its rules that has one.
func (c *Correlation) techniqueOf() ocsf.Technique {
	if t := c.technique(); t != "" {
		return t
	}
	for i := range c.members {
		m := &c.members[i]
		if m.inner != nil {
			if t := m.inner.techniqueOf(); t != "" {
				return t
			}
		} else if t := m.rule.technique(); t != "" {
			return t
		}
	}
	return ""
}
