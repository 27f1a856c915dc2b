package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// Times of looking at mailboxes.
const (
	pollsAtOnce = 4
	pollMost    = 30 * time.Minute // between two tries of a mailbox that fails
)

// polls look at the mailboxes of kind reports and journal, each on its own, until they are closed.
type polls struct {
	f     *deliveredMail
	stop  context.CancelFunc
	group sync.WaitGroup
	slots chan struct{}
	desks []*sweep.Desk
}

// startPolls begins to look. What of it can't begin is told, and begins no other's.
func (f *deliveredMail) startPolls(ctx context.Context) *polls {
	ctx, stop := context.WithCancel(ctx)
	p := &polls{f: f, stop: stop, slots: make(chan struct{}, pollsAtOnce)}
	d := f.declared.Load()
	desks := map[tenant.ID]*sweep.Desk{}
	for _, b := range d.settings.Mailboxes {
		if b.Kind == config.MailboxSweep {
			continue
		}
		handle := f.takeCopy
		if b.Kind == config.MailboxReports {
			desk := desks[b.Tenant]
			if desk == nil {
				var err error
				if desk, err = f.openDesk(d, b.Tenant); err != nil {
					f.cannot(b, err)
					continue
				}
				desks[b.Tenant] = desk
				p.desks = append(p.desks, desk)
			}
			handle = desk.Handle
		}
		id := b.Tenant
		taker, err := sweep.NewTaker(sweep.TakerOptions{Tenant: id, Mailbox: b, State: f.dir, Log: f.log, Handle: func(ctx context.Context, t sweep.Taken) (err error) {
			defer f.caught("a message of mailbox "+t.Mailbox, id, &err)
			return handle(ctx, t)
		}})
		if err != nil {
			f.cannot(b, err)
			continue
		}
		p.group.Go(func() { p.look(ctx, b, taker, d.settings.Poll) })
	}
	return p
}

func (f *deliveredMail) cannot(b config.Mailbox, err error) {
	f.counts.fail(b, true)
	f.log.Error("a mailbox is not looked at", "tenant", b.Tenant, "mailbox", b.Name, "err", err)
}

// close ends looking, and returns when nothing is under way.
func (p *polls) close() {
	p.stop()
	p.group.Wait()
	for _, d := range p.desks {
		if err := d.Close(); err != nil {
			p.f.log.Warn("closing the reports of users", "err", err)
		}
	}
}

// look takes in what comes to one mailbox. One that fails is tried less and less often.
func (p *polls) look(ctx context.Context, b config.Mailbox, t *sweep.Taker, every time.Duration) {
	failed := 0
	for {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		res, err := t.Take(ctx)
		<-p.slots
		if ctx.Err() != nil {
			return
		}
		p.f.counts.taken(b, res)
		wait := every
		if err != nil {
			failed++
			wait = max(every, min(every<<min(failed, 20), pollMost))
			p.f.log.Warn("a mailbox could not be looked at", "tenant", b.Tenant, "mailbox", b.Name, "err", err, "again_in", wait.String())
		} else {
			failed = 0
		}
		p.f.counts.fail(b, err != nil)
		if res != nil && res.Given > 0 {
			p.f.log.Warn("messages were put aside that could not be handled", "tenant", b.Tenant, "mailbox", b.Name, "folder", b.Handled, "messages", res.Given)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// openDesk makes the desk that deals with reports of a tenant's users.
func (f *deliveredMail) openDesk(d *mailDeclared, id tenant.ID) (*sweep.Desk, error) {
	t := d.model.Tenant(id)
	if t == nil {
		return nil, fmt.Errorf("taking reports of %q: no such tenant is declared", id)
	}
	box, err := f.m.store.Box(id)
	if err != nil {
		return nil, err
	}
	o := sweep.DeskOptions{Tenant: id, Domains: t.Domains, State: f.dir, Judge: f.judge, Keep: box, Publish: f.publishReport, Offer: f.offerSimilar, Told: f.reported, Log: f.log}
	if by := sendersOf(d.settings.MailboxesOf(id, config.MailboxReports)); len(by) > 0 {
		o.Sender = by
	}
	return sweep.OpenDesk(o)
}

// thanks sends each answer by the server of the mailbox that the report came to.
type thanks map[string]sweep.MailSender

func sendersOf(list []config.Mailbox) thanks {
	out := thanks{}
	for _, b := range list {
		if b.Thanks != nil {
			out[b.Name] = sweep.MailSender{To: *b.Thanks}
		}
	}
	return out
}

// Send implements sweep.Sender.
func (s thanks) Send(ctx context.Context, t sweep.Thanks) error {
	name, _, _ := strings.Cut(t.Mailbox, "/")
	by, ok := s[name]
	if !ok {
		return errors.New("no server is named for the answers of this mailbox: set its thanks, or mail.thanks")
	}
	return by.Send(ctx, t)
}

// judge scores a message as it lies in a mailbox. Nothing is learned from it.
func (f *deliveredMail) judge(ctx context.Context, id tenant.ID, raw []byte) ocsf.MailVerdict {
	v, err := f.m.gate.Assess(ctx, id, mailMessage(raw, timeOf(raw, time.Now())), mailgate.Reported)
	if err != nil {
		return ocsf.MailVerdict{Verdict: "suspicious", Score: 0.5, Reasons: []ocsf.MailReason{{Name: "unjudged", Text: err.Error()}}}
	}
	return v
}

// publishReport brings a reported message to the pipeline. It returns when it is on the bus; a report that is told again
// after a cut has the same time and is counted once.
func (f *deliveredMail) publishReport(ctx context.Context, r *sweep.Report) error {
	if f.m.behind() {
		return errBehind
	}
	msg := mailMessage(r.Raw, r.Time.UTC())
	if r.Reporter != "" {
		msg.Recipients = []string{r.Reporter}
	}
	if _, err := f.m.gate.Examine(ctx, r.Tenant, msg, mailgate.Reported); err != nil {
		return err
	}
	return f.m.flushed(ctx)
}

// offerSimilar asks for a dry run that finds the delivered copies of a reported message.
func (f *deliveredMail) offerSimilar(_ context.Context, r *sweep.Report) error {
	return f.ask(wish{Key: wishKey("report", r.Tenant, r.Similar.Criteria.Indicators), Tenant: r.Tenant, Trigger: "report", Why: r.Similar.Why, Criteria: r.Similar.Criteria})
}

func (f *deliveredMail) reported(r *sweep.Report) {
	verdict := r.Verdict.Verdict
	if verdict == "" {
		verdict = "none"
	}
	f.counts.add("report", r.Tenant, verdict, 1)
	if r.Thanked {
		f.counts.add("thanks", r.Tenant, "", 1)
	}
	f.log.Info("mail was reported by a user", "tenant", r.Tenant, "mailbox", r.Mailbox, "verdict", verdict, "message_id", r.MessageID, "held_as", r.HeldAs, "thanked", r.Thanked)
}

// wishKey names what a sweep looks for and why, so that the same is done once.
func wishKey(trigger string, id tenant.ID, values []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s", trigger, id)
	for _, v := range values {
		fmt.Fprintf(h, "\x00%s", v)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
