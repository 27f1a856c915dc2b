package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

// TestServePosture runs the program: evidence in folders, a fact over the API, a restart, and a caller of one tenant.
func TestServePosture(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("breakwater.yaml", "tenants:\n  - {id: acme, name: Acme, role: client}\n  - {id: birch, name: Birch, role: client}\nposture: {folders: [evidence], every: 1h}\n")
	write("evidence/acme/facts.jsonl", `{"kind":"logging.retention","subject":"firewall","at":"2026-11-01T00:00:00Z","values":{"days":1}}`+"\n")
	s := begin(t, data, false, "--config", filepath.Join(data, "breakwater.yaml"))
	show := func(args ...string) string {
		return must(t, append([]string{"posture", "show", "--server", s.url, "--token", s.admin}, args...)...)
	}
	control := func(id string) (c api.PostureControl) {
		var of api.PostureTenant
		if err := json.Unmarshal([]byte(show("--tenant", id, "-o", "json")), &of); err != nil {
			t.Fatal(err)
		}
		for _, c := range of.Controls {
			if c.Control == "log-retention" {
				return c
			}
		}
		return c
	}
	eventually(t, "acme is judged", patience, func() bool { return control("acme").Status == "fail" })
	if c := control("acme"); len(c.Items) != 1 || c.Items[0].File != "acme/facts.jsonl" || c.Items[0].Line != 1 {
		t.Errorf("%+v", c.Items)
	}
	found := func() []string {
		var list []struct{ ID, Rule, Detector, Tenant string }
		var ids []string
		if err := json.Unmarshal([]byte(must(t, "finding", "list", "--server", s.url, "--token", s.admin, "-o", "json")), &list); err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if f.Detector == "posture" && f.Rule == "log-retention" && f.Tenant == "acme" {
				ids = append(ids, f.ID)
			}
		}
		return ids
	}
	eventually(t, "the fall is a finding", patience, func() bool { return len(found()) == 1 })
	first := found()
	if board := show(); !strings.Contains(board, "acme") || !strings.Contains(board, "birch") {
		t.Errorf("the board:\n%s", board)
	}

	other, _ := tokenFor(t, data, "analyst", "--tenant", "birch")
	if _, errs, code := perform(t, "posture", "show", "--server", s.url, "--token", other, "--tenant", "acme"); code == exitDone || !strings.Contains(errs, "not yours to see") {
		t.Errorf("another's token sees acme: %d %s", code, errs)
	}
	if board := must(t, "posture", "show", "--server", s.url, "--token", other, "-o", "json"); strings.Contains(board, "acme") {
		t.Errorf("another's token is told of acme: %s", board)
	}
	if _, errs, code := perform(t, "posture", "evidence", "add", "--server", s.url, "--token", other, "--tenant", "acme", "--kind", "logging.retention", "--subject", "x"); code == exitDone {
		t.Errorf("another's token adds evidence: %s", errs)
	}
	must(t, "posture", "evidence", "add", "--server", s.url, "--token", other, "--tenant", "birch", "--kind", "logging.retention", "--subject", "firewall", "--value", "days=400")
	if b, err := os.ReadFile(filepath.Join(data, "posture", "evidence", "birch", "facts.jsonl")); err != nil || !strings.Contains(string(b), `"days":400`) {
		t.Errorf("%v: %s", err, b)
	}

	s.stop()
	s = begin(t, data, false, "--config", filepath.Join(data, "breakwater.yaml"))
	eventually(t, "birch is judged by the fact that was added", patience, func() bool { c := control("birch"); return len(c.Items) == 1 && c.Items[0].Subject == "firewall" })
	if got := found(); len(got) != 1 || got[0] != first[0] {
		t.Errorf("after a restart the fall is %v, and was %v", got, first)
	}
}
