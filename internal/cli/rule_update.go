package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
)

// changeRow is one rule that an update adds, changes or removes.
type changeRow struct {
	Change string `json:"change"` // added, changed, removed
	ID     string `json:"id"`
	Title  string `json:"title"`
}

func newRuleUpdate(c *console) *cobra.Command {
	var u app.RuleUpdate
	var format string
	cmd := &cobra.Command{
		Use:   "update SOURCE --to PACK.zip",
		Short: "Replace a rule pack by a newer one, in one step",
		Long: `Update reads a pack from a folder, an archive (zip, tar, gz, zst) or an https:// address, checks it, and
puts it in the place of PACK.zip, which --rules of scan and serve takes. It prints which rules were added,
changed and removed. On any error the old pack stays as it was: a wrong checksum, an archive that is
broken or too large, a rule that does not load (unless --skip-bad leaves it out). Pipelines and
placeholders that are given go into the pack and prepare its rules from then on; so do those that it
brings in folders named pipelines and in files named placeholders.yml.`,
		Example: `  breakwater rule update ./sigma --to rules.zip --placeholders site-values.yml
  breakwater rule update https://rules.example.net/pack.zip --to rules.zip --sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "table" && format != "jsonl" {
				return usage("-o %s: use table or jsonl", format)
			}
			if u.Target == "" {
				return usage("rule update needs --to, the pack that is to be replaced")
			}
			u.Source = args[0]
			change, err := app.UpdateRules(cmd.Context(), u)
			var bad *app.BadRulesError
			if errors.As(err, &bad) {
				tellBadRules(c.err, bad.Errors)
				return fmt.Errorf("%w; mend them, give --placeholders, or leave them out with --skip-bad", err)
			}
			if err != nil {
				return err
			}
			return c.printChange(change, format, u.DryRun)
		},
	}
	cmd.Flags().StringVar(&u.Target, "to", "", "the `PACK.zip` to replace, or to make where there is none")
	cmd.Flags().StringVar(&u.SHA256, "sha256", "", "the archive's SHA-256 in hex; needed where it is fetched")
	cmd.Flags().BoolVar(&u.SkipBad, "skip-bad", false, "leave out rules that do not load, instead of refusing the pack")
	cmd.Flags().BoolVar(&u.DryRun, "dry-run", false, "say what would change, and change nothing")
	cmd.Flags().BoolVar(&u.Private, "allow-private", false, "the address may be a private or loopback one")
	cmd.Flags().StringArrayVar(&u.Pipelines, "pipeline", nil, "a `FILE` with a processing pipeline that the pack keeps (may be repeated)")
	cmd.Flags().StringArrayVar(&u.Placeholders, "placeholders", nil, "a `FILE` with values for %placeholders% that the pack keeps (may be repeated)")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|jsonl")
	return cmd
}

func (c *console) printChange(change *app.PackChange, format string, dry bool) error {
	var rows []changeRow
	for _, part := range [...]struct {
		word string
		list []app.PackRule
	}{{"added", change.Added}, {"changed", change.Changed}, {"removed", change.Removed}} {
		for _, r := range part.list {
			rows = append(rows, changeRow{part.word, r.ID, r.Title})
		}
	}
	enc := json.NewEncoder(c.out)
	for _, r := range rows {
		if format == "jsonl" {
			if err := enc.Encode(r); err != nil {
				return fmt.Errorf("writing what changed: %w", err)
			}
			continue
		}
		fmt.Fprintf(c.out, "%-7s  %s  %s\n", r.Change, clean(r.ID), clean(r.Title))
	}
	tellBadRules(c.err, change.Left)
	if change.OldUnreadable != "" {
		fmt.Fprintf(c.err, "The old pack could not be read, so every rule counts as added: %s\n", clean(change.OldUnreadable))
	}
	done := "The pack has"
	if dry {
		done = "The pack would have"
	}
	fmt.Fprintf(c.err, "%s %d rules: %d added, %d changed, %d removed.\n", done, change.Rules, len(change.Added), len(change.Changed), len(change.Removed))
	return nil
}
