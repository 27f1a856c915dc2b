package recon

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
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

	noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
)

func model() *tenant.Model {
	return &tenant.Model{Version: "v1",
		Tenants: []tenant.Tenant{
			{ID: "client", Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
			{ID: "provider", Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}},
		},
		Partners: []tenant.Partner{{ID: "isl", Tenant: "provider"}},
		Trusts:   []tenant.Trust{{ID: "isl-client", Partner: "isl", Tenant: "client"}},
		Approvals: []tenant.Approval{{Trust: "isl-client", Src: netip.MustParsePrefix("10.9.0.7/32"), Dst: netip.MustParsePrefix("10.1.1.0/24"),
			Kind: "scan", From: noon, Until: noon.Add(time.Hour), Owner: "it@client.example", Reason: "yearly scan"}},
	}
}

// flow makes one event. The state S0 gets the history of a lone SYN.
func flow(at time.Time, src, dst string, port uint16, proto, state string) *ocsf.Event {
	e := &ocsf.Event{Time: at, Tenant: "client", Layer: tenant.LayerNetwork, Flow: &ocsf.Flow{Proto: proto, State: state, OrigPkts: 1}}
	e.Src = ocsf.Endpoint{IP: netip.MustParseAddr(src), Port: uint16(at.UnixMicro()%28000) + 2000}
	e.Dst = ocsf.Endpoint{IP: netip.MustParseAddr(dst), Port: port}
	switch state {
	case "S0":
		e.Flow.History = "S"
	case "REJ":
		e.Flow.History = "Sr"
	case "SF":
		e.Flow.History, e.Flow.RespPkts, e.Flow.OrigBytes = "ShADadFf", 3, 10
	}
	if proto == "icmp" {
		e.Src.Port, e.Dst.Port = 0, 0
	}
	if strings.HasPrefix(src, "10.9.") {
		e.Trust, e.Partner, e.Direction = "isl-client", "isl", ocsf.DirectionIn
		e.Owner, e.OwnerHost = ocsf.User{Name: "isl-anna"}, "ISL-WS3"
	}
	return e
}

// sweep asks n hosts, one each step.
func sweep(at time.Time, step time.Duration, src, net string, n int, port uint16, proto, state string) (out []*ocsf.Event) {
	for i := range n {
		out = append(out, flow(at.Add(time.Duration(i)*step), src, fmt.Sprintf("%s.%d", net, i+1), port, proto, state))
	}
	return out
}

func inOrder(lists ...[]*ocsf.Event) []*ocsf.Event {
	all := slices.Concat(lists...)
	byTime(all)
	return all
}

// loud leaves out what was only counted.
func loud(list []*ocsf.Finding) (out []*ocsf.Finding) {
	for _, f := range list {
		if f.Severity > ocsf.SeverityInformational {
			out = append(out, f)
		}
	}
	return out
}

func brief(list []*ocsf.Finding) string {
	var out []string
	for _, f := range list {
		s := fmt.Sprintf("%s %s %s", f.Severity, strings.TrimPrefix(f.Rule, "recon/"), sourceOf(f))
		if f.Suppressed != nil {
			s += " approved"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestWhatIsAScanAndWhatIsNot(t *testing.T) {
	public := func(n int, port uint16, proto, state string) (out []*ocsf.Event) {
		for i := range n {
			out = append(out, flow(noon.Add(time.Duration(i)*time.Second), "10.1.0.5", fmt.Sprintf("203.0.113.%d", i+1), port, proto, state))
		}
		return out
	}
	ports := func(src, dst, proto, state string, n int) (out []*ocsf.Event) {
		for i := range n {
			out = append(out, flow(noon.Add(time.Duration(i)*time.Millisecond), src, dst, uint16(i+1), proto, state))
		}
		return out
	}
	with := func(list []*ocsf.Event, change func(e *ocsf.Event)) []*ocsf.Event {
		for _, e := range list {
			change(e)
		}
		return list
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"a partner sweeps one port", sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0"), "high horizontal 10.9.0.4"},
		{"a partner sweeps one port, one probe in four minutes", sweep(noon, 4*time.Minute, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0"), "high horizontal 10.9.0.4"},
		{"an own host does", sweep(noon, time.Second, "10.1.0.5", "10.1.2", 40, 445, "tcp", "REJ"), "medium horizontal 10.1.0.5"},
		{"an undeclared private host does", sweep(noon, time.Second, "192.168.7.7", "10.1.2", 40, 445, "tcp", "REJ"), "medium horizontal 192.168.7.7"},
		{"nine hosts are borderline", sweep(noon, time.Second, "10.9.0.4", "10.1.2", 9, 445, "tcp", "S0"), "medium horizontal 10.9.0.4"},
		{"five hosts are hardly anything", sweep(noon, time.Second, "10.9.0.4", "10.1.2", 5, 445, "tcp", "S0"), "low walk 10.9.0.4"},
		{"three hosts are nothing", sweep(noon, time.Second, "10.9.0.4", "10.1.2", 3, 445, "tcp", "S0"), ""},
		{"many ports of one host", ports("10.9.0.4", "10.1.2.3", "tcp", "REJ", 60), "high vertical 10.9.0.4"},
		{"many UDP ports of one host", ports("10.9.0.4", "10.1.2.3", "udp", "S0", 20), "high udp-sweep 10.9.0.4"},
		{"a ping sweep", sweep(noon, time.Millisecond, "10.9.0.4", "10.1.2", 100, 0, "icmp", "OTH"), "high icmp-sweep 10.9.0.4"},
		{"half-open probes that all find something", with(sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "RSTO"),
			func(e *ocsf.Event) { e.Flow.History = "ShR" }), "high horizontal 10.9.0.4"},
		{"FIN probes", with(sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "OTH"),
			func(e *ocsf.Event) { e.Flow.History = "Fr" }), "high horizontal 10.9.0.4"},
		{"ACK probes", with(sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "OTH"),
			func(e *ocsf.Event) { e.Flow.History = "Ar" }), "high horizontal 10.9.0.4"},
		{"the last ACK of connections that were closed", append(sweep(noon.Add(-time.Minute), time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "SF"),
			with(sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "OTH"), func(e *ocsf.Event) { e.Flow.History = "A" })...), ""},
		{"two scans with a pause of half a minute", append(sweep(noon, 10*time.Millisecond, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0"),
			sweep(noon.Add(30*time.Second), 10*time.Millisecond, "10.9.0.4", "10.1.3", 40, 22, "tcp", "S0")...), "high horizontal 10.9.0.4; high horizontal 10.9.0.4"},
		{"a scan some minutes after two strays", append([]*ocsf.Event{flow(noon.Add(-9*time.Minute), "10.9.0.4", "10.1.7.7", 80, "tcp", "S0"), flow(noon.Add(-8*time.Minute), "10.9.0.4", "10.1.7.8", 80, "tcp", "S0")},
			sweep(noon, 10*time.Millisecond, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0")...), "high horizontal 10.9.0.4"},
		{"timestamp requests", with(sweep(noon, time.Millisecond, "10.9.0.4", "10.1.2", 40, 0, "icmp", "OTH"),
			func(e *ocsf.Event) { e.Fields = ocsf.Fields{{Name: "icmp_type", Value: "13"}} }), "high icmp-sweep 10.9.0.4"},
		{"one direction that a sampling exporter saw", with(sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0"),
			func(e *ocsf.Event) { e.Fields = ocsf.Fields{{Name: "sampling", Value: "100"}} }), ""},
		{"an exporter that says it samples one of one", with(sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0"),
			func(e *ocsf.Event) { e.Fields = ocsf.Fields{{Name: "sampling", Value: "1"}} }), "high horizontal 10.9.0.4"},
		{"a UDP scan within a slow sweep from the same address", inOrder(sweep(noon, 5*time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0"),
			sweep(noon.Add(100*time.Second), 10*time.Millisecond, "10.9.0.4", "10.1.2", 30, 161, "udp", "S0")), "high udp-sweep 10.9.0.4; high horizontal 10.9.0.4"},
		{"errors that routers send", with(sweep(noon, time.Millisecond, "10.9.0.4", "10.1.2", 40, 0, "icmp", "OTH"),
			func(e *ocsf.Event) { e.Fields = ocsf.Fields{{Name: "icmp_type", Value: "3"}} }), ""},
		{"a sweep in two days, one probe in two hours", sweep(noon, 2*time.Hour, "10.9.0.4", "10.1.2", 30, 445, "tcp", "S0"), "medium slow-sweep 10.9.0.4"},
		{"the Internet", sweep(noon, time.Second, "198.51.100.9", "10.1.2", 40, 445, "tcp", "S0"), ""},
		{"backscatter accuses nobody", with(sweep(noon, time.Second, "10.1.0.5", "10.1.2", 40, 445, "tcp", "SHR"),
			func(e *ocsf.Event) { e.Flow.History = "^hR" }), ""},
		{"answers of a server whose questions were not seen", with(sweep(noon, time.Second, "10.1.0.53", "10.1.2", 40, 51000, "udp", "S0"),
			func(e *ocsf.Event) { e.Src.Port = 53 }), ""},
		{"one direction of real sessions", with(sweep(noon, time.Second, "10.1.0.5", "10.1.2", 40, 445, "tcp", "S0"),
			func(e *ocsf.Event) { e.Flow.History = "SADF" }), ""},
		{"multicast and broadcast", append(sweep(noon, time.Second, "10.1.0.5", "239.1.2", 40, 5353, "udp", "S0"),
			flow(noon, "10.1.0.5", "10.1.2.255", 137, "udp", "S0")), ""},
		{"QUIC to the Internet behind a firewall", public(60, 443, "udp", "S0"), ""},
		{"some dead servers in the Internet", public(10, 443, "tcp", "S0"), ""},
		{"an own host scans the Internet", public(60, 22, "tcp", "S0"), "medium horizontal 10.1.0.5"},
		{"a service that answered before and is down now", append(sweep(noon.Add(-time.Hour), time.Second, "10.9.0.4", "10.1.2", 40, 443, "tcp", "SF"),
			sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 443, "tcp", "S0")...), ""},
		{"a scanner that first did honest work for long", append(sweep(noon.Add(-time.Hour), time.Second, "10.9.0.4", "10.1.2", 200, 443, "tcp", "SF"),
			sweep(noon, time.Second, "10.9.0.4", "10.1.3", 40, 443, "tcp", "S0")...), "high horizontal 10.9.0.4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(loud(run(model(), c.events))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDetectionTakesFourContacts(t *testing.T) {
	d := New(detect.Context{Model: model()})
	for i, e := range sweep(noon, time.Second, "10.9.0.4", "10.1.2", 4, 445, "tcp", "S0") {
		n := 0
		d.Process(e, func(*ocsf.Finding) { n++ })
		if (n > 0) != (i == 3) {
			t.Errorf("after %d contacts %d findings", i+1, n)
		}
	}
}

// poller asks every five minutes; one of ten targets is dead, in blocks as decommissioned racks are.
func poller(src string, hosts, rounds int, dead func(i int) bool) (out []*ocsf.Event) {
	for r := range rounds {
		for i := range hosts {
			state := "SF"
			if dead(i) {
				state = "S0"
			}
			at := noon.Add(time.Duration(r)*5*time.Minute + time.Duration(i)*300*time.Millisecond)
			out = append(out, flow(at, src, fmt.Sprintf("10.1.%d.%d", 10+i/200, 1+i%200), 161, "tcp", state))
		}
	}
	return out
}

func TestPollersAreLowAtMost(t *testing.T) {
	for name, dead := range map[string]func(int) bool{
		"scattered": func(i int) bool { return i%10 == 3 },
		"in a rack": func(i int) bool { return i >= 100 && i < 130 },
		"first":     func(i int) bool { return i < 30 },
	} {
		for _, src := range []string{"10.9.0.4", "10.1.0.5"} {
			found := loud(run(model(), poller(src, 300, 60, dead)))
			if len(found) > 1 || len(found) == 1 && found[0].Severity > ocsf.SeverityLow {
				t.Errorf("%s from %s: %s", name, src, brief(found))
			}
		}
	}
}

func TestStalePollerIsSaidOnce(t *testing.T) {
	var events []*ocsf.Event
	for r := range 200 { // for days, also with gaps of more than an hour
		events = append(events, sweep(noon.Add(time.Duration(r)*time.Duration(20+r%3*40)*time.Minute), 3*time.Second, "10.1.0.5", "10.1.2", 7, 9100, "tcp", "S0")...)
	}
	byTime(events)
	if got := brief(loud(run(model(), events))); got != "low known-failing 10.1.0.5" {
		t.Error(got)
	}
}

func TestApprovedScanIsShownAndLeavingItIsSeen(t *testing.T) {
	scan := func(at time.Time, net string) []*ocsf.Event {
		return sweep(at, time.Second, "10.9.0.7", net, 60, 80, "tcp", "S0")
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"inside", scan(noon, "10.1.1"), "high horizontal 10.9.0.7 approved"},
		{"another network", scan(noon, "10.1.2"), "high horizontal 10.9.0.7"},
		{"leaves the network", append(scan(noon, "10.1.1"), scan(noon.Add(2*time.Minute), "10.1.2")...), "high horizontal 10.9.0.7 approved; high horizontal 10.9.0.7"},
		{"the same targets again after the time", append(scan(noon, "10.1.1"), scan(noon.Add(3*time.Hour), "10.1.1")...), "high horizontal 10.9.0.7 approved; high horizontal 10.9.0.7"},
		{"runs over the end", scan(noon.Add(time.Hour-30*time.Second), "10.1.1"), "high horizontal 10.9.0.7 approved; high horizontal 10.9.0.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := loud(run(model(), c.events))
			if got := brief(found); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, f := range found {
				if f.Suppressed != nil && (f.Suppressed.Owner != "it@client.example" || !strings.Contains(f.Reason, "yearly scan")) {
					t.Errorf("the approval is not told: %+v %s", f.Suppressed, f.Reason)
				}
			}
		})
	}
	own := scan(noon, "10.1.1")
	for _, e := range own {
		e.Tenant, e.Trust, e.Partner, e.Direction = "provider", "", "", ocsf.DirectionOut
	}
	if got := brief(loud(run(model(), own))); got != "medium horizontal 10.9.0.7 approved" {
		t.Errorf("the partner's own sensors: %q", got)
	}
}

func TestSameScanTwiceIsTwoFindings(t *testing.T) {
	events := append(sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0"),
		sweep(noon.Add(5*time.Hour), time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0")...)
	if got := brief(loud(run(model(), events))); got != "high horizontal 10.9.0.4; high horizontal 10.9.0.4" {
		t.Error(got)
	}
}

func TestOneFlowOfTwoSensorsCountsOnce(t *testing.T) {
	var events []*ocsf.Event
	for _, e := range sweep(noon, time.Second, "10.9.0.4", "10.1.2", 20, 445, "tcp", "S0") {
		other := *e
		other.Time = e.Time.Add(40 * time.Millisecond)
		events = append(events, e, &other)
	}
	if found := loud(run(model(), events)); len(found) != 1 || found[0].Count != 20 {
		t.Errorf("%s, count %d", brief(found), found[0].Count)
	}
	events = nil
	for _, e := range sweep(noon, time.Second, "10.9.0.4", "10.1.2", 20, 445, "tcp", "S0") {
		other := *e
		other.Time = e.Time.Add(40 * time.Millisecond)
		other.Flow = &ocsf.Flow{Proto: "tcp", State: "SF", History: "ShADadFf", RespPkts: 4}
		events = append(events, e, &other)
	}
	if got := brief(loud(run(model(), events))); got != "" {
		t.Errorf("a sensor that sees half of every flow accuses: %s", got)
	}
	for _, e := range events {
		e.Tenant = []tenant.ID{"client", "other"}[len(e.Flow.History)%2]
	}
	if found := loud(run(model(), events)); len(found) != 1 {
		t.Errorf("two tenants share a flow: %s", brief(found))
	}
}

func TestAScanBeginsWithItsOwnPaceAndNotWithStrays(t *testing.T) {
	events := append([]*ocsf.Event{flow(noon.Add(-9*time.Minute), "10.9.0.4", "10.1.7.7", 80, "tcp", "S0"), flow(noon.Add(-8*time.Minute), "10.9.0.4", "10.1.7.8", 80, "tcp", "S0")},
		sweep(noon, 10*time.Millisecond, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0")...)
	f := loud(run(model(), events))[0]
	if !f.Time.Equal(noon) || f.Count != 40 || slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool { return strings.HasPrefix(e.Value, "10.1.7.") }) {
		t.Errorf("begins at %s with %d flows: %v", f.Time, f.Count, f.Entities)
	}
	walked := append(sweep(noon.Add(-20*time.Minute), 2*time.Minute, "10.9.0.4", "10.1.7", 5, 80, "tcp", "S0"), sweep(noon, 10*time.Millisecond, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0")...)
	if got := loud(run(model(), walked)); brief(got) != "low horizontal 10.9.0.4; high horizontal 10.9.0.4" && brief(got) != "low walk 10.9.0.4; high horizontal 10.9.0.4" || !got[1].Time.Equal(noon) {
		t.Errorf("a fast scan after a slow one: %s at %s", brief(got), got[len(got)-1].Time)
	}
	slow := sweep(noon, 4*time.Minute, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0")
	if f := loud(run(model(), slow))[0]; !f.Time.Equal(noon) || f.Count != 40 {
		t.Errorf("a slow scan begins at %s with %d flows", f.Time, f.Count)
	}
}

// TestFourSensorsSayWhatOneSays gives each flow to one to four sensors, a little apart in time, in random order
// within what the reorder window allows.
func TestFourSensorsSayWhatOneSays(t *testing.T) {
	want := brief(run(model(), mixed()))
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		var events []*ocsf.Event
		for _, e := range mixed() {
			for range 1 + r.IntN(4) {
				other := *e
				other.Time = e.Time.Add(time.Duration(r.IntN(50)) * time.Millisecond)
				events = append(events, &other)
			}
		}
		byTime(events)
		if got := brief(run(model(), events)); got != want {
			t.Errorf("seed %d: %s\nwant %s", seed, got, want)
		}
	}
}

// TestAFloodOfSourcesIsOneFinding gives 200,000 spoofed sources that each fail at eight hosts.
func TestAFloodOfSourcesIsOneFinding(t *testing.T) {
	d := New(detect.Context{Model: model()})
	kept := map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { kept[f.ID] = f }
	for _, e := range sweep(noon.Add(-time.Minute), time.Second, "10.9.0.4", "10.1.2", 2, 445, "tcp", "S0") {
		d.Process(e, emit)
	}
	at := noon
	for i := range 50_000 {
		for j := range 8 {
			at = at.Add(30 * time.Microsecond)
			d.Process(flow(at, fmt.Sprintf("172.%d.%d.%d", 16+i>>16, i>>8&255, i&255), fmt.Sprintf("10.1.2.%d", j), 445, "tcp", "S0"), emit)
		}
	}
	ts := d.tenants["client"]
	held := len(ts.sources)
	for i := range ts.young {
		held += len(ts.young[i].old) + len(ts.young[i].fresh)
	}
	if len(kept) > maxTellers+5 || held > maxSources+6*maxYoung {
		t.Errorf("%d findings, %d sources held", len(kept), held)
	}
	if ts.peek(sourceKey{netip.MustParseAddr("10.9.0.4").As16(), 1}) == nil {
		t.Error("the flood pushed out the partner's source")
	}
	d.Advance(at.Add(24*time.Hour), emit)
	var floods []*ocsf.Finding
	for _, f := range kept {
		if f.Rule == "recon/source-flood" {
			floods = append(floods, f)
		}
	}
	if len(floods) != 1 || floods[0].Count < 45_000 {
		t.Errorf("%v", floods)
	}
}

func TestFindingTellsWhoAndWhat(t *testing.T) {
	found := loud(run(model(), sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0")))
	f := found[0]
	for _, want := range []ocsf.Entity{
		{Type: ocsf.EntityIP, Value: "10.9.0.4", Role: ocsf.RoleSource}, {Type: ocsf.EntityUser, Value: "isl-anna", Role: ocsf.RoleActor},
		{Type: ocsf.EntityHost, Value: "ISL-WS3", Role: ocsf.RoleSource}, {Type: ocsf.EntityIP, Value: "10.1.2.7", Role: ocsf.RoleTarget},
		{Type: ocsf.EntityService, Value: "445/tcp", Role: ocsf.RoleTarget},
	} {
		if !slices.Contains(f.Entities, want) {
			t.Errorf("no entity %v in %v", want, f.Entities)
		}
	}
	if f.Trust != "isl-client" || f.Partner != "isl" || f.Technique != "T1046" || f.Outcome != ocsf.OutcomeAttempted || f.Count != 40 ||
		len(f.Evidence) != ocsf.MaxEvidence || f.Snapshot != "v1" || !f.Time.Equal(noon) || !f.End.Equal(noon.Add(39*time.Second)) {
		t.Errorf("%+v", f)
	}
	want := "10.9.0.4 failed on 40 pairs of host and service (40 hosts) in 39 seconds, while 0 first contacts were answered. " +
		"445/tcp failed on 40 hosts (limit 8). 40 new pairs failed within five minutes (limit 12). " +
		"The random walk over its first contacts with hosts says scanner (99 %). The random walk over its first contacts with services says scanner (99 %)."
	if f.Reason != want {
		t.Error(f.Reason)
	}
}

func TestWhoStandsBehindATranslatedAddressIsNamed(t *testing.T) {
	for _, c := range []struct {
		name   string
		inside string
		shared uint16
		want   string
	}{
		{"a record fits", "192.168.3.7", 0, "Behind this address was 192.168.3.7, as translation records tell"},
		{"several share it", "", 12, "The address is shared by at least 12 inside hosts"},
		{"nothing is known", "", 0, ""},
	} {
		events := sweep(noon, time.Second, "10.9.0.4", "10.1.2", 40, 445, "tcp", "S0")
		for _, e := range events {
			e.SharedBy = c.shared
			if c.inside != "" {
				e.Inside = netip.MustParseAddr(c.inside)
			}
		}
		f := loud(run(model(), events))[0]
		if told := strings.Contains(f.Reason, "address"); told != (c.want != "") || !strings.Contains(f.Reason, c.want) {
			t.Errorf("%s: %s", c.name, f.Reason)
		}
		if c.inside != "" && !slices.Contains(f.Entities, ocsf.Entity{Type: ocsf.EntityIP, Value: c.inside, Role: ocsf.RoleSource}) {
			t.Errorf("%s: %v", c.name, f.Entities)
		}
	}
}

// mixed is scanners, pollers and noise over some hours.
func mixed() []*ocsf.Event {
	events := poller("10.9.0.4", 60, 20, func(i int) bool { return i%7 == 0 })
	events = append(events, sweep(noon.Add(7*time.Minute), 10*time.Second, "10.9.0.7", "10.1.1", 50, 80, "tcp", "S0")...)
	events = append(events, sweep(noon.Add(50*time.Minute), time.Minute, "10.9.0.7", "10.1.1", 50, 81, "tcp", "S0")...)
	events = append(events, sweep(noon, 3*time.Second, "198.51.100.9", "10.1.2", 100, 23, "tcp", "S0")...)
	events = append(events, sweep(noon.Add(3*time.Hour), time.Second, "10.1.0.5", "10.1.2", 30, 0, "icmp", "OTH")...)
	byTime(events)
	return events
}

func TestBatchBordersAndRestartsChangeNothing(t *testing.T) {
	events := mixed()
	want := run(model(), events)
	for _, every := range []int{1, 7, 1000} {
		d := New(detect.Context{Model: model()})
		last := map[string]*ocsf.Finding{}
		emit := func(f *ocsf.Finding) { last[f.ID] = f }
		for i, e := range events {
			d.Process(e, emit)
			if i%every != 0 {
				continue
			}
			d.Advance(e.Time, emit)
			if every == 1 {
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
			if again, _ := d.Snapshot(); !bytes.Equal(b, again) {
				t.Fatal("a restored state is written differently")
			}
		}
		d.Advance(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), emit)
		if diff := cmp.Diff(want, sorted(last), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Fatalf("every %d: %s", every, diff)
		}
	}
	if err := New(detect.Context{}).Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense is restored")
	}
}

func TestExplainSaysWhatWasMissing(t *testing.T) {
	d := New(detect.Context{Model: model()})
	events := sweep(noon, time.Second, "10.9.0.4", "10.1.2", 3, 445, "tcp", "S0")
	for _, e := range events {
		d.Process(e, func(*ocsf.Finding) {})
	}
	text := strings.Join(d.Explain(events[2]), "\n")
	for _, want := range []string{"10.9.0.4 asked 445/tcp of 10.1.2.3: not answered", "failed on 3 pairs", "walk over hosts 4.2, over services 4.2 of 4.6"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if got := d.Explain(&ocsf.Event{}); !strings.Contains(got[0], "no network flow") {
		t.Error(got)
	}
}

func BenchmarkFlows(b *testing.B) {
	d := New(detect.Context{Model: model()})
	events := make([]*ocsf.Event, 100_000)
	for i := range events { // 5,000 hosts, mostly to what they know, some failures
		state := "SF"
		if i%50 == 0 {
			state = "S0"
		}
		e := flow(noon.Add(time.Duration(i)*time.Millisecond), fmt.Sprintf("10.1.%d.%d", i%20, i/20%250), fmt.Sprintf("10.1.99.%d", i*7%30), 443, "tcp", state)
		events[i] = e
	}
	b.ReportAllocs()
	n := 0
	start := cpu()
	for b.Loop() {
		for _, e := range events {
			d.Process(e, func(*ocsf.Finding) { n++ })
		}
		for _, e := range events { // go on in time
			e.Time = e.Time.Add(100 * time.Second)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(events))/(cpu()-start).Seconds(), "flows/CPU-s")
}

func BenchmarkManySources(b *testing.B) {
	e := flow(noon, "10.1.0.5", "10.1.2.3", 443, "tcp", "S0")
	b.ReportAllocs()
	d := New(detect.Context{Model: model()})
	i := 0
	start := cpu()
	for b.Loop() {
		i++
		x := *e
		x.Src.IP = netip.AddrFrom4([4]byte{172, 16 + byte(i>>16)&15, byte(i >> 8), byte(i)})
		x.Dst.IP = netip.AddrFrom4([4]byte{10, 1, byte(i >> 3), byte(i >> 11)})
		x.Time = noon.Add(time.Duration(i) * time.Millisecond)
		d.Process(&x, func(*ocsf.Finding) {})
	}
	b.ReportMetric(float64(b.N)/(cpu()-start).Seconds(), "flows/CPU-s")
}

// cpu returns the processor time of this process, since the clock on the wall says little on a shared machine.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
