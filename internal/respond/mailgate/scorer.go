package mailgate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Detector is what scores mail: detect/phish. It is not safe for concurrent use.
type Detector interface {
	// Judge reads what was learned and changes nothing.
	Judge(e *ocsf.Event) ocsf.MailVerdict
	Learn(e *ocsf.Event, v ocsf.MailVerdict)
	// Advance forgets what is too old.
	Advance(now time.Time, emit detect.Emit)
	Snapshot() ([]byte, error)
	Restore(b []byte) error
}

// Forgiver is a Detector that can take back what wrong verdicts left behind.
type Forgiver interface {
	// Forgive stops being wary, for the tenant of a mail, of the places it leads to and of its sender's.
	Forgive(e *ocsf.Event)
}

// Scorer is a detector that many ask at once, with a file that keeps what it has learned.
type Scorer struct {
	lock   chan struct{} // held while the detector is used
	make   func(m *tenant.Model) (Detector, error)
	d      Detector
	file   string
	learnt int64 // since the start
	kept   int64 // of these, in the file
}

// stateHead begins the file of a scorer's state; a checksum and the state follow.
const stateHead = "breakwater mail habits 1\n"

// maxState bounds the file of a scorer's state.
const maxState = 1 << 30

// NewScorer makes a scorer for what is declared, and restores what an earlier run kept in the file. A file that cannot be
// read is set aside, and damaged is told; then the scorer begins with nothing learned. An empty name keeps nothing.
func NewScorer(m *tenant.Model, file string, create func(m *tenant.Model) (Detector, error), damaged func(what string)) (*Scorer, error) {
	d, err := create(m)
	if err != nil {
		return nil, fmt.Errorf("making the scorer of mail: %w", err)
	}
	s := &Scorer{lock: make(chan struct{}, 1), make: create, d: d, file: file}
	state, err := readState(file)
	if err == nil && state != nil {
		err = d.Restore(state)
	}
	if err != nil {
		aside := fmt.Sprintf("%s.damaged-%s", file, time.Now().UTC().Format("20060102T150405Z"))
		if renamed := os.Rename(file, aside); renamed != nil {
			return nil, fmt.Errorf("setting aside the damaged habits of mail senders %s: %w", file, renamed)
		}
		damaged(fmt.Sprintf("the habits of mail senders could not be read and begin anew; the file is kept as %s: %v", aside, err))
		if s.d, err = create(m); err != nil {
			return nil, fmt.Errorf("making the scorer of mail: %w", err)
		}
	}
	return s, nil
}

func readState(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(data, []byte(stateHead))
	if !ok || len(rest) < sha256.Size || len(data) > maxState {
		return nil, errors.New("it does not begin as such a file does, or is too long")
	}
	if sum := sha256.Sum256(rest[sha256.Size:]); !bytes.Equal(sum[:], rest[:sha256.Size]) {
		return nil, errors.New("its checksum is wrong")
	}
	return rest[sha256.Size:], nil
}

func (s *Scorer) take(ctx context.Context) error {
	select {
	case s.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the scorer: %w", ctx.Err())
	}
}

func (s *Scorer) give() { <-s.lock }

// Judge scores a mail event; it waits for others only as long as the context lasts.
func (s *Scorer) Judge(ctx context.Context, e *ocsf.Event) (ocsf.MailVerdict, error) {
	if err := s.take(ctx); err != nil {
		return ocsf.MailVerdict{}, err
	}
	defer s.give()
	return s.d.Judge(e), nil
}

// Learn takes a judged mail event into what is known of its sender.
func (s *Scorer) Learn(ctx context.Context, e *ocsf.Event, v ocsf.MailVerdict) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	s.d.Learn(e, v)
	s.learnt++
	return nil
}

// Forgive takes a mail that a person called harmless: it is learned as clean, and what an earlier verdict on it made the
// detector wary of is forgotten first, where the detector can.
func (s *Scorer) Forgive(ctx context.Context, e *ocsf.Event, v ocsf.MailVerdict) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	if f, ok := s.d.(Forgiver); ok {
		f.Forgive(e)
	}
	s.d.Learn(e, v)
	s.learnt++
	return nil
}

// Declare goes on with another model; what was learned is kept.
func (s *Scorer) Declare(m *tenant.Model) error {
	s.lock <- struct{}{}
	defer s.give()
	next, err := s.make(m)
	if err != nil {
		return fmt.Errorf("making the scorer of mail: %w", err)
	}
	state, err := s.d.Snapshot()
	if err == nil {
		err = next.Restore(state)
	}
	if err != nil {
		return fmt.Errorf("carrying over what was learned of mail senders: %w", err)
	}
	s.d = next
	return nil
}

// Save writes what was learned since the last time, and lets the detector forget what is too old. The file is whole at
// every moment.
func (s *Scorer) Save(now time.Time) error {
	s.lock <- struct{}{}
	if s.learnt == s.kept || s.file == "" {
		s.give()
		return nil
	}
	s.d.Advance(now, func(*ocsf.Finding) {})
	n := s.learnt
	state, err := s.d.Snapshot()
	s.give()
	if err == nil {
		err = writeState(s.file, state)
	}
	if err != nil {
		return fmt.Errorf("keeping the habits of mail senders in %s: %w", s.file, err)
	}
	s.lock <- struct{}{}
	s.kept = n
	s.give()
	return nil
}

func writeState(file string, state []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	sum := sha256.Sum256(state)
	for _, b := range [][]byte{[]byte(stateHead), sum[:], state} {
		if _, err := f.Write(b); err != nil {
			f.Close()
			return err
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
