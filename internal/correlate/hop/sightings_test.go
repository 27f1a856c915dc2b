package hop

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The table must hold what a map of the last maxSightings keys would hold, through collisions, growth and forgetting.
func TestSightingsAreTheLastOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	var s sightings
	want := map[sightKey]int64{}
	var order []sightKey
	drop := func(k sightKey) { delete(want, k) }
	for i := range int64(6 * maxSightings) {
		k := sightKey{src: [2]uint64{0, r.Uint64N(300)}, dst: [2]uint64{0, r.Uint64N(200)}, sport: uint16(r.IntN(4))}
		if i%5 == 0 {
			k = sightKey{id: string(rune('a' + r.IntN(900)))}
		}
		hash := s.hash(k)
		if r.IntN(60) == 0 {
			hash = hash&sightTag | hash%7 // many in one place
		}
		x := s.find(k, hash)
		at, held := want[k]
		if x == nil && held {
			// It may stand where its other hash leads.
			x = s.find(k, s.hash(k))
			if x == nil {
				x = s.find(k, s.hash(k)&sightTag|s.hash(k)%7)
			}
		}
		if held != (x != nil) || held && x.at != at {
			t.Fatalf("after %d: held is %v, found %+v", i, held, x)
		}
		if held {
			continue
		}
		s.add(sighting{key: k, hash: hash, at: i})
		if order = append(order, k); len(order) > maxSightings {
			drop(order[0])
			order = order[1:]
		}
		want[k] = i
		if i == 4*maxSightings {
			before := want[order[len(order)/2]]
			s.keep(func(x *sighting) bool { return x.at >= before })
			n := slices.IndexFunc(order, func(k sightKey) bool { return want[k] >= before })
			for _, k := range order[:n] {
				drop(k)
			}
			order = order[n:]
		}
	}
	got := s.inOrder()
	if len(got) != len(order) {
		t.Fatalf("%d are held, not %d", len(got), len(order))
	}
	for i := range got {
		if got[i].key != order[i] {
			t.Fatalf("place %d is %+v, not %+v", i, got[i].key, order[i])
		}
	}
}
