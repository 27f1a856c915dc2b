package sigma

import (
	"cmp"
	"math"
	"slices"
)

// group holds the rules of the log sources to which an event belongs, compiled together.
type group struct {
	number  int // among those of the rule set, for the working state
	rules   []*compiledRule
	atoms   []atom
	fields  []fieldIndex
	always  []int32   // rules that no literal can wake
	wakes   [][]int32 // by atom: the rules that wait for it
	keyword *index    // literals looked for in every field
	indexed []bool    // by slot: its index looks for the keywords too
}

type compiledRule struct {
	rule *Rule
	pos  int32 // in the rule set
	cond node
}

// atom is a predicate that a group asks, once an event however many rules share it.
type atom struct {
	pred   *predicate
	slot   int32 // -1: any field
	exact  bool  // the index settles it: not found means false
	hinted bool  // the index finds its necessary literal: not found means false, found means look
}

type fieldIndex struct {
	slot int32
	*index
}

// node is a condition over atoms.
type node struct {
	op   op
	atom int32
	n    int32
	kids []node
}

const anyField int32 = -1

func newGroup(s *RuleSet, number int, pos []int32) *group {
	g := &group{number: number}
	c := &groupCompiler{group: g, slots: s.slots, byKey: map[string]int32{}}
	for _, p := range pos {
		g.rules = append(g.rules, &compiledRule{rule: s.rules[p], pos: p, cond: c.node(s.rules[p].cond)})
	}
	c.index()
	g.wakes = make([][]int32, len(g.atoms))
	for i, r := range g.rules {
		t := g.trigger(&r.cond)
		if !t.ok {
			g.always = append(g.always, int32(i))
		}
		for _, a := range t.atoms {
			if w := g.wakes[a]; len(w) == 0 || w[len(w)-1] != int32(i) {
				g.wakes[a] = append(w, int32(i))
			}
		}
	}
	return g
}

type groupCompiler struct {
	group *group
	slots *slots
	byKey map[string]int32
}

func (c *groupCompiler) node(x *expr) node {
	if x.op == opAtom {
		return node{op: opAtom, atom: c.atom(x.pred)}
	}
	n := node{op: x.op, n: int32(x.n)}
	for _, k := range x.kids {
		n.kids = append(n.kids, c.node(k))
	}
	if n.op == opAnd || n.op == opOr {
		// What the index has settled comes before what has yet to be looked at.
		slices.SortStableFunc(n.kids, func(a, b node) int { return cmp.Compare(c.effort(&a), c.effort(&b)) })
	}
	return n
}

func (c *groupCompiler) effort(n *node) int {
	if n.op != opAtom {
		return 1
	}
	switch a := &c.group.atoms[n.atom]; {
	case a.exact:
		return 0
	case a.pred.kind == kindRegex:
		return 3
	}
	return 2
}

func (c *groupCompiler) atom(q *predicate) int32 {
	k := q.key()
	if id, ok := c.byKey[k]; ok {
		return id
	}
	a := atom{pred: q, slot: anyField}
	if q.field != "" {
		a.slot = c.slots.byName[canonical(q.field)]
	}
	list := literalsOfPredicate(q)
	// A field's index also finds keywords in what is no field of the event itself: they are looked at again.
	a.exact = len(list) == 1 && !q.cased && list[0].kind == q.kind && a.slot != anyField
	a.hinted = len(list) > 0 && !a.exact
	id := int32(len(c.group.atoms))
	c.group.atoms = append(c.group.atoms, a)
	c.byKey[k] = id
	return id
}

// literalsOfPredicate returns what the index must look for: the predicate can hold only if one of them is found.
func literalsOfPredicate(q *predicate) []wanted {
	lit := string(appendLower(nil, q.lit))
	switch q.kind {
	case kindEqual:
		return []wanted{{kind: q.kind, text: lit}}
	case kindPrefix, kindSuffix:
		if lit != "" {
			return []wanted{{kind: q.kind, text: lit}}
		}
	case kindContains:
		if len(lit) >= gramLen {
			return []wanted{{kind: kindContains, text: lit}}
		}
	case kindGlob, kindRegex:
		var out []wanted
		for _, n := range q.needs {
			if len(n) < gramLen {
				return nil
			}
			out = append(out, wanted{kind: kindContains, text: n})
		}
		return out
	}
	return nil
}

// index builds the indexes of the group's fields; equal literals share one entry.
func (c *groupCompiler) index() {
	type key struct {
		slot int32
		kind kind
		text string
	}
	byKey := map[key]int{}
	bySlot := map[int32][]wanted{}
	var order []int32
	for i := range c.group.atoms {
		a := &c.group.atoms[i]
		if !a.exact && !a.hinted {
			continue
		}
		if len(bySlot[a.slot]) == 0 {
			order = append(order, a.slot)
		}
		for _, w := range literalsOfPredicate(a.pred) {
			k := key{a.slot, w.kind, w.text}
			if at, ok := byKey[k]; ok {
				bySlot[a.slot][at].atoms = append(bySlot[a.slot][at].atoms, int32(i))
				continue
			}
			w.atoms = []int32{int32(i)}
			byKey[k] = len(bySlot[a.slot])
			bySlot[a.slot] = append(bySlot[a.slot], w)
		}
	}
	slices.Sort(order)
	keywords := bySlot[anyField]
	for _, s := range order {
		if s == anyField {
			c.group.keyword = newIndex(keywords)
			continue
		}
		list := slices.Clone(bySlot[s])
		for _, w := range keywords { // so that a text is read once
			if at, ok := byKey[key{s, w.kind, w.text}]; ok {
				list[at].atoms = slices.Concat(list[at].atoms, w.atoms)
			} else {
				list = append(list, w)
			}
		}
		for len(c.group.indexed) <= int(s) {
			c.group.indexed = append(c.group.indexed, false)
		}
		c.group.indexed[s] = true
		c.group.fields = append(c.group.fields, fieldIndex{s, newIndex(list)})
	}
}

// trigger is a set of atoms, one of which must have been found before a condition can hold.
type trigger struct {
	atoms []int32
	cost  float64 // how often they are found, estimated
	ok    bool
}

// trigger chooses the rarest such set: of an "and" the rarest part, of an "or" all parts. A "not" has none.
func (g *group) trigger(n *node) trigger {
	switch n.op {
	case opAtom:
		a := &g.atoms[n.atom]
		if !a.exact && !a.hinted {
			return trigger{}
		}
		return trigger{[]int32{n.atom}, g.cost(a), true}
	case opAnd:
		best := trigger{cost: math.Inf(1)}
		for i := range n.kids {
			if t := g.trigger(&n.kids[i]); t.ok && t.cost < best.cost {
				best = t
			}
		}
		return best
	case opOr, opCount:
		var all trigger
		for i := range n.kids {
			t := g.trigger(&n.kids[i])
			if !t.ok {
				return trigger{}
			}
			all.atoms, all.cost = append(all.atoms, t.atoms...), all.cost+t.cost
		}
		all.ok = len(n.kids) > 0
		return all
	}
	return trigger{}
}

// cost estimates how often an atom's literals are found: the longer the rarer, and names of programs and channels,
// which most events carry, less rare than words inside a command line.
func (g *group) cost(a *atom) float64 {
	total := 0.0
	for _, w := range literalsOfPredicate(a.pred) {
		total += math.Exp2(-float64(min(len(w.text), 24)) / 2)
		switch w.kind {
		case kindEqual:
			if len(w.text) < 6 {
				total += 0.05
			}
			total += 0.01
		case kindPrefix:
			total += 0.1
		case kindSuffix:
			total += 0.01
		}
	}
	return total
}
