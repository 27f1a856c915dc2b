// Package order puts the events of all sources into event time. Sorter takes them in any order, keeps what fits
// in its budget, spills the rest to disk as sorted runs, and gives everything back in one k-way merge: by time,
// then by event id, file and record, so that the order depends on nothing but the events. Equal records that were
// delivered twice come out once. A disk that is full or a spill file that was cut short is an error, never a
// shorter answer.
package order

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// DefaultBudget is how many bytes of encoded events a Sorter keeps in memory before it spills.
const DefaultBudget = 192 << 20

// MinBudget is the least budget: below it a Sorter would open more spill files than a process may.
const MinBudget = 64 << 10

// block is how much of encoded events is allocated at a time, so that growth neither copies nor doubles.
const block = 1 << 20

// spillBlock is the block size of compressed spill files: a merge holds one block of each run in memory.
const spillBlock = 256 << 10

// Sorter is an external merge sort of events. It is not safe for concurrent use.
type Sorter struct {
	dir        string
	budget     int
	blocks     [][]byte // hold the items' data; those after the current one are empty
	current    int
	used       int // bytes of the blocks in use and of what did not fit one
	index      []item
	runs       []run
	err        error
	Duplicates int64 // records that were delivered more than once; set by Merge
}

// item is an encoded event behind the name of its file, and what it is ordered by.
type item struct {
	nanos  int64
	id     ocsf.EventID
	record int64
	name   int // length of the file's name
	data   []byte
}

// itemSize is how many bytes an item takes beside its data.
const itemSize = 72

// compare orders by time, id, file and record; whatever else differs, so that no two items that differ are equal.
func (x *item) compare(y *item) int {
	switch {
	case x.nanos < y.nanos: // most are told apart here
		return -1
	case x.nanos > y.nanos:
		return 1
	}
	return cmp.Or(bytes.Compare(x.id[:], y.id[:]), bytes.Compare(x.data[:x.name], y.data[:y.name]),
		cmp.Compare(x.record, y.record), bytes.Compare(x.data, y.data))
}

// run is one spill file and how many items were written to it.
type run struct {
	file  *os.File
	count int
}

// NewSorter returns a sorter that spills into temporary files below dir ("" for the system's), removed by Close.
// A budget of 0 is DefaultBudget; the least is MinBudget.
func NewSorter(dir string, budget int) *Sorter {
	if budget <= 0 {
		budget = DefaultBudget
	}
	return &Sorter{dir: dir, budget: max(budget, MinBudget)}
}

// Add takes a copy of the event. Its time must be set, and its id must be the hash of what identifies it. After
// an error every further call returns the same.
func (s *Sorter) Add(e *ocsf.Event) error {
	if s.err != nil {
		return s.err
	}
	data, err := s.keep(e)
	if err != nil {
		s.err = err
		return err
	}
	s.index = append(s.index, item{e.Time.UnixNano(), e.ID, e.Raw.Record, len(e.Raw.File), data})
	if s.used+cap(s.index)*itemSize >= s.budget {
		s.err = s.spill()
	}
	return s.err
}

// keep encodes the event into the current block, or into the next where it might not fit.
func (s *Sorter) keep(e *ocsf.Event) ([]byte, error) {
	if s.blocks == nil || cap(s.blocks[s.current])-len(s.blocks[s.current]) < s.blockSize()/16 {
		s.nextBlock()
	}
	old := s.blocks[s.current]
	b, err := e.AppendBinary(append(old, e.Raw.File...))
	if err != nil {
		return nil, err
	}
	data := b[len(old):len(b):len(b)]
	if cap(b) == cap(old) {
		s.blocks[s.current] = b
		return data, nil
	}
	data = bytes.Clone(data) // it did not fit and has memory of its own
	s.used += len(data)
	return data, nil
}

func (s *Sorter) nextBlock() {
	if s.blocks != nil {
		s.current++
	}
	if s.current == len(s.blocks) {
		s.blocks = append(s.blocks, make([]byte, 0, s.blockSize()))
	}
	s.used += s.blockSize()
}

func (s *Sorter) blockSize() int { return min(block, s.budget/8) }

func (s *Sorter) sort() {
	slices.SortFunc(s.index, func(x, y item) int { return x.compare(&y) })
}

func (s *Sorter) spill() error {
	s.sort()
	f, err := os.CreateTemp(s.dir, "breakwater-sort-*")
	if err != nil {
		return fmt.Errorf("making a spill file: %w", err)
	}
	s.runs = append(s.runs, run{f, len(s.index)})
	w := s2.NewWriter(f, s2.WriterConcurrency(1), s2.WriterBlockSize(spillBlock))
	var head [headSize]byte
	for i := range s.index {
		x := &s.index[i]
		x.put(&head)
		if _, err := w.Write(head[:]); err != nil {
			return fmt.Errorf("writing spill file %s: %w", f.Name(), err)
		}
		if _, err := w.Write(x.data); err != nil {
			return fmt.Errorf("writing spill file %s: %w", f.Name(), err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing spill file %s: %w", f.Name(), err)
	}
	clear(s.index)
	s.index = s.index[:0]
	for i := range s.blocks {
		s.blocks[i] = s.blocks[i][:0]
	}
	s.current, s.used = 0, s.blockSize()
	return nil
}

// headSize is the length of what stands before each item's data in a spill file.
const headSize = 8 + 16 + 8 + 4 + 4

func (x *item) put(head *[headSize]byte) {
	binary.LittleEndian.PutUint64(head[:], uint64(x.nanos))
	copy(head[8:], x.id[:])
	binary.LittleEndian.PutUint64(head[24:], uint64(x.record))
	binary.LittleEndian.PutUint32(head[32:], uint32(x.name))
	binary.LittleEndian.PutUint32(head[36:], uint32(len(x.data)))
}

// get reads what put wrote and makes room for the data.
func (x *item) get(head *[headSize]byte) {
	x.nanos = int64(binary.LittleEndian.Uint64(head[:]))
	copy(x.id[:], head[8:])
	x.record = int64(binary.LittleEndian.Uint64(head[24:]))
	x.name = int(binary.LittleEndian.Uint32(head[32:]))
	n := int(binary.LittleEndian.Uint32(head[36:]))
	x.data = slices.Grow(x.data[:0], n)[:n]
}

// Close removes the spill files.
func (s *Sorter) Close() error {
	for _, r := range s.runs {
		r.file.Close()
		os.Remove(r.file.Name())
	}
	s.runs, s.blocks, s.index = nil, nil, nil
	return nil
}
