package sigma

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// replay tells which correlations hold over events, by name and the second of the event that completes them.
func replay(set *RuleSet, events []*ocsf.Event) []string {
	p := set.NewReplay()
	p.Match(events, func(int, *Rule) {})
	var out []string
	p.Correlate(func(c *Correlation, e *ocsf.Event) {
		out = append(out, fmt.Sprintf("%s %d", c.Name, int(e.Time.Sub(day).Seconds())))
	})
	return out
}

func TestReplayKeepsNoOrderOfItsOwn(t *testing.T) {
	set := ruleSet(t, base+
		correlated("x", "type: temporal_ordered\nrules: [a, b]\ngroup-by: [User]\ntimespan: 10s")+
		correlated("few", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {eq: 2}"))
	events := eventsOf(t, "0 a User=u;1 a User=u;5 b User=u;30 b User=u;31 a User=u;60 a User=v;61 b User=v;62 b User=v")
	want := replay(set, events)
	if got := strings.Join(want, ","); got != "x 5,few 1,x 61" {
		t.Errorf("got %s", got)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		if got := replay(set, events); !slices.Equal(got, want) {
			t.Fatalf("in another order: %v, want %v", got, want)
		}
	}
}

func TestReplayLeavesOutWhatFiltersCoverAndTimesThatCannotBe(t *testing.T) {
	filter := "---\ntitle: F\nid: f\nlogsource: {product: windows, service: security}\nfilter: {rules: [a], s: {User: u}, condition: not s}\n"
	corr := correlated("x", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 1}")
	p := ruleSet(t, base+corr+filter).NewReplay()
	events := eventsOf(t, "0 a User=u;1 a User=v;2 a User=w")
	events[2].Time = time.Time{}
	matched := 0
	p.Match(events, func(int, *Rule) { matched++ })
	held := 0
	p.Correlate(func(*Correlation, *ocsf.Event) { held++ })
	if l := p.Left(); matched != 3 || held != 1 || l.Filtered != 1 || l.Untimely != 1 {
		t.Errorf("%d matches, %d correlations, left %+v", matched, held, l)
	}
}

func TestReplayKeepsTenantsApart(t *testing.T) {
	set := ruleSet(t, base+correlated("x", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 2}"))
	if got := replay(set, eventsOf(t, "0 a User=u tenant=one;1 a User=u tenant=two")); len(got) != 0 {
		t.Errorf("one match of each of two tenants: %v", got)
	}
}

func TestCorrelationsOfPartnersRiseByOneStepAndByOneMoreAtTwoTenants(t *testing.T) {
	corr := func(tags string) string {
		return strings.Replace(correlated("x", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 2}"), "level: high\n", "level: low\n"+tags, 1)
	}
	for _, c := range []struct{ name, tags, events, want string }{
		{"nobody's", "", "0 a User=u;1 a User=u", "acme low"},
		{"a partner's", "", "0 a User=u partner=isl;1 a User=u partner=isl", "acme medium"},
		{"the partner at its beginning only", "", "0 a User=u partner=isl;1 a User=u", "acme medium"},
		{"at two tenants", "", "0 a User=u partner=isl;1 a User=u partner=isl;20 a User=v partner=isl tenant=other;21 a User=v partner=isl tenant=other", "acme high,other high"},
		{"of two partners", "", "0 a User=u partner=isl;1 a User=u partner=isl;20 a User=v partner=abc tenant=other;21 a User=v partner=abc tenant=other", "acme medium,other medium"},
		{"ten days apart", "", "0 a User=u partner=isl;1 a User=u partner=isl;864000 a User=v partner=isl tenant=other;864001 a User=v partner=isl tenant=other", "acme medium,other medium"},
		{"about trusted relationships", "tags: [attack.t1199]\n", "0 a User=u partner=isl;1 a User=u partner=isl;20 a User=v partner=isl tenant=other;21 a User=v partner=isl tenant=other", "acme low,other low"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := ruleSet(t, base+corr(c.tags))
			last := map[tenant.ID]ocsf.Severity{}
			emit := func(f *ocsf.Finding) { last[f.Tenant] = max(last[f.Tenant], f.Severity) }
			d := NewDetector(set, detect.Context{})
			for _, e := range eventsOf(t, c.events) {
				d.Advance(e.Time, emit)
				d.Process(e, emit)
			}
			d.Conclude(emit)
			var got []string
			for id, s := range last {
				got = append(got, fmt.Sprintf("%s %s", id, s))
			}
			slices.Sort(got)
			if text := strings.Join(got, ","); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
		})
	}
}

func TestQuietRulesMakeNoFindingWhereCorrelationsGenerate(t *testing.T) {
	silent := strings.Replace(base, "name: a\n", "name: a\nbreakwater: {quiet: true}\n", 1)
	if silent == base {
		t.Fatal("the rule has no name where one was expected")
	}
	set := ruleSet(t, silent+correlated("x", "type: temporal\nrules: [a, b]\ngroup-by: [User]\ntimespan: 10s\ngenerate: true"))
	got := map[string]int{}
	d := NewDetector(set, detect.Context{})
	for _, e := range eventsOf(t, "0 a User=u;1 b User=u") {
		d.Process(e, func(f *ocsf.Finding) { got[f.Title]++ })
	}
	if got["A"] != 0 || got["B"] != 1 || len(got) != 2 {
		t.Errorf("findings %v", got)
	}
	if r := ruleSet(t, silent); r.Quiet(r.Rules()[0].ID) {
		t.Error("a rule that no correlation looks at would be lost")
	}
	if _, errs := Compile([]Document{{Name: "x.yml", Data: []byte(strings.Replace(silent, "quiet: true", "quiet: perhaps", 1))}}); len(errs) != 1 || !strings.Contains(errs[0].Reason, "quiet is true or false") {
		t.Errorf("errors %v", errs)
	}
}

func TestRecordsCannotSayWhoTheyComeFrom(t *testing.T) {
	set := ruleSet(t, "title: P\nid: p\nlogsource: {product: windows, service: security}\ndetection: {s: {breakwater.partner|exists: true}, condition: s}\n")
	for _, name := range []string{"breakwater.partner", "Breakwater.Partner", "breakwater"} {
		e := &ocsf.Event{Source: "windows/security", Fields: ocsf.Fields{{Name: name, Value: "isl"}}}
		set.Match([]*ocsf.Event{e}, func(int, *Rule) { t.Errorf("field %s of the record was taken for attribution", name) })
	}
}

func TestCollectionsOfOldAreRefusedDocumentByDocument(t *testing.T) {
	rule := "title: R%d\nlogsource: {product: windows}\ndetection: {s: {A: %d}, condition: s}\n"
	text := fmt.Sprintf(rule, 1, 1) + "---\naction: global\ntitle: G\n---\n" + fmt.Sprintf(rule, 2, 2) + "---\naction: reset\n---\n" + fmt.Sprintf(rule, 3, 3)
	set, errs := Compile([]Document{{Name: "old.yml", Data: []byte(text)}})
	if set.Len() != 1 || len(errs) != 4 {
		t.Fatalf("%d rules, errors %v", set.Len(), errs)
	}
	for _, e := range errs {
		if !strings.Contains(e.Reason, noCollections) || e.Line == 0 {
			t.Errorf("%v", e)
		}
	}
}
