package enumeration

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

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
	maxAhead    = 4096           // of one tenant in one window, beside those of partners; beyond, they are only counted
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

// place is a source's key in little room, as its tenant numbers trusts.
type place struct {
	who      [16]byte // address, or hash of the account
	trust    uint16   // 0 for none
	account  bool
	approved bool
}

// place returns where a source stands.
func (ts *tenantState) place(k sourceKey) place {
	p := place{approved: k.Approved}
	if k.Trust != "" {
		n, known := ts.trustNumbers[k.Trust]
		if !known {
			n = uint16(min(len(ts.trustNumbers)+1, 1<<16-1)) // nobody declares as many
			ts.trustNumbers[k.Trust] = n
			ts.trustIDs = append(ts.trustIDs, k.Trust)
		}
		p.trust = n
	}
	if k.Addr.IsValid() {
		p.who = k.Addr.As16()
		return p
	}
	p.account = true
	p.who = xxh3.HashString128(k.Account).Bytes()
	return p
}

// key returns the key of a source that is held.
func (ts *tenantState) key(p place) sourceKey {
	k := sourceKey{Approved: p.approved}
	if p.trust > 0 {
		k.Trust = ts.trustIDs[p.trust-1]
	}
	if p.account {
		k.Account = ts.accounts[p.who]
	} else {
		k.Addr = netip.AddrFrom16(p.who).Unmap()
	}
	return k
}

// peek returns a source that is held, or nil, and numbers no trust.
func (ts *tenantState) peek(k sourceKey) *source {
	if _, known := ts.trustNumbers[k.Trust]; !known && k.Trust != "" {
		return nil
	}
	return ts.sources[ts.place(k)]
}

// put holds a source.
func (ts *tenantState) put(k sourceKey, s *source) {
	p := ts.place(k)
	if p.account {
		ts.accounts[p.who] = k.Account
	}
	ts.sources[p] = s
}

// drop forgets a source. The account's name stays while the other of the two that an approval may make of it does.
func (ts *tenantState) drop(p place) {
	delete(ts.sources, p)
	if !p.account {
		return
	}
	for q := range ts.trustIDs {
		for _, other := range [...]bool{false, true} {
			if _, held := ts.sources[place{p.who, uint16(q + 1), true, other}]; held {
				return
			}
		}
	}
	for _, other := range [...]bool{false, true} {
		if _, held := ts.sources[place{p.who, 0, true, other}]; held {
			return
		}
	}
	delete(ts.accounts, p.who)
}

// source is what is remembered of one source. Most do a little that is daily life, so that what an intruder's needs
// stands behind pointers.
type source struct {
	Last    int64 // nanoseconds
	Kinds   []kindState
	recent  *recent  // nil where nothing was asked within ten minutes, and while an episode is open
	Episode *episode // nil while nothing is found
	Class   class
}

// recent is what a source did within ten minutes of which nothing is told yet.
type recent struct {
	Ahead  []*ocsf.Event // the first
	Before int           // events since the first of Ahead
}

// kindState is one kind of act of one source.
type kindState struct {
	Things []thing
	past   *past   // nil before there was a second day
	Today  dayPeak // of the count within a window
	Long   dayPeak // of the count within a day, where the kind has one
	At     uint32  // seconds of the last act
	Kind   kind
	Level  level // at the last act
	Beyond bool  // more than the habit, at the last act
}

// past are the days before the one at hand.
type past struct{ Days, Long []dayPeak }

// habit is that of the count within a window, and long that of the count within a day.
func (x *kindState) habit() habit {
	if x.past == nil {
		return habit{Today: x.Today}
	}
	return habit{x.Today, x.past.Days}
}

func (x *kindState) long() habit {
	if x.past == nil {
		return habit{Today: x.Long}
	}
	return habit{x.Long, x.past.Long}
}

// keep takes both back.
func (x *kindState) keep(days, long habit) {
	x.Today, x.Long = days.Today, long.Today
	if x.past == nil {
		if len(days.Past) == 0 && len(long.Past) == 0 {
			return
		}
		x.past = &past{}
	}
	x.past.Days, x.past.Long = days.Past, long.Past
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
		grown := make([]kindState, 0, len(s.Kinds)+1) // and no more, since nearly all have few
		s.Kinds = append(append(append(grown, s.Kinds[:i]...), kindState{Kind: k}), s.Kinds[i:]...)
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
	s := ts.sources[ts.place(key)]
	if s == nil {
		if len(ts.sources) >= maxSources {
			ts.forget()
		}
		s = &source{Class: c, Last: at}
		ts.put(key, s)
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
		a := aged{ts.key(k), s.Last, 0}
		for i := range s.Kinds {
			if s.Kinds[i].past != nil {
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
		ts.drop(ts.place(a.key))
		delete(ts.active, a.key)
	}
	ts.waiting = slices.DeleteFunc(ts.waiting, func(w waiting) bool { return ts.sources[w.place] == nil })
}
