package beacon

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestNthIsWhatSortingPutsThere(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for round := range 300 {
		list := make([]uint64, 1+r.IntN(400))
		for i := range list {
			switch round % 4 {
			case 0:
				list[i] = r.Uint64()
			case 1:
				list[i] = uint64(r.IntN(5))
			case 2:
				list[i] = uint64(i)
			default:
				list[i] = uint64(len(list) - i%7)
			}
		}
		sorted := slices.Sorted(slices.Values(list))
		n := r.IntN(len(list))
		if got := nth(slices.Clone(list), n); got != sorted[n] {
			t.Fatalf("place %d of %v is %d, not %d", n, list, got, sorted[n])
		}
	}
}

// What goes where there are too many is what sorting all of them would put first.
func TestRoomTakesTheSeriesThatMatterLeast(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	d := New(detect.Context{Model: &tenant.Model{}})
	for i := range MaxSeries {
		k := pairKey{Src: r.Uint64N(50), Dst: uint64(i), Meta: r.Uint64N(3)}
		s := &series{Last: 40e9 + r.Int64N(900), Count: uint32(r.IntN(2 * MinContacts))}
		if r.IntN(40) == 0 {
			s.Told = &ocsf.Finding{}
		}
		d.series[k] = s
	}
	class := func(s *series) int {
		switch {
		case s.Told != nil:
			return 2
		case s.Count < MinContacts:
			return 0
		}
		return 1
	}
	want := slices.SortedFunc(maps.Keys(d.series), func(a, b pairKey) int {
		x, y := d.series[a], d.series[b]
		return cmp.Or(cmp.Compare(class(x), class(y)), cmp.Compare(x.Last, y.Last), comparePairs(a, b))
	})
	d.room()
	if len(d.series) != MaxSeries-MaxSeries/16 {
		t.Errorf("%d series are left", len(d.series))
	}
	for i, k := range want {
		if _, left := d.series[k]; left != (i >= MaxSeries/16) {
			t.Fatalf("the series at place %d: kept is %v", i, left)
		}
	}
}
