package sigma

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/rules"
)

// example is what a rule of the pack must or must not match: one event, or several in their order.
type example struct {
	Name         string
	Rule         string
	Events       []exampleEvent
	exampleEvent `yaml:",inline"`
}

// exampleEvent is an event with what decoders and attribution say beside its fields.
type exampleEvent struct {
	Source, Partner, Tenant, Host, Actor, Account, Country, Status, Tool, Act, Recipient string
	Time                                                                                 time.Time
	Links                                                                                []string
	Fields                                                                               map[string]string
}

func (x *exampleEvent) event(at time.Time) *ocsf.Event {
	e := &ocsf.Event{Tenant: "acme", Time: at, Source: x.Source, Device: x.Host, Attribution: ocsf.Attribution{Partner: tenant.PartnerID(x.Partner)}}
	if !x.Time.IsZero() {
		e.Time = x.Time
	}
	e.Actor.Name, e.User.Name, e.Cloud = x.Actor, x.Account, &ocsf.Cloud{Country: x.Country}
	e.Status = map[string]ocsf.Status{"success": ocsf.StatusSuccess, "failure": ocsf.StatusFailure}[x.Status]
	if x.Tool != "" || x.Act != "" {
		e.Remote = &ocsf.RemoteSession{Tool: x.Tool, Act: x.Act}
	}
	if x.Recipient != "" || len(x.Links) > 0 {
		e.Mail = &ocsf.Mail{To: []string{x.Recipient}}
		for _, url := range x.Links {
			e.Mail.Links = append(e.Mail.Links, ocsf.Link{URL: url})
		}
	}
	for k, v := range x.Fields {
		e.Fields = append(e.Fields, ocsf.Field{Name: k, Value: v})
	}
	e.Fields.Sort()
	return e
}

func (x *example) events() []*ocsf.Event {
	list := x.Events
	if len(list) == 0 {
		list = []exampleEvent{x.exampleEvent}
	}
	var out []*ocsf.Event
	for i := range list {
		out = append(out, list[i].event(day.Add(time.Duration(i)*time.Second)))
	}
	slices.SortStableFunc(out, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	return out
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
		t.Fatalf("%s: %v", name, err)
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

// packHeads returns the rules and correlations of the pack by file.
func packHeads(set *RuleSet) map[string][]*Rule {
	out := map[string][]*Rule{}
	for _, r := range set.Rules() {
		out[r.File] = append(out[r.File], r)
	}
	for _, c := range set.Correlations() {
		out[c.File] = append(out[c.File], &c.Rule)
	}
	return out
}

// meant returns the rules of a file that an example is for.
func (x *example) meant(set *RuleSet, list []*Rule) (out []*Rule) {
	for _, r := range list {
		if x.Rule == r.Name && r.Name != "" || x.Rule == r.ID || x.Rule == "" && !set.Quiet(r.ID) {
			out = append(out, r)
		}
	}
	return out
}

// replayedHits replays events and returns how often each rule and correlation was met.
func replayedHits(set *RuleSet, events []*ocsf.Event) map[string]int {
	hits := map[string]int{}
	p := set.NewReplay()
	p.Match(events, func(_ int, r *Rule) { hits[r.ID]++ })
	p.Correlate(func(c *Correlation, _ *ocsf.Event) { hits[c.ID]++ })
	return hits
}

func TestPackMatchesItsExamples(t *testing.T) {
	set := pack(t)
	if n := len(set.Rules()) + len(set.Correlations()); n < 105 {
		t.Errorf("the pack holds %d rules and correlations, at least 105 are promised", n)
	}
	for file, list := range packHeads(set) {
		t.Run(strings.TrimSuffix(file, ".yml"), func(t *testing.T) {
			x := packExamples(t, file)
			shown := map[string]bool{}
			for _, want := range [...]bool{true, false} {
				examples := x.NoMatch
				if want {
					examples = x.Match
				}
				if len(examples) == 0 {
					t.Error("examples for both sides are needed")
				}
				for _, one := range examples {
					meant := one.meant(set, list)
					if len(meant) == 0 {
						t.Errorf("%s: it is for rule %q, which is not in the file", one.Name, one.Rule)
					}
					hits, got := replayedHits(set, one.events()), false
					for _, r := range meant {
						got = got || hits[r.ID] > 0
					}
					if got != want {
						t.Errorf("%s: match %v, want %v", one.Name, got, want)
					}
					for _, r := range list {
						if want && hits[r.ID] > 0 {
							shown[r.ID] = true
						}
					}
				}
			}
			for _, r := range list {
				if !shown[r.ID] {
					t.Errorf("%q matches none of the examples that its file must match", r.Title)
				}
			}
		})
	}
}

// TestPackNoExampleOfHonestWorkPages takes single events only: those of a sequence may each be grave.
func TestPackNoExampleOfHonestWorkPages(t *testing.T) {
	set := pack(t)
	for file := range packHeads(set) {
		for _, one := range packExamples(t, file).NoMatch {
			if len(one.Events) > 0 {
				continue
			}
			set.Match(one.events(), func(_ int, m *Rule) {
				if m.severity() >= ocsf.SeverityHigh {
					t.Errorf("%s of %s is matched by %s, level %s", one.Name, file, m.File, m.Level)
				}
			})
		}
	}
}

func TestPackSaysWhoWroteItAndWhatItIsFor(t *testing.T) {
	var list []*Rule
	for _, heads := range packHeads(pack(t)) {
		list = append(list, heads...)
	}
	for _, r := range list {
		switch {
		case r.Author != "Breakwater" || r.License != "Apache-2.0":
			t.Errorf("%s: author %q, licence %q", r.File, r.Author, r.License)
		case !slices.Contains([]string{"experimental", "test", "stable"}, r.Status):
			t.Errorf("%s: status %q", r.File, r.Status)
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
	p := set.NewReplay()
	p.Match(events, func(i int, r *Rule) {
		hits[r.File]++
		if r.severity() >= ocsf.SeverityHigh {
			t.Errorf("event %d: %s (%s)", i, r.Title, r.Level)
		}
	})
	p.Correlate(func(c *Correlation, e *ocsf.Event) {
		hits[c.Title]++
		if c.severity() >= ocsf.SeverityMedium {
			t.Errorf("%s: %s (%s)", e.Time, c.Title, c.Level)
		}
	})
	t.Logf("%d events: %v", len(events), hits)
}

// carriers are what the table of detections names in its last column: a rule's name or file, a detector's rule, or a
// package.
var carriers = regexp.MustCompile("`([^`]+)`")

func TestEveryDetectionIsCarriedOrSaysWhyNot(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "detections.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(raw), "## The sixty detections")
	if !ok {
		t.Fatal("docs/detections.md has no table of the sixty detections")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	known := map[string]bool{}
	for file, list := range packHeads(pack(t)) {
		known[file] = true
		for _, r := range list {
			known[r.Name] = true
		}
	}
	next := 1
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		n, err := strconv.Atoi(strings.TrimSpace(cells[0]))
		if err != nil {
			continue
		}
		if n != next || len(cells) != 3 {
			t.Errorf("row %d with %d cells where row %d of 3 cells was expected", n, len(cells), next)
		}
		next = n + 1
		by := cells[len(cells)-1]
		names := carriers.FindAllStringSubmatch(by, -1)
		if len(names) == 0 && !strings.HasPrefix(strings.TrimSpace(by), "not carried: ") {
			t.Errorf("row %d names nothing and doesn't say why: %s", n, by)
		}
		for _, m := range names {
			switch name := m[1]; {
			case known[name], name == "breakwater trust check":
			case strings.HasPrefix(name, "internal/"):
				if st, err := os.Stat(filepath.Join("..", "..", "..", filepath.FromSlash(name))); err != nil || !st.IsDir() {
					t.Errorf("row %d: %s is no package", n, name)
				}
			case strings.Contains(name, "/"):
				if !saidBy(t, name) {
					t.Errorf("row %d: no detector says %s", n, name)
				}
			default:
				t.Errorf("row %d: the pack has no rule or file %s", n, name)
			}
		}
	}
	if next != 61 {
		t.Errorf("%d rows, 60 were expected", next-1)
	}
}

// saidBy reports whether the detector that a rule's id begins with has that rule in its code: whole, or its last word.
func saidBy(t *testing.T, id string) bool {
	t.Helper()
	detector, rule, _ := strings.Cut(id, "/")
	for _, dir := range [...]string{filepath.Join("..", detector), filepath.Join("..", "..", "correlate", detector)} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(f, "_test.go") && (strings.Contains(string(raw), `"`+id+`"`) || strings.Contains(string(raw), `"`+rule+`"`)) {
				return true
			}
		}
	}
	return false
}
