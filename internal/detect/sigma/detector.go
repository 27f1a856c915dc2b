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
}

// findingKey is what one finding is about.
type findingKey struct {
	Tenant tenant.ID
	Rule   string
	Device string
	User   string
	Day    int64 // days since 1970, UTC
	Late   int64 // the day on which the event came, where its own was closed by then; else 0
}

// NewDetector returns a detector that emits a finding for what the rules match. It emits a finding again as its
// evidence grows; once that is full only its count grows, and it is emitted again on Advance.
func NewDetector(set *RuleSet, ctx detect.Context) detect.Detector {
	d := &detector{set: set, open: map[findingKey]*ocsf.Finding{}, dirty: map[findingKey]*ocsf.Finding{}, work: newScratch(set)}
	if ctx.Model != nil {
		d.version = ctx.Model.Version
	}
	return d
}

// Name returns "sigma".
func (d *detector) Name() string { return "sigma" }

// Process matches one event and emits what it found.
func (d *detector) Process(e *ocsf.Event, emit detect.Emit) { d.match(e, 0, emit) }

// ProcessLate matches an event that came after its time. The finding of its day takes it while it is open; after
// that, what comes late on one day is a finding of its own.
func (d *detector) ProcessLate(e *ocsf.Event, now time.Time, emit detect.Emit) {
	late := int64(0)
	if closed(dayOf(e.Time), now) {
		late = dayOf(now)
	}
	d.match(e, late, emit)
}

func (d *detector) match(e *ocsf.Event, late int64, emit detect.Emit) {
	if d.work.unasked(e) {
		return
	}
	d.work.load(e)
	for _, pos := range d.work.match() {
		d.record(d.set.rules[pos], e, late, emit)
	}
	d.work.forget()
}

func dayOf(t time.Time) int64 { return t.Unix() / 86_400 }

// closed reports whether a finding of the day takes no more events.
func closed(day int64, now time.Time) bool {
	return now.After(time.Unix((day+1)*86_400, 0).Add(reopen))
}

func (d *detector) record(r *Rule, e *ocsf.Event, late int64, emit detect.Emit) {
	user := actor(e)
	k := findingKey{e.Tenant, r.ID, strings.ToLower(device(e)), strings.ToLower(user.String()), dayOf(e.Time), late}
	f := d.open[k]
	if f == nil {
		f = d.newFinding(k, r, e)
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
	f.Identify(time.Unix(k.Day*86_400, 0).UTC(), key...)
	return f
}

// Advance emits what has grown and lets go of findings that can't grow any more.
func (d *detector) Advance(now time.Time, emit detect.Emit) {
	d.Conclude(emit)
	clear(d.dirty)
	if day := dayOf(now); day != d.swept {
		d.swept = day
		maps.DeleteFunc(d.open, func(k findingKey, _ *ocsf.Finding) bool { return closed(max(k.Day, k.Late), now) })
	}
}

// Conclude emits what has grown since it was last emitted.
func (d *detector) Conclude(emit detect.Emit) {
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

// Snapshot returns the open findings.
func (d *detector) Snapshot() ([]byte, error) {
	keys := slices.SortedFunc(maps.Keys(d.open), func(a, b findingKey) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Device, b.Device),
			cmp.Compare(a.User, b.User), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Late, b.Late))
	})
	list := make([]savedFinding, len(keys))
	for i, k := range keys {
		list[i] = savedFinding{k, d.dirty[k] != nil, d.open[k]}
	}
	return detect.EncodeState(list)
}

// Restore takes the findings of a snapshot in.
func (d *detector) Restore(b []byte) error {
	var list []savedFinding
	if err := detect.DecodeState(b, &list); err != nil {
		return fmt.Errorf("reading the state of the sigma detector: %w", err)
	}
	for _, s := range list {
		if s.Finding == nil {
			return fmt.Errorf("reading the state of the sigma detector: rule %s has no finding", s.Key.Rule)
		}
		if d.open[s.Key] = s.Finding; s.Dirty {
			d.dirty[s.Key] = s.Finding
		}
	}
	return nil
}
