package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Options of a JetStream. The zero value serves.
type Options struct {
	// MinFree is how many bytes of the file system must stay free; 0: the larger of 1 GiB and 5 %, below 0: none.
	MinFree int64
	// MaxBytes is how much the bus may take on disk; 0: what MinFree leaves.
	MaxBytes int64
	// Floor is the last place that the caller is done with. New messages take places after it, even where the end
	// of the store was lost, so that a remembered place never hides a message.
	Floor uint64
	// Damage is told of every damage found, in words, once each. It may be called by several goroutines.
	Damage func(string)
	// Log takes what the embedded server says; nil: slog.Default.
	Log *slog.Logger
}

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("the bus is closed")

// JetStream is the bus on a NATS JetStream server in this process, without any network listener.
//
// The server writes; reading goes to its files directly, with every record's checksum verified, so that readers
// cost it nothing, go on while the disk is full, and lose one record where the server would lose a block.
// It takes a directory for itself: two of them on one directory would destroy it.
type JetStream struct {
	dir    string
	damage func(string)
	log    *slog.Logger
	sealer *sealer
	room   *room

	calls  sync.WaitGroup // in flight
	closed chan struct{}

	start   sync.Mutex // held while an engine is started
	tried   time.Time  // when one was started last
	failure error      // why there is none

	mu     sync.Mutex // for what follows
	ended  bool
	engine *engine       // nil: none runs
	lives  int           // engines so far
	first  uint64        // place of the first message that is not trimmed
	last   uint64        // the last place on disk
	grown  chan struct{} // closed when last grows
	told   map[[sha256.Size]byte]bool
	names  sync.Mutex // for newest
	newest uint32     // the last block whose name is on disk
}

var _ Bus = (*JetStream)(nil)

// Open opens the bus in a directory, which it makes where there is none. Damage there is mended and reported, and
// never a reason to refuse; a full disk isn't either, as what is there can still be read.
func Open(dir string, o Options) (*JetStream, error) {
	if err := os.MkdirAll(blockDir(dir), 0o700); err != nil && !isFull(err) {
		return nil, fmt.Errorf("making the bus's folder: %w", err)
	}
	sealer, err := newSealer()
	if err != nil {
		return nil, err
	}
	j := prepare(dir, o, sealer)
	if err := j.restart(o.Floor); err != nil && !isFull(err) {
		sealer.close()
		return nil, err
	}
	return j, nil
}

// prepare makes a bus that has not looked at its files yet.
func prepare(dir string, o Options, sealer *sealer) *JetStream {
	j := &JetStream{
		dir: dir, damage: o.Damage, log: o.Log, sealer: sealer, room: &room{dir: dir, minFree: o.MinFree, most: o.MaxBytes},
		closed: make(chan struct{}), grown: make(chan struct{}), told: map[[sha256.Size]byte]bool{},
	}
	if j.log == nil {
		j.log = slog.Default()
	}
	return j
}

// mended puts the store in order while no engine runs over it, and lets readers at it.
func (j *JetStream) mended(floor uint64) error {
	have, mending := mend(j.dir, floor, j.report)
	if mending != nil && !isFull(mending) {
		return mending
	}
	j.mu.Lock()
	if j.first == 0 { // the first start
		j.first = have.first
		if have.first == 0 {
			j.first = have.last + 1
		}
	}
	j.lives++ // readers look at the files anew
	j.mu.Unlock()
	j.advance(have.last)
	return mending
}

// restart mends the store and runs a new engine over it. j.start must be held, or nobody else know of j.
func (j *JetStream) restart(floor uint64) error {
	j.tried = time.Now()
	if err := j.mended(floor); err != nil {
		return err
	}
	e, err := start(j.dir, j.log)
	if err != nil {
		return err
	}
	list, err := blocks(blockDir(j.dir))
	// Every folder up to the one we were given: a new one may be as young as the store.
	for d := blockDir(j.dir); err == nil; d = filepath.Dir(d) {
		if err = syncDir(d); d == j.dir {
			break
		}
	}
	if err != nil {
		e.stop()
		return err
	}
	j.names.Lock()
	j.newest = 0
	if len(list) > 0 {
		j.newest = list[len(list)-1].index
	}
	j.names.Unlock()
	j.mu.Lock()
	j.engine = e
	j.mu.Unlock()
	return nil
}

// running gives an engine that works, starting one where need be.
func (j *JetStream) running() (*engine, error) {
	current := func() *engine {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.engine != nil && j.engine.life.Err() == nil {
			return j.engine
		}
		return nil
	}
	if e := current(); e != nil {
		return e, nil
	}
	j.start.Lock()
	defer j.start.Unlock()
	if e := current(); e != nil {
		return e, nil
	}
	if j.failure != nil && time.Since(j.tried) < roomEvery {
		return nil, j.failure
	}
	j.mu.Lock()
	old, floor := j.engine, j.last
	j.engine = nil
	j.mu.Unlock()
	if old != nil {
		j.log.Warn("bus: the embedded queue is started anew", "cause", context.Cause(old.life))
		old.stop()
	}
	if j.failure = j.restart(floor); j.failure != nil {
		return nil, j.failure
	}
	if e := current(); e != nil {
		return e, nil
	}
	return nil, errBroken
}

// enter counts a call in flight; the caller owes calls.Done if it returns nil.
func (j *JetStream) enter() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return ErrClosed
	}
	j.calls.Add(1)
	return nil
}

// Publish returns when the batch is on disk (fsync), with its place. After an error the batch may be kept all the
// same, unless the error is ErrFull from before the write, ErrTooLarge or ErrClosed; sending it again may then give
// it twice.
func (j *JetStream) Publish(ctx context.Context, b *Batch) (uint64, error) {
	if err := j.enter(); err != nil {
		return 0, err
	}
	defer j.calls.Done()
	msg, err := j.sealer.seal(b)
	if err != nil {
		return 0, fmt.Errorf("packing a batch of lane %q: %w", b.Lane, err)
	}
	defer j.sealer.release(msg)
	if err := j.room.reserve(int64(len(msg)) + recordMin + maxSubject); err != nil {
		return 0, err
	}
	e, err := j.running()
	if err != nil {
		return 0, j.publishing(err)
	}
	place, err := e.publish(ctx, subjectOf(b.Lane), msg)
	if err != nil {
		return 0, j.publishing(err)
	}
	if err := j.syncNames(); err != nil {
		return 0, j.publishing(err)
	}
	j.advance(place)
	return place, nil
}

// publishing says what failed; a full disk is ErrFull, whoever noticed.
func (j *JetStream) publishing(err error) error {
	if isFull(err) {
		j.room.forget()
		return fmt.Errorf("publishing: %w: %w", ErrFull, err)
	}
	return fmt.Errorf("publishing a batch: %w", err)
}

// syncNames makes the name of a new block file outlive a power loss: the server syncs what is in it, and not where
// it lies.
func (j *JetStream) syncNames() error {
	j.names.Lock()
	defer j.names.Unlock()
	dir := blockDir(j.dir)
	newest := j.newest
	for {
		if _, err := os.Stat(filepath.Join(dir, strconv.FormatUint(uint64(newest)+1, 10)+blockSuffix)); err != nil {
			break
		}
		newest++
	}
	if newest == j.newest {
		return nil
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	j.newest = newest
	return nil
}

// subjectOf gives a lane's subject: letters, digits, - and _ as they are, anything else as the lane's hash.
func subjectOf(lane string) string {
	const longest = 64
	safe := lane != "" && len(lane) <= longest
	for i := 0; safe && i < len(lane); i++ {
		c := lane[i]
		safe = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	if safe {
		return subjectPrefix + lane
	}
	sum := sha256.Sum256([]byte(lane))
	return subjectPrefix + "~" + hex.EncodeToString(sum[:16])
}

// advance tells readers that everything up to a place is on disk.
func (j *JetStream) advance(last uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if last <= j.last {
		return
	}
	j.last = last
	close(j.grown)
	j.grown = make(chan struct{})
}

// report passes a damage on, once.
func (j *JetStream) report(text string) {
	const most = 10_000 // so many damages are one
	sum := sha256.Sum256([]byte(text))
	j.mu.Lock()
	news := !j.told[sum] && len(j.told) < most
	if news {
		j.told[sum] = true
	}
	j.mu.Unlock()
	if !news {
		return
	}
	j.log.Warn(text)
	if j.damage != nil {
		j.damage(text)
	}
}

// Span returns the first place that is not trimmed and the last one held; first is last+1 where nothing is.
func (j *JetStream) Span() (first, last uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first, j.last
}

// Trim lets go of everything up to and including a place. Room is given back by whole blocks of about 8 MiB; the
// rest of a block is not given to readers any more, but is there again after a restart.
func (j *JetStream) Trim(ctx context.Context, upTo uint64) error {
	if err := j.enter(); err != nil {
		return err
	}
	defer j.calls.Done()
	j.mu.Lock()
	j.first = max(j.first, min(upTo, j.last)+1)
	first := j.first
	j.mu.Unlock()

	list, err := blocks(blockDir(j.dir))
	if err != nil {
		return err
	}
	// A purge up to a block's first place is the removal of the files before it, and reads and writes nothing else.
	keep, from := 0, uint64(0)
	for i := 1; i < len(list); i++ {
		begin, err := begins(list[i], true)
		if err != nil {
			return err
		}
		if begin > first {
			break
		}
		if begin > 0 {
			keep, from = i, begin
		}
	}
	if keep == 0 {
		return nil
	}
	defer j.room.forget()
	e, err := j.running()
	if isFull(err) {
		err = j.drop(list[:keep])
	} else if err == nil {
		err = e.trim(ctx, from)
	}
	if err != nil {
		return fmt.Errorf("trimming the bus up to place %d: %w", upTo, err)
	}
	return nil
}

// drop removes blocks while no engine runs, which on a full disk may be what it takes to start one.
func (j *JetStream) drop(list []blockFile) error {
	j.start.Lock()
	defer j.start.Unlock()
	j.mu.Lock()
	runs := j.engine != nil
	j.mu.Unlock()
	if runs {
		return nil // there is room again; the next trim takes the blocks with it
	}
	err := os.Remove(filepath.Join(blockDir(j.dir), indexName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, b := range list {
		if err := os.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Bytes is what the bus takes on disk, at most 250 ms old.
func (j *JetStream) Bytes() int64 { return j.room.bytes() }

// Close waits for calls in flight, wakes and ends readers, and stops the engine.
func (j *JetStream) Close() error {
	j.mu.Lock()
	if j.ended {
		j.mu.Unlock()
		return nil
	}
	j.ended = true
	close(j.closed)
	j.mu.Unlock()
	j.calls.Wait()
	if j.engine != nil {
		j.engine.stop()
	}
	j.sealer.close()
	return nil
}
