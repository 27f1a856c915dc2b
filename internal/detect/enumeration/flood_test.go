package enumeration

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// spoofed is one act of each of many sources that claim to be the tenant's own.
func spoofed(i int) *ocsf.Event {
	e := dns(monday.Add(time.Duration(i)*60*time.Microsecond), desk, "PTR", reverse("10.1.3.4"), "NXDOMAIN")
	e.Src.IP = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	return e
}

func TestAMillionSourcesAMinuteTakeLimitedRoom(t *testing.T) {
	d := New(detect.Context{Model: model()})
	quiet := func(*ocsf.Finding) {}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range floodSources {
		d.Process(spoofed(i), quiet)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := len(d.tenant("client").sources); n > maxSources {
		t.Errorf("%d sources are kept, the limit is %d", n, maxSources)
	}
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if used > 64<<20 {
		t.Errorf("a flood of a million sources left %d MiB", used>>20)
	}
	t.Logf("%d sources kept in %d KiB, %d bytes each", len(d.tenant("client").sources), used>>10, used/maxSources)
	d.Advance(monday.Add(time.Duration(sourceTTL)+2*days), quiet)
	if n := len(d.tenant("client").sources); n != 0 {
		t.Errorf("%d sources are kept after all were forgotten", n)
	}
}

func TestAFloodOfOneSourceIsNotToldEventByEvent(t *testing.T) {
	d, told := New(detect.Context{Model: model()}), 0
	var last *ocsf.Finding
	for _, e := range sweep(monday, time.Millisecond, techie, 20_000) {
		d.Process(e, func(f *ocsf.Finding) { told++; last = f })
	}
	d.Advance(monday.Add(time.Minute), func(f *ocsf.Finding) { last = f })
	if told > 20 || last == nil || last.Count < 19_990 || len(last.Evidence) > ocsf.MaxEvidence {
		t.Errorf("told %d times, at last %+v", told, last)
	}
	targets := 0
	for _, x := range last.Entities {
		if x.Role == ocsf.RoleTarget {
			targets++
		}
	}
	if targets == 0 || targets > maxTargets {
		t.Errorf("%d targets are named, the limit is %d", targets, maxTargets)
	}
	for _, s := range d.tenant("client").sources {
		for _, x := range s.Kinds {
			if len(x.Things) > maxThings {
				t.Errorf("%d things are kept", len(x.Things))
			}
		}
	}
}

func BenchmarkOfNoInterest(b *testing.B) {
	for _, source := range []string{"zeek/conn", "zeek/http", "windows/sysmon", "windows/security", "netflow/v9"} {
		d, e := New(detect.Context{Model: model()}), record(monday, source, desk, server, 443)
		e.Activity, e.Class = "logon", ocsf.ClassAuthentication
		b.Run(source, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.Process(e, nil)
			}
		})
	}
}

func BenchmarkOfInterest(b *testing.B) {
	for _, c := range []struct {
		name string
		one  func(i int, at time.Time) *ocsf.Event
	}{
		{"an ordinary question", func(i int, at time.Time) *ocsf.Event {
			return dns(at, fmt.Sprintf("10.1.%d.%d", i/250%4, i%250), "A", "www.good.example", "NOERROR", "93.184.1.2")
		}},
		{"a sweep", func(i int, at time.Time) *ocsf.Event {
			return dns(at, techie, "PTR", reverse(fmt.Sprintf("10.1.%d.%d", i/250%4, i%250)), "NXDOMAIN")
		}},
		{"shares of ordinary hosts", func(i int, at time.Time) *ocsf.Event {
			return mapping(at, fmt.Sprintf("10.1.%d.%d", i/250%4, i%250), "10.1.1.20", "IPC$")
		}},
	} {
		events := each(10_000, monday, 10*time.Millisecond, c.one)
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				d := New(detect.Context{Model: model()})
				for _, e := range events {
					d.Process(e, func(*ocsf.Finding) {})
				}
			}
			b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
