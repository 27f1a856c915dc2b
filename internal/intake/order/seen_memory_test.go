package order

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// A server runs for months: once both generations are full, remembering more events takes no more memory.
func TestSeenStaysAsLargeAsItIs(t *testing.T) {
	const size = 5000
	s, n := NewSeen([16]byte{1}, size), uint64(0)
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	add := func(count int) {
		for range count {
			n++
			e := &ocsf.Event{Time: at}
			binary.BigEndian.PutUint64(e.ID[:], n)
			if !s.First(e, PlaceOf(n, 0)) {
				t.Fatalf("event %d is taken for one that came before", n)
			}
		}
	}
	add(2*size + 1)
	for round := range 10 {
		before := len(s.cur.slots) + len(s.prev.slots)
		add(size / 2)
		if after := len(s.cur.slots) + len(s.prev.slots); round > 1 && after != before {
			t.Errorf("after %d events the tables have %d slots, before they had %d", n, after, before)
		}
		for back := range uint64(size) { // what is within one generation is always known
			e := &ocsf.Event{Time: at}
			binary.BigEndian.PutUint64(e.ID[:], n-back)
			if s.First(e, PlaceOf(n+1, 0)) {
				t.Fatalf("event %d, %d events ago, is not known", n-back, back)
			}
		}
		forgotten := &ocsf.Event{Time: at}
		binary.BigEndian.PutUint64(forgotten.ID[:], n-2*size-1)
		if s.Repeats(forgotten, PlaceOf(n+1, 0)) {
			t.Errorf("event %d of two generations ago is still known: the table was not emptied", n-2*size-1)
		}
	}
}
