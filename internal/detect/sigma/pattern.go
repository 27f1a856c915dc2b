package sigma

import (
	"encoding/base64"
	"encoding/binary"
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
	tokDash              // one of the dashes that begin an option
)

type token struct {
	kind tokenKind
	text string // of a literal
}

// maxSingles bounds the single-character wildcards of one value: they are what makes a search slow.
const maxSingles = 256

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

// singles counts the single-character wildcards.
func (p pattern) singles() int {
	n := 0
	for _, t := range p {
		if t.kind == tokAny {
			n++
		}
	}
	return n
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

// For eight letters of ASCII at once: of those from A to Z, the high bit is set in the first sum alone.
const high, fromA, pastZ = 0x8080808080808080, 0x3f3f3f3f3f3f3f3f, 0x2525252525252525

// appendLower appends s in lower case, character by character; bytes that are no UTF-8 stay as they are.
func appendLower(dst []byte, s string) []byte {
	n := len(dst)
	dst = append(dst, s...)
	b := dst[n:]
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if x&high != 0 {
			return appendLowerRunes(dst[:n+i], s[i:])
		}
		binary.LittleEndian.PutUint64(b[i:], x|((x+fromA)&^(x+pastZ)&high)>>2)
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c >= utf8.RuneSelf:
			return appendLowerRunes(dst[:n+i], s[i:])
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
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

// wide encodes the literals as UTF-16, little or big endian; with a byte order mark before all else where asked.
func (p pattern) wide(bigEndian, mark bool) pattern {
	put := func(b []byte, u uint16) []byte {
		if bigEndian {
			return append(b, byte(u>>8), byte(u))
		}
		return append(b, byte(u), byte(u>>8))
	}
	out := make(pattern, 0, len(p)+1)
	if mark {
		out = append(out, token{tokLiteral, string(put(nil, 0xFEFF))})
	}
	for _, t := range p {
		if t.kind == tokLiteral {
			var b []byte
			for _, u := range utf16.Encode([]rune(t.text)) {
				b = put(b, u)
			}
			t.text = string(b)
			if n := len(out); n > 0 && out[n-1].kind == tokLiteral {
				out[n-1].text += t.text
				continue
			}
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
