package hop

import (
	"hash/maphash"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// sightings are the connections and sessions that were seen last, at most maxSightings; the oldest gives way. They are
// looked for once a flow, nearly always in vain: a table of one word each, half of it empty, answers that from the
// processor's cache, where a map of the keys would not fit. The hash is seeded, since who sends flows may be who wants
// them to collide.
type sightings struct {
	seed  maphash.Seed
	list  []sighting // a ring once it is full
	next  int        // the oldest, then
	words []uint64   // the upper half of a hash, and below it 1 and the place in the list; 0 is empty
}

type sighting struct {
	key     sightKey
	hash    uint64
	tenant  tenant.ID
	matched tenant.ID // who else saw it
	at      int64     // nanoseconds since 1970
	spoiled bool      // it came twice, so nobody can say which of the two the other side means
}

const (
	sightWords = 2 * maxSightings // a power of two
	sightTag   = 1<<64 - 1<<32
)

func (s *sightings) hash(k sightKey) uint64 {
	if s.words == nil {
		s.seed, s.words = maphash.MakeSeed(), make([]uint64, sightWords)
	}
	return maphash.Comparable(s.seed, k)
}

// find returns what was seen of the key, or nil. It may be changed until the next call of add.
func (s *sightings) find(k sightKey, hash uint64) *sighting {
	for i := hash % sightWords; s.words[i] != 0; i = (i + 1) % sightWords {
		if w := s.words[i]; w&sightTag == hash&sightTag {
			if x := &s.list[uint32(w)-1]; x.key == k {
				return x
			}
		}
	}
	return nil
}

// add takes one that isn't there.
func (s *sightings) add(x sighting) {
	at := s.next
	if len(s.list) < maxSightings {
		at = len(s.list)
		s.list = append(s.list, x)
	} else {
		s.drop(at)
		s.list[at], s.next = x, (s.next+1)%maxSightings
	}
	i := x.hash % sightWords
	for s.words[i] != 0 {
		i = (i + 1) % sightWords
	}
	s.words[i] = x.hash&sightTag | uint64(at+1)
}

// drop takes the word of a place out, and moves those behind it that would not be found any more (Knuth, The Art of
// Computer Programming 3, 6.4, Algorithm R).
func (s *sightings) drop(at int) {
	i := s.list[at].hash % sightWords
	for uint32(s.words[i]) != uint32(at+1) {
		i = (i + 1) % sightWords
	}
	for j := i; ; {
		s.words[i] = 0
		for {
			if j = (j + 1) % sightWords; s.words[j] == 0 {
				return
			}
			home := s.list[uint32(s.words[j])-1].hash % sightWords
			if (j-home)%sightWords >= (j-i)%sightWords {
				break
			}
		}
		s.words[i], i = s.words[j], j
	}
}

// keep forgets all but those for which keep is true.
func (s *sightings) keep(keep func(*sighting) bool) {
	old := s.inOrder()
	*s = sightings{}
	for i := range old {
		if x := &old[i]; keep(x) {
			x.hash = s.hash(x.key)
			s.add(*x)
		}
	}
}

// inOrder returns all, the oldest first.
func (s *sightings) inOrder() []sighting {
	return append(append(make([]sighting, 0, len(s.list)), s.list[s.next:]...), s.list[:s.next]...)
}
