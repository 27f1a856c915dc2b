package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/platform/config"
)

func newConfig(c *console) *cobra.Command {
	return noun("config", "Write and check the configuration file", newConfigInit(c), newConfigCheck(c))
}

func newConfigInit(c *console) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "init [FILE]",
		Short:   "Write a commented starter file",
		Example: "  breakwater config init\n  breakwater config init -  # to standard output",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := app.ConfigName
			if len(args) == 1 {
				name = args[0]
			}
			if name == "-" {
				_, err := c.out.Write(config.Init())
				return err
			}
			flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
			if force {
				flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
			}
			f, err := os.OpenFile(name, flags, 0o644)
			if os.IsExist(err) {
				return fmt.Errorf("%s is there already; --force writes over it", name)
			}
			if err != nil {
				return err
			}
			if _, err := f.Write(config.Init()); err != nil {
				f.Close()
				return fmt.Errorf("writing %s: %w", name, err)
			}
			fmt.Fprintf(c.err, "Wrote %s. Name your tenants, partners and sensors in it, then run `breakwater config check %s`.\n", name, name)
			return f.Close()
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}

func newConfigCheck(c *console) *cobra.Command {
	return &cobra.Command{
		Use:     "check [FILE]",
		Short:   "Say what is wrong with a configuration, line by line",
		Example: "  breakwater config check breakwater.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			name := app.ConfigName
			if len(args) == 1 {
				name = args[0]
			}
			f, err := config.Load(name)
			if err != nil {
				return err
			}
			for _, w := range f.Warnings() {
				fmt.Fprintln(c.err, "note:", w)
			}
			m := f.Model
			fmt.Fprintf(c.out, "%s is right: %d tenants, %d partners, %d trusts, %d sensors, %d approvals (version %s)\n",
				name, len(m.Tenants), len(m.Partners), len(m.Trusts), len(f.Sensors), len(m.Approvals), m.Version)
			return nil
		},
	}
}
