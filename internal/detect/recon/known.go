package recon

// known remembers what a source contacted: hosts, and services of hosts. It is a hash table with open
// addressing whose entries are one word each:
//
//	31 bits of hash │ 4 flags │ 3 bits of tries │ 26 bits of time in units of 4 s, modulo 8 years
//
// The zero word is an empty slot. It holds at most maxContacts; what finds no room is not remembered, and such
// a source has been seen to scan long before.
type known struct {
	slots  []uint64
	last   uint32 // when the source was last heard of, in units of 4 s since 1970; here, where it takes no room of its own
	used   uint16
	purged uint16 // when old contacts were last thrown away for want of room, in units of 4096 s, modulo 8 years
}

const (
	maxContacts = 8192
	smallTable  = 16                 // slots up to which every one may be taken: a search goes through few words whatever it meets
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
	purgedShift = 10
)

func when(ns int64) uint64 { return uint64(ns/4e9) & whenMask }

func age(word, now uint64) uint64 { return (now - word) & whenMask }

// lastUnit is what times of known.last are counted in; so they reach as far as nanoseconds of 64 bits do.
const lastUnit = 4 * second

func (k *known) heard(ns int64) { k.last = max(k.last, uint32(max(ns, 0)/lastUnit)) }

// idle is for how long nothing was heard of the source at a time, in nanoseconds, rounded up to lastUnit.
func (k *known) idle(at int64) int64 { return at - int64(k.last)*lastUnit }

// find returns the slot of a contact, or nil.
func (k *known) find(hash uint64) *uint64 {
	if k.used == 0 {
		return nil
	}
	mark := fingerprint(hash)
	i := k.place(mark)
	for far := 0; ; far++ {
		w := k.slots[i]
		if w&contactMask == mark && w != 0 {
			return &k.slots[i]
		}
		if w == 0 || k.far(w, i) < far {
			return nil
		}
		if i++; i == len(k.slots) {
			i = 0
		}
	}
}

// far is how many slots from its place on a word stands.
func (k *known) far(word uint64, i int) int {
	if i -= k.place(word); i < 0 {
		i += len(k.slots)
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
	young := func(w uint64) uint64 {
		if age(w&whenMask, when(now)) > contactTTL {
			return 0
		}
		return w
	}
	if k.used >= maxContacts && age(uint64(k.purged)<<purgedShift, when(now)) > contactTTL/8 {
		k.purged = uint16(when(now) >> purgedShift)
		k.rebuild(len(k.slots), young)
	}
	if k.used >= maxContacts {
		return nil, true
	}
	if !roomy(int(k.used)+1, len(k.slots)) {
		k.rebuild(larger(len(k.slots)), young)
	}
	return k.insert(fingerprint(hash) | when(now)), true
}

// roomy reports whether a table of that many slots may hold that many words: one in eight stays empty, save in small
// ones.
func roomy(used, slots int) bool {
	return used <= slots && (slots <= smallTable || used*8 <= slots*7)
}

// larger is the next size of a table. Sizes grow by steps and not by doubling, since nearly all tables are small and
// there are many; the small sizes are those that the allocator has, so that nothing is lost.
func larger(slots int) int {
	switch {
	case slots < 8:
		return slots + 2
	case slots < smallTable:
		return slots + 4
	}
	return slots*5/4 + 4
}

// place is where a word belongs; the next empty slot from there on takes it.
func (k *known) place(word uint64) int {
	return int((word >> contactBits) * uint64(len(k.slots)) >> (64 - contactBits))
}

// sound reports whether every word stands where find looks for it.
func (k *known) sound() bool {
	before := len(k.slots) - 1
	for i, w := range k.slots {
		if w != 0 && k.far(w, i) > 0 && (k.slots[before] == 0 || k.far(k.slots[before], before)+1 < k.far(w, i)) {
			return false
		}
		before = i
	}
	return true
}

// insert puts a word in. It takes the slot of one that stands nearer to its place, which moves on (Celis, Larson,
// Munro: Robin Hood hashing, 1985): so a search for what isn't there ends early, however full the table is.
func (k *known) insert(word uint64) *uint64 {
	k.used++
	var slot *uint64
	i := k.place(word)
	for far := 0; ; far++ {
		w := &k.slots[i]
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
		if i++; i == len(k.slots) {
			i = 0
		}
	}
}

// rebuild gives the table a new size and every word through keep, which returns 0 to drop it.
func (k *known) rebuild(size int, keep func(uint64) uint64) {
	old := k.slots
	k.slots, k.used = make([]uint64, size), 0
	for _, w := range old {
		if w == 0 {
			continue
		}
		if w = keep(w); w != 0 {
			k.insert(w)
		}
	}
}
