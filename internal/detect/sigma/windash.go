package sigma

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// dashes are what may begin a command line option on Windows: the windash modifier takes each for the others
// (modifiers appendix, "String Modifiers").
var dashes = [...]string{"-", "/", "–", "—", "―"}

func isDash(r rune) bool { return r == '-' || r == '/' || r == '–' || r == '—' || r == '―' }

// maxDashForms bounds into how many texts a value with dashes is written out.
const maxDashForms = 5 * 5 * 5 * 5

// windash puts a token for any dash where a dash begins an option: no word character before it, one behind it
// (as pySigma: \B[-/]\b). Every mixture of dashes fits, as the specification asks ("all possible permutations").
func (p pattern) windash() pattern {
	var out pattern
	prev := ' '
	for _, t := range p {
		if t.kind != tokLiteral {
			out, prev = append(out, t), ' '
			continue
		}
		from := 0
		for i, r := range t.text {
			n := utf8.RuneLen(r)
			if r == utf8.RuneError {
				_, n = utf8.DecodeRuneInString(t.text[i:])
			}
			if isDash(r) && !isWord(prev) {
				if next, size := utf8.DecodeRuneInString(t.text[i+n:]); size > 0 && isWord(next) {
					if i > from {
						out = append(out, token{tokLiteral, t.text[from:i]})
					}
					out, from = append(out, token{kind: tokDash}), i+n
				}
			}
			prev = r
		}
		if from < len(t.text) {
			out = append(out, token{tokLiteral, t.text[from:]})
		}
	}
	return out
}

// written returns the pattern once for every way to put dashes for its tokens.
func (p pattern) written() ([]pattern, error) {
	forms := 1
	for _, t := range p {
		if t.kind == tokDash {
			if forms *= len(dashes); forms > maxDashForms {
				return nil, fmt.Errorf("modifier windash before an encoding takes at most 4 dashes in a value")
			}
		}
	}
	out := make([]pattern, forms)
	for f := range out {
		rest := f
		var q pattern
		for _, t := range p {
			if t.kind == tokDash {
				t = token{tokLiteral, dashes[rest%len(dashes)]}
				rest /= len(dashes)
			}
			if n := len(q); n > 0 && t.kind == tokLiteral && q[n-1].kind == tokLiteral {
				q[n-1].text += t.text
				continue
			}
			q = append(q, t)
		}
		out[f] = q
	}
	return out, nil
}

// dashCount counts the tokens that stand for any dash.
func (p pattern) dashCount() int {
	n := 0
	for _, t := range p {
		if t.kind == tokDash {
			n++
		}
	}
	return n
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
