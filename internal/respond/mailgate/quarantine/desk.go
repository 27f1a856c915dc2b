package quarantine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Errors of a Desk beside those of the store.
var (
	// ErrSeveral says that a beginning of a name is that of several messages.
	ErrSeveral = errors.New("several held messages begin with it; write more of the name")
	// ErrShared says that a message waits in the mail server in one piece with that of other tenants.
	ErrShared = errors.New("it waits in the mail server in one piece for recipients of several tenants, so that it cannot go on for one alone; " +
		"set mail.hold.reinject, or let somebody release it who answers for all of them")
)

// DeskOptions are what a desk is made with; what is nil is left out.
type DeskOptions struct {
	// Learn takes what a person said of a message (FalseAlarm or Missed), with its text, for the scorer.
	Learn func(id tenant.ID, it Item, feedback string, raw []byte)
	// Told takes what went wrong beside an act that was done.
	Told func(it Item, what string, err error)
	Now  func() time.Time // nil: time.Now
}

// Desk is what people do with held mail: each within a scope and in a name, whichever door they come by. What lies
// outside the scope is ErrNotFound, as what never was. An act that has begun is brought to its end although its caller
// has gone. It is safe for concurrent use.
type Desk struct {
	store  *Store
	opt    DeskOptions
	mu     sync.Mutex
	movers Movers
	shared sync.Mutex // held during an act on a message of several tenants, so that the last to decide knows it is
}

// NewDesk returns a desk over a store.
func NewDesk(s *Store, m Movers, o DeskOptions) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{store: s, movers: m, opt: o}
}

// Use takes other movers from now on.
func (d *Desk) Use(m Movers) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.movers = m
}

func (d *Desk) using() Movers {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.movers
}

// boxes returns the boxes of a scope, or of one tenant of it.
func (d *Desk) boxes(scope tenant.Scope, only tenant.ID) []*Box {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	var out []*Box
	for id, b := range d.store.boxes {
		if scope.Sees(id) && (only == "" || id == only) {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b *Box) int { return strings.Compare(string(a.tenant), string(b.tenant)) })
	return out
}

// find returns the one message of a scope that a name, or its beginning, belongs to.
func (d *Desk) find(scope tenant.Scope, name string) (*Box, Item, error) {
	var box *Box
	var found Item
	for _, b := range d.boxes(scope, "") {
		it, err := b.Get(name)
		switch {
		case errors.Is(err, ErrSeveral), err == nil && box != nil:
			return nil, Item{}, fmt.Errorf("%q: %w", name, ErrSeveral)
		case err == nil:
			box, found = b, it
		}
	}
	if box == nil {
		return nil, Item{}, fmt.Errorf("%q: %w", name, ErrNotFound)
	}
	return box, found, nil
}

// Listing is a part of a list of held messages.
type Listing struct {
	Items []Item // newest first
	Total int    // how many match, of which these are some
	Next  string // where the next part begins; empty: there is none
}

// List returns what a scope, or one tenant of it, holds. After is what the last part called Next.
func (d *Desk) List(scope tenant.Scope, only tenant.ID, f Filter, after string) (Listing, error) {
	from, err := parsePlace(after)
	if err != nil {
		return Listing{}, err
	}
	limit := cmp.Or(f.Limit, 100)
	f.Limit = MaxItems
	var all []Item
	for _, b := range d.boxes(scope, only) {
		all = append(all, b.List(f)...)
	}
	slices.SortFunc(all, newestFirst)
	l := Listing{Total: len(all)}
	if after != "" {
		i, _ := slices.BinarySearchFunc(all, from, newestFirst)
		for i < len(all) && newestFirst(all[i], from) <= 0 {
			i++
		}
		all = all[i:]
	}
	l.Items = all[:min(limit, len(all))]
	if len(l.Items) < len(all) {
		last := l.Items[len(l.Items)-1]
		l.Next = strconv.FormatInt(last.Time.UnixNano(), 36) + "." + last.Name + "." + folderOf(last.Tenant)
	}
	return l, nil
}

func newestFirst(x, y Item) int {
	return cmp.Or(y.Time.Compare(x.Time), strings.Compare(x.Name, y.Name), strings.Compare(string(x.Tenant), string(y.Tenant)))
}

// parsePlace reads Listing.Next.
func parsePlace(s string) (Item, error) {
	if s == "" {
		return Item{}, nil
	}
	at, rest, _ := strings.Cut(s, ".")
	name, folder, ok := strings.Cut(rest, ".")
	n, err := strconv.ParseInt(at, 36, 64)
	id, known := tenantOf(folder)
	if !ok || err != nil || !known {
		return Item{}, fmt.Errorf("%q is no place in a list of held mail", s)
	}
	return Item{Time: time.Unix(0, n), Name: name, Tenant: id}, nil
}

// Get returns what is known of a message.
func (d *Desk) Get(scope tenant.Scope, name string) (Item, error) {
	_, it, err := d.find(scope, name)
	return it, err
}

// Show returns what is known of a message and, where its text is still kept, the safe view of it. That it was read is
// written down first.
func (d *Desk) Show(scope tenant.Scope, by, name string) (Item, *View, error) {
	b, it, err := d.find(scope, name)
	if err != nil {
		return Item{}, nil, err
	}
	if it.State == StateDeleted {
		return it, nil, nil
	}
	if err := b.Shown(it.Name, by, d.opt.Now()); err != nil {
		return Item{}, nil, err
	}
	raw, err := b.Raw(it.Name)
	if errors.Is(err, ErrState) { // deleted meanwhile
		return it, nil, nil
	}
	if err != nil {
		return Item{}, nil, err
	}
	v := Look(raw)
	return it, &v, nil
}

// Release lets a message go on to its recipients.
func (d *Desk) Release(ctx context.Context, scope tenant.Scope, by, name string) (Item, error) {
	b, it, err := d.find(scope, name)
	if err != nil {
		return Item{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if len(d.sharing(it)) > 0 {
		d.shared.Lock()
		defer d.shared.Unlock()
	}
	if others := d.sharing(it); len(others) > 0 && d.using().Store == nil {
		return d.releaseTogether(ctx, scope, by, b, it, others)
	}
	if err := b.Release(ctx, it.Name, by, d.opt.Now(), (*hands)(d)); err != nil {
		return Item{}, err
	}
	return b.Get(it.Name)
}

// releaseTogether lets a message of several tenants go on for all of them, by somebody who sees them all.
func (d *Desk) releaseTogether(ctx context.Context, scope tenant.Scope, by string, b *Box, it Item, others []Item) (Item, error) {
	for _, o := range others {
		if !scope.Sees(o.Tenant) || o.State != StateHeld && o.State != StateReleasing {
			return Item{}, fmt.Errorf("release %s: %w", it.Name, ErrShared)
		}
	}
	if err := b.Release(ctx, it.Name, by, d.opt.Now(), d.using()); err != nil {
		return Item{}, err
	}
	for _, o := range others { // these have gone with it
		if box, err := d.store.Box(o.Tenant); err != nil {
			d.tell(o, "noting that it was released", err)
		} else if err := box.Release(ctx, o.Name, by, d.opt.Now(), done{}); err != nil {
			d.tell(o, "noting that it was released", err)
		}
	}
	return b.Get(it.Name)
}

// Delete takes a message away; what is known of it stays until it expires.
func (d *Desk) Delete(ctx context.Context, scope tenant.Scope, by, name string) (Item, error) {
	b, it, err := d.find(scope, name)
	if err != nil {
		return Item{}, err
	}
	if len(d.sharing(it)) > 0 {
		d.shared.Lock()
		defer d.shared.Unlock()
	}
	if err := b.Delete(context.WithoutCancel(ctx), it.Name, by, d.opt.Now(), (*hands)(d)); err != nil {
		return Item{}, err
	}
	return b.Get(it.Name)
}

// Report notes what a person says of a message (FalseAlarm or Missed), and lets the scorer learn from it.
func (d *Desk) Report(scope tenant.Scope, by, name, feedback string) (Item, error) {
	b, it, err := d.find(scope, name)
	if err != nil {
		return Item{}, err
	}
	again := it.Feedback == feedback
	if err := b.Report(it.Name, feedback, by, d.opt.Now()); err != nil {
		return Item{}, err
	}
	if it, err = b.Get(it.Name); err != nil || d.opt.Learn == nil || again {
		return it, err
	}
	raw, err := b.Raw(it.Name)
	if err != nil {
		d.tell(it, "learning from what was reported", err)
		return it, nil
	}
	d.opt.Learn(it.Tenant, it, feedback, raw)
	return it, nil
}

// Similar returns messages of the scope that resemble one, most alike first.
func (d *Desk) Similar(scope tenant.Scope, name string, limit int) ([]Likeness, error) {
	_, it, err := d.find(scope, name)
	if err != nil {
		return nil, err
	}
	return Similar(it, d.boxes(scope, ""), limit), nil
}

// Audit returns the last lines of the audit file that are about a scope, or one tenant of it, oldest first. With a name
// it is those about that message; one that has expired is asked for by its whole name.
func (d *Desk) Audit(scope tenant.Scope, only tenant.ID, name string, most int) ([]Entry, error) {
	if name != "" {
		if _, it, err := d.find(scope, name); err == nil {
			name = it.Name
		} else if errors.Is(err, ErrSeveral) {
			return nil, err
		}
	}
	return d.store.audit.of(most, func(e Entry) bool {
		return scope.Sees(e.Tenant) && (only == "" || e.Tenant == only) && (name == "" || e.Item == name)
	})
}

// Expire removes what is older than its time, of all tenants, and returns how many.
func (d *Desk) Expire(ctx context.Context) (int, error) {
	n := 0
	var failed []error
	for _, b := range d.boxes(tenant.ScopeAll(), "") {
		d.shared.Lock()
		gone, err := b.Expire(ctx, d.opt.Now(), (*hands)(d))
		d.shared.Unlock()
		n += gone
		if err != nil {
			failed = append(failed, fmt.Errorf("held mail of %s: %w", b.tenant, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return n, errors.Join(failed...)
}

// Count is how many messages of a tenant are in a state.
type Count struct {
	Tenant   tenant.ID
	State    State
	Messages int
	Bytes    int64
}

// Counts counts the messages of a scope by tenant and state.
func (d *Desk) Counts(scope tenant.Scope) []Count {
	var out []Count
	for _, b := range d.boxes(scope, "") {
		by := map[State]*Count{}
		d.store.mu.Lock()
		for _, it := range b.items {
			c := by[it.State]
			if c == nil {
				c = &Count{Tenant: b.tenant, State: it.State}
				by[it.State] = c
			}
			c.Messages++
			c.Bytes += it.Size
		}
		d.store.mu.Unlock()
		for _, s := range States {
			if c := by[s]; c != nil {
				out = append(out, *c)
			}
		}
	}
	return out
}

// sharing returns other tenants' items of the one message that the mail server holds.
func (d *Desk) sharing(it Item) []Item {
	if it.Place != PlaceMTA {
		return nil
	}
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	var out []Item
	for id, b := range d.store.boxes {
		if id == it.Tenant {
			continue
		}
		for _, o := range b.items {
			if o.Place == PlaceMTA && o.QueueID == it.QueueID && o.SHA256 == it.SHA256 {
				out = append(out, *o)
			}
		}
	}
	slices.SortFunc(out, func(a, b Item) int { return strings.Compare(string(a.Tenant), string(b.Tenant)) })
	return out
}

func (d *Desk) tell(it Item, what string, err error) {
	if d.opt.Told != nil {
		d.opt.Told(it, what, err)
	}
}

// done is the mover of what was moved already.
type done struct{}

func (done) Release(context.Context, Item, []byte) error { return nil }
func (done) Delete(context.Context, Item) error          { return nil }

// hands moves messages, and keeps tenants apart whose messages wait in the mail server as one: each tenant's recipients
// get, or don't get, their own copy, and the mail server's is deleted when the last of them has decided. Whoever moves
// such a message holds shared.
type hands Desk

// Release implements Mover.
func (h *hands) Release(ctx context.Context, it Item, raw []byte) error {
	d := (*Desk)(h)
	m := d.using()
	if len(d.sharing(it)) == 0 {
		return m.Release(ctx, it, raw)
	}
	if m.Store == nil {
		return ErrShared
	}
	own := it
	own.Place = PlaceStore
	if err := m.Store.Release(ctx, own, raw); err != nil {
		return err
	}
	if d.undecided(it) == 0 {
		if err := m.Delete(ctx, it); err != nil { // its recipients have theirs: that is no reason to send it again
			d.tell(it, "deleting what the mail server still holds", err)
		}
	}
	return nil
}

// Delete implements Mover.
func (h *hands) Delete(ctx context.Context, it Item) error {
	d := (*Desk)(h)
	if len(d.sharing(it)) == 0 {
		return d.using().Delete(ctx, it)
	}
	if d.undecided(it) > 0 {
		return nil
	}
	return d.using().Delete(ctx, it)
}

// undecided counts the other tenants that have yet to say what becomes of a message.
func (d *Desk) undecided(it Item) int {
	n := 0
	for _, o := range d.sharing(it) {
		if o.State != StateReleased && o.State != StateDeleted {
			n++
		}
	}
	return n
}
