package sigma

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Explanation says what became of one event under one rule.
type Explanation struct {
	Rule       *Rule
	Tried      bool // the event belongs to the rule's log source
	Matches    bool
	Why        string // one sentence: why it wasn't tried, why it matches or doesn't
	Selections []SelectionResult
}

// SelectionResult is what one selection of a rule says of an event.
type SelectionResult struct {
	Name  string
	Holds bool
	Why   string // what doesn't hold, with the values that the event has; empty where the selection holds
}

// maxWhys bounds how much of a selection is told, maxShown the bytes of a value.
const (
	maxWhys  = 3
	maxShown = 120
)

// Explain says why the rule matches the event, doesn't, or was never tried on it. The selections are told in each case.
func (s *RuleSet) Explain(e *ocsf.Event, r *Rule) Explanation {
	w := s.work.Get().(*scratch)
	defer s.work.Put(w)
	defer w.forget()
	w.load(e)
	sig := signature{e.Source, w.text(slotChannel), w.text(slotEventID), w.text(slotEventType)}
	x := Explanation{Rule: r}
	var yes, no []string
	for i := range r.selections {
		one := SelectionResult{Name: r.selections[i].name, Holds: w.plain(r.selections[i].expr)}
		if one.Holds {
			yes = append(yes, one.Name)
		} else {
			one.Why, no = w.why(r.selections[i].expr, 0), append(no, one.Name)
		}
		x.Selections = append(x.Selections, one)
	}
	f := classify(sig)
	if x.Tried = (sig.source != "" || sig.channel != "") && f.fits(r.LogSource); !x.Tried {
		x.Why = fmt.Sprintf("not tried: the rule is for %s; the event is of %s, which is %s", r.LogSource, sig, &f)
		return x
	}
	x.Matches = w.plain(r.cond)
	state := map[bool]string{true: "matches", false: "doesn't match"}[x.Matches]
	x.Why = fmt.Sprintf("%s: condition %q; holds: %s; doesn't hold: %s", state, strings.Join(r.Conditions, `" or "`), listed(yes), listed(no))
	return x
}

// For returns the rules that are tried on events like that one, in the order of their ids.
func (s *RuleSet) For(e *ocsf.Event) []*Rule {
	w := s.work.Get().(*scratch)
	defer s.work.Put(w)
	defer w.forget()
	w.load(e)
	var out []*Rule
	for _, p := range w.fitting(signature{e.Source, w.text(slotChannel), w.text(slotEventID), w.text(slotEventType)}) {
		for _, pos := range p.rules {
			out = append(out, s.rules[pos])
		}
	}
	slices.SortFunc(out, func(a, b *Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// String names the log sources to which such events belong.
func (f *facets) String() string {
	var out []string
	for _, p := range [...]struct {
		name string
		list []string
	}{{"product", []string{f.product}}, {"service", f.services}, {"category", f.categories}} {
		if text := strings.Join(p.list, " or "); text != "" {
			out = append(out, p.name+" "+text)
		}
	}
	if len(out) == 0 {
		return "of no log source that rules are written for"
	}
	return strings.Join(out, ", ")
}

// why tells which parts of an expression that doesn't hold are to blame.
func (w *scratch) why(x *expr, depth int) string {
	if depth > 4 {
		return "…"
	}
	switch x.op {
	case opAtom:
		return x.pred.String() + ": " + w.has(x.pred.field)
	case opNot:
		return "excluded: " + describe(x.kids[0])
	case opAnd:
		return w.whys(x.kids, "; ", depth)
	}
	if field, ok := oneField(x.kids); ok {
		return fmt.Sprintf("none of %d values of %s fits: %s", len(x.kids), field, w.has(field))
	}
	return "none of: " + w.whys(x.kids, " / ", depth)
}

func (w *scratch) whys(kids []*expr, between string, depth int) string {
	var list []string
	failing := 0
	for _, k := range kids {
		if w.plain(k) {
			continue
		}
		if failing++; failing <= maxWhys {
			list = append(list, w.why(k, depth+1))
		}
	}
	if failing > maxWhys {
		list = append(list, fmt.Sprintf("and %d more", failing-maxWhys))
	}
	return strings.Join(list, between)
}

// oneField returns the field that all parts ask, where it is one.
func oneField(kids []*expr) (string, bool) {
	for _, k := range kids {
		if k.op != opAtom || k.pred.field == "" || k.pred.field != kids[0].pred.field {
			return "", false
		}
	}
	return kids[0].pred.field, len(kids) > 1
}

// has tells what the event has in a field.
func (w *scratch) has(field string) string {
	if field == "" {
		return "no field of the event does"
	}
	slot, ok := w.set.slots.byName[canonical(field)]
	if !ok || w.first[slot] < 0 {
		return "the event has no such field"
	}
	text := w.text(slot)
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	if more := w.values[w.first[slot]].next; more >= 0 {
		return fmt.Sprintf("the event has %q and more", text)
	}
	return fmt.Sprintf("the event has %q", text)
}

func describe(x *expr) string {
	switch x.op {
	case opAtom:
		return x.pred.String()
	case opNot:
		return "not " + describe(x.kids[0])
	}
	if field, ok := oneField(x.kids); ok {
		return fmt.Sprintf("%d values of %s", len(x.kids), field)
	}
	return fmt.Sprintf("%d items", len(x.kids))
}

// String says what the predicate asks.
func (q *predicate) String() string {
	field := q.field
	if field == "" {
		field = "any field"
	}
	value := q.lit
	name := [...]string{"is", "begins with", "ends with", "holds", "fits", "fits the expression", "is in", "is absent", "is there", "", "equals"}[q.kind]
	switch q.kind {
	case kindNull, kindExists:
		return field + " " + name
	case kindRegex:
		value = q.re.String()
	case kindCIDR:
		value = q.net.String()
	case kindGlob:
		value = q.pat.String()
	case kindCompare:
		if q.part != "" {
			field += "'s " + q.part
		}
		return fmt.Sprintf("%s %s %s", field, q.op, strings.TrimSuffix(q.number.String(), "f"))
	case kindFieldRef:
		if q.op != "" {
			name = q.op
		}
		return fmt.Sprintf("%s %s field %s", field, name, q.other)
	}
	if len(value) > maxShown {
		value = value[:maxShown] + "…"
	}
	return fmt.Sprintf("%s %s %q", field, name, value)
}

// String writes the pattern with its wildcards.
func (p pattern) String() string {
	var b strings.Builder
	for _, t := range p {
		switch t.kind {
		case tokStar:
			b.WriteByte('*')
		case tokAny:
			b.WriteByte('?')
		case tokDash:
			b.WriteByte('-')
		default:
			b.WriteString(t.text)
		}
	}
	return b.String()
}
