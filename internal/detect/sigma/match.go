package sigma

import (
	"slices"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// maxNames bounds the cache of field names: attackers write those too, in JSON.
const maxNames = 16_384

// maxRoutes bounds the cache of routes.
const maxRoutes = 8_192

// scratch is the working state of one goroutine; matching an event allocates nothing once it has grown.
type scratch struct {
	set    *RuleSet
	names  map[string]meaning
	routes map[signature][]*group

	// The event at hand.
	values []value
	first  []int32 // by slot: its first value, -1 none
	used   []int32 // slots that have values
	buf    []byte  // the values in lower case
	event  *ocsf.Event

	states []state // by group
	epoch  uint32
	hits   []int32
	found  []int32
}

// value is one value of the event. All fields that mean the same share it in lower case.
type value struct {
	raw  string
	low  []byte
	next int32 // of the same slot, -1 none
	root int32 // the value that holds low
}

// state is what is known of a group's atoms and rules for the event at hand; a mark that isn't of this epoch
// says nothing.
type state struct {
	seen  []uint32 // by atom: the index found it
	known []uint32 // by atom: truth was worked out
	truth []bool
	woken []uint32 // by rule
}

func newScratch(s *RuleSet) *scratch {
	w := &scratch{set: s, names: map[string]meaning{}, routes: map[signature][]*group{}, first: make([]int32, len(s.slots.byName))}
	for i := range w.first {
		w.first[i] = -1
	}
	w.states = make([]state, len(s.groups))
	return w
}

// load takes the event's fields in, under every name that a rule may call them.
func (w *scratch) load(e *ocsf.Event) {
	w.forget()
	w.event = e
	for i := range e.Fields {
		f := &e.Fields[i]
		m, ok := w.names[f.Name]
		if !ok {
			m = w.set.slots.meaningOf(f.Name)
			if len(w.names) < maxNames {
				w.names[f.Name] = m
			}
		}
		root := int32(len(w.values))
		w.values = append(w.values, value{raw: f.Value, next: -1, root: root})
		for j, slot := range m.slots {
			id := root
			if j > 0 {
				id = w.copyOf(root)
			}
			w.put(slot, id)
		}
	}
	w.loadAliases()
}

// loadAliases adds values under other names, where the event has nothing of that name itself.
func (w *scratch) loadAliases() {
	creation := w.text(slotEventID) == "4688"
	native := len(w.used)
	isNative := func(slot int32) bool { return slices.Contains(w.used[:native], slot) }
	for i := range w.event.Fields {
		for _, a := range w.names[w.event.Fields[i].Name].aliases {
			if a.when == whenCreation && !creation || isNative(a.slot) {
				continue
			}
			w.put(a.slot, w.copyOf(int32(i)))
		}
	}
	if id, ok := w.set.slots.byName["integritylevel"]; ok && creation && w.first[id] >= 0 {
		v := &w.values[w.first[id]]
		if name, ok := integrity[string(appendLower(nil, v.raw))]; ok {
			v.raw, v.root = name, w.first[id]
		}
	}
	normalised(w.event, func(name, text string) {
		id, ok := w.set.slots.byName[name]
		if !ok || text == "" || w.first[id] >= 0 {
			return
		}
		w.values = append(w.values, value{raw: text, next: -1, root: int32(len(w.values))})
		w.put(id, int32(len(w.values)-1))
	})
}

func (w *scratch) copyOf(root int32) int32 {
	w.values = append(w.values, value{raw: w.values[root].raw, next: -1, root: root})
	return int32(len(w.values) - 1)
}

// put gives a slot one more value. Decoders keep a field under its native and its canonical name: a value that
// is there already is not taken twice.
func (w *scratch) put(slot, id int32) {
	if at := w.first[slot]; at < 0 {
		w.used = append(w.used, slot)
	} else if w.values[at].raw == w.values[id].raw {
		return
	} else {
		w.values[id].next = at
	}
	w.first[slot] = id
}

// forget lets go of the event.
func (w *scratch) forget() {
	for _, s := range w.used {
		w.first[s] = -1
	}
	clear(w.values)
	w.values, w.used, w.buf, w.event = w.values[:0], w.used[:0], w.buf[:0], nil
}

// text returns the first value of a slot.
func (w *scratch) text(slot int32) string {
	if i := w.first[slot]; i >= 0 {
		return w.values[i].raw
	}
	return ""
}

// low returns a value in lower case, worked out once.
func (w *scratch) low(id int32) []byte {
	v := &w.values[w.values[id].root]
	if v.low == nil {
		n := len(w.buf)
		w.buf = appendLower(w.buf, v.raw)
		v.low = w.buf[n:len(w.buf):len(w.buf)]
	}
	return v.low
}

// route returns the groups whose rules are for the event.
func (w *scratch) route() []*group {
	sig := signature{w.event.Source, w.text(slotChannel), w.text(slotEventID), w.text(slotEventType)}
	if sig.channel == "" && w.event.Source == "" {
		return nil
	}
	if groups, ok := w.routes[sig]; ok {
		return groups
	}
	f := classify(sig)
	var groups []*group
	for _, g := range w.set.groups {
		if f.fits(g.source) {
			groups = append(groups, g)
		}
	}
	if len(w.routes) < maxRoutes {
		w.routes[sig] = groups
	}
	return groups
}

// match returns the positions of the rules that match the loaded event, in order. The result is valid until
// the next call.
func (w *scratch) match() []int32 {
	w.found = w.found[:0]
	groups := w.route()
	if len(groups) == 0 {
		return nil
	}
	if w.epoch++; w.epoch == 0 { // marks of four thousand million events ago would count again
		clear(w.states)
		w.epoch = 1
	}
	for _, g := range groups {
		w.matchGroup(g)
	}
	slices.Sort(w.found)
	return w.found
}

func (w *scratch) matchGroup(g *group) {
	st := &w.states[g.number]
	if st.seen == nil {
		*st = state{make([]uint32, len(g.atoms)), make([]uint32, len(g.atoms)), make([]bool, len(g.atoms)), make([]uint32, len(g.rules))}
	}
	w.hits = w.hits[:0]
	hit := func(atoms []int32) {
		for _, a := range atoms {
			if st.seen[a] != w.epoch {
				st.seen[a] = w.epoch
				w.hits = append(w.hits, a)
			}
		}
	}
	for i := range g.fields {
		f := &g.fields[i]
		for v := w.first[f.slot]; v >= 0; v = w.values[v].next {
			f.find(w.low(v), hit)
		}
	}
	if g.keyword != nil {
		for i := range w.event.Fields {
			g.keyword.find(w.low(int32(i)), hit)
		}
	}
	x := evaluation{w, g, st}
	for _, r := range g.always {
		x.try(r)
	}
	for _, a := range w.hits {
		for _, r := range g.wakes[a] {
			x.try(r)
		}
	}
}

// evaluation evaluates rules of one group on the loaded event.
type evaluation struct {
	*scratch
	g  *group
	st *state
}

func (x *evaluation) try(r int32) {
	if x.st.woken[r] == x.epoch {
		return
	}
	x.st.woken[r] = x.epoch
	if rule := x.g.rules[r]; x.eval(&rule.cond) {
		x.found = append(x.found, rule.pos)
	}
}

func (x *evaluation) eval(n *node) bool {
	switch n.op {
	case opAtom:
		return x.atom(n.atom)
	case opNot:
		return !x.eval(&n.kids[0])
	case opAnd:
		for i := range n.kids {
			if !x.eval(&n.kids[i]) {
				return false
			}
		}
		return true
	}
	need := max(n.n, 1)
	for i := range n.kids {
		if x.eval(&n.kids[i]) {
			if need--; need == 0 {
				return true
			}
		}
	}
	return false
}

func (x *evaluation) atom(id int32) bool {
	a := &x.g.atoms[id]
	if a.exact || a.hinted && x.st.seen[id] != x.epoch {
		return x.st.seen[id] == x.epoch
	}
	if x.st.known[id] != x.epoch {
		x.st.known[id] = x.epoch
		x.st.truth[id] = x.answer(a.pred, a.slot)
	}
	return x.st.truth[id]
}

// answer works a predicate out on the values of a slot, without the index.
func (w *scratch) answer(q *predicate, slot int32) bool {
	if slot == anyField {
		for i := range w.event.Fields {
			if q.holds(w.values[i].raw, w.low(int32(i))) {
				return true
			}
		}
		return false
	}
	first := w.first[slot]
	switch q.kind {
	case kindNull:
		return first < 0
	case kindExists:
		return first >= 0
	}
	for v := first; v >= 0; v = w.values[v].next {
		if q.kind == kindFieldRef {
			if w.refers(q, v) {
				return true
			}
		} else if q.holds(w.values[v].raw, w.low(v)) {
			return true
		}
	}
	return false
}

func (w *scratch) refers(q *predicate, v int32) bool {
	for o := w.first[q.otherID]; o >= 0; o = w.values[o].next {
		if q.cased && q.refers([]byte(w.values[v].raw), []byte(w.values[o].raw)) || !q.cased && q.refers(w.low(v), w.low(o)) {
			return true
		}
	}
	return false
}

// plain evaluates a condition on the loaded event without indexes, groups or memory of anything: the way that
// every shortcut is tested against.
func (w *scratch) plain(x *expr) bool {
	switch x.op {
	case opAtom:
		slot := anyField
		if x.pred.field != "" {
			slot = w.set.slots.byName[canonical(x.pred.field)]
		}
		return w.answer(x.pred, slot)
	case opNot:
		return !w.plain(x.kids[0])
	case opAnd:
		for _, k := range x.kids {
			if !w.plain(k) {
				return false
			}
		}
		return true
	}
	need := max(x.n, 1)
	for _, k := range x.kids {
		if w.plain(k) {
			if need--; need == 0 {
				return true
			}
		}
	}
	return false
}
