package enumeration

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Windows and bounds of one source.
const (
	window      = 10 * 60        // seconds within which distinct things are counted
	longWindow  = 24 * 3600      // seconds of the long count, for those who are slow
	longFactor  = 4              // by which the limits of the long count are higher
	fastWindow  = 60             // seconds: what a program does and a person does not
	maxThings   = 256            // distinct things of one kind; beyond, the one asked longest ago gives way
	aheadEvents = 4              // events kept before anything is found
	sourceTTL   = 60 * dayLength // after which a source that is idle is forgotten
	maxSources  = 20_000         // of one tenant
)

// sourceKey is one source as one trust brings it; what an approval covers is a source of its own.
type sourceKey struct {
	Addr     netip.Addr
	Account  string
	Trust    tenant.TrustID
	Approved bool
}

func (k sourceKey) compare(o sourceKey) int {
	if c := cmp.Or(k.Addr.Compare(o.Addr), strings.Compare(k.Account, o.Account), strings.Compare(string(k.Trust), string(o.Trust))); c != 0 {
		return c
	}
	if k.Approved == o.Approved {
		return 0
	}
	if o.Approved {
		return -1
	}
	return 1
}

func (k sourceKey) name() string {
	if k.Addr.IsValid() {
		return k.Addr.String()
	}
	return k.Account
}

// source is what is remembered of one source.
type source struct {
	Class   class
	Last    int64 // nanoseconds
	Kinds   []kindState
	Ahead   []*ocsf.Event // the first of the last ten minutes
	Before  int           // events since the first of Ahead
	Episode *episode      // nil while nothing is found
}

// kindState is one kind of act of one source.
type kindState struct {
	Kind   kind
	Things []thing
	Habit  habit // of the count within a window
	Long   habit // of the count within a day, where the kind has one
	Level  level // at the last act
	At     int64 // seconds of the last act
	Beyond bool  // more than the habit, at the last act
}

// thing is something that was asked, with the second of the last time.
type thing struct {
	Hash uint32
	Last uint32
}

func seconds(ns int64) uint32 { return uint32(min(max(ns/1e9, 0), 1<<32-1)) }

func (s *source) state(k kind) *kindState {
	i, ok := slices.BinarySearchFunc(s.Kinds, k, func(x kindState, k kind) int { return cmp.Compare(x.Kind, k) })
	if !ok {
		s.Kinds = slices.Insert(s.Kinds, i, kindState{Kind: k})
	}
	return &s.Kinds[i]
}

// note keeps a thing that was asked at a second.
func (x *kindState) note(hash uint32, at uint32) {
	oldest := 0
	for i := range x.Things {
		if x.Things[i].Hash == hash {
			x.Things[i].Last = max(x.Things[i].Last, at)
			return
		}
		if x.Things[i].Last < x.Things[oldest].Last {
			oldest = i
		}
	}
	if n := len(x.Things); n >= maxThings || n > 0 && at > x.Things[oldest].Last && at-x.Things[oldest].Last > longWindow {
		x.Things[oldest] = thing{hash, at}
		return
	}
	x.Things = append(x.Things, thing{hash, at})
}

// drop forgets a thing that turned out to be no sign.
func (x *kindState) drop(hash uint32) {
	x.Things = slices.DeleteFunc(x.Things, func(t thing) bool { return t.Hash == hash })
}

// count returns how many distinct things were asked within so many seconds. What endpoints and sensors name apart
// is counted apart, and the larger count is returned.
func (x *kindState) count(at uint32, within uint32) int {
	var n [2]int
	for _, t := range x.Things {
		if t.Last >= at || at-t.Last <= within {
			n[t.Hash&1]++
		}
	}
	return max(n[0], n[1])
}

// source returns the state of an act's source, making room where the tenant has too many.
func (ts *tenantState) source(key sourceKey, c class, at int64) *source {
	s := ts.sources[key]
	if s == nil {
		if len(ts.sources) >= maxSources {
			ts.forget()
		}
		s = &source{Class: c, Last: at}
		ts.sources[key] = s
	}
	if at-s.Last > sourceTTL {
		delete(ts.active, key)
		*s = source{Class: c}
	}
	s.Last = max(s.Last, at)
	return s
}

// forget drops the half of the sources that was quiet longest, so that a flood does not search at each newcomer; those
// with a habit or an episode go last.
func (ts *tenantState) forget() {
	type aged struct {
		key  sourceKey
		last int64
		rank int
	}
	list := make([]aged, 0, len(ts.sources))
	for k, s := range ts.sources {
		a := aged{k, s.Last, 0}
		for i := range s.Kinds {
			if len(s.Kinds[i].Habit.Past) > 0 {
				a.rank = 1
			}
		}
		if s.Episode != nil {
			a.rank = 2
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b aged) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.last, b.last), a.key.compare(b.key))
	})
	for _, a := range list[:min(len(list), maxSources/2)] {
		delete(ts.sources, a.key)
		delete(ts.active, a.key)
	}
}
