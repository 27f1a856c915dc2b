package cli

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

func newLevel(c *console) *cobra.Command {
	return noun("level", "How watchful a running server is at each tenant: normal, elevated or heightened",
		newServerList(c, levels), newLevelSet(c), newLevelEnd(c))
}

var levels = things[api.Level]{
	name: "level", plural: "levels",
	columns: []listColumn[api.Level]{
		{"tenant", func(x api.Level) string { return string(x.Tenant) }},
		{"level", func(x api.Level) string { return x.Level }},
		{"since", func(x api.Level) string { return maybeText(x.Since) }},
		{"until", func(x api.Level) string { return maybeText(x.Until) }},
		{"by", func(x api.Level) string { return x.By }},
		{"campaign", func(x api.Level) string { return x.Campaign }},
		{"reason", func(x api.Level) string { return x.Reason }},
	},
}

func newLevelSet(c *console) *cobra.Command {
	var r remote
	var format, reason, until string
	var lasts time.Duration
	cmd := &cobra.Command{
		Use:   "set TENANT LEVEL",
		Short: "Raise a tenant's alert level, with a reason and an end",
		Example: `  breakwater level set acme heightened --reason INC-2041 --for 72h
  breakwater level set acme elevated --reason audit --until 2026-03-09T18:00:00Z`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if !slices.Contains(api.LevelNames[1:], args[1]) {
				return usage("%q is no level to set: use elevated or heightened; `level end` goes back to normal", args[1])
			}
			if reason == "" {
				return usage("say why, with --reason: somebody will ask")
			}
			end, err := levelEnd(until, lasts, time.Now())
			if err != nil {
				return err
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			return changeLevel(cmd, c, s, format, http.MethodPut, args[0], nil, map[string]any{"level": args[1], "reason": reason, "until": end.UTC().Format(time.RFC3339)})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who ask later")
	cmd.Flags().StringVar(&until, "until", "", "when it falls back by itself, as in RFC 3339")
	cmd.Flags().DurationVar(&lasts, "for", 0, "how long it holds, such as 24h, in place of --until")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

// levelEnd is when a level falls back: a level without an end becomes the new normal.
func levelEnd(until string, lasts time.Duration, now time.Time) (time.Time, error) {
	switch {
	case (until == "") == (lasts == 0):
		return time.Time{}, usage("say how long it holds, with --for or --until")
	case until == "":
		if lasts < 0 {
			return time.Time{}, usage("--for: use a time to come, such as 24h")
		}
		return now.Add(lasts), nil
	}
	t, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return t, usage("--until: %q is no time as in RFC 3339, such as 2026-03-09T18:00:00Z", until)
	}
	return t, nil
}

func newLevelEnd(c *console) *cobra.Command {
	var r remote
	var format, reason string
	cmd := &cobra.Command{
		Use:     "end TENANT",
		Short:   "Let a tenant fall back to normal now",
		Example: "  breakwater level end acme --reason INC-2041",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if reason == "" {
				return usage("say why, with --reason: somebody will ask")
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			return changeLevel(cmd, c, s, format, http.MethodDelete, args[0], url.Values{"reason": {reason}}, nil)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who ask later")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func changeLevel(cmd *cobra.Command, c *console, s *client, format, method, tenant string, query url.Values, body any) error {
	if tenant == "" || strings.Trim(tenant, ".") == "" {
		return usage("%q is no tenant's id", tenant)
	}
	var raw json.RawMessage
	if err := s.call(cmd.Context(), method, "/levels/"+url.PathEscape(tenant), query, body, &raw); err != nil {
		return err
	}
	return printOneAnswer(c.out, format, raw, levels.columns)
}
