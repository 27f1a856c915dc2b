package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// postureRow is one control of one tenant as it is printed.
type postureRow struct {
	Tenant     tenant.ID              `json:"tenant"`
	Control    string                 `json:"control"`
	Title      string                 `json:"title"`
	Pillar     evidence.Pillar        `json:"pillar"`
	Severity   ocsf.Severity          `json:"severity"`
	Status     posture.Status         `json:"status"`
	Reason     string                 `json:"reason"`
	At         time.Time              `json:"at"`
	Oldest     *time.Time             `json:"oldest,omitempty"`
	Newest     *time.Time             `json:"newest,omitempty"`
	Facts      map[posture.Status]int `json:"facts"`
	Replaced   int                    `json:"replaced,omitempty"`
	Exceptions []posture.Exception    `json:"exceptions,omitempty"`
	Lapsed     []posture.Exception    `json:"lapsed_exceptions,omitempty"`
	References []posture.Reference    `json:"references,omitempty"`
}

func rowOf(r *posture.Report, x *posture.Result) postureRow {
	row := postureRow{
		Tenant: r.Tenant.ID, Control: x.Control.ID, Title: x.Control.Title, Pillar: x.Control.Pillar, Severity: x.Control.Severity, Status: x.Status,
		Reason: x.Reason, At: r.At, Facts: x.Counts, Replaced: x.Ignored, Exceptions: x.Exceptions, Lapsed: x.Lapsed, References: x.Control.References,
	}
	if !x.Newest.IsZero() {
		row.Oldest, row.Newest = &x.Oldest, &x.Newest
	}
	return row
}

var postureColumns = []listColumn[postureRow]{
	{"status", func(r postureRow) string { return string(r.Status) }},
	{"severity", func(r postureRow) string { return r.Severity.String() }},
	{"tenant", func(r postureRow) string { return string(r.Tenant) }},
	{"pillar", func(r postureRow) string { return string(r.Pillar) }},
	{"control", func(r postureRow) string { return r.Control }},
	{"newest", func(r postureRow) string {
		if r.Newest == nil {
			return ""
		}
		return r.Newest.Format(time.DateOnly)
	}},
	{"reason", func(r postureRow) string { return r.Reason }},
}

func newPostureCheck(c *console) *cobra.Command {
	var f postureFlags
	var format, failOn string
	var all bool
	cmd := &cobra.Command{
		Use:   "check DIR…",
		Short: "Judge the evidence in folders by every control",
		Long: `Check reads folders of evidence, in which the first name below each folder is a tenant's, recognises each file by
its content, and holds it against every control. The exit code is 1 where a control fails at the level of
--fail-on or above. A file or record that cannot be read is told in a line and the rest is read.
The table shows what does not pass; json, jsonl and csv hold every control of every tenant.`,
		Example: `  breakwater posture check ./evidence
  breakwater posture check --config breakwater.yaml --policy policy.yaml --fail-on high ./evidence
  breakwater posture check --config breakwater.yaml --telemetry ./logs ./evidence
  breakwater posture check --tenant acme -o jsonl ./acme-exports | jq 'select(.status != "pass")'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			level, err := failLevel(failOn)
			if err != nil {
				return err
			}
			p, err := f.read(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			reports, err := p.check(cmd.Context(), p.library)
			if err != nil {
				return err
			}
			var rows []postureRow
			counts := map[posture.Status]int{}
			failing := false
			for _, r := range reports {
				for _, x := range r.Results {
					counts[x.Status]++
					failing = failing || x.Status == posture.Fail && x.Control.Severity >= level
					if format != "table" || all || x.Status != posture.Pass {
						rows = append(rows, rowOf(r, x))
					}
				}
			}
			worstFirst(rows)
			if len(rows) > 0 || format != "table" {
				if err := printList(c.out, format, rows, postureColumns); err != nil {
					return fmt.Errorf("writing the posture: %w", err)
				}
			}
			tellCounts(c.err, len(reports), counts)
			if failing {
				return exitWith{exitError, nil}
			}
			return nil
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	cmd.Flags().StringVar(&failOn, "fail-on", "informational", "exit with 1 where a control of this severity or above fails; none: never")
	cmd.Flags().BoolVar(&all, "all", false, "show in the table what passes, too")
	return cmd
}

// failLevel reads --fail-on; "none" is above every severity.
func failLevel(s string) (ocsf.Severity, error) {
	if s == "none" {
		return ocsf.SeverityCritical + 1, nil
	}
	level, err := ocsf.ParseSeverity(s)
	if err != nil || level == ocsf.SeverityUnknown {
		return 0, usage("--fail-on: %q is no level: use none, informational, low, medium, high or critical", s)
	}
	return level, nil
}

func worstFirst(rows []postureRow) {
	slices.SortStableFunc(rows, func(a, b postureRow) int {
		for _, x := range [...]int{
			slices.Index(posture.Statuses, a.Status) - slices.Index(posture.Statuses, b.Status), int(b.Severity) - int(a.Severity),
			strings.Compare(string(a.Tenant), string(b.Tenant)),
		} {
			if x != 0 {
				return x
			}
		}
		return 0
	})
}

func tellCounts(w io.Writer, tenants int, counts map[posture.Status]int) {
	var parts []string
	for _, s := range posture.Statuses {
		parts = append(parts, strconv.Itoa(counts[s])+" "+string(s))
	}
	who := "1 tenant"
	if tenants != 1 {
		who = strconv.Itoa(tenants) + " tenants"
	}
	fmt.Fprintf(w, "%s: %s.\n", who, strings.Join(parts, ", "))
}
