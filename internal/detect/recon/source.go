package recon

import (
	"math"
	"net/netip"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The walk's parameters: how often a first contact of an honest source and of a scanner is answered, and the
// limits for a detection of 99 % at 1 % of false alarms (Jung et al. 2004, section 5).
const (
	honestAnswered  = 0.8
	scannerAnswered = 0.2
)

var (
	stepFailed   = float32(math.Log((1 - scannerAnswered) / (1 - honestAnswered)))
	stepAnswered = float32(math.Log(scannerAnswered / honestAnswered))
	walkLimit    = float32(math.Log(0.99 / 0.01))
)

// walk is the logarithm of a likelihood ratio. At the benign limit it starts again, so that what a source did
// honestly for hours does not cover what it begins to do.
type walk float32

func (w *walk) step(by float32) (scanner bool) {
	*w += walk(by)
	if *w <= -walk(walkLimit) {
		*w = 0
	}
	return *w >= walk(walkLimit)
}

// walks are a source's two walks.
type walks struct{ Hosts, Services walk }

// unapproved and approved number a source's two episodes.
const (
	unapproved = 0
	approved   = 1
)

// source is one address as one trust brings it into one tenant.
type source struct {
	Known    known
	Last     int64
	Class    class
	Trust    uint16 // as in its key
	Walks    [2]walks
	Episodes [2]*episode // nil while nothing failed
	Slow     slow
}

// episode is what failed with gaps of less than an hour.
type episode struct {
	Start, Last int64
	LastEmit    int64
	Answered    int // first contacts that were answered since the start
	Fails       int // distinct pairs that failed
	Inside      int // of these, pairs whose host is not in the Internet
	Stale       int // of these, pairs that are retried as a habit
	Hosts       int // distinct hosts that failed
	Burst       int // distinct pairs that failed within five minutes, at most
	BucketStart int64
	Bucket      int
	WalkHosts   bool
	WalkPairs   bool
	Services    []serviceCount // failed hosts of each service, at most maxCounters
	Targets     []targetCount  // failed services of each host, at most maxCounters
	Count       int            // failed flows, retries too
	Evidence    []*ocsf.Event
	Approval    *tenant.Approval
	SlowStart   int64 // set where the episode speaks for days
	Level       level // highest so far
	Emitted     int   // fails at the last emission; 0 before the first
	Dirty       bool
}

const (
	maxCounters   = 64 // hosts and services counted apart; beyond, the least of them gives way
	evidenceAhead = 4  // events kept before anything is found
	burstWindow   = 5 * 60 * 1e9
	staleTries    = 5  // regular retries that make a failing pair a habit
	staleSpacing  = 2  // units of 16 s between two tries that count
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
	for _, ep := range s.Episodes {
		if ep != nil && ep.Emitted > 0 {
			return true
		}
	}
	return false
}

func (s *source) open() bool { return s.Episodes[unapproved] != nil || s.Episodes[approved] != nil }

// contact takes one contact into account.
func (d *Detector) contact(ts *tenantState, s *source, e *ocsf.Event, c *contact, emit detect.Emit) {
	pair, freshPair := s.Known.put(c.pairHash(), c.time)
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
	a, approval := unapproved, d.approval(s, e, c)
	if approval != nil {
		a = approved
	}
	if ep := s.Episodes[a]; ep != nil && c.time-ep.Last > episodeGap {
		d.close(ts, s, a, emit)
		pair, _ = s.Known.put(c.pairHash(), c.time) // closing rebuilds the table
		if pair != nil && *pair&flagStale != 0 {
			return
		}
	}
	flag := uint64(flagFailed0) << a
	if pair != nil && *pair&flag != 0 {
		d.retry(ts, s, a, e, c, pair, emit)
		return
	}
	if pair != nil {
		*pair = (*pair|flag)&^(triesMask|whenMask) | 1<<triesShift | when(c.time)
	}
	ep := s.Episodes[a]
	if ep == nil {
		ep = &episode{Start: c.time, Last: c.time, BucketStart: c.time, Approval: approval}
		s.Episodes[a] = ep
		ts.active[sourceKey{c.src.As16(), s.Trust}] = s
	}
	d.failure(s, ep, a, e, c)
	d.judge(ts, s, a, emit)
}

// success moves the walks towards benign on first contacts.
func (d *Detector) success(s *source, e *ocsf.Event, c *contact, pair *uint64, freshPair bool) {
	if s.fired() {
		d.pending++
	}
	a := unapproved
	if d.approval(s, e, c) != nil {
		a = approved
	}
	if pair != nil {
		*pair |= flagOK
	}
	if freshPair {
		s.Walks[a].Services.step(stepAnswered)
		if ep := s.Episodes[a]; ep != nil {
			ep.Answered++
		}
		s.Slow.answered(c.time)
	}
	host, freshHost := s.Known.put(c.hostHash(), c.time)
	if host != nil {
		*host = *host&^whenMask | flagOK | when(c.time)
	}
	if freshHost {
		s.Walks[a].Hosts.step(stepAnswered)
	}
}

// failure counts a pair that failed for the first time in the episode.
func (d *Detector) failure(s *source, ep *episode, a int, e *ocsf.Event, c *contact) {
	if s.fired() {
		d.pending++
	}
	svc := service{Proto: c.proto, Port: c.port, Outside: s.Class == internal && outsideOf(d, e, c.dst)}
	flag := uint64(flagFailed0) << a
	host, freshHost := s.Known.put(c.hostHash(), c.time)
	firstFail := host == nil || *host&flag == 0
	if host != nil {
		*host = (*host|flag)&^whenMask | when(c.time)
	}
	ep.Fails++
	ep.Last = c.time
	ep.Dirty = true
	ep.add(e)
	if firstFail {
		ep.Hosts++
	}
	ep.countService(svc)
	ep.countTarget(c.dst)
	if svc.Outside {
		return // people reach many dead servers in the Internet: only the counts above speak
	}
	ep.Inside++
	if c.time-ep.BucketStart > burstWindow {
		ep.BucketStart, ep.Bucket = c.time, 0
	}
	ep.Bucket++
	ep.Burst = max(ep.Burst, ep.Bucket)
	if c.answer == probed {
		return
	}
	if s.Walks[a].Services.step(stepFailed) {
		ep.WalkPairs = true
	}
	if freshHost && s.Walks[a].Hosts.step(stepFailed) {
		ep.WalkHosts = true
	}
	if a == unapproved && firstFail {
		s.Slow.failed(c.time)
	}
}

func outsideOf(d *Detector, e *ocsf.Event, a netip.Addr) bool { return d.tenant(e.Tenant).outside(a) }

// retry counts a pair that failed again. Tries that keep coming at a distance are a habit; the first of them
// hold the episode open, a habit does not.
func (d *Detector) retry(ts *tenantState, s *source, a int, e *ocsf.Event, c *contact, pair *uint64, emit detect.Emit) {
	if s.fired() {
		d.pending++
	}
	ep := s.Episodes[a]
	if ep == nil {
		return
	}
	ep.Count++
	ep.Dirty = true
	ep.Last = c.time
	if age(*pair, when(c.time)) < staleSpacing || a == approved {
		return
	}
	tries := (*pair & triesMask) >> triesShift
	*pair = *pair&^(triesMask|whenMask) | min(tries+1, 7)<<triesShift | when(c.time)
	if tries+1 >= staleTries && ep.Stale < ep.Fails {
		*pair |= flagStale
		ep.Stale++
		d.judge(ts, s, a, emit)
	}
}

// retract takes back a failure: another sensor saw that the same flow was answered.
func (d *Detector) retract(s *source, c *contact) {
	if s.fired() {
		d.pending++
	}
	pair := s.Known.find(c.pairHash())
	if pair == nil || *pair&flagsFailed == 0 {
		return
	}
	a := unapproved
	if *pair&flagFailed1 != 0 {
		a = approved
	}
	*pair = *pair&^flagsFailed | flagOK
	s.Walks[a].Services.step(stepAnswered - stepFailed)
	s.Slow.Fails = max(s.Slow.Fails-1, 0)
	if host := s.Known.find(c.hostHash()); host != nil && *host&flagOK == 0 {
		*host |= flagOK
		s.Walks[a].Hosts.step(stepAnswered - stepFailed)
	}
	ep := s.Episodes[a]
	if ep == nil || ep.Fails == 0 {
		return
	}
	ep.Fails--
	ep.Inside = max(ep.Inside-1, 0)
	ep.Bucket = max(ep.Bucket-1, 0)
	ep.Answered++
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

func (ep *episode) add(e *ocsf.Event) {
	ep.Count++
	if len(ep.Evidence) < evidenceAhead || ep.Emitted > 0 && len(ep.Evidence) < ocsf.MaxEvidence {
		ep.Evidence = append(ep.Evidence, e)
	}
}

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

// close ends an episode: what it found is said for the last time. What failed in a scan is forgotten, so that
// the same scan is seen again; what failed here and there is remembered as failing.
func (d *Detector) close(ts *tenantState, s *source, a int, emit detect.Emit) {
	ep := s.Episodes[a]
	if ep.Dirty && ep.Emitted > 0 {
		d.emit(ts, s, a, emit)
	}
	scan := a == approved || ep.Level >= levelBorderline && !ep.habit()
	flag := uint64(flagFailed0) << a
	s.Known.rebuild(len(s.Known.Slots), func(w uint64) uint64 {
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
	s.Episodes[a] = nil
	s.Walks[a].Hosts, s.Walks[a].Services = 0, 0
	if ep.Emitted > 0 {
		s.Slow = slow{}
	}
}

// slow adds up what failed over days: a sum that halves every two days.
type slow struct {
	Fails, OK float32
	At, Start int64
}

const slowHalfLife = 48 * hour

func (w *slow) decay(now int64) {
	if now > w.At && w.At != 0 {
		f := float32(math.Exp2(-float64(now-w.At) / float64(slowHalfLife)))
		w.Fails *= f
		w.OK *= f
	}
	w.At = now
}

func (w *slow) answered(now int64) {
	if w.Fails > 0 {
		w.decay(now)
		w.OK++
	}
}

func (w *slow) failed(now int64) {
	w.decay(now)
	if w.Fails < 0.5 {
		w.Start, w.OK = now, 0
	}
	w.Fails++
}
