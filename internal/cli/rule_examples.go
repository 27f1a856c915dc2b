package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
)

// testRow is one example as it is printed.
type testRow struct {
	File   string `json:"file"`
	Rule   string `json:"rule,omitempty"`
	Name   string `json:"name,omitempty"`
	Must   string `json:"must"` // match, not match
	Passed bool   `json:"passed"`
	Reason string `json:"reason,omitempty"`
}

func newRuleTest(c *console) *cobra.Command {
	var src app.RuleSource
	var format string
	var all bool
	cmd := &cobra.Command{
		Use:   "test DIR|ARCHIVE…",
		Short: "Run the examples that lie beside rules",
		Long: `Test runs what lies beside the rules: examples/NAME.yml with what NAME.yml must and must not match, and
regression data as the public corpus has it (regression_data/…/info.yml with recorded events). It prints
what does not hold. The exit code is 1 where an example fails or a rule does not load, so that a build
can rest on it; with --all-tested also where a rule has no example that it must match.`,
		Example: `  breakwater rule test ./rules
  breakwater rule test --all-tested --placeholders site-values.yml ./rules`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "table" && format != "jsonl" {
				return usage("-o %s: use table or jsonl", format)
			}
			src.Packs = args
			t, err := app.TestRules(cmd.Context(), src)
			if err != nil {
				return err
			}
			return c.printTests(t, format, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all-tested", false, "fail where a rule has no example that it must match")
	ruleFlags(cmd, &src)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table (what fails)|jsonl (every example)")
	return cmd
}

func (c *console) printTests(t *app.RuleTests, format string, all bool) error {
	tellBadRules(c.err, t.Errors)
	failed := 0
	enc := json.NewEncoder(c.out)
	for _, x := range t.Tests {
		if !x.Passed {
			failed++
		}
		row := testRow{x.File, x.Rule, x.Name, "match", x.Passed, x.Reason}
		if !x.Must {
			row.Must = "not match"
		}
		if format == "jsonl" {
			if err := enc.Encode(row); err != nil {
				return fmt.Errorf("writing the results: %w", err)
			}
			continue
		}
		if x.Reason == "" {
			continue
		}
		word := "FAIL"
		if x.Passed {
			word = "note"
		}
		fmt.Fprintf(c.out, "%s %s", word, clean(x.File))
		if x.Name != "" {
			fmt.Fprintf(c.out, " (%s)", clean(x.Name))
		}
		fmt.Fprintf(c.out, ": %s\n", clean(x.Reason))
	}
	if all {
		for _, r := range t.Untested {
			fmt.Fprintf(c.err, "%s:%d: rule %q has no example that it must match\n", clean(r.File), r.Line, clean(r.Title))
		}
	}
	fmt.Fprintf(c.err, "%d rules, %d examples: %d hold, %d fail; %d rules have none that they must match.\n",
		t.Set.Len(), len(t.Tests), len(t.Tests)-failed, failed, len(t.Untested))
	switch {
	case failed > 0 || len(t.Errors) > 0 || all && len(t.Untested) > 0:
		return exitWith{exitError, nil}
	case len(t.Tests) == 0:
		return fmt.Errorf("there is no example to run: put them into examples/ beside the rules (docs/rules.md)")
	}
	return nil
}
