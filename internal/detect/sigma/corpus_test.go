package sigma

import (
	"archive/tar"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/valyala/fastjson"
	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// dataDir returns the folder of endpoint test data, or skips.
func dataDir(t testing.TB) string {
	t.Helper()
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(root, "endpoint")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no endpoint test data at %s: set BREAKWATER_DATA to the folder that holds endpoint/", dir)
	}
	return dir
}

// sampled is set where the race detector makes the corpus take minutes: then a part of the events stands for all.
var sampled = raceEnabled && os.Getenv("BREAKWATER_LONG") == ""

// corpus is the public rule corpus, compiled once for all tests that only match with it.
var corpus struct {
	once sync.Once
	set  *RuleSet
	errs []LoadError
	docs int
}

func corpusSet(t testing.TB) *RuleSet {
	t.Helper()
	dataDir(t)
	corpus.once.Do(func() {
		docs := corpusDocuments(t)
		corpus.docs = len(docs)
		corpus.set, corpus.errs = Compile(docs)
	})
	if corpus.set == nil {
		t.Skip("no rule corpus")
	}
	return corpus.set
}

// corpusDocuments reads the whole public rule corpus.
func corpusDocuments(t testing.TB) []Document {
	t.Helper()
	f, err := os.Open(filepath.Join(dataDir(t), "sigma-rules.tar.zst"))
	if err != nil {
		t.Skipf("no rule corpus: %v", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var docs []Document
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".yml") {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, Document{Name: h.Name, Data: data})
	}
	return docs
}

// regressionCase is one case of the public regression data.
type regressionCase struct {
	rule   string
	want   int
	events []*ocsf.Event
	dir    string
}

func regressionCases(t testing.TB) []regressionCase {
	t.Helper()
	base := filepath.Join(dataDir(t), "regression", "regression_data")
	var out []regressionCase
	err := filepath.WalkDir(base, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "info.yml" {
			return err
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var info struct {
			Rules []struct{ ID string } `yaml:"rule_metadata"`
			Tests []struct {
				Count int `yaml:"match_count"`
			} `yaml:"regression_tests_info"`
		}
		if err := yaml.Unmarshal(raw, &info); err != nil {
			return err
		}
		c := regressionCase{rule: info.Rules[0].ID, want: 1, dir: filepath.Dir(name)}
		if len(info.Tests) > 0 && info.Tests[0].Count > 1 {
			c.want = info.Tests[0].Count
		}
		body, err := os.ReadFile(filepath.Join(c.dir, c.rule+".json"))
		if err != nil {
			return err
		}
		c.events = windowsEvents(t, body)
		out = append(out, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("cases %d\n", len(out))
	if len(out) == 0 {
		t.Fatalf("the data folder is there and holds no regression case: %s", base)
	}
	return out
}

// windowsEvents reads concatenated objects {"Event":{"System":…,"EventData":…}} into flat events.
func windowsEvents(t testing.TB, body []byte) []*ocsf.Event {
	t.Helper()
	var out []*ocsf.Event
	for dec := json.NewDecoder(bytes.NewReader(body)); ; {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		e := jsonEvent(t, raw)
		for i := range e.Fields {
			f := &e.Fields[i]
			for _, p := range [...]string{"Event.EventData.", "Event.System.", "Event.UserData."} {
				f.Name = strings.TrimPrefix(f.Name, p)
			}
			f.Name = strings.ReplaceAll(f.Name, " ", "")
			if f.Name == "Provider.#attributes.Name" {
				f.Name = "Provider_Name"
			}
		}
		e.Fields.Sort()
		out = append(out, e)
	}
}

func jsonEvent(t testing.TB, raw []byte) *ocsf.Event {
	t.Helper()
	var p fastjson.Parser
	o, err := decode.ParseJSON(&p, raw)
	if err != nil {
		t.Fatal(err)
	}
	return &ocsf.Event{Fields: slices.Clone(o.Fields())}
}

func TestCorpusLoads(t *testing.T) {
	set := corpusSet(t)
	errs, docs := corpus.errs, corpus.docs
	t.Logf("%d of %d rules load, %d log sources, %d fields", set.Len(), docs, len(set.parts), len(set.slots.byName))
	for _, e := range errs {
		if !strings.Contains(e.Reason, "placeholder %") {
			t.Errorf("only rules whose placeholders are not given may stay out: %v", e)
		}
	}
	if set.Len()+len(errs) < docs {
		t.Errorf("%d rules and %d errors for %d documents: some are neither", set.Len(), len(errs), docs)
	}
}

func TestRegressionCasesMatchAndNothingElseFires(t *testing.T) {
	cases := regressionCases(t)
	set := corpusSet(t)
	may := crossMatrix(t)
	passed, extra, missing := 0, 0, 0
	for _, c := range cases {
		got := map[string]int{}
		set.Match(c.events, func(_ int, r *Rule) { got[r.ID]++ })
		if got[c.rule] >= c.want {
			passed++
		} else {
			t.Errorf("%s: rule matches %d of %d events, want %d", filepath.Base(c.dir), got[c.rule], len(c.events), c.want)
		}
		for id := range got {
			if !may[c.rule][id] {
				extra++
				t.Errorf("%s: %q (%s) fires and neither reference engine agrees", filepath.Base(c.dir), set.Rule(id).Title, id)
			}
		}
		for id := range may[c.rule] {
			if got[id] == 0 {
				missing++
				t.Errorf("%s: rule %s doesn't fire and the reference engines do", filepath.Base(c.dir), id)
			}
		}
	}
	t.Logf("%d of %d cases pass, %d pairs too many, %d missing", passed, len(cases), extra, missing)
}

// crossMatrix returns, by case, every rule that may fire on it.
func crossMatrix(t *testing.T) map[string]map[string]bool {
	t.Helper()
	f, err := os.Open(filepath.Join(dataDir(t), "regression", "cross-matrix.tsv"))
	if err != nil {
		t.Skipf("no cross matrix: %v", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	for _, row := range rows[1:] {
		id := strings.TrimSuffix(filepath.Base(row[0]), ".evtx")
		if out[id] == nil {
			out[id] = map[string]bool{}
		}
		out[id][row[1]] = true
	}
	return out
}

// background reads the recorded Windows background.
func background(t testing.TB, limit int) []*ocsf.Event {
	t.Helper()
	f, err := os.Open(filepath.Join(dataDir(t), "otrf-background.jsonl.zst"))
	if err != nil {
		t.Skipf("no background: %v", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out []*ocsf.Event
	for dec := json.NewDecoder(z); len(out) < limit; {
		var raw json.RawMessage
		if err := dec.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, jsonEvent(t, raw))
	}
	return out
}

// TestFastEqualsPlain holds the indexes, triggers and memory of atoms to the plain evaluation.
func TestFastEqualsPlain(t *testing.T) {
	set := corpusSet(t)
	events := background(t, 2000)
	for _, c := range regressionCases(t) {
		events = append(events, c.events...)
	}
	matches, step := 0, 1
	if sampled {
		step = 4
	}
	for i := 0; i < len(events); i += step {
		e := events[i]
		var fast, slow []string
		set.Match([]*ocsf.Event{e}, func(_ int, r *Rule) { fast = append(fast, r.ID) })
		slow = plainMatches(set, e)
		matches += len(fast)
		if !slices.Equal(fast, slow) {
			t.Fatalf("event %d: fast %v, plain %v\n%v", i, fast, slow, e.Fields)
		}
	}
	t.Logf("%d events, %d matches, both ways alike", (len(events)+step-1)/step, matches)
}

func plainMatches(set *RuleSet, e *ocsf.Event) []string {
	w := newScratch(set)
	w.load(e)
	var out []string
	for _, g := range w.route() {
		for _, r := range g.rules {
			if w.plain(r.rule.cond) {
				out = append(out, r.rule.ID)
			}
		}
	}
	slices.Sort(out)
	return out
}

func BenchmarkBackground(b *testing.B) {
	set := corpusSet(b)
	events := background(b, 1<<30)
	matches := 0
	set.Match(events, func(int, *Rule) { matches++ })
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for i := 0; i < b.N; i++ {
		set.Match(events[n:n+1], func(int, *Rule) {})
		n = (n + 1) % len(events)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(matches)/float64(len(events)), "matches/event")
}
