package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// asks reports whether a command on files or on a server means the server: a path decides, so that an environment that
// names a server does not take files away.
func (r *remote) asks(paths []string) bool {
	return r.server != "" || len(paths) == 0
}

// connectAlone is connect for a command that reads files too: what only files need is refused.
func (r *remote) connectAlone(cmd *cobra.Command, paths []string, ours ...string) (*client, error) {
	if len(paths) > 0 {
		return nil, usage("--server: name files or a server, not both")
	}
	if cmp.Or(r.server, os.Getenv("BREAKWATER_SERVER")) == "" {
		return nil, usage("what is to be read? Name files or folders, or a server with --server")
	}
	for _, name := range ours {
		if cmd.Flags().Changed(name) {
			return nil, usage("--%s is for files: the server goes by what it was told", name)
		}
	}
	return r.connect()
}

// asOf says what a reader of a server's answer should know of its age.
func asOf(c *console, at time.Time, settled bool) {
	if settled {
		return
	}
	fmt.Fprintf(c.err, "This is what was known at %s; events are still being taken in or put into order. Asked again it may say more.\n", utcText(at))
}

// traceServer asks a server where something came from. A request to another organisation is signed by the server, or
// here, with the key and by the configuration of who asks.
func traceServer(cmd *cobra.Command, c *console, r *remote, t *telemetryFlags, x *exchangeFlags, o app.TraceOptions, format, request, tlp string, answers []string) error {
	ours := []string{"rules", "indicators"}
	if request == "" {
		ours = append(ours, "config", "data", "key")
	}
	s, err := r.connectAlone(cmd, cmd.Flags().Args()[1:], ours...)
	if err != nil {
		return err
	}
	k := &app.Case{}
	var ex *app.Exchange
	here := t.ConfigPath != "" || x.data != "" || x.key != ""
	if request != "" {
		if err := checkTLP(tlp); err != nil {
			return err
		}
		if err := free(request); err != nil {
			return err
		}
	}
	if request != "" && here {
		if t.ConfigPath == "" {
			return usage("--request with your own key needs --config: the trust with who is asked pins their key")
		}
		if ex, err = x.open(); err != nil {
			return err
		}
		setup, err := app.DeclaredSetup(t.ConfigPath)
		if err != nil {
			return err
		}
		k.Model = setup.Model
	}
	if err := handIn(cmd.Context(), s, answers); err != nil {
		return err
	}
	q := url.Values{"subject": {o.Subject}, "paths": {strconv.Itoa(min(o.Most, 8))}}
	for name, v := range map[string]string{"at": o.At, "tenant": string(o.Tenant), "user": o.User} {
		if v != "" {
			q.Set(name, v)
		}
	}
	var got app.LiveTraces
	if err := s.call(cmd.Context(), http.MethodGet, "/trace", q, nil, &got); err != nil {
		return err
	}
	for i := range got.Traces {
		if len(got.Traces[i].Paths) == 0 {
			return fmt.Errorf("reading the answer of %s: a trace without a way; is it a Breakwater of another version?", s.base.Redacted())
		}
	}
	if err := printTraces(c.out, format, got.Traces); err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	asOf(c, got.AsOf, got.Settled)
	switch {
	case request == "":
		return nil
	case !here:
		return askServer(cmd.Context(), c, s, o, request, tlp)
	}
	return writeRequest(cmd.Context(), c, k, ex, got.Traces, request, tlp)
}

// documentBody is how a signed document is sent to a server.
func documentBody(name string, raw []byte) (any, error) {
	if !json.Valid(raw) {
		return nil, fmt.Errorf("%s is no trace document: it is not JSON", name)
	}
	return map[string]json.RawMessage{"document": raw}, nil
}

// handIn gives a server the answers to its requests.
func handIn(ctx context.Context, s *client, names []string) error {
	for _, name := range names {
		raw, err := readDocument(name)
		if err != nil {
			return err
		}
		body, err := documentBody(name, raw)
		if err != nil {
			return err
		}
		var said struct{ Says string }
		if err := s.call(ctx, http.MethodPost, "/trace/answers", nil, body, &said); err != nil {
			return fmt.Errorf("handing in the answer %s: %w", name, err)
		}
	}
	return nil
}

// askServer has a server sign the request by which its trace can go on.
func askServer(ctx context.Context, c *console, s *client, o app.TraceOptions, name, tlp string) error {
	var got api.TraceAsk
	body := map[string]string{"subject": o.Subject, "at": o.At, "tenant": string(o.Tenant), "user": o.User, "tlp": tlp}
	if err := s.call(ctx, http.MethodPost, "/trace/asks", nil, body, &got); err != nil {
		return err
	}
	d, err := tracing.Read(got.Document)
	if err == nil && d.Request == nil {
		err = errors.New("it holds no request")
	}
	if err != nil {
		return fmt.Errorf("reading what the server signed: %w", err)
	}
	return savedRequest(c, name, got.Organisation, append(got.Document, '\n'))
}

// blastServer asks a server how far somebody came.
func blastServer(cmd *cobra.Command, c *console, r *remote, o app.BlastOptions, format string) error {
	s, err := r.connectAlone(cmd, cmd.Flags().Args()[1:], "config", "rules", "indicators")
	if err != nil {
		return err
	}
	q := url.Values{"subject": {o.Subject}}
	for name, v := range map[string]string{"as": o.As, "since": o.Since} {
		if v != "" {
			q.Set(name, v)
		}
	}
	var got app.LiveBlast
	if err := s.call(cmd.Context(), http.MethodGet, "/blast", q, nil, &got); err != nil {
		return err
	}
	if got.Blast == nil {
		return fmt.Errorf("reading the answer of %s: it holds no blast; is it a Breakwater of another version?", s.base.Redacted())
	}
	if err := printBlast(c, format, got.Blast); err != nil {
		return err
	}
	asOf(c, got.AsOf, got.Settled)
	return nil
}
