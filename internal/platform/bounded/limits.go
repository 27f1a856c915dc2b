// Package bounded reads what others wrote without letting it choose how much memory, disk or time that costs.
// Files, folders and archives come in; the regular files in them go out one by one, as streams with caps on
// bytes, expansion, nesting, count and time.
//
// Whatever is broken, too large or out of reach is a Problem with a reason in plain words, and the rest goes
// on: the lines before a break are still delivered, without the half line at the break. Names in archives are
// names only; nothing is ever written under them. The only files written are temporary ones, for a zip within
// another archive, and they are removed before the call returns.
package bounded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode"

	"archive/tar"
	"archive/zip"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The caps that hold where a field of Limits is zero.
const (
	DefaultMaxFileBytes  = 64 << 30 // of one file, unpacked
	DefaultMaxRatio      = 200      // unpacked bytes for each packed one …
	DefaultRatioFrom     = 64 << 20 // … once so many are unpacked
	DefaultMaxMembers    = 1_000_000
	DefaultMaxDepth      = 4
	DefaultMaxFolders    = 128
	DefaultMaxSpoolBytes = 4 << 30
)

const (
	zstdWindow   = 128 << 20 // the largest window zstd makes without --ultra --long
	memorySpool  = 4 << 20   // a nested zip up to this size is held in memory
	progressStep = 1 << 20
)

// Limits are the caps of one walk; a zero field takes the default.
type Limits struct {
	MaxFileBytes  int64         // unpacked bytes of one file; what follows is not read
	MaxRatio      int64         // unpacked bytes for each packed one, of a member and of the file on disk as a whole
	RatioFrom     int64         // the ratio is looked at beyond so many unpacked bytes
	MaxMembers    int           // files in one walk, and members of one file on disk
	MaxDepth      int           // archives and compressions in one another; a compressed tar is one
	MaxFolders    int           // folders in one another
	MaxSpoolBytes int64         // size of a zip within another archive
	SpoolDir      string        // where such a zip is put for the time; empty: the system's folder
	MaxTime       time.Duration // of the whole walk; zero: as long as the context lasts

	// Progress is told how many of all bytes on disk have been read, at most once a MiB; nil for none.
	Progress func(read, total int64)
	// Problem is told what could not be read, wholly or from some point on, and why; nil for none.
	Problem func(path, reason string)
}

func (l Limits) withDefaults() Limits {
	set(&l.MaxFileBytes, DefaultMaxFileBytes)
	set(&l.MaxRatio, DefaultMaxRatio)
	set(&l.RatioFrom, DefaultRatioFrom)
	set(&l.MaxMembers, DefaultMaxMembers)
	set(&l.MaxDepth, DefaultMaxDepth)
	set(&l.MaxFolders, DefaultMaxFolders)
	set(&l.MaxSpoolBytes, DefaultMaxSpoolBytes)
	return l
}

func set[N int | int64](field *N, value N) {
	if *field <= 0 {
		*field = value
	}
}

// ErrTooLarge is returned by a Reader whose source holds more than it may.
var ErrTooLarge = errors.New("larger than allowed")

// Reader reads at most a number of bytes, and unlike io.LimitedReader fails with ErrTooLarge where the source
// has more, so that a cut is never taken for the end.
type Reader struct {
	r    io.Reader
	left int64
}

// NewReader returns a Reader of at most max bytes of r.
func NewReader(r io.Reader, max int64) *Reader { return &Reader{r: r, left: max} }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.left < 0 {
		return 0, ErrTooLarge
	}
	// One byte more than allowed tells "just fits" from "too large".
	if int64(len(p)) > r.left+1 {
		p = p[:r.left+1]
	}
	n, err := r.r.Read(p)
	r.left -= int64(n)
	if r.left < 0 {
		return n - 1, ErrTooLarge
	}
	return n, err
}

// ReadAll reads all of r, or fails with ErrTooLarge once it has more than max bytes.
func ReadAll(r io.Reader, max int64) ([]byte, error) { return io.ReadAll(NewReader(r, max)) }

// bombError says that something expands beyond the ratio allowed.
type bombError struct{ ratio int64 }

func (e bombError) Error() string {
	return fmt.Sprintf("zip bomb: expands more than %d:1; the rest is not read", e.ratio)
}

// reason puts an error into one line that says what to make of it.
func reason(err error) string {
	var bomb bombError
	switch {
	case errors.As(err, &bomb):
		return bomb.Error()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "truncated: it ends before its end, and what came before was read"
	case isChecksum(err):
		return "damaged: the checksum differs from the content"
	case errors.Is(err, gzip.ErrHeader):
		return "damaged: no gzip header where one should be"
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Sprintf("needs more than %d MiB of memory to unpack", zstdWindow>>20)
	case errors.Is(err, zip.ErrFormat):
		return "no readable zip: truncated or damaged"
	case errors.Is(err, zip.ErrAlgorithm):
		return "compressed by a method that is not read; unpack it first"
	case errors.Is(err, tar.ErrHeader):
		return "damaged tar: what follows is lost"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, context.DeadlineExceeded):
		return "out of time"
	}
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return oneLine(err.Error())
}

func isChecksum(err error) bool {
	return errors.Is(err, gzip.ErrChecksum) || errors.Is(err, zip.ErrChecksum) || errors.Is(err, zstd.ErrCRCMismatch)
}

// oneLine makes text of unknown origin fit for a log line.
func oneLine(s string) string { return printable(s, 400) }

// printable replaces control characters and bytes that aren't UTF-8, and cuts what is longer than max bytes.
func printable(s string, max int) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return '_'
		}
		return c
	}, s)
	if len(s) > max {
		s = strings.ToValidUTF8(s[:max], "") + "…"
	}
	return s
}
