package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/show/api"
	"github.com/breakwater-project/breakwater/internal/show/report"
)

const goodToken = "bw_correct-horse"

// server is the API over one campaign at acme, and what is done to it.
type server struct {
	mu      sync.Mutex
	result  *campaign.Result
	version uint64
	changed chan struct{}
	levels  map[tenant.ID]api.Level
	replays []string
}

func newServer() *server {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	r := &campaign.Result{Schema: "1"}
	for i := range 5 {
		f := &ocsf.Finding{ID: "f" + string(rune('1'+i)), Time: at.Add(time.Duration(i) * time.Hour), End: at.Add(time.Duration(i) * time.Hour), Tenant: "acme", Trust: "msp-acme", Partner: "msp",
			Layer: tenant.LayerAccess, Detector: "sigma", Rule: "bw-1", Title: "=HYPERLINK(\u202e\x1b[31m)", Severity: ocsf.Severity(1 + i), Outcome: ocsf.OutcomeSucceeded, Reason: "a <reason>", Count: 3}
		r.List = append(r.List, f)
	}
	r.Incidents = []campaign.Incident{{ID: "i1", Tenant: "acme", Partner: "msp", Start: at, End: at, Severity: ocsf.SeverityHigh, Outcome: ocsf.OutcomeSucceeded, Title: "Logon", Findings: []string{"f4"}, Campaign: "c1"}}
	r.Campaigns = []campaign.Campaign{{ID: "c1", Partner: "msp", Start: at, End: at, Drawn: at, Summary: "An intruder \u202ecomes.", FirstFoothold: campaign.Foothold{Ask: "msp", For: "account jo", From: at, To: at, Reason: "no logs"},
		Tenants: []campaign.TenantOutcome{{Tenant: "acme", Outcome: campaign.Succeeded, Since: at, Reason: "in"}}, Incidents: []string{"i1"}}}
	return &server{result: r, version: 1, changed: make(chan struct{}), levels: map[tenant.ID]api.Level{}}
}

func (s *server) Result() (*campaign.Result, *tenant.Model, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result, &tenant.Model{Tenants: []tenant.Tenant{{ID: "acme"}}}, s.version
}

func (s *server) Wait(ctx context.Context, since uint64) (uint64, error) {
	s.mu.Lock()
	version, changed := s.version, s.changed
	s.mu.Unlock()
	if version > since {
		return version, nil
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-changed:
		return since + 1, nil
	}
}

func (s *server) change(with func(*campaign.Result)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.result.Complete()
	with(r)
	s.result, s.version = r, s.version+1
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) Coverage(tenant.Scope) []api.Row {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	return []api.Row{{Tenant: "acme", Layer: "access", Sensor: "vpn", Events: 40, First: &at, Last: &at, Late: 2, Unparsed: 1, Authenticated: true}, {Tenant: "acme", Layer: "mail", Sensor: "mx", SilentSince: &at}}
}

func (s *server) Status() api.Status { return api.Status{Ready: true} }

var letter = api.Deadletter{ID: "d1", At: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), Tenant: "acme", Sensor: "vpn", Reason: "no JSON", Bytes: 3, Raw: []byte("{x}\x1b[31m")}

func (s *server) List(context.Context, tenant.Scope, api.DeadletterQuery) ([]api.Deadletter, bool, error) {
	return []api.Deadletter{letter}, false, nil
}

func (s *server) Show(_ context.Context, _ tenant.Scope, id string) (api.Deadletter, error) {
	if id != letter.ID {
		return api.Deadletter{}, api.ErrNotFound
	}
	return letter, nil
}

func (s *server) Replay(_ context.Context, _ tenant.Scope, _ *authz.Principal, ids []string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replays = append(s.replays, ids...)
	return len(ids), nil
}

type serverLevels struct{ s *server }

func (l serverLevels) List(context.Context, tenant.Scope) ([]api.Level, error) {
	return []api.Level{{Tenant: "acme", Level: "normal"}}, nil
}

func (l serverLevels) Set(_ context.Context, _ tenant.Scope, _ *authz.Principal, x api.Level) (api.Level, error) {
	l.s.levels[x.Tenant] = x
	return x, nil
}

func (l serverLevels) End(_ context.Context, _ tenant.Scope, _ *authz.Principal, id tenant.ID, reason string) (api.Level, error) {
	return api.Level{Tenant: id, Level: "normal", Reason: reason}, nil
}

type doorman struct{}

func (doorman) Token(_ context.Context, token string) (*authz.Principal, error) {
	switch token {
	case goodToken:
		return &authz.Principal{ID: "t1", Role: authz.RoleAdmin, Scope: tenant.ScopeOf("acme")}, nil
	case "bw_sensor":
		return &authz.Principal{ID: "t2", Role: authz.RoleSensor}, nil
	}
	return nil, api.ErrRefused
}

func (doorman) Session(context.Context, string) (*authz.Principal, error) { return nil, api.ErrRefused }

func (doorman) Login(context.Context, api.Credentials) (api.Session, error) {
	return api.Session{}, api.ErrRefused
}

func (doorman) Logout(context.Context, string) error { return nil }

func (s *server) handler(t *testing.T) http.Handler {
	h := api.New(api.Options{Live: s, Authz: doorman{}, Deadletters: s, Levels: serverLevels{s}, Log: slog.New(slog.DiscardHandler), Heartbeat: 100 * time.Millisecond})
	t.Cleanup(h.Close)
	return h
}

// serveAPI serves it, and points the environment of the commands there.
func serveAPI(t *testing.T) *server {
	t.Helper()
	s := newServer()
	srv := httptest.NewServer(s.handler(t))
	t.Cleanup(srv.Close)
	t.Setenv("BREAKWATER_SERVER", srv.URL)
	t.Setenv("BREAKWATER_TOKEN", goodToken)
	return s
}

func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &console{strings.NewReader(""), &o, &e})
	if strings.Contains(o.String()+e.String(), "correct-horse") {
		t.Errorf("%v prints the token:\n%s%s", args, o.String(), e.String())
	}
	return code, o.String(), e.String()
}

func TestClientJSONIsThatOfScan(t *testing.T) {
	s := serveAPI(t)
	var whole bytes.Buffer
	if err := report.JSON(&whole, s.result.Within(tenant.ScopeOf("acme"), &tenant.Model{Tenants: []tenant.Tenant{{ID: "acme"}}})); err != nil {
		t.Fatal(err)
	}
	var scan struct{ Campaigns, Incidents json.RawMessage }
	if err := json.Unmarshal(whole.Bytes(), &scan); err != nil {
		t.Fatal(err)
	}
	for noun, want := range map[string]json.RawMessage{"campaign": scan.Campaigns, "incident": scan.Incidents} {
		code, out, errs := command(t, noun, "list", "-o", "json")
		var expect bytes.Buffer
		if err := json.Indent(&expect, want, "", "  "); err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal([]byte(out), &a) != nil || json.Unmarshal(expect.Bytes(), &b) != nil || code != exitDone {
			t.Fatalf("%s list: exit %d, %s%s", noun, code, out, errs)
		}
		if d := cmp.Diff(b, a); d != "" {
			t.Errorf("%s list differs from scan's:\n%s", noun, d)
		}
		id := map[string]string{"campaign": "c1", "incident": "i1"}[noun]
		if _, one, _ := command(t, noun, "show", id, "-o", "json"); strings.TrimSpace(strings.ReplaceAll("\n"+one, "\n", "\n  ")) != strings.TrimSpace(strings.Trim(strings.TrimSpace(out), "[]")) {
			t.Errorf("%s show is\n%s, in the list it is\n%s", noun, one, out)
		}
	}
	whole.Reset()
	if err := report.JSONL(&whole, s.result.Within(tenant.ScopeOf("acme"), &tenant.Model{Tenants: []tenant.Tenant{{ID: "acme"}}})); err != nil {
		t.Fatal(err)
	}
	code, out, _ := command(t, "finding", "list", "-o", "jsonl")
	if d := cmp.Diff(whole.String(), out); d != "" || code != exitDone || strings.Count(out, "\n") != 5 {
		t.Errorf("finding list -o jsonl differs from scan's (exit %d):\n%s", code, d)
	}
}

func TestClientTablesShowHostileTextHarmlessly(t *testing.T) {
	serveAPI(t)
	for _, args := range [][]string{{"campaign", "list"}, {"campaign", "show", "c1"}, {"incident", "list"}, {"incident", "show", "i1"}, {"finding", "list"}, {"finding", "show", "f1"},
		{"finding", "list", "-o", "json"}, {"campaign", "show", "c1", "-o", "json"}, {"deadletter", "show", "d1"}, {"deadletter", "list"}, {"coverage", "show"}, {"level", "list"}} {
		code, out, errs := command(t, args...)
		if code != exitDone || len(out) < 20 {
			t.Errorf("%v: exit %d, %q %q", args, code, out, errs)
		}
		if strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%v lets control characters through: %q", args, out)
		}
	}
	if _, out, _ := command(t, "finding", "list", "-o", "csv"); !strings.Contains(out, "'=HYPERLINK") {
		t.Errorf("a formula is not disarmed: %s", out)
	}
}

func TestFindingListTakesTheNewest(t *testing.T) {
	serveAPI(t)
	_, out, errs := command(t, "finding", "list", "--limit", "2", "-o", "jsonl")
	if !strings.HasPrefix(out, `{"id":"f4"`) || strings.Count(out, "\n") != 2 || !strings.Contains(errs, "the newest 2 of 5") {
		t.Errorf("%s%s", out, errs)
	}
	if _, out, errs := command(t, "finding", "list", "--severity", "high", "--limit", "0", "-o", "jsonl"); strings.Count(out, "\n") != 2 || errs != "" {
		t.Errorf("%s%s", out, errs)
	}
	if code, _, errs := command(t, "finding", "list", "--severity", "loud"); code != exitUsage || !strings.Contains(errs, "severity: use informational") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestCoverageShowHasEveryKey(t *testing.T) {
	serveAPI(t)
	_, out, _ := command(t, "coverage", "show", "-o", "json")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, row := range rows {
		for _, k := range []string{"tenant", "layer", "sensor", "events", "first", "last", "late", "unparsed", "authenticated", "silent_since"} {
			if _, ok := row[k]; !ok {
				t.Errorf("a row lacks %s: %v", k, row)
			}
		}
	}
	if rows[0]["events"] != 40.0 || rows[0]["silent_since"] != nil || rows[1]["first"] != nil {
		t.Errorf("the rows are %v", rows)
	}
}

func TestDeadlettersAreReplayed(t *testing.T) {
	s := serveAPI(t)
	if code, _, errs := command(t, "deadletter", "replay", "d1"); code != exitDone || errs != "1 replayed.\n" {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := command(t, "deadletter", "replay", "--all"); code != exitDone || errs != "1 replayed.\n" {
		t.Errorf("exit %d: %s", code, errs)
	}
	if code, _, errs := command(t, "deadletter", "replay", "d2"); code != exitError || !strings.Contains(errs, "not yours to see") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if strings.Join(s.replays, " ") != "d1 d1" {
		t.Errorf("replayed were %v", s.replays)
	}
}

func TestLevelsAreSetAndEnded(t *testing.T) {
	s := serveAPI(t)
	code, out, errs := command(t, "level", "set", "acme", "heightened", "--reason", "phish", "--for", "24h", "-o", "json")
	if l := s.levels["acme"]; code != exitDone || l.Level != "heightened" || l.Reason != "phish" || time.Until(*l.Until) < 23*time.Hour || !strings.Contains(out, `"heightened"`) {
		t.Errorf("exit %d, %+v, %s%s", code, l, out, errs)
	}
	if code, out, errs = command(t, "level", "end", "acme", "--reason", "over"); code != exitDone || !strings.Contains(out, "normal") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	if code, _, errs = command(t, "level", "set", "other", "elevated", "--reason", "x", "--for", "1h"); code != exitError || !strings.Contains(errs, "not yours to see") {
		t.Errorf("another's level: exit %d, %s", code, errs)
	}
}

func TestClientSaysWhatIsWrongWithTheServer(t *testing.T) {
	s := serveAPI(t)
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	secure := httptest.NewUnstartedServer(s.handler(t))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	defer secure.Close()
	moved := httptest.NewServer(http.RedirectHandler(secure.URL, http.StatusFound))
	defer moved.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	garbled := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	defer garbled.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a wrong token":         {[]string{"--token", "bw_wrong"}, exitError, "does not take this token"},
		"a sensor's token":      {[]string{"--token", "bw_sensor"}, exitError, "refuses: this needs the role viewer"},
		"nobody there":          {[]string{"--server", gone.URL}, exitError, "is `breakwater serve` running there"},
		"an unknown authority":  {[]string{"--server", secure.URL}, exitError, "--ca-file"},
		"its authority":         {[]string{"--server", secure.URL, "--ca-file", ca}, exitDone, ""},
		"TLS where none is":     {[]string{"--server", strings.Replace(other.URL, "http:", "https:", 1)}, exitError, "does not speak TLS"},
		"another server":        {[]string{"--server", other.URL}, exitError, "knows nothing of /api/v1"},
		"no JSON":               {[]string{"--server", garbled.URL}, exitError, "is it a Breakwater?"},
		"a redirect":            {[]string{"--server", moved.URL}, exitError, "302"},
		"a CA file without any": {[]string{"--ca-file", os.DevNull}, exitError, "holds no certificate"},
		"a token file without":  {[]string{"--token-file", os.DevNull}, exitError, "holds no token"},
	} {
		args := append([]string{"campaign", "list"}, c.args...)
		code, out, errs := command(t, args...)
		if code != c.code || !strings.Contains(errs, c.says) || (code != exitDone && out != "") {
			t.Errorf("%s: exit %d, %q, %q; want %d and %q", name, code, out, errs, c.code, c.says)
		}
	}
	t.Setenv("BREAKWATER_TOKEN", "")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(goodToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := command(t, "campaign", "list", "--token-file", file); code != exitDone {
		t.Errorf("a token from a file: exit %d, %s", code, errs)
	}
}

// pipe is an output that a test reads line by line.
func pipe(t *testing.T, ctx context.Context, args ...string) (lines <-chan string, code <-chan int) {
	t.Helper()
	r, w := io.Pipe()
	out, done := make(chan string, 100), make(chan int, 1)
	go func() {
		done <- run(ctx, args, &console{strings.NewReader(""), w, io.Discard})
		w.Close()
	}()
	go func() {
		defer close(out)
		dec := json.NewDecoder(r)
		for {
			var raw json.RawMessage
			if dec.Decode(&raw) != nil {
				return
			}
			out <- string(raw)
		}
	}()
	return out, done
}

func nextLine(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case l := <-lines:
		return l
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is printed")
		return ""
	}
}

func TestWatchPrintsWhatThereIsAndWhatChanges(t *testing.T) {
	was := firstPause
	firstPause = 10 * time.Millisecond
	defer func() { firstPause = was }()
	s := newServer()
	h := s.handler(t)
	srv := httptest.NewServer(h)
	defer srv.Close()
	t.Setenv("BREAKWATER_SERVER", srv.URL)
	t.Setenv("BREAKWATER_TOKEN", goodToken)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines, code := pipe(t, ctx, "campaign", "watch", "-o", "jsonl")
	if l := nextLine(t, lines); !strings.HasPrefix(l, `{"id":"c1"`) {
		t.Errorf("first comes %s", l)
	}
	s.change(func(r *campaign.Result) { r.Campaigns[0].Tenants[0].Reason = "in, twice" })
	if l := nextLine(t, lines); !strings.Contains(l, `"c1"`) {
		t.Errorf("then comes %s", l)
	}
	srv.CloseClientConnections() // it goes on where it was cut off
	s.change(func(r *campaign.Result) { r.Campaigns = nil })
	if l := nextLine(t, lines); l != `{"id":"c1","removed":true}` {
		t.Errorf("after the cut comes %s", l)
	}
	cancel()
	if c := <-code; c != exitDone {
		t.Errorf("interrupted, a watch ends with %d", c)
	}
}

func TestWatchEndsWhereItIsRefused(t *testing.T) {
	serveAPI(t)
	if code, _, errs := command(t, "finding", "watch", "--token", "bw_wrong"); code != exitError || !strings.Contains(errs, "does not take this token") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
