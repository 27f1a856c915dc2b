package beacon

import (
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Sizes of what is kept of a pair.
const (
	keepsIntervals = 256 // newest intervals and sizes
	quartersKept   = 100 // quarters of an hour that are counted: a day and an hour
	quarter        = int64(15 * time.Minute / time.Millisecond)
	hourMillis     = 4 * quarter
	dayMillis      = 24 * hourMillis
	shortestView   = 12 // hours over which a score is made at the least
)

// glimpse is all that is kept of a pair that has hardly met: 24 bytes.
type glimpse struct {
	First, Last int64 // milliseconds since 1970
	Count       uint32
	Named       uint32 // contacts whose destination's name another record told
}

// series is a pair that meets again and again.
type series struct {
	First, Last int64
	Count       uint32
	Named       uint32
	Told        *ocsf.Finding
	Gaps        []uint32 // newest intervals in milliseconds, a ring once it is full
	Sizes       []int32  // bytes sent with each; -1 where nobody tells
	Next        int      // place of the ring that is written next
	Quarters    [quartersKept]uint16
	Newest      int64  // number of the newest quarter since 1970
	Name        string // of the destination, where the pair is known by it
	Addr        netip.Addr
	Judged      int64 // when it was last scored
	Way         way   // of the finding
}

// add counts a contact at a time in milliseconds. One that lies before the last counts for nothing; where that last
// one lies hours ahead its time was wrong, and the series begins anew.
func (s *series) add(at, size int64) bool {
	gap := at - s.Last
	if gap < 0 {
		if -gap > hourMillis {
			s.First, s.Last, s.Count, s.Named = at, at, 1, 0
			s.Gaps, s.Sizes, s.Next = s.Gaps[:0], s.Sizes[:0], 0
			s.Quarters, s.Newest, s.Judged = [quartersKept]uint16{}, at/quarter, at
		}
		return false
	}
	if gap > dayMillis && s.Count > 0 { // what was a day ago says nothing of today's rhythm
		s.First, s.Gaps, s.Sizes, s.Next = at, s.Gaps[:0], s.Sizes[:0], 0
	} else {
		s.keep(uint32(gap), int32(max(-1, min(size, 1<<31-1))))
	}
	s.Last = at
	s.Count++
	s.tick(at / quarter)
	if n := &s.Quarters[s.Newest%quartersKept]; *n < 1<<16-1 {
		*n++
	}
	return true
}

func (s *series) keep(gap uint32, size int32) {
	if len(s.Gaps) < keepsIntervals {
		s.Gaps, s.Sizes = append(s.Gaps, gap), append(s.Sizes, size)
		return
	}
	s.Gaps[s.Next], s.Sizes[s.Next] = gap, size
	s.Next = (s.Next + 1) % keepsIntervals
}

// tick moves to a quarter of an hour.
func (s *series) tick(to int64) {
	switch {
	case to-s.Newest >= quartersKept:
		s.Quarters = [quartersKept]uint16{}
	default:
		for q := s.Newest + 1; q <= to; q++ {
			s.Quarters[q%quartersKept] = 0
		}
	}
	s.Newest = max(s.Newest, to)
}

// sample is what the last day shows, or the time since the tenant was first seen where that is less, but half a day
// at the least: a few even hours are no persistence. The hours end with the last contact's quarter.
func (s *series) sample(since int64) Sample {
	out := Sample{Intervals: make([]float64, len(s.Gaps))}
	for i, g := range s.Gaps {
		out.Intervals[i] = float64(g) / 1000
	}
	for _, n := range s.Sizes {
		if n >= 0 {
			out.Sizes = append(out.Sizes, float64(n))
		}
	}
	seen := min(24, max(shortestView, (s.Last-since+hourMillis/2)/hourMillis))
	out.Hours = make([]int, seen)
	for i := range seen {
		end := s.Newest - 4*(seen-1-i)
		for q := end - 3; q <= end; q++ {
			if q >= 0 {
				out.Hours[i] += int(s.Quarters[q%quartersKept])
			}
		}
	}
	view := float64(seen * hourMillis)
	out.Covered = min(1, float64(min(s.Last-s.First, dayMillis))/view)
	return out
}

// twofold is a memory in two halves: what is used goes to the young half, and when that is full or old it becomes the
// old one, and what nobody used since is forgotten. Unlike a search for the oldest entry this costs nothing in a
// flood and depends on no map's order.
type twofold[K comparable, V any] struct {
	Young, Old map[K]V
	Turned     int64 // when the halves last changed, in milliseconds
}

func newTwofold[K comparable, V any]() twofold[K, V] {
	return twofold[K, V]{Young: map[K]V{}, Old: map[K]V{}}
}

func (t *twofold[K, V]) get(k K) (v V, ok bool) {
	if v, ok = t.Young[k]; !ok {
		v, ok = t.Old[k]
	}
	return v, ok
}

// put stores a value in the young half, which holds at most half of most entries.
func (t *twofold[K, V]) put(k K, v V, at int64, most int) {
	if len(t.Young) >= most/2 {
		if _, known := t.Young[k]; !known {
			t.turn(at)
		}
	}
	t.Young[k] = v
}

func (t *twofold[K, V]) drop(k K) {
	delete(t.Young, k)
	delete(t.Old, k)
}

// age turns the halves where they were not turned for a time. A turn that lies ahead was made by a wrong clock.
func (t *twofold[K, V]) age(at, every int64) {
	if t.Turned > at {
		t.Turned = at
	}
	if at-t.Turned >= every {
		if at-t.Turned >= 2*every {
			clear(t.Young)
		}
		t.turn(at)
	}
}

func (t *twofold[K, V]) turn(at int64) {
	t.Old, t.Young, t.Turned = t.Young, make(map[K]V, min(len(t.Young), 1024)), at
}

func (t *twofold[K, V]) restore() {
	if t.Young == nil {
		t.Young = map[K]V{}
	}
	if t.Old == nil {
		t.Old = map[K]V{}
	}
}
