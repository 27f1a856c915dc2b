package fanout

import (
	"bytes"
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

// model is a provider with five clients.
func model() *tenant.Model {
	m := &tenant.Model{Version: "v1", Tenants: []tenant.Tenant{{ID: "provider", Role: tenant.RoleProvider}},
		Partners: []tenant.Partner{{ID: "isl", Tenant: "provider"}, {ID: "other"}}}
	for i := range 9 {
		id := client(i)
		m.Tenants = append(m.Tenants, tenant.Tenant{ID: id, Role: tenant.RoleClient})
		m.Trusts = append(m.Trusts, tenant.Trust{ID: tenant.TrustID("isl-" + id), Partner: "isl", Tenant: id,
			Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
	}
	return m
}

func client(i int) tenant.ID { return tenant.ID(fmt.Sprintf("client-%d", i)) }

type change func(*ocsf.Event)

// signIn is a person's sign-in to a tenant's cloud.
func signIn(at time.Time, id tenant.ID, user, from string, s ocsf.Status, with ...change) *ocsf.Event {
	e := &ocsf.Event{Time: at, Tenant: id, Layer: tenant.LayerCloud, Class: ocsf.ClassAuthentication, Activity: "logon", Status: s,
		User: ocsf.User{Name: user}, Cloud: &ocsf.Cloud{Provider: "azure"}, Src: ocsf.Endpoint{IP: netip.MustParseAddr(from)},
		Raw: ocsf.RawRef{File: "signin.json", Record: at.UnixMilli()}}
	for _, w := range with {
		w(e)
	}
	return e
}

// ofPartner attributes the event to the partner's trust into its tenant.
func ofPartner(e *ocsf.Event) {
	e.Partner, e.Trust, e.Direction = "isl", tenant.TrustID("isl-"+e.Tenant), ocsf.DirectionIn
}

func byTime(events []*ocsf.Event) []*ocsf.Event {
	slices.SortStableFunc(events, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	return events
}

// run returns the last version of every finding, by id.
func run(m *tenant.Model, events []*ocsf.Event) map[string]*ocsf.Finding {
	return runEvery(nil, m, events, 0)
}

// runEvery also takes a snapshot after every k events and goes on with a detector restored from it.
func runEvery(t *testing.T, m *tenant.Model, events []*ocsf.Event, k int) map[string]*ocsf.Finding {
	d, last := New(detect.Context{Model: m}), map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	for i, e := range events {
		d.Process(e, emit)
		if k == 0 || i%k != 0 {
			continue
		}
		b, err := d.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		d = New(detect.Context{Model: m})
		if err := d.Restore(b); err != nil {
			t.Fatal(err)
		}
	}
	d.Advance(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), emit)
	return last
}

func sorted(found map[string]*ocsf.Finding) []*ocsf.Finding {
	out := []*ocsf.Finding{}
	for _, f := range found {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *ocsf.Finding) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		if c := strings.Compare(string(a.Tenant), string(b.Tenant)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// brief is one line a finding: tenant, rule, severity, outcome.
func brief(found map[string]*ocsf.Finding) string {
	var out []string
	for _, f := range sorted(found) {
		out = append(out, fmt.Sprintf("%s %s %s %s", f.Tenant, strings.TrimPrefix(f.Rule, "fanout/"), f.Severity, f.Outcome))
	}
	return strings.Join(out, "; ")
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// tour is one account that signs in to the named clients, one a minute.
func tour(at time.Time, user string, clients ...int) (out []*ocsf.Event) {
	for i, c := range clients {
		out = append(out, signIn(at.Add(time.Duration(i)*time.Minute), client(c), user, "203.0.113.5", ocsf.StatusSuccess, ofPartner))
	}
	return out
}

func TestWhatSpreadsOverTenants(t *testing.T) {
	habit := func(days int, clients ...int) (out []*ocsf.Event) {
		for d := range days {
			out = append(out, tour(monday.AddDate(0, 0, d-days), "kim@isl.example", clients...)...)
		}
		return out
	}
	app := func(from string, clients ...int) (out []*ocsf.Event) {
		for i, c := range clients {
			out = append(out, signIn(monday.Add(time.Duration(i)*time.Minute), client(c), "", from, ocsf.StatusSuccess, ofPartner,
				func(e *ocsf.Event) { e.Cloud.ServicePrin, e.Cloud.AppID = true, "APP-1" }))
		}
		return out
	}
	each := func(list []*ocsf.Event, w change) []*ocsf.Event {
		for _, e := range list {
			w(e)
		}
		return list
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"one account at two tenants is nothing", tour(monday, "kim@isl.example", 0, 1), ""},
		{"at three tenants, too new to have a habit, is low", tour(monday, "kim@isl.example", 0, 1, 2),
			"client-0 tenants low unknown; client-1 tenants low unknown; client-2 tenants low unknown"},
		{"who does so every day is not told again",
			append(habit(5, 0, 1, 2), tour(monday, "kim@isl.example", 0, 1, 2)...)[3:], "first day only"},
		{"one tenant more than usual is nothing", append(habit(5, 0, 1), tour(monday, "kim@isl.example", 0, 1, 2)...), ""},
		{"four more than usual is medium", append(habit(5, 0), tour(monday, "kim@isl.example", 0, 1, 2, 3, 4)...),
			"client-0 tenants medium unknown; client-1 tenants medium unknown; client-2 tenants medium unknown; client-3 tenants medium unknown; client-4 tenants medium unknown"},
		{"the name's case makes no second account", byTime(append(tour(monday, "Kim@isl.example", 0, 1), tour(monday.Add(5*time.Minute), "KIM@ISL.example", 2)...)),
			"client-0 tenants low unknown; client-1 tenants low unknown; client-2 tenants low unknown"},
		{"three tenants over a morning is nothing", byTime([]*ocsf.Event{tour(monday, "kim", 0)[0], tour(monday.Add(40*time.Minute), "kim", 1)[0], tour(monday.Add(80*time.Minute), "kim", 2)[0]}), ""},
		{"an app from one address", app("198.51.100.7", 0, 1, 2), "client-0 tenants low unknown; client-1 tenants low unknown; client-2 tenants low unknown"},
		{"nobody's partner", each(tour(monday, "kim", 0, 1, 2), func(e *ocsf.Event) { e.Partner, e.Trust = "", "" }), ""},
		{"the provider's own record of what it did", each(tour(monday, "kim", 0, 1, 2), func(e *ocsf.Event) { e.Direction = ocsf.DirectionOut }), ""},
		{"refused sign-ins", each(tour(monday, "kim", 0, 1, 2), func(e *ocsf.Event) { e.Status = ocsf.StatusFailure }), ""},
		{"a VPN account", each(tour(monday, "", 0, 1, 2), func(e *ocsf.Event) {
			e.Cloud, e.Lease, e.Layer = nil, &ocsf.Lease{Kind: "vpn", Start: true, Holder: ocsf.User{Name: "isl-kim"}}, tenant.LayerAccess
		}), "client-0 tenants low unknown; client-1 tenants low unknown; client-2 tenants low unknown"},
		{"an operator of the remote tool", each(tour(monday, "", 0, 1, 2), func(e *ocsf.Event) {
			e.Cloud, e.Remote, e.Class = nil, &ocsf.RemoteSession{Tool: "screenconnect", Operator: "Kim", Act: "connect"}, ocsf.ClassBase
		}), "client-0 tenants low unknown; client-1 tenants low unknown; client-2 tenants low unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := run(model(), c.events)
			if c.want == "first day only" {
				for _, f := range found {
					if !f.Time.Before(monday.AddDate(0, 0, -3)) {
						t.Errorf("%s: %s", f.Time, f.Reason)
					}
				}
				return
			}
			if got := brief(found); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSpreadFindingNamesWhoAndWhereFrom(t *testing.T) {
	found := sorted(run(model(), tour(monday, "kim@isl.example", 0, 1, 2)))
	f := found[1]
	want := []ocsf.Entity{
		{Type: ocsf.EntityIP, Value: "203.0.113.5", Role: ocsf.RoleSource},
		{Type: ocsf.EntityUser, Value: "kim@isl.example", Role: ocsf.RoleActor},
	}
	if diff := cmp.Diff(want, f.Entities); diff != "" {
		t.Error(diff)
	}
	if f.Technique != "T1199" || f.Partner != "isl" || f.Trust != "isl-client-1" || f.Count != 1 || !f.Time.Equal(monday.Add(time.Minute)) {
		t.Errorf("%+v", f)
	}
	if want := "user kim@isl.example reached 3 tenants within 30m0s; it is too new to have a habit."; f.Reason != want {
		t.Errorf("got  %s\nwant %s", f.Reason, want)
	}
}

// everything is some days in which each part of the detector has something to say.
func everything() []*ocsf.Event {
	var events []*ocsf.Event
	for d := range 4 {
		at := monday.AddDate(0, 0, d)
		events = append(events, tour(at, "kim@isl.example", 0, 1, 2, 3, 4, 5)[:[]int{1, 2, 5, 6}[d]]...)
		events = append(events, spraying(at.Add(time.Hour), "client-0", 8+d, "198.51.100.7", "198.51.100.8")...)
		events = append(events, signIn(at.Add(2*time.Hour), "client-0", "user-3", "198.51.100.7", ocsf.StatusSuccess))
		events = append(events, mailboxesOpened(at.Add(3*time.Hour), "client-1", "kim@isl.example", 3+d)...)
		events = append(events, mailboxesOpened(at.Add(6*time.Hour), "client-1", "kim@isl.example", 2)...)
		events = append(events, knocking(at.Add(4*time.Hour), "client-2", "203.0.113.9", 3+d)...)
	}
	return byTime(events)
}

func TestRestartsChangeNothing(t *testing.T) {
	events := everything()
	want := run(model(), events)
	rules := map[string]bool{}
	for _, f := range want {
		rules[f.Rule] = true
	}
	if len(rules) != 4 {
		t.Fatalf("the events show %v, not every rule", rules)
	}
	for _, k := range []int{1, 2, 3, 7, 50} {
		if diff := cmp.Diff(asJSON(t, sorted(want)), asJSON(t, sorted(runEvery(t, model(), events, k)))); diff != "" {
			t.Fatalf("a restart after every %d events: %s", k, diff)
		}
	}
	if err := New(detect.Context{Model: model()}).Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense is restored")
	}
}

func TestSameEventsGiveSameFindings(t *testing.T) {
	want := asJSON(t, sorted(run(model(), everything())))
	for range 20 {
		if diff := cmp.Diff(want, asJSON(t, sorted(run(model(), everything())))); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestExplainNamesWhatIsCounted(t *testing.T) {
	d := New(detect.Context{Model: model()})
	for _, c := range []struct {
		name  string
		event *ocsf.Event
		want  string
	}{
		{"a partner's sign-in", tour(monday, "kim", 0)[0], "user kim counts towards 3 tenants"},
		{"somebody's own sign-in", signIn(monday, "client-0", "anna", "198.51.100.7", ocsf.StatusFailure), "counts towards 5 accounts"},
		{"nothing of these", &ocsf.Event{}, "no session of a partner"},
	} {
		if got := strings.Join(d.Explain(c.event), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
