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
	Finding *ocsf.Finding // without its reason
	Day     int64
	Most    int // hosts within a window
	Src     string
	Young   bool // the trust was new at the last contact
	Held    bool // it grew since it was last emitted
	names   map[string]int
	addrs   map[string]int
}

func (m *meeting) count() {
	m.names, m.addrs = map[string]int{}, map[string]int{}
	for i := range m.New {
		m.side(&m.New[i])[m.New[i].Host]++
	}
}

// side returns the counts to which a contact belongs. A host shows by its address on the network and by its name in
// its own log, so that the two are not added up.
func (m *meeting) side(c *contact) map[string]int {
	if c.Named {
		return m.names
	}
	return m.addrs
}

// hosts counts the hosts of the window.
func (m *meeting) hosts() int { return max(len(m.names), len(m.addrs)) }

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
	if !known {
		detect.MakeRoom(d.pairs, MaxKeys, func(last time.Time) int64 { return last.Unix() })
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
		detect.MakeRoom(d.sources, MaxKeys, func(m *meeting) int64 { return m.New[len(m.New)-1].Event.Time.Unix() })
		m = &meeting{Src: src}
		m.count()
		d.sources[key] = m
	}
	first := 0
	for first < len(m.New) && e.Time.Sub(m.New[first].Event.Time) > HitWindow {
		first++
	}
	first = max(first, len(m.New)+1-maxNew)
	for i := range m.New[:first] {
		if side, host := m.side(&m.New[i]), m.New[i].Host; side[host] == 1 {
			delete(side, host)
		} else {
			side[host]--
		}
	}
	clear(m.New[:first])
	m.New = append(m.New[first:], c)
	m.side(&c)[c.Host]++
	if n := m.hosts(); warm && n >= HitList {
		d.growHitList(e, m, n, emit)
	}
}

// acquainted counts a contact, and reports whether the partner was known long enough at this tenant for new hosts
// to mean something.
func (d *Detector) acquainted(e *ocsf.Event) bool {
	h := d.habit(d.partners, "met "+string(e.Tenant)+"\x00"+string(e.Partner), e.Time)
	h.Count++
	return h.Count > 2*WarmEvents && e.Time.Sub(h.First) >= 2*WarmTime
}

// growHitList begins the source's finding of the day, or lets it grow.
func (d *Detector) growHitList(e *ocsf.Event, m *meeting, n int, emit detect.Emit) {
	fresh := m.New[len(m.New)-1:]
	if day := e.Time.Unix() / 86400; m.Finding == nil || m.Day != day {
		if m.Held {
			m.tell(emit)
		}
		m.Finding, m.Day, m.Most, fresh = d.newHitList(e, m), day, 0, m.New
		m.Finding.Identify(time.Unix(day*86400, 0), string(e.Trust), m.Src)
	}
	f := m.Finding
	for _, c := range fresh {
		f.AddEvidence(c.Event)
		if len(f.Entities) < 20 {
			f.AddEntity(ocsf.EntityHost, c.Host, ocsf.RoleTarget)
		}
	}
	if e.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, m.Src, ocsf.RoleSource)
	}
	if len(f.Entities) < 40 {
		f.AddEntity(ocsf.EntityUser, strings.ToLower(e.Owner.Name), ocsf.RoleActor)
		f.AddEntity(ocsf.EntityUser, strings.ToLower(e.User.Name), ocsf.RoleActor)
	}
	if f.Suppressed != nil && d.approved(e) == nil {
		f.Suppressed = nil // one contact outside of what was approved is enough
	}
	m.Most, m.Young, m.Held = max(m.Most, n), d.young(e), true
	d.held[m] = struct{}{}
	d.pending++
}

// tell emits the finding of the day as of the last contact.
func (m *meeting) tell(emit detect.Emit) {
	f := m.Finding.Clone()
	f.Reason = fmt.Sprintf("%s reached %d hosts within %s by services that nobody of this partner had used there before.", m.Src, m.Most, HitWindow)
	if m.Young {
		f.Reason += " The trust is new, and a new trust meets every host for the first time."
	}
	emit(f)
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
