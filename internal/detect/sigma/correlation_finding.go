package sigma

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// aheadOf is how far ahead of the stream's clock an event may be and still be correlated: what lies further ahead has
// a wrong clock, and would push what others matched out of the windows.
const aheadOf = time.Hour

// moment returns a time as windows keep it, held within what a number of nanoseconds can say.
func moment(t time.Time) int64 {
	switch y := t.Year(); {
	case y < 1700:
		return math.MinInt64 / 2
	case y > 2250:
		return math.MaxInt64 / 2
	}
	return t.UnixNano()
}

// correlate gives a match to the correlations that look at the rule; first says that it is the event's first.
func (d *detector) correlate(r *Rule, e *ocsf.Event, now time.Time, first *bool) {
	if len(d.set.feeds[r]) == 0 {
		return
	}
	y := e.Time.Year()
	if !now.IsZero() || y < 1700 || y > 2250 || !d.advanced.IsZero() && e.Time.After(d.advanced.Add(aheadOf)) {
		d.correlator.tenant(e.Tenant).left.Untimely++
		return
	}
	if *first {
		d.correlator.begin(e.Time.UnixNano())
		*first = false
	}
	d.correlator.match(r, e, d.work.origin(r))
}

// origin reads what the rule's correlations ask of the loaded event.
func (w *scratch) origin(r *Rule) *origin {
	o := &origin{rule: r, slots: w.set.carried[r]}
	o.values = make([][]string, len(o.slots))
	for i, slot := range o.slots {
		for v := w.first[slot]; v >= 0; v = w.values[v].next {
			if text := clip(w.values[v].raw); text != "" {
				// The values of a slot come last first; the event's own name for it was first.
				o.values[i] = append([]string{text}, o.values[i]...)
			}
		}
	}
	return o
}

// recordHits makes the findings of correlations that hold, or lets them grow.
func (d *detector) recordHits(emit detect.Emit) {
	for _, h := range d.hits {
		k, f := d.hitFinding(&h, d.open)
		if f == nil {
			continue
		}
		if d.open[k] != nil {
			d.grown(k, f, h.last(), emit)
			continue
		}
		if len(d.open) < maxOpen {
			d.open[k] = f
		}
		d.weigh(k, f, h.last().Time)
		emit(f.Clone()) // at once, however many events it begins with
	}
	clear(d.hits)
	d.hits = d.hits[:0]
}

// concludeHits emits what correlations that wait would find if the input ended now, and what that would make graver.
func (d *detector) concludeHits(emit detect.Emit) {
	var seen *sightings
	then := map[findingKey]*ocsf.Finding{} // as they would be
	var order []findingKey
	find := func(k findingKey) *ocsf.Finding {
		if f := d.open[k]; f != nil && then[k] == nil {
			then[k] = f.Clone()
		}
		return then[k]
	}
	changed := func(k findingKey, f *ocsf.Finding) {
		if then[k] = f; !slices.Contains(order, k) {
			order = append(order, k)
		}
	}
	d.correlator.concluded(func(h hit) {
		find(d.hitKey(&h))
		k, f := d.hitFinding(&h, then)
		if f == nil {
			return
		}
		if seen == nil {
			seen = d.seen.clone()
		}
		changed(k, f)
		d.weighBy(seen, k, f, h.last().Time, find, changed)
	})
	for _, k := range order {
		emit(then[k].Clone())
	}
}

// last returns the event that a hit was decided by.
func (h *hit) last() *ocsf.Event { return h.samples[len(h.samples)-1] }

// hitKey names the finding of a hit.
func (d *detector) hitKey(h *hit) findingKey {
	h.suppressed, h.note = d.tuning.explains(&h.c.Rule, h.samples...)
	return findingKey{Tenant: h.tenant, Rule: h.c.ID, Device: h.key, Day: dayOf(time.Unix(0, h.began)), Began: h.began, By: byOf(h.suppressed)}
}

// hitFinding returns the finding of a hit with what the hit adds, made where there is none among those given; nil
// where the correlation makes none.
func (d *detector) hitFinding(h *hit, open map[findingKey]*ocsf.Finding) (findingKey, *ocsf.Finding) {
	if h.c.quiet || len(h.samples) == 0 {
		return findingKey{}, nil
	}
	k := d.hitKey(h)
	if f := open[k]; f != nil {
		f.AddEvidence(h.last())
		f.Count += max(h.added, 1) - 1
		d.describe(h.c, f, h.last())
		return k, f
	}
	c := h.c
	f := &ocsf.Finding{Tenant: h.tenant, Layer: h.last().Layer, Detector: "sigma", Rule: c.ID, Title: c.Title, Technique: c.techniqueOf(),
		Severity: c.severity(), Confidence: c.confidence(), Outcome: ocsf.OutcomeUnknown, Snapshot: d.version, Suppressed: h.suppressed}
	for _, e := range h.samples {
		f.AddEvidence(e)
		d.describe(c, f, e)
	}
	f.Count = max(f.Count, h.weight)
	f.Reason = c.reason(h.group, f)
	if h.note != "" {
		f.Reason += "; " + h.note
	}
	f.Identify(time.Unix(0, h.began).UTC(), append([]string{"correlation", k.By}, h.group...)...)
	return k, f
}

// describe adds whom and what an event is about, and how far it got where the rule doesn't say.
func (d *detector) describe(c *Correlation, f *ocsf.Finding, e *ocsf.Event) {
	addEntities(f, e, actor(e))
	switch {
	case c.Outcome != "":
		f.Outcome = ocsf.Outcome(c.Outcome)
	case e.Status == ocsf.StatusFailure:
		f.Outcome = stronger(f.Outcome, ocsf.OutcomeAttempted)
	case e.Status == ocsf.StatusSuccess:
		f.Outcome = stronger(f.Outcome, ocsf.OutcomeSucceeded)
	}
	if f.Trust == "" {
		f.Trust, f.Partner = e.Trust, e.Partner
	}
}

// reason says in plain words what came together and by whose rule.
func (c *Correlation) reason(group []string, f *ocsf.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sigma correlation %q", c.Title)
	if c.Author != "" {
		fmt.Fprintf(&b, " by %s", c.Author)
	}
	if c.License != "" {
		fmt.Fprintf(&b, " (licence %s)", c.License)
	}
	var titles []string
	for i := range c.members {
		if i == 8 {
			titles = append(titles, fmt.Sprintf("%d more", len(c.members)-i))
			break
		}
		titles = append(titles, fmt.Sprintf("%q", c.members[i].head().Title))
	}
	what := c.bounds.String()
	if len(c.fields) > 0 {
		what = strings.Join(c.fields, ", ") + " " + what
	}
	fmt.Fprintf(&b, " holds: %s of %s: %s within %s", c.Type, strings.Join(titles, ", "), what, spanText(c.Timespan))
	for i, g := range c.GroupBy {
		fmt.Fprintf(&b, ", %s %s", g, group[i])
	}
	if f.Partner != "" {
		fmt.Fprintf(&b, ", which came through partner %s", f.Partner)
	}
	if len(c.FalsePositives) > 0 && !strings.EqualFold(c.FalsePositives[0], "unknown") {
		fmt.Fprintf(&b, "; its author names as harmless causes: %s", strings.Join(c.FalsePositives, "; "))
	}
	return b.String()
}

// spanText writes a timespan as rules do.
func spanText(d time.Duration) string {
	for _, u := range [...]struct {
		unit   time.Duration
		letter string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%u.unit == 0 {
			return fmt.Sprintf("%d%s", d/u.unit, u.letter)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// Left returns what correlations left out so far.
func (d *detector) Left() Left { return d.correlator.left() }
