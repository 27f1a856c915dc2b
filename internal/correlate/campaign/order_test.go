package campaign

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// everything is two campaigns and some trouble of nobody's, with ties in time.
func everything() *story {
	s := lent(-time.Hour)
	s.phish(-26*time.Hour, "kim@provider.example", ocsf.SeverityMedium)
	for i, id := range []tenant.ID{"far", "farther"} {
		for range 2 {
			e := s.event(id, time.Duration(i)*time.Hour, tenant.LayerEndpoint, by("two"), from("192.0.2.9"), user("two-lee"), logon("", ocsf.StatusSuccess))
			s.find("sigma/dump-"+string(rune('a'+len(s.findings))), ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("two-lee"), target(ocsf.EntityHost, "srv-1"), infra(ocsf.EntityIP, "100.99.98.97"))
		}
	}
	for _, id := range []tenant.ID{"alone", "alone-2", "north"} {
		e := s.event(id, time.Hour, tenant.LayerMail, message("x@shop.example", "a@"+string(id)+".example"))
		s.find("phish/commodity", ocsf.SeverityMedium, ocsf.OutcomeAttempted, one(e), infra(ocsf.EntityDomain, "shop.example"), target(ocsf.EntityMailbox, "a@"+string(id)+".example"))
	}
	return s
}

// mixed is the evidence of the story with the events of one tenant in time, and those of different tenants mixed
// as they like.
func (s *story) mixed(r *rand.Rand) Evidence {
	slices.SortStableFunc(s.events, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	of := map[tenant.ID][]*ocsf.Event{}
	var turns []tenant.ID
	for _, e := range s.events {
		turns = append(turns, e.Tenant)
		of[e.Tenant] = append(of[e.Tenant], e)
	}
	r.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	in := Evidence{Model: s.model, Findings: slices.Clone(s.findings), Graph: hop.NewGraph(), Telemetry: NewTelemetry()}
	for _, id := range turns {
		in.Graph.Add(of[id][0])
		in.Telemetry.Add(of[id][0])
		of[id] = of[id][1:]
	}
	byTime(in.Findings)
	return in
}

func TestAnyOrderGivesTheSameResult(t *testing.T) {
	result := everything().draw()
	if len(result.Campaigns) != 2 || len(result.Incidents) < 6 {
		t.Fatalf("%s, %d incidents", brief(result), len(result.Incidents))
	}
	want := asJSON(t, result)
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		if diff := cmp.Diff(want, asJSON(t, Draw(everything().mixed(r)))); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestAnyOrderOfFindingsGivesTheSameResult(t *testing.T) {
	want := asJSON(t, everything().draw())
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		in := everything().evidence()
		r.Shuffle(len(in.Findings), func(i, j int) { in.Findings[i], in.Findings[j] = in.Findings[j], in.Findings[i] })
		if diff := cmp.Diff(want, asJSON(t, Draw(in))); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestDrawChangesNothingItIsGiven(t *testing.T) {
	in := everything().evidence()
	state := func() any {
		return []any{asJSON(t, in.Findings), asJSON(t, in.Model), asJSON(t, in.Graph.Sessions()), asJSON(t, in.Telemetry.Rows(in.Model))}
	}
	findings, before := slices.Clone(in.Findings), state()
	first := asJSON(t, Draw(in))
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(findings, in.Findings) {
		t.Error("the findings are in another order")
	}
	if diff := cmp.Diff(first, asJSON(t, Draw(in))); diff != "" {
		t.Errorf("drawn twice: %s", diff)
	}
}
