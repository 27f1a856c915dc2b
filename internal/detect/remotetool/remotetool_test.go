package remotetool

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

const (
	theirs  = "0123456789abcdef" // the partner's instance
	foreign = "fedcba9876543210"
	moved   = "00ff00ff00ff00ff" // the partner's, after the licence move
)

// model is a provider whose ScreenConnect is declared at its client, and a licence move on Monday noon.
func model() *tenant.Model {
	tools := func(instance string) []tenant.RemoteTool {
		return []tenant.RemoteTool{{Tool: "screenconnect", Instance: instance, Hosts: []string{"help.isl.example"}}}
	}
	return &tenant.Model{Version: "v1",
		Tenants:  []tenant.Tenant{{ID: "client"}, {ID: "second"}, {ID: "provider"}, {ID: "alone"}},
		Partners: []tenant.Partner{{ID: "isl", Tenant: "provider"}},
		Trusts: []tenant.Trust{
			{ID: "isl-client", Partner: "isl", Tenant: "client", RemoteTools: tools(theirs), ValidUntil: monday.Add(30 * 24 * time.Hour)},
			{ID: "isl-client-moved", Partner: "isl", Tenant: "client", RemoteTools: tools(moved), ValidFrom: monday.Add(3 * time.Hour)},
			{ID: "isl-second", Partner: "isl", Tenant: "second", RemoteTools: []tenant.RemoteTool{{Tool: "anydesk"}, {Tool: "screenconnect", Instance: theirs}}},
		},
	}
}

type change func(*ocsf.Event)

// act is what a tool did on a host of the client.
func act(at time.Time, what, tool, instance string, with ...change) *ocsf.Event {
	e := &ocsf.Event{Time: at, Tenant: "client", Layer: tenant.LayerEndpoint, Class: ocsf.ClassWindowsService, Device: "WS-7",
		Remote: &ocsf.RemoteSession{Tool: tool, Instance: instance, Act: what}, Raw: ocsf.RawRef{File: "system.json", Record: at.Unix()}}
	for _, w := range with {
		w(e)
	}
	return e
}

// contact is a look-up of a relay's name or a connection to it.
func contact(at time.Time, domain string, with ...change) *ocsf.Event {
	e := &ocsf.Event{Time: at, Tenant: "client", Layer: tenant.LayerNetwork, Class: ocsf.ClassDNSActivity,
		Src: ocsf.Endpoint{IP: netip.MustParseAddr("10.1.0.7")}, Dst: ocsf.Endpoint{Domain: domain}, Raw: ocsf.RawRef{File: "dns.log", Record: at.Unix()}}
	for _, w := range with {
		w(e)
	}
	return e
}

// calm is an event without a tool, days before.
func calm() *ocsf.Event {
	return &ocsf.Event{Time: monday.AddDate(0, 0, -5), Tenant: "client", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity}
}

func at(id tenant.ID) change   { return func(e *ocsf.Event) { e.Tenant = id } }
func relay(host string) change { return func(e *ocsf.Event) { e.Remote.Relay = host } }
func out(e *ocsf.Event) {
	e.Direction, e.Rule, e.Partner, e.Trust = ocsf.DirectionOut, "remote tool", "isl", "isl-client"
}
func device(name string) change { return func(e *ocsf.Event) { e.Device = name } }
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
	list := []*ocsf.Finding{}
	for _, f := range last {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *ocsf.Finding) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

func brief(list []*ocsf.Finding) string {
	var out []string
	for _, f := range list {
		out = append(out, fmt.Sprintf("%s %s %s %s", f.Tenant, strings.TrimPrefix(f.Rule, "remotetool/"), f.Severity, f.Outcome))
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

func TestWhoseInstanceItIs(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"the partner's own", []*ocsf.Event{act(monday, "connect", "screenconnect", theirs)}, ""},
		{"written in capitals", []*ocsf.Event{act(monday, "connect", "screenconnect", strings.ToUpper(theirs))}, ""},
		{"a foreign one is installed", []*ocsf.Event{act(monday, "install", "screenconnect", foreign)}, "client foreign-instance high succeeded"},
		{"a foreign one behind the partner's relay name", []*ocsf.Event{act(monday, "install", "screenconnect", foreign, relay("help.isl.example"))}, "client foreign-instance high succeeded"},
		{"one that is removed", []*ocsf.Event{act(monday, "disconnect", "screenconnect", foreign)}, "client foreign-instance low unknown"},
		{"the partner's relay without an instance", []*ocsf.Event{act(monday, "connect", "screenconnect", "", relay("help.isl.example"))}, ""},
		{"a name below the partner's relay", []*ocsf.Event{act(monday, "connect", "screenconnect", "", relay("eu.help.isl.example"))}, ""},
		{"another relay without an instance", []*ocsf.Event{act(monday, "connect", "screenconnect", "", relay("isl.example.evil.example"))}, "client foreign-instance medium succeeded"},
		{"a record that does not tell which", []*ocsf.Event{act(monday, "connect", "screenconnect", "")}, ""},
		{"a tool that nobody declared", []*ocsf.Event{act(monday, "install", "anydesk", "")}, "client unsanctioned-tool medium succeeded"},
		{"a tool declared as such, any instance", []*ocsf.Event{act(monday, "install", "anydesk", "123456789", at("second"))}, ""},
		{"a tool that another tenant declared", []*ocsf.Event{act(monday, "install", "screenconnect", theirs, at("alone"))}, "alone unsanctioned-tool medium succeeded"},
		{"the provider's instance in its own house", []*ocsf.Event{act(monday, "install", "screenconnect", theirs, at("provider"))}, ""},
		{"a foreign one in the provider's house", []*ocsf.Event{act(monday, "install", "screenconnect", foreign, at("provider"))}, "provider foreign-instance high succeeded"},
		{"the provider's own record of what it did", []*ocsf.Event{act(monday, "connect", "screenconnect", "", at("provider"), out)}, ""},
		{"the new instance before the licence move", []*ocsf.Event{act(monday, "install", "screenconnect", moved)}, "client foreign-instance high succeeded"},
		{"the new instance after the declared licence move", []*ocsf.Event{act(monday.Add(4*time.Hour), "install", "screenconnect", moved)}, ""},
		{"the old instance when its trust has ended", []*ocsf.Event{act(monday.AddDate(0, 0, 40), "connect", "screenconnect", theirs)}, "client foreign-instance high succeeded"},
		{"many acts of one instance are one finding", []*ocsf.Event{act(monday, "install", "screenconnect", foreign), act(monday.Add(time.Hour), "connect", "screenconnect", foreign, device("WS-8")),
			act(monday.AddDate(0, 0, 3), "command", "screenconnect", foreign)}, "client foreign-instance high succeeded"},
		{"one instance at two tenants", []*ocsf.Event{act(monday, "install", "screenconnect", foreign), act(monday.Add(time.Hour), "install", "screenconnect", foreign, at("second"))},
			"client foreign-instance high succeeded; second foreign-instance high succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, c.events)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatAContactWithARelaySays(t *testing.T) {
	const rented = "instance-ev1l99-relay.screenconnect.com"
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"a rented relay, days after the first event", []*ocsf.Event{calm(), contact(monday, rented)}, "client foreign-instance medium unknown"},
		{"a rented relay that was there from the start", []*ocsf.Event{contact(monday, rented), contact(monday.AddDate(0, 0, 9), rented)}, "client foreign-instance low unknown"},
		{"where the product is declared by instance alone", []*ocsf.Event{contact(monday, rented, at("second"))}, ""},
		{"unless that relay's agent ran there", []*ocsf.Event{act(monday, "install", "screenconnect", foreign, at("second"), relay(rented)), contact(monday.Add(time.Minute), rented, at("second"))},
			"second foreign-instance high succeeded"},
		{"where nobody declares the product", []*ocsf.Event{contact(monday, rented, at("alone"))}, "alone unsanctioned-tool low unknown"},
		{"the maker of a product without instances", []*ocsf.Event{calm(), contact(monday, "relay-1.net.anydesk.com")}, ""},
		{"any other name", []*ocsf.Event{calm(), contact(monday, "www.example.com")}, ""},
		{"no name", []*ocsf.Event{calm(), contact(monday, "")}, ""},
		{"a message that names it", []*ocsf.Event{calm(), contact(monday, rented, func(e *ocsf.Event) { e.Class = ocsf.ClassEmailActivity })}, ""},
		{"the declared relay of one's own name", []*ocsf.Event{calm(), contact(monday, "help.isl.example")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, c.events)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFindingNamesInstanceRelayHostsAndOperator(t *testing.T) {
	f := run(t, []*ocsf.Event{
		act(monday, "install", "screenconnect", foreign, relay("Relay.evil.example")),
		act(monday.Add(time.Minute), "connect", "screenconnect", foreign, device("WS-8"), func(e *ocsf.Event) { e.Remote.Operator = "Admin" }),
	})[0]
	want := []ocsf.Entity{
		{Type: ocsf.EntityRMM, Value: foreign, Role: ocsf.RoleInfrastructure},
		{Type: ocsf.EntityDomain, Value: "relay.evil.example", Role: ocsf.RoleInfrastructure},
		{Type: ocsf.EntityHost, Value: "WS-7", Role: ocsf.RoleTarget},
		{Type: ocsf.EntityHost, Value: "WS-8", Role: ocsf.RoleTarget},
		{Type: ocsf.EntityUser, Value: "Admin", Role: ocsf.RoleActor},
	}
	if diff := cmp.Diff(want, f.Entities); diff != "" {
		t.Error(diff)
	}
	if f.Technique != "T1219.002" || f.Count != 2 || f.Confidence != 80 {
		t.Errorf("%+v", f)
	}
	if want := "screenconnect instance " + foreign + " was seen 2 times; this tenant's trusts declare screenconnect, but not this instance, so it is somebody else's."; f.Reason != want {
		t.Errorf("got  %s\nwant %s", f.Reason, want)
	}
}

// everything is some days with sanctioned and other tools at several tenants.
func everything() []*ocsf.Event {
	events := []*ocsf.Event{calm()}
	for i := range 60 {
		now, id := monday.Add(time.Duration(i)*time.Hour), []tenant.ID{"client", "second", "alone", "provider"}[i%4]
		events = append(events,
			act(now, "connect", "screenconnect", theirs, at(id)),
			act(now.Add(time.Minute), "install", "screenconnect", fmt.Sprintf("%016x", i/8), at(id), relay(fmt.Sprintf("instance-r%d-relay.screenconnect.com", i/8))),
			contact(now.Add(2*time.Minute), fmt.Sprintf("instance-r%d-relay.screenconnect.com", i/6), at(id)),
			act(now.Add(3*time.Minute), "connect", "anydesk", "", at(id), device(fmt.Sprintf("WS-%d", i))))
	}
	return events
}

func TestRestartsChangeNothing(t *testing.T) {
	events := everything()
	want := run(t, events)
	if len(want) < 10 {
		t.Fatal(brief(want))
	}
	for _, k := range []int{1, 2, 3, 7, 50} {
		if diff := cmp.Diff(asJSON(t, want), asJSON(t, runEvery(t, events, k))); diff != "" {
			t.Fatalf("a restart after every %d events: %s", k, diff)
		}
	}
	if err := New(detect.Context{Model: model()}).Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense is restored")
	}
}

func TestSameEventsGiveSameFindings(t *testing.T) {
	want := asJSON(t, run(t, everything()))
	for range 20 {
		if diff := cmp.Diff(want, asJSON(t, run(t, everything()))); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestFloodOfInstancesAndRelaysIsBounded(t *testing.T) {
	d := New(detect.Context{Model: model()})
	quiet := func(*ocsf.Finding) {}
	for i := range MaxFindings + 1000 {
		d.Process(act(monday, "install", "screenconnect", fmt.Sprintf("%016x", i), relay(fmt.Sprintf("r%d.evil.example", i))), quiet)
	}
	if len(d.found) > MaxFindings || len(d.relays) > MaxFindings {
		t.Errorf("%d findings, %d relays kept", len(d.found), len(d.relays))
	}
	d = New(detect.Context{Model: model()})
	var f *ocsf.Finding
	told, keep := 0, func(x *ocsf.Finding) { f = x }
	for i := range 3000 {
		d.Process(act(monday, "connect", "screenconnect", foreign, relay(fmt.Sprintf("r%d.evil.example", i)), device(fmt.Sprintf("WS-%d", i)),
			func(e *ocsf.Event) { e.Remote.Operator = fmt.Sprintf("op-%d", i) }), func(*ocsf.Finding) { told++ })
	}
	d.Advance(monday, keep)
	if told > 100 {
		t.Errorf("a flood of 3000 events was told %d times", told)
	}
	if len(f.Entities) > maxEntities+3 || len(f.Evidence) > ocsf.MaxEvidence || f.Count != 3000 {
		t.Errorf("%d entities, %d kept of %d events", len(f.Entities), len(f.Evidence), f.Count)
	}
}

func TestExplainNamesTheInstance(t *testing.T) {
	d := New(detect.Context{Model: model()})
	for _, c := range []struct {
		name  string
		event *ocsf.Event
		want  string
	}{
		{"the partner's", act(monday, "connect", "screenconnect", theirs), "screenconnect " + theirs + "  is sanctioned by a trust"},
		{"a foreign one", act(monday, "connect", "screenconnect", foreign), "is not declared by any trust"},
		{"a relay that is judged by nothing else", contact(monday, "relay-1.net.anydesk.com"), "a contact with its maker's hosts says nothing"},
		{"a rented relay where the instance alone is declared", contact(monday, "instance-ev1l99-relay.screenconnect.com", at("second")), "is sanctioned by a trust"},
		{"none", calm(), "no remote tool in this event"},
	} {
		if got := strings.Join(d.Explain(c.event), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
