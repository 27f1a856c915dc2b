package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// body collects what the parts of one message hold.
type body struct {
	mail    *ocsf.Mail
	plain   strings.Builder
	shown   strings.Builder // visible text of HTML parts
	hidden  int             // bytes of text that HTML hides
	images  int             // inline images
	parts   int
	decoded int64
	links   map[string]int // URL → position in mail.Links
	traits  map[string]string
	files   []file // attachments to look into once the text is read
	inBody  int    // links of the text itself
}

// file is an attachment as it was decoded.
type file struct {
	name, kind, charset string
	data                []byte
}

func newBody(m *ocsf.Mail) *body {
	return &body{mail: m, links: map[string]int{}, traits: map[string]string{}}
}

// note adds a parse problem once.
func (b *body) note(p string) {
	if len(b.mail.ParseProblems) < MaxProblems && !slices.Contains(b.mail.ParseProblems, p) {
		b.mail.ParseProblems = append(b.mail.ParseProblems, p)
	}
}

// entity walks one part (RFC 2046). Depth, parts and decoded bytes are bounded; each level reads its bytes once.
func (b *body) entity(h header, raw []byte, depth int, within string) {
	if b.parts++; b.parts > MaxParts {
		b.note(fmt.Sprintf("limit: more than %d parts", MaxParts))
		return
	}
	kind, params := mediaType(h.get("content-type"))
	if kind == "" || !strings.Contains(kind, "/") {
		if h.get("content-type") != "" {
			b.note("odd: a Content-Type that is none")
		}
		kind = "text/plain"
		if within == "multipart/digest" {
			kind = "message/rfc822"
		}
	}
	if strings.HasPrefix(kind, "multipart/") {
		b.multipart(kind, params["boundary"], raw, depth)
		return
	}
	disposition, dparams := mediaType(h.get("content-disposition"))
	name := decodeWords(firstOf(dparams["filename"], params["name"]))
	if kind == "message/rfc822" || kind == "message/global" {
		b.nested(h, raw, depth, within, name)
		return
	}
	data, ok := b.decode(h.get("content-transfer-encoding"), raw)
	if !ok {
		return
	}
	attached := disposition == "attachment" || name != ""
	switch {
	case kind == "text/plain" && !attached, kind == "text/calendar":
		b.text(utf8Of(data, params["charset"], b.note))
	case kind == "text/html" && !attached:
		b.html(utf8Of(data, params["charset"], b.note), &b.shown)
	}
	if attached || !strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "message/") {
		b.attach(name, kind, disposition, data, params["charset"])
	}
}

func (b *body) multipart(kind, boundary string, raw []byte, depth int) {
	if depth >= MaxDepth {
		b.note(fmt.Sprintf("limit: parts nested deeper than %d", MaxDepth))
		return
	}
	if boundary == "" || len(boundary) > 512 {
		b.note("broken: multipart without a boundary")
		b.text(utf8Of(raw[:min(len(raw), MaxText)], "", b.note))
		return
	}
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
					b.text(utf8Of(raw[:min(len(raw), MaxText)], "", b.note))
				}
				return
			}
			b.note("odd: multipart without an end")
			b.part(raw[start:], depth, kind)
			return
		}
		if start >= 0 {
			b.part(trimEnd(raw[start:i]), depth, kind)
		}
		n++
		rest := raw[i+len(delim):]
		if bytes.HasPrefix(rest, []byte("--")) {
			if n == 1 {
				b.note("odd: multipart without parts")
			}
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

func (b *body) part(raw []byte, depth int, kind string) {
	h, rest := splitMessage(raw, b.note)
	b.entity(h, rest, depth+1, kind)
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
		if (i == 0 || raw[i-1] == '\n') && closed {
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

// nested reads an attached message. What a bounce returns is the reader's own mail, not something shown to them.
func (b *body) nested(h header, raw []byte, depth int, within, name string) {
	if within != "multipart/report" {
		b.attach(firstOf(name, "message.eml"), "message/rfc822", "", raw, "")
	}
	if depth >= MaxDepth {
		b.note(fmt.Sprintf("limit: parts nested deeper than %d", MaxDepth))
		return
	}
	if within == "multipart/report" {
		return
	}
	data, ok := b.decode(h.get("content-transfer-encoding"), raw)
	if !ok {
		return
	}
	inner, rest := splitMessage(data, b.note)
	b.entity(inner, rest, depth+1, "message/rfc822")
}

// decode undoes the transfer encoding as far as it can be undone.
func (b *body) decode(encoding string, raw []byte) ([]byte, bool) {
	if b.decoded += int64(len(raw)); b.decoded > MaxDecoded {
		b.note(fmt.Sprintf("limit: more than %d bytes of parts", MaxDecoded))
		return nil, false
	}
	encoding, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(encoding)), ";")
	switch strings.TrimSpace(encoding) {
	case "base64":
		data, bad := base64Bytes(raw)
		if bad {
			b.note("odd: base64 with foreign characters")
		}
		return data, true
	case "quoted-printable":
		return quotedPrintable(raw), true
	case "", "7bit", "8bit", "binary", "7-bit", "8-bit":
	default:
		b.note("odd: unknown transfer encoding")
	}
	return raw, true
}

// base64Bytes decodes what of raw is base64 and reports whether much of it was not.
func base64Bytes(raw []byte) (data []byte, bad bool) {
	clean := make([]byte, 0, len(raw))
	foreign := 0
	for _, c := range raw {
		switch {
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/':
			clean = append(clean, c)
		case c == '\n' || c == '\r' || c == ' ' || c == '\t' || c == '=':
		default:
			foreign++
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	n, err := base64.RawStdEncoding.Decode(clean, clean) // in place: the output is always behind the input
	return clean[:n], err != nil || foreign*20 > len(raw)
}

// quotedPrintable decodes RFC 2045 6.7; an "=" that begins no escape stays as it is.
func quotedPrintable(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '=' {
			out = append(out, c)
			continue
		}
		j := i + 1
		for j < len(raw) && (raw[j] == ' ' || raw[j] == '\t') {
			j++
		}
		switch {
		case j < len(raw) && raw[j] == '\n':
			i = j
		case j+1 < len(raw) && raw[j] == '\r' && raw[j+1] == '\n':
			i = j + 1
		case i+2 < len(raw) && hexDigit(raw[i+1]) >= 0 && hexDigit(raw[i+2]) >= 0:
			out = append(out, byte(hexDigit(raw[i+1])<<4|hexDigit(raw[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// utf8Of returns the text in UTF-8. Unknown charsets and broken bytes are read as Windows-1252, as browsers do.
func utf8Of(data []byte, charset string, note func(string)) string {
	if charset = strings.ToLower(strings.TrimSpace(charset)); charset == "" || charset == "utf-8" || charset == "us-ascii" {
		if utf8.Valid(data) {
			return string(data)
		}
		if mostlyUTF8(data) {
			return strings.ToValidUTF8(string(data), "\uFFFD")
		}
		charset = "windows-1252"
	}
	if enc, err := htmlindex.Get(charset); err == nil {
		if out, err := enc.NewDecoder().Bytes(data); err == nil {
			return strings.ToValidUTF8(string(out), "\uFFFD")
		}
	} else if charset != "" && !utf8.Valid(data) {
		note("odd: unknown charset")
	}
	if utf8.Valid(data) {
		return string(data)
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(data)
	if err != nil {
		return strings.ToValidUTF8(string(data), "\uFFFD")
	}
	return string(out)
}

// mostlyUTF8 reports whether more of the bytes beyond ASCII are UTF-8 than not.
func mostlyUTF8(data []byte) bool {
	good, bad := 0, 0
	for i := 0; i < len(data); {
		if data[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			good++
		}
		i += n
	}
	return good > bad
}

func (b *body) text(s string) {
	if b.plain.Len() < MaxText {
		b.plain.WriteString(clip(s, MaxText-b.plain.Len()))
		b.plain.WriteByte('\n')
	}
	for u := range urlsIn(clip(s, 1<<20)) {
		b.link(u, "")
	}
}

func (b *body) attach(name, kind, disposition string, data []byte, charset string) {
	if strings.HasPrefix(kind, "image/") && disposition != "attachment" {
		b.images++
	}
	sum := sha256.Sum256(data)
	b.mail.Attachments = append(b.mail.Attachments, ocsf.Attachment{Name: clip(name, 255), Type: clip(kind, 100),
		Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	b.files = append(b.files, file{strings.ToLower(name), kind, charset, data})
}

// lookInside inspects the attachments; their links come after those of the text.
func (b *body) lookInside() {
	b.inBody = len(b.mail.Links)
	for _, f := range b.files {
		b.inspect(f.name, f.kind, f.data, f.charset)
	}
	b.files = nil
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// clip cuts s to n bytes without cutting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
