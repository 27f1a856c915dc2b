package sigma

import (
	"fmt"
	"strings"
)

// Condition tells in a few words what must hold: which values, of which field.
func (c *Correlation) Condition() string {
	what := c.bounds.String()
	if len(c.fields) > 0 {
		what = strings.Join(c.fields, ", ") + " " + what
	}
	if c.Type == ValuePercentile {
		what = fmt.Sprintf("percentile %g of %s", c.percentile, what)
	}
	return what
}

// Members returns the rules and correlations that the correlation looks at, in the order in which it names them.
func (c *Correlation) Members() []*Rule {
	out := make([]*Rule, len(c.members))
	for i := range c.members {
		out[i] = c.members[i].head()
	}
	return out
}

// Looking returns the correlations that look at the rule or correlation with that id, in the order of their ids.
func (s *RuleSet) Looking(id string) (out []*Correlation) {
	for _, c := range s.correlations {
		for i := range c.members {
			if c.members[i].head().ID == id {
				out = append(out, c)
				break
			}
		}
	}
	return out
}

// FiltersOf returns the filters that act on the rule with that id, ended ones too, in the order of their ids.
func (s *RuleSet) FiltersOf(id string) []*Filter {
	r := s.Rule(id)
	if r == nil {
		return nil
	}
	return append([]*Filter(nil), s.filtersOf[r]...)
}
