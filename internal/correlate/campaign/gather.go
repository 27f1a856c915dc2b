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

// How far apart in time findings may lie and still be joined by a partner alone, and how close the incidents of
// two clients must be for the common partner to join them without anything else in common.
const (
	PathGap       = 45 * 24 * time.Hour
	ClusterWindow = 7 * 24 * time.Hour
)

// group is the findings of one campaign to be, with what is known of it while it is drawn.
type group struct {
	in       Evidence
	index    *index
	partner  tenant.PartnerID
	home     tenant.ID                   // the partner's own tenant, where we hold its telemetry
	via      map[tenant.PartnerID]string // partners whose houses the intruder entered and went on by → why that is believed
	traced   map[string][]hop.Place      // session → inside, as far as it was asked for
	findings []*ocsf.Finding
	infra    map[string]bool         // the intruder's own things, as type and value
	tainted  map[string]*hop.Session // sessions that are the intruder's
	why      map[string]string       // session → why it is taken for the intruder's
	accounts map[string]bool         // accounts of the partner that the intruder uses
	names    map[string]string       // nameless accounts → who stands behind them
	sat      map[string]bool         // sessions that lie in one sitting with the intruder's
	followed []string                // people of a house who did what a message asked
	ordered  []*hop.Session          // tainted, by start, while there are as many
}

// seeds reports whether a finding can begin a campaign: medium or above, not approved, and not what everybody
// gets every day.
func seeds(f *ocsf.Finding) bool {
	if f.Suppressed != nil || commodity(f) {
		return false
	}
	switch f.Detector {
	case "sigma", "lateral", "enumeration", "beacon":
		return f.Severity >= ocsf.SeverityHigh // what administrators do too is evidence beside others, no beginning
	case "fanout":
		return f.Severity >= ocsf.SeverityMedium && f.Rule != "fanout/tenants"
	}
	return f.Severity >= ocsf.SeverityMedium
}

// commodity findings are daily life at every tenant; alone they join nothing.
func commodity(f *ocsf.Finding) bool {
	switch f.Rule {
	case "phish/commodity", "phish/unparsable", "recon/internet-noise", "enumeration/internet-noise", "recon/known-failing":
		return true
	}
	return false
}

// gather joins findings into groups and keeps those that are campaigns. Groups that come through the same
// partner at the same time are one campaign.
func gather(in Evidence) []*group {
	sessions := newIndex(in.Graph)
	sessions.relays = relays(in, sessions)
	names := aliases(sessions)
	sessions.seats = seatsTaken(in, names)
	var list []*ocsf.Finding
	for _, f := range in.Findings {
		if (seeds(f) || sessions.relays[f.ID] != nil || sessions.seats[f.ID] != "") && !underApproval(in.Model, f) {
			list = append(list, f)
		}
	}
	s := newSets(len(list))
	joinByInfrastructure(s, list)
	joinByAccount(s, list, in.Model, names)
	joinByPartner(s, list, in.Model)
	joinByRelay(s, list, sessions.relays)
	joinBySeat(s, list, sessions.seats, names)
	var out, rest []*group
	for _, members := range s.groups() {
		g := newGroup(in, sessions, list, members, names)
		g.taint()
		if !g.qualifies() {
			rest = append(rest, g)
			continue
		}
		if o := sameIntruder(out, g); o != nil {
			o.absorb(g)
		} else {
			out = append(out, g)
		}
	}
	out = joinOnward(out, rest)
	for i, g := range out {
		if !g.cameFrom() {
			continue
		}
		if o := sameIntruder(out[:i], g); o != nil {
			o.absorb(g)
			out[i] = nil
		}
	}
	out = joinOnward(slices.DeleteFunc(out, func(g *group) bool { return g == nil }), rest)
	for _, g := range out {
		g.takeLostAddress()
	}
	return out
}

// sameIntruder returns the group among those found that came through the same partner at about the same time.
func sameIntruder(found []*group, g *group) *group {
	from, to := g.span()
	for _, o := range found {
		oFrom, oTo := o.span()
		if o.partner == g.partner && g.partner != "" && hop.Overlaps(from, to, oFrom, oTo, PathGap) {
			return o
		}
	}
	return nil
}

// absorb takes another group's findings in and looks again at what is the intruder's.
func (g *group) absorb(o *group) {
	have := map[string]bool{}
	for _, f := range g.findings {
		have[f.ID] = true
	}
	for _, f := range o.findings {
		if !have[f.ID] {
			g.findings = append(g.findings, f)
		}
	}
	for k := range o.infra {
		g.infra[k] = true
	}
	for p, why := range o.via {
		if p != g.partner {
			g.via[p] = why
		}
	}
	g.taint()
}

// underApproval reports whether the finding lies in the time of an approval of the same trust: who is allowed
// to test does more than scan, and the approval grammar knows no other word for it. It stays a finding.
func underApproval(m *tenant.Model, f *ocsf.Finding) bool {
	for i := range m.Approvals {
		a := &m.Approvals[i]
		if f.Trust == "" || a.Trust != f.Trust || f.Time.Before(a.From) || !f.Time.Before(a.Until) {
			continue
		}
		told, inside := false, true // who leaves the scope, and what somebody else did beside, is not approved
		for _, ev := range f.Evidence {
			if e := ev.Event; e.Src.IP.IsValid() {
				told, inside = true, inside && a.Covers(a.Kind, f.Trust, e.Src.IP, e.Dst.IP, e.Time)
			}
		}
		if told && inside || !told && (a.Until.Sub(a.From) >= 24*time.Hour || a.Kind == "maintenance" && f.Layer == tenant.LayerEndpoint) {
			return true // a test of days, or work on the hosts, covers records that do not tell an address
		}
	}
	return false
}

func newGroup(in Evidence, sessions *index, list []*ocsf.Finding, members []int, names map[string]string) *group {
	g := &group{in: in, index: sessions, names: names, via: map[tenant.PartnerID]string{}, traced: map[string][]hop.Place{}, infra: map[string]bool{}, tainted: map[string]*hop.Session{}, why: map[string]string{}, accounts: map[string]bool{}, sat: map[string]bool{}}
	for _, i := range members {
		g.findings = append(g.findings, list[i])
		for _, k := range infraKeys(list[i]) {
			g.infra[k] = true
		}
	}
	g.choosePartner()
	return g
}

// choosePartner names whom the intruder comes through: the partner by whose trusts most tenants were reached;
// else the partner whose own house is hit; else the partner that all hit tenants have in common.
func (g *group) choosePartner() {
	votes := map[tenant.PartnerID]map[tenant.ID]bool{}
	vote := func(p tenant.PartnerID, t tenant.ID) {
		if votes[p] == nil {
			votes[p] = map[tenant.ID]bool{}
		}
		votes[p][t] = true
	}
	hit := map[tenant.ID]bool{}
	for _, f := range g.findings {
		hit[f.Tenant] = true
		if p := g.through(f); p != "" {
			vote(p, f.Tenant)
			continue
		}
		for i := range g.in.Model.Partners {
			if p := &g.in.Model.Partners[i]; onlyWayIn(f, p, g.in.Model) || commonCause(f, p, g.in.Model) {
				vote(p.ID, f.Tenant)
			}
		}
	}
	if len(votes) == 0 {
		for id := range hit {
			for _, t := range g.in.Model.TrustsInto(id) {
				vote(t.Partner, id)
			}
			if p := g.in.Model.PartnerOf(id); p != nil {
				vote(p.ID, id)
				vote(p.ID, "its own house")
			}
		}
		for p, v := range votes {
			if len(v) < 2 {
				delete(votes, p)
			}
		}
	}
	for i := range g.in.Model.Partners {
		p := &g.in.Model.Partners[i]
		if hit[p.Tenant] && votes[p.ID] != nil {
			vote(p.ID, p.Tenant)
		}
	}
	for p, v := range votes {
		if n := len(votes[g.partner]); len(v) > n || (len(v) == n && p < g.partner) {
			g.partner = p
		}
	}
	if p := g.in.Model.Partner(g.partner); p != nil {
		g.home = p.Tenant
	}
}

// joinList tells what holds the campaign together.
func (g *group) joinList() []Join {
	byKey := map[string]map[tenant.ID]bool{}
	add := func(k string, id tenant.ID) {
		if byKey[k] == nil {
			byKey[k] = map[tenant.ID]bool{}
		}
		byKey[k][id] = true
	}
	for _, f := range g.findings {
		for _, k := range infraKeys(f) {
			add(k, f.Tenant)
		}
	}
	for _, s := range g.tainted {
		if g.ways(s.Partner) && s.User != "" {
			add("account\x00"+s.User, s.Tenant)
		}
		if g.ways(s.Partner) && s.Tenant != g.home {
			add("partner-path\x00"+string(s.Partner), s.Tenant)
		}
	}
	for _, f := range g.findings {
		if p := g.through(f); g.ways(p) {
			add("partner-path\x00"+string(p), f.Tenant)
		}
	}
	out := []Join{}
	for k, ids := range byKey {
		kind, value, _ := strings.Cut(k, "\x00")
		if len(ids) < 2 && kind != "partner-path" {
			continue
		}
		j := Join{Kind: kind, Value: value}
		for id := range ids {
			j.Tenants = append(j.Tenants, id)
		}
		slices.Sort(j.Tenants)
		j.Reason = joinReason(kind, value, len(j.Tenants))
		if why := g.via[tenant.PartnerID(value)]; kind == "partner-path" && why != "" {
			j.Reason += "; " + why
		}
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b Join) int { return strings.Compare(a.Kind+a.Value, b.Kind+b.Value) })
	return out
}

func joinReason(kind, value string, n int) string {
	switch kind {
	case "partner-path":
		return fmt.Sprintf("reached %d tenants by the trusts of %s", n, value)
	case "account":
		return fmt.Sprintf("the account %s was used in %d tenants", value, n)
	case "domain":
		return fmt.Sprintf("the domain %s, which none of them declares, was seen in %d tenants", value, n)
	case "rmm-instance":
		return fmt.Sprintf("the same foreign remote-tool instance in %d tenants", n)
	}
	return fmt.Sprintf("%s %s was seen in %d tenants", kind, value, n)
}
