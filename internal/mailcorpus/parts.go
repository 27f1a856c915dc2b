package mailcorpus

import (
	"bytes"
	"strings"
)

// mostParts and mostDepth bound the walk through a message's parts.
const (
	mostParts = 4096
	mostDepth = 48
)

// field is one header field as Python's email package reads it: the value keeps its folds.
type field struct{ name, value string }

type fields []field

func (f fields) get(name string) string {
	for _, x := range f {
		if x.name == name {
			return x.value
		}
	}
	return ""
}

func (f fields) all(name string) []string {
	var out []string
	for _, x := range f {
		if x.name == name {
			out = append(out, x.value)
		}
	}
	return out
}

// readFields reads a header section alone.
func readFields(head []byte) fields {
	p := &partReader{lines: universalLines(append(bytes.Clone(head), '\n', '\n'))}
	return p.header()
}

// universalLines cuts behind LF, CR LF and a lone CR, and keeps the ends.
func universalLines(b []byte) [][]byte {
	var out [][]byte
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			return append(out, b)
		}
		if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
			i++
		}
		out, b = append(out, b[:i+1]), b[i+1:]
	}
	return out
}

// partReader walks the parts of a message in the way of Python's email.feedparser, since the normalised bytes depend
// on where it sees a part begin and end.
type partReader struct {
	lines [][]byte
	next  int
	ends  []string // separators of the multiparts around, outermost first
	parts int
	found [][]byte // base64 texts
}

// base64Texts returns the payloads, undecoded, of all parts of a message that are text in base64.
func base64Texts(message []byte) [][]byte {
	p := &partReader{lines: universalLines(message)}
	p.part(0, "text/plain")
	return p.found
}

// line returns the next line; nil at the end of the input and at a separator of a multipart around.
func (p *partReader) line() []byte {
	if p.next >= len(p.lines) {
		return nil
	}
	l := p.lines[p.next]
	for _, sep := range p.ends {
		if is, _ := separates(l, sep); is {
			return nil
		}
	}
	p.next++
	return l
}

func separates(line []byte, sep string) (is, last bool) {
	rest, ok := bytes.CutPrefix(line, []byte(sep))
	if !ok {
		return false, false
	}
	rest, last = bytes.CutPrefix(rest, []byte("--"))
	rest = bytes.TrimLeft(rest, " \t")
	return len(rest) == 0 || string(rest) == "\n" || string(rest) == "\r" || string(rest) == "\r\n", last
}

// looksLikeField: an mbox line, a name with its colon, or a continuation.
func looksLikeField(l []byte) bool {
	if bytes.HasPrefix(l, []byte("From ")) || l[0] == ' ' || l[0] == '\t' {
		return true
	}
	for _, c := range l {
		if c == ':' {
			return true
		}
		if c < 33 || c > 126 {
			return false
		}
	}
	return false
}

func (p *partReader) header() fields {
	var lines [][]byte
	for {
		l := p.line()
		if l == nil {
			break
		}
		if !looksLikeField(l) {
			if l[0] != '\n' && l[0] != '\r' {
				p.next-- // the body begins without an empty line
			}
			break
		}
		lines = append(lines, l)
	}
	var out fields
	open := false
	for i, l := range lines {
		switch {
		case l[0] == ' ' || l[0] == '\t':
			if open {
				out[len(out)-1].value += string(l)
			}
		case bytes.HasPrefix(l, []byte("From ")):
			open = false
			if i > 0 && i == len(lines)-1 {
				p.next-- // probably the first line of the body
			}
		default:
			name, value, _ := bytes.Cut(l, []byte(":"))
			if open = len(name) > 0; open {
				out = append(out, field{string(lowerASCII(name)), strings.TrimLeft(string(value), " \t")})
			}
		}
	}
	for i := range out {
		out[i].value = strings.TrimRight(out[i].value, "\r\n")
	}
	return out
}

// part reads one part to its end and returns its type.
func (p *partReader) part(depth int, standard string) {
	p.parts++
	f := p.header()
	kind := contentType(f, standard)
	major, _, _ := strings.Cut(kind, "/")
	switch {
	case depth >= mostDepth || p.parts >= mostParts, kind == "message/delivery-status":
		p.rest()
	case major == "message":
		p.part(depth+1, "text/plain")
	case major == "multipart":
		p.multipart(f, kind, depth)
	default:
		payload := p.rest()
		if major == "text" && strings.TrimSpace(strings.ToLower(f.get("content-transfer-encoding"))) == "base64" {
			if len(p.ends) > 0 && p.next < len(p.lines) {
				payload = trimLineEnd(payload)
			}
			if len(payload) > 0 {
				p.found = append(p.found, payload)
			}
		}
	}
}

// multipart reads the parts between separators.
func (p *partReader) multipart(f fields, kind string, depth int) {
	sep, ok := boundary(f.get("content-type"))
	if !ok {
		p.rest()
		return
	}
	sep = "--" + sep
	standard := "text/plain"
	if kind == "multipart/digest" {
		standard = "message/rfc822"
	}
	for {
		l := p.line()
		if l == nil {
			return
		}
		is, last := separates(l, sep)
		if !is {
			continue // what stands before the first separator
		}
		if last {
			p.rest()
			return
		}
		for p.next < len(p.lines) {
			if is, _ := separates(p.lines[p.next], sep); !is || p.line() == nil {
				break
			}
		}
		p.ends = append(p.ends, sep)
		p.part(depth+1, standard)
		p.ends = p.ends[:len(p.ends)-1]
	}
}

// rest returns everything to the end of the part.
func (p *partReader) rest() []byte {
	var out []byte
	for l := p.line(); l != nil; l = p.line() {
		out = append(out, l...)
	}
	return out
}

func trimLineEnd(b []byte) []byte {
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return b[:len(b)-2]
	case bytes.HasSuffix(b, []byte("\n")), bytes.HasSuffix(b, []byte("\r")):
		return b[:len(b)-1]
	}
	return b
}

func contentType(f fields, standard string) string {
	for _, x := range f {
		if x.name == "content-type" {
			kind, _, _ := strings.Cut(x.value, ";")
			kind = strings.ToLower(strings.TrimSpace(kind))
			if strings.Count(kind, "/") != 1 {
				return "text/plain"
			}
			return kind
		}
	}
	return standard
}

// boundary finds the parameter of a Content-Type, quoted or not; a semicolon in quotes does not end it.
func boundary(value string) (string, bool) {
	for _, s := range parameters(value) {
		name, v, _ := strings.Cut(s, "=")
		if strings.ToLower(strings.TrimSpace(name)) != "boundary" {
			continue
		}
		v = strings.TrimSpace(v)
		if len(v) > 1 && v[0] == '"' && v[len(v)-1] == '"' {
			v = strings.ReplaceAll(strings.ReplaceAll(v[1:len(v)-1], `\\`, `\`), `\"`, `"`)
		}
		if len(v) > 1 && v[0] == '<' && v[len(v)-1] == '>' {
			v = v[1 : len(v)-1]
		}
		return strings.TrimRight(v, " \t\r\n\f\v"), true
	}
	return "", false
}

func parameters(value string) []string {
	var out []string
	for start, i, quoted := 0, 0, false; i <= len(value); i++ {
		switch {
		case i == len(value) || value[i] == ';' && !quoted:
			out = append(out, value[start:i])
			start = i + 1
		case value[i] == '"' && (i == 0 || value[i-1] != '\\'):
			quoted = !quoted
		}
	}
	return out
}
