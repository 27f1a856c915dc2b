package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/show/report"
)

// formats are what -o takes, for results.
var formats = []string{"table", "json", "jsonl", "csv", "ocsf", "html"}

func newScan(c *console) *cobra.Command {
	var o app.Options
	var format, failOn string
	var quiet bool
	var doors []string
	cmd := &cobra.Command{
		Use:   "scan PATH…",
		Short: "Read logs and say who comes through whom",
		Long: `Scan reads files and folders (also gz, zst, zip and tar), recognises their formats by content, and
prints campaigns, incidents and findings. What could not be read is counted by file and reason and
never stops the rest. Without --config, a breakwater.yaml in one of the folders is used; without any,
everything belongs to one tenant without partners.`,
		Example: `  breakwater scan ./logs
  breakwater scan --config breakwater.yaml -o html ./logs > report.html
  breakwater scan --config breakwater.yaml -o html --posture ./evidence ./logs > report.html
  breakwater scan --rules ./sigma --indicators iocs.csv -o jsonl ./logs | jq .reason
  breakwater scan --fail-on high ./logs || echo "something to look at"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("scan needs at least one file or folder")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			level := ocsf.SeverityUnknown
			if failOn != "" {
				var err error
				if level, err = ocsf.ParseSeverity(failOn); err != nil || level == ocsf.SeverityUnknown {
					return usage("--fail-on: %q is no level: use informational, low, medium, high or critical", failOn)
				}
			}
			if !slices.Contains(formats, format) {
				return usage("-o %s: use one of %s", format, strings.Join(formats, ", "))
			}
			if len(doors) > 0 && format != "html" {
				return usage("--posture adds a section to -o html; `breakwater posture check --telemetry` judges by the same evidence")
			}
			o.Paths = args
			s, err := app.NewSetup(o)
			if err != nil {
				return err
			}
			bar := newProgress(c.err, !quiet)
			s.Progress = bar.update
			k, judge, err := investigate(cmd.Context(), s, args, doors)
			bar.done()
			if err != nil {
				return err
			}
			board, err := judge(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err := write(c.out, format, k, board); err != nil {
				return fmt.Errorf("writing the result: %w", err)
			}
			return failing(k.Result, level)
		},
	}
	cmd.Flags().StringVar(&o.ConfigPath, "config", "", "the file that declares tenants, partners and sensors")
	cmd.Flags().StringVar(&o.Rules, "rules", "", "a folder or zip of Sigma rules, beside our own pack")
	cmd.Flags().StringArrayVar(&o.Indicators, "indicators", nil, "a file of indicators: CSV, STIX 2.1 bundle or plain list (may be repeated)")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: "+strings.Join(formats, "|"))
	cmd.Flags().StringVar(&failOn, "fail-on", "", "exit with 3 where a finding is at this level or above")
	cmd.Flags().StringArrayVar(&doors, "posture", nil, "a folder of evidence, a folder a tenant: the page gets a section of posture (may be repeated)")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress bar")
	return cmd
}

// failing returns exit code 3 where a finding that nobody approved reaches the level.
func failing(r *campaign.Result, level ocsf.Severity) error {
	if level == ocsf.SeverityUnknown {
		return nil
	}
	for _, f := range r.List {
		if f.Suppressed == nil && f.Severity >= level {
			return exitWith{exitFindings, nil}
		}
	}
	return nil
}

func write(w io.Writer, format string, k *app.Case, doors *report.Doors) error {
	r, m := k.Result, k.Model
	switch format {
	case "json":
		return report.JSON(w, r)
	case "jsonl":
		return report.JSONL(w, r)
	case "csv":
		return report.CSV(w, r)
	case "ocsf":
		return report.OCSF(w, r, m)
	case "html":
		return report.HTML(w, r, m, report.Options{Version: version(), Traced: k.Ways(), Posture: doors})
	}
	return report.Table(w, r, m, colour(w))
}

// colour reports whether to colour what goes to w: only on a terminal, and not where NO_COLOR is set.
func colour(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && terminal(w) }

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress shows bytes, rate and time left on a terminal, and nothing elsewhere.
type progress struct {
	w     io.Writer
	on    bool
	start time.Time
	last  time.Time
}

func newProgress(w io.Writer, wanted bool) *progress {
	return &progress{w: w, on: wanted && terminal(w), start: time.Now()}
}

func (p *progress) update(read, total int64) {
	if !p.on || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	took := time.Since(p.start).Seconds()
	rate := float64(read) / max(took, 0.001)
	left := ""
	if read > 0 && read < total {
		left = ", " + (time.Duration(float64(total-read)/rate) * time.Second).Round(time.Second).String() + " left"
	}
	share := 1.0
	if total > 0 {
		share = min(1, float64(read)/float64(total))
	}
	full := int(share * 30)
	fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %3.0f%% of %.1f MB, %.1f MB/s%s", strings.Repeat("█", full), strings.Repeat("·", 30-full),
		share*100, float64(total)/1e6, rate/1e6, left)
}

func (p *progress) done() {
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
