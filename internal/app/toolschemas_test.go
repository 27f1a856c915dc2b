package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScanSaysWhatRestsOnSchemas reads an export by the built-in schema, and by one that the site has verified.
func TestScanSaysWhatRestsOnSchemas(t *testing.T) {
	const config = "tenants:\n  - {id: acme, name: Acme, role: client, domains: [acme.example]}\nsensors:\n  - {name: all, match: {path: '*.csv'}, tenant: acme, layer: access}\n"
	const schema = "schemas:\n  - {name: splashtop/sessions, tool: splashtop, kind: table, verified: true, columns: [Start Time, End Time, User], fields: {time: [Start Time], operator: [User]}, act: connect}\n"
	for name, c := range map[string]struct {
		config string
		noted  bool
	}{
		"built in":   {config, true},
		"the site's": {config + "remote_tools: {schemas: [tools.yaml]}\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"breakwater.yaml": c.config, "tools.yaml": schema,
				"sessions.csv": "Start Time,End Time,User,Computer\n2026-09-21 10:00:00,2026-09-21 10:30:00,ana,WS7\n"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, err := NewSetup(Options{Paths: []string{dir}})
			if err != nil {
				t.Fatal(err)
			}
			r, err := Scan(context.Background(), s, []string{dir})
			if err != nil {
				t.Fatal(err)
			}
			notes := strings.Join(r.Notes, "\n")
			if strings.Contains(notes, "1 event is of splashtop/sessions, a form that nobody could hold against the product") != c.noted {
				t.Errorf("notes %q", notes)
			}
		})
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "breakwater.yaml")
	if err := os.WriteFile(name, []byte(config+"remote_tools: {schemas: [missing.yaml]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewSetup(Options{ConfigPath: name}); err == nil || !strings.Contains(err.Error(), "missing.yaml") || !strings.Contains(err.Error(), "remote_tools.schemas") {
		t.Errorf("a file that is missing: %v", err)
	}
}
