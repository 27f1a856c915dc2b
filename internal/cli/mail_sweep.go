package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// sweptPlace is whose mailboxes are worked on, and where it is remembered.
type sweptPlace struct{ config, tenant, data string }

func (p *sweptPlace) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.config, "config", "", "`FILE` that declares tenants and, under mail, their mailboxes")
	cmd.Flags().StringVar(&p.tenant, "tenant", "", "`TENANT` whose mailboxes they are; needed where there are several")
	cmd.Flags().StringVar(&p.data, "data", "", "data `FOLDER` in which sweeps are remembered, that of `breakwater serve` where there is one")
	_ = cmd.MarkFlagRequired("config")
	_ = cmd.MarkFlagRequired("data")
}

// state is where sweeps are remembered in a data folder.
func (p *sweptPlace) state() string { return filepath.Join(p.data, "mail", "sweeps") }

// open reads the configuration and settles on one tenant.
func (p *sweptPlace) open() (*config.File, *tenant.Tenant, error) {
	f, err := config.Load(p.config)
	if err != nil {
		return nil, nil, err
	}
	if f.Mail == nil {
		return nil, nil, fmt.Errorf("%s has no mail section; name mailboxes under mail.mailboxes", p.config)
	}
	list := f.Model.Tenants
	if p.tenant == "" && len(list) == 1 {
		return f, &list[0], nil
	}
	for i := range list {
		if string(list[i].ID) == p.tenant {
			return f, &list[i], nil
		}
	}
	if p.tenant == "" {
		return nil, nil, usage("--tenant: %s declares %d tenants; say whose mailboxes are meant", p.config, len(list))
	}
	return nil, nil, usage("--tenant: %s declares no tenant %q", p.config, p.tenant)
}

func (p *sweptPlace) sweeper(c *console, f *config.File, id tenant.ID, plain bool, judge sweep.Judge) (*sweep.Sweeper, error) {
	return sweep.New(sweep.Options{Tenant: id, Mailboxes: f.Mail.MailboxesOf(id, config.MailboxSweep), State: p.state(), Judge: judge, PlainExpunge: plain, Log: quietLog(c)})
}

func quietLog(c *console) *slog.Logger {
	return slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError}))
}

// judgeOf makes a judge with what serve has learned of senders in the data folder; nothing is learned from it.
func judgeOf(c *console, f *config.File, data string) (sweep.Judge, error) {
	s, err := mailgate.NewScorer(f.Model, filepath.Join(data, "mail", "habits"), func(m *tenant.Model) (mailgate.Detector, error) {
		d := newPhish(m)
		if f.Mail.Model != "" {
			trained, err := readModel(f.Mail.Model)
			if err != nil {
				return nil, err
			}
			d.UseModel(trained)
		}
		return d, nil
	}, func(what string) { fmt.Fprintln(c.err, "damage:", what) })
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, id tenant.ID, raw []byte) ocsf.MailVerdict {
		e, reason := mail.Message(raw)
		if e == nil {
			return ocsf.MailVerdict{Verdict: "suspicious", Score: 0.5, Reasons: []ocsf.MailReason{{Name: "unparsable", Text: "it cannot be read: " + reason}}}
		}
		e.Tenant = id
		v, err := s.Judge(ctx, e)
		if err != nil {
			return ocsf.MailVerdict{Verdict: "suspicious", Score: 0.5, Reasons: []ocsf.MailReason{{Name: "unjudged", Text: err.Error()}}}
		}
		if p := f.Mail.Policy(id, e.User.Name); p.Threshold > 0 && v.Verdict != "suspicious" {
			v.Verdict, v.Threshold = "clean", p.Threshold
			if v.Score >= p.Threshold {
				v.Verdict = "phish"
			} else if p.SuspiciousThreshold > 0 && v.Score >= p.SuspiciousThreshold {
				v.Verdict = "suspicious"
			}
		}
		return v
	}, nil
}

type sweepFlags struct {
	sweptPlace
	remote
	ids, indicators, from, subjects     []string
	verdict, campaign, result           string
	since, until, output, list, answers string
	folder                              string
	apply, again, plain                 bool
	maxMessages, connections            int
	maxBytes                            int64
	within                              time.Duration
}

// newMailSweep is `breakwater mail sweep`.
func newMailSweep(c *console) *cobra.Command {
	var f sweepFlags
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "Move delivered phishing from mailboxes to quarantine, and back",
		Long: `Move delivered phishing from the mailboxes of a tenant to a quarantine folder of each, over IMAP, and back.
Which messages: by Message-ID, by indicator (URL, host or domain, sender, SHA-256 of an attachment, or a file with one a
line), by sender or subject, by the indicators of a campaign, or by verdict, which judges the delivered mail anew. Of
several flags all must fit; of several values of one flag any.

Without --apply nothing is changed: what would be moved is printed. With it messages are moved, and no other is touched;
none is marked as read. A sweep that is cut off is finished by the next one. What ` + "`mail sweep undo`" + ` has put back is left
where it is, unless --again is given.

--list writes the copies that journal reports have told of, in place of moving them: for tenants whose mailboxes are not
reached by IMAP. See docs/mail.md.`,
		Example: `  breakwater mail sweep --config breakwater.yaml --data data --tenant acme --message-id '<x@y.example>'
  breakwater mail sweep --config breakwater.yaml --data data --tenant acme --indicator iocs.txt --since 7d --apply
  breakwater mail sweep --config breakwater.yaml --data data --tenant acme --verdict phish --since 48h -o csv
  breakwater mail sweep --config breakwater.yaml --data data --tenant acme --verdict phish --list graph-script > move.sh
  breakwater mail sweep undo 20260601 --config breakwater.yaml --data data --tenant acme`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q for \"breakwater mail sweep\"", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return runSweep(cmd, c, &f) },
	}
	f.sweptPlace.flags(cmd)
	f.remote.flags(cmd)
	cmd.Flags().StringArrayVar(&f.ids, "message-id", nil, "`ID` of the message (may be repeated)")
	cmd.Flags().StringArrayVar(&f.indicators, "indicator", nil, "URL, host, sender or SHA-256, or a `FILE` with one a line (may be repeated)")
	cmd.Flags().StringArrayVar(&f.from, "from", nil, "`ADDRESS` or domain of the sender (may be repeated)")
	cmd.Flags().StringArrayVar(&f.subjects, "subject", nil, "whole `SUBJECT`, in any case (may be repeated)")
	cmd.Flags().StringVar(&f.verdict, "verdict", "", "phish, or suspicious for both: judge delivered mail anew")
	cmd.Flags().StringVar(&f.campaign, "campaign", "", "`ID` of a campaign whose domains and senders are looked for; with --result or --server")
	cmd.Flags().StringVar(&f.result, "result", "", "result.json of a scan, in which the campaign is")
	cmd.Flags().StringVar(&f.since, "since", "", "got since: RFC 3339, a day, or how long ago, such as 48h or 7d")
	cmd.Flags().StringVar(&f.until, "until", "", "got before")
	cmd.Flags().BoolVar(&f.apply, "apply", false, "move what is found; without it nothing is changed")
	cmd.Flags().BoolVar(&f.again, "again", false, "also take what an undo has put back")
	cmd.Flags().BoolVar(&f.plain, "plain-expunge", false, "on servers without MOVE and UIDPLUS, expunge where nothing else is marked as deleted")
	cmd.Flags().IntVar(&f.maxMessages, "max-messages", 10_000, "stop after so many messages")
	cmd.Flags().Int64Var(&f.maxBytes, "max-bytes", 4<<30, "stop after so many bytes of messages read")
	cmd.Flags().IntVar(&f.connections, "connections", 4, "mailboxes that are worked on at once")
	cmd.Flags().DurationVar(&f.within, "within", time.Hour, "stop after this time")
	cmd.Flags().StringVar(&f.list, "list", "", "csv, graph or graph-script: write the copies that journal reports told of, and move nothing")
	cmd.Flags().StringVar(&f.answers, "answers", "", "with --list graph: `FILE` of Graph's answers, for which the moves are written")
	cmd.Flags().StringVar(&f.folder, "folder", "junkemail", "with --list graph-script or --answers: the folder to move to, as Graph names it")
	outputFlag(cmd, &f.output)
	cmd.AddCommand(newSweepList(c), newSweepShow(c), newSweepAccept(c), newSweepUndo(c))
	return cmd
}

var sweepColumns = []listColumn[sweep.Move]{
	{"mailbox", func(m sweep.Move) string { return m.Mailbox }},
	{"folder", func(m sweep.Move) string { return m.Folder }},
	{"state", func(m sweep.Move) string { return string(m.State) }},
	{"got", func(m sweep.Move) string { return utcText(m.Date) }},
	{"from", func(m sweep.Move) string { return m.From }},
	{"subject", func(m sweep.Move) string { return m.Subject }},
	{"message_id", func(m sweep.Move) string { return m.MessageID }},
	{"why", func(m sweep.Move) string { return cmp.Or(m.Problem, m.Why) }},
}

var sweepRunColumns = []listColumn[sweep.Run]{
	{"run", func(r sweep.Run) string { return r.ID }},
	{"kind", func(r sweep.Run) string { return string(r.Kind) }},
	{"began", func(r sweep.Run) string { return utcText(r.Began) }},
	{"ended", func(r sweep.Run) string { return utcText(r.Ended) }},
	{"by", func(r sweep.Run) string { return r.By }},
	{"messages", func(r sweep.Run) string {
		if r.Kind == sweep.KindOffer {
			return strconv.Itoa(len(r.Moves))
		}
		n := 0
		for _, m := range r.Moves {
			if m.State == sweep.Moved {
				n++
			}
		}
		return strconv.Itoa(n)
	}},
	{"why", func(r sweep.Run) string { return r.Why }},
}

func runSweep(cmd *cobra.Command, c *console, f *sweepFlags) error {
	if err := checkFormat(f.output); err != nil {
		return err
	}
	if f.list != "" && f.list != "csv" && f.list != "graph" && f.list != "graph-script" {
		return usage("--list %s: use csv, graph or graph-script", f.list)
	}
	if f.list != "" && f.apply {
		return usage("--list and --apply: a list moves nothing; use one")
	}
	if f.answers != "" && f.list != "graph" {
		return usage("--answers: it goes with --list graph")
	}
	if f.maxMessages < 1 || f.maxBytes < 1 || f.connections < 1 || f.connections > 64 || f.within <= 0 {
		return usage("a limit of a sweep must be above 0, and --connections at most 64")
	}
	file, owner, err := f.open()
	if err != nil {
		return err
	}
	crit, err := f.criteria(cmd, file, owner.ID, time.Now())
	if err != nil {
		return err
	}
	if f.list != "" {
		return f.writeList(c, owner.ID, crit)
	}
	var judge sweep.Judge
	if crit.Verdict != "" {
		if judge, err = judgeOf(c, file, f.data); err != nil {
			return err
		}
	}
	s, err := f.sweeper(c, file, owner.ID, f.plain, judge)
	if err != nil {
		return err
	}
	why := ""
	if f.campaign != "" {
		why = "campaign " + f.campaign
	}
	res, err := s.Run(cmd.Context(), sweep.Request{Criteria: crit, Apply: f.apply, By: operatorName(), Why: why, Again: f.again,
		Limits: sweep.Limits{Messages: f.maxMessages, Bytes: f.maxBytes, Time: f.within, Connections: f.connections}})
	return printSweep(c, f.output, res, err)
}

// printSweep prints what a run did, and ends with an error where mailboxes were left out.
func printSweep(c *console, format string, res *sweep.Result, err error) error {
	if res == nil {
		return err
	}
	if format == "json" {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		if res.Messages == nil {
			res.Messages = []sweep.Move{}
		}
		if perr := enc.Encode(res); perr != nil {
			return perr
		}
	} else if perr := printList(c.out, format, res.Messages, sweepColumns); perr != nil {
		return perr
	}
	if res.Finished > 0 {
		fmt.Fprintf(c.err, "%d messages of an earlier run that was cut off are settled now.\n", res.Finished)
	}
	switch {
	case err != nil:
		return err
	case res.Run != "":
		fmt.Fprintf(c.err, "This is run %s; `breakwater mail sweep undo %s` puts back what it moved.\n", res.Run, res.Run)
	case len(res.Messages) > 0 && !res.Applied:
		fmt.Fprintf(c.err, "%d messages would be moved; --apply moves them.\n", len(res.Messages))
	}
	if len(res.Problems) == 0 {
		return nil
	}
	for _, p := range res.Problems {
		fmt.Fprintln(c.err, clean(p))
	}
	return fmt.Errorf("%d of %d mailboxes were not swept to their end", min(len(res.Problems), res.Boxes), res.Boxes)
}

func operatorName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "operator"
}

// writeList writes the copies that journal reports told of.
func (f *sweepFlags) writeList(c *console, id tenant.ID, crit sweep.Criteria) error {
	l, err := sweep.OpenLedger(f.state(), id)
	if err != nil {
		return err
	}
	list, err := l.Find(crit, f.maxMessages)
	if err = errors.Join(err, l.Close()); err != nil {
		return err
	}
	switch {
	case f.list == "csv":
		return sweep.WriteCSV(c.out, list)
	case f.list == "graph-script":
		if err := sweep.WriteGraphScript(c.out, list, f.folder); err != nil {
			return err
		}
		fmt.Fprintf(c.err, "%d copies. Run it as TOKEN=... sh FILE; it finds them and moves them to %s.\n", len(list), f.folder)
		return nil
	case f.answers == "":
		if err := sweep.WriteGraphSearch(c.out, list); err != nil {
			return err
		}
		fmt.Fprintf(c.err, "%d copies. POST each line to https://graph.microsoft.com/v1.0/$batch and give the answers to --answers, with the same flags.\n", len(list))
		return nil
	}
	a, err := os.Open(f.answers)
	if err != nil {
		return fmt.Errorf("opening Graph's answers: %w", err)
	}
	defer a.Close()
	n, problems, err := sweep.WriteGraphMoves(c.out, list, a, f.folder)
	for _, p := range problems {
		fmt.Fprintln(c.err, clean(p))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%d of %d copies were found. POST each line to https://graph.microsoft.com/v1.0/$batch to move them to %s.\n", n, len(list), f.folder)
	return nil
}

func newSweepList(c *console) *cobra.Command {
	var p sweptPlace
	var format string
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the sweeps of a tenant, what was put back and what is offered, newest first",
		Example: "  breakwater mail sweep list --config breakwater.yaml --data data --tenant acme",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			s, err := p.remembered(c)
			if err != nil {
				return err
			}
			runs, err := s.List(limit)
			if err != nil {
				return err
			}
			return printList(c.out, format, runs, sweepRunColumns)
		},
	}
	p.flags(cmd)
	outputFlag(cmd, &format)
	cmd.Flags().IntVar(&limit, "limit", 100, "print so many; 0: all")
	return cmd
}

// remembered is a sweeper for what is in the data folder.
func (p *sweptPlace) remembered(c *console) (*sweep.Sweeper, error) {
	f, owner, err := p.open()
	if err != nil {
		return nil, err
	}
	return p.sweeper(c, f, owner.ID, false, nil)
}

func oneRun(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("name one run; `breakwater mail sweep list` lists them")
	}
	return nil
}

func newSweepShow(c *console) *cobra.Command {
	var p sweptPlace
	var format string
	cmd := &cobra.Command{
		Use:     "show RUN",
		Short:   "Show the messages of a sweep",
		Example: "  breakwater mail sweep show 20260601T120000Z-a1b2c3 --config breakwater.yaml --data data --tenant acme",
		Args:    oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			s, err := p.remembered(c)
			if err != nil {
				return err
			}
			r, err := s.Show(args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return printOne(c.out, format, r, sweepRunColumns)
			}
			return printList(c.out, format, r.Moves, sweepColumns)
		},
	}
	p.flags(cmd)
	outputFlag(cmd, &format)
	return cmd
}

func newSweepUndo(c *console) *cobra.Command {
	var p sweptPlace
	var format string
	var plain bool
	cmd := &cobra.Command{
		Use:   "undo RUN",
		Short: "Put back what a sweep moved, with its flags and dates",
		Long: `Put back what a sweep moved, into the folders it came from, with the flags and dates it had. An undo that is cut
off is finished by the next one. Later sweeps leave these messages where they are, unless --again is given.`,
		Example: "  breakwater mail sweep undo 20260601T120000Z-a1b2c3 --config breakwater.yaml --data data --tenant acme",
		Args:    oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			f, owner, err := p.open()
			if err != nil {
				return err
			}
			s, err := p.sweeper(c, f, owner.ID, plain, nil)
			if err != nil {
				return err
			}
			res, err := s.Undo(cmd.Context(), args[0], operatorName())
			if res != nil {
				res.Run = "" // an undo is not undone, but swept again
			}
			return printSweep(c, format, res, err)
		},
	}
	p.flags(cmd)
	cmd.Flags().BoolVar(&plain, "plain-expunge", false, "on servers without MOVE and UIDPLUS, expunge where nothing else is marked as deleted")
	outputFlag(cmd, &format)
	return cmd
}
