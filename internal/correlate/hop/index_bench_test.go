package hop

import (
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// manyFlows is a graph of two houses with n sessions, each seen by one or by both.
func manyFlows(tb testing.TB, n int) (*Graph, *tenant.Model) {
	tb.Helper()
	m, g := traceModel(), NewGraph()
	for i := range n {
		at := zero.Add(time.Duration(i) * time.Second)
		f := flow{tenant: "north", src: netip.AddrFrom4([4]byte{10, 1, byte(i % 7), byte(i % 251)}), dst: netip.AddrFrom4([4]byte{10, 1, byte(i % 11), byte(i % 241)}), sport: uint16(1024 + i%60000), dport: 22,
			start: at, end: at.Add(10 * time.Minute), packets: int64(20 + i%500), kind: flowSSH, file: "x", record: int64(i)}
		if i%4 == 0 {
			f.tenant = "south"
		}
		g.flows.list = append(g.flows.list, f)
	}
	return g, m
}

// BenchmarkTraceAfterAnAdd asks for a trace after each new record, at half of the bound.
func BenchmarkTraceAfterAnAdd(b *testing.B) {
	g, m := manyFlows(b, MaxFlows/2)
	last := zero.Add(MaxFlows / 2 * time.Second)
	point := TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: last}
	g.Trace(m, point)
	for i := 0; b.Loop(); i++ {
		g.Add(work{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: last.Sub(zero).Minutes() + float64(i), to: last.Sub(zero).Minutes() + float64(i) + 5, packets: 400}.event(m))
		g.Trace(m, point)
	}
}

// BenchmarkTraceAnew builds the whole index, at half of the bound.
func BenchmarkTraceAnew(b *testing.B) {
	g, m := manyFlows(b, MaxFlows/2)
	for b.Loop() {
		g.flows.index = nil
		g.Trace(m, TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: zero})
	}
}
