// Package recon finds reconnaissance in network flows: somebody asks many addresses or many ports, and most do
// not answer. In come events with a Flow; out come findings, one for each source and episode, that say by which
// signs the source was seen to scan.
//
//	flow ─ same flow of another sensor? ─ answered, failed or half seen ─ first contact of this source? ─┐
//	                                                                                                     ▼
//	        finding ◄─ verdict ◄─ episode: walk, hosts a port, ports a host, pairs in five minutes ◄─ evidence
//
// The signs are the threshold random walk of Jung, Paxson, Berger and Balakrishnan (IEEE S&P 2004, section 5),
// over destinations and over services, walking on after a benign verdict; failed hosts of one service; failed
// services of one host; failed pairs within five minutes; and failed hosts over days. A pair that answered once
// and a pair that fails again and again as a stale poller's do are no evidence. What an approval covers is kept
// apart, so that it is shown as approved and a scan that leaves it is a finding of its own.
//
// State is bounded: at most maxSources sources a tenant, maxContacts contacts a source. A source that is
// forgotten is judged anew. Nothing here fails on any event; an event without a flow is not looked at.
package recon

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const (
	maxSources = 100_000          // of one tenant
	sourceTTL  = 14 * 24 * hour   // after which an idle source is forgotten
	episodeGap = hour             // without new evidence, after which an episode is over
	hour       = int64(time.Hour) // all times below are nanoseconds since 1970
	purgeEvery = 6 * hour
	second     = int64(time.Second)
)

// Detector finds reconnaissance. It is a detect.Detector and a detect.Explainer.
type Detector struct {
	model     *tenant.Model
	approvals map[tenant.TrustID][]*tenant.Approval // by the trust they are of
	outgoing  map[tenant.ID][]*tenant.Approval      // by the tenant that is the partner
	tenants   map[tenant.ID]*tenantState
	seen      sightings
	nextClose int64 // no episode ends before
	nextPurge int64
	pending   uint64 // may have changed what Conclude says

	last *tenantState // of the event before
}

// tenantState is what is remembered of one tenant.
type tenantState struct {
	id       tenant.ID
	seed     uint64 // keeps its flows apart from those of other tenants
	networks []netip.Prefix
	trusts   map[tenant.TrustID]uint16 // small numbers for keys; 0 is no trust
	sources  map[sourceKey]*source     // those of which more than a few contacts are known
	young    [2]generations            // the others: those that no trust brings, and those of a trust
	active   map[sourceKey]*source     // those with an episode
	noise    *noise                    // of the day at hand; nil before the first
	flood    *flood                    // of the hour at hand; nil before the first
}

// sourceKey is one source as one trust brings it.
type sourceKey struct {
	addr  [16]byte
	trust uint16
}

func (k sourceKey) compare(o sourceKey) int {
	if c := slices.Compare(k.addr[:], o.addr[:]); c != 0 {
		return c
	}
	return cmp.Compare(k.trust, o.trust)
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	d := &Detector{model: ctx.Model, approvals: map[tenant.TrustID][]*tenant.Approval{},
		outgoing: map[tenant.ID][]*tenant.Approval{}, tenants: map[tenant.ID]*tenantState{}}
	if d.model == nil {
		d.model = &tenant.Model{}
	}
	for i := range d.model.Approvals {
		if a := &d.model.Approvals[i]; a.Kind == "scan" {
			d.approvals[a.Trust] = append(d.approvals[a.Trust], a)
			if t := d.model.Trust(a.Trust); t != nil {
				if p := d.model.Partner(t.Partner); p != nil && p.Tenant != "" {
					d.outgoing[p.Tenant] = append(d.outgoing[p.Tenant], a)
				}
			}
		}
	}
	return d
}

// Name returns "recon".
func (d *Detector) Name() string { return "recon" }

// Process looks at one flow.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	c, ok := contactOf(e)
	if !ok {
		return
	}
	ts := d.tenant(e.Tenant)
	before, again := d.seen.note(ts.seed, &c)
	if again && (before == c.answer || c.answer != answered) {
		return
	}
	switch class := ts.classify(e, c.src); class {
	case internet:
		if c.answer != answered && !again {
			d.pending++
			ts.internetProbe(d, e, &c, emit)
		}
	case ignored:
	default:
		if class == internal && c.proto != tcp && ts.outside(c.dst) {
			return // QUIC behind a firewall, NTP pools, pings of the Internet: no scan of this tenant
		}
		s := ts.source(e, &c, class)
		if again {
			d.retract(s, &c)
			return
		}
		d.contact(ts, s, e, &c, emit)
		ts.grow(s, &c)
	}
}

// Advance closes the episodes and days that no later event can extend, and forgets idle sources.
func (d *Detector) Advance(now time.Time, emit detect.Emit) {
	at := int64(1<<62 - 1)
	if now.Year() < 2100 {
		at = now.UnixNano()
	}
	if at >= d.nextClose {
		d.nextClose = at + episodeGap
		for _, id := range sortedKeys(d.tenants) {
			d.closeEpisodes(d.tenants[id], at, emit)
			d.tenants[id].closeNoise(d, at, emit)
			d.tenants[id].closeFlood(d, at, emit)
		}
	}
	if at >= d.nextPurge {
		d.nextPurge = at + purgeEvery
		for _, ts := range d.tenants {
			ts.all(func(k sourceKey, s *source) {
				if s.Known.idle(at) > sourceTTL {
					ts.drop(k)
				}
			})
		}
	}
}

// Conclude says of every open episode that was said before, and of the day's noise, what closing it would say.
func (d *Detector) Conclude(emit detect.Emit) {
	for _, id := range sortedKeys(d.tenants) {
		ts := d.tenants[id]
		keys := make([]sourceKey, 0, len(ts.active))
		for k := range ts.active {
			keys = append(keys, k)
		}
		slices.SortFunc(keys, sourceKey.compare)
		for _, k := range keys {
			s := *ts.active[k]
			for a, g := range s.groups() {
				if g == nil || g.Scan == nil || g.Scan.Emitted == 0 {
					continue
				}
				if g.Scan.Dirty {
					emit(d.finding(ts, &s, g.Scan, a))
				}
				s.failed = &failings{Groups: s.failed.Groups} // forgets the slow sum as closing the first does, before the second is closed
			}
		}
		if n := ts.noise; n != nil && n.untold() {
			emit(ts.noiseFinding(d))
		}
		if ts.flood.untold() {
			emit(ts.floodFinding(d))
		}
	}
}

// Pending counts what was learned of sources that something was said of, and the day's noise.
func (d *Detector) Pending() uint64 { return d.pending }

// closeEpisodes closes what ended, and learns when the next one can end.
func (d *Detector) closeEpisodes(ts *tenantState, at int64, emit detect.Emit) {
	var done []sourceKey
	for k, s := range ts.active {
		if !s.open() {
			delete(ts.active, k)
		}
		for _, g := range s.groups() {
			switch {
			case g == nil:
			case at-g.Last > episodeGap:
				done = append(done, k)
			default:
				d.nextClose = min(d.nextClose, g.Last+episodeGap+1)
			}
		}
	}
	slices.SortFunc(done, sourceKey.compare)
	for _, k := range slices.Compact(done) {
		s := ts.active[k]
		for a, g := range s.groups() {
			if g != nil && at-g.Last > episodeGap {
				d.close(ts, s, a, emit)
			}
		}
		if !s.open() {
			delete(ts.active, k)
		}
	}
}

func sortedKeys[V any](m map[tenant.ID]V) []tenant.ID {
	keys := make([]tenant.ID, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (d *Detector) tenant(id tenant.ID) *tenantState {
	if d.last != nil && d.last.id == id {
		return d.last
	}
	ts := d.tenants[id]
	if ts == nil {
		ts = &tenantState{id: id, seed: xxh3.HashString(string(id)), trusts: map[tenant.TrustID]uint16{}, sources: map[sourceKey]*source{}, active: map[sourceKey]*source{}}
		if t := d.model.Tenant(id); t != nil {
			ts.networks = t.Networks
		}
		d.tenants[id] = ts
	}
	d.last = ts
	return ts
}

// class is whose source it is.
type class uint8

const (
	ignored  class = iota
	partner        // comes through a trust
	internal       // the tenant's own
	foreign        // private space that nobody declared
	internet       // everybody else
)

func (ts *tenantState) classify(e *ocsf.Event, src netip.Addr) class {
	switch {
	case e.Trust != "" && e.Direction != ocsf.DirectionOut:
		return partner
	case within(ts.networks, src):
		return internal
	case src.IsPrivate() || src.IsLinkLocalUnicast() || src.IsLoopback():
		if len(ts.networks) == 0 {
			return internal
		}
		return foreign
	case e.Direction == ocsf.DirectionOut || e.Direction == ocsf.DirectionInternal:
		return internal
	}
	return internet
}

// outside reports whether an address lies in the Internet as this tenant sees it.
func (ts *tenantState) outside(a netip.Addr) bool {
	return !a.IsPrivate() && !a.IsLinkLocalUnicast() && !within(ts.networks, a)
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// source returns the state of the contact's source, making room for it where the tenant has too many.
func (ts *tenantState) source(e *ocsf.Event, c *contact, class class) *source {
	trust := uint16(0)
	if class == partner {
		var known bool
		if trust, known = ts.trusts[e.Trust]; !known {
			trust = uint16(min(len(ts.trusts)+1, 1<<16-1))
			ts.trusts[e.Trust] = trust
		}
	}
	key := sourceKey{c.src.As16(), trust}
	s := ts.find(key)
	if s == nil {
		s = &source{Class: class, Trust: trust}
		s.Known.heard(c.time)
		ts.young[young(key)].put(key, s, func(k sourceKey) { delete(ts.active, k) })
	}
	if s.Known.idle(c.time) > sourceTTL && !s.open() {
		delete(ts.active, key)
		*s = source{Class: class, Trust: trust, Grown: s.Grown}
	}
	s.Known.heard(c.time)
	return s
}

// young numbers the generations that a source begins in.
func young(k sourceKey) int { return min(int(k.trust), 1) }

func (ts *tenantState) find(k sourceKey) *source {
	if s := ts.sources[k]; s != nil {
		return s
	}
	return ts.young[young(k)].find(k)
}

// peek is find that leaves everything as it is.
func (ts *tenantState) peek(k sourceKey) *source {
	g := &ts.young[young(k)]
	for _, m := range [...]map[sourceKey]*source{ts.sources, g.fresh, g.old} {
		if s := m[k]; s != nil {
			return s
		}
	}
	return nil
}

// all calls f with every source; f may drop it.
func (ts *tenantState) all(f func(sourceKey, *source)) {
	for k, s := range ts.sources {
		f(k, s)
	}
	for i := range ts.young {
		ts.young[i].all(f)
	}
}

func (ts *tenantState) drop(k sourceKey) {
	delete(ts.sources, k)
	delete(ts.active, k)
	ts.young[young(k)].remove(k)
}

// grow takes a source out of the generations that come and go, once enough is known of it.
func (ts *tenantState) grow(s *source, c *contact) {
	if s.Grown || s.Known.used < grownUp && !s.fired() {
		return
	}
	k := sourceKey{c.src.As16(), s.Trust}
	if len(ts.sources) >= maxSources {
		ts.forget()
	}
	ts.young[young(k)].remove(k)
	ts.sources[k] = s
	s.Grown = true
}

// forget drops the eighth of the sources that was quiet longest; those that a trust brings, or that
// something is said of, go last.
func (ts *tenantState) forget() {
	type aged struct {
		last  uint32
		fired bool
		key   sourceKey
	}
	list := make([]aged, 0, len(ts.sources))
	for k, s := range ts.sources {
		list = append(list, aged{s.Known.last, s.fired() || s.Class == partner, k})
	}
	slices.SortFunc(list, func(a, b aged) int {
		if a.fired != b.fired {
			if b.fired {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.last, b.last), a.key.compare(b.key))
	})
	for _, a := range list[:min(len(list), maxSources/8)] {
		delete(ts.sources, a.key)
		delete(ts.active, a.key)
	}
}

// approval returns the approval that covers the contact, or nil. A partner whose telemetry we hold sees its own
// scan leave; what its client approved is approved there too.
func (d *Detector) approval(s *source, e *ocsf.Event, c *contact) *tenant.Approval {
	for _, a := range d.approvals[e.Trust] {
		if a.Covers("scan", e.Trust, c.src, c.dst, e.Time) {
			return a
		}
	}
	if s.Class == partner {
		return nil
	}
	for _, a := range d.outgoing[e.Tenant] {
		if a.Covers("scan", a.Trust, c.src, c.dst, e.Time) {
			return a
		}
	}
	return nil
}

// sightings remembers the flows of the last second, so that one that several sensors of a tenant see counts
// once. It is a table of fixed size: a collision only forgets.
type sightings [1 << 14]sighting

type sighting struct {
	hash   uint64
	time   int64
	answer answer
}

const sameFlow = second // between two sensors' records of one flow

// note remembers the contact. Where it was seen already, it returns how it ended then.
func (t *sightings) note(seed uint64, c *contact) (before answer, again bool) {
	var b [38]byte
	src, dst := c.src.As16(), c.dst.As16()
	copy(b[:], src[:])
	copy(b[16:], dst[:])
	binary.LittleEndian.PutUint16(b[32:], c.srcPort)
	binary.LittleEndian.PutUint16(b[34:], c.port)
	b[36] = byte(c.proto)
	h := xxh3.HashSeed(b[:], seed)
	s := &t[h%uint64(len(t))]
	if s.hash == h && c.time-s.time <= sameFlow && s.time-c.time <= sameFlow {
		before = s.answer
		if c.answer == answered {
			s.answer = answered
		}
		return before, true
	}
	*s = sighting{h, c.time, c.answer}
	return 0, false
}
