package recon

import (
	"net/netip"
	"slices"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// A source's failures lie in four lanes: approved or not, and UDP apart from the rest, since somebody else may stand
// behind the same address. The lane's lowest bit says that an approval covers it.
const (
	approved = 1
	overUDP  = 2
	lanes    = 4
)

func laneOf(approval *tenant.Approval, p proto) (lane int) {
	if approval != nil {
		lane = approved
	}
	if p == udp {
		lane |= overUDP
	}
	return lane
}

// failedFlag is what marks a contact that failed in the group at hand of the lane.
func failedFlag(lane int) uint64 { return flagFailed0 << (lane & approved) }

// source is one address as one trust brings it into one tenant. Most sources only ever do what is answered, so that
// what such a one needs stands here, and the rest behind a pointer.
type source struct {
	Known  known
	failed *failings // nil before the first failure
	Walks  [lanes]walks
	Trust  uint16 // as in its key
	Class  class
	Grown  bool // it is held among the tenant's sources, and not in a generation that goes
}

// failings is what is remembered of the failures of a source.
type failings struct {
	Groups [lanes]*group // nil while nothing failed
	Slow   slow
}

// failures returns where failures are remembered, to be changed.
func (s *source) failures() *failings {
	if s.failed == nil {
		s.failed = &failings{}
	}
	return s.failed
}

// groups returns the groups of failures, to be looked at.
func (s *source) groups() [lanes]*group {
	if s.failed == nil {
		return [lanes]*group{}
	}
	return s.failed.Groups
}

func (s *source) group(lane int) *group {
	if s.failed == nil {
		return nil
	}
	return s.failed.Groups[lane]
}

// slow returns what failed over days, to be looked at.
func (s *source) slow() slow {
	if s.failed == nil {
		return slow{}
	}
	return s.failed.Slow
}

// group is what failed with gaps of less than an hour: scans, and the habits of a poller with dead targets.
type group struct {
	Start, Last int64
	Answered    int // first contacts that were answered since the scan at hand began
	Early       []failure
	Scan        *episode   // at hand; nil while fewer than earlyMost pairs failed
	Scanned     bool       // one of them was a scan beyond doubt
	Told        []*episode // earlier scans that were told and are small enough to turn out a habit, at most maxTold
	Approval    *tenant.Approval
}

// episode is one scan: what failed at one pace, without a pause.
type episode struct {
	Start, Last int64
	LastEmit    int64
	Answered    int // first contacts that were answered since the start
	Fails       int // distinct pairs that failed
	Inside      int // of these, pairs whose host is not in the Internet
	Stale       int // of these, pairs that are retried as a habit
	Probes      int // of these, pairs whose handshake was cut as only scanners and health checks do
	Hosts       int // distinct hosts that failed
	Burst       int // distinct pairs that failed within five minutes, at most
	BucketStart int64
	Bucket      int
	WalkHosts   bool
	WalkPairs   bool
	Services    []serviceCount // failed hosts of each service, at most maxCounters
	Targets     []targetCount  // failed services of each host, at most maxCounters
	Count       int            // failed flows, retries too
	Again       int64          // the last retry after the scan was over; 0 none
	Pairs       []uint32       // hashes of the pairs, while there are at most staleMost
	Early       []failure      // all of them, while they are few: strays among them are cut off
	Evidence    []*ocsf.Event
	Approval    *tenant.Approval
	SlowStart   int64 // set where the episode speaks for days
	Level       level // highest so far
	Emitted     int   // fails at the last emission; 0 before the first
	Dirty       bool
}

// failure is one pair that failed, before anything is told.
type failure struct {
	Dst     [16]byte
	Time    int64
	Event   *ocsf.Event
	Hash    uint32
	Port    uint16
	Proto   proto
	Probed  bool
	Outside bool
	NewHost bool // the host failed for the first time
}

const (
	earlyMost     = 3  // pairs that are nothing yet
	earlyKept     = 24 // of which strays can still be cut off
	maxTold       = 4
	leastPause    = 15 * second // that ends a fast scan
	paceFactor    = 32          // a pause of that many times the scan's own pace ends it
	strayGap      = 45 * second // failures that far before the rest are none of the scan
	maxCounters   = 64          // hosts and services counted apart; beyond, the least of them gives way
	evidenceAhead = 4           // events kept before anything is found
	burstWindow   = 5 * 60 * 1e9
	staleTries    = 4  // regular retries that make a failing pair a habit
	staleSpacing  = 5  // units of 4 s between two tries that count
	staleMost     = 64 // pairs at most that may be a habit: nobody polls more dead ones for long
)

type serviceCount struct {
	Service service
	Hosts   int
}

type targetCount struct {
	Addr  netip.Addr
	Ports int
}

func (s *source) fired() bool {
	if s.failed == nil {
		return false
	}
	for _, g := range s.failed.Groups {
		if g != nil && (g.Scan != nil && g.Scan.Emitted > 0 || len(g.Told) > 0) {
			return true
		}
	}
	return false
}

func (s *source) open() bool { return s.failed != nil && s.failed.Groups != [lanes]*group{} }

// patience is how long a pause may be within the scan: many times its own pace, as far as one can be told.
func (g *group) patience() int64 {
	ep := g.Scan
	if ep == nil || ep.Fails <= earlyMost {
		return episodeGap
	}
	pace := (ep.Last - ep.Start) / int64(ep.Fails-1)
	return max(leastPause, min(paceFactor*pace, episodeGap))
}

// contact takes one contact into account.
func (d *Detector) contact(ts *tenantState, s *source, e *ocsf.Event, c *contact, emit detect.Emit) {
	hash := c.pairHash()
	pair, freshPair := s.Known.put(hash, c.time)
	if c.answer == answered {
		if pair != nil && *pair&flagOK != 0 { // by far the most
			*pair = *pair&^whenMask | when(c.time)
			return
		}
		d.success(s, e, c, pair, freshPair)
		return
	}
	if pair != nil && *pair&(flagOK|flagStale) != 0 {
		*pair = *pair&^whenMask | when(c.time)
		return
	}
	approval := d.approval(s, e, c)
	a := laneOf(approval, c.proto)
	if g := s.group(a); g != nil && c.time-g.Last > episodeGap {
		d.close(ts, s, a, emit)
		pair, _ = s.Known.put(hash, c.time) // closing rebuilds the table
		if pair != nil && *pair&flagStale != 0 {
			return
		}
	}
	g := s.group(a)
	if g == nil {
		g = &group{Start: c.time, Last: c.time, Approval: approval}
		s.failures().Groups[a] = g
		ts.active[sourceKey{c.src.As16(), s.Trust}] = s
	}
	pause := g.Scan != nil && c.time-g.Scan.Last > g.patience()
	flag := failedFlag(a)
	if pair != nil && *pair&flag != 0 && (!pause || g.Scan.small() || g.has(uint32(hash))) {
		d.retry(ts, s, a, c, pair, pause, emit)
		return
	}
	if pair != nil {
		*pair = (*pair|flag)&^(triesMask|whenMask) | 1<<triesShift | when(c.time)
	}
	if pause {
		d.endScan(ts, s, a, emit)
	}
	g.Last = c.time
	d.failure(ts, s, g, a, e, c, uint32(hash))
	d.judge(ts, s, a, emit)
}

// small reports whether the scan's pairs are few enough to be a poller's dead targets.
func (ep *episode) small() bool { return ep.Fails <= len(ep.Pairs) }

// has reports whether the pair belongs to a scan that was told and may be a habit.
func (g *group) has(hash uint32) bool {
	return slices.ContainsFunc(g.Told, func(ep *episode) bool { return slices.Contains(ep.Pairs, hash) })
}

// success moves the walks towards benign on first contacts.
func (d *Detector) success(s *source, e *ocsf.Event, c *contact, pair *uint64, freshPair bool) {
	if s.fired() {
		d.pending++
	}
	a := laneOf(d.approval(s, e, c), c.proto)
	if pair != nil {
		*pair |= flagOK
	}
	if freshPair {
		s.Walks[a].step(overServices, stepAnswered)
		if g := s.group(a); g != nil && (g.Scan == nil || c.time-g.Scan.Last <= g.patience()) {
			g.Answered++
		}
		if s.failed != nil {
			s.failed.Slow.answered(c.time)
		}
	}
	host, freshHost := s.Known.put(c.hostHash(), c.time)
	if host != nil {
		*host = *host&^whenMask | flagOK | when(c.time)
	}
	if freshHost {
		s.Walks[a].step(overHosts, stepAnswered)
	}
}

// failure counts a pair that failed for the first time.
func (d *Detector) failure(ts *tenantState, s *source, g *group, a int, e *ocsf.Event, c *contact, hash uint32) {
	if s.fired() {
		d.pending++
	}
	flag := failedFlag(a)
	host, freshHost := s.Known.put(c.hostHash(), c.time)
	firstFail := host == nil || *host&flag == 0
	neverMet := host == nil || *host&(flagsFailed|flagStale|flagOK) == 0
	again := !firstFail && age(*host, when(c.time)) > age(when(g.begun(c.time)), when(c.time)) // in an earlier scan
	if host != nil {
		*host = (*host|flag)&^whenMask | when(c.time)
	}
	f := failure{Dst: c.dst.As16(), Time: c.time, Hash: hash, Port: c.port, Proto: c.proto, Probed: c.answer == probed,
		Outside: s.Class == internal && outsideOf(d, e, c.dst), NewHost: firstFail || again, Event: e}
	if !s.Grown && g.Scan == nil && len(ts.young[young(sourceKey{trust: s.Trust})].fresh) > youngQuiet {
		f.Event = nil // in a flood nobody's first contacts are kept
	}
	var walkHosts, walkPairs bool
	if !f.Outside && !f.Probed {
		walkPairs = s.Walks[a].step(overServices, stepFailed)
		walkHosts = freshHost && s.Walks[a].step(overHosts, stepFailed)
		if a&approved == 0 && neverMet {
			s.failures().Slow.failed(c.time)
		}
	}
	if long := s.slow(); g.Scan == nil && len(g.Early) < earlyMost && !long.due() {
		g.Early = append(g.Early, f)
		return
	}
	if g.Scan == nil {
		g.Scan = g.begin(g.Early)
		g.Early = nil
	}
	ep := g.Scan
	f.Event = e
	ep.add(&f)
	ep.Answered = g.Answered
	ep.WalkHosts = ep.WalkHosts || walkHosts
	ep.WalkPairs = ep.WalkPairs || walkPairs
	if len(ep.Early) == ep.Fails-1 && ep.Fails <= earlyKept && ep.Level <= levelFew {
		ep.Early = append(ep.Early, f)
	} else {
		ep.Early = nil
	}
}

// begun is when the scan at hand began, at the latest now.
func (g *group) begun(now int64) int64 {
	switch {
	case g.Scan != nil:
		return g.Scan.Start
	case len(g.Early) > 0:
		return g.Early[0].Time
	}
	return now
}

// begin makes a scan of what failed so far.
func (g *group) begin(list []failure) *episode {
	ep := &episode{Start: g.Start, Approval: g.Approval, Early: make([]failure, 0, 2*len(list)+2)}
	for i := range list {
		if i == 0 {
			ep.Start = list[0].Time
		}
		ep.add(&list[i])
		ep.Early = append(ep.Early, list[i])
	}
	return ep
}

// add counts a pair that failed.
func (ep *episode) add(f *failure) {
	if ep.Fails == 0 {
		ep.Start, ep.BucketStart = f.Time, f.Time
	}
	ep.Fails++
	ep.Count++
	ep.Last = f.Time
	ep.Dirty = true
	if len(ep.Pairs) < staleMost {
		ep.Pairs = append(ep.Pairs, f.Hash)
	}
	if f.Event != nil && (len(ep.Evidence) < evidenceAhead || ep.Emitted > 0 && len(ep.Evidence) < ocsf.MaxEvidence) {
		ep.Evidence = append(ep.Evidence, f.Event)
	}
	if f.NewHost {
		ep.Hosts++
	}
	if f.Probed {
		ep.Probes++
	}
	dst := netip.AddrFrom16(f.Dst).Unmap()
	ep.countService(service{Proto: f.Proto, Port: f.Port, Outside: f.Outside})
	ep.countTarget(dst)
	if f.Outside {
		return // people reach many dead servers in the Internet: only the counts above speak
	}
	ep.Inside++
	if f.Time-ep.BucketStart > burstWindow {
		ep.BucketStart, ep.Bucket = f.Time, 0
	}
	ep.Bucket++
	ep.Burst = max(ep.Burst, ep.Bucket)
}

// split looks for a pause after which the scan goes on at a pace of its own: what failed before are strays, or another
// scan. It returns what came after as a scan, and its level, which may still be none; nil where there is no such pause.
func (g *group) split(s *source) (*episode, level) {
	old := g.Scan
	list := old.Early
	if len(list) < old.Fails {
		return nil, levelNone
	}
	for i := len(list) - 2; i > 0; i-- {
		gap := list[i].Time - list[i-1].Time
		pace := (list[len(list)-1].Time - list[i].Time) / int64(len(list)-1-i)
		if gap > strayGap && gap > paceFactor*pace {
			ep := g.begin(list[i:])
			ep.Answered, ep.WalkHosts, ep.WalkPairs = old.Answered, old.WalkHosts, old.WalkPairs
			return ep, ep.measure(s)
		}
	}
	return nil, levelNone
}

// retry counts a pair that failed again. Tries that keep coming at a distance are a habit.
func (d *Detector) retry(ts *tenantState, s *source, a int, c *contact, pair *uint64, pause bool, emit detect.Emit) {
	if s.fired() {
		d.pending++
	}
	g := s.group(a)
	g.Last = c.time
	ep := g.Scan
	if ep != nil && !pause {
		ep.Count++
		ep.Dirty = true
		ep.Last = c.time
	}
	if age(*pair, when(c.time)) < staleSpacing || a&approved != 0 {
		return
	}
	tries := (*pair & triesMask) >> triesShift
	*pair = *pair&^(triesMask|whenMask) | min(tries+1, 7)<<triesShift | when(c.time)
	if tries+1 < staleTries {
		return
	}
	*pair |= flagStale
	hash := uint32(c.pairHash())
	list := g.Told
	if ep != nil {
		list = append(list[:len(list):len(list)], ep)
	}
	for _, ep := range list {
		if ep.Stale < ep.Fails && slices.Contains(ep.Pairs, hash) {
			ep.Stale++
			ep.Again = c.time
			if ep.Level != levelNone && ep.habit() {
				ep.Dirty = true
				d.emit(ts, s, ep, a, emit)
			}
		}
	}
}

// retract takes back a failure: another sensor saw that the same flow was answered.
func (d *Detector) retract(s *source, c *contact) {
	if s.fired() {
		d.pending++
	}
	hash := c.pairHash()
	pair := s.Known.find(hash)
	if pair == nil || *pair&flagsFailed == 0 {
		return
	}
	a := laneOf(nil, c.proto)
	if *pair&flagFailed1 != 0 {
		a |= approved
	}
	*pair = *pair&^flagsFailed | flagOK
	s.Walks[a].step(overServices, stepAnswered-stepFailed)
	if s.failed != nil {
		s.failed.Slow.Fails = max(s.failed.Slow.Fails-1, 0)
	}
	if host := s.Known.find(c.hostHash()); host != nil && *host&flagOK == 0 {
		*host |= flagOK
		s.Walks[a].step(overHosts, stepAnswered-stepFailed)
	}
	g := s.group(a)
	if g == nil {
		return
	}
	g.Answered++
	is := func(f failure) bool { return f.Hash == uint32(hash) }
	if g.Scan == nil {
		g.Early = slices.DeleteFunc(g.Early, is)
		return
	}
	ep := g.Scan
	if ep.Fails == 0 {
		return
	}
	ep.Early = slices.DeleteFunc(ep.Early, is)
	ep.Pairs = slices.DeleteFunc(ep.Pairs, func(h uint32) bool { return h == uint32(hash) })
	ep.Fails--
	ep.Inside = max(ep.Inside-1, 0)
	ep.Bucket = max(ep.Bucket-1, 0)
	ep.Answered = g.Answered
	for i := range ep.Services {
		if x := &ep.Services[i]; x.Service.Proto == c.proto && x.Service.Port == c.port {
			x.Hosts--
		}
	}
	for i := range ep.Targets {
		if ep.Targets[i].Addr == c.dst {
			ep.Targets[i].Ports--
		}
	}
}

func outsideOf(d *Detector, e *ocsf.Event, a netip.Addr) bool { return d.tenant(e.Tenant).outside(a) }

func (ep *episode) countService(svc service) {
	least := 0
	for i := range ep.Services {
		switch x := &ep.Services[i]; {
		case x.Service == svc:
			x.Hosts++
			return
		case x.Hosts < ep.Services[least].Hosts:
			least = i
		}
	}
	if len(ep.Services) < maxCounters {
		ep.Services = append(ep.Services, serviceCount{svc, 1})
		return
	}
	ep.Services[least] = serviceCount{svc, 1} // never counts too many
}

func (ep *episode) countTarget(a netip.Addr) {
	least := 0
	for i := range ep.Targets {
		switch x := &ep.Targets[i]; {
		case x.Addr == a:
			x.Ports++
			return
		case x.Ports < ep.Targets[least].Ports:
			least = i
		}
	}
	if len(ep.Targets) < maxCounters {
		ep.Targets = append(ep.Targets, targetCount{a, 1})
		return
	}
	ep.Targets[least] = targetCount{a, 1}
}

// endScan ends the scan at hand, after which the next may begin: what it found is said for the last time.
func (d *Detector) endScan(ts *tenantState, s *source, a int, emit detect.Emit) {
	g := s.group(a)
	ep := g.Scan
	if ep.Dirty && ep.Emitted > 0 {
		d.emit(ts, s, ep, a, emit)
	}
	if ep.Emitted > 0 {
		s.failed.Slow = slow{}
		g.Scanned = g.Scanned || ep.Level >= levelBorderline && !ep.habit()
		if ep.small() {
			g.remember(ep)
		}
	}
	g.Scan, g.Early, g.Answered = nil, nil, 0
	s.Walks[a] = 0
}

// remember keeps a scan that was told, as its pairs may turn out a habit.
func (g *group) remember(ep *episode) {
	if len(g.Told) >= maxTold {
		g.Told = g.Told[1:]
	}
	ep.Early = nil
	g.Told = append(g.Told, ep)
}

// close ends a group. What failed in a scan is forgotten, so that the same scan is seen again; what failed here and
// there is remembered as failing.
func (d *Detector) close(ts *tenantState, s *source, a int, emit detect.Emit) {
	g := s.group(a)
	if g.Scan != nil {
		d.endScan(ts, s, a, emit)
	}
	scan := a&approved != 0 || g.Scanned
	flag := failedFlag(a)
	s.Known.rebuild(len(s.Known.slots), func(w uint64) uint64 {
		if w&flag == 0 {
			return w
		}
		w &^= flag
		if !scan {
			return w | flagStale
		}
		if w&(flagOK|flagsFailed|flagStale) == 0 {
			return 0
		}
		return w
	})
	s.failed.Groups[a] = nil
	if *s.failed == (failings{}) {
		s.failed = nil
	}
	s.Walks[a] = 0
}
