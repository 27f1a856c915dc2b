package sweep

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/emersion/go-imap/v2"
)

func chance() string {
	b := make([]byte, 3)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of sweeps: %w", err)
	}
	return nil
}

// List returns the tenant's runs without their messages, newest first, at most limit (0: all).
func (s *Sweeper) List(limit int) ([]Run, error) {
	ids, err := runIDs(s.dir)
	if err != nil {
		return nil, err
	}
	slices.Reverse(ids)
	var out []Run
	for _, id := range ids {
		if limit > 0 && len(out) >= limit {
			break
		}
		r, _, err := readRun(filepath.Join(s.dir, id+".jsonl"))
		if errors.Is(err, errUnbegun) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.Kind == kindTake {
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

// Show returns a run with its messages; a name's beginning is enough where it is the only one.
func (s *Sweeper) Show(id string) (Run, error) {
	ids, err := runIDs(s.dir)
	if err != nil {
		return Run{}, err
	}
	found := ""
	for _, have := range ids {
		if have == id {
			found = have
			break
		}
		if len(id) >= 4 && len(have) > len(id) && have[:len(id)] == id {
			if found != "" {
				return Run{}, fmt.Errorf("%q: several runs begin with it: %w", clip(id), ErrNoRun)
			}
			found = have
		}
	}
	if found == "" {
		return Run{}, fmt.Errorf("%q: %w", clip(id), ErrNoRun)
	}
	r, _, err := readRun(filepath.Join(s.dir, found+".jsonl"))
	return r, err
}

// putBack lists what undos have put back, so that a later sweep leaves it.
func (s *Sweeper) putBack() (map[string]bool, error) {
	ids, err := runIDs(s.dir)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, id := range ids {
		r, _, err := readRun(filepath.Join(s.dir, id+".jsonl"))
		if errors.Is(err, errUnbegun) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range r.Moves {
			if r.Kind == KindUndo && r.Moves[i].State == Moved {
				out[r.Moves[i].Mailbox+" "+r.Moves[i].key()] = true
			}
		}
	}
	return out, nil
}

// finishOpen finishes the runs that were cut off, oldest first.
func (s *Sweeper) finishOpen(ctx context.Context, res *Result) error {
	ids, err := cutOff(s.dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		j, err := resume(s.dir, id)
		if errors.Is(err, errUnbegun) {
			err = forget(s.dir, id)
			if err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		before := len(j.open(""))
		var failed []error
		for _, a := range s.list {
			if err := s.finishMailbox(ctx, a, j); err != nil {
				failed = append(failed, err)
			}
		}
		left := len(j.open(""))
		res.Finished += before - left
		if left > 0 && len(failed) == 0 {
			failed = append(failed, fmt.Errorf("run %s: %d messages are of mailboxes that are not configured any more", id, left))
		}
		if err := j.finish(s.opt.Now()); err != nil {
			failed = append(failed, err)
		}
		for _, err := range failed {
			res.Problems = append(res.Problems, fmt.Sprintf("finishing run %s: %v", id, err))
		}
		if ctx.Err() != nil {
			return fmt.Errorf("finishing run %s: %w", id, ctx.Err())
		}
	}
	return nil
}

// route is the way of a group of moves that are settled together.
type route struct {
	folder, to     string
	valid, toValid uint32
}

func (s *Sweeper) finishMailbox(ctx context.Context, a account, j *journal) error {
	left := j.open(a.name())
	if len(left) == 0 {
		return nil
	}
	c, err := open(ctx, a)
	if err != nil {
		return err
	}
	defer c.logout()
	t := &transfer{s: c, j: j, plain: s.opt.PlainExpunge}
	groups := map[route][]Move{}
	var order []route
	for _, m := range left {
		r := route{m.Folder, m.To, m.Valid, m.ToValid}
		if groups[r] == nil {
			order = append(order, r)
		}
		groups[r] = append(groups[r], m)
	}
	for _, r := range order {
		if err := t.settle(groups[r], ""); err != nil {
			return fmt.Errorf("mailbox %s: %w", a.name(), err)
		}
	}
	return nil
}

// Undo puts the messages of a run back into the folders that they came from, with the flags that they had. Those that are
// not in the quarantine folder any more stay where they are, and are told as problems. An undo that was cut off is
// finished by calling it again.
func (s *Sweeper) Undo(ctx context.Context, id, by string) (*Result, error) {
	return s.undo(ctx, id, by, 0)
}

// undo puts back the message of a number; 0: all.
func (s *Sweeper) undo(ctx context.Context, id, by string, only int) (*Result, error) {
	run, err := s.Show(id)
	if err != nil {
		return nil, err
	}
	if run.Kind != KindSweep {
		return nil, fmt.Errorf("run %s moved nothing away; undo the sweep itself", run.ID)
	}
	lock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(ctx, Limits{}.withDefaults().Time)
	defer cancel()
	res := &Result{Tenant: s.opt.Tenant, Applied: true, Boxes: len(s.list)}
	if err := s.finishOpen(ctx, res); err != nil {
		return res, err
	}
	if run, err = s.Show(run.ID); err != nil { // it may have been finished just now
		return res, err
	}
	done, err := s.undone(run.ID)
	if err != nil {
		return res, err
	}
	j, err := create(s.dir, Run{ID: s.name(), Tenant: s.opt.Tenant, Kind: KindUndo, Of: run.ID, By: by, Why: "puts back run " + run.ID, Began: s.opt.Now().UTC()})
	if err != nil {
		return res, err
	}
	s.each(ctx, 4, res, func(ctx context.Context, a account) error {
		var list []Move
		for _, m := range run.Moves {
			if m.Mailbox == a.name() && m.State == Moved && !done[m.Seq] && (only == 0 || m.Seq == only) {
				list = append(list, m)
			}
		}
		return s.undoMailbox(ctx, a, j, list)
	})
	res.Run = j.run.ID
	err = j.finish(s.opt.Now())
	res.Messages = j.snapshot().Moves
	if len(res.Messages) == 0 && err == nil {
		res.Run = ""
		err = forget(s.dir, j.run.ID)
	}
	slices.Sort(res.Problems)
	return res, err
}

// undone lists the moves of a run that earlier undos have put back. An undo's move bears the number of the sweep's.
func (s *Sweeper) undone(of string) (map[int]bool, error) {
	ids, err := runIDs(s.dir)
	if err != nil {
		return nil, err
	}
	out := map[int]bool{}
	for _, id := range ids {
		r, _, err := readRun(filepath.Join(s.dir, id+".jsonl"))
		if errors.Is(err, errUnbegun) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, m := range r.Moves {
			if r.Kind == KindUndo && r.Of == of && m.State == Moved {
				out[m.Seq] = true
			}
		}
	}
	return out, nil
}

func (s *Sweeper) undoMailbox(ctx context.Context, a account, j *journal, list []Move) error {
	if len(list) == 0 {
		return nil
	}
	c, err := open(ctx, a)
	if err != nil {
		return err
	}
	defer c.logout()
	t := &transfer{s: c, j: j, plain: s.opt.PlainExpunge}
	if err := t.able(); err != nil {
		return fmt.Errorf("mailbox %s: %w", a.name(), err)
	}
	groups := map[route][]Move{}
	var order []route
	for _, m := range list {
		r := route{folder: m.To, to: m.Folder}
		if groups[r] == nil {
			order = append(order, r)
		}
		groups[r] = append(groups[r], m)
	}
	var problems []error
	for _, r := range order {
		lost, err := t.back(groups[r], r)
		if err != nil {
			problems = append(problems, err)
			break
		}
		if lost > 0 {
			problems = append(problems, fmt.Errorf("%d messages of %q lie in %q no more: somebody moved or deleted them", lost, clip(r.to), clip(r.folder)))
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("mailbox %s: %w", a.name(), errors.Join(problems...))
	}
	return nil
}

// back moves messages from the quarantine to the folder they came from, and returns how many are not there.
func (t *transfer) back(list []Move, r route) (lost int, err error) {
	there, err := t.s.exists(r.folder)
	if err != nil || !there {
		return len(list), err
	}
	if err := t.s.ensure(r.to); err != nil {
		return 0, err
	}
	d, err := t.s.choose(r.folder, false)
	if err != nil {
		return 0, err
	}
	at, err := t.quarantined(list, d.UIDValidity)
	if err != nil {
		return 0, err
	}
	var moves []Move
	for _, m := range list {
		l, ok := at[m.Seq]
		if !ok {
			lost++
			continue
		}
		// Flags as they were before the sweep: whoever looked at it in the quarantine has marked it as read.
		if !slices.Equal(l.flags, m.Flags) {
			flags := make([]imap.Flag, len(m.Flags))
			for i := range m.Flags {
				flags[i] = imap.Flag(m.Flags[i])
			}
			if err := t.s.flag([]imap.UID{l.uid}, imap.StoreFlagsSet, flags...); err != nil {
				return lost, err
			}
		}
		n := m
		n.Folder, n.Valid, n.UID, n.ToUID, n.Problem = r.folder, d.UIDValidity, uint32(l.uid), 0, ""
		moves = append(moves, n)
	}
	slices.SortFunc(moves, func(a, b Move) int { return cmp.Compare(a.UID, b.UID) })
	return lost, t.move(moves, r.to)
}

// quarantined finds messages in the selected quarantine folder: by number where it holds, else by header, size and date.
func (t *transfer) quarantined(list []Move, valid uint32) (map[int]*letter, error) {
	out := map[int]*letter{}
	byUID := map[imap.UID]Move{}
	var uids []imap.UID
	for _, m := range list {
		if m.ToUID > 0 && m.ToValid == valid {
			byUID[imap.UID(m.ToUID)] = m
			uids = append(uids, imap.UID(m.ToUID))
		}
	}
	taken := map[uint32]bool{}
	for chunk := range slices.Chunk(uids, 200) {
		if err := t.s.fetch(chunk, heads, 0, 0, func(l *letter) error {
			m := byUID[l.uid]
			if k := (Move{Head: headOf(l.part), Size: l.size, Date: l.date}); k.key() == m.key() {
				l.part = nil
				out[m.Seq], taken[uint32(l.uid)] = l, true
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	var rest []Move
	for _, m := range list {
		if out[m.Seq] == nil {
			rest = append(rest, m)
		}
	}
	if len(rest) == 0 {
		return out, nil
	}
	found, err := t.find(rest, 1, func(u uint32) bool { return !taken[u] })
	if err != nil {
		return nil, err
	}
	seq := map[imap.UID]int{}
	uids = uids[:0]
	for _, m := range rest {
		if f := found[m.key()]; len(f) > 0 {
			seq[imap.UID(f[0])] = m.Seq
			uids = append(uids, imap.UID(f[0]))
			found[m.key()] = f[1:]
		}
	}
	for chunk := range slices.Chunk(uids, 500) {
		if err := t.s.fetch(chunk, facts, 0, 0, func(l *letter) error { out[seq[l.uid]] = l; return nil }); err != nil {
			return nil, err
		}
	}
	return out, nil
}
