package httpin

import (
	"bytes"
	"io"
	"net/http"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

const (
	firstChunk = 32 << 10
	chunkMost  = 1 << 20
)

// lines reads a body line by line into chunks that are kept: lines of one chunk lie behind one another in memory,
// so that a run of them is a frame without being copied.
type lines struct {
	src    io.Reader
	lease  *lease
	max    int // bytes of a line without its end
	size   int // of the next chunk
	buf    []byte
	chunk  int // how many chunks there were
	pos    int // where the next line begins
	seen   int // up to where no line end was found
	err    error
	skip   bool // the rest of the line at hand is beyond the limit
	number int64
}

// line is one line with its end.
type line struct {
	data     []byte
	chunk    int   // which chunk it lies in
	from, to int   // and where
	number   int64 // from 1
	long     bool  // data is only its beginning, of its own memory
}

func newLines(src io.Reader, l *lease, max int, length int64) *lines {
	size := int64(firstChunk)
	if length > 0 {
		size = length + 2 // the last line's end, and a byte to see the end of the body
	}
	return &lines{src: src, lease: l, max: max, size: int(min(size, chunkMost))}
}

// next returns the next line, or io.EOF.
func (l *lines) next() (line, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.seen:], '\n'); i >= 0 {
			from, to := l.pos, l.seen+i+1
			l.pos, l.seen = to, to
			if l.skip {
				l.skip = false
				continue
			}
			return l.give(from, to)
		}
		l.seen = len(l.buf)
		if l.skip {
			l.forget()
		}
		if len(l.buf)-l.pos > l.max+1 { // 1: the \r of an end that is yet to come
			beginning, err := l.give(l.pos, len(l.buf))
			l.skip = true
			l.forget()
			return beginning, err
		}
		if l.err != nil {
			if l.err == io.EOF && l.pos < len(l.buf) {
				l.buf = append(l.buf, '\n') // a chunk has a byte left for it
				continue
			}
			return line{}, l.err
		}
		if err := l.fill(); err != nil {
			return line{}, err
		}
	}
}

// forget lets go of what was read of the line at hand, so that its length costs no memory.
func (l *lines) forget() { l.buf, l.seen = l.buf[:l.pos], l.pos }

func (l *lines) give(from, to int) (line, error) {
	l.number++
	data := l.buf[from:to]
	if len(bytes.TrimRight(data, "\r\n")) <= l.max {
		return line{data: data, chunk: l.chunk, from: from, to: to, number: l.number}, nil
	}
	keep := min(keptOfLongLine, l.max)
	if err := l.lease.grow(int64(keep) + 1); err != nil {
		return line{}, err
	}
	kept := make([]byte, keep+1)
	copy(kept, data[:keep])
	kept[keep] = '\n'
	return line{data: kept, number: l.number, long: true}, nil
}

// fill reads more, into a new chunk where this one is full.
func (l *lines) fill() error {
	if cap(l.buf)-len(l.buf) <= 1 {
		rest := l.buf[l.pos:]
		size := min(max(l.size, 2*len(rest)), max(chunkMost, l.max)+4096)
		if err := l.lease.grow(int64(size)); err != nil {
			return err
		}
		l.size = min(2*l.size, chunkMost)
		l.buf = append(make([]byte, 0, size), rest...)
		l.chunk++
		l.pos, l.seen = 0, len(rest)
	}
	n, err := l.src.Read(l.buf[len(l.buf) : cap(l.buf)-1])
	l.buf = l.buf[:len(l.buf)+n]
	l.err = err
	return nil
}

// frames makes frames of lines.
type frames struct {
	stamp   bus.Frame
	most    int // records
	out     []bus.Frame
	lines   *lines
	chunk   int // of the frame at the end of out; 0: the next line begins a new one
	from    int
	to      int
	next    int64 // the number that the next line of this frame must have
	records int
	head    []byte // header lines that were just read
}

// heading takes a line that begins with #.
func (f *frames) heading(l line) error {
	if len(f.head)+len(l.data) > maxHead {
		return refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the header lines at line %d have more than %d bytes", l.number, maxHead)
	}
	f.head = append(f.head, l.data...)
	f.chunk = 0
	return nil
}

// headed lets the header that was read hold for what follows; a lone comment, as Zeek's #close, is none.
func (f *frames) headed() {
	if len(f.head) == 0 {
		return
	}
	if _, _, header := headerAt(f.head, 0); header || len(f.out) == 0 {
		f.stamp.Head = f.head[:len(f.head):len(f.head)]
	}
	f.head = nil
}

// add appends a line. The bytes between it and the line before are given up.
func (f *frames) add(l line, number int64) error {
	if f.records++; f.records > f.most {
		return refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the request has more than %d records; send it in parts", f.most)
	}
	if l.long || l.chunk != f.chunk || number != f.next || f.to-f.from+len(l.data) > bus.MaxBytes {
		f.open(l, number)
		return nil
	}
	buf := f.lines.buf
	if l.from > f.to {
		copy(buf[f.to:], l.data)
	}
	f.to += len(l.data)
	last := &f.out[len(f.out)-1]
	last.Data = buf[f.from:f.to:f.to]
	last.Records++
	f.next++
	return nil
}

// open begins a frame with a line.
func (f *frames) open(l line, number int64) {
	next := f.stamp
	next.First, next.Data, next.Records = number, l.data[:len(l.data):len(l.data)], 1
	f.out = append(f.out, next)
	f.chunk, f.from, f.to, f.next = l.chunk, l.from, l.to, number+1
	if l.long {
		f.chunk = 0
	}
}

// blank lets a line without a record stay where it is, in the frame at hand, so that numbers go on.
func (f *frames) blank(l line) {
	if l.chunk != f.chunk || l.from != f.to || l.number != f.next {
		return
	}
	f.to, f.next = l.to, f.next+1
	last := &f.out[len(f.out)-1]
	last.Data = f.lines.buf[f.from:f.to:f.to]
}

func isBlank(b []byte) bool { return len(bytes.Trim(b, " \t\r\n")) == 0 }
