package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// maxToldUnread is how many unreadable records are named on standard error; the rest is counted.
const maxToldUnread = 20

// matchRow is one match as it is printed. Who wrote the rule goes with it, as rule licences ask.
type matchRow struct {
	File    string `json:"file"`
	Record  int64  `json:"record"`
	Rule    string `json:"rule"`
	Title   string `json:"title"`
	Level   string `json:"level,omitempty"`
	Author  string `json:"author,omitempty"`
	License string `json:"license,omitempty"`
}

var matchColumns = []listColumn[matchRow]{
	{"file", func(r matchRow) string { return r.File }},
	{"record", func(r matchRow) string { return fmt.Sprint(r.Record) }},
	{"rule", func(r matchRow) string { return r.Rule }},
	{"level", func(r matchRow) string { return r.Level }},
	{"title", func(r matchRow) string { return r.Title }},
	{"author", func(r matchRow) string { return r.Author }},
	{"license", func(r matchRow) string { return r.License }},
}

// ruleFlags are those of every command that reads rules of others.
func ruleFlags(cmd *cobra.Command, src *app.RuleSource) {
	cmd.Flags().StringArrayVar(&src.Pipelines, "pipeline", nil, "a `FILE` with a processing pipeline in pySigma's YAML (may be repeated; lower priority first)")
	cmd.Flags().StringArrayVar(&src.Placeholders, "placeholders", nil, "a `FILE` with values for %placeholders%: a YAML mapping from each name to a value or a list (may be repeated)")
}

func newRuleMatch(c *console) *cobra.Command {
	var src app.RuleSource
	var format string
	cmd := &cobra.Command{
		Use:   "match --rules DIR|ZIP|TAR.ZST FILE…",
		Short: "Match rules with the records of files, one line a match",
		Long: `Match decodes every record of the files (EVTX, JSON, JSON lines, concatenated objects, Zeek,
CloudTrail and whatever else a scan reads; also within gz, zst, zip and tar) and prints each rule that
matches it. After them come the correlations, over all files in the order of the events' times, each
with the record that completes it. Nothing is grouped or attributed to partners: that is what scan does,
so rules about partners stay silent here. A rule that does not load is told on standard error and makes
the exit code 1; the others are matched all the same. Records and files that can't be read are told there
too, and stop nothing.`,
		Example: `  breakwater rule match --rules ./sigma Security.evtx -o jsonl
  breakwater rule match --rules sigma.tar.zst --pipeline site.yml --placeholders site-values.yml ./logs`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("rule match needs at least one file or folder")
			}
			if len(src.Packs) == 0 && !src.Own {
				return usage("rule match needs --rules, or --own for our own pack")
			}
			if err := checkFormat(format); err != nil {
				return err
			}
			set, bad, err := app.Rules(cmd.Context(), src)
			if err != nil {
				return err
			}
			tellBadRules(c.err, bad)
			if set.Len() == 0 {
				return errors.New("no rule was loaded: nothing can match")
			}
			out := bufio.NewWriter(c.out)
			err = matchFiles(cmd, c, set, args, out, format)
			if flushErr := out.Flush(); err == nil && flushErr != nil {
				err = fmt.Errorf("writing the matches: %w", flushErr)
			}
			if err == nil && len(bad) > 0 {
				err = exitWith{exitError, nil}
			}
			return err
		},
	}
	cmd.Flags().StringArrayVar(&src.Packs, "rules", nil, "a folder, archive or file of Sigma rules (may be repeated)")
	cmd.Flags().BoolVar(&src.Own, "own", false, "match our own pack too")
	ruleFlags(cmd, &src)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func matchFiles(cmd *cobra.Command, c *console, set *sigma.RuleSet, paths []string, out io.Writer, format string) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var rows []matchRow
	yield := func(m app.RuleMatch) error {
		r := m.Rule
		row := matchRow{m.File, m.Record, r.ID, r.Title, r.Level, r.Author, r.License}
		if format == "jsonl" { // as it comes: files may be larger than memory
			return enc.Encode(row)
		}
		rows = append(rows, row)
		return nil
	}
	unread := 0
	tell := func(u app.Unread) {
		if unread++; unread > maxToldUnread {
			return
		}
		at := clean(u.File)
		if u.Record > 0 {
			at += fmt.Sprintf(":%d", u.Record)
		}
		if at != "" {
			at += ": "
		}
		fmt.Fprintf(c.err, "%s%s\n", at, clean(u.Reason))
	}
	err := app.MatchFiles(cmd.Context(), set, paths, bounded.Limits{}, yield, tell)
	if unread > maxToldUnread {
		fmt.Fprintf(c.err, "%d more records or files could not be read.\n", unread-maxToldUnread)
	}
	if err == nil && format != "jsonl" {
		err = printList(out, format, rows, matchColumns)
	}
	return err
}

// tellBadRules prints what was not loaded.
func tellBadRules(w io.Writer, bad []sigma.LoadError) {
	for _, e := range bad {
		fmt.Fprintln(w, clean(e.Error()))
	}
	if len(bad) > 0 {
		fmt.Fprintf(w, "%d rules do not load.\n", len(bad))
	}
}
