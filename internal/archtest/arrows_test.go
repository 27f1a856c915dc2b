package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/breakwater-project/breakwater"

// pkg is what `go list` says of a package; names are those of the house.
type pkg struct {
	ImportPath   string
	Dir          string
	Name         string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	GoFiles      []string
	CgoFiles     []string
}

var listed = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,Imports,TestImports,XTestImports,Deps,GoFiles,CgoFiles", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New("go list: " + err.Error() + "\n" + stderr.String())
	}
	var list []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
})

func packages(t *testing.T) []pkg {
	t.Helper()
	list, err := listed()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 10 {
		t.Fatalf("only %d packages are listed: the test does not see the module", len(list))
	}
	return list
}

// room is a package's name in the house; ok is false for packages of others.
func room(importPath string) (name string, ok bool) {
	name, ok = strings.CutPrefix(importPath, module+"/")
	return strings.TrimPrefix(name, "internal/"), ok
}

// matches reports whether a pattern of the house names a package.
func matches(pattern, name string) bool {
	if below, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(name, below+"/")
	}
	return pattern == name
}

func anyMatches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// stageOf returns a package's place; an exact name wins over a pattern. -1: it has none.
func stageOf(name string) int {
	found := -1
	for i, s := range house {
		if slices.Contains(s.packages, name) {
			return i
		}
		if found < 0 && anyMatches(s.packages, name) {
			found = i
		}
	}
	return found
}

func TestEveryPackageHasAPlaceInTheHouse(t *testing.T) {
	for _, p := range packages(t) {
		name, _ := room(p.ImportPath)
		if stageOf(name) < 0 {
			t.Errorf("%s is in no stage of house (internal/archtest/house_test.go): say where on the data path it stands, and why", name)
		}
	}
}

func TestImportsFollowTheDataPath(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := room(p.ImportPath)
		for _, imported := range p.Imports {
			if to, ours := room(imported); ours {
				if why := forbidden(from, to); why != "" {
					t.Errorf("%s imports %s: %s", from, to, why)
				}
			}
		}
	}
}

// A test may compare its package with neighbours of the stage and run the rules; what it needs from a later
// stage belongs into that stage's test.
func TestTestsFollowTheDataPath(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := room(p.ImportPath)
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			to, ours := room(imported)
			if !ours || to == from || to == "rules" || stageOf(to) == stageOf(from) {
				continue
			}
			if why := forbidden(from, to); why != "" {
				t.Errorf("a test of %s imports %s: %s", from, to, why)
			}
		}
	}
}

// forbidden says why a package may not import another; "" where it may.
func forbidden(from, to string) string {
	if r, ok := only[from]; ok && !anyMatches(r.imports, to) {
		return "it may import only [" + strings.Join(r.imports, " ") + "] of ours: " + r.why
	}
	if r, ok := importers[to]; ok && !slices.Contains(r.by, from) {
		return "only [" + strings.Join(r.by, " ") + "] may: " + r.why
	}
	i, j := stageOf(from), stageOf(to)
	switch {
	case i < 0 || j < 0 || j < i:
		return "" // a package without a place is another test's failure
	case j > i:
		return "data flows the other way; " + to + " is later on its path (" + house[j].why + ")"
	case besides[[2]string{from, to}] == "":
		return "both are of one stage and don't know each other (" + house[i].why + "); an exception goes into besides, with its reason"
	}
	return ""
}

func TestExceptionsAreUsed(t *testing.T) {
	used := map[[2]string]bool{}
	for _, p := range packages(t) {
		from, _ := room(p.ImportPath)
		for _, imported := range p.Imports {
			if to, ours := room(imported); ours {
				used[[2]string{from, to}] = true
			}
		}
	}
	for pair, why := range besides {
		if !used[pair] {
			t.Errorf("besides allows %s to import %s (%s), and it doesn't: take it out", pair[0], pair[1], why)
		}
	}
}

func TestOnlyTheEdgeReachesOut(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := room(p.ImportPath)
		for _, imported := range p.Imports {
			var why []string
			allowed := true
			for _, e := range edge {
				if !anyMatches(e.imports, imported) {
					continue
				}
				if len(why) == 0 {
					allowed = false
				}
				why = append(why, e.why)
				allowed = allowed || anyMatches(e.by, from)
			}
			if !allowed {
				t.Errorf("%s imports %s: %s", from, imported, strings.Join(why, "; "))
			}
		}
	}
}

func TestEnginesAreLinkedByFew(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := room(p.ImportPath)
		deps := slices.Concat(p.Deps, p.TestImports, p.XTestImports)
		for _, l := range linked {
			if anyMatches(l.by, from) {
				continue
			}
			for _, m := range l.modules {
				if i := slices.IndexFunc(deps, func(d string) bool { return d == m || strings.HasPrefix(d, m+"/") }); i >= 0 {
					t.Errorf("%s links %s: a relink costs seconds, and only [%s] may; %s", from, deps[i], strings.Join(l.by, " "), l.why)
				}
			}
		}
	}
}

func TestForbiddenSeesWhatItShould(t *testing.T) {
	for _, c := range []struct {
		from, to string
		may      bool
	}{
		{"record/ocsf", "record/tenant", true},
		{"record/tenant", "record/ocsf", false},
		{"detect/remotetool", "intake/decode/remotetool", true},
		{"intake/decode/remotetool", "detect/remotetool", false},
		{"intake/decode/windows", "intake/decode/remotetool", true},
		{"intake/decode/zeek", "intake/decode/mail", false},
		{"intake/decode", "intake/decode/zeek", false},
		{"detect/sigma", "detect", true},
		{"detect/sigma", "detect/recon", false},
		{"detect/sigma", "scenario", false},
		{"app", "scenario", false},
		{"cli", "scenario", true},
		{"scenario", "record/ocsf", true},
		{"scenario", "intake/decode/zeek", false},
		{"rules", "record/tenant", false},
		{"cmd/breakwater", "app", false},
		{"show/report", "correlate/campaign", true},
		{"correlate/campaign", "show/report", false},
	} {
		if got := forbidden(c.from, c.to) == ""; got != c.may {
			t.Errorf("%s may import %s: %v, want %v", c.from, c.to, got, c.may)
		}
	}
}

func TestEveryDependencyIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, m := range regexp.MustCompile("`([a-z0-9.-]+\\.[a-z]+/[^` ]+)`").FindAllSubmatch(page, -1) {
		explained = append(explained, string(m[1]))
	}
	for _, p := range packages(t) {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			host, _, _ := strings.Cut(imported, "/")
			if _, ours := room(imported); ours || !strings.Contains(host, ".") {
				continue
			}
			if !slices.ContainsFunc(explained, func(m string) bool { return imported == m || strings.HasPrefix(imported, m+"/") }) {
				t.Errorf("%s imports %s, which docs/dependencies.md does not explain", p.ImportPath, imported)
			}
		}
	}
}
