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

// TestAnIncidentSaysWhereItsSourcesCameFrom gives one incident a source with a session into it, the same source
// again, a source of nobody's, and one of a partner whose telemetry is not held.
func TestAnIncidentSaysWhereItsSourcesCameFrom(t *testing.T) {
	m := &tenant.Model{Tenants: []tenant.Tenant{{ID: "mill", Networks: []netip.Prefix{netip.MustParsePrefix("10.8.0.0/16")}}},
		Partners: []tenant.Partner{{ID: "gate"}},
		Trusts:   []tenant.Trust{{ID: "gate-mill", Partner: "gate", Tenant: "mill", Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}}}
	at := func(n int) time.Time { return time.Date(2026, 5, 1, 8, n, 0, 0, time.UTC) }
	g := hop.NewGraph()
	g.Add(&ocsf.Event{Tenant: "mill", Layer: tenant.LayerNetwork, Time: at(1), Src: ocsf.Endpoint{IP: netip.MustParseAddr("203.0.113.9"), Port: 4711},
		Dst: ocsf.Endpoint{IP: netip.MustParseAddr("10.8.0.4"), Port: 22}, Attribution: ocsf.Attribution{Direction: ocsf.DirectionIn},
		Flow: &ocsf.Flow{Proto: "tcp", State: "SF", Duration: time.Hour, OrigPkts: 300, RespPkts: 300}, Raw: ocsf.RawRef{File: "conn.log", Record: 3}})
	n := Incident{ID: "i", Tenant: "mill"}
	var findings []*ocsf.Finding
	for i, src := range []string{"10.8.0.4", "10.8.0.4", "192.0.2.8", "203.0.113.77"} {
		f := &ocsf.Finding{ID: fmt.Sprint("f", i), Tenant: "mill", Time: at(10 + i), End: at(20), Detector: "recon", Title: "Scan", Severity: ocsf.SeverityMedium}
		f.AddEntity(ocsf.EntityIP, src, ocsf.RoleSource)
		f.AddEntity(ocsf.EntityIP, "10.8.0.1", ocsf.RoleTarget)
		findings = append(findings, f)
		n.Findings = append(n.Findings, f.ID)
	}
	list := []Incident{n}
	traceIncidents(Evidence{Model: m, Findings: findings, Graph: g}, list)
	tr := list[0].Trace
	if tr == nil || len(tr.Hops) != 2 || tr.Ask != "gate" || tr.For != "address 203.0.113.9" || tr.Origin.Entity.Value != "203.0.113.9" || len(tr.Findings) != 2 {
		t.Fatalf("got %+v", tr)
	}
	if h := tr.Hops[0]; h.Trust != "gate-mill" || h.Kind != "ssh" || h.Evidence[0].File != "conn.log" || h.Evidence[0].Record != 3 {
		t.Errorf("first hop %+v", h)
	}
	if len(tr.Others) != 1 || len(tr.Others[0].Hops) != 1 || tr.Others[0].Source.Entity.Value != "203.0.113.77" || tr.Others[0].Ask != "gate" {
		t.Errorf("others %+v", tr.Others)
	}
}
