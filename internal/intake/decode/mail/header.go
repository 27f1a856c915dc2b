package mail

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// field is one header field, unfolded; the name is in lower case, the value as it was sent.
type field struct{ name, value string }

// header is a header section in its order, top-most first.
type header []field

// get returns the first value of that lower-case name.
func (h header) get(name string) string {
	for i := range h {
		if h[i].name == name {
			return h[i].value
		}
	}
	return ""
}

// last returns the last value of that lower-case name.
func (h header) last(name string) string {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].name == name {
			return h[i].value
		}
	}
	return ""
}

// count tells how many fields of that name there are.
func (h header) count(name string) (n int) {
	for i := range h {
		if h[i].name == name {
			n++
		}
	}
	return n
}

// maxBadLines is how many lines of a header section may be no header before the rest is taken for the body.
const maxBadLines = 20

var longHeader = fmt.Sprintf("limit: header section longer than %d fields or %d bytes", MaxHeaders, MaxHeaderBytes)

// splitMessage reads the header section and returns the body after it.
func splitMessage(raw []byte, note func(string)) (header, []byte) {
	var (
		h    header
		bad  int
		used int
		rest = raw
	)
	for len(rest) > 0 {
		line, next := cutLine(rest)
		if len(line) == 0 {
			return h, next
		}
		used += len(rest) - len(next)
		if len(h) >= MaxHeaders || used > MaxHeaderBytes {
			note(longHeader)
			return h, afterBlank(rest)
		}
		if line[0] == ' ' || line[0] == '\t' {
			rest = next
			continue // a continuation of nothing
		}
		name, value, ok := cutHeader(line)
		if !ok {
			bad++
			if bad > maxBadLines || (len(h) > 0 && line[0] == '-' && bytes.HasPrefix(line, []byte("--"))) {
				note("broken: header section without an end")
				return h, rest
			}
			note("odd: a header line that is none")
			rest = next
			continue
		}
		value, rest = unfold(value, next, &used)
		h = append(h, field{strings.ToLower(name), string(bytes.TrimSpace(value))})
		if used > MaxHeaderBytes {
			note(longHeader)
			return h, afterBlank(rest)
		}
	}
	return h, nil
}

// unfold joins continuation lines to the value. The copy is made only where there are any.
func unfold(value, rest []byte, used *int) ([]byte, []byte) {
	copied := false
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
		line, next := cutLine(rest)
		if len(bytes.TrimSpace(line)) == 0 && len(line) == 0 {
			break
		}
		*used += len(rest) - len(next)
		if !copied {
			value, copied = append(make([]byte, 0, len(value)+len(line)+64), value...), true
		}
		if len(value) < MaxHeaderBytes {
			value = append(append(value, ' '), bytes.TrimLeft(line, " \t")...)
		}
		rest = next
	}
	return value, rest
}

// cutLine returns the first line without its end, and what follows.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	line = b[:i]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, b[i+1:]
}

// afterBlank returns what follows the first empty line.
func afterBlank(b []byte) []byte {
	i, j := bytes.Index(b, []byte("\n\n")), bytes.Index(b, []byte("\n\r\n"))
	switch {
	case i >= 0 && (j < 0 || i < j):
		return b[i+2:]
	case j >= 0:
		return b[j+3:]
	}
	return nil
}

var words = mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
	enc, err := htmlindex.Get(charset)
	if err != nil {
		return nil, fmt.Errorf("charset %q: %w", charset, err)
	}
	return enc.NewDecoder().Reader(r), nil
}}

// maxWords is how much of one header value is shown; decoding encoded words is quadratic in the worst case.
const maxWords = 8 << 10

// decodeWords returns a header value as people see it: encoded words (RFC 2047) decoded, bytes that are no UTF-8
// taken for Windows-1252, control characters made spaces.
func decodeWords(v string) string {
	v = toUTF8(clip(v, maxWords))
	if strings.Contains(v, "=?") {
		d, err := words.DecodeHeader(v)
		if err != nil || strings.Contains(d, "?B?") || strings.Contains(d, "?b?") {
			d = looseWords(v)
		}
		v = d
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, v))
}

// looseWords decodes the encoded words that the standard reader refuses: padding in excess, spaces inside, foreign
// characters. What is still none stays as it is.
func looseWords(v string) string {
	var b strings.Builder
	for {
		i := strings.Index(v, "=?")
		if i < 0 {
			break
		}
		f := strings.SplitN(v[i+2:], "?", 3)
		end := -1
		if len(f) == 3 {
			end = strings.Index(f[2], "?=")
		}
		if end < 0 || len(f[1]) != 1 {
			b.WriteString(v[:i+2])
			v = v[i+2:]
			continue
		}
		b.WriteString(v[:i])
		text := []byte(f[2][:end])
		switch f[1][0] {
		case 'B', 'b':
			text, _ = base64Bytes(text)
		case 'Q', 'q':
			text = quotedPrintable(bytes.ReplaceAll(text, []byte("_"), []byte(" ")))
		}
		b.WriteString(utf8From(text, strings.ToLower(f[0]), func(string) {}))
		v = f[2][end+2:]
		if rest := strings.TrimLeft(v, " \t"); strings.HasPrefix(rest, "=?") {
			v = rest
		}
	}
	return b.String() + v
}

func toUTF8(v string) string {
	if utf8.ValidString(v) {
		return v
	}
	d, err := charmap.Windows1252.NewDecoder().String(v)
	if err != nil {
		return strings.ToValidUTF8(v, "\uFFFD")
	}
	return d
}

// mediaType splits a Content-Type or Content-Disposition value. It is the standard library's reader where that
// succeeds and a plain split at semicolons where the value is malformed, as mail's often are.
func mediaType(v string) (string, map[string]string) {
	if v == "" {
		return "", nil
	}
	if t, p, err := mime.ParseMediaType(v); err == nil {
		return t, p
	}
	p := map[string]string{}
	var kind string
	for i, s := range splitQuoted(v, ';') {
		if i == 0 {
			kind = strings.ToLower(strings.TrimSpace(s))
			continue
		}
		k, x, ok := strings.Cut(s, "=")
		k = strings.ToLower(strings.TrimSpace(k))
		if _, dup := p[k]; !ok || dup || len(p) > 64 {
			continue
		}
		p[k] = strings.Trim(strings.TrimSpace(x), `"'`)
	}
	return kind, p
}

// splitQuoted splits at a separator outside of double quotes.
func splitQuoted(s string, sep byte) []string {
	var out []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}
