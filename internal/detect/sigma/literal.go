package sigma

import (
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on the sets of literals that are drawn from an expression: larger ones cost more than they save.
const (
	maxNeeds  = 64 // literals
	maxSpread = 16 // characters of a class that is written out
)

// requiredLiterals returns texts in lower case, at least one of which every match of the expression holds in lower
// case too; nil where there are none. (R. Cox, "Regular Expression Matching with a Trigram Index", 2012, keeps exact
// and required sets in the same way.)
func requiredLiterals(tree *syntax.Regexp) []string {
	s := literalsOf(tree, 0)
	if best := better(s.need, s.exact); useful(best) > 0 {
		return best
	}
	return nil
}

// maxMusts bounds the texts that are looked for before an expression runs.
const maxMusts = 8

// requiredAll returns texts in lower case that every match holds, each of them: too short for the index, but quicker
// to look for than the expression.
func requiredAll(re *syntax.Regexp, depth int, out []string) []string {
	if depth > MaxDepth || len(out) >= maxMusts {
		return out
	}
	switch re.Op {
	case syntax.OpLiteral:
		s := literalText(re)
		if s.exact != nil {
			s.need = s.exact
		}
		for _, text := range s.need {
			if text != "" {
				out = union(out, []string{text})
			}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return requiredAll(re.Sub[0], depth+1, out)
	case syntax.OpRepeat:
		if re.Min > 0 {
			return requiredAll(re.Sub[0], depth+1, out)
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			out = requiredAll(sub, depth+1, out)
		}
	}
	return out
}

// literalSets are what is known of the matches of an expression, in lower case.
type literalSets struct {
	exact []string // every match is one of these; nil: not known
	need  []string // every match holds one of these; nil: not known
}

// useful returns the length of the shortest text of a set, 0 for none.
func useful(set []string) int {
	if len(set) == 0 {
		return 0
	}
	n := len(set[0])
	for _, s := range set[1:] {
		n = min(n, len(s))
	}
	return n
}

// better returns the set that is harder to find by chance.
func better(a, b []string) []string {
	if x, y := useful(a), useful(b); x > y || x == y && len(a) <= len(b) && x > 0 {
		return a
	}
	return b
}

func literalsOf(re *syntax.Regexp, depth int) literalSets {
	if depth > 2*MaxDepth {
		return literalSets{}
	}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return literalSets{exact: []string{""}}
	case syntax.OpLiteral:
		return literalText(re)
	case syntax.OpCharClass:
		return literalClass(re)
	case syntax.OpCapture:
		return literalsOf(re.Sub[0], depth+1)
	case syntax.OpQuest:
		if s := literalsOf(re.Sub[0], depth+1); s.exact != nil {
			return literalSets{exact: union(s.exact, []string{""})}
		}
	case syntax.OpPlus:
		s := literalsOf(re.Sub[0], depth+1)
		return literalSets{need: better(s.need, s.exact)}
	case syntax.OpRepeat:
		if re.Min > 0 {
			s := literalsOf(re.Sub[0], depth+1)
			return literalSets{need: better(s.need, s.exact)}
		}
	case syntax.OpConcat:
		return literalConcat(re, depth)
	case syntax.OpAlternate:
		return literalAlternate(re, depth)
	}
	return literalSets{}
}

func literalConcat(re *syntax.Regexp, depth int) literalSets {
	run, whole := []string{""}, true
	var need []string
	for _, sub := range re.Sub {
		s := literalsOf(sub, depth+1)
		if s.exact != nil && len(run)*len(s.exact) <= maxNeeds {
			run = product(run, s.exact)
			continue
		}
		need, whole = better(better(need, run), better(s.need, s.exact)), false
		run = []string{""}
		if s.exact != nil {
			run = s.exact
		}
	}
	if whole {
		return literalSets{exact: run}
	}
	return literalSets{need: better(need, run)}
}

func literalAlternate(re *syntax.Regexp, depth int) literalSets {
	out := literalSets{exact: []string{}, need: []string{}}
	for _, sub := range re.Sub {
		s := literalsOf(sub, depth+1)
		if out.exact != nil && s.exact != nil {
			out.exact = union(out.exact, s.exact)
		} else {
			out.exact = nil
		}
		if one := better(s.need, s.exact); out.need != nil && useful(one) > 0 {
			out.need = union(out.need, one)
		} else {
			out.need = nil
		}
		if len(out.exact) > maxNeeds {
			out.exact = nil
		}
		if len(out.need) > maxNeeds {
			out.need = nil
		}
	}
	return out
}

// literalText is what a literal can look like in lower case. Where case is folded, "s" also stands for U+017F,
// which is a lower case of its own, and other alphabets have more such letters: the text is cut there.
func literalText(re *syntax.Regexp) literalSets {
	for _, r := range re.Rune {
		if r == utf8.RuneError { // stands for any broken byte too
			return literalSets{}
		}
	}
	if re.Flags&syntax.FoldCase == 0 {
		return literalSets{exact: []string{string(appendLower(nil, string(re.Rune)))}}
	}
	parts := strings.FieldsFunc(string(re.Rune), func(r rune) bool { return r == 's' || r == 'S' || r >= utf8.RuneSelf })
	best := ""
	for _, p := range parts {
		if len(p) > len(best) {
			best = p
		}
	}
	switch best = strings.ToLower(best); {
	case len(best) == len(string(re.Rune)):
		return literalSets{exact: []string{best}}
	case best == "":
		return literalSets{}
	}
	return literalSets{need: []string{best}}
}

func literalClass(re *syntax.Regexp) literalSets {
	n := 0
	var exact []string
	for i := 0; i+1 < len(re.Rune); i += 2 {
		lo, hi := re.Rune[i], re.Rune[i+1]
		if n += int(hi-lo) + 1; n > maxSpread {
			return literalSets{}
		}
		for r := lo; r <= hi; r++ {
			if r == utf8.RuneError {
				return literalSets{}
			}
			exact = union(exact, []string{string(unicode.ToLower(r))})
		}
	}
	return literalSets{exact: exact}
}

func product(a, b []string) []string {
	out := make([]string, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = union(out, []string{x + y})
		}
	}
	return out
}

// union returns the texts of both sets, each once.
func union(a, b []string) []string {
	out := append([]string{}, a...)
next:
	for _, s := range b {
		for _, t := range out {
			if s == t {
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}
