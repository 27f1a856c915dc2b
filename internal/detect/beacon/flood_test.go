package beacon

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func quiet(*ocsf.Finding) {}

// somebody is the i-th address of the Internet.
func somebody(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(11<<24+i))
	return netip.AddrFrom4(b)
}

// floods are what an intruder, or a broken program, can send without end.
var floods = map[string]func(i int) *ocsf.Event{
	"a source for each flow": func(i int) *ocsf.Event {
		return answered(i, somebody(i), netip.AddrFrom4([4]byte{10, 1, 0, 9}))
	},
	"a destination for each flow": func(i int) *ocsf.Event {
		return answered(i, netip.AddrFrom4([4]byte{10, 1, 0, 9}), somebody(i))
	},
	"destinations that repeat": func(i int) *ocsf.Event {
		return answered(i, netip.AddrFrom4([4]byte{10, 1, 0, 9}), somebody(i/5))
	},
	"a name for each request": func(i int) *ocsf.Event {
		e := answered(i, netip.AddrFrom4([4]byte{10, 1, 0, 9}), somebody(i%9))
		e.Flow, e.Dst.Domain = nil, fmt.Sprintf("n%d.example", i)
		return e
	},
	"a tenant for each flow": func(i int) *ocsf.Event {
		e := answered(i, netip.AddrFrom4([4]byte{10, 1, 0, 9}), somebody(i))
		e.Tenant = tenant.ID(fmt.Sprintf("t%d", i))
		return e
	},
}

func answered(i int, src, dst netip.Addr) *ocsf.Event {
	return &ocsf.Event{Time: monday.Add(time.Duration(i) * 100 * time.Microsecond), Tenant: "client", Class: ocsf.ClassNetworkActivity,
		Src: ocsf.Endpoint{IP: src, Port: uint16(1024 + i%60000)}, Dst: ocsf.Endpoint{IP: dst, Port: 443},
		Flow: &ocsf.Flow{Proto: "tcp", State: "SF", OrigBytes: 300, RespBytes: 300}}
}

func TestFloodsStayWithinTheBounds(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine and much memory: it runs without the race detector")
	}
	for name, event := range floods {
		d := New(detect.Context{Model: model()})
		for i := range 210_000 {
			d.Process(event(i), quiet)
		}
		if len(d.glimpses.Young)+len(d.glimpses.Old) > MaxPairs || len(d.series) > MaxSeries || len(d.users.Young)+len(d.users.Old) > MaxDestinations ||
			len(d.recent.Young)+len(d.recent.Old) > maxRecent || len(d.places) > MaxTenants || len(d.polled) > len(d.series) {
			t.Errorf("%s: %d and %d pairs, %d series, %d and %d destinations, %d and %d connections, %d tenants", name, len(d.glimpses.Young), len(d.glimpses.Old), len(d.series),
				len(d.users.Young), len(d.users.Old), len(d.recent.Young), len(d.recent.Old), len(d.places))
		}
	}
}

// TestBeaconOutlivesAFlood has an implant under a flood that fills every memory many times over.
func TestBeaconOutlivesAFlood(t *testing.T) {
	d := New(detect.Context{Model: model()})
	last := map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	n := 0
	for _, e := range every(monday, 14*time.Hour, 2*time.Minute, 0.3, 1, to("client", "10.1.0.7", "192.0.2.80", 443, 300)) {
		d.Advance(e.Time, emit)
		d.Process(e, emit)
		for range 300 {
			n++
			x := floods["destinations that repeat"](n)
			x.Time = e.Time.Add(time.Duration(n%300) * time.Millisecond)
			x.Src.IP = netip.AddrFrom4([4]byte{10, 1, 5, byte(n)})
			d.Process(x, emit)
		}
	}
	found := false
	for _, f := range last {
		found = found || strings.HasPrefix(f.Title, "10.1.0.7 contacts 192.0.2.80 ")
	}
	if !found {
		t.Errorf("the implant is not among %d findings after %d other flows", len(last), n)
	}
}

// TestMemoryIsFlatOverDays compares the most that is in use on the first day of ever new pairs and on the second.
func TestMemoryIsFlatOverDays(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine and much memory: it runs without the race detector")
	}
	d := New(detect.Context{Model: model()})
	var most [2]uint64
	const day = 400_000
	for i := range 2 * day {
		dst := i // half of the flows go to where nobody else does, and half come back four times
		if i%8 < 4 {
			dst = i - i%8
		}
		e := answered(i, netip.AddrFrom4([4]byte{10, 1, byte(dst % 7), 9}), somebody(dst))
		e.Time = monday.Add(time.Duration(i) * (24 * time.Hour / day))
		if i%400 == 0 {
			d.Advance(e.Time, quiet)
		}
		d.Process(e, quiet)
		if i%40_000 == 39_999 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most[i/day] = max(most[i/day], m.HeapAlloc)
		}
	}
	runtime.KeepAlive(d)
	if most[1] > most[0]+most[0]/5 {
		t.Errorf("%d kB on the second day, %d kB on the first", most[1]>>10, most[0]>>10)
	}
}

// typical is a day's mix of 400 hosts: most flows go to a few popular destinations, some stay inside, some are names.
func typical(n int) []*ocsf.Event {
	r := rand.New(rand.NewPCG(1, 1))
	out := make([]*ocsf.Event, n)
	for i := range out {
		src := netip.AddrFrom4([4]byte{10, 1, byte(r.IntN(2)), byte(r.IntN(200))})
		e := answered(i, src, somebody(int(float64(20_000)*r.Float64()*r.Float64()*r.Float64())))
		e.Time = monday.Add(time.Duration(i) * 20 * time.Millisecond)
		switch r.IntN(10) {
		case 0, 1, 2:
			e.Dst.IP = netip.AddrFrom4([4]byte{10, 1, 9, byte(r.IntN(40))})
		case 3:
			e.Flow, e.Dst.Domain = nil, fmt.Sprintf("www%d.example", r.IntN(4000))
		case 4:
			e.Flow.Proto, e.Dst.Port = "udp", 53
		}
		out[i] = e
	}
	return out
}

// BenchmarkTypicalTraffic reports flows per second of CPU.
func BenchmarkTypicalTraffic(b *testing.B) {
	events := typical(1_000_000)
	var before, after syscall.Rusage
	b.ResetTimer()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		d := New(detect.Context{Model: model()})
		for i, e := range events {
			if i%3000 == 0 {
				d.Advance(e.Time, quiet)
			}
			d.Process(e, quiet)
		}
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()).Seconds()
	b.ReportMetric(float64(len(events)*b.N)/cpu, "flows/CPU-s")
}

// BenchmarkIdlePairs reports what a pair that met once costs.
func BenchmarkIdlePairs(b *testing.B) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		d := New(detect.Context{Model: model()})
		for i := range MaxPairs / 2 {
			d.Process(floods["a destination for each flow"](i), quiet)
		}
		b.ReportMetric(float64(heap()-before)/(MaxPairs/2), "bytes/pair")
		runtime.KeepAlive(d)
	}
}
