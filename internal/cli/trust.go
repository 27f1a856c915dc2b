package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func newTrust(c *console) *cobra.Command {
	return noun("trust", "Declared trusts, and what was seen of them", newTrustList(c), newTrustShow(c), newTrustCheck(c), newTrustSuggest(c))
}

// trustFlags are those of the commands on trusts: a configuration, and telemetry where it is given.
type trustFlags struct {
	telemetryFlags
	output string
}

func (t *trustFlags) flags(cmd *cobra.Command) {
	t.telemetryFlags.flags(cmd)
	cmd.Flags().StringVarP(&t.output, "output", "o", "table", "output format: table|json|jsonl|csv")
}

// read returns the trusts with what the paths show of them. Without paths only the configuration is read.
func (t *trustFlags) read(ctx context.Context, c *console, paths []string) (*app.Uses, *app.Case, error) {
	if err := checkFormat(t.output); err != nil {
		return nil, nil, err
	}
	s, done, err := t.setup(c, paths)
	if err != nil {
		return nil, nil, err
	}
	if s.Config == nil {
		return nil, nil, usage("--config is needed: the file that declares the trusts")
	}
	u, k, err := app.TrustUses(ctx, s, paths)
	done()
	return u, k, err
}

func newTrustList(c *console) *cobra.Command {
	var t trustFlags
	cmd := &cobra.Command{
		Use:     "list [PATH…]",
		Short:   "List the declared trusts: partner, tenant, owner, accesses, validity",
		Example: "  breakwater trust list --config breakwater.yaml\n  breakwater trust list --config breakwater.yaml -o csv ./logs",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			u, k, err := t.read(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			var rows []app.TrustUse
			for _, x := range u.List() {
				rows = append(rows, *x)
			}
			columns := []listColumn[app.TrustUse]{
				{"id", func(x app.TrustUse) string { return string(x.ID) }},
				{"partner", func(x app.TrustUse) string { return x.Partner }},
				{"tenant", func(x app.TrustUse) string { return string(x.Tenant) }},
				{"owner", func(x app.TrustUse) string { return firstWord(x.Owner, "-") }},
				{"accesses", func(x app.TrustUse) string { return strconv.Itoa(len(x.Accesses)) }},
				{"from", func(x app.TrustUse) string { return firstWord(utcText(x.From), "-") }},
				{"until", func(x app.TrustUse) string { return firstWord(utcText(x.Until), "-") }},
			}
			if k != nil {
				columns = append(columns, listColumn[app.TrustUse]{"events", func(x app.TrustUse) string { return strconv.FormatInt(x.Events, 10) }},
					listColumn[app.TrustUse]{"last", func(x app.TrustUse) string { return firstWord(utcText(x.Last), "-") }})
			}
			return printList(c.out, t.output, rows, columns)
		},
	}
	t.flags(cmd)
	return cmd
}

func newTrustShow(c *console) *cobra.Command {
	var t trustFlags
	cmd := &cobra.Command{
		Use:     "show ID [PATH…]",
		Short:   "Show everything that is declared of a trust, and what was seen of it",
		Example: "  breakwater trust show northwind-acme --config breakwater.yaml ./logs",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, k, err := t.read(cmd.Context(), c, args[1:])
			if err != nil {
				return err
			}
			for _, x := range u.List() {
				if string(x.ID) == args[0] {
					return printTrust(c, t.output, x, k != nil)
				}
			}
			return fmt.Errorf("no trust %q is declared; `breakwater trust list` names them", args[0])
		},
	}
	t.flags(cmd)
	return cmd
}

func printTrust(c *console, format string, x *app.TrustUse, seen bool) error {
	type row struct{ fact, value string }
	d := x.Trust
	rows := []row{{"trust", string(x.ID)}, {"partner", x.Partner}, {"tenant", string(x.Tenant)}, {"owner", x.Owner}, {"through", string(d.Through)},
		{"valid from", utcText(x.From)}, {"valid until", utcText(x.Until)}, {"hours", hoursText(d.Hours)}, {"rights", strings.Join(d.Rights, " ")}, {"destinations", strings.Join(d.Destinations, " ")}, {"trace peer", d.Trace.Peer}}
	for _, a := range x.Accesses {
		value := a.Value
		if seen {
			value += fmt.Sprintf(" (%d events)", a.Events)
		}
		rows = append(rows, row{a.Kind, value})
	}
	if seen {
		rows = append(rows, row{"events", strconv.FormatInt(x.Events, 10)}, row{"first", utcText(x.First)}, row{"last", utcText(x.Last)}, row{"outside hours", strconv.FormatInt(x.Outside, 10)},
			row{"accounts seen", few(x.Accounts)}, row{"sources seen", few(x.Sources)}, row{"hosts seen", few(x.Hosts)})
	}
	switch format {
	case "json", "jsonl":
		enc := json.NewEncoder(c.out)
		if format == "json" {
			enc.SetIndent("", "  ")
		}
		return enc.Encode(x)
	}
	var kept []row
	for _, r := range rows {
		if r.value != "" {
			kept = append(kept, r)
		}
	}
	return printList(c.out, format, kept, []listColumn[row]{{"fact", func(r row) string { return r.fact }}, {"value", func(r row) string { return r.value }}})
}

// few names the first of a list, and how many more there are.
func few(list []string) string {
	const most = 12
	if len(list) <= most {
		return strings.Join(list, " ")
	}
	return strings.Join(list[:most], " ") + fmt.Sprintf(" and %d more", len(list)-most)
}

func hoursText(h tenant.Hours) string {
	if !h.Restricted {
		return "any"
	}
	var days []string
	for i, on := range h.Days {
		if on {
			days = append(days, strings.ToLower(time.Weekday(i).String()[:3]))
		}
	}
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d UTC", strings.Join(days, ","), h.From/60, h.From%60, h.To/60, h.To%60)
}

func newTrustCheck(c *console) *cobra.Command {
	var t trustFlags
	cmd := &cobra.Command{
		Use:   "check [PATH…]",
		Short: "Hold the declared trusts against what was seen of them",
		Long: `Check says what somebody should look at: accesses that were never used, use outside hours or validity, accounts,
addresses and tools that look like a partner's and that no trust covers, trusts that have ended, have no end or
owner, or are wide. Without paths only what is declared is judged. It ends with exit code 3 where something was
used that was not declared or agreed (outside-hours, outside-validity, undeclared-*), else with 0.`,
		Example: "  breakwater trust check --config breakwater.yaml ./logs",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			u, k, err := t.read(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			now := time.Now()
			if k != nil && !k.Result.Input.To.IsZero() {
				now = k.Result.Input.To // old telemetry is judged by its own time
			}
			problems := u.Check(now, k != nil)
			if err := printList(c.out, t.output, problems, []listColumn[app.TrustProblem]{
				{"trust", func(p app.TrustProblem) string { return string(p.Trust) }},
				{"code", func(p app.TrustProblem) string { return p.Code }},
				{"what", func(p app.TrustProblem) string { return p.Text }},
			}); err != nil {
				return err
			}
			for _, p := range problems {
				if p.Grave() {
					return exitWith{exitFindings, nil}
				}
			}
			return nil
		},
	}
	t.flags(cmd)
	return cmd
}

func newTrustSuggest(c *console) *cobra.Command {
	var t trustFlags
	cmd := &cobra.Command{
		Use:   "suggest PATH…",
		Short: "Suggest approvals for what recurs and looks benign",
		Long: `Suggest lists what a person may want to approve: pollers that ask the same dead targets again and again, scans that
come at the same time of the day, monitoring, backup and patch servers in a steady rhythm; with figures, and an entry
for approvals in which owner, until and reason are left to fill. It never applies anything.`,
		Example: "  breakwater trust suggest --config breakwater.yaml ./logs",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("trust suggest needs at least one file or folder: it suggests from what was seen")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			u, k, err := t.read(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			list := u.Suggest(k)
			if t.output != "table" {
				return printList(c.out, t.output, list, []listColumn[app.Suggestion]{
					{"kind", func(s app.Suggestion) string { return s.Kind }},
					{"trust", func(s app.Suggestion) string { return string(s.Trust) }},
					{"source", func(s app.Suggestion) string { return s.Source }},
					{"target", func(s app.Suggestion) string { return s.Target }},
					{"why", func(s app.Suggestion) string { return s.Why }},
					{"yaml", func(s app.Suggestion) string { return s.YAML }},
				})
			}
			for _, s := range list {
				fmt.Fprintln(c.out, clean(fmt.Sprintf("# %s of %s: %s, %s", s.Kind, s.Trust, s.Source, s.Why)))
				for line := range strings.Lines(s.YAML) {
					fmt.Fprintln(c.out, clean(strings.TrimSuffix(line, "\n")))
				}
			}
			if len(list) == 0 {
				fmt.Fprintln(c.err, "Nothing recurs that could be approved.")
			}
			return nil
		},
	}
	t.flags(cmd)
	return cmd
}
