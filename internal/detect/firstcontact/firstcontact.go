// Package firstcontact finds what a trust relationship has never done before: an account from a new place, an
// app's key from a new address, a source that meets many new hosts within an hour. The score is rarity against
// the partner's own learned past, over all its tenants, and not a fixed list; a warm-up is told in the reason.
//
// In: attributed sign-ins, VPN and remote-tool sessions, logons and established connections in event time.
// Out: findings, most of them low: first contact alone is daily life, and becomes evidence beside others.
package firstcontact

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Warm-up, thresholds and bounds.
const (
	WarmEvents  = 10                  // sessions of an account or app before its places mean something
	WarmTime    = 24 * time.Hour      // and the time since its first
	YoungTrust  = 7 * 24 * time.Hour  // a trust this new meets hosts for the first time by nature
	HitList     = 8                   // hosts met for the first time by one source within HitWindow
	HitWindow   = time.Hour           //
	ForgetAfter = 45 * 24 * time.Hour // a place unused this long is new again
	MaxKeys     = 500_000
)

// habit is the places that one account, app or partner was seen at.
type habit struct {
	First  time.Time
	Count  int
	Places map[string]time.Time // place → last seen
}

// meeting is the recent first contacts of one source.
type meeting struct {
	New []contact
}

type contact struct {
	At    time.Time
	Host  string
	Event *ocsf.Event
}

// Detector implements detect.Detector.
type Detector struct {
	model    *tenant.Model
	accounts map[string]*habit
	partners map[string]*habit
	pairs    map[string]time.Time
	sources  map[string]*meeting
}

// New returns a detector for the declared model.
func New(ctx detect.Context) *Detector {
	return &Detector{model: ctx.Model, accounts: map[string]*habit{}, partners: map[string]*habit{}, pairs: map[string]time.Time{}, sources: map[string]*meeting{}}
}

// Name returns "firstcontact".
func (d *Detector) Name() string { return "firstcontact" }

// Process looks at one event.
func (d *Detector) Process(e *ocsf.Event, emit detect.Emit) {
	if who, place, ok := session(e); ok {
		d.place(e, who, place, emit)
	}
	if e.Partner != "" && e.Direction != ocsf.DirectionOut {
		if host, ok := met(e); ok {
			d.meet(e, host, emit)
		}
	}
}

// session returns who signs in and from which network, for records that say both.
func session(e *ocsf.Event) (who string, place netip.Addr, ok bool) {
	switch {
	case e.Lease != nil && e.Lease.Kind == "vpn" && e.Lease.Start:
		return strings.ToLower(e.Lease.Holder.Name), e.Lease.Public, e.Lease.Holder.Name != "" && e.Lease.Public.IsValid()
	case e.Cloud != nil && e.Class == ocsf.ClassAuthentication && e.Status == ocsf.StatusSuccess:
		who = e.User.Name
		if e.Cloud.ServicePrin {
			who = "app " + e.Cloud.AppID
		}
		return strings.ToLower(who), e.Src.IP, who != "" && e.Src.IP.IsValid()
	case e.Remote != nil && e.Remote.Act == "connect" && e.Remote.Operator != "":
		return strings.ToLower(e.Remote.Tool + " operator " + e.Remote.Operator), e.Src.IP, e.Src.IP.IsValid()
	}
	return "", netip.Addr{}, false
}

// network is the unit in which places are counted: /24 and /48, since providers and homes renumber within them.
func network(a netip.Addr) string {
	bits := 24
	if a = a.Unmap(); a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}

func (d *Detector) place(e *ocsf.Event, who string, from netip.Addr, emit detect.Emit) {
	owner := "tenant " + string(e.Tenant) // whose people these are
	if e.Partner != "" {
		owner = "partner " + string(e.Partner)
	}
	net := network(from)
	acc, group, house := d.habit(d.accounts, owner+"\x00"+who, e.Time), d.habit(d.partners, owner, e.Time), d.habit(d.partners, "house "+string(e.Tenant), e.Time)
	if acc == nil || group == nil || house == nil {
		return
	}
	known := acc.knows(net, e.Time) || group.knows(net, e.Time) || house.knows(net, e.Time)
	warm := acc.warm(e.Time)
	settled := group.warm(e.Time) || house.warm(e.Time)
	acc.see(net, e.Time)
	group.see(net, e.Time)
	house.see(net, e.Time)
	if known || !settled || d.declared(e, from) {
		return
	}
	d.reportPlace(e, who, from, warm, emit)
}

// declared reports whether the address lies in a network that the partner's trusts or the tenant declare.
func (d *Detector) declared(e *ocsf.Event, from netip.Addr) bool {
	from = from.Unmap()
	if t := d.model.Tenant(e.Tenant); t != nil && slices.ContainsFunc(t.Networks, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return true
	}
	for _, t := range d.model.TrustsOf(e.Partner) {
		if slices.ContainsFunc(t.Networks, func(p netip.Prefix) bool { return p.Contains(from) }) {
			return true
		}
	}
	return false
}

func (d *Detector) habit(m map[string]*habit, key string, at time.Time) *habit {
	h := m[key]
	if h == nil {
		if len(m) >= MaxKeys {
			return nil
		}
		h = &habit{First: at, Places: map[string]time.Time{}}
		m[key] = h
	}
	return h
}

// knows reports whether the place was seen lately.
func (h *habit) knows(place string, at time.Time) bool {
	last, ok := h.Places[place]
	return ok && at.Sub(last) < ForgetAfter
}

// warm reports whether enough was seen for a new place to mean something.
func (h *habit) warm(at time.Time) bool {
	return h.Count >= WarmEvents && at.Sub(h.First) >= WarmTime
}

func (h *habit) see(place string, at time.Time) {
	h.Count++
	if _, ok := h.Places[place]; ok || len(h.Places) < 4096 {
		h.Places[place] = at
	}
}

func (d *Detector) reportPlace(e *ocsf.Event, who string, from netip.Addr, warm bool, emit detect.Emit) {
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "firstcontact/source",
		Title: "An account from a place where it was never seen", Technique: "T1078", Severity: ocsf.SeverityInformational,
		Confidence: 30, Outcome: ocsf.OutcomeSucceeded}
	app := e.Cloud != nil && e.Cloud.ServicePrin
	switch {
	case app && warm:
		f.Rule, f.Title, f.Technique = "firstcontact/app-source", "An app's credential from an address that never used it", "T1078.004"
		f.Severity, f.Confidence = ocsf.SeverityMedium, 60
	case e.Partner != "":
		f.Severity = ocsf.SeverityLow
	}
	f.AddEvidence(e)
	f.Identify(time.Unix(e.Time.Unix()/86400*86400, 0), who, network(from))
	f.AddEntity(ocsf.EntityIP, from.String(), ocsf.RoleInfrastructure)
	if app {
		f.AddEntity(ocsf.EntityApp, e.Cloud.AppID, ocsf.RoleActor)
	} else {
		f.AddEntity(ocsf.EntityUser, who, ocsf.RoleActor)
	}
	f.Reason = fmt.Sprintf("%s came from %s; neither it nor anybody of the same organisation was seen there before.", who, from)
	if e.Cloud != nil {
		if e.Cloud.Country != "" {
			f.Reason += " Country " + e.Cloud.Country + "."
		}
		if strings.HasPrefix(e.Cloud.MFA, "single") {
			f.Reason += " One factor."
		}
	}
	if !warm {
		f.Reason += " It was seen too little before for this to weigh much."
	}
	emit(f)
}

// met returns the host that a partner reached, where something answered.
func met(e *ocsf.Event) (string, bool) {
	switch {
	case e.Flow != nil && e.Dst.IP.IsValid() && e.Flow.Proto == "tcp" && established(e.Flow.State):
		return fmt.Sprintf("%s:%d", e.Dst.IP, e.Dst.Port), true
	case e.Class == ocsf.ClassAuthentication && e.Layer == tenant.LayerEndpoint && e.Status == ocsf.StatusSuccess && e.Activity == "logon" && e.Device != "":
		return e.Device, true
	}
	return "", false
}

func established(state string) bool {
	switch state {
	case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
		return true
	}
	return false
}

// meet counts the hosts that one source meets for the first time. Hosts that anybody of the partner met before
// at this tenant do not count.
func (d *Detector) meet(e *ocsf.Event, host string, emit detect.Emit) {
	pair := string(e.Tenant) + "\x00" + string(e.Partner) + "\x00" + host
	last, known := d.pairs[pair]
	if known || len(d.pairs) < MaxKeys {
		d.pairs[pair] = e.Time
	}
	src := e.User.Name
	if e.Src.IP.IsValid() {
		src = e.Src.IP.String()
	}
	key := string(e.Tenant) + "\x00" + string(e.Trust) + "\x00" + src
	m := d.sources[key]
	if m == nil {
		if len(d.sources) >= MaxKeys {
			return
		}
		m = &meeting{}
		d.sources[key] = m
	}
	if known && e.Time.Sub(last) < ForgetAfter {
		return
	}
	i := 0
	for i < len(m.New) && e.Time.Sub(m.New[i].At) > HitWindow {
		i++
	}
	m.New = append(m.New[i:], contact{e.Time, hostOf(host), e})
	if len(m.New) > 256 {
		m.New = slices.Clone(m.New[len(m.New)-256:])
	}
	if !d.warmTenant(e) {
		return
	}
	if n := distinctHosts(m.New); n >= HitList {
		d.reportHitList(e, src, m, n, emit)
	}
}

// warmTenant reports whether the partner was known long enough at this tenant for new hosts to mean something.
func (d *Detector) warmTenant(e *ocsf.Event) bool {
	h := d.habit(d.partners, "met "+string(e.Tenant)+"\x00"+string(e.Partner), e.Time)
	if h == nil {
		return false
	}
	h.Count++
	return h.Count > 2*WarmEvents && e.Time.Sub(h.First) >= 2*WarmTime
}

func hostOf(s string) string {
	if i := strings.LastIndexByte(s, ':'); i > 0 {
		return s[:i]
	}
	return s
}

func distinctHosts(list []contact) int {
	seen := map[string]bool{}
	for _, c := range list {
		seen[c.Host] = true
	}
	return len(seen)
}

func (d *Detector) reportHitList(e *ocsf.Event, src string, m *meeting, n int, emit detect.Emit) {
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "firstcontact/hit-list",
		Title: "A partner's source meets many hosts for the first time", Technique: "T1021", Severity: ocsf.SeverityMedium, Confidence: 50, Outcome: ocsf.OutcomeSucceeded}
	young := false
	if t := d.model.Trust(e.Trust); t != nil && !t.ValidFrom.IsZero() && e.Time.Sub(t.ValidFrom) < YoungTrust {
		f.Severity, young = ocsf.SeverityLow, true
	}
	for _, c := range m.New {
		f.AddEvidence(c.Event)
		if len(f.Entities) < 20 {
			f.AddEntity(ocsf.EntityHost, c.Host, ocsf.RoleTarget)
		}
	}
	f.Identify(time.Unix(e.Time.Unix()/86400*86400, 0), src)
	if e.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, src, ocsf.RoleSource)
	}
	f.AddEntity(ocsf.EntityUser, strings.ToLower(e.Owner.Name), ocsf.RoleActor)
	f.AddEntity(ocsf.EntityUser, strings.ToLower(e.User.Name), ocsf.RoleActor)
	f.Reason = fmt.Sprintf("%s reached %d hosts within %s that nobody of this partner had reached at this tenant before.", src, n, HitWindow)
	if a := d.approved(e); a != nil {
		f.Suppressed = &ocsf.Suppression{By: "approval", Owner: a.Owner, Reason: a.Reason, Until: a.Until}
	}
	if young {
		f.Reason += " The trust is new, and a new trust meets every host for the first time."
	}
	emit(f)
}

// approved returns the approval that lets this source try hosts at this time; who may scan meets hosts.
func (d *Detector) approved(e *ocsf.Event) *tenant.Approval {
	for i := range d.model.Approvals {
		if a := &d.model.Approvals[i]; a.Covers("scan", e.Trust, e.Src.IP, e.Dst.IP, e.Time) {
			return a
		}
	}
	return nil
}

// Advance does nothing; places are forgotten when they are asked for.
func (d *Detector) Advance(time.Time, detect.Emit) {}

// Explain says what the detector makes of one event.
func (d *Detector) Explain(e *ocsf.Event) []string {
	if who, from, ok := session(e); ok {
		return []string{fmt.Sprintf("%s comes from %s: compared with the places of its own past (%d sessions and %s are the warm-up)", who, network(from), WarmEvents, WarmTime)}
	}
	if host, ok := met(e); ok && e.Partner != "" {
		return []string{fmt.Sprintf("partner %s reaches %s: counted if nobody of it did before", e.Partner, host)}
	}
	return []string{"no session with a known origin, and no partner that reached a host"}
}

type snapshot struct {
	Accounts, Partners map[string]*habit
	Pairs              map[string]time.Time
	Sources            map[string]*meeting
}

// Snapshot returns the whole state.
func (d *Detector) Snapshot() ([]byte, error) {
	return detect.EncodeState(snapshot{d.accounts, d.partners, d.pairs, d.sources})
}

// Restore takes what Snapshot returned.
func (d *Detector) Restore(b []byte) error {
	s := snapshot{map[string]*habit{}, map[string]*habit{}, map[string]time.Time{}, map[string]*meeting{}}
	if err := detect.DecodeState(b, &s); err != nil {
		return err
	}
	d.accounts, d.partners, d.pairs, d.sources = s.Accounts, s.Partners, s.Pairs, s.Sources
	return nil
}
