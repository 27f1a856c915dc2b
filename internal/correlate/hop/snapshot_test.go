package hop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// busy is a day of everything that the graph takes, in time.
func busy(seed uint64, n int) []*ocsf.Event {
	r := rand.New(rand.NewPCG(seed, 0))
	m := traceModel()
	var out []*ocsf.Event
	for i := range n {
		at := time.Duration(i) * 90 * time.Second
		ids := []tenant.ID{"north", "south", "east"}
		w := r.IntN(len(ids))
		ws := fmt.Sprintf("ws-%d", r.IntN(6))
		var e *ocsf.Event
		switch r.IntN(7) {
		case 0, 1:
			e = work{tenant: ids[w], src: fmt.Sprintf("10.%d.0.%d", 1+r.IntN(3), 5+r.IntN(4)), dst: fmt.Sprintf("10.%d.0.%d", 1+r.IntN(3), 5+r.IntN(4)),
				port: []uint16{22, 3389, 445}[r.IntN(3)], from: at.Minutes(), to: at.Minutes() + 1 + float64(r.IntN(90)), packets: 40 + int64(r.IntN(900))}.event(m)
		case 2:
			e = came(0, from(fmt.Sprintf("10.1.0.%d", 5+r.IntN(4))), user("isl-kim"), host(ws), logon(ocsf.Status(1+r.IntN(2))))
		case 3:
			e = came(0, lease(fmt.Sprintf("vpn-%d", i/20), i%3 != 0))
			e.Partner, e.Trust = "p-north", "ns"
		case 4:
			e = came(0, user("isl-kim"), host(ws), program(fmt.Sprintf("run %d", r.IntN(100))))
		case 5:
			e = came(0, tool("connect", fmt.Sprintf("ab%d", r.IntN(3))), host(ws), from("198.51.100.7"))
		case 6:
			e = came(0, user("kim@isl.example"), from(fmt.Sprintf("198.51.100.%d", 7+r.IntN(2))), signIn("Portal", ocsf.Status(1+r.IntN(2))))
		}
		if e.Flow == nil {
			e.Tenant = ids[w]
		}
		if r.IntN(4) == 0 && e.Lease == nil && e.Flow == nil {
			e.Layer, e.Class, e.Src.Host = tenant.LayerEndpoint, ocsf.ClassNetworkActivity, e.Device // tells its own address
		}
		e.Time = zero.Add(at)
		out = append(out, e)
	}
	return out
}

// answers is everything that a graph can be asked.
func answers(g *Graph) string {
	m := traceModel()
	var out strings.Builder
	fmt.Fprintln(&out, g.Left, g.FlowsLeft())
	for _, s := range g.Sessions() {
		fmt.Fprintf(&out, "%+v\n", *s)
	}
	for at := range 15 {
		for host := range 8 {
			for i, id := range []tenant.ID{"north", "south", "east"} {
				p := TracePoint{Tenant: id, Addr: netip.AddrFrom4([4]byte{10, byte(1 + i), 0, byte(3 + host)}), Time: minute(float64(100 * at)), User: "isl-kim"}
				if host%2 == 0 {
					p.Addr, p.Host = netip.Addr{}, fmt.Sprintf("ws-%d", host)
				}
				out.WriteString(shown(g.Trace(m, p)) + "\n")
			}
		}
	}
	return out.String()
}

// shown replaces a trace's pointer by what it points to.
func shown(t Trace) string {
	ask := "nobody"
	if t.Ask != nil {
		ask = fmt.Sprintf("%+v", *t.Ask)
	}
	t.Ask = nil
	return fmt.Sprintf("%+v asks %s", t, ask)
}

func again(t testing.TB, g *Graph) *Graph {
	t.Helper()
	b, err := g.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	out := NewGraph()
	if err := out.Restore(b); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRestoredGraphAnswersAlikeAndGoesOnAlike(t *testing.T) {
	for seed := range uint64(4) {
		events := busy(seed, 900)
		whole, parts := NewGraph(), NewGraph()
		for i, e := range events {
			a, b := *e, *e
			whole.Add(&a)
			parts.Add(&b)
			if a.Session != b.Session {
				t.Fatalf("seed %d: event %d belongs to %q, and to %q after a restart", seed, i, a.Session, b.Session)
			}
			if i%150 == 99 {
				parts = again(t, parts)
			}
			if i == 399 || i == 899 {
				if d := cmp.Diff(answers(whole), answers(parts)); d != "" {
					t.Fatalf("seed %d, after %d events: %s", seed, i+1, d)
				}
			}
		}
	}
}

func TestRestoreRefusesWhatIsNotWhole(t *testing.T) {
	g := graph(busy(1, 60)...)
	b, _ := g.Snapshot()
	for n := range b {
		if err := NewGraph().Restore(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes were taken for a whole graph", n, len(b))
		}
	}
	if err := NewGraph().Restore(append([]byte{layout + 1}, b[1:]...)); err == nil {
		t.Error("another layout was taken for ours")
	}
}

func FuzzRestore(f *testing.F) {
	b, _ := graph(busy(1, 30)...).Snapshot()
	f.Add(b)
	f.Add([]byte{layout})
	f.Fuzz(func(t *testing.T, b []byte) {
		g := NewGraph()
		if g.Restore(b) != nil {
			return
		}
		if err := NewGraph().Restore(must(t, g)); err != nil {
			t.Fatal(err)
		}
		for _, e := range busy(2, 10) {
			g.Add(e)
		}
		g.Forget(zero.Add(time.Hour))
	})
}

func must(t *testing.T, g *Graph) []byte {
	b, err := g.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestForgettingDropsWhatEndedAndKeepsTheRest(t *testing.T) {
	events := busy(3, 900) // 22.5 hours
	g := graph(events...)
	before := zero.Add(12 * time.Hour)
	kept := map[string]Session{}
	for _, s := range g.Sessions() {
		if !s.End.Before(before) {
			kept[s.ID] = *s
		}
	}
	g.Forget(before)
	got := map[string]Session{}
	for _, s := range g.Sessions() {
		got[s.ID] = *s
	}
	if d := cmp.Diff(kept, got, cmpopts.EquateComparable(netip.Addr{})); d != "" || len(got) == 0 {
		t.Fatalf("%d sessions are left: %s", len(got), d)
	}
	for i := range g.flows.list {
		if g.flows.list[i].end.Before(before) {
			t.Fatalf("a record that ended %s is left", g.flows.list[i].end)
		}
	}
	for k, i := range g.flows.logons {
		if f := g.flows.list[i]; f.user != k.user || f.dstHost != k.host || f.src != k.src {
			t.Fatalf("the logon of %v is kept as %+v", k, f)
		}
	}
	g.Forget(zero.AddDate(1, 0, 0))
	if n := len(g.sessions) + len(g.running) + len(g.logons) + len(g.flows.list) + len(g.flows.logons) + len(g.flows.seen) + len(g.flows.names) + len(g.flows.hosts) + len(g.flows.heard); n != 0 {
		t.Errorf("%d entries outlive everything", n)
	}
	if n := len(g.flows.words); n > 0 {
		t.Errorf("%d words outlive everything", n)
	}
	r := g.Trace(traceModel(), TracePoint{Tenant: "north", Addr: addr("10.1.0.5"), Time: minute(30)})
	if r.Ask == nil || r.Ask.Organisation != "p-north" {
		t.Errorf("a trace into what was forgotten is no question: %s", r.Reason)
	}
}

func BenchmarkSnapshot(b *testing.B) {
	g := graph(busy(1, 50_000)...)
	for b.Loop() {
		s, err := g.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(s)))
	}
}
