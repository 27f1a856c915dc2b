package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

func newCoverage(c *console) *cobra.Command {
	return noun("coverage", "What sends telemetry to a running server, and what fell silent", newCoverageShow(c))
}

var coverageColumns = []listColumn[api.Row]{
	{"tenant", func(x api.Row) string { return string(x.Tenant) }},
	{"layer", func(x api.Row) string { return string(x.Layer) }},
	{"sensor", func(x api.Row) string { return x.Sensor }},
	{"events", func(x api.Row) string { return strconv.FormatInt(x.Events, 10) }},
	{"first", func(x api.Row) string { return maybeText(x.First) }},
	{"last", func(x api.Row) string { return maybeText(x.Last) }},
	{"late", func(x api.Row) string { return strconv.FormatInt(x.Late, 10) }},
	{"unparsed", func(x api.Row) string { return strconv.FormatInt(x.Unparsed, 10) }},
	{"authenticated", func(x api.Row) string { return strconv.FormatBool(x.Authenticated) }},
	{"silent_since", func(x api.Row) string { return maybeText(x.SilentSince) }},
}

func newCoverageShow(c *console) *cobra.Command {
	var r remote
	var format string
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show what each sensor sent, by tenant and layer",
		Example: "  breakwater coverage show\n  breakwater coverage show -o json | jq '.[] | select(.silent_since)'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			list, err := listOf(cmd, s, "coverage")
			if err != nil {
				return err
			}
			return printAnswer(c.out, format, list, coverageColumns)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func maybeText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return utcText(*t)
}
