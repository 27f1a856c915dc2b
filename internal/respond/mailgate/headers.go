package mailgate

import (
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/mailauth"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// strip names the fields that came in and speak in our name.
func strip(list []milter.Field, id string) []milter.Place {
	fields := make([]mailauth.Field, len(list))
	for i, f := range list {
		fields[i] = mailauth.Field(f)
	}
	var out []milter.Place
	for _, r := range mailauth.Strip(fields, id) {
		out = append(out, milter.Place{Name: r.Name, Index: r.Index})
	}
	return out
}

// shown is what the fields of a verdict say of a message.
type shown struct {
	verdict   string
	score     float64
	reasons   []string // names with weights
	reference string
}

// insert returns the fields that a delivered message gets on top. Reasons are those of one tenant, or none.
func (x *examined) insert(s *site, v *shown) []milter.Field {
	var out []milter.Field
	if x.results != "" {
		out = append(out, milter.Field{Name: "Authentication-Results", Value: x.results})
	}
	if v != nil {
		out = append(out, milter.Field{Name: "X-Breakwater-Verdict", Value: v.verdict + "; id=" + ascii(v.reference)},
			milter.Field{Name: "X-Breakwater-Score", Value: fmt.Sprintf("%.4f", v.score)})
		if len(v.reasons) > 0 {
			out = append(out, milter.Field{Name: "X-Breakwater-Reasons", Value: fold("X-Breakwater-Reasons", v.reasons)})
		}
	}
	return out
}

// fold joins words with commas into lines of at most 76 characters where the words allow it (RFC 5322 2.2.3).
func fold(name string, words []string) string {
	const width = 76
	var b strings.Builder
	at := len(name) + 2
	for i, w := range words {
		w = ascii(w)
		if i < len(words)-1 {
			w += ","
		}
		switch {
		case i == 0:
		case at+1+len(w) > width:
			b.WriteString("\r\n ")
			at = 1
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += len(w)
	}
	return b.String()
}

// ascii makes s printable ASCII of at most 200 bytes.
func ascii(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > 200 {
		s = s[:200]
	}
	return s
}

// oneLine makes a text fit for logs and records: without control characters, at most 300 bytes.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "")
	}
	return s
}
