package sigma

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// never is the time of what has not occurred.
const never = math.MinInt64

// origin is what correlations ask of an event that a rule matched. It is never changed.
type origin struct {
	rule   *Rule
	slots  []int32    // in order
	values [][]string // of each slot, in lower case, as the event gives them
}

// of returns the values of a slot.
func (o *origin) of(slot int32) []string {
	if i, ok := slices.BinarySearch(o.slots, slot); ok {
		return o.values[i]
	}
	return nil
}

// first returns the first value of each slot; ok is false where one has none.
func (o *origin) first(slots []int32) (out []string, ok bool) {
	for _, s := range slots {
		v := o.of(s)
		if len(v) == 0 {
			return nil, false
		}
		out = append(out, v[0])
	}
	return out, true
}

// match is one match of a rule or correlation on its way to the correlations that look at it.
type match struct {
	at      int64  // Unix time in nanoseconds
	serial  uint64 // of the event, so that one event is not taken for two
	episode uint64 // of a correlation's match: those that go on are one; else 0
	weight  int    // events behind it
	origins []*origin
	samples []*ocsf.Event // newest last
}

// inWindow is one match within a window.
type inWindow struct {
	at      int64
	serial  uint64
	episode uint64
	member  int
	weight  int
	values  []string // of value_count
	number  float64  // of the metrics
	counted bool     // values or number are there
	origins []*origin
}

// ongoing is a match of a correlation that may go on.
type ongoing struct {
	episode uint64
	member  int
}

// sample is one event kept as evidence.
type sample struct {
	member int
	event  *ocsf.Event
}

// window holds the matches of one group of one correlation that can still matter.
type window struct {
	c       *Correlation
	tenant  *tenantWindows
	key     string
	group   []string // the values of group-by
	list    []inWindow
	events  int     // behind the list
	used    uint64  // serial of the last match, for dropping the one used longest ago
	last    []int64 // by member: its latest match
	chains  []chain // by way, of temporal_ordered
	counts  map[string]int
	ongoing map[ongoing]int64 // the times at which matches of correlations that may go on stand in the list
	sum     exactSum
	sorted  []float64
	numbers int
	samples []sample

	held    *held
	fired   int64  // when the condition last held
	began   int64  // when the episode began
	episode uint64 // 0: none yet
}

// held is a condition that began to hold and waits for its timespan to be over.
type held struct {
	from, until int64
	peak, last  float64
	kept        bool // the condition over names held at every match
}

func newWindow(c *Correlation, t *tenantWindows, key string, group []string) *window {
	w := &window{c: c, tenant: t, key: key, group: group, fired: never}
	switch c.Type {
	case ValueCount:
		w.counts = map[string]int{}
	case Temporal, TemporalOrdered:
		w.last = make([]int64, len(c.members))
		for i := range w.last {
			w.last[i] = never
		}
		if c.Type == TemporalOrdered {
			w.chains = make([]chain, len(c.ways))
			for i := range w.chains {
				w.chains[i] = newChain(len(c.ways[i].with))
			}
		}
	}
	return w
}

// expire drops matches from before a time.
func (w *window) expire(before int64) {
	n := 0
	for n < len(w.list) && w.list[n].at < before {
		w.forget(&w.list[n])
		n++
	}
	w.cut(n)
	for len(w.samples) > 0 && w.samples[0].event.Time.UnixNano() < before {
		w.dropSample(0)
	}
}

func (w *window) cut(n int) {
	if n == 0 {
		return
	}
	w.tenant.matches -= n
	clear(w.list[:n])
	if w.list = w.list[n:]; len(w.list) == 0 {
		w.list = nil
	}
}

// put takes a match in and reports how many events it adds.
func (w *window) put(m inWindow) int {
	added := m.weight
	if m.episode != 0 {
		// A match of a correlation that goes on is the same match, later.
		if i := w.find(ongoing{m.episode, m.member}); i >= 0 {
			added = max(0, m.weight-w.list[i].weight)
			w.take(i)
		}
	}
	if len(w.list) >= MaxWindow {
		w.forget(&w.list[0])
		w.cut(1)
		w.tenant.left.Matches++
	}
	w.remember(&m)
	w.list = append(w.list, m)
	w.tenant.matches++
	return added
}

// find returns where a match that goes on stands in the list, or -1. The list is in the order of time.
func (w *window) find(k ongoing) int {
	at, ok := w.ongoing[k]
	if !ok {
		return -1
	}
	i, _ := slices.BinarySearchFunc(w.list, at, func(m inWindow, at int64) int { return cmp.Compare(m.at, at) })
	for ; i < len(w.list) && w.list[i].at == at; i++ {
		if w.list[i].episode == k.episode && w.list[i].member == k.member {
			return i
		}
	}
	return -1
}

// take takes one match out of the list; what is moved for it is the shorter side.
func (w *window) take(i int) {
	w.forget(&w.list[i])
	if i >= len(w.list)/2 {
		w.list = slices.Delete(w.list, i, i+1)
		w.tenant.matches--
		return
	}
	copy(w.list[1:i+1], w.list[:i])
	w.cut(1)
}

// remember counts a match in; forget takes it out again.
func (w *window) remember(m *inWindow) {
	if m.episode != 0 {
		if w.ongoing == nil {
			w.ongoing = map[ongoing]int64{}
		}
		w.ongoing[ongoing{m.episode, m.member}] = m.at
	}
	w.events += m.weight
	switch {
	case w.last != nil:
		w.last[m.member] = max(w.last[m.member], m.at)
	case !m.counted:
	case w.counts != nil:
		for _, v := range m.values {
			w.counts[v]++
		}
	case w.c.Type.numeric():
		w.numbers++
		w.sum.add(m.number)
		if w.c.Type == ValueMedian || w.c.Type == ValuePercentile {
			i, _ := slices.BinarySearch(w.sorted, m.number)
			w.sorted = slices.Insert(w.sorted, i, m.number)
		}
	}
}

func (w *window) forget(m *inWindow) {
	if m.episode != 0 {
		delete(w.ongoing, ongoing{m.episode, m.member})
	}
	w.events -= m.weight
	switch {
	case w.last != nil || !m.counted:
	case w.counts != nil:
		for _, v := range m.values {
			if w.counts[v]--; w.counts[v] <= 0 {
				delete(w.counts, v)
			}
		}
	case w.c.Type.numeric():
		w.numbers--
		w.sum.add(-m.number)
		if len(w.sorted) > 0 {
			if i, ok := slices.BinarySearch(w.sorted, m.number); ok {
				w.sorted = slices.Delete(w.sorted, i, i+1)
			}
		}
	}
}

// value returns what the condition is over; ok is false where there is nothing to ask.
func (w *window) value(now int64) (v float64, ok bool) {
	switch w.c.Type {
	case EventCount:
		return float64(len(w.list)), true
	case ValueCount:
		return float64(len(w.counts)), len(w.counts) > 0
	case Temporal:
		n := 0
		for _, t := range w.last {
			if t >= now-int64(w.c.Timespan) {
				n++
			}
		}
		return float64(n), true
	case ValueSum:
		return w.sum.value(), w.numbers > 0
	case ValueAvg:
		return w.sum.value() / float64(max(1, w.numbers)), w.numbers > 0
	}
	n := len(w.sorted)
	if n == 0 {
		return 0, false
	}
	if w.c.Type == ValueMedian {
		// The mean of the two in the middle where their number is even.
		return w.sorted[(n-1)/2]/2 + w.sorted[n/2]/2, true
	}
	// Nearest rank: the smallest value that so many per cent of the values don't exceed.
	rank := int(math.Ceil(w.c.percentile / 100 * float64(n)))
	return w.sorted[min(max(rank, 1), n)-1], true
}

// somehow reports whether one of the ways of a condition over names holds.
func (w *window) somehow(now int64) bool {
	from := now - int64(w.c.Timespan)
	for i, way := range w.c.ways {
		holds := true
		if w.chains != nil {
			holds = w.chains[i].complete(from)
		}
		for _, m := range way.with {
			holds = holds && w.last[m] >= from
		}
		for _, m := range way.without {
			holds = holds && w.last[m] < from
		}
		if holds {
			return true
		}
	}
	return false
}

// order brings the chains of an ordered correlation up to the last match.
func (w *window) order() {
	if w.chains == nil {
		return
	}
	last := &w.list[len(w.list)-1]
	// What occurred at one instant has no order among itself.
	first := len(w.list) - 1
	for first > 0 && w.list[first-1].at == last.at && len(w.list)-first < maxInstant {
		first--
	}
	for i := range w.chains {
		w.chains[i].extend(w.list[first:], w.c.ways[i].with)
	}
}

// keep takes events in as evidence: the newest, from each of the rules alike.
func (w *window) keep(member int, events []*ocsf.Event) {
	for _, e := range events {
		if e == nil || slices.ContainsFunc(w.samples, func(s sample) bool { return s.event == e || s.event.ID == e.ID && !e.ID.IsZero() }) {
			continue
		}
		at := len(w.samples) // an inner match brings earlier events than came meanwhile
		for at > 0 && w.samples[at-1].event.Time.After(e.Time) {
			at--
		}
		w.samples = slices.Insert(w.samples, at, sample{member, e})
		w.tenant.samples++
		if len(w.samples) > ocsf.MaxEvidence || w.tenant.samples > maxTenantSamples && len(w.samples) > 1 {
			w.dropSample(w.leastNeeded())
		}
	}
}

// leastNeeded returns the oldest sample of the member that has most.
func (w *window) leastNeeded() int {
	count := map[int]int{}
	for _, s := range w.samples {
		count[s.member]++
	}
	best := 0
	for i, s := range w.samples {
		if count[s.member] > count[w.samples[best].member] {
			best = i
		}
	}
	return best
}

func (w *window) dropSample(i int) {
	w.samples = slices.Delete(w.samples, i, i+1)
	w.tenant.samples--
}

// origins returns the different origins of the window's matches, newest first, and whether all are there.
func (w *window) origins() (out []*origin, all bool) {
	seen := make(map[*origin]bool, min(len(w.list), maxOrigins))
	for i := len(w.list) - 1; i >= 0; i-- {
		if len(w.list)-i > maxScanned {
			return out, false
		}
		for _, o := range w.list[i].origins {
			if seen[o] {
				continue
			}
			if len(out) == maxOrigins {
				return out, false
			}
			seen[o] = true
			out = append(out, o)
		}
	}
	return out, true
}

// release takes the window's share out of the tenant's counts.
func (w *window) release() {
	w.tenant.matches -= len(w.list)
	w.tenant.samples -= len(w.samples)
	w.list, w.samples, w.held, w.ongoing = nil, nil, nil, nil
}

// clip shortens and folds a value, so that values compare as Sigma's do.
func clip(v string) string {
	if len(v) > maxValue {
		v = v[:maxValue]
	}
	return strings.ToLower(strings.Clone(v))
}
