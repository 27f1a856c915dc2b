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

// SeatBefore is how long before the intruder's session left a house's host somebody else's session may have worked on
// that host to be taken for the way by which the intruder came to it.
const SeatBefore = 24 * time.Hour

// ways reports whether a partner is the campaign's own or one that the intruder came to through it and went on by.
func (g *group) ways(p tenant.PartnerID) bool {
	return p != "" && (p == g.partner || g.via[p] != "")
}

// joinOnward makes one campaign of those in which the second begins in a house that the first had entered: who came
// through A into B, and then out of B into C, came through A. What came out of B may be too little for a campaign of its
// own and is taken in too, where it weighs high.
func joinOnward(found, rest []*group) []*group {
	for again := true; again; {
		again = false
		for _, o := range found {
			for _, list := range []*[]*group{&found, &rest} {
				i := slices.IndexFunc(*list, func(g *group) bool { return g != o && o.wentOn(g) })
				if i < 0 {
					continue
				}
				g := (*list)[i]
				*list = slices.Delete(slices.Clone(*list), i, i+1)
				o.via[g.partner] = fmt.Sprintf("the intruder was in %s before anything came out of it", g.in.Model.Partner(g.partner).Tenant)
				o.absorb(g)
				again = true
				break
			}
			if again {
				break
			}
		}
	}
	return found
}

// wentOn reports whether another group's doings came out of a house in which this group's intruder was before.
func (g *group) wentOn(o *group) bool {
	p := g.in.Model.Partner(o.partner)
	if p == nil || p.Tenant == "" || p.Tenant == g.home || g.ways(o.partner) || !o.highAbroad() {
		return false
	}
	since := g.gotInto(p.Tenant)
	if since.IsZero() {
		return false
	}
	from, _ := o.clientSpan()
	return from.After(since) && from.Sub(since) <= PathGap
}

// highAbroad reports whether something of high severity came through the group's partner into somebody else's house.
func (g *group) highAbroad() bool {
	return slices.ContainsFunc(g.findings, func(f *ocsf.Finding) bool {
		return f.Severity >= ocsf.SeverityHigh && f.Partner == g.partner && f.Tenant != g.home
	})
}

// gotInto is when the intruder first got something in a tenant by the campaign's partners; zero where he did not.
func (g *group) gotInto(id tenant.ID) time.Time {
	var at time.Time
	first := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, f := range g.findings {
		if f.Tenant == id && g.ways(f.Partner) && f.Outcome == ocsf.OutcomeSucceeded && f.Severity >= ocsf.SeverityMedium {
			first(f.Time)
		}
	}
	for _, s := range g.tainted {
		if s.Tenant == id && g.ways(s.Partner) && !s.Out {
			first(s.Success)
		}
	}
	return at
}

// cameFrom looks for the way by which the intruder came into the partner's own house, where nothing in it says how: a
// partner of the house, whose session worked on the very host that the intruder's sessions left, not longer than
// SeatBefore before, and did something there that a detector noted. Then that partner is whom the intruder comes
// through, and the house is a client and a way like others.
func (g *group) cameFrom() bool {
	if g.home == "" || slices.ContainsFunc(g.findings, func(f *ocsf.Finding) bool { return f.Tenant == g.home && f.Partner == "" }) {
		return false
	}
	noted := map[string]bool{}
	for _, f := range g.in.Findings {
		if f.Tenant == g.home && f.Partner != "" && weighs(f) && !commodity(f) && !underApproval(g.in.Model, f) {
			for _, id := range sessionsOf(f) {
				noted[id] = true
			}
		}
	}
	if len(noted) == 0 {
		return false
	}
	for _, s := range g.sortedTaint() {
		if s.Tenant == g.home || s.Partner != g.partner || s.Out {
			continue
		}
		seats := g.seats(s)
		var best *hop.Session
		for _, x := range g.index.all {
			if x.Tenant == g.home && x.Partner != "" && x.Partner != g.partner && !x.Out && noted[x.ID] &&
				x.Start.Before(s.Start) && s.Start.Sub(x.End) <= SeatBefore && (best == nil || x.Start.After(best.Start)) &&
				slices.ContainsFunc(x.Acts, func(a hop.Act) bool { return a.Got && seats[a.Target] && a.Time.Before(s.Start) }) {
				best = x
			}
		}
		if best == nil {
			continue
		}
		old := g.partner
		g.via[old] = fmt.Sprintf("a session through %s worked on the host of %s from which the intruder went on", best.Partner, g.home)
		g.partner, g.home = best.Partner, ""
		if p := g.in.Model.Partner(g.partner); p != nil {
			g.home = p.Tenant
		}
		g.mark(best, "the intruder's session into "+string(s.Tenant)+" left a host on which it had worked before")
		g.taint()
		return true
	}
	return false
}

// seats are the names and addresses of the host of the partner's house from which a session came.
func (g *group) seats(s *hop.Session) map[string]bool {
	out := map[string]bool{}
	if s.Origin != "" {
		out[s.Origin] = true
	}
	for _, p := range g.inside(s) {
		out[p.Name()] = true
	}
	return out
}

// inside are the places of the partner's house over which a session came, the one nearest to the client first. It is
// empty where no telemetry of the house shows the session.
func (g *group) inside(s *hop.Session) []hop.Place {
	if p, ok := g.traced[s.ID]; ok {
		return p
	}
	var out []hop.Place
	home := g.homeOf(s.Partner)
	if home != "" && s.Addr.IsValid() && s.Kind != hop.KindCloud {
		t := g.in.Graph.Trace(g.in.Model, hop.TracePoint{Tenant: s.Tenant, Addr: s.Addr, Time: s.Start, End: s.Start, User: s.User, Partner: s.Partner})
		shown := false
		for i := len(t.Hops) - 1; i >= 0; i-- {
			h := &t.Hops[i]
			if h.From.Tenant == home {
				out = append(out, h.From)
			}
			shown = shown || (h.To.Tenant == home && slices.Contains(h.Seen, home))
		}
		if !shown {
			out = nil // a client's log names a host of the house; that alone doesn't show that somebody was on it
		}
	}
	g.traced[s.ID] = out
	return out
}

// homeOf is the tenant that a partner is, or "".
func (g *group) homeOf(p tenant.PartnerID) tenant.ID {
	if x := g.in.Model.Partner(p); x != nil {
		return x.Tenant
	}
	return ""
}

// workedFrom is the first of the intruder's sessions into a client that the telemetry of the partner's own house shows
// leaving one of its hosts, and that host.
func (g *group) workedFrom() (*hop.Session, hop.Place) {
	for _, s := range g.sortedTaint() {
		if s.Out || s.Partner != g.partner || s.Tenant == g.home {
			continue
		}
		if p := g.inside(s); len(p) > 0 {
			return s, p[0]
		}
	}
	return nil, hop.Place{}
}

// lostAccount is the first sign-in in the partner's own house from a place that was new to a person whose account at
// clients the intruder uses; nil where there is none before the intruder's first act at a client.
func (g *group) lostAccount() *ocsf.Finding {
	used := map[string]time.Time{} // account → its first session that is the intruder's
	for _, s := range g.sortedTaint() {
		if s.Partner != g.partner || s.Tenant == g.home || s.Out || s.User == "" {
			continue
		}
		if _, ok := used[s.User]; !ok {
			used[s.User] = s.Start
		}
	}
	abroad := g.strangeAtClients()
	var best *ocsf.Finding
	again := false // the best one's address came to a client, too; people travel, and then take nobody's clients along
	for _, f := range g.in.Findings {
		if f.Rule != "firstcontact/source" || f.Tenant != g.home || f.Partner != "" || f.Suppressed != nil || f.Outcome != ocsf.OutcomeSucceeded || len(f.Evidence) == 0 {
			continue
		}
		here := slices.ContainsFunc(infraKeys(f), func(k string) bool { return abroad[k] })
		if best != nil && (again && !here || again == here && !f.Time.Before(best.Time)) {
			continue
		}
		for who, first := range used {
			if f.Time.Before(first) && first.Sub(f.Time) <= PathGap && sameOwner(who, f.Evidence[0].Event.User.Name) {
				best, again = f, here
			}
		}
	}
	return best
}

// strangeAtClients are the foreign addresses from which accounts of the campaign's partners came to clients for the
// first time, as infraKeys writes them.
func (g *group) strangeAtClients() map[string]bool {
	out := map[string]bool{}
	for _, f := range g.in.Findings {
		if f.Rule == "firstcontact/source" && f.Suppressed == nil && g.ways(f.Partner) && f.Tenant != g.home {
			for _, k := range infraKeys(f) {
				out[k] = true
			}
		}
	}
	return out
}

// takeLostAddress takes the address from which an account was lost in the partner's house for the intruder's own where
// it came to clients, too, and looks again at what is his.
func (g *group) takeLostAddress() {
	f := g.lostAccount()
	if f == nil {
		return
	}
	abroad, fresh := g.strangeAtClients(), false
	for _, k := range infraKeys(f) {
		if abroad[k] && !g.infra[k] {
			g.infra[k], fresh = true, true
		}
	}
	if fresh {
		g.taint()
	}
}

// sameOwner reports whether two account names are likely one person's: they are equal, or share a name of at least
// four letters and differ by no more than two letters of initials beside it. A prefix that says which firm an account
// is of, as in firm-surname, is left out.
func sameOwner(a, b string) bool {
	parts := func(s string) []string {
		s, _, _ = strings.Cut(strings.ToLower(s), "@")
		if _, after, ok := strings.Cut(s, `\`); ok {
			s = after
		}
		return strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '.' || r == '_' || r == ' ' })
	}
	x, y := parts(a), parts(b)
	for _, p := range x {
		for _, q := range y {
			n := 0
			for n < len(p) && n < len(q) && p[n] == q[n] {
				n++
			}
			if n >= 4 && len(p)-n <= 2 && len(q)-n <= 2 {
				return true
			}
		}
	}
	return samePerson(strings.Join(x, " "), b) || samePerson(strings.Join(y, " "), a)
}
