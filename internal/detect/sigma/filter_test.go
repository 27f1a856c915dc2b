package sigma

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// filtering is a filter document with that body of its filter section, and more keys beside it.
func filtering(id, more, body string) string {
	return "title: F " + id + "\nid: filter-" + id + "\nlogsource: {product: windows, service: security}\n" + more + "filter:\n  " + strings.ReplaceAll(strings.TrimSpace(body), "\n", "\n  ") + "\n---\n"
}

// judged runs events and writes each finding as "rule count by owner", with "-" where nobody suppressed it.
func judged(t testing.TB, d detect.Detector, events []*ocsf.Event) []string {
	t.Helper()
	last := map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	for _, e := range events {
		d.Process(e, emit)
	}
	d.Advance(day.AddDate(3, 0, 0), emit)
	var out []string
	for _, f := range last {
		by := "-"
		if f.Suppressed != nil {
			by = f.Suppressed.By + " " + f.Suppressed.Owner
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %d %s", f.Title, f.Count, by)))
	}
	slices.Sort(out)
	return out
}

func TestFiltersBySpecification(t *testing.T) {
	for _, c := range []struct {
		clause, filters, events string // of the filters specification
		want                    string
	}{
		{"Relative rules: by name", filtering("f", "", "rules: [a]\nselection: {User|startswith: adm_}\ncondition: not selection"), "0 a User=adm_x;1 a User=joe", "A 1 -,A 1 filter"},
		{"Relative rules: by id", filtering("f", "", "rules: [00000000-0000-4000-8000-00000000000A]\nselection: {User: adm}\ncondition: not selection"), "0 a User=adm", "A 1 filter"},
		{"Relative rules: others are left alone", filtering("f", "", "rules: [b]\nselection: {User: adm}\ncondition: not selection"), "0 a User=adm", "A 1 -"},
		{"Relative rules: several", filtering("f", "", "rules: [a, b]\nselection: {User: adm}\ncondition: not selection"), "0 ab User=adm", "A 1 filter,B 1 filter"},
		{"Relative rules: any (pySigma)", filtering("f", "", "rules: any\nselection: {User: adm}\ncondition: not selection"), "0 ab User=adm", "A 1 filter,B 1 filter"},
		{"Log source: rules of another are not meant", strings.Replace(filtering("f", "", "rules: any\nselection: {User: adm}\ncondition: not selection"), "service: security", "service: system", 1), "0 a User=adm", "A 1 -"},
		{"Log source: a wider one covers", strings.Replace(filtering("f", "", "rules: any\nselection: {User: adm}\ncondition: not selection"), ", service: security", "", 1), "0 a User=adm", "A 1 filter"},
		{"filter condition: as given, so that a selection alone is what remains", filtering("f", "", "rules: [a]\nselection: {User: adm}\ncondition: selection"), "0 a User=adm;1 a User=joe", "A 1 -,A 1 filter"},
		{"filter selection: names of the rule's own selections are its own", filtering("f", "", "rules: [a]\nsel: {User: adm}\ncondition: not sel"), "0 a User=adm;1 a User=joe", "A 1 -,A 1 filter"},
		{"filter condition: them are the filter's", filtering("f", "", "rules: [a]\nx: {User: adm}\ny: {Host: h}\ncondition: not all of them"), "0 a User=adm;1 a User=adm Host=h", "A 1 -,A 1 filter"},
		{"filter condition: parentheses and several selections", filtering("f", "", "rules: [a]\nx: {User: adm}\ny: {Host: h}\ncondition: not (x or y)"), "0 a User=joe Host=h;1 a User=adm;2 a", "A 1 -,A 2 filter"},
		{"several filters of one rule: all must hold", filtering("f", "", "rules: [a]\nx: {User: adm}\ncondition: not x") + filtering("g", "", "rules: [a]\nx: {Host: h}\ncondition: not x"), "0 a User=adm;1 a Host=h;2 a", "A 1 -,A 1 filter,A 1 filter"},
		{"owner and end", filtering("f", "breakwater: {owner: Ann, reason: known, until: 2026-03-05}\n", "rules: [a]\nx: {User: adm}\ncondition: not x"), "0 a User=adm", "A 1 filter Ann"},
		{"after its end", filtering("f", "breakwater: {owner: Ann, reason: known, until: 2026-03-04T10:00:00Z}\n", "rules: [a]\nx: {User: adm}\ncondition: not x"), "-1 a User=adm;0 a User=adm", "A 1 -,A 1 filter Ann"},
	} {
		t.Run(c.clause, func(t *testing.T) {
			set := ruleSet(t, base+c.filters)
			if got := strings.Join(judged(t, NewDetector(set, detect.Context{}), eventsOf(t, c.events)), ","); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestASuppressedMatchNeverHidesAnother(t *testing.T) {
	set := ruleSet(t, base+filtering("f", "", "rules: [a]\nx: {Host: h}\ncondition: not x"))
	// The same rule, device, user and day.
	got := judged(t, NewDetector(set, detect.Context{}), eventsOf(t, "0 a Host=h;1 a Host=i;2 a Host=h;3 ab Host=h"))
	if want := "A 1 -,A 3 filter,B 1 -"; strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestAnEndedFilterIsTold(t *testing.T) {
	set := ruleSet(t, base+filtering("f", "breakwater: {owner: Ann, until: 2026-01-31}\n", "rules: [a]\nx: {User: adm}\ncondition: not x"))
	var got *ocsf.Finding
	NewDetector(set, detect.Context{}).Process(eventOf(t, 0, "0 a User=adm"), func(f *ocsf.Finding) { got = f })
	if got == nil || got.Suppressed != nil || !strings.Contains(got.Reason, `the Sigma filter "F f" of Ann that would have suppressed this ended on 2026-01-31`) {
		t.Errorf("got %+v", got)
	}
	if f := set.Filters()[0]; !f.Expired(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)) || f.Expired(time.Date(2026, 1, 30, 23, 59, 59, 0, time.UTC)) {
		t.Error("the end is not exclusive")
	}
}

func TestFilteredTellsWhichFilterSuppresses(t *testing.T) {
	set := ruleSet(t, base+filtering("f", "", "rules: [a]\nx: {User: adm}\ncondition: not x"))
	n := 0
	for m := range set.Matches(eventsOf(t, "0 ab User=adm;1 a User=joe")) {
		f := set.Filtered(eventsOf(t, "0 ab User=adm;1 a User=joe")[m.Event], m.Rule)
		if want := m.Event == 0 && m.Rule.Name == "a"; (f != nil) != want {
			t.Errorf("event %d, rule %s: filter %v", m.Event, m.Rule.Title, f)
		}
		n++
	}
	if n != 3 || set.Filters()[0].Acts() != 1 {
		t.Errorf("%d matches, the filter acts on %d rules", n, set.Filters()[0].Acts())
	}
}

func TestCorrelationsDoNotSeeWhatAFilterLeavesOut(t *testing.T) {
	corr := correlated("x", "type: event_count\nrules: [a]\ngroup-by: [Host]\ntimespan: 10s\ncondition: {gte: 2}")
	d := NewDetector(ruleSet(t, base+corr+filtering("f", "", "rules: [a]\nx: {User: adm}\ncondition: not x")), detect.Context{}).(*detector)
	if got := judged(t, d, eventsOf(t, "0 a Host=h User=adm;1 a Host=h User=joe;30 a Host=h User=joe;31 a Host=h User=joe")); strings.Join(got, ",") != "T x 2 -" {
		t.Errorf("got %v", got)
	}
	if l := d.Left(); l.Filtered != 1 {
		t.Errorf("%d matches are told as filtered", l.Filtered)
	}
}

func TestFiltersThatAreRefusedSayWhyAndWhere(t *testing.T) {
	for _, c := range []struct{ name, filter, want string }{
		{"no rules", filtering("f", "", "x: {User: adm}\ncondition: not x"), "no rules"},
		{"an empty list of rules is not any", filtering("f", "", "rules: []\nx: {User: adm}\ncondition: not x"), "no rules"},
		{"rules without a value", filtering("f", "", "rules:\nx: {User: adm}\ncondition: not x"), "no rules"},
		{"rules as a mapping", filtering("f", "", "rules: {a: b}\nx: {User: adm}\ncondition: not x"), "a text or a list of texts"},
		{"no condition", filtering("f", "", "rules: [a]\nx: {User: adm}"), "one condition"},
		{"several conditions", filtering("f", "", "rules: [a]\nx: {User: adm}\ncondition: [x, not x]"), "one condition"},
		{"no selection", filtering("f", "", "rules: [a]\ncondition: not x"), "no selection"},
		{"unknown selection", filtering("f", "", "rules: [a]\nx: {User: adm}\ncondition: not y"), `names "y"`},
		{"no log source", strings.Replace(filtering("f", "", "rules: [a]\nx: {User: adm}\ncondition: not x"), "logsource: {product: windows, service: security}\n", "", 1), "no logsource"},
		{"an end that is none", filtering("f", "breakwater: {until: soon}\n", "rules: [a]\nx: {User: adm}\ncondition: not x"), `until "soon"`},
		{"unknown own key", filtering("f", "breakwater: {expires: 2027-01-01}\n", "rules: [a]\nx: {User: adm}\ncondition: not x"), `unknown key "expires"`},
		{"an unknown rule is told", filtering("f", "", "rules: [a, nobody]\nx: {User: adm}\ncondition: not x"), `no rule with the id or name "nobody"`},
		{"a rule of another log source is told", strings.Replace(filtering("f", "", "rules: [a]\nx: {User: adm}\ncondition: not x"), "service: security", "service: system", 1), "doesn't act on it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs := Compile([]Document{{Name: "x.yml", Data: []byte(base + c.filter)}})
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), c.want) || errs[0].Line < 20 {
				t.Errorf("got %v, want %q with its line", errs, c.want)
			}
		})
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("rules: [a]\nx: {User|startswith: adm}\ncondition: not x")
	f.Add("rules: any\nx: [{User: adm}, {Host|re: h+}]\ny: [kw]\ncondition: not (x or 1 of y*)")
	events := randomEvents(f, 2, 10)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 4096 {
			return
		}
		set, _ := Compile([]Document{{Name: "x.yml", Data: []byte(base + filtering("f", "", body))}})
		for m := range set.Matches(events) {
			if f := set.Filtered(events[m.Event], m.Rule); f != nil && f.Acts() == 0 {
				t.Errorf("%q: a filter that acts on no rule suppresses one", body)
			}
		}
	})
}
