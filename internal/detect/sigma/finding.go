package sigma

import (
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// severity gives the level of the rule as a severity; a rule without one is informational.
func (r *Rule) severity() ocsf.Severity {
	s, err := ocsf.ParseSeverity(r.Level)
	if err != nil {
		return ocsf.SeverityInformational
	}
	return s
}

// confidence follows the status that the rule's author gives it.
func (r *Rule) confidence() int {
	switch r.Status {
	case "stable":
		return 80
	case "test":
		return 65
	}
	return 50
}

// technique returns the first ATT&CK technique of the tags, a sub-technique before a technique.
func (r *Rule) technique() ocsf.Technique {
	var first ocsf.Technique
	for _, t := range r.Techniques() {
		if strings.Contains(string(t), ".") {
			return t
		}
		if first == "" {
			first = t
		}
	}
	return first
}

// Techniques returns the ATT&CK techniques of the tags: attack.t1059.001 is T1059.001.
func (r *Rule) Techniques() []ocsf.Technique {
	var out []ocsf.Technique
	for _, t := range r.Tags {
		id, ok := strings.CutPrefix(strings.ToLower(t), "attack.t")
		if ok && len(id) >= 4 && strings.Trim(id, "0123456789.") == "" {
			out = append(out, ocsf.Technique("T"+id))
		}
	}
	return out
}

// reason says in plain words what was matched and by whose rule.
func (r *Rule) reason(e *ocsf.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sigma rule %q", r.Title)
	if r.Author != "" {
		fmt.Fprintf(&b, " by %s", r.Author)
	}
	if r.License != "" {
		fmt.Fprintf(&b, " (licence %s)", r.License)
	}
	fmt.Fprintf(&b, " matches a %s event", r.LogSource)
	if dev := device(e); dev != "" {
		fmt.Fprintf(&b, " on %s", dev)
	}
	if u := actor(e).String(); u != "" {
		fmt.Fprintf(&b, " by %s", u)
	}
	if e.Partner != "" {
		fmt.Fprintf(&b, ", which came through partner %s (%s)", e.Partner, e.Attribution.Rule)
	}
	if len(r.FalsePositives) > 0 && !strings.EqualFold(r.FalsePositives[0], "unknown") {
		fmt.Fprintf(&b, "; its author names as harmless causes: %s", strings.Join(r.FalsePositives, "; "))
	}
	return b.String()
}

// outcome says how far the act got: as the rule says, else as the event says; a process that was created ran.
func outcome(r *Rule, e *ocsf.Event) ocsf.Outcome {
	switch {
	case r.Outcome != "":
		return ocsf.Outcome(r.Outcome)
	case e.Status == ocsf.StatusFailure:
		return ocsf.OutcomeAttempted
	case e.Status == ocsf.StatusSuccess, r.LogSource.Category == "process_creation":
		return ocsf.OutcomeSucceeded
	}
	return ocsf.OutcomeUnknown
}

// stronger keeps the outcome that got further.
func stronger(a, b ocsf.Outcome) ocsf.Outcome {
	rank := func(o ocsf.Outcome) int {
		switch o {
		case ocsf.OutcomeSucceeded:
			return 2
		case ocsf.OutcomeAttempted:
			return 1
		}
		return 0
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// device returns the host that the event is about.
func device(e *ocsf.Event) string {
	switch {
	case e.Device != "":
		return e.Device
	case e.Dst.Host != "":
		return e.Dst.Host
	case e.Cloud != nil:
		return e.Cloud.Resource
	}
	return e.Dst.Domain
}

// actor returns the account that acted.
func actor(e *ocsf.Event) ocsf.User {
	if e.Actor != (ocsf.User{}) {
		return e.Actor
	}
	return e.User
}

// addEntities names whom and what the event is about.
func addEntities(f *ocsf.Finding, e *ocsf.Event, user ocsf.User) {
	if len(f.Entities) >= maxEntities {
		return
	}
	f.AddEntity(ocsf.EntityHost, e.Device, ocsf.RoleTarget)
	if e.Device == "" {
		f.AddEntity(ocsf.EntityHost, e.Dst.Host, ocsf.RoleTarget)
	}
	f.AddEntity(ocsf.EntityUser, user.String(), ocsf.RoleActor)
	if e.Actor != (ocsf.User{}) && e.User != e.Actor {
		f.AddEntity(ocsf.EntityUser, e.User.String(), ocsf.RoleTarget)
	}
	if e.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleSource)
	}
	if e.Process != nil {
		f.AddEntity(ocsf.EntityProcess, e.Process.Image, "")
	}
	if r := e.Remote; r != nil {
		f.AddEntity(ocsf.EntityRMM, r.Instance, "")
		f.AddEntity(ocsf.EntitySession, r.SessionID, "")
	}
	if c := e.Cloud; c != nil {
		f.AddEntity(ocsf.EntityApp, c.AppID, ocsf.RoleActor)
		f.AddEntity(ocsf.EntityResource, c.Resource, ocsf.RoleTarget)
	}
}

// maxEntities bounds the entities of a finding; a rule that fires on a web log can meet a million addresses.
const maxEntities = 64
