package decode

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Objects returns the stream format that frames JSON objects and gives each to the first format that matches.
// Objects come one a line, one after the other, in an array, or inside {"Records":[…]} or {"value":[…]}. The
// number of a record is its line's where a file has an object a line, else its ordinal.
func Objects(formats []Object) Stream {
	return Stream{
		Name:      "json",
		Recognise: looksLikeObjects,
		Read: func(ctx context.Context, _ string, r io.Reader, sink Sink) error {
			return readObjects(ctx, r, sink, formats)
		},
	}
}

func looksLikeObjects(_ string, head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(head) < 2 {
		return false
	}
	if head[0] == '[' {
		head = bytes.TrimLeft(head[1:], " \t\r\n")
	}
	if len(head) < 2 || head[0] != '{' {
		return false
	}
	rest := bytes.TrimLeft(head[1:], " \t\r\n")
	return len(rest) > 0 && (rest[0] == '"' || rest[0] == '}')
}

// wrapper matches the beginning of an object that only wraps a list of records.
var wrapper = regexp.MustCompile(`^\{\s*(?:"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[0-9]{1,20}|true|false|null)\s*,\s*){0,8}"(?i:records|value|events|logEvents)"\s*:\s*\[\s*[\{\]]`)

type objectReader struct {
	formats []Object
	parser  fastjson.Parser
	sink    Sink
}

func readObjects(ctx context.Context, r io.Reader, sink Sink, formats []Object) error {
	o := &objectReader{formats: formats, sink: sink}
	head := make([]byte, MaxHead)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return err
	}
	head = head[:n]
	rest := io.MultiReader(bytes.NewReader(head), r)
	if o.oneALine(head) {
		return o.lines(ctx, rest)
	}
	return o.scan(ctx, rest)
}

// oneALine reports whether one of the first lines is a whole object by itself.
func (o *objectReader) oneALine(head []byte) bool {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for range 5 {
		line, rest, more := bytes.Cut(head, []byte("\n"))
		line = bytes.TrimSpace(line)
		if len(line) > 1 && line[0] == '{' && line[len(line)-1] == '}' && !wrapper.Match(line) && fastjson.ValidateBytes(line) == nil {
			return true
		}
		if !more {
			break
		}
		head = rest
	}
	return false
}

func (o *objectReader) lines(ctx context.Context, r io.Reader) error {
	lr := bounded.NewLineReader(r, MaxRecord)
	for {
		line, n, tooLong, err := lr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		switch line = bytes.TrimSpace(line); {
		case tooLong:
			o.sink.Bad(n, fmt.Sprintf("line is longer than %d bytes", MaxRecord), line)
		case len(line) == 0:
		case !o.record(n, line):
			o.several(n, line)
		}
	}
}

// several reads a line that is not one object: more than one, or a broken one.
func (o *objectReader) several(n int64, line []byte) {
	var parts [][]byte
	s := scanner{}
	left := s.feed(line, func(obj []byte) { parts = append(parts, append([]byte(nil), obj...)) })
	if len(parts) < 2 || left {
		_, err := o.parser.ParseBytes(line)
		o.sink.Bad(n, badJSON(err), line)
		return
	}
	for _, p := range parts {
		if !o.record(n, p) {
			o.sink.Bad(n, "not JSON", p)
		}
	}
}

func badJSON(err error) string {
	if err == nil {
		return "a JSON value where an object was expected"
	}
	return "not JSON: " + shorten(err.Error(), 120)
}

// record decodes one object; it returns false only where the bytes are not one JSON object.
func (o *objectReader) record(n int64, raw []byte) bool {
	if DeeperThan(raw, MaxDepth) {
		o.sink.Bad(n, fmt.Sprintf("nested deeper than %d", MaxDepth), raw)
		return true
	}
	v, err := o.parser.ParseBytes(raw)
	if err != nil || v.Type() != fastjson.TypeObject {
		return false
	}
	obj, err := newJSON(v)
	if err != nil {
		o.sink.Bad(n, err.Error(), raw)
		return true
	}
	for _, f := range o.formats {
		if !f.Match(obj) {
			continue
		}
		e := &ocsf.Event{Fields: obj.fields}
		if err := f.Decode(obj, e); err != nil {
			o.sink.Bad(n, f.Name+": "+err.Error(), raw)
			return true
		}
		o.sink.Event(e, n, raw)
		return true
	}
	o.sink.Bad(n, "JSON of no known source", raw)
	return true
}

// DeeperThan reports whether brackets outside strings nest deeper than limit; it guards parsers that recurse.
func DeeperThan(raw []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// scan reads objects that span lines, follow one another, or stand in an array or a wrapper.
func (o *objectReader) scan(ctx context.Context, r io.Reader) error {
	s := scanner{unwrap: true}
	var n int64
	buf := make([]byte, 64<<10)
	emit := func(obj []byte) {
		n++
		if !o.record(n, obj) {
			_, err := o.parser.ParseBytes(obj)
			o.sink.Bad(n, badJSON(err), obj)
		}
	}
	s.tooLong = func(begin []byte) {
		n++
		o.sink.Bad(n, fmt.Sprintf("object is longer than %d bytes", MaxRecord), begin)
	}
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		k, err := r.Read(buf)
		left := s.feed(buf[:k], emit)
		if err == io.EOF {
			if left {
				o.sink.Bad(n+1, "the file ends inside an object", s.obj[:min(len(s.obj), 200)])
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// scanner cuts JSON objects out of a stream of bytes by their braces.
type scanner struct {
	unwrap  bool
	tooLong func(begin []byte)
	obj     []byte
	depth   int
	quoted  bool
	escaped bool
	long    bool
	began   bool // the first object of the stream was looked at
}

// feed takes more bytes and calls emit for each object that ends in them; it reports whether one is still open.
func (s *scanner) feed(b []byte, emit func([]byte)) bool {
	for _, c := range b {
		if s.depth == 0 {
			if c != '{' {
				continue
			}
			s.depth, s.obj, s.long = 1, append(s.obj[:0], c), false
			continue
		}
		if !s.long {
			s.obj = append(s.obj, c)
		}
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted && c == '\\':
			s.escaped = true
		case c == '"':
			s.quoted = !s.quoted
		case s.quoted:
		case c == '{' || c == '[':
			s.depth++
			s.openWrapper(c)
		case c == '}' || c == ']':
			if s.depth--; s.depth == 0 && !s.long {
				s.began = true
				emit(s.obj)
				s.obj = s.obj[:0]
			}
		}
		if len(s.obj) > MaxRecord && !s.long {
			s.long = true
			if s.tooLong != nil {
				s.tooLong(s.obj[:200])
			}
		}
	}
	return s.depth > 0
}

// openWrapper drops what was read of a wrapper when its list's first object begins.
func (s *scanner) openWrapper(c byte) {
	if s.unwrap && !s.began && s.depth == 3 && c == '{' && wrapper.Match(s.obj) {
		s.began = true
		s.depth, s.obj = 1, append(s.obj[:0], c)
	}
}
