package hop

import (
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

// Three organisations: north enters south and east as a partner, south enters east; outsider is a partner of south
// whose telemetry nobody holds.
func traceModel() *tenant.Model {
	nets := func(list ...string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	return &tenant.Model{
		Tenants: []tenant.Tenant{{ID: "north", Networks: nets("10.1.0.0/16")}, {ID: "south", Networks: nets("10.2.0.0/16")},
			{ID: "east", Networks: nets("10.3.0.0/16")}, {ID: "west", Networks: nets("10.3.0.0/16")}},
		Partners: []tenant.Partner{{ID: "p-north", Tenant: "north"}, {ID: "p-south", Tenant: "south"}, {ID: "outsider"}},
		Trusts: []tenant.Trust{
			{ID: "ns", Partner: "p-north", Tenant: "south", Networks: nets("10.1.0.0/16", "198.51.100.7/32")},
			{ID: "ne", Partner: "p-north", Tenant: "east", Networks: nets("10.1.0.0/16")},
			{ID: "nw", Partner: "p-north", Tenant: "west", Networks: nets("10.1.0.0/16")},
			{ID: "se", Partner: "p-south", Tenant: "east", Networks: nets("10.2.0.0/16")},
			{ID: "os", Partner: "outsider", Tenant: "south", Networks: nets("203.0.113.0/24", "10.2.99.0/24")}},
	}
}

var zero = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func minute(n float64) time.Time { return zero.Add(time.Duration(n * float64(time.Minute))) }

// work is a connection to a remote-access port as one tenant's sensor tells it.
type work struct {
	tenant   tenant.ID
	src, dst string
	port     uint16
	from, to float64 // minutes
	packets  int64
	sport    uint16
	state    string
}

func (w work) event(m *tenant.Model) *ocsf.Event {
	if w.sport == 0 {
		w.sport = 40000 + uint16(w.from)
	}
	if w.port == 0 {
		w.port = 22
	}
	if w.state == "" {
		w.state = "SF"
	}
	e := &ocsf.Event{Tenant: w.tenant, Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Time: minute(w.from),
		Src: ocsf.Endpoint{IP: netip.MustParseAddr(w.src), Port: w.sport}, Dst: ocsf.Endpoint{IP: netip.MustParseAddr(w.dst), Port: w.port},
		Flow: &ocsf.Flow{Proto: "tcp", State: w.state, Duration: minute(w.to).Sub(minute(w.from)), OrigPkts: w.packets / 2, RespPkts: w.packets - w.packets/2},
		Raw:  ocsf.RawRef{File: string(w.tenant) + ".log", Record: int64(w.from) + 1}}
	own := m.Tenant(w.tenant).Networks
	switch src, dst := longest(own, e.Src.IP) >= 0, longest(own, e.Dst.IP) >= 0; {
	case src && dst:
		e.Direction = ocsf.DirectionInternal
	case src:
		e.Direction = ocsf.DirectionOut
	default:
		e.Direction = ocsf.DirectionIn
	}
	return e
}

// everybody is a short contact of each host, so that its tenant's sensors have seen it over the whole hour.
func everybody() []work {
	var out []work
	for _, w := range []struct{ id, src, dst string }{{"north", "10.1.0.5", "10.1.0.6"}, {"north", "10.1.0.7", "10.1.0.8"}, {"south", "10.2.0.5", "10.2.0.6"},
		{"east", "10.3.0.5", "10.3.0.6"}, {"west", "10.3.0.5", "10.3.0.6"}} {
		for _, at := range []float64{0, 60} {
			out = append(out, work{tenant: tenant.ID(w.id), src: w.src, dst: w.dst, port: 443, from: at, to: at + 0.01, packets: 9})
		}
	}
	return out
}

func graphOf(m *tenant.Model, list []work) *Graph {
	g := NewGraph()
	var events []*ocsf.Event
	for _, w := range list {
		events = append(events, w.event(m))
	}
	slices.SortStableFunc(events, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	for _, e := range events {
		g.Add(e)
	}
	return g
}

// way writes a trace as "tenant/host → … → tenant/host", with "? who" at its beginning where somebody must be asked.
func way(t Trace) string {
	var parts []string
	if t.Ask != nil {
		parts = append(parts, "? "+t.Ask.Organisation)
	}
	for _, h := range t.Hops {
		parts = append(parts, string(h.From.Tenant)+"/"+h.From.Name())
	}
	return strings.Join(append(parts, string(t.Source.Tenant)+"/"+t.Source.Name()), " → ")
}

func TestTrace(t *testing.T) {
	m := traceModel()
	for name, c := range map[string]struct {
		work []work
		from TracePoint
		want string
	}{
		"nobody is in the host: it is the origin": {nil, TracePoint{Tenant: "south", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.5"},
		"one hop within a house": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 10, to: 50, packets: 400}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.7 → north/10.1.0.5"},
		"one hop seen by both sides": {[]work{{tenant: "north", src: "10.1.0.5", dst: "10.2.0.5", from: 10, to: 50, packets: 400},
			{tenant: "south", src: "10.1.0.5", dst: "10.2.0.5", from: 10.001, to: 50, packets: 401}},
			TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}, "north/10.1.0.5 → south/10.2.0.5"},
		"two hops": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 5, to: 50, packets: 400},
			{tenant: "north", src: "10.1.0.5", dst: "10.2.0.5", from: 10, to: 50, packets: 400}},
			TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}, "north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5"},
		"three hops over three organisations": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", port: 3389, from: 5, to: 50, packets: 400},
			{tenant: "south", src: "10.1.0.5", dst: "10.2.0.5", from: 10, to: 50, packets: 400},
			{tenant: "east", src: "10.2.0.5", dst: "10.3.0.5", port: 5985, from: 20, to: 50, packets: 400}},
			TracePoint{Tenant: "east", Addr: addr("10.3.0.5"), Time: minute(30)}, "north/10.1.0.7 → north/10.1.0.5 → south/10.2.0.5 → east/10.3.0.5"},
		"a session that opened later caused nothing": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 31, to: 50, packets: 400}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.5"},
		"a session that ended long before caused nothing": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 5, to: 20, packets: 400}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.5"},
		"a scan left running a minute ago": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 5, to: 29, packets: 400}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.7 → north/10.1.0.5"},
		"of two sessions the one with most packets": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 5, to: 50, packets: 4000},
			{tenant: "north", src: "10.1.0.8", dst: "10.1.0.5", from: 20, to: 55, packets: 300}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.7 → north/10.1.0.5"},
		"an open session beats a busier one that had ended": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 5, to: 29, packets: 40000},
			{tenant: "north", src: "10.1.0.8", dst: "10.1.0.5", from: 20, to: 55, packets: 60}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.8 → north/10.1.0.5"},
		"two hosts that work on each other": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 10, to: 50, packets: 400},
			{tenant: "north", src: "10.1.0.5", dst: "10.1.0.7", from: 5, to: 50, packets: 400}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.7 → north/10.1.0.5"},
		"a refused or idle connection is no session": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 10, to: 50, packets: 400, state: "REJ"},
			{tenant: "north", src: "10.1.0.8", dst: "10.1.0.5", from: 10, to: 50, packets: 12}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.5"},
		"a session from before the sensor's start": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 1, to: 50, packets: 400, state: "OTH"}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.7 → north/10.1.0.5"},
		"one mounted share is a way in": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", port: 445, from: 10, to: 50, packets: 900}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.7 → north/10.1.0.5"},
		"a file server's many mounted shares are none": {[]work{{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", port: 445, from: 10, to: 50, packets: 900},
			{tenant: "north", src: "10.1.0.8", dst: "10.1.0.5", port: 445, from: 10, to: 50, packets: 400}},
			TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}, "north/10.1.0.5"},
		"a partner whose telemetry is not held": {[]work{{tenant: "south", src: "203.0.113.9", dst: "10.2.0.5", from: 10, to: 50, packets: 400}},
			TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}, "? outsider → /203.0.113.9 → south/10.2.0.5"},
		"NAT: the partner's sensors never saw the address": {[]work{{tenant: "south", src: "198.51.100.7", dst: "10.2.0.5", from: 10, to: 50, packets: 400}},
			TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}, "? p-north → north/198.51.100.7 → south/10.2.0.5"},
		"a pool address that no session log explains": {[]work{{tenant: "south", src: "10.2.99.4", dst: "10.2.0.5", from: 10, to: 50, packets: 400}},
			TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}, "? outsider → south/10.2.99.4 → south/10.2.0.5"},
		"telemetry that ends before": {nil, TracePoint{Tenant: "south", Addr: addr("10.1.0.5"), Time: minute(300)}, "? p-north → north/10.1.0.5"},
		"an address of the Internet": {[]work{{tenant: "south", src: "192.0.2.1", dst: "10.2.0.5", from: 10, to: 50, packets: 400}},
			TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}, "/192.0.2.1 → south/10.2.0.5"},
		"equal private addresses in two houses stay apart": {[]work{{tenant: "west", src: "10.1.0.7", dst: "10.3.0.5", from: 10, to: 50, packets: 400},
			{tenant: "north", src: "10.1.0.7", dst: "10.3.0.5", from: 10, to: 50, packets: 400},
			{tenant: "east", src: "10.2.0.5", dst: "10.3.0.5", from: 12, to: 50, packets: 400}},
			TracePoint{Tenant: "east", Addr: addr("10.3.0.5"), Time: minute(30)}, "south/10.2.0.5 → east/10.3.0.5"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := way(graphOf(m, append(everybody(), c.work...)).Trace(m, c.from)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestTraceCountsWhatItPassedOver(t *testing.T) {
	m := traceModel()
	g := graphOf(m, append(everybody(), work{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 5, to: 50, packets: 4000},
		work{tenant: "north", src: "10.1.0.8", dst: "10.1.0.5", from: 20, to: 55, packets: 300}))
	h := g.Trace(m, TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)}).Hops
	if len(h) != 1 || h[0].Others != 1 || h[0].Evidence.File != "north.log" || h[0].Evidence.Record != 6 {
		t.Errorf("got %+v", h)
	}
}

// TestTraceRemembersWhoSawASession joins records of one connection by four sensors of two tenants.
func TestTraceRemembersWhoSawASession(t *testing.T) {
	m := traceModel()
	var list []work
	for i, id := range []tenant.ID{"south", "north", "south", "north"} {
		list = append(list, work{tenant: id, src: "10.1.0.5", dst: "10.2.0.5", from: 10 + float64(i)*0.002, to: 50, packets: 400 + int64(i), sport: 50505})
	}
	g := graphOf(m, append(everybody(), list...))
	h := g.Trace(m, TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(30)}).Hops
	if len(h) != 1 || !slices.Equal(h[0].Seen, []tenant.ID{"north", "south"}) || h[0].Packets != 403 || h[0].Others != 0 {
		t.Errorf("got %+v", h)
	}
	if n := len(g.flows.index.worked.to[h[0].To].list); n != 1 {
		t.Errorf("one connection is %d sessions", n)
	}
}

// TestTraceIsBounded walks a chain that is longer than MaxTraceHops.
func TestTraceIsBounded(t *testing.T) {
	m := traceModel()
	var list []work
	for i := range 2 * MaxTraceHops {
		a := netip.AddrFrom4([4]byte{10, 1, 1, byte(i)})
		list = append(list, work{tenant: "north", src: a.String(), dst: a.Next().String(), from: float64(i), to: 59, packets: 100})
	}
	got := graphOf(m, append(everybody(), list...)).Trace(m, TracePoint{Tenant: "north", Addr: netip.AddrFrom4([4]byte{10, 1, 1, 2 * MaxTraceHops}), Time: minute(50)})
	if len(got.Hops) != MaxTraceHops || !strings.Contains(got.Reason, "was left after") {
		t.Errorf("%d hops, because %s", len(got.Hops), got.Reason)
	}
}

func TestWhereThereIsNoRoomTheOldestRecordsGoAndAreCounted(t *testing.T) {
	m := traceModel()
	g := NewGraph()
	g.flows.most = 32
	for i := range 33 {
		g.Add(work{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: float64(i), to: float64(i + 1), packets: 400}.event(m))
	}
	if g.FlowsLeft() != 3 || len(g.flows.list) != 30 {
		t.Errorf("%d went, %d are left", g.FlowsLeft(), len(g.flows.list))
	}
	if first := g.flows.list[0].start; !first.Equal(minute(3)) {
		t.Errorf("the oldest that is left began %s", first)
	}
	if r := g.Trace(m, TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(500)}).Reason; !strings.Contains(r, "3 records of sessions were left out") {
		t.Errorf("the trace does not say so: %s", r)
	}
}

// TestTraceIsTheSameInAnyOrder adds the same records in other orders within the same moments.
func TestTraceIsTheSameInAnyOrder(t *testing.T) {
	m := traceModel()
	r := rand.New(rand.NewPCG(1, 2))
	list := everybody()
	for i := range 300 {
		src, dst := netip.AddrFrom4([4]byte{10, byte(1 + r.IntN(3)), 0, byte(4 + r.IntN(5))}), netip.AddrFrom4([4]byte{10, byte(1 + r.IntN(3)), 0, byte(4 + r.IntN(5))})
		at := float64(r.IntN(50))
		for _, id := range []tenant.ID{"north", "south", "east", "west"} {
			if r.IntN(2) == 0 && longest(m.Tenant(id).Networks, src)+longest(m.Tenant(id).Networks, dst) > -2 {
				list = append(list, work{tenant: id, src: src.String(), dst: dst.String(), from: at, to: at + 1 + float64(r.IntN(20)), packets: int64(20 + r.IntN(9)), sport: uint16(40000 + i)})
			}
		}
	}
	answers := func() []string {
		g := graphOf(m, list)
		var out []string
		for _, id := range []tenant.ID{"north", "south", "east", "west"} {
			for host := byte(4); host < 9; host++ {
				own := m.Tenant(id).Networks[0].Addr().As4()
				tr := g.Trace(m, TracePoint{Tenant: id, Addr: netip.AddrFrom4([4]byte{own[0], own[1], 0, host}), Time: minute(40)})
				out = append(out, way(tr)+" because "+tr.Reason)
			}
		}
		return out
	}
	want := answers()
	for range 20 {
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if d := cmp.Diff(want, answers()); d != "" {
			t.Fatal(d)
		}
	}
}

// TestTraceFollowsLogonsAndLeases goes from a scanner by a logon to a pool address, and by its lease to the partner.
func TestTraceFollowsLogonsAndLeases(t *testing.T) {
	m := traceModel()
	g := graphOf(m, everybody())
	g.Add(&ocsf.Event{Tenant: "south", Layer: tenant.LayerNetwork, Class: ocsf.ClassDHCPActivity, Time: minute(1), Lease: &ocsf.Lease{Kind: "dhcp", Device: "APP1", Addr: addr("10.2.0.5"), Start: true}})
	g.Add(&ocsf.Event{Tenant: "south", Layer: tenant.LayerAccess, Class: ocsf.ClassTunnelActivity, Time: minute(5),
		Attribution: ocsf.Attribution{Partner: "outsider", Trust: "os", Session: "lease-1"},
		Lease:       &ocsf.Lease{Kind: "vpn", ID: "7", Addr: addr("10.2.99.4"), Public: addr("203.0.113.9"), Holder: ocsf.User{Name: "o-smith"}, Start: true}})
	logon := func(at float64, user, kind string) *ocsf.Event {
		return &ocsf.Event{Tenant: "south", Layer: tenant.LayerEndpoint, Class: ocsf.ClassAuthentication, Activity: "logon", Status: ocsf.StatusSuccess, Time: minute(at),
			Device: "app1.south.example", User: ocsf.User{Name: user}, Src: ocsf.Endpoint{IP: addr("10.2.99.4")}, Fields: ocsf.Fields{{Name: "LogonType", Value: kind}},
			Attribution: ocsf.Attribution{Partner: "outsider", Session: "lease-1"}}
	}
	g.Add(logon(10, "O-Smith", "10"))
	g.Add(logon(20, "APP1$", "3"))
	got := g.Trace(m, TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(21)})
	if w := way(got); w != "? outsider → /203.0.113.9 → south/10.2.99.4 → south/10.2.0.5" {
		t.Error(w)
	}
	if len(got.Hops) != 2 || got.Hops[0].Kind != "vpn" || got.Hops[1].Kind != "logon" || got.Hops[1].User != "o-smith" {
		t.Errorf("got %+v", got.Hops)
	}
}

// TestTraceKnowsWhoseHostANameIs starts from names that a tenant's telemetry gives for sources.
func TestTraceKnowsWhoseHostANameIs(t *testing.T) {
	m := traceModel()
	g := graphOf(m, everybody())
	for id, host := range map[tenant.ID]string{"north": "NOR-JMP1.north.example", "east": "east-srv", "west": "wst-1"} {
		g.Add(&ocsf.Event{Tenant: id, Layer: tenant.LayerEndpoint, Class: ocsf.ClassProcessActivity, Time: minute(2), Device: host})
	}
	for host, want := range map[string]string{"east-srv": "east/east-srv", "nor-jmp1": "north/nor-jmp1", "wst-1": "/wst-1", "laptop-7": "/laptop-7"} {
		if got := way(g.Trace(m, TracePoint{Tenant: "east", Host: host, Time: minute(3)})); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
	if got := way(g.Trace(m, TracePoint{Tenant: "east", Host: "laptop-7", Time: minute(3), Partner: "p-south"})); got != "? p-south → /laptop-7" {
		t.Error(got)
	}
}
