package campaign

import (
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// desk is a help desk's account that resets somebody's credentials at a client, and their use from an address.
func (s *story) desk(id tenant.ID, at time.Duration, from string, sev ocsf.Severity, got ocsf.Status) {
	reset := s.event(id, at, tenant.LayerCloud, by("isl"), signIn("desk@isl.example", "203.0.113.9", ocsf.StatusSuccess))
	use := s.event(id, at+10*time.Minute, tenant.LayerCloud, signIn("anna@"+string(id)+".example", from, got))
	out, role := ocsf.OutcomeSucceeded, ocsf.RoleInfrastructure
	if got == ocsf.StatusFailure { // an address that was refused is no infrastructure yet
		out, role = ocsf.OutcomeAttempted, ocsf.RoleSource
	}
	s.find("fanout/reset-takeover", sev, out, []*ocsf.Event{reset, use}, actor("desk@isl.example"), ocsf.Entity{Type: ocsf.EntityIP, Value: from, Role: role})
}

func TestCredentialsResetByADeskAndUsedFromOneAddress(t *testing.T) {
	s := tell("north", "south", "east")
	s.desk("north", 0, "100.200.30.40", ocsf.SeverityHigh, ocsf.StatusSuccess)
	s.desk("south", time.Hour, "100.200.30.40", ocsf.SeverityMedium, ocsf.StatusFailure)
	s.desk("east", 6*day, "100.200.30.40", ocsf.SeverityLow, ocsf.StatusFailure)
	c := s.only(t)
	if c.Partner != "isl" || c.FirstFoothold.Ask != "isl" {
		t.Errorf("partner %s, %+v", c.Partner, c.FirstFoothold)
	}
	for id, want := range map[tenant.ID]Outcome{"north": Succeeded, "south": Attempted, "east": Attempted, "far": Clear} {
		if o := outcomeOf(c, id); o.Outcome != want {
			t.Errorf("%s is %s: %s", id, o.Outcome, o.Reason)
		}
	}
}

// TestAResetAndOpenedMailboxesAreSupport holds that what a desk does all day at two clients is no campaign where a person
// whose credentials it reset then travels.
func TestAResetAndOpenedMailboxesAreSupport(t *testing.T) {
	s := tell("north", "south")
	s.desk("north", 0, "100.200.30.40", ocsf.SeverityMedium, ocsf.StatusSuccess)
	e := s.event("south", 3*day, tenant.LayerCloud, by("isl"), signIn("desk@isl.example", "203.0.113.9", ocsf.StatusSuccess))
	s.find("fanout/mailboxes", ocsf.SeverityMedium, ocsf.OutcomeSucceeded, one(e), actor("desk@isl.example"))
	if r := s.draw(); len(r.Campaigns) != 0 {
		t.Errorf("%s", brief(r))
	}
}

func TestOneResetBeforeAJourneyIsNoCampaign(t *testing.T) {
	s := tell("north", "south")
	s.desk("north", 0, "100.200.30.40", ocsf.SeverityMedium, ocsf.StatusSuccess)
	s.desk("south", time.Hour, "100.200.99.40", ocsf.SeverityLow, ocsf.StatusSuccess)
	if r := s.draw(); len(r.Campaigns) != 0 {
		t.Errorf("%s", brief(r))
	}
}
