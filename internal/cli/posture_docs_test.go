package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/breakwater-project/breakwater/internal/platform/signing"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

const controlReferenceFile = "../../docs/posture-controls.md"

// TestControlReference holds docs/posture-controls.md to the controls that ship; -update writes it.
func TestControlReference(t *testing.T) {
	l, problems, err := posture.Load(posture.Shipped())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	want := controlReference(l)
	if *update {
		if err := os.WriteFile(controlReferenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(controlReferenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/posture-controls.md is not what the controls say: run `make docs`")
	}
}

// controlReference is every control as Markdown.
func controlReference(l *posture.Library) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	all := l.Controls()
	p("# Posture: the controls\n")
	p("%d controls ship. This page is generated from their files by `make docs`; [posture.md](posture.md) says how to use them and how to write one.\n", len(all))
	p("| pillar | severity | control | what must hold |\n| --- | --- | --- | --- |")
	for _, c := range all {
		p("| %s | %s | [%s](#%s) | %s |", c.Pillar, c.Severity, c.ID, c.ID, cell(c.Title))
	}
	for _, pillar := range evidence.Pillars {
		p("\n## %s", strings.ToUpper(string(pillar[:1]))+strings.ReplaceAll(string(pillar[1:]), "-", " "))
		for _, c := range all {
			if c.Pillar == pillar {
				controlPage(p, c)
			}
		}
	}
	return b.Bytes()
}

func controlPage(p func(string, ...any), c *posture.Control) {
	p("\n### %s\n", c.ID)
	p("**%s.** %s\n", strings.TrimSuffix(c.Title, "."), c.About)
	p("| | |\n| --- | --- |")
	p("| severity | %s |", c.Severity)
	p("| evidence | `%s`, at most %d days old |", strings.Join(c.Reads, "`, `"), int(c.Fresh.Hours()/24))
	switch c.Counts {
	case posture.CountLatest:
		p("| counts | of each subject the newest fact |")
	case posture.CountRecent:
		p("| counts | facts of that time alone |")
	}
	for _, x := range []struct{ name, text string }{{"concerns", c.Where}, {"each must", c.Require}, {"together they must", c.Expect}} {
		if x.text != "" {
			p("| %s | `%s` |", x.name, cell(x.text))
		}
	}
	if c.NonePass {
		p("| none concerned | passes |")
	}
	if len(c.Settings) > 0 {
		names := make([]string, 0, len(c.Settings))
		for k, v := range c.Settings {
			text, err := json.Marshal(v)
			if err != nil {
				text = []byte("?")
			}
			names = append(names, fmt.Sprintf("`%s`: %s", k, text))
		}
		slices.Sort(names)
		p("| settings | %s |", cell(strings.Join(names, ", ")))
	}
	if len(c.ContradictedBy) > 0 {
		p("| contradicted by | `%s` |", strings.Join(c.ContradictedBy, "`, `"))
	}
	p("| references | %s |", cell(referencesText(c.References)))
}

// cell keeps a text within one cell of a Markdown table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// TestPostureOutputsFitTheirSchemas holds what is written and printed against docs/schema.
func TestPostureOutputsFitTheirSchemas(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("BREAKWATER_KEV", filepath.Join(dir, "none.json"))
	do := func(args ...string) []byte {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"posture"}, args...), &console{strings.NewReader(""), &out, &errs}); code != exitDone {
			t.Fatalf("%v: exit %d: %s", args, code, errs.String())
		}
		return out.Bytes()
	}
	if _, err := signing.CreateKey(filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte("exceptions: [{control: log-retention, subject: fire*, owner: o, reason: r, expires: 2026-07-01}, {control: log-central, owner: o, reason: r, expires: 2026-05-01}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	ev := filepath.Join(dir, "evidence")
	do("evidence", "add", "--tenant", "acme", "--kind", "logging.retention", "--subject", "firewall", "--at", "2026-05-20", "--value", "days=30", "--value", "l=[a, 2]", "--attach", policy, "--by", "b", "--partner", "p", "--trust", "t", ev)
	do("evidence", "add", "--tenant", "acme", "--kind", "logging.review", "--subject", "sessions", "--at", "2026-05-20", "--value", "unexplained=0", ev)
	facts, err := os.ReadFile(filepath.Join(ev, "acme", "facts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	rows := do("check", "--now", "2026-06-01", "--policy", policy, "-o", "jsonl", ev)
	doc, err := signing.Open(do("statement", "--tenant", "acme", "--now", "2026-06-01", "--policy", policy, "--for", "x", "--key", filepath.Join(dir, "key.pem"), ev), posture.MaxStatement, posture.KindStatement)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		schema string
		lines  []byte
		least  int
	}{{"posture-fact", facts, 2}, {"posture-result", rows, 10}, {"posture-statement", doc.Payload, 1}} {
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "docs", "schema", c.schema+".schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range bytes.Lines(c.lines) {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
			if err != nil {
				t.Fatal(err)
			}
			if n++; schema.Validate(v) != nil {
				t.Errorf("%s: %v: %s", c.schema, schema.Validate(v), line)
			}
		}
		if n < c.least {
			t.Errorf("%s: %d lines were checked", c.schema, n)
		}
	}
}
