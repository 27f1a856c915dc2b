package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func newExplain(c *console) *cobra.Command {
	var o app.Options
	var context []string
	cmd := &cobra.Command{
		Use:   "explain FILE[:RECORD]",
		Short: "Show one record's way through every stage",
		Long: `Explain tells what became of one record: recognised as what, decoded to which event, attributed to
whom by which rule, which detectors looked at it, and what fired or why not. RECORD is the line of a text
file, or the ordinal of an object or message; without it the first is taken. What a record means depends
on what came before, so --context names the folder to read along; without it the file alone is read.`,
		Example: `  breakwater explain telemetry/acme/zeek/conn.log:120
  breakwater explain --config breakwater.yaml --context telemetry telemetry/acme/vpn/openvpn.log:3`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, record, err := splitRecord(args[0])
			if err != nil {
				return err
			}
			o.Paths = append(slices.Clone(context), file)
			s, err := app.NewSetup(o)
			if err != nil {
				return err
			}
			x, err := app.Explain(cmd.Context(), s, file, record, context)
			if err != nil {
				return err
			}
			return printExplanation(c.out, x)
		},
	}
	cmd.Flags().StringVar(&o.ConfigPath, "config", "", "the file that declares tenants, partners and sensors")
	cmd.Flags().StringVar(&o.Rules, "rules", "", "a folder or zip of Sigma rules, beside our own pack")
	cmd.Flags().StringArrayVar(&o.Indicators, "indicators", nil, "a file of indicators (may be repeated)")
	cmd.Flags().StringArrayVar(&context, "context", nil, "a file or folder to read along (may be repeated)")
	return cmd
}

// splitRecord cuts FILE:RECORD; a colon that no number follows belongs to the name.
func splitRecord(arg string) (file string, record int64, err error) {
	i := strings.LastIndexByte(arg, ':')
	if i < 0 {
		return arg, 0, nil
	}
	n, err := strconv.ParseInt(arg[i+1:], 10, 64)
	if err != nil {
		return arg, 0, nil
	}
	if n < 1 {
		return "", 0, usage("record %d: the first record is 1", n)
	}
	return arg[:i], n, nil
}

func printExplanation(w io.Writer, x *app.Explanation) error {
	p := func(stage, format string, args ...any) {
		text := clean(fmt.Sprintf(format, args...))
		fmt.Fprintf(w, "%-11s %s\n", stage, text)
	}
	p("record", "%s, record %d", x.File, x.Record)
	p("recognise", "as %s", x.Format)
	if x.Bad != "" {
		p("decode", "not read: %s", x.Bad)
		return nil
	}
	if x.NoSensor {
		p("sensor", "no sensor of the configuration matches this path, so nobody knows whose it is")
		return nil
	}
	if x.Sensor != "" {
		p("sensor", "%s", x.Sensor)
	}
	if x.Duplicates {
		p("order", "the same record was delivered before, or its file was not read along: it is counted once")
	}
	for _, e := range x.Events {
		explainEvent(p, e)
	}
	for _, name := range slices.Sorted(maps.Keys(x.Detectors)) {
		for i, line := range x.Detectors[name] {
			if i == 0 {
				p("detect", "%s: %s", name, line)
			} else {
				p("", "  %s", line)
			}
		}
	}
	if len(x.Findings) == 0 {
		p("findings", "none rests on this record")
	}
	for _, f := range x.Findings {
		p("finding", "%s, %s, %s: %s", f.Severity, f.Rule, f.Outcome, f.Reason)
		if f.Suppressed != nil {
			p("", "suppressed by %s of %s: %s", f.Suppressed.By, f.Suppressed.Owner, f.Suppressed.Reason)
		}
		for i := range x.Windows {
			if x.Windows[i].Finding == f.ID {
				explainWindow(p, &x.Windows[i], x)
			}
		}
	}
	return nil
}

// explainWindow shows which events made a correlation hold; the record at hand is marked.
func explainWindow(p func(stage, format string, args ...any), w *app.Window, x *app.Explanation) {
	more := ""
	if n := w.Count - len(w.Events); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	p("window", "%s within %s, %s: %d events%s", w.Correlation.Type, w.Correlation.Timespan, w.Correlation.Condition(), len(w.Events), more)
	for _, ev := range w.Events {
		mark := " "
		if ev.File == x.File && ev.Record == x.Record {
			mark = "*"
		}
		p("", "%s %s %s:%d %s", mark, ev.Event.Time.Format("2006-01-02T15:04:05.000Z"), ev.File, ev.Record, strings.Join(strings.Fields(ev.Event.Source+" "+ev.Event.Detail()), " "))
	}
}

func explainEvent(p func(stage, format string, args ...any), e *ocsf.Event) {
	s := e.Summary()
	what := strings.Join(strings.Fields(e.Activity+" "+s.Status), " ") // a source may tell neither
	if what != "" {
		what += " "
	}
	p("decode", "%s, class %d %sat %s", e.Source, e.Class, what, e.Time.Format("2006-01-02T15:04:05.000Z"))
	for _, kv := range [][2]string{{"from", s.Src}, {"to", s.Dst}, {"device", s.Device}, {"user", s.User}, {"actor", s.Actor}, {"detail", s.Detail}} {
		if kv[1] != "" {
			p("", "  %s: %s", kv[0], kv[1])
		}
	}
	trust := "no trust covers it"
	if e.Trust != "" {
		trust = fmt.Sprintf("trust %s of partner %s, by %s", e.Trust, e.Partner, e.Rule)
	}
	p("attribute", "tenant %s, %s, direction %s", e.Tenant, trust, firstWord(string(e.Direction), "unknown"))
	if who := strings.TrimSpace(e.Owner.String() + " " + e.OwnerHost); who != "" || e.OwnerFrom.IsValid() {
		from := ""
		if e.OwnerFrom.IsValid() {
			from = ", coming from " + e.OwnerFrom.String()
		}
		p("", "  the source address was held by %s%s", firstWord(who, "somebody whom no record names"), from)
	}
	if e.Inside.IsValid() {
		p("", "  behind the source address was %s, by a translation record", e.Inside)
	}
	if e.SharedBy > 1 {
		p("", "  the source address was shared by at least %d inside hosts, and no translation record tells which", e.SharedBy)
	}
	if e.Session != "" {
		p("", "  session %s", e.Session)
	}
}

func firstWord(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// clean keeps what a log wrote from driving the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '·'
		}
		return r
	}, s)
}
