package campaign

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// How close a nameless account's act and a sign-in must lie to be one person's, and how far a session may lie
// outside the span in which a foreign tool is seen to hold its host.
const (
	SittingGap = 15 * time.Minute
	RMMSlack   = 10 * time.Minute
)

// taint finds the sessions that are the intruder's. It begins with those that findings rest on and follows what
// is exact: the same foreign instance, the same foreign address, accounts that were got into, and sessions that left
// a partner's host while the intruder was at work on it.
func (g *group) taint() {
	for _, f := range g.findings {
		for _, id := range sessionsOf(f) {
			if s := g.in.Graph.Session(id); s != nil && g.ours(s, f) {
				g.mark(s, "a finding rests on it: "+f.Rule)
			}
		}
	}
	for _, r := range g.relaysOf() {
		g.mark(r.session, r.why())
	}
	g.takePlatform()
	g.followPhish()
	g.learnAccounts()
	g.byInfra()
	for range 8 { // chains are short; the bound keeps odd data from looping long
		n := len(g.tainted)
		g.fromHosts()
		g.stolenAccounts()
		g.sitting()
		g.byInfra()
		if len(g.tainted) == n {
			break
		}
		g.learnAccounts()
	}
	g.attachFindings()
}

// ours reports whether a session that a finding rests on is by that the intruder's: one through the partner, a
// foreign tool's, or one from the intruder's address. A poller's endless session is not.
func (g *group) ours(s *hop.Session, f *ocsf.Finding) bool {
	if f.Rule == pushRule {
		return false // its sessions are the agent's, which works for its owner, too
	}
	if s.Kind == hop.KindCloud || s.Kind == hop.KindRMM {
		return (f.Severity >= ocsf.SeverityMedium || g.index.seats[f.ID] != "") && f.Rule != "fanout/tenants"
	}
	return g.ways(s.Partner) && s.End.Sub(s.Start) < 48*time.Hour
}

func (g *group) mark(s *hop.Session, why string) {
	if g.tainted[s.ID] == nil {
		g.tainted[s.ID] = s
		g.why[s.ID] = why
	}
}

// PhishFollow is how long after a message a recipient's sign-in from a new place is taken for its fruit.
const PhishFollow = 72 * time.Hour

// followPhish takes the address from which somebody signed in as a recipient of the intruder's mail, from a
// place that was new for the whole house, for the intruder's own, and with it all that comes from there.
func (g *group) followPhish() {
	sent := map[string]time.Time{} // recipient → first message
	for _, f := range g.findings {
		if f.Layer != tenant.LayerMail {
			continue
		}
		for _, e := range f.Entities {
			if at, ok := sent[e.Value]; e.Type == ocsf.EntityMailbox && e.Role == ocsf.RoleTarget && (!ok || f.Time.Before(at)) {
				sent[e.Value] = f.Time
			}
		}
	}
	clicked := map[tenant.ID]bool{}
	for _, f := range g.findings {
		if f.Rule == "phish/victim-domain-contact" || f.Rule == "phish/link-followed" {
			clicked[f.Tenant] = true
		}
	}
	for _, f := range g.in.Findings {
		if f.Rule != "firstcontact/source" || f.Suppressed != nil || (f.Tenant != g.home && !clicked[f.Tenant]) {
			continue // people travel; elsewhere than in the house where it began somebody must have followed the link
		}
		for _, ev := range f.Evidence {
			at, ok := sent[strings.ToLower(ev.Event.User.Name)]
			if after := ev.Event.Time.Sub(at); ok && after > 0 && after < PhishFollow && joinable(ev.Event.Src.IP.String()) {
				g.infra["ip\x00"+ev.Event.Src.IP.String()] = true
				g.followed = append(g.followed, strings.ToLower(ev.Event.User.Name))
			}
		}
	}
}

// byInfra takes the sessions for the intruder's that use his instance or come from his address.
func (g *group) byInfra() {
	for _, k := range slices.Sorted(maps.Keys(g.infra)) {
		kind, value, _ := strings.Cut(k, "\x00")
		for _, s := range g.index.ofInfra(k) {
			switch {
			case kind == "rmm-instance":
				g.mark(s, "it uses the foreign instance "+value)
			// A rented address guesses at everybody's accounts; only the partner's way or a success is this intruder's.
			case g.ways(s.Partner) || !s.Success.IsZero() || s.Tenant == g.home:
				g.mark(s, "it comes from the intruder's address "+value)
			}
		}
	}
}

func (g *group) learnAccounts() {
	for _, s := range g.tainted {
		if s.User != "" && g.ways(s.Partner) && s.Kind != hop.KindRMM {
			g.accounts[s.User] = true
		}
	}
}

// control is a span in which a foreign tool had a host of the partner in hand.
type control struct {
	host     string
	from, to time.Time
	id       string
}

// controls returns the spans, and the addresses of the hosts, those from which the
// tool's relay was spoken to, and since when.
func (g *group) controls() (spans []control, addrs map[string]time.Time) {
	addrs = map[string]time.Time{}
	for _, s := range g.tainted {
		if s.Kind != hop.KindRMM || s.Tenant != g.home || s.Instance == "" || !g.infra["rmm-instance\x00"+s.Instance] {
			continue
		}
		for _, a := range s.Acts {
			if a.Target != "" && a.Kind != "install" {
				spans = append(spans, control{a.Target, s.Start, s.End, s.ID})
				break
			}
		}
	}
	slices.SortFunc(spans, func(a, b control) int { return strings.Compare(a.id, b.id) })
	for _, f := range g.findings {
		if f.Detector != "remotetool" || f.Tenant != g.home {
			continue
		}
		for _, e := range f.Entities { // who spoke to the relay; the first time of each is not kept, the finding's is
			if _, ok := addrs[e.Value]; e.Type == ocsf.EntityIP && e.Role == ocsf.RoleTarget && !ok {
				addrs[e.Value] = f.Time
			}
		}
	}
	return spans, addrs
}

// fromHosts follows the intruder from a host of the partner that a foreign tool controls to the sessions that
// leave this host for clients meanwhile: by VPN, where the client's logs name the device, and by the partner's
// own remote tool, where its audit names the operator's address. Where the intruder's accounts are known,
// others' VPN sessions are left out: a jump host is shared.
func (g *group) fromHosts() {
	if g.home == "" {
		return
	}
	spans, addrs := g.controls()
	if len(spans) == 0 {
		return
	}
	known := len(g.accounts) > 0
	var entered time.Time // since when a foreign tool has been in the house
	for _, c := range spans {
		if entered.IsZero() || c.from.Before(entered) {
			entered = c.from
		}
	}
	victims := g.victims()
	for _, s := range g.index.all {
		if s.Partner != g.partner || g.tainted[s.ID] != nil {
			continue
		}
		if s.Out && s.Tenant == g.home && !entered.IsZero() && !s.Start.Before(entered) {
			victim := !addrs[s.Addr.String()].IsZero() && slices.ContainsFunc(victims, func(v string) bool { return samePerson(s.User, v) })
			if !strangeSeat(g.index.sameUser(s), s, entered, victim) {
				continue
			}
			g.mark(s, "an operator works from "+s.Addr.String()+", where they hardly ever sat before the house was entered")
			g.otherSide(s)
			continue
		}
		for _, c := range spans {
			if !hop.Overlaps(s.Start, s.End, c.from, c.to, RMMSlack) {
				continue
			}
			switch {
			case !s.Out && s.Tenant != g.home && s.Origin == c.host && s.Kind == hop.KindVPN && (!known || g.accounts[s.User]) && newTargets(g.index.sameUser(s), s):
				g.mark(s, "it left "+c.host+" while a foreign tool controlled that host")
			}
		}
	}
}

// RareSeat is the share of an operator's earlier sessions below which a seat is strange to them, and SeatHistory
// how many sessions must be known for that to mean something.
const (
	RareSeat    = 0.2
	SeatHistory = 5
)

// strangeSeat reports whether an operator works from where they hardly ever did before the house fell: by somebody
// whose account the intruder is known to have, on a host that he has, or on a round of several hosts of one client.
func strangeSeat(own []*hop.Session, s *hop.Session, since time.Time, victim bool) bool {
	here, total := 0, 0
	for _, o := range own {
		if !o.Out || o.Tenant != s.Tenant || o.User != s.User || !o.Start.Before(since) {
			continue
		}
		total++
		if o.Addr == s.Addr {
			here++
		}
	}
	if victim && here == 0 {
		return true
	}
	return total >= SeatHistory && float64(here) <= RareSeat*float64(total) && round(own, s) >= 2
}

// newTargets reports whether all that a session reached was new to its account at that tenant.
func newTargets(own []*hop.Session, s *hop.Session) bool {
	seen := map[string]bool{}
	for _, o := range own {
		if o.Tenant == s.Tenant && o.User == s.User && o.Start.Before(s.Start) {
			for _, a := range o.Acts {
				seen[a.Target] = true
			}
		}
	}
	fresh, targets := 0, map[string]bool{}
	for _, a := range s.Acts {
		if a.Target == "" || targets[a.Target] {
			continue
		}
		targets[a.Target] = true
		if !seen[a.Target] {
			fresh++
		}
	}
	return fresh == len(targets) && fresh > 0
}

// round counts the hosts of one client that an operator visits within half an hour before and after a session:
// support goes to the one host of its ticket.
func round(own []*hop.Session, s *hop.Session) int {
	hosts := map[string]bool{}
	for _, o := range own {
		if o.Out && o.Tenant == s.Tenant && o.User == s.User && o.Trust == s.Trust && o.Addr == s.Addr && hop.Overlaps(s.Start, s.End, o.Start, o.End, 30*time.Minute) {
			for _, a := range o.Acts {
				hosts[a.Target] = true
			}
		}
	}
	return len(hosts)
}

// otherSide finds the client's record of a remote-tool session that the partner's audit knows: the same host at
// the same time.
func (g *group) otherSide(out *hop.Session) {
	t := g.in.Model.Trust(out.Trust)
	if t == nil || len(out.Acts) == 0 {
		return
	}
	for _, s := range g.index.rmm[t.Tenant] {
		if s.Kind != hop.KindRMM || s.Tenant != t.Tenant || s.Tool != out.Tool || !hop.Overlaps(s.Start, s.End, out.Start, out.End, time.Minute) {
			continue
		}
		if slices.ContainsFunc(s.Acts, func(a hop.Act) bool { return a.Target == out.Acts[0].Target }) {
			g.mark(s, "the partner's audit shows the same session, "+out.ID)
		}
	}
}

// stolenAccounts follows an account of the partner that somebody else got into to what it does at clients from
// places that are not its own.
func (g *group) stolenAccounts() {
	since := map[string]time.Time{}
	for _, f := range g.findings {
		sprayed := f.Tenant == g.home && f.Outcome == ocsf.OutcomeSucceeded && f.Detector == "fanout"
		if !sprayed && f.Rule != "fanout/mailboxes" {
			continue
		}
		for _, e := range f.Entities {
			who := canonical(g.names, e.Value)
			if at, ok := since[who]; e.Role == ocsf.RoleActor && e.Type == ocsf.EntityUser && (!ok || f.Time.Before(at)) {
				since[who] = f.Time
			}
		}
	}
	if len(since) == 0 {
		return
	}
	places := map[string]bool{} // account and address that were new for the partner
	for _, f := range g.in.Findings {
		if f.Rule != "firstcontact/source" || f.Suppressed != nil {
			continue
		}
		for _, ev := range f.Evidence {
			places[strings.ToLower(ev.Event.User.Name)+"\x00"+ev.Event.Src.IP.String()] = true
		}
	}
	for _, s := range g.index.all {
		who := canonical(g.names, s.User)
		from, ok := since[who]
		if !ok || s.Kind != hop.KindCloud {
			continue
		}
		// What first shows of a stolen account need not be the first that it tries.
		if s.Partner == g.partner && s.Tenant != g.home && !s.Start.Before(from.Add(-TriedBefore)) && refused(s, g.index.sameUser(s)) {
			g.mark(s, "the account "+s.User+" does what its owner does not, and was refused here")
		}
		if s.Start.Before(from) {
			continue
		}
		if places[who+"\x00"+s.Addr.String()] {
			g.mark(s, "the account "+s.User+" was got into before, and this is not one of its places")
			if joinable(s.Addr.String()) {
				g.infra["ip\x00"+s.Addr.String()] = true
			}
		}
	}
}

// TriedBefore is how long before a stolen account first shows its refusals elsewhere are taken for the thief's.
const TriedBefore = 7 * 24 * time.Hour

// refused reports whether a session is several refusals and nothing else, and its owner did not get in soon
// after: people who mistype do.
func refused(s *hop.Session, own []*hop.Session) bool {
	if !s.Success.IsZero() || s.Events < 2 {
		return false
	}
	for _, o := range own {
		if o.User == s.User && o.Tenant == s.Tenant && !o.Success.IsZero() && o.Success.After(s.Start) && o.Success.Sub(s.End) < time.Hour {
			return false
		}
	}
	return true
}

// attachFindings takes in the weaker findings that rest on tainted sessions or name the intruder's things.
func (g *group) attachFindings() {
	have := map[string]bool{}
	for _, f := range g.findings {
		have[f.ID] = true
	}
	sources := g.sources()
	for _, f := range g.in.Findings {
		if have[f.ID] || !weighs(f) || commodity(f) && f.Detector != "phish" {
			continue
		}
		if f.Tenant == g.home && g.home != "" && f.Partner == "" && f.Detector == "recon" && sources[source(f)] {
			g.findings = append(g.findings, f) // the same scan, seen as it leaves the partner's house
			continue
		}
		mine := slices.ContainsFunc(infraKeys(f), func(k string) bool { return g.infra[k] }) ||
			g.ways(f.Partner) && joinable(source(f)) && g.infra["ip\x00"+source(f)] // tried from it elsewhere, and refused
		for _, id := range sessionsOf(f) {
			if s := g.tainted[id]; s != nil {
				mine = true
			}
		}
		if mine {
			g.findings = append(g.findings, f)
		}
	}
	slices.SortStableFunc(g.findings, func(a, b *ocsf.Finding) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// sources are the addresses from which the intruder scans clients through the partner, as the clients see them.
func (g *group) sources() map[string]bool {
	out := map[string]bool{}
	for _, f := range g.findings {
		if f.Detector == "recon" && f.Partner == g.partner && g.partner != "" {
			if s := source(f); s != "" {
				out[s] = true
			}
		}
	}
	return out
}

// source returns the address that a finding accuses, or "".
func source(f *ocsf.Finding) string {
	for _, e := range f.Entities {
		if e.Role == ocsf.RoleSource && e.Type == ocsf.EntityIP {
			return e.Value
		}
	}
	return ""
}
