package recon

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A table must hold what a map would hold, however full it is, and stand in the same order after a restore.
func TestContactsAreFoundHoweverFullTheTableIs(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 5))
		k, want := known{}, map[uint64]bool{}
		many := 1 + r.IntN(600)
		if seed == 0 {
			many = 2 * maxContacts
		}
		hash := func() uint64 {
			if h := r.Uint64(); seed%2 == 0 {
				return h
			}
			return uint64(r.IntN(900))<<contactBits | uint64(r.IntN(2))<<63 // near each other, at both ends
		}
		for range many {
			h := hash()
			word, fresh := k.put(h, 1e18)
			if word == nil {
				if len(want) < maxContacts {
					t.Fatalf("no room for contact %d", len(want))
				}
				continue
			}
			if fresh == want[fingerprint(h)] || *word&contactMask != fingerprint(h) {
				t.Fatalf("contact %x: new is %v, the word is %x", h, fresh, *word)
			}
			want[fingerprint(h)] = true
		}
		if int(k.used) != len(want) || !k.sound() {
			t.Fatalf("%d of %d contacts are held, sound is %v", k.used, len(want), k.sound())
		}
		for h := range want {
			if w := k.find(h); w == nil || *w&contactMask != h {
				t.Fatalf("contact %x is not found", h)
			}
		}
		for range 1000 {
			if h := hash(); k.find(h) != nil != want[fingerprint(h)] {
				t.Fatalf("contact %x: found is %v", h, k.find(h) != nil)
			}
		}
		if before := slices.Clone(k.slots); len(before) > 1 {
			slices.Reverse(k.slots)
			if !k.sound() {
				k.rebuild(len(k.slots), func(w uint64) uint64 { return w })
			}
			for h := range want {
				if k.find(h) == nil {
					t.Fatalf("contact %x is not found in a table that was written in another order", h)
				}
			}
		}
	}
}
