package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples loads configuration files that others wrote by the contract.
func TestExamples_loadWithoutErrors(t *testing.T) {
	data := os.Getenv("BREAKWATER_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	cases := 0
	for _, name := range []string{"scenario/quiet", "network/lab", "mail/partner/atlas"} {
		file := filepath.Join(data, filepath.FromSlash(name), "breakwater.yaml")
		if _, err := os.Stat(file); err != nil {
			t.Logf("skipping %s: not there (set BREAKWATER_DATA)", name)
			continue
		}
		cases++
		f, err := Load(file)
		if err != nil {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		t.Logf("%s: version %s, %d tenants, %d trusts, %d sensors", name, f.Model.Version, len(f.Model.Tenants), len(f.Model.Trusts), len(f.Sensors))
		for _, w := range f.Warnings() {
			t.Log(w)
		}
	}
	t.Logf("cases %d", cases)
	if cases == 0 {
		t.Skip("no example configurations: set BREAKWATER_DATA to their folder")
	}
}

func TestExamples_documentationPassesParse(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(doc), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("docs/config.md has no example")
	}
	for _, b := range blocks {
		text, _, _ := strings.Cut(b, "```")
		f, err := Parse("docs/config.md", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range f.Warnings() {
			t.Errorf("warning in the documentation: %s", w)
		}
	}
}
