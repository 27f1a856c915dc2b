package fanout

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// visits are logons of a partner's account at n hosts of a tenant, one a minute.
func visits(at time.Time, id tenant.ID, who, from string, n int) (out []*ocsf.Event) {
	for i := range n {
		e := &ocsf.Event{Time: at.Add(time.Duration(i) * time.Minute), Tenant: id, Layer: tenant.LayerEndpoint, Class: ocsf.ClassAuthentication,
			Activity: "logon", Status: ocsf.StatusSuccess, User: ocsf.User{Name: who}, Device: fmt.Sprintf("%s-SRV-%d.%s.example", id, i, id),
			Raw: ocsf.RawRef{File: "security.json", Record: at.Unix() + int64(i)}}
		if from != "" {
			e.Src.IP = netip.MustParseAddr(from)
		}
		ofPartner(e)
		out = append(out, e)
	}
	return out
}

// remote is what a remote tool does on n hosts of a tenant, one a minute.
func remote(at time.Time, id tenant.ID, act, line string, n int) (out []*ocsf.Event) {
	for i := range n {
		e := &ocsf.Event{Time: at.Add(time.Duration(i) * time.Minute), Tenant: id, Layer: tenant.LayerEndpoint, Class: ocsf.ClassBase, Device: fmt.Sprintf("%s-ws-%d", id, i),
			Remote: &ocsf.RemoteSession{Tool: "screenconnect", Instance: "0123456789ABCDEF", Act: act, CommandLine: line},
			Raw:    ocsf.RawRef{File: "screenconnect.json", Record: at.Unix() + int64(i)}}
		ofPartner(e)
		out = append(out, e)
	}
	return out
}

func onDays(days int, make func(at time.Time) []*ocsf.Event) (out []*ocsf.Event) {
	for d := range days {
		out = append(out, make(monday.AddDate(0, 0, d-days))...)
	}
	return out
}

// since leaves out what was found before a time.
func since(found map[string]*ocsf.Finding, from time.Time) map[string]*ocsf.Finding {
	out := map[string]*ocsf.Finding{}
	for id, f := range found {
		if !f.Time.Before(from) {
			out[id] = f
		}
	}
	return out
}

func TestWhoReachesManyHosts(t *testing.T) {
	kim := func(n int) func(time.Time) []*ocsf.Event {
		return func(at time.Time) []*ocsf.Event { return visits(at, "client-0", "isl-kim", "203.0.113.5", n) }
	}
	patch := func(at time.Time) []*ocsf.Event { return remote(at, "client-0", "connect", "", 40) }
	each := func(list []*ocsf.Event, w change) []*ocsf.Event {
		for _, e := range list {
			w(e)
		}
		return list
	}
	drift := func(at time.Time) []*ocsf.Event { return patch(at.Add(-time.Duration(at.Day()%3) * time.Hour)) }
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"four hosts are nothing", kim(4)(monday), ""},
		{"five hosts, too new to have a habit, is told as warm-up", kim(5)(monday), "client-0 hosts informational unknown"},
		{"nine hosts of somebody who visits two a day", append(onDays(5, kim(2)), kim(9)(monday)...), "client-0 hosts low unknown"},
		{"who visits eight a day visits ten", append(onDays(5, kim(8)), kim(10)(monday)...), ""},
		{"and twelve", append(onDays(5, kim(8)), kim(12)(monday)...), "client-0 hosts low unknown"},
		{"a nightly patch run is habit", append(onDays(5, patch), patch(monday)...), ""},
		{"a nightly patch run that begins some hours early or late", append(onDays(7, drift), drift(monday)...), ""},
		{"the first patch run is told as warm-up", patch(monday), "client-0 hosts informational unknown"},
		{"one host again and again", each(kim(40)(monday), func(e *ocsf.Event) { e.Device = "srv" }), ""},
		{"hosts over a day", each(kim(12)(monday), func(e *ocsf.Event) { e.Time = monday.Add(12 * e.Time.Sub(monday)) }), ""},
		{"logons that fail", each(kim(2)(monday), func(e *ocsf.Event) { e.Status = ocsf.StatusFailure }), ""},
		{"the client's own people", each(kim(40)(monday), func(e *ocsf.Event) { e.Partner, e.Trust = "", "" }), ""},
		{"several accounts from one address", each(kim(6)(monday), func(e *ocsf.Event) { e.User.Name += e.Device[:10][9:] + fmt.Sprint(e.Time.Minute()) }), "client-0 hosts informational unknown"},
		{"with and without the domain is one host", byTime(append(kim(3)(monday), each(kim(3)(monday), func(e *ocsf.Event) { e.Device = strings.ToLower(hostName(e.Device)) })...)), ""},
		{"the provider's own record of its operator", each(remote(monday, "provider", "connect", "", 6), func(e *ocsf.Event) {
			e.Direction, e.Remote.Operator, e.Remote.Company, e.Remote.Target, e.Remote.Instance = ocsf.DirectionOut, "Kim", "Client", e.Device, ""
		}), "provider hosts informational unknown"},
		{"a command that an app runs on machines", each(kim(6)(monday), func(e *ocsf.Event) {
			e.Cloud, e.Class = &ocsf.Cloud{ServicePrin: true, AppID: "APP-1", Operation: "runCommand"}, ocsf.ClassAPIActivity
		}), "client-0 hosts informational unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(since(run(model(), c.events), monday.Add(-6*time.Hour))); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// thin is one account at a few hosts of each of many tenants.
func thin(at time.Time) (out []*ocsf.Event) {
	for i := range 5 {
		out = append(out, visits(at.Add(time.Duration(i)*5*time.Second), client(i), "isl-kim", "203.0.113.5", 2)...)
	}
	return byTime(out)
}

func TestThinSpreadOverTenantsIsSeen(t *testing.T) {
	got := brief(run(model(), thin(monday)))
	if want := "client-0 hosts-of-many informational unknown; client-1 hosts-of-many informational unknown"; !strings.HasPrefix(got, want) || strings.Count(got, "hosts-of-many") != 5 {
		t.Errorf("got %s", got)
	}
}

// TestIsolationOfWhatSpreads looks for names of other tenants in what a tenant is told.
func TestIsolationOfWhatSpreads(t *testing.T) {
	events := thin(monday)
	for i := range 4 {
		events = append(events, remote(monday.Add(time.Hour+time.Duration(i)*time.Second), client(i), "command", "powershell -File \\\\share\\new.ps1", 4)...)
	}
	events = append(events, tour(monday.Add(3*time.Hour), "kim@isl.example", 0, 1, 2, 3)...)
	rules := map[string]int{}
	for _, f := range run(model(), byTime(events)) {
		rules[f.Rule]++
		text := asJSON(t, f)
		for i := range 9 {
			if id := string(client(i)); id != string(f.Tenant) && strings.Contains(text, id) {
				t.Errorf("%s is told of %s: %s", f.Tenant, id, text)
			}
		}
	}
	for _, r := range []string{"fanout/hosts-of-many", "fanout/script", "fanout/tenants"} {
		if rules[r] < 4 {
			t.Errorf("%d findings of %s", rules[r], r)
		}
	}
}

func TestFirstBurstOfTheDayStays(t *testing.T) {
	days := onDays(5, func(at time.Time) []*ocsf.Event { return tour(at, "kim", 0) })
	morning, evening := tour(monday, "kim", 0, 1, 2, 3, 4), tour(monday.Add(8*time.Hour), "kim", 0, 5, 6, 7, 8)
	found := since(run(model(), slices.Concat(days, morning, evening)), monday)
	want := strings.TrimSuffix(strings.Join([]string{"client-0", "client-1", "client-2", "client-3", "client-4", "client-0", "client-5", "client-6", "client-7", "client-8", ""}, " tenants medium unknown; "), "; ")
	if got := brief(found); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	mail := slices.Concat(mailboxesOpened(monday, "client-0", "kim", 3), mailboxesOpened(monday.Add(8*time.Hour), "client-0", "kim", 4))
	if got, want := brief(run(model(), mail)), "client-0 mailboxes medium succeeded; client-0 mailboxes medium succeeded"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestWhatLeavesTheWindowStaysInTheFinding spreads longer than a window.
func TestWhatLeavesTheWindowStaysInTheFinding(t *testing.T) {
	found := sorted(run(model(), visits(monday, "client-0", "isl-kim", "", 100)))
	if len(found) != 1 || found[0].Count != 100 || !strings.Contains(found[0].Reason, "on 100 since 2026-09-07 09:00:00") {
		t.Errorf("%s", asJSON(t, found))
	}
}

func TestItFiresAtTheThirdTenantAndTheFifthHost(t *testing.T) {
	for _, c := range []struct {
		events []*ocsf.Event
		at     int
	}{{tour(monday, "kim", 0, 1, 2, 3), 3}, {visits(monday, "client-0", "isl-kim", "", 8), 5}, {remote(monday, "client-0", "command", "new.exe /all", 8), 5}} {
		d, told := New(detect.Context{Model: model()}), 0
		for i, e := range c.events {
			d.Process(e, func(*ocsf.Finding) {
				if told == 0 {
					told = i + 1
				}
			})
		}
		if told != c.at {
			t.Errorf("told at event %d, want %d", told, c.at)
		}
	}
}

// TestMidnightAndHoursMakeNoDifference moves the same story through the day.
func TestMidnightAndHoursMakeNoDifference(t *testing.T) {
	story := func(shift time.Duration) []*ocsf.Event {
		events := append(onDays(4, func(at time.Time) []*ocsf.Event { return visits(at.Add(shift), "client-0", "isl-kim", "", 3) }), visits(monday.Add(shift), "client-0", "isl-kim", "", 8)...)
		return append(events, tour(monday.Add(shift+2*time.Hour), "kim", 0, 1, 2)...)
	}
	want := brief(run(model(), story(0)))
	if !strings.Contains(want, "hosts low") || !strings.Contains(want, "tenants low") {
		t.Fatal(want)
	}
	r := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		shift := time.Duration(r.Int64N(int64(48 * time.Hour)))
		if got := brief(run(model(), story(shift))); got != want {
			t.Fatalf("moved by %s:\ngot  %s\nwant %s", shift, got, want)
		}
	}
}

// TestOrderOfArrivalAndBatchesChangeNothing sorts shuffled events as the pipeline does, and stops and goes on at odd
// places.
func TestOrderOfArrivalAndBatchesChangeNothing(t *testing.T) {
	events := everything()
	for i := range 3 {
		events = append(events, visits(monday.AddDate(0, 0, i).Add(9*time.Hour), "client-3", "isl-kim", "203.0.113.5", 4+3*i)...)
		events = append(events, remote(monday.AddDate(0, 0, i).Add(11*time.Hour), "client-4", "command", "gpupdate /force", 6)...)
	}
	for i, e := range events {
		e.ID[0], e.ID[1] = byte(i>>8), byte(i)
	}
	order := func(list []*ocsf.Event) []*ocsf.Event {
		slices.SortFunc(list, func(a, b *ocsf.Event) int {
			if c := a.Time.Compare(b.Time); c != 0 {
				return c
			}
			return slices.Compare(a.ID[:], b.ID[:])
		})
		return list
	}
	want := asJSON(t, sorted(run(model(), order(events))))
	r := rand.New(rand.NewPCG(8, 8))
	for range 5 {
		mixed := slices.Clone(events)
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := asJSON(t, sorted(runEvery(t, model(), order(mixed), 1+r.IntN(30)))); got != want {
			t.Fatal("another order of arrival gives another answer")
		}
	}
}

// TestClockThatWasAheadLosesNoWindow has one event far in the future, as a broken clock writes it.
func TestClockThatWasAheadLosesNoWindow(t *testing.T) {
	events := visits(monday, "client-0", "isl-kim", "", 9)
	wrong := visits(monday.AddDate(30, 0, 0), "client-0", "isl-kim", "", 1)
	got := brief(run(model(), slices.Concat(events[:2], wrong, events[2:])))
	if want := "client-0 hosts informational unknown"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
