package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
)

// exchangeFlags name the key and the ledger of trace requests.
type exchangeFlags struct{ data, key string }

func (x *exchangeFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&x.data, "data", "", "data folder: its trace/ holds the key, what was answered and the audit file")
	cmd.Flags().StringVar(&x.key, "key", "", "the key file, where it is not trace/key.pem of the data folder")
}

func (x *exchangeFlags) keyFile() (string, error) {
	switch {
	case x.key != "":
		return x.key, nil
	case x.data != "":
		return app.ExchangeKey(x.data), nil
	}
	return "", usage("whose key? Name the data folder with --data, or the key file with --key")
}

func (x *exchangeFlags) open() (*app.Exchange, error) {
	name, err := x.keyFile()
	if err != nil {
		return nil, err
	}
	key, err := tracing.ReadKey(name)
	if err != nil {
		return nil, err
	}
	e := &app.Exchange{Key: key, Now: time.Now()}
	if x.data != "" {
		e.Dir = app.ExchangeDir(x.data)
	}
	return e, nil
}

// telemetryFlags are those of a command that reads telemetry as scan does.
type telemetryFlags struct {
	app.Options
	quiet bool
}

func (t *telemetryFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.ConfigPath, "config", "", "the file that declares tenants, partners and sensors")
	cmd.Flags().StringVar(&t.Rules, "rules", "", "a folder or zip of Sigma rules, beside our own pack")
	cmd.Flags().StringArrayVar(&t.Indicators, "indicators", nil, "a file of indicators (may be repeated)")
	cmd.Flags().BoolVarP(&t.quiet, "quiet", "q", false, "no progress bar")
}

func (t *telemetryFlags) setup(c *console, paths []string) (*app.Setup, func(), error) {
	t.Paths = paths
	s, err := app.NewSetup(t.Options)
	if err != nil {
		return nil, nil, err
	}
	bar := newProgress(c.err, !t.quiet)
	s.Progress = bar.update
	return s, bar.done, nil
}

func newTrace(c *console) *cobra.Command {
	var t telemetryFlags
	var x exchangeFlags
	var r remote
	var o app.TraceOptions
	var format, request, tlp string
	var answers []string
	cmd := &cobra.Command{
		Use:   "trace FINDING|ADDRESS [PATH…]",
		Short: "Walk back from a finding, or from an address at a time, to where it began",
		Long: `Trace reads the telemetry in the paths as scan does, and walks back from whoever did what a finding shows,
or from an address or host at a time, session by session: several ways, the likeliest first, with what
tells for and against each. Where the trace ends at an organisation whose telemetry is not held, it says
whom to ask for what; --request writes that as a signed document for the other side's
` + "`breakwater trace answer`" + `, and --answer takes what comes back, so that the trace goes on.
With --server and no path, a running server is asked; it shows the likeliest way of each incident by itself.
It signs --request with its own key, unless --config and --data or --key name yours, and keeps what --answer hands
it, so that all traces go on from there.`,
		Example: `  breakwater trace 10.20.1.5 --at 2026-03-02T15:04:05Z ./logs
  breakwater trace 4f1c09aa7be2d35f60718293 --config breakwater.yaml -o json ./logs
  breakwater trace 203.0.113.9 --at 2026-03-02T15:04:05Z --tenant acme --data ./data --request ask.json ./logs
  breakwater trace 203.0.113.9 --at 2026-03-02T15:04:05Z --tenant acme --data ./data --answer answer.json ./logs
  breakwater trace 4f1c09aa7be2d35f60718293 --server https://breakwater.example:8443 --token-file ./token`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("trace needs a finding or an address, and files or folders, or --server")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if format == "csv" {
				return usage("-o csv: use table, json or jsonl")
			}
			if err := checkFormat(format); err != nil {
				return err
			}
			if o.Most < 1 {
				return usage("--paths: at least 1")
			}
			o.Subject = args[0]
			if r.asks(args[1:]) {
				return traceServer(cmd, c, &r, &t, &x, o, format, request, tlp, answers)
			}
			var ex *app.Exchange
			if request != "" || len(answers) > 0 {
				var err error
				if ex, err = x.open(); err != nil {
					return err
				}
			}
			docs, err := readDocuments(answers)
			if err != nil {
				return err
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
			var told []string
			if len(docs) > 0 {
				if told, err = k.Accept(cmd.Context(), ex, docs); err != nil {
					return err
				}
			}
			list, err := k.Trace(o)
			if err != nil {
				return err
			}
			for i := range list {
				list[i].Answers = told
			}
			if err := printTraces(c.out, format, list); err != nil {
				return fmt.Errorf("writing the trace: %w", err)
			}
			if request == "" {
				return nil
			}
			return writeRequest(cmd.Context(), c, k, ex, list, request, tlp)
		},
	}
	t.flags(cmd)
	x.flags(cmd)
	r.flags(cmd)
	cmd.Flags().StringVar(&o.At, "at", "", "when the address was at work: RFC 3339, or so long before the end of the telemetry, such as 2h")
	cmd.Flags().StringVar((*string)(&o.Tenant), "tenant", "", "whose telemetry names the address; where private space is used twice, it decides")
	cmd.Flags().StringVar(&o.User, "user", "", "the account that acted, where it is known")
	cmd.Flags().IntVar(&o.Most, "paths", 3, "ways shown of each source, at most 8")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl")
	cmd.Flags().StringVar(&request, "request", "", "write the signed request to this file, where the likeliest way ends at somebody else")
	cmd.Flags().StringVar(&tlp, "tlp", "TLP:AMBER", "how far the request may be passed on, by TLP 2.0")
	cmd.Flags().StringArrayVar(&answers, "answer", nil, "the answer to a request of ours (may be repeated)")
	cmd.AddCommand(newTraceAnswer(c), newTraceVerify(c), newTraceRequest(c), noun("key", "The key that signs trace requests and answers", newTraceKeyShow(c), newTraceKeyCreate(c)))
	return cmd
}

func readDocuments(names []string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range names {
		data, err := readDocument(name)
		if err != nil {
			return nil, err
		}
		out[name] = data
	}
	return out, nil
}

func readDocument(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading a trace document: %w", err)
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, tracing.MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("reading the trace document %s: %w", name, err)
	}
	return data, nil
}

// writeDocument writes a document whole or not at all, and never over another.
func writeDocument(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return fmt.Errorf("%s exists already; name another file", name)
	}
	if err != nil {
		return fmt.Errorf("writing a trace document: %w", err)
	}
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(name)
		return fmt.Errorf("writing the trace document %s: %w", name, err)
	}
	return nil
}

func checkTLP(tlp string) error {
	switch tlp {
	case "TLP:RED", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:GREEN", "TLP:CLEAR":
		return nil
	}
	return usage("--tlp %s: use TLP:RED, TLP:AMBER, TLP:AMBER+STRICT, TLP:GREEN or TLP:CLEAR", tlp)
}

func writeRequest(ctx context.Context, c *console, k *app.Case, x *app.Exchange, list []app.Traced, name, tlp string) error {
	if err := checkTLP(tlp); err != nil {
		return err
	}
	t := app.AskOf(list)
	if t == nil {
		return nil
	}
	doc, err := k.Request(ctx, x, t, tlp)
	if err != nil {
		return err
	}
	return savedRequest(c, name, t.Paths[0].Ask.Organisation, doc)
}

// savedRequest writes a signed request, and says what to do with it.
func savedRequest(c *console, name, organisation string, doc []byte) error {
	if err := writeDocument(name, doc); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "Wrote %s for %s. Send it to them; they answer with `breakwater trace answer %s PATH…`, or their server does.\n", name, clean(organisation), filepath.Base(name))
	return nil
}

func printTraces(w io.Writer, format string, list []app.Traced) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	case "jsonl":
		enc := json.NewEncoder(w)
		for _, t := range list {
			for _, p := range t.Paths {
				row := struct {
					Subject string    `json:"subject"`
					Finding string    `json:"finding,omitempty"`
					Tenant  tenant.ID `json:"tenant"`
					At      time.Time `json:"at"`
					app.TracedPath
				}{t.Subject, t.Finding, t.Tenant, t.At, p}
				if err := enc.Encode(row); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for i := range list {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := printTrace(w, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func printTrace(w io.Writer, t *app.Traced) error {
	var b strings.Builder
	p := func(format string, args ...any) { b.WriteString(clean(fmt.Sprintf(format, args...)) + "\n") }
	p("%s at %s, as %s's telemetry names it", t.Subject, t.At.Format(time.RFC3339), t.Tenant)
	for _, s := range t.Answers {
		p("answer: %s", s)
	}
	for _, s := range t.Clocks {
		p("clocks: %s", s)
	}
	for i := range t.Paths {
		x := &t.Paths[i]
		p("")
		p("%d. from %s, %d sessions, %.0f %% of what the telemetry shows", x.Rank, x.Origin, len(x.Hops), 100*x.Share)
		for _, h := range x.Hops {
			port := ""
			if h.Port > 0 {
				port = fmt.Sprintf(" port %d", h.Port)
			}
			user := ""
			if h.User != "" {
				user = " as " + h.User
			}
			p("   %s → %s  %s%s%s, %s to %s, score %.2f", h.From, h.To, h.Kind, port, user, h.Start.Format(time.RFC3339), h.End.Format(time.RFC3339), h.Score)
			if len(h.For) > 0 {
				p("     for: %s", strings.Join(h.For, "; "))
			}
			if len(h.Against) > 0 {
				p("     against: %s", strings.Join(h.Against, "; "))
			}
			if h.File != "" {
				p("     evidence: %s:%d", h.File, h.Record)
			}
		}
		p("   ends: %s", x.Reason)
		if x.Shared {
			p("   shared: others may stand behind %s, so this stays a candidate", x.Origin)
		}
		if x.Tied != "" {
			p("   tied: %s", x.Tied)
		}
		if a := x.Ask; a != nil {
			p("   ask %s: %s", a.Organisation, a.Question())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newTraceKeyShow(c *console) *cobra.Command {
	var x exchangeFlags
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show the fingerprint that the other side must pin",
		Example: "  breakwater trace key show --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			e, err := x.open()
			if err != nil {
				return err
			}
			fmt.Fprintln(c.out, tracing.Fingerprint(ed25519.PrivateKey(e.Key).Public().(ed25519.PublicKey)))
			return nil
		},
	}
	x.flags(cmd)
	return cmd
}

func newTraceKeyCreate(c *console) *cobra.Command {
	var x exchangeFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key, readable by its owner alone",
		Long: `Create makes an Ed25519 key and prints its fingerprint, as OpenSSH would. The other side of a trust declares
the fingerprint as trace.peer of that trust; tell it by a way other than the one that requests take.`,
		Example: "  breakwater trace key create --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			name, err := x.keyFile()
			if err != nil {
				return err
			}
			key, err := tracing.CreateKey(name)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.out, tracing.Fingerprint(key.Public().(ed25519.PublicKey)))
			fmt.Fprintf(c.err, "The key is in %s.\n", name)
			return nil
		},
	}
	x.flags(cmd)
	return cmd
}
