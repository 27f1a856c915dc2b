package attribute

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MaxSession is how long a session without an end is believed to last.
const MaxSession = 24 * time.Hour

// LongestSession is how long a session may last by its own end record, and a DHCP lease until its renewal; where
// the end comes later than that, it is taken for another session's.
const LongestSession = 7 * MaxSession

// sameStart is how far two start records of one session may lie apart: products log several.
const sameStart = 2 * time.Minute

// grace is how far the clocks of the session log and of the sensor may lie apart.
const grace = time.Second

// Sessions remembers who held which address when, per tenant, as VPN, DHCP, RMM and NAT records tell. Learn may
// come in any order; Holder knows what was learned before the last Seal or Refresh. Seal is for one run over all that
// there is; Refresh takes in what came since and says whose past it changed.
type Sessions struct {
	mu       sync.Mutex
	fresh    []learned // since the last Seal or Refresh
	marks    map[holderKey][]mark
	logons   map[holderKey][]mark // logons of partners' accounts from addresses that are not the tenant's own
	unplaced map[sourceKey][]mark // records that name a session and no address: its end, or who opened it

	named  map[sourceKey]map[holderKey]bool   // addresses on which a source names a session so
	placed map[sourceKey]map[holderKey][]mark // ends without an address, where they belong
	sealed map[holderKey][]interval
	shown  map[holderKey][]interval
	ends   map[endKey][]interval // of sessions that unplaced tells of, the lowest address first

	nat     map[tenant.ID]*translated
	maxNAT  int             // MaxTranslations, save in tests
	touched map[natKey]bool // outside addresses with fresh translations
	asking  sync.Mutex      // guards asked: it is written to while others ask
	asked   map[question]int64
}

// learned is a mark on its way to where it belongs.
type learned struct {
	mark
	on     holderKey
	source sourceKey // of a record without an address
	logon  bool
}

// holderKey names an address. DHCP stands apart from the rest: it tells which device has the address and not who
// uses it, so neither ends what the other began.
type holderKey struct {
	tenant tenant.ID
	addr   netip.Addr
	dhcp   bool
}

type mark struct {
	at     time.Time
	id     ocsf.EventID
	lease  ocsf.Lease
	lasted time.Duration // how long the session was, by its end record; 0 where that says nothing
}

type interval struct {
	from, to time.Time
	lease    ocsf.Lease
	source   string    // the session's id as its source gives it; empty where it gives none
	ended    bool      // by its own end record
	until    time.Time // to which the last record of it says that it lasts; zero where none says so
}

// NewSessions returns an empty store.
func NewSessions() *Sessions {
	return &Sessions{marks: map[holderKey][]mark{}, logons: map[holderKey][]mark{}, unplaced: map[sourceKey][]mark{},
		named: map[sourceKey]map[holderKey]bool{}, placed: map[sourceKey]map[holderKey][]mark{},
		sealed: map[holderKey][]interval{}, shown: map[holderKey][]interval{}, ends: map[endKey][]interval{},
		nat: map[tenant.ID]*translated{}, maxNAT: MaxTranslations, touched: map[natKey]bool{}, asked: map[question]int64{}}
}

// Learn takes the lease of an event and its translation, if it has one. A lease with an id that is neither start nor end is one more
// record of the start if it has an address, and says who opened the session if it has none. Learn may be called by
// several goroutines.
func (s *Sessions) Learn(e *ocsf.Event) {
	if e.NAT != nil {
		s.mu.Lock()
		s.learnTranslation(e.Tenant, e)
		s.mu.Unlock()
	}
	if e.Lease == nil {
		return
	}
	m := learned{mark: mark{at: e.Time.UTC(), id: e.ID, lease: own(*e.Lease)}}
	l := &m.lease
	if l.End && e.Flow != nil {
		m.lasted = max(e.Flow.Duration, 0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case located(l) && (l.Start || l.End || l.ID != ""):
		l.Start = l.Start || !l.End
		m.on = holderKey{tenant.ID(strings.Clone(string(e.Tenant))), l.Addr.Unmap(), l.Kind == "dhcp"}
		s.fresh = append(s.fresh, m)
	case !located(l) && l.ID != "" && !l.Start:
		m.source = sourceKey{tenant.ID(strings.Clone(string(e.Tenant))), l.ID}
		s.fresh = append(s.fresh, m)
	}
}

// own returns a lease whose strings hold no event's memory.
func own(l ocsf.Lease) ocsf.Lease {
	for _, s := range [...]*string{&l.Kind, &l.ID, &l.Holder.Name, &l.Holder.Domain, &l.Holder.UID, &l.Device} {
		*s = strings.Clone(*s)
	}
	return l
}

// Around is how long before its first and after its last logon an address is believed to be held by who logged
// on from it.
const Around = 30 * time.Minute

// LearnLogon takes a logon of a partner's account from an address outside the tenant's own networks: where no
// gateway's log names the holder of a pool address, who logs on from it does.
func (s *Sessions) LearnLogon(e *ocsf.Event) {
	m := learned{logon: true, on: holderKey{tenant: tenant.ID(strings.Clone(string(e.Tenant))), addr: e.Src.IP.Unmap()},
		mark: mark{at: e.Time.UTC(), id: e.ID, lease: own(ocsf.Lease{Kind: "logon", Addr: e.Src.IP, Holder: e.User, Device: e.Src.Host})}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh = append(s.fresh, m)
}

// spans joins the logons of one account from one address. An address has one holder at a time: the next
// account's logon ends the span of the one before it.
func spans(marks []mark) []interval {
	slices.SortFunc(marks, func(a, b mark) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.lease.Holder.Name, b.lease.Holder.Name), slices.Compare(a.id[:], b.id[:]))
	})
	var list []interval
	for _, m := range marks {
		x := interval{from: m.at.Add(-Around), to: m.at.Add(Around), lease: m.lease}
		if n := len(list); n > 0 && !x.from.After(list[n-1].to) {
			last := &list[n-1]
			if strings.EqualFold(last.lease.Holder.Name, m.lease.Holder.Name) {
				last.to = x.to
				merge(&last.lease, m.lease)
				continue
			}
			if last.to.After(m.at) {
				last.to = m.at
			}
			x.from = last.to
		}
		list = append(list, x)
	}
	return list
}

// compare orders records by time; an end comes before a start of the same second.
func (m mark) compare(b mark) int {
	if m.at.Equal(b.at) && m.lease.Start != b.lease.Start {
		if b.lease.Start {
			return -1
		}
		return 1
	}
	return cmp.Or(m.at.Compare(b.at), slices.Compare(m.id[:], b.id[:]))
}

// sessions pairs the start and end records of one address.
func sessions(k holderKey, marks []mark) []interval {
	slices.SortFunc(marks, mark.compare)
	marks = slices.CompactFunc(marks, func(a, b mark) bool { return a.at.Equal(b.at) && a.lease == b.lease })
	p := pairing{key: k}
	for len(marks) > 0 {
		n := 1
		for n < len(marks) && marks[n].at.Equal(marks[0].at) {
			n++
		}
		p.moment(marks[:n])
		marks = marks[n:]
	}
	p.bound()
	return p.list
}

// pairing is the sessions of one address so far.
type pairing struct {
	key  holderKey
	list []interval
}

// open returns the session that is still open, or nil.
func (p *pairing) open() *interval {
	if n := len(p.list); n > 0 && p.list[n-1].to.IsZero() {
		return &p.list[n-1]
	}
	return nil
}

// moment takes the records of one moment, ends first. An end that closes nothing older may be that of a session
// which began in the same second.
func (p *pairing) moment(marks []mark) {
	var left []mark
	for _, m := range marks {
		begins := func(o mark) bool { return o.lease.Start && o.lease.ID != "" && o.lease.ID == m.lease.ID }
		switch x := p.open(); {
		case m.lease.Start:
			p.start(m)
		case x != nil && p.ends(x, m.lease) && (m.lease.ID != "" && x.source == m.lease.ID || !slices.ContainsFunc(marks, begins)):
			x.to, x.ended = m.at, true
		default:
			left = append(left, m)
		}
	}
	for _, m := range left {
		x := p.open()
		if x == nil || !x.tells(m.lease) {
			continue
		}
		if x.from.Equal(m.at) || m.lease.ID != "" && x.source == m.lease.ID {
			x.to, x.ended = m.at, true
		}
	}
}

func (p *pairing) start(m mark) {
	x := p.open()
	if x != nil && x.tells(m.lease) && (m.at.Sub(x.from) < sameStart || p.renews(x, m)) {
		merge(&x.lease, m.lease) // a second record of the same session
		x.source = cmp.Or(x.source, m.lease.ID)
		x.lasts(m)
		return
	}
	if x != nil {
		x.to = m.at
		if !x.until.IsZero() && x.until.Before(m.at) && !p.key.dhcp {
			x.to = x.until
		}
	}
	p.list = append(p.list, interval{from: m.at, lease: identified(p.key, m), source: m.lease.ID})
	p.list[len(p.list)-1].lasts(m)
}

// renews reports whether a record says again what one of the open session said for a time that is not over: the
// next handshake of WireGuard, whose sessions have no other beginning or end.
func (p *pairing) renews(x *interval, m mark) bool {
	return !p.key.dhcp && m.lease.Lasts > 0 && !x.until.IsZero() && !m.at.After(x.until) && m.at.Sub(x.from) <= LongestSession &&
		(x.lease.Public == m.lease.Public || !m.lease.Public.IsValid())
}

// lasts takes in for how long a record says that the session lasts.
func (x *interval) lasts(m mark) {
	if until := m.at.Add(min(m.lease.Lasts, LongestSession)); m.lease.Lasts > 0 && until.After(x.until) {
		x.until = until
	}
}

// ends reports whether an end record is that of the open session, and not the late one of the session before it.
func (p *pairing) ends(x *interval, l ocsf.Lease) bool {
	if n := len(p.list); n > 1 && l.ID != "" && p.list[n-2].source == l.ID && x.source != l.ID {
		return false
	}
	return sameHolder(x.lease, l) || x.tells(l)
}

// bound ends what has no end of its own, or one that can't be its own.
func (p *pairing) bound() {
	for i := range p.list {
		x, longest := &p.list[i], MaxSession
		if x.ended || p.key.dhcp && !x.to.IsZero() {
			longest = LongestSession
		}
		fallback := x.from.Add(MaxSession)
		switch {
		case x.until.IsZero():
		case !p.key.dhcp:
			longest, fallback = max(longest, x.until.Sub(x.from)), x.until
		case x.until.After(fallback): // a renewal that goes past the sensor is no reason to believe a shorter one
			fallback = x.until
		}
		if !x.to.IsZero() && x.to.Sub(x.from) <= longest {
			continue
		}
		x.to, x.ended = fallback, false
		if i+1 < len(p.list) && p.list[i+1].from.Before(x.to) {
			x.to = p.list[i+1].from
		}
	}
}

// identified gives a session an id of our own, of tenant, kind, address and start: sources number theirs per
// gateway, or not at all.
func identified(k holderKey, m mark) ocsf.Lease {
	m.lease.ID = fmt.Sprintf("%s:%s:%s@%d", k.tenant, m.lease.Kind, k.addr, m.at.Unix())
	return m.lease
}

func sameHolder(a, b ocsf.Lease) bool {
	return strings.EqualFold(a.Holder.Name, b.Holder.Name) && sameDevice(a.Device, b.Device)
}

// tells reports whether a record may be of the session: its source names it so, or it names the holder and no
// other id.
func (x *interval) tells(l ocsf.Lease) bool {
	if l.ID != "" && x.source == l.ID {
		return sameDevice(x.lease.Device, l.Device)
	}
	return sameHolder(x.lease, l) && sameID(x.source, l.ID)
}

// sameID reports whether two ids of a source may name one session; one that names none says nothing.
func sameID(a, b string) bool { return a == b || a == "" || b == "" }

func merge(into *ocsf.Lease, l ocsf.Lease) {
	if !into.Public.IsValid() {
		into.Public = l.Public
	}
	if into.Device == "" {
		into.Device = l.Device
	}
}

// Holder returns the lease of an address at a time: who had a session on it, else who logged on from it, else
// the device that it was assigned to.
func (s *Sessions) Holder(id tenant.ID, addr netip.Addr, at time.Time) (ocsf.Lease, bool) {
	if len(s.sealed) == 0 && len(s.shown) == 0 {
		return ocsf.Lease{}, false
	}
	k := holderKey{tenant: id, addr: addr.Unmap()}
	if l, ok := holder(s.sealed[k], at); ok {
		return l, true
	}
	device, assigned := holder(s.sealed[holderKey{k.tenant, k.addr, true}], at)
	if l, ok := holder(s.shown[k], at); ok {
		l.Device = cmp.Or(l.Device, device.Device)
		return l, true
	}
	return device, assigned
}

// session returns the lease of the session that a lease record itself tells of, and completes the record.
func (s *Sessions) session(id tenant.ID, l *ocsf.Lease, at time.Time) (ocsf.Lease, bool) {
	if !located(l) {
		list := s.ends[endKey{sourceKey{id, l.ID}, at.UnixNano()}]
		if len(list) == 0 || !l.End {
			return ocsf.Lease{}, false
		}
		list[0].complete(l)
		return list[0].lease, true
	}
	list := s.sealed[holderKey{id, l.Addr.Unmap(), l.Kind == "dhcp"}]
	// At the moment in which one session follows another the record may be of either, and a late end is of the one before.
	for i, back := begun(list, at), 0; i >= 0 && back < 3; i, back = i-1, back+1 {
		x := list[i]
		if x.tells(*l) && (!at.After(x.to.Add(grace)) || x.source != "" && x.source == l.ID) {
			x.complete(l)
			return x.lease, true
		}
	}
	return ocsf.Lease{}, false
}

// begun returns the place of the last interval that had begun at the time; -1 where none had.
func begun(list []interval, at time.Time) int {
	return sort.Search(len(list), func(i int) bool { return list[i].from.After(at) }) - 1
}

// holder looks an address up with a second of grace on either side; a session that is really open comes first.
func holder(list []interval, at time.Time) (ocsf.Lease, bool) {
	i := begun(list, at)
	if i >= 0 && !at.After(list[i].to) {
		return list[i].lease, true
	}
	if i+1 < len(list) && list[i+1].from.Sub(at) <= grace {
		return list[i+1].lease, true
	}
	if i >= 0 && !at.After(list[i].to.Add(grace)) {
		return list[i].lease, true
	}
	return ocsf.Lease{}, false
}
