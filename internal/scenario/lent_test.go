package scenario

import (
	"slices"
	"testing"
	"time"
)

// TestAGatewayLendsAnAddressToOneAtATime holds the VPN sessions of whole scenarios, the intruder's too, to what every
// gateway does: with one address for two people at once, the honest one's work would be the intruder's.
func TestAGatewayLendsAnAddressToOneAtATime(t *testing.T) {
	t.Parallel()
	beside := 0
	for seed := range uint64(4) {
		o := Options{Kind: "island-hop", Seed: seed + 1}
		k, err := o.normalise()
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(o, k)
		k.cast(w)
		w.equip()
		w.grow()
		w.declare()
		w.twins()
		w.carrier()
		w.conversations()
		k.plan(w)
		w.controls()
		for _, c := range w.clients {
			all := slices.Clone(w.lent[c])
			beside += len(all)
			for d := range w.o.Days {
				all = append(all, w.sessions(c, d)...)
			}
			for i, a := range all {
				for _, b := range all[:i] {
					if a.pool == b.pool && a.start.Before(b.end) && b.start.Before(a.end) {
						t.Errorf("seed %d, %s: %s–%s and %s–%s both hold address …%d", o.Seed, c.id,
							a.start.Format(time.DateTime), a.end.Format(time.TimeOnly), b.start.Format(time.DateTime), b.end.Format(time.TimeOnly), a.pool)
					}
				}
			}
		}
	}
	if beside == 0 {
		t.Fatal("no visit beside the background was written: the test looks at nothing")
	}
}
