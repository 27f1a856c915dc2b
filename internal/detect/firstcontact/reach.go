package firstcontact

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxReach is how many tenants one program is followed to.
const maxReach = 1024

// reach is how a program goes round the tenants, and its way from a strange network.
type reach struct {
	Usual map[tenant.ID]time.Time // last act from networks that are its own
	Most  int                     // tenants within ReachWindow from there
	Net   uint64                  // the strange network
	Bits  float64                 // and how surprising its first use was
	Since time.Time
	Came  map[tenant.ID]*ocsf.Event // last act from there
}

// over reports whether nothing of it matters any more.
func (u *reach) over(now time.Time) bool {
	if u.Net != 0 && now.Sub(u.Since) >= StrangeFor {
		u.Net, u.Came = 0, nil
	}
	maps.DeleteFunc(u.Usual, func(_ tenant.ID, last time.Time) bool { return now.Sub(last) >= ReachWindow })
	return u.Net == 0 && u.Most == 0
}

// reach counts the tenants that a program of a partner's enters within ReachWindow from a network that it never used:
// somebody who stole its secret tries it everywhere at once. It is true where that is told of this tenant.
func (d *Detector) reach(a *act, x *actor, j *judgement, now minute, emit detect.Emit) bool {
	e := a.event
	if x.Use == nil {
		x.Use = &reach{}
	}
	u := x.Use
	if !j.strange {
		u.usual(e)
		return false
	}
	if net := a.vals[dimNetwork]; u.Net != net || e.Time.Sub(u.Since) >= StrangeFor {
		u.Net, u.Since, u.Bits, u.Came = net, e.Time, 0, map[tenant.ID]*ocsf.Event{}
	}
	u.Bits = max(u.Bits, j.bits[groupPlace])
	if u.Came == nil {
		u.Came = map[tenant.ID]*ocsf.Event{}
	}
	if _, ok := u.Came[e.Tenant]; !ok && len(u.Came) >= maxReach {
		return false
	}
	u.Came[e.Tenant] = e
	lately := slices.Sorted(maps.Keys(u.Came))
	lately = slices.DeleteFunc(lately, func(id tenant.ID) bool { return e.Time.Sub(u.Came[id].Time) > ReachWindow })
	key := func(id tenant.ID) string {
		return strings.Join([]string{"app-reach", string(id), a.owner, a.who, networkOf(a.from).String()}, "\x00")
	}
	if s := d.story(key(e.Tenant), e.Time); s == nil && len(lately) < ReachTenants {
		return false
	}
	others := 0 // what is rare beside the network
	for g, b := range j.bits {
		if group(g) != groupPlace && group(g) != groupWho && b >= GroupBits {
			others++
		}
	}
	severity := ocsf.SeverityMedium
	switch {
	case !x.warm(now) || u.Bits < GroupBits:
		severity = ocsf.SeverityLow
	case others > 0 || len(lately) > u.Most:
		severity = ocsf.SeverityHigh
	}
	for _, id := range lately {
		at := u.Came[id]
		s := d.story(key(id), e.Time)
		if s == nil {
			s = d.begin(key(id), about(at, "app-reach", "An app's credential enters many clients from an address that never used it", "T1199"), at.Time, emit)
			s.Finding.AddEvidence(at)
		} else if id == e.Tenant {
			s.Finding.AddEvidence(e)
		} else if severity <= s.Finding.Severity {
			continue
		}
		f := s.Finding
		(&act{event: at, who: a.who, from: a.from}).names(f, true)
		if severity > f.Severity {
			f.Severity, f.Confidence = severity, confidence(severity)
		}
		f.Reason = fmt.Sprintf("%s entered %d tenants within %s from %s, which it never used before (%.1f bits of surprise); from its own networks it enters at most %d in that time.",
			a.who, len(lately), ReachWindow, a.from, u.Bits, u.Most) + x.tooYoung(now)
		if why := j.reasons(); why != "" {
			f.Reason = sentence(f.Reason, why, "")
		}
		d.hold(s)
	}
	return true
}

// usual counts a round from the program's own networks.
func (u *reach) usual(e *ocsf.Event) {
	if u.Usual == nil {
		u.Usual = map[tenant.ID]time.Time{}
	}
	if _, ok := u.Usual[e.Tenant]; !ok && len(u.Usual) >= maxReach {
		return
	}
	u.Usual[e.Tenant] = e.Time
	n := 0
	for id, last := range u.Usual {
		if e.Time.Sub(last) <= ReachWindow {
			n++
		} else {
			delete(u.Usual, id)
		}
	}
	u.Most = max(u.Most, n)
}
