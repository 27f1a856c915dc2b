package bus

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// roomEvery is how long an answer about free space holds.
const roomEvery = 250 * time.Millisecond

// room says whether the disk has room for another message. Asking the file system costs; answers are kept a while.
type room struct {
	dir     string
	minFree int64 // 0: the larger of 1 GiB and 5 %; below 0: any
	most    int64 // bytes the bus may take; 0: any

	mu    sync.Mutex
	asked time.Time
	free  int64
	total int64
	taken int64
}

// look refreshes the answers where they are old.
func (r *room) look() (err error) {
	if !r.asked.IsZero() && time.Since(r.asked) < roomEvery {
		return nil
	}
	if r.free, r.total, err = space(r.dir); err != nil {
		return err
	}
	r.taken = taken(r.dir)
	r.asked = time.Now()
	return nil
}

// forget makes the next question ask the file system.
func (r *room) forget() {
	r.mu.Lock()
	r.asked = time.Time{}
	r.mu.Unlock()
}

// reserve counts n bytes about to be written, or returns ErrFull.
func (r *room) reserve(n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fits(n); err != nil {
		return err
	}
	r.free -= n
	r.taken += n
	return nil
}

// fits returns ErrFull where n bytes more would be too many. r.mu must be held.
func (r *room) fits(n int64) error {
	if err := r.look(); err != nil {
		return err
	}
	least := r.minFree
	if least == 0 {
		least = max(1<<30, r.total/20)
	}
	if least > 0 && r.free-n < least || r.most > 0 && r.taken+n > r.most {
		return ErrFull
	}
	return nil
}

func (r *room) bytes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.look() // the last answer serves as well
	return r.taken
}

// taken sums the sizes of all files below a directory.
func taken(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // it went away meanwhile
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// isFull says whether an error means that the disk is full. The server passes some errors on as text.
func isFull(err error) bool {
	if err == nil {
		return false
	}
	return errors.Is(err, ErrFull) || errors.Is(err, errDiskFull) || errors.Is(err, errQuota) || strings.Contains(err.Error(), "no space left")
}
