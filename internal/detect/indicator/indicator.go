// Package indicator finds known bad values in events. In come events and sets of indicators loaded from lists
// (STIX 2.1, CSV, one value a line); out come findings, one for each tenant, indicator and UTC day.
//
//	event ─ observables ─ hash table of values, parents of domains, networks ─ valid then? ─ finding of the day
//
// An indicator counts until its valid_until; what was seen before its valid_from counts too, since indicators
// are known long after they were used. What cannot be read of a list is returned with its reason and never
// stops a load. State is bounded: at most maxOpen findings are open, of the last two days.
package indicator

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const (
	maxOpen   = 100_000
	maxValues = 20 // distinct seen values of one finding
)

// Detector matches events against a set. It is a detect.Detector and a detect.Explainer.
type Detector struct {
	model   *tenant.Model
	set     Set
	open    map[key]*sighting
	matcher matcher
	told    int64 // day before which everything was emitted
	pending uint64
}

// key is what one finding is about.
type key struct {
	Tenant tenant.ID
	Type   ocsf.EntityType
	Value  string
	Day    int64 // since 1970
	Late   int64 // the day on which the event came, where its own was closed by then; else 0
}

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.Day, o.Day), cmp.Compare(k.Late, o.Late), cmp.Compare(k.Tenant, o.Tenant), cmp.Compare(k.Type, o.Type), cmp.Compare(k.Value, o.Value))
}

// closed reports whether a finding of the day takes no more events: it stays open for those that come late.
func closed(day, now int64) bool { return now > day+1 }

// sighting is an indicator seen by one tenant on one day.
type sighting struct {
	Indicator   Indicator
	First, Last time.Time
	Trust       tenant.TrustID
	Partner     tenant.PartnerID
	Layer       tenant.Layer
	Outcome     ocsf.Outcome
	Values      []string // as they were seen
	Evidence    []*ocsf.Event
	Count       int
	Emitted     int
	Dirty       bool
}

// New returns a detector for the indicators of all the sets.
func New(ctx detect.Context, sets ...Set) *Detector {
	d := &Detector{model: ctx.Model, set: Join(sets...), open: map[key]*sighting{}}
	if d.model == nil {
		d.model = &tenant.Model{}
	}
	d.matcher.set = &d.set
	return d
}

// Name returns "indicator".
func (d *Detector) Name() string { return "indicator" }

// Process matches one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	for _, h := range d.matcher.match(e) {
		d.sight(e, h, 0, emit)
	}
}

// ProcessLate matches an event that came after its time. The finding of its day takes it while it is open; after
// that, what comes late on one day is a finding of its own.
func (d *Detector) ProcessLate(e *ocsf.Event, now time.Time, emit detect.Emit) {
	late := int64(0)
	if closed(e.Time.Unix()/86400, now.Unix()/86400) {
		late = now.Unix() / 86400
	}
	for _, h := range d.matcher.match(e) {
		d.sight(e, h, late, emit)
	}
}

func (d *Detector) sight(e *ocsf.Event, h hit, late int64, emit detect.Emit) {
	in := d.set.At(int(h.entry))
	k := key{e.Tenant, in.Type, in.Value, e.Time.Unix() / 86400, late}
	s := d.open[k]
	if s == nil {
		if len(d.open) >= maxOpen {
			d.makeRoom(emit)
		}
		s = &sighting{Indicator: in, First: e.Time, Layer: e.Layer, Outcome: ocsf.OutcomeUnknown}
		d.open[k] = s
	}
	s.Count++
	s.Dirty = true
	d.pending++
	if e.Time.Before(s.First) {
		s.First = e.Time
	}
	if e.Time.After(s.Last) {
		s.Last = e.Time
	}
	if s.Trust == "" {
		s.Trust, s.Partner = e.Trust, e.Partner
	}
	if len(s.Evidence) < ocsf.MaxEvidence {
		s.Evidence = append(s.Evidence, e)
	}
	if len(s.Values) < maxValues && !slices.Contains(s.Values, h.seen) {
		s.Values = append(s.Values, h.seen)
	}
	surer := false
	if o := outcome(e, in.Type); worse(o) > worse(s.Outcome) {
		s.Outcome, surer = o, true
	}
	if surer || s.Count >= 2*s.Emitted {
		d.emit(k, s, emit)
	}
}

// Pending counts the events that may have been held back.
func (d *Detector) Pending() uint64 { return d.pending }

// outcome says how far the bad value got in this event.
func outcome(e *ocsf.Event, t ocsf.EntityType) ocsf.Outcome {
	switch {
	case e.Mail != nil:
		return ocsf.OutcomeAttempted
	case e.Class == ocsf.ClassDNSActivity:
		return ocsf.OutcomeUnknown
	case t == ocsf.EntityHash && e.Process != nil:
		return ocsf.OutcomeSucceeded
	case e.Flow != nil, e.Class == ocsf.ClassHTTPActivity, e.Class == ocsf.ClassNetworkActivity, e.Class == ocsf.ClassAuthentication:
		switch e.Status {
		case ocsf.StatusSuccess:
			return ocsf.OutcomeSucceeded
		case ocsf.StatusFailure:
			return ocsf.OutcomeAttempted
		}
	}
	return ocsf.OutcomeUnknown
}

func worse(o ocsf.Outcome) int {
	return slices.Index([]ocsf.Outcome{ocsf.OutcomeUnknown, ocsf.OutcomeAttempted, ocsf.OutcomeSucceeded}, o)
}

// severity follows the indicator's confidence. Where it states none, a whole network is weak, an address is
// medium since addresses change hands, and the rest names one thing.
func severity(in *Indicator) ocsf.Severity {
	switch c := in.Confidence; {
	case c >= 70:
		return ocsf.SeverityHigh
	case c >= 30:
		return ocsf.SeverityMedium
	case c > 0:
		return ocsf.SeverityLow
	}
	switch {
	case in.Type == ocsf.EntityIP && strings.Contains(in.Value, "/"):
		return ocsf.SeverityLow
	case in.Type == ocsf.EntityIP:
		return ocsf.SeverityMedium
	}
	return ocsf.SeverityHigh
}

func (d *Detector) emit(k key, s *sighting, emit detect.Emit) {
	emit(d.finding(k, s))
	s.Emitted, s.Dirty = s.Count, false
}

// finding says what is known of a sighting.
func (d *Detector) finding(k key, s *sighting) *ocsf.Finding {
	in := &s.Indicator
	f := &ocsf.Finding{Tenant: k.Tenant, Trust: s.Trust, Partner: s.Partner, Layer: s.Layer, Detector: "indicator",
		Rule: "indicator/" + string(in.Type), Technique: technique(s.Layer), Severity: severity(in), Confidence: in.Confidence,
		Outcome: s.Outcome, Snapshot: d.model.Version, Title: fmt.Sprintf("Known bad %s seen: %s", in.Type, in.Value)}
	if f.Confidence == 0 {
		f.Confidence = 60
	}
	about := []string{in.Value}
	if k.Late != 0 {
		about = append(about, fmt.Sprintf("came on day %d", k.Late))
	}
	f.Identify(time.Unix(k.Day*86400, 0).UTC(), about...)
	for _, e := range s.Evidence {
		f.AddEvidence(e)
	}
	f.Time, f.End, f.Count = s.First, s.Last, s.Count
	for _, v := range s.Values {
		f.AddEntity(in.Type, v, role(in.Type, v))
	}
	if !strings.Contains(in.Value, "/") || in.Type != ocsf.EntityIP {
		f.AddEntity(in.Type, in.Value, role(in.Type, in.Value))
	}
	for _, e := range s.Evidence {
		f.AddEntity(ocsf.EntityHost, e.Device, ocsf.RoleTarget)
		if m := e.Mail; m != nil {
			for _, to := range m.To[:min(len(m.To), 5)] {
				f.AddEntity(ocsf.EntityMailbox, to, ocsf.RoleTarget)
			}
		} else if e.Src.IP.IsValid() && e.Src.IP.IsPrivate() {
			f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleTarget)
		}
	}
	f.Reason = s.reason()
	return f
}

// role is infrastructure for what an intruder brings. A private address is no mark of anybody, so that tenants
// are never joined by one.
func role(t ocsf.EntityType, v string) string {
	if t == ocsf.EntitySubject { // others write such a subject too: it joins nobody
		return ocsf.RoleSource
	}
	if t == ocsf.EntityIP {
		if a, err := netip.ParseAddr(v); err == nil && (a.IsPrivate() || a.IsLinkLocalUnicast()) {
			return ocsf.RoleSource
		}
	}
	return ocsf.RoleInfrastructure
}

func technique(l tenant.Layer) ocsf.Technique {
	switch l {
	case tenant.LayerMail:
		return "T1566"
	case tenant.LayerNetwork:
		return "T1071"
	}
	return ""
}

func (s *sighting) reason() string {
	in := &s.Indicator
	var b strings.Builder
	fmt.Fprintf(&b, "%s is an indicator of %s", in.Value, in.Source)
	if in.Description != "" {
		fmt.Fprintf(&b, " (%s)", in.Description)
	}
	b.WriteByte('.')
	if others := slices.DeleteFunc(slices.Clone(s.Values), func(v string) bool { return v == in.Value }); len(others) > 0 {
		fmt.Fprintf(&b, " Seen as %s.", strings.Join(others[:min(len(others), 5)], ", "))
	}
	if s.Count == 1 {
		b.WriteString(" One event of this UTC day shows it.")
	} else {
		fmt.Fprintf(&b, " %d events of this UTC day show it.", s.Count)
	}
	if !in.ValidFrom.IsZero() && s.First.Before(in.ValidFrom) {
		fmt.Fprintf(&b, " That is %.0f days before it was published.", in.ValidFrom.Sub(s.First).Hours()/24)
	}
	switch {
	case in.Confidence > 0:
		fmt.Fprintf(&b, " Confidence %d.", in.Confidence)
	default:
		b.WriteString(" The list states no confidence.")
	}
	if in.TLP != "" {
		fmt.Fprintf(&b, " TLP:%s.", strings.ToUpper(in.TLP))
	}
	return b.String()
}

// Advance emits what has grown on days that are over, and lets go of days that even late events are too late for.
func (d *Detector) Advance(now time.Time, emit detect.Emit) {
	day := now.Unix() / 86400
	if day <= d.told {
		return
	}
	d.told = day
	for _, k := range d.keys() {
		if k.Day >= day {
			break
		}
		if s := d.open[k]; s.Dirty {
			d.emit(k, s, emit)
		}
		if closed(max(k.Day, k.Late), day) {
			delete(d.open, k)
		}
	}
}

// Conclude emits what has grown since it was last emitted.
func (d *Detector) Conclude(emit detect.Emit) {
	for _, k := range d.keys() {
		if s := d.open[k]; s.Dirty {
			emit(d.finding(k, s))
		}
	}
}

// makeRoom closes the older half. What is closed and seen again the same day starts its figures anew.
func (d *Detector) makeRoom(emit detect.Emit) {
	for _, k := range d.keys()[:maxOpen/2] {
		if s := d.open[k]; s.Dirty {
			d.emit(k, s, emit)
		}
		delete(d.open, k)
	}
}

func (d *Detector) keys() []key {
	keys := make([]key, 0, len(d.open))
	for k := range d.open {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, key.compare)
	return keys
}

type saved struct {
	Keys []key
	Open []*sighting
	Told int64 // day before which everything was emitted
}

// Snapshot returns what is open; the indicators themselves come from their lists again.
func (d *Detector) Snapshot() ([]byte, error) {
	out := saved{Keys: d.keys(), Told: d.told}
	for _, k := range out.Keys {
		out.Open = append(out.Open, d.open[k])
	}
	return detect.EncodeState(&out)
}

// Restore takes a state that Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	var in saved
	if err := detect.DecodeState(b, &in); err != nil {
		return err
	}
	if len(in.Keys) != len(in.Open) {
		return fmt.Errorf("reading the state of indicator: %d keys of %d findings", len(in.Keys), len(in.Open))
	}
	d.told = in.Told
	for i, k := range in.Keys {
		d.open[k] = in.Open[i]
	}
	return nil
}

// Hit is an indicator that an event holds.
type Hit struct {
	Indicator Indicator
	Seen      string // as the event has it
}

// Hits returns the indicators found in an event, each once. It changes nothing, and many may ask at once.
func (d *Detector) Hits(e *ocsf.Event) []Hit {
	m := matcher{set: &d.set}
	var out []Hit
	for _, h := range m.match(e) {
		out = append(out, Hit{d.set.At(int(h.entry)), h.seen})
	}
	return out
}

// Explain says which of the event's values are indicators.
func (d *Detector) Explain(e *ocsf.Event) []string {
	n := 0
	for range e.Observables {
		n++
	}
	out := []string{fmt.Sprintf("%d values looked up among %d indicators", n, d.set.Len())}
	hits := d.Hits(e)
	for _, h := range hits {
		out = append(out, fmt.Sprintf("%s matches %s %s of %s", h.Seen, h.Indicator.Type, h.Indicator.Value, h.Indicator.Source))
	}
	if len(hits) == 0 {
		out = append(out, "none of them is known")
	}
	return out
}
