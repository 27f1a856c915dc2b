package hop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// ways writes candidates as way does, each with whether it is tied.
func waysOf(list []Candidate) []string {
	var out []string
	for _, c := range list {
		w := way(c.Trace)
		if c.Tied != "" {
			w += " (tied)"
		}
		out = append(out, w)
	}
	return out
}

func TestCandidatesOfAJumpHost(t *testing.T) {
	m := traceModel()
	const jump, target = "10.1.0.5", "10.2.0.5"
	at := TracePoint{Tenant: "south", Addr: addr(target), Time: minute(30)}
	onward := work{tenant: "north", src: jump, dst: target, from: 25, to: 50, packets: 900}
	for name, c := range map[string]struct {
		work []work
		want []string
	}{
		"the one whose session began just before it went on": {[]work{onward,
			{tenant: "north", src: "10.1.0.7", dst: jump, from: 5, to: 55, packets: 900},
			{tenant: "north", src: "10.1.0.8", dst: jump, from: 24.9, to: 55, packets: 900}},
			[]string{"north/10.1.0.8 → north/10.1.0.5 → south/10.2.0.5", "north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5"}},
		"the one whose session carried as much": {[]work{onward,
			{tenant: "north", src: "10.1.0.7", dst: jump, from: 5, to: 55, packets: 100},
			{tenant: "north", src: "10.1.0.8", dst: jump, from: 5, to: 55, packets: 950}},
			[]string{"north/10.1.0.8 → north/10.1.0.5 → south/10.2.0.5", "north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5"}},
		"two that look alike can't be told apart": {[]work{onward,
			{tenant: "north", src: "10.1.0.7", dst: jump, from: 5, to: 55, packets: 900},
			{tenant: "north", src: "10.1.0.8", dst: jump, from: 5.1, to: 55, packets: 890}},
			[]string{"north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5", "north/10.1.0.8 → north/10.1.0.5 → south/10.2.0.5 (tied)"}},
		"a sole user has no rival": {[]work{onward, {tenant: "north", src: "10.1.0.7", dst: jump, from: 5, to: 55, packets: 900}},
			[]string{"north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5"}},
		"a choice farther back has rivals of its own": {[]work{onward, {tenant: "north", src: "10.1.0.7", dst: jump, from: 24, to: 55, packets: 900},
			{tenant: "north", src: "10.1.0.9", dst: "10.1.0.7", from: 3, to: 55, packets: 800}, {tenant: "north", src: "10.1.0.10", dst: "10.1.0.7", from: 4, to: 55, packets: 200}},
			[]string{"north/10.1.0.9 → north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5", "north/10.1.0.10 → north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := graphOf(m, append(everybody(), c.work...))
			list := g.Candidates(m, at, 5)
			if d := cmp.Diff(c.want, waysOf(list)); d != "" {
				t.Error(d)
			}
			if got := way(g.Trace(m, at)); got != way(list[0].Trace) {
				t.Errorf("Trace says %s, the first candidate is %s", got, way(list[0].Trace))
			}
			total := 0.0
			for _, x := range list {
				total += x.Share
				for _, h := range x.Hops {
					if len(h.For) == 0 || (h.Others > 0) != slices.ContainsFunc(h.Against, func(s string) bool { return strings.HasPrefix(s, "one of ") }) {
						t.Errorf("%s: for %q, against %q", way(x.Trace), h.For, h.Against)
					}
				}
			}
			if total < 0.99 || total > 1.01 {
				t.Errorf("the shares come to %.3f", total)
			}
		})
	}
}

// TestACredentialSwitchIsWeighedAndTold: who logs on under another account is the less likely cause, and it is said.
func TestACredentialSwitchIsWeighedAndTold(t *testing.T) {
	m := traceModel()
	g := graphOf(m, everybody())
	logon := func(at float64, user, src string) {
		g.Add(&ocsf.Event{Tenant: "north", Layer: tenant.LayerEndpoint, Class: ocsf.ClassAuthentication, Activity: "logon", Status: ocsf.StatusSuccess, Time: minute(at), Device: "jump",
			User: ocsf.User{Name: user}, Src: ocsf.Endpoint{IP: addr(src)}, Fields: ocsf.Fields{{Name: "LogonType", Value: "10"}}, Raw: ocsf.RawRef{File: "dc.evtx", Record: int64(at)}})
	}
	logon(10, "admin", "10.1.0.7")
	logon(10, "clerk", "10.1.0.8")
	list := g.Candidates(m, TracePoint{Tenant: "north", Host: "jump", Time: minute(20), User: "clerk"}, 5)
	if d := cmp.Diff([]string{"north/10.1.0.8 → north/jump", "north/10.1.0.7 → north/jump"}, waysOf(list)); d != "" {
		t.Fatal(d)
	}
	if h := list[0].Hops[0]; !slices.Contains(h.For, "the same account, clerk") || h.Evidence.File != "dc.evtx" {
		t.Errorf("got %+v", h)
	}
	if h := list[1].Hops[0]; !slices.Contains(h.Against, "a switch of accounts, from admin to clerk") {
		t.Errorf("got %+v", h)
	}
}

// TestClocksAreSetRight has the client's clock 93 s ahead: its record of the onward session seems later than it was, and
// the provider's session that caused it would seem to have ended.
func TestClocksAreSetRight(t *testing.T) {
	m := traceModel()
	const ahead = 93.0 / 60
	list := append(everybody(), work{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 10, to: 24, packets: 400},
		work{tenant: "south", src: "10.1.0.5", dst: "10.2.0.5", from: 20 + ahead, to: 40 + ahead, packets: 400, sport: 50001},
		work{tenant: "north", src: "10.1.0.5", dst: "10.2.0.5", from: 20, to: 40, packets: 400, sport: 50001},
		work{tenant: "north", src: "10.1.0.8", dst: "10.1.0.5", from: 21, to: 41, packets: 4000})
	point := TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30 + ahead)}
	common := func(n int) []work {
		var out []work
		for i := range n {
			for _, id := range []string{"north", "south"} {
				at := float64(i)
				if id == "south" {
					at += ahead + float64(i%3)*0.005
				}
				out = append(out, work{tenant: tenant.ID(id), src: "10.1.0.66", dst: "10.2.0.66", port: 443, from: at, to: at + 0.1, packets: 9, sport: uint16(51000 + i)})
			}
		}
		return out
	}
	got := graphOf(m, append(slices.Clone(list), common(12)...)).Trace(m, point)
	if w := way(got); w != "north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5" {
		t.Errorf("with clocks that are 93 s apart: %s", w)
	}
	if len(got.Skews) != 1 || got.Skews[0].Tenant != "north" || got.Skews[0].Against != "south" || (got.Skews[0].Ahead+93*time.Second).Abs() > time.Second || got.Skews[0].Flows != 13 {
		t.Errorf("clocks: %+v", got.Skews)
	}
	last := got.Hops[1]
	if len(last.Seen) != 2 || last.Start.Sub(minute(20+ahead)).Abs() > time.Second {
		t.Errorf("the two records of one session are not one, or by the wrong clock: %+v", last)
	}
	few := graphOf(m, append(slices.Clone(list), common(2)...))
	if s := few.Skews("south"); len(s) != 0 {
		t.Errorf("two flows are enough: %+v", s)
	}
	if d := cmp.Diff([]Skew{{Tenant: "south", Against: "north", Ahead: -got.Skews[0].Ahead, Flows: 13}}, graphOf(m, append(slices.Clone(list), common(12)...)).Skews("north")); d != "" {
		t.Error(d)
	}
}

// TestClocksThatContradictSayNothing: flows whose offsets scatter are no measure.
func TestClocksThatContradictSayNothing(t *testing.T) {
	m := traceModel()
	var list []work
	for i := range 20 {
		list = append(list, work{tenant: "north", src: "10.1.0.66", dst: "10.2.0.66", port: 443, from: float64(i), to: float64(i) + 0.1, packets: 9, sport: uint16(51000 + i)},
			work{tenant: "south", src: "10.1.0.66", dst: "10.2.0.66", port: 443, from: float64(i) + float64(i%5), to: float64(i) + 6, packets: 9, sport: uint16(51000 + i)})
	}
	if s := graphOf(m, list).Skews("south"); len(s) != 0 {
		t.Errorf("got %+v", s)
	}
}

// TestNAT: a translation names who stood behind a shared address; with several, all stay candidates.
func TestNAT(t *testing.T) {
	m := traceModel()
	list := append(everybody(), work{tenant: "south", src: "198.51.100.7", dst: "10.2.0.5", from: 10, to: 50, packets: 400})
	point := TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}
	translate := func(g *Graph, inner string, at float64) {
		g.Add(&ocsf.Event{Tenant: "north", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Time: minute(at), Lease: &ocsf.Lease{Kind: "nat", Addr: addr("198.51.100.7"), Public: addr(inner), Start: true},
			Raw: ocsf.RawRef{File: "fw.log", Record: int64(at)}})
	}
	g := graphOf(m, list)
	if tr := g.Trace(m, point); !tr.Shared || tr.Ask == nil || tr.Ask.Port != 22 || tr.Ask.Target.Name() != "10.2.0.5" {
		t.Errorf("without a translation: %+v", tr)
	}
	translate(g, "10.1.0.5", 9)
	if got := waysOf(g.Candidates(m, point, 5)); !slices.Equal(got, []string{"north/10.1.0.5 → north/198.51.100.7 → south/10.2.0.5"}) {
		t.Errorf("with one: %q", got)
	}
	translate(g, "10.1.0.7", 9.2)
	got := g.Candidates(m, point, 5)
	if len(got) != 2 || got[1].Tied == "" {
		t.Errorf("with two: %q", waysOf(got))
	}
}

func TestCandidatesOverIPv6AndOverlappingSpace(t *testing.T) {
	m := traceModel()
	m.Tenants[0].Networks = append(m.Tenants[0].Networks, netip.MustParsePrefix("2001:db8:1::/48"))
	m.Tenants[1].Networks = append(m.Tenants[1].Networks, netip.MustParsePrefix("2001:db8:2::/48"))
	m.Trusts[0].Networks = append(m.Trusts[0].Networks, netip.MustParsePrefix("2001:db8:1::/48"))
	g := graphOf(m, append(everybody(),
		work{tenant: "north", src: "2001:db8:1::7", dst: "2001:db8:1::5", from: 5, to: 50, packets: 400},
		work{tenant: "south", src: "2001:db8:1::5", dst: "2001:db8:2::5", from: 10, to: 50, packets: 400},
		// east and west both use 10.3.0.0/16: what happens in the one says nothing of the other
		work{tenant: "east", src: "10.2.0.5", dst: "10.3.0.5", from: 10, to: 50, packets: 400},
		work{tenant: "west", src: "10.1.0.7", dst: "10.3.0.5", from: 10, to: 50, packets: 400}))
	for id, c := range map[tenant.ID][2]string{"south": {"2001:db8:2::5", "north/2001:db8:1::7 → north/2001:db8:1::5 → south/2001:db8:2::5"},
		"east": {"10.3.0.5", "south/10.2.0.5 → east/10.3.0.5"}, "west": {"10.3.0.5", "north/10.1.0.7 → west/10.3.0.5"}} {
		if got := waysOf(g.Candidates(m, TracePoint{Tenant: id, Addr: addr(c[0]), Time: minute(30)}, 5)); !slices.Equal(got, []string{c[1]}) {
			t.Errorf("%s: %q", id, got)
		}
	}
}

// TestWhatAnotherOrganisationToldGoesOn learns an answer: the trace then leads through it, and asks for what is beyond.
func TestWhatAnotherOrganisationToldGoesOn(t *testing.T) {
	m := traceModel()
	g := graphOf(m, append(everybody(), work{tenant: "south", src: "203.0.113.9", dst: "10.2.0.5", from: 10, to: 50, packets: 400}))
	point := TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}
	ask := g.Trace(m, point).Ask
	if ask == nil || ask.Organisation != "outsider" {
		t.Fatalf("got %+v", ask)
	}
	g.Learn(Told{By: "outsider", Tenant: "south", To: ask.Place.Addr, From: addr("192.168.7.7"), Partner: "outsider", Start: minute(8), End: minute(51), Kind: "rdp", Share: 0.9})
	got := g.Trace(m, point)
	if w := way(got); w != "? outsider → /192.168.7.7 → /203.0.113.9 → south/10.2.0.5" || !got.Hops[0].Told || !slices.Contains(got.Hops[0].For, "outsider answered so from its own telemetry") {
		t.Errorf("%s: %+v", w, got.Hops[0])
	}
}

// TestCandidatesAreTheSameInAnyOrder adds a busy hour in other orders within the same moments.
func TestCandidatesAreTheSameInAnyOrder(t *testing.T) {
	m := traceModel()
	r := rand.New(rand.NewPCG(3, 4))
	list := everybody()
	for i := range 200 {
		at := float64(r.IntN(40))
		w := work{tenant: "north", src: fmt.Sprintf("10.1.0.%d", 4+r.IntN(5)), dst: fmt.Sprintf("10.%d.0.%d", 1+r.IntN(2), 4+r.IntN(5)), from: at, to: at + 10, packets: int64(100 + r.IntN(3)), sport: uint16(40000 + i)}
		if list = append(list, w); strings.HasPrefix(w.dst, "10.2.") {
			w.tenant, w.from, w.to = "south", w.from+1, w.to+1
			list = append(list, w)
		}
	}
	answer := func() (out []string) {
		g := graphOf(m, list)
		for host := range 5 {
			for _, c := range g.Candidates(m, TracePoint{Tenant: "south", Addr: addr(fmt.Sprintf("10.2.0.%d", 4+host)), Time: minute(30)}, 8) {
				line := fmt.Sprintf("%s %.6f %s %v", way(c.Trace), c.Share, c.Tied, c.Skews)
				for _, h := range c.Hops {
					line += fmt.Sprint(h.For, h.Against, h.Evidence.File)
				}
				out = append(out, line)
			}
		}
		b := g.Blast(m, Seed{Partner: "p-north"}, minute(10))
		return append(out, fmt.Sprintf("%+v", b.Tenants))
	}
	want := answer()
	if len(want) < 10 {
		t.Fatalf("only %d candidates", len(want))
	}
	for range 10 {
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if d := cmp.Diff(want, answer()); d != "" {
			t.Fatal(d)
		}
	}
}

// TestAFirstSuccessAfterManyTriesIsKept: 200 refused logons, and then one that got in.
func TestAFirstSuccessAfterManyTriesIsKept(t *testing.T) {
	g := NewGraph()
	for i := range 201 {
		e := &ocsf.Event{Tenant: "south", Layer: tenant.LayerEndpoint, Class: ocsf.ClassAuthentication, Activity: "logon", Status: ocsf.StatusFailure, Time: minute(float64(i) / 60), Device: fmt.Sprintf("srv%d", i),
			User: ocsf.User{Name: "x"}, Src: ocsf.Endpoint{IP: addr("10.1.0.5")}, Attribution: ocsf.Attribution{Partner: "p-north", Trust: "ns", Direction: ocsf.DirectionIn}}
		if i == 200 {
			e.Status = ocsf.StatusSuccess
		}
		g.Add(e)
	}
	acts := g.Sessions()[0].Acts
	if n := len(acts); n != MaxActs || !acts[n-1].Got || acts[n-1].Target != "srv200" || acts[0].Target != "srv0" {
		t.Errorf("%d acts, the last %+v", n, acts[n-1])
	}
}

func TestBlast(t *testing.T) {
	m := traceModel()
	g := graphOf(m, append(everybody(),
		work{tenant: "north", src: "10.1.0.5", dst: "10.2.0.5", from: 10, to: 20, packets: 400},
		work{tenant: "south", src: "10.2.0.5", dst: "10.2.0.6", from: 15, to: 40, packets: 400, sport: 50001},
		work{tenant: "south", src: "10.2.0.5", dst: "10.2.0.7", from: 1, to: 5, packets: 400, sport: 50002}, // before anybody came
		work{tenant: "east", src: "10.2.0.6", dst: "10.3.0.5", from: 30, to: 40, packets: 400, sport: 50003}))
	hosts := func(b Blast) (out []string) {
		for _, t := range b.Tenants {
			line := fmt.Sprintf("%s %s:", t.Tenant, t.Reach)
			for _, h := range t.Hosts {
				line += fmt.Sprintf(" %s@%d", h.Place.Name(), h.Depth)
			}
			out = append(out, line)
		}
		return out
	}
	for name, c := range map[string]struct {
		seed  Seed
		since time.Time
		want  []string
	}{
		"a partner: its own ways in, and where it went on": {Seed{Partner: "p-north"}, time.Time{}, []string{"east reached: 10.3.0.5@2", "south reached: 10.2.0.5@0 10.2.0.6@1", "west possible:"}},
		"later than it was there":                          {Seed{Partner: "p-north"}, minute(55), []string{"east possible:", "south possible:", "west possible:"}},
		"an address":                                       {Seed{Addr: addr("10.2.0.6")}, time.Time{}, []string{"east reached: 10.3.0.5@0"}},
		"nobody":                                           {Seed{Account: "nobody"}, time.Time{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, hosts(g.Blast(m, c.seed, c.since))); d != "" {
				t.Error(d)
			}
		})
	}
}
