package sigma

import (
	"cmp"
	"encoding/json"
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
	open    map[findingKey]*openFinding
	work    *scratch
}

// findingKey is what one finding is about.
type findingKey struct {
	Tenant tenant.ID
	Rule   string
	Device string
	User   string
	Day    int64 // days since 1970, UTC
}

// openFinding is a finding that may still grow.
type openFinding struct {
	*ocsf.Finding
	dirty bool // grown since it was last emitted
}

// NewDetector returns a detector that emits a finding for what the rules match. It emits a finding again as its
// evidence grows; once that is full only its count grows, and it is emitted again on Advance.
func NewDetector(set *RuleSet, ctx detect.Context) detect.Detector {
	d := &detector{set: set, open: map[findingKey]*openFinding{}, work: newScratch(set)}
	if ctx.Model != nil {
		d.version = ctx.Model.Version
	}
	return d
}

// Name returns "sigma".
func (d *detector) Name() string { return "sigma" }

// Process matches one event and emits what it found.
func (d *detector) Process(e *ocsf.Event, emit detect.Emit) {
	d.work.load(e)
	for _, pos := range d.work.match() {
		d.record(d.set.rules[pos], e, emit)
	}
	d.work.forget()
}

func (d *detector) record(r *Rule, e *ocsf.Event, emit detect.Emit) {
	user := actor(e)
	k := findingKey{e.Tenant, r.ID, strings.ToLower(device(e)), strings.ToLower(user.String()), e.Time.UTC().Unix() / 86_400}
	f := d.open[k]
	if f == nil {
		f = &openFinding{Finding: d.newFinding(k, r, e)}
		if len(d.open) < maxOpen {
			d.open[k] = f
		}
	}
	f.AddEvidence(e)
	addEntities(f.Finding, e, user)
	f.Outcome = stronger(f.Outcome, outcome(r, e))
	if f.Trust == "" {
		f.Trust, f.Partner = e.Trust, e.Partner
	}
	if f.dirty = f.Count > ocsf.MaxEvidence; !f.dirty {
		emit(copyOf(f.Finding))
	}
}

func (d *detector) newFinding(k findingKey, r *Rule, e *ocsf.Event) *ocsf.Finding {
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: "sigma", Rule: r.ID,
		Title: r.Title, Technique: r.technique(), Severity: r.severity(), Confidence: r.confidence(), Outcome: ocsf.OutcomeUnknown,
		Reason: r.reason(e), Snapshot: d.version}
	f.Identify(time.Unix(k.Day*86_400, 0).UTC(), k.Device, k.User)
	return f
}

// copyOf returns a finding that does not change when the open one grows.
func copyOf(f *ocsf.Finding) *ocsf.Finding {
	c := *f
	c.Entities, c.Evidence = slices.Clone(f.Entities), slices.Clone(f.Evidence)
	return &c
}

// Advance emits what has grown and lets go of findings that can't grow any more.
func (d *detector) Advance(now time.Time, emit detect.Emit) {
	var dirty []*ocsf.Finding
	for k, f := range d.open {
		if f.dirty {
			f.dirty = false
			dirty = append(dirty, f.Finding)
		}
		if now.After(time.Unix((k.Day+1)*86_400, 0).Add(reopen)) {
			delete(d.open, k)
		}
	}
	slices.SortFunc(dirty, func(a, b *ocsf.Finding) int { return cmp.Compare(a.ID, b.ID) })
	for _, f := range dirty {
		emit(copyOf(f))
	}
}

// savedFinding is an open finding as a snapshot holds it; the plain type has none of the finding's own JSON.
type savedFinding struct {
	Key     findingKey
	Dirty   bool
	Finding plainFinding
}

type plainFinding ocsf.Finding

// Snapshot returns the open findings.
func (d *detector) Snapshot() ([]byte, error) {
	keys := slices.SortedFunc(maps.Keys(d.open), func(a, b findingKey) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Device, b.Device),
			cmp.Compare(a.User, b.User), cmp.Compare(a.Day, b.Day))
	})
	list := make([]savedFinding, len(keys))
	for i, k := range keys {
		list[i] = savedFinding{k, d.open[k].dirty, plainFinding(*d.open[k].Finding)}
	}
	b, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("writing the state of the sigma detector: %w", err)
	}
	return b, nil
}

// Restore takes the findings of a snapshot in.
func (d *detector) Restore(b []byte) error {
	var list []savedFinding
	if err := json.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("reading the state of the sigma detector: %w", err)
	}
	for i := range list {
		f := ocsf.Finding(list[i].Finding)
		d.open[list[i].Key] = &openFinding{&f, list[i].Dirty}
	}
	return nil
}
