package beacon

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var (
	_ detect.Detector  = (*Detector)(nil)
	_ detect.Explainer = (*Detector)(nil)

	monday = time.Date(2026, 9, 7, 0, 0, 0, 0, time.UTC)
)

func model() *tenant.Model {
	return &tenant.Model{Version: "v1",
		Tenants: []tenant.Tenant{
			{ID: "client", Domains: []string{"client.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("198.51.100.64/28")}},
			{ID: "other", Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
		},
		Partners: []tenant.Partner{{ID: "isl"}},
		Trusts: []tenant.Trust{
			{ID: "isl-client", Partner: "isl", Tenant: "client", Owner: "it@client.example", MailDomains: []string{"isl.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.56/29")},
				RemoteTools: []tenant.RemoteTool{{Tool: "screenconnect", Hosts: []string{"relay.isl.example"}}}, Destinations: []string{"10.1.0.9"}},
			{ID: "isl-other", Partner: "isl", Tenant: "other"},
		}}
}

// flow is an answered connection.
func flow(at time.Time, id tenant.ID, src, dst string, port uint16, sent int64) *ocsf.Event {
	e := &ocsf.Event{Time: at, Seen: at, Tenant: id, Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Status: ocsf.StatusSuccess, Source: "zeek/conn",
		Src:  ocsf.Endpoint{IP: netip.MustParseAddr(src), Port: uint16(20000 + at.UnixMilli()/7%40000)},
		Dst:  ocsf.Endpoint{IP: netip.MustParseAddr(dst), Port: port},
		Flow: &ocsf.Flow{Proto: "tcp", State: "SF", History: "ShADadFf", OrigBytes: sent, RespBytes: 400, OrigPkts: 5, RespPkts: 5},
		Raw:  ocsf.RawRef{File: "conn.log", Record: at.UnixMilli()}}
	for i, c := range []byte(fmt.Sprintf("%s%s%d%d", src, dst, port, at.UnixNano())) {
		e.ID[i%16] = e.ID[i%16]*31 + c
	}
	return e
}

// every is contacts from one host to one destination, jittered by a part of the interval each way.
func every(from time.Time, lasts, pace time.Duration, jitter float64, seed uint64, make func(at time.Time) *ocsf.Event) (out []*ocsf.Event) {
	r := rand.New(rand.NewPCG(seed, 9))
	for at := from; at.Before(from.Add(lasts)); at = at.Add(time.Duration(float64(pace) * (1 + jitter*(2*r.Float64()-1)))) {
		out = append(out, make(at))
	}
	return out
}

func to(id tenant.ID, src, dst string, port uint16, sent int64) func(time.Time) *ocsf.Event {
	return func(at time.Time) *ocsf.Event { return flow(at, id, src, dst, port, sent) }
}

// office is the daily life of n hosts of a tenant, from before the day: each visits sites of everybody's at any time.
func office(id tenant.ID, n int, from time.Time, lasts time.Duration) (out []*ocsf.Event) {
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(i), 5))
		for at := from; at.Before(from.Add(lasts)); at = at.Add(time.Duration(r.ExpFloat64() * float64(9*time.Minute))) {
			out = append(out, flow(at, id, fmt.Sprintf("10.1.1.%d", i+1), fmt.Sprintf("151.101.0.%d", r.IntN(40)), 443, int64(300+r.IntN(9000))))
		}
	}
	return out
}

func byTime(lists ...[]*ocsf.Event) []*ocsf.Event {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b *ocsf.Event) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	return all
}

func run(events []*ocsf.Event) []*ocsf.Finding {
	g := detect.NewEngine("v1", New(detect.Context{Model: model()}))
	for _, e := range events {
		g.Process(e)
	}
	g.Finish()
	return g.Findings()
}

// brief is one line a finding: severity, destination, whether it is explained.
func brief(found []*ocsf.Finding) string {
	var out []string
	for _, f := range found {
		dst := f.Entities[1].Value
		if f.Suppressed != nil {
			dst += " (" + f.Suppressed.By + ")"
		}
		out = append(out, fmt.Sprintf("%s %s %s", f.Tenant, f.Severity, dst))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

func TestImplantsAreFoundWhateverTheirJitter(t *testing.T) {
	day := 24 * time.Hour
	for _, pace := range []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 20 * time.Minute, time.Hour} {
		for _, jitter := range []float64{0, 0.1, 0.3, 0.5} {
			for _, start := range []time.Duration{0, 37*time.Minute + 11*time.Second, 9 * time.Hour} {
				events := every(monday.Add(start), day, pace, jitter, uint64(pace), to("client", "10.1.0.7", "192.0.2.80", 443, 300))
				if got, want := brief(run(events)), "client informational 192.0.2.80"; got != want {
					t.Errorf("every %s, jitter %.0f %%, from %s: got %q, want %q", pace, 100*jitter, start, got, want)
				}
			}
		}
	}
}

func TestDailyLifeStaysQuiet(t *testing.T) {
	day := 24 * time.Hour
	var browsing, updates, printers, clocks []*ocsf.Event
	for i := range 8 {
		host := fmt.Sprintf("10.1.1.%d", i+1)
		at := monday.Add(time.Duration(i) * time.Second)
		browsing = append(browsing, every(at, day, 5*time.Minute, 0.05, uint64(i), to("client", host, "151.101.1.1", 443, 900))...)
		updates = append(updates, every(at, day, time.Hour, 0.01, uint64(i), to("client", host, "152.199.0.5", 443, 700))...)
		printers = append(printers, every(at, day, 30*time.Second, 0, uint64(i), to("client", "10.1.0.20", host, 9100, 90))...)
		clocks = append(clocks, every(at, day, 64*time.Second, 0, uint64(i), func(at time.Time) *ocsf.Event {
			e := flow(at, "client", host, "192.0.2.123", 123, 48)
			e.Flow.Proto, e.Flow.Service = "udp", "ntp"
			return e
		})...)
	}
	with := func(make func(time.Time) *ocsf.Event, change func(*ocsf.Event)) func(time.Time) *ocsf.Event {
		return func(at time.Time) *ocsf.Event {
			e := make(at)
			change(e)
			return e
		}
	}
	implant := to("client", "10.1.0.7", "192.0.2.80", 443, 300)
	var poller []*ocsf.Event
	for i := range 12 {
		poller = append(poller, every(monday.Add(time.Duration(i)*time.Second), day, 5*time.Minute, 0, uint64(i),
			with(to("client", "203.0.113.57", fmt.Sprintf("10.1.1.%d", i+1), 161, 80), func(e *ocsf.Event) { e.Partner, e.Trust, e.Direction = "isl", "isl-client", ocsf.DirectionIn }))...)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
	}{
		{"a site that every browser polls", byTime(browsing)},
		{"updates that every host asks for", byTime(updates)},
		{"a print server and its printers", byTime(printers)},
		{"clocks", byTime(clocks)},
		{"one clock of one server", every(monday, day, 64*time.Second, 0, 1, with(to("client", "10.1.0.7", "192.0.2.123", 123, 48), func(e *ocsf.Event) { e.Flow.Proto = "udp" }))},
		{"an office", byTime(office("client", 12, monday, 2*day))},
		{"a partner's monitoring of many hosts", byTime(poller)},
		{"two hours of contacts", every(monday, 2*time.Hour, 20*time.Second, 0, 1, implant)},
		{"eleven contacts", every(monday, 11*2*time.Hour, 2*time.Hour, 0, 1, implant)},
		{"nobody answers", every(monday, day, time.Minute, 0, 1, with(implant, func(e *ocsf.Event) { e.Flow.State, e.Flow.RespBytes, e.Flow.RespPkts = "S0", 0, 0 }))},
		{"refused", every(monday, day, time.Minute, 0, 1, with(implant, func(e *ocsf.Event) { e.Flow.State = "REJ" }))},
		{"connections seen from their answer", every(monday, day, time.Minute, 0, 1, with(implant, func(e *ocsf.Event) { e.Flow.History = "^hADad" }))},
		{"pings", every(monday, day, time.Minute, 0, 1, with(implant, func(e *ocsf.Event) { e.Flow.Proto = "icmp" }))},
		{"a group of hosts", every(monday, day, time.Minute, 0, 1, to("client", "10.1.0.7", "224.0.0.251", 5353, 80))},
		{"pieces of one conversation", every(monday, day, 500*time.Millisecond, 0.2, 1, implant)},
	} {
		if got := brief(run(c.events)); got != "" {
			t.Errorf("%s: got %q, want nothing", c.name, got)
		}
	}
}

func TestSeverityNeedsRarityAndTime(t *testing.T) {
	day := 24 * time.Hour
	new := monday.Add(30 * time.Hour)
	implant := to("client", "10.1.1.3", "192.0.2.80", 443, 300)
	second := every(new.Add(time.Second), day, 5*time.Minute, 0.3, 2, to("other", "10.1.1.3", "192.0.2.80", 443, 300))
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"a new destination of one host of many", byTime(office("client", 12, monday, 3*day), every(new, day, 5*time.Minute, 0.3, 1, implant)), "client medium 192.0.2.80"},
		{"it was there when the watch began", byTime(office("client", 12, monday, 3*day), every(monday, 3*day, 5*time.Minute, 0.3, 1, implant)), "client low 192.0.2.80"},
		{"hardly any other host is known", byTime(office("client", 3, monday, 3*day), every(new, day, 5*time.Minute, 0.3, 1, implant)), "client low 192.0.2.80"},
		{"another tenant's host uses it too", byTime(office("client", 12, monday, 3*day), office("other", 12, monday, 3*day), every(new, day, 5*time.Minute, 0.3, 1, implant), second),
			"client low 192.0.2.80; other low 192.0.2.80"},
	} {
		if got := brief(run(c.events)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWhatATrustExplainsIsShownAsSuppressed(t *testing.T) {
	day := 24 * time.Hour
	tls := func(name string) []*ocsf.Event {
		return every(monday, day, 5*time.Minute, 0.1, 1, func(at time.Time) *ocsf.Event {
			e := flow(at, "client", "10.1.0.7", "192.0.2.80", 443, 0)
			e.Flow, e.Source, e.Dst.Domain = nil, "zeek/ssl", name
			return e
		})
	}
	over := func(dst string) []*ocsf.Event {
		return every(monday, day, 5*time.Minute, 0.1, 1, func(at time.Time) *ocsf.Event {
			e := flow(at, "client", "10.9.0.7", dst, 445, 300)
			e.Partner, e.Trust, e.Direction = "isl", "isl-client", ocsf.DirectionIn
			return e
		})
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"the partner's relay", tls("Relay.isl.example."), "client informational relay.isl.example (trust)"},
		{"the partner's own name", tls("monitor.isl.example"), "client informational monitor.isl.example (trust)"},
		{"a name of nobody's", tls("cdn.example"), "client informational cdn.example"},
		{"a remote tool that nobody declared", tls("router1.teamviewer.com"), "client low router1.teamviewer.com"},
		{"the partner's address", every(monday, day, 5*time.Minute, 0.1, 1, to("client", "10.1.0.7", "203.0.113.58", 8041, 300)), "client informational 203.0.113.58 (trust)"},
		{"a destination that the trust declares", over("10.1.0.9"), "client informational 10.1.0.9 (trust)"},
		{"another host over the trust", over("10.1.0.10"), "client informational 10.1.0.10"},
	} {
		if got := brief(run(c.events)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestNameAndAddressAreOneFinding has both the connection's and the TLS record of every contact, and a destination
// whose address changes.
func TestNameAndAddressAreOneFinding(t *testing.T) {
	var events []*ocsf.Event
	i := 0
	for _, e := range every(monday, 24*time.Hour, 5*time.Minute, 0.2, 1, to("client", "10.1.0.7", "192.0.2.80", 443, 300)) {
		e.Dst.IP = netip.AddrFrom4([4]byte{192, 0, 2, byte(80 + i%2)})
		x := *e
		x.Flow, x.Source, x.Dst.Domain, x.Time = nil, "zeek/ssl", "c2.example", e.Time.Add(40*time.Millisecond)
		x.ID[0]++
		events = append(events, e, &x)
		i++
	}
	found := run(events)
	if got, want := brief(found), "client informational c2.example"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	if !strings.Contains(found[0].Reason, "with 300 bytes sent at the median") {
		t.Errorf("the connection's size is not told: %s", found[0].Reason)
	}
}

func TestFlowSeenBySeveralSensorsCountsOnce(t *testing.T) {
	one := every(monday, 24*time.Hour, 5*time.Minute, 0.3, 1, to("client", "10.1.0.7", "192.0.2.80", 443, 300))
	var four []*ocsf.Event
	for _, e := range one {
		for i := range 4 {
			x := *e
			x.Time = e.Time.Add(time.Duration(i) * 30 * time.Millisecond)
			x.ID[1] += byte(i)
			four = append(four, &x)
		}
	}
	a, b := run(one), run(byTime(four))
	if len(a) != 1 || len(b) != 1 || a[0].Reason != b[0].Reason || a[0].ID != b[0].ID || a[0].Count != b[0].Count || a[0].Severity != b[0].Severity {
		t.Errorf("one sensor: %s\nfour: %s", tell(a), tell(b))
	}
}

func tell(list []*ocsf.Finding) string {
	var out []string
	for _, f := range list {
		out = append(out, f.ID+" "+f.Severity.String()+" "+f.Reason)
	}
	return strings.Join(out, "\n")
}

// TestOrderOfArrivalChangesNothing sorts shuffled events as the pipeline does.
func TestOrderOfArrivalChangesNothing(t *testing.T) {
	events := byTime(office("client", 12, monday, 48*time.Hour), every(monday.Add(20*time.Hour), 20*time.Hour, 3*time.Minute, 0.3, 1, to("client", "10.1.1.3", "192.0.2.80", 443, 300)))
	want := tell(run(events))
	if want == "" {
		t.Fatal("nothing is found at all")
	}
	r := rand.New(rand.NewPCG(4, 4))
	for range 3 {
		mixed := slices.Clone(events)
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := tell(run(byTime(mixed))); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

func TestOneFindingGrowsUntilADayOfSilence(t *testing.T) {
	implant := to("client", "10.1.0.7", "192.0.2.80", 443, 300)
	days := every(monday, 72*time.Hour, 5*time.Minute, 0.2, 1, implant)
	g := detect.NewEngine("v1", New(detect.Context{Model: model()}))
	var counts []int
	for _, e := range days {
		g.Process(e)
		for _, f := range g.Findings() {
			if len(counts) == 0 || f.Count > counts[len(counts)-1] {
				counts = append(counts, f.Count)
			}
		}
	}
	if n := len(g.Findings()); n != 1 || len(counts) < 48 {
		t.Errorf("%d findings, told %d times in three days", n, len(counts))
	}
	for _, e := range every(monday.Add(100*time.Hour), 24*time.Hour, 5*time.Minute, 0.2, 1, implant) {
		g.Process(e)
	}
	if got, want := brief(g.Findings()), "client informational 192.0.2.80; client informational 192.0.2.80"; got != want {
		t.Errorf("after a day of silence: got %q, want %q", got, want)
	}
}

// TestClockThatWasAheadCostsNoFinding has one contact far in the future, as a broken clock writes it.
func TestClockThatWasAheadCostsNoFinding(t *testing.T) {
	implant := to("client", "10.1.0.7", "192.0.2.80", 443, 300)
	events := every(monday, 30*time.Hour, 5*time.Minute, 0.2, 1, implant)
	d := New(detect.Context{Model: model()})
	last := map[string]*ocsf.Finding{}
	for i, e := range events {
		if i == 20 {
			d.Process(implant(monday.AddDate(20, 0, 0)), func(*ocsf.Finding) {})
		}
		d.Process(e, func(f *ocsf.Finding) { last[f.ID] = f })
	}
	if len(last) != 1 {
		t.Errorf("%d findings, want one", len(last))
	}
}

// TestOddEventsDoNoHarm tries what no sensor should send.
func TestOddEventsDoNoHarm(t *testing.T) {
	d := New(detect.Context{Model: model()})
	r := rand.New(rand.NewPCG(6, 6))
	times := []time.Time{{}, time.Unix(-1, 0), time.Unix(0, 0), monday, monday.AddDate(200, 0, 0), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	addrs := []netip.Addr{{}, netip.MustParseAddr("::"), netip.MustParseAddr("::ffff:192.0.2.80"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("10.1.0.7"), netip.MustParseAddr("192.0.2.80")}
	found := 0
	for range 20_000 {
		e := flow(monday, "client", "10.1.0.7", "192.0.2.80", 443, r.Int64()-r.Int64())
		e.Time = times[r.IntN(len(times))].Add(time.Duration(r.Int64N(int64(40 * time.Hour))))
		e.Src.IP, e.Dst.IP = addrs[r.IntN(len(addrs))], addrs[r.IntN(len(addrs))]
		e.Dst.Domain = []string{"", ".", "x.example", strings.Repeat("a.", 200), "192.0.2.80", "client.example"}[r.IntN(6)]
		if r.IntN(3) == 0 {
			e.Flow = nil
		}
		if r.IntN(50) == 0 {
			d.Advance(e.Time, func(*ocsf.Finding) {})
		}
		d.Process(e, func(f *ocsf.Finding) { found += len(f.Reason) })
		d.Explain(e)
	}
	b, err := d.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := New(detect.Context{Model: model()}).Restore(b); err != nil {
		t.Error(err)
	}
	if err := d.Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense is restored")
	}
	if len(d.places) != 1 {
		t.Errorf("%d tenants are known", len(d.places))
	}
}

func TestReasonTellsFiguresAndLimits(t *testing.T) {
	f := run(every(monday, 24*time.Hour, 5*time.Minute, 0, 1, to("client", "10.1.0.7", "192.0.2.80", 443, 300)))[0]
	for _, want := range []string{"10.1.0.7 contacted 192.0.2.80 (443/tcp)", "between 300.0 s and 300.0 s", "300 bytes sent at the median", "RITA's beacon score is 1.000", "told from 0.80",
		"No other host of any tenant", "there when the watch began"} {
		if !strings.Contains(f.Reason, want) {
			t.Errorf("no %q in %s", want, f.Reason)
		}
	}
	if f.Technique != "T1071" || f.Tenant != "client" || len(f.Evidence) == 0 || len(f.Evidence) > maxEvidence {
		t.Errorf("%+v", f)
	}
}

func TestExplainTellsWhatIsMissing(t *testing.T) {
	d := New(detect.Context{Model: model()})
	implant := to("client", "10.1.0.7", "192.0.2.80", 443, 300)
	ask := func(e *ocsf.Event) string { return strings.Join(d.Explain(e), "\n") }
	first := implant(monday)
	if got := ask(first); !strings.Contains(got, "the first contact") {
		t.Error(got)
	}
	d.Process(first, func(*ocsf.Finding) {})
	if got := ask(first); !strings.Contains(got, "hardly ever") {
		t.Error(got)
	}
	for _, e := range every(monday.Add(5*time.Minute), 20*time.Hour, 5*time.Minute, 0, 1, implant) {
		d.Process(e, func(*ocsf.Finding) {})
	}
	if got := ask(first); !strings.Contains(got, "score") {
		t.Error(got)
	}
	if got := ask(&ocsf.Event{}); !strings.Contains(got, "no answered") {
		t.Error(got)
	}
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
