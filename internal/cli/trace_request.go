package cli

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

func newTraceRequest(c *console) *cobra.Command {
	return noun("request", "Trace requests of other organisations at a running server",
		newTraceRequestList(c), newTraceRequestShow(c), newTraceRequestDecide(c, true), newTraceRequestDecide(c, false))
}

// requestColumns are those of a list; what one is asked in full is below them where one is shown.
var requestColumns = []listColumn[api.TraceRequest]{
	{"id", func(x api.TraceRequest) string { return x.ID }},
	{"state", func(x api.TraceRequest) string { return x.State }},
	{"tenant", func(x api.TraceRequest) string { return string(x.Tenant) }},
	{"asker", func(x api.TraceRequest) string { return x.Asker }},
	{"trust", func(x api.TraceRequest) string { return string(x.Trust) }},
	{"about", func(x api.TraceRequest) string { return requestedAsk(&x).Question() }},
	{"received", func(x api.TraceRequest) string { return utcText(x.Received) }},
	{"expires", func(x api.TraceRequest) string { return utcText(x.Expires) }},
}

// oneRequestColumns add who did what, and what the other side gets.
var oneRequestColumns = append(append([]listColumn[api.TraceRequest]{}, requestColumns...), []listColumn[api.TraceRequest]{
	{"peer", func(x api.TraceRequest) string { return x.Peer }},
	{"tlp", func(x api.TraceRequest) string { return x.TLP }},
	{"handed in by", func(x api.TraceRequest) string { return x.By }},
	{"decided", func(x api.TraceRequest) string {
		if x.Decided == nil {
			return ""
		}
		return utcText(*x.Decided)
	}},
	{"decided by", func(x api.TraceRequest) string { return x.DecidedBy }},
	{"reason", func(x api.TraceRequest) string { return x.Reason }},
}...)

func requestedAsk(x *api.TraceRequest) *app.TracedAsk {
	return &app.TracedAsk{Address: x.Address, Account: x.Account, Target: x.Target, Port: x.Port, JoinKey: x.JoinKey, At: x.At, From: x.From, To: x.To}
}

func newTraceRequestList(c *console) *cobra.Command {
	var r remote
	var format string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the requests that came, those that wait for a person first",
		Example: "  breakwater trace request list --server https://breakwater.example:8443 --token-file ./token",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			var got struct{ Requests []api.TraceRequest }
			if err := s.call(cmd.Context(), http.MethodGet, "/trace/requests", nil, nil, &got); err != nil {
				return err
			}
			return printList(c.out, format, got.Requests, requestColumns)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

func newTraceRequestShow(c *console) *cobra.Command {
	var r remote
	var format, save string
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one request, with its answer or with what would be answered now",
		Example: `  breakwater trace request show 3f2a91bc5d0e47a8b1c6d2e4f5a60718
  breakwater trace request show 3f2a91bc5d0e47a8b1c6d2e4f5a60718 --save answer.json`,
		Args: oneRequest,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			if err := free(save); err != nil {
				return err
			}
			var x api.TraceRequest
			if err := s.call(cmd.Context(), http.MethodGet, "/trace/requests/"+args[0], nil, nil, &x); err != nil {
				return err
			}
			if err := printOne(c.out, format, x, oneRequestColumns); err != nil {
				return err
			}
			if format == "table" && x.Reply != nil {
				printReply(c, &x)
			}
			if save == "" {
				return nil
			}
			if len(x.Answer) == 0 {
				return fmt.Errorf("the request is %s, so there is no answer to save", x.State)
			}
			return saveAnswer(c, save, &x)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	cmd.Flags().StringVar(&save, "save", "", "write the signed answer to this file")
	return cmd
}

func newTraceRequestDecide(c *console, answer bool) *cobra.Command {
	var r remote
	var by, reason, save string
	verb, short, long := "approve", "Answer a request that waits", `Approve has the server answer a request from its own telemetry, with the next hop alone, and sign the answer.
`+"`breakwater trace request show`"+` says beforehand what that would be. An answer is given once; --save writes it
to a file now, and show does so later.`
	if !answer {
		verb, short, long = "decline", "Decline a request that waits", "Decline leaves a request without an answer, with the reason. Who asked is not told by itself."
	}
	cmd := &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Long:    long,
		Example: "  breakwater trace request " + verb + " 3f2a91bc5d0e47a8b1c6d2e4f5a60718 --reason INC-17",
		Args:    oneRequest,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usage("--reason is needed: it stands in the audit")
			}
			s, err := r.connect()
			if err != nil {
				return err
			}
			if err := free(save); err != nil {
				return err
			}
			var x api.TraceRequest
			if err := s.call(cmd.Context(), http.MethodPost, "/trace/requests/"+args[0]+"/"+verb, nil, map[string]string{"by": by, "reason": reason}, &x); err != nil {
				return err
			}
			if save != "" {
				return saveAnswer(c, save, &x)
			}
			printReply(c, &x)
			fmt.Fprintf(c.err, "The request %s is %s.\n", clean(x.ID), clean(x.State))
			return nil
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&by, "by", "", "the person who decides, where the token is not that person's own")
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	if answer {
		cmd.Flags().StringVar(&save, "save", "", "write the signed answer to this file")
	}
	return cmd
}

// oneRequest takes the id of a request, which is a part of an address.
func oneRequest(_ *cobra.Command, args []string) error {
	if len(args) != 1 || len(args[0]) != 32 || strings.Trim(args[0], "0123456789abcdef") != "" {
		return usage("which request? Name its id, 32 hexadecimal digits; `breakwater trace request list` has it")
	}
	return nil
}

// free refuses a file that is there already, before anything is asked for that is given once.
func free(name string) error {
	if name == "" {
		return nil
	}
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s exists already; name another file", name)
	}
	return nil
}

// printReply prints what an answer says, or would say.
func printReply(c *console, x *api.TraceRequest) {
	if x.Reply == nil {
		return
	}
	a := tracing.Answer{Answerer: string(x.Tenant), Outcome: x.Reply.Outcome, Reason: x.Reply.Reason}
	for _, h := range x.Reply.Hops {
		a.Hops = append(a.Hops, tracing.Hop(h))
	}
	if x.State == tracing.StateWaiting {
		fmt.Fprintln(c.out, "\nAs things stand:")
	}
	for _, line := range answerLines(&a) {
		fmt.Fprintln(c.out, clean(line))
	}
	if !x.Reply.Settled {
		fmt.Fprintln(c.err, "Events that may change it were still being taken in or put into order.")
	}
}

// saveAnswer writes the signed answer, once it is seen to be one.
func saveAnswer(c *console, name string, x *api.TraceRequest) error {
	d, err := tracing.Read(x.Answer)
	if err == nil && d.Answer == nil {
		err = errors.New("it holds no answer")
	}
	if err != nil {
		return fmt.Errorf("reading what the server signed: %w", err)
	}
	if err := writeDocument(name, append(x.Answer, '\n')); err != nil {
		return fmt.Errorf("%w; `breakwater trace request show %s --save FILE` writes it again", err, x.ID)
	}
	for _, line := range answerLines(d.Answer) {
		fmt.Fprintln(c.err, clean(line))
	}
	return nil
}

// answerServer hands another's request to a server, and has it answered where a person agrees or the trust needs none.
func answerServer(cmd *cobra.Command, c *console, r *remote, yes app.Approval, name, out string) error {
	s, err := r.connectAlone(cmd, cmd.Flags().Args()[1:], "config", "rules", "indicators", "data", "key")
	if err != nil {
		return err
	}
	if err := free(out); err != nil {
		return err
	}
	raw, err := readDocument(name)
	if err != nil {
		return err
	}
	body, err := documentBody(name, raw)
	if err != nil {
		return err
	}
	var x api.TraceRequest
	if err := s.call(cmd.Context(), http.MethodPost, "/trace/requests", nil, body, &x); err != nil {
		return err
	}
	if x.State == tracing.StateWaiting && yes.Reason != "" {
		word := map[string]string{"by": yes.By, "reason": yes.Reason}
		if err := s.call(cmd.Context(), http.MethodPost, "/trace/requests/"+x.ID+"/approve", nil, word, &x); err != nil {
			return err
		}
	}
	if x.State == tracing.StateWaiting {
		fmt.Fprintf(c.err, "The request waits for a person, as %s. See what would be answered with `breakwater trace request show`, and agree with `breakwater trace request approve`.\n", clean(x.ID))
		return nil
	}
	return saveAnswer(c, out, &x)
}
