package hop

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// asked is what a graph answers to everything that a copy is made for.
func asked(g *Graph, m *tenant.Model) string {
	out := []string{fmt.Sprint(g.SeenBy(m, addr("10.1.0.5")), g.Skews("north"), g.FlowsLeft())}
	for _, id := range []tenant.ID{"north", "south", "east", "west"} {
		from, to, ok := g.Held(id)
		out = append(out, fmt.Sprint(id, from, to, ok))
		for _, host := range []string{"10.1.0.5", "10.2.0.5", "10.2.0.7", "10.3.0.5"} {
			for _, c := range g.Candidates(m, TracePoint{Tenant: id, Addr: addr(host), Time: minute(30)}, MaxCandidates) {
				b, err := json.Marshal(c)
				out = append(out, string(b), fmt.Sprint(err))
			}
		}
	}
	for _, s := range []Seed{{Partner: "p-north"}, {Account: "kim"}, {Tool: "anydesk"}, {Addr: addr("10.1.0.5")}} {
		b, err := json.Marshal(g.Blast(m, s, zero))
		out = append(out, string(b), fmt.Sprint(err))
	}
	return strings.Join(out, "\n")
}

func chain() []work {
	return append(everybody(), work{tenant: "north", src: "10.1.0.7", dst: "10.1.0.5", from: 5, to: 50, packets: 300},
		work{tenant: "north", src: "10.1.0.5", dst: "10.2.0.5", from: 10, to: 45, packets: 300}, work{tenant: "south", src: "10.1.0.5", dst: "10.2.0.5", from: 10, to: 45, packets: 300},
		work{tenant: "south", src: "10.2.0.5", dst: "10.2.0.7", from: 15, to: 40, packets: 300},
		work{tenant: "south", src: "10.2.0.7", dst: "10.3.0.5", from: 20, to: 40, packets: 300}, work{tenant: "east", src: "10.2.0.7", dst: "10.3.0.5", from: 20, to: 40, packets: 300})
}

func TestACopyAnswersAlikeWhileTheGraphGoesOn(t *testing.T) {
	m := traceModel()
	g := graphOf(m, chain())
	for _, e := range busy(7, 3000) {
		g.Add(e)
	}
	want := asked(g, m)
	c := g.Copy()
	if got := asked(c, m); got != want {
		t.Fatalf("the copy answers\n%s\nand the graph\n%s", got, want)
	}
	for _, e := range busy(8, 3000) {
		e.Time = e.Time.Add(90 * 24 * time.Hour)
		g.Add(e)
	}
	g.Forget(minute(60 * 24 * 30))
	if asked(g, m) == want {
		t.Fatal("the graph has not changed, so that the copy proves nothing")
	}
	if got := asked(c, m); got != want {
		t.Error("the copy changed with the graph")
	}
}

// TestIsolationWithinHoldsOneTenantsTelemetry: what a graph within a scope answers is what a graph of that tenant's
// events alone answers.
func TestIsolationWithinHoldsOneTenantsTelemetry(t *testing.T) {
	m := traceModel()
	list, few := chain(), busy(9, 3000)
	for _, e := range few {
		if e.Session != "" { // as attribution names leases
			e.Session = string(e.Tenant) + ":" + e.Session
		}
	}
	whole := graphOf(m, list)
	for _, e := range few {
		once := *e // Add names the session in it
		whole.Add(&once)
	}
	whole.flows.left = 3
	for _, id := range []tenant.ID{"north", "south", "east"} {
		var own []work
		for _, w := range list {
			if w.tenant == id {
				own = append(own, w)
			}
		}
		alone := graphOf(m, own)
		for _, e := range few {
			if e.Tenant == id {
				once := *e
				alone.Add(&once)
			}
		}
		within := whole.Copy().Within(func(x tenant.ID) bool { return x == id })
		if got, want := asked(within, m), asked(alone, m); got != want {
			t.Errorf("within %s, with - of its telemetry alone:\n%s", id, cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
		}
	}
	if got := asked(whole.Within(func(tenant.ID) bool { return false }), m); strings.Contains(got, ".log") {
		t.Errorf("a scope of nobody sees %s", got)
	}
}

// BenchmarkCopy copies a graph at half of the bound of its flows: what a question costs the pipeline of serve.
func BenchmarkCopy(b *testing.B) {
	g, _ := manyFlows(b, MaxFlows/2)
	for i := range 100_000 {
		id := fmt.Sprint("s", i)
		g.sessions[id] = &Session{ID: id, Tenant: "north", Kind: KindSource, Acts: make([]Act, 2)}
		g.flows.seen[tenantAddr{"north", addr(fmt.Sprintf("10.1.%d.%d", i>>8&255, i&255))}] = 1
	}
	for b.Loop() {
		g.Copy()
	}
}
