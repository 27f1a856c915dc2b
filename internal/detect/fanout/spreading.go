package fanout

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// touch is one act of an identity on one thing.
type touch struct {
	At     time.Time
	Tenant tenant.ID
	What   string      // the tenant, host or person that was touched
	User   string      // the account, lower case, where an address touches
	Event  *ocsf.Event // nil where the same thing was touched half a window before or later: events are large
}

// spreading is one identity with what it touched of late, and its habit.
type spreading struct {
	Of      pattern
	Kind    ocsf.EntityType
	Value   string
	Partner tenant.PartnerID
	Note    string // what the finding shows beside the value
	Known   bool   // what spreads was seen before, by anybody
	Warm    bool   // when it began to spread, the detector had hardly seen anything
	Touches []touch
	Habit   habit
	Burst   *burst
	Last    int64
	counts  map[string]int    // touches of each thing in the window
	tenants map[tenant.ID]int // touches at each tenant in the window
	people  map[string]int    // touches by each account in the window, of an address
	shown   map[string]int64  // when the last touch of each thing was that has its event, in nanoseconds
}

// burst is a spread that goes on: from the oldest touch of the window that was too much until a window passes
// without one that is.
type burst struct {
	Start, Last time.Time
	Most        int // things within a window
	Tenants     int // tenants within a window, at most
	Highest     int // habit when it began
	Usual       int
	Learned     bool
	All         map[string]bool   // everything touched since the start, at most maxSprayed
	Here        map[tenant.ID]int // of these, at each tenant
	Findings    map[tenant.ID]*ocsf.Finding
}

// pattern numbers what spreads over what. The numbers are stored.
type pattern uint8

const (
	overTenants pattern = iota + 1
	overMailboxes
	overHosts       // of one tenant
	overHostsOfMany // of several tenants
	ofScript        // one script or file over hosts
)

// rule is what is peculiar to a pattern.
type rule struct {
	window time.Duration
	ripe   func(s *spreading, n int) bool
	begin  func(s *spreading, e *ocsf.Event) *ocsf.Finding // a new finding for the tenant of an event
	add    func(d *Detector, f *ocsf.Finding, t *touch)    // what a touch adds beside the evidence
	finish func(s *spreading, f *ocsf.Finding)             // severity and reason
}

func (p pattern) rule() *rule {
	switch p {
	case overTenants:
		return &tenantsRule
	case overMailboxes:
		return &mailboxesRule
	case overHosts:
		return &hostsRule
	case overHostsOfMany:
		return &hostsOfManyRule
	default:
		return &scriptRule
	}
}

func (s *spreading) count() {
	s.counts, s.tenants = map[string]int{}, map[tenant.ID]int{}
	if s.Kind == ocsf.EntityIP {
		s.people = map[string]int{}
	}
	s.shown = map[string]int64{}
	for i := range s.Touches {
		s.into(&s.Touches[i])
	}
}

// into counts a touch that comes into the window, and leave one that leaves it.
func (s *spreading) into(t *touch) {
	s.counts[t.What]++
	s.tenants[t.Tenant]++
	if s.Kind == ocsf.EntityIP {
		s.people[t.User]++
	}
	if t.Event != nil {
		s.shown[t.What] = t.At.UnixNano()
	}
}

func (s *spreading) leave(t *touch) {
	if subtract(s.counts, t.What); s.counts[t.What] == 0 {
		delete(s.shown, t.What)
	}
	subtract(s.tenants, t.Tenant)
	if s.Kind == ocsf.EntityIP {
		subtract(s.people, t.User)
	}
}

// named is the part of an identity's key that its finding's id needs.
func (s *spreading) named() []string {
	return []string{string(s.Partner), string(s.Kind), s.Value}
}

// touched counts a touch in the sliding window, and begins, continues or ends a burst. The first word of a burst is
// said at once; what follows is told by Advance.
func (d *Detector) touched(s *spreading, e *ocsf.Event, what string, emit detect.Emit) {
	r, now := s.Of.rule(), e.Time.Unix()
	if s.counts == nil {
		s.count()
	}
	if b := s.Burst; b != nil && e.Time.Sub(b.Last) > r.window {
		d.release(s, emit)
		s.Burst = nil
	}
	if n := len(s.Touches); n > 0 && s.Touches[n-1].At.Sub(e.Time) > time.Hour { // a clock was ahead
		d.release(s, emit)
		s.Touches, s.Burst = nil, nil
		s.count()
	}
	first := 0
	for before := e.Time.Add(-r.window); first < len(s.Touches) && s.Touches[first].At.Before(before); {
		first++
	}
	first = max(first, len(s.Touches)+1-maxTouches)
	for i := range s.Touches[:first] {
		s.leave(&s.Touches[i])
	}
	clear(s.Touches[:first])
	t := touch{At: e.Time, Tenant: e.Tenant, What: what, Event: e}
	if s.Kind == ocsf.EntityIP {
		t.User = strings.ToLower(e.User.Name)
	}
	if at, again := s.shown[what]; again && e.Time.UnixNano()-at < int64(r.window/2) {
		t.Event = nil
	}
	s.Touches = append(s.Touches[first:], t)
	s.into(&t)
	s.Last = max(s.Last, now)
	n := len(s.counts)
	s.Habit.age(now)
	s.Habit.see(now, n)
	ripe := r.ripe(s, n)
	switch b := s.Burst; {
	case b == nil && !ripe:
	case b == nil:
		s.begin(d)
		s.tell(d, emit)
	default:
		if ripe {
			b.Last = e.Time
		}
		b.Most, b.Tenants = max(b.Most, n), max(b.Tenants, len(s.tenants))
		s.grow(d, &t)
		d.hold(s)
	}
}

// begin makes a burst of the window.
func (s *spreading) begin(d *Detector) {
	s.Burst = &burst{Start: s.Touches[0].At, Last: s.Touches[len(s.Touches)-1].At, Most: len(s.counts), Tenants: len(s.tenants), Highest: s.Habit.highest(), Usual: s.Habit.usual(),
		Learned: s.Habit.learned(), All: map[string]bool{}, Here: map[tenant.ID]int{}, Findings: map[tenant.ID]*ocsf.Finding{}}
	for i := range s.Touches {
		s.grow(d, &s.Touches[i])
	}
}

// grow adds a touch to the finding of its tenant.
func (s *spreading) grow(d *Detector, t *touch) {
	b, r := s.Burst, s.Of.rule()
	if len(b.All) < maxSprayed && !b.All[t.What] {
		b.All[t.What] = true
		b.Here[t.Tenant]++
	}
	f := b.Findings[t.Tenant]
	if f == nil {
		if len(b.Findings) >= maxTouches || t.Event == nil {
			return
		}
		f = r.begin(s, t.Event)
		f.Tenant, f.Detector, f.Outcome = t.Tenant, "fanout", ocsf.OutcomeUnknown
		f.Identify(b.Start, s.named()...)
		b.Findings[t.Tenant] = f
	}
	if t.Event == nil {
		f.Count++
		f.End = maxTime(f.End, t.At)
		return
	}
	f.Trust, f.Partner, f.Layer = t.Event.Trust, t.Event.Partner, t.Event.Layer
	f.AddEvidence(t.Event)
	if len(f.Entities) < maxEntities {
		r.add(d, f, t)
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// maxEntities is where a finding stops to name addresses, hosts and people.
const maxEntities = 40

// tell emits what every tenant of the burst may know.
func (s *spreading) tell(_ *Detector, emit detect.Emit) {
	for _, id := range slices.Sorted(maps.Keys(s.Burst.Findings)) {
		f := s.Burst.Findings[id].Clone()
		s.Of.rule().finish(s, f)
		emit(f)
	}
}

// idle lets go of what no window holds any more, and reports whether the identity is forgotten as a whole. What was
// held back has been told before.
func (s *spreading) idle(now time.Time) bool {
	last := time.Unix(s.Last, 0)
	if now.Sub(last) > s.Of.rule().window+time.Minute && len(s.Touches) > 0 {
		s.Touches, s.Burst, s.counts, s.tenants, s.people, s.shown = nil, nil, nil, nil, nil, nil
	}
	return now.Sub(last) > ForgetAfter
}

// spreads returns the identity with that key, a new one of a pattern where it is not known.
func (d *Detector) spreads(of pattern, k actorKey, partner tenant.PartnerID, scope tenant.ID) *spreading {
	id := string(rune(of)) + string(scope) + "\x00" + string(partner) + "\x00" + string(k.kind) + "\x00" + k.value
	s := d.spreadings[id]
	if s == nil {
		detect.MakeRoom(d.spreadings, MaxKeys, func(s *spreading) int64 { return s.Last })
		s = &spreading{Of: of, Kind: k.kind, Value: strings.Clone(k.value), Partner: partner}
		d.spreadings[id] = s
	}
	return s
}

// subtract takes one out of a count.
func subtract[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}
