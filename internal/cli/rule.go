package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
)

func newRule(c *console) *cobra.Command {
	return noun("rule", "List, check, test, match and update Sigma rules", newRuleList(c), newRuleShow(c), newRuleCheck(c), newRuleTest(c), newRuleMatch(c), newRuleUpdate(c))
}

func newRuleList(c *console) *cobra.Command {
	src := app.RuleSource{Own: true}
	var pack, format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules, correlations and filters that a scan would run",
		Long: `List prints every rule with its level, then the correlations, then the filters. A rule marked quiet makes
no finding of its own: correlations look at it.`,
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
			return printRules(c.out, listRules(set), format)
		},
	}
	cmd.Flags().StringVar(&pack, "rules", "", "a folder, archive or file of Sigma rules, beside our own pack")
	ruleFlags(cmd, &src)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|jsonl")
	return cmd
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
