//go:build unix

package sigma

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// TestMatchesThatGoOnAreFoundAsBySearching holds the index of matches that go on to a search through the whole window.
func TestMatchesThatGoOnAreFoundAsBySearching(t *testing.T) {
	c := &Correlation{Type: EventCount, Timespan: 40}
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		tenant := &tenantWindows{}
		w := newWindow(c, tenant, "", nil)
		at := int64(0)
		for range 200 {
			at += int64(r.IntN(3))
			w.expire(at - int64(c.Timespan))
			k := ongoing{uint64(r.IntN(30)), r.IntN(2)}
			same := func(m inWindow) bool { return m.episode == k.episode && m.member == k.member }
			had := k.episode != 0 && slices.ContainsFunc(w.list, same)
			before := len(w.list)
			w.put(inWindow{at: at, episode: k.episode, member: k.member, weight: 1})
			if grew := len(w.list) > before; grew == had {
				t.Fatalf("a match that was there %v made the window grow %v", had, grew)
			}
			indexed := 0
			for i := range w.list {
				m := &w.list[i]
				if m.episode == 0 {
					continue
				}
				indexed++
				if got := w.find(ongoing{m.episode, m.member}); got != i {
					t.Fatalf("match %d was found at %d", i, got)
				}
			}
			if !slices.IsSortedFunc(w.list, func(a, b inWindow) int { return int(a.at - b.at) }) || len(w.ongoing) != indexed || tenant.matches != len(w.list) || w.events != len(w.list) {
				t.Fatalf("%d of %d indexed, %d counted, %d events in %v", len(w.ongoing), indexed, tenant.matches, w.events, w.list)
			}
		}
	}
}

// TestAFloodOfEpisodesCostsEachTheSame gives a correlation of correlations ever more groups that go on: what each costs
// must not grow with how many there are.
func TestAFloodOfEpisodesCostsEachTheSame(t *testing.T) {
	set := ruleSet(t, base+correlated("in", "type: event_count\nrules: [a]\ngroup-by: [User]\ntimespan: 1d\ncondition: {gte: 1}")+
		correlated("out", "type: event_count\nrules: [in]\ngroup-by: [Host]\ntimespan: 1d\ncondition: {gte: 60000}"))
	x := newCorrelator(set, func(hit) {})
	r := set.Rule("00000000-0000-4000-8000-00000000000a")
	slots := set.carried[r]
	n := 0
	part := func() time.Duration {
		before := cpuTime(t)
		for range 8_000 {
			n++
			at := day.Add(time.Duration(n) * time.Millisecond)
			x.begin(at.UnixNano())
			values := make([][]string, len(slots))
			for i := range values {
				values[i] = []string{"h"}
			}
			values[slices.Index(slots, set.slots.byName[canonical("User")])] = []string{fmt.Sprint(n)}
			x.match(r, &ocsf.Event{Tenant: "acme", Time: at}, &origin{r, slots, values})
		}
		return cpuTime(t) - before
	}
	first := part()
	for range 4 {
		part()
	}
	last := part()
	t.Logf("%v, %v", first, last)
	if last > 6*first+200*time.Millisecond {
		t.Errorf("the first 8,000 matches take %v, those behind 40,000 others %v", first, last)
	}
}
