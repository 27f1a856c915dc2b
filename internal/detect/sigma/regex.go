package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// MaxProgram is the largest regular expression, in instructions of the machine that runs it. A machine of that size
// reads a megabyte in seconds at worst: its time is the product of both.
const MaxProgram = 4_096

// regexPredicate compiles an expression. It is looked for anywhere in the value, unless startswith or endswith tell
// its place.
func regexPredicate(field, text, flags, place string) (*predicate, error) {
	if len(text) > MaxRegex {
		return nil, fmt.Errorf("regular expression of %d bytes, at most %d are read", len(text), MaxRegex)
	}
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	switch place {
	case "startswith":
		text = `\A(?:` + text + `)`
	case "endswith":
		text = `(?:` + text + `)\z`
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, regexError(err)
	}
	if n := programSize(tree); n > MaxProgram {
		return nil, fmt.Errorf("regular expression of about %d instructions, at most %d are run: use smaller counts", n, MaxProgram)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, regexError(err)
	}
	q := &predicate{field: field, kind: kindRegex, re: re, cased: true}
	q.filter = newRegexFilter(tree)
	if set := requiredLiterals(tree); useful(set) >= gramLen {
		q.needs = set
	}
	return q, nil
}

// regexFilter is what every match of an expression has, and is quickly looked for: most values that an expression is
// tried on are told by it.
type regexFilter struct {
	length int      // bytes
	all    [][]byte // in lower case, each of them
	any    [][]byte // in lower case, one of them
	run    *classRun
	whole  bool // the expression is nothing but the run
}

// maxAny bounds the texts of which one is looked for.
const maxAny = 8

func newRegexFilter(tree *syntax.Regexp) *regexFilter {
	f := &regexFilter{length: shortestMatch(tree), run: longestRun(tree, 0)}
	f.whole = f.run != nil && tree.Op == syntax.OpRepeat
	for _, text := range requiredAll(tree, 0, nil) {
		f.all = append(f.all, []byte(text))
	}
	if set := requiredLiterals(tree); len(set) > 1 && len(set) <= maxAny {
		for _, text := range set {
			f.any = append(f.any, []byte(text))
		}
	}
	return f
}

// passes reports whether the expression may match, and whether it surely does.
func (f *regexFilter) passes(raw string, low []byte) (may, does bool) {
	if len(raw) < f.length {
		return false, false
	}
	for _, text := range f.all {
		if !bytes.Contains(low, text) {
			return false, false
		}
	}
	some := len(f.any) == 0
	for i := 0; i < len(f.any) && !some; i++ {
		some = bytes.Contains(low, f.any[i])
	}
	if !some || f.run != nil && !f.run.in(raw) {
		return false, false
	}
	return true, f.whole && (!f.run.wide || ascii(raw))
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// shortestMatch returns the least bytes that a match has.
func shortestMatch(re *syntax.Regexp) int {
	const most = 1 << 20
	n := 0
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		n = 1
	case syntax.OpCapture, syntax.OpPlus:
		n = shortestMatch(re.Sub[0])
	case syntax.OpRepeat:
		n = re.Min * shortestMatch(re.Sub[0])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			n = min(most, n+shortestMatch(s))
		}
	case syntax.OpAlternate:
		n = most
		for _, s := range re.Sub {
			n = min(n, shortestMatch(s))
		}
	}
	return min(most, n)
}

// classRun is a number of characters of one class in a row, as in the expressions for keys and encoded texts.
type classRun struct {
	class  [256]bool
	length int
	wide   bool // the class has characters of several bytes, so that bytes in a row are not as many characters
}

// minRun is the shortest run that is worth looking for.
const minRun = 6

// longestRun returns the longest run of characters of one class that every match has, or nil. The class is of ASCII
// characters, or of any.
func longestRun(re *syntax.Regexp, depth int) (best *classRun) {
	if depth > MaxDepth {
		return nil
	}
	switch re.Op {
	case syntax.OpCapture, syntax.OpPlus:
		return longestRun(re.Sub[0], depth+1)
	case syntax.OpConcat:
		for _, s := range re.Sub {
			if r := longestRun(s, depth+1); r != nil && (best == nil || r.length > best.length) {
				best = r
			}
		}
	case syntax.OpRepeat:
		class := re.Sub[0]
		if re.Min < minRun {
			return nil
		}
		best = &classRun{length: re.Min}
		switch class.Op {
		case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
			best.wide = true
			for c := range best.class {
				best.class[c] = c != '\n' || class.Op == syntax.OpAnyChar
			}
			return best
		case syntax.OpCharClass:
		default:
			return nil
		}
		for i := 0; i+1 < len(class.Rune); i += 2 {
			if class.Rune[i+1] >= utf8.RuneSelf {
				return nil
			}
			for r := class.Rune[i]; r <= class.Rune[i+1]; r++ {
				best.class[r] = true
			}
		}
	}
	return best
}

// in reports whether the text has such a run. A place that is no part of one rules out all that lies around it, so that
// mostly one byte in length is looked at.
func (r *classRun) in(text string) bool {
	from := 0 // where a run may begin
	for from+r.length <= len(text) {
		at := from + r.length - 1
		for at >= from && r.class[text[at]] {
			at--
		}
		if at < from {
			return true
		}
		from = at + 1
	}
	return false
}

func regexError(err error) error {
	what := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	if e := (*syntax.Error)(nil); errors.As(err, &e) {
		what = string(e.Code)
		if len(e.Expr) <= 100 {
			what = fmt.Sprintf("%s in %q", e.Code, e.Expr)
		}
	}
	return fmt.Errorf("regular expression: %s (look-around and back-references are not supported)", what)
}

// programSize estimates how many instructions an expression compiles to, before it is written out: counted
// repetitions multiply. The tree's depth is bounded by the parser.
func programSize(re *syntax.Regexp) int {
	const most = 1 << 30
	n := 1
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCapture:
		n = 2
	}
	for _, s := range re.Sub {
		n = min(most, n+programSize(s)+1)
	}
	if re.Op == syntax.OpRepeat {
		times := max(re.Max, re.Min+1, 1)
		if n > most/times {
			return most
		}
		n *= times
	}
	return n
}
