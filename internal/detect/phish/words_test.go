package phish

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// plainNewText says in the simplest way what newText gives.
func plainNewText(subject, text string) string {
	var b strings.Builder
	subject, text = norm.NFKC.String(subject), norm.NFKC.String(text)
	b.WriteString(strings.ToLower(subject) + " | ")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '>' {
			continue
		}
		if quoteStarts(lines, i, line) {
			break
		}
		b.WriteString(strings.ToLower(line) + " ")
	}
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r == '’' || r == '‘':
			return '\''
		case r == '\u00ad' || r == '\u200b':
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, b.String())), " ")
}

// FuzzNewText: the text in one pass is the text step by step.
func FuzzNewText(f *testing.F) {
	f.Add("Re: Héllo  World", "One\n> two\n  Three’s \u00adfour\u200b five\t six\nOn Monday Ann wrote:\n> x")
	f.Add("", "")
	f.Add("\xff\u2028İ", "𝐕𝐞𝐫𝐢𝐟𝐲 ①\r\n\v\f \u00a0x\nFrom: a\nSent: b\nc")
	f.Add("x", "-----Original Message-----\nFrom: a")
	f.Fuzz(func(t *testing.T, subject, text string) {
		if len(subject)+len(text) > 4000 {
			return // the text is cut there, at a line
		}
		if got, want := newText(subject, text), plainNewText(subject, text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestQuotationsAreLeftOut(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"marked lines", "new\n> old\nmore", "s | new more"},
		{"wrote", "new\nOn Monday, Ann wrote:\nold", "s | new"},
		{"schrieb", "neu\nAm Montag schrieb Anna:\nalt", "s | neu"},
		{"a écrit", "nouveau\nLe lundi, Anne a écrit :\nvieux", "s | nouveau"},
		{"schrieb am Ende", "neu\nAnna schrieb:\nalt", "s | neu"},
		{"schreef", "nieuw\nOp maandag schreef Anna:\noud", "s | nieuw"},
		{"ha scritto", "nuovo\nIl lunedì Anna ha scritto:\nvecchio", "s | nuovo"},
		{"header block", "new\nFrom: Ann\nSent: Monday\nold", "s | new"},
		{"a line that only ends in a colon", "these are open:\none\ntwo", "s | these are open: one two"},
		{"original message", "new\n-----Original Message-----\nold", "s | new"},
	}
	for _, tt := range tests {
		if got := newText("S", tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
