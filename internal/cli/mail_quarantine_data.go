package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// heldPlace is where held mail is: at a running server, or in the data folder of a stopped one.
type heldPlace struct {
	remote
	data, config string
}

func (p *heldPlace) flags(cmd *cobra.Command) {
	p.remote.flags(cmd)
	cmd.Flags().StringVar(&p.data, "data", "", "in place of a server: the data folder of one that is stopped")
	cmd.Flags().StringVar(&p.config, "config", "", "with --data: the configuration; the one that was applied last where it is left out")
}

// with gives a client of the server, or of the operations themselves over a data folder: both answer alike.
func (p *heldPlace) with(cmd *cobra.Command, c *console, do func(*client) error) (err error) {
	if p.data == "" {
		if p.config != "" {
			return usage("--config: it is for --data; a running server has its own")
		}
		s, err := p.connect()
		if err != nil {
			return err
		}
		return do(s)
	}
	if p.server != "" {
		return usage("--server and --data: use one")
	}
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	desk, closer, err := app.OpenQuarantine(cmd.Context(), p.data, p.config, log, func(what string) { fmt.Fprintln(c.err, "damage:", what) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	h := api.New(api.Options{Live: noPipeline{}, Authz: operator{}, Quarantine: desk, Log: log})
	defer h.Close()
	return do(&client{base: &url.URL{Scheme: "http", Host: "localhost", Path: "/"}, token: "operator", http: &http.Client{Transport: within{h}}})
}

// within answers requests in this process.
type within struct{ h http.Handler }

// RoundTrip implements http.RoundTripper.
func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	a := &inMemory{head: http.Header{}, status: http.StatusOK}
	w.h.ServeHTTP(a, r)
	return &http.Response{StatusCode: a.status, Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), Header: a.head, Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: r}, nil
}

// inMemory is an http.ResponseWriter that keeps what is written.
type inMemory struct {
	head   http.Header
	body   bytes.Buffer
	status int
}

// Header implements http.ResponseWriter.
func (a *inMemory) Header() http.Header { return a.head }

// Write implements http.ResponseWriter.
func (a *inMemory) Write(b []byte) (int, error) { return a.body.Write(b) }

// WriteHeader implements http.ResponseWriter.
func (a *inMemory) WriteHeader(status int) { a.status = status }

// operator is whoever may read the data folder: everything in it is theirs.
type operator struct{}

func (operator) principal() *authz.Principal {
	return &authz.Principal{ID: whoami(), Role: authz.RoleAdmin, Scope: tenant.ScopeAll()}
}

// Token implements api.Authenticator.
func (o operator) Token(context.Context, string) (*authz.Principal, error) { return o.principal(), nil }

// Login implements api.Authenticator.
func (operator) Login(context.Context, api.Credentials) (api.Session, error) {
	return api.Session{}, api.ErrRefused
}

// Session implements api.Authenticator.
func (operator) Session(context.Context, string) (*authz.Principal, error) {
	return nil, api.ErrRefused
}

// Logout implements api.Authenticator.
func (operator) Logout(context.Context, string) error { return nil }

// noPipeline is a pipeline that has concluded nothing.
type noPipeline struct{}

// Result implements api.Live.
func (noPipeline) Result() (*campaign.Result, *tenant.Model, uint64) { return nil, nil, 0 }

// Wait implements api.Live.
func (noPipeline) Wait(ctx context.Context, _ uint64) (uint64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// Coverage implements api.Live.
func (noPipeline) Coverage(tenant.Scope) []api.Row { return nil }

// Status implements api.Live.
func (noPipeline) Status() api.Status { return api.Status{} }
