package campaign

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// twoOf is one high finding at each of the tenants, an hour apart, that name the same thing.
func twoOf(rule string, e ocsf.Entity, tenants ...tenant.ID) *story {
	s := tell(tenants...)
	for i, id := range tenants {
		s.find(rule, ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(s.event(id, time.Duration(i)*time.Hour, tenant.LayerEndpoint, on("host"))), e)
	}
	return s
}

func TestNoMergeByPrivateAddresses(t *testing.T) {
	for _, ip := range []string{"10.1.2.3", "172.16.9.9", "192.168.1.1", "169.254.7.7", "127.0.0.1", "0.0.0.0", "fd00::1", "fe80::1", "::1", "::ffff:10.1.2.3", "100.64.3.4", "224.0.0.251", "255.255.255.255"} {
		if r := twoOf("sigma/x", infra(ocsf.EntityIP, ip), "alone", "alone-2").draw(); len(r.Campaigns) != 0 {
			t.Errorf("%s joins two tenants: %s", ip, brief(r))
		}
	}
	if r := twoOf("sigma/x", infra(ocsf.EntityIP, "100.200.30.40"), "alone", "alone-2").draw(); brief(r) != ": alone alone-2" {
		t.Errorf("a public address of the intruder's joins them: %s", brief(r))
	}
}

func TestNoMergeByCommodityPhish(t *testing.T) {
	domain := infra(ocsf.EntityDomain, "phish-of-the-day.example")
	for _, rule := range []string{"phish/commodity", "phish/unparsable", "recon/internet-noise", "enumeration/internet-noise", "recon/known-failing"} {
		if r := twoOf(rule, domain, "alone", "alone-2").draw(); len(r.Campaigns) != 0 {
			t.Errorf("%s joins two tenants: %s", rule, brief(r))
		}
	}
	if r := twoOf("phish/partner", domain, "alone", "alone-2").draw(); len(r.Campaigns) != 1 {
		t.Errorf("a phish aimed at them does not: %s", brief(r))
	}
}

func TestNoMergeByTargetsAndSources(t *testing.T) {
	for _, role := range []string{ocsf.RoleTarget, ocsf.RoleSource} {
		if r := twoOf("sigma/x", ocsf.Entity{Type: ocsf.EntityIP, Value: "100.200.30.40", Role: role}, "alone", "alone-2").draw(); len(r.Campaigns) != 0 {
			t.Errorf("a %s joins two tenants: %s", role, brief(r))
		}
	}
	if r := twoOf("sigma/x", actor("administrator"), "alone", "alone-2").draw(); len(r.Campaigns) != 0 {
		t.Errorf("an account name that every house has joins two tenants: %s", brief(r))
	}
}

// tested is a test at north and south from one address of the partner's.
func tested(src string, with ...change) *story {
	s := tell("north", "south")
	for i, id := range []tenant.ID{"north", "south"} {
		a := tenant.Approval{Trust: tenant.TrustID("isl-" + id), Src: netip.MustParsePrefix("203.0.113.7/32"), Dst: netip.MustParsePrefix("10.1.0.0/16"), Kind: "scan", From: monday, Until: monday.Add(2 * day), Owner: "it", Reason: "yearly test"}
		s.model.Approvals = append(s.model.Approvals, a)
		e := s.event(id, time.Duration(1+i)*time.Hour, tenant.LayerNetwork, append([]change{by("isl"), from(src), user("isl-pentest")}, with...)...)
		s.find("recon/horizontal", ocsf.SeverityHigh, ocsf.OutcomeAttempted, one(e), actor("isl-pentest"))
		s.find("sigma/psexec", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("isl-pentest"))
	}
	return s
}

func TestApprovedTestIsNoCampaign(t *testing.T) {
	later := func(e *ocsf.Event) { e.Time = e.Time.Add(3 * day) }
	outside := func(e *ocsf.Event) { e.Dst.IP = netip.MustParseAddr("10.99.0.1") }
	nowhere := func(e *ocsf.Event) { e.Src = ocsf.Endpoint{} }
	for _, c := range []struct {
		name  string
		story *story
		want  string
	}{
		{"from the approved address in the approved time", tested("203.0.113.7"), ""},
		{"after its end", tested("203.0.113.7", later), "isl: north south"},
		{"from another address", tested("203.0.113.8"), "isl: north south"},
		{"outside of the approved hosts", tested("203.0.113.7", outside), "isl: north south"},
		{"in a test of days, by records without an address", tested("203.0.113.7", nowhere), ""},
	} {
		if got := brief(c.story.draw()); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	s := tested("203.0.113.8")
	for _, f := range s.findings {
		f.Suppressed = &ocsf.Suppression{By: "approval"}
	}
	r := s.draw()
	if len(r.Campaigns) != 0 || len(r.Incidents) != 0 || r.Findings.Suppressed != 4 || r.Findings.Total != 4 || r.Findings.BySeverity["high"] != 0 {
		t.Errorf("approved findings: %s, %d incidents, %+v", brief(r), len(r.Incidents), r.Findings)
	}
}

func TestTwoProvidersAreTwoCampaigns(t *testing.T) {
	s := islandHop("north", "south", "far", "farther")
	home := s.event("provider-2", 2*time.Hour, tenant.LayerEndpoint, tool("install", "00ff00ff00ff00ff", "two-ws1"))
	s.find("remotetool/foreign-instance", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(home), infra(ocsf.EntityRMM, "00ff00ff00ff00ff"), target(ocsf.EntityHost, "two-ws1"))
	for i, id := range []tenant.ID{"far", "farther"} {
		e := s.event(id, day+time.Duration(i)*time.Hour, tenant.LayerEndpoint, by("two"), from("192.0.2.9"), user("two-lee"), logon("", ocsf.StatusSuccess))
		s.find("recon/horizontal", ocsf.SeverityHigh, ocsf.OutcomeAttempted, one(e), actor("two-lee"))
	}
	r := s.draw()
	if got := brief(r); got != "isl: north provider south; two: far farther provider-2" {
		t.Fatal(got)
	}
	for i, others := range [][]tenant.ID{{"far", "farther", "provider-2"}, {"north", "provider", "south"}} {
		for _, id := range others {
			if o := outcomeOf(r.Campaigns[i], id); o.Outcome != Clear {
				t.Errorf("%s of %s is %s: %s", id, r.Campaigns[i].Partner, o.Outcome, o.Reason)
			}
		}
	}
}

func TestOneTenantAloneIsNoCampaign(t *testing.T) {
	for _, c := range []struct {
		name string
		with []change
	}{
		{"in its own house", nil},
		{"once through a partner", []change{by("isl"), from("203.0.113.9"), user("isl-kim")}},
	} {
		s := tell("north", "south")
		e := s.event("north", time.Hour, tenant.LayerEndpoint, c.with...)
		s.find("sigma/mimikatz", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("isl-kim"))
		if len(c.with) == 0 {
			for i := range 5 {
				f := fmt.Sprintf("sigma/rule-%d", i)
				s.find(f, ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(s.event("north", time.Duration(2+i)*time.Hour, tenant.LayerEndpoint, on("host"))), infra(ocsf.EntityIP, "100.200.30.40"))
			}
		}
		r := s.draw()
		if len(r.Campaigns) != 0 || len(r.Incidents) == 0 {
			t.Errorf("%s: %s, %d incidents", c.name, brief(r), len(r.Incidents))
		}
	}
}

func TestLowFindingsAreNoCampaign(t *testing.T) {
	s := islandHop("north", "south")
	for _, f := range s.findings {
		f.Severity = ocsf.SeverityLow
	}
	if r := s.draw(); len(r.Campaigns) != 0 || len(r.Incidents) != 0 {
		t.Errorf("%s, %d incidents", brief(r), len(r.Incidents))
	}
}

func TestPartnerAloneJoinsOnlyWithinDays(t *testing.T) {
	for after, want := range map[time.Duration]int{day: 1, 6 * day: 1, 20 * day: 0, 80 * day: 0} {
		s := tell("south", "west")
		for i, id := range []tenant.ID{"south", "west"} {
			e := s.event(id, time.Duration(i)*after, tenant.LayerEndpoint, by("dark"), from("198.51.100.9"))
			s.find(fmt.Sprintf("sigma/rule-%d", i), ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(e), actor("dark-"+string(id)))
		}
		if r := s.draw(); len(r.Campaigns) != want {
			t.Errorf("%s apart: %d campaigns", after, len(r.Campaigns))
		}
	}
}
