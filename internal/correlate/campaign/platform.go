package campaign

import (
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Who has the platform that runs the clients' machines needs no account and no session at a client: the order comes from
// where all orders come from. What joins is that the agents of one partner's platform bring malware to several clients
// within hours, and that somebody came to the platform before.

// The rules of package fleet.
const (
	pushRule     = "fleet/push"
	operatorRule = "fleet/operator"
	serverRule   = "fleet/server"
)

// Before how long orders are given somebody may have come to the platform, how long orders of one hand last, and how far
// from those that weigh weaker signs belong to them.
const (
	PlatformBefore = 14 * 24 * time.Hour
	PushSpan       = 24 * time.Hour
	PushNear       = 6 * time.Hour
)

// ordersBy returns the access by which a push came: the platform, as the trust declares it.
func ordersBy(f *ocsf.Finding) (Access, bool) {
	if f.Rule != pushRule || f.Suppressed != nil {
		return Access{}, false
	}
	for _, e := range f.Entities {
		if e.Type == ocsf.EntityRMM && e.Role == "platform" {
			return Access{"agent", e.Value}, true
		}
	}
	return Access{}, false
}

// pushes are the group's findings of orders through its partner's platform that weigh.
func (g *group) pushes() (list []*ocsf.Finding, from, to time.Time) {
	for _, f := range g.findings {
		if f.Rule != pushRule || f.Suppressed != nil || f.Partner != g.partner || f.Partner == "" || f.Severity < ocsf.SeverityMedium {
			continue
		}
		list = append(list, f)
		if from.IsZero() || f.Time.Before(from) {
			from = f.Time
		}
		if f.End.After(to) {
			to = f.End
		}
	}
	return list, from, to
}

// takePlatform takes in what else says of the same orders: weaker signs at other clients at the same time, and in the
// partner's own house who came to the platform before them.
func (g *group) takePlatform() {
	list, from, to := g.pushes()
	if len(list) == 0 {
		return
	}
	have := map[string]bool{}
	for _, f := range g.findings {
		have[f.ID] = true
	}
	came := from.Add(-PushNear) // nobody gives orders before they came
	for _, f := range g.in.Findings {
		if g.cameToPlatform(f) && f.Suppressed == nil && f.Time.After(came) && f.Time.Before(from) {
			came = f.Time
			break
		}
	}
	for _, f := range g.in.Findings {
		if have[f.ID] || f.Suppressed != nil {
			continue
		}
		same := f.Rule == pushRule && f.Partner == g.partner && f.Time.Before(to.Add(PushNear)) && !f.Time.Before(came)
		if !same && !(g.cameToPlatform(f) && f.Time.Before(to) && f.Time.After(from.Add(-PlatformBefore))) {
			continue
		}
		g.findings = append(g.findings, f)
		for _, k := range infraKeys(f) {
			g.infra[k] = true
		}
	}
	slices.SortStableFunc(g.findings, func(a, b *ocsf.Finding) int { return a.Time.Compare(b.Time) })
}

// cameToPlatform reports whether a finding shows somebody who came to the partner's platform.
func (g *group) cameToPlatform(f *ocsf.Finding) bool {
	return g.home != "" && f.Tenant == g.home && (f.Rule == operatorRule || f.Rule == serverRule) && f.Severity >= ocsf.SeverityMedium
}

// platformTaken reports whether the group shows both: who came to the platform, and what its agents then brought to a
// client; or the same at two clients within PushSpan.
func (g *group) platformTaken() bool {
	list, _, _ := g.pushes()
	for _, f := range list {
		if slices.ContainsFunc(g.findings, func(o *ocsf.Finding) bool {
			return g.cameToPlatform(o) && o.Time.Before(f.Time) && (f.Severity >= ocsf.SeverityHigh || f.Time.Sub(o.Time) <= PushSpan)
		}) {
			return true
		}
		if slices.ContainsFunc(list, func(o *ocsf.Finding) bool {
			return o.Tenant != f.Tenant && max(o.Severity, f.Severity) >= ocsf.SeverityHigh && o.Time.Sub(f.Time).Abs() <= PushSpan
		}) {
			return true
		}
	}
	return false
}
