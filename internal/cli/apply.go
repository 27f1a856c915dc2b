package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/platform/state"
)

func newApply(c *console) *cobra.Command {
	var data string
	var check bool
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make a configuration the one that serve works by",
		Long: `Apply checks a breakwater.yaml, tells what it declares and what that changes, and stores it in the data
folder as the one that holds. A serve that runs on the folder takes it within seconds, without a restart and
without a gap; events are attributed by what holds when they are taken in. The one before is kept.`,
		Example: "  breakwater apply --data /var/lib/breakwater breakwater.yaml\n  breakwater apply --data ./data --dry-run breakwater.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if data == "" {
				return usage("--data is needed: the data folder of serve")
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("reading configuration: %w", err)
			}
			store, err := state.Open(data, state.Options{})
			if err != nil {
				return fmt.Errorf("opening the state in %s: %w", data, err)
			}
			defer store.Close()
			plan, err := app.PlanApply(cmd.Context(), store, args[0], text)
			if err != nil {
				return err
			}
			for _, line := range plan.Lines {
				fmt.Fprintln(c.out, line)
			}
			for _, w := range plan.File.Warnings() {
				fmt.Fprintln(c.err, w.String())
			}
			if check {
				return nil
			}
			_, fresh, err := app.Apply(cmd.Context(), store, args[0], text, "apply")
			if err != nil {
				return err
			}
			if fresh {
				fmt.Fprintf(c.err, "Applied %s (snapshot %s).\n", args[0], plan.File.Model.Version)
			} else {
				fmt.Fprintln(c.err, "Nothing has changed.")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data folder of serve; made where it is missing")
	cmd.Flags().BoolVar(&check, "dry-run", false, "tell what would change, and change nothing")
	return cmd
}
