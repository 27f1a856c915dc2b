package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/scenario"
)

func newScenario(c *console) *cobra.Command {
	return noun("scenario", "Write, check and judge telemetry whose truth is known", newScenarioWrite(c), newScenarioCheck(c), newScenarioEval(c))
}

func newScenarioWrite(c *console) *cobra.Command {
	var o scenario.Options
	var without []string
	cmd := &cobra.Command{
		Use:   "write DIR",
		Short: "Write the telemetry of a provider and its clients, with its truth",
		Long: `Write fills an empty folder with telemetry in the products' own formats, a breakwater.yaml and a
truth.json; docs/scenario-format.md describes them. The same options give the same bytes.

Kinds: ` + strings.Join(scenario.Kinds(), ", ") + `; and ` + scenario.PartnerMail + `,
labelled mail of one partner: history, clean mail and lures.`,
		Example: `  breakwater scenario write --kind island-hop --clients 7 --days 11 --seed 3 ./scenario
  breakwater scenario write --kind false-alarm --rename 9 ./quiet
  breakwater scenario write --kind two-hops --seed 4 --overlap --shared-nat --skew 90s --late --ipv6 ./hard`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, l := range without {
				if !slices.Contains(tenant.Layers, tenant.Layer(l)) {
					return usage("--without-layer %s: use mail, network, endpoint, cloud or access", l)
				}
				o.WithoutLayers = append(o.WithoutLayers, tenant.Layer(l))
			}
			if err := o.Check(); err != nil {
				return usage("%v", err)
			}
			t, err := scenario.Write(cmd.Context(), o, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(c.err, "Wrote %s (seed %d) to %s: %d campaigns.\n", t.Kind, t.Seed, args[0], len(t.Campaigns))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Kind, "kind", "island-hop", "kind of scenario: "+strings.Join(append(scenario.Kinds(), scenario.PartnerMail), "|"))
	f.IntVar(&o.Clients, "clients", 7, "clients of the provider")
	f.IntVar(&o.Days, "days", 0, "days of telemetry (0: the kind's own, 11 for most)")
	f.Uint64Var(&o.Seed, "seed", 1, "another seed, another story")
	f.Uint64Var(&o.Rename, "rename", 0, "another seed for names, addresses, ids and dates of the same story")
	f.Int64Var(&o.Events, "events", 0, "grow the background to about this many events")
	f.StringSliceVar(&without, "without-layer", nil, "leave a layer out at every tenant: mail|network|endpoint|cloud|access (may be repeated)")
	f.BoolVar(&o.Overlap, "overlap", false, "the clients share RFC 1918 address space")
	f.BoolVar(&o.SharedNAT, "shared-nat", false, "a partner's people come from one pool of addresses; half of the clients keep the translations")
	f.DurationVar(&o.Skew, "skew", 0, "some sensors' clocks are off by up to this, and drift (at most 1h)")
	f.BoolVar(&o.Late, "late", false, "some sensors deliver late and out of order, into files rotated by the day of arrival")
	f.BoolVar(&o.IPv6, "ipv6", false, "some clients' networks and VPN pools are dual stack")
	f.BoolVar(&o.WithoutAttack, "without-attack", false, "write the background alone")
	return cmd
}

func newScenarioCheck(c *console) *cobra.Command {
	return &cobra.Command{
		Use:     "check DIR",
		Short:   "Say whether a scenario is fair: enough background, and nothing that gives the intruder away",
		Example: "  breakwater scenario check ./scenario",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := scenario.Check(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprint(c.out, r.String())
			if !r.OK() {
				return exitWith{exitError, fmt.Errorf("%s is not fair; problems: %d", args[0], len(r.Problems))}
			}
			return nil
		},
	}
}
