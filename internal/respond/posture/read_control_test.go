package posture

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/breakwater-project/breakwater/internal/respond/posture/controls"
)

func TestBadControlsAreToldWithTheirLine(t *testing.T) {
	good := controlHead + "require: item.values.ok" + controlExamples
	for _, c := range []struct{ name, from, to, want string }{
		{"an unknown key", "pillar: network", "pillar: network\nseverty: high", "site/c.yaml:4: field severty not found"},
		{"no yaml", "id: test-control", "id: [", "site/c.yaml:"},
		{"empty", good, "", "it is empty"},
		{"two documents", "examples:", "---\nexamples:", "more than one document"},
		{"an alias", "title: A test", "title: &a A test", "site/c.yaml:2: aliases"},
		{"an id", "id: test-control", "id: Test control", "site/c.yaml:1: id \"Test control\""},
		{"a pillar", "pillar: network", "pillar: networks", "site/c.yaml:3: pillar \"networks\""},
		{"a severity", "severity: high", "severity: grave", "site/c.yaml:4: severity \"grave\""},
		{"an age", "fresh: 35d", "fresh: 35 days", "site/c.yaml:7: fresh: \"35 days\" is no age"},
		{"no kinds", "reads: [test.fact]", "reads: []", "site/c.yaml:6: reads"},
		{"no expression", "require: item.values.ok", "", "exactly one of require"},
		{"two expressions", "require: item.values.ok", "require: item.values.ok\nexpect: items.size() > 1", "exactly one of require"},
		{"a type error", "require: item.values.ok", "require: item.subject + 1 == ''", "site/c.yaml:8: require: found no matching overload"},
		{"a type error further down", "require: item.values.ok", "require: |\n  item.values.ok &&\n  item.subjct == ''", "site/c.yaml:10: require: undefined field 'subjct'"},
		{"an unknown setting", "require: item.values.ok", "require: item.values.n > settings.least", "settings.least has no default"},
		{"no text", "require: item.values.ok", "require: item.values.ok\nsays: 'item.values.ok ? 1 : 2'", "says: it gives a int"},
		{"a wanted status", "want: pass", "want: good", "a status to want"},
		{"a kind that is not read", "kind: test.fact, subject: a, at: 2026-06-01T00:00:00Z, values: {ok: true", "kind: other.fact, subject: a, at: 2026-06-01T00:00:00Z, values: {ok: true", "which the control does not read"},
		{"no stale example", "want: stale", "want: unknown", "no example that must come to \"stale\""},
		{"counts", "require: item.values.ok", "counts: all\nrequire: item.values.ok", "site/c.yaml:8: counts \"all\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(good, c.from) {
				t.Fatal("the test changes nothing")
			}
			l, problems := loadText(t, strings.Replace(good, c.from, c.to, 1))
			if len(l.Controls()) != 0 || len(problems) == 0 {
				t.Fatalf("it loaded: %v", problems)
			}
			if !strings.Contains(problems[0].Error(), c.want) {
				t.Errorf("got %q, want %q", problems[0].Error(), c.want)
			}
		})
	}
}

func TestASitesControlReplacesOurs(t *testing.T) {
	text := controlHead + "require: item.values.ok" + controlExamples
	own := Source{Files: fstest.MapFS{"log.yaml": {Data: []byte(strings.Replace(text, "test-control", "log-retention", 1))}, "notes.txt": {Data: []byte("x")}}, Shown: "site", Own: true}
	l, problems, err := Load(Shipped(), own)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if c := l.Control("log-retention"); c == nil || c.File != "site/log.yaml" {
		t.Errorf("got %+v", c)
	}
	twice := Source{Files: fstest.MapFS{"a.yaml": {Data: []byte(text)}, "b.yaml": {Data: []byte(text)}}, Shown: "site", Own: true}
	if _, problems, err := Load(twice); err != nil || len(problems) != 1 || !strings.Contains(problems[0].Error(), "site/b.yaml: the id test-control is site/a.yaml's already") {
		t.Errorf("the same id twice: %v, %v", problems, err)
	}
	if _, err := l.Only("nothing"); err == nil {
		t.Error("a control that there is not was found")
	}
}

func TestBadPoliciesAreToldWithTheirLine(t *testing.T) {
	l := libraryOf(t, "settings: {least: 5}\nrequire: item.values.n >= settings.least")
	for _, c := range []struct{ name, text, want string }{
		{"no such control", "settings: {other: {least: 1}}", "p.yaml:1: settings: there is no control \"other\""},
		{"no such setting", "settings: {test-control: {most: 1}}", "has no setting \"most\""},
		{"another type", "settings: {test-control: {least: many}}", "is a number and not a text"},
		{"no owner", "\nexceptions: [{control: test-control, reason: r, expires: 2026-12-31}]", "p.yaml:2: the exception to test-control needs an owner"},
		{"no day", "exceptions: [{control: test-control, owner: o, reason: r}]", "needs a day on which it expires"},
		{"no control", "exceptions: [{owner: o, reason: r, expires: 2026-12-31}]", "names no control"},
		{"an unknown control", "exceptions: [{control: other, owner: o, reason: r, expires: 2026-12-31}]", "there is no control \"other\""},
		{"a star", "exceptions: [{control: test-control, subject: '*', owner: o, reason: r, expires: 2026-12-31}]", "leave subject out"},
		{"another tenant's", "tenants: {acme: {exceptions: [{control: test-control, tenant: borealis, owner: o, reason: r, expires: 2026-12-31}]}}", "names the tenant \"borealis\""},
		{"an unknown key", "exeptions: []", "field exeptions not found"},
	} {
		p, problems := l.ParsePolicy("p.yaml", []byte(c.text))
		if p != nil || len(problems) == 0 || !strings.Contains(problems[0].Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, problems, c.want)
		}
	}
}

func TestControlsShippedSayEnough(t *testing.T) {
	l, _, err := Load(Shipped())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range l.Controls() {
		if len(c.About) < 80 || len(c.References) == 0 {
			t.Errorf("%s: say why and what to do, with at least one reference", c.File)
		}
	}
}

func FuzzControl(f *testing.F) {
	f.Add([]byte(controlHead + "require: item.values.ok" + controlExamples))
	f.Add([]byte(controlHead + "expect: |\n  items.all(i, i.values.n > 1)\nsettings: {a: [1, {b: c}]}" + controlExamples))
	entries, err := controls.Files.ReadDir("practice")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		data, err := controls.Files.ReadFile("practice/" + e.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	one, all := speak(f)
	l := &Library{one: one, all: all, controls: map[string]*Control{}}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := l.parseControl("c.yaml", data)
		if (c == nil) == (len(problems) == 0) {
			t.Fatalf("a control %v with problems %v", c != nil, problems)
		}
		for _, p := range problems {
			if strings.ContainsAny(p.Error(), "\n\x1b") {
				t.Fatalf("a problem of more than one line: %q", p.Error())
			}
		}
		if c == nil {
			return
		}
		only := &Library{controls: map[string]*Control{c.ID: c}, order: []*Control{c}}
		tests, err := only.Test(t.Context())
		if err != nil || len(tests) != len(c.Examples) {
			t.Fatalf("%d examples ran of %d: %v", len(tests), len(c.Examples), err)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("settings: {test-control: {least: 2}}\nexceptions: [{control: test-control, subject: a*, owner: o, reason: r, expires: 2026-12-31}]\ntenants: {acme: {settings: {test-control: {least: 3.5}}}}"))
	l := libraryOf(f, "settings: {least: 5}\nrequire: item.values.n >= settings.least")
	f.Fuzz(func(t *testing.T, data []byte) {
		p, problems := l.ParsePolicy("p.yaml", data)
		if (p == nil) == (len(problems) == 0) {
			t.Fatalf("a policy %v with problems %v", p != nil, problems)
		}
		if p == nil {
			return
		}
		for _, e := range p.exceptions("test-control", "acme") {
			if e.Owner == "" || e.Reason == "" || e.Expires.IsZero() || e.Tenant != "" && e.Tenant != "acme" {
				t.Fatalf("the exception %+v holds for acme", e)
			}
		}
	})
}
