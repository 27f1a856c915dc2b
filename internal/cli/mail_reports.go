package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// newMailReports is `breakwater mail reports`.
func newMailReports(c *console) *cobra.Command {
	var p sweptPlace
	var format string
	cmd := &cobra.Command{
		Use:   "reports",
		Short: "Take in the mail that users report as phishing, once through",
		Long: `Take in the mail that users report as phishing: once through the inboxes of a tenant's mailboxes of kind reports.
Attached messages and .eml files, and as far as it can be told forwarded text, are judged and kept, sealed, in the data
folder; the reporter is answered with the outcome where the mailbox names a server under thanks; the report goes to the
folder of what is handled. Nobody outside the tenant's domains is answered, no machine, and nobody too often.

For each reported message the sweep that finds its delivered copies is printed; it changes nothing until --apply.`,
		Example: `  breakwater mail reports --config breakwater.yaml --data data --tenant acme
  breakwater mail reports --config breakwater.yaml --data data --tenant acme -o jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			list, err := takeReports(cmd.Context(), c, &p)
			if perr := printList(c.out, format, list, reportColumns); perr != nil {
				return perr
			}
			return err
		},
	}
	p.flags(cmd)
	outputFlag(cmd, &format)
	return cmd
}

var reportColumns = []listColumn[sweep.Report]{
	{"reporter", func(r sweep.Report) string { return r.Reporter }},
	{"verdict", func(r sweep.Report) string { return r.Verdict.Verdict }},
	{"score", func(r sweep.Report) string {
		if r.Verdict.Verdict == "" {
			return ""
		}
		return strconv.FormatFloat(r.Verdict.Score, 'f', 4, 64)
	}},
	{"from", func(r sweep.Report) string { return r.From }},
	{"subject", func(r sweep.Report) string { return r.Subject }},
	{"message_id", func(r sweep.Report) string { return r.MessageID }},
	{"held_as", func(r sweep.Report) string { return r.HeldAs }},
	{"thanked", func(r sweep.Report) string { return strconv.FormatBool(r.Thanked) }},
	{"similar", func(r sweep.Report) string {
		if r.Similar == nil {
			return ""
		}
		return "--indicator " + strings.Join(r.Similar.Criteria.Indicators, " --indicator ")
	}},
	{"problem", func(r sweep.Report) string { return r.Problem }},
}

func takeReports(ctx context.Context, c *console, p *sweptPlace) (list []sweep.Report, err error) {
	f, owner, err := p.open()
	if err != nil {
		return nil, err
	}
	boxes := f.Mail.MailboxesOf(owner.ID, config.MailboxReports)
	if len(boxes) == 0 {
		return nil, fmt.Errorf("%s has no mailbox of kind reports for %s; add one under mail.mailboxes", p.config, owner.ID)
	}
	judge, err := judgeOf(c, f, p.data)
	if err != nil {
		return nil, err
	}
	store, err := quarantine.Open(filepath.Join(p.data, "mail", "reported"), f.Mail.Hold.Retention)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	held, err := store.Box(owner.ID)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, b := range boxes {
		o := sweep.DeskOptions{Tenant: owner.ID, Domains: owner.Domains, State: p.state(), Judge: judge, Keep: held, Log: quietLog(c),
			Told: func(r *sweep.Report) { list = append(list, *r) }}
		if b.Thanks != nil {
			o.Sender = sweep.MailSender{To: *b.Thanks}
		}
		if err := takeFrom(ctx, c, p, b, o); err != nil {
			problems = append(problems, err)
		}
	}
	return list, errors.Join(problems...)
}

func takeFrom(ctx context.Context, c *console, p *sweptPlace, b config.Mailbox, o sweep.DeskOptions) (err error) {
	desk, err := sweep.OpenDesk(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.Close()) }()
	t, err := sweep.NewTaker(sweep.TakerOptions{Tenant: o.Tenant, Mailbox: b, State: p.state(), Handle: desk.Handle, Log: quietLog(c)})
	if err != nil {
		return err
	}
	return takeOnce(ctx, c, t, b.Name)
}

// takeOnce makes a pass and says how it went.
func takeOnce(ctx context.Context, c *console, t *sweep.Taker, name string) error {
	res, err := t.Take(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s: %d messages handled, %d left, %d given up\n", name, res.Handled, res.Left, res.Given)
	for _, x := range res.Problems {
		fmt.Fprintln(c.err, clean(x))
	}
	if res.Left+res.Given > 0 {
		return fmt.Errorf("mailbox %s: %d messages could not be handled", name, res.Left+res.Given)
	}
	return nil
}
