package enumeration

import (
	"cmp"
	"slices"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// level is how much a count or a combination of kinds says.
type level uint8

const (
	levelNone level = iota
	levelHint       // counts beside others
	levelFew        // more than daily work
	levelMany       // what a tool does
)

// The limits of breadth and of time.
const (
	breadthFew, breadthMany = 7, 11 // points of the kinds that one source shows within a window
	breadthKinds            = 3     // at least
	warmUp                  = 3 * dayLength
	episodeGap              = hour      // without another sign, after which an episode is over
	episodeMost             = dayLength // after which an episode is told anew
	maxTargets              = 20
	maxActors               = 3
	maxTechniques           = 6 // of one kind
	maxObjects              = 5 // examples of one kind in the reason
)

// rate says how much a count says; habit is what the source is used to.
func (t *trait) rate(n, factor, allowed int) level {
	switch {
	case n <= allowed || n < t.hint*factor:
		return levelNone
	case t.many > 0 && n >= t.many*factor:
		return levelMany
	case n >= t.few*factor:
		return levelFew
	}
	return levelHint
}

// episode is what one source did with gaps of less than an hour.
type episode struct {
	Start, Last int64 // nanoseconds
	Kinds       []kindPeak
	Breadth     int // most points at once
	Warm        bool
	Age         int64 // since when the tenant was watched, in nanoseconds
	ForOthers   bool  // the source answers others' questions for names
	Targets     []ocsf.Entity
	Actors      []string
	Evidence    []*ocsf.Event
	Count       int
	Granted     bool // a secret or a zone was given
	Approval    *tenant.Approval
	Severity    ocsf.Severity
	Told        int // Count at the last emission
	Dirty       bool
	Explained   bool // its source turned out to be what does this for a living
}

// kindPeak is the most of one kind in an episode.
type kindPeak struct {
	Kind       kind
	Level      level
	Peak       int // within a window
	Fast       int // within a minute, at most
	Day        int // within a day, where that was the sign
	Usual      int // what the source is used to, 0 for no habit
	Days       int // on which it was seen before
	Techniques []ocsf.Technique
	Objects    []string // examples
}

// take takes one act into account.
func (d *Detector) take(ts *tenantState, e *ocsf.Event, a *act, emit detect.Emit) {
	at := e.Time.UnixNano()
	c := ts.classify(e, a)
	if c == internet {
		if !a.undo {
			ts.fromInternet(d, e, a, emit)
		}
		return
	}
	key := sourceKey{Addr: a.src.WithZone("")}
	if !a.src.IsValid() {
		key.Account = a.account
	}
	if e.Trust != "" {
		key.Trust = e.Trust
	}
	approval := d.approval(c, e, a)
	key.Approved = approval != nil
	if a.undo {
		if s := ts.peek(key); s != nil && at-s.Last <= sourceTTL {
			s.state(a.kind).drop(a.thing)
		}
		return
	}
	s := ts.source(key, c, at)
	if ep := s.Episode; ep != nil && (at-ep.Last > episodeGap || at-ep.Start > episodeMost) {
		d.close(ts, key, s, emit)
	}
	sign := d.measure(ts, key, s, a, at)
	d.remember(ts, key, s, e, a, sign, approval, at)
	if s.Episode != nil {
		if s.Episode.Dirty {
			d.tell(ts, key, s, emit)
		}
	}
	d.learn(ts, key, s, a.kind, at)
}

// measure counts the act and says how much its kind means now.
func (d *Detector) measure(ts *tenantState, key sourceKey, s *source, a *act, at int64) kindPeak {
	t, sec, day := &traits[a.kind], seconds(at), at/dayLength
	x := s.state(a.kind)
	x.note(a.thing, sec)
	p := kindPeak{Kind: a.kind, Peak: x.count(sec, window), Fast: x.count(sec, fastWindow)}
	allowed := 0
	if !key.Approved {
		var usual int
		h := x.habit()
		if usual, p.Days = h.usual(day, cmp.Or(t.habit, habitFrom)); usual > 0 {
			p.Usual, allowed = usual, usual+usual/2
		}
		if s.Class == partner {
			if usual, n := ts.trusts[trustKind{key.Trust, a.kind}].usual(day, trustHabitFrom); usual > allowed {
				p.Usual, p.Days, allowed = usual, n, usual
			}
		}
	}
	p.Level = t.rate(p.Peak, 1, allowed)
	if t.day && at-ts.first >= warmUp && p.Level < levelFew {
		usual, days := 0, 0
		if !key.Approved {
			h := x.long()
			usual, days = h.usual(day, habitFrom)
		}
		n := x.count(sec, longWindow)
		if l := t.rate(n, longFactor, usual+usual/2); l >= levelFew {
			p.Level, p.Day, p.Usual, p.Days = levelFew, n, usual, days
		}
	}
	x.Level, x.At, x.Beyond = p.Level, sec, p.Peak > allowed
	return p
}

// breadth adds up the points of the kinds that a source shows at a time. Looking at one host in detail, as an
// administrator's console does, is one point however many calls it makes.
func (s *source) breadth(at int64) (points, kinds int) {
	detail := 0
	for i := range s.Kinds {
		x := &s.Kinds[i]
		t := &traits[x.Kind]
		if int64(x.At) < at-window || !x.Beyond || t.points == 0 {
			continue
		}
		switch {
		case x.Level >= levelHint:
			points += t.points
			kinds++
		case t.perHost && t.points > 1:
			detail = 1
		}
	}
	return points + detail, kinds + detail
}

func breadthLevel(points int) level {
	switch {
	case points >= breadthMany:
		return levelMany
	case points >= breadthFew:
		return levelFew
	}
	return levelNone
}

// remember adds the act to the source's episode, and opens one where the act is the first that says enough.
func (d *Detector) remember(ts *tenantState, key sourceKey, s *source, e *ocsf.Event, a *act, sign kindPeak, approval *tenant.Approval, at int64) {
	points, n := s.breadth(int64(seconds(at)))
	if n < breadthKinds {
		points = 0
	}
	ep := s.Episode
	if ep == nil {
		if s.recent == nil {
			s.recent = &recent{}
			ts.waiting = append(ts.waiting, waiting{ts.place(key), at})
		}
		r := s.recent
		r.Ahead = slices.DeleteFunc(r.Ahead, func(x *ocsf.Event) bool { return at-x.Time.UnixNano() > window*int64(second) })
		enough := sign.Level >= levelFew && (s.Class == partner || !traits[a.kind].weak || sign.Level == levelMany)
		if !enough && breadthLevel(points) < levelFew {
			r.keep(e, &d.counted, len(r.Ahead) >= aheadEvents || s.Class == partner || ts.ahead.admit(at))
			return
		}
		r.keep(e, &d.counted, true)
		ep = &episode{Start: min(at, r.Ahead[0].Time.UnixNano()), Last: at, Evidence: r.Ahead, Count: r.Before, Approval: approval}
		s.recent, s.Episode, ts.active[key] = nil, ep, s
		// What the source showed of other kinds within the window belongs to it.
		for i := range s.Kinds {
			if x := &s.Kinds[i]; x.Kind != a.kind && x.Beyond && int64(x.At) >= int64(seconds(at))-window && x.Level >= levelHint {
				ep.peak(kindPeak{Kind: x.Kind, Level: x.Level, Peak: x.count(seconds(at), window), Techniques: []ocsf.Technique{traits[x.Kind].technique}})
			}
		}
	}
	known := slices.ContainsFunc(ep.Kinds, func(k kindPeak) bool { return k.Kind == a.kind })
	if sign.Level == levelNone && !known && points <= ep.Breadth {
		return // work of no weight
	}
	d.pending++
	ep.Last = max(ep.Last, at)
	ep.Breadth = max(ep.Breadth, points)
	ep.Warm, ep.Age = at-ts.first >= warmUp, at-ts.first
	ep.ForOthers = ts.asksForOthers(key.Addr)
	technique := a.technique
	if technique == "" {
		technique = traits[a.kind].technique
	}
	sign.Techniques = []ocsf.Technique{technique}
	if a.object != "" {
		sign.Objects = []string{clip(a.object)}
	}
	ep.peak(sign)
	if !d.counted {
		d.counted = true
		ep.Count++
		if len(ep.Evidence) < ocsf.MaxEvidence {
			ep.Evidence = append(ep.Evidence[:len(ep.Evidence):len(ep.Evidence)], e)
		}
	}
	ep.name(a)
	before := ep.Severity
	ep.Severity = max(before, ep.judge(s.Class))
	ep.Dirty = true
	if ep.Severity > before {
		ep.Told = 0
	}
}

// keep counts an event of a source of which nothing is told yet, once, and holds the first ones where there is room.
func (r *recent) keep(e *ocsf.Event, counted *bool, room bool) {
	if len(r.Ahead) == 0 {
		if !room {
			return
		}
		r.Before = 0
	}
	if !*counted || len(r.Ahead) == 0 {
		r.Before++
		if len(r.Ahead) < aheadEvents && room {
			r.Ahead = append(r.Ahead, e)
		}
	}
	*counted = true
}

// waiting is a source that holds first events, and until when it was heard of.
type waiting struct {
	place place
	last  int64
}

// release lets go of first events that no finding can begin with any more. When it does so changes nothing else.
func (ts *tenantState) release(at int64) {
	for n := len(ts.waiting); n > 0 && at-ts.waiting[0].last > window*second; n-- {
		w := ts.waiting[0]
		ts.waiting = ts.waiting[1:]
		switch s := ts.sources[w.place]; {
		case s == nil || s.recent == nil:
		case at-s.Last > window*second:
			s.recent = nil
		default:
			ts.waiting = append(ts.waiting, waiting{w.place, s.Last})
		}
	}
	if len(ts.waiting) == 0 {
		ts.waiting = nil
	}
}

// aheadBudget counts the events that are held ahead of any finding in one window of time, so that a flood of sources
// does not fill the memory. It goes by the time of events alone.
type aheadBudget struct {
	Window int64 // since 1970
	Held   int
}

// admit reports whether one more may be held.
func (b *aheadBudget) admit(at int64) bool {
	if w := at / (window * second); w != b.Window {
		*b = aheadBudget{Window: w}
	}
	b.Held++
	return b.Held <= maxAhead
}

const maxName = 120 // bytes of a name that others wrote, in a reason

func clip(s string) string {
	if len(s) > maxName {
		return s[:maxName] + "…"
	}
	return s
}

// name keeps whom the act was against and who did it.
func (ep *episode) name(a *act) {
	put := func(x ocsf.Entity) {
		if x.Value != "" && len(ep.Targets) < maxTargets && !slices.Contains(ep.Targets, x) {
			ep.Targets = append(ep.Targets, x)
		}
	}
	if a.target.IsValid() {
		put(ocsf.Entity{Type: ocsf.EntityIP, Value: a.target.String(), Role: ocsf.RoleTarget})
	} else {
		put(ocsf.Entity{Type: ocsf.EntityHost, Value: a.host, Role: ocsf.RoleTarget})
	}
	if a.about.IsValid() {
		put(ocsf.Entity{Type: ocsf.EntityIP, Value: a.about.String(), Role: ocsf.RoleTarget})
	}
	if a.objType != "" {
		put(ocsf.Entity{Type: a.objType, Value: clip(a.object), Role: ocsf.RoleTarget})
	}
	if a.actor != "" && len(ep.Actors) < maxActors && !slices.Contains(ep.Actors, a.actor) {
		ep.Actors = append(ep.Actors, a.actor)
	}
	switch a.kind {
	case kindReplication, kindRoast, kindASREP:
		ep.Granted = ep.Granted || a.granted
	}
}

// peak merges what is known of one kind.
func (ep *episode) peak(p kindPeak) {
	i := slices.IndexFunc(ep.Kinds, func(k kindPeak) bool { return k.Kind == p.Kind })
	if i < 0 {
		ep.Kinds = append(ep.Kinds, p)
		return
	}
	k := &ep.Kinds[i]
	k.Level, k.Peak, k.Fast, k.Day = max(k.Level, p.Level), max(k.Peak, p.Peak), max(k.Fast, p.Fast), max(k.Day, p.Day)
	k.Usual, k.Days = max(k.Usual, p.Usual), max(k.Days, p.Days)
	for _, t := range p.Techniques {
		if len(k.Techniques) < maxTechniques && !slices.Contains(k.Techniques, t) {
			k.Techniques = append(k.Techniques, t)
		}
	}
	for _, o := range p.Objects {
		if len(k.Objects) < maxObjects && !slices.Contains(k.Objects, o) {
			k.Objects = append(k.Objects, o)
		}
	}
}

// judge says how severe the episode is. A partner's source is severe by what it does; the tenant's own, of which
// many do a little of everything, only where it is plainly a tool, or does what no honest host does.
func (ep *episode) judge(c class) ocsf.Severity {
	strong, weak, clear, hostile := breadthLevel(ep.Breadth), levelNone, 0, false
	onlyNames, onlyZone, replicated := true, true, false
	for i := range ep.Kinds {
		k := &ep.Kinds[i]
		t := &traits[k.Kind]
		onlyNames = onlyNames && t.family == familyNames && k.Kind != kindTransfer
		onlyZone = onlyZone && k.Kind == kindTransfer
		replicated = replicated || k.Kind == kindReplication && k.Level >= levelFew
		if t.weak {
			weak = max(weak, k.Level)
			continue
		}
		strong = max(strong, k.Level)
		if k.Level == levelMany {
			clear++
			hostile = hostile || t.hostile
		}
	}
	out := ocsf.SeverityLow
	switch {
	case c == partner && strong == levelMany && (ep.Warm || !onlyZone):
		out = ocsf.SeverityHigh
	case c == partner && (strong == levelMany || strong == levelFew && (ep.Warm || ep.hostileOrBroad())):
		out = ocsf.SeverityMedium
	case c == partner && weak == levelMany && ep.Warm:
		out = ocsf.SeverityMedium
	case c == partner:
	case replicated && clear < 2:
		// A server that is being made a controller does this once; who replicates for a living has shown itself by the
		// end of the warm-up.
		if ep.Warm || breadthLevel(ep.Breadth) >= levelFew {
			out = ocsf.SeverityMedium
		}
	case clear >= 2 || breadthLevel(ep.Breadth) == levelMany && clear > 0:
		if out = ocsf.SeverityMedium; ep.Warm || hostile {
			out = ocsf.SeverityHigh
		}
	case strong == levelMany && (ep.Warm || hostile):
		out = ocsf.SeverityMedium
	}
	if onlyNames && ep.ForOthers {
		out = min(out, ocsf.SeverityLow)
	}
	return out
}

func (ep *episode) hostileOrBroad() bool {
	return breadthLevel(ep.Breadth) >= levelFew || slices.ContainsFunc(ep.Kinds, func(k kindPeak) bool {
		return (traits[k.Kind].hostile || k.Kind == kindTransfer) && k.Level >= levelFew
	})
}

// learn takes the day's count into the source's habit and its trust's. What is reported as more than a remark, and
// what an approval covers, is not learned.
func (d *Detector) learn(ts *tenantState, key sourceKey, s *source, k kind, at int64) {
	if key.Approved {
		return
	}
	x, sec, day := s.state(k), seconds(at), at/dayLength
	told := s.Episode != nil && s.Episode.Severity >= ocsf.SeverityMedium
	n := x.count(sec, window)
	days, long := x.habit(), x.long()
	days.see(day, n, told)
	if traits[k].day {
		long.see(day, x.count(sec, longWindow), told)
	}
	x.keep(days, long)
	if s.Class == partner {
		tk := trustKind{key.Trust, k}
		h := ts.trusts[tk]
		if h == nil {
			h = &habit{}
			ts.trusts[tk] = h
		}
		h.see(day, n, told)
	}
}
