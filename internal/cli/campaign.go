package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
)

func newCampaign(c *console) *cobra.Command {
	return noun("campaign", "What a running server concluded: who comes through whom",
		newServerList(c, campaigns), newServerShow(c, campaigns), newServerWatch(c, campaigns))
}

// things is a kind of object that a server lists, shows and tells of.
type things[T any] struct {
	name, plural string // as the API and its answers call them
	example      string // an id
	columns      []listColumn[T]
	present      bool // a watch begins with those that there are
	details      func(T) string
}

var campaigns = things[campaign.Campaign]{
	name: "campaign", plural: "campaigns", example: "71778ddc7215fcc8", present: true,
	columns: []listColumn[campaign.Campaign]{
		{"id", func(x campaign.Campaign) string { return x.ID }},
		{"partner", func(x campaign.Campaign) string { return string(x.Partner) }},
		{"start", func(x campaign.Campaign) string { return utcText(x.Start) }},
		{"end", func(x campaign.Campaign) string { return utcText(x.End) }},
		{"succeeded", func(x campaign.Campaign) string { return tenantsWith(x, campaign.Succeeded) }},
		{"attempted", func(x campaign.Campaign) string { return tenantsWith(x, campaign.Attempted) }},
		{"exposed", func(x campaign.Campaign) string { return tenantsWith(x, campaign.Exposed) }},
		{"blind", func(x campaign.Campaign) string { return tenantsWith(x, campaign.Blind) }},
	},
	details: func(x campaign.Campaign) string {
		var b strings.Builder
		fmt.Fprintf(&b, "\n%s\n\n", x.Summary)
		if f := x.FirstFoothold; f.Entity != nil {
			fmt.Fprintf(&b, "It began at %s with %s %s at %s: %s\n", f.Tenant, f.Entity.Type, f.Entity.Value, utcText(f.Time), f.Reason)
		} else if f.Ask != "" {
			fmt.Fprintf(&b, "Ask %s for %s between %s and %s: %s\n", f.Ask, f.For, utcText(f.From), utcText(f.To), f.Reason)
		}
		for _, t := range x.Tenants {
			fmt.Fprintf(&b, "%s at %s: %s\n", t.Outcome, t.Tenant, t.Reason)
		}
		return b.String()
	},
}

func tenantsWith(c campaign.Campaign, o campaign.Outcome) string {
	var ids []string
	for _, t := range c.Tenants {
		if t.Outcome == o {
			ids = append(ids, string(t.Tenant))
		}
	}
	return strings.Join(ids, " ")
}

// newServerList is `list` of what a server gives as one list.
func newServerList[T any](c *console, k things[T]) *cobra.Command {
	var r remote
	var format string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the " + k.plural + " that a server sees",
		Example: "  breakwater " + k.name + " list --server https://breakwater.example:8443 --token-file token\n  breakwater " + k.name + " list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			list, err := listOf(cmd, s, k.plural)
			if err != nil {
				return err
			}
			return printAnswer(c.out, format, list, k.columns)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func listOf(cmd *cobra.Command, s *client, plural string) ([]json.RawMessage, error) {
	var answer map[string]json.RawMessage
	if err := s.call(cmd.Context(), http.MethodGet, "/"+plural, nil, nil, &answer); err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(answer[plural], &list); err != nil {
		return nil, fmt.Errorf("reading the answer of %s: it has no list of %s; is it a Breakwater?", s.base.Redacted(), plural)
	}
	return list, nil
}

// newServerShow is `show ID`.
func newServerShow[T any](c *console, k things[T]) *cobra.Command {
	var r remote
	var format string
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one " + k.name,
		Example: "  breakwater " + k.name + " show " + k.example + " -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			raw, err := oneOf(cmd, s, k.plural, args[0])
			if err != nil {
				return err
			}
			if err := printOneAnswer(c.out, format, raw, k.columns); err != nil || format != "table" || k.details == nil {
				return err
			}
			rows, err := read[T]([]json.RawMessage{raw})
			if err != nil {
				return err
			}
			return printLines(c.out, k.details(rows[0]))
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func oneOf(cmd *cobra.Command, s *client, plural, id string) (json.RawMessage, error) {
	if id == "" || id == "." || id == ".." {
		return nil, usage("%q is no id", id)
	}
	var raw json.RawMessage
	err := s.call(cmd.Context(), http.MethodGet, "/"+plural+"/"+url.PathEscape(id), nil, nil, &raw)
	return raw, err
}

// newServerWatch is `watch`: what there is, where that is few, and then every change.
func newServerWatch[T any](c *console, k things[T]) *cobra.Command {
	var r remote
	var format string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print each " + k.name + " as it comes up or changes",
		Long: "Watch prints each " + k.name + " as it comes up or changes, until it is interrupted. It goes on over lost\n" +
			"connections, where it was cut off. What is there no more is a line with its id and removed.",
		Example: "  breakwater " + k.name + " watch\n  breakwater " + k.name + " watch -o jsonl | jq .id",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "table" && format != "jsonl" {
				return usage("-o %s: a watch has no end, so use table or jsonl", format)
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			w := &watcher[T]{c: c, k: k, format: format, head: true}
			return s.watch(cmd.Context(), k.name, c.err, func(e event) error {
				switch e.kind {
				case "reset":
					fmt.Fprintln(c.err, "Some changes were missed while nobody listened.")
					w.begun = false
				case "ready":
					if w.begun || !k.present {
						w.begun = true
						return nil
					}
					w.begun = true
					list, err := listOf(cmd, s, k.plural)
					if err != nil {
						return err
					}
					return w.print(list...)
				case k.name:
					return w.print(e.data)
				}
				return nil
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|jsonl")
	return cmd
}

// watcher prints what a watch tells, a line each.
type watcher[T any] struct {
	c      *console
	k      things[T]
	format string
	head   bool
	begun  bool
}

func (w *watcher[T]) print(list ...json.RawMessage) error {
	if w.format == "jsonl" {
		return printAnswer(w.c.out, "jsonl", list, w.k.columns)
	}
	if w.head {
		names := make([]string, len(w.k.columns))
		for i, x := range w.k.columns {
			names[i] = strings.ToUpper(x.name)
		}
		w.head = false
		if err := printLines(w.c.out, strings.Join(names, "  ")+"\n"); err != nil {
			return err
		}
	}
	for _, raw := range list {
		var gone struct {
			ID      string
			Removed bool
		}
		if err := json.Unmarshal(raw, &gone); err == nil && gone.Removed {
			if err := printLines(w.c.out, gone.ID+"  removed\n"); err != nil {
				return err
			}
			continue
		}
		rows, err := read[T]([]json.RawMessage{raw})
		if err != nil {
			return err
		}
		cells := make([]string, len(w.k.columns))
		for i, x := range w.k.columns {
			if cells[i] = x.value(rows[0]); cells[i] == "" {
				cells[i] = "-"
			}
		}
		if err := printLines(w.c.out, strings.Join(cells, "  ")+"\n"); err != nil {
			return err
		}
	}
	return nil
}
