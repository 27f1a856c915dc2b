package campaign

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Who takes over the computer of a partner's support works in its owner's name, from the partner's own office and with
// its own tools: at the clients nothing differs from the day before but what is chosen. What shows is the computer being
// taken, at home, and credentials that its owner resets and somebody uses from elsewhere.

// seatsTaken returns the findings that show together that somebody works at a partner's seat who is not its owner: the
// protection of a host of the house was stopped in a session of its owner's account from another host, and within PathGap
// after that the same person reset credentials at a client which were then used from an unknown place. Each alone is
// daily life. The value is the partner.
func seatsTaken(in Evidence, names map[string]string) map[string]tenant.PartnerID {
	out := map[string]tenant.PartnerID{}
	for _, home := range in.Findings { // a pass over all for each, of which there are few
		p := in.Model.PartnerOf(home.Tenant)
		if home.Rule != "lateral/disarmed" || p == nil || home.Partner != "" || home.Suppressed != nil || home.Severity < ocsf.SeverityMedium {
			continue
		}
		var fruit []*ocsf.Finding
		most := ocsf.SeverityLow
		for _, f := range in.Findings {
			if f.Rule != "fanout/reset-takeover" || f.Partner != p.ID || !weighs(f) || f.Tenant == home.Tenant ||
				!f.End.After(home.Time) || f.Time.Sub(home.Time) > PathGap || !samePeople(names, home, f) {
				continue
			}
			fruit = append(fruit, f)
			most = max(most, f.Severity)
		}
		for _, f := range fruit { // beside what weighs, the weaker is the owner's honest work
			if f.Severity >= min(most, ocsf.SeverityMedium) {
				out[home.ID], out[f.ID] = p.ID, p.ID
			}
		}
	}
	return out
}

// samePeople reports whether an account that acts in one finding is likely of the same person as one that acts in another.
func samePeople(names map[string]string, a, b *ocsf.Finding) bool {
	for _, x := range actors(a) {
		for _, y := range actors(b) {
			if oneName(canonical(names, x), canonical(names, y)) {
				return true
			}
		}
	}
	return false
}

// actors are the accounts that act in a finding.
func actors(f *ocsf.Finding) []string {
	var out []string
	for _, e := range f.Entities {
		if e.Role == ocsf.RoleActor && e.Type == ocsf.EntityUser {
			out = append(out, e.Value)
		}
	}
	return out
}

// joinBySeat joins what shows that seats of one partner's are taken, and what the same people did.
func joinBySeat(s sets, list []*ocsf.Finding, seats map[string]tenant.PartnerID, names map[string]string) {
	for i, f := range list {
		if seats[f.ID] == "" {
			continue
		}
		for j := range list[:i] {
			if seats[list[j].ID] == seats[f.ID] && samePeople(names, f, list[j]) {
				s.join(j, i)
			}
		}
	}
}

// seatTaken reports whether the group shows that a seat of its partner's was taken.
func (g *group) seatTaken() bool {
	return slices.ContainsFunc(g.findings, func(f *ocsf.Finding) bool {
		return f.Tenant == g.home && g.index.seats[f.ID] == g.partner && g.partner != ""
	})
}

// sitting follows a person of the partner whose credential resets were used by somebody else through what they did in the
// same sitting: with no more than hop.Gap between two acts, by the partner's own remote tool or in the cloud of other
// clients. One seat has one hand at it at a time. What they did on another day stays theirs; and since two may work at
// once after all, of the remote tool only rounds over several hosts of a client count: support goes to that of its ticket.
func (g *group) sitting() {
	people := map[string][]*hop.Session{}
	if !slices.ContainsFunc(g.findings, g.resetForIntruder) {
		return
	}
	for _, f := range g.in.Findings {
		if f.Rule != "fanout/reset-takeover" || f.Partner != g.partner || !weighs(f) || !g.usedByIntruder(f) {
			continue
		}
		for _, who := range actors(f) {
			who = canonical(g.names, who)
			for _, id := range sessionsOf(f) {
				if s := g.in.Graph.Session(id); s != nil && s.Partner == g.partner {
					people[who] = append(people[who], s)
				}
			}
		}
	}
	if len(people) == 0 {
		return
	}
	for _, s := range g.index.all {
		if s.Partner != g.partner || g.tainted[s.ID] != nil || !(s.Kind == hop.KindRMM && s.Out || s.Kind == hop.KindCloud && s.Tenant != g.home && !s.Out) || s.User == "" {
			continue
		}
		for who, list := range people {
			if oneName(canonical(g.names, s.User), who) && (s.Kind != hop.KindRMM || round(g.index.sameUser(s), s) >= 2) && slices.ContainsFunc(list, func(o *hop.Session) bool { return hop.Overlaps(s.Start, s.End, o.Start, o.End, hop.Gap) }) {
				g.mark(s, fmt.Sprintf("it lies within %d minutes of resets of the same person's that somebody else used", hop.Gap/time.Minute))
				g.sat[s.ID] = true
				g.otherSide(s)
				break
			}
		}
	}
}

// usedByIntruder reports whether reset credentials were used by the campaign's intruder: the group holds the finding for
// what it weighs, or they were used from an address of his.
func (g *group) usedByIntruder(f *ocsf.Finding) bool {
	if g.resetForIntruder(f) && slices.ContainsFunc(g.findings, func(o *ocsf.Finding) bool { return o.ID == f.ID }) {
		return true
	}
	return slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool {
		return e.Type == ocsf.EntityIP && e.Role != ocsf.RoleActor && joinable(e.Value) && g.infra["ip\x00"+e.Value]
	})
}

// resetForIntruder reports whether a finding tells of resets that are the intruder's doing: people travel, and one person's
// new telephone on the road is none.
func (g *group) resetForIntruder(f *ocsf.Finding) bool {
	return f.Rule == "fanout/reset-takeover" && f.Partner == g.partner && (f.Severity >= ocsf.SeverityHigh || g.index.seats[f.ID] != "")
}

// onlyReset reports whether a session at a taken seat did no more than sign in and reset credentials: the way to
// somebody's account, and not yet the account.
func (g *group) onlyReset(s *hop.Session) bool {
	reset := slices.ContainsFunc(s.Acts, func(a hop.Act) bool { return credential(a.Detail) })
	way := g.sat[s.ID] || reset && s.Partner == g.partner && g.partner != "" && slices.ContainsFunc(g.findings, g.resetForIntruder)
	return way && s.Kind == hop.KindCloud && !slices.ContainsFunc(s.Acts, func(a hop.Act) bool {
		beside := reset && strings.EqualFold(a.Detail, "Update user") // Entra's directory audit tells each reset as this, too
		return a.Got && a.Kind != "sign-in" && !credential(a.Detail) && !beside
	})
}

// credential reports whether a directory operation concerns a password or a second factor.
func credential(operation string) bool {
	op := strings.ToLower(operation)
	return strings.Contains(op, "password") || strings.Contains(op, "security info") || strings.Contains(op, "strong authentication") || strings.Contains(op, "authentication method") || strings.Contains(op, "mfa.factor")
}
