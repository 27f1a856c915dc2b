package app

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
)

// TestIsolationAnAnswerDoesNotNameAThirdOrganisation: somebody came from one client by way of the provider to another;
// that client asks the provider, and is told the provider's own host, but not whose host was behind it.
func TestIsolationAnAnswerDoesNotNameAThirdOrganisation(t *testing.T) {
	nets := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	m := &tenant.Model{
		Tenants:  []tenant.Tenant{{ID: "northwind", Networks: nets("10.5.0.0/16")}, {ID: "acme", Networks: nets("10.20.0.0/16")}, {ID: "borg", Networks: nets("10.30.0.0/16")}},
		Partners: []tenant.Partner{{ID: "nw", Tenant: "northwind"}, {ID: "p-borg", Tenant: "borg"}},
		Trusts:   []tenant.Trust{{ID: "nw-acme", Partner: "nw", Tenant: "acme", Networks: nets("10.5.0.0/16")}, {ID: "borg-nw", Partner: "p-borg", Tenant: "northwind", Networks: nets("10.30.0.0/16")}}}
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	g := hop.NewGraph()
	for i, w := range [][3]string{{"10.30.0.9", "10.5.0.51", "in"}, {"10.5.0.51", "10.20.1.5", "out"}} {
		g.Add(&ocsf.Event{Tenant: "northwind", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Time: at.Add(time.Duration(i) * time.Minute), Attribution: ocsf.Attribution{Direction: ocsf.Direction(w[2])},
			Src: ocsf.Endpoint{IP: netip.MustParseAddr(w[0]), Port: 50000}, Dst: ocsf.Endpoint{IP: netip.MustParseAddr(w[1]), Port: 22}, User: ocsf.User{Name: "kim"},
			Flow: &ocsf.Flow{Proto: "tcp", State: "SF", Duration: time.Hour, OrigPkts: 300, RespPkts: 300}, Raw: ocsf.RawRef{File: "conn.log", Record: int64(i + 1)}})
	}
	c := &Case{Model: m, graph: g, closed: map[string]string{}}
	ask := func(address string) tracing.Answer {
		return c.nextHop(&tracing.Request{Address: address, Target: "10.20.1.5", Port: 22, At: at.Add(time.Minute), From: at.Add(-time.Hour), To: at.Add(time.Hour)}, tracing.Terms{Trust: "nw-acme", Tenant: "northwind"}, between(c.Model, "nw-acme"))
	}
	a := ask("10.5.0.51")
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if a.Outcome != tracing.OutcomeElsewhere || len(a.Hops) != 0 || strings.Contains(string(text), "10.30") || strings.Contains(string(text), "borg") {
		t.Errorf("the answer is %s", text)
	}
	for i := range m.Tenants { // were it the provider's own host, it would be named
		if m.Tenants[i].ID == "northwind" {
			m.Tenants[i].Networks = append(m.Tenants[i].Networks, nets("10.30.0.0/16")...)
		}
	}
	own := *m
	own.Tenants, own.Trusts, own.Partners = own.Tenants[:2], own.Trusts[:1], own.Partners[:1]
	c.Model = &own
	if a := ask("10.5.0.51"); a.Outcome != tracing.OutcomeHop || len(a.Hops) != 1 || a.Hops[0].From != "10.30.0.9" || a.Hops[0].Account != "" {
		t.Errorf("the provider's own host: %+v", a)
	}
	if a := ask("10.5.0.99"); a.Outcome != tracing.OutcomeHop || !a.Shared || a.Hops[0].From != "10.5.0.51" || a.Hops[0].Kind != "nat" {
		t.Errorf("an address that nobody saw inside: %+v", a)
	}
}
