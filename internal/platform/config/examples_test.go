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
	if _, err := os.Stat(data); err != nil {
		t.Skip("no example configurations: set BREAKWATER_DATA to their folder")
	}
	var files []string
	if err := filepath.WalkDir(data, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "breakwater.yaml" {
			files = append(files, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("cases %d", len(files))
	if len(files) == 0 {
		t.Fatal("cases 0: no breakwater.yaml below the data folder")
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
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
