// Package drop watches a folder into which files and archives are put, and hands them on. A file is taken once it
// is complete: its size and time were the same at two looks; names that begin with a dot or end in .tmp, .part,
// .partial or .filepart are still being written. Archives and compressions are read through, under the limits of
// package bounded.
//
// A file of up to 7 MiB is one whole frame. A larger one is split where its records end: at lines, with the header
// lines given to every part, or between the mails of an mbox. One that has no such place is refused.
//
// What was taken moves to taken/, what could not be read at all to refused/, both beneath the folder, under the
// name and sub-folders that it had; a file NAME.reason.txt beside it says what could not be read, and why. A crash
// in between makes the next run hand the same frames on again under the same keys (the content's hash and the part),
// by which they are known for the same.
package drop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// The folders beneath the watched one.
const (
	Taken   = "taken"
	Refused = "refused"
)

// reasonSuffix ends the name of the file that says what could not be read.
const reasonSuffix = ".reason.txt"

// Config is one watched folder.
type Config struct {
	Dir string
	// Bind says whose a file is by its slash path relative to the folder; a member of an archive is
	// "outer.zip!member". False: nobody's, and it is refused.
	Bind   func(rel string) (*listen.Binding, bool)
	Poll   time.Duration // 0: 1 s
	Limits bounded.Limits
	Log    *slog.Logger
}

// Stats counts what a Dropbox did since it began.
type Stats struct {
	Taken   int64 // files on disk
	Refused int64
	Frames  int64
	Bytes   int64 // unpacked, handed on
	Busy    int64 // how often a frame had to wait
}

// Dropbox watches a folder.
type Dropbox struct {
	config Config
	to     listen.Submitter
	seen   map[string]look

	taken, refused, frames, bytes, busy atomic.Int64
}

// look is what a file was like when it was looked at.
type look struct {
	size     int64
	modified time.Time
	tried    bool // it could not be opened or moved; it is left until it changes
}

// New makes the folder and those beneath it.
func New(c Config, to listen.Submitter) (*Dropbox, error) {
	if c.Bind == nil {
		return nil, fmt.Errorf("drop folder %s: nothing binds its files to a sensor", c.Dir)
	}
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []string{Taken, Refused} {
		if err := os.MkdirAll(filepath.Join(c.Dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("making the drop folder: %w", err)
		}
	}
	return &Dropbox{config: c, to: to, seen: map[string]look{}}, nil
}

// Stats returns the counts.
func (d *Dropbox) Stats() Stats {
	return Stats{Taken: d.taken.Load(), Refused: d.refused.Load(), Frames: d.frames.Load(), Bytes: d.bytes.Load(), Busy: d.busy.Load()}
}

// Run watches until the context ends, which it returns no error for.
func (d *Dropbox) Run(ctx context.Context) error {
	for {
		for _, rel := range d.complete() {
			if err := d.take(ctx, rel); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				d.config.Log.Error("taking a file from the drop folder; it is tried again when it changes", "file", rel, "error", err)
				l := d.seen[rel]
				l.tried = true
				d.seen[rel] = l
			}
		}
		if listen.Pause(ctx, d.config.Poll) != nil {
			return nil
		}
	}
}

// maxWaiting is how many files are looked at in one go; the rest come when these are gone.
const maxWaiting = 100_000

// complete returns the files that have not changed since the last look, in the order of their names.
func (d *Dropbox) complete() []string {
	now := make(map[string]look)
	var list []string
	_ = filepath.WalkDir(d.config.Dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile, or not for us to read; the next look sees
		}
		rel, err := filepath.Rel(d.config.Dir, name)
		if err != nil || rel == "." {
			return nil
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			if rel == Taken || rel == Refused || strings.HasPrefix(e.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !e.Type().IsRegular() || unfinished(e.Name()) {
			return nil
		}
		if len(now) >= maxWaiting {
			return fs.SkipAll
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		l := look{size: info.Size(), modified: info.ModTime()}
		if before, ok := d.seen[rel]; ok && before.size == l.size && before.modified.Equal(l.modified) {
			l.tried = before.tried
			if !l.tried {
				list = append(list, rel)
			}
		}
		now[rel] = l
		return nil
	})
	d.seen = now
	return list
}

func unfinished(name string) bool {
	if strings.HasPrefix(name, ".") {
		return true
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".tmp", ".part", ".partial", ".filepart", ".crdownload":
		return true
	}
	return false
}

// take reads one file and moves it away. An error means that it stays.
func (d *Dropbox) take(ctx context.Context, rel string) error {
	name := filepath.Join(d.config.Dir, filepath.FromSlash(rel))
	sum, err := contentSum(ctx, name)
	if err != nil {
		return err
	}
	r := &reading{d: d, ctx: ctx, rel: rel, name: filepath.ToSlash(name), key: sum, received: time.Now()}
	limits := d.config.Limits
	limits.Problem = func(path, reason string) { r.problem(r.shown(path), reason) }
	_, err = bounded.Walk(ctx, []string{name}, limits, r.visit)
	if err != nil {
		return err
	}
	to, count := Taken, &d.taken
	if r.parts == 0 {
		if len(r.problems) == 0 {
			r.problem(rel, "there is nothing in it")
		}
		to, count = Refused, &d.refused
	}
	if err := d.move(rel, to, r.problems); err != nil {
		return err
	}
	delete(d.seen, rel)
	count.Add(1)
	d.config.Log.Info("drop folder", "file", rel, "to", to, "frames", r.parts, "problems", len(r.problems))
	return nil
}

// move puts a file beneath the folder of that name, beside others of its name where there are any.
func (d *Dropbox) move(rel, to string, problems []string) error {
	root, err := os.OpenRoot(d.config.Dir)
	if err != nil {
		return fmt.Errorf("moving %s: %w", rel, err)
	}
	defer root.Close()
	target := path.Join(to, rel)
	if err := root.MkdirAll(filepath.FromSlash(path.Dir(target)), 0o700); err != nil {
		return fmt.Errorf("moving %s to %s: %w", rel, to, err)
	}
	free := target
	for n := 1; exists(root, free) || exists(root, free+reasonSuffix); n++ {
		free = fmt.Sprintf("%s.%d", target, n)
	}
	if len(problems) > 0 {
		text := strings.Join(problems, "\n") + "\n"
		if err := root.WriteFile(filepath.FromSlash(free+reasonSuffix), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing why %s could not be read: %w", rel, err)
		}
	}
	if err := root.Rename(filepath.FromSlash(rel), filepath.FromSlash(free)); err != nil {
		return fmt.Errorf("moving %s to %s: %w", rel, to, err)
	}
	return nil
}

func exists(root *os.Root, name string) bool {
	_, err := root.Lstat(filepath.FromSlash(name))
	return !errors.Is(err, fs.ErrNotExist)
}

// submit hands a frame on and waits as long as it is told to.
func (d *Dropbox) submit(ctx context.Context, f bus.Frame) error {
	if err := listen.Insist(ctx, d.to, d.config.Log, &d.busy, f); err != nil {
		return err
	}
	d.frames.Add(1)
	d.bytes.Add(int64(len(f.Data)))
	return nil
}
