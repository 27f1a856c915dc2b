package mailauth

import (
	"bytes"
	"crypto/sha256"
)

// headerField is one header field as it lies in the message.
type headerField struct {
	key   int32  // number of the lower-case name in message.keys; -1: a line without a name
	colon int    // offset of the colon in raw
	raw   []byte // with its folding, without the last line end
}

// value returns what follows the colon, folding included.
func (f *headerField) value() []byte { return f.raw[f.colon+1:] }

// message is a message cut into header fields and body, without copies.
type message struct {
	fields  []headerField
	keys    map[string]int32
	body    []byte
	problem string // why the header section was not read to its end; signatures are void then
	hashes  [2]struct {
		sum    [sha256.Size]byte
		length int64
		done   bool
	}
}

// readMessage cuts the message. It never fails; what exceeds a limit is left out and told as the problem.
func readMessage(raw []byte) *message {
	m := &message{keys: make(map[string]int32, 32), fields: make([]headerField, 0, 32)}
	rest := raw
	for len(rest) > 0 {
		end, next := lineEnd(rest)
		if end == 0 {
			m.body = rest[next:]
			return m
		}
		// Continuation lines belong to the field; a slice of the message holds them all.
		for next < len(rest) && (rest[next] == ' ' || rest[next] == '\t') {
			e, n := lineEnd(rest[next:])
			end, next = next+e, next+n
		}
		if len(m.fields) >= MaxFields || len(raw)-len(rest)+next > MaxHeaderBytes {
			m.problem = "the header section is larger than 2000 fields or 1 MiB"
			return m
		}
		if mbox := len(m.fields) == 0 && bytes.HasPrefix(rest, []byte("From ")); !mbox {
			m.fields = append(m.fields, m.field(rest[:end]))
		}
		rest = rest[next:]
	}
	return m
}

// lineEnd returns where the first line ends and where the next begins.
func lineEnd(b []byte) (end, next int) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return len(b), len(b)
	}
	if i > 0 && b[i-1] == '\r' {
		return i - 1, i + 1
	}
	return i, i + 1
}

func (m *message) field(raw []byte) headerField {
	colon := bytes.IndexByte(raw, ':')
	if colon < 0 {
		return headerField{key: -1, colon: len(raw) - 1, raw: raw}
	}
	var buf [64]byte
	name := lowerName(buf[:0], raw[:colon])
	key, ok := m.keys[string(name)]
	if !ok {
		key = int32(len(m.keys))
		m.keys[string(name)] = key
	}
	return headerField{key: key, colon: colon, raw: raw}
}

// lowerName appends a field's name in lower case, without spaces around it.
func lowerName(dst, name []byte) []byte {
	for _, c := range bytes.TrimSpace(name) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// all returns the numbers of the fields of a lower-case name, top-most first, at most max of them, and how many
// there are.
func (m *message) all(name string, max int) (at []int, n int) {
	key, ok := m.keys[name]
	if !ok {
		return nil, 0
	}
	for i := range m.fields {
		if m.fields[i].key == key {
			if n++; n <= max {
				at = append(at, i)
			}
		}
	}
	return at, n
}
