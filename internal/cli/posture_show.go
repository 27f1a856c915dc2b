package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// pillarRow is one pillar of one tenant as it is printed.
type pillarRow struct {
	Tenant   tenant.ID              `json:"tenant"`
	Name     string                 `json:"name"`
	Pillar   evidence.Pillar        `json:"pillar"`
	Status   posture.Status         `json:"status"`
	Counts   map[posture.Status]int `json:"counts"`
	Controls []postureRow           `json:"controls"`
}

// statusTally writes how many controls stand how, the worst first.
func statusTally(counts map[posture.Status]int) string {
	var parts []string
	for _, s := range posture.Statuses {
		if counts[s] > 0 {
			parts = append(parts, strconv.Itoa(counts[s])+" "+string(s))
		}
	}
	return strings.Join(parts, ", ")
}

var pillarColumns = []listColumn[pillarRow]{
	{"tenant", func(r pillarRow) string { return string(r.Tenant) }},
	{"pillar", func(r pillarRow) string { return string(r.Pillar) }},
	{"status", func(r pillarRow) string { return string(r.Status) }},
	{"controls", func(r pillarRow) string { return statusTally(r.Counts) }},
}

func newPostureShow(c *console) *cobra.Command {
	var f postureFlags
	var r remote
	var format string
	cmd := &cobra.Command{
		Use:   "show [DIR…]",
		Short: "Show tenants by pillar, and every control, the worst first",
		Long: `Show judges the evidence in folders, or with --server and no folder asks a running server what it judged last: all
tenants by pillar, or with --tenant every control of one.`,
		Example: `  breakwater posture show ./evidence
  breakwater posture show --config breakwater.yaml --tenant acme ./evidence
  breakwater posture show -o csv ./evidence > pillars.csv
  breakwater posture show --server https://breakwater.example:8443 --tenant acme`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if len(args) == 0 {
				if r.server == "" && os.Getenv("BREAKWATER_SERVER") == "" {
					return usage("name the folders of evidence, or a server with --server")
				}
				return showServerPosture(cmd, c, &r, format, f.tenant)
			}
			if r.server != "" {
				return usage("--server: the server has folders of its own; leave %s out", args[0])
			}
			p, err := f.read(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			reports, err := p.check(cmd.Context(), p.library)
			if err != nil {
				return err
			}
			worstTenantFirst(reports)
			if format == "table" {
				err = printBoard(c.out, reports)
			} else {
				err = printList(c.out, format, pillarRows(reports), pillarColumns)
			}
			if err != nil {
				return fmt.Errorf("writing the posture: %w", err)
			}
			return nil
		},
	}
	f.flags(cmd)
	r.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

// worstTenantFirst orders by how many controls fail, then are stale, then are unknown.
func worstTenantFirst(reports []*posture.Report) {
	count := func(r *posture.Report, s posture.Status) (n int) {
		for _, x := range r.Results {
			if x.Status == s {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(reports, func(a, b *posture.Report) int {
		for _, s := range posture.Statuses[:3] {
			if x := count(b, s) - count(a, s); x != 0 {
				return x
			}
		}
		return strings.Compare(string(a.Tenant.ID), string(b.Tenant.ID))
	})
}

func pillarRows(reports []*posture.Report) []pillarRow {
	var rows []pillarRow
	for _, r := range reports {
		for _, p := range r.Pillars() {
			row := pillarRow{Tenant: r.Tenant.ID, Name: r.Tenant.Name, Pillar: p.Pillar, Status: p.Status, Counts: p.Counts, Controls: []postureRow{}}
			for _, x := range r.Results {
				if x.Control.Pillar == p.Pillar {
					row.Controls = append(row.Controls, rowOf(r, x))
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// printBoard writes tenants by pillar, then each tenant's controls.
func printBoard(w io.Writer, reports []*posture.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "TENANT")
	for _, p := range evidence.Pillars {
		fmt.Fprintf(t, "\t%s", strings.ToUpper(string(p)))
	}
	fmt.Fprintln(t)
	for _, r := range reports {
		fmt.Fprint(t, clean(string(r.Tenant.ID)))
		for _, p := range r.Pillars() {
			fmt.Fprintf(t, "\t%s (%d of %d pass)", p.Status, p.Counts[posture.Pass], total(p.Counts))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range reports {
		fmt.Fprintf(w, "\n%s, as of %s\n", clean(r.Tenant.Name), utcText(r.At))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, x := range r.Results {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", x.Control.Pillar, x.Status, x.Control.Severity, x.Control.ID, clean(x.Reason))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func total(counts map[posture.Status]int) (n int) {
	for _, v := range counts {
		n += v
	}
	return n
}
