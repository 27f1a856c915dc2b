package firstcontact

import (
	"fmt"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// act judges a session or cloud act, tells what is rare in it, and learns it.
func (d *Detector) act(a *act, emit detect.Emit) {
	e := a.event
	now := minuteOf(e.Time)
	partner := e.Partner != ""
	h, site := d.house(a.owner, now), d.house("site "+string(e.Tenant), now)
	x := h.actor(a.key, now, partner)
	var r *relation
	if partner {
		r = d.relation(e, now)
	}
	j := d.judge(a, h, site, x, r)
	kept := learn(a, h, site, x, r, now)
	switch {
	case partner && a.app && d.reach(a, x, &j, now, emit): // told as one story
	case j.strange && kept:
		d.fromStrangePlace(a, x, &j, now, emit)
	case partner && !j.strange:
		d.fromUsualPlace(a, x, &j, now, emit)
	}
	x.Visits++
	h.Visits++
	site.Visits++
}

// learn takes the act into every past that it belongs to; false where there was no room for its network, which would be
// new each time.
func learn(a *act, h, site *house, x *actor, r *relation, now minute) bool {
	ok := true
	if v := a.vals[dimNetwork]; v != 0 {
		for _, m := range [...]map[dimension]*past{x.Past, h.Past, site.Past} {
			ok = pastOf(m, dimNetwork).see(v, now, kept[dimNetwork]) != full && ok
		}
	}
	if r == nil {
		return ok
	}
	for dim := dimASN; dim < dimWho; dim++ {
		if v := a.vals[dim]; v != 0 {
			pastOf(x.Past, dim).see(v, now, kept[dim])
			if dim != dimUse && dim != dimTarget {
				pastOf(h.Past, dim).see(v, now, kept[dim])
			}
		}
	}
	for _, dim := range [...]dimension{dimWho, dimTool, dimTarget} {
		if v := a.vals[dim]; v != 0 {
			pastOf(r.Past, dim).see(v, now, kept[dim])
		}
	}
	x.Hours.add(a.event.Time)
	h.Hours.add(a.event.Time)
	return ok
}

// fromStrangePlace tells of an act from a network that was never seen. It is low; several independent rarities, or a
// program's, which has few callers, are more.
func (d *Detector) fromStrangePlace(a *act, x *actor, j *judgement, now minute, emit detect.Emit) {
	e := a.event
	total, groups := j.sum()
	warm := x.warm(now)
	severity := ocsf.SeverityInformational
	if e.Partner != "" {
		severity = ocsf.SeverityLow
	}
	rule, title, technique := "source", "An account from a place where it was never seen", ocsf.Technique("T1078")
	key := a.owner + "\x00" + networkOf(a.from).String()
	if a.app && warm && j.bits[groupPlace] >= AppBits {
		rule, title, technique = "app-source", "An app's credential from an address that never used it", "T1078.004"
		severity, key = ocsf.SeverityMedium, key+"\x00"+a.who
	}
	if e.Partner != "" && warm && !j.ownSeat && !d.young(e) {
		switch {
		case groups >= 3 && total >= HighBits:
			severity = ocsf.SeverityHigh
		case groups >= 2 && total >= MediumBits:
			severity = max(severity, ocsf.SeverityMedium)
		}
	}
	key = rule + "\x00" + string(e.Tenant) + "\x00" + key
	s := d.story(key, e.Time)
	switch {
	case s == nil && !j.opens && severity < ocsf.SeverityMedium:
		return // the same journey, told at the tenant where it showed first
	case s != nil && !j.first && severity <= s.Finding.Severity:
		return
	case s == nil:
		s = d.begin(key, about(e, rule, title, technique), e.Time, emit)
	}
	f := s.Finding
	f.AddEvidence(e)
	a.names(f, true)
	if severity > f.Severity {
		f.Severity, f.Confidence = severity, confidence(severity)
		f.Reason = sentence(fmt.Sprintf("%s came from %s; neither it nor anybody of the same organisation was seen there before.", a.who, a.from),
			j.reasons(), a.circumstances()+x.tooYoung(now))
		if j.ownSeat {
			f.Reason += " The device is its own."
		}
	}
	if f.Count == 1 || severity > ocsf.SeverityLow {
		emit(f.Clone())
		return
	}
	d.hold(s)
}

// fromUsualPlace tells of an act from a known network, or one without a network, that is rare in other respects.
func (d *Detector) fromUsualPlace(a *act, x *actor, j *judgement, now minute, emit detect.Emit) {
	e := a.event
	total, groups := j.sum()
	severity := ocsf.SeverityUnknown
	switch {
	case d.young(e):
	case !x.warm(now):
		if j.bits[groupWho] >= NoteBits {
			severity = ocsf.SeverityInformational
		}
	case groups >= 3 && total >= HighBits:
		severity = ocsf.SeverityMedium
	case groups >= 2 && total >= MediumBits:
		severity = ocsf.SeverityLow
	case total >= NoteBits:
		severity = ocsf.SeverityInformational
	}
	if severity == ocsf.SeverityUnknown {
		return
	}
	key := "session\x00" + string(e.Tenant) + "\x00" + a.owner + "\x00" + a.who
	s := d.story(key, e.Time)
	if s == nil {
		s = d.begin(key, about(e, "session", "A partner's account does what it never did before", "T1078"), e.Time, emit)
	}
	f := s.Finding
	f.AddEvidence(e)
	a.names(f, false)
	if severity > f.Severity {
		f.Severity, f.Confidence = severity, confidence(severity)
		f.Reason = sentence(fmt.Sprintf("%s acts in a way that is rare for it and its organisation.", a.who), j.reasons(), a.circumstances()+x.tooYoung(now))
	}
	d.hold(s)
}
