package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// newMailQuarantine is `breakwater mail quarantine`.
func newMailQuarantine(c *console) *cobra.Command {
	return noun("quarantine", "List, show, release, delete and report held mail",
		newHeldList(c), newHeldShow(c), newHeldAct(c, heldRelease), newHeldAct(c, heldDelete), newHeldReport(c), newHeldSimilar(c), newHeldAudit(c))
}

var heldColumns = []listColumn[api.HeldMail]{
	{"name", func(m api.HeldMail) string { return m.Name }},
	{"held", func(m api.HeldMail) string { return utcText(m.Time) }},
	{"tenant", func(m api.HeldMail) string { return string(m.Tenant) }},
	{"state", func(m api.HeldMail) string { return m.State }},
	{"verdict", func(m api.HeldMail) string { return m.Verdict }},
	{"score", func(m api.HeldMail) string { return strconv.FormatFloat(m.Score, 'f', 4, 64) }},
	{"from", func(m api.HeldMail) string { return quarantine.Printable(m.From) }},
	{"subject", func(m api.HeldMail) string { return quarantine.Printable(m.Subject) }},
	{"reason", func(m api.HeldMail) string {
		if len(m.Reasons) == 0 {
			return ""
		}
		return quarantine.Printable(m.Reasons[0].Text)
	}},
}

var heldSimilarColumns = []listColumn[api.HeldSimilar]{
	{"name", func(m api.HeldSimilar) string { return m.Name }},
	{"held", func(m api.HeldSimilar) string { return utcText(m.Time) }},
	{"tenant", func(m api.HeldSimilar) string { return string(m.Tenant) }},
	{"state", func(m api.HeldSimilar) string { return m.State }},
	{"from", func(m api.HeldSimilar) string { return quarantine.Printable(m.From) }},
	{"subject", func(m api.HeldSimilar) string { return quarantine.Printable(m.Subject) }},
	{"alike in", func(m api.HeldSimilar) string { return quarantine.Printable(strings.Join(m.Why, ", ")) }},
}

var heldAuditColumns = []listColumn[quarantine.Entry]{
	{"time", func(e quarantine.Entry) string { return utcText(e.Time) }},
	{"tenant", func(e quarantine.Entry) string { return string(e.Tenant) }},
	{"name", func(e quarantine.Entry) string { return e.Item }},
	{"act", func(e quarantine.Entry) string { return e.Act }},
	{"by", func(e quarantine.Entry) string { return quarantine.Printable(e.By) }},
	{"note", func(e quarantine.Entry) string { return quarantine.Printable(e.Note) }},
}

// heldFilter are the flags that choose held mail.
type heldFilter struct{ tenant, state, from, text, since string }

func (f *heldFilter) flags(cmd *cobra.Command, state bool) {
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "of this tenant alone")
	if state {
		cmd.Flags().StringVar(&f.state, "state", "held", "held, releasing, released, deleting, deleted or all")
	}
	cmd.Flags().StringVar(&f.from, "from", "", "part of the sender's address or name")
	cmd.Flags().StringVar(&f.text, "text", "", "part of subject, sender or recipient")
	cmd.Flags().StringVar(&f.since, "since", "", "held since: RFC 3339, a day, or how long ago, such as 24h or 7d")
}

func (f *heldFilter) query() (url.Values, error) {
	q := url.Values{}
	for k, v := range map[string]string{"tenant": f.tenant, "state": f.state, "from": f.from, "text": f.text, "since": f.since} {
		if v != "" && !(k == "state" && v == "all") {
			q.Set(k, v)
		}
	}
	if s := q.Get("state"); s != "" && !slices.Contains(quarantine.States, quarantine.State(s)) {
		return nil, usage("--state %s: use held, releasing, released, deleting, deleted or all", s)
	}
	return q, nil
}

// list pages through held mail that matches; limit 0 is all.
func (f *heldFilter) list(cmd *cobra.Command, s *client, limit int) (list []json.RawMessage, more bool, err error) {
	query, err := f.query()
	if err != nil {
		return nil, false, err
	}
	return pages(cmd, s, "/quarantine", "messages", query, limit)
}

func outputFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVarP(format, "output", "o", "table", "output format: table|json|jsonl|csv")
}

func newHeldList(c *console) *cobra.Command {
	var at heldPlace
	var f heldFilter
	var format string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List held mail, newest first",
		Example: `  breakwater mail quarantine list --since 24h
  breakwater mail quarantine list --state all --from billing@ -o csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkList(cmd, format, &limit); err != nil {
				return err
			}
			return at.with(cmd, c, func(s *client) error {
				list, more, err := f.list(cmd, s, limit)
				if err != nil {
					return err
				}
				return printPages(c, format, list, more, heldColumns)
			})
		},
	}
	at.flags(cmd)
	f.flags(cmd, true)
	limitFlag(cmd, &limit, "")
	outputFlag(cmd, &format)
	return cmd
}

// heldPath is where a message is found below /api/v1.
func heldPath(name, more string) (string, error) {
	if name == "" || strings.Trim(name, "0123456789abcdef") != "" || len(name) < 4 || len(name) > 64 {
		return "", usage("%q is no name of held mail: use one that `mail quarantine list` prints, or the first 4 or more digits of it", name)
	}
	return "/quarantine/" + name + more, nil
}

func newHeldShow(c *console) *cobra.Command {
	var at heldPlace
	var format string
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one held message: header, text, reasons, links and files",
		Long: `Show one held message: header, text, reasons with their weights, links with where they lead, and files. Its HTML is
never rendered, nothing in it is fetched, and what would drive a terminal is made visible. That it was read is noted.`,
		Example: "  breakwater mail quarantine show 1d9dbe68",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			path, err := heldPath(args[0], "")
			if err != nil {
				return err
			}
			return at.with(cmd, c, func(s *client) error {
				var raw json.RawMessage
				if err := s.call(cmd.Context(), http.MethodGet, path, nil, nil, &raw); err != nil {
					return err
				}
				if format != "table" {
					return printOneAnswer(c.out, format, raw, heldColumns)
				}
				var m api.HeldText
				if err := json.Unmarshal(raw, &m); err != nil {
					return fmt.Errorf("reading what the server sent: %w", err)
				}
				return printLines(c.out, heldSheet(&m))
			})
		},
	}
	at.flags(cmd)
	outputFlag(cmd, &format)
	return cmd
}

// heldSheet writes a held message for people.
func heldSheet(m *api.HeldText) string {
	var b strings.Builder
	p := quarantine.Printable
	fact := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, value)
		}
	}
	fact("name", m.Name)
	fact("tenant", string(m.Tenant))
	state := m.State
	if m.By != "" {
		state += " by " + p(m.By)
	}
	if m.Feedback != "" {
		state += ", " + m.Feedback
	}
	fact("state", state)
	fact("held", utcText(m.Time)+", place "+m.Place+", until "+utcText(m.Expires))
	fact("queue id", p(m.QueueID))
	fact("mailbox", p(m.Mailbox))
	fact("envelope", p(m.EnvelopeFrom))
	to := strings.Join(m.Recipients, ", ")
	if m.MoreRecipients > 0 {
		to += fmt.Sprintf(" and %d more", m.MoreRecipients)
	}
	fact("recipients", p(to))
	fact("verdict", fmt.Sprintf("%s, score %.4f", m.Verdict, m.Score))
	fact("last try", p(m.Problem))
	for _, r := range m.Reasons {
		fmt.Fprintf(&b, "  %+5.1f  %s (%s)\n", r.Weight, p(r.Text), p(r.Name))
	}
	if !m.Kept {
		b.WriteString("\nIts text is gone.\n")
		return b.String()
	}
	b.WriteString("\n")
	for _, f := range m.Headers {
		fmt.Fprintf(&b, "%s: %s\n", p(f.Name), p(f.Value))
	}
	if m.MoreHeaders {
		b.WriteString("(and more fields)\n")
	}
	b.WriteString("\n")
	for line := range strings.Lines(m.Text) {
		b.WriteString("  | " + p(strings.TrimRight(line, "\n")) + "\n")
	}
	for _, x := range m.Problems {
		fmt.Fprintf(&b, "(%s)\n", p(x))
	}
	if len(m.Links) > 0 {
		b.WriteString("\nLinks:\n")
	}
	for _, l := range m.Links {
		where := ""
		if l.From != "" {
			where = " (in " + l.From + ")"
		}
		fmt.Fprintf(&b, "  %q leads to %s%s\n    %s\n", p(l.Text), p(l.Host), where, p(l.URL))
	}
	if len(m.Attachments) > 0 {
		b.WriteString("\nFiles:\n")
	}
	for _, a := range m.Attachments {
		fmt.Fprintf(&b, "  %q, %s, %d bytes, sha256 %s\n", p(a.Name), p(a.Type), a.Size, a.SHA256)
	}
	return b.String()
}

// heldVerb is release or delete.
type heldVerb struct{ verb, done, short, long string }

var (
	heldRelease = heldVerb{"release", "released", "Let held mail go on to its recipients",
		"Let held mail go on to its recipients: the mail server's command releases what waits in its queue, and what is kept here\nis given back by SMTP (mail.hold of the configuration)."}
	heldDelete = heldVerb{"delete", "deleted", "Delete held mail for good",
		"Delete held mail for good: its recipients never get it, and its text is gone. What is known of it stays until it expires."}
)

func newHeldAct(c *console, v heldVerb) *cobra.Command {
	var at heldPlace
	var f heldFilter
	var all, yes, falseAlarm bool
	cmd := &cobra.Command{
		Use:   v.verb + " [NAME…]",
		Short: v.short,
		Long:  v.long + "\nSeveral may be named, or all that are held and match filters with --all-matching, which asks first.",
		Example: "  breakwater mail quarantine " + v.verb + " 1d9dbe68 15fd35c4\n" +
			"  breakwater mail quarantine " + v.verb + " --all-matching --from news@shop.example --since 7d",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 == all {
				return usage("name the messages to %s, or --all-matching", v.verb)
			}
			if narrowed := f != (heldFilter{state: f.state}); narrowed && !all {
				return usage("--tenant, --from, --text and --since choose with --all-matching alone")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			return at.with(cmd, c, func(s *client) error {
				if all {
					f.state = string(quarantine.StateHeld)
					list, _, err := f.list(cmd, s, 0)
					if err != nil {
						return err
					}
					rows, err := read[api.HeldMail](list)
					if err != nil {
						return err
					}
					for _, m := range rows {
						names = append(names, m.Name)
					}
					if len(names) == 0 {
						return printLines(c.err, "Nothing that is held matches.\n")
					}
					if ok, err := confirm(c, yes, fmt.Sprintf("%s %d of held mail?", strings.ToUpper(v.verb[:1])+v.verb[1:], len(names))); err != nil || !ok {
						return err
					}
				}
				return actOnHeld(cmd, c, s, v, names, falseAlarm)
			})
		},
	}
	at.flags(cmd)
	f.flags(cmd, false)
	cmd.Flags().BoolVar(&all, "all-matching", false, "all held mail that --tenant, --from, --text and --since leave")
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	if v.verb == "release" {
		cmd.Flags().BoolVar(&falseAlarm, "false-alarm", false, "also report it as a false alarm, so that the scorer learns")
	}
	return cmd
}

// actOnHeld does the same with each message, goes on over those that fail, and says at the end how many did.
func actOnHeld(cmd *cobra.Command, c *console, s *client, v heldVerb, names []string, falseAlarm bool) error {
	n := 0
	var failed []error
	for _, name := range names {
		path, err := heldPath(name, "/"+v.verb)
		if err != nil {
			return err
		}
		var m api.HeldMail
		err = s.call(cmd.Context(), http.MethodPost, path, nil, nil, &m)
		if err == nil && falseAlarm {
			err = s.call(cmd.Context(), http.MethodPost, "/quarantine/"+m.Name+"/report", nil, map[string]string{"feedback": quarantine.FalseAlarm}, &m)
		}
		if cmd.Context().Err() != nil {
			return fmt.Errorf("stopped after %d of %d: %w", n, len(names), cmd.Context().Err())
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
			continue
		}
		n++
	}
	if len(names) > 1 || n == 1 {
		if err := printLines(c.err, fmt.Sprintf("%d %s.\n", n, v.done)); err != nil {
			return err
		}
	}
	if more := len(failed) - 10; more > 0 {
		failed = append(failed[:10], fmt.Errorf("and %d more", more))
	}
	return errors.Join(failed...)
}

// confirm asks, where there is somebody to ask.
func confirm(c *console, yes bool, question string) (bool, error) {
	if yes {
		return true, nil
	}
	f, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, usage("%s There is no terminal to ask on: say --yes", question)
	}
	fmt.Fprintf(c.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(io.LimitReader(c.in, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	return strings.EqualFold(strings.TrimSpace(line), "y") || strings.EqualFold(strings.TrimSpace(line), "yes"), nil
}

func newHeldReport(c *console) *cobra.Command {
	var at heldPlace
	var falseAlarm, missed bool
	cmd := &cobra.Command{
		Use:   "report NAME…",
		Short: "Say that mail was held wrongly, or should have been; the scorer learns from it",
		Example: `  breakwater mail quarantine report --false-alarm 1d9dbe68
  breakwater mail quarantine report --missed 15fd35c4`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("name the messages to report")
			}
			if falseAlarm == missed {
				return usage("say --false-alarm or --missed")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			feedback := quarantine.Missed
			if falseAlarm {
				feedback = quarantine.FalseAlarm
			}
			return at.with(cmd, c, func(s *client) error {
				for _, name := range names {
					path, err := heldPath(name, "/report")
					if err != nil {
						return err
					}
					var m api.HeldMail
					if err := s.call(cmd.Context(), http.MethodPost, path, nil, map[string]string{"feedback": feedback}, &m); err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
				}
				return printLines(c.err, fmt.Sprintf("%d reported as %s.\n", len(names), feedback))
			})
		},
	}
	at.flags(cmd)
	cmd.Flags().BoolVar(&falseAlarm, "false-alarm", false, "it is no phishing")
	cmd.Flags().BoolVar(&missed, "missed", false, "it is phishing that was not called so")
	return cmd
}

func newHeldSimilar(c *console) *cobra.Command {
	var at heldPlace
	var format string
	cmd := &cobra.Command{
		Use:     "similar NAME",
		Short:   "List held mail of all your tenants that resembles one, most alike first",
		Example: "  breakwater mail quarantine similar 1d9dbe68",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			path, err := heldPath(args[0], "/similar")
			if err != nil {
				return err
			}
			return at.with(cmd, c, func(s *client) error {
				var out struct{ Similar []json.RawMessage }
				if err := s.call(cmd.Context(), http.MethodGet, path, nil, nil, &out); err != nil {
					return err
				}
				return printAnswer(c.out, format, out.Similar, heldSimilarColumns)
			})
		},
	}
	at.flags(cmd)
	outputFlag(cmd, &format)
	return cmd
}

func newHeldAudit(c *console) *cobra.Command {
	var at heldPlace
	var format, tenant string
	var limit int
	cmd := &cobra.Command{
		Use:   "audit [NAME]",
		Short: "List what was done with held mail and by whom, oldest first",
		Example: `  breakwater mail quarantine audit --limit 20
  breakwater mail quarantine audit 1d9dbe68 -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if limit < 1 || limit > api.MaxPage {
				return usage("--limit: use a number from 1 to %d", api.MaxPage)
			}
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if tenant != "" {
				q.Set("tenant", tenant)
			}
			if len(args) > 0 {
				if _, err := heldPath(args[0], ""); err != nil {
					return err
				}
				q.Set("name", args[0])
			}
			return at.with(cmd, c, func(s *client) error {
				var out struct{ Audit []json.RawMessage }
				if err := s.call(cmd.Context(), http.MethodGet, "/quarantine-audit", q, nil, &out); err != nil {
					return err
				}
				return printAnswer(c.out, format, out.Audit, heldAuditColumns)
			})
		},
	}
	at.flags(cmd)
	cmd.Flags().StringVar(&tenant, "tenant", "", "of this tenant alone")
	cmd.Flags().IntVar(&limit, "limit", api.MaxPage, "the last so many lines, at most 1000")
	outputFlag(cmd, &format)
	return cmd
}
