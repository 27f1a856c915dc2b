// Package tail follows files that grow, and hands their lines on as frames. Files are found by patterns and looked
// at again and again; no notification of the system is needed, so that network file systems work too.
//
// What was handed on is remembered only after it was kept, so that nothing is skipped, whatever moment the program
// ends at. What was kept and not remembered is handed on again with the same name and numbers, and where its end is
// the same under the same Frame.Key, by which it is known for the same. A file is known by device and inode, where there are any, and by its first bytes: rotation by
// renaming goes on in the renamed file and then begins the new one, also where both happened while nobody watched;
// rotation by copying and truncating begins anew. Compressed files are left alone. What is written between a copy
// and its truncation, or to a file that is compressed and removed before it was read, is lost to everybody.
//
// A last line waits for its newline. Leading lines that begin with '#' are given with every later part as
// Frame.Head. A line longer than a batch is cut and ends in CutMark.
package tail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// Place is how far a file was read.
type Place struct {
	Device, Inode uint64 // zero where the system has none
	Sum           string // SHA-256 of the file's first bytes, hexadecimal
	SumBytes      int64  // how many bytes, at most 1024
	Key           string // names this file for ever; Frame.Key begins with it
	Offset        int64  // bytes handed on
	Lines         int64  // lines handed on
}

// Offsets remembers places. Save is atomic for what one call gives it, and has it on disk when it returns.
type Offsets interface {
	Load(sensor, path string) (Place, bool, error)
	Save(sensor string, places map[string]Place) error
}

// Source is a set of files of one sensor.
type Source struct {
	Binding listen.Binding
	// Pattern is an absolute path in which *, ? and […] stand within a name as in path/filepath.Match, and **
	// between slashes for any folders.
	Pattern string
	// FromEnd leaves out what a file holds when it is first seen at the start; files that appear later are read
	// from their beginning.
	FromEnd bool
}

// Config is one Tailer.
type Config struct {
	Sources  []Source
	Offsets  Offsets
	Poll     time.Duration // how often growing files are looked at; 0: 200 ms
	Search   time.Duration // how often files are looked for, and resting ones looked at; 0: 10 polls; very many files are looked for less often
	MaxFiles int           // followed at a time; 0: 100,000
	MaxOpen  int           // kept open; 0: 256
	Log      *slog.Logger
}

// Stats counts what a Tailer did since it began.
type Stats struct {
	Files   int64 // followed now
	Lines   int64 // handed on
	Bytes   int64
	Cut     int64 // lines longer than a batch
	Rotated int64 // files that were renamed, truncated or replaced
	Busy    int64 // how often a frame had to wait
	Left    int64 // files beyond MaxFiles, or that can't be read
}

type counters struct{ files, lines, bytes, cut, rotated, busy, left atomic.Int64 }

// Tailer follows files.
type Tailer struct {
	config Config
	to     listen.Submitter
	count  counters
	sets   []*set
}

// New checks the configuration.
func New(c Config, to listen.Submitter) (*Tailer, error) {
	if c.Offsets == nil {
		return nil, errors.New("tail: nothing remembers offsets")
	}
	if c.Poll <= 0 {
		c.Poll = 200 * time.Millisecond
	}
	if c.Search <= 0 {
		c.Search = 10 * c.Poll
	}
	if c.MaxFiles <= 0 {
		c.MaxFiles = 100_000
	}
	if c.MaxOpen <= 0 {
		c.MaxOpen = 256
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	t := &Tailer{config: c, to: to}
	for _, s := range c.Sources {
		if !filepath.IsAbs(s.Pattern) {
			return nil, fmt.Errorf("tail: the pattern %q of sensor %s is no absolute path", s.Pattern, s.Binding.Sensor)
		}
		p, err := compile(s.Pattern)
		if err != nil {
			return nil, fmt.Errorf("tail: the pattern %q of sensor %s: %w", s.Pattern, s.Binding.Sensor, err)
		}
		t.sets = append(t.sets, &set{t: t, source: s, pattern: p, files: map[string]*file{}})
	}
	return t, nil
}

// Stats returns the counts.
func (t *Tailer) Stats() Stats {
	c := &t.count
	return Stats{Files: c.files.Load(), Lines: c.lines.Load(), Bytes: c.bytes.Load(), Cut: c.cut.Load(), Rotated: c.rotated.Load(), Busy: c.busy.Load(), Left: c.left.Load()}
}

// Run follows until the context ends, which it returns no error for. Each source is followed by itself, so that one
// whose tenant must wait holds up no other.
func (t *Tailer) Run(ctx context.Context) error {
	errs := make(chan error, len(t.sets))
	for _, s := range t.sets {
		go func() { errs <- s.run(ctx) }()
	}
	var first error
	for range t.sets {
		if err := <-errs; err != nil && ctx.Err() == nil && first == nil {
			first = err
		}
	}
	return first
}
