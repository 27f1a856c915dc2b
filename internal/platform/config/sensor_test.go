package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestGlob_matches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.log", "a.log", true},
		{"*.log", "deep/down/a.log", true},
		{"*.log", "a.log.gz", false},
		{"provider.*", "x/provider.eve.json", true},
		{"provider.*", "x/provider-v5.json", false},
		{"a/*", "a/b", true},
		{"a/*", "a/b/c", false},
		{"a/*", "x/a/b", false},
		{"./a/*", "a/b", true},
		{"a/*/c", "a/b/c", true},
		{"a/**", "a/b/c/d", true},
		{"a/**", "a", false},
		{"a/**/*.log", "a/x.log", true},
		{"a/**/*.log", "a/b/c/x.log", true},
		{"a/**/b/**/c", "a/b/x/b/y/z/c", true},
		{"a/**/b/**/c", "a/x/y/c", false},
		{"**/mail/*", "mail/1", true},
		{"**/mail/*", "x/y/mail/1", true},
		{"**", "anything/at/all", true},
		{"**/**/a", "x/a", true},
		{"[a]?", "[a]?", true},
		{"[a]?", "aa", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-b-b", false},
		{"a", "", false},
	} {
		g, err := CompileGlob(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		} else if got := g.Match(c.name); got != c.want {
			t.Errorf("%s on %s: %v", c.pattern, c.name, got)
		}
	}
}

func TestBomb_globTakesItsTimeInProportion(t *testing.T) {
	g, err := CompileGlob(strings.Repeat("**/a/", 400) + strings.Repeat("*a", 400) + "b")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if g.Match(strings.Repeat("a/", 1500) + strings.Repeat("a", 1000)) {
		t.Error("matches what has no b")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

const sensors = small + `sensors:
  - {match: {path: "acme/**"}, tenant: acme, layer: network}
  - {match: {path: "nord/*"}, tenant: nord}
  - {match: {path: "*.eve.json"}, tenant: nord, layer: network}
  - {match: {path: "shared/*.json"}, tenant_by: {field: host, map: {FW-A: acme, fw-n: nord}}}
  - {match: {exporter: 192.0.2.0/28}, tenant: acme}
  - {match: {exporter: fw.nord.example, field: {type: flow}}, tenant: nord}
  - {match: {field: cloud.account}, tenant: acme}
`

func TestSensorFor_takesTheFirstDeclaredOfTheMostTellingPath(t *testing.T) {
	f := parse(t, sensors)
	for path, want := range map[string]tenant.ID{
		"acme/a/b.log":                      "acme",
		"acme/x.eve.json":                   "acme",
		"nord/b.log":                        "nord",
		"nord/deep/b.log":                   "",
		"x/y.eve.json":                      "nord",
		"x/y.eve.json.gz":                   "nord",
		"x/y.eve.json.ZST":                  "nord",
		"logs.tar.zst!acme/x.log":           "acme",
		"logs.tar.zst!in.zip!nord/x.log.gz": "nord",
		"nord/logs.zip!a/b/c":               "nord",
		"nord/logs.zip!acme/x.log":          "nord", // where the archive lies outweighs what it says of itself
		"acme/logs.zip!nord/x.log":          "acme",
		"acme!/x.log":                       "",
		"other":                             "",
	} {
		s, ok := f.SensorFor(path)
		if ok != (want != "") || ok && s.Tenant != want {
			t.Errorf("%s: %+v", path, s)
		}
	}
}

func TestTenantFor_unknownValueIsNobodys(t *testing.T) {
	s, ok := parse(t, sensors).SensorFor("shared/a.json")
	if !ok {
		t.Fatal("no sensor")
	}
	for value, want := range map[string]tenant.ID{"fw-a": "acme", " FW-N ": "nord", "fw-x": "", "": ""} {
		id, ok := s.TenantFor(func(field string) string {
			if field != "host" {
				t.Errorf("asked for %q", field)
			}
			return value
		})
		if id != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", value, id, ok)
		}
	}
	if _, ok := s.TenantFor(nil); ok {
		t.Error("a tenant without fields")
	}
}

func TestSensorOf_needsEveryCondition(t *testing.T) {
	f := parse(t, sensors)
	fields := func(kv map[string]string) func(string) string { return func(k string) string { return kv[k] } }
	for _, c := range []struct {
		name string
		o    Origin
		want tenant.ID
	}{
		{"exporter in the prefix", Origin{Exporter: "192.0.2.5"}, "acme"},
		{"exporter in the prefix as IPv6", Origin{Exporter: "::ffff:192.0.2.5"}, "acme"},
		{"exporter outside", Origin{Exporter: "192.0.2.50"}, ""},
		{"name without the field", Origin{Exporter: "FW.nord.example"}, ""},
		{"name and field", Origin{Exporter: "FW.nord.example", Field: fields(map[string]string{"type": "Flow"})}, "nord"},
		{"any value of a field", Origin{Field: fields(map[string]string{"cloud.account": "1"})}, "acme"},
		{"path", Origin{Path: "nord/x"}, "nord"},
		{"nothing", Origin{}, ""},
	} {
		s, ok := f.SensorOf(c.o)
		if ok != (c.want != "") || ok && s.Tenant != c.want {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func TestRel_isRelativeToTheFolderOfTheFile(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "conf", "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "conf", "breakwater.yaml")
	if err := os.WriteFile(name, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("conf", filepath.Join(dir, "link")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	t.Chdir(dir)
	f, err := Load(filepath.Join("conf", "breakwater.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"conf/logs/a":                          "logs/a",
		"./conf/../conf/logs/a":                "logs/a",
		filepath.Join(dir, "conf/logs/a"):      "logs/a",
		"link/logs/a":                          "logs/a",
		"other/a":                              "../other/a",
		"conf/a.zip!inner/x.log":               "a.zip!inner/x.log",
		"conf/a.zip!../../logs/x.log":          "a.zip!logs/x.log",
		"conf/a.zip!b.tar!../x":                "a.zip!b.tar!x",
		filepath.Join(dir, "conf") + "/a.zip!": "a.zip!",
		"conf/bad!name.log":                    "bad!name.log",
	} {
		if got := f.Rel(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
