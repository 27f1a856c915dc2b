package sigma

import (
	"slices"
	"strings"
	"unique"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Attackers write field names and event types too, in JSON: the caches of both are emptied when they are full,
// and longer keys are never kept.
const (
	maxNames  = 16_384
	maxRoutes = 8_192
	maxKey    = 256

	maxIdle      = 128 // sources that no rule is for; events of others are loaded each time
	maxIdleNames = 128 // names of the fields of one
	maxIdleName  = 64  // bytes
)

// scratch is the working state of one goroutine; matching an event allocates nothing once it has grown.
type scratch struct {
	set     *RuleSet
	names   map[string]*meaning
	shapes  [maxShapes]shape
	routes  map[signature][]*group
	derived []derivedField
	idle    map[string][]string // by source that no rule is for: names of its fields that don't change that, in order

	// The event at hand.
	values []value
	means  []*meaning // by field of the event
	first  []int32    // by slot: its first value, -1 none
	used   []int32    // slots that have values
	buf    []byte     // the values in lower case
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
	w := &scratch{set: s, derived: derivedFields(s.slots), names: map[string]*meaning{}, routes: map[signature][]*group{}, idle: map[string][]string{}, first: make([]int32, len(s.slots.byName))}
	for i := range w.first {
		w.first[i] = -1
	}
	return w
}

// load takes the event's fields in, under every name that a rule may call them. The first values are the fields
// themselves, in their order.
func (w *scratch) load(e *ocsf.Event) {
	w.forget()
	w.event = e
	for i := range e.Fields {
		w.values = append(w.values, value{raw: e.Fields[i].Value, next: -1, root: int32(i)})
	}
	w.mean(e.Fields)
	for i, m := range w.means {
		for j, slot := range m.slots {
			id := int32(i)
			if j > 0 {
				id = w.copyOf(id)
			}
			w.put(slot, id)
		}
	}
	w.loadAliases()
}

// unasked reports whether no rule can be for the event: its source has none, and it has no field but those that tell
// no other source.
func (w *scratch) unasked(e *ocsf.Event) bool {
	names, ok := w.idle[e.Source]
	if !ok {
		return false
	}
	at := 0 // both are in order
	for i := range e.Fields {
		name := e.Fields[i].Name
		for at < len(names) && names[at] != name && names[at] < name {
			at++
		}
		if at == len(names) || names[at] != name {
			return false
		}
		at++
	}
	return true
}

// note keeps the field names of the loaded event, which no rule is for, so that the next one alike need not be loaded.
func (w *scratch) note() {
	e := w.event
	if slices.ContainsFunc(w.means, (*meaning).routes) {
		return
	}
	names, known := w.idle[e.Source]
	if !known && (len(w.idle) >= maxIdle || len(e.Source) > maxIdleName) {
		return
	}
	for i := range e.Fields {
		name := e.Fields[i].Name
		at, there := slices.BinarySearch(names, name)
		if !there && len(names) < maxIdleNames && len(name) <= maxIdleName {
			names = slices.Insert(names, at, unique.Make(name).Value()) // as decoders have it: it compares at a glance
		}
	}
	w.idle[strings.Clone(e.Source)] = names
}

// learn resolves a field name and keeps what it means.
func (w *scratch) learn(name string) *meaning {
	m := w.set.slots.meaningOf(name)
	if len(name) <= maxKey {
		if len(w.names) >= maxNames {
			clear(w.names)
		}
		m.name = strings.Clone(name)
		w.names[m.name] = m
	}
	return m
}

// loadAliases adds values under other names, where the event has nothing of that name itself.
func (w *scratch) loadAliases() {
	creation := w.text(slotEventID) == "4688"
	native := int32(len(w.values))
	for i, m := range w.means {
		for _, a := range m.aliases {
			if a.when == whenCreation && !creation || w.first[a.slot] >= 0 && w.first[a.slot] < native {
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
	process := w.event.Process != nil && w.event.Class == ocsf.ClassProcessActivity
	for i := range w.derived {
		d := &w.derived[i]
		if w.first[d.slot] >= 0 || d.process && !process {
			continue
		}
		if text := d.text(w.event); text != "" {
			w.values = append(w.values, value{raw: text, next: -1, root: int32(len(w.values))})
			w.put(d.slot, int32(len(w.values)-1))
		}
	}
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
	w.values, w.means, w.used, w.buf, w.event = w.values[:0], w.means[:0], w.used[:0], w.buf[:0], nil
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
	groups := w.set.plan(w.set.partsOf(sig))
	if len(sig.source)+len(sig.channel)+len(sig.eventID)+len(sig.eventType) <= maxKey {
		if len(w.routes) >= maxRoutes {
			clear(w.routes)
		}
		w.routes[signature{strings.Clone(sig.source), strings.Clone(sig.channel), strings.Clone(sig.eventID), strings.Clone(sig.eventType)}] = groups
	}
	return groups
}

// partsOf returns the parts of the rule set that are for events of that signature.
func (s *RuleSet) partsOf(sig signature) (out []int32) {
	f := classify(sig)
	for i := range s.parts {
		if f.fits(s.parts[i].source) {
			out = append(out, int32(i))
		}
	}
	return out
}
