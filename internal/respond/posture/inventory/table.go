package inventory

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Limits on tables.
const (
	maxColumns  = 1024
	maxPreface  = 12 // lines before the header: titles, sep=;, #TYPE
	maxRowLines = 32 // lines of one row with quoted line ends
	maxRow      = 1 << 20
)

// header is a table's header: which column holds what.
type header struct {
	by    byte
	count int
	names []string       // simplified
	at    map[string]int // simplified name → column, the first of that name
}

// simple brings a column's name into the form in which they are compared: letters and digits in lower case.
func simple(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// headerOf reads a line as a header with the separator that parts it best; nil where it is none.
func headerOf(line string) *header {
	var best *header
	for _, by := range []byte{',', ';', '\t', '|'} {
		cells, open := cellsOf(line, by)
		if open || len(cells) < 2 || len(cells) > maxColumns || best != nil && len(cells) <= best.count {
			continue
		}
		h := &header{by: by, count: len(cells), at: map[string]int{}}
		for i, c := range cells {
			n := simple(c)
			h.names = append(h.names, n)
			if _, ok := h.at[n]; !ok && n != "" {
				h.at[n] = i
			}
		}
		best = h
	}
	return best
}

// find returns the column of the first of the names that is there, or -1.
func (h *header) find(names ...string) int {
	for _, n := range names {
		if i, ok := h.at[n]; ok {
			return i
		}
	}
	return -1
}

// findHeader looks for a header among a head's first lines.
func findHeader(head []byte, knows func(*header) bool) bool {
	for _, line := range headLines(head, maxPreface) {
		if h := headerOf(line); h != nil && knows(h) {
			return true
		}
	}
	return false
}

// cellsOf parts a row; open tells that a quoted cell doesn't end in it.
func cellsOf(row string, by byte) (out []string, open bool) {
	for {
		text := strings.TrimLeft(row, " ")
		if !strings.HasPrefix(text, `"`) {
			cell, rest, more := strings.Cut(row, string(by))
			out = append(out, strings.TrimSpace(cell))
			if !more {
				return out, false
			}
			row = rest
			continue
		}
		var cell strings.Builder
		rest, closed := text[1:], false
		for !closed {
			i := strings.IndexByte(rest, '"')
			if i < 0 {
				cell.WriteString(rest)
				return append(out, cell.String()), true
			}
			cell.WriteString(rest[:i])
			rest = rest[i+1:]
			if strings.HasPrefix(rest, `"`) {
				cell.WriteByte('"')
				rest = rest[1:]
			} else {
				closed = true
			}
		}
		tail, more, found := strings.Cut(rest, string(by))
		out = append(out, strings.TrimSpace(cell.String()+strings.TrimRight(tail, " ")))
		if !found {
			return out, false
		}
		row = more
	}
}

// table reads rows behind a header.
type table struct {
	lines *lines
	h     *header
	bad   func(line int64, reason string)
	cut   bool // the last row ended inside a quote
}

// openTable finds the header; ErrNotThis' sense is nil, nil.
func openTable(r io.Reader, knows func(*header) bool, bad func(int64, string)) (*table, error) {
	t := &table{lines: newLines(r), bad: bad}
	for range maxPreface {
		text, _, tooLong, err := t.lines.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, nil
			}
			return nil, err
		}
		if tooLong || strings.TrimSpace(text) == "" {
			continue
		}
		if h := headerOf(text); h != nil && knows(h) {
			t.h = h
			return t, nil
		}
	}
	return nil, nil
}

// row returns the next row, as many cells as the header has, and its line; io.EOF at the end. Rows that can't be read
// go to bad and are passed over.
func (t *table) row() ([]string, int64, error) {
	for {
		text, n, tooLong, err := t.lines.next()
		if err != nil {
			return nil, 0, err
		}
		if tooLong {
			t.bad(n, fmt.Sprintf("a line of more than %d KiB", maxLine>>10))
			continue
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		cells, open := cellsOf(text, t.h.by)
		if open {
			if cells, open, err = t.join(text, n); err != nil {
				return nil, 0, err
			}
			if open {
				continue
			}
		}
		if len(cells) > t.h.count && strings.Join(cells[t.h.count:], "") != "" {
			t.bad(n, fmt.Sprintf("%d cells where the header has %d", len(cells), t.h.count))
			continue
		}
		if len(cells) == 1 && t.h.count > 2 {
			t.bad(n, fmt.Sprintf("one cell where the header has %d: cut off, or no row of the table", t.h.count))
			continue
		}
		for len(cells) < t.h.count {
			cells = append(cells, "")
		}
		if t.repeats(cells) {
			continue // files that were put together have the header again
		}
		return cells, n, nil
	}
}

func (t *table) repeats(cells []string) bool {
	for i, n := range t.h.names {
		if simple(cells[i]) != n {
			return false
		}
	}
	return true
}

// join takes up to maxRowLines more lines into a row whose quote is open. Where it doesn't close, or closes with
// another number of cells, the quote is a stray one: its line is bad and the others are read by themselves.
func (t *table) join(text string, n int64) (cells []string, open bool, err error) {
	var held []heldLine
	whole := text
	for len(held) < maxRowLines && len(whole) < maxRow {
		next, at, tooLong, err := t.lines.next()
		if errors.Is(err, io.EOF) {
			t.cut = t.cut || len(held) == 0
			break
		}
		if err != nil {
			return nil, true, err
		}
		if tooLong {
			t.bad(at, fmt.Sprintf("a line of more than %d KiB", maxLine>>10))
			break
		}
		held = append(held, heldLine{next, at})
		whole += "\n" + next
		if cells, open = cellsOf(whole, t.h.by); !open {
			if len(cells) == t.h.count {
				return cells, false, nil
			}
			break
		}
	}
	t.bad(n, "a quote opens in it and does not close")
	t.lines.back(held)
	return nil, true, nil
}
