package decode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Rows reads an export with a header row by row, for those who want cells and no event: separators, quotes, byte
// order marks, UTF-16 and the lines before a header are as in Table. Text that is no UTF-8 is taken for Windows-1252,
// in which spreadsheets of western offices still write. It holds one row at a time.
type Rows struct {
	rows   rows
	header Header
	named  map[string]int // lower-case name → column, the first of each
}

// ErrNoHeader is returned where a text has no line with two columns or more among its first few.
var ErrNoHeader = errors.New("no header with columns")

// NewRows reads the header. What is broken in a row goes to bad with its line's number, from 1, and the reason, and
// the row is left out.
func NewRows(r io.Reader, bad func(line int64, reason string)) (*Rows, error) {
	out := &Rows{rows: rows{lines: bounded.NewLineReader(r, MaxRecord), sink: badRows(bad), western: true}}
	for range maxPreface {
		row, err := out.rows.next()
		if err == io.EOF || err == errOpenQuote {
			break
		}
		if err != nil {
			return nil, err
		}
		if isPreface([]byte(row.text)) {
			continue
		}
		if out.header, out.rows.by = headerOf(row.text); out.header == nil {
			break
		}
		out.named = make(map[string]int, len(out.header))
		for i, name := range out.header {
			name = strings.ToLower(name)
			if _, ok := out.named[name]; !ok {
				out.named[name] = i
			}
		}
		return out, nil
	}
	return nil, ErrNoHeader
}

// HeaderOf returns the header of an export whose first bytes are given, or nil.
func HeaderOf(head []byte) Header {
	r, err := NewRows(bytes.NewReader(head), func(int64, string) {})
	if err != nil {
		return nil
	}
	return r.header
}

// Header returns the names of the columns as they were written, without spaces around them.
func (r *Rows) Header() Header { return r.header }

// Column returns the number of the first column that has one of these names, case apart, or -1. Earlier names win.
func (r *Rows) Column(names ...string) int {
	for _, n := range names {
		if i, ok := r.named[strings.ToLower(n)]; ok {
			return i
		}
	}
	return -1
}

// Next returns the cells of the next row, without spaces around them, as many as the header has columns, and the
// number of its first line. At the end err is io.EOF; any other error is the source's and ends the reading. A
// header that comes again is passed by.
func (r *Rows) Next() (cells []string, line int64, err error) {
	for {
		row, err := r.rows.next()
		if err == errOpenQuote {
			r.rows.sink.Bad(row.n, err.Error(), nil)
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		cells := cellsOf(row.text, r.rows.by)
		for len(cells) > len(r.header) && strings.TrimSpace(cells[len(cells)-1]) == "" {
			cells = cells[:len(cells)-1]
		}
		if len(cells) > len(r.header) {
			r.rows.sink.Bad(row.n, fmt.Sprintf("a row of %d cells under a header of %d", len(cells), len(r.header)), nil)
			continue
		}
		same := true
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
			same = same && cells[i] == r.header[i]
		}
		if same {
			continue
		}
		for len(cells) < len(r.header) {
			cells = append(cells, "")
		}
		return cells, row.n, nil
	}
}

// badRows is a sink of which only the broken rows are wanted.
type badRows func(line int64, reason string)

func (b badRows) Event(*ocsf.Event, int64, []byte)        {}
func (b badRows) Bad(line int64, reason string, _ []byte) { b(line, reason) }

// western returns text as UTF-8: as it is where it is that, else read as Windows-1252.
func western(line []byte) string {
	if utf8.Valid(line) {
		return string(line)
	}
	text, err := charmap.Windows1252.NewDecoder().Bytes(line)
	if err != nil {
		return strings.ToValidUTF8(string(line), "\uFFFD")
	}
	return string(text)
}
