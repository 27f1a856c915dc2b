package recon

import "slices"

// known remembers what a source contacted: hosts, and services of hosts. It is a hash table with open
// addressing whose entries are one word each:
//
//	31 bits of hash │ 4 flags │ 3 bits of tries │ 26 bits of time in units of 4 s, modulo 8 years
//
// The zero word is an empty slot. It holds at most maxContacts; what finds no room is not remembered, and such
// a source has been seen to scan long before.
type known struct {
	Slots  []uint64
	Used   int
	Purged uint64 // when old contacts were last thrown away for want of room, in units of 4 s
}

const (
	maxContacts = 8192
	contactTTL  = 14 * 24 * 3600 / 4 // in units of 4 s

	flagOK      = 1 << 29 // it answered
	flagFailed0 = 1 << 30 // it failed in the episode at hand that nobody approved
	flagFailed1 = 1 << 31 // it failed in the approved episode at hand
	flagStale   = 1 << 32 // it fails as a matter of habit
	flagsFailed = flagFailed0 | flagFailed1
	triesShift  = 26
	triesMask   = 7 << triesShift
	whenMask    = 1<<26 - 1
	contactBits = 33
	contactMask = (1<<31 - 1) << contactBits
)

func when(ns int64) uint64 { return uint64(ns/4e9) & whenMask }

func age(word, now uint64) uint64 { return (now - word) & whenMask }

// find returns the slot of a contact, or nil.
func (k *known) find(hash uint64) *uint64 {
	if k.Used == 0 {
		return nil
	}
	mark := fingerprint(hash)
	i := k.place(mark)
	for far := 0; ; far++ {
		w := k.Slots[i]
		if w&contactMask == mark && w != 0 {
			return &k.Slots[i]
		}
		if w == 0 || k.far(w, i) < far {
			return nil
		}
		if i++; i == len(k.Slots) {
			i = 0
		}
	}
}

// far is how many slots from its place on a word stands.
func (k *known) far(word uint64, i int) int {
	if i -= k.place(word); i < 0 {
		i += len(k.Slots)
	}
	return i
}

// fingerprint is the part of a hash that an entry keeps; it is never 0.
func fingerprint(hash uint64) uint64 {
	if f := hash & contactMask; f != 0 {
		return f
	}
	return 1 << contactBits
}

// put returns the slot of a contact and whether it is new. It returns nil where there is no room.
func (k *known) put(hash uint64, now int64) (slot *uint64, fresh bool) {
	if w := k.find(hash); w != nil {
		return w, false
	}
	if k.Used >= maxContacts && age(k.Purged, when(now)) > contactTTL/8 {
		k.Purged = when(now)
		k.rebuild(len(k.Slots), func(w uint64) uint64 {
			if age(w&whenMask, when(now)) > contactTTL {
				return 0
			}
			return w
		})
	}
	if k.Used >= maxContacts {
		return nil, true
	}
	if !roomy(k.Used+1, len(k.Slots)) {
		k.rebuild(len(k.Slots)*5/4+4, func(w uint64) uint64 {
			if age(w&whenMask, when(now)) > contactTTL {
				return 0
			}
			return w
		})
	}
	return k.insert(fingerprint(hash) | when(now)), true
}

// roomy reports whether a table of that many slots may hold that many words: one in eight stays empty.
func roomy(used, slots int) bool { return used*8 <= slots*7 }

// place is where a word belongs; the next empty slot from there on takes it. Tables grow by a quarter, not by
// doubling, since nearly all are small and there are many.
func (k *known) place(word uint64) int {
	return int((word >> contactBits) * uint64(len(k.Slots)) >> (64 - contactBits))
}

// sound reports whether every word stands where find looks for it.
func (k *known) sound() bool {
	before := len(k.Slots) - 1
	for i, w := range k.Slots {
		if w != 0 && k.far(w, i) > 0 && (k.Slots[before] == 0 || k.far(k.Slots[before], before)+1 < k.far(w, i)) {
			return false
		}
		before = i
	}
	return true
}

// insert puts a word in. It takes the slot of one that stands nearer to its place, which moves on (Celis, Larson,
// Munro: Robin Hood hashing, 1985): so a search for what isn't there ends early, however full the table is.
func (k *known) insert(word uint64) *uint64 {
	k.Used++
	var slot *uint64
	i := k.place(word)
	for far := 0; ; far++ {
		w := &k.Slots[i]
		at := *w
		if at == 0 || k.far(at, i) < far {
			if *w = word; slot == nil {
				slot = w
			}
			if at == 0 {
				return slot
			}
			word, far = at, k.far(at, i)
		}
		if i++; i == len(k.Slots) {
			i = 0
		}
	}
}

// rebuild gives the table a new size and every word through keep, which returns 0 to drop it.
func (k *known) rebuild(size int, keep func(uint64) uint64) {
	old := slices.Clone(k.Slots)
	k.Slots, k.Used = make([]uint64, size), 0
	for _, w := range old {
		if w == 0 {
			continue
		}
		if w = keep(w); w != 0 {
			k.insert(w)
		}
	}
}
