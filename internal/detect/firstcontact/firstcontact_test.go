package firstcontact

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var (
	_ detect.Detector  = (*Detector)(nil)
	_ detect.Explainer = (*Detector)(nil)

	monday = time.Date(2026, 9, 7, 9, 0, 0, 0, time.UTC)
)

const day = 24 * time.Hour

func model() *tenant.Model {
	return &tenant.Model{Version: "v1",
		Tenants: []tenant.Tenant{
			{ID: "client", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
			{ID: "second"}, {ID: "provider"},
		},
		Partners: []tenant.Partner{{ID: "isl", Tenant: "provider"}, {ID: "other"}},
		Trusts: []tenant.Trust{
			{ID: "isl-client", Partner: "isl", Tenant: "client", Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Destinations: []string{"10.1.99.0/24"},
				RemoteTools: []tenant.RemoteTool{{Tool: "screenconnect", Instance: "d00d"}}},
			{ID: "isl-second", Partner: "isl", Tenant: "second", ValidFrom: monday.Add(-3 * day)},
			{ID: "other-client", Partner: "other", Tenant: "client"},
		},
		Approvals: []tenant.Approval{{Trust: "isl-client", Src: netip.MustParsePrefix("10.9.0.7/32"), Dst: netip.MustParsePrefix("10.1.1.0/24"),
			Kind: "scan", From: monday, Until: monday.Add(8 * time.Hour), Owner: "it@client.example", Reason: "yearly scan"}},
	}
}

type change func(*ocsf.Event)

func made(e *ocsf.Event, with []change) *ocsf.Event {
	for _, w := range with {
		w(e)
	}
	return e
}

// signIn is a partner's person who signs in to the client's cloud.
func signIn(at time.Time, user, from string, with ...change) *ocsf.Event {
	e := &ocsf.Event{Time: at, Tenant: "client", Layer: tenant.LayerCloud, Class: ocsf.ClassAuthentication, Activity: "logon", Status: ocsf.StatusSuccess,
		User: ocsf.User{Name: user}, Cloud: &ocsf.Cloud{Provider: "azure"}, Src: ocsf.Endpoint{IP: netip.MustParseAddr(from)},
		Raw: ocsf.RawRef{File: "signin.json", Record: at.Unix()}}
	e.Partner, e.Trust, e.Direction = "isl", "isl-client", ocsf.DirectionIn
	return made(e, with)
}

// reaches is a connection of a partner's host to one of the client's that was answered.
func reaches(at time.Time, from, to string, port uint16, with ...change) *ocsf.Event {
	e := &ocsf.Event{Time: at, Tenant: "client", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Flow: &ocsf.Flow{Proto: "tcp", State: "SF"},
		Src: ocsf.Endpoint{IP: netip.MustParseAddr(from)}, Dst: ocsf.Endpoint{IP: netip.MustParseAddr(to), Port: port},
		Raw: ocsf.RawRef{File: "conn.log", Record: at.Unix()}}
	e.Partner, e.Trust, e.Direction, e.Owner = "isl", "isl-client", ocsf.DirectionIn, ocsf.User{Name: "ISL-Kim"}
	return made(e, with)
}

// logon is a partner's account that logs on to one of the client's hosts.
func logon(at time.Time, from, device string, with ...change) *ocsf.Event {
	e := reaches(at, from, "10.1.1.1", 0, with...)
	e.Flow, e.Dst, e.Layer, e.Class = nil, ocsf.Endpoint{}, tenant.LayerEndpoint, ocsf.ClassAuthentication
	e.Activity, e.Status, e.Device, e.User = "logon", ocsf.StatusSuccess, device, ocsf.User{Name: "isl-kim"}
	return e
}

// each changes every event of a list.
func each(list []*ocsf.Event, w change) []*ocsf.Event {
	for _, e := range list {
		w(e)
	}
	return list
}

// usual is n days of two sign-ins a day from one place, up to Monday.
func usual(n int, user, from string, with ...change) (out []*ocsf.Event) {
	for i := range 2 * n {
		out = append(out, signIn(monday.Add(time.Duration(i-2*n)*day/2), user, from, with...))
	}
	return out
}

// work is five days in which the partner reaches the same four hosts, up to Monday.
func work(with ...change) (out []*ocsf.Event) {
	for i := range 40 {
		out = append(out, reaches(monday.Add(time.Duration(i-40)*3*time.Hour), "10.9.0.4", fmt.Sprintf("10.1.0.%d", i%4+1), 3389, with...))
	}
	return out
}

// tour reaches n hosts, one a minute.
func tour(at time.Time, from, net string, n int, with ...change) (out []*ocsf.Event) {
	for i := range n {
		out = append(out, reaches(at.Add(time.Duration(i)*time.Minute), from, fmt.Sprintf("%s.%d", net, i+1), 445, with...))
	}
	return out
}

func byTime(events []*ocsf.Event) []*ocsf.Event {
	slices.SortStableFunc(events, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	return events
}

// run returns the last version of every finding.
func run(t *testing.T, events []*ocsf.Event) []*ocsf.Finding {
	t.Helper()
	return runEvery(t, events, 0)
}

// runEvery also takes a snapshot after every k events and goes on with a detector restored from it.
func runEvery(t *testing.T, events []*ocsf.Event, k int) []*ocsf.Finding {
	t.Helper()
	d, last := New(detect.Context{Model: model()}), map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	for i, e := range events {
		d.Advance(e.Time, emit)
		d.Process(e, emit)
		if k == 0 || i%k != 0 {
			continue
		}
		b, err := d.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		d = New(detect.Context{Model: model()})
		if err := d.Restore(b); err != nil {
			t.Fatal(err)
		}
	}
	d.Advance(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), emit)
	out := []*ocsf.Finding{}
	for _, f := range last {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *ocsf.Finding) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func brief(list []*ocsf.Finding) string {
	var out []string
	for _, f := range list {
		s := fmt.Sprintf("%s %s", strings.TrimPrefix(f.Rule, "firstcontact/"), f.Severity)
		if f.Suppressed != nil {
			s += " approved"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatIsANewPlace(t *testing.T) {
	own := func(e *ocsf.Event) { e.Partner, e.Trust, e.Direction = "", "", ocsf.DirectionUnknown }
	app := func(e *ocsf.Event) { e.User, e.Cloud.ServicePrin, e.Cloud.AppID = ocsf.User{}, true, "APP-1" }
	refused := func(e *ocsf.Event) { e.Status = ocsf.StatusFailure }
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"an account away from where its house works", append(usual(7, "kim", "198.51.100.7"), signIn(monday, "kim", "100.20.30.40")), "source low"},
		{"the same network is the same place", append(usual(7, "kim", "198.51.100.7"), signIn(monday, "kim", "198.51.100.200")), ""},
		{"where a colleague works", append(byTime(append(usual(7, "kim", "198.51.100.7"), usual(7, "lee", "100.20.30.40")...)), signIn(monday, "kim", "100.20.30.40")), ""},
		{"a partner nobody knows yet", []*ocsf.Event{signIn(monday, "kim", "198.51.100.7"), signIn(monday.Add(time.Hour), "kim", "100.20.30.40")}, ""},
		{"a declared network of the partner", append(usual(7, "kim", "198.51.100.7"), signIn(monday, "kim", "203.0.113.9")), ""},
		{"a network of the tenant's own", append(usual(7, "kim", "198.51.100.7"), signIn(monday, "kim", "192.0.2.9")), ""},
		{"somebody of the tenant's own house", append(usual(7, "anna", "198.51.100.7", own), signIn(monday, "anna", "100.20.30.40", own)), "source informational"},
		{"an app's key from a new address", append(usual(7, "", "198.51.100.7", app), signIn(monday, "", "100.20.30.40", app)), "app-source medium"},
		{"an app that is new itself", append(usual(7, "kim", "198.51.100.7"), signIn(monday, "", "100.20.30.40", app)), "source low"},
		{"a refused sign-in", append(usual(7, "kim", "198.51.100.7"), signIn(monday, "kim", "100.20.30.40", refused)), ""},
		{"a second sign-in from there", append(usual(7, "kim", "198.51.100.7"), signIn(monday, "kim", "100.20.30.40"), signIn(monday.Add(time.Hour), "kim", "100.20.30.41")), "source low"},
		{"a place that was not used for two months", append(byTime(append(usual(100, "kim", "198.51.100.7"), signIn(monday.Add(-60*day), "kim", "100.20.30.40"))), signIn(monday, "kim", "100.20.30.40")),
			"source low; source low"},
		{"an address written in two ways", append(usual(7, "kim", "::ffff:198.51.100.7"), signIn(monday, "kim", "198.51.100.7")), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, c.events)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSessionsOfEveryKindHaveAPlace(t *testing.T) {
	vpn := func(e *ocsf.Event) {
		e.Lease = &ocsf.Lease{Kind: "vpn", Start: true, Holder: ocsf.User{Name: "ISL-Kim"}, Public: e.Src.IP}
		e.Cloud, e.Src, e.Layer = nil, ocsf.Endpoint{}, tenant.LayerAccess
	}
	tool := func(e *ocsf.Event) {
		e.Remote, e.Cloud = &ocsf.RemoteSession{Tool: "screenconnect", Act: "connect", Operator: "Kim"}, nil
	}
	for _, c := range []struct {
		name string
		with change
		who  string
	}{
		{"vpn", vpn, "isl-kim"},
		{"cloud", func(*ocsf.Event) {}, "kim@isl.example"},
		{"remote tool", tool, "screenconnect operator kim"},
	} {
		found := run(t, append(usual(7, "Kim@isl.example", "198.51.100.7", c.with), signIn(monday, "Kim@isl.example", "100.20.30.40", c.with)))
		if len(found) != 1 {
			t.Fatalf("%s: %s", c.name, brief(found))
		}
		want := []ocsf.Entity{{Type: ocsf.EntityIP, Value: "100.20.30.40", Role: ocsf.RoleInfrastructure}, {Type: ocsf.EntityUser, Value: c.who, Role: ocsf.RoleActor}}
		if diff := cmp.Diff(want, found[0].Entities); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestReasonTellsCountryFactorAndWarmUp(t *testing.T) {
	hotel := signIn(monday, "new", "100.20.30.40", func(e *ocsf.Event) { e.Cloud.Country, e.Cloud.MFA = "BR", "singleFactorAuthentication" })
	found := run(t, append(usual(7, "kim", "198.51.100.7"), hotel))
	if len(found) != 1 {
		t.Fatal(brief(found))
	}
	for _, want := range []string{"new came from 100.20.30.40", "Country BR.", "One factor.", "It was seen too little before for this to weigh much: 0 of 10 acts and 0 of 24 hours seen: too young to judge."} {
		if !strings.Contains(found[0].Reason, want) {
			t.Errorf("no %q in %q", want, found[0].Reason)
		}
	}
}

func TestPeopleOfTwoPartnersWithOneNameAreTwo(t *testing.T) {
	other := func(e *ocsf.Event) { e.Partner, e.Trust = "other", "other-client" }
	events := byTime(append(usual(7, "admin", "198.51.100.7"), usual(7, "admin", "198.51.100.7", other)...))
	events = append(events, signIn(monday, "admin", "100.20.30.40"), signIn(monday.Add(time.Minute), "admin", "100.20.31.40", other))
	partners := map[tenant.PartnerID]bool{}
	for _, f := range run(t, events) {
		partners[f.Partner] = true
	}
	if len(partners) != 2 {
		t.Errorf("findings of %v", partners)
	}
}
