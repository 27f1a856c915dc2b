package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// doors is posture of the pipeline's tenants. It ignores the scope, so that tests see that the API does not rely on it.
type doors struct {
	p    *pipeline
	mu   sync.Mutex
	kept []posture.Fact
}

func (d *doors) tenants() []PostureTenant {
	var out []PostureTenant
	for _, t := range d.p.model.Tenants {
		x := PostureTenant{Tenant: t.ID, Name: t.Name, At: &monday}
		for i, p := range evidence.Pillars {
			s := posture.Statuses[i%len(posture.Statuses)]
			x.Pillars = append(x.Pillars, PosturePillar{Pillar: p, Status: s, Counts: map[posture.Status]int{s: 1}, Trend: PostureTrend{Days: []*float64{}}})
		}
		out = append(out, x)
	}
	return out
}

func (d *doors) Board(context.Context, tenant.Scope) (PostureBoard, error) {
	return PostureBoard{At: monday, Tenants: d.tenants(), Problems: []string{"the folder of birchwood can't be read"}}, nil
}

func (d *doors) Tenant(_ context.Context, _ tenant.Scope, id tenant.ID) (PostureTenant, error) {
	for _, t := range d.tenants() {
		if t.Tenant == id {
			t.Controls = []PostureControl{{Control: "log-retention", Title: "Logs are kept", Pillar: evidence.PillarNetwork, Status: posture.Fail, Items: []PostureItem{}}}
			return t, nil
		}
	}
	return PostureTenant{}, ErrNotFound
}

func (d *doors) Add(_ context.Context, _ tenant.Scope, _ *authz.Principal, id tenant.ID, f posture.Fact) error {
	if d.p.model.Tenant(id) == nil {
		return ErrNotFound
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = append(d.kept, f)
	return nil
}

func (d *doors) Statement(_ context.Context, _ tenant.Scope, _ *authz.Principal, id tenant.ID, to string) ([]byte, error) {
	if d.p.model.Tenant(id) == nil {
		return nil, ErrNotFound
	}
	return json.Marshal(map[string]string{"of": string(id), "for": to})
}

const fact = `{"kind":"logging.retention","subject":"firewall","at":"2026-03-01T00:00:00Z","values":{"days":365}}`

func TestPostureByRole(t *testing.T) {
	f := start(t)
	for _, c := range []struct {
		method, path, token, body string
		want                      int
	}{
		{"GET", "/posture", "sensor:ash", "", 403},
		{"GET", "/posture", "", "", 401},
		{"GET", "/posture", "viewer:ash", "", 200},
		{"GET", "/posture/ash", "viewer:ash", "", 200},
		{"POST", "/posture/ash/evidence", "viewer:ash", fact, 403},
		{"POST", "/posture/ash/evidence", "analyst:ash", fact, 200},
		{"GET", "/posture/ash/statement", "viewer:ash", "", 403},
		{"GET", "/posture/ash/statement?for=Acme", "analyst:ash", "", 200},
		{"GET", "/posture/ash/statement?for=a%0Ab", "analyst:ash", "", 400},
		{"GET", "/posture/ash/statement?for=" + strings.Repeat("a", 201), "analyst:ash", "", 400},
		{"DELETE", "/posture/ash", "admin:*", "", 405},
	} {
		if res, body := f.ask(t, c.method, prefix+c.path, c.token, c.body); res.StatusCode != c.want {
			t.Errorf("%s %s as %q: %d %s, want %d", c.method, c.path, c.token, res.StatusCode, body, c.want)
		}
	}
}

func TestPostureFactsAreTheCallersAndSmall(t *testing.T) {
	f := start(t)
	for name, c := range map[string]struct {
		path, body string
		want       int
	}{
		"another tenant in the body": {"/posture/ash/evidence", `{"tenant":"birchwood",` + fact[1:], 400},
		"another tenant's path":      {"/posture/birchwood/evidence", fact, 404},
		"an unknown key":             {"/posture/ash/evidence", `{"colour":"red",` + fact[1:], 400},
		"too large":                  {"/posture/ash/evidence", `{"subject":"` + strings.Repeat("a", MaxBody) + `"}`, 413},
		"no object":                  {"/posture/ash/evidence", `[]`, 400},
	} {
		if res, body := f.ask(t, "POST", prefix+c.path, "analyst:ash", c.body); res.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", name, res.StatusCode, body, c.want)
		}
	}
	if len(f.doors.kept) != 0 {
		t.Fatalf("kept %v", f.doors.kept)
	}
	if res, body := f.ask(t, "POST", prefix+"/posture/ash/evidence", "analyst:ash", fact); res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	got := f.doors.kept[0]
	if got.Tenant != "ash" || got.By != "t-analyst" || got.Kind != "logging.retention" || !got.At.Equal(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("kept %+v", got)
	}
}

func TestIsolationOfPostureProblems(t *testing.T) {
	f := start(t)
	if _, body := f.ask(t, "GET", prefix+"/posture", "admin:ash", ""); strings.Contains(body, "problems") {
		t.Errorf("a caller of one tenant is told what is wrong with the installation: %s", body)
	}
	if _, body := f.ask(t, "GET", prefix+"/posture", "admin:*", ""); !strings.Contains(body, "can't be read") {
		t.Errorf("the operator is not told: %s", body)
	}
}

func TestWithoutPostureThereIsNone(t *testing.T) {
	f := start(t)
	f.h.opt.Posture = nil
	for _, path := range []string{"/posture", "/posture/ash", "/posture/ash/statement"} {
		if res, body := f.ask(t, "GET", prefix+path, "admin:*", ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}
