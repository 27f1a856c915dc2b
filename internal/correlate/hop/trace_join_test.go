package hop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// TestTheIndexGrowsToWhatItWouldBeBuiltAnew adds a busy hour bit by bit, with a trace in between each: every session of
// the index is that of one which is built at the end, and each trace is that of a graph that was never asked before.
func TestTheIndexGrowsToWhatItWouldBeBuiltAnew(t *testing.T) {
	for seed := range uint64(8) {
		m := traceModel()
		r := rand.New(rand.NewPCG(seed, 1))
		var list []*ocsf.Event
		for _, w := range everybody() {
			list = append(list, w.event(m))
		}
		for i := range 400 {
			at := r.Float64() * 50
			w := work{tenant: "north", src: fmt.Sprintf("10.1.0.%d", 4+r.IntN(4)), dst: fmt.Sprintf("10.%d.0.%d", 1+r.IntN(2), 4+r.IntN(4)), from: at, to: at + 1 + 9*r.Float64(), packets: int64(20 + r.IntN(50)), sport: uint16(40000 + r.IntN(20))}
			for n := range 1 + r.IntN(4) { // several sensors, some within the second, some not
				x := w
				x.from += float64(n) * r.Float64() / 45
				if n%2 == 1 {
					x.tenant = "south"
				}
				list = append(list, x.event(m))
			}
			if i%5 == 0 {
				list = append(list, &ocsf.Event{Tenant: "north", Layer: tenant.LayerEndpoint, Class: ocsf.ClassAuthentication, Activity: "logon", Status: ocsf.StatusSuccess, Time: minute(at), Device: "srv",
					User: ocsf.User{Name: fmt.Sprintf("u%d", r.IntN(3))}, Src: ocsf.Endpoint{IP: netip.MustParseAddr("10.1.0.7")}, Fields: ocsf.Fields{{Name: "LogonType", Value: "10"}}})
			}
		}
		slices.SortStableFunc(list, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
		for range 60 { // some come late
			i, j := r.IntN(len(list)), r.IntN(len(list))
			list[i], list[j] = list[j], list[i]
		}
		asked, fresh := NewGraph(), NewGraph()
		point := TracePoint{Tenant: "south", Addr: addr("10.2.0.5"), Time: minute(40)}
		built := 0
		var last *traceIndex
		for i, e := range list {
			x, y := *e, *e
			asked.Add(&x)
			fresh.Add(&y)
			if i%(1+int(seed)*20) == 0 {
				asked.Trace(m, point)
				if asked.flows.index != last {
					last, built = asked.flows.index, built+1
				}
			}
		}
		got, want := asked.Candidates(m, point, 8), fresh.Candidates(m, point, 8)
		if d := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
		if d := cmp.Diff(sessionsOf(fresh.flows.index), sessionsOf(asked.flows.index)); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
		if built > 30 {
			t.Errorf("seed %d: the index was built anew %d times", seed, built)
		}
	}
}

// sessionsOf writes every session of an index, place by place in its order, with until when one may have been open.
func sessionsOf(ix *traceIndex) []string {
	var out []string
	for to, a := range ix.worked.to {
		for i, e := range a.list {
			out = append(out, fmt.Sprintf("%v %d %v %s %s %d %s %v %s %d %s pairs %d", to, i, e.from, e.start.Format(time.RFC3339Nano), e.end.Format(time.RFC3339Nano), e.packets, e.user, e.seen, e.file, e.record,
				a.until[i].Format(time.RFC3339Nano), ix.worked.pairs[[2]Place{e.from, e.to}]))
		}
	}
	slices.Sort(out)
	return out
}
