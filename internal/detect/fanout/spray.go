package fanout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// spray counts the accounts at which one source fails, and notes where it then gets in. A source from which
// people signed in before (an office's own address on a Monday) is a known place and is not accused.
func (d *Detector) spray(e *ocsf.Event, emit detect.Emit) {
	id := string(e.Tenant) + "\x00" + e.Src.IP.String()
	s := d.sources[id]
	if s == nil {
		if len(d.sources) >= MaxKeys {
			return
		}
		s = &source{Users: map[string]time.Time{}}
		d.sources[id] = s
	}
	user := strings.ToLower(e.User.Name)
	if e.Status == ocsf.StatusSuccess {
		d.sprayedIn(s, user, e, emit)
		return
	}
	s.Touches = append(expire(s.Touches, e.Time.Add(-SprayWindow)), touch{e.Time, e.Tenant, e})
	if len(s.Touches) > maxTouches {
		s.Touches = slices.Clone(s.Touches[len(s.Touches)-maxTouches:])
	}
	for u, at := range s.Users {
		if e.Time.Sub(at) > SprayWindow && s.Finding == nil {
			delete(s.Users, u)
		}
	}
	s.Users[user] = e.Time
	if len(s.Users) < SprayUsers || s.Succeeded >= KnownSuccess {
		return
	}
	if s.Finding == nil {
		s.Finding = newSpray(e)
		for _, t := range s.Touches {
			s.Finding.AddEvidence(t.Event)
		}
	} else {
		s.Finding.AddEvidence(e)
	}
	s.Sprayed = e.Time
	d.emitSpray(s, e, emit)
}

func newSpray(e *ocsf.Event) *ocsf.Finding {
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: "fanout", Rule: "fanout/password-spray",
		Title: "One source fails at many accounts", Technique: "T1110.003", Severity: ocsf.SeverityMedium, Confidence: 70, Outcome: ocsf.OutcomeAttempted}
	f.Identify(time.Time{}, e.Src.IP.String())
	f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleInfrastructure)
	return f
}

// sprayedIn notes a success: before any spraying it makes the source a known place, after it the spray got in.
func (d *Detector) sprayedIn(s *source, user string, e *ocsf.Event, emit detect.Emit) {
	if s.Finding == nil {
		// Somebody mistypes and then gets in; that is a person at a place, and clears their own failure.
		if _, failed := s.Users[user]; !failed || len(s.Users) < SprayUsers-1 {
			delete(s.Users, user)
			s.Succeeded++
			return
		}
		return
	}
	if e.Time.Sub(s.Sprayed) > 7*24*time.Hour {
		return
	}
	s.Finding.AddEvidence(e)
	s.Finding.Outcome, s.Finding.Severity, s.Finding.Confidence = ocsf.OutcomeSucceeded, ocsf.SeverityHigh, 85
	s.Finding.AddEntity(ocsf.EntityUser, user, ocsf.RoleActor)
	if !slices.Contains(s.Hits, user) {
		s.Hits = append(s.Hits, user)
	}
	d.emitSpray(s, e, emit)
}

func (d *Detector) emitSpray(s *source, e *ocsf.Event, emit detect.Emit) {
	s.Finding.Reason = fmt.Sprintf("%s failed at %d accounts within %s, and nobody was known to sign in from there.", e.Src.IP, len(s.Users), SprayWindow)
	if len(s.Hits) > 0 {
		s.Finding.Reason += " It then got in as " + strings.Join(s.Hits, ", ") + "."
	}
	emit(s.Finding)
}

// Explain says what the detector makes of one event.
func (d *Detector) Explain(e *ocsf.Event) []string {
	var out []string
	for _, k := range actorKeys(e) {
		if e.Partner == "" {
			out = append(out, fmt.Sprintf("%s %s is no partner's: spread over tenants is not counted", k.kind, k.value))
			continue
		}
		out = append(out, fmt.Sprintf("%s %s counts towards %d tenants within %s", k.kind, k.value, MinTenants, Window))
	}
	if len(out) == 0 {
		out = append(out, "no session of a partner, and no sign-in of a person from a known address")
	}
	return out
}
