package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
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
	q.needs = requiredLiterals(tree)
	for _, text := range requiredAll(tree, 0, nil) {
		q.musts = append(q.musts, []byte(text))
	}
	return q, nil
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
