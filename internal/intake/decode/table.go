package decode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Table is a format of exports with a header: a row becomes an object whose fields are the row's cells, and goes
// to the first of the objects' formats that matches it. Cells are parted by commas, semicolons or tabs, whichever
// the header has; they may be quoted as RFC 4180 says and then hold line ends. UTF-16 and byte order marks are
// read, as are the lines that spreadsheets (sep=;) and PowerShell (#TYPE …) put before the header. A cell that
// holds JSON stays as it is, and what is in it stands among the row's fields too.
//
// A row that can't be read goes to Sink.Bad with the reason; a quote that never closes costs the line it stands
// in and no more. The number of a record is that of its first line.
type Table struct {
	Name string
	// Knows reports whether a header is this format's.
	Knows func(h Header) bool
	// Rename returns the name under which a column's cells are kept; nil keeps all names.
	Rename func(column string) string
	// Fit, where set, may change a row's fields before they are looked at; it gets the file's base name, a hint, and
	// returns the fields in any order.
	Fit func(name string, fields ocsf.Fields) ocsf.Fields
	// Objects are the formats that the rows may be of.
	Objects []Object
}

// Columns of the time in UTC, which portals mark so, may hold it as an American spreadsheet shows it.
var utcColumns = []string{"[UTC]", "(UTC)"}

// tableHeader is what is known of the columns once the header was read.
type tableHeader struct {
	names Header // under which cells are kept
	utc   []bool
}

func (t *Table) header(h Header) *tableHeader {
	out := &tableHeader{make(Header, len(h)), make([]bool, len(h))}
	for i, c := range h {
		for _, mark := range utcColumns {
			out.utc[i] = out.utc[i] || strings.HasSuffix(c, mark)
		}
		c = strings.TrimSpace(strings.TrimSuffix(c, utcColumns[0]))
		if t.Rename != nil {
			c = t.Rename(c)
		}
		out.names[i] = c
	}
	return out
}

// americanTimes are how portals and spreadsheets show a time to an American reader; the month comes first.
var americanTimes = [...]string{"1/2/2006, 3:04:05.000 PM", "1/2/2006, 3:04:05 PM", "1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "1/2/2006 15:04", "1/2/2006 3:04 PM"}

// utcTime returns a time in UTC as RFC 3339 writes it; text that is no such time is returned as it is. A date whose
// first number can't be a month is none: whether others of that file begin with the month could only be guessed.
func utcTime(text string) string {
	if _, ok := ParseTime(text); ok {
		return text
	}
	for _, layout := range americanTimes {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Format(time.RFC3339Nano)
		}
	}
	return text
}

// Header is the names of a table's columns as they were written, without spaces around them.
type Header []string

// Has reports whether there are columns of all those names; case and spaces at the ends don't matter.
func (h Header) Has(names ...string) bool {
	for _, n := range names {
		found := false
		for _, c := range h {
			found = found || strings.EqualFold(c, n)
		}
		if !found {
			return false
		}
	}
	return true
}

// Limits on tables.
const (
	maxColumns  = 2048
	maxRowLines = 2048 // lines of one row, and lines that are held while a quote is open
	maxPreface  = 4    // lines before the header
)

// Stream returns the stream format of the table.
func (t *Table) Stream() Stream {
	return Stream{Name: t.Name, Recognise: t.recognise, Read: t.read}
}

func (t *Table) recognise(_ string, head []byte) bool {
	lines := bounded.NewLineReader(bytes.NewReader(head[:min(len(head), MaxHead)]), MaxHead)
	for range maxPreface {
		line, _, tooLong, err := lines.Next()
		if err != nil || tooLong {
			return false
		}
		if isPreface(line) {
			continue
		}
		h, _ := headerOf(string(line))
		return len(h) > 1 && t.Knows(h)
	}
	return false
}

// isPreface tells the lines that programs write before a header.
func isPreface(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) == 0 || bytes.HasPrefix(line, []byte("sep=")) || bytes.HasPrefix(line, []byte("#TYPE "))
}

// headerOf reads a header line; the separator is the one that gives the most columns.
func headerOf(line string) (Header, byte) {
	var best Header
	var by byte
	for _, c := range [...]byte{',', ';', '\t'} {
		if strings.IndexByte(line, c) < 0 {
			continue
		}
		if cells := cellsOf(line, c); len(cells) > len(best) && len(cells) <= maxColumns {
			best, by = cells, c
		}
	}
	for i := range best {
		best[i] = strings.TrimSpace(best[i])
	}
	return best, by
}

// cellsOf parts a row. A quote inside a cell that is not quoted is a character like others.
func cellsOf(row string, separator byte) []string {
	var out []string
	for {
		if text := strings.TrimLeft(row, " "); strings.HasPrefix(text, `"`) {
			row = text
		} else {
			cell, rest, more := strings.Cut(row, string(separator))
			out = append(out, cell)
			if !more {
				return out
			}
			row = rest
			continue
		}
		cell, rest := quoted(row[1:])
		i := strings.IndexByte(rest, separator)
		if i < 0 {
			return append(out, cell+rest)
		}
		out = append(out, cell+rest[:i])
		row = rest[i+1:]
	}
}

// quoted reads a cell behind its opening quote; it returns the cell and what follows its closing quote.
func quoted(s string) (cell, rest string) {
	i := strings.IndexByte(s, '"')
	if i < 0 {
		return s, ""
	}
	if i+1 == len(s) || s[i+1] != '"' {
		return s[:i], s[i+1:]
	}
	var b strings.Builder
	for {
		b.WriteString(s[:i])
		if i+1 == len(s) || s[i+1] != '"' {
			return b.String(), s[i+1:]
		}
		b.WriteByte('"')
		s = s[i+2:]
		if i = strings.IndexByte(s, '"'); i < 0 {
			b.WriteString(s)
			return b.String(), ""
		}
	}
}

// unclosed reports whether a quoted cell is open at the end of text; inside tells whether one is at its beginning.
// A separator of 0 stands for any.
func unclosed(text string, separator byte, inside bool) bool {
	begin := !inside // of a cell
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '"':
			if i+1 < len(text) && text[i+1] == '"' {
				i++
			} else {
				inside = false
			}
		case inside:
		case c == separator || separator == 0 && (c == ',' || c == ';' || c == '\t'):
			begin = true
		case c == '"' && begin:
			inside, begin = true, false
		case c != ' ':
			begin = false
		}
	}
	return inside
}

// closes reports whether a line may go on with a cell that is open: the quote that ends it must stand before a
// separator or the line's end. Else it is the next row, and the open quote was never closed.
func closes(line string, separator byte) bool {
	_, rest := quoted(line)
	rest = strings.TrimLeft(rest, " ")
	return rest == "" || rest[0] == separator || separator == 0
}

// rows frames a table's rows: lines, joined while a quote is open.
type rows struct {
	lines   *bounded.LineReader
	sink    Sink
	held    []numbered // lines that were read and given back
	by      byte       // what parts cells; 0 before the header
	western bool       // what is no UTF-8 is Windows-1252
}

type numbered struct {
	text string
	n    int64
}

var errOpenQuote = errors.New("a quote opens and does not close")

// line returns the next line, given back or new. A line that is too long is told to the sink and passed by.
func (r *rows) line() (numbered, error) {
	if len(r.held) > 0 {
		l := r.held[0]
		r.held = r.held[1:]
		return l, nil
	}
	for {
		line, n, tooLong, err := r.lines.Next()
		if err != nil {
			return numbered{}, err
		}
		if tooLong {
			r.sink.Bad(n, fmt.Sprintf("line is longer than %d bytes", MaxRecord), nil)
			continue
		}
		if r.western {
			return numbered{western(line), n}, nil
		}
		return numbered{strings.ToValidUTF8(string(line), "\uFFFD"), n}, nil
	}
}

// next returns the next row that is not empty. Where a quote opens and does not close, it gives back all lines but
// the first and returns that one with errOpenQuote.
func (r *rows) next() (numbered, error) {
	for {
		first, err := r.line()
		if err != nil {
			return first, err
		}
		if strings.TrimSpace(first.text) == "" {
			continue
		}
		if !unclosed(first.text, r.by, false) {
			return first, nil
		}
		return r.join(first)
	}
}

func (r *rows) join(first numbered) (numbered, error) {
	text := strings.Builder{}
	text.WriteString(first.text)
	var more []numbered
	for len(more) < maxRowLines {
		l, err := r.line()
		if err != nil {
			break // at the end, or the source's error, which comes again after the lines that are given back
		}
		more = append(more, l)
		text.WriteByte('\n')
		text.WriteString(l.text)
		if text.Len() > MaxRecord {
			break
		}
		if !closes(l.text, r.by) {
			break
		}
		if !unclosed(l.text, r.by, true) {
			return numbered{text.String(), first.n}, nil
		}
	}
	r.held = append(more, r.held...)
	return first, errOpenQuote
}

func (t *Table) read(ctx context.Context, name string, in io.Reader, sink Sink) error {
	r := &rows{lines: bounded.NewLineReader(in, MaxRecord), sink: sink}
	var header *tableHeader
	o := &objectReader{ctx: ctx, formats: t.Objects, workspace: &workspace{}, sink: sink}
	for n := 1; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row, err := r.next()
		switch {
		case err == errOpenQuote:
			sink.Bad(row.n, errOpenQuote.Error(), []byte(row.text))
			continue
		case err == io.EOF:
			return o.flush()
		case err != nil:
			return errors.Join(err, o.flush())
		}
		if header == nil {
			if isPreface([]byte(row.text)) {
				continue
			}
			var names Header
			if names, r.by = headerOf(row.text); names == nil {
				return fmt.Errorf("line %d is no header with columns", row.n)
			}
			header = t.header(names)
			continue
		}
		fields, err := t.fields(BaseName(name), header, cellsOf(row.text, r.by))
		if err != nil {
			sink.Bad(row.n, err.Error(), []byte(row.text))
			continue
		}
		if len(fields) == 0 {
			continue
		}
		o.object = JSON{fields: fields}
		if !o.match(&o.object, row.n, []byte(row.text)) {
			sink.Bad(row.n, "a row of no known source", []byte(row.text))
		}
	}
}

// fields makes the fields of a row. Of columns of one name the first with a value counts. A header that comes
// again, as in exports that were put together, is no row.
func (t *Table) fields(name string, header *tableHeader, cells []string) (ocsf.Fields, error) {
	for len(cells) > len(header.names) && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if len(cells) > len(header.names) {
		return nil, fmt.Errorf("a row of more cells than the header's %d", len(header.names))
	}
	fields := make(ocsf.Fields, 0, len(cells))
	same := 0
	for i, v := range cells {
		name := header.names[i]
		if v = strings.TrimSpace(v); v == "" || name == "" {
			continue
		}
		if v == name || t.Rename != nil && t.Rename(v) == name {
			same++
		}
		if header.utc[i] {
			v = utcTime(v)
		}
		fields = append(fields, ocsf.Field{Name: name, Value: v})
	}
	if len(fields) > 1 && same == len(fields) {
		return nil, nil
	}
	if t.Fit != nil {
		fields = t.Fit(name, fields)
	}
	fields.Sort()
	once := fields[:0]
	for i, f := range fields {
		if i == 0 || f.Name != fields[i-1].Name {
			once = append(once, f)
		}
	}
	return expandAll(once), nil
}
