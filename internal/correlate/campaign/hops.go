package campaign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// MaxHops bounds what a campaign shows; what is left out is the weakest.
const MaxHops = 200

// hops tells the campaign's moves for the map: one for each tainted session and one for each finding that no
// session carries.
func (g *group) hops() []Hop {
	var out []Hop
	covered := map[string][]*ocsf.Finding{} // by session
	for _, f := range g.findings {
		var on []string
		for _, id := range sessionsOf(f) {
			if g.tainted[id] != nil {
				on = append(on, id)
			}
		}
		if len(on) == 0 {
			out = append(out, g.findingHop(f))
			continue
		}
		for _, id := range on {
			covered[id] = append(covered[id], f)
		}
	}
	for _, s := range g.sortedTaint() {
		if !s.Out {
			out = append(out, g.sessionHop(s, covered[s.ID]))
		}
	}
	slices.SortStableFunc(out, func(a, b Hop) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Label, b.Label)
	})
	if len(out) > MaxHops {
		slices.SortStableFunc(out, func(a, b Hop) int { return int(b.Severity) - int(a.Severity) })
		out = out[:MaxHops]
		slices.SortStableFunc(out, func(a, b Hop) int { return a.Time.Compare(b.Time) })
	}
	return out
}

func (g *group) findingHop(f *ocsf.Finding) Hop {
	h := Hop{Time: f.Time.UTC(), Kind: f.Detector, Label: f.Title, Trust: f.Trust, Outcome: string(f.Outcome), Severity: f.Severity, Findings: []string{f.ID}}
	h.To.Tenant = f.Tenant
	if g.ways(f.Partner) {
		h.From.Tenant = g.homeOf(f.Partner)
	}
	for _, e := range f.Entities {
		switch e.Role {
		case ocsf.RoleTarget:
			if h.To.Entity.Value == "" {
				h.To.Entity = ocsf.Entity{Type: e.Type, Value: e.Value}
			}
		default:
			if h.From.Entity.Value == "" {
				h.From.Entity = ocsf.Entity{Type: e.Type, Value: e.Value}
			}
		}
	}
	if h.To.Entity.Value == "" {
		h.To.Entity = h.From.Entity
	}
	for i, ev := range f.Evidence {
		if i == 5 {
			break
		}
		h.Evidence = append(h.Evidence, HopEvidence{ev.File, ev.Record, ev.Event.Detail()})
	}
	return h
}

func (g *group) sessionHop(s *hop.Session, findings []*ocsf.Finding) Hop {
	h := Hop{Time: s.Start.UTC(), Kind: string(s.Kind), Trust: s.Trust, Severity: ocsf.SeverityLow, Outcome: string(ocsf.OutcomeAttempted)}
	h.To = HopEnd{Tenant: s.Tenant, Entity: ocsf.Entity{Type: ocsf.EntityIP, Value: addrOf(s)}}
	if !s.Success.IsZero() {
		h.Outcome = string(ocsf.OutcomeSucceeded)
	}
	for _, f := range findings {
		h.Findings = append(h.Findings, f.ID)
		h.Severity = max(h.Severity, f.Severity)
	}
	if g.ways(s.Partner) && s.Tenant != g.home {
		h.From.Tenant = g.homeOf(s.Partner)
	}
	h.From.Entity = origin(s)
	for _, a := range s.Acts {
		if a.Got && a.Target != "" {
			h.To.Entity = ocsf.Entity{Type: targetType(s, a), Value: a.Target}
			break
		}
	}
	h.Label = fmt.Sprintf("%s as %s", sessionName(s), firstText(s.User, "unknown"))
	if s.Kind == hop.KindVPN || s.Kind == hop.KindRMM {
		h.JoinKey = s.ID
	}
	h.Evidence = append(h.Evidence, HopEvidence{s.Opened.File, s.Opened.Record, "session opened; " + g.why[s.ID]})
	for i, a := range s.Acts {
		if i == 8 {
			break
		}
		h.Evidence = append(h.Evidence, HopEvidence{a.File, a.Record, strings.TrimSpace(a.Kind + " " + a.Target + " " + clip(a.Detail, 120))})
	}
	return h
}

// targetType says what an act's target is: in a cloud session a mailbox, else an app or resource; else a host.
func targetType(s *hop.Session, a hop.Act) ocsf.EntityType {
	switch {
	case s.Kind != hop.KindCloud:
		return ocsf.EntityHost
	case strings.Contains(a.Target, "@"):
		return ocsf.EntityMailbox
	case a.Kind == "sign-in":
		return ocsf.EntityApp
	}
	return ocsf.EntityResource
}

func sessionName(s *hop.Session) string {
	switch s.Kind {
	case hop.KindVPN:
		return "VPN session"
	case hop.KindRMM:
		return s.Tool + " session"
	case hop.KindCloud:
		return "cloud sign-in"
	}
	return "session"
}

func origin(s *hop.Session) ocsf.Entity {
	switch {
	case s.Kind == hop.KindRMM && s.Instance != "":
		return ocsf.Entity{Type: ocsf.EntityRMM, Value: s.Instance}
	case s.Origin != "":
		return ocsf.Entity{Type: ocsf.EntityHost, Value: s.Origin}
	case s.Public.IsValid():
		return ocsf.Entity{Type: ocsf.EntityIP, Value: s.Public.String()}
	case s.Addr.IsValid():
		return ocsf.Entity{Type: ocsf.EntityIP, Value: s.Addr.String()}
	}
	return ocsf.Entity{Type: ocsf.EntityUser, Value: s.User}
}

func addrOf(s *hop.Session) string {
	if s.Addr.IsValid() {
		return s.Addr.String()
	}
	return string(s.Tenant)
}
