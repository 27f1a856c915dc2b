package campaign

import (
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// disarmed is a session of a person of the provider on their own desk from another host, in which protection was stopped.
func (s *story) disarmed(account string, at time.Duration, sev ocsf.Severity) *ocsf.Finding {
	e := s.event("provider", at, tenant.LayerEndpoint, user(account), from("10.1.1.236"), logon("", ocsf.StatusSuccess), on("ws-3"))
	return s.find("lateral/disarmed", sev, ocsf.OutcomeSucceeded, one(e), ocsf.Entity{Type: ocsf.EntityIP, Value: "10.1.1.236", Role: ocsf.RoleSource}, target(ocsf.EntityHost, "ws-3"), actor(account))
}

// supports has the desk work with its own remote tool on hosts of a client, ten minutes each.
func (s *story) supports(id tenant.ID, operator string, at time.Duration, hosts ...string) {
	out := func(e *ocsf.Event) {
		e.Partner, e.Trust, e.Direction, e.Remote.Operator = "isl", tenant.TrustID("isl-"+string(id)), ocsf.DirectionOut, operator
	}
	for i, h := range hosts {
		t := at + time.Duration(i)*10*time.Minute
		s.event("provider", t, tenant.LayerAccess, tool("connect", "0123456789abcdef", h), from("10.1.1.22"), out)
		s.event(id, t+2*time.Second, tenant.LayerEndpoint, by("isl"), tool("connect", "0123456789abcdef", h))
	}
}

func TestASeatThatWasTaken(t *testing.T) {
	for _, c := range []struct {
		name  string
		story func(s *story)
		want  string
	}{
		{"and what its owner resets is tried from elsewhere", func(s *story) {
			s.disarmed("desk", -2*day, ocsf.SeverityMedium)
			s.desk("north", 0, "100.200.30.40", ocsf.SeverityLow, ocsf.StatusFailure)
		}, "isl: north provider"},
		{"protection that an update stopped", func(s *story) {
			s.disarmed("desk", -2*day, ocsf.SeverityInformational)
			s.desk("north", 0, "100.200.30.40", ocsf.SeverityLow, ocsf.StatusFailure)
		}, ""},
		{"another person's seat", func(s *story) {
			s.disarmed("kim", -2*day, ocsf.SeverityMedium)
			s.desk("north", 0, "100.200.30.40", ocsf.SeverityLow, ocsf.StatusFailure)
		}, ""},
		{"after the reset", func(s *story) {
			s.disarmed("desk", day, ocsf.SeverityMedium)
			s.desk("north", 0, "100.200.30.40", ocsf.SeverityLow, ocsf.StatusFailure)
		}, ""},
		{"and nothing was reset", func(s *story) { s.disarmed("desk", -2*day, ocsf.SeverityMedium) }, ""},
		{"with somebody's leave", func(s *story) {
			s.disarmed("desk", -2*day, ocsf.SeverityMedium).Suppressed = &ocsf.Suppression{By: "approval"}
			s.desk("north", 0, "100.200.30.40", ocsf.SeverityLow, ocsf.StatusFailure)
		}, ""},
	} {
		s := tell("provider", "north", "south")
		c.story(s)
		if got := brief(s.draw()); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTheFootholdIsWhereTheSeatWasTaken(t *testing.T) {
	s := tell("provider", "north", "south")
	s.disarmed("desk", -2*day, ocsf.SeverityMedium)
	s.disarmed("desk", -day, ocsf.SeverityMedium)
	s.desk("north", 0, "100.200.30.40", ocsf.SeverityHigh, ocsf.StatusSuccess)
	if f := s.only(t).FirstFoothold; f.Tenant != "provider" || !f.Time.Equal(monday.Add(-2*day)) {
		t.Errorf("%+v", f)
	}
}

func TestOneSitting(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    time.Duration
		who   string
		hosts []string
		want  Outcome
	}{
		{"a round within half an hour", 30 * time.Minute, "Desk", []string{"srv-1", "srv-2"}, Succeeded},
		{"the one host of a ticket", 30 * time.Minute, "Desk", []string{"srv-1"}, Clear},
		{"a round on another day", day, "Desk", []string{"srv-1", "srv-2"}, Clear},
		{"a round of somebody else's", 30 * time.Minute, "Kim Lee", []string{"srv-1", "srv-2"}, Clear},
	} {
		s := tell("provider", "north", "south")
		s.disarmed("desk", -2*day, ocsf.SeverityMedium)
		s.desk("north", 0, "100.200.30.40", ocsf.SeverityHigh, ocsf.StatusSuccess)
		s.supports("south", c.who, c.at, c.hosts...)
		for d := -9; d <= 9; d++ {
			s.event("south", time.Duration(d)*day, tenant.LayerCloud)
		}
		if o := outcomeOf(s.only(t), "south"); o.Outcome != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, o.Outcome, c.want, o.Reason)
		}
	}
}

func TestOneName(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"nils.bauer@p.example", "isl-bauern", true}, {"nils.bauer@p.example", "isl-bauerd", false}, {"jensent@p.example", "Tarek Jensen", true},
		{"isl-jensenc", "jensent", false}, {"isl-bauer", "n.bauer@p.example", true}, {"novakn", `P\novakn`, true}, {"kim", "lee", false},
	} {
		if got := oneName(c.a, c.b); got != c.want || oneName(c.b, c.a) != got {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}
