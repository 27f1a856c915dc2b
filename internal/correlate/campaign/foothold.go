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

// AskBefore is how long before the intruder's first session a trace request asks the other side to look.
const AskBefore = 24 * time.Hour

// foothold says where the campaign began. Where the partner's own telemetry shows somebody getting in, it is
// the first of that: the message to the person who followed it rather than the first alarm. Where it shows
// nothing, or is not ours, the answer is whom to ask for what and when, and not a guess.
func (g *group) foothold(c *Campaign) Foothold {
	var home []*ocsf.Finding
	for _, f := range g.findings {
		if f.Tenant == g.home && g.home != "" && (f.Partner == "" || f.Partner == g.partner) && f.Severity >= ocsf.SeverityLow {
			home = append(home, f)
		}
	}
	if f, ok := g.lentAccount(home); ok {
		return f
	}
	if len(home) > 0 {
		return g.first(home)
	}
	if f := g.lostAccount(); f != nil {
		out := g.first([]*ocsf.Finding{f})
		out.Reason += "; the intruder uses an account of the same person at clients"
		return out
	}
	if g.partner == "" {
		return g.first(g.findings)
	}
	if f := g.talkedInto(); f != nil {
		out := g.first([]*ocsf.Finding{f})
		out.Time = f.Time.UTC()
		for _, e := range f.Entities {
			if e.Type == ocsf.EntityUser && e.Role == ocsf.RoleTarget {
				out.Entity = &ocsf.Entity{Type: e.Type, Value: e.Value}
			}
		}
		out.Reason += "; nothing shows that anybody entered the house of the desk: it was asked, and did it"
		return out
	}
	return g.traceRequest()
}

// talkedInto returns the first reset of a partner's desk that somebody else used, where resets are all that the intruder
// came by, and the desk's own house, which is seen, shows nobody who entered it (Clorox 2023). The first foothold is then
// the account that was reset, and not the desk.
func (g *group) talkedInto() *ocsf.Finding {
	var first *ocsf.Finding
	for _, f := range g.findings {
		if f.Tenant == g.home {
			return nil
		}
		if f.Rule == "fanout/reset-takeover" && f.Partner == g.partner && (first == nil || f.Time.Before(first.Time)) {
			first = f
		}
	}
	if first == nil || g.home == "" || !g.in.Telemetry.Sees(g.home, first.Time.Add(-AskBefore), first.End, tenant.LayerCloud) {
		return nil
	}
	for _, f := range g.findings {
		if f.Time.Before(first.Time.Add(-AskBefore)) && seeds(f) && f.Rule != "fanout/reset-takeover" {
			return nil
		}
	}
	return first
}

// lentAccount answers with a trace request where the first of the partner's accounts that the intruder has belongs
// to people of yet another organisation, who come into the partner's house by a trust of their own, and nothing
// in the house shows how it was lost.
func (g *group) lentAccount(home []*ocsf.Finding) (Foothold, bool) {
	if g.home == "" {
		return Foothold{}, false
	}
	victims := g.victims()
	for _, f := range home {
		if f.Layer == tenant.LayerMail && targeted(f) && followedBy(f, g.followers(home)) {
			return Foothold{}, false // a message that was followed explains the loss
		}
	}
	var first *ocsf.Finding
	for _, f := range g.in.Findings {
		if f.Tenant != g.home || f.Partner == "" || f.Partner == g.partner || f.Suppressed != nil || len(f.Evidence) == 0 {
			continue
		}
		local, _, _ := strings.Cut(strings.ToLower(f.Evidence[0].Event.User.Name), "@")
		if f.Rule == "firstcontact/source" && slices.Contains(victims, local) && (first == nil || f.Time.Before(first.Time)) {
			first = f
		}
	}
	if first == nil || (len(home) > 0 && home[0].Time.Before(first.Time.Add(-AskBefore))) {
		return Foothold{}, false
	}
	e := first.Evidence[0].Event
	out := Foothold{Ask: string(first.Partner), For: fmt.Sprintf("account %s, address %s", e.User.Name, e.Src.IP), From: first.Time.Add(-AskBefore).UTC(), To: first.End.UTC()}
	out.Reason = fmt.Sprintf("%s is an account of people of %s, who come in by %s; nothing in our telemetry shows how it was lost", e.User.Name, first.Partner, first.Trust)
	return out, true
}

// first picks the foothold from findings of one house: a message that its recipient followed, else what got in
// first, else what came first.
func (g *group) first(list []*ocsf.Finding) Foothold {
	followed, gone := g.followers(list), map[string]bool{}
	for _, who := range g.senders() {
		gone[who] = true
	}
	best, rank := list[0], 9
	for _, f := range list {
		r := 3
		switch {
		case f.Layer == tenant.LayerMail && followedBy(f, gone):
			r = -1 // its recipient's mailbox now writes the intruder's mail
		case f.Layer == tenant.LayerMail && followedBy(f, followed):
			r = 0
		case f.Layer == tenant.LayerMail && targeted(f):
			r = 1
		case f.Outcome == ocsf.OutcomeSucceeded:
			r = 2
		}
		if r == 3 && f.Severity < ocsf.SeverityMedium {
			r = 4
		}
		if r < rank || (r == rank && f.Time.Before(best.Time)) {
			best, rank = f, r
		}
	}
	at, ent := footholdEntity(best)
	return Foothold{Time: at.UTC(), Tenant: best.Tenant, Layer: best.Layer, Entity: &ent, Reason: best.Title + ": " + best.Reason}
}

// targeted reports whether a mail finding is aimed at this house, and not the phish of the day.
func targeted(f *ocsf.Finding) bool { return !commodity(f) && f.Severity >= ocsf.SeverityMedium }

// followers are the people and hosts of a house that did what a message asked: contacts with its links'
// domains, sign-ins from the intruder's addresses.
func (g *group) followers(list []*ocsf.Finding) map[string]bool {
	out := map[string]bool{}
	for _, f := range list {
		if f.Layer == tenant.LayerMail {
			continue
		}
		for _, e := range f.Entities {
			if e.Role == ocsf.RoleActor || e.Role == ocsf.RoleTarget {
				out[strings.ToLower(e.Value)] = true
			}
		}
	}
	for _, s := range g.tainted {
		if len(list) > 0 && s.Tenant == list[0].Tenant && s.User != "" {
			out[s.User] = true
		}
	}
	for _, who := range g.followed {
		out[who] = true
	}
	for _, who := range g.senders() { // who writes the intruder's mail to others has given his mailbox away
		out[who] = true
	}
	return out
}

// followedBy reports whether one of a message's recipients is among those who followed, by address or account.
func followedBy(f *ocsf.Finding, who map[string]bool) bool {
	return slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool {
		if e.Type != ocsf.EntityMailbox || e.Role != ocsf.RoleTarget {
			return false
		}
		local, _, _ := strings.Cut(e.Value, "@")
		return who[strings.ToLower(e.Value)] || who[strings.ToLower(local)]
	})
}

// footholdEntity is what was first held: the mailbox, the account, the host; and since when.
func footholdEntity(f *ocsf.Finding) (time.Time, ocsf.Entity) {
	pick := func(types ...ocsf.EntityType) (ocsf.Entity, bool) {
		for _, t := range types {
			for _, e := range f.Entities {
				if e.Type == t && e.Role != ocsf.RoleInfrastructure && e.Role != ocsf.RoleSource {
					return ocsf.Entity{Type: e.Type, Value: e.Value}, true
				}
			}
		}
		return ocsf.Entity{}, false
	}
	at := f.Time
	if f.Rule == "fanout/password-spray" {
		for _, ev := range f.Evidence {
			if ev.Event.Status == ocsf.StatusSuccess {
				at = ev.Event.Time
				break
			}
		}
	}
	if f.Rule == serverRule {
		for _, e := range f.Entities {
			if e.Type == ocsf.EntityIP {
				return at, ocsf.Entity{Type: e.Type, Value: e.Value}
			}
		}
	}
	if s := source(f); f.Detector == "recon" && s != "" {
		return at, ocsf.Entity{Type: ocsf.EntityIP, Value: s} // the system of the house that scans, not what it scans
	}
	order := []ocsf.EntityType{ocsf.EntityHost, ocsf.EntityUser, ocsf.EntityMailbox, ocsf.EntityIP}
	switch f.Layer {
	case tenant.LayerMail:
		order = []ocsf.EntityType{ocsf.EntityMailbox}
	case tenant.LayerCloud, tenant.LayerAccess:
		order = []ocsf.EntityType{ocsf.EntityUser, ocsf.EntityApp, ocsf.EntityHost}
	}
	if e, ok := pick(order...); ok {
		return at, e
	}
	if len(f.Entities) > 0 {
		return at, ocsf.Entity{Type: f.Entities[0].Type, Value: f.Entities[0].Value}
	}
	return at, ocsf.Entity{Type: ocsf.EntityHost, Value: "unknown"}
}

// traceRequest names the organisation that must look, for what and when. The partner answers for itself; where
// the trust comes through another, the one behind it does.
func (g *group) traceRequest() Foothold {
	ask := string(g.partner)
	var first *hop.Session
	for _, s := range g.sortedTaint() {
		if s.Tenant == g.home || s.Partner != g.partner {
			continue
		}
		if first == nil {
			first = s
		}
		if t := g.in.Model.Trust(s.Trust); t != nil && t.Through != "" {
			ask = string(t.Through)
		}
	}
	f := Foothold{Ask: ask}
	if first == nil {
		f.From, f.To = g.span()
		f.From = f.From.Add(-AskBefore)
		for _, e := range g.findings[0].Entities {
			if e.Role == ocsf.RoleActor || e.Role == ocsf.RoleSource {
				f.For = string(e.Type) + " " + e.Value
				break
			}
		}
	} else {
		f.From, f.To = first.Start.Add(-AskBefore).UTC(), first.End.UTC()
		f.For = traceSubject(first)
	}
	if f.For == "" {
		f.For = "the sender " + g.findings[0].ID
	}
	f.Reason = fmt.Sprintf("nothing in our telemetry shows how the intruder got into %s; it must look for %s between %s and %s",
		ask, f.For, f.From.Format(time.RFC3339), f.To.Format(time.RFC3339))
	return f
}

func traceSubject(s *hop.Session) string {
	var parts []string
	if s.User != "" {
		parts = append(parts, "account "+s.User)
	}
	if s.Origin != "" {
		parts = append(parts, "host "+s.Origin)
	}
	if s.Public.IsValid() {
		parts = append(parts, "address "+s.Public.String())
	} else if s.Addr.IsValid() {
		parts = append(parts, "address "+s.Addr.String())
	}
	if s.Instance != "" {
		parts = append(parts, s.Tool+" instance "+s.Instance)
	}
	return strings.Join(parts, ", ")
}
