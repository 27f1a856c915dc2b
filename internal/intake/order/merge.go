package order

import (
	"bufio"
	"container/heap"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// cursor reads one run, on disk or in memory.
type cursor struct {
	item
	next func(c *cursor) error // io.EOF at the end
}

// merging is a heap of cursors.
type merging []*cursor

func (m merging) Len() int           { return len(m) }
func (m merging) Less(i, j int) bool { return m[i].compare(&m[j].item) < 0 }
func (m merging) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merging) Push(x any)        { *m = append(*m, x.(*cursor)) }
func (m *merging) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	*m = (*m)[:last]
	return x
}

// Merge calls each for every event in order, each record once. It may be called once.
func (s *Sorter) Merge(each func(*ocsf.Event) error) error {
	if s.err != nil {
		return s.err
	}
	var m merging
	add := func(next func(*cursor) error) error {
		c := &cursor{next: next}
		switch err := next(c); err {
		case nil:
			m = append(m, c)
		case io.EOF:
		default:
			return err
		}
		return nil
	}
	for _, r := range s.runs {
		if _, err := r.file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("reading spill file %s: %w", r.file.Name(), err)
		}
		if err := add(r.cursor()); err != nil {
			return err
		}
	}
	s.sort()
	if err := add(inMemory(s.index)); err != nil {
		return err
	}
	heap.Init(&m)
	var seen repeats
	for len(m) > 0 {
		c := m[0]
		e := new(ocsf.Event)
		if err := e.UnmarshalBinary(c.data[c.name:]); err != nil {
			return fmt.Errorf("reading back a sorted event: %w", err)
		}
		if !seen.once(e) {
			s.Duplicates++
		} else if err := each(e); err != nil {
			return err
		}
		switch err := c.next(c); err {
		case nil:
			heap.Fix(&m, 0)
		case io.EOF:
			heap.Pop(&m)
		default:
			return err
		}
	}
	return nil
}

// repeats tells which of the events with one time and id, which come by file and record, were delivered twice.
// Records with an id of the source's own are one event. Records without are told apart by their ordinal among
// equal records of the same file, so that a line that really stands twice counts twice, and a file that was
// copied counts once.
type repeats struct {
	id      ocsf.EventID
	nanos   int64
	file    string
	ordinal int // of the event at hand in its file
	counted int
}

// once reports whether the event counts; it gives the second and further ones of equal records ids of their own.
func (r *repeats) once(e *ocsf.Event) bool {
	switch {
	case r.counted == 0 || r.id != e.ID || r.nanos != e.Time.UnixNano():
		*r = repeats{id: e.ID, nanos: e.Time.UnixNano(), file: e.Raw.File}
	case e.SourceID != "":
		return false
	case r.file != e.Raw.File:
		r.file, r.ordinal = e.Raw.File, 0
	default:
		r.ordinal++
	}
	if r.ordinal < r.counted {
		return false
	}
	Again(e, r.ordinal)
	r.counted++
	return true
}

func inMemory(index []item) func(*cursor) error {
	return func(c *cursor) error {
		if len(index) == 0 {
			return io.EOF
		}
		c.item = index[0]
		index = index[1:]
		return nil
	}
}

func (r run) cursor() func(*cursor) error {
	in := bufio.NewReaderSize(s2.NewReader(r.file, s2.ReaderMaxBlockSize(spillBlock)), 16<<10)
	left := r.count
	var head [headSize]byte
	return func(c *cursor) error {
		if left == 0 {
			return io.EOF
		}
		left--
		if err := full(in, head[:]); err != nil {
			return fmt.Errorf("reading spill file %s: %w", r.file.Name(), err)
		}
		if c.get(&head); c.name > len(c.data) {
			return fmt.Errorf("reading spill file %s: it is damaged", r.file.Name())
		}
		if err := full(in, c.data); err != nil {
			return fmt.Errorf("reading spill file %s: %w", r.file.Name(), err)
		}
		return nil
	}
}

// full reads all of b; an end is too early wherever it comes, since the run's count says that more must follow.
func full(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
