package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/scenario"
)

func newScenarioEval(c *console) *cobra.Command {
	var seeds, clients, days int
	var first uint64
	var kinds []string
	var controls, fail bool
	cmd := &cobra.Command{
		Use:   "eval [DIR…]",
		Short: "Scan scenarios and compare the answers with their truth",
		Long: `Eval judges each folder that has a truth.json, whoever wrote it. Without folders it writes its own, over
seeds and kinds, and adds controls: everything renamed, each layer taken away, the attack removed. The
result is Markdown.`,
		Example: "  breakwater scenario eval ./scenario\n  breakwater scenario eval --seeds 20 > docs/evaluation.md",
		RunE: func(cmd *cobra.Command, args []string) error {
			e := &evaluation{out: c.out, err: c.err}
			var err error
			if len(args) > 0 {
				err = e.folders(cmd.Context(), args)
			} else {
				for _, k := range kinds {
					if err := (scenario.Options{Kind: k, Clients: clients, Days: days}).Check(); err != nil {
						return usage("%v", err)
					}
				}
				err = e.own(cmd.Context(), kinds, first, seeds, clients, days, controls)
			}
			if err != nil {
				return err
			}
			if fail && e.wrong > 0 {
				return exitWith{exitError, fmt.Errorf("%d scenarios were not judged right", e.wrong)}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&seeds, "seeds", 20, "how many seeds of each kind")
	f.Uint64Var(&first, "first-seed", 1, "the first seed")
	f.StringSliceVar(&kinds, "kind", scenario.Kinds(), "kinds to write")
	f.IntVar(&clients, "clients", 0, "clients of the provider (0: the kind's own)")
	f.IntVar(&days, "days", 0, "days of telemetry (0: the kind's own)")
	f.BoolVar(&controls, "controls", false, "add the controls: renamed, each layer taken away, attack removed")
	f.BoolVar(&fail, "fail", false, "exit with 1 where an answer is wrong")
	return cmd
}

type evaluation struct {
	out, err io.Writer
	wrong    int
}

// folders judges folders as they are.
func (e *evaluation) folders(ctx context.Context, dirs []string) error {
	var dirsWithTruth []string
	for _, d := range dirs {
		err := filepath.WalkDir(d, func(p string, entry os.DirEntry, err error) error {
			if err == nil && entry.Name() == "truth.json" && !entry.IsDir() {
				if _, err := os.Stat(filepath.Join(filepath.Dir(p), "breakwater.yaml")); err == nil {
					dirsWithTruth = append(dirsWithTruth, filepath.Dir(p))
				}
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("looking for scenarios in %s: %w", d, err)
		}
	}
	if len(dirsWithTruth) == 0 {
		return fmt.Errorf("no folder with a truth.json and a breakwater.yaml in %s", strings.Join(dirs, ", "))
	}
	slices.Sort(dirsWithTruth)
	fmt.Fprintf(e.out, "%s\n%s\n", tableHead, tableRule)
	for _, d := range dirsWithTruth {
		v, err := judge(ctx, d)
		if err != nil {
			return err
		}
		e.row(v)
	}
	return nil
}

const (
	tableHead = "| scenario | kind | events | campaigns | provider | foothold | outcomes | high findings | worst tenant-week | wrong |"
	tableRule = "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
)

func (e *evaluation) row(v *verdict) {
	if !v.ok() {
		e.wrong++
	}
	fmt.Fprintf(e.out, "| %s | %s | %d | %d of %d | %d of %d | %d of %d | %d of %d | %d | %d | %s |\n", v.Name, v.Kind, v.Events,
		v.Got, v.Want, v.Provider, v.Want, v.Foothold, v.Want, v.Right, v.Tenants, v.High, v.WorstWeek, strings.Join(v.Wrong, "; "))
}

// tally adds up verdicts of one kind and one treatment.
type tally struct {
	n, campaigns, found, provider, foothold, right, tenants, falseCampaigns, worstWeek, high int
	weeks                                                                                    float64
}

func (t *tally) add(v *verdict) {
	t.n++
	t.campaigns += v.Want
	t.found += min(v.Got, v.Want)
	t.falseCampaigns += max(0, v.Got-v.Want)
	t.provider += v.Provider
	t.foothold += v.Foothold
	t.right += v.Right
	t.tenants += v.Tenants
	t.worstWeek = max(t.worstWeek, v.WorstWeek)
	t.high += v.High
	t.weeks += v.TenantWeeks
}

// own writes scenarios over seeds and kinds and judges them, with controls where asked.
func (e *evaluation) own(ctx context.Context, kinds []string, first uint64, seeds, clients, days int, controls bool) error {
	dir, err := os.MkdirTemp("", "breakwater-eval-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(e.out, "# Evaluation\n\nWritten by `breakwater scenario eval --seeds %d%s`; the scenarios are this program's own, so they show that it\ndoes what it says and not how well it does elsewhere.\n\n%s\n%s\n", seeds, map[bool]string{true: " --controls"}[controls], tableHead, tableRule)
	type key struct{ treatment, kind string }
	tallies := map[key]*tally{}
	var order []key
	one := func(treatment string, o scenario.Options, show bool) error {
		k := key{treatment, o.Kind}
		if tallies[k] == nil {
			tallies[k] = &tally{}
			order = append(order, k)
		}
		name := filepath.Join(dir, fmt.Sprintf("%s-%d", o.Kind, o.Seed))
		defer os.RemoveAll(name)
		if _, err := scenario.Write(ctx, o, name); err != nil {
			return err
		}
		v, err := judge(ctx, name)
		if err != nil {
			return err
		}
		tallies[k].add(v)
		if show {
			e.row(v)
		}
		fmt.Fprintf(e.err, "%s %s seed %d: right %v (%.1f s)\n", treatment, o.Kind, o.Seed, v.ok(), v.Took.Seconds())
		return nil
	}
	for _, kind := range kinds {
		for i := range uint64(seeds) {
			o := scenario.Options{Kind: kind, Seed: first + i, Clients: clients, Days: days}
			if err := one("as written", o, true); err != nil {
				return err
			}
		}
	}
	if controls {
		for _, kind := range kinds {
			for i := range uint64(seeds) {
				if err := e.controls(kind, first+i, clients, days, one); err != nil {
					return err
				}
			}
		}
	}
	fmt.Fprint(e.out, "\n## In sum\n\n| treatment | kind | scenarios | campaigns found | false campaigns | provider | foothold | outcomes | high a tenant-week | worst |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, k := range order {
		t := tallies[k]
		fmt.Fprintf(e.out, "| %s | %s | %d | %s | %d | %s | %s | %s | %.2f | %d |\n", k.treatment, k.kind, t.n, share(t.found, t.campaigns), t.falseCampaigns,
			share(t.provider, t.campaigns), share(t.foothold, t.campaigns), share(t.right, t.tenants), float64(t.high)/max(t.weeks, 0.01), t.worstWeek)
	}
	return nil
}

func (e *evaluation) controls(kind string, seed uint64, clients, days int, one func(string, scenario.Options, bool) error) error {
	o := scenario.Options{Kind: kind, Seed: seed, Clients: clients, Days: days}
	renamed := o
	renamed.Rename = seed + 1000
	if err := one("renamed", renamed, false); err != nil {
		return err
	}
	if kind == "false-alarm" {
		return nil
	}
	bare := o
	bare.WithoutAttack = true
	if err := one("attack removed", bare, false); err != nil {
		return err
	}
	for _, l := range tenant.Layers {
		x := o
		x.WithoutLayers = []tenant.Layer{l}
		if err := one("without "+string(l), x, false); err != nil {
			return err
		}
	}
	return nil
}

func share(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d (%.0f %%)", n, of, 100*float64(n)/float64(of))
}
