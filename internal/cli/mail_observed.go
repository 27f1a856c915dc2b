package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
)

type mailObservedFlags struct {
	data, tenant, output string
	days, limit          int
	sums                 bool
}

var observedColumns = []listColumn[mailgate.Observed]{
	{"time", func(m mailgate.Observed) string { return m.Time.Format(time.RFC3339) }},
	{"tenant", func(m mailgate.Observed) string { return string(m.Tenant) }},
	{"would", func(m mailgate.Observed) string { return m.Would }},
	{"score", func(m mailgate.Observed) string { return strconv.FormatFloat(m.Score, 'f', 3, 64) }},
	{"from", func(m mailgate.Observed) string { return m.From }},
	{"to", func(m mailgate.Observed) string { return strings.Join(m.Recipients, " ") }},
	{"subject", func(m mailgate.Observed) string { return m.Subject }},
	{"reason", func(m mailgate.Observed) string {
		if len(m.Reasons) == 0 {
			return ""
		}
		return m.Reasons[0].Text
	}},
}

// newMailObserved is `breakwater mail observed`.
func newMailObserved(c *console) *cobra.Command {
	var f mailObservedFlags
	cmd := &cobra.Command{
		Use:   "observed",
		Short: "Show what would have been done with mail that was only observed",
		Long: `Show what would have been done with mail whose policy is mode: observe: first how many messages of each tenant there
were, how many would have been tagged, held or refused, and how many lie at or above each score; then the messages
themselves, newest first, with the strongest reason. Read them before you write mode: enforce: an honest message among
them asks for a higher threshold, or for training.

It reads the data folder of serve, which may be running; what came in the last minute may not be written yet.`,
		Example: `  breakwater mail observed --data /var/lib/breakwater
  breakwater mail observed --data /var/lib/breakwater --tenant acme --days 7 -o csv`,
		Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error { return showObserved(c, f) },
	}
	cmd.Flags().StringVar(&f.data, "data", "", "data `FOLDER` of serve")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "one `TENANT` alone")
	cmd.Flags().IntVar(&f.days, "days", 30, "how many days back")
	cmd.Flags().IntVar(&f.limit, "limit", 200, "how many messages at most")
	cmd.Flags().BoolVar(&f.sums, "sums", false, "the numbers alone")
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "`FORMAT`: table, json (numbers and messages), jsonl or csv (messages; numbers with --sums)")
	_ = cmd.MarkFlagRequired("data")
	return cmd
}

func showObserved(c *console, f mailObservedFlags) error {
	if err := checkFormat(f.output); err != nil {
		return err
	}
	if f.days < 1 || f.limit < 1 {
		return usage("--days and --limit must be at least 1")
	}
	since := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-f.days)
	o, err := app.ReadObserved(f.data, tenant.ID(f.tenant), since, f.limit)
	if err != nil {
		return err
	}
	switch {
	case f.output == "json" && !f.sums:
		return printOne(c.out, f.output, o, nil)
	case f.output != "table" && f.sums:
		return printList(c.out, f.output, o.Sums, sumColumns())
	case f.output != "table":
		return printList(c.out, f.output, o.Messages, observedColumns)
	}
	if err := printList(c.out, f.output, o.Sums, sumColumns()); err != nil {
		return err
	}
	if f.sums {
		return nil
	}
	fmt.Fprintln(c.out)
	if len(o.Messages) == 0 {
		fmt.Fprintln(c.out, "No message came near a threshold.")
		return nil
	}
	return printList(c.out, f.output, o.Messages, observedColumns)
}

// sumColumns are the columns of the numbers.
func sumColumns() []listColumn[app.ObservedSum] {
	out := []listColumn[app.ObservedSum]{
		{"tenant", func(s app.ObservedSum) string { return string(s.Tenant) }},
		{"direction", func(s app.ObservedSum) string { return s.Direction }},
		{"from", func(s app.ObservedSum) string { return s.From }},
		{"to", func(s app.ObservedSum) string { return s.To }},
		{"messages", func(s app.ObservedSum) string { return strconv.FormatInt(s.Messages, 10) }},
	}
	for _, a := range []string{"pass", "tag", "hold", "reject", "tempfail"} {
		out = append(out, listColumn[app.ObservedSum]{"would_" + a, func(s app.ObservedSum) string { return strconv.FormatInt(s.Would[a], 10) }})
	}
	for _, t := range []string{"0.50", "0.70", "0.90", "0.99"} {
		out = append(out, listColumn[app.ObservedSum]{"from_" + t, func(s app.ObservedSum) string { return strconv.FormatInt(s.AtOrAbove[t], 10) }})
	}
	return out
}
