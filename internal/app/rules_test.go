package app

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

const ruleText = "title: %s\nid: %s\nlogsource: {product: windows, service: security}\ndetection: {s: {EventID: %d}, condition: s}\n"

func aRule(n int) string {
	return fmt.Sprintf(ruleText, fmt.Sprintf("Rule %d", n), fmt.Sprintf("00000000-0000-4000-8000-%012d", n), n)
}

func zipped(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func saved(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestFilesOfAPack(t *testing.T) {
	for rel, want := range map[string]string{
		"a.yml": "rule", "deep/a.YAML": "rule", "examples/a.yml": "example", "x/examples/a.yml": "example", "pipelines/p.yml": "pipeline",
		"placeholders.yml": "placeholders", "LICENSE": "licence", "LICENSE.Rules.md": "licence", "readme.md": "", "tests/thor.yml": "",
		"regression_data/rules/a/info.yml": "", ".github/workflows/ci.yml": "", "a/.hidden.yml": "", "examples/tests/x.yml": "",
	} {
		if got := kindOf(rel); got != want {
			t.Errorf("%s is %q, want %q", rel, got, want)
		}
	}
}

func TestRulesOfAPackArePreparedByItsOwnPipelinesAlone(t *testing.T) {
	dir := t.TempDir()
	const rule = "title: T\nid: %s\nlogsource: {product: windows}\ndetection: {s: {Who|expand: '%%x%%'}, condition: s}\n"
	saved(t, dir, "with/a.yml", fmt.Appendf(nil, rule, "a"))
	saved(t, dir, "with/placeholders.yml", []byte("x: bob"))
	saved(t, dir, "without/b.yml", fmt.Appendf(nil, rule, "b"))
	set, bad, err := Rules(context.Background(), RuleSource{Packs: []string{filepath.Join(dir, "with"), filepath.Join(dir, "without")}})
	if err != nil {
		t.Fatal(err)
	}
	if set.Rule("a") == nil || set.Len() != 1 || len(bad) != 1 || !strings.HasSuffix(bad[0].File, "b.yml") || !strings.Contains(bad[0].Reason, "%x%") {
		t.Errorf("%d rules, errors %v", set.Len(), bad)
	}
	saved(t, dir, "with/pipelines/p.yml", []byte("finalizers: [{type: template}]"))
	if _, _, err := Rules(context.Background(), RuleSource{Packs: []string{filepath.Join(dir, "with")}}); err == nil || !strings.Contains(err.Error(), "p.yml:1: finalizers") {
		t.Errorf("a pack with a pipeline that can't be read gives %v", err)
	}
}

func TestUpdateFetchesOverHTTPS(t *testing.T) {
	pack := zipped(t, map[string]string{"a.yml": aRule(1)})
	mux := http.NewServeMux()
	mux.HandleFunc("/pack.zip", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(pack) })
	mux.Handle("/moved", http.RedirectHandler("/pack.zip", http.StatusFound))
	mux.Handle("/down", http.RedirectHandler("http://127.0.0.1:1/pack.zip", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(pack)))
		_, _ = w.Write(pack[:len(pack)/2])
	})
	srv := httptest.NewTLSServer(mux)
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	for _, c := range []struct{ name, path, sum, want string }{
		{"as it is", "/pack.zip", sumOf(pack), ""},
		{"after a redirect", "/moved", sumOf(pack), ""},
		{"another checksum", "/pack.zip", sumOf([]byte("x")), "not the pack that was meant"},
		{"no checksum", "/pack.zip", "", "needs --sha256"},
		{"a redirect to http", "/down", sumOf(pack), "not https://"},
		{"redirects without end", "/round", sumOf(pack), "too often"},
		{"cut off", "/cut", sumOf(pack), "EOF"},
		{"not there", "/nowhere", sumOf(pack), "404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			u := RuleUpdate{Source: srv.URL + c.path, SHA256: c.sum, Target: filepath.Join(dir, "rules.zip"), Private: true, roots: &tls.Config{RootCAs: roots}}
			change, err := UpdateRules(context.Background(), u)
			if c.want == "" {
				if err != nil || change.Rules != 1 || len(change.Added) != 1 {
					t.Fatalf("%+v, %v", change, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			left, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			hidden, err := filepath.Glob(filepath.Join(dir, ".*"))
			if err != nil {
				t.Fatal(err)
			}
			if want := c.want == ""; (len(left) == 1) != want || len(hidden) > 0 {
				t.Errorf("in the folder: %v %v", left, hidden)
			}
		})
	}
	u := RuleUpdate{Source: srv.URL + "/pack.zip", SHA256: sumOf(pack), Target: filepath.Join(t.TempDir(), "r.zip"), roots: &tls.Config{RootCAs: roots}}
	if _, err := UpdateRules(context.Background(), u); !errors.Is(err, bounded.ErrAddressRefused) {
		t.Errorf("TestSSRF: a loopback address without --allow-private gives %v", err)
	}
}

func TestTraversalMembersOfAPackStayWithinIt(t *testing.T) {
	dir := t.TempDir()
	evil := saved(t, dir, "evil.zip", zipped(t, map[string]string{"../../../escape.yml": aRule(1), "/etc/absolute.yml": aRule(2), `..\..\windows.yml`: aRule(3)}))
	target := filepath.Join(dir, "in", "rules.zip")
	if err := os.Mkdir(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	change, err := UpdateRules(context.Background(), RuleUpdate{Source: evil, Target: target})
	if err != nil || change.Rules != 3 {
		t.Fatalf("%+v, %v", change, err)
	}
	z, err := zip.OpenReader(target)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		if !filepath.IsLocal(f.Name) || strings.Contains(f.Name, "..") {
			t.Errorf("member %s", f.Name)
		}
	}
	if list, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(list) != 2 {
		t.Errorf("beside the pack: %v (%v)", list, err)
	}
}

func TestUpdateKeepsTheOldPackOnAnyError(t *testing.T) {
	good := zipped(t, map[string]string{"a.yml": aRule(1)})
	for _, c := range []struct {
		name string
		new  []byte
		want string
	}{
		{"cut in half", good[:len(good)/2], ""},
		{"a rule that doesn't load", zipped(t, map[string]string{"a.yml": aRule(1), "b.yml": "title: half"}), "do not load"},
		{"one id twice", zipped(t, map[string]string{"a.yml": aRule(1), "b.yml": aRule(1)}), "do not load"},
		{"two files that become one", zipped(t, map[string]string{"a.yml": aRule(1), "../a.yml": aRule(2)}), "two files a.yml"},
		{"no rules", zipped(t, map[string]string{"a.md": "x"}), "no rule that loads"},
		{"a rule of two mebibytes", zipped(t, map[string]string{"a.yml": "#" + strings.Repeat("x", 2<<20)}), "do not load"},
		{"a pipeline that can't be read", zipped(t, map[string]string{"a.yml": aRule(1), "pipelines/p.yml": "colour: red"}), `unknown key "colour"`},
		{"nothing", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			target := saved(t, dir, "rules.zip", good)
			_, err := UpdateRules(context.Background(), RuleUpdate{Source: saved(t, dir, "new.zip", c.new), Target: target})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if now, err := os.ReadFile(target); err != nil || !bytes.Equal(now, good) {
				t.Errorf("the old pack is changed (%v)", err)
			}
		})
	}
}

func TestUpdateTellsWhatChanged(t *testing.T) {
	dir := t.TempDir()
	target := saved(t, dir, "rules.zip", zipped(t, map[string]string{"a.yml": aRule(1), "b.yml": aRule(2), "c.yml": aRule(3)}))
	changed := strings.Replace(aRule(2), "EventID: 2", "EventID: 22", 1)
	var b bytes.Buffer // a tar this time
	w := tar.NewWriter(&b)
	for name, text := range map[string]string{"moved/a.yml": aRule(1), "b.yml": changed, "d.yml": aRule(4)} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	u := RuleUpdate{Source: saved(t, dir, "new.tar", b.Bytes()), Target: target}
	change, err := UpdateRules(context.Background(), u)
	if err != nil {
		t.Fatal(err)
	}
	titles := func(list []PackRule) (out []string) {
		for _, r := range list {
			out = append(out, r.Title)
		}
		return out
	}
	for _, c := range []struct{ got, want []string }{
		{titles(change.Added), []string{"Rule 4"}}, {titles(change.Changed), []string{"Rule 2"}}, {titles(change.Removed), []string{"Rule 3"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	first, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	change, err = UpdateRules(context.Background(), u)
	if err != nil || len(change.Added)+len(change.Changed)+len(change.Removed) != 0 {
		t.Fatalf("the same pack again changes %+v (%v)", change, err)
	}
	if second, err := os.ReadFile(target); err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same pack is not the same file (%v)", err)
	}
}

// endpointData returns the folder of endpoint test data, or skips.
func endpointData(t testing.TB) string {
	t.Helper()
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(root, "endpoint")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no endpoint test data at %s: set BREAKWATER_DATA to the folder that holds endpoint/", dir)
	}
	return dir
}

// TestRecordedCasesMatchThroughAForeignMapping: the public corpus on its recorded events, from .evtx and from .json,
// gives exactly the pairs that two other engines agree on, with our own mapping of log sources and with SigmaHQ's.
func TestRecordedCasesMatchThroughAForeignMapping(t *testing.T) {
	dir := endpointData(t)
	want := crossMatrix(t, dir)
	values := saved(t, t.TempDir(), "values.yml", []byte("known_cdcs: [dc1]"))
	for _, pipelines := range [][]string{nil, {filepath.Join(dir, "regression", "tests", "thor.yml")}} {
		set, bad, err := Rules(context.Background(), RuleSource{Packs: []string{filepath.Join(dir, "sigma-rules.tar.zst")}, Pipelines: pipelines, Placeholders: []string{values}})
		if err != nil {
			t.Fatal(err)
		}
		if len(bad) > 0 {
			t.Errorf("%d rules of the corpus don't load with placeholders given: %v", len(bad), bad[0])
		}
		got := map[string]map[string]bool{".evtx": {}, ".json": {}}
		err = MatchFiles(context.Background(), set, []string{filepath.Join(dir, "regression", "regression_data")}, bounded.Limits{}, func(m RuleMatch) error {
			ext := path.Ext(m.File)
			got[ext][strings.TrimSuffix(path.Base(m.File), ext)+" "+m.Rule.ID] = true
			return nil
		}, func(u Unread) {
			if !strings.HasSuffix(u.File, "info.yml") {
				t.Errorf("%+v", u)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for ext, pairs := range got {
			for p := range pairs {
				if !want[p] {
					t.Errorf("%s, pipelines %v: %s fires and neither reference engine agrees", ext, pipelines, p)
				}
			}
			for p := range want {
				if !pairs[p] {
					t.Errorf("%s, pipelines %v: %s doesn't fire", ext, pipelines, p)
				}
			}
		}
	}
}

func crossMatrix(t *testing.T, dir string) map[string]bool {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "regression", "cross-matrix.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d rows (%v)", len(rows), err)
	}
	out := map[string]bool{}
	for _, row := range rows[1:] {
		out[strings.TrimSuffix(path.Base(row[0]), ".evtx")+" "+row[1]] = true
	}
	return out
}

func TestExamplesOfThePublicCorpusHold(t *testing.T) {
	tests, err := TestRules(context.Background(), RuleSource{Packs: []string{filepath.Join(endpointData(t), "regression")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tests.Tests {
		if !x.Passed {
			t.Errorf("%s: %s", x.File, x.Reason)
		}
	}
	if len(tests.Tests) < 50 || len(tests.Errors) > 0 || len(tests.Untested) > 0 {
		t.Errorf("%d tests, errors %v, %d untested", len(tests.Tests), tests.Errors, len(tests.Untested))
	}
}

func TestExamplesOfOurOwnPackHold(t *testing.T) {
	tests, err := TestRules(context.Background(), RuleSource{Packs: []string{filepath.Join("..", "..", "rules")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tests.Tests {
		if !x.Passed {
			t.Errorf("%s (%s): %s", x.File, x.Name, x.Reason)
		}
	}
	if len(tests.Tests) == 0 || len(tests.Errors) > 0 {
		t.Errorf("%d tests, errors %v", len(tests.Tests), tests.Errors)
	}
}

func TestMatchFilesStopsWhereItsReaderDoes(t *testing.T) {
	set, bad := sigma.Compile([]sigma.Document{{Name: "r.yml", Data: []byte(aRule(1102))}})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	line := `{"Channel":"Security","EventID":1102,"EventTime":"2026-01-05 12:00:02","Hostname":"h1"}` + "\n"
	name := saved(t, t.TempDir(), "a.log", []byte(strings.Repeat(line, 600)))
	full := errors.New("the reader has gone")
	n := 0
	err := MatchFiles(context.Background(), set, []string{name}, bounded.Limits{}, func(m RuleMatch) error {
		if n++; n == 300 {
			return full
		}
		return nil
	}, func(Unread) {})
	if !errors.Is(err, full) || n != 300 {
		t.Errorf("after %d matches: %v", n, err)
	}
}
