package mail

import (
	"bytes"
	"strconv"
	"strings"
)

// pdfString reads a literal or hexadecimal string (7.3.4), with the marks of UTF-16 undone.
func pdfString(d []byte) string {
	if len(d) < 2 {
		return ""
	}
	var out []byte
	switch d[0] {
	case '(':
		out, _ = literalString(d[1:])
	case '<':
		if end := bytes.IndexByte(d, '>'); end > 0 && d[1] != '<' {
			out = hexBytes(string(d[1:end]))
		}
	}
	if bytes.HasPrefix(out, []byte("\xfe\xff")) {
		return utf16Text(out[2:], true)
	}
	return toUTF8(string(bytes.TrimPrefix(out, []byte("\xef\xbb\xbf"))))
}

// literalString reads up to the closing parenthesis and returns how many bytes that took.
func literalString(d []byte) (out []byte, n int) {
	depth := 0
	for n < len(d) && len(out) < 16<<10 {
		c := d[n]
		n++
		switch c {
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return out, n
			}
			depth--
		case '\\':
			if n >= len(d) {
				return out, n
			}
			e := d[n]
			n++
			switch {
			case e == 'n' || e == 'r' || e == 't':
				c = ' '
			case e == '\r' || e == '\n':
				continue
			case e >= '0' && e <= '7':
				v := int(e - '0')
				for k := 0; k < 2 && n < len(d) && d[n] >= '0' && d[n] <= '7'; k++ {
					v = v<<3 | int(d[n]-'0')
					n++
				}
				c = byte(v)
			default:
				c = e
			}
		}
		out = append(out, c)
	}
	return out, n
}

// hasName reports whether a dictionary has the key with that name as its value.
func hasName(d, key, value string) bool {
	for at := 0; ; {
		i := strings.Index(d[at:], key)
		if i < 0 {
			return false
		}
		at += i + len(key)
		v := strings.TrimLeft(d[at:], " \r\n\t")
		if strings.HasPrefix(v, value) && (len(v) == len(value) || !letter(v[len(value)])) {
			return true
		}
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// intAfter returns the number after a key, or 0.
func intAfter(d, key string) int {
	for at := 0; ; {
		i := strings.Index(d[at:], key)
		if i < 0 {
			return 0
		}
		at += i + len(key)
		v := strings.TrimLeft(d[at:], " \r\n\t")
		end := 0
		for end < len(v) && end < 9 && v[end] >= '0' && v[end] <= '9' {
			end++
		}
		if end > 0 {
			n, _ := strconv.Atoi(v[:end])
			return n
		}
	}
}

// objectNumber reads the number before "0 obj".
func objectNumber(d []byte) int {
	f := bytes.Fields(d[max(0, len(d)-40):])
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(string(f[len(f)-2]))
	return n
}

// nameEscapes undoes "#xx" in names (7.3.5), by which /URI may be written as /#55RI.
func nameEscapes(d []byte) []byte {
	i := bytes.IndexByte(d, '#')
	if i < 0 {
		return d
	}
	out := make([]byte, 0, len(d))
	name := false
	for i := 0; i < len(d); i++ {
		c := d[i]
		switch {
		case c == '/':
			name = true
		case c <= ' ' || c == '(' || c == '<' || c == '[' || c == '>' || c == ']':
			name = false
		case c == '#' && name && i+2 < len(d) && hexDigit(d[i+1]) >= 0 && hexDigit(d[i+2]) >= 0:
			c = byte(hexDigit(d[i+1])<<4 | hexDigit(d[i+2]))
			i += 2
		}
		out = append(out, c)
	}
	return out
}

func ascii85Bytes(d []byte) []byte {
	out := make([]byte, 0, len(d)*4/5)
	var v uint32
	n := 0
	for _, c := range d {
		if c == '~' {
			break
		}
		if c == 'z' && n == 0 {
			out = append(out, 0, 0, 0, 0)
			continue
		}
		if c < '!' || c > 'u' {
			continue
		}
		v = v*85 + uint32(c-'!')
		if n++; n == 5 {
			out = append(out, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
			v, n = 0, 0
		}
	}
	if n > 1 {
		for range 5 - n {
			v = v*85 + 84
		}
		for k := range n - 1 {
			out = append(out, byte(v>>(24-8*k)))
		}
	}
	return out
}
