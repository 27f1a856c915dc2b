package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/journal"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
	"github.com/breakwater-project/breakwater/internal/respond/notify"
)

// deliveredMail is what a running serve does with mail that was delivered: journals and reports are taken in, sweeps
// start by themselves, and what is swept appears in quarantine.
//
//	journal by SMTP ──┐                 ┌─ finding ─ pipeline
//	journal mailboxes ┼─ judge ─────────┼─ list of what was delivered ─┐
//	reports mailboxes ┘                 ├─ quarantine, thanks          │
//	                                    └─ offer ─┐                    │
//	indicators, campaigns, unscanned mail ────────┴─ queue of sweeps ──┴─ mailboxes ─ quarantine
//
// Everything it remembers lies in mail/sweeps and mail/journal of the data folder.
type deliveredMail struct {
	m        *mailGate
	log      *slog.Logger
	dir      string // mail/sweeps
	declared atomic.Pointer[mailDeclared]
	server   *journal.Server // nil: no journal comes by SMTP
	dead     *journal.DeadLetters
	queue    *sweepQueue
	kept     *sweep.Notes // runs whose messages are in quarantine, and values of campaigns that were swept
	counts   mailCounts

	mu      sync.Mutex
	ledgers map[tenant.ID]*sweep.Ledger
	polling sync.Mutex // held while looking at mailboxes begins or ends
	polls   *polls
	keeping sync.Mutex // held while swept mail is put into quarantine
	ctx     context.Context
	stopAll context.CancelFunc
	group   sync.WaitGroup
}

// mailDeclared is what is declared, as one act sees it.
type mailDeclared struct {
	settings *config.MailGate
	model    *tenant.Model
}

// openDelivered opens what is remembered. Nothing is listened for or connected to yet.
func (m *mailGate) openDelivered(setup *Setup) (*deliveredMail, error) {
	f := &deliveredMail{m: m, log: m.log, dir: sweepsDir(m.dir), dead: journal.NewDeadLetters(filepath.Join(m.dir, "journal"), nil), ledgers: map[tenant.ID]*sweep.Ledger{}}
	f.declared.Store(&mailDeclared{m.settings, setup.Model})
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of sweeps: %w", err)
	}
	var err error
	if f.queue, err = openSweepQueue(filepath.Join(f.dir, "wanted.jsonl"), time.Now()); err != nil {
		return nil, err
	}
	if f.kept, err = sweep.OpenNotes(filepath.Join(f.dir, "done"), time.Now()); err != nil {
		return nil, errors.Join(err, f.queue.close())
	}
	if j := m.settings.Journal; j != nil {
		f.server, err = journal.Listen(journal.Options{Config: *j, Name: m.settings.ID, Handle: f.handleCopy, Dead: f.dead, Told: f.tellDead, Log: f.log})
		if err != nil {
			return nil, errors.Join(err, f.queue.close(), f.kept.Close())
		}
	}
	return f, nil
}

// start begins to take in, to look and to sweep.
func (f *deliveredMail) start(ctx context.Context, setup *Setup, failed func(error)) {
	f.ctx, f.stopAll = context.WithCancel(ctx)
	if f.server != nil {
		f.group.Go(func() {
			if err := f.server.Serve(); err != nil {
				failed(fmt.Errorf("receiving journal reports: %w", err))
			}
		})
		f.log.Info("listening for journal reports", "address", f.server.Addr().String())
	}
	f.polling.Lock()
	f.polls = f.startPolls(f.ctx)
	f.polling.Unlock()
	f.indicated(setup)
	f.group.Go(func() { f.sweepQueued(f.ctx) })
	f.group.Go(func() { f.followFiles(f.ctx) })
}

// stop ends it. What is under way is cut off, and finished after the next start.
func (f *deliveredMail) stop() {
	if f == nil || f.stopAll == nil {
		return
	}
	f.stopAll()
	if f.server != nil {
		if err := f.server.Close(); err != nil {
			f.log.Warn("stopping to receive journal reports", "err", err)
		}
	}
	f.polling.Lock()
	f.polls.close()
	f.polling.Unlock()
	f.group.Wait()
}

// close lets go of what openDelivered opened.
func (f *deliveredMail) close() {
	if f == nil {
		return
	}
	if f.server != nil {
		_ = f.server.Close() // again, where it ran
	}
	if err := errors.Join(f.queue.close(), f.kept.Close(), f.closeLedgers()); err != nil {
		f.log.Warn("closing what is remembered of delivered mail", "err", err)
	}
}

// declare goes on with what is declared now: mailboxes are looked at anew, and new indicators are swept for.
func (f *deliveredMail) declare(settings *config.MailGate, setup *Setup) {
	before := f.declared.Swap(&mailDeclared{settings, setup.Model})
	if f.ctx == nil || f.ctx.Err() != nil {
		return
	}
	if before.model.Version != setup.Model.Version || before.settings.Poll != settings.Poll || !reflect.DeepEqual(before.settings.Mailboxes, settings.Mailboxes) {
		f.polling.Lock()
		f.polls.close()
		f.polls = f.startPolls(f.ctx)
		f.polling.Unlock()
	}
	f.indicated(setup)
}

// tell tells whoever is to hear of a tenant's mail.
func (f *deliveredMail) tell(id tenant.ID, b notify.Body) {
	b.Kind = notify.KindMail
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.m.w.teller.matter(ctx, id, b); err != nil {
		f.log.Error("nobody was told of delivered mail", "tenant", id, "title", b.Title, "err", err)
	}
}

// mailCounts count since the start.
type mailCounts struct {
	mu    sync.Mutex
	n     map[mailCount]int64
	boxes map[mailboxName]*mailboxCount
}

type mailCount struct {
	what string // journal, report, thanks, sweep or swept
	id   tenant.ID
	how  string
}

type mailboxName struct {
	id   tenant.ID
	name string
}

type mailboxCount struct {
	kind           config.MailboxKind
	handled, given int64
	left           int
	failing        bool
}

func (c *mailCounts) add(what string, id tenant.ID, how string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[mailCount]int64{}
	}
	c.n[mailCount{what, id, how}] += n
}

func (c *mailCounts) box(b config.Mailbox) *mailboxCount {
	if c.boxes == nil {
		c.boxes = map[mailboxName]*mailboxCount{}
	}
	k := mailboxName{b.Tenant, b.Name}
	if c.boxes[k] == nil {
		c.boxes[k] = &mailboxCount{kind: b.Kind}
	}
	return c.boxes[k]
}

func (c *mailCounts) fail(b config.Mailbox, failing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.box(b).failing = failing
}

func (c *mailCounts) taken(b config.Mailbox, r *sweep.TakeResult) {
	if r == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.box(b)
	x.handled += int64(r.Handled)
	x.given += int64(r.Given)
	x.left = r.Left
}

// exposeDelivered writes what was done with delivered mail.
func (f *deliveredMail) exposeDelivered(x *exposition) {
	if f == nil {
		return
	}
	c := &f.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []mailCount
	for k := range c.n {
		list = append(list, k)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		return a.what+"\x00"+string(a.id)+"\x00"+a.how < b.what+"\x00"+string(b.id)+"\x00"+b.how
	})
	for _, k := range list {
		id, n := string(k.id), c.n[k]
		switch k.what {
		case "journal":
			x.write("mail_journal_total", "counter", "journal reports, by verdict; again: known already, dead: not readable", n, "tenant", id, "outcome", k.how)
		case "report":
			x.write("mail_reports_total", "counter", "messages that users reported, by verdict", n, "tenant", id, "verdict", k.how)
		case "thanks":
			x.write("mail_thanks_total", "counter", "reporters that were answered", n, "tenant", id)
		case "sweep":
			x.write("mail_sweeps_total", "counter", "sweeps that started by themselves, by how they ended", n, "tenant", id, "outcome", k.how)
		case "swept":
			x.write("mail_swept_messages_total", "counter", "messages that such sweeps moved, or offered to move", n, "tenant", id, "outcome", k.how)
		}
	}
	if f.server != nil {
		s := &f.server.Counted
		x.write("mail_journal_refused_total", "counter", "senders of journals that are bound to no tenant", s.Refused.Load())
		x.write("mail_journal_later_total", "counter", "journal reports whose sender was told to come again", s.Later.Load())
	}
	var boxes []mailboxName
	for k := range c.boxes {
		boxes = append(boxes, k)
	}
	sort.Slice(boxes, func(i, j int) bool {
		return string(boxes[i].id)+"\x00"+boxes[i].name < string(boxes[j].id)+"\x00"+boxes[j].name
	})
	for _, k := range boxes {
		b := c.boxes[k]
		of := []string{"tenant", string(k.id), "mailbox", k.name, "kind", string(b.kind)}
		failing := 0
		if b.failing {
			failing = 1
		}
		x.write("mail_mailbox_handled_total", "counter", "messages taken in from a mailbox", b.handled, of...)
		x.write("mail_mailbox_given_up_total", "counter", "messages put aside that could not be handled", b.given, of...)
		x.write("mail_mailbox_left", "gauge", "messages that the last look left in the inbox", b.left, of...)
		x.write("mail_mailbox_failing", "gauge", "1: the last look failed", failing, of...)
	}
	x.write("mail_sweeps_waiting", "gauge", "sweeps that wait", f.queue.size())
}
