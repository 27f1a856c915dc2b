package campaign

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// phish is a message aimed at somebody of the provider.
func (s *story) phish(after time.Duration, to string, sev ocsf.Severity) *ocsf.Finding {
	e := s.event("provider", after, tenant.LayerMail, message("news@lookalike.example", to))
	return s.find("phish/lookalike", sev, ocsf.OutcomeAttempted, one(e), infra(ocsf.EntityDomain, "lookalike.example"), target(ocsf.EntityMailbox, to))
}

func TestFootholdIsTheMessageThatWasFollowed(t *testing.T) {
	s := islandHop("north", "south")
	s.phish(-30*time.Hour, "anna@provider.example", ocsf.SeverityHigh) // the first alarm; nobody followed it
	s.phish(-26*time.Hour, "kim@provider.example", ocsf.SeverityMedium)
	e := s.event("provider", -25*time.Hour, tenant.LayerEndpoint, user("kim"), on("isl-ws3"))
	s.find("sigma/dropper", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("kim"), infra(ocsf.EntityDomain, "lookalike.example"))
	f := s.only(t).FirstFoothold
	if f.Tenant != "provider" || f.Layer != tenant.LayerMail || f.Entity == nil || f.Entity.Value != "kim@provider.example" || !f.Time.Equal(monday.Add(-26*time.Hour)) || f.Ask != "" {
		t.Errorf("%+v", f)
	}
}

func TestFootholdIsWhatGotInFirstWhereNoMailShows(t *testing.T) {
	s := islandHop("north", "south")
	e := s.event("provider", -time.Hour, tenant.LayerNetwork, from("100.200.30.40"))
	s.find("recon/horizontal", ocsf.SeverityHigh, ocsf.OutcomeAttempted, one(e), infra(ocsf.EntityRMM, evil), target(ocsf.EntityHost, "isl-dmz"))
	f := s.only(t).FirstFoothold
	if f.Tenant != "provider" || f.Layer != tenant.LayerEndpoint || f.Entity == nil || f.Entity.Value != "isl-ws3" || !f.Time.Equal(monday) {
		t.Errorf("%+v", f)
	}
}

func TestFootholdOfASprayIsWhenItGotIn(t *testing.T) {
	s := tell("north", "south")
	var events []*ocsf.Event
	for i := range 6 {
		events = append(events, s.event("provider", time.Duration(i)*time.Minute, tenant.LayerCloud, signIn("kim@provider.example", "100.200.30.40", ocsf.StatusFailure)))
	}
	events = append(events, s.event("provider", time.Hour, tenant.LayerCloud, signIn("kim@provider.example", "100.200.30.40", ocsf.StatusSuccess)))
	s.find("fanout/password-spray", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, events, actor("kim@provider.example"), infra(ocsf.EntityIP, "100.200.30.40"))
	for i, id := range []tenant.ID{"north", "south"} {
		s.event(id, day+time.Duration(i)*time.Hour, tenant.LayerCloud, by("isl"), signIn("kim@provider.example", "100.200.30.40", ocsf.StatusSuccess))
	}
	c := s.only(t)
	f := c.FirstFoothold
	if f.Tenant != "provider" || f.Entity == nil || f.Entity.Value != "kim@provider.example" || !f.Time.Equal(monday.Add(time.Hour)) {
		t.Errorf("%+v", f)
	}
	if n := outcomeOf(c, "north"); n.Outcome != Succeeded {
		t.Errorf("north is %s: %s", n.Outcome, n.Reason)
	}
}

// inTheDark is an account of a partner without telemetry that works at two of its clients.
func inTheDark() *story {
	s := tell("south", "west")
	for i, id := range []tenant.ID{"south", "west"} {
		e := s.event(id, time.Duration(i)*time.Hour, tenant.LayerEndpoint, by("dark"), from("198.51.100.9"), user("dark-ann"), logon("", ocsf.StatusSuccess))
		s.find("sigma/dump", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("dark-ann"))
	}
	return s
}

func TestPartnerWithoutTelemetryIsAsked(t *testing.T) {
	f := inTheDark().only(t).FirstFoothold
	if f.Ask != "dark" || f.For != "account dark-ann, address 198.51.100.9" || f.Entity != nil || f.Tenant != "" || !f.Time.IsZero() {
		t.Errorf("%+v", f)
	}
	if !f.From.Equal(monday.Add(-AskBefore)) || f.To.Before(monday) || !strings.Contains(f.Reason, "how the intruder got into dark") {
		t.Errorf("from %s to %s: %s", f.From, f.To, f.Reason)
	}
}

func TestOneBehindThePartnerIsAsked(t *testing.T) {
	s := inTheDark()
	for i := range s.model.Trusts {
		if s.model.Trusts[i].Partner == "dark" {
			s.model.Trusts[i].Through = "maker"
		}
	}
	if f := s.only(t).FirstFoothold; f.Ask != "maker" || f.For != "account dark-ann, address 198.51.100.9" {
		t.Errorf("%+v", f)
	}
}

func TestPartnerWhoseHouseShowsNothingIsAsked(t *testing.T) {
	s := tell("provider", "north", "south")
	for i, id := range []tenant.ID{"north", "south"} {
		session := "vpn-" + string(id)
		s.event(id, time.Duration(i)*time.Hour, tenant.LayerAccess, by("isl"), vpn(session, "isl-kim", "isl-ws3"))
		e := s.event(id, time.Duration(i)*time.Hour+time.Minute, tenant.LayerEndpoint, by("isl"), user("isl-kim"), from("10.200.0.9"), logon(session, ocsf.StatusSuccess))
		s.find("sigma/dump", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("isl-kim"))
	}
	c := s.only(t)
	if f := c.FirstFoothold; f.Ask != "isl" || f.For != "account isl-kim, host isl-ws3, address 10.200.0.9" {
		t.Errorf("%+v", f)
	}
	if home := outcomeOf(c, "provider"); home.Outcome != Exposed || !strings.Contains(home.Reason, "own house") {
		t.Errorf("the partner's house is %s: %s", home.Outcome, home.Reason)
	}
}

// lent is an account of the maker's people in the provider's house, used from a new place before anything else.
func lent(first time.Duration) *story {
	s := islandHop("north", "south")
	s.model.Trusts[len(s.model.Trusts)-1].Accounts = []string{"*@maker.example"}
	e := s.event("provider", first, tenant.LayerCloud, by("maker"), signIn("lee@maker.example", "100.200.30.40", ocsf.StatusSuccess))
	s.find("firstcontact/source", ocsf.SeverityLow, ocsf.OutcomeSucceeded, one(e), actor("lee@maker.example"), infra(ocsf.EntityIP, "100.200.30.40"))
	e = s.event("provider", 30*time.Minute, tenant.LayerCloud, func(e *ocsf.Event) { e.User.Name = "lee@maker.example" })
	s.find("sigma/new-rule", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("lee@maker.example"))
	return s
}

func TestOneToWhomTheAccountWasLentIsAsked(t *testing.T) {
	if f := lent(-time.Hour).only(t).FirstFoothold; f.Ask != "maker" || f.For != "account lee@maker.example, address 100.200.30.40" || !f.From.Equal(monday.Add(-time.Hour-AskBefore)) {
		t.Errorf("%+v", f)
	}
	if f := lent(5 * day).only(t).FirstFoothold; f.Ask != "" || f.Tenant != "provider" {
		t.Errorf("an account that is used long after the house was entered is no beginning: %+v", f)
	}
}

func TestDwellIsFromTheFootholdToTheEnd(t *testing.T) {
	s := islandHop("north", "south")
	s.phish(-10*day, "kim@provider.example", ocsf.SeverityMedium)
	e := s.event("provider", -9*day, tenant.LayerEndpoint, user("kim"), on("isl-ws3"))
	s.find("sigma/dropper", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("kim"), infra(ocsf.EntityDomain, "lookalike.example"))
	c := s.only(t)
	if c.DwellDays != 11 || !c.Start.Equal(monday.Add(-10*day)) || !c.Drawn.Equal(c.End) {
		t.Errorf("%.1f days from %s to %s, drawn %s", c.DwellDays, c.Start, c.End, c.Drawn)
	}
}
