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

// anyDate stands in for the date of a message that has none.
const anyDate = "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"

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
			if len(line) < maxValue { // what is beyond is not shown
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
	if e == nil { // an event needs a time, and somebody who looks at a message does not
		v.Problems = []string{Printable(reason)}
		if e, _ = mail.Message(slices.Concat([]byte(anyDate), raw)); e == nil {
			return v
		}
	}
	v.Text = printableText(e.Mail.Text)
	for _, l := range e.Mail.Links {
		v.Links = append(v.Links, ocsf.Link{URL: Printable(l.URL), Host: Printable(l.Host), Text: Printable(l.Text), From: l.From})
	}
	for _, a := range e.Mail.Attachments {
		v.Attachments = append(v.Attachments, ocsf.Attachment{Name: Printable(a.Name), Type: Printable(a.Type), Size: a.Size, SHA256: a.SHA256})
	}
	for _, p := range e.Mail.ParseProblems {
		v.Problems = append(v.Problems, Printable(p))
	}
	return v
}

// Printable returns a stranger's text with a mark in place of what is no visible character: control characters, which a
// terminal obeys, and those that hide or turn what follows. It holds at most 2 KiB.
func Printable(s string) string { return printable([]byte(s), maxValue) }

// printableText is Printable of text with lines, whole.
func printableText(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = printable([]byte(lines[i]), len(lines[i]))
	}
	return strings.Join(lines, "\n")
}

// printable shows bytes of a stranger's: what is no visible character becomes a mark, so that no terminal obeys it.
func printable(b []byte, most int) string {
	if len(b) > most {
		b = append(b[:most:most], "…"...)
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, string(b))
}
