package detecttest

import (
	"math/rand/v2"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Promises checks over the shared events what detect.Detector promises beyond finding things. Fresh returns a new
// detector for Model each time.
func Promises(t *testing.T, fresh func() detect.Detector) {
	t.Helper()
	for seed := range uint64(3) {
		events := Events(seed, 1500)
		want := encode(t, run(fresh(), events).Findings())
		if len(want) == 0 {
			t.Fatalf("seed %d: nothing is found at all", seed)
		}
		concluded(t, fresh, seed, events, want)
		immutable(t, fresh, seed, events)
	}
}

func run(d detect.Detector, events []*ocsf.Event) *detect.Engine {
	g := detect.NewEngine("v7", d)
	for _, e := range events {
		g.Process(e)
	}
	g.Finish()
	return g
}

// concluded asks a running engine for its answer at odd moments: it must be that of a copy that is finished there, and
// asking must change nothing. Where Changed says no, the answer must be the one before.
func concluded(t *testing.T, fresh func() detect.Detector, seed uint64, events []*ocsf.Event, want map[string]string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	g := detect.NewEngine("v7", fresh())
	g.Changed()
	before := map[string]string{}
	for i, e := range events {
		g.Process(e)
		if r.IntN(12) != 0 {
			continue
		}
		changed := g.Changed()
		now := encode(t, g.Current())
		if !changed && !same(t, seed, i, "Changed said no, but the answer changed", now, before) {
			return
		}
		before = now
		if r.IntN(8) != 0 {
			continue
		}
		g = restored(t, g, fresh) // goes on as the copy, so that the ledger's way is tested too
		again := restored(t, g, fresh)
		again.Finish()
		if !same(t, seed, i, "Current is not what Finish says", now, encode(t, again.Findings())) {
			return
		}
	}
	g.Finish()
	same(t, seed, len(events), "asking and restoring disturbed the rest", encode(t, g.Findings()), want)
}

// restored returns a copy of the engine made from its snapshot and its ledger's encoding.
func restored(t *testing.T, g *detect.Engine, fresh func() detect.Detector) *detect.Engine {
	t.Helper()
	states, err := g.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	out := detect.NewEngine("v7", fresh())
	if err := out.Restore(states); err != nil {
		t.Fatal(err)
	}
	var kept []*ocsf.Finding
	for _, f := range g.Ledger() {
		b, err := f.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		c := new(ocsf.Finding)
		if err := c.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, c)
	}
	out.RestoreLedger(kept)
	return out
}

// immutable checks that no finding changes after it was emitted.
func immutable(t *testing.T, fresh func() detect.Detector, seed uint64, events []*ocsf.Event) {
	t.Helper()
	type told struct {
		f *ocsf.Finding
		b string
	}
	var all []told
	emit := func(f *ocsf.Finding) { all = append(all, told{f, encoding(t, f)}) }
	d := fresh()
	for i, e := range events {
		d.Process(e, emit)
		if i%50 == 0 {
			d.Conclude(emit)
		}
		if i%80 == 0 {
			d.Advance(e.Time, emit)
		}
	}
	for _, x := range all {
		if encoding(t, x.f) != x.b {
			t.Fatalf("seed %d: finding %s of %s changed after it was emitted", seed, x.f.ID, x.f.Rule)
		}
	}
}

// StaysBounded runs a detector while every day brings new names, for half a year after it should have settled, and
// checks that its state is then no larger than it was by more than a fifth, and that the ledger holds only what it
// was not told to forget.
func StaysBounded(t *testing.T, fresh func() detect.Detector, settled int) {
	t.Helper()
	g := detect.NewEngine("v7", fresh())
	size := func() (n int) {
		states, err := g.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range states {
			n += len(b)
		}
		return n
	}
	first, last := 0, settled+180
	for day := range last + 1 {
		for _, e := range Day(day, 6) {
			g.Process(e)
		}
		if day%7 == 6 || day == last {
			g.Forget(Start.AddDate(0, 0, day-30))
		}
		switch {
		case day == settled:
			first = size()
		case day > settled && (day-settled)%60 == 0:
			if now := size(); now > first+first/5 {
				t.Fatalf("after %d days the state takes %d bytes, after %d days it took %d", day, now, settled, first)
			}
		}
	}
	for _, f := range g.Ledger() {
		if f.End.Before(Start.AddDate(0, 0, last-30)) {
			t.Fatalf("finding %s of %s ended %s and is still in the ledger", f.ID, f.Rule, f.End)
		}
	}
}

func encode(t *testing.T, list []*ocsf.Finding) map[string]string {
	t.Helper()
	out := make(map[string]string, len(list))
	for _, f := range list {
		out[f.ID] = encoding(t, f)
	}
	return out
}

func encoding(t *testing.T, f *ocsf.Finding) string {
	t.Helper()
	b, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// same compares two answers and tells the first difference.
func same(t *testing.T, seed uint64, at int, what string, got, want map[string]string) bool {
	t.Helper()
	for id, w := range want {
		if got[id] != w {
			t.Errorf("seed %d, after event %d: %s:\ngot  %s\nwant %s", seed, at, what, tell(got[id]), tell(w))
			return false
		}
	}
	for id, f := range got {
		if _, known := want[id]; !known {
			t.Errorf("seed %d, after event %d: %s:\ngot  %s\nwant nothing", seed, at, what, tell(f))
			return false
		}
	}
	return true
}

func tell(b string) string {
	var f ocsf.Finding
	if b == "" || f.UnmarshalBinary([]byte(b)) != nil {
		return "nothing"
	}
	text, err := f.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(text)
}
