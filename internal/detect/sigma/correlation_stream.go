package sigma

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Left counts what correlations left out, since it was beyond a limit or told too little.
type Left struct {
	Windows   int // groups that were let go while they could still have mattered
	Matches   int // matches let go by full windows
	Groupless int // matches without a field of group-by
	Numbers   int // matches whose field is no number, for value_sum and the like
	Origins   int // matches of correlations with more different origins than are handed on
	Untimely  int // matches that came after their time, or whose time lies ahead of all others
	Filtered  int // matches of rules that make no finding of their own, left out by a filter
}

// Lines tells what was left out in plain words; nothing where nothing was.
func (l Left) Lines() []string {
	var out []string
	tell := func(n int, what string) {
		if n > 0 {
			out = append(out, fmt.Sprintf("Sigma correlations: %d %s.", n, what))
		}
	}
	tell(l.Windows, "groups were let go before their timespan was over, since a tenant had too many at once")
	tell(l.Matches, fmt.Sprintf("matches were let go by windows that held %d already", MaxWindow))
	tell(l.Groupless, "matches lack a field that their correlation groups by and were left out")
	tell(l.Numbers, "matches have no number in the field that their correlation asks for and were left out")
	tell(l.Origins, "matches of correlations have more different origins than are handed on; the newest were")
	tell(l.Untimely, "matches came after their time, or with a time ahead of all others, and were not correlated")
	tell(l.Filtered, "matches of rules that only serve correlations were left out by filters")
	return out
}

func (l *Left) add(o Left) {
	l.Windows, l.Matches, l.Groupless, l.Numbers = l.Windows+o.Windows, l.Matches+o.Matches, l.Groupless+o.Groupless, l.Numbers+o.Numbers
	l.Origins, l.Untimely, l.Filtered = l.Origins+o.Origins, l.Untimely+o.Untimely, l.Filtered+o.Filtered
}

// hit is a correlation whose condition holds, with what its window held then.
type hit struct {
	c       *Correlation
	tenant  tenant.ID
	key     string
	group   []string
	began   int64         // of the episode: conditions that go on holding are one
	weight  int           // events in the window
	added   int           // events that came with this match
	samples []*ocsf.Event // oldest first

	suppressed *ocsf.Suppression
	note       string
}

// correlator follows the windows of every correlation. What it says depends on the matches and their times alone,
// neither on how they are cut into batches nor on when Advance is called.
type correlator struct {
	set      *RuleSet
	tenants  map[tenant.ID]*tenantWindows
	waiting  deadlines
	emit     func(hit)
	serial   uint64 // of the event at hand
	used     uint64
	episodes uint64
	swept    []int64 // by correlation
}

// tenantWindows are the windows of one tenant; none is ever looked at for another.
type tenantWindows struct {
	id      tenant.ID
	windows []map[string]*window // by correlation
	matches int
	samples int
	left    Left
}

func newCorrelator(set *RuleSet, emit func(hit)) *correlator {
	return &correlator{set: set, tenants: map[tenant.ID]*tenantWindows{}, emit: emit, swept: make([]int64, len(set.correlations))}
}

func (x *correlator) tenant(id tenant.ID) *tenantWindows {
	t := x.tenants[id]
	if t == nil {
		t = &tenantWindows{id: id, windows: make([]map[string]*window, len(x.set.correlations))}
		for i := range t.windows {
			t.windows[i] = map[string]*window{}
		}
		x.tenants[id] = t
	}
	return t
}

// left sums up what was left out at all tenants.
func (x *correlator) left() Left {
	var l Left
	for _, t := range x.tenants {
		l.add(t.left)
	}
	return l
}

// begin makes the next matches those of a new event.
func (x *correlator) begin(at int64) {
	x.close(at)
	x.serial++
}

// match takes in that a rule matched an event, with what the rule's correlations ask of it.
func (x *correlator) match(r *Rule, e *ocsf.Event, o *origin) {
	m := match{at: e.Time.UnixNano(), serial: x.serial, weight: 1, origins: []*origin{o}, samples: []*ocsf.Event{e}}
	t := x.tenant(e.Tenant)
	for _, f := range x.set.feeds[r] {
		x.feed(t, f, m)
	}
}

// feed gives a match to one correlation: to each group that its origins name.
func (x *correlator) feed(t *tenantWindows, f feed, m match) {
	type part struct {
		group   []string
		origins []*origin
	}
	parts := map[string]*part{}
	var order []string
	for _, o := range m.origins {
		group, ok := o.first(f.to.asks[askKey{f.member, o.rule}].group)
		if !ok {
			continue
		}
		k := groupKey(group)
		p := parts[k]
		if p == nil {
			p = &part{group: group}
			parts[k] = p
			order = append(order, k)
		}
		p.origins = append(p.origins, o)
	}
	if len(order) == 0 {
		t.left.Groupless++
	}
	for _, k := range order {
		mine := m
		mine.origins = parts[k].origins
		x.put(t, f, k, parts[k].group, mine)
	}
}

// groupKey joins values so that no two lists give the same.
func groupKey(values []string) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString(strconv.Itoa(len(v)))
		b.WriteByte(':')
		b.WriteString(v)
	}
	return b.String()
}

// put takes a match into a window and sees whether the condition holds.
func (x *correlator) put(t *tenantWindows, f feed, key string, group []string, m match) {
	c := f.to
	w := t.windows[c.number][key]
	if w == nil {
		x.makeRoom(t, c)
		w = newWindow(c, t, key, group)
		t.windows[c.number][key] = w
	}
	x.used++
	w.used = x.used
	if n := len(w.list); n > 0 {
		m.at = max(m.at, w.list[n-1].at) // who gives events out of order gets them as if they came now
	}
	w.expire(m.at - int64(c.Timespan))
	in := inWindow{at: m.at, serial: m.serial, episode: m.episode, member: f.member, weight: m.weight}
	if c.carries {
		in.origins = m.origins
	}
	if !w.fill(&in, m.origins) {
		t.left.Numbers++
		if len(w.list) == 0 && w.held == nil {
			delete(t.windows[c.number], key)
		}
		return
	}
	added := w.put(in)
	x.trim(t)
	w.keep(f.member, m.samples)
	w.order()
	x.judge(w, m, added)
}

// fill reads what the correlation counts out of the origins; false where there is nothing to count.
func (w *window) fill(in *inWindow, origins []*origin) bool {
	c := w.c
	if len(c.fields) == 0 {
		return true
	}
	for _, o := range origins {
		slots := c.asks[askKey{in.member, o.rule}].fields
		if c.Type != ValueCount {
			if v := o.of(slots[0]); len(v) > 0 {
				if n, ok := parseNumber(v[0]); ok && n.value() <= maxSummand && n.value() >= -maxSummand {
					in.number, in.counted = n.value(), true
					return true
				}
			}
			continue
		}
		if len(slots) == 1 {
			in.values = append(in.values, o.of(slots[0])...)
		} else if v, ok := o.first(slots); ok {
			in.values = append(in.values, groupKey(v))
		}
	}
	slices.Sort(in.values)
	in.values = slices.Compact(in.values)
	in.counted = len(in.values) > 0
	return in.counted || c.Type == ValueCount
}

// judge decides, or begins to wait, after a match.
func (x *correlator) judge(w *window, m match, added int) {
	c := w.c
	value, ok := 0.0, true
	holds, begins := false, false
	if len(c.ways) > 0 {
		holds = w.somehow(m.at)
		begins = holds
	} else if value, ok = w.value(m.at); ok {
		holds, begins = c.bounds.holds(value), c.bounds.reaches(value)
	}
	switch {
	case !c.deferred():
		if holds {
			x.fire(w, m.at, added)
		}
	case w.held != nil:
		w.held.peak, w.held.last = max(w.held.peak, value), value
		w.held.kept = w.held.kept && holds
	case begins:
		w.held = &held{from: m.at, until: m.at + int64(c.Timespan), peak: value, last: value, kept: true}
		x.wait(w)
	}
}

// wait notes when a window decides. Those of windows that were let go meanwhile don't pile up.
func (x *correlator) wait(w *window) {
	if len(x.waiting) >= maxWaiting {
		x.waiting = slices.DeleteFunc(x.waiting, func(d deadline) bool { return x.windowOf(&d) == nil })
		heap.Init(&x.waiting)
	}
	heap.Push(&x.waiting, deadline{w.held.until, w.c.number, w.tenant.id, w.key, w.held})
}

// windowOf returns the window that a deadline is of, or nil where it was let go.
func (x *correlator) windowOf(d *deadline) *window {
	if t := x.tenants[d.tenant]; t != nil {
		if w := t.windows[d.correlation][d.key]; w != nil && w.held == d.held {
			return w
		}
	}
	return nil
}

// decided reports whether a condition that waited holds, now that its timespan is over.
func (w *window) decided() bool {
	switch {
	case len(w.c.ways) > 0:
		return w.held.kept
	case w.c.Type.peaks():
		return w.c.bounds.holds(w.held.peak)
	}
	return w.c.bounds.holds(w.held.last)
}

// fire tells that a condition holds, and gives it to the correlations that look at this one.
func (x *correlator) fire(w *window, at int64, added int) {
	c := w.c
	h := hit{c: c, tenant: w.tenant.id, key: w.key, group: w.group, weight: w.events, added: added}
	// What goes on holding is one finding, of at most a day.
	if w.episode == 0 || at-w.fired > int64(c.Timespan) || at-w.began > int64(24*time.Hour) {
		x.episodes++
		w.episode, w.began = x.episodes, at
	}
	w.fired, h.began = at, w.began
	for _, s := range w.samples {
		h.samples = append(h.samples, s.event)
	}
	x.emit(h)
	if len(c.feeds) == 0 {
		return
	}
	origins, all := w.origins()
	if !all {
		w.tenant.left.Origins++
	}
	m := match{at: at, serial: x.serial, episode: w.episode, weight: max(1, h.weight), origins: origins, samples: h.samples}
	for _, f := range c.feeds {
		x.feed(w.tenant, f, m)
	}
}

// close decides the conditions whose timespan was over before a time.
func (x *correlator) close(before int64) {
	for len(x.waiting) > 0 && x.waiting[0].at < before {
		d := heap.Pop(&x.waiting).(deadline)
		w := x.windowOf(&d)
		if w == nil {
			continue
		}
		holds := w.decided()
		w.held = nil
		if holds {
			x.serial++
			at := d.at
			if n := len(w.list); n > 0 {
				at = w.list[n-1].at
			}
			w.episode = 0 // each decision is one of its own
			x.fire(w, at, 0)
		}
	}
}

// advance decides what is over by then and lets go of windows that can't matter any more.
func (x *correlator) advance(now int64) {
	x.close(now)
	for n, c := range x.set.correlations {
		every := min(max(c.Timespan/4, time.Minute), 6*time.Hour)
		if now-x.swept[n] < int64(every) {
			continue
		}
		x.swept[n] = now
		for _, t := range x.tenants {
			for k, w := range t.windows[n] {
				if l := len(w.list); w.held == nil && (l == 0 || w.list[l-1].at < now-int64(c.Timespan)) {
					w.release()
					delete(t.windows[n], k)
				}
			}
		}
	}
}

// makeRoom lets go of the windows used longest ago where a tenant has too many of one correlation.
func (x *correlator) makeRoom(t *tenantWindows, c *Correlation) {
	mine := t.windows[c.number]
	if n := len(mine); n >= MaxWindows {
		kept := make(map[*window]bool, n)
		detect.MakeRoom(mine, MaxWindows, func(w *window) int64 { kept[w] = true; return int64(w.used) })
		for _, w := range mine {
			delete(kept, w)
		}
		for w := range kept {
			w.release()
			t.left.Windows++
		}
	}
}

// trim lets go of the windows used longest ago where they hold too much together; the one at hand is the last to go.
func (x *correlator) trim(t *tenantWindows) {
	if t.matches <= MaxTenantMatches {
		return
	}
	var all []*window
	for _, m := range t.windows {
		for _, w := range m {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *window) int { return cmp.Compare(a.used, b.used) })
	for _, w := range all {
		if t.matches <= MaxTenantMatches*15/16 || w.used == x.used {
			break
		}
		w.release()
		delete(t.windows[w.c.number], w.key)
		t.left.Windows++
	}
}

// deadline is when a condition that waits is decided.
type deadline struct {
	at          int64
	correlation int
	tenant      tenant.ID
	key         string
	held        *held
}

// deadlines is a heap, earliest first.
type deadlines []deadline

func (d deadlines) Len() int { return len(d) }
func (d deadlines) Less(i, j int) bool {
	a, b := &d[i], &d[j]
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.correlation, b.correlation), cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.key, b.key)) < 0
}
func (d deadlines) Swap(i, j int) { d[i], d[j] = d[j], d[i] }

// Push adds an element, for container/heap.
func (d *deadlines) Push(v any) { *d = append(*d, v.(deadline)) }

// Pop takes the last element away, for container/heap.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	v := (*d)[last]
	(*d)[last] = deadline{}
	*d = (*d)[:last]
	return v
}
