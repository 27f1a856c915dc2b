package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/respond/posture"
)

// TestWhatContradictsAControlExists holds each name under contradicted_by of the controls that ship against the rules of
// the pack and the detectors' own, so that no claim waits for a finding which nothing gives.
func TestWhatContradictsAControlExists(t *testing.T) {
	l, problems, err := posture.Load(posture.Shipped())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	rules := map[string]bool{}
	techniques := map[string]bool{}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"rule", "list", "-o", "jsonl"}, &console{strings.NewReader(""), &out, &errs}); code != exitDone {
		t.Fatal(errs.String())
	}
	for line := range strings.Lines(out.String()) {
		var r struct {
			ID         string   `json:"id"`
			Techniques []string `json:"techniques"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		rules[r.ID] = true
		for _, x := range r.Techniques {
			techniques[x] = true
		}
	}
	docs, err := os.ReadFile("../../docs/detections.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`([a-z]+/[a-z-]+)`").FindAllStringSubmatch(string(docs), -1) {
		rules[m[1]] = true
	}
	held := 0
	for _, c := range l.Controls() {
		if len(c.ContradictedBy) > 0 {
			held++
		}
		for _, name := range c.ContradictedBy {
			if !rules[name] && !techniques[name] {
				t.Errorf("%s: contradicted_by %s: nothing gives such a finding", c.ID, name)
			}
		}
	}
	if held < 13 {
		t.Errorf("findings can speak against %d controls alone", held)
	}
}

// TestPostureCompletes asks as a shell does.
func TestPostureCompletes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"acme", "borealis"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args       []string
		want, none string
	}{
		{[]string{"posture", "explain", "backup-rest"}, "backup-restored\t", "log-retention"},
		{[]string{"posture", "control", "show", "log-r"}, "log-retention\t", "backup"},
		{[]string{"posture", "control", "test", "log-retention", "log-"}, "log-central\t", "log-retention"},
		{[]string{"posture", "check", dir, "--tenant", "a"}, "acme", "borealis"},
		{[]string{"posture", "statement", dir, "--control", "backup-rest"}, "backup-restored\t", "log-retention"},
		{[]string{"posture", "check", "-o", "j"}, "jsonl", "table"},
		{[]string{"posture", "check", "--fail-on", "h"}, "high", "low"},
	} {
		var out, errs bytes.Buffer
		run(t.Context(), append([]string{"__complete"}, c.args...), &console{strings.NewReader(""), &out, &errs})
		if !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), c.none) {
			t.Errorf("%v: %s%s", c.args, &out, &errs)
		}
	}
}

// TestAccountColumnsOfASite has an export whose columns nobody knows, and a file that says what they are.
func TestAccountColumnsOfASite(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"e/acme/users.csv": "Kennung;Zweitfaktor;Zuletzt da\nanna@acme.example;nein;2026-05-30\n",
		"columns.yaml":     "account: [Kennung]\nmfa: [Zweit-Faktor]\nlast_login: [zuletzt da]\n",
		"wrong.yaml":       "acount: [Kennung]\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(more ...string) (out, errs bytes.Buffer, code int) {
		code = run(t.Context(), append([]string{"posture", "evidence", "list", filepath.Join(dir, "e"), "-o", "jsonl"}, more...), &console{strings.NewReader(""), &out, &errs})
		return out, errs, code
	}
	if out, errs, _ := ask(); out.Len() > 0 || !strings.Contains(errs.String(), "users.csv: of no format that is known") {
		t.Errorf("without the file:\n%s%s", &out, &errs)
	}
	if out, errs, code := ask("--account-columns", filepath.Join(dir, "columns.yaml")); code != exitDone || !strings.Contains(out.String(), `"mfa":false`) || strings.Contains(out.String(), `"control"`) {
		t.Errorf("with it: %d\n%s%s", code, &out, &errs)
	}
	if _, errs, code := ask("--account-columns", filepath.Join(dir, "wrong.yaml")); code == exitDone || !strings.Contains(errs.String(), `no field "acount"`) {
		t.Errorf("with a mistake in it: %d\n%s", code, &errs)
	}
}
