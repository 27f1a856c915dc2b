package pipeline

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// conditions are those of one kind on a step: all of them, any, or an expression over their names; negated or not.
// Without any, the step applies.
type conditions[C any] struct {
	list   []C
	names  map[string]C
	expr   *boolean
	any    bool
	negate bool
}

func (c *conditions[C]) empty() bool { return len(c.list) == 0 && len(c.names) == 0 }

func (c *conditions[C]) hold(holds func(C) bool) bool {
	if c.empty() {
		return true
	}
	var ok bool
	switch {
	case c.expr != nil:
		ok = c.expr.holds(func(name string) bool { return holds(c.names[name]) })
	case c.any:
		ok = slices.ContainsFunc(c.list, holds)
	default:
		ok = !slices.ContainsFunc(c.list, func(x C) bool { return !holds(x) })
	}
	return ok != c.negate
}

// ruleCondition asks the whole rule, itemCondition one item, fieldCondition one field name.
type (
	ruleCondition  interface{ holds(w *work) bool }
	itemCondition  interface{ holdsItem(w *work, it *item) bool }
	fieldCondition interface {
		holdsField(w *work, field string) bool
	}
)

// wants reports whether a step applies to an item: by its item conditions, and by its field name's.
func (s *step) wants(w *work, it *item) bool {
	return s.item.hold(func(c itemCondition) bool { return c.holdsItem(w, it) }) &&
		s.field.hold(func(c fieldCondition) bool {
			if a, ok := c.(itemApplied); ok {
				return it.applied[a.id]
			}
			return c.holdsField(w, it.field)
		})
}

func (s *step) wantsField(w *work, field string) bool {
	return s.field.hold(func(c fieldCondition) bool { return c.holdsField(w, field) })
}

// isLogsource holds where every part that it names is the rule's. A correlation has no log source.
type isLogsource struct{ category, product, service string }

func (c isLogsource) holds(w *work) bool { return c.fits(member(w.rule, "logsource")) }

func (c isLogsource) fits(src *yaml.Node) bool {
	if src == nil {
		return false
	}
	for _, p := range [...][2]string{{"category", c.category}, {"product", c.product}, {"service", c.service}} {
		if p[1] != "" && !strings.EqualFold(scalarText(src, p[0]), p[1]) {
			return false
		}
	}
	return true
}

// containsField holds where any item asks for that field.
type containsField struct{ field string }

func (c containsField) holds(w *work) bool {
	return w.anyItem(func(it *item) bool { return it.field == c.field && it.field != "" })
}

// containsItem holds where any item asks for that field with that value.
type containsItem struct {
	field string
	value *yaml.Node
}

func (c containsItem) holds(w *work) bool {
	return w.anyItem(func(it *item) bool {
		return it.field == c.field && it.field != "" && slices.ContainsFunc(it.values, func(v *yaml.Node) bool { return it.equals(v, c.value) })
	})
}

// equals compares a value of an item with one of a pipeline: of one kind, and as Sigma reads both.
func (it *item) equals(v, want *yaml.Node) bool {
	switch {
	case it.isText(v) && want.Tag == "!!str":
		return slices.Equal(it.effective(v), parts(want.Value))
	case it.has(typed...):
		return false
	}
	return v.Tag == want.Tag && v.Value == want.Value
}

// isKind holds for rules, or for correlations.
type isKind struct{ correlation bool }

func (c isKind) holds(w *work) bool { return (member(w.rule, "correlation") != nil) == c.correlation }

// isTagged holds where the rule has that tag.
type isTagged struct{ tag string }

func (c isTagged) holds(w *work) bool {
	n := member(w.rule, "tags")
	return n != nil && slices.ContainsFunc(scalars(n), func(t *yaml.Node) bool { return strings.EqualFold(t.Value, c.tag) })
}

// wasApplied holds where a step of that id was applied to the rule.
type wasApplied struct{ id string }

func (c wasApplied) holds(w *work) bool { return w.applied[c.id] }

// hasAttribute compares what stands at the head of a rule.
type hasAttribute struct {
	name, op string
	value    *yaml.Node
}

var (
	levelOrder  = []string{"informational", "low", "medium", "high", "critical"}
	statusOrder = []string{"unsupported", "deprecated", "experimental", "test", "stable"}
)

func (c hasAttribute) holds(w *work) bool {
	n := member(w.rule, c.name)
	if n == nil {
		return false
	}
	if n.Kind == yaml.SequenceNode {
		in := slices.ContainsFunc(n.Content, func(v *yaml.Node) bool { return v.Value == c.value.Value })
		switch c.op {
		case "in":
			return in
		case "not_in":
			return !in
		}
		return c.op == "ne"
	}
	order := map[string][]string{"level": levelOrder, "status": statusOrder}[c.name]
	if order != nil {
		a, b := slices.Index(order, strings.ToLower(n.Value)), slices.Index(order, strings.ToLower(c.value.Value))
		return a >= 0 && b >= 0 && compared(c.op, cmp.Compare(a, b))
	}
	return compareScalars(n, c.op, c.value)
}

// compareScalars compares as numbers where both are, else as text; dates of the form 2026-01-31 compare rightly as
// text.
func compareScalars(a *yaml.Node, op string, b *yaml.Node) bool {
	x, err1 := strconv.ParseFloat(a.Value, 64)
	y, err2 := strconv.ParseFloat(b.Value, 64)
	if err1 == nil && err2 == nil {
		return compared(op, cmp.Compare(x, y))
	}
	return compared(op, strings.Compare(a.Value, b.Value))
}

func compared(op string, order int) bool {
	switch op {
	case "eq":
		return order == 0
	case "ne":
		return order != 0
	case "gt":
		return order > 0
	case "gte":
		return order >= 0
	case "lt":
		return order < 0
	case "lte":
		return order <= 0
	}
	return false
}

// hasState compares what set_state has set.
type hasState struct {
	key, op string
	value   *yaml.Node
}

func (c hasState) holds(w *work) bool {
	v := w.state[c.key]
	return v != nil && compareScalars(v, c.op, c.value)
}

func (c hasState) holdsItem(w *work, _ *item) bool { return c.holds(w) }

func (c hasState) holdsField(w *work, _ string) bool { return c.holds(w) }

// itemApplied holds for items and field names that a step of that id has made or changed.
type itemApplied struct{ id string }

func (c itemApplied) holdsItem(_ *work, it *item) bool { return it.applied[c.id] }

func (c itemApplied) holdsField(w *work, field string) bool { return w.fields[field][c.id] }

// valueCondition holds where any or all values of an item are so.
type valueCondition struct {
	all bool
	is  func(it *item, v *yaml.Node) bool
}

func (c valueCondition) holdsItem(_ *work, it *item) bool {
	if c.all {
		return !slices.ContainsFunc(it.values, func(v *yaml.Node) bool { return !c.is(it, v) })
	}
	return slices.ContainsFunc(it.values, func(v *yaml.Node) bool { return c.is(it, v) })
}

func matchesString(re *regexp.Regexp, negate bool) func(*item, *yaml.Node) bool {
	return func(it *item, v *yaml.Node) bool {
		return (it.isText(v) && re.MatchString(shown(it.effective(v)))) != negate
	}
}

func equalsValue(want *yaml.Node) func(*item, *yaml.Node) bool {
	return func(it *item, v *yaml.Node) bool { return it.equals(v, want) }
}

func containsWildcard(it *item, v *yaml.Node) bool {
	return it.isText(v) && hasWildcard(it.effective(v))
}

func isNull(_ *item, v *yaml.Node) bool { return v.Tag == "!!null" }

// fieldNames holds for names of a list, or that match one of its regular expressions from the beginning.
type fieldNames struct {
	plain   []string
	exprs   []*regexp.Regexp
	exclude bool
}

func (c fieldNames) holdsField(_ *work, field string) bool {
	in := field != "" && (slices.Contains(c.plain, field) || slices.ContainsFunc(c.exprs, func(re *regexp.Regexp) bool { return re.MatchString(field) }))
	return in != c.exclude
}
