package mail

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// glyphs counts the letters by which text deceives filters or readers.
type glyphs struct {
	invisible int // zero-width characters
	split     int // words cut in two by them
	fancy     int // mathematical, circled, full-width letters
	bidi      int // signs that turn the direction
	mixed     int // words of several alphabets
}

// invisible reports whether a character takes no room.
func invisible(r rune) bool {
	switch r {
	case '\u00ad', '\u034f', '\u061c', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u180e', '\u3164', '\ufeff', '\uffa0':
		return true
	}
	return r >= '\u200b' && r <= '\u200f' || r >= '\u2060' && r <= '\u2064' || r >= '\ufe00' && r <= '\ufe0f' || r >= 0xe0000 && r <= 0xe007f
}

func turning(r rune) bool { return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' }

// fancy reports whether a character is a plain letter or digit in another dress.
func fancy(r rune) bool {
	return r >= 0x1d400 && r <= 0x1d7ff || r >= 0x1f130 && r <= 0x1f149 || r >= '\uff01' && r <= '\uff5e' || r >= '\u2460' && r <= '\u24ff'
}

// plain reports whether s is printable ASCII, so that nothing is to be cleaned.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || c == 0 {
			return false
		}
	}
	return true
}

// cleanText returns text as a reader sees it: invisible characters gone, letters in fancy dress plain, runs that are
// turned round (RLO) in the order in which they are read. What it removes is counted.
func (b *body) cleanText(s string) string {
	if plain(s) {
		return s
	}
	var out strings.Builder
	out.Grow(len(s))
	var prev rune
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf && c != 0 {
			out.WriteByte(c)
			prev = rune(c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == 0 || invisible(r):
			b.hidden++
			b.glyphs.invisible++
			if latin(prev) {
				if next, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(clip(s[i:], 64), invisible)); latin(next) {
					b.glyphs.split++
				}
			}
		case turning(r):
			b.glyphs.bidi++
			if r == '\u202e' {
				end := strings.IndexAny(s[i:], "\u202c\u202d\n")
				if end < 0 {
					end = len(s) - i
				}
				out.WriteString(reversed(clip(s[i:i+end], 1000)))
				i += min(end, len(clip(s[i:i+end], 1000)))
			}
		case fancy(r):
			dressed := norm.NFKC.String(string(r))
			if len(dressed) == 1 && (dressed[0] >= 'a' && dressed[0] <= 'z' || dressed[0] >= 'A' && dressed[0] <= 'Z') {
				b.glyphs.fancy++
			}
			out.WriteString(dressed)
			prev = 'a'
		default:
			out.WriteRune(r)
			prev = r
		}
	}
	return out.String()
}

func latin(r rune) bool { return r < 0x250 && unicode.IsLetter(r) }

func reversed(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

// countMixed counts words of the text with letters of several alphabets.
func (b *body) countMixed(text string) {
	if plain(text) {
		return
	}
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if len(w) > 2 && len(w) < 200 && mixedScripts(w) {
			b.glyphs.mixed++
		}
	}
}
