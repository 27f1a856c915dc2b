package bounded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// File is one regular file, on disk or in an archive. It is valid during the visit only.
type File struct {
	Path     string    // slash path as given; a member of an archive is "outer.tar.zst!member"
	Name     string    // last element of the path, without the suffix of a compression that was undone
	Size     int64     // unpacked bytes; -1 where unknown; an archive's word where it comes from one
	Modified time.Time // zero where unknown
	// Reader gives the unpacked content. It ends with io.EOF also where the content is broken or beyond a
	// cap, which Limits.Problem has been told by then; other errors come from the context alone. Of content that
	// has lines, one that a break or a cap cuts in half is left out, unless it is longer than 64 KiB.
	Reader io.Reader
}

// Stats says what a walk saw.
type Stats struct {
	Files      int   // files visited
	Bytes      int64 // unpacked bytes that were read from them
	Problems   int   // what could not be read, wholly or in part
	TotalBytes int64 // bytes on disk before the walk
	ReadBytes  int64 // of which were read
}

// Walk visits every regular file in paths, in the order given; folders in the order of their names. It reads
// through gzip, zstd, zip and tar, told by their content and not by their names, in one streaming pass. A
// file that two paths lead to is visited once. Symbolic links within a folder are not followed, and reported
// where they lead out of it; .git is left out, other hidden files are not.
//
// A path that isn't there is an error before anything is visited. Walk stops at the first error of visit and
// returns it as it is; what can't be read goes to limits.Problem and the walk goes on.
func Walk(ctx context.Context, paths []string, limits Limits, visit func(File) error) (Stats, error) {
	w, cancel := newWalk(ctx, limits, visit)
	defer cancel()
	for _, p := range paths {
		if err := w.measure(p); err != nil {
			return w.stats, err
		}
	}
	for _, p := range paths {
		if err := w.root(p); err != nil {
			return w.stats, err
		}
	}
	w.progress(true)
	return w.stats, nil
}

// Unpack visits what is in one stream as Walk does a file on disk; name stands for its path.
func Unpack(ctx context.Context, name string, r io.Reader, limits Limits, visit func(File) error) (Stats, error) {
	w, cancel := newWalk(ctx, limits, visit)
	defer cancel()
	err := w.disk(filepath.ToSlash(name), r, nil, -1, time.Time{})
	return w.stats, err
}

// walk is the state of one Walk.
type walk struct {
	ctx    context.Context
	limits Limits
	visit  func(File) error
	stats  Stats

	shown   int64          // bytes read at the last progress report
	opened  int            // files on disk
	buf     *bufio.Reader  // before the file on disk that is being read
	lines   [64 << 10]byte // of the file that is being visited
	roots   []string
	single  map[string]bool // files given by themselves
	zstds   []*zstd.Decoder // free decoders, for the next stream
	stopped bool            // the cap on files is reached
}

func newWalk(ctx context.Context, limits Limits, visit func(File) error) (*walk, func()) {
	w := &walk{limits: limits.withDefaults(), visit: visit, single: map[string]bool{}, buf: bufio.NewReaderSize(nil, 64<<10)}
	cancel := context.CancelFunc(func() {})
	w.ctx = ctx
	if limits.MaxTime > 0 {
		w.ctx, cancel = context.WithTimeout(ctx, limits.MaxTime)
	}
	return w, func() {
		cancel()
		for _, d := range w.zstds {
			d.Close()
		}
	}
}

func (w *walk) problem(name, why string) {
	w.stats.Problems++
	if w.limits.Problem != nil {
		w.limits.Problem(name, why)
	}
}

func (w *walk) progress(now bool) {
	if w.limits.Progress == nil || !now && w.stats.ReadBytes-w.shown < progressStep {
		return
	}
	w.shown = w.stats.ReadBytes
	// A file may grow while it is read; a bar beyond its end helps nobody.
	w.limits.Progress(min(w.stats.ReadBytes, w.stats.TotalBytes), w.stats.TotalBytes)
}

// measure adds the size of what lies under a path to the total.
func (w *walk) measure(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return fmt.Errorf("reading %s: %w", root, err)
	}
	if !info.IsDir() {
		w.stats.TotalBytes += info.Size()
		return nil
	}
	count := 0
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		if err != nil {
			return nil // reported when the walk comes here
		}
		if d.IsDir() && skipped(d.Name()) && name != root {
			return fs.SkipDir
		}
		if count++; count > w.limits.MaxMembers {
			return fs.SkipAll
		}
		if d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				w.stats.TotalBytes += info.Size()
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading %s: %w", root, err)
	}
	return nil
}

func skipped(folder string) bool { return folder == ".git" }

// root walks one path given by the caller, which alone may be a symbolic link or a pipe.
func (w *walk) root(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		w.problem(filepath.ToSlash(root), reason(err))
		return nil
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("reading %s: %w", root, err)
	}
	if w.covered(abs) || w.single[abs] {
		return nil
	}
	if info.IsDir() {
		err := w.folder(root, abs)
		w.roots = append(w.roots, abs)
		return err
	}
	w.single[abs] = true
	if !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0 {
		w.problem(filepath.ToSlash(root), "no regular file")
		return nil
	}
	return w.open(filepath.ToSlash(root), func() (*os.File, error) { return os.Open(root) })
}

// covered reports whether an earlier folder held the path.
func (w *walk) covered(abs string) bool {
	for _, r := range w.roots {
		if rel, err := filepath.Rel(r, abs); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// folder walks below root. Everything is opened through os.Root, so that a link put in place of a file between
// two looks doesn't lead out either.
func (w *walk) folder(root, abs string) error {
	at, err := os.OpenRoot(root)
	if err != nil {
		w.problem(filepath.ToSlash(root), reason(err))
		return nil
	}
	defer at.Close()
	return w.entries(at, root, abs, ".", 0)
}

// entries walks one folder below at in the order of names.
func (w *walk) entries(at *os.Root, root, abs, rel string, depth int) error {
	shown := filepath.ToSlash(filepath.Join(root, rel))
	if depth > w.limits.MaxFolders {
		w.problem(shown, fmt.Sprintf("folders nested deeper than %d", w.limits.MaxFolders))
		return nil
	}
	dir, err := at.Open(rel)
	if err != nil {
		w.problem(shown, reason(err))
		return nil
	}
	list, err := dir.ReadDir(-1)
	dir.Close()
	if err != nil {
		w.problem(shown, reason(err))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, d := range list {
		if w.stopped {
			return nil
		}
		if err := w.ctx.Err(); err != nil {
			return fmt.Errorf("reading %s: %w", shown, err)
		}
		if err := w.entry(at, root, abs, filepath.Join(rel, d.Name()), d, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(at *os.Root, root, abs, rel string, d fs.DirEntry, depth int) error {
	shown, full := filepath.ToSlash(filepath.Join(root, rel)), filepath.Join(abs, rel)
	switch {
	case d.IsDir():
		if skipped(d.Name()) || w.covered(full) {
			return nil
		}
		return w.entries(at, root, abs, rel, depth+1)
	case w.single[full]:
		return nil
	case d.Type()&fs.ModeSymlink != 0:
		// Within the folder the target is visited under its own name.
		if _, err := at.Stat(rel); err != nil {
			w.problem(shown, "skipped: a symbolic link that leads out of the folder or nowhere")
		}
		return nil
	case !d.Type().IsRegular():
		w.problem(shown, "skipped: no regular file")
		return nil
	}
	return w.open(shown, func() (*os.File, error) { return at.Open(rel) })
}

// open visits one file on disk.
func (w *walk) open(shown string, open func() (*os.File, error)) error {
	if w.opened++; w.opened > w.limits.MaxMembers {
		if !w.stopped {
			w.problem(shown, fmt.Sprintf("more than %d files: this and the rest are not read", w.limits.MaxMembers))
		}
		w.stopped = true
		return nil
	}
	f, err := open()
	if err != nil {
		w.problem(shown, reason(err))
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		w.problem(shown, reason(err))
		return nil
	}
	size := int64(-1)
	var at io.ReaderAt
	if info.Mode().IsRegular() {
		size = info.Size()
		at = f
	}
	before := w.stats.ReadBytes
	err = w.disk(shown, f, at, size, info.ModTime())
	// What was left unread is done with too.
	if size >= 0 {
		w.stats.ReadBytes = before + size
	}
	w.progress(false)
	return err
}

// source counts the bytes of one file on disk, or of one stream, as they are read.
type source struct {
	w  *walk
	r  io.Reader
	at io.ReaderAt
	n  int64
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	s.count(n)
	return n, err
}

// ReadAt serves zip, which reads its directory first and its members in any order.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if err := s.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.at.ReadAt(p, off)
	s.count(n)
	return n, err
}

func (s *source) count(n int) {
	s.n += int64(n)
	s.w.stats.ReadBytes += int64(n)
	s.w.progress(false)
}

// disk unpacks one file on disk, or one stream of unknown size (-1).
func (w *walk) disk(shown string, r io.Reader, at io.ReaderAt, size int64, modified time.Time) error {
	src := &source{w: w, r: r, at: at}
	w.buf.Reset(src)
	s := stream{
		path: shown, name: path.Base(shown), r: w.buf, size: size, modified: modified,
		budget: &budget{src: src, size: size},
	}
	if at != nil {
		s.at = src
	}
	err := w.unpack(s)
	if err == nil {
		if ctxErr := w.ctx.Err(); ctxErr != nil {
			err = fmt.Errorf("reading %s: %w", shown, ctxErr)
		}
	}
	if errors.Is(err, errGiveUp) {
		return nil
	}
	return err
}
