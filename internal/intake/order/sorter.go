// Package order puts the events of all sources into event time. Sorter takes them in any order, keeps what fits
// in its budget, spills the rest to disk as sorted runs, and gives everything back in one k-way merge: by time,
// then by event id, so that the order depends on nothing but the events. Equal records that were delivered twice
// come out once.
package order

import (
	"bufio"
	"bytes"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/klauspost/compress/s2"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// DefaultBudget is how many bytes of encoded events a Sorter keeps in memory before it spills.
const DefaultBudget = 192 << 20

// Sorter is an external merge sort of events. It is not safe for concurrent use.
type Sorter struct {
	dir        string
	budget     int
	arena      []byte
	index      []entry
	runs       []*os.File
	Duplicates int64 // records that were delivered more than once; set by Merge
}

type entry struct {
	nanos    int64
	id       ocsf.EventID
	from, to int
}

// NewSorter returns a sorter that spills into temporary files below dir ("" for the system's), removed by Close.
// A budget of 0 is DefaultBudget.
func NewSorter(dir string, budget int) *Sorter {
	if budget <= 0 {
		budget = DefaultBudget
	}
	return &Sorter{dir: dir, budget: budget}
}

// Add takes a copy of the event. Its time must be set, and its id must be the hash of what identifies it.
func (s *Sorter) Add(e *ocsf.Event) error {
	from := len(s.arena)
	var err error
	if s.arena, err = e.AppendBinary(s.arena); err != nil {
		return err
	}
	s.index = append(s.index, entry{e.Time.UnixNano(), e.ID, from, len(s.arena)})
	if len(s.arena)+len(s.index)*40 >= s.budget {
		return s.spill()
	}
	return nil
}

func (s *Sorter) sort() {
	slices.SortFunc(s.index, func(a, b entry) int {
		if a.nanos != b.nanos {
			if a.nanos < b.nanos {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
}

func (s *Sorter) spill() error {
	s.sort()
	f, err := os.CreateTemp(s.dir, "breakwater-sort-*")
	if err != nil {
		return fmt.Errorf("making a spill file: %w", err)
	}
	s.runs = append(s.runs, f)
	w := s2.NewWriter(f, s2.WriterConcurrency(1))
	var head [28]byte
	for _, x := range s.index {
		binary.LittleEndian.PutUint64(head[:8], uint64(x.nanos))
		copy(head[8:24], x.id[:])
		binary.LittleEndian.PutUint32(head[24:], uint32(x.to-x.from))
		if _, err := w.Write(head[:]); err != nil {
			return fmt.Errorf("writing spill file %s: %w", f.Name(), err)
		}
		if _, err := w.Write(s.arena[x.from:x.to]); err != nil {
			return fmt.Errorf("writing spill file %s: %w", f.Name(), err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing spill file %s: %w", f.Name(), err)
	}
	s.arena, s.index = s.arena[:0], s.index[:0]
	return nil
}

// Close removes the spill files.
func (s *Sorter) Close() error {
	for _, f := range s.runs {
		f.Close()
		os.Remove(f.Name())
	}
	s.runs, s.arena, s.index = nil, nil, nil
	return nil
}

// cursor reads one run, on disk or in memory.
type cursor struct {
	nanos int64
	id    ocsf.EventID
	data  []byte
	next  func(c *cursor) error // io.EOF at the end
	n     int                   // ordinal, to break ties for good
}

type cursors []*cursor

func (c cursors) Len() int { return len(c) }
func (c cursors) Less(i, j int) bool {
	if c[i].nanos != c[j].nanos {
		return c[i].nanos < c[j].nanos
	}
	if x := bytes.Compare(c[i].id[:], c[j].id[:]); x != 0 {
		return x < 0
	}
	return c[i].n < c[j].n
}
func (c cursors) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)   { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	old := *c
	x := old[len(old)-1]
	*c = old[:len(old)-1]
	return x
}

// Merge calls each for every event in order, each record once. It may be called once.
func (s *Sorter) Merge(each func(*ocsf.Event) error) error {
	var h cursors
	for i, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("reading spill file %s: %w", f.Name(), err)
		}
		h = append(h, &cursor{n: i, next: diskRun(f)})
	}
	s.sort()
	at := 0
	h = append(h, &cursor{n: len(h), next: func(c *cursor) error {
		if at == len(s.index) {
			return io.EOF
		}
		x := s.index[at]
		c.nanos, c.id, c.data = x.nanos, x.id, s.arena[x.from:x.to]
		at++
		return nil
	}})
	live := h[:0]
	for _, c := range h {
		switch err := c.next(c); err {
		case nil:
			live = append(live, c)
		case io.EOF:
		default:
			return err
		}
	}
	h = live
	heap.Init(&h)
	return s.drain(h, each)
}

func (s *Sorter) drain(h cursors, each func(*ocsf.Event) error) error {
	var group []*ocsf.Event
	flush := func() error {
		for _, e := range s.once(group) {
			if err := each(e); err != nil {
				return err
			}
		}
		group = group[:0]
		return nil
	}
	for len(h) > 0 {
		c := h[0]
		e := new(ocsf.Event)
		if err := e.UnmarshalBinary(c.data); err != nil {
			return fmt.Errorf("reading back a sorted event: %w", err)
		}
		if len(group) > 0 && (group[0].ID != e.ID || !group[0].Time.Equal(e.Time)) {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, e)
		switch err := c.next(c); err {
		case nil:
			heap.Fix(&h, 0)
		case io.EOF:
			heap.Pop(&h)
		default:
			return err
		}
	}
	return flush()
}

// once drops what was delivered twice. Records with an id of the source's own are one event. Records without
// are told apart by their ordinal among equal records of the same file, so that a line that really stands twice
// counts twice, and a file that was copied counts once.
func (s *Sorter) once(group []*ocsf.Event) []*ocsf.Event {
	if len(group) < 2 {
		return group
	}
	slices.SortFunc(group, func(a, b *ocsf.Event) int {
		if c := strings.Compare(a.Raw.File, b.Raw.File); c != 0 {
			return c
		}
		return int(a.Raw.Record - b.Raw.Record)
	})
	if group[0].SourceID != "" {
		s.Duplicates += int64(len(group) - 1)
		return group[:1]
	}
	out := group[:0:0]
	file, ordinal := "", 0
	for i, e := range group {
		if i == 0 || e.Raw.File != file {
			file, ordinal = e.Raw.File, 0
		}
		if ordinal >= len(out) {
			if ordinal > 0 {
				h := sha256.Sum256(binary.AppendUvarint(append([]byte(nil), e.ID[:]...), uint64(ordinal)))
				e.ID = ocsf.EventID(h[:16])
			}
			out = append(out, e)
		} else {
			s.Duplicates++
		}
		ordinal++
	}
	return out
}

func diskRun(f *os.File) func(*cursor) error {
	r := bufio.NewReaderSize(s2.NewReader(f, s2.ReaderMaxBlockSize(1<<20)), 64<<10)
	var head [28]byte
	return func(c *cursor) error {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			if err == io.EOF {
				return io.EOF
			}
			return fmt.Errorf("reading spill file %s: %w", f.Name(), err)
		}
		c.nanos = int64(binary.LittleEndian.Uint64(head[:8]))
		copy(c.id[:], head[8:24])
		n := int(binary.LittleEndian.Uint32(head[24:]))
		c.data = slices.Grow(c.data[:0], n)[:n]
		if _, err := io.ReadFull(r, c.data); err != nil {
			return fmt.Errorf("reading spill file %s: %w", f.Name(), err)
		}
		return nil
	}
}

// Identify sets the id of an event from its tenant and the source's own id, or from the raw record where the
// source has none. The hash is a cryptographic one, since who writes the log may be who wants a record dropped.
func Identify(e *ocsf.Event, raw []byte) {
	h := sha256.New()
	if e.SourceID != "" {
		fmt.Fprintf(h, "%s\x00%s\x01%s", e.Tenant, e.Source, e.SourceID)
	} else {
		fmt.Fprintf(h, "%s\x00\x02%d\x00", e.Tenant, e.Time.UnixMilli())
		h.Write(raw)
	}
	e.ID = ocsf.EventID(h.Sum(nil)[:16])
}
