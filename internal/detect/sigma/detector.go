package sigma

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxOpen bounds how many findings can still grow. Beyond it a finding counts each event by itself.
const maxOpen = 200_000

// reopen is for how long after its day a finding still takes late events.
const reopen = 24 * time.Hour

// detector turns matches into findings: one for each tenant, rule, device, user and UTC day.
type detector struct {
	set     *RuleSet
	version string
	open    map[findingKey]*ocsf.Finding // those that may still grow
	dirty   map[findingKey]*ocsf.Finding // those that grew since they were last emitted
	pending uint64
	swept   int64 // the day on which closed findings were last dropped
	work    *scratch

	advanced   time.Time // by the last Advance
	correlator *correlator
	tuning     *tuning
	seen       *sightings
	hits       []hit // of the correlations, until they are recorded
}

// findingKey is what one finding is about.
type findingKey struct {
	Tenant tenant.ID
	Rule   string
	Device string
	User   string
	Day    int64  // days since 1970, UTC
	Late   int64  // the day on which the event came, where its own was closed by then; else 0
	By     string // who suppressed it; a match that nobody suppressed is never in one finding with those that are
	Began  int64  // of a correlation: when its condition began to hold
}

// NewDetector returns a detector that emits a finding for what the rules match. It emits a finding again as its
// evidence grows; once that is full only its count grows, and it is emitted again on Advance. What filters and the
// allow-list cover becomes suppressed findings, beside those of what they don't.
func NewDetector(set *RuleSet, ctx detect.Context, allow ...Allow) detect.Detector {
	d := &detector{set: set, open: map[findingKey]*ocsf.Finding{}, dirty: map[findingKey]*ocsf.Finding{}, work: newScratch(set), seen: newSightings()}
	d.correlator = newCorrelator(set, func(h hit) { d.hits = append(d.hits, h) })
	d.tuning = newTuning(set, ctx.Model, allow)
	if ctx.Model != nil {
		d.version = ctx.Model.Version
	}
	return d
}

// Name returns "sigma".
func (d *detector) Name() string { return "sigma" }

// Process matches one event and emits what it found.
func (d *detector) Process(e *ocsf.Event, emit detect.Emit) { d.match(e, 0, time.Time{}, emit) }

// ProcessLate matches an event that came after its time. The finding of its day takes it while it is open; after
// that, what comes late on one day is a finding of its own. Correlations leave it out: their windows have moved on.
func (d *detector) ProcessLate(e *ocsf.Event, now time.Time, emit detect.Emit) {
	late := int64(0)
	if closed(dayOf(e.Time), now) {
		late = dayOf(now)
	}
	d.match(e, late, now, emit)
}

// match records what rules match; now is set for events that came after their time.
func (d *detector) match(e *ocsf.Event, late int64, now time.Time, emit detect.Emit) {
	if d.work.unasked(e) {
		return
	}
	d.work.load(e)
	first := true
	for _, pos := range d.work.match() {
		r := d.set.rules[pos]
		acts, ended := d.work.filtered(r)
		if acts == nil {
			d.correlate(r, e, now, &first)
		} else if d.set.quiet[r] {
			d.correlator.tenant(e.Tenant).left.Filtered++
		}
		if !d.set.quiet[r] {
			d.record(r, e, late, acts, ended, emit)
		}
	}
	d.work.forget()
	d.recordHits(emit)
}

func dayOf(t time.Time) int64 { return t.Unix() / 86_400 }

// closed reports whether a finding of the day takes no more events.
func closed(day int64, now time.Time) bool {
	return now.After(time.Unix((day+1)*86_400, 0).Add(reopen))
}

// record takes a match into its finding; acts is the filter that suppresses it, ended one that would have.
func (d *detector) record(r *Rule, e *ocsf.Event, late int64, acts, ended *Filter, emit detect.Emit) {
	user := actor(e)
	s, note := d.suppression(r, e, acts, ended)
	k := findingKey{Tenant: e.Tenant, Rule: r.ID, Device: strings.ToLower(device(e)), User: strings.ToLower(user.String()), Day: dayOf(e.Time), Late: late, By: byOf(s)}
	f := d.open[k]
	if f == nil {
		f = d.newFinding(k, r, e)
		if f.Suppressed = s; note != "" {
			f.Reason += "; " + note
		}
		if len(d.open) < maxOpen {
			d.open[k] = f
		}
	}
	f.AddEvidence(e)
	addEntities(f, e, user)
	f.Outcome = stronger(f.Outcome, outcome(r, e))
	if f.Trust == "" {
		f.Trust, f.Partner = e.Trust, e.Partner
	}
	d.grown(k, f, e, emit)
}

// suppression says who answers for a match, and tells of a filter or entry that did and has ended.
func (d *detector) suppression(r *Rule, e *ocsf.Event, acts, ended *Filter) (*ocsf.Suppression, string) {
	if acts != nil {
		return acts.Suppression(), ""
	}
	s, note := d.tuning.explains(r, e)
	if s == nil && note == "" && ended != nil {
		note = endedText(fmt.Sprintf("the Sigma filter %q", ended.Title), ended.Owner, ended.Until)
	}
	return s, note
}

// grown weighs a finding that has grown and emits it, or keeps that for Advance.
func (d *detector) grown(k findingKey, f *ocsf.Finding, e *ocsf.Event, emit detect.Emit) {
	d.weigh(k, f, e.Time)
	if f.Count <= ocsf.MaxEvidence || d.open[k] != f {
		emit(f.Clone())
		return
	}
	d.dirty[k] = f
	d.pending++
}

func (d *detector) newFinding(k findingKey, r *Rule, e *ocsf.Event) *ocsf.Finding {
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: "sigma", Rule: r.ID,
		Title: r.Title, Technique: r.technique(), Severity: r.severity(), Confidence: r.confidence(), Outcome: ocsf.OutcomeUnknown,
		Reason: r.reason(e), Snapshot: d.version}
	key := []string{k.Device, k.User}
	if k.Late != 0 {
		key = append(key, fmt.Sprintf("came on day %d", k.Late))
	}
	if k.By != "" {
		key = append(key, "suppressed", k.By)
	}
	f.Identify(time.Unix(k.Day*86_400, 0).UTC(), key...)
	return f
}

// Advance emits what has grown and lets go of findings that can't grow any more.
func (d *detector) Advance(now time.Time, emit detect.Emit) {
	d.advanced = now
	d.correlator.advance(moment(now))
	d.recordHits(emit)
	d.emitGrown(emit)
	clear(d.dirty)
	if day := dayOf(now); day != d.swept {
		d.swept = day
		d.seen.forget(now)
		maps.DeleteFunc(d.open, func(k findingKey, _ *ocsf.Finding) bool { return closed(max(k.Day, k.Late), now) })
	}
}

// Conclude emits what has grown since it was last emitted, and what correlations that wait would find.
func (d *detector) Conclude(emit detect.Emit) {
	d.emitGrown(emit)
	d.concludeHits(emit)
}

func (d *detector) emitGrown(emit detect.Emit) {
	grown := slices.SortedFunc(maps.Values(d.dirty), func(a, b *ocsf.Finding) int { return cmp.Compare(a.ID, b.ID) })
	for _, f := range grown {
		emit(f.Clone())
	}
}

// Pending counts the events that were held back.
func (d *detector) Pending() uint64 { return d.pending }

// savedFinding is an open finding as a snapshot holds it.
type savedFinding struct {
	Key     findingKey
	Dirty   bool
	Finding *ocsf.Finding
}

// saved is the state as a snapshot holds it.
type saved struct {
	Open        []savedFinding
	Advanced    time.Time
	Correlation savedCorrelator
	Seen        []savedSighting
}

// Snapshot returns the open findings, the windows of correlations, and what was seen where.
func (d *detector) Snapshot() ([]byte, error) {
	keys := slices.SortedFunc(maps.Keys(d.open), func(a, b findingKey) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Device, b.Device),
			cmp.Compare(a.User, b.User), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Late, b.Late), cmp.Compare(a.By, b.By), cmp.Compare(a.Began, b.Began))
	})
	list := make([]savedFinding, len(keys))
	for i, k := range keys {
		list[i] = savedFinding{k, d.dirty[k] != nil, d.open[k]}
	}
	return detect.EncodeState(saved{list, d.advanced, d.correlator.save(), d.seen.save()})
}

// Restore takes a snapshot in; those of versions without correlations hold findings alone.
func (d *detector) Restore(b []byte) error {
	var s saved
	if err := detect.DecodeState(b, &s); err != nil {
		if detect.DecodeState(b, &s.Open) != nil {
			return fmt.Errorf("reading the state of the sigma detector: %w", err)
		}
	}
	for _, x := range s.Open {
		if x.Finding == nil {
			return fmt.Errorf("reading the state of the sigma detector: rule %s has no finding", x.Key.Rule)
		}
		if d.open[x.Key] = x.Finding; x.Dirty {
			d.dirty[x.Key] = x.Finding
		}
	}
	d.advanced = s.Advanced
	d.seen.restore(s.Seen)
	if err := d.correlator.restore(s.Correlation); err != nil {
		return fmt.Errorf("reading the state of the sigma detector: %w", err)
	}
	return nil
}
