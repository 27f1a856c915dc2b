package campaign

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// housekeeper makes north a partner, too: it looks after far and farther, with accounts nor-*.
func (s *story) housekeeper() {
	s.model.Partners = append(s.model.Partners, tenant.Partner{ID: "nor", Tenant: "north"})
	for _, id := range []tenant.ID{"far", "farther"} {
		s.model.Trusts = append(s.model.Trusts, tenant.Trust{ID: tenant.TrustID("nor-" + id), Partner: "nor", Tenant: id, Accounts: []string{"nor-*"},
			Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.200/32")}})
	}
}

// outOfNorth is a scan of far by an account of north's, so long after Monday morning.
func (s *story) outOfNorth(id tenant.ID, at time.Duration) {
	session := "vpn-" + string(id)
	s.event(id, at, tenant.LayerAccess, by("nor"), vpn(session, "nor-eve", "srv-1"))
	e := s.event(id, at+time.Minute, tenant.LayerEndpoint, by("nor"), from("10.200.0.9"), user("nor-eve"), logon(session, ocsf.StatusFailure))
	s.find("recon/horizontal", ocsf.SeverityHigh, ocsf.OutcomeAttempted, one(e), ocsf.Entity{Type: ocsf.EntityIP, Value: "10.200.0.9", Role: ocsf.RoleSource}, actor("nor-eve"))
}

func TestWhoCameThroughAClientCameThroughItsPartner(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Duration // when something comes out of north, which is entered on Tuesday
		want string
	}{
		{"out of the house after it was entered", 3 * day, "isl: far north provider south"},
		{"out of the house before it was entered", -day, "isl: north provider south"},
		{"out of the house months after", 60 * day, "isl: north provider south"},
	} {
		s := islandHop("north", "south", "far")
		s.housekeeper()
		s.outOfNorth("far", c.at)
		r := s.draw()
		if got := brief(r); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			continue
		}
		if o := outcomeOf(r.Campaigns[0], "farther"); (o.Outcome != Clear) != (c.at == 3*day) {
			t.Errorf("%s: a further client of that house is %s: %s", c.name, o.Outcome, o.Reason)
		}
		told := false
		for _, j := range r.Campaigns[0].JoinedBy {
			told = told || (j.Value == "nor" && strings.Contains(j.Reason, "the intruder was in north before"))
		}
		if told != (c.at == 3*day) {
			t.Errorf("%s: joined by %+v", c.name, r.Campaigns[0].JoinedBy)
		}
	}
}

func TestWhatComesOutOfAHouseWhereNothingWasGotIsAnothers(t *testing.T) {
	s := islandHop("north", "south")
	s.model.Partners = append(s.model.Partners, tenant.Partner{ID: "sou", Tenant: "south"}) // the logon at south failed
	s.model.Trusts = append(s.model.Trusts, tenant.Trust{ID: "sou-far", Partner: "sou", Tenant: "far", Accounts: []string{"sou-*"}})
	e := s.event("far", 3*day, tenant.LayerEndpoint, by("sou"), from("198.51.100.201"), user("sou-eve"))
	s.find("recon/horizontal", ocsf.SeverityHigh, ocsf.OutcomeAttempted, one(e), actor("sou-eve"))
	if got := brief(s.draw()); got != "isl: north provider south" {
		t.Errorf("got %q", got)
	}
}

// throughNorth is a campaign out of north, whose host srv-1 somebody of isl's worked on before.
func throughNorth(at time.Duration, noted bool) *story {
	s := tell("north", "far", "farther")
	s.housekeeper()
	e := s.event("north", at, tenant.LayerEndpoint, by("isl"), from("203.0.113.9"), user("isl-kim"), logon("", ocsf.StatusSuccess))
	if noted {
		s.find("lateral/admin-share-exec", ocsf.SeverityLow, ocsf.OutcomeSucceeded, one(e), actor("isl-kim"))
	}
	s.outOfNorth("far", day)
	s.outOfNorth("farther", day+time.Hour)
	return s
}

func TestWhoWorkedOnTheHostBeforeIsWhereItCameFrom(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    time.Duration
		noted bool
		want  string
	}{
		{"an hour before, and something of it was noted", day - time.Hour, true, "isl: far farther north"},
		{"an hour before, as every day", day - time.Hour, false, "nor: far farther"},
		{"days before", -2 * day, true, "nor: far farther"},
		{"after", day + 2*time.Hour, true, "nor: far farther"},
	} {
		if got := brief(throughNorth(c.at, c.noted).draw()); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// strayed is an account of the provider's at two clients, and a sign-in of somebody in the provider's house before.
func strayed(who string, at time.Duration) *story {
	s := tell("provider", "north", "south")
	e := s.event("provider", at, tenant.LayerCloud, signIn(who, "100.200.30.40", ocsf.StatusSuccess))
	s.find("firstcontact/source", ocsf.SeverityInformational, ocsf.OutcomeSucceeded, one(e), actor(who), infra(ocsf.EntityIP, "100.200.30.40"))
	for i, id := range []tenant.ID{"north", "south"} {
		session := "vpn-" + string(id)
		s.event(id, time.Duration(i)*time.Hour, tenant.LayerAccess, by("isl"), vpn(session, "isl-moserh", "isl-ws3"))
		e := s.event(id, time.Duration(i)*time.Hour+time.Minute, tenant.LayerEndpoint, by("isl"), user("isl-moserh"), from("10.200.0.9"), logon(session, ocsf.StatusSuccess))
		s.find("sigma/dump", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("isl-moserh"))
	}
	return s
}

func TestSignInFromANewPlaceOfWhoseAccountIsUsedIsTheFoothold(t *testing.T) {
	for _, c := range []struct {
		name, who string
		at        time.Duration
		want      tenant.ID
	}{
		{"the same person, before", "moserh@provider.example", -day, "provider"},
		{"another person, who travels", "nagyb@provider.example", -day, ""},
		{"the same person, after", "moserh@provider.example", day, ""},
		{"the same person, long before", "moserh@provider.example", -2 * PathGap, ""},
	} {
		f := strayed(c.who, c.at).only(t).FirstFoothold
		if f.Tenant != c.want || (c.want == "") != (f.Ask == "isl") {
			t.Errorf("%s: %+v", c.name, f)
		}
		if c.want != "" && (f.Entity.Value != c.who || !f.Time.Equal(monday.Add(c.at))) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestHouseWhoseHostTheIntruderWorksOnIsEntered(t *testing.T) {
	s := strayed("nagyb@provider.example", -day)
	s.model.Tenants[0].Networks = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	s.event("provider", -time.Minute, tenant.LayerEndpoint, on("isl-ws3"), from("10.9.0.5"), user("moserh"), func(e *ocsf.Event) {
		e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", ocsf.StatusSuccess
		e.Fields = ocsf.Fields{{Name: "LogonType", Value: "10"}}
	})
	if o := outcomeOf(s.only(t), "provider"); o.Outcome != Succeeded || !strings.Contains(o.Reason, "isl-ws3") {
		t.Errorf("%s: %s", o.Outcome, o.Reason)
	}
}

func TestSameOwner(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"isl-moserh", "moserh@provider.example", true},
		{"isl-moserh", "mosera@provider.example", true}, // firms number their people by letters; the surname is what both have
		{`CORP\isl-moserh`, "moserh", true},
		{"isl-moserh", "hanna.moser@provider.example", true},
		{"isl-h.moser", "h.moser@provider.example", true},
		{"isl-moserh", "moserlechner@provider.example", false},
		{"isl-moserh", "nagyb@provider.example", false},
		{"svc-backup", "nagyb@provider.example", false},
		{"isl-kim", "kim@provider.example", false}, // too short to tell people apart
		{"", "", false},
	} {
		if got := sameOwner(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

func TestAddressThatCameToAClientTooIsTheIntrudersAndNotTheTravellers(t *testing.T) {
	s := strayed("moserh@provider.example", -2*day)
	travel := s.findings[0]
	later := s.event("provider", -day, tenant.LayerCloud, signIn("moserh@provider.example", "100.200.77.7", ocsf.StatusSuccess))
	s.find("firstcontact/source", ocsf.SeverityInformational, ocsf.OutcomeSucceeded, one(later), actor("moserh@provider.example"), infra(ocsf.EntityIP, "100.200.77.7"))
	if f := s.only(t).FirstFoothold; !f.Time.Equal(travel.Time) {
		t.Errorf("with nothing that tells them apart the first is taken: %+v", f)
	}
	at := s.event("east", day, tenant.LayerCloud, by("isl"), signIn("moserh@provider.example", "100.200.77.7", ocsf.StatusSuccess))
	s.find("firstcontact/source", ocsf.SeverityLow, ocsf.OutcomeSucceeded, one(at), actor("moserh@provider.example"), infra(ocsf.EntityIP, "100.200.77.7"))
	c := s.only(t)
	if f := c.FirstFoothold; !f.Time.Equal(later.Time) {
		t.Errorf("%+v", f)
	}
	if o := outcomeOf(c, "east"); o.Outcome != Succeeded {
		t.Errorf("the client to which the address came is %s: %s", o.Outcome, o.Reason)
	}
}
