package campaign

import (
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// knocking is one scan of north through a partner, and refused logons of an account there, so long after; and what else
// the session did.
func knocking(who string, after time.Duration, with ...change) *story {
	s := tell("north", "south", "east", "west")
	s.event("north", 0, tenant.LayerAccess, by("isl"), vpn("vpn-north", "isl-kim", "isl-ws3"))
	src := ocsf.Entity{Type: ocsf.EntityIP, Value: "10.200.0.9", Role: ocsf.RoleSource}
	e := s.event("north", time.Minute, tenant.LayerEndpoint, by("isl"), from("10.200.0.9"), user("isl-kim"), logon("vpn-north", ocsf.StatusFailure))
	s.find("recon/horizontal", ocsf.SeverityHigh, ocsf.OutcomeAttempted, one(e), src, actor("isl-kim"))
	var list []*ocsf.Event
	for i, host := range []string{"srv-1", "srv-2"} {
		list = append(list, s.event("north", after+time.Duration(i)*time.Minute, tenant.LayerEndpoint, by("isl"), from("10.200.0.9"), user(who), logon("vpn-north", ocsf.StatusFailure), on(host)))
	}
	s.find("fanout/logon-failures", ocsf.SeverityMedium, ocsf.OutcomeAttempted, list, src, actor(who))
	if len(with) > 0 {
		s.event("north", after+10*time.Minute, tenant.LayerEndpoint, append([]change{by("isl"), from("10.200.0.9"), user(who), logon("vpn-north", ocsf.StatusSuccess)}, with...)...)
	}
	return s
}

func TestOneAccountThatScansAndIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		who   string
		after time.Duration
		want  string
	}{
		{"in one session", "isl-kim", time.Hour, "isl: north"},
		{"the refused is somebody else", "isl-lee", time.Hour, ""},
		{"the refusals are another day's", "isl-kim", 30 * time.Hour, ""},
	} {
		r := knocking(c.who, c.after).draw()
		if got := brief(r); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if o := outcomeOf(knocking("isl-kim", time.Hour).only(t), "south"); o.Outcome != Exposed {
		t.Errorf("a client that the account reaches is %s: %s", o.Outcome, o.Reason)
	}
}

func TestAskingTheDirectoryIsNoEntry(t *testing.T) {
	kind := func(n string) change {
		return func(e *ocsf.Event) { e.Fields = ocsf.Fields{{Name: "LogonType", Value: n}} }
	}
	for _, c := range []struct {
		kind string
		want Outcome
	}{{"3", Attempted}, {"10", Succeeded}} {
		if o := outcomeOf(knocking("isl-kim", time.Hour, on("dc-1"), kind(c.kind)).only(t), "north"); o.Outcome != c.want {
			t.Errorf("logon type %s: %s: %s", c.kind, o.Outcome, o.Reason)
		}
	}
}

// patient is an account of the partner's that is refused at the named hosts of north, one list a day, so many days apart.
func patient(apart int, days ...[]string) *story {
	s := tell("north", "south")
	for i, hosts := range days {
		at := time.Duration(i*apart) * day
		var list []*ocsf.Event
		var names []ocsf.Entity
		for j, h := range hosts {
			list = append(list, s.event("north", at+time.Duration(j)*time.Minute, tenant.LayerEndpoint, by("isl"), from("203.0.113.9"), user("isl-kim"), logon("", ocsf.StatusFailure), on(h)))
			names = append(names, target(ocsf.EntityHost, h))
		}
		s.find("fanout/logon-failures", ocsf.SeverityMedium, ocsf.OutcomeAttempted, list, append(names, actor("isl-kim"), ocsf.Entity{Type: ocsf.EntityIP, Value: "203.0.113.9", Role: ocsf.RoleSource})...)
	}
	return s
}

func TestAnAccountThatKnocksNowAndThenOverWeeks(t *testing.T) {
	a, b, c := []string{"fs", "sql"}, []string{"fs", "dc"}, []string{"app", "dc"}
	for _, x := range []struct {
		name  string
		story *story
		want  string
	}{
		{"at other hosts each time", patient(6, a, b, c), "isl: north"},
		{"a job with an old password", patient(6, a, a, a, a), ""},
		{"twice", patient(9, a, b), ""},
		{"within days", patient(1, a, b, c), ""},
		{"every day", patient(1, a, b, c, a, b, c, a, b, c), ""},
	} {
		if got := brief(x.story.draw()); got != x.want {
			t.Errorf("%s: got %q, want %q", x.name, got, x.want)
		}
	}
}
