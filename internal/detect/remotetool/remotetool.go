// Package remotetool finds remote-support tools and instances of them that a tenant has not sanctioned (ATT&CK
// T1219). A partner's ScreenConnect and an intruder's differ only by the instance id and the relay host, so a
// known product with an unknown instance weighs more than an unknown product: it hides behind what users know.
//
// In: events with a remote-tool part, and TLS, DNS and HTTP contacts with relay domains of known products.
// Out: one finding for each tenant, product and instance, with evidence that grows. It keeps no baseline: what
// is sanctioned is declared in the trusts.
package remotetool

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Settled is how long a tenant must have been seen before contact with an undeclared relay counts as new.
const Settled = 24 * time.Hour

// MaxFindings bounds how many instances a detector remembers; beyond, those unseen longest begin anew.
const MaxFindings = 50_000

// ForgetAfter is how long an instance or relay must be unseen to begin anew.
const ForgetAfter = 180 * 24 * time.Hour

// maxEntities is where a finding stops to name further hosts, operators and relays.
const maxEntities = 40

// Detector implements detect.Detector.
type Detector struct {
	model    *tenant.Model
	products map[tenant.ID]map[string]bool // products that some trust of the tenant declares
	trusts   map[tenant.ID][]*tenant.Trust // into the tenant, and of the tenant as a partner
	found    map[string]*open
	relays   map[string]behind       // tenant, tool, relay → instance, learned from what ran there
	first    map[tenant.ID]time.Time // first event of each tenant: what was there from the start is not new
	held     map[*open]struct{}      // those that grew since they were last emitted
	pending  uint64
	swept    time.Time
}

// open is what was found of one instance, without its reason.
type open struct {
	Finding   *ocsf.Finding
	Tool, Key string
	Known     bool // the tenant's trusts declare the product
	Held      bool
}

// behind is the instance that was seen to stand behind a relay's name, and when it last was.
type behind struct {
	Instance string
	Last     int64
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	d := &Detector{model: ctx.Model, products: map[tenant.ID]map[string]bool{}, trusts: map[tenant.ID][]*tenant.Trust{}, found: map[string]*open{},
		relays: map[string]behind{}, first: map[tenant.ID]time.Time{}, held: map[*open]struct{}{}}
	for i := range ctx.Model.Trusts {
		t := &ctx.Model.Trusts[i]
		d.trusts[t.Tenant] = append(d.trusts[t.Tenant], t)
		if p := ctx.Model.Partner(t.Partner); p != nil && p.Tenant != "" && p.Tenant != t.Tenant {
			d.trusts[p.Tenant] = append(d.trusts[p.Tenant], t)
		}
		for _, r := range t.RemoteTools {
			d.sanction(t.Tenant, r.Tool)
			if p := ctx.Model.Partner(t.Partner); p != nil && p.Tenant != "" {
				d.sanction(p.Tenant, r.Tool)
			}
		}
	}
	return d
}

func (d *Detector) sanction(id tenant.ID, tool string) {
	if d.products[id] == nil {
		d.products[id] = map[string]bool{}
	}
	d.products[id][tool] = true
}

// Name returns "remotetool".
func (d *Detector) Name() string { return "remotetool" }

// sighting is what one event shows of a tool.
type sighting struct{ tool, instance, relay, act string }

func seen(e *ocsf.Event) (sighting, bool) {
	if r := e.Remote; r != nil && r.Tool == "console" {
		return sighting{}, false // the audit of some console: no product on a host
	} else if r != nil && r.Tool != "" {
		return sighting{r.Tool, strings.ToLower(r.Instance), strings.ToLower(r.Relay), r.Act}, true
	}
	switch e.Class {
	case ocsf.ClassDNSActivity, ocsf.ClassNetworkActivity, ocsf.ClassHTTPActivity:
		if e.Dst.Domain == "" {
			return sighting{}, false
		}
		if tool, instance, ok := remotetool.ByDomain(e.Dst.Domain); ok {
			return sighting{tool, strings.ToLower(instance), strings.ToLower(e.Dst.Domain), "contact"}, true
		}
	}
	return sighting{}, false
}

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	if _, ok := d.first[e.Tenant]; !ok {
		d.first[e.Tenant] = e.Time
	}
	s, ok := seen(e)
	if !ok || e.Direction == ocsf.DirectionOut && e.Rule != "" && e.Remote != nil {
		return
	}
	if s.act != "contact" && s.instance != "" && s.relay != "" {
		detect.MakeRoom(d.relays, MaxFindings, func(r behind) int64 { return r.Last })
		d.relays[relayKey(e.Tenant, s)] = behind{strings.Clone(s.instance), e.Time.Unix()}
	}
	if s.act == "contact" {
		if !d.byInstance(s.tool) {
			return // a product without instances is judged where it is installed or used, not by a name look-up
		}
		s.instance = d.learned(e.Tenant, s)
	}
	if d.sanctioned(e, s) {
		return
	}
	d.report(e, s, emit)
}

// learned returns the instance behind a relay. A relay's name and the instance id in an agent's name are different
// words for the same thing; only what ran on a host tells which belongs to which.
func (d *Detector) learned(id tenant.ID, s sighting) string {
	return d.relays[relayKey(id, s)].Instance
}

func relayKey(id tenant.ID, s sighting) string {
	return string(id) + "\x00" + s.tool + "\x00" + s.relay
}

// byInstance reports whether the product's relay name tells the instance, so that a contact says something.
func (d *Detector) byInstance(tool string) bool { return tool == "screenconnect" }

// sanctioned reports whether a trust valid then declares this tool and instance for the tenant, or the tenant
// is itself the partner that uses it.
func (d *Detector) sanctioned(e *ocsf.Event, s sighting) bool {
	for _, t := range d.trusts[e.Tenant] {
		if t.Tenant == e.Tenant && !t.ValidAt(e.Time) {
			continue
		}
		for _, r := range t.RemoteTools {
			if r.Tool == s.tool && covers(r, s) {
				return true
			}
		}
	}
	return false
}

func covers(r tenant.RemoteTool, s sighting) bool {
	if r.Instance == "" && len(r.Hosts) == 0 {
		return true
	}
	if s.instance != "" && r.Instance != "" {
		return strings.EqualFold(r.Instance, s.instance)
	}
	if s.act == "contact" && len(r.Hosts) == 0 && s.instance == "" {
		return true // declared by instance alone: the relay's name can't tell it from another
	}
	for _, h := range r.Hosts {
		if s.relay != "" && tenant.WithinDomain(s.relay, strings.ToLower(h)) {
			return true
		}
	}
	return s.relay == "" && s.instance == "" // the record does not tell which instance
}

func (d *Detector) report(e *ocsf.Event, s sighting, emit detect.Emit) {
	known := d.products[e.Tenant][s.tool]
	key := s.instance
	if key == "" {
		key = s.relay
	}
	id := string(e.Tenant) + "\x00" + s.tool + "\x00" + key
	o := d.found[id]
	if o == nil {
		detect.MakeRoom(d.found, MaxFindings, func(o *open) int64 { return o.Finding.End.Unix() })
		f := &ocsf.Finding{Tenant: e.Tenant, Layer: e.Layer, Detector: d.Name(), Technique: "T1219", Confidence: 60, Outcome: ocsf.OutcomeUnknown}
		if known {
			f.Rule, f.Title, f.Technique = "remotetool/foreign-instance", "A sanctioned remote tool, but not a sanctioned instance", "T1219.002"
		} else {
			f.Rule, f.Title = "remotetool/unsanctioned-tool", "A remote tool that nobody declared"
		}
		f.Identify(time.Time{}, s.tool, key)
		o = &open{Finding: f, Tool: s.tool, Key: key, Known: known}
		d.found[id] = o
	}
	f := o.Finding
	severity, outcome, entities := f.Severity, f.Outcome, len(f.Entities)
	f.AddEvidence(e)
	d.grade(f, e, s, known)
	if s.instance != "" {
		f.AddEntity(ocsf.EntityRMM, s.instance, ocsf.RoleInfrastructure)
	}
	if s.relay != "" && len(f.Entities) < maxEntities {
		f.AddEntity(ocsf.EntityDomain, s.relay, ocsf.RoleInfrastructure)
	}
	if len(f.Entities) < maxEntities {
		switch {
		case e.Device != "":
			f.AddEntity(ocsf.EntityHost, e.Device, ocsf.RoleTarget)
		case e.Src.IP.IsValid():
			f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleTarget)
		}
		if e.Remote != nil {
			f.AddEntity(ocsf.EntityUser, e.Remote.Operator, ocsf.RoleActor)
		}
	}
	if f.Count <= ocsf.MaxEvidence || f.Severity != severity || f.Outcome != outcome || len(f.Entities) != entities {
		emit(o.finding())
		o.Held = false
		delete(d.held, o)
		return
	}
	o.Held = true
	d.held[o] = struct{}{}
	d.pending++
}

func (d *Detector) grade(f *ocsf.Finding, e *ocsf.Event, s sighting, known bool) {
	sev := ocsf.SeverityLow
	switch s.act {
	case "contact":
		if known && f.Time.Sub(d.first[e.Tenant]) > Settled {
			sev = ocsf.SeverityMedium
		}
	case "disconnect":
	default: // install, connect, command, file: the tool ran there
		f.Outcome, f.Confidence = ocsf.OutcomeSucceeded, 80
		if sev = ocsf.SeverityMedium; known && s.instance != "" {
			sev = ocsf.SeverityHigh
		}
	}
	f.Severity = max(f.Severity, sev)
	if e.Time.Before(f.Time) || f.Count == 1 {
		f.Layer = e.Layer
	}
}

// finding is what there is to tell.
func (o *open) finding() *ocsf.Finding {
	f := o.Finding.Clone()
	what := o.Tool
	if o.Key != "" {
		what += " instance " + o.Key
	}
	if f.Reason = fmt.Sprintf("%s was seen %d times; no trust of this tenant declares %s.", what, f.Count, o.Tool); o.Known {
		f.Reason = fmt.Sprintf("%s was seen %d times; this tenant's trusts declare %s, but not this instance, so it is somebody else's.", what, f.Count, o.Tool)
	}
	return f
}

// Advance emits what has grown, and forgets once a day what was not seen for long.
func (d *Detector) Advance(now time.Time, emit detect.Emit) {
	for o := range d.held {
		emit(o.finding())
		o.Held = false
	}
	clear(d.held)
	if now.Sub(d.swept) < 24*time.Hour {
		return
	}
	d.swept = now
	limit := now.Add(-ForgetAfter)
	maps.DeleteFunc(d.found, func(_ string, o *open) bool { return o.Finding.End.Before(limit) })
	maps.DeleteFunc(d.relays, func(_ string, r behind) bool { return r.Last < limit.Unix() })
}

// Conclude emits what has grown since it was last emitted.
func (d *Detector) Conclude(emit detect.Emit) {
	for o := range d.held {
		emit(o.finding())
	}
}

// Pending counts the events that were held back.
func (d *Detector) Pending() uint64 { return d.pending }

// Explain says what the detector makes of one event.
func (d *Detector) Explain(e *ocsf.Event) []string {
	s, ok := seen(e)
	if s.act == "contact" {
		s.instance = d.learned(e.Tenant, s)
	}
	switch {
	case !ok:
		return []string{"no remote tool in this event"}
	case s.act == "contact" && !d.byInstance(s.tool):
		return []string{s.tool + " is judged where it is installed or used: a contact with its maker's hosts says nothing"}
	case d.sanctioned(e, s):
		return []string{fmt.Sprintf("%s %s %s is sanctioned by a trust", s.tool, s.instance, s.relay)}
	}
	return []string{fmt.Sprintf("%s %s %s is not declared by any trust of this tenant", s.tool, s.instance, s.relay)}
}

type snapshot struct {
	Found  map[string]*open
	Relays map[string]behind
	First  map[tenant.ID]time.Time
	Swept  time.Time
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	return detect.EncodeState(snapshot{d.found, d.relays, d.first, d.swept})
}

// Restore takes what Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	s := snapshot{Found: map[string]*open{}, Relays: map[string]behind{}, First: map[tenant.ID]time.Time{}}
	if err := detect.DecodeState(b, &s); err != nil {
		return err
	}
	for id, o := range s.Found {
		if o == nil || o.Finding == nil {
			return fmt.Errorf("reading the state of remotetool: %q has no finding", id)
		}
		if o.Held {
			d.held[o] = struct{}{}
			d.pending++
		}
	}
	d.found, d.relays, d.first, d.swept = s.Found, s.Relays, s.First, s.Swept
	return nil
}
