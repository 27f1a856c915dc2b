package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func newFinding(c *console) *cobra.Command {
	return noun("finding", "What the detectors of a running server found",
		newFindingList(c), newServerShow(c, findings), newServerWatch(c, findings))
}

// foundRow is what a table shows of a finding; JSON is passed on as it came.
type foundRow struct {
	ID, Tenant, Partner, Layer, Rule, Title, Reason, Severity, Outcome string
	Time                                                               time.Time
	Count                                                              int
}

var findings = things[foundRow]{
	name: "finding", plural: "findings", example: "7ded6c5cf43453a929b5228f",
	columns: []listColumn[foundRow]{
		{"id", func(x foundRow) string { return x.ID }},
		{"time", func(x foundRow) string { return utcText(x.Time) }},
		{"tenant", func(x foundRow) string { return x.Tenant }},
		{"partner", func(x foundRow) string { return x.Partner }},
		{"layer", func(x foundRow) string { return x.Layer }},
		{"severity", func(x foundRow) string { return x.Severity }},
		{"outcome", func(x foundRow) string { return x.Outcome }},
		{"count", func(x foundRow) string { return strconv.Itoa(x.Count) }},
		{"rule", func(x foundRow) string { return x.Rule }},
		{"title", func(x foundRow) string { return x.Title }},
	},
	details: func(x foundRow) string { return "\n" + x.Reason + "\n" },
}

// mostFindings is how many findings one request asks for.
const mostFindings = 1000

func newFindingList(c *console) *cobra.Command {
	var r remote
	var format string
	var limit int
	q := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List findings by time",
		Long: `List prints the newest findings that match, oldest first. With -o jsonl each is a line as scan prints
it. Where more match than --limit lets through, a word on standard error says so.`,
		Example: "  breakwater finding list --severity high --since 24h\n  breakwater finding list --tenant acme --limit 0 -o jsonl | jq .reason",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if err := checkLimit(cmd, format, &limit); err != nil {
				return err
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			query := url.Values{"order": {"desc"}}
			for name, v := range q {
				if *v != "" {
					query.Set(name, *v)
				}
			}
			list, total, err := newest(cmd, s, query, limit)
			if err != nil {
				return err
			}
			if err := printAnswer(c.out, format, list, findings.columns); err != nil {
				return err
			}
			if total > len(list) {
				return printLines(c.err, "These are the newest "+strconv.Itoa(len(list))+" of "+strconv.Itoa(total)+"; --limit 0 prints all.\n")
			}
			return nil
		},
	}
	r.flags(cmd)
	for _, f := range [][2]string{{"tenant", "of this tenant alone"}, {"severity", "at least informational, low, medium, high or critical"}, {"layer", "of this layer alone: mail|network|endpoint|cloud|access"},
		{"since", "ending at this time (RFC 3339) or later, or within so long, such as 24h"}, {"partner", "through this partner alone"}} {
		q[f[0]] = cmd.Flags().String(f[0], "", f[1])
	}
	limitFlag(cmd, &limit, ", the newest")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

// newest pages through the findings from the newest on, and returns them oldest first.
func newest(cmd *cobra.Command, s *client, query url.Values, limit int) (list []json.RawMessage, total int, err error) {
	for {
		ask := mostFindings
		if limit > 0 {
			ask = min(ask, limit-len(list))
		}
		query.Set("limit", strconv.Itoa(ask))
		var page struct {
			Findings []json.RawMessage
			Total    int
			Next     string
		}
		if err := s.call(cmd.Context(), http.MethodGet, "/findings", query, nil, &page); err != nil {
			return nil, 0, err
		}
		list, total = append(list, page.Findings...), max(total, page.Total)
		if page.Next == "" || len(page.Findings) == 0 || limit > 0 && len(list) >= limit {
			slices.Reverse(list)
			return list, total, nil
		}
		query.Set("cursor", page.Next)
	}
}
