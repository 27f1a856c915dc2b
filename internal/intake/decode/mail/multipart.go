package mail

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// boundaries returns the boundaries that a Content-Type names: one, unless it has the parameter twice or in a form
// that programs read in different ways.
func boundaries(contentType string, params map[string]string) []string {
	out := []string{params["boundary"]}
	if strings.Count(strings.ToLower(contentType), "boundary") < 2 {
		return out
	}
	for _, s := range splitQuoted(contentType, ';') {
		k, v, ok := strings.Cut(s, "=")
		if ok && strings.EqualFold(strings.TrimSpace(k), "boundary") {
			v = strings.Trim(strings.TrimSpace(v), `"'`)
			if v != "" && !slices.Contains(out, v) && len(out) < 4 {
				out = append(out, v)
			}
		}
	}
	return out
}

func (b *body) multipart(kind string, named []string, raw []byte, at place) {
	if !b.checkDepth(at.depth) {
		return
	}
	in := place{within: kind, depth: at.depth + 1, group: at.group}
	if kind == "multipart/alternative" && at.group == 0 {
		in.group = b.parts // a number of its own
	}
	if len(named) > 1 {
		b.note("broken: a multipart with two boundaries, of which programs take either")
	}
	for _, boundary := range named {
		if boundary == "" || len(boundary) > 512 {
			b.note("broken: multipart without a boundary")
			b.withoutBoundary(raw, in)
			continue
		}
		b.split(boundary, raw, in)
	}
}

// split reads the parts between one boundary.
func (b *body) split(boundary string, raw []byte, in place) {
	delim := []byte("--" + boundary)
	at := 0
	start := -1 // of the open part
	n := 0
	for b.parts <= MaxParts {
		i := nextDelimiter(raw, at, delim)
		if i < 0 {
			if start < 0 {
				if n == 0 {
					b.note("broken: multipart whose boundary never comes")
					b.withoutBoundary(raw, in)
				}
				return
			}
			b.note("odd: multipart without an end")
			b.part(raw[start:], in)
			return
		}
		if start >= 0 {
			b.part(trimEnd(raw[start:i]), in)
		} else if n == 0 {
			b.stray(raw[:i], in)
		}
		n++
		rest := raw[i+len(delim):]
		if bytes.HasPrefix(rest, []byte("--")) {
			if n == 1 {
				b.note("odd: multipart without parts")
			}
			b.stray(rest[2:], in)
			return
		}
		_, next := cutLine(rest)
		start = len(raw) - len(next)
		at = start
		if len(next) == 0 {
			return
		}
	}
	b.note(fmt.Sprintf("limit: more than %d parts", MaxParts))
}

// withoutBoundary reads a multipart that cannot be split: as parts under a boundary that it uses all the same, or
// as text.
func (b *body) withoutBoundary(raw []byte, in place) {
	if !b.stray(raw, in) {
		text := b.cleanText(b.utf8Of(raw[:min(len(raw), MaxText)], "", false))
		b.show(false, text, 0)
		b.textLinks(text)
	}
}

// stray looks for parts where no program that follows the standard sees any: before the first boundary, after the
// last, or under a boundary that the header does not name. Some programs show them.
func (b *body) stray(raw []byte, in place) bool {
	if len(raw) < 16 {
		return false
	}
	at := 0
	for range 64 {
		i := bytes.Index(raw[at:], []byte("--"))
		if i < 0 {
			return false
		}
		i += at
		line, rest := cutLine(raw[i:])
		if (i == 0 || raw[i-1] == '\n') && len(line) > 2 && len(line) < 200 && len(rest) > 8 && bytes.EqualFold(rest[:8], []byte("content-")) {
			boundary := string(bytes.TrimRight(line[2:], " \t"))
			b.note("broken: parts under a boundary that the header does not name")
			before := len(b.texts)
			in.depth++
			if b.checkDepth(in.depth) {
				b.split(boundary, raw[i:], in)
			}
			for _, s := range b.texts[before:] {
				b.keepElsewhere(s.text)
			}
			return true
		}
		at = i + len(line) + 1
		if at >= len(raw) {
			return false
		}
	}
	return false
}

func (b *body) part(raw []byte, in place) {
	h, rest := splitMessage(raw, b.note)
	b.entity(h, rest, in)
}

// nextDelimiter finds the boundary at the start of a line, from position at on.
func nextDelimiter(raw []byte, at int, delim []byte) int {
	for at <= len(raw) {
		i := bytes.Index(raw[at:], delim)
		if i < 0 {
			return -1
		}
		i += at
		end := i + len(delim)
		closed := end >= len(raw) || raw[end] == '\n' || raw[end] == '\r' || raw[end] == ' ' || raw[end] == '\t' || raw[end] == '-'
		if (i == 0 || raw[i-1] == '\n' || raw[i-1] == '\r') && closed {
			return i
		}
		line := bytes.IndexByte(raw[i:], '\n')
		if line < 0 {
			return -1
		}
		at = i + line + 1
	}
	return -1
}

func trimEnd(p []byte) []byte {
	p = bytes.TrimSuffix(p, []byte("\n"))
	return bytes.TrimSuffix(p, []byte("\r"))
}
