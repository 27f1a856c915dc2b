package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/detect/sigma"
)

func newRule(c *console) *cobra.Command {
	return noun("rule", "List, check, test, match and update Sigma rules", newRuleList(c), newRuleShow(c), newRuleCheck(c), newRuleTest(c), newRuleMatch(c), newRuleUpdate(c))
}

func newRuleList(c *console) *cobra.Command {
	src := app.RuleSource{Own: true}
	var pack, format string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the rules that a scan would run",
		Example: "  breakwater rule list --rules ./sigma -o jsonl",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if pack != "" {
				src.Packs = []string{pack}
			}
			if format != "jsonl" && format != "table" {
				return usage("-o %s: use table or jsonl", format)
			}
			set, bad, err := app.Rules(cmd.Context(), src)
			if err != nil {
				return err
			}
			tellBadRules(c.err, bad)
			if format == "jsonl" {
				enc := json.NewEncoder(c.out)
				for _, r := range set.Rules() {
					if err := enc.Encode(map[string]any{"id": r.ID, "title": r.Title, "level": r.Level, "status": r.Status, "author": r.Author,
						"license": r.License, "logsource": r.LogSource.String(), "file": r.File, "techniques": r.Techniques()}); err != nil {
						return err
					}
				}
				return nil
			}
			w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "LEVEL\tTITLE\tAUTHOR\tFILE")
			for _, r := range set.Rules() {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Level, clean(r.Title), clean(r.Author), clean(r.File))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&pack, "rules", "", "a folder, archive or file of Sigma rules, beside our own pack")
	ruleFlags(cmd, &src)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|jsonl")
	return cmd
}

func newRuleShow(c *console) *cobra.Command {
	src := app.RuleSource{Own: true}
	var pack, format string
	cmd := &cobra.Command{
		Use:     "show ID|TITLE",
		Short:   "Show one rule: what it finds, who wrote it, where it lies",
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
			r := findRule(set, args[0])
			if r == nil {
				return fmt.Errorf("no rule with the id or title %q: `breakwater rule list` shows which there are", args[0])
			}
			return printOne(c.out, format, showRule(r), showColumns)
		},
	}
	cmd.Flags().StringVar(&pack, "rules", "", "a folder, archive or file of Sigma rules, beside our own pack")
	ruleFlags(cmd, &src)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json")
	return cmd
}

func findRule(set *sigma.RuleSet, name string) *sigma.Rule {
	if r := set.Rule(strings.ToLower(name)); r != nil {
		return r
	}
	for _, r := range set.Rules() {
		if strings.EqualFold(r.Title, name) {
			return r
		}
	}
	return nil
}

// shownRule is a rule as `rule show` prints it.
type shownRule struct {
	ID             string   `json:"id"`
	Title          string   `json:"title"`
	Level          string   `json:"level,omitempty"`
	Status         string   `json:"status,omitempty"`
	Description    string   `json:"description,omitempty"`
	Author         string   `json:"author,omitempty"`
	License        string   `json:"license,omitempty"`
	Date           string   `json:"date,omitempty"`
	Modified       string   `json:"modified,omitempty"`
	LogSource      string   `json:"logsource,omitempty"`
	Tags           []string `json:"tags,omitempty"`
	FalsePositives []string `json:"falsepositives,omitempty"`
	References     []string `json:"references,omitempty"`
	File           string   `json:"file"`
	Line           int      `json:"line"`
}

func showRule(r *sigma.Rule) shownRule {
	return shownRule{r.ID, r.Title, r.Level, r.Status, r.Description, r.Author, r.License, r.Date, r.Modified, r.LogSource.String(),
		r.Tags, r.FalsePositives, r.References, r.File, r.Line}
}

var showColumns = []listColumn[shownRule]{
	{"id", func(r shownRule) string { return r.ID }},
	{"title", func(r shownRule) string { return r.Title }},
	{"level", func(r shownRule) string { return r.Level }},
	{"status", func(r shownRule) string { return r.Status }},
	{"description", func(r shownRule) string { return strings.Join(strings.Fields(r.Description), " ") }},
	{"author", func(r shownRule) string { return r.Author }},
	{"license", func(r shownRule) string { return r.License }},
	{"date", func(r shownRule) string { return r.Date }},
	{"modified", func(r shownRule) string { return r.Modified }},
	{"log source", func(r shownRule) string { return r.LogSource }},
	{"tags", func(r shownRule) string { return strings.Join(r.Tags, ", ") }},
	{"harmless causes", func(r shownRule) string { return strings.Join(r.FalsePositives, "; ") }},
	{"references", func(r shownRule) string { return strings.Join(r.References, " ") }},
	{"file", func(r shownRule) string { return fmt.Sprintf("%s:%d", r.File, r.Line) }},
}

func newRuleCheck(c *console) *cobra.Command {
	var src app.RuleSource
	cmd := &cobra.Command{
		Use:   "check DIR|ARCHIVE|FILE…",
		Short: "Say which rules do not load, with file, line and reason",
		Long: `Check reads every rule and prints those that do not load, one a line with file, line and reason; an
unresolved %placeholder% is told by its name. The exit code is 1 where there is one.`,
		Example: `  breakwater rule check ./sigma
  breakwater rule check --placeholders site-values.yml sigma.tar.zst`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			src.Own, src.Packs = false, args
			set, bad, err := app.Rules(cmd.Context(), src)
			if err != nil {
				return err
			}
			for _, e := range bad {
				fmt.Fprintln(c.out, clean(e.Error()))
			}
			fmt.Fprintf(c.err, "%d rules load, %d do not.\n", set.Len(), len(bad))
			if len(bad) > 0 {
				return exitWith{exitError, nil}
			}
			if set.Len() == 0 {
				return errors.New("there is no rule in it")
			}
			return nil
		},
	}
	ruleFlags(cmd, &src)
	return cmd
}
