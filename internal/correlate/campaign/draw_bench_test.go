package campaign

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// crowded is a provider with many clients, each of which had a month of the provider's sessions and findings, and an
// intruder who went through all of them.
func crowded(clients, sessions, findings int) Evidence {
	start := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	m := &tenant.Model{Version: "v1", Partners: []tenant.Partner{{ID: "isl", Tenant: "provider"}}, Tenants: []tenant.Tenant{{ID: "provider", Role: tenant.RoleProvider}}}
	for i := range clients {
		id := tenant.ID(fmt.Sprintf("client-%d", i))
		m.Tenants = append(m.Tenants, tenant.Tenant{ID: id, Role: tenant.RoleClient})
		m.Trusts = append(m.Trusts, tenant.Trust{ID: tenant.TrustID("isl-" + id), Partner: "isl", Tenant: id, Accounts: []string{"isl-*"}})
	}
	in := Evidence{Model: m, Graph: hop.NewGraph(), Telemetry: NewTelemetry()}
	add := func(i, n int, from, user string) *ocsf.Event {
		t := &m.Trusts[i%clients]
		e := &ocsf.Event{Time: start.Add(time.Duration(i) * 30 * 24 * time.Hour / time.Duration(n)), Tenant: t.Tenant, Layer: tenant.LayerCloud, Class: ocsf.ClassAuthentication, Status: ocsf.StatusSuccess,
			User: ocsf.User{Name: user}, Src: ocsf.Endpoint{IP: netip.MustParseAddr(from)}, Cloud: &ocsf.Cloud{AppName: "Portal"}, Raw: ocsf.RawRef{File: "a.log", Record: int64(i)}}
		e.Partner, e.Trust, e.Direction = "isl", t.ID, ocsf.DirectionIn
		in.Graph.Add(e)
		in.Telemetry.Add(e)
		return e
	}
	for i := range sessions {
		add(i, sessions, fmt.Sprintf("203.0.113.%d", i%200), fmt.Sprintf("isl-%d@isl.example", i%50))
	}
	for i := range findings {
		e := add(i, findings, fmt.Sprintf("198.51.100.%d", i%40), fmt.Sprintf("isl-%d@isl.example", i%50))
		f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: "isl", Layer: e.Layer, Detector: "remotetool", Rule: "remotetool/foreign-instance", Title: "found", Technique: "T1219",
			Severity: ocsf.Severity(2 + i%3), Outcome: ocsf.OutcomeSucceeded}
		f.AddEvidence(e)
		f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleInfrastructure)
		f.AddEntity(ocsf.EntityUser, e.User.Name, ocsf.RoleActor)
		f.AddEntity(ocsf.EntityHost, fmt.Sprintf("host-%d", i%900), ocsf.RoleTarget)
		f.Identify(e.Time, fmt.Sprint(i))
		in.Findings = append(in.Findings, f)
	}
	return in
}

func BenchmarkDraw(b *testing.B) {
	for _, n := range []int{1, 2, 4} {
		in := crowded(100*n, 10_000*n, 1_000*n)
		b.Run(fmt.Sprintf("%d findings, %d sessions, %d clients", 1000*n, 10_000*n, 100*n), func(b *testing.B) {
			for b.Loop() {
				if r := Draw(in); len(r.Campaigns) != 1 {
					b.Fatalf("%d campaigns", len(r.Campaigns))
				}
			}
		})
	}
}
