package sigma

import (
	"fmt"
	"strconv"
	"strings"
)

// op is what a node of a condition does with its parts.
type op uint8

const (
	opAtom  op = iota
	opAnd      // every part
	opOr       // at least one part
	opNot      // not its one part
	opCount    // at least n parts
)

// expr is a condition as a tree over predicates. Selections are shared: one tree, however often it is named.
type expr struct {
	op   op
	kids []*expr
	pred *predicate
	n    int
}

func join(o op, kids []*expr) *expr {
	if len(kids) == 1 && (o == opAnd || o == opOr) {
		return kids[0]
	}
	return &expr{op: o, kids: kids}
}

// size counts the parts of an expression.
func (x *expr) size() int {
	n := 1
	for _, k := range x.kids {
		n += k.size()
	}
	return n
}

// parseCondition reads a condition over the named selections (Sigma rules specification, "Condition").
// Binding, weakest first: or, and, not, "x of". It takes what it needs off the parts that are left.
func parseCondition(text string, sels []selection, parts *int) (*expr, error) {
	if len(text) > MaxCondition {
		return nil, fmt.Errorf("condition of %d bytes, at most %d are read", len(text), MaxCondition)
	}
	toks, err := conditionTokens(text)
	if err != nil {
		return nil, err
	}
	p := &conditionParser{toks: toks, sels: sels, parts: parts}
	x, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.toks) {
		return nil, fmt.Errorf("condition: unexpected %q", p.toks[p.pos])
	}
	return x, nil
}

func conditionTokens(text string) ([]string, error) {
	var out []string
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '(' || c == ')':
			out = append(out, text[i:i+1])
			i++
		case c == '|':
			return nil, fmt.Errorf("condition: aggregation with \"|\" is not supported: it was removed from Sigma in favour of correlation rules")
		case isNameByte(c):
			j := i
			for j < len(text) && isNameByte(text[j]) {
				j++
			}
			out = append(out, text[i:j])
			i = j
		default:
			return nil, fmt.Errorf("condition: unexpected %q", c)
		}
	}
	return out, nil
}

func isNameByte(c byte) bool {
	return c == '_' || c == '*' || c == '-' || c == '.' || c >= 0x80 ||
		'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

type conditionParser struct {
	toks  []string
	pos   int
	sels  []selection
	parts *int
}

// take returns a selection's expression, as long as the rule stays within its size.
func (p *conditionParser) take(s *selection) (*expr, error) {
	if *p.parts -= s.size + 1; *p.parts < 0 {
		return nil, fmt.Errorf("condition: the rule has more than %d parts, counting a selection as often as it is named", MaxParts)
	}
	return s.expr, nil
}

func (p *conditionParser) word() string {
	if p.pos < len(p.toks) {
		return strings.ToLower(p.toks[p.pos])
	}
	return ""
}

func (p *conditionParser) or(depth int) (*expr, error) { return p.list(opOr, "or", depth, p.and) }

func (p *conditionParser) and(depth int) (*expr, error) { return p.list(opAnd, "and", depth, p.not) }

func (p *conditionParser) list(o op, word string, depth int, part func(int) (*expr, error)) (*expr, error) {
	x, err := part(depth)
	if err != nil {
		return nil, err
	}
	kids := []*expr{x}
	for p.word() == word {
		p.pos++
		if x, err = part(depth); err != nil {
			return nil, err
		}
		kids = append(kids, x)
	}
	return join(o, kids), nil
}

func (p *conditionParser) not(depth int) (*expr, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("condition: nested deeper than %d", MaxDepth)
	}
	if p.word() != "not" {
		return p.operand(depth)
	}
	p.pos++
	x, err := p.not(depth + 1)
	if err != nil {
		return nil, err
	}
	return &expr{op: opNot, kids: []*expr{x}}, nil
}

func (p *conditionParser) operand(depth int) (*expr, error) {
	if p.pos >= len(p.toks) {
		return nil, fmt.Errorf("condition: something is missing at its end")
	}
	if p.toks[p.pos] == "(" {
		p.pos++
		x, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.word() != ")" {
			return nil, fmt.Errorf("condition: a closing parenthesis is missing")
		}
		p.pos++
		return x, nil
	}
	if p.pos+1 < len(p.toks) && strings.EqualFold(p.toks[p.pos+1], "of") {
		return p.quantified()
	}
	name := p.toks[p.pos]
	switch strings.ToLower(name) {
	case ")", "and", "or", "of":
		return nil, fmt.Errorf("condition: unexpected %q", name)
	}
	p.pos++
	for i := range p.sels {
		if p.sels[i].name == name {
			return p.take(&p.sels[i])
		}
	}
	return nil, fmt.Errorf("condition names %q, which the detection doesn't have", name)
}

// quantified reads "1 of them", "all of selection_*", "2 of them".
func (p *conditionParser) quantified() (*expr, error) {
	if p.pos+2 >= len(p.toks) {
		return nil, fmt.Errorf("condition: something is missing after \"of\"")
	}
	count, target := p.word(), p.toks[p.pos+2]
	p.pos += 3
	var kids []*expr
	want := targetPattern(target)
	for i := range p.sels {
		if *p.parts--; named(p.sels[i].name, target, want) {
			x, err := p.take(&p.sels[i])
			if err != nil {
				return nil, err
			}
			kids = append(kids, x)
		}
	}
	if len(kids) == 0 {
		return nil, fmt.Errorf("condition: no selection fits %q", target)
	}
	switch count {
	case "all":
		return join(opAnd, kids), nil
	case "1", "any":
		return join(opOr, kids), nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("condition: %q where a number, any or all was expected before \"of\"", count)
	}
	return &expr{op: opCount, kids: kids, n: n}, nil
}

// named reports whether a selection is meant by "them" or a pattern. Names that begin with an underscore are left
// out, but by a pattern that begins with one too: it can mean nothing else.
func named(name, target string, want pattern) bool {
	if strings.HasPrefix(name, "_") && !strings.HasPrefix(target, "_") {
		return false
	}
	return want == nil || want.match([]byte(name))
}

// targetPattern reads what stands behind "of"; nil is "them".
func targetPattern(target string) pattern {
	if strings.EqualFold(target, "them") {
		return nil
	}
	var p pattern
	for i, part := range strings.Split(target, "*") {
		if i > 0 && (len(p) == 0 || p[len(p)-1].kind != tokStar) {
			p = append(p, token{kind: tokStar})
		}
		if part != "" {
			p = append(p, token{tokLiteral, part})
		}
	}
	return p
}
