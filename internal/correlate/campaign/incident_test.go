package campaign

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestWhatIsOneIncident(t *testing.T) {
	type what struct {
		after  time.Duration
		sev    ocsf.Severity
		entity ocsf.Entity
		with   []change
	}
	const high, low = ocsf.SeverityHigh, ocsf.SeverityLow
	server := target(ocsf.EntityHost, "srv-1")
	session := func(id string) []change { return []change{func(e *ocsf.Event) { e.Session = id }} }
	for _, c := range []struct {
		name string
		list []what
		want int
	}{
		{"nothing", nil, 0},
		{"low findings alone", []what{{0, low, actor("kim"), nil}, {time.Hour, low, actor("kim"), nil}}, 0},
		{"one high finding", []what{{0, high, actor("kim"), nil}}, 1},
		{"one account within a day", []what{{0, high, actor("kim"), nil}, {20 * time.Hour, low, actor("kim"), nil}}, 1},
		{"one account, a day later", []what{{0, high, actor("kim"), nil}, {25 * time.Hour, high, actor("kim"), nil}}, 2},
		{"two accounts", []what{{0, high, actor("kim"), nil}, {time.Hour, high, actor("lee"), nil}}, 2},
		{"one host", []what{{0, high, server, nil}, {time.Hour, high, server, nil}}, 1},
		{"one host, one of them weak", []what{{0, high, server, nil}, {time.Hour, low, server, nil}}, 1},
		{"the intruder's own instance months later", []what{{0, high, infra(ocsf.EntityRMM, evil), nil}, {90 * day, high, infra(ocsf.EntityRMM, evil), nil}}, 1},
		{"one session", []what{{0, high, actor("kim"), session("vpn-1")}, {40 * time.Hour, high, actor("lee"), session("vpn-1")}}, 1},
		{"one partner within a day", []what{{0, high, actor("kim"), []change{by("isl")}}, {time.Hour, high, actor("lee"), []change{by("isl")}}}, 1},
		{"two partners", []what{{0, high, actor("kim"), []change{by("isl")}}, {time.Hour, high, actor("lee"), []change{by("dark")}}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell()
			for _, w := range c.list {
				s.find("sigma/x", w.sev, ocsf.OutcomeAttempted, one(s.event("south", w.after, tenant.LayerEndpoint, append([]change{on("reporter")}, w.with...)...)), w.entity)
			}
			byTime(s.findings)
			if got := incidents(s.findings); len(got) != c.want {
				t.Errorf("%d incidents, not %d", len(got), c.want)
			}
		})
	}
}

func TestIncidentTellsItsWorst(t *testing.T) {
	s := tell()
	a := s.find("recon/horizontal", ocsf.SeverityMedium, ocsf.OutcomeAttempted, one(s.event("south", time.Hour, tenant.LayerNetwork, by("isl"))), actor("isl-kim"))
	b := s.find("sigma/dump", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(s.event("south", 2*time.Hour, tenant.LayerEndpoint, by("isl"))), actor("isl-kim"))
	a.Technique, b.Technique = "T1046", "T1003"
	got := incidents(s.findings)
	want := []Incident{{ID: shortHash("incident", "south", a.ID), Tenant: "south", Trust: "isl-south", Partner: "isl", Start: a.Time, End: b.End, Severity: ocsf.SeverityHigh,
		Outcome: ocsf.OutcomeSucceeded, Title: "sigma/dump, and 1 more", Layers: []tenant.Layer{tenant.LayerEndpoint, tenant.LayerNetwork},
		Techniques: []ocsf.Technique{"T1003", "T1046"}, Findings: []string{a.ID, b.ID}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestIncidentsOfACampaignNameIt(t *testing.T) {
	s := islandHop("north", "south")
	s.find("sigma/x", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(s.event("alone", day, tenant.LayerEndpoint, on("host"))), actor("anna"))
	r := s.draw()
	if len(r.Campaigns) != 1 || len(r.Incidents) != 4 || len(r.Campaigns[0].Incidents) != 3 {
		t.Fatalf("%s, %d incidents", brief(r), len(r.Incidents))
	}
	for _, n := range r.Incidents {
		if (n.Campaign == r.Campaigns[0].ID) != (n.Tenant != "alone") {
			t.Errorf("the incident of %s is of campaign %q", n.Tenant, n.Campaign)
		}
	}
}

func TestHopsTellTheWay(t *testing.T) {
	c := islandHop("north", "south").only(t)
	var got []string
	for _, h := range c.Hops {
		got = append(got, string(h.From.Tenant)+" "+h.From.Entity.Value+" → "+string(h.To.Tenant)+" "+h.To.Entity.Value+" "+h.Outcome+" "+string(h.Trust))
		if len(h.Evidence) == 0 || h.Evidence[0].File == "" {
			t.Errorf("%s rests on no record", h.Label)
		}
	}
	want := []string{
		" " + evil + " → provider isl-ws3 succeeded ", " " + evil + " → provider isl-ws3 succeeded ",
		"provider isl-ws3 → north srv-1 succeeded isl-north", "provider isl-ws3 → south 10.200.0.9 attempted isl-south",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJoinsSayWhy(t *testing.T) {
	s := islandHop("north", "south")
	e := s.event("north", 26*time.Hour, tenant.LayerEndpoint, tool("install", evil, "srv-9"))
	s.find("remotetool/foreign-instance", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), infra(ocsf.EntityRMM, evil), target(ocsf.EntityHost, "srv-9"))
	want := []Join{
		{"account", "isl-kim", []tenant.ID{"north", "south"}, "the account isl-kim was used in 2 tenants"},
		{"partner-path", "isl", []tenant.ID{"north", "south"}, "reached 2 tenants by the trusts of isl"},
		{"rmm-instance", evil, []tenant.ID{"north", "provider"}, "the same foreign remote-tool instance in 2 tenants"},
	}
	if diff := cmp.Diff(want, s.only(t).JoinedBy); diff != "" {
		t.Error(diff)
	}
}
