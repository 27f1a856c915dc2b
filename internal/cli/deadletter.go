package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

func newDeadletter(c *console) *cobra.Command {
	return noun("deadletter", "Records that a running server could not take in, with the reason",
		newDeadletterList(c), newServerShow(c, deadletters), newDeadletterReplay(c))
}

var deadletters = things[api.Deadletter]{
	name: "deadletter", plural: "deadletters", example: "d-2f6c11",
	columns: []listColumn[api.Deadletter]{
		{"id", func(x api.Deadletter) string { return x.ID }},
		{"at", func(x api.Deadletter) string { return utcText(x.At) }},
		{"tenant", func(x api.Deadletter) string { return string(x.Tenant) }},
		{"sensor", func(x api.Deadletter) string { return x.Sensor }},
		{"source", func(x api.Deadletter) string { return x.Source }},
		{"bytes", func(x api.Deadletter) string { return strconv.FormatInt(x.Bytes, 10) }},
		{"reason", func(x api.Deadletter) string { return x.Reason }},
	},
	details: func(x api.Deadletter) string { return "\n" + string(x.Raw) + "\n" },
}

func newDeadletterList(c *console) *cobra.Command {
	var r remote
	var format, tenant, sensor string
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List such records, oldest first",
		Example: "  breakwater deadletter list --sensor fw-acme",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkList(cmd, format, &limit); err != nil {
				return err
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			list, more, err := letters(cmd, s, tenant, sensor, limit)
			if err != nil {
				return err
			}
			return printPages(c, format, list, more, deadletters.columns)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&tenant, "tenant", "", "of this tenant alone")
	cmd.Flags().StringVar(&sensor, "sensor", "", "from this sensor alone")
	limitFlag(cmd, &limit, "")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

// letters pages through the dead letters that match; limit 0 is all.
func letters(cmd *cobra.Command, s *client, tenant, sensor string, limit int) (list []json.RawMessage, more bool, err error) {
	query := url.Values{}
	for k, v := range map[string]string{"tenant": tenant, "sensor": sensor} {
		if v != "" {
			query.Set(k, v)
		}
	}
	return pages(cmd, s, "/deadletters", "deadletters", query, limit)
}

func newDeadletterReplay(c *console) *cobra.Command {
	var r remote
	var all bool
	var tenant, sensor string
	cmd := &cobra.Command{
		Use:   "replay [ID…]",
		Short: "Hand such records to the pipeline again, once what refused them is mended",
		Example: `  breakwater deadletter replay d-2f6c11
  breakwater deadletter replay --all --sensor fw-acme`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 == all {
				return usage("name the records to replay, or --all of them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, ids []string) error {
			s, err := r.connect()
			if err != nil {
				return err
			}
			if all {
				list, _, err := letters(cmd, s, tenant, sensor, 0)
				if err != nil {
					return err
				}
				rows, err := read[api.Deadletter](list)
				if err != nil {
					return err
				}
				for _, d := range rows {
					ids = append(ids, d.ID)
				}
			}
			n := 0
			for len(ids) > 0 {
				k := min(len(ids), api.MaxPage)
				var done struct{ Replayed int }
				if err := s.call(cmd.Context(), http.MethodPost, "/replays", nil, map[string][]string{"ids": ids[:k]}, &done); err != nil {
					if n > 0 {
						err = fmt.Errorf("%w (%d were replayed before)", err, n)
					}
					return err
				}
				n, ids = n+done.Replayed, ids[k:]
			}
			return printLines(c.err, fmt.Sprintf("%d replayed.\n", n))
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all that match --tenant and --sensor")
	cmd.Flags().StringVar(&tenant, "tenant", "", "with --all: of this tenant alone")
	cmd.Flags().StringVar(&sensor, "sensor", "", "with --all: from this sensor alone")
	return cmd
}
