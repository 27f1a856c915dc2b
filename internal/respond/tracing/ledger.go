package tracing

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/platform/signing"
)

// Bounds of the ledger.
const (
	MaxAnswers   = 20 // that one peer gets within RateWindow
	RateWindow   = time.Hour
	MaxNonces    = 10_000   // remembered of all peers; beyond, requests are refused until older ones have expired
	maxAnswered  = 8 << 20  // bytes of the file of nonces
	maxEntry     = 16 << 10 // bytes of one audit line
	answeredName = "answered.json"
	auditName    = "audit.jsonl"
)

// answered is a request that was answered once and will not be again.
type answered struct {
	Peer    string    `json:"peer"`
	Nonce   string    `json:"nonce"`
	Time    time.Time `json:"time"`
	Expires time.Time `json:"expires"`
}

// Entry is one line of the audit file. Each holds the hash of the one before, so that none can be changed or taken out
// without a trace; who can write the file can still cut its end, so copy it elsewhere.
type Entry struct {
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	What    string    `json:"what"` // asked, waiting, answered, refused, accepted
	Code    Code      `json:"code,omitempty"`
	Peer    string    `json:"peer,omitempty"`
	Request string    `json:"request,omitempty"` // hash of the request's payload
	Subject string    `json:"subject,omitempty"`
	By      string    `json:"by,omitempty"` // who approved
	Reason  string    `json:"reason,omitempty"`
	Prev    string    `json:"prev"` // hash of the line before; empty for the first
	Hash    string    `json:"hash,omitempty"`
}

// Ledger remembers what was answered and what waits, and keeps the audit file. It is held by one at a time, for as short
// as it can be: nobody holds it while telemetry is looked at.
type Ledger struct {
	dir      string
	lock     io.Closer
	answered []answered
	last     Entry
}

// OpenLedger opens the ledger in a folder, which is made where it is missing; it waits for whoever holds it to let go,
// until the context ends.
func OpenLedger(ctx context.Context, dir string) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of trace requests: %w", err)
	}
	lock, err := lockFile(ctx, filepath.Join(dir, "ledger.lock"))
	if err != nil {
		return nil, fmt.Errorf("locking the folder of trace requests: %w", err)
	}
	l := &Ledger{dir: dir, lock: lock}
	if err := errors.Join(l.readAnswered(), l.readLast()); err != nil {
		lock.Close()
		return nil, err
	}
	return l, nil
}

// Close lets go of the ledger.
func (l *Ledger) Close() error { return l.lock.Close() }

func (l *Ledger) readAnswered() error {
	f, err := os.Open(filepath.Join(l.dir, answeredName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading which requests were answered: %w", err)
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, maxAnswered)
	if err == nil {
		err = json.Unmarshal(data, &l.answered)
	}
	if err != nil {
		return fmt.Errorf("reading which requests were answered: %s is damaged (%w); without it replays can't be told, so put it right from a copy, or move it away and change the key", f.Name(), err)
	}
	return nil
}

// readLast finds the last whole line of the audit file. Half a line, of a process that was stopped, is left and told by
// VerifyAudit.
func (l *Ledger) readLast() error {
	f, err := os.Open(filepath.Join(l.dir, auditName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the audit file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading the audit file: %w", err)
	}
	from := max(0, st.Size()-4*maxEntry)
	data, err := bounded.ReadAll(io.NewSectionReader(f, from, st.Size()-from), 4*maxEntry)
	if err != nil {
		return fmt.Errorf("reading the audit file: %w", err)
	}
	for line := range bytes.Lines(data) {
		var e Entry
		if json.Unmarshal(line, &e) == nil && e.Hash != "" && e.Seq > l.last.Seq {
			l.last = e
		}
	}
	if l.last.Seq == 0 && st.Size() > 0 {
		return fmt.Errorf("the audit file %s has no whole line at its end; move it away and keep it", f.Name())
	}
	return nil
}

// Admit reports whether a request may be answered: it was not before, and its peer has not had too many answers.
func (l *Ledger) Admit(s *Signed, now time.Time) error {
	recent := 0
	for _, a := range l.answered {
		if a.Peer == s.Signer && a.Nonce == s.Request.Nonce {
			return refuse(CodeReplayed, "it was answered at %s already", a.Time.UTC().Format(time.RFC3339))
		}
		if a.Peer == s.Signer && now.Sub(a.Time) < RateWindow {
			recent++
		}
	}
	if recent >= MaxAnswers {
		return refuse(CodeRateLimited, "that peer got %d answers within %s, which is the limit", recent, RateWindow)
	}
	if l.live(now) >= MaxNonces {
		return refuse(CodeRateLimited, "%d answered requests have not expired yet, which is the limit", MaxNonces)
	}
	return nil
}

// live drops what can't be replayed any more and counts for no rate, and returns how many are left.
func (l *Ledger) live(now time.Time) int {
	kept := l.answered[:0]
	for _, a := range l.answered {
		if now.Before(a.Expires) || now.Sub(a.Time) < RateWindow {
			kept = append(kept, a)
		}
	}
	l.answered = kept
	return len(kept)
}

// Answered remembers that a request was answered. It is on disk when it returns, and only then may the answer leave.
func (l *Ledger) Answered(s *Signed, now time.Time) error {
	l.answered = append(l.answered, answered{s.Signer, s.Request.Nonce, now.UTC(), s.Request.Expires.UTC()})
	data, err := json.Marshal(l.answered)
	if err != nil {
		return fmt.Errorf("remembering the request: %w", err)
	}
	name := filepath.Join(l.dir, answeredName)
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("remembering the request: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("remembering the request: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("remembering the request: %w", err)
	}
	return nil
}

// Note appends a line to the audit file; it is on disk when Note returns.
func (l *Ledger) Note(e Entry) error {
	e.Seq, e.Prev, e.Hash, e.Time = l.last.Seq+1, l.last.Hash, "", e.Time.UTC()
	e.Subject, e.By, e.Reason = line(e.Subject), line(e.By), line(e.Reason)
	e.Hash = e.sum()
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing the audit file: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(l.dir, auditName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("writing the audit file: %w", err)
	}
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		var b [1]byte
		if _, err := f.ReadAt(b[:], st.Size()-1); err == nil && b[0] != '\n' {
			data = append([]byte{'\n'}, data...) // half a line stands there
		}
	}
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the audit file: %w", err)
	}
	l.last = e
	return nil
}

func line(s string) string {
	if len(s) > 1000 {
		s = s[:1000]
	}
	return string(bytes.ToValidUTF8([]byte(s), []byte("?")))
}

func (e Entry) sum() string {
	e.Hash = ""
	data, _ := json.Marshal(e) // plain data always encodes
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// VerifyAudit reads an audit file and returns how many lines it has; the error names the first that does not follow
// from the one before.
func VerifyAudit(r io.Reader) (lines int64, err error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, maxEntry), maxEntry)
	prev := ""
	for in.Scan() {
		lines++
		var e Entry
		if err := signing.Strict(in.Bytes(), &e); err != nil {
			return lines, fmt.Errorf("line %d is no audit entry: %w", lines, err)
		}
		if e.Seq != lines || e.Prev != prev || e.Hash != e.sum() {
			return lines, fmt.Errorf("line %d was changed, or one before it was taken out", lines)
		}
		prev = e.Hash
	}
	if err := in.Err(); err != nil {
		return lines, fmt.Errorf("reading the audit file after line %d: %w", lines, err)
	}
	return lines, nil
}
