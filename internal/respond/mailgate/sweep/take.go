package sweep

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of one pass over a mailbox.
const (
	takeMost  = 2_000    // messages
	takeBytes = 16 << 20 // read at once
	takeTries = 5        // of a message that cannot be handled; then it is put aside all the same
)

// Taken is a message that was found in the inbox of a mailbox.
type Taken struct {
	Tenant  tenant.ID
	Mailbox string
	Key     string // SHA-256 of its bytes: the same message has the same key
	Date    time.Time
	Raw     []byte // at most 64 MiB
}

// TakerOptions are the options of a Taker.
type TakerOptions struct {
	Tenant  tenant.ID
	Mailbox config.Mailbox // of kind reports or journal, with one user
	State   string         // folder; every tenant and mailbox has one of its own below it
	// Handle deals with a message. It is called once for each, and again only after an error, or where the process was
	// stopped before the end was noted.
	Handle func(context.Context, Taken) error
	Log    *slog.Logger
	Now    func() time.Time
}

// Taker takes in what comes to a mailbox: each message of the inbox is handled and then moved to the folder of what is
// handled, once, over restarts and cut connections.
type Taker struct {
	o  TakerOptions
	sw *Sweeper
}

// TakeResult is what a pass did.
type TakeResult struct {
	Handled  int      `json:"handled"`
	Given    int      `json:"given_up"` // put aside after several failures
	Left     int      `json:"left"`     // still in the inbox: failed now, or beyond what one pass takes
	Problems []string `json:"problems,omitempty"`
}

// NewTaker returns a Taker. Nothing is connected to yet.
func NewTaker(o TakerOptions) (*Taker, error) {
	if o.Handle == nil || len(o.Mailbox.Users) != 1 || o.Mailbox.Handled == "" {
		return nil, fmt.Errorf("taking mail in from %s: it needs one user, a folder of what is handled, and a handler", o.Mailbox.Name)
	}
	sw, err := New(Options{Tenant: o.Tenant, Mailboxes: []config.Mailbox{o.Mailbox}, State: o.State, Log: o.Log, Now: o.Now})
	if err != nil {
		return nil, err
	}
	o.Log, o.Now = sw.opt.Log, sw.opt.Now
	sw.dir = filepath.Join(sw.dir, "take-"+folderOf(tenant.ID(o.Mailbox.Name)))
	return &Taker{o, sw}, nil
}

// Take makes one pass over the inbox.
func (t *Taker) Take(ctx context.Context) (*TakeResult, error) {
	res := &TakeResult{}
	lock, err := t.sw.lock()
	if err != nil {
		return res, err
	}
	defer lock.Close()
	done, err := openSteps(filepath.Join(t.sw.dir, "steps"), t.o.Now())
	if err != nil {
		return res, err
	}
	defer done.close()
	open1 := &Result{}
	if err := t.sw.finishOpen(ctx, open1); err != nil {
		return res, err
	}
	if err := t.clean(); err != nil {
		return res, err
	}
	res.Problems = append(res.Problems, open1.Problems...)
	c, err := open(ctx, t.sw.list[0])
	if err != nil {
		return res, err
	}
	defer c.logout()
	name := t.sw.list[0].name()
	tr := &transfer{s: c}
	if err := tr.able(); err != nil {
		return res, fmt.Errorf("mailbox %s: %w", name, err)
	}
	if err := c.ensure(t.o.Mailbox.Handled); err != nil {
		return res, fmt.Errorf("mailbox %s: %w", name, err)
	}
	if err := t.inbox(ctx, c, tr, done, res); err != nil {
		return res, fmt.Errorf("mailbox %s: %w", name, err)
	}
	return res, nil
}

// clean forgets the journals of passes that ended: nobody puts their messages back.
func (t *Taker) clean() error {
	open, err := cutOff(t.sw.dir)
	if err != nil {
		return err
	}
	ids, err := runIDs(t.sw.dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.Contains(open, id) {
			if err := forget(t.sw.dir, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Taker) inbox(ctx context.Context, c *session, tr *transfer, done *steps, res *TakeResult) (err error) {
	if _, err := c.choose("INBOX", false); err != nil {
		return err
	}
	uids, err := c.search(&imap.SearchCriteria{})
	if err != nil {
		return err
	}
	if len(uids) > takeMost {
		res.Left += len(uids) - takeMost
		uids = uids[:takeMost]
	}
	var list []*letter
	for chunk := range slices.Chunk(uids, 500) {
		if err := c.fetch(chunk, facts, 0, 0, func(l *letter) error { list = append(list, l); return nil }); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b *letter) int { return cmp.Compare(a.uid, b.uid) })
	if tr.j, err = create(t.sw.dir, Run{ID: t.sw.name(), Tenant: t.o.Tenant, Kind: kindTake, By: "breakwater", Why: "handled mail", Began: t.o.Now().UTC()}); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, tr.j.finish(t.o.Now()))
		if err == nil && !tr.j.run.Ended.IsZero() {
			err = forget(t.sw.dir, tr.j.run.ID)
		}
	}()
	for _, b := range batches(list, takeBytes, 20) {
		if err := t.batch(ctx, c, tr, done, b, res); err != nil {
			return err
		}
	}
	return nil
}

func (t *Taker) batch(ctx context.Context, c *session, tr *transfer, done *steps, list []*letter, res *TakeResult) error {
	var sum, most int64
	for _, l := range list {
		n := max(1, min(l.size, decode.MaxMail))
		sum, most = sum+n, max(most, n)
	}
	var got []*letter
	if err := c.fetch(uidsOf(list), whole, most, sum, func(l *letter) error { got = append(got, l); return nil }); err != nil {
		return err
	}
	var moves []Move
	for _, l := range got {
		if err := ctx.Err(); err != nil {
			return err
		}
		sum := sha256.Sum256(l.part)
		key := hex.EncodeToString(sum[:])
		ok, err := t.handle(ctx, done, Taken{Tenant: t.o.Tenant, Mailbox: c.acc.name(), Key: key, Date: l.date, Raw: l.part}, res)
		if err != nil {
			return err
		}
		if !ok {
			res.Left++
			continue
		}
		head := headPart(l.part)
		h := readHeading(head)
		moves = append(moves, Move{Mailbox: c.acc.name(), Folder: "INBOX", Valid: c.valid, UID: uint32(l.uid), Head: headOf(head), Size: l.size, Date: l.date.UTC(), Flags: l.flags,
			MessageID: clip(h.id), From: clip(h.from), Subject: clip(h.subject)})
	}
	return tr.move(moves, t.o.Mailbox.Handled)
}

// handle deals with a message unless that was done before; false: it stays where it is.
func (t *Taker) handle(ctx context.Context, done *steps, m Taken, res *TakeResult) (bool, error) {
	if done.has(m.Key, "done") > 0 {
		return true, nil
	}
	if done.has(m.Key, "tried") >= takeTries {
		res.Given++
		return true, nil
	}
	err := t.o.Handle(ctx, m)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	what := "done"
	if err != nil {
		what = "tried"
		res.Problems = append(res.Problems, err.Error())
		t.o.Log.Warn("a message could not be handled", "tenant", t.o.Tenant, "mailbox", m.Mailbox, "err", err)
	} else {
		res.Handled++
	}
	return err == nil, done.note(step{Key: m.Key, Step: what, Time: t.o.Now()})
}

// headPart is the header section of a message with the empty line that ends it, as a server gives it for BODY[HEADER].
func headPart(raw []byte) []byte {
	for at := 0; at < len(raw); {
		n := slices.Index(raw[at:], '\n')
		if n < 0 {
			break
		}
		line := raw[at : at+n+1]
		at += n + 1
		if len(line) == 1 || len(line) == 2 && line[0] == '\r' {
			return raw[:at]
		}
	}
	return raw
}
