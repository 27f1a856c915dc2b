package quarantine

import (
	"bytes"
	"slices"
	"strings"
	"unicode"

	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Bounds of what is shown of a message.
const (
	maxHeaders = 200
	maxValue   = 2 << 10 // bytes of one header field
)

// View is a held message as a person may safely look at it: its header fields and the text a reader would see. HTML is
// never rendered, and nothing it points to is fetched.
type View struct {
	Headers     [][2]string       `json:"headers"` // name and value, in their order, control characters escaped
	More        bool              `json:"more,omitempty"`
	Text        string            `json:"text"`
	Links       []ocsf.Link       `json:"links,omitempty"`
	Attachments []ocsf.Attachment `json:"attachments,omitempty"`
	Problems    []string          `json:"problems,omitempty"`
}

// Look returns the view of a message.
func Look(raw []byte) View {
	v := View{}
	head := raw
	if i := bytes.Index(raw, []byte("\n\n")); i >= 0 {
		head = raw[:i]
	}
	if i := bytes.Index(head, []byte("\n\r\n")); i >= 0 {
		head = head[:i]
	}
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\n"))
		for len(head) > 0 && (head[0] == ' ' || head[0] == '\t') { // folded
			var more []byte
			more, head, _ = bytes.Cut(head, []byte("\n"))
			if len(line) < maxValue {
				line = slices.Concat(bytes.TrimRight(line, "\r"), []byte(" "), bytes.TrimSpace(more))
			}
		}
		name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r"), []byte(":"))
		if !ok {
			continue
		}
		if len(v.Headers) == maxHeaders {
			v.More = true
			break
		}
		v.Headers = append(v.Headers, [2]string{printable(name, 100), printable(bytes.TrimSpace(value), maxValue)})
	}
	e, reason := mail.Message(raw)
	if e == nil {
		v.Problems = []string{"broken: " + reason}
		return v
	}
	v.Text, v.Links, v.Attachments, v.Problems = e.Mail.Text, e.Mail.Links, e.Mail.Attachments, e.Mail.ParseProblems
	return v
}

// printable shows bytes of a stranger's: what is no visible character becomes a mark, so that no terminal obeys it.
func printable(b []byte, most int) string {
	if len(b) > most {
		b = b[:most]
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, string(b))
}
