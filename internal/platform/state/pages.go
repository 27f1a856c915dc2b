package state

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// pageSize is fixed when a file is made, so that pages are found without asking the file's header.
const pageSize = 4096

// pages gives the pages of a database file as its log last left them (SQLite file format, sections 1.3 and 4).
type pages struct {
	db, log *os.File
	count   uint32
	newer   map[uint32]int64 // page → offset of its newest content in the log
}

func openPages(path string) (*pages, error) {
	p := &pages{newer: map[uint32]int64{}}
	var err error
	if p.db, err = os.Open(path); err != nil {
		return nil, err
	}
	info, err := p.db.Stat()
	if err != nil {
		p.close()
		return nil, err
	}
	p.count = uint32(min((info.Size()+pageSize-1)/pageSize, 1<<32-2))
	if p.log, err = os.Open(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		return p, nil
	} else if err != nil {
		p.close()
		return nil, err
	}
	frames, _, err := readLog(p.log)
	if err != nil {
		p.close()
		return nil, err
	}
	for _, f := range frames {
		p.newer[f.page] = f.offset
		p.count = max(p.count, f.page)
	}
	return p, nil
}

func (p *pages) close() {
	p.db.Close()
	if p.log != nil {
		p.log.Close()
	}
}

// read fills buf with a page. A page that ends early is filled with zeros.
func (p *pages) read(number uint32, buf []byte) error {
	f, at := p.db, int64(number-1)*pageSize
	if offset, ok := p.newer[number]; ok {
		f, at = p.log, offset
	}
	n, err := f.ReadAt(buf, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading page %d: %w", number, err)
	}
	clear(buf[n:])
	return nil
}

// records gives the values of every record in every leaf page of a table; those of the file first and those of the
// log after, since they are newer. It returns how many could not be read or were not known.
func (p *pages) records(each func(values []any) (known bool, err error)) (lost int, err error) {
	var order []uint32
	for n := uint32(1); n <= p.count; n++ {
		if _, ok := p.newer[n]; !ok {
			order = append(order, n)
		}
	}
	order = append(order, slices.SortedFunc(maps.Keys(p.newer), func(a, b uint32) int { return cmp.Compare(p.newer[a], p.newer[b]) })...)
	buf := make([]byte, pageSize)
	for _, number := range order {
		if err := p.read(number, buf); err != nil {
			lost++ // a bad sector; the others may be read
			continue
		}
		for _, payload := range leafCells(buf, number == 1, p.overflow) {
			values, ok := decodeRecord(payload)
			if ok {
				if ok, err = each(values); err != nil {
					return lost, err
				}
			}
			if !ok {
				lost++
			}
		}
	}
	return lost, nil
}

// overflow follows a chain of overflow pages for n bytes; nil where it breaks.
func (p *pages) overflow(first uint32, n int) []byte {
	out := make([]byte, 0, n)
	buf := make([]byte, pageSize)
	for at := first; len(out) < n; at = binary.BigEndian.Uint32(buf) {
		if at == 0 || at > p.count || p.read(at, buf) != nil {
			return nil
		}
		out = append(out, buf[4:4+min(n-len(out), pageSize-4)]...)
	}
	return out
}

// maxRecord bounds a record: a configuration document of 8 MiB and some room.
const maxRecord = 16 << 20

// leafCells returns the payloads of a table's leaf page; nil in place of one that can't be read. Pages of other
// kinds have none.
func leafCells(page []byte, first bool, overflow func(first uint32, n int) []byte) [][]byte {
	head := 0
	if first {
		head = 100 // the file's header
	}
	const leaf, headSize = 0x0d, 8
	if page[head] != leaf {
		return nil
	}
	n := int(binary.BigEndian.Uint16(page[head+3:]))
	n = min(n, (len(page)-head-headSize)/2)
	out := make([][]byte, 0, n)
	for i := range n {
		at := int(binary.BigEndian.Uint16(page[head+headSize+2*i:]))
		if at == 0 {
			continue // zeroed: nothing was here
		}
		out = append(out, cellPayload(page, at, overflow))
	}
	return out
}

func cellPayload(page []byte, at int, overflow func(uint32, int) []byte) []byte {
	if at >= len(page) {
		return nil
	}
	rest := page[at:]
	size, n := varint(rest)
	if n == 0 || size <= 0 || size > maxRecord {
		return nil
	}
	rest = rest[n:]
	_, n = varint(rest) // the row's number
	if n == 0 {
		return nil
	}
	rest = rest[n:]
	total := int(size)
	// How much of a payload stays on its page: section 1.6 of the file format.
	local := total
	if most := pageSize - 35; total > most {
		least := (pageSize-12)*32/255 - 23
		if local = least + (total-least)%(pageSize-4); local > most {
			local = least
		}
	}
	if local > len(rest) {
		return nil
	}
	if local == total {
		return rest[:total]
	}
	if len(rest) < local+4 {
		return nil
	}
	more := overflow(binary.BigEndian.Uint32(rest[local:]), total-local)
	if more == nil {
		return nil
	}
	return append(slices.Clone(rest[:local]), more...)
}

// decodeRecord reads a record's values: nil, int64, string or []byte (section 2.1). Numbers with a fraction are
// none of ours.
func decodeRecord(b []byte) ([]any, bool) {
	size, n := varint(b)
	if n == 0 || size < int64(n) || size > int64(len(b)) {
		return nil, false
	}
	head, body := b[n:size], b[size:]
	var values []any
	for len(head) > 0 {
		kind, n := varint(head)
		if n == 0 || kind < 0 || len(values) >= 64 {
			return nil, false
		}
		head = head[n:]
		var width int64
		switch {
		case kind == 0, kind == 8, kind == 9:
		case kind <= 4:
			width = kind
		case kind == 5:
			width = 6
		case kind == 6:
			width = 8
		case kind < 12:
			return nil, false
		default:
			width = (kind - 12) / 2
		}
		if width > int64(len(body)) {
			return nil, false
		}
		value := body[:width]
		body = body[width:]
		switch {
		case kind == 0:
			values = append(values, nil)
		case kind <= 6:
			v := int64(int8(value[0]))
			for _, c := range value[1:] {
				v = v<<8 | int64(c)
			}
			values = append(values, v)
		case kind <= 9:
			values = append(values, kind-8)
		case kind%2 == 0:
			values = append(values, value)
		default:
			values = append(values, string(value))
		}
	}
	return values, len(values) > 0
}

// varint reads SQLite's big-endian variable-length integer; n is 0 where it ends early.
func varint(b []byte) (v int64, n int) {
	for n < len(b) && n < 8 {
		v = v<<7 | int64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
	if n == 8 && len(b) > 8 {
		return v<<8 | int64(b[8]), 9
	}
	return 0, 0
}
