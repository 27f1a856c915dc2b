package cli

import (
	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// newSweepAccept is `breakwater mail sweep accept`.
func newSweepAccept(c *console) *cobra.Command {
	var p sweptPlace
	var format string
	cmd := &cobra.Command{
		Use:   "accept RUN",
		Short: "Carry out a sweep that `breakwater serve` offers",
		Long: `Carry out a sweep that ` + "`breakwater serve`" + ` offers: after a report of a user, a new indicator or a campaign. It looks for the
same once more, so that copies that came since are moved too. ` + "`mail sweep list`" + ` lists offers, ` + "`mail sweep undo`" + ` puts back what
this moves.`,
		Example: "  breakwater mail sweep accept 20260601T120000Z-a1b2c3-f --config breakwater.yaml --data data --tenant acme",
		Args:    oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			f, owner, err := p.open()
			if err != nil {
				return err
			}
			judge, err := judgeOf(c, f, p.data) // the offer may ask for a verdict
			if err != nil {
				return err
			}
			s, err := p.sweeper(c, f, owner.ID, false, judge)
			if err != nil {
				return err
			}
			res, err := s.Accept(cmd.Context(), args[0], operatorName(), sweep.Limits{})
			return printSweep(c, format, res, err)
		},
	}
	p.flags(cmd)
	outputFlag(cmd, &format)
	return cmd
}
