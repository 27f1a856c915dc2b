package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestRemoteToolSchemas(t *testing.T) {
	const head = "tenants:\n  - {id: acme, name: Acme, role: client, domains: [acme.example]}\n"
	f, err := Parse(filepath.Join(t.TempDir(), "breakwater.yaml"), []byte(head+"remote_tools:\n  schemas: [tools.yaml, /etc/breakwater/more.yaml]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint([]string{filepath.Join(f.Dir, "tools.yaml"), "/etc/breakwater/more.yaml"})
	if got := fmt.Sprint(f.SchemaFiles()); got != want {
		t.Errorf("files %s, want %s", got, want)
	}
	if f, err = Parse("x.yaml", []byte(head)); err != nil || f.RemoteTools != nil || len(f.SchemaFiles()) != 0 {
		t.Errorf("without the section: %v %v", f.RemoteTools, err)
	}
	if got := (*File)(nil).SchemaFiles(); got != nil {
		t.Errorf("no configuration: %v", got)
	}
	for in, wrong := range map[string]string{
		"remote_tools: {schema: [a]}\n":                                "schema",
		"remote_tools: {schemas: a}\n":                                 "a list is needed",
		"remote_tools: {schemas: ['']}":                                "empty",
		"remote_tools: {schemas: [" + strings.Repeat("a, ", 21) + "]}": "has 21 files",
	} {
		if _, err := Parse("x.yaml", []byte(head+in)); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%.60q: %v, want %q", in, err, wrong)
		}
	}
}
