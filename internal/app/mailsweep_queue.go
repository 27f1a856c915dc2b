package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// Bounds of the sweeps that wait, and of what is remembered of those that are done.
const (
	maxWishes     = 500             // of one tenant that wait
	maxWishLines  = 20_000          // of the file, beyond which it is written anew at the next start
	keepDone      = 10_000          // done ones that are known again
	maxWishLine   = 4 << 20         // bytes
	maxWishesFile = 1 << 30         // bytes that are read
	sweepHour     = time.Hour       // in which mail.sweep.per_hour counts
	sweepTries    = 3               // of a sweep with problems, and of one that did not find its message yet
	sweepAgain    = 1 * time.Minute // until the second try, and twice that until the third
)

// wish is a sweep that something asks for.
type wish struct {
	Key      string         `json:"key"` // of what asks: the same is done once
	Tenant   tenant.ID      `json:"tenant"`
	Trigger  string         `json:"trigger"` // indicator, campaign, verdict or report
	Why      string         `json:"why"`
	Criteria sweep.Criteria `json:"criteria"`
	Apply    bool           `json:"apply"`
	Asked    time.Time      `json:"asked"`

	tries int
	after time.Time // not before
}

// ending is how a wish ended.
type ending struct {
	Key      string    `json:"key"`
	Tenant   tenant.ID `json:"tenant"`
	Outcome  string    `json:"outcome"`
	Run      string    `json:"run,omitempty"`
	Messages int       `json:"messages"`
	Time     time.Time `json:"time"`
}

type wishLine struct {
	Wish *wish   `json:"wish,omitempty"`
	Done *ending `json:"done,omitempty"`
}

// sweepQueue keeps the sweeps that wait, over restarts, and which were done. What is asked for is on disk before ask
// returns; what has begun and was cut off begins again, which a sweep bears.
type sweepQueue struct {
	mu      sync.Mutex
	f       *os.File
	waiting []*wish
	known   map[string]bool // keys of those that wait, or are done
	done    []ending        // of the last hour
	wake    chan struct{}
}

var errManyWishes = errors.New("too many sweeps of the tenant wait already")

// openSweepQueue opens the queue in a file.
func openSweepQueue(path string, now time.Time) (*sweepQueue, error) {
	q := &sweepQueue{known: map[string]bool{}, wake: make(chan struct{}, 1)}
	var done []ending
	lines, whole, err := eachWishLine(path, func(l *wishLine) {
		switch {
		case l.Wish != nil && !q.known[l.Wish.Key]:
			q.known[l.Wish.Key] = true
			q.waiting = append(q.waiting, l.Wish)
		case l.Done != nil:
			q.known[l.Done.Key] = true
			done = append(done, *l.Done)
			q.waiting = slices.DeleteFunc(q.waiting, func(w *wish) bool { return w.Key == l.Done.Key })
		}
	})
	if err != nil {
		return nil, fmt.Errorf("opening the sweeps that wait: %w", err)
	}
	for _, d := range done {
		if now.Sub(d.Time) < sweepHour {
			q.done = append(q.done, d)
		}
	}
	if lines > maxWishLines {
		if whole, err = q.shorten(path, done[max(0, len(done)-keepDone):]); err != nil {
			return nil, fmt.Errorf("shortening the sweeps that were done: %w", err)
		}
	}
	if q.f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
		if err = q.f.Truncate(whole); err == nil { // half a line of a process that was stopped tells of nothing that was done
			_, err = q.f.Seek(whole, io.SeekStart)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the sweeps that wait: %w", err)
	}
	return q, nil
}

// eachWishLine reads whole lines. One that can't be read is skipped: it is a sweep less, or one that is made once more.
func eachWishLine(path string, each func(*wishLine)) (lines int, whole int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(io.LimitReader(f, maxWishesFile), 64<<10)
	for {
		line, err := wholeLine(r)
		if errors.Is(err, io.EOF) {
			return lines, whole, nil
		}
		if err != nil {
			return lines, whole, err
		}
		lines++
		whole += int64(len(line))
		var l wishLine
		if json.Unmarshal(line, &l) == nil {
			each(&l)
		}
	}
}

// wholeLine reads a line with its end; half a line is the end of the file.
func wholeLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxWishLine {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxWishLine)
		}
		if err == nil {
			return line, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}

func (q *sweepQueue) shorten(path string, done []ending) (int64, error) {
	var b bytes.Buffer
	q.known = map[string]bool{}
	for i := range done {
		q.known[done[i].Key] = true
		if err := json.NewEncoder(&b).Encode(wishLine{Done: &done[i]}); err != nil {
			return 0, err
		}
	}
	for _, w := range q.waiting {
		q.known[w.Key] = true
		if err := json.NewEncoder(&b).Encode(wishLine{Wish: w}); err != nil {
			return 0, err
		}
	}
	return int64(b.Len()), writeWhole(path, b.Bytes())
}

// close closes the file.
func (q *sweepQueue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.f.Close()
}

func (q *sweepQueue) write(l wishLine) error {
	raw, err := json.Marshal(l)
	if err == nil && len(raw) >= maxWishLine {
		err = fmt.Errorf("it has %d bytes", len(raw))
	}
	if err == nil {
		_, err = q.f.Write(append(raw, '\n'))
	}
	if err == nil {
		err = q.f.Sync()
	}
	return err
}

// ask puts a sweep into the queue and reports whether it is new.
func (q *sweepQueue) ask(w wish) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.known[w.Key] {
		return false, nil
	}
	n := 0
	for _, o := range q.waiting {
		if o.Tenant == w.Tenant {
			n++
		}
	}
	if n >= maxWishes {
		return false, fmt.Errorf("asking for a sweep of %s: %w", w.Tenant, errManyWishes)
	}
	if err := q.write(wishLine{Wish: &w}); err != nil {
		return false, fmt.Errorf("asking for a sweep of %s: %w", w.Tenant, err)
	}
	q.known[w.Key] = true
	q.waiting = append(q.waiting, &w)
	q.rouse()
	return true, nil
}

func (q *sweepQueue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next returns the oldest sweep that is due, and whose tenant has not had its number of the hour; nil: none is.
func (q *sweepQueue) next(now time.Time, perHour int) *wish {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.done = slices.DeleteFunc(q.done, func(d ending) bool { return now.Sub(d.Time) >= sweepHour })
	count := map[tenant.ID]int{}
	for _, d := range q.done {
		count[d.Tenant]++
	}
	for _, w := range q.waiting {
		if !now.Before(w.after) && count[w.Tenant] < perHour {
			return w
		}
	}
	return nil
}

// later puts a sweep off, and reports whether there is another try.
func (q *sweepQueue) later(w *wish, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.tries++; w.tries >= sweepTries {
		return false
	}
	w.after = now.Add(sweepAgain * time.Duration(w.tries))
	return true
}

// end notes how a sweep ended.
func (q *sweepQueue) end(w *wish, outcome, run string, messages int, now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := ending{w.Key, w.Tenant, outcome, run, messages, now.UTC()}
	q.waiting = slices.DeleteFunc(q.waiting, func(o *wish) bool { return o == w })
	q.done = append(q.done, d)
	if err := q.write(wishLine{Done: &d}); err != nil {
		return fmt.Errorf("noting the end of a sweep of %s: %w", w.Tenant, err)
	}
	return nil
}

// size is how many sweeps wait.
func (q *sweepQueue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// sweepsDir is where sweeps are remembered in the folder of the mail gateway.
func sweepsDir(mail string) string { return filepath.Join(mail, "sweeps") }
