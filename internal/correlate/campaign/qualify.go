package campaign

import (
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

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
	case g.partner != "" && g.platformTaken():
		return true // somebody came to the partner's platform, and its agents brought malware to a client
	case homeIn && g.homeDetectors() >= 2:
		return true // the house of somebody with ways into others is entered, and more than one thing says so
	case homeIn && clients > 0:
		return true // the partner's house is entered, and something came through it
	case len(medium) >= 2 && len(high) >= 1 && g.sharesMore():
		return true
	case g.partner != "" && clients >= 2 && len(medium) > 0 && g.foreignAddress():
		return true // the partner's account, from an address of the intruder's, at several clients
	case g.partner != "" && g.sameReader() == 1 && clients >= 2 && g.refusedElsewhere():
		return true // it reads many people's mail at one client, and is refused again and again at others
	case g.partner != "" && g.sameReader() >= 2:
		return true // one account of the partner reads many people's mail at several clients
	case len(high) >= 2 && g.partner != "" && g.closeInTime():
		return true // common partner and time alone
	case g.partner != "" && len(g.relaysOf()) > 0:
		return true // what the partner's account came to began to do what it never did, too often for an accident
	case g.seatTaken():
		return true // a seat of the partner's was taken, and what its owner resets is used from elsewhere
	case g.partner != "" && g.knocksAgain():
		return true // one account of the partner is refused at ever other hosts, on a day now and then
	case len(medium) == 1 && g.partner != "" && len(high) == 1 && g.scansAndKnocks():
		return true // one account scans a client and is refused at its hosts, in one session
	case len(medium) == 1 && g.partner != "" && len(high) == 1:
		for id := range high {
			return id != g.home && highRules(g.findings, id) >= 2 // one client, several kinds of trouble on the partner's path
		}
	}
	return false
}

// scansAndKnocks reports whether one of the partner's accounts scanned a client with high severity and was refused at
// several of its hosts within KnockWindow, from the same source: work that goes wrong does the one or the other.
func (g *group) scansAndKnocks() bool {
	scans := map[string]*ocsf.Finding{}
	for _, f := range g.findings {
		if f.Partner != g.partner || f.Tenant == g.home || !seeds(f) || source(f) == "" {
			continue
		}
		key := string(f.Tenant) + "\x00" + source(f)
		switch {
		case f.Detector == "recon" && f.Severity >= ocsf.SeverityHigh:
			scans[key] = f
		case f.Rule == "fanout/logon-failures":
			if o := scans[key]; o != nil && f.Time.Sub(o.Time) <= KnockWindow && sameActor(o, f) {
				return true
			}
		}
	}
	return false
}

// How many days of refusals at hosts, and over how long a time, make a patient intruder of an account.
const (
	KnockDays = 3
	KnockSpan = 7 * 24 * time.Hour
)

// knocksAgain reports whether one account of the partner was refused at several hosts of a client on at least KnockDays
// days over at least KnockSpan, each time at other hosts than the time before, and on fewer than half of the days in
// between. A job with an old password fails at the same hosts, and each time that it runs.
func (g *group) knocksAgain() bool {
	type knocks struct {
		hosts       string // of the last time
		days        map[int64]bool
		first, last time.Time
	}
	of := map[string]*knocks{}
	for _, f := range g.findings {
		if f.Rule != "fanout/logon-failures" || f.Partner != g.partner || f.Tenant == g.home || !seeds(f) {
			continue
		}
		var who, hosts []string
		for _, e := range f.Entities {
			switch {
			case e.Role == ocsf.RoleActor && e.Type == ocsf.EntityUser:
				who = append(who, canonical(g.names, e.Value))
			case e.Role == ocsf.RoleTarget:
				hosts = append(hosts, strings.ToLower(e.Value))
			}
		}
		if len(who) != 1 {
			continue // many accounts are tried in a test, or by a scanner with a list
		}
		k := of[string(f.Tenant)+"\x00"+who[0]]
		if k == nil {
			k = &knocks{days: map[int64]bool{}, first: f.Time}
			of[string(f.Tenant)+"\x00"+who[0]] = k
		}
		slices.Sort(hosts)
		if at := strings.Join(hosts, "\x00"); at != k.hosts {
			k.hosts, k.last = at, f.Time
			k.days[f.Time.Unix()/86400] = true
		}
		span := k.last.Sub(k.first)
		if len(k.days) >= KnockDays && span >= KnockSpan && float64(len(k.days)) < span.Hours()/48 {
			return true
		}
	}
	return false
}

// KnockWindow is how soon after a scan began the refused logons of the same account and source belong to it.
const KnockWindow = 6 * time.Hour

// sameActor reports whether two findings name the same account as their actor.
func sameActor(a, b *ocsf.Finding) bool {
	for _, x := range a.Entities {
		if x.Role == ocsf.RoleActor && x.Type == ocsf.EntityUser && slices.ContainsFunc(b.Entities, func(y ocsf.Entity) bool {
			return y.Role == ocsf.RoleActor && y.Type == ocsf.EntityUser && strings.EqualFold(x.Value, y.Value)
		}) {
			return true
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

// homeDetectors counts the kinds of detector that say with high severity that the partner's own house is entered.
func (g *group) homeDetectors() int {
	kinds := map[string]bool{}
	for _, f := range g.findings {
		if f.Tenant == g.home && g.home != "" && f.Severity >= ocsf.SeverityHigh && f.Partner == "" {
			kinds[f.Detector] = true
		}
	}
	if len(g.in.Model.TrustsOf(g.partner)) == 0 {
		return 0
	}
	return len(kinds)
}

// refusedElsewhere reports whether the intruder's account was refused at least twice in one session at a
// client at which nothing else of it was seen.
func (g *group) refusedElsewhere() bool {
	found := map[tenant.ID]bool{}
	for _, f := range g.findings {
		if seeds(f) {
			found[f.Tenant] = true
		}
	}
	for _, s := range g.tainted {
		if s.Kind == hop.KindCloud && s.Success.IsZero() && s.Events >= 2 && !found[s.Tenant] {
			return true
		}
	}
	return false
}

// foreignAddress reports whether a finding on the partner's path rests on an address that is neither declared nor
// shared: what comes from it at other clients is the same hand.
func (g *group) foreignAddress() bool {
	for _, f := range g.findings {
		if !seeds(f) || f.Partner != g.partner || f.Rule == "fanout/reset-takeover" && f.Severity < ocsf.SeverityHigh {
			continue // where a client's person signs in after a reset is no address of the partner's account
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
