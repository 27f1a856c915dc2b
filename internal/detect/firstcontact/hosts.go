package firstcontact

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MinSources is how many sources of a partner must share first contacts for them to be told as one story.
const MinSources = 3

// serviceWeight is how much of the surprise of a service that is new to the trust counts beside that of many new hosts:
// half, since new hosts often bring their own service.
const serviceWeight = 0.5

// hits is what the reason of a hit list is made of.
type hits struct {
	Src      string
	Most     int     // hosts within a window
	Bits     float64 // surprise of that many
	Service  float64 // of the services
	Largest  int     // window before
	Hours    float64 // source-hours that the trust's distribution rests on
	Young    bool    // the trust was new at the last contact
	Together bool    // of all sources, none of which did it alone
}

func (h *hits) reason() string {
	who, one := h.Src, "A source"
	if h.Together {
		who, one = "Several sources of this partner together", "The partner"
	}
	out := fmt.Sprintf("%s reached %d hosts within %s by services that nobody of this partner had used there before. %s does so here once in %.3g hours of work (%.1f bits; %.0f hours known, at most %d new hosts in one before).",
		who, h.Most, HitWindow, one, math.Exp2(h.Bits), h.Bits, h.Hours, h.Largest)
	if h.Service > 0 {
		out += fmt.Sprintf(" A service among them is new to the trust (%.1f bits, which count half).", h.Service)
	}
	out += fmt.Sprintf(" The limit is %g bits.", HitBits)
	if h.Young {
		out += " The trust is new, and a new trust meets every host for the first time."
	}
	return out
}

// meet learns a partner's contact with a host, and counts those that are new. Hosts that anybody of the partner met
// before at this tenant by that service do not count.
func (d *Detector) meet(c *contact, emit detect.Emit) {
	e := c.event
	now := minuteOf(e.Time)
	r := d.relation(e, now)
	warm := r.acquainted(now)
	r.Visits++
	host, pair := c.keys()
	what := r.Pairs.see(pair, now, MaxPairs)
	if what == same || what == full {
		return
	}
	src, key := sourceOf(e)
	if r.Source.see(key, now, MaxPairs) != same {
		r.Rate.work()
		if r.Hours.add(e.Time) {
			r.All.work()
		}
	}
	service := 0.0
	if c.name == "" {
		before := r.Service.novelty(ignorance)
		if r.Service.see(uint64(c.port)+1, now, MaxPairs) == fresh {
			service = bits(before)
		}
	}
	if t := d.trusts[e.Trust]; what != fresh || t != nil && declaredTarget(t, c.host, c.name) {
		return
	}
	m := mark{Host: host, At: e.Time.UnixNano(), Named: c.name != "", Service: service, Src: key}
	whose := hash(string(e.Trust)) ^ key
	w := r.window(whose, src)
	w.add(m, e)
	all := r.window(0, "")
	all.add(m, e)
	if warm && !d.hitList(c, &r.Rate, w, false, emit) && all.sources() >= MinSources {
		d.hitList(c, &r.All, all, true, emit)
	}
	r.Rate.count(w)
	r.All.count(all)
}

// hitList begins the finding of a window that is unusual for the trust, or lets it grow; false where it is ordinary.
func (d *Detector) hitList(c *contact, r *rate, w *window, together bool, emit detect.Emit) bool {
	e := c.event
	n, service := w.hosts(), w.services()
	if n < HitList {
		return false
	}
	rare := bits(r.tail(n, w.Counted))
	key := "hit-list\x00" + string(e.Tenant) + "\x00" + string(e.Trust) + "\x00" + w.Src
	s := d.story(key, e.Time)
	if rare+serviceWeight*service < HitBits && s == nil {
		return false
	}
	if rare+serviceWeight*service < HitBits/2 {
		return false
	}
	list := w.Events[len(w.Events)-1:]
	if s == nil {
		s, list = d.begin(key, d.newHitList(e, w), e.Time, emit), w.Events
		s.Hits = &hits{Src: w.Src, Hours: r.Hours, Largest: r.largestBefore(w.Counted), Together: together}
	}
	f := s.Finding
	for _, ev := range list {
		f.AddEvidence(ev)
		if x, ok := met(ev); ok && len(f.Entities) < 20 {
			f.AddEntity(ocsf.EntityHost, x.hostName(), ocsf.RoleTarget)
		}
	}
	if len(f.Entities) < 40 {
		if e.Src.IP.IsValid() {
			f.AddEntity(ocsf.EntityIP, e.Src.IP.Unmap().String(), ocsf.RoleSource)
		}
		f.AddEntity(ocsf.EntityUser, strings.ToLower(e.Owner.Name), ocsf.RoleActor)
		f.AddEntity(ocsf.EntityUser, strings.ToLower(e.User.Name), ocsf.RoleActor)
	}
	if f.Suppressed != nil && d.approved(e) == nil {
		f.Suppressed = nil // one contact outside of what was approved is enough
	}
	h := s.Hits
	if n > h.Most {
		h.Most, h.Bits = n, rare
	}
	h.Service, h.Young = max(h.Service, service), d.young(e)
	d.hold(s)
	return true
}

func (d *Detector) newHitList(e *ocsf.Event, w *window) *ocsf.Finding {
	f := about(e, "hit-list", "A partner's source meets many hosts for the first time", "T1021")
	f.Severity, f.Confidence = ocsf.SeverityMedium, 50
	if d.young(e) {
		f.Severity = ocsf.SeverityLow
	}
	outside := slices.ContainsFunc(w.Events, func(x *ocsf.Event) bool { return d.approved(x) == nil })
	if a := d.approved(e); a != nil && !outside {
		f.Suppressed = &ocsf.Suppression{By: "approval", Owner: a.Owner, Reason: a.Reason, Until: a.Until}
	}
	return f
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
