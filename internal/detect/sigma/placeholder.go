package sigma

import (
	"fmt"
	"regexp"
	"strings"
)

// placeholders give the values of %names% for the expand modifier (rules specification, "Placeholders").
type placeholders map[string][]string

// maxExpanded bounds the bytes that one value with placeholders becomes.
const maxExpanded = 4 << 20

// piece is a part of a value: a text, or the name of a placeholder.
type piece struct {
	text string
	name bool
}

// pieces cuts a value at its placeholders. A percent sign behind a backslash is plain; the backslash goes.
func pieces(value string) []piece {
	var out []piece
	var text strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && i+1 < len(value) && value[i+1] == '%':
			i++
			text.WriteByte('%')
		case c == '\\' && i+1 < len(value) && value[i+1] == '\\':
			i++
			text.WriteString(`\\`)
		case c == '%':
			end := strings.IndexAny(value[i+1:], "% \t\n")
			if end < 1 || value[i+1+end] != '%' {
				text.WriteByte(c)
				continue
			}
			if text.Len() > 0 {
				out = append(out, piece{text: text.String()})
				text.Reset()
			}
			out = append(out, piece{value[i+1 : i+1+end], true})
			i += end + 1
		default:
			text.WriteByte(c)
		}
	}
	if text.Len() > 0 || len(out) == 0 {
		out = append(out, piece{text: text.String()})
	}
	return out
}

// unknown names the placeholders of a value that have no value themselves, or returns "".
func (h placeholders) unknown(value string) string {
	var names []string
	for _, p := range pieces(value) {
		if p.name && len(h[p.text]) == 0 {
			names = append(names, "%"+p.text+"%")
		}
	}
	return strings.Join(names, ", ")
}

// patterns returns the value with each combination of its placeholders' values, which may hold wildcards.
func (h placeholders) patterns(value string) ([]pattern, error) {
	out := []pattern{nil}
	err := h.each(value, func(p piece, values []string) {
		var next []pattern
		for _, before := range out {
			for _, v := range values {
				next = append(next, concat(before, parsePattern(v)))
			}
		}
		out = next
	})
	return out, err
}

// texts does so for what is no pattern. In a regular expression a value means itself, and its wildcards what they
// mean elsewhere.
func (h placeholders) texts(value string, regex bool) ([]string, error) {
	out := []string{""}
	err := h.each(value, func(p piece, values []string) {
		var next []string
		for _, before := range out {
			for _, v := range values {
				if p.name && regex {
					v = parsePattern(v).regex()
				}
				next = append(next, before+v)
			}
		}
		out = next
	})
	return out, err
}

// each goes over the pieces, as long as the number of combinations stays within the limit.
func (h placeholders) each(value string, add func(p piece, values []string)) error {
	if names := h.unknown(value); names != "" {
		return fmt.Errorf("placeholder %s is not known: give its values, or leave out the rule", names)
	}
	total, length := 1, 0
	for _, p := range pieces(value) {
		values := []string{p.text}
		if p.name {
			values = h[p.text]
		}
		longest := 0
		for _, v := range values {
			longest = max(longest, len(v))
		}
		if total *= len(values); total > MaxValues {
			return fmt.Errorf("placeholders give more than %d values", MaxValues)
		}
		if length += longest; length > MaxValue || length*total > maxExpanded {
			return fmt.Errorf("placeholders give %d values of %d bytes: that is too much", total, length)
		}
		add(p, values)
	}
	return nil
}

func concat(a, b pattern) pattern {
	out := append(pattern(nil), a...)
	for _, t := range b {
		if n := len(out); n > 0 && t.kind == tokLiteral && out[n-1].kind == tokLiteral {
			out[n-1].text += t.text
			continue
		}
		out = append(out, t)
	}
	return out
}

// regex writes the pattern as a regular expression.
func (p pattern) regex() string {
	var b strings.Builder
	for _, t := range p {
		switch t.kind {
		case tokStar:
			b.WriteString(".*")
		case tokAny:
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(t.text))
		}
	}
	return b.String()
}
