package decode

import "bytes"

// scan takes an object whose members are all plain values, without an escape or a null: by far the most of what
// sensors write. It reports false where the object is anything else, or none: the parser has to look at it then.
// What it takes it takes as the parser does. Where a source writes no such objects it is rarely tried.
func (f *flattener) scan(raw []byte) bool {
	if f.missed++; f.missed > tries && f.missed%tries != 0 {
		return false
	}
	if !f.takes(raw) {
		f.clean()
		return false
	}
	f.missed = 0
	return true
}

const tries = 16

func (f *flattener) takes(raw []byte) bool {
	if len(raw) < 2 || raw[0] != '{' || bytes.IndexByte(raw, '\\') >= 0 {
		return false
	}
	f.begin()
	i := space(raw, 1)
	if raw[i] == '}' {
		return i == len(raw)-1
	}
	for i < len(raw) && len(f.parts) < MaxFields {
		name, next := f.key(raw, i)
		if next == 0 {
			break
		}
		if i = f.member(raw, name, next); i == 0 {
			break
		}
		switch raw[i] {
		case ',':
			i = space(raw, i+1)
		case '}':
			return i == len(raw)-1
		default:
			i = len(raw)
		}
	}
	return false
}

// space returns the place of the first byte from i on that is no white space; the last one's where there is none.
func space(raw []byte, i int) int {
	for i < len(raw)-1 && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return min(i, len(raw)-1)
}

// key reads a name and the colon behind it; it returns the place of the value, or 0 where there is no name.
func (f *flattener) key(raw []byte, i int) (name int32, next int) {
	if raw[i] != '"' {
		return 0, 0
	}
	i++
	end := 0
	if w := &f.words[f.words[f.before].next]; w.plain && len(raw)-i > len(w.text) && raw[i+len(w.text)] == '"' && string(raw[i:i+len(w.text)]) == w.text {
		f.before = f.words[f.before].next
		name, end = f.before, i+len(w.text)
	} else {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			return 0, 0
		}
		name, end = f.number(raw[i:i+n]), i+n
	}
	if i = space(raw, end+1); raw[i] != ':' {
		return 0, 0
	}
	return name, space(raw, i+1)
}

// member takes a plain value and returns the place of what stands behind it, or 0 where there is no such value.
func (f *flattener) member(raw []byte, name int32, i int) int {
	from, end := i, 0
	switch c := raw[i]; {
	case c == '"':
		from++
		n := bytes.IndexByte(raw[from:], '"')
		if n < 0 {
			return 0
		}
		end = from + n
		i = end + 1
	case c >= '0' && c <= '9' || c == '-':
		for i++; i < len(raw) && numeric[raw[i]]; i++ {
		}
		if end = i; end == from+1 && c == '-' {
			return 0
		}
	case c == 't' && len(raw)-i > len("true") && string(raw[i:i+len("true")]) == "true":
		i += len("true")
		end = i
	case c == 'f' && len(raw)-i > len("false") && string(raw[i:i+len("false")]) == "false":
		i += len("false")
		end = i
	default:
		return 0
	}
	if i >= len(raw) {
		return 0
	}
	start := len(f.text)
	f.text = append(f.text, raw[from:end]...)
	f.add(name, start)
	return space(raw, i)
}

// numeric are the bytes that the parser takes for a number's.
var numeric = [256]bool{'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'-': true, '+': true, '.': true, 'e': true, 'E': true}
