package sigma

import "slices"

// match returns the positions of the rules that match the loaded event, in order. The result is valid until
// the next call.
func (w *scratch) match() []int32 {
	w.found = w.found[:0]
	groups := w.route()
	if len(groups) == 0 {
		w.note()
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
	for g.number >= len(w.states) {
		w.states = append(w.states, state{})
	}
	st := &w.states[g.number]
	if st.seen == nil {
		*st = state{make([]uint32, len(g.atoms)), make([]uint32, len(g.atoms)), make([]bool, len(g.atoms)), make([]uint32, len(g.rules))}
	}
	w.hits = w.hits[:0]
	for i := range g.fields {
		f := &g.fields[i]
		for v := w.first[f.slot]; v >= 0; v = w.values[v].next {
			w.hits = f.find(w.low(v), w.hits)
		}
	}
	if g.keyword != nil {
		w.findKeywords(g)
	}
	for _, a := range w.hits {
		st.seen[a] = w.epoch
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

// findKeywords looks for the keywords in the fields whose own index has not looked for them.
func (w *scratch) findKeywords(g *group) {
next:
	for i, m := range w.means {
		for _, slot := range m.slots {
			if int(slot) < len(g.indexed) && g.indexed[slot] {
				continue next
			}
		}
		if g.keyword.mayHold(w.values[i].raw) {
			w.hits = g.keyword.find(w.low(int32(i)), w.hits)
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
