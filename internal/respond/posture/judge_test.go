package posture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// example is a control's head and tail, so that a test writes what it is about alone.
const controlHead = "id: test-control\ntitle: A test\npillar: network\nseverity: high\nabout: A test.\nreads: [test.fact]\nfresh: 35d\n"

const controlExamples = `
examples:
  - {name: p, want: pass, now: 2026-06-01T12:00:00Z, evidence: [{kind: test.fact, subject: a, at: 2026-06-01T00:00:00Z, values: {ok: true, n: 9}}]}
  - {name: f, want: fail, now: 2026-06-01T12:00:00Z, evidence: [{kind: test.fact, subject: a, at: 2026-06-01T00:00:00Z, values: {ok: false, n: 0}}]}
  - {name: s, want: stale, now: 2026-06-01T12:00:00Z, evidence: [{kind: test.fact, subject: a, at: 2026-01-01T00:00:00Z, values: {ok: true, n: 9}}]}
`

// libraryOf loads one control; it must load.
func libraryOf(t testing.TB, body string) *Library {
	t.Helper()
	l, problems := loadText(t, controlHead+body+controlExamples)
	if len(problems) > 0 {
		t.Fatalf("the test's control: %v", problems)
	}
	return l
}

func loadText(t testing.TB, text string) (*Library, []Problem) {
	t.Helper()
	l, problems, err := Load(Source{Files: fstest.MapFS{"c.yaml": {Data: []byte(text)}}, Shown: "site"})
	if err != nil {
		t.Fatal(err)
	}
	return l, problems
}

// fact is one of the tenant acme, so many days before noon.
func fact(subject string, daysAgo int, values map[string]any) evidence.Item {
	return evidence.Item{Tenant: "acme", Kind: "test.fact", Subject: subject, At: noon.Add(-time.Duration(daysAgo) * 24 * time.Hour), Values: values}
}

var acme = tenant.Tenant{ID: "acme", Name: "Acme", Role: tenant.RoleClient}

func ok(v bool) map[string]any { return map[string]any{"ok": v} }

func TestAControlComesToTheWorstOfItsFacts(t *testing.T) {
	undated := fact("a", 0, ok(true))
	undated.At = time.Time{}
	undatedBad := fact("a", 0, ok(false))
	undatedBad.At = time.Time{}
	for _, c := range []struct {
		name, body string
		facts      []evidence.Item
		want       Status
		says       string
	}{
		{"nothing is known", "require: item.values.ok", nil, Unknown, "no evidence of test.fact"},
		{"all hold", "require: item.values.ok", []evidence.Item{fact("a", 1, ok(true)), fact("b", 2, ok(true))}, Pass, "2 facts"},
		{"one fails", "require: item.values.ok", []evidence.Item{fact("a", 1, ok(true)), fact("b", 2, ok(false))}, Fail, "b: "},
		{"a value is missing", "require: item.values.ok", []evidence.Item{fact("a", 1, ok(true)), fact("b", 1, map[string]any{})}, Unknown, "does not tell ok"},
		{"failing is worse than missing", "require: item.values.ok", []evidence.Item{fact("a", 1, ok(false)), fact("b", 1, map[string]any{})}, Fail, ""},
		{"old is no pass", "require: item.values.ok", []evidence.Item{fact("a", 36, ok(true))}, Stale, "36 days ago"},
		{"just fresh", "require: item.values.ok", []evidence.Item{fact("a", 35, ok(true))}, Pass, ""},
		{"what was seen open stays open", "require: item.values.ok", []evidence.Item{fact("a", 400, ok(false))}, Fail, "nothing newer shows otherwise"},
		{"until a newer fact shows otherwise", "require: item.values.ok", []evidence.Item{fact("a", 400, ok(false)), fact("a", 1, ok(true))}, Pass, ""},
		{"a fresh failure is not hidden by a newer pass", "require: item.values.ok", []evidence.Item{fact("a", 5, ok(false)), fact("a", 1, ok(true))}, Fail, ""},
		{"unless only the latest counts", "counts: latest\nrequire: item.values.ok", []evidence.Item{fact("a", 5, ok(false)), fact("a", 1, ok(true))}, Pass, ""},
		{"the latest fails", "counts: latest\nrequire: item.values.ok", []evidence.Item{fact("a", 5, ok(true)), fact("a", 1, ok(false))}, Fail, ""},
		{"the latest is of each subject", "counts: latest\nrequire: item.values.ok", []evidence.Item{fact("a", 5, ok(false)), fact("b", 1, ok(true))}, Fail, ""},
		{"the past is past where only recent facts count", "counts: recent\nrequire: item.values.ok", []evidence.Item{fact("a", 400, ok(false)), fact("b", 1, ok(true))}, Pass, ""},
		{"nothing recent", "counts: recent\nrequire: item.values.ok", []evidence.Item{fact("a", 400, ok(false))}, Stale, "400 days old"},
		{"no date, no pass", "require: item.values.ok", []evidence.Item{undated}, Unknown, "does not say when"},
		{"no date, and failing", "require: item.values.ok", []evidence.Item{undatedBad}, Fail, ""},
		{"from the future", "require: item.values.ok", []evidence.Item{fact("a", -3, ok(true))}, Unknown, "future"},
		{"a future fact replaces nothing", "counts: latest\nrequire: item.values.ok", []evidence.Item{fact("a", -3, ok(true)), fact("a", 1, ok(false))}, Fail, ""},
		{"none is concerned", "where: item.values.n > 5\nrequire: item.values.ok", []evidence.Item{fact("a", 1, map[string]any{"ok": true, "n": int64(1)})}, Unknown, "no fact concerns it, of 1"},
		{"none is concerned, which is what is wanted", "where: item.values.n > 5\nnone: pass\nrequire: item.values.ok", []evidence.Item{fact("a", 1, map[string]any{"ok": true, "n": int64(1)})}, Pass, ""},
		{"none is concerned, long ago", "where: item.values.n > 5\nnone: pass\nrequire: item.values.ok", []evidence.Item{fact("a", 99, map[string]any{"ok": true, "n": int64(1)})}, Stale, ""},
		{"none: pass needs somebody to have looked", "where: item.values.n > 5\nnone: pass\nrequire: item.values.ok", nil, Unknown, ""},
		{"whether it is concerned is not known", "where: item.values.n > 5\nrequire: item.values.ok", []evidence.Item{fact("a", 1, ok(true))}, Unknown, "cannot be told whether"},
		{"together: one is enough", "expect: items.exists(i, i.values.ok)", []evidence.Item{fact("a", 1, ok(false)), fact("b", 1, ok(true))}, Pass, ""},
		{"together: none", "expect: items.exists(i, i.values.ok)", []evidence.Item{fact("a", 1, ok(false))}, Fail, ""},
		{"together: only an old one", "expect: items.exists(i, i.values.ok)", []evidence.Item{fact("a", 1, ok(false)), fact("b", 99, ok(true))}, Stale, ""},
		{"together: an old failure counts", "expect: 'items.all(i, i.values.ok)'", []evidence.Item{fact("a", 1, ok(true)), fact("b", 99, ok(false))}, Fail, ""},
		{"together: a value is missing", "expect: 'items.all(i, i.values.ok)'", []evidence.Item{fact("a", 1, ok(true)), fact("b", 1, map[string]any{})}, Unknown, ""},
		{"together: empty is no pass", "expect: 'items.all(i, i.values.ok)'", nil, Unknown, ""},
		{"together: an unsure one is no pass", "where: item.values.n > 0\nexpect: 'items.all(i, i.values.ok)'",
			[]evidence.Item{fact("a", 1, map[string]any{"ok": true, "n": int64(1)}), fact("b", 1, ok(true))}, Unknown, "cannot be told"},
		{"words of its own", "require: item.values.ok\nsays: '\"bad \" + item.subject'", []evidence.Item{fact("b\x1b[2J", 2, ok(false))}, Fail, "bad b [2J"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := libraryOf(t, c.body)
			rep, err := l.For(acme, nil).Check(t.Context(), c.facts, noon)
			if err != nil {
				t.Fatal(err)
			}
			r := rep.Results[0]
			if r.Status != c.want || !strings.Contains(r.Reason, c.says) {
				t.Errorf("got %s (%s), want %s with %q", r.Status, r.Reason, c.want, c.says)
			}
			if r.Reason == "" && r.Status != Pass {
				t.Error("no reason is given")
			}
		})
	}
}

func TestExceptionsExcuseUntilTheirDay(t *testing.T) {
	l := libraryOf(t, "require: item.values.ok")
	tomorrow, yesterday := noon.Add(24*time.Hour), noon.Add(-24*time.Hour)
	exc := func(subject string, until time.Time) Exception {
		return Exception{Control: "test-control", Subject: subject, Owner: "Ann", Reason: "moving", Expires: until}
	}
	two := []evidence.Item{fact("a", 1, ok(false)), fact("b", 1, ok(true))}
	for _, c := range []struct {
		name   string
		exc    []Exception
		facts  []evidence.Item
		want   Status
		lapsed int
	}{
		{"of the subject", []Exception{exc("a", tomorrow)}, two, Excepted, 0},
		{"of the beginning of the subject", []Exception{exc("a*", tomorrow)}, two, Excepted, 0},
		{"of another subject", []Exception{exc("b", tomorrow)}, two, Fail, 0},
		{"of the control", []Exception{exc("", tomorrow)}, two, Excepted, 0},
		{"of the control, without evidence", []Exception{exc("", tomorrow)}, nil, Excepted, 0},
		{"expired", []Exception{exc("a", yesterday)}, two, Fail, 1},
		{"expired, of the control", []Exception{exc("", yesterday)}, two, Fail, 1},
		{"to the very moment", []Exception{exc("a", noon)}, two, Fail, 1},
		{"expired, and nothing to excuse", []Exception{exc("b", yesterday)}, two, Fail, 0},
		{"a pass needs none", []Exception{exc("b", tomorrow)}, two[1:], Pass, 0},
		{"stale is excused too", []Exception{exc("a", tomorrow)}, []evidence.Item{fact("a", 99, ok(true))}, Excepted, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep, err := l.For(acme, &Policy{all: rules{exceptions: c.exc}}).Check(t.Context(), c.facts, noon)
			if err != nil {
				t.Fatal(err)
			}
			r := rep.Results[0]
			if r.Status != c.want || len(r.Lapsed) != c.lapsed {
				t.Errorf("got %s (%s) with %d lapsed, want %s with %d", r.Status, r.Reason, len(r.Lapsed), c.want, c.lapsed)
			}
			if c.lapsed > 0 && !strings.Contains(r.Reason, "ended on") {
				t.Errorf("the lapsed exception is not said: %s", r.Reason)
			}
		})
	}
}

// TestIsolationOfCheckers holds that a checker judges one tenant's facts alone.
func TestIsolationOfCheckers(t *testing.T) {
	l := libraryOf(t, "require: item.values.ok")
	other := fact("a", 1, ok(true))
	other.Tenant = "borealis"
	if _, err := l.For(acme, nil).Check(t.Context(), []evidence.Item{fact("a", 1, ok(true)), other}, noon); err == nil {
		t.Error("a fact of another tenant was judged")
	} else if strings.Contains(err.Error(), "borealis") {
		t.Errorf("the error names the other tenant: %v", err)
	}
	p := &Policy{tenants: map[tenant.ID]rules{"borealis": {exceptions: []Exception{{Control: "test-control", Tenant: "borealis", Owner: "o", Reason: "r", Expires: noon.Add(time.Hour)}}}},
		all: rules{exceptions: []Exception{{Control: "test-control", Tenant: "borealis", Owner: "o", Reason: "r", Expires: noon.Add(time.Hour)}}}}
	rep, err := l.For(acme, p).Check(t.Context(), []evidence.Item{fact("a", 1, ok(false))}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if r := rep.Results[0]; r.Status != Fail || len(r.Exceptions) > 0 {
		t.Errorf("another tenant's exception excuses: %s, %v", r.Status, r.Exceptions)
	}
}

func TestAnyOrderOfFactsGivesTheSameAnswer(t *testing.T) {
	l := libraryOf(t, "require: item.values.n > 3\nsays: '\"n is \" + string(item.values.n)'")
	var facts []evidence.Item
	for i := range 300 {
		f := fact(fmt.Sprintf("s%d", i%40), i%70, map[string]any{"n": int64(i % 7)})
		f.From = evidence.Origin{File: "f", Line: int64(i)}
		facts = append(facts, f)
	}
	answer := func() string {
		rep, err := l.For(acme, nil).Check(t.Context(), facts, noon)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		r := rep.Results[0]
		fmt.Fprintln(&b, r.Status, r.Reason, r.Counts, r.Ignored, r.Oldest, r.Newest)
		for _, i := range r.Items {
			fmt.Fprintln(&b, i.Status, i.Says, i.Item.Subject, i.Item.From.Line)
		}
		return b.String()
	}
	want := answer()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		rnd.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		if d := cmp.Diff(want, answer()); d != "" {
			t.Fatal(d)
		}
	}
}

func TestOnlyTheWorstFactsAreKept(t *testing.T) {
	l := libraryOf(t, "require: item.values.ok")
	var facts []evidence.Item
	for i := range 20 * maxKept {
		facts = append(facts, fact(fmt.Sprint(i), 1, ok(i%1000 != 7)))
	}
	rep, err := l.For(acme, nil).Check(t.Context(), facts, noon)
	if err != nil {
		t.Fatal(err)
	}
	r := rep.Results[0]
	if len(r.Items) != maxKept || r.Counts[Fail] != 20 || r.Counts[Pass] != 20*maxKept-20 || r.Items[19].Status != Fail || r.Items[20].Status != Pass {
		t.Errorf("kept %d, counts %v", len(r.Items), r.Counts)
	}
	many, err := libraryOf(t, "expect: items.exists(i, i.values.ok)").For(acme, nil).Check(t.Context(), append(facts, facts...), noon)
	if err != nil {
		t.Fatal(err)
	}
	if r := many.Results[0]; r.Status != Unknown || !strings.Contains(r.Reason, "looked at together") {
		t.Errorf("too many facts together: %s (%s)", r.Status, r.Reason)
	}
}

func TestAnEndedContextEndsTheCheck(t *testing.T) {
	l := libraryOf(t, "expect: items.all(i, items.all(j, i.subject != 'x' || j.subject != 'y'))")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	facts := make([]evidence.Item, 3000)
	for i := range facts {
		facts[i] = fact(fmt.Sprint(i), 1, nil)
	}
	if _, err := l.For(acme, nil).Check(ctx, facts, noon); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSettingsOfATenantGoBeforeThoseOfTheSite(t *testing.T) {
	l := libraryOf(t, "settings: {least: 5}\nrequire: item.values.n >= settings.least")
	policy, problems := l.ParsePolicy("policy.yaml", []byte(`
settings: {test-control: {least: 7}}
tenants: {acme: {settings: {test-control: {least: 2.5}}}}
`))
	if policy == nil {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		who    tenant.ID
		policy *Policy
		n      int64
		want   Status
	}{
		{"acme", nil, 5, Pass}, {"acme", nil, 4, Fail},
		{"acme", policy, 3, Pass}, {"acme", policy, 2, Fail},
		{"borealis", policy, 7, Pass}, {"borealis", policy, 6, Fail},
	} {
		f := fact("a", 1, map[string]any{"n": c.n})
		f.Tenant = c.who
		rep, err := l.For(tenant.Tenant{ID: c.who}, c.policy).Check(t.Context(), []evidence.Item{f}, noon)
		if err != nil {
			t.Fatal(err)
		}
		if got := rep.Results[0].Status; got != c.want {
			t.Errorf("%s with %d: got %s, want %s", c.who, c.n, got, c.want)
		}
	}
}

func TestPillarsSumUp(t *testing.T) {
	l := libraryOf(t, "require: item.values.ok")
	rep, err := l.For(acme, nil).Check(t.Context(), []evidence.Item{fact("a", 1, ok(false))}, noon)
	if err != nil {
		t.Fatal(err)
	}
	got := map[evidence.Pillar]Status{}
	for _, p := range rep.Pillars() {
		got[p.Pillar] = p.Status
	}
	want := map[evidence.Pillar]Status{evidence.PillarRemoteAccess: Unknown, evidence.PillarNetwork: Fail, evidence.PillarTraining: Unknown, evidence.PillarBackup: Unknown}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// BenchmarkCheck judges 100,000 facts by one control.
func BenchmarkCheck(b *testing.B) {
	l := libraryOf(b, "where: item.values.n > 1\nrequire: item.values.ok && item.values.n < 100000000")
	facts := make([]evidence.Item, 100_000)
	for i := range facts {
		facts[i] = fact(fmt.Sprint(i), i%30, map[string]any{"ok": true, "n": int64(i)})
	}
	for b.Loop() {
		if _, err := l.For(acme, nil).Check(b.Context(), facts, noon); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(facts)*b.N)/b.Elapsed().Seconds(), "facts/s")
}
