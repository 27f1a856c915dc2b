package mail

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

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
			b.note("broken: base64 with many foreign characters")
		}
		return data, true
	case "quoted-printable":
		return quotedPrintable(raw), true
	case "", "7bit", "8bit", "binary", "7-bit", "8-bit":
	default:
		b.note("broken: a transfer encoding that nobody knows") // a reader that does know it shows something else
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

// utf8Of returns the text in UTF-8. Unknown charsets and broken bytes are read as Windows-1252, as browsers do; a
// document without a charset may name its own.
func (b *body) utf8Of(data []byte, charset string, isHTML bool) string {
	charset = strings.ToLower(strings.Trim(charset, " \t\"'"))
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data, charset = data[3:], "utf-8"
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		charset = "utf-16le"
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		charset = "utf-16be"
	case isHTML && (charset == "" || charset == "us-ascii"):
		if c := metaCharset(data); c != "" && !strings.HasPrefix(c, "utf-16") {
			charset = c
		}
	}
	switch {
	case charset == "utf-7" || charset == "unicode-1-1-utf-7" || charset == "x-unicode-2-0-utf-7":
		b.traits["body.charset"] = "utf-7"
		return utf7(data)
	case strings.HasPrefix(charset, "utf-16"), strings.HasPrefix(charset, "utf-32"), strings.HasPrefix(charset, "ucs-"):
		if b.from == "" {
			b.traits["body.charset"] = charset[:min(6, len(charset))]
		}
		if strings.HasPrefix(charset, "utf-32") || charset == "ucs-4" {
			return utf32(data)
		}
	}
	return utf8From(data, charset, b.note)
}

// utf8From is utf8Of for a charset that is known.
func utf8From(data []byte, charset string, note func(string)) string {
	if charset == "" || charset == "utf-8" || charset == "us-ascii" {
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
		note("broken: text in a charset that nobody knows")
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

// metaCharset returns the charset that an HTML document names in its first 1 KiB.
func metaCharset(data []byte) string {
	head := bytes.ToLower(data[:min(len(data), 1024)])
	i := bytes.Index(head, []byte("charset="))
	if i < 0 {
		return ""
	}
	v := bytes.TrimLeft(head[i+8:], "\"' ")
	if end := bytes.IndexAny(v, "\"' >;/"); end >= 0 {
		v = v[:end]
	}
	return string(v[:min(len(v), 40)])
}

// utf7 decodes RFC 2152, which old programs still show and filters seldom read.
func utf7(data []byte) string {
	var out strings.Builder
	for i := 0; i < len(data); i++ {
		if data[i] != '+' {
			out.WriteByte(data[i])
			continue
		}
		j := i + 1
		for j < len(data) && (data[j] >= 'A' && data[j] <= 'Z' || data[j] >= 'a' && data[j] <= 'z' || data[j] >= '0' && data[j] <= '9' || data[j] == '+' || data[j] == '/') {
			j++
		}
		if j == i+1 {
			out.WriteByte('+')
		} else if raw, _ := base64Bytes(data[i+1 : j]); len(raw) > 1 {
			out.WriteString(utf16Text(raw, true))
		}
		i = j - 1
		if j < len(data) && data[j] == '-' {
			i = j
		}
	}
	return strings.ToValidUTF8(out.String(), "\uFFFD")
}

// utf16Text decodes UTF-16 without a mark.
func utf16Text(raw []byte, bigEndian bool) string {
	u := make([]uint16, len(raw)/2)
	for i := range u {
		if bigEndian {
			u[i] = binary.BigEndian.Uint16(raw[2*i:])
		} else {
			u[i] = binary.LittleEndian.Uint16(raw[2*i:])
		}
	}
	return string(utf16.Decode(u))
}

func utf32(data []byte) string {
	big := len(data) >= 4 && data[0] == 0 && data[1] == 0
	var out strings.Builder
	for ; len(data) >= 4; data = data[4:] {
		r := binary.LittleEndian.Uint32(data)
		if big {
			r = binary.BigEndian.Uint32(data)
		}
		if r != 0xfeff {
			out.WriteRune(rune(min(r, utf8.MaxRune+1)))
		}
	}
	return out.String()
}

// uuencoded attaches the files that are written into plain text the oldest way and returns the text without them.
func (b *body) uuencoded(text string, depth int) string {
	for n := 0; n < 8; n++ {
		i := strings.Index(text, "begin 6")
		if i < 0 || i > 0 && text[i-1] != '\n' {
			return text
		}
		line, rest, ok := strings.Cut(text[i:], "\n")
		f := strings.Fields(line)
		if !ok || len(f) < 3 || len(f[1]) != 3 || rest == "" || rest[0] < '!' || rest[0] > 'M' {
			return text
		}
		var out []byte
		for rest != "" {
			line, rest, _ = strings.Cut(rest, "\n")
			line = strings.TrimRight(line, "\r")
			if line == "" || line == "end" || line == "\x60" || line[0] < '!' || line[0] > 'M' {
				if line != "\x60" {
					break
				}
				continue
			}
			size := int(line[0] - ' ')
			start := len(out)
			for s := line[1:]; len(s) > 1; s = s[min(4, len(s)):] {
				var q [4]byte
				for k := range q {
					if k < len(s) {
						q[k] = (s[k] - ' ') & 0x3f
					}
				}
				out = append(out, q[0]<<2|q[1]>>4, q[1]<<4|q[2]>>2, q[2]<<6|q[3])
			}
			out = out[:min(len(out), start+size)]
		}
		b.attach(file{name: strings.Join(f[2:], " "), kind: "application/octet-stream", disposition: "attachment", raw: out, depth: depth})
		text = text[:i] + rest
	}
	return text
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
