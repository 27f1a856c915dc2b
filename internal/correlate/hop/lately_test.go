package hop

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Addresses that were seen lately are found without a search; what is remembered must be what a plain map remembers,
// whatever comes between: other tenants, zones, clocks that go back, forgetting, and more addresses than fit.
func TestAddressesSeenLatelyAreRememberedAsAllOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	start := time.Unix(1_790_000_000, 0)
	g := NewGraph()
	g.flows.most = 3 << latelyBits
	want := map[tenantAddr]int64{}
	note := func(id tenant.ID, a netip.Addr, at time.Time) {
		if k := (tenantAddr{id, a.Unmap()}); at.Unix() > want[k] {
			want[k] = at.Unix()
		}
	}
	at := start
	for i := range 40_000 {
		at = at.Add(time.Duration(r.IntN(1500)-400) * time.Millisecond)
		e := &ocsf.Event{Tenant: tenant.ID([]string{"a", "b"}[r.IntN(2)]), Time: at, Layer: tenant.LayerNetwork, Flow: &ocsf.Flow{}}
		e.Src.IP = netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(4)), byte(r.IntN(200))})
		e.Dst.IP = netip.AddrFrom16(netip.AddrFrom4([4]byte{10, 0, 9, byte(r.IntN(9))}).As16())
		switch r.IntN(10) {
		case 0:
			e.Src.IP = netip.MustParseAddr("fd00::1").WithZone([]string{"", "one", "two"}[r.IntN(3)])
		case 1:
			e.Dst.IP = netip.MustParseAddr("fd00::1")
		}
		g.flows.add(e)
		note(e.Tenant, e.Src.IP, at)
		note(e.Tenant, e.Dst.IP, at)
		if i%9000 == 8999 {
			before := at.Add(-10 * time.Second)
			g.Forget(before)
			maps.DeleteFunc(want, func(_ tenantAddr, last int64) bool { return last < before.Unix() })
		}
		if i%1000 == 0 {
			g.flows.settle()
		}
		if i%1000 == 0 && !maps.Equal(want, g.flows.seen) {
			t.Fatalf("after %d records %d addresses are remembered, not %d, or other times of them", i, len(g.flows.seen), len(want))
		}
	}
	g.flows.settle()
	if !maps.Equal(want, g.flows.seen) {
		t.Fatal("what is remembered at the end differs")
	}
	g.flows.most = len(want) // the next newcomer drops some: none of them may be thought to be held still
	g.flows.add(&ocsf.Event{Tenant: "a", Time: at, Layer: tenant.LayerNetwork, Flow: &ocsf.Flow{},
		Src: ocsf.Endpoint{IP: netip.MustParseAddr("10.200.0.1")}, Dst: ocsf.Endpoint{IP: netip.MustParseAddr("10.200.0.1")}})
	for k := range want {
		g.flows.add(&ocsf.Event{Tenant: k.tenant, Time: at, Layer: tenant.LayerNetwork, Flow: &ocsf.Flow{}, Src: ocsf.Endpoint{IP: k.addr}, Dst: ocsf.Endpoint{IP: k.addr}})
		if _, held := g.flows.seen[k]; !held {
			t.Fatalf("%v is not remembered right after it was seen", k)
		}
	}
}
