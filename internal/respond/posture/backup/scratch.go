package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// scratch is the folder that a drill restores into, and nothing else is written.
type scratch struct {
	dir  string
	stop func(error)
	done chan struct{}
}

// watchEvery is how often the size of what is restored is looked at.
const watchEvery = 500 * time.Millisecond

// newScratch makes the folder, and returns a context that ends when the time of the limits is over or what lies in
// the folder exceeds them.
func newScratch(ctx context.Context, parent string, limits Limits) (*scratch, context.Context, error) {
	dir, err := os.MkdirTemp(parent, "breakwater-drill-")
	if err != nil {
		return nil, nil, fmt.Errorf("making the scratch folder: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, nil, fmt.Errorf("making the scratch folder: %w", err)
	}
	s := &scratch{dir: dir, done: make(chan struct{})}
	for _, sub := range [...]string{"restored", "home"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("making the scratch folder: %w", err), os.RemoveAll(dir))
		}
	}
	timed, cancel := context.WithTimeoutCause(ctx, limits.Time, fmt.Errorf("the restore took longer than the drill's limit of %s", limits.Time))
	inner, stop := context.WithCancelCause(timed)
	s.stop = func(cause error) { stop(cause); cancel() }
	go s.watch(inner, limits)
	return s, inner, nil
}

// watch ends the drill where it grows beyond its limits.
func (s *scratch) watch(ctx context.Context, limits Limits) {
	defer close(s.done)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.within(ctx, limits); err != nil && ctx.Err() == nil {
				s.stop(err)
				return
			}
		}
	}
}

// within reports what exceeds the limits. What vanishes while it is looked at doesn't count.
func (s *scratch) within(ctx context.Context, limits Limits) error {
	var bytes, files int64
	return filepath.WalkDir(s.dir, func(_ string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || e.IsDir() {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		files++
		if info.Mode().IsRegular() {
			bytes += info.Size()
		}
		if bytes > limits.Bytes {
			return fmt.Errorf("the restore grew beyond the drill's limit of %d bytes", limits.Bytes)
		}
		if files > limits.Files {
			return fmt.Errorf("the restore grew beyond the drill's limit of %d files", limits.Files)
		}
		return nil
	})
}

func (s *scratch) restored() string { return filepath.Join(s.dir, "restored") }
func (s *scratch) home() string     { return filepath.Join(s.dir, "home") }

// remove ends the watch and takes the folder away, folders without rights included.
func (s *scratch) remove() error {
	s.stop(errors.New("the drill is over"))
	<-s.done
	if err := os.RemoveAll(s.dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(s.dir, func(p string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("removing the scratch folder: %w", err)
	}
	return nil
}
