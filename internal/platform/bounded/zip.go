package bounded

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/flate"
)

// zipZstd is the method number of zstd in zip (APPNOTE 4.4.5).
const zipZstd = 93

// unzip visits the members of a zip in the order of its directory. A zip is read from its end, so one that
// comes as a stream is first put aside, in memory or in a temporary file.
func (w *walk) unzip(s stream) error {
	if s.at == nil {
		at, size, done, err := w.spool(s.r)
		defer done()
		if err != nil {
			return w.broken(s.path, err)
		}
		s.at, s.size = at, size
	}
	if err := w.checkDirectory(s.at, s.size); err != nil {
		return w.broken(s.path, err)
	}
	z, err := zip.NewReader(s.at, s.size)
	if err != nil && !(errors.Is(err, zip.ErrInsecurePath) && z != nil) {
		return w.broken(s.path, err)
	}
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	z.RegisterDecompressor(zipZstd, func(r io.Reader) io.ReadCloser {
		d, err := w.zstd(r)
		if err != nil {
			return io.NopCloser(&peeked{err: err})
		}
		return &freed{Reader: d, free: func() { w.free(d) }}
	})
	// Members may share their bytes, so that each is harmless by its own ratio; the sum isn't.
	var sum int64
	for _, f := range z.File {
		if ok := w.member(s); !ok {
			return errGiveUp
		}
		if !f.Mode().IsRegular() {
			continue
		}
		n, err := w.zipMember(s, f)
		if err != nil {
			return err
		}
		if sum += n; sum > w.limits.RatioFrom && sum/w.limits.MaxRatio > s.size {
			w.problem(s.path, bombError{w.limits.MaxRatio}.Error())
			return nil
		}
	}
	return nil
}

// zipMember visits one member and returns how many bytes it gave.
func (w *walk) zipMember(s stream, f *zip.File) (int64, error) {
	m := stream{size: int64(f.UncompressedSize64), modified: f.Modified, depth: s.depth, budget: s.budget}
	m.path, m.name = memberPath(s.path, f.Name)
	if m.size < 0 {
		m.size = -1
	}
	if f.Flags&1 != 0 {
		w.problem(m.path, "encrypted: unpack it first")
		return 0, nil
	}
	r, err := f.Open()
	if err != nil {
		return 0, w.broken(m.path, err)
	}
	defer r.Close()
	packed := int64(min(f.CompressedSize64, uint64(s.size)))
	e := &expansion{r: r, packed: func() int64 { return packed }, limits: &w.limits}
	m.r = e
	err = w.unpack(m)
	return e.n, err
}

// freed gives its decoder back when it is closed.
type freed struct {
	io.Reader
	free func()
}

// Close implements io.Closer.
func (f *freed) Close() error {
	if f.free != nil {
		f.free()
		f.free = nil
	}
	return nil
}

// spool puts a stream where it can be read in any order. done is never nil and takes it away again.
func (w *walk) spool(r io.Reader) (at io.ReaderAt, size int64, done func(), err error) {
	done = func() {}
	var mem bytes.Buffer
	n, err := io.CopyN(&mem, r, memorySpool)
	if err == io.EOF {
		return bytes.NewReader(mem.Bytes()), n, done, nil
	}
	if err != nil {
		return nil, 0, done, err
	}
	f, err := os.CreateTemp(w.limits.SpoolDir, "breakwater-*.zip")
	if err != nil {
		return nil, 0, done, fmt.Errorf("putting a nested zip aside: %w", err)
	}
	done = func() {
		f.Close()
		os.Remove(f.Name())
	}
	rest := NewReader(r, w.limits.MaxSpoolBytes-n)
	size, err = io.Copy(f, io.MultiReader(&mem, rest))
	if errors.Is(err, ErrTooLarge) {
		err = fmt.Errorf("a zip of more than %d bytes within another archive: unpack it first", w.limits.MaxSpoolBytes)
	}
	return f, size, done, err
}

// The records at the end of a zip, by APPNOTE 4.3.12 (central directory), 4.3.14 and 4.3.15 (zip64), 4.3.16.
const (
	zipHeaderSize  = 46
	zipEndSize     = 22
	zipLocatorSize = 20
	zipEnd64Size   = 56
)

// checkDirectory counts the members before archive/zip makes room for them: what the end of the zip claims,
// and what is really there, since neither need be true.
func (w *walk) checkDirectory(at io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, zipEndSize+1<<16-1))
	base := size - int64(len(tail))
	if n, err := at.ReadAt(tail, base); n < len(tail) {
		if err == nil || err == io.EOF {
			err = zip.ErrFormat
		}
		return err
	}
	i := len(tail) - zipEndSize
	for i >= 0 && !(string(tail[i:i+4]) == "PK\x05\x06" && i+zipEndSize+int(binary.LittleEndian.Uint16(tail[i+20:])) <= len(tail)) {
		i--
	}
	if i < 0 {
		return zip.ErrFormat
	}
	end := base + int64(i)
	claimed := uint64(binary.LittleEndian.Uint16(tail[i+10:]))
	dirSize := uint64(binary.LittleEndian.Uint32(tail[i+12:]))
	dirOffset := uint64(binary.LittleEndian.Uint32(tail[i+16:]))
	// A zip may follow other bytes, which shifts its offsets: every place where the directory may begin counts.
	begins := []uint64{dirOffset, uint64(end) - dirSize}
	if end64, rec, ok := zipEnd64(at, size, end); ok {
		claimed = max(claimed, binary.LittleEndian.Uint64(rec[32:]))
		begins = append(begins, binary.LittleEndian.Uint64(rec[48:]), uint64(end64)-binary.LittleEndian.Uint64(rec[40:]))
	}
	limit := uint64(w.limits.MaxMembers)
	if claimed > limit {
		return fmt.Errorf("a zip that claims %d members, more than %d: not read", claimed, limit)
	}
	for _, begin := range begins {
		if begin < uint64(size) && countHeaders(at, int64(begin), size, limit) > limit {
			return fmt.Errorf("a zip of more than %d members: not read", limit)
		}
	}
	return w.ctx.Err()
}

// zipEnd64 returns the zip64 end record and its offset, where the zip has one.
func zipEnd64(at io.ReaderAt, size, end int64) (int64, []byte, bool) {
	var locator [zipLocatorSize]byte
	if end < zipLocatorSize {
		return 0, nil, false
	}
	if n, _ := at.ReadAt(locator[:], end-zipLocatorSize); n < zipLocatorSize || string(locator[:4]) != "PK\x06\x07" {
		return 0, nil, false
	}
	off := binary.LittleEndian.Uint64(locator[8:])
	if off > uint64(size) {
		return 0, nil, false
	}
	rec := make([]byte, zipEnd64Size)
	if n, _ := at.ReadAt(rec, int64(off)); n < zipEnd64Size || string(rec[:4]) != "PK\x06\x06" {
		return 0, nil, false
	}
	return int64(off), rec, true
}

// countHeaders counts directory headers from an offset on, up to one more than limit.
func countHeaders(at io.ReaderAt, begin, size int64, limit uint64) uint64 {
	r := bufio.NewReader(io.NewSectionReader(at, begin, size-begin))
	var header [zipHeaderSize]byte
	for n := uint64(0); ; n++ {
		if _, err := io.ReadFull(r, header[:]); err != nil || string(header[:4]) != "PK\x01\x02" || n > limit {
			return n
		}
		rest := 0
		for _, i := range []int{28, 30, 32} { // name, extra field, comment
			rest += int(binary.LittleEndian.Uint16(header[i:]))
		}
		if _, err := r.Discard(rest); err != nil {
			return n + 1
		}
	}
}
