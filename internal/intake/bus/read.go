package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Read gives the messages after a place in order, each read when the one before was taken, and waits for more until
// the context ends, or returns nil at the end of what there is where follow is false. A message is the receiver's
// to keep. What is damaged is reported and passed over.
func (j *JetStream) Read(ctx context.Context, after uint64, follow bool, each func(*Message) error) error {
	if err := j.enter(); err != nil {
		return err
	}
	defer j.calls.Done()
	w := walker{dir: blockDir(j.dir), report: j.report}
	defer w.close()
	for next := after + 1; ; {
		j.mu.Lock()
		next = max(next, j.first)
		last, grown, lives := j.last, j.grown, j.lives
		j.mu.Unlock()
		if next > last {
			if !follow {
				return nil
			}
			select {
			case <-grown:
				continue
			case <-ctx.Done():
				return ctx.Err()
			case <-j.closed:
				return ErrClosed
			}
		}
		if lives != w.life { // files may have been replaced
			w.close()
			w.life = lives
		}
		e, err := w.next(next, last)
		if err != nil {
			return err
		}
		if e.payload == nil {
			next = last + 1
			continue
		}
		next = e.place + 1
		b, err := j.sealer.open(e.payload)
		if err != nil {
			j.report(fmt.Sprintf("bus: the message at place %d is lost: %v", e.place, err))
			continue
		}
		if err := each(&Message{Seq: e.place, At: time.Unix(0, e.time).UTC(), Batch: b}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-j.closed:
			return ErrClosed
		default:
		}
	}
}

// chunk is how much is read ahead; a longer record takes its own length.
const chunk = 256 << 10

// walker goes through the blocks from record to record. It keeps one file open and one record in memory.
type walker struct {
	dir    string
	report func(string)
	life   int

	file  *os.File // nil: the next call looks for its block
	block blockFile
	frame frame
	at    int64  // where the next record begins
	buf   []byte // what was read from there
	off   int    // where in buf the next record begins
}

func (w *walker) close() {
	if w.file != nil {
		_ = w.file.Close() // nothing was written
		w.file = nil
	}
	w.buf, w.off = w.buf[:0], 0
}

// next gives the first message with a place in [from, last]; all of them are on disk. Without a payload: there is
// none. The payload is valid until the next call.
func (w *walker) next(from, last uint64) (entry, error) {
	fresh := w.file == nil
	if fresh {
		if err := w.seek(from); err != nil || w.file == nil {
			return entry{}, err
		}
	}
	for {
		e, err := w.record(from)
		switch {
		case errors.Is(err, io.EOF):
			more, err := w.forward()
			if err != nil {
				return entry{}, err
			}
			if more {
				continue
			}
			if fresh {
				return entry{}, nil
			}
			// The file may have been written anew under the same name.
			w.close()
			return w.next(from, last)
		case err != nil:
			return entry{}, err
		case !e.marker && e.place > last:
			return entry{}, nil
		}
		w.at += int64(e.size)
		w.off += e.size
		if !e.marker && e.place >= from {
			return e, nil
		}
	}
}

// record reads the record at w.at; io.EOF at the block's end. Damaged bytes are passed over.
func (w *walker) record(from uint64) (entry, error) {
	if e, err := w.frame.parse(w.buf[w.off:]); err == nil {
		return e, nil
	}
	// There is none, or not all of it, or it was not whole when it was read.
	if err := w.fill(chunk); err != nil {
		return entry{}, err
	}
	if len(w.buf) == 0 {
		return entry{}, io.EOF
	}
	e, err := w.frame.parse(w.buf)
	if n, bad := size(w.buf); errors.Is(err, errShort) && bad == nil {
		if err := w.fill(n); err != nil {
			return entry{}, err
		}
		e, err = w.frame.parse(w.buf)
	}
	if err == nil {
		return e, nil
	}
	if err := w.fill(blockMost); err != nil {
		return entry{}, err
	}
	skip := w.frame.find(w.buf, 1, from-1)
	w.report(fmt.Sprintf("bus: %d bytes at %d of block %s are damaged while in use; what they held is lost", skip, w.at, filepath.Base(w.block.path)))
	w.at += int64(skip)
	w.off = skip
	if skip == len(w.buf) {
		return entry{}, io.EOF
	}
	return w.frame.parse(w.buf[w.off:])
}

// fill reads n bytes from w.at, or what there is.
func (w *walker) fill(n int) error {
	if n < blockMost {
		w.buf = grow(w.buf, n)
	} else {
		info, err := w.file.Stat()
		if err != nil {
			return fmt.Errorf("looking at block %s of the bus: %w", w.block.path, err)
		}
		w.buf = grow(w.buf, int(max(0, min(info.Size()-w.at, blockMost))))
	}
	w.off = 0
	read, err := w.file.ReadAt(w.buf, w.at)
	w.buf = w.buf[:read]
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading block %s of the bus: %w", w.block.path, err)
	}
	return nil
}

func grow(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	return make([]byte, n)
}

// seek opens the block in which a place lies, or the first after it; none: w.file stays nil.
func (w *walker) seek(place uint64) error {
	list, err := blocks(w.dir)
	if err != nil {
		return err
	}
	for i := len(list) - 1; i > 0; i-- {
		// A look at the head rules out most blocks; only whose whole first record is good is begun with. One whose
		// front is damaged is reached from the one before.
		if claimed, err := begins(list[i], false); err != nil || claimed > place {
			continue
		}
		if begin, err := begins(list[i], true); err == nil && begin > 0 && begin <= place {
			return w.open(list[i])
		}
	}
	if len(list) == 0 {
		return nil
	}
	return w.open(list[0])
}

// forward opens the block after the current one and says whether there is one.
func (w *walker) forward() (bool, error) {
	list, err := blocks(w.dir)
	if err != nil {
		return false, err
	}
	for _, b := range list {
		if b.index <= w.block.index {
			continue
		}
		if err := w.open(b); err != nil {
			return false, err
		}
		if w.file != nil {
			return true, nil
		}
	}
	return false, nil
}

// open begins a block. One that was trimmed meanwhile leaves w.file nil.
func (w *walker) open(b blockFile) error {
	w.close()
	f, err := newFrame(b.index)
	if err != nil {
		return err
	}
	file, err := os.Open(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening block %s of the bus: %w", b.path, err)
	}
	w.file, w.block, w.frame, w.at = file, b, f, 0
	return nil
}

// begins gives the first place of a block: as its first bytes claim, or as its first message says, checked. 0: it
// does not say.
func begins(b blockFile, checked bool) (uint64, error) {
	w := walker{}
	defer w.close()
	if err := w.open(b); err != nil || w.file == nil {
		return 0, err
	}
	for {
		if err := w.fill(recordHead); err != nil {
			return 0, err
		}
		n, err := size(w.buf)
		if err != nil {
			return 0, nil
		}
		if !checked {
			return binary.LittleEndian.Uint64(w.buf[4:]) &^ (flagErased | flagTombstone), nil
		}
		if err := w.fill(n); err != nil {
			return 0, err
		}
		e, err := w.frame.parse(w.buf)
		if err != nil {
			return 0, nil
		}
		if !e.marker {
			return e.place, nil
		}
		w.at += int64(n)
	}
}
