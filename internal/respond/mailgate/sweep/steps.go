package sweep

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Bounds of what is remembered of messages that were taken in.
const (
	maxSteps  = 20_000 // lines, beyond which the older are dropped at the next start
	keepSteps = 10_000
)

// step is a line: what was done with a message, known by the hash of its bytes.
type step struct {
	Key  string    `json:"key"`
	Step string    `json:"step"` // tried, done, thanking
	By   string    `json:"by,omitempty"`
	Time time.Time `json:"time"`
}

// steps remembers what was done with messages, over restarts.
type steps struct {
	mu   sync.Mutex
	f    *os.File
	seen map[[2]string]int
	list []step // of the last day
}

func openSteps(path string, now time.Time) (*steps, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	list, whole, err := readSteps(path)
	if err != nil {
		return nil, err
	}
	s := &steps{seen: map[[2]string]int{}}
	if len(list) > maxSteps {
		list = list[len(list)-keepSteps:]
		if whole, err = rewrite(path, list); err != nil {
			return nil, err
		}
	}
	for _, l := range list {
		s.add(l, now)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening what was done with mail that came in: %w", err)
	}
	if err = f.Truncate(whole); err == nil { // half a line is left where a process was stopped while writing
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening what was done with mail that came in: %w", err), f.Close())
	}
	s.f = f
	return s, nil
}

func readSteps(path string) ([]step, int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading what was done with mail that came in: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(io.LimitReader(f, maxRunBytes))
	var out []step
	var whole int64
	for {
		line, err := readWhole(r, 64<<10)
		if errors.Is(err, io.EOF) {
			return out, whole, nil
		}
		var l step
		if err == nil {
			err = json.Unmarshal(line, &l)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("what was done with mail that came in, %s, is damaged in line %d: %w; move the file away, and mail that lies in the inbox is handled again", path, len(out)+1, err)
		}
		out = append(out, l)
		whole += int64(len(line)) + 1
	}
}

func rewrite(path string, list []step) (int64, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "*.partial")
	if err != nil {
		return 0, fmt.Errorf("shortening what was done with mail that came in: %w", err)
	}
	var n int64
	for _, l := range list {
		raw, merr := json.Marshal(l)
		if err = merr; err == nil {
			_, err = f.Write(append(raw, '\n'))
		}
		if err != nil {
			break
		}
		n += int64(len(raw)) + 1
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return 0, fmt.Errorf("shortening what was done with mail that came in: %w", err)
	}
	return n, nil
}

func (s *steps) add(l step, now time.Time) {
	s.seen[[2]string{l.Key, l.Step}]++
	if now.Sub(l.Time) < 24*time.Hour {
		s.list = append(s.list, l)
	}
}

// has returns how often a step was noted of a message.
func (s *steps) has(key, what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[[2]string{key, what}]
}

// note writes a step down; it is on disk when note returns.
func (s *steps) note(l step) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.Time = l.Time.UTC()
	raw, err := json.Marshal(l)
	if err == nil {
		_, err = s.f.Write(append(raw, '\n'))
	}
	if err == nil {
		err = s.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("noting what was done with mail that came in: %w", err)
	}
	s.add(l, l.Time)
	return nil
}

// count returns how many steps of a kind were noted since a time: of one person, or of all where by is empty.
func (s *steps) count(what, by string, since time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	keep := s.list[:0]
	for _, l := range s.list {
		if since.Sub(l.Time) > 24*time.Hour {
			continue // nobody asks for more than a day
		}
		keep = append(keep, l)
		if l.Step == what && (by == "" || l.By == by) && !l.Time.Before(since) {
			n++
		}
	}
	s.list = keep
	return n
}

func (s *steps) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.f.Close()
}
