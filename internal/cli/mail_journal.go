package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/journal"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// newMailJournal is `breakwater mail journal`.
func newMailJournal(c *console) *cobra.Command {
	return noun("journal", "Take in copies of mail that Microsoft 365, Google or Exchange send", newJournalRead(c), newJournalTake(c), newJournalListen(c))
}

// journalLine is what is printed of a journalled message.
type journalLine struct {
	File       string       `json:"file,omitempty"`
	Tenant     tenant.ID    `json:"tenant,omitempty"`
	Kind       string       `json:"kind"`
	Sender     string       `json:"sender"`
	Recipients []string     `json:"recipients"`
	MessageID  string       `json:"message_id"`
	Subject    string       `json:"subject"`
	Verdict    string       `json:"verdict,omitempty"`
	Score      float64      `json:"score"`
	Reasons    []mailReason `json:"reasons"`
	Unread     string       `json:"unread,omitempty"`
	Problem    string       `json:"problem,omitempty"`
}

var journalColumns = []listColumn[journalLine]{
	{"file", func(l journalLine) string { return l.File }},
	{"tenant", func(l journalLine) string { return string(l.Tenant) }},
	{"kind", func(l journalLine) string { return l.Kind }},
	{"verdict", func(l journalLine) string { return l.Verdict }},
	{"sender", func(l journalLine) string { return l.Sender }},
	{"recipients", func(l journalLine) string { return strings.Join(l.Recipients, " ") }},
	{"message_id", func(l journalLine) string { return l.MessageID }},
	{"subject", func(l journalLine) string { return l.Subject }},
	{"problem", func(l journalLine) string { return strings.TrimSpace(l.Problem + " " + l.Unread) }},
}

func lineOfReport(r *journal.Report) journalLine {
	return journalLine{Kind: string(r.Kind), Sender: r.Sender, Recipients: r.Addresses(), MessageID: r.MessageID, Subject: r.Subject, Unread: r.Unread, Reasons: []mailReason{}}
}

func newJournalRead(c *console) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "read FILE…",
		Short: "Show the envelopes of journal reports in files",
		Long: `Show the envelopes of journal reports and routing copies in files: who sent a message, and who got it, as the
system that journals says. Use it on dead letters, and before a journal is switched on.`,
		Example: "  breakwater mail journal read data/mail/journal/acme/*.eml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("mail journal read needs at least one file")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			var lines []journalLine
			bad := 0
			for _, name := range args {
				raw, err := readCapped(name, 150<<20)
				if err != nil {
					return fmt.Errorf("reading a journal report: %w", err)
				}
				r, err := journal.Parse(raw, journal.Envelope{})
				if err != nil {
					lines = append(lines, journalLine{File: name, Recipients: []string{}, Reasons: []mailReason{}, Problem: err.Error()})
					bad++
					continue
				}
				l := lineOfReport(r)
				l.File = name
				lines = append(lines, l)
			}
			if err := printList(c.out, format, lines, journalColumns); err != nil {
				return err
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d files can't be read as journal reports", bad, len(args))
			}
			return nil
		},
	}
	outputFlag(cmd, &format)
	return cmd
}

// observer judges journalled mail and notes what was delivered; it moves nothing.
type observer struct {
	c      *console
	file   *config.File
	place  *sweptPlace
	judge  sweep.Judge
	mu     sync.Mutex
	ledger map[tenant.ID]*sweep.Ledger
	enc    *json.Encoder
}

func newObserver(c *console, p *sweptPlace, f *config.File) (*observer, error) {
	judge, err := judgeOf(c, f, p.data)
	if err != nil {
		return nil, err
	}
	return &observer{c: c, file: f, place: p, judge: judge, ledger: map[tenant.ID]*sweep.Ledger{}, enc: json.NewEncoder(c.out)}, nil
}

// Close closes the lists of delivered mail.
func (o *observer) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []error
	for _, l := range o.ledger {
		all = append(all, l.Close())
	}
	return errors.Join(all...)
}

// handle judges one copy, notes the tenant's own mailboxes that got it, and prints a line.
func (o *observer) handle(ctx context.Context, d journal.Delivery) error {
	line := lineOfReport(d.Report)
	line.Tenant = d.Tenant
	v := o.judge(ctx, d.Tenant, d.Report.Raw)
	if err := ctx.Err(); err != nil {
		return err
	}
	line.Verdict, line.Score = v.Verdict, v.Score
	for _, r := range v.Reasons {
		line.Reasons = append(line.Reasons, mailReason{r.Name, r.Weight, r.Text})
	}
	var own []string
	for _, a := range d.Report.Addresses() {
		_, host, _ := strings.Cut(a, "@")
		if id, _ := o.file.Model.DomainOwner(host); id == d.Tenant {
			own = append(own, a)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e, _ := mail.Message(d.Report.Raw); e != nil && len(own) > 0 {
		l := o.ledger[d.Tenant]
		if l == nil {
			var err error
			if l, err = sweep.OpenLedger(o.place.state(), d.Tenant); err != nil {
				return err
			}
			o.ledger[d.Tenant] = l
		}
		if err := l.Add(sweep.DeliveredOf(e, &v, own)); err != nil {
			return err
		}
	}
	return o.enc.Encode(line)
}

func (p *sweptPlace) dead() *journal.DeadLetters {
	return journal.NewDeadLetters(filepath.Join(p.data, "mail", "journal"), nil)
}

func newJournalTake(c *console) *cobra.Command {
	var p sweptPlace
	cmd := &cobra.Command{
		Use:   "take",
		Short: "Take in the journal reports of a tenant's journal mailboxes, once through",
		Long: `Take in the journal reports of a tenant's mailboxes of kind journal, once through: each message is judged, noted
for ` + "`mail sweep --list`" + `, and printed as a line of JSON; nothing is held or moved but the report itself, which goes to the
folder of what is handled.`,
		Example: "  breakwater mail journal take --config breakwater.yaml --data data --tenant acme",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			f, owner, err := p.open()
			if err != nil {
				return err
			}
			boxes := f.Mail.MailboxesOf(owner.ID, config.MailboxJournal)
			if len(boxes) == 0 {
				return fmt.Errorf("%s has no mailbox of kind journal for %s; add one under mail.mailboxes", p.config, owner.ID)
			}
			o, err := newObserver(c, &p, f)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, o.Close()) }()
			dead := p.dead()
			var problems []error
			for _, b := range boxes {
				t, err := sweep.NewTaker(sweep.TakerOptions{Tenant: owner.ID, Mailbox: b, State: p.state(), Log: quietLog(c),
					Handle: func(ctx context.Context, m sweep.Taken) error {
						_, err := journal.Take(ctx, journal.Delivery{Tenant: m.Tenant, Whole: m.Raw}, o.handle, dead)
						return err
					}})
				if err == nil {
					err = takeOnce(cmd.Context(), c, t, b.Name)
				}
				if err != nil {
					problems = append(problems, err)
				}
			}
			return errors.Join(problems...)
		},
	}
	p.flags(cmd)
	return cmd
}

func newJournalListen(c *console) *cobra.Command {
	var p sweptPlace
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Receive journal reports by SMTP, judge them and print a line for each",
		Long: `Receive journal reports by SMTP, as mail.journal of the configuration says, until it is stopped. Senders that are
bound to no tenant are refused. Each message is judged, noted for ` + "`mail sweep --list`" + `, and printed as a line of JSON. What
can't be read is kept as a dead letter in the data folder.`,
		Example: "  breakwater mail journal listen --config breakwater.yaml --data data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			f, err := config.Load(p.config)
			if err != nil {
				return err
			}
			if f.Mail == nil || f.Mail.Journal == nil {
				return fmt.Errorf("%s has no mail.journal section", p.config)
			}
			o, err := newObserver(c, &p, f)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, o.Close()) }()
			s, err := journal.Listen(journal.Options{Config: *f.Mail.Journal, Name: f.Mail.ID, Handle: o.handle, Dead: p.dead(), Log: quietLog(c)})
			if err != nil {
				return err
			}
			fmt.Fprintf(c.err, "Journal reports are received at %s.\n", s.Addr())
			stop := context.AfterFunc(cmd.Context(), func() { _ = s.Close() })
			defer stop()
			return s.Serve()
		},
	}
	p.flags(cmd)
	return cmd
}
