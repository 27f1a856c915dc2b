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

// contact is one source at one host.
type contact struct {
	Event *ocsf.Event
	Host  string
	Named bool   // the host is known by its name; else by its address
	way   string // host and port, or name
}

// meeting is the recent first contacts of one source, never empty, and the finding of the day.
type meeting struct {
	New     []contact
	Finding *ocsf.Finding
	Day     int64
	Most    int // hosts within a window
}

// met returns the host that a partner reached, where something answered.
func met(e *ocsf.Event) (contact, bool) {
	switch {
	case e.Flow != nil && e.Dst.IP.IsValid() && e.Flow.Proto == "tcp" && established(e.Flow.State):
		return contact{Event: e, Host: e.Dst.IP.String(), way: netip.AddrPortFrom(e.Dst.IP, e.Dst.Port).String()}, true
	case e.Class == ocsf.ClassAuthentication && e.Layer == tenant.LayerEndpoint && e.Status == ocsf.StatusSuccess && e.Activity == "logon" && e.Device != "":
		return contact{Event: e, Host: e.Device, Named: true, way: e.Device}, true
	}
	return contact{}, false
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
func (d *Detector) meet(c contact, emit detect.Emit) {
	e := c.Event
	warm := d.acquainted(e)
	pair := string(e.Tenant) + "\x00" + string(e.Partner) + "\x00" + c.way
	last, known := d.pairs[pair]
	if !known && len(d.pairs) >= MaxKeys {
		return // what can't be remembered would be new each time
	}
	d.pairs[pair] = e.Time
	if known && e.Time.Sub(last) < ForgetAfter {
		return
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
	i := 0
	for i < len(m.New) && e.Time.Sub(m.New[i].Event.Time) > HitWindow {
		i++
	}
	m.New = append(m.New[i:], c)
	if len(m.New) > maxNew {
		m.New = slices.Clone(m.New[len(m.New)-maxNew:])
	}
	if n := distinctHosts(m.New); warm && n >= HitList {
		d.reportHitList(e, src, m, n, emit)
	}
}

// acquainted counts a contact, and reports whether the partner was known long enough at this tenant for new hosts
// to mean something.
func (d *Detector) acquainted(e *ocsf.Event) bool {
	h := d.habit(d.partners, "met "+string(e.Tenant)+"\x00"+string(e.Partner), e.Time)
	if h == nil {
		return false
	}
	h.Count++
	return h.Count > 2*WarmEvents && e.Time.Sub(h.First) >= 2*WarmTime
}

// distinctHosts counts hosts. A host shows by its address on the network and by its name in its own log, so that
// the two are not added up.
func distinctHosts(list []contact) int {
	names, addrs := map[string]bool{}, map[string]bool{}
	for _, c := range list {
		if c.Named {
			names[c.Host] = true
		} else {
			addrs[c.Host] = true
		}
	}
	return max(len(names), len(addrs))
}

// reportHitList begins the source's finding of the day, or lets it grow.
func (d *Detector) reportHitList(e *ocsf.Event, src string, m *meeting, n int, emit detect.Emit) {
	fresh := m.New[len(m.New)-1:]
	if day := e.Time.Unix() / 86400; m.Finding == nil || m.Day != day {
		m.Finding, m.Day, m.Most, fresh = d.newHitList(e, m), day, 0, m.New
		m.Finding.Identify(time.Unix(day*86400, 0), string(e.Trust), src)
	}
	f := m.Finding
	for _, c := range fresh {
		f.AddEvidence(c.Event)
		if len(f.Entities) < 20 {
			f.AddEntity(ocsf.EntityHost, c.Host, ocsf.RoleTarget)
		}
	}
	if e.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, src, ocsf.RoleSource)
	}
	if len(f.Entities) < 40 {
		f.AddEntity(ocsf.EntityUser, strings.ToLower(e.Owner.Name), ocsf.RoleActor)
		f.AddEntity(ocsf.EntityUser, strings.ToLower(e.User.Name), ocsf.RoleActor)
	}
	if d.approved(e) == nil {
		f.Suppressed = nil // one contact outside of what was approved is enough
	}
	m.Most = max(m.Most, n)
	f.Reason = fmt.Sprintf("%s reached %d hosts within %s by services that nobody of this partner had used there before.", src, m.Most, HitWindow)
	if d.young(e) {
		f.Reason += " The trust is new, and a new trust meets every host for the first time."
	}
	emit(f.Clone())
}

func (d *Detector) newHitList(e *ocsf.Event, m *meeting) *ocsf.Finding {
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "firstcontact/hit-list",
		Title: "A partner's source meets many hosts for the first time", Technique: "T1021", Severity: ocsf.SeverityMedium, Confidence: 50, Outcome: ocsf.OutcomeSucceeded}
	if d.young(e) {
		f.Severity = ocsf.SeverityLow
	}
	outside := slices.ContainsFunc(m.New, func(c contact) bool { return d.approved(c.Event) == nil })
	if a := d.approved(e); a != nil && !outside {
		f.Suppressed = &ocsf.Suppression{By: "approval", Owner: a.Owner, Reason: a.Reason, Until: a.Until}
	}
	return f
}

// young reports whether the trust is so new that it meets hosts for the first time by nature.
func (d *Detector) young(e *ocsf.Event) bool {
	t := d.model.Trust(e.Trust)
	return t != nil && !t.ValidFrom.IsZero() && e.Time.Sub(t.ValidFrom) < YoungTrust
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
