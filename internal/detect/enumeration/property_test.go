package enumeration

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// everything is some days in which much happens, honest and not.
func everything() []*ocsf.Event {
	lists := [][]*ocsf.Event{watched(6), bloodhound(monday, techie), bloodhound(monday.Add(time.Hour), tester), enum4linux(monday.Add(2*time.Hour), "10.9.0.5"),
		sweep(monday.Add(5*time.Hour), 20*time.Second, "10.9.0.6", 200), sweep(monday, 3*time.Minute, desk, 200)}
	for d := range 6 {
		lists = append(lists, sweep(monday.Add(time.Duration(d-5)*days+3*time.Hour), time.Second, "10.1.2.50", 60))
	}
	lists = append(lists, each(40, monday.Add(6*time.Hour), time.Second, func(i int, at time.Time) *ocsf.Event {
		return dns(at, abroad, "SRV", fmt.Sprintf("_s%d._tcp.client.example", i), "NXDOMAIN")
	}))
	return sorted(lists...)
}

func asJSON(t *testing.T, list []*ocsf.Finding) []string {
	t.Helper()
	var out []string
	for _, f := range list {
		b, err := f.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

func TestBatchesAndRestartsChangeNothing(t *testing.T) {
	events := everything()
	want := asJSON(t, run(t, events))
	if len(want) < 8 {
		t.Fatalf("only %d findings to compare", len(want))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 4 {
		kept := map[string]*ocsf.Finding{}
		emit := func(f *ocsf.Finding) { kept[f.ID] = f }
		d := New(detect.Context{Model: model()})
		for _, e := range events {
			d.Process(e, emit)
			if r.IntN(50) == 0 {
				d.Advance(e.Time, emit)
			}
			if r.IntN(200) == 0 {
				b, err := d.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				d = New(detect.Context{Model: model()})
				if err := d.Restore(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		d.Advance(monday.AddDate(100, 0, 0), emit)
		if diff := cmp.Diff(want, asJSON(t, inOrder(kept))); diff != "" {
			t.Fatalf("round %d: %s", round, diff)
		}
	}
}

// The file was written by the version before sources became small, after two thirds of everything. It is read, and the
// rest is found as if nothing had happened.
func TestStateOfAnEarlierVersionIsRead(t *testing.T) {
	file, err := os.Open("testdata/state-written-before-sources-were-small.gob.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	state, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	events := everything()
	kept := map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { kept[f.ID] = f }
	d := New(detect.Context{Model: model()})
	for _, e := range events[:len(events)*2/3] {
		d.Process(e, emit)
	}
	d = New(detect.Context{Model: model()})
	if err := d.Restore(state); err != nil {
		t.Fatal(err)
	}
	for _, e := range events[len(events)*2/3:] {
		d.Process(e, emit)
	}
	d.Advance(monday.AddDate(100, 0, 0), emit)
	if diff := cmp.Diff(asJSON(t, run(t, events)), asJSON(t, inOrder(kept))); diff != "" {
		t.Error(diff)
	}
}

// TestOrderWithinAMomentDoesNotChangeVerdicts shuffles events of the same time, as several sensors deliver them.
func TestOrderWithinAMomentDoesNotChangeVerdicts(t *testing.T) {
	events := everything()
	for _, e := range events {
		e.Time = e.Time.Truncate(time.Minute)
	}
	byTime(events)
	want := brief(run(t, events))
	r := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		byTime(events)
		if got := brief(run(t, events)); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// TestSeveralSensorsGiveTheSameVerdicts gives each event as two sensors would, a moment apart.
func TestSeveralSensorsGiveTheSameVerdicts(t *testing.T) {
	events := everything()
	want := brief(run(t, events))
	var twice []*ocsf.Event
	for _, e := range events {
		c := *e
		c.Sensor, c.ID[15], c.Time = "other", c.ID[15]^1, e.Time.Add(time.Millisecond)
		twice = append(twice, e, &c)
	}
	byTime(twice)
	if got := brief(run(t, twice)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func inOrder(kept map[string]*ocsf.Finding) []*ocsf.Finding {
	g := detect.NewEngine("v1")
	var list []*ocsf.Finding
	for _, f := range kept {
		list = append(list, f)
	}
	g.RestoreLedger(list)
	return g.Findings()
}

func TestHabits(t *testing.T) {
	daily := func(n int) (out []*ocsf.Event) {
		for d := range 8 {
			out = append(out, sweep(monday.Add(time.Duration(d-8)*days), time.Second, desk, n)...)
		}
		return out
	}
	last := func(list []*ocsf.Finding) string {
		var out []*ocsf.Finding
		for _, f := range list {
			if !f.Time.Before(monday) {
				out = append(out, f)
			}
		}
		return brief(out)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"a monitor that asks each day is not told any more", sorted(daily(60), sweep(monday, time.Second, desk, 60)), ""},
		{"a little more than usual is nothing", sorted(daily(60), sweep(monday, time.Second, desk, 80)), ""},
		{"three times as much is told", sorted(daily(60), sweep(monday, time.Second, desk, 180)), "names medium T1018"},
		{"another host has no part in the habit", sorted(daily(60), sweep(monday, time.Second, "10.1.2.77", 60)), "names medium T1018"},
		{"another kind of act is no habit", sorted(daily(60), bloodhound(monday, desk)), "directory high T1087.002"},
		{"one day of much does not make much usual", sorted(daily(20), sweep(monday.Add(-days), time.Second, desk, 200), sweep(monday, time.Second, desk, 200)), "names medium T1018"},
		{"a partner's second sweep after an approved one", sorted(watched(5), sweep(monday, 100*time.Millisecond, tester, 200), sweep(monday.Add(5*time.Hour), 100*time.Millisecond, tester, 200)),
			"names high T1018 approved; names high T1018"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := last(run(t, c.events)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAPartnerThatIsToldDayByDayIsNotLearned(t *testing.T) {
	events := watched(12)
	for d := range 12 {
		events = append(events, sweep(monday.Add(time.Duration(d-11)*days), 100*time.Millisecond, techie, 200)...)
	}
	found := run(t, sorted(events))
	if len(found) != 12 || found[11].Severity != ocsf.SeverityHigh {
		t.Errorf("%s", brief(found))
	}
}
