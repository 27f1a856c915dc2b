package decode

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/valyala/fastjson"
	"golang.org/x/text/encoding/unicode"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Objects returns the stream format that frames JSON objects and gives each to the first format that matches.
// Objects come one a line, one after the other, in an array, or inside {"Records":[…]}, {"value":[…]} or another of the
// lists that services wrap them in, in UTF-8 or, with a byte order mark, UTF-16. The number of a record is its line's where a file has an object a line,
// else its ordinal.
func Objects(formats []Object) Stream {
	return Stream{
		Name:      "json",
		Recognise: looksLikeObjects,
		Read: func(ctx context.Context, _ string, r io.Reader, sink Sink) error {
			return readObjects(ctx, r, sink, formats)
		},
		objects: formats,
	}
}

func looksLikeObjects(_ string, head []byte) bool {
	if isUTF16(head) {
		head, _ = io.ReadAll(utf8Of(bytes.NewReader(head[:min(len(head), 1024)]))) // decoding never fails
	}
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

// isUTF16 reports whether the bytes begin with the mark of UTF-16, in which PowerShell writes files.
func isUTF16(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff"))
}

func utf8Of(r io.Reader) io.Reader {
	return unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Reader(r)
}

// wrapper matches the beginning of an object that only wraps a list of records: plain members and the metadata of
// Kubernetes' lists, then the list.
var wrapper = regexp.MustCompile(`^\{\s*(?:(?:"metadata"\s*:\s*\{[^{}]*\}|"[^"\\]*"\s*:\s*(?:` + wrapperText + `|\[\s*(?:` + wrapperText + `\s*,?\s*){0,8}\]|-?[0-9.]{1,20}|true|false|null))\s*,\s*){0,8}` +
	`"(?i:records|value|events|logEvents|items|entries)"\s*:\s*\[\s*[\{\]]`)

// maxWrapper is how much of an object is looked at: what stands before a wrapper's list is short.
const maxWrapper = 4 << 10

func isWrapper(obj []byte) bool { return wrapper.Match(obj[:min(len(obj), maxWrapper)]) }

const wrapperText = `"(?:[^"\\]|\\.)*"`

type objectReader struct {
	ctx     context.Context
	formats []Object
	*workspace
	sink  Sink
	nests []*Nest // one a format, for those whose objects carry other records
}

// workspace is what reading objects needs and leaves clean: a frame of few records would spend its time on it.
type workspace struct {
	parser fastjson.Parser
	flat   flattener
	object JSON // at hand
}

var workspaces = sync.Pool{New: func() any { return &workspace{} }}

func readObjects(ctx context.Context, r io.Reader, sink Sink, formats []Object) error {
	o := &objectReader{ctx: ctx, formats: formats, workspace: workspaces.Get().(*workspace), sink: sink}
	defer func() {
		o.workspace.object = JSON{} // it holds an event's fields
		workspaces.Put(o.workspace)
	}()
	head, r, err := peek(r)
	if err == nil && isUTF16(head) {
		head, r, err = peek(utf8Of(r))
	}
	if err != nil {
		return err
	}
	if oneALine(head) {
		err = o.lines(ctx, r)
	} else {
		err = o.scan(ctx, r)
	}
	if flushErr := o.flush(); err == nil {
		err = flushErr
	}
	return err
}

// carried takes what an object carries to the formats it may be of; false where it carries nothing.
func (o *objectReader) carried(i int, obj *JSON, e *ocsf.Event, n int64, raw []byte) bool {
	c, formats := o.formats[i].Carries(obj)
	if c.Line == "" {
		return false
	}
	if o.nests == nil {
		o.nests = make([]*Nest, len(o.formats))
	}
	if o.nests[i] == nil {
		o.nests[i] = NewNest(o.ctx, formats, o.sink)
	}
	c.Outer, c.Number, c.Raw = e, n, raw
	// Add fails with the context alone, and then the reading ends by itself.
	_ = o.nests[i].Add(c)
	return true
}

// flush gives the events of carried records that wait.
func (o *objectReader) flush() error {
	for _, n := range o.nests {
		if n == nil {
			continue
		}
		if err := n.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// peek returns the first bytes of r and a reader of all of it. Where r ends in an error after some bytes, as a gz
// that was cut short does, the error comes behind them.
func peek(r io.Reader) ([]byte, io.Reader, error) {
	head := make([]byte, MaxHead)
	n := 0
	var err error
	for n < len(head) && err == nil { // io.ReadFull would not tell a file's end from a gz that was cut short
		var k int
		k, err = r.Read(head[n:])
		n += k
	}
	head = head[:n]
	switch {
	case err == nil:
		return head, io.MultiReader(bytes.NewReader(head), r), nil
	case err == io.EOF:
		return head, bytes.NewReader(head), nil
	case n == 0:
		return nil, nil, err
	}
	return head, io.MultiReader(bytes.NewReader(head), failing{err}), nil
}

// failing is a reader that has only its error left.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// oneALine reports whether the file has an object a line: the first line that is a whole object stands neither
// inside another object or list nor behind objects that span lines.
func oneALine(head []byte) bool {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for at := 0; at < len(head); {
		end := len(head)
		if i := bytes.IndexByte(head[at:], '\n'); i >= 0 {
			end = at + i
		}
		line := bytes.TrimSpace(head[at:end])
		if !wholeObject(line) {
			at = end + 1
			continue
		}
		before := bytes.TrimSpace(head[:at])
		if isWrapper(line) || len(before) > 0 && strings.IndexByte(insideObject, before[len(before)-1]) >= 0 {
			return false
		}
		found := false
		s := scanner{}
		s.feed(before, func([]byte) { found = true })
		return !found
	}
	return false
}

// insideObject are the bytes behind which a line is the next part of what stands before it.
const insideObject = ":,[{"

// wholeObject reports whether a line is one object. Its depth is asked first: the validator recurses without limit.
func wholeObject(line []byte) bool {
	return len(line) > 1 && line[0] == '{' && line[len(line)-1] == '}' && !DeeperThan(line, MaxDepth) && fastjson.ValidateBytes(line) == nil
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
	left := s.feed(line, func(obj []byte) { parts = append(parts, bytes.Clone(obj)) })
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

// badJSON says what is wrong with bytes that are no object. The parser's own words name every level above the
// fault and quote what follows it; equal faults must give equal reasons, since they are counted by them.
func badJSON(err error) string {
	if err == nil {
		return "a JSON value where an object was expected"
	}
	text, _, _ := strings.Cut(err.Error(), "; unparsed tail")
	text, _, _ = strings.Cut(text, `: "`)
	text = strings.TrimSpace(text[strings.LastIndex(text, ": ")+1:])
	if text == "cannot parse empty string" {
		text = "it ends too early"
	}
	return "not JSON: " + shorten(text, 120)
}

// record decodes one object; it returns false only where the bytes are not one JSON object.
func (o *objectReader) record(n int64, raw []byte) bool {
	obj := &o.object
	*obj = JSON{}
	if o.flat.scan(raw) {
		obj.fields, obj.layout = o.flat.fields()
	} else {
		if DeeperThan(raw, MaxDepth) {
			o.sink.Bad(n, fmt.Sprintf("nested deeper than %d", MaxDepth), raw)
			return true
		}
		v, err := o.parser.ParseBytes(raw)
		if err != nil || v.Type() != fastjson.TypeObject {
			return false
		}
		obj.v = v
		if obj.fields, obj.layout, err = o.flat.flatten(v); err != nil {
			o.sink.Bad(n, err.Error(), raw)
			return true
		}
	}
	if o.match(obj, n, raw) {
		return true
	}
	if obj.v != nil && holdsList(obj.v) && isWrapper(raw) {
		s := scanner{unwrap: true}
		s.feed(raw, func(obj []byte) {
			if !o.record(n, obj) {
				o.sink.Bad(n, "not JSON", obj)
			}
		})
		return true
	}
	o.sink.Bad(n, unknownObject, raw)
	return true
}

// match gives an object to the first format that matches it; false where none does.
func (o *objectReader) match(obj *JSON, n int64, raw []byte) bool {
	for i := range o.formats {
		f := &o.formats[i]
		if !f.Match(obj) {
			continue
		}
		e := obj.event()
		if err := f.Decode(obj, e); err != nil {
			o.sink.Bad(n, f.Name+": "+err.Error(), raw)
			return true
		}
		if f.Carries == nil || !o.carried(i, obj, e, n, raw) {
			o.sink.Event(e, n, raw)
		}
		return true
	}
	return false
}

const unknownObject = "JSON of no known source"

// lists are the names of a wrapper's list.
var lists = []string{"records", "value", "events", "logevents", "items", "entries"}

// holdsList reports whether an object has a list of a wrapper's name; the pattern is costly to ask of every object.
func holdsList(v *fastjson.Value) (found bool) {
	v.GetObject().Visit(func(name []byte, x *fastjson.Value) {
		if x.Type() == fastjson.TypeArray {
			found = found || slices.ContainsFunc(lists, func(l string) bool { return strings.EqualFold(l, string(name)) })
		}
	})
	return found
}

// DeeperThan reports whether brackets outside strings nest deeper than limit; it guards parsers that recurse.
func DeeperThan(raw []byte, limit int) bool {
	if bytes.Count(raw, []byte("{"))+bytes.Count(raw, []byte("[")) <= limit {
		return false // whatever stands in strings
	}
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
