package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// boardRow is one pillar of one tenant as a server tells it.
type boardRow struct {
	Tenant, Name, At string
	Pillar           api.PosturePillar
}

var boardColumns = []listColumn[boardRow]{
	{"tenant", func(r boardRow) string { return r.Tenant }},
	{"name", func(r boardRow) string { return r.Name }},
	{"pillar", func(r boardRow) string { return string(r.Pillar.Pillar) }},
	{"status", func(r boardRow) string { return string(r.Pillar.Status) }},
	{"controls", func(r boardRow) string { return statusTally(r.Pillar.Counts) }},
	{"30 days", func(r boardRow) string {
		if r.Pillar.Trend.Change30 == nil {
			return ""
		}
		return fmt.Sprintf("%+.0f points", *r.Pillar.Trend.Change30*100)
	}},
	{"judged", func(r boardRow) string { return r.At }},
}

var judgedColumns = []listColumn[api.PostureControl]{
	{"status", func(r api.PostureControl) string { return string(r.Status) }},
	{"severity", func(r api.PostureControl) string { return r.Severity.String() }},
	{"pillar", func(r api.PostureControl) string { return string(r.Pillar) }},
	{"control", func(r api.PostureControl) string { return r.Control }},
	{"since", func(r api.PostureControl) string {
		if r.Since == nil {
			return ""
		}
		return r.Since.Format(time.DateOnly)
	}},
	{"reason", func(r api.PostureControl) string { return r.Reason }},
}

// showServerPosture prints what a running server judged last.
func showServerPosture(cmd *cobra.Command, c *console, r *remote, format, of string) error {
	s, err := r.connect()
	if err != nil {
		return err
	}
	path := "/posture"
	if of != "" {
		path += "/" + url.PathEscape(of)
	}
	var raw json.RawMessage
	if err := s.call(cmd.Context(), http.MethodGet, path, nil, nil, &raw); err != nil {
		return err
	}
	if format == "json" {
		return printIndented(c.out, raw)
	}
	if of != "" {
		var t struct {
			Controls []json.RawMessage `json:"controls"`
			Problem  string            `json:"problem"`
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return fmt.Errorf("reading what the server sent: %w", err)
		}
		if t.Problem != "" {
			fmt.Fprintln(c.err, clean(t.Problem))
		}
		return printAnswer(c.out, format, t.Controls, judgedColumns)
	}
	var b struct {
		Tenants  []json.RawMessage `json:"tenants"`
		Problems []string          `json:"problems"`
		KEV      api.PostureKEV    `json:"kev"`
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return fmt.Errorf("reading what the server sent: %w", err)
	}
	for _, x := range append(b.Problems, b.KEV.Says) {
		fmt.Fprintln(c.err, clean(x))
	}
	if format == "jsonl" {
		return printAnswer(c.out, format, b.Tenants, boardColumns)
	}
	tenants, err := read[api.PostureTenant](b.Tenants)
	if err != nil {
		return err
	}
	var rows []boardRow
	for _, t := range tenants {
		at := "not yet"
		if t.At != nil {
			at = utcText(*t.At)
		}
		for _, p := range t.Pillars {
			rows = append(rows, boardRow{string(t.Tenant), t.Name, at, p})
		}
	}
	return printList(c.out, format, rows, boardColumns)
}

// addServerFact hands a fact to a running server, which keeps it with its own evidence.
func addServerFact(cmd *cobra.Command, c *console, r *remote, f posture.Fact) error {
	s, err := r.connect()
	if err != nil {
		return err
	}
	var said struct{ Says string }
	if err := s.call(cmd.Context(), http.MethodPost, "/posture/"+url.PathEscape(string(f.Tenant))+"/evidence", nil, f, &said); err != nil {
		return err
	}
	return printLines(c.err, said.Says+"\n")
}
