package quarantine

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxEntry is the most bytes of one audit line.
const maxEntry = 16 << 10

// Entry is one line of the audit file. Each holds the hash of the one before, so that none is changed or taken out
// without a trace.
type Entry struct {
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"time"`
	Tenant tenant.ID `json:"tenant"`
	Item   string    `json:"item"`
	Act    string    `json:"act"` // held, release, released, delete, deleted, false-alarm, missed, failed, shown, expired
	By     string    `json:"by"`
	Note   string    `json:"note,omitempty"`
	Prev   string    `json:"prev"`
	Hash   string    `json:"hash"`
}

type audit struct {
	path string
	mu   sync.Mutex
	f    *os.File
	at   int64 // where the last whole line ends
	seq  int64
	prev string
}

func openAudit(path string) (*audit, error) {
	a := &audit{path: path}
	whole, err := a.read(math.MaxInt64, func(Entry) {})
	if err != nil {
		return nil, err
	}
	a.at = whole
	if a.f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("opening the audit file of held mail: %w", err)
	}
	// Half a line is left where a process was stopped while writing; what it told did not happen.
	if err = a.f.Truncate(whole); err == nil {
		_, err = a.f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the audit file of held mail: %w", err), a.f.Close())
	}
	return a, nil
}

func (e Entry) sum() string {
	e.Hash = ""
	raw, _ := json.Marshal(e) // an Entry always encodes
	h := sha256.Sum256(raw)
	return hex.EncodeToString(h[:])
}

// read gives every whole line of the first most bytes to fn and returns where they end.
func (a *audit) read(most int64, fn func(Entry)) (int64, error) {
	f, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the audit file of held mail: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(io.LimitReader(f, most), maxEntry)
	var at int64
	a.seq, a.prev = 0, ""
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return at, nil
		}
		if err != nil {
			return at, fmt.Errorf("reading the audit file of held mail, line %d: %w", a.seq+1, err)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return at, fmt.Errorf("the audit file of held mail, line %d, is damaged: %w; put %s right from a copy, or move it away", a.seq+1, err, a.path)
		}
		if e.Seq != a.seq+1 || e.Prev != a.prev || e.Hash != e.sum() {
			return at, fmt.Errorf("the audit file of held mail, line %d, was changed: it does not follow from the line before; put %s right from a copy, or move it away", a.seq+1, a.path)
		}
		a.seq, a.prev = e.Seq, e.Hash
		at += int64(len(line))
		fn(e)
	}
}

func (a *audit) append(e Entry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(e.Note) > 2000 {
		e.Note = e.Note[:2000]
	}
	e.Time = e.Time.UTC()
	e.Seq, e.Prev = a.seq+1, a.prev
	e.Hash = e.sum()
	raw, err := json.Marshal(e)
	if err == nil {
		_, err = a.f.Write(append(raw, '\n'))
	}
	if err == nil {
		err = a.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the audit file of held mail: %w", err)
	}
	a.seq, a.prev = e.Seq, e.Hash
	a.at += int64(len(raw)) + 1
	return nil
}

func (a *audit) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.f.Close()
}

// Audit returns the tenant's lines of the audit file, oldest first, at most the last n.
func (b *Box) Audit(n int) ([]Entry, error) {
	return b.store.audit.of(n, func(e Entry) bool { return e.Tenant == b.tenant })
}

// of returns the lines that are wanted, oldest first, at most the last n. What is written meanwhile is not waited for,
// nor held up.
func (a *audit) of(n int, wants func(Entry) bool) ([]Entry, error) {
	a.mu.Lock()
	reader, whole := audit{path: a.path}, a.at
	a.mu.Unlock()
	var out []Entry
	_, err := reader.read(whole, func(e Entry) {
		if !wants(e) {
			return
		}
		if out = append(out, e); len(out) > 2*n {
			out = append(out[:0], out[len(out)-n:]...)
		}
	})
	if len(out) > n {
		out = out[len(out)-n:]
	}
	return out, err
}
