package campaign

import (
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestWhatATakenPlatformJoins(t *testing.T) {
	at := time.Date(2025, 5, 5, 12, 0, 0, 0, time.UTC)
	push := func(id tenant.ID, after time.Duration, s ocsf.Severity) *ocsf.Finding {
		f := &ocsf.Finding{ID: string(id) + after.String(), Tenant: id, Partner: "p", Rule: pushRule, Severity: s, Time: at.Add(after), End: at.Add(after)}
		f.AddEntity(ocsf.EntityRMM, "ncentral/", "platform")
		return f
	}
	came := func(after time.Duration) *ocsf.Finding {
		f := &ocsf.Finding{ID: "came" + after.String(), Tenant: "home", Rule: operatorRule, Severity: ocsf.SeverityMedium, Time: at.Add(after), End: at.Add(after)}
		f.AddEntity(ocsf.EntityIP, "203.0.113.9", ocsf.RoleInfrastructure)
		return f
	}
	approved := push("b", time.Hour, ocsf.SeverityHigh)
	approved.Suppressed = &ocsf.Suppression{By: "approval"}
	for name, c := range map[string]struct {
		first *ocsf.Finding
		rest  []*ocsf.Finding
		taken bool
		held  int
	}{
		"two clients within hours":                    {push("a", 0, ocsf.SeverityHigh), []*ocsf.Finding{push("b", 2*time.Hour, ocsf.SeverityMedium)}, true, 2},
		"two clients, days apart":                     {push("a", 0, ocsf.SeverityHigh), []*ocsf.Finding{push("b", 72*time.Hour, ocsf.SeverityHigh)}, false, 1},
		"one client":                                  {push("a", 0, ocsf.SeverityHigh), nil, false, 1},
		"one client after somebody came":              {push("a", 0, ocsf.SeverityHigh), []*ocsf.Finding{came(-time.Hour)}, true, 2},
		"one client before somebody came":             {push("a", 0, ocsf.SeverityHigh), []*ocsf.Finding{came(time.Hour)}, false, 1},
		"one stopped order, long after":               {push("a", 0, ocsf.SeverityMedium), []*ocsf.Finding{came(-100 * time.Hour)}, false, 2},
		"a weak sign near is taken in":                {push("a", 0, ocsf.SeverityHigh), []*ocsf.Finding{push("b", time.Hour, ocsf.SeverityLow)}, false, 2},
		"a weak sign from before anybody came is not": {push("a", 0, ocsf.SeverityHigh), []*ocsf.Finding{came(-time.Hour), push("b", -2*time.Hour, ocsf.SeverityLow)}, true, 2},
		"approved work at another client":             {push("a", 0, ocsf.SeverityHigh), []*ocsf.Finding{approved}, false, 1},
	} {
		g := &group{partner: "p", home: "home", infra: map[string]bool{}, findings: []*ocsf.Finding{c.first}, in: Evidence{Findings: append([]*ocsf.Finding{c.first}, c.rest...)}}
		g.takePlatform()
		if got := g.platformTaken(); got != c.taken || len(g.findings) != c.held {
			t.Errorf("%s: taken %v with %d findings, want %v with %d", name, got, len(g.findings), c.taken, c.held)
		}
	}
}

func TestAgentsReachWhoDeclaresThem(t *testing.T) {
	trust := &tenant.Trust{RemoteTools: []tenant.RemoteTool{{Tool: "pdqconnect"}, {Tool: "screenconnect", Instance: "aaaa"}}}
	for value, want := range map[string]bool{"pdq/": true, "screenconnect/AAAA": true, "screenconnect/bbbb": false, "kaseya/": false} {
		if got := grants(trust, Access{"agent", value}); got != want {
			t.Errorf("%s: %v, want %v", value, got, want)
		}
	}
}
