package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
)

func newRule(c *console) *cobra.Command {
	return noun("rule", "List and check Sigma rules", newRuleList(c), newRuleCheck(c))
}

func newRuleList(c *console) *cobra.Command {
	var o app.Options
	var format string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the rules that a scan would run",
		Example: "  breakwater rule list --rules ./sigma -o jsonl",
		Args:    cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			s, err := app.NewSetup(o)
			if err != nil {
				return err
			}
			switch format {
			case "jsonl":
				enc := json.NewEncoder(c.out)
				for _, r := range s.Rules.Rules() {
					if err := enc.Encode(map[string]any{"id": r.ID, "title": r.Title, "level": r.Level, "author": r.Author, "file": r.File, "techniques": r.Techniques()}); err != nil {
						return err
					}
				}
				return nil
			case "table":
				w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "LEVEL\tTITLE\tAUTHOR\tFILE")
				for _, r := range s.Rules.Rules() {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Level, clean(r.Title), clean(r.Author), r.File)
				}
				return w.Flush()
			}
			return usage("-o %s: use table or jsonl", format)
		},
	}
	cmd.Flags().StringVar(&o.Rules, "rules", "", "a folder or zip of Sigma rules, beside our own pack")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|jsonl")
	return cmd
}

func newRuleCheck(c *console) *cobra.Command {
	return &cobra.Command{
		Use:     "check DIR|ZIP",
		Short:   "Say which rules do not load, with file, line and reason",
		Example: "  breakwater rule check ./sigma",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := app.NewSetup(app.Options{Rules: args[0]})
			if err != nil {
				return err
			}
			for _, e := range s.RuleErrors {
				fmt.Fprintln(c.out, e.Error())
			}
			fmt.Fprintf(c.err, "%d rules load, %d do not.\n", s.Rules.Len(), len(s.RuleErrors))
			if len(s.RuleErrors) > 0 {
				return exitWith{exitError, nil}
			}
			return nil
		},
	}
}
