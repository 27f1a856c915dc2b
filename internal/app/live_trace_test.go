package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// islands are a provider and three clients; the provider enters acme, borg enters the provider, and crown has no trust
// with anybody.
const islands = `
tenants:
  - {id: northwind, name: Northwind, role: provider, networks: [10.5.0.0/16]}
  - {id: acme, name: Acme, role: client, networks: [10.20.0.0/16]}
  - {id: borg, name: Borg Dairies, role: client, networks: [10.30.0.0/16]}
  - {id: crown, name: Crown Jewels, role: client, networks: [10.40.0.0/16]}
partners: [{id: nw, name: Northwind IT, tenant: northwind}, {id: dairy, name: Dairy Partners, tenant: borg}]
trusts:
  - {id: nw-acme, partner: nw, tenant: acme, owner: it@acme.example, valid_from: "2024-01-01", networks: [10.5.0.0/16]}
  - {id: dairy-nw, partner: dairy, tenant: northwind, owner: it@northwind.example, valid_from: "2024-01-01", networks: [10.30.0.0/16]}
sensors:
  - {match: {exporter: a}, name: fw-acme, tenant: acme}
  - {match: {exporter: n}, name: fw-nw, tenant: northwind}
  - {match: {exporter: b}, name: fw-borg, tenant: borg}
`

// ssh is an hour's session as a sensor tells it.
func ssh(uid, from, to string, port int, at time.Time) string {
	return fmt.Sprintf(`{"_path":"conn","ts":%d.0,"uid":"%s","id.orig_h":"%s","id.orig_p":%d,"id.resp_h":"%s","id.resp_p":22,"proto":"tcp","service":"ssh","duration":3600.0,"conn_state":"SF","orig_pkts":900,"resp_pkts":800}`+"\n",
		at.Unix(), uid, from, port, to)
}

// asking starts a live pipeline that knows a way from crown and borg by way of the provider into acme, and returns who
// answers questions over it.
func asking(t *testing.T) (*inquiries, func(...bus.Frame) *Answer, time.Time) {
	t.Helper()
	l, _, send := running(t, setupOf(t, islands), nil)
	at := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	send(lines("fw-nw", "northwind", "", ssh("C1", "10.30.0.9", "10.5.0.51", 50001, at), ssh("C2", "10.5.0.51", "10.20.1.5", 50002, at.Add(time.Minute)), ssh("C5", "10.40.0.3", "10.5.0.77", 50005, at)),
		lines("fw-acme", "acme", "", ssh("C3", "10.5.0.51", "10.20.1.5", 50002, at.Add(time.Minute))),
		lines("fw-borg", "borg", "", ssh("C4", "10.30.0.9", "10.5.0.51", 50001, at)))
	return newInquiries(l), send, at.Add(2 * time.Minute)
}

func (q *inquiries) result() *campaign.Result { return q.live.answer.Load().Result }

// traceFor asks within a scope, and returns the answer with its JSON.
func traceFor(t *testing.T, q *inquiries, scope tenant.Scope, ask api.TraceQuery) (*LiveTraces, string) {
	t.Helper()
	out, err := q.Trace(t.Context(), scope, q.result().Within(scope, q.live.answer.Load().Model), ask)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return out.(*LiveTraces), string(text)
}

func problemOf(t *testing.T, err error) *api.Problem {
	t.Helper()
	var p *api.Problem
	if !errors.As(err, &p) {
		t.Fatalf("the answer is no problem but %v", err)
	}
	return p
}

func wayOf(p TracedPath) string {
	parts := []string{}
	for _, h := range p.Hops {
		parts = append(parts, h.From.String())
	}
	if p.Ask != nil {
		parts = append([]string{"ask " + p.Ask.Organisation + ":"}, parts...)
	}
	return strings.Join(parts, " ")
}

func TestIsolationATraceEndsWhereTheScopeDoes(t *testing.T) {
	q, _, at := asking(t)
	when := at.UTC().Format(time.RFC3339)
	for name, c := range map[string]struct {
		scope       tenant.Scope
		subject     string
		of          tenant.ID
		way, reason string
		not         []string
	}{
		"who sees all is led through three houses": {tenant.ScopeAll(), "10.20.1.5", "acme", "borg/10.30.0.9 northwind/10.5.0.51", "no session into 10.30.0.9", nil},
		"the victim is told whom of its own partners to ask": {tenant.ScopeOf("acme"), "10.20.1.5", "acme", "ask nw: nw/10.5.0.51", "10.5.0.51 belongs to nw, whose telemetry is not yours to see",
			[]string{"borg", "Borg", "10.30.", "dairy", "northwind", "fw-nw", "crown"}},
		"the provider is told its own partner, which it declares": {tenant.ScopeOf("northwind"), "10.5.0.51", "northwind", "ask dairy: dairy/10.30.0.9", "10.30.0.9 belongs to dairy, whose telemetry is not yours to see",
			[]string{"borg", "acme", "10.20.", "crown"}},
		"two that see each other end at the third": {tenant.ScopeOf("acme", "northwind"), "10.20.1.5", "acme", "ask dairy: dairy/10.30.0.9 northwind/10.5.0.51", "10.30.0.9 belongs to dairy",
			[]string{"borg", "crown"}},
		"an organisation without a trust is another one": {tenant.ScopeOf("northwind"), "10.5.0.77", "northwind", campaign.Elsewhere, "it leads on at " + campaign.Elsewhere,
			[]string{"crown", "Crown", "10.40."}},
	} {
		t.Run(name, func(t *testing.T) {
			got, text := traceFor(t, q, c.scope, api.TraceQuery{Subject: c.subject, Tenant: c.of, At: when, Paths: 8})
			if p := got.Traces[0].Paths[0]; wayOf(p) != c.way || !strings.Contains(p.Reason, c.reason) {
				t.Errorf("the way is %q, %q; want %q, %q", wayOf(p), p.Reason, c.way, c.reason)
			}
			for _, s := range c.not {
				if strings.Contains(text, s) {
					t.Errorf("the answer names %q: %s", s, text)
				}
			}
			if !got.Settled || time.Since(got.AsOf) > time.Minute {
				t.Errorf("settled %v as of %s", got.Settled, got.AsOf)
			}
		})
	}
}

func TestIsolationABlastStaysWithinTheScope(t *testing.T) {
	q, _, _ := asking(t)
	ask := func(scope tenant.Scope, subject string) string {
		t.Helper()
		out, err := q.Blast(t.Context(), scope, q.result().Within(scope, q.live.answer.Load().Model), api.BlastQuery{Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if all := ask(tenant.ScopeAll(), "dairy"); !strings.Contains(all, "10.5.0.51") || !strings.Contains(all, "10.20.1.5") {
		t.Errorf("who sees all is told %s", all)
	}
	own := ask(tenant.ScopeOf("northwind"), "dairy")
	if !strings.Contains(own, "10.5.0.51") || strings.Contains(own, "10.20.") || strings.Contains(own, "acme") || strings.Contains(own, "borg") {
		t.Errorf("the provider is told %s", own)
	}
	// Of a partner that is not one's own nothing is known, as of one that does not exist.
	foreign, unknown := ask(tenant.ScopeOf("acme"), "dairy"), ask(tenant.ScopeOf("acme"), "fairy")
	if tenantsOf(t, foreign) != "[]" || tenantsOf(t, unknown) != "[]" {
		t.Errorf("another's partner: %s; one that does not exist: %s", foreign, unknown)
	}
}

func tenantsOf(t *testing.T, text string) string {
	t.Helper()
	var out struct {
		Blast struct{ Tenants json.RawMessage }
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return string(out.Blast.Tenants)
}

func TestAQuestionThatCannotBeAnsweredSaysWhy(t *testing.T) {
	q, _, at := asking(t)
	for name, c := range map[string]struct {
		scope  tenant.Scope
		ask    api.TraceQuery
		status int
		says   string
	}{
		"no such finding":                 {tenant.ScopeAll(), api.TraceQuery{Subject: "0123456789abcdef01234567"}, http.StatusNotFound, "no finding"},
		"an address without a time":       {tenant.ScopeAll(), api.TraceQuery{Subject: "10.20.1.5"}, http.StatusBadRequest, "--at is needed"},
		"a time that is none":             {tenant.ScopeAll(), api.TraceQuery{Subject: "10.20.1.5", At: "noon"}, http.StatusBadRequest, "is no time"},
		"before what is held":             {tenant.ScopeAll(), api.TraceQuery{Subject: "10.20.1.5", Tenant: "acme", At: at.Add(-48 * time.Hour).Format(time.RFC3339)}, http.StatusNotFound, "telemetry of acme in which a session would show is held from"},
		"after what is held":              {tenant.ScopeAll(), api.TraceQuery{Subject: "10.20.1.5", Tenant: "acme", At: at.Add(48 * time.Hour).Format(time.RFC3339)}, http.StatusNotFound, "that time is not in it"},
		"a tenant that nobody declared":   {tenant.ScopeAll(), api.TraceQuery{Subject: "10.20.1.5", Tenant: "fairy", At: "0s"}, http.StatusBadRequest, `"fairy" is not declared`},
		"another's tenant, as well":       {tenant.ScopeOf("acme"), api.TraceQuery{Subject: "10.20.1.5", Tenant: "borg", At: "0s"}, http.StatusBadRequest, `"borg" is not declared`},
		"a tenant that the caller is not": {tenant.ScopeOf("nobody"), api.TraceQuery{Subject: "10.20.1.5", At: at.Format(time.RFC3339)}, http.StatusBadRequest, "no telemetry of a single tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := q.Trace(t.Context(), c.scope, q.result().Within(c.scope, q.live.answer.Load().Model), c.ask)
			if p := problemOf(t, err); p.Status != c.status || !strings.Contains(p.Says, c.says) {
				t.Errorf("%d %s; want %d %s", p.Status, p.Says, c.status, c.says)
			}
		})
	}
	_, err := q.Blast(t.Context(), tenant.ScopeAll(), q.result(), api.BlastQuery{Subject: "nw", Since: at.Add(48 * time.Hour).Format(time.RFC3339)})
	if p := problemOf(t, err); p.Status != http.StatusNotFound || !strings.Contains(p.Says, "is held from") {
		t.Errorf("a blast since a time to come: %d %s", p.Status, p.Says)
	}
	out, err := q.Blast(t.Context(), tenant.ScopeAll(), q.result(), api.BlastQuery{Subject: "nw", Since: "2020-01-01"})
	if err != nil || !strings.Contains(strings.Join(out.(*LiveBlast).Blast.Notes, " "), "telemetry is held from") {
		t.Errorf("a blast since long ago: %v %+v", err, out)
	}
}

func TestABusyServerRefusesAndSaysWhenToAskAgain(t *testing.T) {
	q, _, at := asking(t)
	ask := api.TraceQuery{Subject: "10.20.1.5", Tenant: "acme", At: at.Format(time.RFC3339)}
	trace := func() error {
		_, err := q.Trace(t.Context(), tenant.ScopeAll(), q.result(), ask)
		return err
	}
	refused := func(name string, says string) {
		t.Helper()
		if p := problemOf(t, trace()); p.Status != http.StatusServiceUnavailable || p.Retry <= 0 || !strings.Contains(p.Says, says) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for range maxAsking {
		q.places <- struct{}{}
	}
	refused("too many", "too many traces")
	for range maxAsking {
		<-q.places
	}
	q.within = 20 * time.Millisecond
	q.turn <- struct{}{}
	refused("another that takes long", "other traces took too long")
	<-q.turn
	hold, held := make(chan struct{}), make(chan struct{})
	go q.live.do(func() { close(held); <-hold })
	<-held
	refused("a pipeline that takes no request", "the pipeline is busy")
	close(hold)
	q.within = askWithin
	if err := trace(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if len(q.places)+len(q.turn) != 0 {
		t.Error("a refused question keeps its place")
	}
}

func TestACopyServesUntilSomethingCameAndNoOftenerThanThePipelineBears(t *testing.T) {
	q, send, at := asking(t)
	held := func() (h *heldGraph) {
		t.Helper()
		if err := q.live.doWithin(t.Context(), func() { h = q.live.core.held }); err != nil {
			t.Fatal(err)
		}
		return h
	}
	ask := api.TraceQuery{Subject: "10.20.1.5", Tenant: "acme", At: at.Format(time.RFC3339)}
	before, _ := traceFor(t, q, tenant.ScopeAll(), ask)
	first := held()
	traceFor(t, q, tenant.ScopeAll(), ask)
	if first == nil || held() != first {
		t.Error("nothing came, and the graph was copied again")
	}
	send(lines("fw-acme", "acme", "more", ssh("C9", "10.20.1.9", "10.20.1.5", 50009, at.Add(-time.Minute))))
	q.made, q.took = q.now(), time.Hour
	if traceFor(t, q, tenant.ScopeAll(), ask); held() != first {
		t.Error("the pipeline was held up again at once")
	}
	q.took, q.walked = 0, 0
	after, _ := traceFor(t, q, tenant.ScopeAll(), ask)
	if held() == first || after.Traces[0].Paths[0].Hops[len(after.Traces[0].Paths[0].Hops)-1].Others != before.Traces[0].Paths[0].Hops[len(before.Traces[0].Paths[0].Hops)-1].Others+1 {
		t.Error("what came is not in the answer")
	}
	if err := q.live.doWithin(t.Context(), func() { q.live.core.held = nil }); err != nil {
		t.Fatal(err)
	}
	q.made, q.took = q.now(), time.Hour // as after a rebuild, whose core has no copy yet
	_, err := q.Trace(t.Context(), tenant.ScopeAll(), q.result(), ask)
	if p := problemOf(t, err); p.Status != http.StatusServiceUnavailable || p.Retry < time.Minute {
		t.Errorf("a copy that must not be made yet: %+v", p)
	}
}

func TestDuringARebuildTheAnswerIsOfTheGraphThatIsShown(t *testing.T) {
	q, _, at := asking(t)
	building := func(on bool) {
		t.Helper()
		if err := q.live.doWithin(t.Context(), func() { q.live.building = on }); err != nil {
			t.Fatal(err)
		}
	}
	building(true)
	ask := api.TraceQuery{Subject: "10.20.1.5", Tenant: "acme", At: at.Format(time.RFC3339)}
	got, _ := traceFor(t, q, tenant.ScopeAll(), ask)
	if wayOf(got.Traces[0].Paths[0]) != "borg/10.30.0.9 northwind/10.5.0.51" || got.Settled {
		t.Errorf("%+v", got)
	}
	building(false)
	if got, _ := traceFor(t, q, tenant.ScopeAll(), ask); !got.Settled {
		t.Error("the same graph is not called settled once nothing is owed")
	}
}

func TestQuestionsAndEventsGoOnBesideEachOther(t *testing.T) {
	q, send, at := asking(t)
	var group sync.WaitGroup
	for i, scope := range []tenant.Scope{tenant.ScopeAll(), tenant.ScopeOf("acme"), tenant.ScopeOf("northwind", "acme")} {
		r := q.result().Within(scope, q.live.answer.Load().Model)
		group.Go(func() {
			for n := range 20 {
				_, err := q.Trace(t.Context(), scope, r, api.TraceQuery{Subject: "10.20.1.5", Tenant: "acme", At: at.Format(time.RFC3339)})
				_, berr := q.Blast(t.Context(), scope, r, api.BlastQuery{Subject: "nw"})
				var p *api.Problem
				if err = errors.Join(err, berr); err != nil && (!errors.As(err, &p) || p.Status != http.StatusServiceUnavailable) {
					t.Errorf("asker %d, question %d: %v", i, n, err)
				}
			}
		})
	}
	var list []bus.Frame
	for n := range 20 {
		list = append(list, lines("fw-acme", "acme", fmt.Sprint("k", n), ssh(fmt.Sprint("D", n), "10.20.2.9", "10.20.1.9", 51000+n, at.Add(time.Duration(n)*time.Second))))
	}
	a := send(list...)
	group.Wait()
	if n, _, _ := counted(a, "acme"); n != 21 {
		t.Errorf("%d events of acme's are in the answer, 21 were sent", n)
	}
}

func TestAPipelineThatEndedTakesNoQuestion(t *testing.T) {
	l := testLive(t, setupOf(t, islands), newMemoryBus(), t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := l.run(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := newInquiries(l).Trace(t.Context(), tenant.ScopeAll(), l.answer.Load().Result, api.TraceQuery{Subject: "10.20.1.5", Tenant: "acme", At: "0s"})
	if p := problemOf(t, err); p.Status != http.StatusServiceUnavailable || !strings.Contains(p.Says, "stopping") {
		t.Errorf("%+v", p)
	}
}

// graphWith is a graph of n sessions within acme, one a second.
func graphWith(at time.Time, n int) *hop.Graph {
	g := hop.NewGraph()
	for i := range n {
		g.Add(&ocsf.Event{Tenant: "acme", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Time: at.Add(time.Duration(i) * time.Second), Attribution: ocsf.Attribution{Direction: ocsf.DirectionInternal},
			Src: ocsf.Endpoint{IP: netip.AddrFrom4([4]byte{10, 1, byte(i % 7), byte(i % 251)}), Port: uint16(1024 + i%60000)}, Dst: ocsf.Endpoint{IP: netip.AddrFrom4([4]byte{10, 1, byte(i % 11), byte(i % 241)}), Port: 22},
			Flow: &ocsf.Flow{Proto: "tcp", State: "SF", Duration: 10 * time.Minute, OrigPkts: int64(20 + i%500), RespPkts: 100}, Raw: ocsf.RawRef{File: "conn.log", Record: int64(i)}})
	}
	return g
}

// BenchmarkAQuestionOverALargeGraph asks after each new record, over half a million sessions. held-ms is how long the
// pipeline's goroutine was held; the rest is the asker's own time.
func BenchmarkAQuestionOverALargeGraph(b *testing.B) {
	const n = 500_000
	m := &tenant.Model{Tenants: []tenant.Tenant{{ID: "acme", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}}
	c := &core{stages: &stages{setup: &Setup{Model: m}}}
	l := &live{commands: make(chan func()), ended: make(chan struct{}), start: time.Now(), core: c}
	l.bus = newMemoryBus()
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	c.stages.graph = graphWith(at, n)
	go func() {
		for f := range l.commands {
			f()
		}
	}()
	q := newInquiries(l)
	var held time.Duration
	for b.Loop() {
		c.events++
		q.took, q.walked = 0, 0
		if _, err := q.Trace(b.Context(), tenant.ScopeAll(), &campaign.Result{}, api.TraceQuery{Subject: "10.1.0.5", At: at.Add(n / 2 * time.Second).Format(time.RFC3339)}); err != nil {
			b.Fatal(err)
		}
		held += q.took
	}
	b.ReportMetric(float64(held.Milliseconds())/float64(b.N), "held-ms/op")
}
