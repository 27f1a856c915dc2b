package sigma

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// base are detection rules that match by a field Kind.
const base = `title: A
id: 00000000-0000-4000-8000-00000000000a
name: a
level: low
tags: [attack.t1110]
logsource: {product: windows, service: security}
detection: {sel: {Kind|contains: a}, condition: sel}
---
title: B
id: 00000000-0000-4000-8000-00000000000b
name: b
level: medium
logsource: {product: windows, service: security}
detection: {sel: {Kind|contains: b}, condition: sel}
---
title: C
id: 00000000-0000-4000-8000-00000000000c
name: c
logsource: {product: windows, service: security}
detection: {sel: {Kind|contains: c}, condition: sel}
---
`

// correlated is a correlation rule with that body.
func correlated(name, body string) string {
	return "title: T " + name + "\nid: corr-" + name + "\nname: " + name + "\nlevel: high\ncorrelation:\n  " + strings.ReplaceAll(strings.TrimSpace(body), "\n", "\n  ") + "\n---\n"
}

// eventOf makes an event of "seconds kind field=value …"; tenant=… is its tenant and partner=… its partner.
func eventOf(t testing.TB, n int, text string) *ocsf.Event {
	t.Helper()
	words := strings.Fields(text)
	sec, err := strconv.ParseFloat(words[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	e := &ocsf.Event{Tenant: "acme", Time: day.Add(time.Duration(sec * float64(time.Second))), Source: "windows/security", Layer: tenant.LayerEndpoint}
	e.Fields = ocsf.Fields{{Name: "Channel", Value: "Security"}, {Name: "Kind", Value: words[1]}}
	binary.BigEndian.PutUint64(e.ID[:], uint64(n)+1)
	for _, w := range words[2:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "tenant":
			e.Tenant = tenant.ID(v)
		case "partner":
			e.Partner, e.Trust = tenant.PartnerID(v), tenant.TrustID(v+"-"+string(e.Tenant))
		case "device":
			e.Device = v
		default:
			e.Fields = append(e.Fields, ocsf.Field{Name: k, Value: v})
		}
	}
	e.Fields.Sort()
	return e
}

func eventsOf(t testing.TB, text string) (out []*ocsf.Event) {
	t.Helper()
	for i, part := range strings.Split(text, ";") {
		if strings.TrimSpace(part) != "" {
			out = append(out, eventOf(t, i, strings.TrimSpace(part)))
		}
	}
	return out
}

// found runs events and writes each finding as "rule from-to xcount", in seconds.
func found(t testing.TB, set *RuleSet, events []*ocsf.Event) []string {
	t.Helper()
	last := map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	d := NewDetector(set, detect.Context{})
	for _, e := range events {
		d.Process(e, emit)
	}
	d.Advance(day.AddDate(3, 0, 0), emit)
	var out []string
	for _, f := range last {
		out = append(out, fmt.Sprintf("%s %v-%v x%d", strings.TrimPrefix(f.Rule, "corr-"), f.Time.Sub(day).Seconds(), f.End.Sub(day).Seconds(), f.Count))
	}
	slices.Sort(out)
	return out
}

func TestCorrelationsBySpecification(t *testing.T) {
	group := "group-by: [User]\ntimespan: 10s\n"
	for _, c := range []struct {
		clause string // of the correlation rules specification
		body   string
		events string
		want   string // findings of the correlation, separated by commas
	}{
		{"Event Count: counts events in the time frame", "type: event_count\nrules: a\n" + group + "condition: {gte: 3}", "0 a User=u;1 a User=u;2 a User=u", "x 0-2 x3"},
		{"Event Count: fewer are no hit", "type: event_count\nrules: a\n" + group + "condition: {gte: 3}", "0 a User=u;1 a User=u", ""},
		{"Event Count: of the referred rules alone", "type: event_count\nrules: a\n" + group + "condition: {gte: 3}", "0 a User=u;1 b User=u;2 a User=u", ""},
		{"Event Count: of several rules together", "type: event_count\nrules: [a, b]\n" + group + "condition: {gte: 3}", "0 a User=u;1 b User=u;2 a User=u", "x 0-2 x3"},
		{"Grouping: each group separately", "type: event_count\nrules: [a]\n" + group + "condition: {gte: 2}", "0 a User=u;1 a User=v;2 a User=u", "x 0-2 x2"},
		{"Grouping: several fields are linked by AND", "type: event_count\nrules: [a]\ngroup-by: [User, Host]\ntimespan: 10s\ncondition: {gte: 2}", "0 a User=u Host=h;1 a User=u Host=i;2 a User=u Host=h", "x 0-2 x2"},
		{"Grouping: the field as a text", "type: event_count\nrules: [a]\ngroup-by: User\ntimespan: 10s\ncondition: {gte: 2}", "0 a User=u;2 a User=u", "x 0-2 x2"},
		{"Grouping: values without regard to case", "type: event_count\nrules: [a]\n" + group + "condition: {gte: 2}", "0 a User=Ann;2 a User=ANN", "x 0-2 x2"},
		{"Grouping: what lacks the field is in no group", "type: event_count\nrules: [a]\n" + group + "condition: {gte: 2}", "0 a;2 a;3 a User=u", ""},
		{"Grouping: joined values of two fields are not mixed up", "type: event_count\nrules: [a]\ngroup-by: [User, Host]\ntimespan: 10s\ncondition: {gte: 2}", "0 a User=xy Host=z;1 a User=x Host=yz", ""},
		{"Grouping: optional", "type: event_count\nrules: [a]\ntimespan: 10s\ncondition: {gte: 2}", "0 a User=u;2 a User=v", "x 0-2 x2"},
		{"Time Selection: both ends belong to the window", "type: event_count\nrules: [a]\n" + group + "condition: {gte: 2}", "0 a User=u;10 a User=u", "x 0-10 x2"},
		{"Time Selection: beyond it is another window", "type: event_count\nrules: [a]\n" + group + "condition: {gte: 2}", "0 a User=u;10.001 a User=u", ""},
		{"Temporal Proximity: no boundaries: the window slides", "type: event_count\nrules: [a]\n" + group + "condition: {gte: 3}", "0 a User=u;8 a User=u;12 a User=u;16 a User=u", "x 8-16 x3"},
		{"Time Selection: minutes", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 2m\ncondition: {gte: 2}", "0 a User=u;120 a User=u", "x 0-120 x2"},
		{"Time Selection: hours", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 1h\ncondition: {gte: 2}", "0 a User=u;3600 a User=u", "x 0-3600 x2"},
		{"Time Selection: days", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 1d\ncondition: {gte: 2}", "0 a User=u;86400 a User=u", "x 0-86400 x2"},
		{"Condition: gt", "type: event_count\nrules: [a]\n" + group + "condition: {gt: 2}", "0 a User=u;1 a User=u;20 a User=v;21 a User=v;22 a User=v", "x 20-22 x3"},
		{"Condition: lt, decided when the timespan is over", "type: event_count\nrules: [a]\n" + group + "condition: {lt: 2}", "0 a User=u;1 a User=u;20 a User=v", "x 20-20 x1"},
		{"Condition: lte", "type: event_count\nrules: [a]\n" + group + "condition: {lte: 2}", "0 a User=u;1 a User=u;20 a User=v;21 a User=v;22 a User=v", "x 0-1 x2"},
		{"Condition: eq", "type: event_count\nrules: [a]\n" + group + "condition: {eq: 2}", "0 a User=u;20 a User=v;21 a User=v;40 a User=w;41 a User=w;42 a User=w", "x 20-21 x2"},
		{"Condition: neq", "type: event_count\nrules: [a]\n" + group + "condition: {neq: 1}", "0 a User=u;20 a User=v;21 a User=v", "x 20-21 x2"},
		{"Condition: a range in the mapping", "type: event_count\nrules: [a]\n" + group + "condition: {gt: 1, lte: 3}", "0 a User=u;20 a User=v;21 a User=v;40 a User=w;41 a User=w;42 a User=w;43 a User=w", "x 20-21 x2"},
		{"Value Count: distinct values", "type: value_count\nrules: [a]\n" + group + "condition: {field: Host, gte: 2}", "0 a User=u Host=h;1 a User=u Host=H;2 a User=v Host=h;3 a User=v Host=i", "x 2-3 x2"},
		{"Value Count: values leave with their events", "type: value_count\nrules: [a]\n" + group + "condition: {field: Host, gte: 3}", "0 a User=u Host=h;6 a User=u Host=i;12 a User=u Host=j", ""},
		{"Value Count: several fields are linked by AND", "type: value_count\nrules: [a]\n" + group + "condition: {field: [Host, Port], gte: 3}", "0 a User=u Host=h Port=1;1 a User=u Host=h Port=2;2 a User=u Host=i Port=1;20 a User=v Host=h Port=1;21 a User=v Host=h Port=1;22 a User=v Host=h", "x 0-2 x3"},
		{"Temporal Proximity: any order", "type: temporal\nrules: [a, b, c]\n" + group, "0 c User=u;1 a User=u;2 b User=u", "x 0-2 x3"},
		{"Temporal Proximity: all of them", "type: temporal\nrules: [a, b, c]\n" + group, "0 c User=u;1 a User=u;2 a User=u", ""},
		{"Temporal Proximity: the same value of group-by", "type: temporal\nrules: [a, b]\n" + group, "0 a User=u;1 b User=v", ""},
		{"Temporal Proximity: the time frame is not restricted to boundaries", "type: temporal\nrules: [a, b]\n" + group, "9 a User=u;11 b User=u", "x 9-11 x2"},
		{"Condition: count of different event types", "type: temporal\nrules: [a, b, c]\n" + group + "condition: {gte: 2}", "0 c User=u;1 c User=u;2 b User=u", "x 0-2 x3"},
		{"Condition: count of event types, from above", "type: temporal\nrules: [a, b, c]\n" + group + "condition: {lt: 2}", "0 c User=u;1 c User=u;20 a User=v;21 b User=v", "x 0-1 x2"},
		{"Ordered Temporal Proximity: in the order of the list", "type: temporal_ordered\nrules: [a, b]\n" + group, "0 a User=u;1 b User=u;20 b User=v;21 a User=v", "x 0-1 x2"},
		{"Ordered Temporal Proximity: within the timespan", "type: temporal_ordered\nrules: [a, b, c]\n" + group, "0 a User=u;6 b User=u;12 c User=u", ""},
		{"Ordered Temporal Proximity: a later beginning serves too", "type: temporal_ordered\nrules: [a, b, c]\n" + group, "0 a User=u;5 a User=u;6 b User=u;12 c User=u", "x 5-12 x3"},
		{"Ordered Temporal Proximity: others may lie between", "type: temporal_ordered\nrules: [a, b, c]\n" + group, "0 a User=u;1 c User=u;2 b User=u;3 a User=u;4 c User=u", "x 0-4 x5"},
		{"Ordered Temporal Proximity: one instant has no order", "type: temporal_ordered\nrules: [a, b, c]\n" + group, "0 c User=u;0 b User=u;0 a User=u", "x 0-0 x3"},
		{"Ordered Temporal Proximity: one event serves one step", "type: temporal_ordered\nrules: [a, b]\n" + group, "0 ab User=u", ""},
		{"Ordered Temporal Proximity: of one instant each event has its step", "type: temporal_ordered\nrules: [a, b]\n" + group, "0 ab User=u;0 a User=u", "x 0-0 x3"},
		{"Ordered Temporal Proximity: at least two of three", "type: temporal_ordered\nrules: [a, b, c]\n" + group + "condition: {gte: 2}", "0 a User=u;1 c User=u;20 c User=v;21 a User=v", "x 0-1 x2"},
		{"value_sum", "type: value_sum\nrules: [a]\n" + group + "condition: {field: Bytes, gt: 100}", "0 a User=u Bytes=60;1 a User=u Bytes=60;20 a User=v Bytes=60;31 a User=v Bytes=60", "x 0-1 x2"},
		{"value_sum: what is no number is left out", "type: value_sum\nrules: [a]\n" + group + "condition: {field: Bytes, gt: 100}", "0 a User=u Bytes=60;1 a User=u Bytes=many;2 a User=u", ""},
		{"value_sum: fractions add up exactly", "type: value_sum\nrules: [a]\n" + group + "condition: {field: Bytes, gte: 0.6}", "0 a User=u Bytes=0.1;1 a User=u Bytes=0.2;2 a User=u Bytes=0.3", "x 0-2 x3"},
		{"value_avg", "type: value_avg\nrules: [a]\n" + group + "condition: {field: Bytes, gte: 50}", "0 a User=u Bytes=10;1 a User=u Bytes=80;2 a User=u Bytes=60", "x 0-2 x3"},
		{"value_avg: from above, by the last of the timespan", "type: value_avg\nrules: [a]\n" + group + "condition: {field: Bytes, lt: 50}", "0 a User=u Bytes=10;1 a User=u Bytes=100;20 a User=v Bytes=100;21 a User=v Bytes=-10", "x 20-21 x2"},
		{"value_percentile: nearest rank", "type: value_percentile\nrules: [a]\n" + group + "condition: {field: Bytes, percentile: 50, gte: 20}", "0 a User=u Bytes=10;1 a User=u Bytes=99;2 a User=u Bytes=20", "x 0-2 x3"},
		{"value_median: the mean of two in the middle", "type: value_median\nrules: [a]\n" + group + "condition: {field: Bytes, gte: 15}", "0 a User=u Bytes=10;1 a User=u Bytes=20", "x 0-1 x2"},
		{"extended condition: or", "type: temporal\nrules: [a, b, c]\n" + group + "condition: a and (b or c)", "0 a User=u;1 c User=u", "x 0-1 x2"},
		{"extended condition: upper-case words", "type: temporal\nrules: [a, b]\n" + group + "condition: a AND b", "0 b User=u;1 a User=u", "x 0-1 x2"},
		{"extended condition: not, decided when the timespan is over", "type: temporal\nrules: [a, b]\n" + group + "condition: a and not b", "0 a User=u;20 a User=v;25 b User=v;40 b User=w;45 a User=w", "x 0-0 x1"},
		{"extended condition: rules out of the condition", "type: temporal\n" + group + "condition: a and b", "0 b User=u;1 a User=u", "x 0-1 x2"},
		{"extended condition: ordered", "type: temporal_ordered\nrules: [a, b, c]\n" + group + "condition: (a or b) and c", "0 b User=u;1 c User=u;20 c User=v;21 a User=v", "x 0-1 x2"},
		{"extended condition: De Morgan", "type: temporal\nrules: [a, b, c]\n" + group + "condition: a and not (b or c)", "0 a User=u;20 a User=v;21 c User=v", "x 0-0 x1"},
		{"Related rules: by id", "type: event_count\nrules: [00000000-0000-4000-8000-00000000000A]\n" + group + "condition: {gte: 2}", "0 a User=u;1 a User=u", "x 0-1 x2"},
		{"Field Name Aliases", "type: temporal\nrules: [a, b]\ngroup-by: [ip]\ntimespan: 10s\naliases:\n  ip: {a: Source, b: Target}", "0 a Source=10.0.0.1 Target=10.0.0.9;1 b Source=10.0.0.9 Target=10.0.0.1;2 b Source=10.0.0.1 Target=10.0.0.7", "x 0-1 x2"},
		{"what goes on holding is one finding", "type: event_count\nrules: a\n" + group + "condition: {gte: 2}", "0 a User=u;1 a User=u;2 a User=u;9 a User=u", "x 0-9 x4"},
		{"what holds again later is another", "type: event_count\nrules: a\n" + group + "condition: {gte: 2}", "0 a User=u;1 a User=u;30 a User=u;31 a User=u", "x 0-1 x2,x 30-31 x2"},
	} {
		t.Run(c.clause, func(t *testing.T) {
			got := found(t, ruleSet(t, base+correlated("x", c.body)), eventsOf(t, c.events))
			// Rules that the correlation doesn't look at find for themselves.
			got = slices.DeleteFunc(got, func(s string) bool { return !strings.HasPrefix(s, "x ") })
			if strings.Join(got, ",") != c.want {
				t.Errorf("got %q, want %q", strings.Join(got, ","), c.want)
			}
		})
	}
}

func TestCorrelationsOfCorrelations(t *testing.T) {
	many := correlated("many", "type: event_count\nrules: [a]\ngroup-by: [Host]\ntimespan: 10s\ncondition: {gte: 3}")
	for _, c := range []struct {
		clause, rules, events, want string
	}{
		{"Ordered Temporal Proximity, note: the outer group-by alone counts", many + correlated("x", "type: temporal_ordered\nrules: [many, b]\ngroup-by: [User]\ntimespan: 30s"),
			"0 a Host=h User=u;1 a Host=h User=v;2 a Host=h User=w;9 b Host=z User=v", "x 0-9 x4"},
		{"the inner correlation alone", many + correlated("x", "type: temporal_ordered\nrules: [many, b]\ngroup-by: [User]\ntimespan: 30s"),
			"0 a Host=h User=u;1 a Host=h User=v;2 a Host=h User=w;9 b Host=z User=other", ""},
		{"what goes on within the inner one keeps it fresh and counts once", many + correlated("x", "type: temporal_ordered\nrules: [many, b]\ngroup-by: [Host]\ntimespan: 10s"),
			"0 a Host=h;1 a Host=h;2 a Host=h;8 a Host=h;17 b Host=h", "x 8-17 x5"},
		{"a count of correlations counts bursts", many + correlated("x", "type: event_count\nrules: [many]\ngroup-by: [Site]\ntimespan: 60s\ncondition: {gte: 2}"),
			"0 a Host=h Site=s;1 a Host=h Site=s;2 a Host=h Site=s;3 a Host=h Site=s;4 a Host=i Site=s;5 a Host=i Site=s;6 a Host=i Site=s", "x 0-6 x7"},
		{"one burst is one", many + correlated("x", "type: event_count\nrules: [many]\ngroup-by: [Site]\ntimespan: 60s\ncondition: {gte: 2}"),
			"0 a Host=h Site=s;1 a Host=h Site=s;2 a Host=h Site=s;3 a Host=h Site=s;4 a Host=h Site=s", ""},
		{"Field Name Aliases by the name of a correlation", many + correlated("x", "type: temporal\nrules: [many, b]\ngroup-by: [who]\ntimespan: 30s\naliases:\n  who: {many: Account, b: User}"),
			"0 a Host=h Account=u;1 a Host=h Account=u;2 a Host=h Account=u;9 b User=u", "x 0-9 x4"},
		{"a decision that waited goes on to the next", correlated("few", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {lt: 2}") + correlated("x", "type: temporal\nrules: [few, b]\ngroup-by: [User]\ntimespan: 60s"),
			"0 a User=u;20 b User=u;100 a User=v;101 a User=v;120 b User=v", "x 0-20 x2"},
	} {
		t.Run(c.clause, func(t *testing.T) {
			if got := strings.Join(found(t, ruleSet(t, base+c.rules), eventsOf(t, c.events)), ","); got != c.want {
				// Rules without a correlation don't occur in these sets but by it.
				rest := slices.DeleteFunc(strings.Split(got, ","), func(s string) bool { return !strings.HasPrefix(s, "x ") })
				if strings.Join(rest, ",") != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
		})
	}
}

func TestGenerateDecidesWhetherRulesFindForThemselves(t *testing.T) {
	body := "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 2}"
	events := "0 a User=u;1 a User=u"
	for _, c := range []struct {
		clause, rules string
		want          []string
	}{
		{"Generate: only the correlation by default", correlated("x", body), []string{"x 0-1 x2"}},
		{"Generate: the rules too", correlated("x", body+"\ngenerate: true"), []string{"00000000-0000-4000-8000-00000000000a 0-1 x2", "x 0-1 x2"}},
		{"Generate: one correlation that says so is enough", correlated("x", body+"\ngenerate: true") + correlated("y", body), []string{"00000000-0000-4000-8000-00000000000a 0-1 x2", "x 0-1 x2", "y 0-1 x2"}},
		{"Generate: of correlations too", correlated("x", body) + correlated("y", "type: event_count\nrules: [x]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 1}"), []string{"y 0-1 x2"}},
	} {
		t.Run(c.clause, func(t *testing.T) {
			set := ruleSet(t, base+c.rules)
			if diff := cmp.Diff(c.want, found(t, set, eventsOf(t, events))); diff != "" {
				t.Error(diff)
			}
			if quiet := set.Quiet("00000000-0000-4000-8000-00000000000a"); quiet == (len(c.want) > 1 && strings.HasPrefix(c.want[0], "0")) {
				t.Errorf("quiet is %v", quiet)
			}
		})
	}
}

func TestCorrelationsThatAreRefusedSayWhyAndWhere(t *testing.T) {
	group := "group-by: [User]\ntimespan: 10s\n"
	for _, c := range []struct{ name, rules, want string }{
		{"type", correlated("x", "type: near\nrules: [a]\n"+group+"condition: {gte: 1}"), `unknown type "near"`},
		{"no type", correlated("x", "rules: [a]\n"+group+"condition: {gte: 1}"), "no type"},
		{"no rules", correlated("x", "type: event_count\n"+group+"condition: {gte: 1}"), "no rules"},
		{"rules as a mapping", correlated("x", "type: event_count\nrules: {a: b}\n"+group+"condition: {gte: 1}"), "a text or a list of texts"},
		{"no timespan", correlated("x", "type: event_count\nrules: [a]\ncondition: {gte: 1}"), "no timespan"},
		{"timespan without letter", correlated("x", "type: event_count\nrules: [a]\ntimespan: 10\ncondition: {gte: 1}"), `timespan "10"`},
		{"timespan of nothing", correlated("x", "type: event_count\nrules: [a]\ntimespan: 0s\ncondition: {gte: 1}"), "more than nothing"},
		{"timespan too long", correlated("x", "type: event_count\nrules: [a]\ntimespan: 4294967295d\ncondition: {gte: 1}"), "at most 400 days"},
		{"upper-case letter", correlated("x", "type: event_count\nrules: [a]\ntimespan: 1M\ncondition: {gte: 1}"), "one of s, m, h, d"},
		{"no condition", correlated("x", "type: event_count\nrules: [a]\n"+group), "no condition"},
		{"unknown criterion", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {ge: 1}"), `unknown key "ge"`},
		{"no number", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {gte: many}"), `"many" is no number`},
		{"not a number", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {gte: .nan}"), "is no number"},
		{"a fraction of events", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {gte: 1.5}"), "a count is a whole number"},
		{"two lower bounds", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {gt: 1, gte: 2}"), "both lower bounds"},
		{"an empty range", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {gt: 5, lt: 4}"), "can never hold"},
		{"an empty range of whole numbers", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {gt: 4, lt: 5}"), "can never hold"},
		{"never", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {lt: 1}"), "what never occurs"},
		{"more than a window holds", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: {gte: 100000}"), "would never hold"},
		{"value_count without field", correlated("x", "type: value_count\nrules: [a]\n"+group+"condition: {gte: 1}"), "needs a field"},
		{"sum of two fields", correlated("x", "type: value_sum\nrules: [a]\n"+group+"condition: {field: [A, B], gte: 1}"), "takes one field"},
		{"percentile missing", correlated("x", "type: value_percentile\nrules: [a]\n"+group+"condition: {field: A, gte: 1}"), "which percentile"},
		{"percentile beyond", correlated("x", "type: value_percentile\nrules: [a]\n"+group+"condition: {field: A, percentile: 101, gte: 1}"), "which percentile"},
		{"more rules than there are", correlated("x", "type: temporal\nrules: [a, b]\n"+group+"condition: {gte: 3}"), "can never hold"},
		{"unknown rule", correlated("x", "type: event_count\nrules: [nobody]\n"+group+"condition: {gte: 1}"), `no rule with the id or name "nobody"`},
		{"rule named twice", correlated("x", "type: event_count\nrules: [a, a]\n"+group+"condition: {gte: 1}"), `"a" is there twice`},
		{"rule named by id and name", correlated("x", "type: event_count\nrules: [a, 00000000-0000-4000-8000-00000000000a]\n"+group+"condition: {gte: 1}"), "names already"},
		{"names over a count", correlated("x", "type: event_count\nrules: [a]\n"+group+"condition: a"), "only temporal"},
		{"name not listed", correlated("x", "type: temporal\nrules: [a]\n"+group+"condition: a and b"), "isn't among the rules"},
		{"listed and not named", correlated("x", "type: temporal\nrules: [a, b]\n"+group+"condition: a"), "not in the condition"},
		{"nothing that occurs", correlated("x", "type: temporal\nrules: [a]\n"+group+"condition: not a"), "without any match"},
		{"a contradiction", correlated("x", "type: temporal\nrules: [a]\n"+group+"condition: a and not a"), "can never hold"},
		{"ordered from above", correlated("x", "type: temporal_ordered\nrules: [a, b, c]\n"+group+"condition: {lt: 2}"), "counts rules from below"},
		{"generate", correlated("x", "type: event_count\nrules: [a]\ngenerate: maybe\n"+group+"condition: {gte: 1}"), "true or false"},
		{"aliases of none of the rules", correlated("x", "type: event_count\nrules: [a]\naliases: {u: {b: User}}\n"+group+"condition: {gte: 1}"), "none of the rules"},
		{"aliases as a list", correlated("x", "type: event_count\nrules: [a]\naliases: [u]\n"+group+"condition: {gte: 1}"), "aliases: a mapping"},
		{"unknown key", correlated("x", "type: event_count\nrules: [a]\ngroupby: [User]\ntimespan: 1s\ncondition: {gte: 1}"), `unknown key "groupby"`},
		{"itself", correlated("x", "type: event_count\nrules: [x]\n"+group+"condition: {gte: 1}"), "could not be loaded"},
		{"a circle", correlated("x", "type: event_count\nrules: [y]\n"+group+"condition: {gte: 1}") + correlated("y", "type: event_count\nrules: [x]\n"+group+"condition: {gte: 1}"), "it looks at itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, errs := Compile([]Document{{Name: "x.yml", Data: []byte(base + c.rules)}})
			if len(errs) == 0 || !slices.ContainsFunc(errs, func(e LoadError) bool { return strings.Contains(e.Error(), c.want) && e.Line > 20 }) {
				t.Fatalf("got %v, want %q with its line", errs, c.want)
			}
			if set.Len() != 3 || len(set.Correlations()) != 0 {
				t.Errorf("%d rules and %d correlations are left", set.Len(), len(set.Correlations()))
			}
		})
	}
}

func TestANameOfSeveralRulesIsThatOfTheOwnFile(t *testing.T) {
	corr := correlated("x", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 10s\ncondition: {gte: 1}")
	other := strings.ReplaceAll(strings.Split(base, "---")[0], "0000000a", "000000aa")
	if _, errs := Compile([]Document{{Name: "1.yml", Data: []byte(other)}, {Name: "2.yml", Data: []byte(base + corr)}}); len(errs) > 0 {
		t.Error(errs)
	}
	_, errs := Compile([]Document{{Name: "1.yml", Data: []byte(other)}, {Name: "2.yml", Data: []byte(base)}, {Name: "3.yml", Data: []byte(corr)}})
	if len(errs) != 1 || !strings.Contains(errs[0].Reason, `"a" is that of 2 rules`) {
		t.Errorf("got %v", errs)
	}
}

func TestIsolationCorrelationsOfTwoTenantsNeverMeet(t *testing.T) {
	set := ruleSet(t, base+correlated("x", "type: event_count\nrules: [a]\ntimespan: 10s\ncondition: {gte: 2}"))
	if got := found(t, set, eventsOf(t, "0 a tenant=acme;1 a tenant=other")); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}

func TestACorrelationsFindingTellsWhatCameTogether(t *testing.T) {
	var got *ocsf.Finding
	d := NewDetector(ruleSet(t, base+strings.Replace(correlated("x", "type: temporal_ordered\nrules: [a, b]\ngroup-by: [User]\ntimespan: 90s"), "level: high\n", "author: Ann\n", 1)), detect.Context{})
	for _, e := range eventsOf(t, "0 a User=u;1 a User=u;2 b User=u") {
		d.Process(e, func(f *ocsf.Finding) { got = f })
	}
	if got == nil {
		t.Fatal("nothing was found")
	}
	for _, part := range []string{`Sigma correlation "T x" by Ann`, `temporal_ordered of "A", "B"`, "within 90s", "User u"} {
		if !strings.Contains(got.Reason, part) {
			t.Errorf("reason %q doesn't tell %q", got.Reason, part)
		}
	}
	if len(got.Evidence) != 3 || got.Severity != ocsf.SeverityMedium || got.Technique != "T1110" {
		t.Errorf("%d events, severity %s (that of its gravest rule was expected), technique %s", len(got.Evidence), got.Severity, got.Technique)
	}
}

func TestEvidenceHoldsEventsOfEachRuleWithinItsCap(t *testing.T) {
	text := "0 a User=u"
	for i := 1; i < 200; i++ {
		text += fmt.Sprintf(";%d b User=u", i)
	}
	var got *ocsf.Finding
	d := NewDetector(ruleSet(t, base+correlated("x", "type: temporal\nrules: [a, b, c]\ngroup-by: [User]\ntimespan: 1h")), detect.Context{})
	for _, e := range eventsOf(t, text+";300 c User=u") {
		d.Process(e, func(f *ocsf.Finding) { got = f })
	}
	if got == nil || len(got.Evidence) != ocsf.MaxEvidence || got.Count != 201 {
		t.Fatalf("got %+v", got)
	}
	kinds := map[string]int{}
	for _, x := range got.Evidence {
		kinds[x.Event.Fields.Value("Kind")]++
	}
	if kinds["a"] != 1 || kinds["c"] != 1 {
		t.Errorf("evidence by rule: %v", kinds)
	}
}
