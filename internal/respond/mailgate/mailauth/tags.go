package mailauth

import (
	"bytes"
	"errors"
	"strings"
)

// tag is one name=value of a tag list (RFC 6376 3.2), as signatures and the records in DNS write them.
type tag struct {
	name       string
	value      string // without the spaces around it
	start, end int    // of the value in the list, spaces around it included
}

type tagList []tag

const maxTags = 64

var (
	errTagSyntax = errors.New("a tag without = or with a wrong name")
	errTagTwice  = errors.New("a tag that stands twice")
	errTagMany   = errors.New("more than 64 tags")
)

// parseTags reads a tag list. A name that stands twice makes the whole list invalid (RFC 6376 3.2).
func parseTags(v []byte) (tagList, error) {
	list := make(tagList, 0, 12)
	for at := 0; at < len(v); {
		end := len(v)
		if i := bytes.IndexByte(v[at:], ';'); i >= 0 {
			end = at + i
		}
		part := v[at:end]
		start := at
		at = end + 1
		name, value, ok := bytes.Cut(part, []byte("="))
		if !ok {
			if len(trimFWS(part)) == 0 {
				continue
			}
			return list, errTagSyntax
		}
		t := tag{name: string(trimFWS(name)), value: string(trimFWS(value)), start: start + len(name) + 1, end: end}
		if !tagName(t.name) {
			return list, errTagSyntax
		}
		if _, twice := list.get(t.name); twice {
			return list, errTagTwice
		}
		if len(list) == maxTags {
			return list, errTagMany
		}
		list = append(list, t)
	}
	return list, nil
}

func tagName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

func (l tagList) get(name string) (string, bool) {
	for i := range l {
		if l[i].name == name {
			return l[i].value, true
		}
	}
	return "", false
}

// value returns the tag's value without any space, or "".
func (l tagList) value(name string) string {
	v, _ := l.get(name)
	return noSpace(v)
}

// words returns the parts of a value that colons separate.
func (l tagList) words(name string) []string {
	v := l.value(name)
	if v == "" {
		return nil
	}
	return strings.Split(v, ":")
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trimFWS trims the spaces that a header may be folded at (RFC 5322 3.2.2).
func trimFWS(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func noSpace(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if !isSpace(s[i]) {
			out = append(out, s[i])
		}
	}
	return string(out)
}
