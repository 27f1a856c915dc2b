package quarantine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Mover carries an act out where the message waits.
type Mover interface {
	// Release lets the message go on to its recipients. It must be safe to call again after it was cut short.
	Release(ctx context.Context, it Item, raw []byte) error
	// Delete takes the message away; that it is gone already is no error.
	Delete(ctx context.Context, it Item) error
}

// Filter chooses messages; zero fields choose all.
type Filter struct {
	State State
	From  string // part of the address or name, any case
	Text  string // part of subject, sender or recipient, any case
	Since time.Time
	Limit int // 0: 1,000
}

// List returns held messages, newest first.
func (b *Box) List(f Filter) []Item {
	b.store.mu.Lock()
	out := make([]Item, 0, 64)
	for _, it := range b.items {
		if f.State != "" && it.State != f.State || it.Time.Before(f.Since) ||
			f.From != "" && !contains(it.From+" "+it.FromName, f.From) ||
			f.Text != "" && !contains(it.Subject+" "+it.From+" "+it.FromName+" "+strings.Join(it.Recipients, " "), f.Text) {
			continue
		}
		out = append(out, *it)
	}
	b.store.mu.Unlock()
	slices.SortFunc(out, func(x, y Item) int {
		if c := y.Time.Compare(x.Time); c != 0 {
			return c
		}
		return strings.Compare(x.Name, y.Name)
	})
	if f.Limit == 0 {
		f.Limit = 1000
	}
	return out[:min(len(out), f.Limit)]
}

func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// Release lets a message go. It is written down before and after; where it fails the message stays, and it may be tried
// again.
func (b *Box) Release(ctx context.Context, name, by string, now time.Time, m Mover) error {
	raw, err := b.Raw(name)
	if err != nil {
		return fmt.Errorf("releasing: %w", err)
	}
	return b.act(name, by, "release", now, StateReleasing, StateReleased, func(it Item) error { return m.Release(ctx, it, raw) })
}

// Delete takes a message away, its text with it; what is known of it stays until it expires.
func (b *Box) Delete(ctx context.Context, name, by string, now time.Time, m Mover) error {
	return b.act(name, by, "delete", now, StateDeleting, StateDeleted, func(it Item) error { return m.Delete(ctx, it) })
}

func (b *Box) act(name, by, what string, now time.Time, begun, done State, do func(Item) error) error {
	if by == "" {
		return fmt.Errorf("%s %s: who does it is not known", what, name)
	}
	b.store.mu.Lock()
	it, err := b.get(name)
	switch {
	case err != nil:
	case it.State != StateHeld && it.State != begun:
		err = fmt.Errorf("%s is %s: %w", it.Name, it.State, ErrState)
	case b.busy[it.Name]:
		err = fmt.Errorf("%s: somebody is at it at this moment: %w", it.Name, ErrState)
	}
	if err != nil {
		b.store.mu.Unlock()
		return fmt.Errorf("%s: %w", what, err)
	}
	resumed := it.State == begun
	b.busy[it.Name] = true
	defer func(name string) {
		delete(b.busy, name)
		b.store.mu.Unlock()
	}(it.Name)
	err = b.step(it, Entry{Time: now, Act: what, By: by}, func(n *Item) { n.State, n.By, n.Done, n.Problem = begun, by, now.UTC(), "" })
	if err != nil {
		return err
	}
	moved := *it
	moved.Resumed = resumed
	failed := func() error {
		b.store.mu.Unlock()
		defer b.store.mu.Lock()
		return do(moved)
	}()
	if failed != nil {
		err := b.step(it, Entry{Time: now, Act: "failed", By: by, Note: what + ": " + failed.Error()}, func(n *Item) { n.State, n.Problem = StateHeld, failed.Error() })
		return errors.Join(fmt.Errorf("%s %s: %w: %w", what, it.Name, ErrMove, failed), err)
	}
	if err := b.step(it, Entry{Time: now, Act: string(done), By: by}, func(n *Item) { n.State = done }); err != nil {
		return err
	}
	if done == StateDeleted {
		return b.dropBody(it)
	}
	return nil
}

// step writes what is about to be known, the audit line first, and keeps the old where that fails. The lock is held.
func (b *Box) step(it *Item, e Entry, change func(*Item)) error {
	e.Tenant, e.Item = b.tenant, it.Name
	if err := b.store.audit.append(e); err != nil {
		return err
	}
	next := *it
	change(&next)
	if err := b.write(&next); err != nil {
		return err
	}
	*it = next
	return nil
}

// dropBody gives a message's text up, and removes it where no other message shares it. The lock is held.
func (b *Box) dropBody(it *Item) error {
	b.bytes -= it.Size
	if b.texts[it.SHA256]--; b.texts[it.SHA256] > 0 {
		return nil
	}
	delete(b.texts, it.SHA256)
	if err := os.Remove(b.bodyPath(it.SHA256)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the text of %s: %w", it.Name, err)
	}
	return nil
}

// The words of feedback.
const (
	FalseAlarm = "false-alarm"
	Missed     = "missed"
)

// Report notes what a person says of a message: FalseAlarm or Missed.
func (b *Box) Report(name, feedback, by string, now time.Time) error {
	if feedback != FalseAlarm && feedback != Missed {
		return fmt.Errorf("reporting %s: %q is neither %s nor %s", name, feedback, FalseAlarm, Missed)
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	it, err := b.get(name)
	if err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	return b.step(it, Entry{Time: now, Act: feedback, By: by}, func(n *Item) { n.Feedback = feedback })
}

// Shown notes that a person read a message.
func (b *Box) Shown(name, by string, now time.Time) error {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	it, err := b.get(name)
	if err != nil {
		return err
	}
	return b.store.audit.append(Entry{Time: now, Tenant: b.tenant, Item: it.Name, Act: "shown", By: by})
}

// Expire removes what is older than its time: text and what is known. It returns how many. A message in a mail
// server's queue is taken away there too; where that fails it stays, with the reason.
func (b *Box) Expire(ctx context.Context, now time.Time, m Mover) (int, error) {
	b.store.mu.Lock()
	var due []string
	for name, it := range b.items {
		if now.After(it.Expires) {
			due = append(due, name)
		}
	}
	b.store.mu.Unlock()
	slices.Sort(due)
	n := 0
	var failed []error
	for _, name := range due {
		it, err := b.Get(name)
		if err != nil {
			continue
		}
		if it.Place == PlaceMTA && (it.State == StateHeld || it.State == StateDeleting) {
			if err := b.Delete(ctx, name, "retention", now, m); err != nil {
				failed = append(failed, err)
				continue
			}
		}
		if err := b.forget(name, now); err != nil {
			failed = append(failed, err)
			continue
		}
		n++
	}
	return n, errors.Join(failed...)
}

func (b *Box) forget(name string, now time.Time) error {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	it := b.items[name]
	if it == nil {
		return nil
	}
	if err := b.store.audit.append(Entry{Time: now, Tenant: b.tenant, Item: name, Act: "expired", By: "retention"}); err != nil {
		return err
	}
	if it.State != StateDeleted {
		if err := b.dropBody(it); err != nil {
			return err
		}
	}
	if err := os.Remove(b.itemPath(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing what is known of %s: %w", name, err)
	}
	delete(b.items, name)
	return nil
}
