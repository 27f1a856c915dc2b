package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// Reference names one message of a run, as the quarantine keeps it in Item.QueueID.
func Reference(run string, seq int) string { return run + "/" + strconv.Itoa(seq) }

func readReference(s string) (run string, seq int, err error) {
	run, number, ok := strings.Cut(s, "/")
	seq, nerr := strconv.Atoi(number)
	if !ok || nerr != nil || seq < 1 || !goodID(run) {
		return "", 0, fmt.Errorf("%q names no swept message", clip(s))
	}
	return run, seq, nil
}

// ItemOf is what the quarantine keeps of a message that a run moved; the verdict is not known here.
func ItemOf(r *Run, m *Move, now time.Time) quarantine.Item {
	_, user, _ := strings.Cut(m.Mailbox, "/")
	return quarantine.Item{Time: now, Place: quarantine.PlaceMailbox, QueueID: Reference(r.ID, m.Seq), Mailbox: m.Mailbox, Recipients: []string{user},
		MessageID: m.MessageID, From: m.From, Subject: m.Subject}
}

// Copies reads the messages that a run moved, as they lie in the quarantine folders now; what lies there no more is left
// out. An error of each ends the reading.
func (s *Sweeper) Copies(ctx context.Context, r *Run, each func(m Move, raw []byte) error) error {
	var problems []error
	for _, a := range s.list {
		var list []Move
		for _, m := range r.Moves {
			if m.Mailbox == a.name() && m.State == Moved {
				list = append(list, m)
			}
		}
		if len(list) == 0 {
			continue
		}
		if err := s.copiesOf(ctx, a, list, each); err != nil {
			problems = append(problems, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(problems...)
}

func (s *Sweeper) copiesOf(ctx context.Context, a account, list []Move, each func(Move, []byte) error) error {
	c, err := open(ctx, a)
	if err != nil {
		return err
	}
	defer c.logout()
	byFolder := map[string][]Move{}
	for _, m := range list {
		byFolder[m.To] = append(byFolder[m.To], m)
	}
	for _, folder := range sortedKeysOf(byFolder) {
		err := c.copies(byFolder[folder], folder, each)
		if err != nil {
			return fmt.Errorf("mailbox %s: reading what was swept: %w", a.name(), err)
		}
	}
	return nil
}

func sortedKeysOf(m map[string][]Move) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (s *session) copies(list []Move, folder string, each func(Move, []byte) error) error {
	there, err := s.exists(folder)
	if err != nil || !there {
		return err
	}
	d, err := s.choose(folder, true)
	if err != nil {
		return err
	}
	at, err := (&transfer{s: s}).quarantined(list, d.UIDValidity)
	if err != nil {
		return err
	}
	bySeq := map[imap.UID]Move{}
	var letters []*letter
	for _, m := range list {
		if l := at[m.Seq]; l != nil {
			bySeq[l.uid] = m
			letters = append(letters, l)
		}
	}
	for _, b := range batches(letters, takeBytes, 20) {
		var sum, most int64
		for _, l := range b {
			n := max(1, min(l.size, decode.MaxMail))
			sum, most = sum+n, max(most, n)
		}
		if err := s.fetch(uidsOf(b), whole, most, sum, func(l *letter) error { return each(bySeq[l.uid], l.part) }); err != nil {
			return err
		}
	}
	return nil
}

// UndoMove puts one message of a run back, as Undo does with all of them. That it was put back before is no error.
func (s *Sweeper) UndoMove(ctx context.Context, id string, seq int, by string) error {
	res, err := s.undo(ctx, id, by, seq)
	if err != nil {
		return err
	}
	back, err := s.undone(id)
	if err != nil {
		return err
	}
	if back[seq] {
		return nil
	}
	if len(res.Problems) > 0 {
		return errors.New(clip(strings.Join(res.Problems, "; ")))
	}
	return fmt.Errorf("run %s moved no message %d", id, seq)
}

// ExpungeMove deletes one message of a run from the quarantine folder that it was moved to. That it lies there no more is
// no error, unless it was put back.
func (s *Sweeper) ExpungeMove(ctx context.Context, id string, seq int) error {
	run, err := s.Show(id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(run.Moves, func(m Move) bool { return m.Seq == seq && m.State == Moved })
	if run.Kind != KindSweep || i < 0 {
		return fmt.Errorf("run %s moved no message %d", run.ID, seq)
	}
	m := run.Moves[i]
	lock, err := s.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	back, err := s.undone(run.ID)
	if err != nil {
		return err
	}
	if back[seq] {
		return fmt.Errorf("it was put back into %q; sweep it again first", clip(m.Folder))
	}
	at := slices.IndexFunc(s.list, func(a account) bool { return a.name() == m.Mailbox })
	if at < 0 {
		return fmt.Errorf("mailbox %s is not configured any more", clip(m.Mailbox))
	}
	c, err := open(ctx, s.list[at])
	if err != nil {
		return err
	}
	defer c.logout()
	if err := (&transfer{s: c}).expunge(m); err != nil {
		return fmt.Errorf("mailbox %s: deleting from %q: %w", clip(m.Mailbox), clip(m.To), err)
	}
	return nil
}

// expunge deletes one message of a quarantine folder, and no other.
func (t *transfer) expunge(m Move) error {
	there, err := t.s.exists(m.To)
	if err != nil || !there {
		return err
	}
	d, err := t.s.choose(m.To, false)
	if err != nil {
		return err
	}
	found, err := t.quarantined([]Move{m}, d.UIDValidity)
	if err != nil || found[m.Seq] == nil {
		return err
	}
	uid := found[m.Seq].uid
	if !t.s.c.Caps().Has(imap.CapUIDPlus) {
		marked, err := t.s.search(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagDeleted}})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(marked, func(u imap.UID) bool { return u != uid }) {
			return errors.New("other messages there are marked as deleted and would go with it; expunge the folder in a mail program first")
		}
	}
	return t.remove([]Move{{UID: uint32(uid)}})
}

// Mover lets swept messages go back, or deletes them, where they wait. It implements quarantine.Mover.
type Mover struct {
	// Open returns the sweeper of a tenant.
	Open func(id tenant.ID) (*Sweeper, error)
}

var _ quarantine.Mover = Mover{}

// Release puts a message back into the folder that it was swept from.
func (v Mover) Release(ctx context.Context, it quarantine.Item, _ []byte) error {
	run, seq, err := readReference(it.QueueID)
	if err != nil {
		return err
	}
	s, err := v.Open(it.Tenant)
	if err != nil {
		return err
	}
	return s.UndoMove(ctx, run, seq, it.By)
}

// Delete expunges a message from the quarantine folder.
func (v Mover) Delete(ctx context.Context, it quarantine.Item) error {
	run, seq, err := readReference(it.QueueID)
	if err != nil {
		return err
	}
	s, err := v.Open(it.Tenant)
	if err != nil {
		return err
	}
	return s.ExpungeMove(ctx, run, seq)
}
