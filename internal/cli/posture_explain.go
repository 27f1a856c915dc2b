package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
)

// factRow is one fact under a control as it is printed.
type factRow struct {
	Tenant    tenant.ID          `json:"tenant"`
	Control   string             `json:"control,omitempty"`
	Status    posture.Status     `json:"status,omitempty"`
	Subject   string             `json:"subject"`
	Kind      string             `json:"kind"`
	At        *time.Time         `json:"at,omitempty"`
	Partner   tenant.PartnerID   `json:"partner,omitempty"`
	Trust     tenant.TrustID     `json:"trust,omitempty"`
	File      string             `json:"file,omitempty"`
	Line      int64              `json:"line,omitempty"`
	SHA256    string             `json:"sha256,omitempty"`
	Says      string             `json:"says,omitempty"`
	Values    map[string]any     `json:"values"`
	Exception *posture.Exception `json:"exception,omitempty"`
}

// explained is a control with what it came to and all that is behind it.
type explained struct {
	postureRow
	Definition controlRow     `json:"definition"`
	Settings   map[string]any `json:"settings,omitempty"` // as they hold for the tenant
	Items      []factRow      `json:"items"`
}

func explain(r *posture.Report, x *posture.Result) explained {
	e := explained{postureRow: rowOf(r, x), Definition: showControl(x.Control), Settings: x.Settings, Items: []factRow{}}
	for _, j := range x.Items {
		i := j.Item
		row := factRow{Tenant: r.Tenant.ID, Control: x.Control.ID, Status: j.Status, Subject: i.Subject, Kind: i.Kind, Partner: i.Partner, Trust: i.Trust,
			File: i.From.File, Line: i.From.Line, SHA256: i.From.SHA256, Says: j.Says, Values: i.Values, Exception: j.Exception}
		if !i.At.IsZero() {
			at := i.At.UTC()
			row.At = &at
		}
		e.Items = append(e.Items, row)
	}
	return e
}

var factColumns = []listColumn[factRow]{
	{"status", func(r factRow) string { return string(r.Status) }},
	{"tenant", func(r factRow) string { return string(r.Tenant) }},
	{"subject", func(r factRow) string { return r.Subject }},
	{"kind", func(r factRow) string { return r.Kind }},
	{"at", func(r factRow) string {
		if r.At == nil {
			return ""
		}
		return utcText(*r.At)
	}},
	{"where", func(r factRow) string { return placeText(r.File, r.Line) }},
	{"says", func(r factRow) string { return r.Says }},
	{"values", func(r factRow) string { return valuesText(r.Values) }},
}

func placeText(file string, line int64) string {
	if file == "" || line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

func newPostureExplain(c *console) *cobra.Command {
	var f postureFlags
	var format string
	cmd := &cobra.Command{
		Use:   "explain CONTROL DIR…",
		Short: "Show what a control rests on: facts with file and line, expression, settings, references, exceptions",
		Example: `  breakwater posture explain log-retention ./evidence
  breakwater posture explain log-retention --tenant acme -o json ./evidence`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: controlThenFolders,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			p, err := f.read(cmd.Context(), c, args[1:])
			if err != nil {
				return err
			}
			only, err := p.library.Only(args[0])
			if err != nil {
				return err
			}
			reports, err := p.check(cmd.Context(), only)
			if err != nil {
				return err
			}
			var list []explained
			var facts []factRow
			for _, r := range reports {
				e := explain(r, r.Results[0])
				list = append(list, e)
				facts = append(facts, e.Items...)
			}
			switch format {
			case "table":
				err = printExplained(c.out, list)
			case "json":
				err = printList(c.out, format, list, nil)
			default:
				err = printList(c.out, format, facts, factColumns)
			}
			if err != nil {
				return fmt.Errorf("writing the explanation: %w", err)
			}
			return nil
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl (one fact a line)|csv")
	return cmd
}

// printExplained writes the control once, then what it came to for each tenant.
func printExplained(w io.Writer, list []explained) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	d := list[0].Definition
	p("%s (%s, %s)", clean(d.Title), d.Pillar, d.Severity)
	p("%s", clean(d.About))
	for _, x := range []struct{ name, text string }{{"where", d.Where}, {"require", d.Require}, {"expect", d.Expect}} {
		if x.text != "" {
			p("  %s: %s", x.name, clean(x.text))
		}
	}
	p("  reads %s; evidence of the last %d days counts as fresh", strings.Join(d.Reads, ", "), d.FreshHours/24)
	if len(d.References) > 0 {
		p("  references: %s", clean(referencesText(d.References)))
	}
	p("  defined in %s", clean(d.File))
	for _, e := range list {
		p("")
		p("%s: %s: %s", clean(string(e.Tenant)), e.Status, clean(e.Reason))
		if len(e.Settings) > 0 {
			p("  settings: %s", clean(valuesText(e.Settings)))
		}
		for _, x := range e.Exceptions {
			p("  exception until %s by %s: %s", x.Expires.Format(time.DateOnly), clean(x.Owner), clean(x.Reason))
		}
		for _, x := range e.Lapsed {
			p("  exception by %s ended on %s and excuses nothing: %s", clean(x.Owner), x.Expires.Format(time.DateOnly), clean(x.Reason))
		}
		if e.Replaced > 0 {
			p("  %d older facts don't count: newer ones took their place, or they are past", e.Replaced)
		}
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, i := range e.Items {
			at := ""
			if i.At != nil {
				at = i.At.Format(time.DateOnly)
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", i.Status, clean(i.Subject), at, clean(placeText(i.File, i.Line)), clean(i.Says), clean(valuesText(i.Values)))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
