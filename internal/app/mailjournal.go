package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/journal"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
	"github.com/breakwater-project/breakwater/internal/respond/notify"
)

// copiedWithin is how old the time that a copy tells of itself may be; an older one, or one to come, is not believed.
const copiedWithin = 30 * 24 * time.Hour

// errBehind says that records wait for the bus already: whoever can come again does.
var errBehind = errors.New("too many records of judged mail wait for the pipeline; it is tried again")

// handleCopy judges a journal report, publishes it, and notes what was delivered. It returns when all of that is on disk:
// whoever sent the copy may then forget it. A copy that comes again is known.
func (f *deliveredMail) handleCopy(ctx context.Context, d journal.Delivery) (err error) {
	defer f.caught("a journal report", d.Tenant, &err)
	l, err := f.ledger(d.Tenant)
	if err != nil {
		return err
	}
	all := d.Report.Addresses()
	key := copyKey(d.Report.Raw, all)
	if l.Has(key) {
		f.counts.add("journal", d.Tenant, "again", 1)
		return nil
	}
	if f.m.behind() {
		return errBehind
	}
	msg := mailMessage(d.Report.Raw, timeOf(d.Whole, time.Now()))
	msg.From = d.Report.Sender
	own := f.ownOf(d.Tenant, all)
	direction := mailgate.Journal
	msg.Recipients = own
	if len(own) == 0 && len(f.ownOf(d.Tenant, []string{d.Report.Sender})) > 0 {
		direction, msg.Recipients = mailgate.Outbound, all
	}
	e, err := f.m.gate.Examine(ctx, d.Tenant, msg, direction)
	if err != nil {
		return err
	}
	if err := f.m.flushed(ctx); err != nil {
		return err
	}
	note := sweep.DeliveredOf(e, verdictOf(e), own)
	note.Key = key
	if err := l.Add(note); err != nil {
		return err
	}
	f.counts.add("journal", d.Tenant, verdictOf(e).Verdict, 1)
	return nil
}

func verdictOf(e *ocsf.Event) *ocsf.MailVerdict {
	if e.Mail.Verdict != nil {
		return e.Mail.Verdict
	}
	return &ocsf.MailVerdict{}
}

func copyKey(raw []byte, recipients []string) string {
	h := sha256.New()
	h.Write(raw)
	for _, a := range recipients {
		fmt.Fprintf(h, "\x00%s", a)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// ownOf returns those addresses that are of the tenant's domains.
func (f *deliveredMail) ownOf(id tenant.ID, addresses []string) []string {
	m := f.declared.Load().model
	var out []string
	for _, a := range addresses {
		if _, host, ok := strings.Cut(a, "@"); ok {
			if owner, _ := m.DomainOwner(host); owner == id {
				out = append(out, a)
			}
		}
	}
	return out
}

// takeCopy is handleCopy for what lies in a mailbox of kind journal.
func (f *deliveredMail) takeCopy(ctx context.Context, t sweep.Taken) error {
	dead, err := journal.Take(ctx, journal.Delivery{Tenant: t.Tenant, Whole: t.Raw}, f.handleCopy, f.dead)
	if dead {
		f.tellDead(t.Tenant)
	}
	return err
}

// tellDead tells a tenant, once a day, that copies of its mail can't be read.
func (f *deliveredMail) tellDead(id tenant.ID) {
	f.counts.add("journal", id, "dead", 1)
	f.tell(id, notify.Body{Subject: "journal " + string(id) + " " + time.Now().UTC().Format(time.DateOnly), Severity: ocsf.SeverityMedium,
		Title: fmt.Sprintf("Journal reports of %s can't be read", id),
		Text: []string{"They are kept as dead letters in mail/journal of the data folder; `breakwater mail journal read` shows them. The mail that they tell of is not judged.",
			"This is told once a day; the metric breakwater_mail_journal_total counts them."}})
}

// ledger returns what was delivered to a tenant, opened once.
func (f *deliveredMail) ledger(id tenant.ID) (*sweep.Ledger, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.ledgers[id]; l != nil {
		return l, nil
	}
	l, err := sweep.OpenLedger(f.dir, id)
	if err != nil {
		return nil, err
	}
	f.ledgers[id] = l
	return l, nil
}

// caught makes an error of a panic, so that one message stops nobody's mail.
func (f *deliveredMail) caught(what string, id tenant.ID, err *error) {
	if p := recover(); p != nil {
		f.log.Error(what+" could not be dealt with, which is a bug of ours", "tenant", id, "what", p, "stack", string(debug.Stack()))
		*err = fmt.Errorf("%s of %s: it failed in here", what, id)
	}
}

// timeOf is when a copy came to be, as the system that sent it wrote on top; the same for a copy that comes again.
func timeOf(raw []byte, now time.Time) time.Time {
	if e, _ := mail.Message(raw); e != nil && now.Sub(e.Time) < copiedWithin && e.Time.Sub(now) < time.Minute {
		return e.Time.UTC()
	}
	return now.UTC()
}

// mailMessage makes of a message that lies somewhere what the gate takes: line ends as in SMTP, and the header apart. A
// header that is broken ends where it breaks; what follows is text.
func mailMessage(raw []byte, at time.Time) *milter.Message {
	m := &milter.Message{Received: at}
	if bytes.HasPrefix(raw, []byte("From ")) { // the line that an mbox begins a message with
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			raw = raw[i+1:]
		}
	}
	if bytes.Count(raw, []byte("\n")) != bytes.Count(raw, []byte("\r\n")) {
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	}
	m.Raw = raw
	for at := 0; at < len(raw) && len(m.Headers) < milter.MaxHeaders; {
		end := fieldEnd(raw, at)
		if end < 0 || end > milter.MaxHeaderBytes {
			break
		}
		name, value, ok := bytes.Cut(raw[at:end-2], []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\n") {
			break
		}
		m.Headers = append(m.Headers, milter.Field{Name: string(name), Value: string(value)})
		at = end
	}
	return m
}

// fieldEnd returns where the field that begins at a place ends, its CRLF included; -1: none ends.
func fieldEnd(raw []byte, at int) int {
	for end := at; ; {
		n := bytes.Index(raw[end:], []byte("\r\n"))
		if n < 0 {
			return -1
		}
		if end += n + 2; end >= len(raw) || raw[end] != ' ' && raw[end] != '\t' {
			return end
		}
	}
}

// behind reports whether the queue of records is nearly full.
func (m *mailGate) behind() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue) >= maxMailRecords/2 || m.bytes >= maxMailBytes/2
}

// flushed waits until the records that are queued now are on the bus.
func (m *mailGate) flushed(ctx context.Context) error {
	m.mu.Lock()
	want := m.queued
	for m.sent < want {
		moved := m.moved
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the record of a judged mail to reach the bus: %w", ctx.Err())
		case <-moved:
		}
		m.mu.Lock()
	}
	m.mu.Unlock()
	return nil
}

// wasSent notes that records have left the queue. The lock is held.
func (m *mailGate) wasSent(n int) {
	m.sent += int64(n)
	close(m.moved)
	m.moved = make(chan struct{})
}

// closeLedgers closes the lists of delivered mail.
func (f *deliveredMail) closeLedgers() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []error
	for _, id := range sortedTenants(f.ledgers) {
		all = append(all, f.ledgers[id].Close())
	}
	clear(f.ledgers)
	return errors.Join(all...)
}

func sortedTenants[V any](m map[tenant.ID]V) []tenant.ID {
	out := make([]tenant.ID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
