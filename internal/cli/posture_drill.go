package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/backup"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// drillRow is one drill as it is printed.
type drillRow struct {
	Drill    string         `json:"drill"`
	Kind     backup.Kind    `json:"kind"`
	OK       bool           `json:"ok"`
	At       time.Time      `json:"at"`
	Words    string         `json:"outcome"`
	Examples []string       `json:"examples,omitempty"`
	Values   map[string]any `json:"values"`
}

var drillColumns = []listColumn[drillRow]{
	{"outcome", func(r drillRow) string {
		if r.OK {
			return "restored"
		}
		return "FAILED"
	}},
	{"drill", func(r drillRow) string { return r.Drill }},
	{"kind", func(r drillRow) string { return string(r.Kind) }},
	{"rpo_hours", func(r drillRow) string { return oneDigit(r.Values["rpo_hours"]) }},
	{"rto_seconds", func(r drillRow) string { return oneDigit(r.Values["rto_seconds"]) }},
	{"files", func(r drillRow) string { return anyText(r.Values["files"]) }},
	{"details", func(r drillRow) string { return r.Words }},
}

func oneDigit(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return ""
}

func anyText(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func newPostureDrill(c *console) *cobra.Command {
	cmd := noun("drill", "Restore backups, and compare what comes out", newPostureDrillRun(c), newPostureDrillManifest(c))
	cmd.Long = `A drill restores a backup (restic, borg, pg_dump, or a plain tree) into a scratch folder, compares it with a
manifest, times it, looks for signs of encryption, and removes the folder. A drill's file says what to restore; see
docs/posture-drills.md.`
	return cmd
}

func newPostureDrillRun(c *console) *cobra.Command {
	var format, dir, owner string
	cmd := &cobra.Command{
		Use:   "run FILE…",
		Short: "Restore what drills say, and compare it",
		Long: `Run restores the backup of each drill, one after another, and says what came out. The exit code is 1 where one does
not come back as it should. With --evidence the facts are added to the tenant's folder, where posture check finds them.`,
		Example: `  breakwater posture drill run office.drill.yaml
  breakwater posture drill run --evidence /srv/evidence --tenant acme drills/*.yaml
  breakwater posture drill run -o jsonl office.drill.yaml | jq .values.rto_seconds`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if dir != "" && !plainName(owner) {
				return usage("--tenant: name the tenant whose folder below %s the facts belong to", dir)
			}
			drills := make([]*backup.Drill, 0, len(args))
			for _, name := range args { // a mistake in the last is told before the first is restored
				d, err := backup.ReadDrill(name)
				if err != nil {
					return err
				}
				drills = append(drills, d)
			}
			var rows []drillRow
			var failed error
			good := true
			drawn := newReadingProgress(c.err)
			for _, d := range drills {
				if drawn.on {
					fmt.Fprintf(c.err, "\r\x1b[Krestoring %s", clean(d.Name)) // it may take hours
				}
				o, err := d.Run(cmd.Context(), time.Now().UTC())
				drawn.done()
				if o == nil || err != nil {
					failed = errors.Join(failed, err)
					if cmd.Context().Err() != nil {
						break
					}
					if o == nil {
						continue
					}
				}
				items := o.Items(tenant.ID(owner))
				rows = append(rows, drillRow{Drill: d.Name, Kind: d.Kind, OK: o.OK(), At: o.At, Words: drillWords(o), Examples: o.Examples, Values: items[0].Values})
				good = good && o.OK()
				for _, x := range o.Examples {
					fmt.Fprintf(c.err, "%s: %s\n", d.Name, strconv.Quote(x))
				}
				if dir != "" {
					if err := addFacts(filepath.Join(dir, owner, "drills.jsonl"), items); err != nil {
						return err
					}
				}
			}
			if err := printList(c.out, format, rows, drillColumns); err != nil {
				return err
			}
			if failed == nil && !good {
				return exitWith{exitError, nil}
			}
			return failed
		},
	}
	cmd.Flags().StringVar(&dir, "evidence", "", "folder of evidence; the facts go to drills.jsonl in the tenant's folder below it")
	cmd.Flags().StringVar(&owner, "tenant", "", "whose backups these are")
	outputFlag(cmd, &format)
	return cmd
}

// drillWords says in one line what a drill showed.
func drillWords(o *backup.Outcome) string {
	if !o.Restored {
		return o.Problem
	}
	var out []string
	if o.Hashed {
		out = append(out, fmt.Sprintf("%d compared, %d missing, %d changed", o.Compared, o.Missing, o.Changed))
	}
	if o.RowsCompared > 0 {
		out = append(out, fmt.Sprintf("%d tables counted, %d wrong", o.RowsCompared, o.RowsWrong))
	}
	if o.CanariesBroken > 0 {
		out = append(out, fmt.Sprintf("%d canaries missing or changed", o.CanariesBroken))
	}
	for _, s := range o.Signs {
		out = append(out, fmt.Sprint(s))
	}
	if len(out) == 0 {
		return "not compared: the drill has no manifest"
	}
	return strings.Join(out, "; ")
}

// addFacts adds facts to a file of native evidence.
func addFacts(name string, items []evidence.Item) error {
	var lines [][]byte
	for _, it := range items {
		line, err := json.Marshal(posture.Fact{Kind: it.Kind, Tenant: it.Tenant, Subject: it.Subject, At: it.At, By: "breakwater posture drill", Values: it.Values})
		if err != nil {
			return fmt.Errorf("writing the facts of a drill: %w", err)
		}
		if _, err := posture.ParseFact(line); err != nil {
			return fmt.Errorf("writing the facts of a drill: %w", err)
		}
		lines = append(lines, line)
	}
	return appendLine(name, bytes.Join(lines, []byte("\n")))
}

func newPostureDrillManifest(c *console) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "manifest DIR",
		Short: "Write the hashes of a folder's files, to compare a restore with",
		Long: `Manifest hashes every regular file below a folder, as sha256sum does, so that a drill can compare what it restores.
Links are not followed. Keep the manifest where whoever can change the backup cannot change it.`,
		Example: `  breakwater posture drill manifest /srv/office > office.sha256
  breakwater posture drill manifest --to /safe/office.sha256 /srv/office`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			left := 0
			m, err := backup.MakeManifest(cmd.Context(), args[0], func(name string, err error) {
				left++
				fmt.Fprintf(c.err, "%s is left out: %v\n", strconv.Quote(name), err)
			})
			if err != nil {
				return err
			}
			if len(m) == 0 {
				return fmt.Errorf("%s holds no file", args[0])
			}
			if out == "" {
				_, err = m.WriteTo(c.out)
			} else {
				err = writeManifest(out, m)
			}
			if err == nil && left > 0 {
				return exitWith{exitError, fmt.Errorf("%d files could not be read", left)}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&out, "to", "", "write to this file, in one step, instead of standard output")
	return cmd
}

// writeManifest replaces a file in one step, so that no drill reads half of it.
func writeManifest(name string, m backup.Manifest) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".manifest-*")
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	_, err = m.WriteTo(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing the manifest %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}
