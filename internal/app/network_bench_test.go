package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/order"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// networkFlows is how many flows a benchmark of the network layer takes: BREAKWATER_FLOWS, else 400,000.
func networkFlows(b *testing.B) int {
	if v := os.Getenv("BREAKWATER_FLOWS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n <= 0 {
			b.Fatalf("BREAKWATER_FLOWS=%s is no number of flows", v)
		}
		return n
	}
	return 400_000
}

// traffic is a block of Zeek conn lines as JSON that is read again and again, each time later.
type traffic struct {
	text  []byte
	stamp []int // where each line's seconds stand, ten digits
	span  int64 // seconds that one reading takes
}

const trafficStart = 1_790_000_000

// newTraffic makes the connections of an office and a provider: 4,000 hosts that mostly return to few services, the
// Internet's probes, a partner at work, monitoring, and what fails of itself. No two lines of a block are the same flow.
func newTraffic(n int) *traffic {
	r := rand.New(rand.NewPCG(1, 2))
	t := &traffic{span: int64(n/2000) + 1}
	var b bytes.Buffer
	for i := range n {
		at := trafficStart + float64(i)*float64(t.span)/float64(n)
		src := fmt.Sprintf("10.20.%d.%d", r.IntN(16), 1+r.IntN(250))
		dst, port, proto, service := "10.20.100."+strconv.Itoa(1+r.IntN(40)), []int{443, 445, 389, 88, 8080, 1433}[r.IntN(6)], "tcp", "-"
		state, history, op, rp := "SF", "ShADadFf", 4+r.IntN(30), 3+r.IntN(60)
		switch k := r.IntN(100); {
		case k < 25: // names
			dst, port, proto, service, history, op, rp = "10.20.100.53", 53, "udp", "dns", "Dd", 1, 1
		case k < 55: // the Web
			dst, port, service = fmt.Sprintf("%d.%d.%d.%d", 20+r.IntN(8)*20, r.IntN(4), r.IntN(16), 1+r.IntN(250)), 443, "ssl"
		case k < 62: // the Internet asks
			src, dst, port = fmt.Sprintf("%d.%d.%d.%d", 80+r.IntN(60), r.IntN(250), r.IntN(250), 1+r.IntN(250)), "198.51.100."+strconv.Itoa(1+r.IntN(60)), []int{22, 23, 80, 443, 445, 3389}[r.IntN(6)]
			state, history, op, rp = "S0", "S", 1, 0
		case k < 66: // the partner works and monitors
			src = "10.99.0." + strconv.Itoa(1+r.IntN(12))
			port = []int{3389, 5985, 161, 22, 443}[r.IntN(5)]
		case k < 68: // what fails of itself
			dst, port, state, history, op, rp = fmt.Sprintf("10.20.101.%d", 1+r.IntN(60)), 9100, "S0", "S", 2, 0
		}
		text := strconv.FormatFloat(at, 'f', 6, 64)
		fmt.Fprintf(&b, `{"ts":`)
		t.stamp = append(t.stamp, b.Len())
		fmt.Fprintf(&b, `%s,"uid":"C%015d","id.orig_h":"%s","id.orig_p":%d,"id.resp_h":"%s","id.resp_p":%d,"proto":"%s","service":"%s","duration":%.6f,"orig_bytes":%d,"resp_bytes":%d,"conn_state":"%s","local_orig":true,"local_resp":true,"missed_bytes":0,"history":"%s","orig_pkts":%d,"orig_ip_bytes":%d,"resp_pkts":%d,"resp_ip_bytes":%d}`+"\n",
			text, i, src, 1024+r.IntN(60000), dst, port, proto, service, r.ExpFloat64()*2, op*80, rp*200, state, history, op, op*120, rp, rp*240)
	}
	t.text = b.Bytes()
	return t
}

// later moves every line by one span.
func (t *traffic) later() {
	for _, i := range t.stamp {
		digits := t.text[i : i+10]
		v, _ := strconv.ParseInt(string(digits), 10, 64)
		strconv.AppendInt(digits[:0], v+t.span, 10)
	}
}

func trafficSetup(b *testing.B) *Setup {
	b.Helper()
	dir := b.TempDir()
	conf := `
tenants:
  - {id: office, name: Office, role: client, domains: [office.example], networks: [10.20.0.0/16, 198.51.100.0/24]}
  - {id: provider, name: Provider, role: provider, domains: [provider.example], networks: [10.99.0.0/24]}
partners:
  - {id: provider, name: Provider, tenant: provider}
trusts:
  - {id: provider-office, partner: provider, tenant: office, owner: it@office.example, networks: [10.99.0.0/24]}
sensors:
  - {match: {path: "*"}, tenant: office, layer: network}
`
	if err := os.WriteFile(dir+"/"+ConfigName, []byte(conf), 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := NewSetup(Options{ConfigPath: dir + "/" + ConfigName, Paths: []string{dir}})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// taker gives each event to the stages as the second half of a scan does, or keeps it.
type taker struct {
	b      *testing.B
	stages *stages
	keep   []*ocsf.Event
	n      int
}

func (k *taker) Event(e *ocsf.Event, record int64, raw []byte) {
	e.Tenant = "office"
	order.Identify(e, raw)
	k.n++
	if k.stages == nil {
		k.keep = append(k.keep, e)
		return
	}
	k.stages.take(e)
}

func (k *taker) Bad(_ int64, reason string, raw []byte) { k.b.Fatalf("%s: %s", reason, raw) }

func (k *taker) read(t *traffic) {
	formats := Formats()
	format, head, err := recognise(formats, "conn.log", bytes.NewReader(t.text))
	if err != nil || format == nil {
		k.b.Fatalf("the lines are not recognised: %v", err)
	}
	_ = head
	if err := format.Read(context.Background(), "conn.log", io.Reader(bytes.NewReader(t.text)), k); err != nil {
		k.b.Fatal(err)
	}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkNetworkAnalytics measures attribution, the hop graph and every detector over decoded flows.
func BenchmarkNetworkAnalytics(b *testing.B) { benchmarkNetwork(b, false) }

// BenchmarkNetworkFromZeekJSON measures the same from lines of Zeek's conn.log as JSON.
func BenchmarkNetworkFromZeekJSON(b *testing.B) { benchmarkNetwork(b, true) }

func benchmarkNetwork(b *testing.B, decoding bool) {
	const block = 100_000
	s, flows := trafficSetup(b), networkFlows(b)
	for b.Loop() {
		b.StopTimer()
		st, err := newStages(s)
		if err != nil {
			b.Fatal(err)
		}
		t := newTraffic(block)
		var spent time.Duration
		done, findings := 0, 0
		b.StartTimer()
		for done < flows {
			k := &taker{b: b}
			if decoding {
				k.stages = st
				start := processorTime()
				k.read(t)
				spent += processorTime() - start
			} else {
				b.StopTimer()
				k.read(t)
				runtime.GC()
				b.StartTimer()
				start := processorTime()
				for _, e := range k.keep {
					st.take(e)
				}
				spent += processorTime() - start
			}
			done += k.n
			t.later()
		}
		start := processorTime()
		st.engine.Finish()
		spent += processorTime() - start
		findings = len(st.engine.Findings())
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(done)/spent.Seconds(), "flows/CPU-s")
		b.ReportMetric(float64(done), "flows")
		b.ReportMetric(float64(findings), "findings")
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MB-held")
		runtime.KeepAlive(st)
	}
}
