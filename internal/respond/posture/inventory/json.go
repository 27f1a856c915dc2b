package inventory

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// Limits on JSON.
const (
	maxRecord = 16 << 20 // bytes of one record; a snapshot of all programs of a host is one
	maxNested = 64       // objects and arrays in one another
)

// framer gives a JSON file's records one by one: the bytes, which are valid until the next call, and the line on which
// they begin. It returns io.EOF at the end, io.ErrUnexpectedEOF where the file ends within a record or before its
// arrays are closed, errRecordLarge and errRecordBroken for a record that is passed over.
type framer interface {
	next() (raw []byte, line int64, err error)
}

var (
	errRecordLarge  = errors.New("record too large")
	errRecordBroken = errors.New("record broken")
)

// newFramer frames by lines, each one record, or by the objects that lie in arrays.
func newFramer(r io.Reader, lines bool) framer {
	if lines {
		return &jsonLines{bounded.NewLineReader(decoded(r), maxRecord)}
	}
	return &records{r: bufio.NewReaderSize(decoded(r), maxHead), n: 1}
}

type jsonLines struct{ r *bounded.LineReader }

func (l *jsonLines) next() ([]byte, int64, error) {
	for {
		raw, n, tooLong, err := l.r.Next()
		switch {
		case err != nil:
			return nil, n, err
		case tooLong:
			return nil, n, errRecordLarge
		case len(bytes.TrimSpace(raw)) > 0:
			return raw, n, nil
		}
	}
}

// records frames the objects that lie in arrays, however the arrays are wrapped ([{…}], {"value":[{…}]}), without
// holding the rest.
type records struct {
	r     *bufio.Reader
	n     int64  // line, from 1
	stack []byte // arrays and objects around
	buf   []byte
}

func (s *records) next() (raw []byte, line int64, err error) {
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && len(s.stack) > 0 {
				return nil, s.n, io.ErrUnexpectedEOF
			}
			return nil, s.n, err
		}
		switch c {
		case '\n':
			s.n++
		case '"':
			if err := s.skipText(); err != nil {
				return nil, s.n, err
			}
		case '[':
			if s.push('[') {
				return nil, s.n, errRecordLarge
			}
		case ']', '}':
			if len(s.stack) > 0 {
				s.stack = s.stack[:len(s.stack)-1]
			}
		case '{':
			inArray := len(s.stack) > 0 && s.stack[len(s.stack)-1] == '['
			if inArray {
				line = s.n
				raw, err = s.capture()
				return raw, line, err
			}
			if s.push('{') {
				return nil, s.n, errRecordLarge
			}
		}
	}
}

func (s *records) push(c byte) (tooDeep bool) {
	s.stack = append(s.stack, c)
	return len(s.stack) > maxNested
}

// skipText passes over a text outside a record. A line end ends it too: JSON has none within texts, so that a quote
// that is missing doesn't turn the rest of the file inside out.
func (s *records) skipText() error {
	for {
		c, err := s.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case c == '\\':
			if _, err := s.r.Discard(1); err != nil {
				return io.ErrUnexpectedEOF
			}
		case c == '\n':
			s.n++
			return nil
		case c == '"':
			return nil
		}
	}
}

// capture reads an object whose brace was read, to its end.
func (s *records) capture() ([]byte, error) {
	s.buf = append(s.buf[:0], '{')
	depth, inText, large := 1, false, false
	for depth > 0 {
		c, err := s.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return s.buf, io.ErrUnexpectedEOF
		}
		if err != nil {
			return s.buf, err
		}
		if len(s.buf) < maxRecord {
			s.buf = append(s.buf, c)
		} else {
			large = true
		}
		switch {
		case c == '\n':
			s.n++
			if inText {
				s.resume(depth)
				return s.buf, errRecordBroken
			}
		case inText && c == '\\':
			e, err := s.r.ReadByte()
			if err != nil {
				return s.buf, io.ErrUnexpectedEOF
			}
			if len(s.buf) < maxRecord {
				s.buf = append(s.buf, e)
			}
		case c == '"':
			inText = !inText
		case inText:
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
	}
	if large {
		return nil, errRecordLarge
	}
	return s.buf, nil
}

// resume finds the way back after a text that doesn't end on its line: JSON has no line ends within texts. Where the
// next line begins an object, that is the next record; else the broken one goes on and its end is waited for.
func (s *records) resume(depth int) {
	ahead, _ := s.r.Peek(256)
	if bytes.HasPrefix(bytes.TrimLeft(ahead, " \t\r\n,"), []byte("{")) {
		return
	}
	for range min(depth, maxNested) {
		s.stack = append(s.stack, '{')
	}
}

// eachRecord reads a JSON file's objects. What is wrong with one goes to bad; the rest is read. It returns whether the
// file has its end.
func eachRecord(ctx context.Context, r io.Reader, lines bool, bad func(int64, string), each func(v *fastjson.Value, line int64) error) (whole bool, err error) {
	s := newFramer(r, lines)
	var parser fastjson.Parser
	whole = true
	err = every(ctx, func() (bool, error) {
		raw, line, err := s.next()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			whole = false
			bad(line, "the file ends within it: it was cut short")
			return false, nil
		case errors.Is(err, errRecordLarge):
			bad(line, fmt.Sprintf("a record of more than %d MiB, or nested deeper than %d", maxRecord>>20, maxNested))
			return true, nil
		case errors.Is(err, errRecordBroken):
			bad(line, "not JSON: a text does not end")
			return true, nil
		case err != nil:
			whole = false
			bad(line, "reading breaks off: "+err.Error())
			return false, nil
		}
		if decode.DeeperThan(raw, maxNested) {
			bad(line, fmt.Sprintf("nested deeper than %d", maxNested))
			return true, nil
		}
		v, err := parser.ParseBytes(raw)
		if err != nil {
			bad(line, "not JSON: "+clip(err.Error()))
			return true, nil
		}
		return true, each(v, line)
	})
	return whole, err
}

// firstObject returns the first record of a head, as far as it is there.
func firstObject(head []byte, lines bool) *fastjson.Value {
	text := headText(head)
	if t := bytes.TrimLeft([]byte(text), " \t\r\n"); len(t) == 0 || t[0] != '{' && t[0] != '[' {
		return nil
	}
	raw, _, err := newFramer(bytes.NewReader([]byte(text)), lines).next()
	if err != nil {
		return nil
	}
	v, err := fastjson.ParseBytes(raw)
	if err != nil {
		return nil
	}
	return v
}

// textOf returns a value as text: texts as they are, numbers and booleans as they are written; "" for others.
func textOf(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeString:
		return string(v.GetStringBytes())
	case fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		return v.String()
	}
	return ""
}

// object is a JSON object's fields by simplified name, so that one set of names serves tables and JSON.
type object map[string]*fastjson.Value

func objectOf(v *fastjson.Value) object {
	out := object{}
	o, err := v.Object()
	if err != nil {
		return out
	}
	o.Visit(func(key []byte, v *fastjson.Value) {
		if n := simple(string(key)); out[n] == nil && len(out) < maxColumns {
			out[n] = v
		}
	})
	return out
}

// text returns the first of the named fields that has a text.
func (o object) text(names ...string) string {
	for _, n := range names {
		if s := textOf(o[n]); s != "" {
			return s
		}
	}
	return ""
}

func (o object) has(names ...string) bool {
	for _, n := range names {
		if o[n] == nil {
			return false
		}
	}
	return true
}
