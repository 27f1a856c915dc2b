package order

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func at(s int, name string) *ocsf.Event {
	e := &ocsf.Event{Time: time.Unix(1_780_000_000+int64(s), 0).UTC(), Device: name}
	Identify(e, []byte(name))
	return e
}

func names(list []*ocsf.Event) (out []string) {
	for _, e := range list {
		out = append(out, e.Device)
	}
	return out
}

func TestWindowLetsGoWhatHasSettled(t *testing.T) {
	var w Window
	w.Add(at(10, "b"), 1*time.Second)
	w.Add(at(5, "a"), 2*time.Second)
	w.Add(at(20, "d"), 2*time.Second)
	w.Add(at(9, "c"), 3*time.Second)
	if got := w.Release(500 * time.Millisecond); got != nil {
		t.Fatalf("nothing has settled, and %v left", names(got))
	}
	if got := fmt.Sprint(names(w.Release(1 * time.Second))); got != "[a c b]" {
		t.Errorf("with what settled goes what is earlier: %s", got)
	}
	if w.Len() != 1 {
		t.Errorf("%d wait", w.Len())
	}
	if got, ok := w.Oldest(); !ok || got != 2*time.Second {
		t.Errorf("the oldest came at %s", got)
	}
	if got := fmt.Sprint(names(w.Drain())); got != "[d]" {
		t.Errorf("drained %s", got)
	}
	if _, ok := w.Oldest(); ok {
		t.Error("an empty window has an oldest event")
	}
}

func TestWindowIsBounded(t *testing.T) {
	var w Window
	for i := range MaxWindow + 10 {
		w.Add(at(i, "x"), time.Duration(i))
	}
	if got := w.Release(-1); len(got) < 10 || w.Len() > MaxWindow {
		t.Errorf("%d left, %d wait", len(got), w.Len())
	}
}

func TestEventsSurviveEncoding(t *testing.T) {
	list := []*ocsf.Event{at(1, "a"), at(2, "b"), at(3, "c")}
	b, err := EncodeEvents(list)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeEvents(b)
	if err != nil || fmt.Sprint(names(got)) != "[a b c]" || got[1].ID != list[1].ID {
		t.Fatalf("%v %v", names(got), err)
	}
	for n := range len(b) {
		if got, err := DecodeEvents(b[:n]); err == nil && len(got) == 3 {
			t.Fatalf("cut at %d of %d, nothing is missing", n, len(b))
		}
	}
}

func TestSeenKnowsWhatCameBefore(t *testing.T) {
	s := NewSeen([16]byte{1}, 100)
	a, b := at(1, "a"), at(2, "b")
	if !s.First(a, PlaceOf(1, 0)) || s.First(a, PlaceOf(1, 1)) || s.First(a, PlaceOf(2, 0)) {
		t.Error("an event is first once")
	}
	if !s.First(a, PlaceOf(1, 0)) {
		t.Error("read again from its own place it is still the first")
	}
	if s.Repeats(b, PlaceOf(9, 9)) || !s.Repeats(a, PlaceOf(9, 9)) || s.Repeats(a, PlaceOf(1, 0)) {
		t.Error("Repeats")
	}
	restored := NewSeen([16]byte{1}, 100)
	snap := s.Snapshot()
	if err := restored.Restore(snap); err != nil || restored.First(a, PlaceOf(3, 0)) {
		t.Errorf("restored: %v", err)
	}
	for i := range snap {
		damaged := slices.Clone(snap)
		damaged[i] ^= 0x10
		if NewSeen([16]byte{1}, 100).Restore(damaged) == nil {
			t.Fatalf("a flipped bit in byte %d is not found", i)
		}
		if NewSeen([16]byte{1}, 100).Restore(snap[:i]) == nil {
			t.Fatalf("a cut at %d is not found", i)
		}
	}
}

func TestSeenIsBounded(t *testing.T) {
	s := NewSeen([16]byte{2}, 1000)
	id := func(i int) *ocsf.Event {
		var x ocsf.EventID
		r := rand.New(rand.NewPCG(7, uint64(i)))
		for k := range x {
			x[k] = byte(r.Uint32())
		}
		return &ocsf.Event{ID: x}
	}
	for i := range 10_000 {
		if !s.First(id(i), PlaceOf(uint64(i+1), 0)) {
			t.Fatalf("event %d is new and was taken for known", i)
		}
		if i >= 900 && s.First(id(i-900), PlaceOf(1<<30, 0)) {
			t.Fatalf("event %d of a generation ago was forgotten", i-900)
		}
	}
	if n := s.cur.used + s.prev.used; n > 2000 {
		t.Errorf("%d are held", n)
	}
}

func TestAKeyTellsEqualRecordsApart(t *testing.T) {
	line := []byte("the same line")
	plain, one, two, again := at(1, "x"), at(1, "x"), at(1, "x"), at(1, "x")
	Identify(plain, line)
	IdentifyIn(one, line, "s", "key-1", 1)
	IdentifyIn(two, line, "s", "key-1", 2)
	IdentifyIn(again, line, "s", "key-1", 1)
	if one.ID == two.ID || one.ID != again.ID || one.ID == plain.ID {
		t.Errorf("%s %s %s", one.ID, two.ID, again.ID)
	}
	if [8]byte(one.ID[:8]) != [8]byte(plain.ID[:8]) {
		t.Error("the order among events of one moment depends on the key")
	}
	one.SourceID = "CxyZ"
	IdentifyIn(one, line, "s", "key-1", 1)
	two.SourceID = "CxyZ"
	IdentifyIn(two, line, "s", "key-2", 7)
	if one.ID != two.ID {
		t.Error("the source's own id is the record's, whatever the request")
	}
}
