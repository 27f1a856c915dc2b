package sigma

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/rules"
)

// example is one event that a rule of the pack must or must not match.
type example struct {
	Name    string
	Source  string
	Partner string
	Fields  map[string]string
}

func (x *example) event() *ocsf.Event {
	e := &ocsf.Event{Source: x.Source, Attribution: ocsf.Attribution{Partner: tenant.PartnerID(x.Partner)}}
	for k, v := range x.Fields {
		e.Fields = append(e.Fields, ocsf.Field{Name: k, Value: v})
	}
	e.Fields.Sort()
	return e
}

type examples struct {
	Match   []example `yaml:"match"`
	NoMatch []example `yaml:"no_match"`
}

func packExamples(t testing.TB, name string) examples {
	t.Helper()
	raw, err := fs.ReadFile(rules.FS, path.Join("examples", name))
	if err != nil {
		t.Fatalf("every rule has examples: %v", err)
	}
	var x examples
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	dec.KnownFields(true)
	if err := dec.Decode(&x); err != nil {
		t.Fatal(err)
	}
	return x
}

func pack(t testing.TB) *RuleSet {
	t.Helper()
	docs, err := LoadFS(rules.FS)
	if err != nil {
		t.Fatal(err)
	}
	set, errs := Compile(docs)
	for _, e := range errs {
		t.Error(e)
	}
	return set
}

func TestPackMatchesItsExamples(t *testing.T) {
	set := pack(t)
	if set.Len() < 14 {
		t.Errorf("the pack holds %d rules, at least 14 are promised", set.Len())
	}
	for _, r := range set.Rules() {
		t.Run(strings.TrimSuffix(r.File, ".yml"), func(t *testing.T) {
			x := packExamples(t, r.File)
			if len(x.Match) == 0 || len(x.NoMatch) == 0 {
				t.Error("examples for both sides are needed")
			}
			for _, want := range [...]bool{true, false} {
				list := x.NoMatch
				if want {
					list = x.Match
				}
				for _, one := range list {
					got := false
					set.Match([]*ocsf.Event{one.event()}, func(_ int, m *Rule) { got = got || m == r })
					if got != want {
						t.Errorf("%s: match %v, want %v", one.Name, got, want)
					}
				}
			}
		})
	}
}

func TestPackNoExampleOfHonestWorkPages(t *testing.T) {
	set := pack(t)
	for _, r := range set.Rules() {
		for _, one := range packExamples(t, r.File).NoMatch {
			set.Match([]*ocsf.Event{one.event()}, func(_ int, m *Rule) {
				if m.severity() >= ocsf.SeverityHigh {
					t.Errorf("%s of %s is matched by %s, level %s", one.Name, r.File, m.File, m.Level)
				}
			})
		}
	}
}

func TestPackSaysWhoWroteItAndWhatItIsFor(t *testing.T) {
	for _, r := range pack(t).Rules() {
		switch {
		case r.Author != "Breakwater" || r.License != "Apache-2.0":
			t.Errorf("%s: author %q, licence %q", r.File, r.Author, r.License)
		case r.technique() == "":
			t.Errorf("%s: no ATT&CK technique in its tags", r.File)
		case r.Description == "" || r.Level == "" || len(r.FalsePositives) == 0 || len(r.ID) != 36:
			t.Errorf("%s: description, level, false positives and a UUID are needed", r.File)
		}
	}
}

func TestPackRaisesNothingHighOnBackground(t *testing.T) {
	set := pack(t)
	limit := 1 << 30
	if sampled {
		limit = 7000
	}
	events := background(t, limit)
	hits := map[string]int{}
	set.Match(events, func(i int, r *Rule) {
		hits[r.File]++
		if r.severity() >= ocsf.SeverityHigh {
			t.Errorf("event %d: %s (%s)", i, r.Title, r.Level)
		}
	})
	t.Logf("%d events: %v", len(events), hits)
}
