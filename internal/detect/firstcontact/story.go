package firstcontact

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// story is a finding that grows for a day, and what its reason is made of.
type story struct {
	Finding *ocsf.Finding
	Held    bool // it grew since it was last emitted
	Hits    *hits
}

// story returns the growing finding of that key, or nil.
func (d *Detector) story(key string, at time.Time) *story {
	s := d.stories[key]
	if s == nil || at.Sub(s.Finding.Time) >= storyFor {
		return nil
	}
	return s
}

// begin starts a finding whose id comes from the key and the day. Of too many the oldest no longer grow.
func (d *Detector) begin(key string, f *ocsf.Finding, at time.Time, emit detect.Emit) *story {
	if old := d.stories[key]; old != nil {
		d.end(key, old, emit)
	}
	for len(d.stories) >= MaxStories {
		oldest := ""
		for k, s := range d.stories {
			if oldest == "" || cmp.Or(s.Finding.Time.Compare(d.stories[oldest].Finding.Time), strings.Compare(k, oldest)) < 0 {
				oldest = k
			}
		}
		d.end(oldest, d.stories[oldest], emit)
	}
	f.Detector = d.Name()
	f.Identify(time.Unix(at.Unix()/86400*86400, 0), key)
	s := &story{Finding: f}
	d.stories[key] = s
	return s
}

// end tells what is held back of a story, and lets it grow no more.
func (d *Detector) end(key string, s *story, emit detect.Emit) {
	if s.Held {
		s.tell(emit)
		delete(d.held, s)
	}
	delete(d.stories, key)
}

// hold has the story told by the next Advance.
func (d *Detector) hold(s *story) {
	s.Held = true
	d.held[s] = struct{}{}
	d.pending++
}

// tell emits the finding as of now.
func (s *story) tell(emit detect.Emit) {
	f := s.Finding.Clone()
	if s.Hits != nil {
		f.Reason = s.Hits.reason()
	}
	emit(f)
}

// about returns a finding of an event's tenant and trust.
func about(e *ocsf.Event, rule, title string, technique ocsf.Technique) *ocsf.Finding {
	return &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Rule: "firstcontact/" + rule, Title: title,
		Technique: technique, Outcome: ocsf.OutcomeSucceeded}
}

// confidence follows from the severity that the figures came to.
func confidence(s ocsf.Severity) int {
	return map[ocsf.Severity]int{ocsf.SeverityInformational: 30, ocsf.SeverityLow: 30, ocsf.SeverityMedium: 60, ocsf.SeverityHigh: 75}[s]
}

// names adds who acted, from where and with what.
func (a *act) names(f *ocsf.Finding, strange bool) {
	if len(f.Entities) >= 40 {
		return
	}
	if a.from.IsValid() {
		role := ocsf.RoleSource
		if strange {
			role = ocsf.RoleInfrastructure
		}
		f.AddEntity(ocsf.EntityIP, a.from.String(), role)
	}
	if c := a.event.Cloud; c != nil && c.ServicePrin {
		f.AddEntity(ocsf.EntityApp, c.AppID, ocsf.RoleActor)
	} else {
		f.AddEntity(ocsf.EntityUser, a.who, ocsf.RoleActor)
	}
}

// circumstances are facts of the sign-in that a reader asks for first.
func (a *act) circumstances() string {
	var out string
	if c := a.event.Cloud; c != nil {
		if c.Country != "" {
			out += " Country " + c.Country + "."
		}
		if strings.HasPrefix(c.MFA, "single") {
			out += " One factor."
		}
	}
	return out
}

func sentence(what, why, rest string) string {
	if why != "" {
		what += " " + strings.ToUpper(why[:1]) + why[1:] + "."
	}
	return what + rest
}

func (x *actor) tooYoung(now minute) string {
	if x.warm(now) {
		return ""
	}
	return fmt.Sprintf(" It was seen too little before for this to weigh much: %s.", x.warmth(now))
}
