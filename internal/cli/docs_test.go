package cli

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write golden files and generated documentation anew")

const referenceFile = "../../docs/cli.md"

// TestReference holds docs/cli.md to the commands that the program has; -update writes it.
func TestReference(t *testing.T) {
	want := reference(newRoot(&console{strings.NewReader(""), io.Discard, io.Discard}))
	if *update {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/cli.md is not what the program says of itself: run `make docs`")
	}
}

func TestEveryCommandIsDocumented(t *testing.T) {
	root := newRoot(&console{strings.NewReader(""), io.Discard, io.Discard})
	each(root, func(c *cobra.Command) {
		if c.Short == "" || c.HasParent() && !c.HasSubCommands() && c.Example == "" {
			t.Errorf("%s needs a line on what it does, and an example", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s says nothing about itself", c.CommandPath(), f.Name)
			}
		})
	})
}

// TestExamplesAreCommandsOfTheProgram: what stands in an example can be pasted into a shell.
func TestExamplesAreCommandsOfTheProgram(t *testing.T) {
	fresh := func() *cobra.Command { return newRoot(&console{strings.NewReader(""), io.Discard, io.Discard}) }
	each(fresh(), func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(line)
			if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "#") || strings.Trim(w, "|>") == "" }); i >= 0 {
				words = words[:i] // a comment, or what the shell does with the output
			}
			if len(words) < 2 || words[0] != "breakwater" {
				t.Errorf("%s: no command of ours: %s", c.CommandPath(), line)
				continue
			}
			cmd, args, err := fresh().Find(words[1:])
			if err == nil {
				err = cmd.ParseFlags(args)
			}
			if err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err != nil || !cmd.HasParent() {
				t.Errorf("%s: %s: %v", c.CommandPath(), strings.TrimSpace(line), err)
			}
		}
	})
}

// reference is the command tree as Markdown.
func reference(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The command line\n\nWritten by `make docs` from the program itself. `breakwater COMMAND --help` shows the same.\n\n")
	fmt.Fprintf(&b, "Data goes to standard output and words to standard error, so that output can be piped. Colour is used on a terminal only, and not where `NO_COLOR` is set. `breakwater completion SHELL` writes completions for bash, zsh, fish and PowerShell.\n\n")
	fmt.Fprintf(&b, "| exit code | meaning |\n| ---: | --- |\n| %d | done |\n| %d | an error; its reason is on standard error |\n| %d | the command was not understood |\n| %d | done, and there are findings at or above `--fail-on` |\n", exitDone, exitError, exitUsage, exitFindings)
	each(root, func(c *cobra.Command) {
		if !c.HasSubCommands() || c.Example != "" && c.HasParent() { // trace does something itself, and has verbs
			section(&b, c)
		}
	})
	return b.Bytes()
}

func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
			each(sub, do)
		}
	}
}

func section(b *bytes.Buffer, c *cobra.Command) {
	words := c.Long
	if words == "" {
		words = c.Short + "."
	}
	fmt.Fprintf(b, "\n## %s\n%s\n\n```\n%s\n```\n", c.CommandPath(), words, c.UseLine())
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", dedent(c.Example))
	}
	rows := ""
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		flag := "--" + f.Name
		if f.Shorthand != "" {
			flag = "-" + f.Shorthand + ", " + flag
		}
		if name != "" {
			flag += " " + name
		}
		value := f.DefValue
		if value == "[]" || value == "false" {
			value = ""
		}
		rows += fmt.Sprintf("| `%s` | %s | %s |\n", flag, strings.ReplaceAll(usage, "|", `\|`), strings.Trim(value, "[]"))
	})
	if rows != "" {
		fmt.Fprintf(b, "\n| flag | meaning | default |\n| --- | --- | --- |\n%s", rows)
	}
}

func dedent(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}
