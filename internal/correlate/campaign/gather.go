package campaign

import (
	"fmt"
	"net/netip"
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
	partner  tenant.PartnerID
	home     tenant.ID // the partner's own tenant, where we hold its telemetry
	findings []*ocsf.Finding
	infra    map[string]bool         // the intruder's own things, as type and value
	tainted  map[string]*hop.Session // sessions that are the intruder's
	why      map[string]string       // session → why it is taken for the intruder's
	accounts map[string]bool         // accounts of the partner that the intruder uses
	names    map[string]string       // nameless accounts → who stands behind them
	followed []string                // people of a house who did what a message asked
}

// seeds reports whether a finding can begin a campaign: medium or above, not approved, and not what everybody
// gets every day.
func seeds(f *ocsf.Finding) bool {
	if f.Suppressed != nil || commodity(f) {
		return false
	}
	switch f.Detector {
	case "sigma":
		return f.Severity >= ocsf.SeverityHigh // what administrators do too is evidence beside others, no beginning
	case "fanout":
		return f.Severity >= ocsf.SeverityMedium && f.Rule != "fanout/tenants"
	}
	return f.Severity >= ocsf.SeverityMedium
}

// commodity findings are daily life at every tenant; alone they join nothing.
func commodity(f *ocsf.Finding) bool {
	return f.Rule == "phish/commodity" || f.Rule == "recon/internet-noise" || f.Rule == "phish/unparsable"
}

// gather joins findings into groups and keeps those that are campaigns. Groups that come through the same
// partner at the same time are one campaign.
func gather(in Evidence) []*group {
	var list []*ocsf.Finding
	for _, f := range in.Findings {
		if seeds(f) && !underApproval(in.Model, f) {
			list = append(list, f)
		}
	}
	names := aliases(in.Graph)
	s := newSets(len(list))
	joinByInfrastructure(s, list)
	joinByAccount(s, list, in.Model, names)
	joinByPartner(s, list, in.Model)
	var out []*group
	for _, members := range s.groups() {
		g := newGroup(in, list, members, names)
		g.taint()
		if !g.qualifies() {
			continue
		}
		if o := sameIntruder(out, g); o != nil {
			o.absorb(g)
		} else {
			out = append(out, g)
		}
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
		for _, ev := range f.Evidence {
			if src := ev.Event.Src.IP; src.IsValid() && a.Src.Contains(src) {
				return true
			}
		}
		if a.Until.Sub(a.From) >= 24*time.Hour && !slices.ContainsFunc(f.Evidence, func(ev ocsf.Evidence) bool { return ev.Event.Src.IP.IsValid() }) {
			return true // a test of days, and a record that does not tell an address
		}
	}
	return false
}

// infraKeys are the intruder's own things that a finding names. Private addresses mean another thing in every
// tenant and never join.
func infraKeys(f *ocsf.Finding) []string {
	var keys []string
	for _, e := range f.Entities {
		if e.Role != ocsf.RoleInfrastructure || (e.Type == ocsf.EntityIP && !joinable(e.Value)) {
			continue
		}
		keys = append(keys, string(e.Type)+"\x00"+strings.ToLower(e.Value))
	}
	return keys
}

func joinable(ip string) bool {
	a, err := netip.ParseAddr(ip)
	return err == nil && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified()
}

func joinByInfrastructure(s sets, list []*ocsf.Finding) {
	first := map[string]int{}
	for i, f := range list {
		for _, k := range infraKeys(f) {
			if j, ok := first[k]; ok {
				s.join(j, i)
			} else {
				first[k] = i
			}
		}
	}
}

// joinByAccount joins what the same account of a partner did, in its own house and in others'.
func joinByAccount(s sets, list []*ocsf.Finding, m *tenant.Model, names map[string]string) {
	last := map[string]int{}
	for i, f := range list {
		p := f.Partner
		if own := m.PartnerOf(f.Tenant); p == "" && own != nil {
			p = own.ID
		}
		if p == "" {
			continue
		}
		for _, e := range f.Entities {
			if e.Role != ocsf.RoleActor || e.Type != ocsf.EntityUser {
				continue
			}
			k := string(p) + "\x00" + canonical(names, e.Value)
			if j, ok := last[k]; ok && f.Time.Sub(list[j].End) <= PathGap {
				s.join(j, i)
			}
			last[k] = i
		}
	}
}

// aliases learns which person of a partner stands behind the nameless accounts that delegated administration
// shows in a customer's audit log: who signed in to the same tenant from the same address at the same time.
func aliases(g *hop.Graph) map[string]string {
	type place struct {
		tenant tenant.ID
		addr   netip.Addr
	}
	people := map[place][]*hop.Session{}
	all := g.Sessions()
	for _, s := range all {
		if s.Kind == hop.KindCloud && s.Partner != "" && !nameless(s.User) && !strings.HasPrefix(s.User, "app ") {
			k := place{s.Tenant, s.Addr}
			people[k] = append(people[k], s)
		}
	}
	votes := map[string]map[string]int{}
	for _, s := range all {
		if s.Kind != hop.KindCloud || s.Partner == "" || !nameless(s.User) {
			continue
		}
		for _, p := range people[place{s.Tenant, s.Addr}] {
			if hop.Overlaps(s.Start, s.End, p.Start, p.End, SittingGap) {
				if votes[s.User] == nil {
					votes[s.User] = map[string]int{}
				}
				votes[s.User][p.User]++
			}
		}
	}
	out := map[string]string{}
	for who, v := range votes {
		best := ""
		for p, n := range v {
			if best == "" || n > v[best] || (n == v[best] && p < best) {
				best = p
			}
		}
		out[who] = best
	}
	return out
}

func nameless(user string) bool {
	return strings.HasPrefix(user, "user_") && strings.Contains(user, "@")
}

func canonical(names map[string]string, user string) string {
	user = strings.ToLower(user)
	if n, ok := names[user]; ok {
		return n
	}
	return user
}

// joinByPartner joins what weighs most and came through the same partner, or was found in its own house. What
// weighs less is daily work too, and needs the intruder's own things or account in common.
func joinByPartner(s sets, list []*ocsf.Finding, m *tenant.Model) {
	for p := range m.Partners {
		partner := &m.Partners[p]
		last := -1
		for i, f := range list {
			if f.Severity < ocsf.SeverityHigh || (!onPath(f, partner) && !atHome(f, partner)) {
				continue
			}
			if last >= 0 && f.Time.Sub(list[last].End) <= PathGap {
				s.join(last, i)
			}
			last = i
		}
	}
}

// onPath reports whether a finding came through the partner into somebody else's house.
func onPath(f *ocsf.Finding, p *tenant.Partner) bool {
	return f.Partner == p.ID && f.Tenant != p.Tenant
}

// atHome reports whether a finding lies in the partner's own house and is an intruder's doing there, not a
// partner's who in turn comes in.
func atHome(f *ocsf.Finding, p *tenant.Partner) bool {
	return p.Tenant != "" && f.Tenant == p.Tenant && f.Partner == "" && intrusive(f)
}

// intrusive findings show somebody getting in, not noise that a house has anyway.
func intrusive(f *ocsf.Finding) bool {
	switch f.Detector {
	case "recon":
		return f.Severity >= ocsf.SeverityHigh
	case "sigma", "indicator":
		return f.Severity >= ocsf.SeverityHigh
	}
	return true
}

func newGroup(in Evidence, list []*ocsf.Finding, members []int, names map[string]string) *group {
	g := &group{in: in, names: names, infra: map[string]bool{}, tainted: map[string]*hop.Session{}, why: map[string]string{}, accounts: map[string]bool{}}
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
		if f.Partner != "" {
			vote(f.Partner, f.Tenant)
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

// qualifies decides whether the group is a campaign. One tenant's trouble is an incident; a campaign needs a
// second house that the same hand was in, and something that says so.
func (g *group) qualifies() bool {
	high, medium := map[tenant.ID]bool{}, map[tenant.ID]bool{}
	rules := map[tenant.ID]map[string]bool{}
	homeIn := false
	for _, f := range g.findings {
		if !seeds(f) {
			continue
		}
		medium[f.Tenant] = true
		if f.Severity >= ocsf.SeverityHigh {
			high[f.Tenant] = true
		}
		if rules[f.Tenant] == nil {
			rules[f.Tenant] = map[string]bool{}
		}
		rules[f.Tenant][f.Rule] = true
		if f.Tenant == g.home && f.Severity >= ocsf.SeverityHigh {
			homeIn = true
		}
	}
	reached := map[tenant.ID]bool{}
	for id := range medium {
		reached[id] = true
	}
	for _, x := range g.tainted {
		if x.Partner == g.partner && !x.Out {
			reached[x.Tenant] = true
		}
	}
	delete(reached, g.home)
	clients := len(reached)
	switch {
	case homeIn && clients > 0:
		return true // the partner's house is entered, and something came through it
	case len(medium) >= 2 && len(high) >= 1 && g.sharesMore():
		return true
	case g.partner != "" && clients >= 2 && len(medium) > 0 && g.foreignAddress():
		return true // the partner's account, from an address of the intruder's, at several clients
	case g.partner != "" && g.sameReader() >= 2:
		return true // one account of the partner reads many people's mail at several clients
	case len(high) >= 2 && g.partner != "" && g.closeInTime():
		return true // common partner and time alone
	case len(medium) == 1 && g.partner != "" && len(high) == 1:
		for id := range high {
			return id != g.home && highRules(g.findings, id) >= 2 // one client, several kinds of trouble on the partner's path
		}
	}
	return false
}

// sameReader returns at how many clients one account of the partner opened many people's mail or files.
func (g *group) sameReader() int {
	at := map[string]map[tenant.ID]bool{}
	most := 0
	for _, f := range g.findings {
		if f.Rule != "fanout/mailboxes" || !seeds(f) || f.Partner != g.partner {
			continue
		}
		for _, e := range f.Entities {
			if e.Role != ocsf.RoleActor {
				continue
			}
			who := canonical(g.names, e.Value)
			if at[who] == nil {
				at[who] = map[tenant.ID]bool{}
			}
			at[who][f.Tenant] = true
			most = max(most, len(at[who]))
		}
	}
	return most
}

// foreignAddress reports whether a finding on the partner's path rests on an address that is neither declared nor
// shared: what comes from it at other clients is the same hand.
func (g *group) foreignAddress() bool {
	for _, f := range g.findings {
		if !seeds(f) || f.Partner != g.partner {
			continue
		}
		for _, k := range infraKeys(f) {
			if strings.HasPrefix(k, "ip\x00") {
				return true
			}
		}
	}
	return false
}

func highRules(list []*ocsf.Finding, id tenant.ID) int {
	rules := map[string]bool{}
	for _, f := range list {
		if f.Tenant == id && f.Severity >= ocsf.SeverityHigh && f.Partner != "" {
			rules[f.Detector] = true
		}
	}
	return len(rules)
}

// sharesMore reports whether findings of two tenants have the intruder's own things, an account, or an act of
// the same kind within a day in common.
func (g *group) sharesMore() bool {
	seen := map[string]*ocsf.Finding{}
	for _, f := range g.findings {
		keys := infraKeys(f)
		for _, e := range f.Entities {
			if e.Role == ocsf.RoleActor && f.Partner != "" {
				keys = append(keys, "actor\x00"+string(e.Type)+"\x00"+strings.ToLower(e.Value))
			}
		}
		if f.Partner != "" {
			keys = append(keys, "rule\x00"+f.Rule+"\x00"+string(f.Partner))
		}
		for _, k := range keys {
			o := seen[k]
			if o != nil && o.Tenant != f.Tenant && (!strings.HasPrefix(k, "rule") || f.Time.Sub(o.Time) <= 24*time.Hour) {
				return true
			}
			seen[k] = f
		}
	}
	return false
}

// closeInTime reports whether high findings of two tenants lie within ClusterWindow.
func (g *group) closeInTime() bool {
	var last *ocsf.Finding
	for _, f := range g.findings {
		if f.Severity < ocsf.SeverityHigh {
			continue
		}
		if last != nil && last.Tenant != f.Tenant && f.Time.Sub(last.End) <= ClusterWindow {
			return true
		}
		last = f
	}
	return false
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
		if s.Partner == g.partner && s.User != "" {
			add("account\x00"+s.User, s.Tenant)
		}
		if s.Partner == g.partner && g.partner != "" && s.Tenant != g.home {
			add("partner-path\x00"+string(g.partner), s.Tenant)
		}
	}
	for _, f := range g.findings {
		if f.Partner == g.partner && g.partner != "" {
			add("partner-path\x00"+string(g.partner), f.Tenant)
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
