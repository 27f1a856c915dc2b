// Package cli is the command line: one file a command. Data goes to standard output, words to standard error.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes; docs/output-format.md tells them to users.
const (
	exitDone     = 0
	exitError    = 1
	exitUsage    = 2
	exitFindings = 3 // done, and findings at or above --fail-on
)

// exitWith carries an exit code out of a command; err may be nil.
type exitWith struct {
	code int
	err  error
}

func (e exitWith) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exitWith) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return exitWith{exitUsage, fmt.Errorf(format, args...)}
}

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs the program and returns its exit code.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, args, &console{in, out, errw})
}

func run(ctx context.Context, args []string, c *console) int {
	root := newRoot(c)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var x exitWith
	code := exitError
	if errors.As(err, &x) {
		code, err = x.code, x.err
	} else if isUsage(err) {
		code = exitUsage
	}
	if err != nil {
		for i, line := range strings.Split(err.Error(), "\n") {
			if i == 0 {
				line = "breakwater: " + line
			}
			fmt.Fprintln(c.err, line)
		}
		if code == exitUsage {
			fmt.Fprintln(c.err, "See `breakwater --help`.")
		}
	}
	return code
}

// isUsage tells the errors of the flag parser, which have no type of their own.
func isUsage(err error) bool {
	for _, p := range []string{"unknown command", "unknown flag", "unknown shorthand", "accepts ", "requires ", "invalid argument", "flag needs an argument", "required flag"} {
		if strings.HasPrefix(err.Error(), p) {
			return true
		}
	}
	return false
}

func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "breakwater",
		Short: "Find out who is coming through whom",
		Long: `Breakwater defends service providers and the organisations that trust them against island hopping.
It attributes every event to the tenant and to the partner whose trust it came through, joins what
belongs together into campaigns, and says where they began, which clients are hit, and since when.`,
		Example: `  breakwater demo                                  # see it at work on a written scenario
  breakwater scan ./logs                           # one organisation, no configuration
  breakwater scan --config breakwater.yaml ./logs  # many tenants and partners
  breakwater explain ./logs/conn.log:42            # one record's way through every stage`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.AddCommand(newScan(c), newExplain(c), newConfig(c), newScenario(c), newDemo(c), newRule(c), newServe(c), newApply(c))
	root.AddCommand(newTrace(c), newBlast(c), newTrust(c), newMail(c), newPosture(c))
	root.AddCommand(newToken(c))
	root.AddCommand(newUser(c))
	root.AddCommand(newCampaign(c), newIncident(c), newFinding(c), newCoverage(c), newDeadletter(c), newLevel(c))
	return root
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// noun returns a command that only holds others.
func noun(name, short string, verbs ...*cobra.Command) *cobra.Command {
	n := &cobra.Command{Use: name, Short: short, Args: func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("unknown command %q for \"breakwater %s\"", args[0], name)
		}
		return nil
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	n.AddCommand(verbs...)
	return n
}
