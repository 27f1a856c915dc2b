package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// pipeline is a pipeline of two tenants, ash and birch, and the provider msp whose trusts lead to both.
type pipeline struct {
	mu      sync.Mutex
	result  *campaign.Result
	model   *tenant.Model
	version uint64
	changed chan struct{}
	rows    []Row
	dead    []Deadletter
	level   map[tenant.ID]Level
	replays []string
}

func newPipeline() *pipeline {
	m := &tenant.Model{Version: "v1",
		Tenants: []tenant.Tenant{{ID: "ash", Name: "Ash Foods", Domains: []string{"ash.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
			{ID: "birchwood", Name: "Birchwood Bank", Domains: []string{"birchwood.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}},
			{ID: "calm", Name: "Calm Ltd"}},
		Partners: []tenant.Partner{{ID: "msp", Name: "Harbour IT"}},
		Trusts:   []tenant.Trust{{ID: "msp-ash", Partner: "msp", Tenant: "ash", Accounts: []string{"msp-*"}}, {ID: "msp-birchwood", Partner: "msp", Tenant: "birchwood", Accounts: []string{"msp-*"}}}}
	p := &pipeline{model: m, version: 1, changed: make(chan struct{}), level: map[tenant.ID]Level{}}
	r := &campaign.Result{Schema: "1", Input: campaign.Input{Events: 40, Snapshot: "v1"}}
	c := campaign.Campaign{ID: "c-1", Partner: "msp", Start: monday, End: monday.Add(time.Hour), Drawn: monday.Add(time.Hour), Summary: "ash and birchwood",
		FirstFoothold: campaign.Foothold{Ask: "msp", For: "account msp-jo", Reason: "birchwood and ash"},
		JoinedBy:      []campaign.Join{{Kind: "account", Value: "msp-jo", Tenants: []tenant.ID{"ash", "birchwood"}, Reason: "used in 2 tenants"}}}
	for i, id := range []tenant.ID{"ash", "birchwood"} {
		var ids []string
		for k := range 5 {
			f := &ocsf.Finding{ID: fmt.Sprintf("f-%s-%d", id, k), Time: monday.Add(time.Duration(k*10+i) * time.Minute), End: monday.Add(time.Duration(k*10+i+1) * time.Minute),
				Tenant: id, Trust: tenant.TrustID("msp-" + id), Partner: "msp", Layer: tenant.Layers[k], Detector: "sigma", Rule: "r", Title: "Logon at " + string(id),
				Severity: ocsf.Severity(1 + k), Outcome: ocsf.OutcomeSucceeded, Count: 1}
			ids = append(ids, f.ID)
			r.List = append(r.List, f)
		}
		r.Incidents = append(r.Incidents, campaign.Incident{ID: "i-" + string(id), Tenant: id, Trust: tenant.TrustID("msp-" + id), Partner: "msp", Start: monday, End: monday.Add(time.Hour),
			Severity: ocsf.SeverityHigh, Outcome: ocsf.OutcomeSucceeded, Title: "Logon", Findings: ids, Campaign: "c-1"})
		c.Incidents = append(c.Incidents, "i-"+string(id))
		c.Tenants = append(c.Tenants, campaign.TenantOutcome{Tenant: id, Outcome: campaign.Succeeded, Since: monday, Trust: tenant.TrustID("msp-" + id), Reason: "logon", Findings: ids})
		r.Coverage = append(r.Coverage, campaign.Coverage{Tenant: id, Layer: tenant.LayerAccess, Events: 20, From: monday, To: monday.Add(time.Hour)})
		last := monday.Add(time.Hour)
		p.rows = append(p.rows, Row{Tenant: id, Layer: tenant.LayerAccess, Sensor: "vpn-" + string(id), Events: 20, First: &monday, Last: &last})
		p.dead = append(p.dead, Deadletter{ID: "d-" + string(id), At: monday, Tenant: id, Sensor: "vpn-" + string(id), Reason: "no JSON", Bytes: 3, Raw: []byte("{x}")})
	}
	p.dead = append(p.dead, Deadletter{ID: "d-nobody", At: monday, Sensor: "relay", Reason: "the map names no such host", Bytes: 3, Raw: []byte("{y}")})
	c.Tenants = append(c.Tenants, campaign.TenantOutcome{Tenant: "calm", Outcome: campaign.Clear})
	r.Campaigns = []campaign.Campaign{c}
	r.Campaigns = append(r.Campaigns, campaign.Campaign{ID: "c-birchwood", Tenants: []campaign.TenantOutcome{{Tenant: "birchwood", Outcome: campaign.Attempted, Findings: []string{"f-birchwood-0"}}, {Tenant: "ash", Outcome: campaign.Clear}}})
	slices.SortStableFunc(r.List, func(a, b *ocsf.Finding) int { return a.Time.Compare(b.Time) })
	p.result = r
	return p
}

// change replaces the result by what with makes of a copy.
func (p *pipeline) change(with func(*campaign.Result)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := *p.result
	r.List, r.Campaigns, r.Incidents = slices.Clone(r.List), slices.Clone(r.Campaigns), slices.Clone(r.Incidents)
	with(&r)
	p.result = &r
	p.version++
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pipeline) Result() (*campaign.Result, *tenant.Model, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result, p.model, p.version
}

func (p *pipeline) Wait(ctx context.Context, since uint64) (uint64, error) {
	for {
		p.mu.Lock()
		version, changed := p.version, p.changed
		p.mu.Unlock()
		if version > since {
			return version, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-changed:
		}
	}
}

// Coverage ignores the scope, so that tests see that the API does not rely on it.
func (p *pipeline) Coverage(tenant.Scope) []Row {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.rows)
}

func (p *pipeline) Status() Status {
	return Status{Ready: true, Started: monday, Lag: Duration(1500 * time.Millisecond), Waiting: 7, Counters: map[string]int64{"events": 40}}
}

func (p *pipeline) List(_ context.Context, _ tenant.Scope, q DeadletterQuery) ([]Deadletter, bool, error) {
	return p.dead[:min(q.Limit, len(p.dead))], q.Limit < len(p.dead), nil
}

func (p *pipeline) Show(_ context.Context, _ tenant.Scope, id string) (Deadletter, error) {
	for _, d := range p.dead {
		if d.ID == id {
			return d, nil
		}
	}
	return Deadletter{}, fmt.Errorf("looking up %s: %w", id, ErrNotFound)
}

func (p *pipeline) Replay(_ context.Context, _ tenant.Scope, _ *authz.Principal, ids []string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replays = append(p.replays, ids...)
	return len(ids), nil
}

// levels is the pipeline as Levels: the method List has another shape there.
type levels struct{ p *pipeline }

func (l levels) List(context.Context, tenant.Scope) ([]Level, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	out := []Level{}
	for _, t := range l.p.model.Tenants {
		x, ok := l.p.level[t.ID]
		if !ok {
			x = Level{Tenant: t.ID, Level: "normal"}
		}
		out = append(out, x)
	}
	return out, nil
}

func (l levels) Set(_ context.Context, _ tenant.Scope, by *authz.Principal, x Level) (Level, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	x.Since, x.By = &monday, by.ID
	l.p.level[x.Tenant] = x
	return x, nil
}

func (l levels) End(_ context.Context, _ tenant.Scope, _ *authz.Principal, id tenant.ID, reason string) (Level, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	delete(l.p.level, id)
	return Level{Tenant: id, Level: "normal", Reason: reason}, nil
}

// walker is the pipeline as Investigator: it knows the findings that it is shown, and the trusts that a scope sees.
type walker struct {
	p     *pipeline
	asked []any // what came through
}

func (k *walker) Trace(_ context.Context, scope tenant.Scope, r *campaign.Result, q TraceQuery) (any, error) {
	k.asked = append(k.asked, q)
	for _, f := range r.List {
		if f.ID == q.Subject && scope.Sees(f.Tenant) {
			return map[string]string{"trace": f.ID}, nil
		}
	}
	return nil, &Problem{Status: http.StatusNotFound, Says: "no finding that you may see has that id"}
}

func (k *walker) Blast(_ context.Context, scope tenant.Scope, _ *campaign.Result, q BlastQuery) (any, error) {
	k.asked = append(k.asked, q)
	for _, t := range k.p.model.Trusts {
		if string(t.ID) == q.Subject && scope.Sees(t.Tenant) {
			return map[string]string{"blast": q.Subject}, nil
		}
	}
	return nil, &Problem{Status: http.StatusNotFound, Says: "nobody by that name"}
}

// people are who may ask: the token is role:tenant, or role:* for all.
type people struct {
	mu      sync.Mutex
	revoked bool
}

func (a *people) Token(_ context.Context, token string) (*authz.Principal, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	role, scope, ok := strings.Cut(token, ":")
	if !ok || a.revoked {
		return nil, ErrRefused
	}
	p := &authz.Principal{ID: "t-" + role, Role: authz.Role(role), Scope: tenant.ScopeOf(tenant.ID(scope))}
	if scope == "*" {
		p.Scope = tenant.ScopeAll()
	}
	return p, nil
}

func (a *people) Login(_ context.Context, c Credentials) (Session, error) {
	switch {
	case c.Token != "":
		return Session{"viewer:ash", time.Now().Add(time.Hour)}, nil
	case c.Name == "jo" && c.Password == "correct horse":
		return Session{"admin:*", time.Now().Add(time.Hour)}, nil
	}
	return Session{}, fmt.Errorf("checking the password: %w", ErrRefused)
}

func (a *people) Session(ctx context.Context, id string) (*authz.Principal, error) {
	return a.Token(ctx, id)
}

func (a *people) Logout(context.Context, string) error { return nil }

// drawn is a page that says what it was given.
type drawn struct{}

func (drawn) Live(v View, fragment bool) (Page, error) {
	return Page{Body: fmt.Appendf(nil, "page of %s, version %d, fragment %v, %d campaigns, %d tenants", v.Who, v.Version, fragment, len(v.Result.Campaigns), len(v.Model.Tenants)), Policy: "default-src 'none'; frame-ancestors 'none'"}, nil
}

func (drawn) Login(v LoginView) (Page, error) {
	return Page{Body: fmt.Appendf(nil, "login: %s|%s|%s", v.Problem, v.Name, v.Next), Policy: "default-src 'none'; frame-ancestors 'none'"}, nil
}

func (drawn) Quarantine(v QuarantineView) (Page, error) {
	return Page{Body: fmt.Appendf(nil, "held mail %s: %v, %d, %v, problem %q", v.Query, v.Messages, v.Total, v.Tenants, v.Problem), Policy: "default-src 'none'; frame-ancestors 'none'"}, nil
}

func (drawn) Held(v HeldView) (Page, error) {
	return Page{Body: fmt.Appendf(nil, "held %v, kept %v, similar %v, audit %v, problem %q", v.Mail.HeldMail, v.Mail.Kept, v.Similar, v.Audit, v.Problem), Policy: "default-src 'none'; frame-ancestors 'none'"}, nil
}

type fixture struct {
	*pipeline
	people *people
	walker *walker
	desk   *desk
	held   *held
	doors  *doors
	h      *Handler
	srv    *httptest.Server
}

func start(t *testing.T) *fixture {
	t.Helper()
	p := newPipeline()
	f := &fixture{pipeline: p, people: &people{}, walker: &walker{p: p}, desk: &desk{p: p}, held: hold(t), doors: &doors{p: p}}
	f.h = New(Options{Live: p, Authz: f.people, Deadletters: p, Levels: levels{p}, Investigator: f.walker, Exchanger: f.desk, Quarantine: f.held.desk, Posture: f.doors, Pages: drawn{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Heartbeat: 50 * time.Millisecond})
	f.srv = httptest.NewServer(f.h)
	t.Cleanup(func() { f.h.Close(); f.srv.Close() })
	return f
}

// ask sends a request and returns the answer with its body.
func (f *fixture) ask(t *testing.T, method, path, token, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return f.send(t, req)
}

// send sends a request as it is, and returns the answer with its body. It follows no redirect.
func (f *fixture) send(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}
