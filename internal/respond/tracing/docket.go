package tracing

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of what a server keeps of the requests that it got and of the answers to its own.
const (
	MaxWaiting     = 100                 // requests of all peers that wait for a person
	MaxWaitingPeer = 20                  // of one peer
	MaxKept        = 500                 // requests, and answers, that are kept; beyond, the oldest that are done with go
	KeepDecided    = 30 * 24 * time.Hour // how long a request is kept after it was decided or has expired
	KeepAnswers    = 90 * 24 * time.Hour // how long an answer to us is kept
	maxKeptFile    = 4 * MaxDocument     // bytes: a request and an answer, each in base64, and who decided
	requestsName   = "requests"          // folders of the data folder's trace/
	acceptedName   = "accepted"
)

// The states of a request that a server got.
const (
	StateWaiting  = "waiting"  // for a person
	StateAnswered = "answered" // Answer holds what went out
	StateDeclined = "declined" // a person said no
)

// Asked is a request that a server got, and what became of it.
type Asked struct {
	ID        string         `json:"id"` // the first 32 digits of the hash of its payload
	State     string         `json:"state"`
	Tenant    tenant.ID      `json:"tenant"` // whose address or account it asks about
	Trust     tenant.TrustID `json:"trust"`
	Peer      string         `json:"peer"` // fingerprint of who signed
	Received  time.Time      `json:"received"`
	By        string         `json:"by"` // who handed it in
	Decided   time.Time      `json:"decided,omitzero"`
	DecidedBy string         `json:"decided_by,omitempty"`
	Reason    string         `json:"reason,omitempty"` // the words of who decided
	Document  []byte         `json:"document"`
	Answer    []byte         `json:"answer,omitempty"`
}

// RequestID names a request among those that a server got.
func RequestID(s *Signed) string { return s.Hash[:32] }

// over reports whether nobody needs to see the request any more.
func (a *Asked) over(now time.Time) bool {
	if a.State != StateWaiting {
		return now.Sub(a.Decided) > KeepDecided
	}
	return now.Sub(a.Received) > MaxLife+KeepDecided
}

// Wait keeps a request until a person decides. One that waits already is returned as it is. It refuses what a person
// said no to before, and more than MaxWaiting or MaxWaitingPeer that have not expired.
func (l *Ledger) Wait(a Asked, now time.Time) (Asked, error) {
	list, err := Requests(l.dir)
	if err != nil && list == nil {
		return a, err
	}
	waiting, ofPeer := 0, 0
	for i := range list {
		b := &list[i]
		switch {
		case b.ID == a.ID && b.State == StateDeclined:
			return *b, refuse(CodeDeclined, "%s said no to it at %s: %s", b.DecidedBy, b.Decided.UTC().Format(time.RFC3339), b.Reason)
		case b.ID == a.ID:
			return *b, nil
		case b.State == StateWaiting && !b.expired(now):
			waiting++
			if b.Peer == a.Peer {
				ofPeer++
			}
		}
	}
	if waiting >= MaxWaiting || ofPeer >= MaxWaitingPeer {
		return a, refuse(CodeRateLimited, "%d requests wait for a person, %d of them that peer's; at most %d and %d may", waiting, ofPeer, MaxWaiting, MaxWaitingPeer)
	}
	a.State = StateWaiting
	return a, l.Keep(a, now)
}

func (a *Asked) expired(now time.Time) bool {
	s, err := Read(a.Document)
	return err != nil || s.Request == nil || !now.Before(s.Request.Expires)
}

// Keep writes what became of a request, and drops the oldest that are done with. It is on disk when Keep returns.
func (l *Ledger) Keep(a Asked, now time.Time) error {
	a.By, a.DecidedBy, a.Reason = line(a.By), line(a.DecidedBy), line(a.Reason)
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("keeping a trace request: %w", err)
	}
	dir := filepath.Join(l.dir, requestsName)
	if err := writeWhole(dir, a.ID, data); err != nil {
		return fmt.Errorf("keeping a trace request: %w", err)
	}
	list, err := Requests(l.dir)
	if err != nil && list == nil {
		return err
	}
	left := len(list)
	slices.SortStableFunc(list, func(a, b Asked) int { return a.Received.Compare(b.Received) })
	for i := range list {
		b := &list[i]
		if b.ID == a.ID || !b.over(now) && (left <= MaxKept || b.State == StateWaiting && !b.expired(now)) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, b.ID+".json")); err != nil {
			return fmt.Errorf("dropping an old trace request: %w", err)
		}
		left--
	}
	return nil
}

// Requests returns the requests that are kept in the folder of a ledger: those that wait first, each kind by when it
// came. What can't be read is left out and told by the error; the list is nil only where the folder can't be read.
func Requests(dir string) ([]Asked, error) {
	out := []Asked{}
	files, err := keptFiles(filepath.Join(dir, requestsName))
	if err != nil {
		return nil, fmt.Errorf("reading the trace requests: %w", err)
	}
	var bad error
	for id, data := range files {
		var a Asked
		if err := json.Unmarshal(data, &a); err != nil || a.ID != id {
			bad = errors.Join(bad, fmt.Errorf("the trace request %s in %s is damaged; move it away", id, dir))
			continue
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Asked) int {
		if w := (a.State == StateWaiting); w != (b.State == StateWaiting) {
			if w {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Received.Compare(b.Received), strings.Compare(a.ID, b.ID))
	})
	return out, bad
}

// KeepAnswer keeps an answer to a request of ours, so that traces go on through it. It is on disk when it returns.
func (l *Ledger) KeepAnswer(s *Signed, now time.Time) error {
	dir := filepath.Join(l.dir, acceptedName)
	if err := writeWhole(dir, RequestID(s), s.raw); err != nil {
		return fmt.Errorf("keeping an answer: %w", err)
	}
	list, err := Answers(l.dir)
	if list == nil {
		return err
	}
	for i, a := range list {
		if len(list)-i <= MaxKept && now.Sub(a.Answer.Issued) <= KeepAnswers || a.Hash == s.Hash {
			continue
		}
		if err := os.Remove(filepath.Join(dir, RequestID(a)+".json")); err != nil {
			return fmt.Errorf("dropping an old answer: %w", err)
		}
	}
	return nil
}

// Answers returns the answers that are kept in the folder of a ledger, by when they were given. Whether they answer
// requests of ours is Accept's to say. What can't be read is left out and told by the error; the list is nil only where
// the folder can't be read.
func Answers(dir string) ([]*Signed, error) {
	out := []*Signed{}
	files, err := keptFiles(filepath.Join(dir, acceptedName))
	if err != nil {
		return nil, fmt.Errorf("reading the answers to trace requests: %w", err)
	}
	var bad error
	for id, data := range files {
		s, err := Read(data)
		if err != nil || s.Answer == nil {
			bad = errors.Join(bad, fmt.Errorf("the answer %s in %s is damaged; move it away", id, dir))
			continue
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *Signed) int {
		return cmp.Or(a.Answer.Issued.Compare(b.Answer.Issued), strings.Compare(a.Hash, b.Hash))
	})
	return out, bad
}

// keptFiles reads the files of a folder that are named by hexadecimal digits, by these; others are nobody's business.
// A folder that is not there holds none.
func keptFiles(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if raw, err := hex.DecodeString(id); !ok || err != nil || len(raw) != 16 || len(out) > 4*MaxKept {
			continue
		}
		data, err := readKept(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped meanwhile
		}
		if err != nil {
			data = nil // told as damaged
		}
		out[id] = data
	}
	return out, nil
}

func readKept(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded.ReadAll(f, maxKeptFile)
}

// writeWhole writes a file of a folder whole or not at all.
func writeWhole(dir, id string, data []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(dir, id+".json")
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
