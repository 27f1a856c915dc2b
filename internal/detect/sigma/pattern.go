package sigma

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// tokenKind tells the parts of a value apart.
type tokenKind uint8

const (
	tokLiteral tokenKind = iota
	tokStar              // any text, also none
	tokAny               // exactly one character
)

type token struct {
	kind tokenKind
	text string // of a literal
}

// pattern is a value after its escapes were read. Modifiers work on the tokens, so that a value that ends in a
// backslash can't escape a wildcard that "contains" adds.
type pattern []token

// parsePattern reads a Sigma string: `*` and `?` are wildcards, a backslash takes their meaning away or that
// of another backslash, and stands for itself before anything else (Sigma rules specification, "Escaping").
func parsePattern(s string) pattern {
	var out pattern
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, token{tokLiteral, lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '?' || s[i+1] == '\\'):
			i++
			lit.WriteByte(s[i])
		case c == '*':
			flush()
			out = append(out, token{kind: tokStar})
		case c == '?':
			flush()
			out = append(out, token{kind: tokAny})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return out
}

func literalPattern(s string) pattern {
	if s == "" {
		return nil
	}
	return pattern{{tokLiteral, s}}
}

// plain returns the text of a pattern without wildcards.
func (p pattern) plain() (string, bool) {
	switch {
	case len(p) == 0:
		return "", true
	case len(p) == 1 && p[0].kind == tokLiteral:
		return p[0].text, true
	}
	return "", false
}

// around puts a star before and after the pattern as asked, never two in a row.
func (p pattern) around(before, after bool) pattern {
	star := token{kind: tokStar}
	out := make(pattern, 0, len(p)+2)
	if before && (len(p) == 0 || p[0].kind != tokStar) {
		out = append(out, star)
	}
	out = append(out, p...)
	if after && (len(out) == 0 || out[len(out)-1].kind != tokStar) {
		out = append(out, star)
	}
	return out
}

// lower returns the pattern with its literals in lower case and runs of stars joined.
func (p pattern) lower(cased bool) pattern {
	var out pattern
	for _, t := range p {
		if t.kind == tokStar && len(out) > 0 && out[len(out)-1].kind == tokStar {
			continue
		}
		if t.kind == tokLiteral && !cased {
			t.text = string(appendLower(nil, t.text))
		}
		out = append(out, t)
	}
	return out
}

// key identifies the pattern among others.
func (p pattern) key() string {
	var b strings.Builder
	for _, t := range p {
		b.WriteByte('0' + byte(t.kind))
		b.WriteString(t.text)
		b.WriteByte(0)
	}
	return b.String()
}

// match reports whether the pattern fits the whole of v. It is the slow and certain way: every other matcher
// is tested against it. Its time is at most the product of both lengths.
func (p pattern) match(v []byte) bool {
	pi, vi := 0, 0
	starP, starV := -1, 0
	for {
		if pi < len(p) {
			switch t := p[pi]; t.kind {
			case tokStar:
				starP, starV = pi, vi
				pi++
				continue
			case tokAny:
				if vi < len(v) {
					_, n := utf8.DecodeRune(v[vi:])
					pi, vi = pi+1, vi+n
					continue
				}
			case tokLiteral:
				if len(v)-vi >= len(t.text) && string(v[vi:vi+len(t.text)]) == t.text {
					pi, vi = pi+1, vi+len(t.text)
					continue
				}
			}
		} else if vi == len(v) {
			return true
		}
		if starP < 0 || starV >= len(v) {
			return false
		}
		starV++
		pi, vi = starP+1, starV
	}
}

// longest returns the longest literal that any match must hold.
func (p pattern) longest() string {
	best := ""
	for _, t := range p {
		if t.kind == tokLiteral && len(t.text) > len(best) {
			best = t.text
		}
	}
	return best
}

// appendLower appends s in lower case, character by character; bytes that are no UTF-8 stay as they are.
func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			return appendLowerRunes(dst, s[i:])
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func appendLowerRunes(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[i])
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		i += n
	}
	return dst
}

// dashes are what the windash modifier puts where a command line option begins.
var dashes = [...]string{"-", "/", "–", "—", "―"}

// windash returns the pattern once for each dash, all option dashes of a value replaced together. A dash
// begins an option where no word character stands before it and one follows (pySigma: \B[-/]\b).
func (p pattern) windash() []pattern {
	found := false
	var out []pattern
	for _, dash := range dashes {
		q := make(pattern, len(p))
		for i, t := range p {
			if t.kind == tokLiteral {
				var hit bool
				t.text, hit = replaceDashes(t.text, dash)
				found = found || hit
			}
			q[i] = t
		}
		if !found {
			return []pattern{p}
		}
		out = append(out, q)
	}
	return out
}

func replaceDashes(s, dash string) (string, bool) {
	var b strings.Builder
	hit := false
	prev := rune(' ')
	for i, r := range s {
		if (r == '-' || r == '/') && !isWord(prev) {
			if next, _ := utf8.DecodeRuneInString(s[i+1:]); isWord(next) && i+1 < len(s) {
				b.WriteString(dash)
				hit, prev = true, r
				continue
			}
		}
		b.WriteRune(r)
		prev = r
	}
	if !hit {
		return s, false
	}
	return b.String(), true
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// wide encodes the literals as UTF-16, little or big endian, with a byte order mark where asked.
func (p pattern) wide(bigEndian, mark bool) pattern {
	put := func(b *bytes.Buffer, u uint16) {
		if bigEndian {
			b.WriteByte(byte(u >> 8))
			b.WriteByte(byte(u))
			return
		}
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	out := make(pattern, 0, len(p))
	for i, t := range p {
		if t.kind == tokLiteral {
			var b bytes.Buffer
			if mark && i == 0 {
				put(&b, 0xFEFF)
			}
			for _, u := range utf16.Encode([]rune(t.text)) {
				put(&b, u)
			}
			t.text = b.String()
		}
		out = append(out, t)
	}
	return out
}

// base64Offsets returns the three encodings that a text has inside a longer base64 text, by its offset modulo
// three; what neighbours could change at the edges is cut off.
func base64Offsets(s string) []string {
	starts, ends := [3]int{0, 2, 3}, [3]int{0, 3, 2}
	var out []string
	for i := range 3 {
		enc := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", i) + s))
		end := len(enc) - ends[(len(s)+i)%3]
		if starts[i] < end {
			out = append(out, enc[starts[i]:end])
		}
	}
	return out
}
