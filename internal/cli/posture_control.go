package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// controlRow is a control as it is printed.
type controlRow struct {
	ID             string              `json:"id"`
	Title          string              `json:"title"`
	Pillar         evidence.Pillar     `json:"pillar"`
	Severity       ocsf.Severity       `json:"severity"`
	About          string              `json:"about"`
	Reads          []string            `json:"reads"`
	FreshHours     int                 `json:"fresh_hours"`
	Counts         posture.Counting    `json:"counts"`
	None           posture.Status      `json:"none"`
	Where          string              `json:"where,omitempty"`
	Require        string              `json:"require,omitempty"`
	Expect         string              `json:"expect,omitempty"`
	Says           string              `json:"says,omitempty"`
	Settings       map[string]any      `json:"settings,omitempty"`
	ContradictedBy []string            `json:"contradicted_by,omitempty"`
	References     []posture.Reference `json:"references,omitempty"`
	Examples       int                 `json:"examples"`
	File           string              `json:"file"`
	Digest         string              `json:"sha256"`
}

func showControl(c *posture.Control) controlRow {
	row := controlRow{
		ID: c.ID, Title: c.Title, Pillar: c.Pillar, Severity: c.Severity, About: c.About, Reads: c.Reads, FreshHours: int(c.Fresh.Hours()), Counts: c.Counts,
		None: posture.Unknown, Where: c.Where, Require: c.Require, Expect: c.Expect, Says: c.Says, Settings: c.Settings,
		ContradictedBy: c.ContradictedBy, References: c.References, Examples: len(c.Examples), File: c.File, Digest: c.Digest,
	}
	if c.NonePass {
		row.None = posture.Pass
	}
	return row
}

var controlListColumns = []listColumn[controlRow]{
	{"pillar", func(r controlRow) string { return string(r.Pillar) }},
	{"severity", func(r controlRow) string { return r.Severity.String() }},
	{"id", func(r controlRow) string { return r.ID }},
	{"title", func(r controlRow) string { return r.Title }},
}

var controlColumns = []listColumn[controlRow]{
	{"id", func(r controlRow) string { return r.ID }},
	{"title", func(r controlRow) string { return r.Title }},
	{"pillar", func(r controlRow) string { return string(r.Pillar) }},
	{"severity", func(r controlRow) string { return r.Severity.String() }},
	{"about", func(r controlRow) string { return r.About }},
	{"reads", func(r controlRow) string { return strings.Join(r.Reads, ", ") }},
	{"fresh", func(r controlRow) string { return fmt.Sprintf("%d hours", r.FreshHours) }},
	{"counts", func(r controlRow) string { return string(r.Counts) }},
	{"none", func(r controlRow) string { return string(r.None) }},
	{"where", func(r controlRow) string { return r.Where }},
	{"require", func(r controlRow) string { return r.Require }},
	{"expect", func(r controlRow) string { return r.Expect }},
	{"says", func(r controlRow) string { return r.Says }},
	{"settings", func(r controlRow) string { return valuesText(r.Settings) }},
	{"contradicted by", func(r controlRow) string { return strings.Join(r.ContradictedBy, ", ") }},
	{"references", func(r controlRow) string { return referencesText(r.References) }},
	{"examples", func(r controlRow) string { return fmt.Sprint(r.Examples) }},
	{"file", func(r controlRow) string { return r.File }},
}

func referencesText(list []posture.Reference) string {
	var parts []string
	for _, r := range list {
		parts = append(parts, r.String())
	}
	return strings.Join(parts, "; ")
}

// valuesText writes values for people, in an order that rests on their names alone.
func valuesText(values map[string]any) string {
	if len(values) == 0 {
		return ""
	}
	b, err := json.Marshal(values)
	if err != nil {
		return ""
	}
	return string(b)
}

func newPostureControlList(c *console) *cobra.Command {
	var f postureFlags
	var format, pillar string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the controls by pillar",
		Example: "  breakwater posture control list\n  breakwater posture control list --controls ./our-controls --pillar backup -o jsonl",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			l, err := f.library(c)
			if err != nil {
				return err
			}
			var rows []controlRow
			for _, x := range l.Controls() {
				if pillar == "" || string(x.Pillar) == pillar {
					rows = append(rows, showControl(x))
				}
			}
			return printList(c.out, format, rows, controlListColumns)
		},
	}
	f.rules(cmd)
	cmd.Flags().StringVar(&pillar, "pillar", "", "only this pillar: remote-access, network, training or backup")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func newPostureControlShow(c *console) *cobra.Command {
	var f postureFlags
	var format string
	cmd := &cobra.Command{
		Use:     "show CONTROL",
		Short:   "Show one control: why, by which evidence, by which expression",
		Example: "  breakwater posture control show log-retention",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: onlyControl,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			l, err := f.library(c)
			if err != nil {
				return err
			}
			x := l.Control(args[0])
			if x == nil {
				return noControl(args[0])
			}
			return printOne(c.out, format, showControl(x), controlColumns)
		},
	}
	f.rules(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func noControl(id string) error {
	return fmt.Errorf("there is no control %q; `breakwater posture control list` shows which there are", id)
}

var testedColumns = []listColumn[posture.Tested]{
	{"control", func(t posture.Tested) string { return t.Control }},
	{"example", func(t posture.Tested) string { return t.Example }},
	{"want", func(t posture.Tested) string { return string(t.Want) }},
	{"got", func(t posture.Tested) string { return string(t.Got) }},
}

func newPostureControlTest(c *console) *cobra.Command {
	var f postureFlags
	var format, dir string
	cmd := &cobra.Command{
		Use:   "test [CONTROL…]",
		Short: "Run the examples beside the controls",
		Long: `Test judges the example evidence in each control's file and compares. The table shows what differs; json, jsonl
and csv hold every example as {control, example, want, got}. The exit code is 1 where one differs or a control
does not load. With --dir only a folder of the site's own controls is tested.`,
		Example: `  breakwater posture control test
  breakwater posture control test --dir ./our-controls -o jsonl`,
		ValidArgsFunction: completeControls,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if dir != "" {
				f.controls = dir
			}
			l, err := f.library(c)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if l, err = l.Only(args...); err != nil {
					return err
				}
			}
			tests, err := l.Test(cmd.Context())
			if err != nil {
				return err
			}
			if dir != "" {
				below := filepath.ToSlash(filepath.Clean(dir)) + "/"
				tests = slices.DeleteFunc(tests, func(t posture.Tested) bool { return !strings.HasPrefix(t.File, below) })
				if len(tests) == 0 {
					return errors.New("there is no control in " + dir)
				}
			}
			return c.printTested(tests, format)
		},
	}
	f.rules(cmd)
	cmd.Flags().StringVar(&dir, "dir", "", "test only the controls of this folder")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table (what differs)|json|jsonl|csv")
	return cmd
}

func (c *console) printTested(tests []posture.Tested, format string) error {
	shown := tests
	differ := 0
	if format == "table" {
		shown = nil
	}
	for _, t := range tests {
		if t.Passed() {
			continue
		}
		differ++
		fmt.Fprintf(c.err, "%s:%d: %s, example %q: want %s, got %s: %s\n", clean(t.File), t.Line, t.Control, clean(t.Example), t.Want, t.Got, clean(t.Reason))
		if format == "table" {
			shown = append(shown, t)
		}
	}
	if format != "table" || len(shown) > 0 {
		if err := printList(c.out, format, shown, testedColumns); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	controls := map[string]bool{}
	for _, t := range tests {
		controls[t.Control] = true
	}
	fmt.Fprintf(c.err, "%d controls, %d examples: %d hold, %d differ.\n", len(controls), len(tests), len(tests)-differ, differ)
	if differ > 0 {
		return exitWith{exitError, nil}
	}
	return nil
}
