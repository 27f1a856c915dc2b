package order

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// event is a record of a file; two with one text are equal records, two with one source id are one event.
func event(file string, record int, offset time.Duration, sourceID, text string) *ocsf.Event {
	e := &ocsf.Event{Time: start.Add(offset), Tenant: "acme", Source: "zeek/conn", SourceID: sourceID,
		Raw: ocsf.RawRef{File: file, Record: int64(record)}, Fields: ocsf.Fields{{Name: "text", Value: text}}}
	Identify(e, []byte(text))
	return e
}

// many returns n events in random order; about one in ten has the time of another.
func many(n int, seed uint64) []*ocsf.Event {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]*ocsf.Event, n)
	for i := range out {
		out[i] = event(fmt.Sprintf("f%d.log", i%7), i, time.Duration(r.IntN(n*9/10))*time.Millisecond, "", fmt.Sprintf("line %d %s", i, strings.Repeat("x", r.IntN(400))))
	}
	r.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// merged returns what comes out for the events that go in.
func merged(t testing.TB, budget int, events []*ocsf.Event) (out []*ocsf.Event, s *Sorter) {
	t.Helper()
	s = NewSorter(t.TempDir(), budget)
	t.Cleanup(func() { s.Close() })
	for _, e := range events {
		if err := s.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Merge(func(e *ocsf.Event) error { out = append(out, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return out, s
}

// told is one event as a line: enough to see that order, identity and place are the same.
func told(events []*ocsf.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = fmt.Sprintf("%s %s %s:%d %s", e.Time.Format(time.StampMilli), e.ID, e.Raw.File, e.Raw.Record, e.Fields.Value("text"))
	}
	return out
}

func TestSpillAndMergeEqualASortInMemory(t *testing.T) {
	events := many(4000, 1)
	want := slices.Clone(events)
	slices.SortFunc(want, func(a, b *ocsf.Event) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	for _, budget := range []int{0, 1, 100_000, 300_000} {
		got, s := merged(t, budget, events)
		if d := cmp.Diff(told(want), told(got)); d != "" {
			t.Fatalf("budget %d, %d runs (-sorted +merged):\n%.2000s", budget, len(s.runs), d)
		}
		if spilled := len(s.runs) > 0; spilled != (budget > 0) {
			t.Errorf("budget %d: %d runs", budget, len(s.runs))
		}
	}
}

func TestAnyOrderOfAddingGivesTheSame(t *testing.T) {
	events := many(600, 2)
	for i := range 200 { // equal lines, copies of files, and records with the source's own id
		text, offset := fmt.Sprint("again ", i%20), time.Duration(i%20)*time.Second
		events = append(events, event("a.log", 1000+i, offset, "", text), event("b.log", 2000+i, offset, "", text))
		events = append(events, event("c.log", 3000+i, offset, fmt.Sprint("C", i%50), text), event("a.log", 4000+i, offset, fmt.Sprint("C", i%50), "another text"))
	}
	// One record that became two events: nothing but their content tells them apart.
	twin := event("d.log", 1, time.Second, "", "one record")
	other := *twin
	other.Activity = "second"
	events = append(events, twin, &other)

	want, first := merged(t, 0, events)
	r := rand.New(rand.NewPCG(3, 3))
	for i := range 20 {
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		got, s := merged(t, []int{0, 1, 150_000}[i%3], events)
		if d := cmp.Diff(told(want), told(got)); d != "" {
			t.Fatalf("order %d (-first +this):\n%.2000s", i, d)
		}
		if s.Duplicates != first.Duplicates {
			t.Errorf("%d duplicates, then %d", first.Duplicates, s.Duplicates)
		}
	}
}

func TestEveryFieldComesBack(t *testing.T) {
	e := event("a.log", 7, 123456789*time.Nanosecond, "C1|conn", "x")
	e.Flow, e.Answers = &ocsf.Flow{Proto: "tcp", OrigBytes: 5}, []string{"a", "b"}
	big := event("b.log", 1, 0, "", strings.Repeat("big", 1<<20)) // larger than a block
	for _, budget := range []int{0, 1} {
		got, _ := merged(t, budget, []*ocsf.Event{e, big, event("c.log", 1, time.Hour, "", "after")})
		if len(got) != 3 || got[0].Fields.Value("text") != big.Fields.Value("text") {
			t.Fatalf("budget %d: %d events", budget, len(got))
		}
		if d := cmp.Diff(told([]*ocsf.Event{e}), told(got[1:2])); d != "" || got[1].Flow.OrigBytes != 5 || len(got[1].Answers) != 2 || !got[1].Time.Equal(e.Time) {
			t.Errorf("budget %d: %+v\n%s", budget, got[1], d)
		}
	}
}

func TestWhatWasDeliveredTwiceCountsOnce(t *testing.T) {
	line := func(file string, record int) *ocsf.Event { return event(file, record, 0, "", "same line") }
	id := func(file string, record int, text string) *ocsf.Event { return event(file, record, 0, "C1", text) }
	for _, c := range []struct {
		name       string
		events     []*ocsf.Event
		want       string // file:record of what counts
		duplicates int64
	}{
		{"a record with an id of the source's own", []*ocsf.Event{id("b.log", 2, "x"), id("a.log", 9, "y"), id("a.log", 3, "z")}, "a.log:3", 2},
		{"equal lines in one file count as often as they stand", []*ocsf.Event{line("a.log", 3), line("a.log", 1), line("a.log", 2)}, "a.log:1 a.log:2 a.log:3", 0},
		{"a copied file counts once", []*ocsf.Event{line("a.log", 1), line("b.log", 1), line("a.log", 2), line("b.log", 2)}, "a.log:1 a.log:2", 2},
		{"a copy that holds more adds what is more", []*ocsf.Event{line("a.log", 1), line("b.log", 1), line("b.log", 2), line("b.log", 3), line("c.log", 1)}, "a.log:1 b.log:2 b.log:3", 2},
		{"one time and two texts are two events", []*ocsf.Event{event("a.log", 1, 0, "", "one"), event("a.log", 2, 0, "", "two")}, "a.log:1 a.log:2", 0},
		{"one text and two times are two events", []*ocsf.Event{event("a.log", 2, time.Second, "", "one"), event("a.log", 1, 0, "", "one")}, "a.log:1 a.log:2", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, s := merged(t, 0, c.events)
			var places []string
			ids := map[ocsf.EventID]bool{}
			for _, e := range got {
				places = append(places, fmt.Sprintf("%s:%d", e.Raw.File, e.Raw.Record))
				ids[e.ID] = true
			}
			slices.Sort(places)
			if p := strings.Join(places, " "); p != c.want || s.Duplicates != c.duplicates {
				t.Errorf("%s and %d duplicates, want %s and %d", p, s.Duplicates, c.want, c.duplicates)
			}
			if len(ids) != len(got) {
				t.Errorf("%d events have %d ids", len(got), len(ids))
			}
		})
	}
}

func TestIsolationEqualRecordsOfTwoTenantsAreTwoEvents(t *testing.T) {
	for _, sourceID := range []string{"", "C1"} {
		a, b := event("x.log", 1, 0, sourceID, "same"), event("x.log", 1, 0, sourceID, "same")
		b.Tenant = "borg"
		Identify(b, []byte("same"))
		if got, s := merged(t, 0, []*ocsf.Event{a, b}); len(got) != 2 || s.Duplicates != 0 {
			t.Errorf("source id %q: %d events, %d duplicates", sourceID, len(got), s.Duplicates)
		}
	}
}

func TestIdentifyTellsApart(t *testing.T) {
	base := event("a.log", 1, 0, "C1", "text")
	for name, c := range map[string]struct {
		other *ocsf.Event
		same  bool
	}{
		"the same id in another file, with another text": {event("b.log", 9, time.Hour, "C1", "other"), true},
		"another id": {event("a.log", 1, 0, "C2", "text"), false},
		"no id":      {event("a.log", 1, 0, "", "text"), false},
	} {
		if got := c.other.ID == base.ID; got != c.same {
			t.Errorf("%s: same %v", name, got)
		}
	}
	other := *base
	other.Source = "zeek/dns"
	if Identify(&other, nil); other.ID == base.ID {
		t.Error("one id of two sources is one event")
	}
}

func TestCloseRemovesTheSpillFiles(t *testing.T) {
	dir := t.TempDir()
	s := NewSorter(dir, 1)
	for _, e := range many(1000, 4) {
		if err := s.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	files := spillFiles(t, dir)
	if len(files) < 2 {
		t.Fatalf("%d spill files", len(files))
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			t.Errorf("%s may be read by others: %v, %v", f, st.Mode(), err)
		}
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if left := spillFiles(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func spillFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestADamagedSpillFileIsAnErrorAndNotAShorterAnswer(t *testing.T) {
	events := many(600, 5)
	size := func() int64 {
		dir := t.TempDir()
		s := NewSorter(dir, 1)
		defer s.Close()
		for _, e := range events {
			s.Add(e)
		}
		st, err := os.Stat(s.runs[0].file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}()
	cut := func(n int64) func(*os.File) error { return func(f *os.File) error { return f.Truncate(n) } }
	harm := map[string]func(*os.File) error{"closed": (*os.File).Close, "a changed byte": func(f *os.File) error {
		_, err := f.WriteAt([]byte{0x55, 0xaa, 0x55}, size/2)
		return err
	}}
	for n := int64(0); n < size; n += 1 + size/97 {
		harm[fmt.Sprintf("cut to %d of %d bytes", n, size)] = cut(n)
	}
	harm["without its last byte"] = cut(size - 1)
	for name, do := range harm {
		t.Run(name, func(t *testing.T) {
			s := NewSorter(t.TempDir(), 1)
			defer s.Close()
			for _, e := range events {
				if err := s.Add(e); err != nil {
					t.Fatal(err)
				}
			}
			if err := do(s.runs[0].file); err != nil {
				t.Fatal(err)
			}
			n := 0
			if err := s.Merge(func(*ocsf.Event) error { n++; return nil }); err == nil {
				t.Errorf("%d of %d events and no error", n, len(events))
			}
		})
	}
}

func TestADiskThatCannotBeWrittenStopsTheSorter(t *testing.T) {
	s := NewSorter(filepath.Join(t.TempDir(), "gone"), 1)
	defer s.Close()
	var first error
	for _, e := range many(1000, 6) {
		if err := s.Add(e); first == nil {
			first = err
		} else if err != first {
			t.Fatalf("after %v came %v", first, err)
		}
	}
	if first == nil {
		t.Fatal("no error")
	}
	if err := s.Merge(func(*ocsf.Event) error { t.Error("an event of an incomplete order"); return nil }); err != first {
		t.Errorf("merge: %v, want %v", err, first)
	}
}

func TestMergeStopsAtTheFirstErrorOfWhoReads(t *testing.T) {
	stop := errors.New("stop")
	s := NewSorter(t.TempDir(), 1)
	defer s.Close()
	for _, e := range many(500, 7) {
		s.Add(e)
	}
	n := 0
	if err := s.Merge(func(*ocsf.Event) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("%v after %d events", err, n)
	}
}

func TestNothingInNothingOut(t *testing.T) {
	if got, s := merged(t, 0, nil); len(got) != 0 || s.Duplicates != 0 {
		t.Errorf("%d events", len(got))
	}
	if err := full(strings.NewReader(""), make([]byte, 1)); err != io.ErrUnexpectedEOF {
		t.Errorf("an end where more must follow is %v", err)
	}
}

// inUse returns how many bytes of the heap are in use after a collection.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestMemoryStaysWithinTheBudget(t *testing.T) {
	const budget = 8 << 20
	s := NewSorter(t.TempDir(), budget)
	defer s.Close()
	before, most, bytes := inUse(), int64(0), 0
	text := strings.Repeat("x", 500)
	for i := range 200_000 {
		e := event("a.log", i, time.Duration(i*7919%200_000)*time.Millisecond, fmt.Sprint(i), text)
		if err := s.Add(e); err != nil {
			t.Fatal(err)
		}
		bytes += len(text)
		if i%5000 == 0 {
			most = max(most, inUse()-before)
		}
	}
	n, merging := 0, int64(0)
	if err := s.Merge(func(*ocsf.Event) error {
		if n++; n%20_000 == 0 {
			merging = max(merging, inUse()-before)
		}
		return nil
	}); err != nil || n != 200_000 {
		t.Fatalf("%d events, %v", n, err)
	}
	t.Logf("%.0f MB of events in %d runs: %.1f MB held while adding, %.1f MB while merging, budget %.1f MB",
		float64(bytes)/1e6, len(s.runs), float64(most)/1e6, float64(merging)/1e6, budget/1e6)
	if most > budget*5/4 {
		t.Errorf("%d bytes held while adding, budget %d", most, budget)
	}
	if limit := int64(budget + len(s.runs)*4*spillBlock); merging > limit {
		t.Errorf("%d bytes held while merging, limit %d", merging, limit)
	}
}

func TestBombEqualLinesWithoutEndAreNotHeld(t *testing.T) {
	s := NewSorter(t.TempDir(), 1<<20)
	defer s.Close()
	for i := range 100_000 {
		if err := s.Add(event("a.log", i, 0, "", "the same line again and again")); err != nil {
			t.Fatal(err)
		}
	}
	before, most, n := inUse(), int64(0), 0
	if err := s.Merge(func(*ocsf.Event) error {
		if n++; n%10_000 == 0 {
			most = max(most, inUse()-before)
		}
		return nil
	}); err != nil || n != 100_000 {
		t.Fatalf("%d events, %v", n, err)
	}
	if most > int64(len(s.runs)*4*spillBlock) {
		t.Errorf("%d bytes held for %d runs", most, len(s.runs))
	}
}

func BenchmarkSorter(b *testing.B) {
	events := many(50_000, 8)
	for _, c := range []struct {
		name   string
		budget int
	}{{"in memory", 0}, {"spilled", 2 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			begin := cpu()
			for b.Loop() {
				s := NewSorter(b.TempDir(), c.budget)
				for _, e := range events {
					if err := s.Add(e); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.Merge(func(*ocsf.Event) error { return nil }); err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
			b.ReportMetric(float64(b.N)*float64(len(events))/(cpu()-begin).Seconds(), "events/CPU-s")
		})
	}
}

// cpu returns the processor time of this process, since the clock on the wall says little on a shared machine.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
