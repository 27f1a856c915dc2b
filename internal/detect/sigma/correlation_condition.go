package sigma

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// bounds is the condition of a correlation over a count or a number (correlation rules specification, "Condition").
type bounds struct {
	low, high, not             float64
	below, above, hasNot       bool // low, high and not are set
	lowStrict, highStrict      bool // gt and lt
	lowKey, highKey, wholeText string
}

// holds reports whether a value meets the condition.
func (b *bounds) holds(v float64) bool {
	return b.reaches(v) && !(b.above && (v > b.high || b.highStrict && v == b.high)) && !(b.hasNot && v == b.not)
}

// reaches reports whether a value meets the lower bound.
func (b *bounds) reaches(v float64) bool {
	return !b.below || v > b.low || !b.lowStrict && v == b.low
}

// String writes the condition as the rule does.
func (b *bounds) String() string { return b.wholeText }

// parseBounds reads the keys gt, gte, lt, lte, eq and neq of a condition; several hold together. Whole says that
// only whole numbers make sense.
func parseBounds(n *yaml.Node, whole bool, others ...string) (bounds, error) {
	var b bounds
	var texts []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i].Value, n.Content[i+1]
		if slices.Contains(others, key) {
			continue
		}
		if !slices.Contains([]string{"gt", "gte", "lt", "lte", "eq", "neq"}, key) {
			return b, at(n.Content[i], "condition: unknown key %q: use gt, gte, lt, lte, eq or neq%s", key, andKeys(others))
		}
		f, err := strconv.ParseFloat(v.Value, 64)
		if v.Kind != yaml.ScalarNode || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return b, at(v, "condition: %q is no number", v.Value)
		}
		if whole && (f != math.Trunc(f) || f < 0) {
			return b, at(v, "condition: %s %s: a count is a whole number", key, v.Value)
		}
		texts = append(texts, key+" "+v.Value)
		if key == "neq" {
			b.not, b.hasNot = f, true
			continue
		}
		if key != "lt" && key != "lte" {
			if b.below {
				return b, at(v, "condition: %s and %s are both lower bounds", b.lowKey, key)
			}
			b.low, b.below, b.lowStrict, b.lowKey = f, true, key == "gt", key
		}
		if key != "gt" && key != "gte" {
			if b.above {
				return b, at(v, "condition: %s and %s are both upper bounds", b.highKey, key)
			}
			b.high, b.above, b.highStrict, b.highKey = f, true, key == "lt", key
		}
	}
	if len(texts) == 0 {
		return b, at(n, "condition: none of gt, gte, lt, lte, eq and neq is there")
	}
	if b.below && b.above && (b.low > b.high || b.low == b.high && (b.lowStrict || b.highStrict)) ||
		whole && b.below && b.above && b.lowStrict && b.highStrict && b.high-b.low <= 1 {
		return b, at(n, "condition: %s can never hold", strings.Join(texts, " and "))
	}
	b.wholeText = strings.Join(texts, " and ")
	return b, nil
}

func andKeys(others []string) string {
	if len(others) == 0 {
		return ""
	}
	return ", beside " + strings.Join(others, " and ")
}

// least returns the smallest count that meets the lower bound.
func (b *bounds) least() float64 {
	switch {
	case !b.below:
		return 1
	case b.lowStrict:
		return math.Floor(b.low) + 1
	}
	return math.Ceil(b.low)
}

// withoutUpper drops an upper bound that nothing can exceed.
func (b *bounds) withoutUpper(most float64) {
	if b.above && (b.high > most || b.high == most && !b.highStrict) {
		b.above = false
	}
	if b.hasNot && b.not > most {
		b.hasNot = false
	}
}

// waysOf reads a condition over rule names ("a and (b or not c)", pySigma's extended correlation conditions) as the
// ways in which it can hold. Names maps a name to its member; add makes a member of a name where the rule lists none.
func waysOf(text string, member func(name string) (int, error)) ([]way, error) {
	if len(text) > MaxCondition {
		return nil, fmt.Errorf("condition of %d bytes, at most %d are read", len(text), MaxCondition)
	}
	toks, err := conditionTokens(text)
	if err != nil {
		return nil, err
	}
	p := &waysParser{toks: toks, member: member}
	ways, err := p.or(0, false)
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.toks) {
		return nil, fmt.Errorf("condition: unexpected %q", p.toks[p.pos])
	}
	ways = slices.DeleteFunc(ways, way.impossible)
	if len(ways) == 0 {
		return nil, fmt.Errorf("condition: it can never hold")
	}
	for i, w := range ways {
		if len(w.with) == 0 {
			return nil, fmt.Errorf("condition: it would hold without any match; name a rule that must occur beside those that must not")
		}
		ways[i] = way{sortedSet(w.with), sortedSet(w.without)}
	}
	return ways, nil
}

func sortedSet(list []int) []int {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func (w way) impossible() bool {
	return slices.ContainsFunc(w.with, func(m int) bool { return slices.Contains(w.without, m) })
}

// waysParser reads a condition straight into its disjunctive normal form; under a "not" it reads "and" as "or" and
// the other way round (De Morgan).
type waysParser struct {
	toks   []string
	pos    int
	member func(name string) (int, error)
}

func (p *waysParser) word() string {
	if p.pos < len(p.toks) {
		return strings.ToLower(p.toks[p.pos])
	}
	return ""
}

func (p *waysParser) or(depth int, not bool) ([]way, error) {
	return p.list("or", !not, depth, not, p.and)
}

func (p *waysParser) and(depth int, not bool) ([]way, error) {
	return p.list("and", not, depth, not, p.operand)
}

func (p *waysParser) list(word string, any bool, depth int, not bool, part func(int, bool) ([]way, error)) ([]way, error) {
	out, err := part(depth, not)
	for err == nil && p.word() == word {
		p.pos++
		var more []way
		if more, err = part(depth, not); err != nil {
			break
		}
		if any {
			out = append(out, more...)
		} else {
			out = both(out, more)
		}
		if len(out) > MaxAlternatives {
			return nil, fmt.Errorf("condition: it can hold in more than %d ways: write several rules", MaxAlternatives)
		}
	}
	return out, err
}

// both gives the ways in which two conditions hold together.
func both(a, b []way) []way {
	var out []way
	for _, x := range a {
		for _, y := range b {
			if out = append(out, way{slices.Concat(x.with, y.with), slices.Concat(x.without, y.without)}); len(out) > MaxAlternatives {
				return out
			}
		}
	}
	return out
}

func (p *waysParser) operand(depth int, not bool) ([]way, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("condition: nested deeper than %d", MaxDepth)
	}
	if p.pos >= len(p.toks) {
		return nil, fmt.Errorf("condition: something is missing at its end")
	}
	tok := p.toks[p.pos]
	p.pos++
	switch strings.ToLower(tok) {
	case "not":
		return p.operand(depth+1, !not)
	case "(":
		out, err := p.or(depth+1, not)
		if err == nil && p.word() != ")" {
			err = fmt.Errorf("condition: a closing parenthesis is missing")
		}
		p.pos++
		return out, err
	case ")", "and", "or":
		return nil, fmt.Errorf("condition: unexpected %q", tok)
	}
	m, err := p.member(tok)
	if err != nil {
		return nil, err
	}
	if not {
		return []way{{without: []int{m}}}, nil
	}
	return []way{{with: []int{m}}}, nil
}

// waysOfCount gives the ways in which at least so many of all members occur.
func waysOfCount(members, least int) ([]way, error) {
	var out []way
	var choose func(from int, have []int) error
	choose = func(from int, have []int) error {
		if len(have) == least {
			if len(out) == MaxAlternatives {
				return fmt.Errorf("condition: %d of %d rules in order are more than %d ways: write several rules", least, members, MaxAlternatives)
			}
			out = append(out, way{with: slices.Clone(have)})
			return nil
		}
		for m := from; m < members && members-m >= least-len(have); m++ {
			if err := choose(m+1, append(have, m)); err != nil {
				return err
			}
		}
		return nil
	}
	err := choose(0, nil)
	return out, err
}
