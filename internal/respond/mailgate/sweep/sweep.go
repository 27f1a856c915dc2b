// Package sweep takes delivered mail out of mailboxes again, over IMAP: messages that are named, that bear an indicator,
// or that are judged as phishing now, go to a quarantine folder of the same mailbox, and come back by an undo. It also
// takes in the mail of mailboxes that something is sent to: reports of users, and journals.
//
// In comes a Request; out goes a Result with every message that was, or would be, moved. Nothing is changed unless Apply
// is set; even then no message is marked as read, changed or deleted. What is about to be done is on disk before a server
// is asked, so that whatever cuts a run off (a connection, a kill, a full disk) leaves each message in one place once the
// next run has finished what it finds open. One run at a time works on a state folder.
//
// A Sweeper belongs to one tenant and reads that tenant's mailboxes alone.
package sweep

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Errors that callers tell apart.
var (
	ErrBusy  = errors.New("another sweep works on this tenant's mailboxes; wait until it has ended")
	ErrNoRun = errors.New("no run has that name")
)

// Limits bound one run. Zero fields mean the defaults.
type Limits struct {
	Messages    int           // moved, or named in a dry run; 10,000
	Bytes       int64         // read of message texts; 4 GiB
	Time        time.Duration // 1 h
	Connections int           // at once; 4
}

func (l Limits) withDefaults() Limits {
	return Limits{cmp.Or(l.Messages, 10_000), cmp.Or(l.Bytes, 4<<30), cmp.Or(l.Time, time.Hour), cmp.Or(l.Connections, 4)}
}

// Options of a Sweeper.
type Options struct {
	Tenant    tenant.ID
	Mailboxes []config.Mailbox // all must be Tenant's
	State     string           // folder of the journals; every tenant has one of its own below it
	Judge     Judge            // needed for Criteria.Verdict; may be asked by several at once
	Log       *slog.Logger     // nil: none
	Now       func() time.Time // nil: time.Now
	// PlainExpunge allows EXPUNGE on servers without MOVE and UIDPLUS, where no other message is marked as deleted.
	PlainExpunge bool
}

// Request asks for a sweep.
type Request struct {
	Criteria Criteria
	Apply    bool   // move; else only say what would be moved
	By       string // who asks
	Why      string // in words, for the journal; empty: the criteria
	Limits   Limits
	// Again also takes messages that an undo has put back.
	Again bool
}

// Result is what a run did, or would do.
type Result struct {
	Run      string    `json:"run,omitempty"` // its name; empty for a dry run and where nothing was found
	Tenant   tenant.ID `json:"tenant"`
	Applied  bool      `json:"applied"`
	Messages []Move    `json:"messages"`           // found by this run, by mailbox and folder
	Finished int       `json:"finished,omitempty"` // messages of earlier runs that were cut off and are finished now
	Looked   int       `json:"looked"`             // messages whose header was read
	Boxes    int       `json:"mailboxes"`
	Problems []string  `json:"problems,omitempty"` // of mailboxes that could not be swept, or not to their end
}

// Sweeper sweeps the mailboxes of one tenant.
type Sweeper struct {
	opt  Options
	dir  string
	list []account
}

// New returns a Sweeper. Nothing is connected to yet.
func New(o Options) (*Sweeper, error) {
	if o.Tenant == "" {
		return nil, errors.New("sweeping mailboxes: no tenant is named")
	}
	if o.State == "" {
		return nil, errors.New("sweeping mailboxes: no folder is named for the journal")
	}
	for _, b := range o.Mailboxes {
		if b.Tenant != o.Tenant {
			return nil, fmt.Errorf("sweeping mailboxes of %s: %s is another tenant's", o.Tenant, b.Name)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	boxes := slices.Clone(o.Mailboxes)
	return &Sweeper{opt: o, dir: filepath.Join(o.State, folderOf(o.Tenant)), list: accounts(boxes)}, nil
}

// folderOf writes a tenant's id as a folder's name: letters, digits, - and _ as they are, all else in hex.
func folderOf(id tenant.ID) string {
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			b.WriteString("=" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}

// Run sweeps. With Apply, runs that were cut off are finished first. Where some mailboxes fail, the others are swept, and
// the problems are in the result; an error means that nothing could be done at all, or that the context ended.
func (s *Sweeper) Run(ctx context.Context, r Request) (*Result, error) {
	m, err := newMatcher(r.Criteria, s.opt.Tenant, s.opt.Judge)
	if err != nil {
		return nil, fmt.Errorf("sweeping %s: %w", s.opt.Tenant, err)
	}
	if len(s.list) == 0 {
		return nil, fmt.Errorf("sweeping %s: no mailbox of kind sweep is configured; add one under mail.mailboxes", s.opt.Tenant)
	}
	lim := r.Limits.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, lim.Time)
	defer cancel()
	res := &Result{Tenant: s.opt.Tenant, Applied: r.Apply, Boxes: len(s.list)}
	w := &work{s: s, m: m, lim: lim, res: res, apply: r.Apply}
	if !r.Again {
		if w.back, err = s.putBack(); err != nil {
			return nil, err
		}
	}
	if r.Apply {
		lock, err := s.lock()
		if err != nil {
			return nil, err
		}
		defer lock.Close()
		if err := s.finishOpen(ctx, res); err != nil {
			return res, err
		}
		w.begin = func() (*journal, error) {
			return create(s.dir, Run{ID: s.name(), Tenant: s.opt.Tenant, Kind: KindSweep, By: r.By, Why: cmp.Or(r.Why, r.Criteria.words()), Began: s.opt.Now().UTC()})
		}
	}
	s.each(ctx, lim.Connections, res, w.mailbox)
	if w.j != nil {
		res.Run = w.j.run.ID
		if err := w.j.finish(s.opt.Now()); err != nil {
			return res, err
		}
		res.Messages = w.j.snapshot().Moves
	}
	slices.SortFunc(res.Messages, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.Mailbox, b.Mailbox), cmp.Compare(a.Folder, b.Folder), cmp.Compare(a.UID, b.UID))
	})
	slices.Sort(res.Problems)
	return res, nil
}

// words says what is looked for.
func (c Criteria) words() string {
	var out []string
	for _, f := range []struct {
		name string
		list []string
	}{{"Message-ID", c.MessageIDs}, {"indicator", c.Indicators}, {"from", c.From}, {"subject", c.Subjects}} {
		if len(f.list) > 0 {
			shown := strings.Join(f.list[:min(3, len(f.list))], ", ")
			if n := len(f.list) - 3; n > 0 {
				shown += fmt.Sprintf(" and %d more", n)
			}
			out = append(out, f.name+" "+clip(shown))
		}
	}
	if c.Verdict != "" {
		out = append(out, "verdict "+c.Verdict)
	}
	if !c.Since.IsZero() {
		out = append(out, "since "+c.Since.UTC().Format(time.RFC3339))
	}
	return strings.Join(out, "; ")
}

// name makes a run's name: the time, so that names are in order, and a little chance.
func (s *Sweeper) name() string {
	return s.opt.Now().UTC().Format("20060102T150405Z") + "-" + chance()
}

func (s *Sweeper) lock() (io.Closer, error) {
	if err := makeDir(s.dir); err != nil {
		return nil, err
	}
	l, err := tryLock(filepath.Join(s.dir, "lock"))
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("sweeping %s: %w", s.opt.Tenant, ErrBusy)
	}
	if err != nil {
		return nil, fmt.Errorf("sweeping %s: locking the state: %w", s.opt.Tenant, err)
	}
	return l, nil
}

// each works on the mailboxes, several at once, and collects what fails.
func (s *Sweeper) each(ctx context.Context, connections int, res *Result, do func(context.Context, account) error) {
	next := make(chan account)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(connections, len(s.list)) {
		wg.Go(func() {
			for a := range next {
				if err := do(ctx, a); err != nil {
					if ctx.Err() != nil {
						err = fmt.Errorf("mailbox %s: not swept to its end: %w", a.name(), context.Cause(ctx))
					}
					s.opt.Log.Warn("a mailbox could not be swept", "tenant", s.opt.Tenant, "mailbox", a.name(), "err", err)
					mu.Lock()
					res.Problems = append(res.Problems, err.Error())
					mu.Unlock()
				}
			}
		})
	}
	for _, a := range s.list {
		next <- a
	}
	close(next)
	wg.Wait()
}

// work is one run in progress.
type work struct {
	s     *Sweeper
	m     *matcher
	lim   Limits
	apply bool
	begin func() (*journal, error)
	back  map[string]bool // keys of messages that an undo put back, with their mailbox

	mu    sync.Mutex
	j     *journal
	res   *Result
	found int
	bytes int64
}

// journal begins the run's journal with the first message that is found: a sweep that finds nothing leaves none.
func (w *work) journal() (*journal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.j == nil {
		j, err := w.begin()
		if err != nil {
			return nil, err
		}
		w.j = j
	}
	return w.j, nil
}

var errLimit = errors.New("the run's limit is reached; run it again for the rest, or raise --max-messages or --max-bytes")

// take counts messages against the limits.
func (w *work) take(messages int, bytes int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.found+messages > w.lim.Messages || w.bytes+bytes > w.lim.Bytes {
		return errLimit
	}
	w.found += messages
	w.bytes += bytes
	return nil
}

func (w *work) mailbox(ctx context.Context, a account) error {
	c, err := open(ctx, a)
	if err != nil {
		return err
	}
	defer c.logout()
	folders, err := c.folders()
	if err != nil {
		return fmt.Errorf("mailbox %s: %w", a.name(), err)
	}
	var problems []error
	for _, f := range folders {
		err := w.folder(ctx, c, f)
		if err == nil {
			continue
		}
		problems = append(problems, err)
		var no *imap.Error
		if !errors.As(err, &no) || errors.Is(err, errLimit) || ctx.Err() != nil { // not the server's no to one folder
			break
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("mailbox %s: %w", a.name(), errors.Join(problems...))
	}
	return nil
}

// folder looks for wanted messages and moves them.
func (w *work) folder(ctx context.Context, c *session, folder string) error {
	d, err := c.choose(folder, !w.apply)
	if err != nil || d.NumMessages == 0 {
		return err
	}
	uids := map[imap.UID]bool{}
	for _, q := range w.m.searches() {
		list, err := c.search(q)
		if err != nil {
			return err
		}
		for _, u := range list {
			uids[u] = true
		}
	}
	all := make([]imap.UID, 0, len(uids))
	for u := range uids {
		all = append(all, u)
	}
	slices.Sort(all)
	for chunk := range slices.Chunk(all, 500) {
		wanted, err := w.look(ctx, c, folder, chunk)
		if err == nil || errors.Is(err, errLimit) {
			if merr := w.moveOut(c, wanted); merr != nil {
				return merr
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look reads messages and returns those that are wanted. It returns them also with errLimit.
func (w *work) look(ctx context.Context, c *session, folder string, uids []imap.UID) ([]Move, error) {
	var out []Move
	at := map[imap.UID]int{}
	var deep []*letter
	heading := map[imap.UID]*heading{}
	deepWhy := map[imap.UID]string{}
	err := c.fetch(uids, heads, 0, 0, func(l *letter) error {
		w.mu.Lock()
		w.res.Looked++
		w.mu.Unlock()
		h := readHeading(l.part)
		if !w.m.timely(l.date) {
			return nil
		}
		why, no := w.m.head(&h)
		if no {
			return nil
		}
		m := Move{Mailbox: c.acc.name(), Folder: folder, Valid: c.valid, UID: uint32(l.uid), Head: headOf(l.part), Size: l.size, Date: l.date.UTC(), Flags: l.flags,
			MessageID: clip(h.id), From: clip(h.from), Subject: clip(h.subject), Why: why}
		if w.back[m.Mailbox+" "+m.key()] {
			return nil
		}
		l.part = nil
		if w.m.deep() {
			deep, heading[l.uid], deepWhy[l.uid] = append(deep, l), &h, why
		}
		at[l.uid] = len(out)
		out = append(out, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if w.m.deep() {
		keep := map[int]bool{}
		for _, b := range batches(deep, 8<<20, 50) {
			if err = ctx.Err(); err != nil {
				return nil, err
			}
			var sum, most int64
			for _, l := range b {
				n := max(1, min(l.size, decode.MaxMail))
				sum, most = sum+n, max(most, n)
			}
			if err = w.take(0, sum); err != nil {
				break
			}
			if ferr := c.fetch(uidsOf(b), whole, most, sum, func(l *letter) error {
				if why, _ := w.m.body(ctx, heading[l.uid], deepWhy[l.uid], l.part); why != "" {
					out[at[l.uid]].Why = why
					keep[at[l.uid]] = true
				}
				return nil
			}); ferr != nil {
				return nil, ferr
			}
		}
		kept := out[:0]
		for i := range out {
			if keep[i] {
				kept = append(kept, out[i])
			}
		}
		out = kept
	}
	slices.SortFunc(out, func(a, b Move) int { return cmp.Compare(a.UID, b.UID) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if room := w.lim.Messages - w.found; len(out) > room {
		out, err = out[:room], errLimit
	}
	w.found += len(out)
	return out, err
}

// moveOut moves what was found, or notes it in a dry run.
func (w *work) moveOut(c *session, list []Move) error {
	if len(list) == 0 {
		return nil
	}
	to := c.acc.box.Quarantine
	if !w.apply {
		for i := range list {
			list[i].To, list[i].State = to, "would be moved"
		}
		w.mu.Lock()
		w.res.Messages = append(w.res.Messages, list...)
		w.mu.Unlock()
		return nil
	}
	j, err := w.journal()
	if err != nil {
		return err
	}
	t := &transfer{s: c, j: j, plain: w.s.opt.PlainExpunge}
	if err := t.able(); err != nil {
		return err
	}
	if err := c.ensure(to); err != nil {
		return err
	}
	return t.move(list, to)
}
