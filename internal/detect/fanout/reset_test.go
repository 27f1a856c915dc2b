package fanout

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// audited is an operation of the directory that an actor does to a user.
func audited(at time.Time, id tenant.ID, operation, actor, user, from string, with ...change) *ocsf.Event {
	e := signIn(at, id, user, from, ocsf.StatusSuccess, with...)
	e.Class, e.Activity, e.Actor.Name, e.Cloud.Operation = ocsf.ClassAccountChange, "update", actor, operation
	if strings.Contains(operation, "password") {
		e.Activity = "password reset"
	}
	return e
}

// deskDay is a settled tenant, and a desk that resets a user's password and second factor there on Monday.
func deskDay(id tenant.ID, user string) (out []*ocsf.Event) {
	for i := range 12 {
		out = append(out, signIn(monday.Add(time.Duration(i-60)*time.Hour), id, user, "198.51.100.7", ocsf.StatusSuccess, func(e *ocsf.Event) { e.Cloud.Country = "DE" }))
	}
	return append(out, audited(monday, id, "Reset user password", "desk@isl.example", user, "203.0.113.9", ofPartner),
		audited(monday.Add(time.Minute), id, "Admin deleted security info", "desk@isl.example", user, "203.0.113.9", ofPartner))
}

func TestWhatComesOfAReset(t *testing.T) {
	abroad := func(e *ocsf.Event) { e.Cloud.Country = "XK" }
	home := func(e *ocsf.Event) { e.Cloud.Country = "DE" }
	code := func(c string) change { return func(e *ocsf.Event) { e.Cloud.ErrorCode = c } }
	use := func(after time.Duration, from string, s ocsf.Status, with ...change) *ocsf.Event {
		return signIn(monday.Add(after), "client-0", "anna", from, s, with...)
	}
	for _, c := range []struct {
		name  string
		event *ocsf.Event
		want  string
	}{
		{"from an unknown place abroad", use(time.Hour, "192.0.2.66", ocsf.StatusSuccess, abroad), "medium succeeded"},
		{"from a telephone on the road", use(time.Hour, "192.0.2.66", ocsf.StatusSuccess, home), "informational succeeded"},
		{"refused with the right password, abroad", use(time.Hour, "192.0.2.66", ocsf.StatusFailure, abroad, code("53003")), "low attempted"},
		{"a new factor is registered from an unknown place", audited(monday.Add(time.Hour), "client-0", "User registered security info", "anna", "anna", "192.0.2.66"), "informational succeeded"},
		{"a wrong password, as everybody's are tried", use(time.Hour, "192.0.2.66", ocsf.StatusFailure, abroad, code("50126")), ""},
		{"from where everybody sits", use(time.Hour, "198.51.100.7", ocsf.StatusSuccess, home), ""},
		{"from the same network", use(time.Hour, "198.51.100.99", ocsf.StatusSuccess, home), ""},
		{"two days later", use(48*time.Hour, "192.0.2.66", ocsf.StatusSuccess, abroad), ""},
		{"before it", use(-time.Minute, "192.0.2.66", ocsf.StatusSuccess, abroad), ""},
		{"somebody else's", signIn(monday.Add(time.Hour), "client-0", "ben", "192.0.2.66", ocsf.StatusSuccess, abroad), ""},
	} {
		got := ""
		for _, f := range run(model(), byTime(append(deskDay("client-0", "anna"), c.event))) {
			if f.Rule == "fanout/reset-takeover" {
				got = f.Severity.String() + " " + string(f.Outcome)
				if f.Partner != "isl" || f.Trust != "isl-client-0" || !strings.Contains(f.Reason, "desk@isl.example reset the password and a second factor") {
					t.Errorf("%s: %s %s: %s", c.name, f.Partner, f.Trust, f.Reason)
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestResetByTheirOwnPeopleIsNotCounted(t *testing.T) {
	list := deskDay("client-0", "anna")
	for _, e := range list {
		e.Partner, e.Trust = "", ""
	}
	list = append(list, signIn(monday.Add(time.Hour), "client-0", "anna", "192.0.2.66", ocsf.StatusSuccess))
	for _, f := range run(model(), list) {
		if f.Rule == "fanout/reset-takeover" {
			t.Errorf("%s", f.Reason)
		}
	}
}

// robbed is two people of two tenants whose credentials are used from one address.
func robbed(first, second ocsf.Status) []*ocsf.Event {
	right := func(e *ocsf.Event) { e.Cloud.ErrorCode = "50076" }
	list := append(deskDay("client-0", "anna"), deskDay("client-1", "ben")...)
	return byTime(append(list, signIn(monday.Add(time.Hour), "client-0", "anna", "192.0.2.66", first, right), signIn(monday.Add(2*time.Hour), "client-1", "ben", "192.0.2.66", second, right)))
}

func TestOneAddressWithSeveralPeoplesFreshCredentials(t *testing.T) {
	const ok, no = ocsf.StatusSuccess, ocsf.StatusFailure
	for _, c := range []struct {
		first, second ocsf.Status
		want          [2]ocsf.Severity
	}{
		{ok, ok, [2]ocsf.Severity{ocsf.SeverityHigh, ocsf.SeverityHigh}},
		{ok, no, [2]ocsf.Severity{ocsf.SeverityHigh, ocsf.SeverityMedium}},
		{no, ok, [2]ocsf.Severity{ocsf.SeverityMedium, ocsf.SeverityHigh}},
		{no, no, [2]ocsf.Severity{ocsf.SeverityInformational, ocsf.SeverityInformational}},
	} {
		var got [2]ocsf.Severity
		for _, f := range run(model(), robbed(c.first, c.second)) {
			if f.Rule == "fanout/reset-takeover" {
				got[f.Tenant[len(f.Tenant)-1]-'0'] = f.Severity
				if strings.Contains(f.Reason, "client-") || len(f.Evidence) > ocsf.MaxEvidence {
					t.Errorf("a finding tells of another tenant: %s", f.Reason)
				}
			}
		}
		if got != c.want {
			t.Errorf("%v then %v: %v, want %v", c.first, c.second, got, c.want)
		}
	}
}

func TestResetsAreKeptOverASnapshot(t *testing.T) {
	want := sorted(run(model(), robbed(ocsf.StatusSuccess, ocsf.StatusSuccess)))
	got := sorted(runEvery(t, model(), robbed(ocsf.StatusSuccess, ocsf.StatusSuccess), 1))
	a, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(a), string(b)); d != "" || len(want) != 2 {
		t.Errorf("%d findings; %s", len(want), d)
	}
}

func TestResetsAreBounded(t *testing.T) {
	d := fresh().(*Detector)
	for i := range MaxResets + 500 {
		e := audited(monday.Add(time.Duration(i)*time.Millisecond), "client-0", "Reset user password", "desk@isl.example", "user-"+time.Duration(i).String(), "203.0.113.9", ofPartner)
		d.Process(e, func(*ocsf.Finding) {})
	}
	if n := len(d.resets["client-0"]); n > MaxResets {
		t.Errorf("%d resets are kept", n)
	}
	d.Advance(monday.Add(ResetFor+2*time.Hour), func(*ocsf.Finding) {})
	if len(d.resets) != 0 {
		t.Errorf("%d tenants' resets are kept for ever", len(d.resets))
	}
}

// TestTheSharedAddressDecides holds that a person whose credentials an intruder tried in vain, and who then travels, was not
// entered, and that the place they travel to is not the intruder's.
func TestTheSharedAddressDecides(t *testing.T) {
	abroad := func(e *ocsf.Event) { e.Cloud.Country = "XK" }
	events := append(deskDay("client-0", "anna"), deskDay("client-1", "ben")...)
	events = append(events,
		signIn(monday.Add(time.Hour), "client-1", "ben", "192.0.2.66", ocsf.StatusSuccess, abroad),
		signIn(monday.Add(2*time.Hour), "client-0", "anna", "192.0.2.66", ocsf.StatusFailure, abroad, func(e *ocsf.Event) { e.Cloud.ErrorCode = "53003" }),
		signIn(monday.Add(9*time.Hour), "client-0", "anna", "100.70.1.2", ocsf.StatusSuccess, abroad))
	want := map[tenant.ID]ocsf.Outcome{"client-0": ocsf.OutcomeAttempted, "client-1": ocsf.OutcomeSucceeded}
	seen := 0
	for _, f := range run(model(), byTime(events)) {
		if f.Rule != "fanout/reset-takeover" {
			continue
		}
		seen++
		if f.Severity != ocsf.SeverityHigh || f.Outcome != want[f.Tenant] {
			t.Errorf("%s: %s %s", f.Tenant, f.Severity, f.Outcome)
		}
		for _, e := range f.Entities {
			if e.Value == "100.70.1.2" && e.Role != ocsf.RoleSource {
				t.Errorf("where the person travels to is %s", e.Role)
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d findings", seen)
	}
}

// TestOneAddressUsesResetCredentialsOnOtherDays holds that an address abroad is compared beyond the day of a reset, and a
// carrier's at home is not.
func TestOneAddressUsesResetCredentialsOnOtherDays(t *testing.T) {
	for _, c := range []struct {
		name, country string
		days          int
		want          ocsf.Severity
	}{
		{"abroad, days later", "XK", 5, ocsf.SeverityHigh},
		{"at home, days later", "DE", 5, ocsf.SeverityInformational},
		{"at home, on the same day", "DE", 0, ocsf.SeverityHigh},
		{"abroad, months later", "XK", 40, ocsf.SeverityMedium},
	} {
		there := func(e *ocsf.Event) { e.Cloud.Country = c.country }
		events := append(deskDay("client-0", "anna"), signIn(monday.Add(time.Hour), "client-0", "anna", "192.0.2.66", ocsf.StatusSuccess, there))
		for _, e := range append(deskDay("client-1", "ben"), signIn(monday.Add(time.Hour), "client-1", "ben", "192.0.2.66", ocsf.StatusSuccess, there)) {
			e.Time = e.Time.AddDate(0, 0, c.days)
			events = append(events, e)
		}
		got := ocsf.SeverityUnknown
		for _, f := range run(model(), byTime(events)) {
			if f.Rule == "fanout/reset-takeover" {
				got = max(got, f.Severity)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
