package campaign

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func TestOutcomeOfEachTenant(t *testing.T) {
	c := islandHop("provider", "north", "south", "east", "alone").only(t)
	for _, want := range []struct {
		id      tenant.ID
		outcome Outcome
		trust   tenant.TrustID
		reason  string
	}{
		{"provider", Succeeded, "", "remotetool/foreign-instance"},
		{"north", Succeeded, "isl-north", "logon at srv-1 by isl-kim"},
		{"south", Attempted, "isl-south", "recon/horizontal"},
		{"east", Exposed, "isl-east", "account isl-kim reaches it by isl-east; its telemetry shows nothing of the intruder"},
		{"west", Blind, "isl-west", "account isl-kim reaches it by isl-west, and the telemetry that would show its use is missing (access, network, endpoint)"},
		{"alone", Clear, "", "no access that the intruder holds reaches it"},
		{"alone-2", Clear, "", "no access that the intruder holds reaches it"},
		{"far", Clear, "", "no access that the intruder holds reaches it"},
	} {
		got := outcomeOf(c, want.id)
		if got.Outcome != want.outcome || got.Trust != want.trust || !strings.Contains(got.Reason, want.reason) {
			t.Errorf("%s is %s by %q: %s\nnot %s by %q: %s", want.id, got.Outcome, got.Trust, got.Reason, want.outcome, want.trust, want.reason)
		}
	}
	if got := outcomeOf(c, "north"); !got.Since.Equal(monday.Add(day+time.Minute)) || len(got.Findings) != 1 {
		t.Errorf("north since %s, %d findings", got.Since, len(got.Findings))
	}
	if want := "An intruder comes through Island: 2 tenants entered, 1 attempted, 1 exposed, 1 blind, 5 clear."; c.Summary != want {
		t.Errorf("got  %s\nwant %s", c.Summary, want)
	}
	if diff := cmp.Diff([]Access{{"account", "isl-kim"}}, c.Accesses); diff != "" {
		t.Error(diff)
	}
}

func TestEveryTenantIsListed(t *testing.T) {
	s := islandHop("north")
	var want, got []string
	for _, x := range s.model.Tenants {
		want = append(want, string(x.ID))
	}
	slices.Sort(want)
	for _, o := range s.only(t).Tenants {
		got = append(got, string(o.Tenant))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryAccessIsFollowedToWhomItReaches(t *testing.T) {
	at := monday
	m := world()
	m.Trusts = append(m.Trusts,
		tenant.Trust{ID: "old", Partner: "isl", Tenant: "alone", Accounts: []string{"*"}, ValidUntil: at.Add(-day)},
		tenant.Trust{ID: "cloud", Partner: "isl", Tenant: "alone-2", JumpHosts: []string{"100.200.30.40"}, RemoteTools: []tenant.RemoteTool{{Tool: "anydesk"}},
			CloudPrincipals: []tenant.CloudPrincipal{{HomeTenant: "AAAA"}, {AppID: "BBBB"}, {AccountID: "1234"}}, Accounts: []string{"exact", "@isl.example", "*@isl2.example"}})
	for _, c := range []struct {
		access Access
		id     tenant.ID
		want   bool
	}{
		{Access{"account", "isl-kim"}, "north", true},
		{Access{"account", "isl-kim"}, "far", false},
		{Access{"account", "two-lee"}, "far", false}, // another partner's
		{Access{"account", "isl-kim"}, "alone", false},
		{Access{"account", "exact"}, "alone-2", true},
		{Access{"account", "kim@isl.example"}, "alone-2", true},
		{Access{"account", "kim@isl2.example"}, "alone-2", true},
		{Access{"account", "kim@evil-isl.example"}, "alone-2", false},
		{Access{"network", "203.0.113.9"}, "north", true},
		{Access{"network", "203.0.114.9"}, "north", false},
		{Access{"network", "100.200.30.40"}, "alone-2", true},
		{Access{"mail", "isl.example"}, "north", true},
		{Access{"mail", "mail.isl.example"}, "north", true},
		{Access{"mail", "notisl.example"}, "north", false},
		{Access{"remote-tool", "screenconnect/0123456789abcdef"}, "north", true},
		{Access{"remote-tool", "screenconnect/" + evil}, "north", false},
		{Access{"remote-tool", "anydesk/99"}, "alone-2", true},
		{Access{"cloud-principal", "aaaa"}, "alone-2", true},
		{Access{"cloud-app", "bbbb"}, "alone-2", true},
		{Access{"cloud-account", "1234"}, "alone-2", true},
		{Access{"cloud-account", "4321"}, "alone-2", false},
		{Access{"rumour", "x"}, "alone-2", false},
	} {
		if got := (&group{in: Evidence{Model: m}, partner: "isl"}).reaches(c.access, c.id, at, at.Add(day)) != nil; got != c.want {
			t.Errorf("%s %s reaches %s: %v", c.access.Kind, c.access.Value, c.id, got)
		}
	}
}

func TestBlindWhereTheLayerThatWouldShowItIsSilent(t *testing.T) {
	for _, c := range []struct {
		layer tenant.Layer
		want  Outcome
	}{{tenant.LayerNetwork, Exposed}, {tenant.LayerAccess, Exposed}, {tenant.LayerEndpoint, Exposed}, {tenant.LayerMail, Blind}, {tenant.LayerCloud, Blind}} {
		s := islandHop("north", "south")
		for d := range 4 {
			s.event("east", time.Duration(d)*day, c.layer)
		}
		if got := outcomeOf(s.only(t), "east"); got.Outcome != c.want {
			t.Errorf("with %s alone east is %s: %s", c.layer, got.Outcome, got.Reason)
		}
	}
}

func TestWeakFindingIsNoSuccess(t *testing.T) {
	s := islandHop("north", "south")
	e := s.event("south", day+2*time.Hour, tenant.LayerAccess, by("isl"), user("isl-kim"))
	e.Session = "vpn-south"
	s.find("firstcontact/source", ocsf.SeverityLow, ocsf.OutcomeSucceeded, one(e), actor("isl-kim"))
	got := outcomeOf(s.only(t), "south")
	if got.Outcome != Attempted || len(got.Findings) != 2 {
		t.Errorf("south is %s with %d findings: %s", got.Outcome, len(got.Findings), got.Reason)
	}
}

func TestMailOfThePartnersOwnSystemIsAnAccess(t *testing.T) {
	for dmarc, want := range map[string]int{"pass": 1, "fail": 0} {
		s := islandHop("north", "south")
		e := s.event("north", 26*time.Hour, tenant.LayerMail, by("isl"), message("kim@isl.example", "anna@north.example"))
		e.Mail.DMARC, e.Mail.SPF = dmarc, "pass"
		s.find("phish/partner", ocsf.SeverityHigh, ocsf.OutcomeAttempted, one(e), target(ocsf.EntityMailbox, "anna@north.example"))
		c := s.only(t)
		n := 0
		for _, a := range c.Accesses {
			if a == (Access{"mail", "isl.example"}) {
				n++
			}
		}
		if n != want {
			t.Errorf("DMARC %s: %v", dmarc, c.Accesses)
		}
	}
}

func TestCoverageHasARowForEachTenantAndLayer(t *testing.T) {
	s := islandHop("north")
	r := s.draw()
	if want := len(s.model.Tenants) * len(tenant.Layers); len(r.Coverage) != want || len(r.Matrix) != want {
		t.Errorf("%d rows of coverage and %d of the matrix, not %d", len(r.Coverage), len(r.Matrix), want)
	}
	for _, row := range r.Coverage {
		if row.Tenant == "north" && row.Layer == tenant.LayerNetwork && (row.Events != 19 || !row.From.Equal(monday.Add(-9*day)) || !row.To.Equal(monday.Add(9*day))) {
			t.Errorf("%+v", row)
		}
		if row.Tenant == "west" && (row.Events != 0 || !row.From.IsZero()) {
			t.Errorf("%+v", row)
		}
	}
	for _, row := range r.Matrix {
		want := map[string]Outcome{"north network": Clear, "north mail": Blind,
			"provider endpoint": Succeeded, "west network": Blind, "alone mail": Blind}[string(row.Tenant)+" "+string(row.Layer)]
		if want != "" && row.Outcome != want {
			t.Errorf("%s %s is %s, not %s", row.Tenant, row.Layer, row.Outcome, want)
		}
	}
}

func TestWhatTelemetrySees(t *testing.T) {
	days := func(list ...int) *Telemetry {
		c := NewTelemetry()
		for _, d := range list {
			c.Add(&ocsf.Event{Tenant: "north", Layer: tenant.LayerNetwork, Time: monday.Add(time.Duration(d) * day)})
		}
		return c
	}
	for _, c := range []struct {
		name     string
		t        *Telemetry
		from, to int
		want     bool
	}{
		{"every day", days(0, 1, 2, 3, 4, 5), 0, 5, true},
		{"working days", days(0, 1, 2, 3, 4, 7, 8, 9, 10, 11), 0, 13, true},
		{"one day of six", days(0), 0, 5, false},
		{"one day of three", days(1), 0, 2, true},
		{"the day itself", days(3), 3, 3, true},
		{"the day before", days(2), 3, 3, false},
		{"never", NewTelemetry(), 0, 5, false},
	} {
		from, to := monday.Add(time.Duration(c.from)*day), monday.Add(time.Duration(c.to)*day)
		if got := c.t.Sees("north", from, to, tenant.LayerMail, tenant.LayerNetwork); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if c.t.Sees("north", from, to, tenant.LayerMail) || c.t.Sees("south", from, to, tenant.LayerNetwork) {
			t.Errorf("%s: another layer or tenant is seen", c.name)
		}
	}
	if NewTelemetry().Events("north", tenant.LayerMail) != 0 || days(1, 2).Events("north", tenant.LayerNetwork) != 2 {
		t.Error("the events are counted wrong")
	}
}
