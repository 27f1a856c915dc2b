package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
)

// completing is what a shell asks of a command: the words that may follow, each with what it is behind a tab.
type completing = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// completeControls offers the ids of the controls that ship and of those that --controls or --dir names.
func completeControls(cmd *cobra.Command, taken []string, begun string) ([]string, cobra.ShellCompDirective) {
	sources := []posture.Source{posture.Shipped()}
	for _, flag := range []string{"controls", "dir"} {
		if f := cmd.Flags().Lookup(flag); f != nil && f.Value.String() != "" {
			sources = append(sources, posture.Source{Files: os.DirFS(f.Value.String()), Shown: f.Value.String(), Own: true})
		}
	}
	l, _, err := posture.Load(sources...)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, c := range l.Controls() {
		if strings.HasPrefix(c.ID, begun) && !slices.Contains(taken, c.ID) {
			out = append(out, c.ID+"\t"+clean(c.Title))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// controlThenFolders offers a control as the first argument, and folders after.
func controlThenFolders(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeControls(cmd, nil, begun)
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// onlyControl offers one control.
func onlyControl(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeControls(cmd, nil, begun)
}

// completeTenants offers the tenants of --config, or the folders below those that are named.
func completeTenants(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var out []string
	add := func(id, name string) {
		if strings.HasPrefix(id, begun) && plainName(id) && clean(id) == id {
			if name != "" && name != id {
				id += "\t" + clean(name)
			}
			out = append(out, id)
		}
	}
	if f := cmd.Flags().Lookup("config"); f != nil && f.Value.String() != "" {
		if file, err := config.Load(f.Value.String()); err == nil {
			for _, t := range file.Model.Tenants {
				add(string(t.ID), t.Name)
			}
		}
	} else {
		for _, dir := range args {
			list, err := os.ReadDir(dir)
			if err != nil {
				continue
			}
			for _, e := range list[:min(len(list), 10_000)] {
				if e.IsDir() {
					add(e.Name(), "")
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), cobra.ShellCompDirectiveNoFileComp
}

// completeWords offers fixed words.
func completeWords(words ...string) completing {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, begun) }), cobra.ShellCompDirectiveNoFileComp
	}
}

// completePosture gives the commands of posture what shells complete them by, the ones below it too.
func completePosture(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		completePosture(sub)
	}
	for name, by := range map[string]completing{
		"output": completeWords("table", "json", "jsonl", "csv"), "tenant": completeTenants, "control": completeControls,
		"fail-on": completeWords("none", "informational", "low", "medium", "high", "critical"),
	} {
		if cmd.Flags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, by) // fails only where the flag has one already
		}
	}
}
