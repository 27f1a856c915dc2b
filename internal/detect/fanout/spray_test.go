package fanout

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// spraying is n accounts that fail, one a minute, from each of the addresses in turn; every account is tried
// from two of them where there are two.
func spraying(at time.Time, id tenant.ID, n int, from ...string) (out []*ocsf.Event) {
	for i := range n {
		for j := range min(2, len(from)) {
			out = append(out, signIn(at.Add(time.Duration(i)*time.Minute+time.Duration(j)*time.Second), id, fmt.Sprintf("user-%d", i), from[(i+j)%len(from)], ocsf.StatusFailure))
		}
	}
	return out
}

// success is people who got in, each from the same address, on the days before.
func success(id tenant.ID, from string, n int) (out []*ocsf.Event) {
	for i := range n {
		out = append(out, signIn(monday.AddDate(0, 0, -1).Add(time.Duration(i)*time.Minute), id, fmt.Sprintf("user-%d", i), from, ocsf.StatusSuccess))
	}
	return out
}

func TestWhatIsASpray(t *testing.T) {
	vpn := func(e *ocsf.Event) { e.Cloud, e.Layer = nil, tenant.LayerAccess }
	mistyped := func(n int) (out []*ocsf.Event) {
		for i := range n {
			at, who := monday.Add(time.Duration(i)*10*time.Minute), fmt.Sprintf("user-%d", i)
			out = append(out, signIn(at, "client-0", who, "198.51.100.7", ocsf.StatusFailure), signIn(at.Add(time.Minute), "client-0", who, "198.51.100.7", ocsf.StatusSuccess))
		}
		return out
	}
	each := func(list []*ocsf.Event, w change) []*ocsf.Event {
		for _, e := range list {
			w(e)
		}
		return list
	}
	homes := func(n int) (out []*ocsf.Event) {
		for i := range n {
			out = append(out, signIn(monday.Add(time.Duration(i)*time.Minute), "client-0", fmt.Sprintf("user-%d", i), fmt.Sprintf("198.51.100.%d", i+1), ocsf.StatusFailure))
		}
		return out
	}
	slow := spraying(monday, "client-0", 8, "198.51.100.7")
	for i, e := range slow {
		e.Time = monday.Add(time.Duration(i) * time.Hour)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"five accounts from one address", spraying(monday, "client-0", 5, "198.51.100.7"), "client-0 password-spray medium attempted"},
		{"four accounts are too few", spraying(monday, "client-0", 4, "198.51.100.7"), ""},
		{"five accounts from addresses that take turns", spraying(monday, "client-0", 5, "198.51.100.7", "203.0.113.70", "192.0.2.9"), "client-0 password-spray medium attempted"},
		{"five people at five homes who mistype", homes(5), ""},
		{"eight accounts, an address for each, after a quiet day", append(success("client-0", "203.0.113.70", 3), homes(8)...), "client-0 password-spray medium attempted"},
		{"eight accounts, an address for each, on the first day", homes(8), ""},
		{"one account that fails a hundred times", each(spraying(monday, "client-0", 100, "198.51.100.7"), func(e *ocsf.Event) { e.User.Name = "anna" }), ""},
		{"people of one new place who mistype and get in", mistyped(8), ""},
		{"an office on the Monday of the reset", append(success("client-0", "198.51.100.7", 3), spraying(monday, "client-0", 40, "198.51.100.7")...), ""},
		{"an address with two successes is not yet an office", append(success("client-0", "198.51.100.7", 2), spraying(monday, "client-0", 5, "198.51.100.7")...), "client-0 password-spray medium attempted"},
		{"an office of one tenant is none of another", append(success("client-1", "198.51.100.7", 3), spraying(monday, "client-0", 5, "198.51.100.7")...), "client-0 password-spray medium attempted"},
		{"one account an hour", slow, ""},
		{"the VPN's door", each(spraying(monday, "client-0", 5, "198.51.100.7"), vpn), "client-0 password-spray medium attempted"},
		{"apps are no persons", each(spraying(monday, "client-0", 9, "198.51.100.7"), func(e *ocsf.Event) { e.Cloud.ServicePrin = true }), ""},
		{"records without an address", each(spraying(monday, "client-0", 9, "198.51.100.7"), func(e *ocsf.Event) { e.Src = ocsf.Endpoint{} }), ""},
		{"two tenants at once are two findings", byTime(append(spraying(monday, "client-0", 5, "198.51.100.7"), spraying(monday, "client-1", 5, "198.51.100.7")...)),
			"client-0 password-spray medium attempted; client-1 password-spray medium attempted"},
		{"again on the next day is a second finding", append(spraying(monday, "client-0", 5, "198.51.100.7"), spraying(monday.AddDate(0, 0, 1), "client-0", 5, "198.51.100.7")...),
			"client-0 password-spray medium attempted; client-0 password-spray medium attempted"},
		{"and one that gets in", append(spraying(monday, "client-0", 6, "198.51.100.7"), signIn(monday.Add(time.Hour), "client-0", "User-2", "198.51.100.7", ocsf.StatusSuccess)),
			"client-0 password-spray high succeeded"},
		{"somebody who mistypes at home meanwhile and gets in", append(spraying(monday, "client-0", 6, "198.51.100.7"), signIn(monday.Add(20*time.Minute), "client-0", "anna", "203.0.113.200", ocsf.StatusFailure),
			signIn(monday.Add(21*time.Minute), "client-0", "anna", "203.0.113.200", ocsf.StatusSuccess)), "client-0 password-spray medium attempted"},
		{"somebody who gets in from where people do is none of it", slices.Concat(success("client-0", "203.0.113.70", 3), spraying(monday, "client-0", 6, "198.51.100.7"),
			[]*ocsf.Event{signIn(monday.Add(time.Hour), "client-0", "user-2", "203.0.113.70", ocsf.StatusSuccess)}), "client-0 password-spray medium attempted"},
		{"who gets in from the address two weeks later is none of it", append(spraying(monday, "client-0", 6, "198.51.100.7"), signIn(monday.AddDate(0, 0, 14), "client-0", "user-2", "198.51.100.7", ocsf.StatusSuccess)),
			"client-0 password-spray medium attempted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(model(), c.events)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFailureAtHomeIsNoPartOfASpray(t *testing.T) {
	with := func(agent string) change { return func(e *ocsf.Event) { e.Cloud.UserAgent = agent } }
	home := func(n int) (out []*ocsf.Event) {
		for i := range n {
			out = append(out, signIn(monday.AddDate(0, 0, i-n), "client-0", "anna", "192.0.2.9", ocsf.StatusSuccess, with("Edge")))
		}
		return out
	}
	fails := func(from, agent string) []*ocsf.Event {
		return []*ocsf.Event{signIn(monday.Add(20*time.Minute), "client-0", "Anna", from, ocsf.StatusFailure, with(agent))}
	}
	for _, c := range []struct {
		name string
		past []*ocsf.Event
		fail []*ocsf.Event
		want int // accounts of the spray
	}{
		{"her own address and device", home(2), fails("192.0.2.9", "Edge"), 6},
		{"her own address, and the record tells no device", home(2), fails("192.0.2.9", ""), 6},
		{"her own network and device", home(2), fails("192.0.2.77", "Edge"), 6},
		{"her own network with another device", home(2), fails("192.0.2.77", "curl"), 7},
		{"her own address with another device", home(2), fails("192.0.2.9", "curl"), 7},
		{"another network with her device", home(2), fails("198.51.100.99", "Edge"), 7},
		{"one success makes no home", home(1), fails("192.0.2.9", "Edge"), 7},
		{"the spraying address is nobody's home", home(2), fails("198.51.100.7", "Edge"), 7},
	} {
		found := sorted(run(model(), byTime(slices.Concat(c.past, spraying(monday, "client-0", 6, "198.51.100.7", "198.51.100.8"), c.fail))))
		if want := fmt.Sprintf("%d accounts failed", c.want); len(found) != 1 || !strings.HasPrefix(found[0].Reason, want) {
			t.Errorf("%s: want %s, got %s", c.name, want, asJSON(t, found))
		}
	}
}

func TestHomesAreBounded(t *testing.T) {
	g := &guesses{}
	g.count()
	for i := range 200 {
		g.settle("anna", signIn(monday.Add(time.Duration(i)*time.Hour), "client-0", "anna", fmt.Sprintf("192.0.%d.9", i), ocsf.StatusSuccess, func(e *ocsf.Event) { e.Cloud.UserAgent = fmt.Sprint(i) }))
	}
	if h := g.Homes["anna"]; len(h.Places) != homePlaces || len(h.Devices) != homeDevices {
		t.Errorf("%d places and %d devices are kept", len(h.Places), len(h.Devices))
	}
}

func TestSprayThatGetsInNamesTheAccount(t *testing.T) {
	events := spraying(monday, "client-0", 30, "198.51.100.7")
	in := signIn(monday.Add(time.Hour), "client-0", "User-2", "198.51.100.7", ocsf.StatusSuccess)
	f := sorted(run(model(), append(events, in)))[0]
	for _, want := range []ocsf.Entity{{Type: ocsf.EntityUser, Value: "user-2", Role: ocsf.RoleActor}, {Type: ocsf.EntityIP, Value: "198.51.100.7", Role: ocsf.RoleInfrastructure}} {
		if !slices.Contains(f.Entities, want) {
			t.Errorf("no %v in %v", want, f.Entities)
		}
	}
	if want := "30 accounts failed from 1 addresses from which nobody was known to sign in. One of the addresses then got in as user-2."; f.Reason != want {
		t.Errorf("got  %s\nwant %s", f.Reason, want)
	}
	if f.Count != 31 || len(f.Evidence) != ocsf.MaxEvidence || !slices.ContainsFunc(f.Evidence, func(ev ocsf.Evidence) bool { return ev.Event == in }) {
		t.Errorf("%d events, %d kept; the success must be among them", f.Count, len(f.Evidence))
	}
}

func TestSprayKeepsItsIdWhileItGrows(t *testing.T) {
	d, ids := New(detect.Context{Model: model()}), map[string]bool{}
	for _, e := range spraying(monday, "client-0", 200, "198.51.100.7", "203.0.113.70") {
		d.Process(e, func(f *ocsf.Finding) { ids[f.ID] = true })
		d.Conclude(func(f *ocsf.Finding) { ids[f.ID] = true })
	}
	if len(ids) != 1 {
		t.Errorf("%d ids of one spraying", len(ids))
	}
}

func TestFloodOfFailuresKeepsALimitedPast(t *testing.T) {
	d := New(detect.Context{Model: model()})
	for i := range 1500 {
		from := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}).String()
		d.Process(signIn(monday.Add(time.Duration(i)*time.Millisecond), "client-0", fmt.Sprintf("user-%d", i%7), from, ocsf.StatusFailure), func(*ocsf.Finding) {})
		d.Process(tour(monday.Add(time.Duration(i)*time.Millisecond), "kim", i%9)[0], func(*ocsf.Finding) {})
	}
	for key, a := range d.spreadings {
		if len(a.Touches) > maxTouches {
			t.Errorf("%s keeps %d touches", strings.ReplaceAll(key, "\x00", " "), len(a.Touches))
		}
	}
	if n := len(d.guesses["client-0"].Failures); n > maxTouches {
		t.Errorf("%d failures kept", n)
	}
}
