package tail

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// identity is device and inode.
type identity struct{ device, inode uint64 }

func (i identity) known() bool { return i.inode != 0 }

// Limits on what is looked at of a file's beginning.
const (
	sumBytes = 1 << 10
	maxHead  = 64 << 10
)

// CutMark ends a record whose line was longer than a batch.
const CutMark = " [cut by breakwater]"

// file is one file that is followed.
type file struct {
	path     string
	name     string // as it was called when it was first seen
	id       identity
	place    Place
	saved    bool // its key is remembered
	fd       *os.File
	head     []byte
	headDone bool
	skipping bool      // the rest of a line that was cut is left out
	grew     time.Time // when it last did
	retired  bool      // renamed to where no pattern looks: read to its end and let go
	size     int64     // when it was last read to its end
}

func newFile(path string, id identity) *file {
	f := &file{path: path, name: filepath.Base(path), id: id}
	f.anew()
	return f
}

// anew begins the file at its beginning, as one that was never seen.
func (f *file) anew() {
	f.place = Place{Device: f.id.device, Inode: f.id.inode, Key: rand.Text()}
	f.saved, f.head, f.headDone, f.skipping, f.size = false, nil, false, false, -1
}

// sum hashes the file's first n bytes; false where it has fewer.
func sum(r io.ReaderAt, n int64) (string, bool) {
	buf := make([]byte, n)
	if _, err := r.ReadAt(buf, 0); err != nil && (err != io.EOF || n > 0) {
		return "", false
	}
	h := sha256.Sum256(buf)
	return hex.EncodeToString(h[:]), true
}

// is reports whether an open file is the one that a place tells of.
func (p *Place) is(r io.ReaderAt, size int64, id identity) bool {
	if p.Device != id.device || p.Inode != id.inode || p.SumBytes < 0 || p.SumBytes > sumBytes || p.Offset < 0 || size < p.Offset {
		return false
	}
	got, ok := sum(r, p.SumBytes)
	return ok && (got == p.Sum || p.SumBytes == 0)
}

// openFile opens the file where it still is the one.
func (f *file) openFile() error {
	if f.fd != nil {
		return nil
	}
	fd, err := os.Open(f.path)
	if err != nil {
		return err
	}
	info, err := fd.Stat()
	if err == nil && (identityOf(info) != f.id || !info.Mode().IsRegular()) {
		err = fmt.Errorf("opening %s: %w: another file took its place", f.path, fs.ErrNotExist)
	}
	if err != nil {
		fd.Close()
		return err
	}
	f.fd = fd
	return nil
}

func (f *file) close() {
	if f.fd != nil {
		f.fd.Close()
		f.fd = nil
	}
}

// current sees to it that what is read is still the file that was read before. It returns the size, and whether
// the file began anew.
func (f *file) current() (size int64, anew bool, err error) {
	info, err := f.fd.Stat()
	if err != nil {
		return 0, false, err
	}
	if size = info.Size(); size != f.size && !f.place.is(f.fd, size, f.id) {
		f.anew()
		anew = true
	}
	if n := min(size, sumBytes); n > f.place.SumBytes {
		f.place.Sum, _ = sum(f.fd, n)
		f.place.SumBytes = n
	}
	return size, anew, nil
}

// fromEnd begins behind the last line that the file has.
func (f *file) fromEnd(size int64) error {
	buf := make([]byte, 64<<10)
	for end := size; end > 0; {
		begin := max(end-int64(len(buf)), 0)
		n, err := f.fd.ReadAt(buf[:end-begin], begin)
		if err != nil && err != io.EOF {
			return err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			f.place.Offset = begin + int64(i) + 1
			return nil
		}
		end = begin
	}
	return nil
}

// chunk returns the whole lines that follow what was read, at most a batch; nothing where no line is whole yet.
// The last of them may be the beginning of a line that is too long, which is told.
func (f *file) chunk(buf []byte, size int64) (data []byte, cut bool, err error) {
	for {
		n, err := f.fd.ReadAt(buf[:min(int64(len(buf)), max(size-f.place.Offset, 0))], f.place.Offset)
		if err != nil && err != io.EOF {
			return nil, false, fmt.Errorf("reading %s: %w", f.path, err)
		}
		data := buf[:n]
		if f.skipping {
			i := bytes.IndexByte(data, '\n')
			if i < 0 {
				f.place.Offset += int64(n)
				if n < len(buf) {
					return nil, false, nil
				}
				continue
			}
			f.place.Offset += int64(i) + 1
			f.skipping = false
			continue
		}
		if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
			return data[:i+1], false, nil
		}
		return data, n == len(buf), nil
	}
}

// header reads the leading lines that begin with '#', and of a CSV file its first line, as far as they were read.
func (f *file) header() error {
	if f.headDone || f.place.Offset == 0 {
		return nil
	}
	buf := make([]byte, min(f.place.Offset, maxHead))
	n, err := f.fd.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the beginning of %s: %w", f.path, err)
	}
	f.head, f.headDone = headOf(f.name, buf[:n])
	f.headDone = f.headDone || n == maxHead
	return nil
}

// headOf returns what comes before the records, and whether a record follows.
func headOf(name string, data []byte) (head []byte, done bool) {
	end, column := 0, strings.EqualFold(filepath.Ext(name), ".csv")
	for end < len(data) {
		i := bytes.IndexByte(data[end:], '\n')
		if i < 0 {
			break
		}
		if data[end] != '#' {
			if !column {
				return data[:end:end], true
			}
			column = false
		}
		end += i + 1
	}
	return data[:end:end], false
}

// batch returns where the first lines that one frame may hold end, and how many they are.
func batch(data []byte) (end, records int) {
	for records < bus.MaxRecords && end < len(data) {
		i := bytes.IndexByte(data[end:], '\n')
		if i < 0 {
			i = len(data) - end - 1
		}
		end += i + 1
		records++
	}
	return end, records
}

// frame makes a frame of lines and moves the place behind them.
func (f *file) frame(b *listen.Binding, data []byte, records int, cut bool, now time.Time) bus.Frame {
	x := bus.Frame{
		Sensor: b.Sensor, Tenant: b.Tenant, Layer: b.Layer, Authenticated: b.Authenticated, Received: now, Name: f.name,
		First: f.place.Lines + 1, Key: fmt.Sprintf("%s.%d.%d", f.place.Key, f.place.Lines+1, len(data)), Data: bytes.Clone(data), Records: records,
	}
	if f.place.Offset == 0 { // it begins with the header, and the parts behind it need that
		f.head, f.headDone = headOf(f.name, x.Data[:min(len(data), maxHead)])
	} else if len(f.head) > 0 {
		x.Head = f.head
	}
	if cut {
		x.Data, f.skipping = append(x.Data, CutMark+"\n"...), true
	}
	f.place.Offset += int64(len(data))
	f.place.Lines += int64(records)
	return x
}
