package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// The kinds of documents that a pack holds.
const (
	kindRule        = "rule"
	kindCorrelation = "correlation"
	kindFilter      = "filter"
)

// listedRule is a rule, correlation or filter as `rule list` prints it.
type listedRule struct {
	Kind       string           `json:"kind"`
	ID         string           `json:"id"`
	Title      string           `json:"title"`
	Level      string           `json:"level,omitempty"`
	Status     string           `json:"status,omitempty"`
	Author     string           `json:"author,omitempty"`
	License    string           `json:"license,omitempty"`
	LogSource  string           `json:"logsource,omitempty"`
	Quiet      bool             `json:"quiet,omitempty"` // it makes no finding of its own
	File       string           `json:"file"`
	Techniques []ocsf.Technique `json:"techniques,omitempty"`
}

// listRules returns the rules of a set, then its correlations, then its filters, each in the order of ids.
func listRules(set *sigma.RuleSet) []listedRule {
	var out []listedRule
	put := func(kind string, r *sigma.Rule) {
		out = append(out, listedRule{kind, r.ID, r.Title, r.Level, r.Status, r.Author, r.License, r.LogSource.String(), set.Quiet(r.ID), r.File, r.Techniques()})
	}
	for _, r := range set.Rules() {
		put(kindRule, r)
	}
	for _, c := range set.Correlations() {
		put(kindCorrelation, &c.Rule)
	}
	for _, f := range set.Filters() {
		out = append(out, listedRule{Kind: kindFilter, ID: f.ID, Title: f.Title, Author: f.Owner, LogSource: f.LogSource.String(), File: f.File})
	}
	return out
}

func printRules(out io.Writer, list []listedRule, format string) error {
	if format == "jsonl" {
		enc := json.NewEncoder(out)
		for i := range list {
			if err := enc.Encode(&list[i]); err != nil {
				return fmt.Errorf("writing the rules: %w", err)
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LEVEL\tKIND\tTITLE\tAUTHOR\tFILE")
	for _, r := range list {
		level := r.Level
		if r.Quiet {
			level = "quiet"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", level, r.Kind, clean(r.Title), clean(r.Author), clean(r.File))
	}
	return w.Flush()
}

func newRuleShow(c *console) *cobra.Command {
	src := app.RuleSource{Own: true}
	var pack, format string
	cmd := &cobra.Command{
		Use:   "show ID|NAME|TITLE",
		Short: "Show one rule, correlation or filter: what it finds, who wrote it, what it is tied to",
		Long: `Show prints one rule, correlation or filter. Of a rule it tells which correlations look at it, whether it
makes findings of its own, and which filters act on it; of a correlation its rules, window and condition;
of a filter its rules, who answers for it and until when.`,
		Example: "  breakwater rule show --rules ./sigma a3b5c7d9-1234-4abc-8def-0123456789ab",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if pack != "" {
				src.Packs = []string{pack}
			}
			if format != "json" && format != "table" {
				return usage("-o %s: use table or json", format)
			}
			set, _, err := app.Rules(cmd.Context(), src)
			if err != nil {
				return err
			}
			r, ok := findShown(set, args[0])
			if !ok {
				return fmt.Errorf("no rule, correlation or filter with the id, name or title %q: `breakwater rule list` shows which there are", args[0])
			}
			return printOne(c.out, format, r, showColumns)
		},
	}
	cmd.Flags().StringVar(&pack, "rules", "", "a folder, archive or file of Sigma rules, beside our own pack")
	ruleFlags(cmd, &src)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json")
	return cmd
}

// shownRule is a rule, correlation or filter as `rule show` prints it.
type shownRule struct {
	Kind           string   `json:"kind"`
	ID             string   `json:"id"`
	Name           string   `json:"name,omitempty"`
	Title          string   `json:"title"`
	Level          string   `json:"level,omitempty"`
	Status         string   `json:"status,omitempty"`
	Description    string   `json:"description,omitempty"`
	Author         string   `json:"author,omitempty"`
	License        string   `json:"license,omitempty"`
	Date           string   `json:"date,omitempty"`
	Modified       string   `json:"modified,omitempty"`
	LogSource      string   `json:"logsource,omitempty"`
	Type           string   `json:"type,omitempty"`      // of a correlation, as are the next four
	Rules          []string `json:"rules,omitempty"`     // also of a filter
	GroupBy        []string `json:"group-by,omitempty"`  // fields
	Timespan       string   `json:"timespan,omitempty"`  // as 30m0s
	Condition      string   `json:"condition,omitempty"` // in words
	Quiet          bool     `json:"quiet,omitempty"`
	LookedAtBy     []string `json:"looked_at_by,omitempty"` // correlations
	Filters        []string `json:"filters,omitempty"`      // that act on it
	Owner          string   `json:"owner,omitempty"`        // of a filter, as are the next three
	Reason         string   `json:"reason,omitempty"`
	Until          string   `json:"until,omitempty"`
	ActsOn         int      `json:"acts_on,omitempty"` // rules
	Tags           []string `json:"tags,omitempty"`
	FalsePositives []string `json:"falsepositives,omitempty"`
	References     []string `json:"references,omitempty"`
	File           string   `json:"file"`
	Line           int      `json:"line"`
}

// findShown looks something up by its id, then by its name, then by its title.
func findShown(set *sigma.RuleSet, name string) (shownRule, bool) {
	for _, is := range [...]func(id, own, title string) bool{
		func(id, _, _ string) bool { return strings.EqualFold(id, name) },
		func(_, own, _ string) bool { return own == name && name != "" },
		func(_, _, title string) bool { return strings.EqualFold(title, name) },
	} {
		for _, r := range set.Rules() {
			if is(r.ID, r.Name, r.Title) {
				return showRule(set, kindRule, r), true
			}
		}
		for _, c := range set.Correlations() {
			if is(c.ID, c.Name, c.Title) {
				return showCorrelation(set, c), true
			}
		}
		for _, f := range set.Filters() {
			if is(f.ID, "", f.Title) {
				return showFilter(f), true
			}
		}
	}
	return shownRule{}, false
}

func showRule(set *sigma.RuleSet, kind string, r *sigma.Rule) shownRule {
	x := shownRule{Kind: kind, ID: r.ID, Name: r.Name, Title: r.Title, Level: r.Level, Status: r.Status, Description: r.Description, Author: r.Author,
		License: r.License, Date: r.Date, Modified: r.Modified, LogSource: r.LogSource.String(), Quiet: set.Quiet(r.ID),
		Tags: r.Tags, FalsePositives: r.FalsePositives, References: r.References, File: r.File, Line: r.Line}
	for _, c := range set.Looking(r.ID) {
		x.LookedAtBy = append(x.LookedAtBy, c.Title)
	}
	for _, f := range set.FiltersOf(r.ID) {
		x.Filters = append(x.Filters, f.Title)
	}
	return x
}

func showCorrelation(set *sigma.RuleSet, c *sigma.Correlation) shownRule {
	x := showRule(set, kindCorrelation, &c.Rule)
	x.Type, x.GroupBy, x.Timespan, x.Condition = string(c.Type), c.GroupBy, c.Timespan.String(), c.Condition()
	for _, r := range c.Members() {
		x.Rules = append(x.Rules, r.Title)
	}
	return x
}

func showFilter(f *sigma.Filter) shownRule {
	x := shownRule{Kind: kindFilter, ID: f.ID, Title: f.Title, Description: f.Description, LogSource: f.LogSource.String(), Rules: f.Rules,
		Owner: f.Owner, Reason: f.Reason, ActsOn: f.Acts(), File: f.File, Line: f.Line}
	if !f.Until.IsZero() {
		x.Until = f.Until.Format(time.RFC3339)
	}
	return x
}

var showColumns = []listColumn[shownRule]{
	{"kind", func(r shownRule) string { return r.Kind }},
	{"id", func(r shownRule) string { return r.ID }},
	{"name", func(r shownRule) string { return r.Name }},
	{"title", func(r shownRule) string { return r.Title }},
	{"level", func(r shownRule) string { return r.Level }},
	{"status", func(r shownRule) string { return r.Status }},
	{"description", func(r shownRule) string { return strings.Join(strings.Fields(r.Description), " ") }},
	{"author", func(r shownRule) string { return r.Author }},
	{"license", func(r shownRule) string { return r.License }},
	{"date", func(r shownRule) string { return r.Date }},
	{"modified", func(r shownRule) string { return r.Modified }},
	{"log source", func(r shownRule) string { return r.LogSource }},
	{"type", func(r shownRule) string { return r.Type }},
	{"rules", func(r shownRule) string { return strings.Join(r.Rules, "; ") }},
	{"group by", func(r shownRule) string { return strings.Join(r.GroupBy, ", ") }},
	{"timespan", func(r shownRule) string { return r.Timespan }},
	{"condition", func(r shownRule) string { return r.Condition }},
	{"findings", func(r shownRule) string {
		if r.Quiet {
			return "none of its own: correlations look at it"
		}
		return ""
	}},
	{"looked at by", func(r shownRule) string { return strings.Join(r.LookedAtBy, "; ") }},
	{"filters", func(r shownRule) string { return strings.Join(r.Filters, "; ") }},
	{"owner", func(r shownRule) string { return r.Owner }},
	{"reason", func(r shownRule) string { return r.Reason }},
	{"until", func(r shownRule) string { return r.Until }},
	{"acts on", func(r shownRule) string {
		if r.Kind != kindFilter {
			return ""
		}
		return fmt.Sprintf("%d rules", r.ActsOn)
	}},
	{"tags", func(r shownRule) string { return strings.Join(r.Tags, ", ") }},
	{"harmless causes", func(r shownRule) string { return strings.Join(r.FalsePositives, "; ") }},
	{"references", func(r shownRule) string { return strings.Join(r.References, " ") }},
	{"file", func(r shownRule) string { return fmt.Sprintf("%s:%d", r.File, r.Line) }},
}
