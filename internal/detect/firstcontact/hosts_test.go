package firstcontact

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func TestWhatIsAHitList(t *testing.T) {
	second := func(e *ocsf.Event) { e.Tenant, e.Trust = "second", "isl-second" }
	usualService := func(e *ocsf.Event) { e.Dst.Port = 3389 }
	spread := func(list []*ocsf.Event) []*ocsf.Event {
		for i, e := range list {
			e.Src.IP = netip.AddrFrom4([4]byte{10, 9, 3, byte(i)})
		}
		return list
	}
	busy := func() (out []*ocsf.Event) { // a month of the usual hosts, and a dozen new ones every other day
		for i := range 30 {
			at := monday.Add(time.Duration(i-30) * day)
			out = append(out, reaches(at.Add(-time.Hour), "10.9.0.4", "10.1.0.1", 3389))
			if i%2 == 0 {
				out = append(out, tour(at, "10.9.0.4", fmt.Sprintf("10.1.%d", i+1), 12)...)
			}
		}
		return out
	}
	slow := tour(monday, "10.9.0.4", "10.1.2", 8, usualService)
	for i, e := range slow {
		e.Time = monday.Add(time.Duration(i) * 10 * time.Minute)
	}
	var both []*ocsf.Event // four hosts, seen on the network and in their own logs
	for i, e := range tour(monday, "10.9.0.4", "10.1.2", 4) {
		both = append(both, e, logon(e.Time.Add(time.Second), "10.9.0.4", fmt.Sprintf("srv-%d", i)))
	}
	var named []*ocsf.Event
	for i := range 8 {
		named = append(named, logon(monday.Add(time.Duration(i)*time.Minute), "10.9.0.4", fmt.Sprintf("fd00::1:%d", i)))
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"eight new hosts within an hour", append(work(), tour(monday, "10.9.0.4", "10.1.2", 8)...), "hit-list medium"},
		{"eight by the service it always uses", append(work(), tour(monday, "10.9.0.4", "10.1.2", 8, usualService)...), "hit-list medium"},
		{"six by the service it always uses", append(work(), tour(monday, "10.9.0.4", "10.1.2", 6, usualService)...), ""},
		{"six by a service that is new to the trust", append(work(), tour(monday, "10.9.0.4", "10.1.2", 6)...), "hit-list medium"},
		{"four are daily life", append(work(), tour(monday, "10.9.0.4", "10.1.2", 4)...), ""},
		{"eight in eighty minutes", append(work(), slow...), ""},
		{"a busy technician who often meets ten", append(busy(), tour(monday, "10.9.0.4", "10.1.250", 10)...), ""},
		{"who often meets ten and now forty", append(busy(), tour(monday, "10.9.0.4", "10.1.250", 40)...), "hit-list medium"},
		{"hosts that the trust names", append(work(), tour(monday, "10.9.0.4", "10.1.99", 12)...), ""},
		{"each from an address of its own", append(work(), spread(tour(monday, "10.9.0.4", "10.1.2", 40))...), "hit-list medium"},
		{"eight ports of one host", append(work(), each(tour(monday, "10.9.0.4", "10.1.2", 8), func(e *ocsf.Event) {
			e.Dst.Port, e.Dst.IP = uint16(e.Dst.IP.As4()[3]), netip.MustParseAddr("10.1.2.1")
		})...), ""},
		{"eight by logon", append(work(), named...), "hit-list medium"},
		{"four by connection and logon are four", append(work(), both...), ""},
		{"a partner nobody knows yet", tour(monday, "10.9.0.4", "10.1.2", 60), ""},
		{"a partner who keeps to few hosts is known by his work", append(work(), tour(monday, "10.9.0.66", "10.1.2", 8)...), "hit-list medium"},
		{"hosts that a colleague reaches", append(byTime(append(work(), tour(monday.Add(-day), "10.9.0.5", "10.1.2", 30)...)), tour(monday, "10.9.0.4", "10.1.2", 30)...), ""},
		{"not answered", append(work(), each(tour(monday, "10.9.0.4", "10.1.2", 30), func(e *ocsf.Event) { e.Flow.State = "S0" })...), ""},
		{"the tenant's own", append(work(), each(tour(monday, "10.9.0.4", "10.1.2", 30), func(e *ocsf.Event) { e.Partner, e.Trust = "", "" })...), ""},
		{"from the tenant to the partner", append(work(), each(tour(monday, "10.9.0.4", "10.1.2", 30), func(e *ocsf.Event) { e.Direction = ocsf.DirectionOut })...), ""},
		{"a new trust", append(work(second), tour(monday, "10.9.0.4", "10.1.2", 8, second)...), "hit-list low"},
		{"an approved scan", append(work(), tour(monday, "10.9.0.7", "10.1.1", 8)...), "hit-list medium approved"},
		{"an approved scan that leaves its scope", append(work(), byTime(append(tour(monday, "10.9.0.7", "10.1.1", 20), reaches(monday.Add(5*time.Minute), "10.9.0.7", "10.1.2.1", 445)))...), "hit-list medium"},
		{"who leaves the scope first and goes back", append(work(), append(tour(monday, "10.9.0.7", "10.1.2", 8), tour(monday.Add(3*time.Hour), "10.9.0.7", "10.1.1", 20)...)...), "hit-list medium"},
		{"an approved scan after its end", append(work(), tour(monday.Add(9*time.Hour), "10.9.0.7", "10.1.1", 8)...), "hit-list medium"},
		{"another source in the time of the scan", append(work(), tour(monday, "10.9.0.8", "10.1.1", 8)...), "hit-list medium"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := slices.DeleteFunc(run(t, c.events), func(f *ocsf.Finding) bool { return f.Time.Before(monday) })
			if got := brief(found); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestHitListGrowsOverTheDay(t *testing.T) {
	events := slices.Concat(work(), tour(monday, "10.9.0.4", "10.1.2", 12), tour(monday.Add(5*time.Hour), "10.9.0.4", "10.1.3", 8))
	found := run(t, events)
	if len(found) != 1 {
		t.Fatal(brief(found))
	}
	f := found[0]
	if !f.Time.Equal(monday) || f.Count != 16 || !strings.Contains(f.Reason, "10.9.0.4 reached 12 hosts within 1h0m0s") {
		t.Errorf("%s, %d events: %s", f.Time, f.Count, f.Reason)
	}
	for _, want := range []ocsf.Entity{{Type: ocsf.EntityHost, Value: "10.1.2.1", Role: ocsf.RoleTarget},
		{Type: ocsf.EntityIP, Value: "10.9.0.4", Role: ocsf.RoleSource}, {Type: ocsf.EntityUser, Value: "isl-kim", Role: ocsf.RoleActor}} {
		if !slices.Contains(f.Entities, want) {
			t.Errorf("no %v in %v", want, f.Entities)
		}
	}
}

func TestSourcesOfTwoPartnersAtOneAddressAreTwo(t *testing.T) {
	other := func(e *ocsf.Event) { e.Partner, e.Trust = "other", "other-client" }
	events := append(byTime(append(work(), work(other)...)), byTime(append(tour(monday, "10.9.0.4", "10.1.2", 8), tour(monday, "10.9.0.4", "10.1.2", 8, other)...))...)
	if got := brief(run(t, events)); got != "hit-list medium; hit-list medium" {
		t.Error(got)
	}
}

// everything is some days in which each rule has something to say.
func everything() []*ocsf.Event {
	app := func(e *ocsf.Event) { e.User, e.Cloud.ServicePrin, e.Cloud.AppID = ocsf.User{}, true, "APP-1" }
	events := slices.Concat(usual(7, "kim", "198.51.100.7"), usual(7, "", "198.51.100.9", app), work())
	for d := range 3 {
		at := monday.Add(time.Duration(d) * day)
		events = append(events, signIn(at, "kim", fmt.Sprintf("100.20.%d.40", d)), signIn(at.Add(time.Hour), "", fmt.Sprintf("100.21.%d.40", d), app))
		events = append(events, tour(at.Add(2*time.Hour), "10.9.0.7", "10.1.1", 9+d)...)
		events = append(events, tour(at.Add(4*time.Hour), "10.9.0.4", fmt.Sprintf("10.1.%d", 2+d), 9+d)...)
		events = append(events, tour(at.Add(8*time.Hour), "10.9.0.4", fmt.Sprintf("10.1.%d", 12+d), 9)...)
	}
	return byTime(events)
}

func TestRestartsChangeNothing(t *testing.T) {
	events := everything()
	want := run(t, events)
	rules := map[string]bool{}
	for _, f := range want {
		rules[f.Rule] = true
	}
	if len(rules) != 3 {
		t.Fatalf("the events show %v, not every rule", rules)
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

func TestFloodKeepsALimitedPast(t *testing.T) {
	d := New(detect.Context{Model: model()})
	quiet := func(*ocsf.Finding) {}
	for i := range 6000 {
		at := monday.Add(time.Duration(i) * time.Millisecond)
		to := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String()
		d.Process(reaches(at, "10.9.0.4", to, 445), quiet)
		d.Process(signIn(at, "kim", netip.AddrFrom4([4]byte{100, byte(i >> 8), byte(i), 1}).String()), quiet)
	}
	r := d.relations[relationKey{"client", "isl"}]
	for key, w := range r.Windows {
		if len(w.Marks) > maxMarks || len(w.Events) > ocsf.MaxEvidence {
			t.Errorf("%d keeps %d contacts and %d events", key, len(w.Marks), len(w.Events))
		}
	}
	for key, x := range d.houses["partner isl"].Actors {
		if n := len(x.Past[dimNetwork].Seen); n > MaxNetworks {
			t.Errorf("%d keeps %d networks", key, n)
		}
	}
	d.Advance(monday.Add(3*day), quiet)
	if len(r.Windows) != 0 || len(r.Pairs.Seen) != 6000 {
		t.Errorf("after three quiet days %d windows and %d pairs are kept", len(r.Windows), len(r.Pairs.Seen))
	}
	d.Advance(monday.Add(ForgetAfter+day), quiet)
	if len(r.Pairs.Seen) != 0 {
		t.Errorf("after %s %d pairs are kept", ForgetAfter, len(r.Pairs.Seen))
	}
}

func TestNetworkForWhichThereIsNoRoomIsNotNewEachTime(t *testing.T) {
	d, n := New(detect.Context{Model: model()}), 0
	crowd := func(from time.Time) {
		for i := range MaxNetworks {
			d.Process(signIn(from.Add(time.Duration(i-MaxNetworks)*time.Minute), "kim", netip.AddrFrom4([4]byte{100, byte(i >> 8), byte(i), 1}).String()), func(*ocsf.Finding) {})
		}
	}
	crowd(monday.Add(-3 * day))
	crowd(monday) // seen twice, so that no flood drives them out
	for i := range 5 {
		d.Process(signIn(monday.Add(time.Duration(i)*day), "kim", "198.51.100.7"), func(*ocsf.Finding) { n++ })
	}
	if n != 0 {
		t.Errorf("told %d times", n)
	}
	d.Process(signIn(monday.Add(ForgetAfter), "kim", "198.51.100.7"), func(*ocsf.Finding) { n++ })
	if x := d.houses["partner isl"].Actors[hash("kim")]; n != 1 || len(x.Past[dimNetwork].Seen) > 10 {
		t.Errorf("told %d times once there is room, %d networks", n, len(x.Past[dimNetwork].Seen))
	}
}

func TestExplainNamesWhatIsCompared(t *testing.T) {
	d := New(detect.Context{Model: model()})
	for _, c := range []struct {
		name  string
		event *ocsf.Event
		want  string
	}{
		{"a sign-in", signIn(monday, "kim", "198.51.100.7"), "kim: compared with its own past and that of the partner isl: network 198.51.100.0/24"},
		{"a connection", reaches(monday, "10.9.0.4", "10.1.2.1", 445), "partner isl reaches 10.1.2.1:445"},
		{"neither", &ocsf.Event{}, "no session or cloud act"},
	} {
		if got := strings.Join(d.Explain(c.event), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
