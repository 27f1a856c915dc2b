package bounded

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// stream is something to be unpacked: a file on disk, a member, or what came out of a compression.
type stream struct {
	path     string
	name     string
	r        io.Reader
	at       io.ReaderAt // set where size bytes may be read in any order
	size     int64
	modified time.Time
	depth    int  // archives and compressions around it
	squeezed bool // came out of a compression just now
	budget   *budget
}

// budget is shared by all that comes out of one file on disk.
type budget struct {
	src     *source
	size    int64 // bytes on disk; -1 where unknown
	out     int64 // bytes delivered
	members int
}

// packed is how many bytes on disk the delivered ones are held against.
func (b *budget) packed() int64 {
	if b.size >= 0 {
		return b.size
	}
	return b.src.n
}

// errGiveUp ends the work on one file on disk after the reason was reported.
var errGiveUp = errors.New("given up")

type kind int

const (
	plain kind = iota
	gzipped
	zstandard
	zipped
	tarred
	foreign // packed in a way that is not read
)

// headSize is how much of a stream is looked at to tell its kind: one tar header.
const headSize = 512

// kindOf tells a stream by its first bytes.
func kindOf(head []byte) (kind, string) {
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has("\x1f\x8b\x08"):
		return gzipped, "gzip"
	case has("\x28\xb5\x2f\xfd"), len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18":
		return zstandard, "zstd"
	case has("PK\x03\x04"), has("PK\x05\x06"):
		return zipped, "zip"
	case has("\xfd7zXZ\x00"):
		return foreign, "xz"
	case has("BZh") && len(head) > 10 && string(head[4:10]) == "1AY&SY":
		return foreign, "bzip2"
	case has("7z\xbc\xaf\x27\x1c"):
		return foreign, "7z"
	case has("Rar!\x1a\x07"):
		return foreign, "rar"
	case isTar(head):
		return tarred, "tar"
	}
	return plain, ""
}

// isTar checks the header's checksum, which old archives have too, before the magic "ustar" was.
func isTar(head []byte) bool {
	if len(head) < headSize || head[0] == 0 {
		return false
	}
	want, err := strconv.ParseInt(strings.Trim(string(head[148:156]), " \x00"), 8, 64)
	if err != nil {
		return false
	}
	var sum int64
	for i, c := range head {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(c)
	}
	return sum == want
}

// peeked gives back the bytes that were looked at, then the rest; an error met while looking comes in its turn.
type peeked struct {
	head []byte
	r    io.Reader
	err  error
}

func peek(r io.Reader) *peeked {
	p := &peeked{head: make([]byte, headSize), r: r}
	n := 0
	for n < headSize && p.err == nil {
		var m int
		m, p.err = r.Read(p.head[n:])
		n += m
	}
	p.head = p.head[:n]
	return p
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.head) > 0 {
		n := copy(b, p.head)
		p.head = p.head[n:]
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.r.Read(b)
}

// unpack visits s if it is a plain file, and what is in it otherwise.
func (w *walk) unpack(s stream) error {
	in := peek(s.r)
	if len(in.head) == 0 && in.err != nil && in.err != io.EOF {
		return w.broken(s.path, in.err)
	}
	k, called := kindOf(in.head)
	s.r = in
	switch k {
	case plain:
		return w.deliver(s)
	case foreign:
		w.problem(s.path, called+" is not read; unpack it first")
		return nil
	case tarred:
		if !s.squeezed {
			s.depth++
		}
	default:
		s.depth++
	}
	if s.depth > w.limits.MaxDepth {
		w.problem(s.path, fmt.Sprintf("archives nested deeper than %d", w.limits.MaxDepth))
		return nil
	}
	switch k {
	case gzipped:
		return w.gunzip(s)
	case zstandard:
		return w.unzstd(s)
	case zipped:
		return w.unzip(s)
	default:
		return w.untar(s)
	}
}

// broken reports an error met below path, unless it is the context's end.
func (w *walk) broken(path string, err error) error {
	if ctxErr := w.ctx.Err(); ctxErr != nil {
		return fmt.Errorf("reading %s: %w", path, ctxErr)
	}
	if errors.Is(err, errGiveUp) {
		return err
	}
	w.problem(path, reason(err))
	return nil
}

func (w *walk) gunzip(s stream) error {
	in := &counted{r: s.r}
	z, err := gzip.NewReader(in)
	if err != nil {
		return w.broken(s.path, err)
	}
	return w.expand(s, in, z)
}

func (w *walk) unzstd(s stream) error {
	in := &counted{r: s.r}
	z, err := w.zstd(in)
	if err != nil {
		return w.broken(s.path, err)
	}
	defer w.free(z)
	return w.expand(s, in, z)
}

// zstd returns a decoder in one goroutine: its reads of in are then counted before its output is seen.
func (w *walk) zstd(in io.Reader) (*zstd.Decoder, error) {
	if n := len(w.zstds); n > 0 {
		z := w.zstds[n-1]
		w.zstds = w.zstds[:n-1]
		return z, z.Reset(in)
	}
	return zstd.NewReader(in, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderMaxMemory(zstdWindow))
}

func (w *walk) free(z *zstd.Decoder) {
	// Resetting to nothing lets go of the input.
	_ = z.Reset(nil)
	w.zstds = append(w.zstds, z)
}

// expand goes on with what comes out of a compression.
func (w *walk) expand(s stream, in *counted, out io.Reader) error {
	ext := path.Ext(s.name)
	switch strings.ToLower(ext) {
	case ".gz", ".zst", ".gzip", ".zstd":
		s.name = strings.TrimSuffix(s.name, ext)
	}
	s.r = &expansion{r: out, packed: func() int64 { return in.n }, limits: &w.limits}
	s.at, s.size, s.squeezed = nil, -1, true
	return w.unpack(s)
}

func (w *walk) untar(s stream) error {
	t := tar.NewReader(s.r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil && !(errors.Is(err, tar.ErrInsecurePath) && h != nil) {
			return w.broken(s.path, err)
		}
		if ok := w.member(s); !ok {
			return errGiveUp
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse {
			continue
		}
		m := stream{r: t, size: h.Size, modified: h.ModTime, depth: s.depth, budget: s.budget}
		m.path, m.name = memberPath(s.path, h.Name)
		if err := w.unpack(m); err != nil {
			return err
		}
	}
}

// member counts one more member of the file on disk, up to the cap.
func (w *walk) member(s stream) bool {
	if s.budget.members++; s.budget.members > w.limits.MaxMembers {
		w.problem(s.path, fmt.Sprintf("more than %d members: the rest is not read", w.limits.MaxMembers))
		return false
	}
	return true
}

// maxName is the longest name of a member that is kept, in bytes: as long as a path may be on Linux.
const maxName = 4096

// memberPath joins an archive's path and a member's name. The name is only ever shown and matched, but a ".."
// in it would claim a place outside the archive, so it is cleaned as if the archive were the root.
func memberPath(archive, name string) (full, last string) {
	name = strings.ReplaceAll(printable(name, maxName), `\`, "/")
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		name = "unnamed"
	}
	return archive + "!" + name, path.Base(name)
}

// deliver hands a plain file to the visitor.
func (w *walk) deliver(s stream) error {
	leaf := &leaf{w: w, s: &s}
	w.stats.Files++
	err := w.visit(File{Path: s.path, Name: s.name, Size: s.size, Modified: s.modified, Reader: leaf})
	leaf.closed = true
	if err != nil {
		return err
	}
	if leaf.giveUp {
		return errGiveUp
	}
	if ctxErr := w.ctx.Err(); ctxErr != nil {
		return fmt.Errorf("reading %s: %w", s.path, ctxErr)
	}
	return nil
}

// leaf is the reader of one visited file: it holds the caps and turns what is broken into a problem and an end.
// The last line is held back until its end was seen, so that where the content is cut short, the half record at
// the cut is not taken for a whole one; it is told of already.
type leaf struct {
	w      *walk
	s      *stream
	n      int64
	ready  []byte // what may be given
	held   []byte // the beginning of a line
	lined  bool   // some line has ended: the content has lines
	cut    bool   // there is more that was not read
	err    error
	giveUp bool // the file on disk as a whole is beyond its ratio
	closed bool
}

// Read implements io.Reader.
func (l *leaf) Read(p []byte) (int, error) {
	if l.closed {
		return 0, errors.New("reading " + l.s.path + " after its visit")
	}
	for len(l.ready) == 0 {
		if len(p) == 0 || l.err != nil {
			return 0, l.err
		}
		l.fill()
	}
	n := copy(p, l.ready)
	l.ready = l.ready[n:]
	return n, nil
}

// fill reads on and splits what there is behind its last line. A line longer than the buffer is given in parts.
func (l *leaf) fill() {
	data := l.w.lines[:copy(l.w.lines[:], l.held)]
	n, err := l.read(l.w.lines[len(data):])
	data = l.w.lines[:len(data)+n]
	end := bytes.LastIndexByte(data, '\n') + 1
	l.lined = l.lined || end > 0
	switch {
	case err != nil && !(l.cut && l.lined), end == 0 && len(data) == len(l.w.lines):
		end = len(data)
	case err != nil && end < len(data) && data[end] == 0: // the other half of a line feed in UTF-16
		end++
	}
	l.ready, l.held, l.err = data[:end], data[end:], err
}

// read takes the next bytes of the stream, within the caps.
func (l *leaf) read(p []byte) (int, error) {
	if err := l.w.ctx.Err(); err != nil {
		return 0, err
	}
	limits, b := &l.w.limits, l.s.budget
	if left := limits.MaxFileBytes - l.n; int64(len(p)) > left+1 {
		p = p[:left+1]
	}
	n, err := l.s.r.Read(p)
	if l.n+int64(n) > limits.MaxFileBytes {
		n = int(limits.MaxFileBytes - l.n)
		err = fmt.Errorf("larger than %d bytes: the rest is not read", limits.MaxFileBytes)
	}
	l.n += int64(n)
	b.out += int64(n)
	l.w.stats.Bytes += int64(n)
	if b.out > limits.RatioFrom && b.out/limits.MaxRatio > b.packed() {
		l.giveUp = true
		err = bombError{limits.MaxRatio}
	}
	if err != nil && err != io.EOF {
		if ctxErr := l.w.ctx.Err(); ctxErr != nil {
			return n, ctxErr
		}
		l.w.problem(l.s.path, reason(err))
		l.cut = !isChecksum(err) // which comes after the whole content
		err = io.EOF
	}
	return n, err
}

// counted counts what is read from r.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// expansion fails once a decompressor has given too many bytes for those it took.
type expansion struct {
	r      io.Reader
	n      int64
	packed func() int64
	limits *Limits
	bomb   error
}

func (e *expansion) Read(p []byte) (int, error) {
	if e.bomb != nil {
		return 0, e.bomb
	}
	n, err := e.r.Read(p)
	e.n += int64(n)
	if e.n > e.limits.RatioFrom && e.n/e.limits.MaxRatio > e.packed() {
		e.bomb = bombError{e.limits.MaxRatio}
		return n, e.bomb
	}
	return n, err
}
