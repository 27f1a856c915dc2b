package sigma

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// requiredLiteral returns the longest text, in lower case, that every match of the expression must hold in
// lower case too, or "" where there is none.
func requiredLiteral(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	return longestRequired(re.Simplify(), 0)
}

func longestRequired(re *syntax.Regexp, depth int) string {
	if depth > MaxDepth {
		return ""
	}
	switch re.Op {
	case syntax.OpLiteral:
		return literalOf(re)
	case syntax.OpCapture, syntax.OpPlus:
		return longestRequired(re.Sub[0], depth+1)
	case syntax.OpRepeat:
		if re.Min > 0 {
			return longestRequired(re.Sub[0], depth+1)
		}
	case syntax.OpConcat:
		best := ""
		for _, s := range re.Sub {
			if l := longestRequired(s, depth+1); len(l) > len(best) {
				best = l
			}
		}
		return best
	}
	return ""
}

// literalOf returns the longest part of a literal that lower-casing can't hide. Where case is folded, "s" also
// stands for U+017F, which has no lower case of its own, and other alphabets have more such pairs: the text is
// cut there.
func literalOf(re *syntax.Regexp) string {
	if re.Flags&syntax.FoldCase == 0 {
		for _, r := range re.Rune {
			if r == utf8.RuneError {
				return ""
			}
		}
		return string(appendLower(nil, string(re.Rune)))
	}
	parts := strings.FieldsFunc(string(re.Rune), func(r rune) bool { return r == 's' || r == 'S' || r >= utf8.RuneSelf })
	best := ""
	for _, p := range parts {
		if len(p) > len(best) {
			best = p
		}
	}
	return strings.ToLower(best)
}
