package pipeline

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// boolean is a condition over names: a Sigma condition, or a pipeline's expression over its conditions.
type boolean struct {
	op   string // and, or, not, name, of
	kids []*boolean
	name string // a name; of "of", the pattern
	many string // of "of": 1, any, all or a number
}

const maxConditionText = 16_384

// parseBoolean reads "a and not (b or 1 of c*)". Binding, weakest first: or, and, not.
func parseBoolean(text string) (*boolean, error) {
	if len(text) > maxConditionText {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(text), maxConditionText)
	}
	p := &booleanParser{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text))}
	x, err := p.or(0)
	if err == nil && p.at < len(p.words) {
		err = fmt.Errorf("unexpected %q", p.words[p.at])
	}
	return x, err
}

type booleanParser struct {
	words []string
	at    int
}

func (p *booleanParser) is(word string) bool {
	return p.at < len(p.words) && strings.EqualFold(p.words[p.at], word)
}

func (p *booleanParser) or(depth int) (*boolean, error) { return p.list("or", depth, p.and) }

func (p *booleanParser) and(depth int) (*boolean, error) { return p.list("and", depth, p.not) }

func (p *booleanParser) list(word string, depth int, part func(int) (*boolean, error)) (*boolean, error) {
	x, err := part(depth)
	if err != nil {
		return nil, err
	}
	kids := []*boolean{x}
	for p.is(word) {
		p.at++
		if x, err = part(depth); err != nil {
			return nil, err
		}
		kids = append(kids, x)
	}
	if len(kids) == 1 {
		return x, nil
	}
	return &boolean{op: word, kids: kids}, nil
}

func (p *booleanParser) not(depth int) (*boolean, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch {
	case p.at >= len(p.words):
		return nil, fmt.Errorf("something is missing at its end")
	case p.is("not"):
		p.at++
		x, err := p.not(depth + 1)
		return &boolean{op: "not", kids: []*boolean{x}}, err
	case p.is("("):
		p.at++
		x, err := p.or(depth + 1)
		if err == nil && !p.is(")") {
			err = fmt.Errorf("a closing parenthesis is missing")
		}
		p.at++
		return x, err
	case p.is(")") || p.is("and") || p.is("or") || p.is("of"):
		return nil, fmt.Errorf("unexpected %q", p.words[p.at])
	}
	word := p.words[p.at]
	p.at++
	if p.is("of") && p.at+1 < len(p.words) {
		x := &boolean{op: "of", many: strings.ToLower(word), name: p.words[p.at+1]}
		p.at += 2
		return x, nil
	}
	return &boolean{op: "name", name: word}, nil
}

// String writes the condition with every part in parentheses that needs them.
func (b *boolean) String() string {
	switch b.op {
	case "name":
		return b.name
	case "of":
		return b.many + " of " + b.name
	case "not":
		return "not " + b.kids[0].inner()
	}
	parts := make([]string, len(b.kids))
	for i, k := range b.kids {
		parts[i] = k.inner()
	}
	return strings.Join(parts, " "+b.op+" ")
}

func (b *boolean) inner() string {
	if b.op == "and" || b.op == "or" {
		return "(" + b.String() + ")"
	}
	return b.String()
}

// holds evaluates an expression over names.
func (b *boolean) holds(of func(string) bool) bool {
	switch b.op {
	case "name":
		return of(b.name)
	case "not":
		return !b.kids[0].holds(of)
	case "and":
		return !slices.ContainsFunc(b.kids, func(k *boolean) bool { return !k.holds(of) })
	}
	return slices.ContainsFunc(b.kids, func(k *boolean) bool { return k.holds(of) })
}

// names calls do with every name; quantifiers have patterns and are left out.
func (b *boolean) names(do func(string)) {
	if b.op == "name" {
		do(b.name)
	}
	for _, k := range b.kids {
		k.names(do)
	}
}

// hasQuantifier reports whether there is an "of" in it.
func (b *boolean) hasQuantifier() bool {
	return b.op == "of" || slices.ContainsFunc(b.kids, (*boolean).hasQuantifier)
}

// without returns the condition without the names that are gone, or nil where nothing is left. A quantifier stays as
// long as one of the selections that are left fits it.
func (b *boolean) without(gone map[string]bool, left []string) *boolean {
	switch b.op {
	case "name":
		if gone[b.name] {
			return nil
		}
		return b
	case "of":
		if slices.ContainsFunc(left, func(n string) bool { return fits(n, b.name) }) {
			return b
		}
		return nil
	}
	var kids []*boolean
	for _, k := range b.kids {
		if k = k.without(gone, left); k != nil {
			kids = append(kids, k)
		}
	}
	switch {
	case len(kids) == 0:
		return nil
	case len(kids) == 1 && b.op != "not":
		return kids[0]
	}
	return &boolean{op: b.op, kids: kids}
}

// fits reports whether a selection is meant by "them" or a pattern (Sigma rules specification, "Condition": names
// that begin with an underscore are left out of "them").
func fits(name, target string) bool {
	if strings.HasPrefix(name, "_") && !strings.HasPrefix(target, "_") {
		return false
	}
	if strings.EqualFold(target, "them") {
		return true
	}
	// Of path.Match only the star is meant here.
	quoted := strings.NewReplacer(`\`, `\\`, `?`, `\?`, `[`, `\[`).Replace(target)
	ok, err := path.Match(quoted, name)
	return ok && err == nil
}

// renamed returns the condition with the prefix on every name and pattern, so that it means the selections of one
// variant alone.
func (b *boolean) renamed(prefix string) *boolean {
	c := *b
	c.name, c.kids = variantName(prefix, b.name), nil
	if b.op == "of" && strings.EqualFold(b.name, "them") {
		c.name = prefix + "*"
	}
	for _, k := range b.kids {
		c.kids = append(c.kids, k.renamed(prefix))
	}
	return &c
}

// variantName keeps a leading underscore in front, because it keeps a selection out of "them".
func variantName(prefix, name string) string {
	if rest, ok := strings.CutPrefix(name, "_"); ok {
		return "_" + prefix + rest
	}
	return prefix + name
}
