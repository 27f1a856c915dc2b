// Package beacon finds a host that comes back to one destination at even times, with equal sizes, hour after hour:
// what an implant does while it waits for orders (ATT&CK T1071), and what much honest software does too. The score is
// the one that RITA publishes (activecm/rita v5): the mean of how even intervals, sizes and hours are and how long it
// lasts. A beacon alone is told at informational or low; medium needs a destination that one single host of all
// tenants knows, which is new, and that lasts for hours.
//
// In: answered TCP and UDP flows, and TLS and HTTP requests with the destination's name, of all tenants in event time.
// Out: a finding for each pair of source and destination service, growing under one id until the pair was silent for
// a day. Quiet stay: destinations of many hosts, sources that poll many hosts over a trust, names and time (DNS, NTP),
// and everything inside a house that no trust brings. What a declared trust explains is told as suppressed.
//
// A flow that several sensors saw within a second counts once. State is bounded: pairs that met hardly ever cost a
// glimpse and go first; those that repeat keep their newest intervals and the counts of a day.
package beacon

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of what is remembered.
const (
	MaxPairs        = 200_000             // pairs that hardly met
	MaxSeries       = 20_000              // pairs that meet again and again, at most 2.5 kB each
	MaxDestinations = 200_000             // whose users are counted
	MaxTenants      = 1 << 16             // that are told apart
	ForgetSeries    = 48 * time.Hour      // without a contact
	ForgetUsers     = 15 * 24 * time.Hour // a destination is remembered for once to twice as long
	maxRecent       = 1 << 16             // connections in which a second sensor's record is recognised
	recentFor       = 5000                // milliseconds, to twice as many
	duplicate       = 1000                // milliseconds between two sensors' records of one flow
	repeats         = 3                   // contacts from which a pair keeps its intervals
	maxHosts        = 64                  // hosts of a house that are counted
)

// Detector implements detect.Detector.
type Detector struct {
	model    *tenant.Model
	places   map[tenant.ID]*place
	ids      []tenant.ID // by number
	glimpses twofold[pairKey, glimpse]
	series   map[pairKey]*series
	polled   map[destKey]int // series of each source and service
	told     map[destKey]int // findings of each source, and of each tenant's Internet side
	users    twofold[destKey, users]
	recent   twofold[uint64, flown]
	swept    time.Time

	lastID    tenant.ID // whose place was asked for last
	lastPlace *place
	ranks     []ranked // working space of room
}

// place is what is known of a tenant.
type place struct {
	Number   uint16
	First    int64             // milliseconds since 1970 of its first flow
	Hosts    map[uint64]uint64 // hashes of hosts that talked outwards, at most maxHosts
	networks []netip.Prefix
	trusts   []*tenant.Trust // into the tenant
}

// users are those who contact one destination.
type users struct {
	First int64 // milliseconds since 1970
	Count uint32
	Hosts [common]uint32 // hashes of tenant and source
}

// flown is a connection seen a moment ago.
type flown struct{ At, Size int64 }

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	d := &Detector{model: ctx.Model, places: map[tenant.ID]*place{}, series: map[pairKey]*series{}, polled: map[destKey]int{}, told: map[destKey]int{},
		glimpses: newTwofold[pairKey, glimpse](), users: newTwofold[destKey, users](), recent: newTwofold[uint64, flown]()}
	return d
}

// Name returns "beacon".
func (d *Detector) Name() string { return "beacon" }

// Process looks at one event. One of before 1971 has no time.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	if e.Flow == nil && e.Dst.Domain == "" || !e.Src.IP.IsValid() || crowd(e.Src.IP) || e.Time.Year() < 1971 {
		return
	}
	if e.Flow != nil && e.Dst.IP.IsValid() {
		d.flow(e, emit)
	}
	if asks(e) {
		d.request(e, emit)
	}
}

// flow takes a connection.
func (d *Detector) flow(e *ocsf.Event, emit detect.Emit) {
	proto, ok := talked(e)
	if !ok || crowd(e.Dst.IP) || clockwork(e.Flow, e.Dst.Port) {
		return
	}
	p := d.place(e)
	if p == nil {
		return
	}
	w := wayOf(p.networks, e, false)
	if w == unseen {
		return
	}
	at := e.Time.UnixMilli()
	k := pairOf(p.Number, e, proto)
	h := k.hash(e.Src.Port, 'f')
	d.recent.age(at, recentFor)
	if d.again(h, at) {
		return
	}
	d.recent.put(h, flown{at, e.Flow.OrigBytes}, at, maxRecent)
	d.contact(p, k, w, at, e.Flow.OrigBytes, e, "", emit)
}

// again reports whether a record of the same connection was seen within a second.
func (d *Detector) again(h uint64, at int64) bool {
	x, known := d.recent.get(h)
	return known && at-x.At <= duplicate && x.At-at <= duplicate
}

// request takes a TLS or HTTP request whose destination has a name. Its size is the connection's, where that was seen.
func (d *Detector) request(e *ocsf.Event, emit detect.Emit) {
	p := d.place(e)
	if p == nil {
		return
	}
	name := strings.ToLower(strings.TrimSuffix(e.Dst.Domain, "."))
	if addr, err := netip.ParseAddr(name); err == nil {
		if !addr.IsValid() || e.Dst.IP.IsValid() {
			return // the connection's own record counts it
		}
	}
	at := e.Time.UnixMilli()
	w := wayOf(p.networks, e, !d.ofHouse(e.Tenant, name))
	if w != outward { // who asks from outside names the house
		return
	}
	addrs := pairOf(p.Number, e, tcp)
	if e.Flow != nil && strings.EqualFold(e.Flow.Proto, "udp") {
		addrs = pairOf(p.Number, e, udp)
	}
	d.recent.age(at, recentFor)
	h := addrs.hash(e.Src.Port, 'n')
	if d.again(h, at) {
		return
	}
	d.recent.put(h, flown{At: at}, at, maxRecent)
	size := int64(-1)
	if x, ok := d.recent.get(addrs.hash(e.Src.Port, 'f')); ok {
		size = x.Size
	} else if e.Flow != nil {
		size = e.Flow.OrigBytes
	}
	if s := d.series[addrs]; s != nil {
		s.Named++
	} else if g, ok := d.glimpses.get(addrs); ok {
		g.Named++
		d.glimpses.put(addrs, g, at, MaxPairs)
	}
	d.contact(p, addrs.byName(name), w, at, size, e, name, emit)
}

// ofHouse reports whether a name is declared as the tenant's own.
func (d *Detector) ofHouse(id tenant.ID, name string) bool {
	owner, _ := d.model.DomainOwner(name)
	return owner != "" && owner == id
}

// contact counts one contact of a pair, and scores the pair once an hour.
func (d *Detector) contact(p *place, k pairKey, w way, at, size int64, e *ocsf.Event, name string, emit detect.Emit) {
	p.First = min(p.First, at)
	d.use(p, k, w, at)
	s := d.series[k]
	if s == nil {
		g, known := d.glimpses.get(k)
		if !known || at-g.Last > dayMillis || g.Last-at > hourMillis {
			g = glimpse{First: at, Named: g.Named}
		}
		g.Last = max(g.Last, at)
		if g.Count++; g.Count < repeats {
			d.glimpses.put(k, g, at, MaxPairs)
			return
		}
		d.glimpses.drop(k)
		s = &series{First: g.First, Last: g.Last, Count: g.Count, Named: g.Named, Newest: at / quarter, Judged: at, Name: strings.Clone(name)}
		s.Quarters[s.Newest%quartersKept] = 1
		d.room()
		d.series[k] = s
		d.polled[k.source()]++
		return
	}
	if !s.add(at, size) {
		return
	}
	if name != "" {
		s.Addr = e.Dst.IP
	}
	if s.Told != nil && s.First > s.Told.End.UnixMilli() {
		d.forget(k, s) // it was silent for a day: another beginning is another finding
	}
	if at-s.Judged >= hourMillis {
		s.Judged = at
		d.judge(p, k, s, w, e, emit)
	}
}

// use notes who contacts a destination.
func (d *Detector) use(p *place, k pairKey, w way, at int64) {
	if w == inward {
		return
	}
	var id [18]byte
	binary.BigEndian.PutUint64(id[:], k.Src)
	binary.BigEndian.PutUint64(id[8:], k.SrcLow)
	binary.BigEndian.PutUint16(id[16:], p.Number)
	host := xxh3.Hash128(id[:])
	if len(p.Hosts) < maxHosts && w == outward {
		p.Hosts[host.Hi] = host.Lo
	}
	dest := k.destination(w == outward)
	u, young := d.users.Young[dest]
	if !young {
		var known bool
		if u, known = d.users.Old[dest]; !known {
			u.First = at
		}
	}
	h := uint32(host.Lo)
	if !slices.Contains(u.Hosts[:min(u.Count, common)], h) && u.Count < common {
		u.Hosts[u.Count] = h
		u.Count++
	} else if young {
		return
	}
	d.users.put(dest, u, at, MaxDestinations)
}

// place returns what is known of the event's tenant, or nil beyond the bound.
func (d *Detector) place(e *ocsf.Event) *place {
	if d.lastPlace != nil && d.lastID == e.Tenant {
		return d.lastPlace
	}
	p := d.places[e.Tenant]
	if p == nil {
		if len(d.ids) >= MaxTenants {
			return nil
		}
		p = &place{Number: uint16(len(d.ids)), First: e.Time.UnixMilli(), Hosts: map[uint64]uint64{}}
		d.ids = append(d.ids, e.Tenant)
		d.settle(e.Tenant, p)
	}
	d.lastID, d.lastPlace = e.Tenant, p
	return p
}

// settle gives a place what the model declares.
func (d *Detector) settle(id tenant.ID, p *place) {
	p.networks, p.trusts = house(d.model, id), d.model.TrustsInto(id)
	d.places[id] = p
}

// room drops the sixteenth of the series that matter least where there are too many: those that met hardly ever and
// were never told, the longest silent first.
func (d *Detector) room() {
	if len(d.series) < MaxSeries {
		return
	}
	d.ranks = d.ranks[:0]
	order := make([]uint64, 0, len(d.series))
	for k, s := range d.series {
		x := ranked{s.rank(), k}
		d.ranks, order = append(d.ranks, x), append(order, x.rank)
	}
	least := nth(order, MaxSeries/16-1)
	var equal []pairKey
	left := MaxSeries / 16
	for _, x := range d.ranks {
		switch {
		case x.rank < least:
			d.remove(x.key, d.series[x.key])
			left--
		case x.rank == least:
			equal = append(equal, x.key)
		}
	}
	slices.SortFunc(equal, comparePairs)
	for _, k := range equal[:left] {
		d.remove(k, d.series[k])
	}
}

func comparePairs(a, b pairKey) int {
	return cmp.Or(cmp.Compare(a.Meta, b.Meta), cmp.Compare(a.Src, b.Src), cmp.Compare(a.SrcLow, b.SrcLow), cmp.Compare(a.Dst, b.Dst), cmp.Compare(a.DstLow, b.DstLow))
}

func (d *Detector) remove(k pairKey, s *series) {
	d.forget(k, s)
	delete(d.series, k)
	lower(d.polled, k.source())
}

// forget lets go of the finding of a series.
func (d *Detector) forget(k pairKey, s *series) {
	if s.Told != nil {
		lower(d.told, k.teller(s.Way))
		s.Told = nil
	}
}

func lower(m map[destKey]int, k destKey) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

// Advance forgets what can't matter any more, once an hour.
func (d *Detector) Advance(now time.Time, _ detect.Emit) {
	if now.Sub(d.swept) < time.Hour {
		return
	}
	d.swept = now
	at := now.UnixMilli()
	d.glimpses.age(at, dayMillis)
	d.users.age(at, ForgetUsers.Milliseconds())
	d.recent.age(at, recentFor)
	limit := now.Add(-ForgetSeries).UnixMilli()
	for k, s := range d.series {
		if s.Last < limit {
			d.remove(k, s)
		}
	}
}

// Conclude has nothing to add: what is found is emitted at once.
func (d *Detector) Conclude(detect.Emit) {}

type snapshot struct {
	IDs      []tenant.ID
	Places   map[tenant.ID]*place
	Glimpses twofold[pairKey, glimpse]
	Keys     []pairKey
	Series   []*series
	Users    twofold[destKey, users]
	Recent   twofold[uint64, flown]
	Swept    time.Time
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	s := snapshot{IDs: d.ids, Places: d.places, Glimpses: d.glimpses, Users: d.users, Recent: d.recent, Swept: d.swept}
	for k := range d.series {
		s.Keys = append(s.Keys, k)
	}
	slices.SortFunc(s.Keys, comparePairs)
	for _, k := range s.Keys {
		s.Series = append(s.Series, d.series[k])
	}
	return detect.EncodeState(s)
}

// Restore takes what Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	var s snapshot
	if err := detect.DecodeState(bytes.Clone(b), &s); err != nil {
		return err
	}
	if len(s.Keys) != len(s.Series) || len(s.IDs) != len(s.Places) {
		return errors.New("restoring the beacon detector: the state is not whole; remove it to begin anew")
	}
	fresh := New(detect.Context{Model: d.model})
	fresh.ids, fresh.swept = s.IDs, s.Swept
	for id, p := range s.Places {
		if p.Hosts == nil {
			p.Hosts = map[uint64]uint64{}
		}
		fresh.settle(id, p)
	}
	fresh.glimpses, fresh.users, fresh.recent = s.Glimpses, s.Users, s.Recent
	fresh.glimpses.restore()
	fresh.users.restore()
	fresh.recent.restore()
	for i, k := range s.Keys {
		x := s.Series[i]
		fresh.series[k] = x
		fresh.polled[k.source()]++
		if x.Told != nil {
			fresh.told[k.teller(x.Way)]++
		}
	}
	*d = *fresh
	return nil
}
