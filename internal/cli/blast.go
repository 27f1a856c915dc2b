package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
)

// blastLine is one host of an answer, or a tenant without any, for CSV and JSON lines.
type blastLine struct {
	Tenant string `json:"tenant"`
	Reach  string `json:"reach"`
	app.BlastHost
	Trusts   []string `json:"trusts"`
	Sessions int      `json:"sessions"`
}

func newBlast(c *console) *cobra.Command {
	var t telemetryFlags
	var r remote
	var o app.BlastOptions
	var format string
	cmd := &cobra.Command{
		Use:   "blast PARTNER|ACCOUNT|TOOL|ADDRESS [PATH…]",
		Short: "Say which tenants and hosts somebody could reach, and did",
		Long: `Blast reads the telemetry in the paths as scan does, and walks forwards in time: from every session of a partner,
an account, a remote tool (product or instance) or an address, to the hosts in which it was at work, and from
each to where somebody went on from there. Of each tenant it says reached, attempted (what was tried got
nothing) or possible (a declared trust leads there and nobody was seen to use it). Whether it was the same
person who went on is not known: what is told is what could have been reached. With --server and no path, a
running server is asked.`,
		Example: `  breakwater blast northwind --since 2026-03-01 --config breakwater.yaml ./logs
  breakwater blast nw-admin --as account --since 24h -o csv ./logs
  breakwater blast northwind --since 24h --server https://breakwater.example:8443 --token-file ./token`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("blast needs a partner, account, tool or address, and files or folders, or --server")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			switch o.As {
			case "", "partner", "account", "tool", "address":
			default:
				return usage("--as %s: use partner, account, tool or address", o.As)
			}
			o.Subject = args[0]
			if r.asks(args[1:]) {
				return blastServer(cmd, c, &r, o, format)
			}
			s, done, err := t.setup(c, args[1:])
			if err != nil {
				return err
			}
			k, err := app.Investigate(cmd.Context(), s, args[1:], nil)
			done()
			if err != nil {
				return err
			}
			b, err := k.Blast(o)
			if err != nil {
				return err
			}
			return printBlast(c, format, b)
		},
	}
	t.flags(cmd)
	r.flags(cmd)
	cmd.Flags().StringVar(&o.Since, "since", "", "from when on: RFC 3339, a day, or so long before the end of the telemetry, such as 24h; all where left out")
	cmd.Flags().StringVar(&o.As, "as", "", "what the subject is: partner|account|tool|address; whichever it is known as where left out")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func printBlast(c *console, format string, b *app.BlastAnswer) error {
	if format == "json" {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		return enc.Encode(b)
	}
	var lines []blastLine
	reach := map[string]int{}
	for _, t := range b.Tenants {
		reach[string(t.Reach)]++
		l := blastLine{Tenant: string(t.Tenant), Reach: string(t.Reach), Sessions: t.Sessions, Trusts: []string{}}
		for _, id := range t.Trusts {
			l.Trusts = append(l.Trusts, string(id))
		}
		if len(t.Hosts) == 0 {
			l.Time = t.First
			lines = append(lines, l)
		}
		for _, h := range t.Hosts {
			l.BlastHost, l.Reach = h, string(h.Reach)
			lines = append(lines, l)
		}
	}
	columns := []listColumn[blastLine]{
		{"tenant", func(l blastLine) string { return l.Tenant }},
		{"reach", func(l blastLine) string { return l.Reach }},
		{"host", func(l blastLine) string { return l.Host }},
		{"first", func(l blastLine) string { return utcText(l.Time) }},
		{"how", func(l blastLine) string { return l.Kind }},
		{"from", func(l blastLine) string { return l.From }},
		{"account", func(l blastLine) string { return l.User }},
		{"hops", func(l blastLine) string { return strconv.Itoa(l.Depth) }},
		{"trusts", func(l blastLine) string { return strings.Join(l.Trusts, " ") }},
		{"evidence", func(l blastLine) string {
			if l.File == "" {
				return ""
			}
			return fmt.Sprintf("%s:%d", l.File, l.Record)
		}},
	}
	if format != "table" {
		return printList(c.out, format, lines, columns)
	}
	fmt.Fprintln(c.out, clean(fmt.Sprintf("%s: %d tenants reached, %d attempted, %d possible", b.Subject, reach["reached"], reach["attempted"], reach["possible"])))
	for _, t := range b.Tenants {
		fmt.Fprintln(c.out, clean(fmt.Sprintf("  %s: %s, %d sessions, %d hosts, accounts %s, %d findings, %s to %s",
			t.Tenant, t.Reach, t.Sessions, len(t.Hosts), firstWord(strings.Join(t.Accounts, " "), "-"), len(t.Findings), firstWord(utcText(t.First), "-"), firstWord(utcText(t.Last), "-"))))
	}
	for _, s := range append(b.Clocks, b.Notes...) {
		fmt.Fprintln(c.out, clean("  "+s))
	}
	fmt.Fprintln(c.out)
	return printList(c.out, format, lines, columns)
}
