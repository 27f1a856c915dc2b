package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
)

func newTraceAnswer(c *console) *cobra.Command {
	var t telemetryFlags
	var x exchangeFlags
	var r remote
	var yes app.Approval
	var out string
	cmd := &cobra.Command{
		Use:   "answer REQUEST.json [PATH…]",
		Short: "Answer another organisation's trace request from our own telemetry",
		Long: `Answer checks a request (signed by the peer of a trust, meant for us, valid, not answered before, about one
address or account of that trust within a day) and answers it with the next hop alone: from where,
how, when, how sure, and under which account where the trust allows it. Unless the trust says
answer: auto, a person agrees to each answer with --approve and --reason. What is answered or refused
stands in trace/audit.jsonl of the data folder. A refusal names its code and ends with exit code 1.
With --server and no path, a running server answers from what it holds, with its own key; without --reason
a request waits there for ` + "`breakwater trace request approve`" + ` unless the trust says answer: auto.`,
		Example: `  breakwater trace verify --config breakwater.yaml ask.json
  breakwater trace answer --config breakwater.yaml --data ./data --approve "Jo Doe" --reason "incident 17" -o answer.json ask.json ./logs
  breakwater trace answer --server https://breakwater.example:8443 --token-file ./token --reason "incident 17" -o answer.json ask.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("trace answer needs a request, and files or folders, or --server")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			server := r.asks(args[1:])
			switch {
			case x.data == "" && !server:
				return usage("--data is needed: the folder that remembers what was answered")
			case out == "":
				return usage("-o is needed: the file for the answer")
			case server && yes.By != "" && yes.Reason == "":
				return usage("--approve needs --reason")
			case server:
				return answerServer(cmd, c, &r, yes, args[0], out)
			case (yes.By == "") != (yes.Reason == ""):
				return usage("--approve and --reason belong together")
			}
			if err := free(out); err != nil {
				return err
			}
			e, err := x.open()
			if err != nil {
				return err
			}
			raw, err := readDocument(args[0])
			if err != nil {
				return err
			}
			s, done, err := t.setup(c, args[1:])
			if err != nil {
				return err
			}
			doc, err := app.AnswerRequest(cmd.Context(), s, args[1:], raw, e, yes)
			done()
			if err != nil {
				return err
			}
			if err := writeDocument(out, doc); err != nil {
				return err
			}
			d, err := tracing.Read(doc)
			if err != nil {
				return err
			}
			for _, line := range answerLines(d.Answer) {
				fmt.Fprintln(c.err, clean(line))
			}
			return nil
		},
	}
	t.flags(cmd)
	x.flags(cmd)
	r.flags(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "the file for the answer")
	cmd.Flags().StringVar(&yes.By, "approve", "", "who agrees to this answer")
	cmd.Flags().StringVar(&yes.Reason, "reason", "", "and why")
	return cmd
}

func newTraceVerify(c *console) *cobra.Command {
	var conf string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a trace request, an answer or an audit file, and show what it says",
		Long: `Verify checks the signature and form of a request or an answer and shows who signed what; with --config it says
which trusts pin that key. Of an audit file it checks that every line follows from the one before. It ends
with exit code 1 where something does not hold.`,
		Example: "  breakwater trace verify --config breakwater.yaml ask.json\n  breakwater trace verify ./data/trace/audit.jsonl",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if strings.HasSuffix(args[0], ".jsonl") {
				return verifyAudit(c, args[0])
			}
			raw, err := readDocument(args[0])
			if err != nil {
				return err
			}
			d, err := tracing.Read(raw)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			fmt.Fprintf(c.out, "%s, signed by %s\n", d.Kind, d.Signer)
			if conf != "" {
				s, err := app.DeclaredSetup(conf)
				if err != nil {
					return err
				}
				fmt.Fprintln(c.out, pinnedText(s.Model, d.Signer))
			}
			what := any(d.Request)
			if d.Answer != nil {
				what = d.Answer
				for _, line := range answerLines(d.Answer) {
					fmt.Fprintln(c.out, clean(line))
				}
			}
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetIndent("", "  ")
			if err := enc.Encode(what); err != nil {
				return err
			}
			for line := range strings.Lines(b.String()) {
				fmt.Fprintln(c.out, clean(strings.TrimSuffix(line, "\n")))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&conf, "config", "", "the file that declares the trusts, with their trace.peer")
	return cmd
}

func verifyAudit(c *console, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading the audit file: %w", err)
	}
	defer f.Close()
	n, err := tracing.VerifyAudit(f)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(c.out, "%d lines, each follows from the one before\n", n)
	return nil
}

func pinnedText(m *tenant.Model, fingerprint string) string {
	var trusts []string
	for _, t := range m.Trusts {
		if t.Trace.Peer == fingerprint {
			trusts = append(trusts, string(t.ID))
		}
	}
	if len(trusts) == 0 {
		return "no trust pins that key: nobody knows who it is"
	}
	return "pinned by trust " + strings.Join(trusts, ", ")
}

func answerLines(a *tracing.Answer) []string {
	out := []string{fmt.Sprintf("%s answers: %s, %s", a.Answerer, a.Outcome, a.Reason)}
	for _, h := range a.Hops {
		line := fmt.Sprintf("from %s by %s, %s to %s, %d %% sure", h.From, h.Kind, h.Start.UTC().Format(time.RFC3339), h.End.UTC().Format(time.RFC3339), h.Confidence)
		if h.Account != "" {
			line += ", as " + h.Account
		}
		out = append(out, line)
	}
	return out
}
