package detect_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var noon = time.Date(2026, 9, 7, 12, 0, 0, 0, time.UTC)

// counter finds one thing for each device and says how often it was seen; it tells what it is called with.
type counter struct {
	Seen     map[string]int
	Advanced []time.Time
	damaged  bool
}

func (c *counter) Name() string { return "counter" }

func (c *counter) Process(e *ocsf.Event, emit detect.Emit) {
	c.Seen[e.Device]++
	f := &ocsf.Finding{Tenant: e.Tenant, Detector: c.Name(), Rule: "seen", Reason: fmt.Sprintf("%d times", c.Seen[e.Device])}
	f.AddEvidence(e)
	f.Identify(time.Time{}, e.Device)
	emit(f)
}

func (c *counter) Advance(now time.Time, _ detect.Emit) { c.Advanced = append(c.Advanced, now) }

func (c *counter) Conclude(detect.Emit) {}

func (c *counter) Snapshot() ([]byte, error) {
	if c.damaged {
		return nil, errors.New("damaged")
	}
	return detect.EncodeState(*c)
}

func (c *counter) Restore(b []byte) error { return detect.DecodeState(b, c) }

func (c *counter) Explain(e *ocsf.Event) []string { return []string{"counts " + e.Device} }

func seen(at time.Duration, id tenant.ID, device string) *ocsf.Event {
	return &ocsf.Event{Time: noon.Add(at), Tenant: id, Device: device}
}

func lines(g *detect.Engine) (out []string) {
	for _, f := range g.Findings() {
		out = append(out, fmt.Sprintf("%s %s %s %s %s", f.Time.Format("15:04"), f.Tenant, f.Evidence[0].Event.Device, f.Reason, f.Snapshot))
	}
	return out
}

func TestLaterFindingReplacesTheOneOfTheSameID(t *testing.T) {
	g := detect.NewEngine("v7", &counter{Seen: map[string]int{}})
	for i := range 3 {
		g.Process(seen(time.Duration(i)*time.Minute, "a", "srv"))
	}
	if diff := cmp.Diff([]string{"12:02 a srv 3 times v7"}, lines(g)); diff != "" {
		t.Error(diff)
	}
}

func TestFindingsComeByTimeThenTenantThenID(t *testing.T) {
	for range 20 {
		g := detect.NewEngine("v7", &counter{Seen: map[string]int{}})
		for _, e := range []*ocsf.Event{seen(0, "b", "one"), seen(0, "a", "two"), seen(0, "a", "three"), seen(time.Minute, "a", "four")} {
			g.Process(e)
		}
		if !slices.IsSortedFunc(g.Findings(), func(a, b *ocsf.Finding) int {
			return strings.Compare(a.Time.Format(time.RFC3339)+string(a.Tenant)+a.ID, b.Time.Format(time.RFC3339)+string(b.Tenant)+b.ID)
		}) {
			t.Fatal(lines(g))
		}
	}
}

func TestDetectorsAreToldOfTimeOnceAMinuteAndAtTheEnd(t *testing.T) {
	c := &counter{Seen: map[string]int{}}
	g := detect.NewEngine("v7", c)
	for _, at := range []time.Duration{0, 20 * time.Second, 59 * time.Second, time.Minute, 90 * time.Second, 10 * time.Minute} {
		g.Process(seen(at, "a", "srv"))
	}
	want := []time.Time{noon, noon.Add(time.Minute), noon.Add(10 * time.Minute)}
	if diff := cmp.Diff(want, c.Advanced); diff != "" {
		t.Error(diff)
	}
	g.Finish()
	if last := c.Advanced[len(c.Advanced)-1]; last.Before(noon.AddDate(50, 0, 0)) {
		t.Errorf("the end of input is told as %s", last)
	}
}

func TestRestoredEngineGoesOnAsIfItHadNotStopped(t *testing.T) {
	events := make([]*ocsf.Event, 40)
	for i := range events {
		events[i] = seen(time.Duration(i)*25*time.Second, "a", fmt.Sprintf("srv-%d", i%3))
	}
	whole := &counter{Seen: map[string]int{}}
	want := detect.NewEngine("v7", whole)
	for _, e := range events {
		want.Process(e)
	}
	want.Finish()
	for _, k := range []int{1, 2, 5, 40} {
		part := &counter{Seen: map[string]int{}}
		g, last := detect.NewEngine("v7", part), map[string]string{}
		for i, e := range events {
			g.Process(e)
			for _, f := range g.Findings() {
				last[f.ID] = f.Reason // what a store would hold
			}
			if (i+1)%k != 0 {
				continue
			}
			states, err := g.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			part = &counter{Seen: map[string]int{}}
			g = detect.NewEngine("v7", part)
			if err := g.Restore(states); err != nil {
				t.Fatal(err)
			}
		}
		g.Finish()
		if diff := cmp.Diff(whole.Advanced, part.Advanced); diff != "" {
			t.Errorf("a restart after every %d events tells another time: %s", k, diff)
		}
		for _, f := range want.Findings() {
			if last[f.ID] != f.Reason {
				t.Errorf("a restart after every %d events: %s, not %s", k, last[f.ID], f.Reason)
			}
		}
	}
}

func TestBrokenStateNamesTheDetector(t *testing.T) {
	g := detect.NewEngine("v7", &counter{Seen: map[string]int{}, damaged: true})
	if _, err := g.Snapshot(); err == nil || !strings.Contains(err.Error(), "detector counter: damaged") {
		t.Error(err)
	}
	g = detect.NewEngine("v7", &counter{Seen: map[string]int{}})
	if err := g.Restore(map[string][]byte{"counter": []byte("nonsense")}); err == nil || !strings.Contains(err.Error(), "restoring detector counter") {
		t.Error(err)
	}
	if err := g.Restore(map[string][]byte{"engine": []byte("nonsense")}); err == nil || !strings.Contains(err.Error(), "restoring the engine") {
		t.Error(err)
	}
	if err := g.Restore(nil); err != nil {
		t.Errorf("a detector that is new to a checkpoint: %v", err)
	}
}

func TestExplainAsksThoseWhoCan(t *testing.T) {
	g := detect.NewEngine("v7", &counter{Seen: map[string]int{}}, mute{})
	if diff := cmp.Diff(map[string][]string{"counter": {"counts srv"}}, g.Explain(seen(0, "a", "srv"))); diff != "" {
		t.Error(diff)
	}
}

// mute is a detector that finds nothing and explains nothing.
type mute struct{}

func (mute) Name() string                     { return "mute" }
func (mute) Process(*ocsf.Event, detect.Emit) {}
func (mute) Advance(time.Time, detect.Emit)   {}
func (mute) Conclude(detect.Emit)             {}
func (mute) Snapshot() ([]byte, error)        { return nil, nil }
func (mute) Restore([]byte) error             { return nil }

// held tells a thing only when time is told or it is asked.
type held struct {
	Count   int
	pending uint64
	last    *ocsf.Event
}

func (h *held) Name() string { return "held" }

func (h *held) Process(e *ocsf.Event, _ detect.Emit) { h.Count++; h.pending++; h.last = e }

func (h *held) Advance(_ time.Time, emit detect.Emit) { h.Conclude(emit) }

func (h *held) Conclude(emit detect.Emit) {
	if h.last == nil {
		return
	}
	f := &ocsf.Finding{Tenant: h.last.Tenant, Detector: "held", Rule: "held", Reason: fmt.Sprint(h.Count)}
	f.AddEvidence(h.last)
	f.Identify(time.Time{})
	emit(f)
}

func (h *held) Pending() uint64 { return h.pending }

func (h *held) ProcessLate(e *ocsf.Event, now time.Time, emit detect.Emit) {
	f := &ocsf.Finding{Tenant: e.Tenant, Detector: "held", Rule: "late", Reason: now.Sub(e.Time).String()}
	f.AddEvidence(e)
	f.Identify(e.Time)
	emit(f)
}

func (*held) Snapshot() ([]byte, error) { return nil, nil }
func (*held) Restore([]byte) error      { return nil }

func TestCurrentAddsWhatIsHeldBackAndKeepsNothingOfIt(t *testing.T) {
	g := detect.NewEngine("v7", &held{})
	g.Process(seen(0, "a", "srv"))
	g.Process(seen(time.Second, "a", "srv"))
	for range 2 {
		if now := g.Current(); len(now) != 1 || now[0].Reason != "2" || now[0].Snapshot != "v7" {
			t.Fatalf("%+v", now)
		}
		if kept := g.Findings(); len(kept) != 0 {
			t.Fatalf("asking was kept: %+v", kept)
		}
	}
}

func TestChangedIsAskedOnceAChange(t *testing.T) {
	g := detect.NewEngine("v7", &held{})
	asked := func(want bool, when string) {
		t.Helper()
		if g.Changed() != want || g.Changed() {
			t.Errorf("%s: Changed does not say %v once", when, want)
		}
	}
	asked(true, "at first")
	g.Process(seen(0, "a", "srv"))
	asked(true, "after an event that was held back")
	g.Process(seen(time.Hour, "a", "srv"))
	asked(true, "after a finding was kept")
	g.Forget(noon.Add(-time.Hour))
	asked(false, "after nothing was old enough to forget")
	g.Forget(noon.Add(2 * time.Hour))
	asked(true, "after a finding was forgotten")
	if n := len(g.Ledger()); n != 0 {
		t.Errorf("%d findings are left", n)
	}
}

func TestLateEventsGoOnlyToThoseWhoKeepNoOrder(t *testing.T) {
	c := &counter{Seen: map[string]int{}}
	g := detect.NewEngine("v7", c, &held{})
	g.Process(seen(0, "a", "srv"))
	g.ProcessLate(seen(-time.Hour, "a", "late"))
	if diff := cmp.Diff([]string{"11:00 a late 1h0m0s v7", "12:00 a srv 1 times v7"}, lines(g)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"srv": 1}, c.Seen); diff != "" {
		t.Errorf("a late event taught something: %s", diff)
	}
}

func TestLedgerGoesOnInAnotherEngine(t *testing.T) {
	g := detect.NewEngine("v7", &counter{Seen: map[string]int{}})
	g.Process(seen(0, "a", "srv"))
	o := detect.NewEngine("v8", &counter{Seen: map[string]int{}})
	for _, f := range g.Ledger() {
		o.RestoreLedger([]*ocsf.Finding{f})
	}
	if diff := cmp.Diff(lines(g), lines(o)); diff != "" {
		t.Error(diff)
	}
}

func TestFeedingTellsNobodyOfTime(t *testing.T) {
	c := &counter{Seen: map[string]int{}}
	g := detect.NewEngine("v7", c)
	g.Process(seen(0, "a", "srv"))
	g.Feed(seen(1000*time.Hour, "a", "ahead"))
	g.Process(seen(time.Minute, "a", "srv"))
	if diff := cmp.Diff([]time.Time{noon, noon.Add(time.Minute)}, c.Advanced); diff != "" {
		t.Error(diff)
	}
	if c.Seen["ahead"] != 1 {
		t.Error("the event was not looked at")
	}
}

func TestAFullMapLosesWhatWasUnusedLongest(t *testing.T) {
	m := map[int]int64{}
	for i := range 160 {
		detect.MakeRoom(m, 160, func(v int64) int64 { return v })
		m[i] = int64(i / 40)
	}
	if len(m) != 160 {
		t.Fatalf("%d entries before there was need for room", len(m))
	}
	detect.MakeRoom(m, 160, func(v int64) int64 { return v })
	old := 0
	for _, v := range m {
		if v == 0 {
			old++
		}
	}
	if len(m) != 149 || old != 29 {
		t.Errorf("%d are left, %d of the oldest", len(m), old)
	}
}
