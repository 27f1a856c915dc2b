package sigma

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/detecttest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// every is a set with each type of correlation, chained ones and those that wait.
func every(t testing.TB) *RuleSet {
	g := "group-by: [User]\ntimespan: 20s\n"
	return ruleSet(t, base+
		correlated("count", "type: event_count\nrules: [a]\n"+g+"condition: {gte: 3}\ngenerate: true")+
		correlated("few", "type: event_count\nrules: [a, b]\n"+g+"condition: {lte: 2}")+
		correlated("range", "type: event_count\nrules: [a, c]\n"+g+"condition: {gt: 1, lt: 4}")+
		correlated("values", "type: value_count\nrules: [a]\n"+g+"condition: {field: [Host, N], gte: 3}")+
		correlated("together", "type: temporal\nrules: [a, b, c]\n"+g)+
		correlated("order", "type: temporal_ordered\nrules: [a, b, c]\n"+g)+
		correlated("alone", "type: temporal\n"+g+"condition: a and not (b or c)")+
		correlated("sum", "type: value_sum\nrules: [a, b]\n"+g+"condition: {field: N, gt: 10.5}")+
		correlated("avg", "type: value_avg\nrules: [b]\n"+g+"condition: {field: N, lt: 2.2}")+
		correlated("perc", "type: value_percentile\nrules: [b]\n"+g+"condition: {field: N, percentile: 90, gte: 4}")+
		correlated("median", "type: value_median\nrules: [c]\n"+g+"condition: {field: N, gte: 3}")+
		correlated("chain", "type: temporal_ordered\nrules: [count, few, c]\ngroup-by: [Host]\ntimespan: 60s")+
		correlated("outer", "type: event_count\nrules: [chain, order]\ngroup-by: [Host]\ntimespan: 120s\ncondition: {gte: 2}"))
}

func randomEvents(t testing.TB, seed uint64, n int) []*ocsf.Event {
	r := rand.New(rand.NewPCG(seed, 9))
	var out []*ocsf.Event
	sec := 0.0
	for i := range n {
		if r.IntN(3) > 0 { // else of the same instant
			sec += math.Floor(r.ExpFloat64()*40) / 10
		}
		kind := []string{"a", "b", "c", "ab", "x", "bc"}[r.IntN(6)]
		e := eventOf(t, i, fmt.Sprintf("%v %s User=u%d Host=h%d N=%d.%d tenant=t%d", sec, kind, r.IntN(3), r.IntN(3), r.IntN(6), r.IntN(10), r.IntN(2)))
		if r.IntN(3) == 0 {
			e.Partner, e.Trust = "isl", "isl-x"
		}
		out = append(out, e)
	}
	return out
}

// outcomeOf runs events with Advance and a restart after each batch of that size, and returns what was found.
func outcomeOf(t testing.TB, set *RuleSet, events []*ocsf.Event, batch int, restart bool) map[string]string {
	t.Helper()
	out := map[string]string{}
	emit := func(f *ocsf.Finding) {
		b, err := f.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		out[f.ID] = string(b)
	}
	d := NewDetector(set, detect.Context{})
	for i, e := range events {
		d.Process(e, emit)
		if i%batch != batch-1 {
			continue
		}
		d.Advance(e.Time, emit)
		if restart {
			state, err := d.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			d = NewDetector(set, detect.Context{})
			if err := d.Restore(state); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.Advance(day.AddDate(1, 0, 0), emit)
	return out
}

func TestStreamingInAnyBatchSizeEqualsOnePass(t *testing.T) {
	set := every(t)
	for seed := range uint64(4) {
		events := randomEvents(t, seed, 500)
		whole := outcomeOf(t, set, events, 1<<30, false)
		rules := map[string]bool{}
		for _, f := range whole {
			for _, c := range set.Correlations() {
				if strings.Contains(f, `"rule":"`+c.ID+`"`) {
					rules[c.ID] = true
				}
			}
		}
		if len(rules) < 8 {
			t.Fatalf("seed %d: only %d correlations find something", seed, len(rules))
		}
		for _, batch := range []int{1, 13, 64} {
			if diff := cmp.Diff(whole, outcomeOf(t, set, events, batch, batch == 13)); diff != "" {
				t.Fatalf("seed %d, batches of %d: %s", seed, batch, diff)
			}
		}
		few := events[:80]
		if diff := cmp.Diff(outcomeOf(t, set, few, 1<<30, false), outcomeOf(t, set, few, 1, true)); diff != "" {
			t.Fatalf("seed %d, a restart after each event: %s", seed, diff)
		}
	}
}

// TestCountsEqualAPlainCount holds windows to a count over all events, made anew for each.
func TestCountsEqualAPlainCount(t *testing.T) {
	const span = 20 * time.Second
	set := ruleSet(t, base+correlated("x", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 20s\ncondition: {gte: 4}"))
	for seed := range uint64(5) {
		events := randomEvents(t, seed, 400)
		var want, got []string
		for i, e := range events {
			n := 0
			for _, x := range events[:i+1] {
				if strings.Contains(x.Fields.Value("Kind"), "a") && x.Tenant == e.Tenant && x.Fields.Value("User") == e.Fields.Value("User") && e.Time.Sub(x.Time) <= span {
					n++
				}
			}
			if n >= 4 && strings.Contains(e.Fields.Value("Kind"), "a") {
				want = append(want, e.ID.String())
			}
		}
		var now *ocsf.Event
		x := newCorrelator(set, func(hit) { got = append(got, now.ID.String()) })
		w := newScratch(set)
		for _, e := range events {
			now = e
			x.begin(e.Time.UnixNano())
			w.load(e)
			for _, pos := range w.match() {
				if r := set.rules[pos]; len(set.feeds[r]) > 0 {
					x.match(r, e, w.origin(r))
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
			t.Errorf("seed %d: %s", seed, diff)
		}
	}
}

// TestOrderEqualsASearch holds chains to a search through all sequences of events.
func TestOrderEqualsASearch(t *testing.T) {
	set := ruleSet(t, base+correlated("x", "type: temporal_ordered\nrules: [a, b, c]\ngroup-by: [User]\ntimespan: 12s"))
	kinds := []string{"a", "b", "c"}
	for seed := range uint64(8) {
		events := randomEvents(t, seed+100, 250)
		holds := func(i int) bool {
			last := events[i]
			var search func(step int, after time.Time, used []int) bool
			search = func(step int, after time.Time, used []int) bool {
				if step == len(kinds) {
					return true
				}
				for j := range i + 1 {
					e := events[j]
					if e.Tenant == last.Tenant && e.Fields.Value("User") == last.Fields.Value("User") && last.Time.Sub(e.Time) <= 12*time.Second && !e.Time.Before(after) &&
						strings.Contains(e.Fields.Value("Kind"), kinds[step]) && !slices.Contains(used, j) && search(step+1, e.Time, append(used, j)) {
						return true
					}
				}
				return false
			}
			return search(0, time.Time{}, nil)
		}
		var now int
		got := map[int]bool{}
		x := newCorrelator(set, func(hit) { got[now] = true })
		w := newScratch(set)
		n := 0
		for i, e := range events {
			now = i
			x.begin(e.Time.UnixNano())
			w.load(e)
			fed := false
			for _, pos := range w.match() {
				x.match(set.rules[pos], e, w.origin(set.rules[pos]))
				fed = true
			}
			if want := fed && holds(i); want != got[i] {
				t.Fatalf("seed %d, event %d: holds %v, want %v", seed, i, got[i], want)
			} else if want {
				n++
			}
		}
		if n == 0 {
			t.Fatalf("seed %d: the order never holds", seed)
		}
	}
}

func TestEqualTimesComeInAnyOrder(t *testing.T) {
	set := every(t)
	events := eventsOf(t, "0 a User=u Host=h N=1;0 b User=u Host=h N=2;0 c User=u Host=h N=3;0 ab User=u Host=h N=4;0 a User=u Host=h N=5;30 c User=u Host=h N=1")
	rules := func(list []*ocsf.Event) []string {
		var out []string
		for _, f := range found(t, set, list) {
			name, _, _ := strings.Cut(f, " ")
			out = append(out, name)
		}
		return out
	}
	want := rules(events)
	r := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		mixed := slices.Clone(events)
		r.Shuffle(5, func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if diff := cmp.Diff(want, rules(mixed)); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestCorrelationsKeepThePromisesOfADetector(t *testing.T) {
	g := "timespan: 2h\n"
	rule := strings.Replace(certutil, "author:", "name: certutil\nauthor:", 1) + "---\n"
	set := ruleSet(t, rule+
		correlated("many", "type: event_count\nrules: [certutil]\ngroup-by: [EventID]\n"+g+"condition: {gte: 3}\ngenerate: true")+
		correlated("few", "type: event_count\nrules: [certutil]\n"+g+"condition: {lt: 9}")+
		correlated("both", "type: temporal\nrules: [many, few]\ntimespan: 1d"))
	fresh := func() detect.Detector { return NewDetector(set, detect.Context{Model: detecttest.Model()}) }
	detecttest.Promises(t, fresh)
	detecttest.StaysBounded(t, fresh, 30)
}

func TestWhatCorrelationsLeaveOutIsCountedAndTold(t *testing.T) {
	d := NewDetector(every(t), detect.Context{}).(*detector)
	none := func(*ocsf.Finding) {}
	d.Advance(day, none)
	for _, e := range eventsOf(t, "0 a Host=h N=1;1 b User=u N=x;90000 a User=u Host=h N=1") {
		d.Process(e, none)
	}
	d.ProcessLate(eventOf(t, 9, "1 c User=u Host=h N=1"), day.Add(time.Hour), none)
	l := d.Left()
	if l.Groupless == 0 || l.Numbers == 0 || l.Untimely != 2 {
		t.Errorf("left out %+v", l)
	}
	if text := strings.Join(l.Lines(), "\n"); !strings.Contains(text, "lack a field") || !strings.Contains(text, "no number") || !strings.Contains(text, "2 matches came after their time") {
		t.Error(text)
	}
	if lines := (Left{}).Lines(); lines != nil {
		t.Errorf("nothing left out is told as %q", lines)
	}
}

func TestBombWindowsAndGroupsStayWithinTheirLimits(t *testing.T) {
	set := ruleSet(t, base+correlated("x", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 300d\ncondition: {gte: 60000}"))
	x := newCorrelator(set, func(hit) {})
	r := set.Rule("00000000-0000-4000-8000-00000000000a")
	put := func(id string, user string, sec int) {
		x.begin(day.Add(time.Duration(sec) * time.Second).UnixNano())
		e := &ocsf.Event{Tenant: "acme", Time: day.Add(time.Duration(sec) * time.Second)}
		x.match(r, e, &origin{r, set.carried[r], [][]string{{user}}})
	}
	for i := range MaxWindow + 10 {
		put("acme", "u", i)
	}
	for i := range MaxWindows + 10 {
		put("acme", fmt.Sprint("v", i), MaxWindow+10+i)
	}
	tw := x.tenants["acme"]
	if n := len(tw.windows[0]); n > MaxWindows || n < MaxWindows*9/10 || tw.left.Windows == 0 || tw.left.Matches != 10 {
		t.Errorf("%d groups are kept, left out %+v", n, tw.left)
	}
	sum, samples := 0, 0
	for _, w := range tw.windows[0] {
		sum, samples = sum+len(w.list), samples+len(w.samples)
	}
	if sum != tw.matches || samples != tw.samples {
		t.Errorf("%d matches and %d samples are there, %d and %d counted", sum, samples, tw.matches, tw.samples)
	}
	x.advance(day.AddDate(2, 0, 0).UnixNano())
	if len(tw.windows[0]) != 0 || tw.matches != 0 || tw.samples != 0 {
		t.Errorf("two years later %d groups with %d matches and %d samples are left", len(tw.windows[0]), tw.matches, tw.samples)
	}
}

func TestIsolationOneTenantsFloodDropsNothingOfAnothers(t *testing.T) {
	set := ruleSet(t, base+correlated("x", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 1d\ncondition: {gte: 2}"))
	n := 0
	x := newCorrelator(set, func(hit) { n++ })
	r := set.Rule("00000000-0000-4000-8000-00000000000a")
	put := func(e *ocsf.Event, user string) {
		x.begin(e.Time.UnixNano())
		x.match(r, e, &origin{r, set.carried[r], [][]string{{user}}})
	}
	put(&ocsf.Event{Tenant: "quiet", Time: day}, "u")
	for i := range 2 * MaxWindows {
		put(&ocsf.Event{Tenant: "loud", Time: day.Add(time.Second)}, fmt.Sprint(i))
	}
	put(&ocsf.Event{Tenant: "quiet", Time: day.Add(time.Minute)}, "u")
	if n != 1 {
		t.Errorf("%d hits, want that of the quiet tenant", n)
	}
}

func TestSumsAreExactWhateverComesAndGoes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var s exactSum
		want := new(big.Float).SetPrec(4000)
		var held []float64
		for range 60 {
			x := (r.Float64() - 0.5) * math.Pow(10, float64(r.IntN(60)-30))
			if len(held) > 0 && r.IntN(3) == 0 {
				i := r.IntN(len(held))
				x = -held[i]
				held = slices.Delete(held, i, i+1)
			} else {
				held = append(held, x)
			}
			s.add(x)
			want.Add(want, new(big.Float).SetFloat64(x))
			if f, _ := want.Float64(); f != s.value() {
				t.Fatalf("sum %v, want %v", s.value(), f)
			}
		}
	}
}

func FuzzCorrelation(f *testing.F) {
	f.Add("type: temporal\nrules: [a, b]\ngroup-by: [User]\ntimespan: 5m\ncondition: a and not b")
	f.Add("type: value_percentile\nrules: [a]\ntimespan: 1h\ncondition: {field: N, percentile: 95, gte: 3}")
	f.Add("type: event_count\nrules: a\ntimespan: 1d\naliases: {u: {a: User}}\ngroup-by: [u]\ncondition: {gt: 1, lte: 3}")
	f.Add("type: temporal_ordered\nrules: [a, b, c]\ntimespan: 1s\ncondition: {gte: 2}")
	events := randomEvents(f, 1, 40)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 4096 {
			return
		}
		set, errs := Compile([]Document{{Name: "x.yml", Data: []byte(base + correlated("x", body))}})
		if len(set.Correlations()) == 0 && len(errs) == 0 {
			t.Skip("the text closed the document")
		}
		one := outcomeOf(t, set, events, 1<<30, false)
		if diff := cmp.Diff(one, outcomeOf(t, set, events, 5, true)); diff != "" {
			t.Errorf("%q in batches: %s", body, diff)
		}
	})
}
