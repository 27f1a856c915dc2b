package enumeration

import (
	"cmp"
	"fmt"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Explain says what an event means for its source and what the source still lacks to be told of.
func (d *Detector) Explain(e *ocsf.Event) []string {
	reader, ok := readerOf(e.Source)
	if !ok {
		return []string{"a source that tells nothing of names, directories, tickets or shares, not looked at"}
	}
	// Reading teaches who serves whom; a detector of its own reads here, which knows what this one does of the tenant.
	known := d.tenants[e.Tenant]
	c := New(detect.Context{Model: d.model})
	if known != nil {
		c.tenants[e.Tenant] = known.copyLearned()
	}
	reader(c, e)
	if len(c.acts) == 0 {
		return []string{"nothing in it lists what the network holds, not counted"}
	}
	var out []string
	for i := range c.acts {
		out = append(out, d.explainAct(known, e, &c.acts[i])...)
	}
	return out
}

func (d *Detector) explainAct(ts *tenantState, e *ocsf.Event, a *act) []string {
	t := &traits[a.kind]
	line := fmt.Sprintf("%s, %s of %s", titles[a.kind], a.object, a.targetName())
	if a.object == "" {
		line = fmt.Sprintf("%s, of %s", titles[a.kind], a.targetName())
	}
	out := []string{fmt.Sprintf("%s: counts from %d of a kind (%s) within ten minutes beside others, is told from %d", line, t.hint, t.unit, t.few)}
	if ts == nil {
		return append(out, "nothing of this tenant was seen yet")
	}
	c := ts.classify(e, a)
	if c == internet {
		return append(out, "the source is in the Internet and came through no trust: only counted, enumeration/internet-noise")
	}
	key := sourceKey{Addr: a.src.WithZone(""), Trust: e.Trust}
	if !a.src.IsValid() {
		key.Account = a.account
	}
	if p := d.approval(c, e, a); p != nil {
		key.Approved = true
		out = append(out, fmt.Sprintf("covered by the approval of %s: %s", p.Owner, p.Reason))
	}
	s := ts.peek(key)
	if s == nil {
		return append(out, "nothing of this source was seen yet")
	}
	at := e.Time.UnixNano()
	for i := range s.Kinds {
		x := &s.Kinds[i]
		if x.Kind != a.kind {
			continue
		}
		need := cmp.Or(t.habit, habitFrom)
		h := x.habit()
		usual, days := h.usual(at/dayLength, need)
		out = append(out, fmt.Sprintf("the source did %d within ten minutes at its last act; on %s before it was usually at most %d (a habit needs %d days)",
			x.count(x.At, window), plural(days, "day"), usual, need))
	}
	if s.Episode == nil {
		return append(out, "nothing is told of this source at present")
	}
	return append(out, "told: "+s.Episode.reason(s.Class, key, s.Episode.ordered()))
}
