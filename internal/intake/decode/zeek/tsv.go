package zeek

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// reader reads one tab-separated log. It is also the record of the line at hand, so that a line costs one
// string, one slice of fields and one event.
type reader struct {
	in     *bufio.Reader
	sink   decode.Sink
	number int64  // of the line at hand, header lines and empty ones counted, as an editor shows it
	long   []byte // a line that did not fit the buffer

	sep, setSep  string
	unset, empty string
	path         string   // by #path, else by the file's name
	names        []string // by #fields
	types        []string // by #types
	header       *header  // compiled from the above; nil until the first record after a change
	problem      string   // why there is no header

	values []string // of the line at hand, by column number
}

// header is what the header lines amount to.
type header struct {
	path   string
	source string
	kind   kind
	index  [columns]int16 // column number; -1 where there is none
	order  []int          // column numbers by name
	isList []bool         // by column number
	isBool []bool
}

func newReader(name string, r io.Reader, sink decode.Sink) *reader {
	base, _, _ := strings.Cut(name, ".")
	return &reader{in: bufio.NewReaderSize(r, 64<<10), sink: sink, sep: "\t", setSep: ",", unset: "-", empty: "(empty)",
		path: base, problem: "no #fields header before this record"}
}

func (r *reader) run(ctx context.Context) error {
	for {
		if r.number&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, tooLong, err := r.line()
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading a Zeek log after line %d: %w", r.number, err)
		}
		r.number++
		switch {
		case tooLong:
			r.sink.Bad(r.number, fmt.Sprintf("line longer than %d bytes", decode.MaxRecord), line)
		case len(line) == 0:
		case line[0] == '#':
			r.headerLine(string(line))
		default:
			r.record(line)
		}
		if err == io.EOF {
			return nil
		}
	}
}

// line returns the next line without its end. A line over the limit is read to its end and cut.
func (r *reader) line() (line []byte, tooLong bool, err error) {
	line, err = r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long[:0], line...)
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = r.in.ReadSlice('\n')
			if len(r.long)+len(line) > decode.MaxRecord {
				tooLong = true
			} else {
				r.long = append(r.long, line...)
			}
		}
		line = r.long
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	return bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")), tooLong, err
}

// headerLine takes one # line; #open, #close and comments change nothing.
func (r *reader) headerLine(line string) {
	if v, ok := strings.CutPrefix(line, "#separator"); ok {
		if s := unescape(strings.TrimSpace(v)); s != "" {
			r.sep = s
		}
		r.names, r.types, r.header = nil, nil, nil
		r.problem = "no #fields header before this record"
		return
	}
	cols := strings.Split(line, r.sep)
	if len(cols) < 2 {
		return
	}
	value := cols[1]
	switch cols[0] {
	case "#set_separator":
		if r.setSep = unescape(value); r.setSep == "" {
			r.setSep = ","
		}
	case "#empty_field":
		r.empty = value
	case "#unset_field":
		r.unset = value
	case "#path":
		r.path = value
	case "#fields":
		r.names, r.types = cols[1:], nil
	case "#types":
		r.types = cols[1:]
	default:
		return
	}
	r.header = nil
}

// compile checks the header lines once they are all there.
func (r *reader) compile() {
	r.problem = ""
	switch {
	case r.names == nil:
		r.problem = "no #fields header before this record"
	case len(r.names) > decode.MaxFields:
		r.problem = fmt.Sprintf("the #fields header names more than %d columns", decode.MaxFields)
	case r.types != nil && len(r.types) != len(r.names):
		r.problem = fmt.Sprintf("the header has %d #fields and %d #types", len(r.names), len(r.types))
	}
	h := &header{order: make([]int, len(r.names)), isList: make([]bool, len(r.names)), isBool: make([]bool, len(r.names))}
	for i := range h.order {
		h.order[i] = i
	}
	slices.SortStableFunc(h.order, func(a, b int) int { return strings.Compare(r.names[a], r.names[b]) })
	for i := 1; i < len(h.order); i++ {
		if name := r.names[h.order[i]]; name == r.names[h.order[i-1]] && r.problem == "" {
			r.problem = fmt.Sprintf("the #fields header names %s twice", strconv.QuoteToASCII(name))
		}
	}
	for i, t := range r.types {
		if i < len(h.isList) {
			h.isList[i] = strings.HasPrefix(t, "set[") || strings.HasPrefix(t, "vector[")
			h.isBool[i] = t == "bool"
		}
	}
	for c := range h.index {
		h.index[c] = int16(slices.Index(r.names, columnNames[c]))
	}
	if r.problem == "" && h.index[colTS] < 0 {
		r.problem = "the #fields header has no ts column"
	}
	h.path = cleanPath(r.path)
	if _, known := kinds[h.path]; !known {
		if p := infer(func(n string) bool { return slices.Contains(r.names, n) }); p != "unknown" && (h.path == "unknown" || r.path == "-") {
			h.path = p
		}
	}
	h.source, h.kind = "zeek/"+h.path, kinds[h.path]
	r.header = h
	r.values = make([]string, len(r.names))
}

func (r *reader) record(raw []byte) {
	if r.header == nil {
		r.compile()
	}
	if r.problem != "" {
		r.sink.Bad(r.number, r.problem, raw)
		return
	}
	n, rest, more := 0, string(raw), true
	var value string
	for more {
		if len(r.sep) == 1 { // the ordinary case, and the fast one
			if i := strings.IndexByte(rest, r.sep[0]); i >= 0 {
				value, rest = rest[:i], rest[i+1:]
			} else {
				value, more = rest, false
			}
		} else {
			value, rest, more = strings.Cut(rest, r.sep)
		}
		if n < len(r.values) {
			r.values[n] = value
		}
		n++
	}
	if n != len(r.values) {
		r.sink.Bad(r.number, fmt.Sprintf("%d columns where the #fields header names %d", n, len(r.values)), raw)
		return
	}
	e := &struct {
		ocsf.Event
		flow ocsf.Flow
	}{}
	e.Fields, e.Source = r.fields(), r.header.source
	if r.header.kind.flow {
		e.Flow = &e.flow
	}
	if err := fillKind(r, r.header.path, r.header.kind, &e.Event); err != nil {
		r.sink.Bad(r.number, err.Error(), raw)
		return
	}
	r.sink.Event(&e.Event, r.number, raw)
}

// fields cleans the values in place and returns those that are set, in the order of their names.
func (r *reader) fields() ocsf.Fields {
	set := 0
	for _, v := range r.values {
		if v != r.unset {
			set++
		}
	}
	out := make(ocsf.Fields, 0, set)
	for _, i := range r.header.order {
		v := r.values[i]
		if v == r.unset {
			r.values[i] = ""
			continue
		}
		if v == r.empty {
			v = ""
		}
		shown := v
		if r.header.isList[i] && strings.Contains(v, r.setSep) {
			shown = strings.ReplaceAll(v, r.setSep, ", ")
		}
		if r.header.isBool[i] {
			shown = plainBool(v)
		}
		r.values[i] = unescape(v)
		out = append(out, ocsf.Field{Name: r.names[i], Value: unescape(shown)})
	}
	return out
}

// plainBool writes a truth value as JSON does, so that a rule reads both encodings alike.
func plainBool(v string) string {
	switch v {
	case "T":
		return "true"
	case "F":
		return "false"
	}
	return v
}

func (r *reader) get(c column) string {
	if i := r.header.index[c]; i >= 0 {
		return r.values[i]
	}
	return ""
}

func (r *reader) list(c column) []string { return split(r.get(c), r.setSep) }

// unescape turns Zeek's \xNN into the bytes they stand for; a value that would not be UTF-8 stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	if !utf8.ValidString(b.String()) {
		return s
	}
	return b.String()
}
