package enumeration

import (
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
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
	if used > 16<<20 {
		t.Errorf("a flood of a million sources left %d MiB", used>>20)
	}
	t.Logf("%d sources kept in %d KiB, %d bytes each", len(d.tenant("client").sources), used>>10, used/maxSources)
	d.Advance(monday.Add(time.Duration(sourceTTL)+2*days), quiet)
	if n := len(d.tenant("client").sources); n != 0 {
		t.Errorf("%d sources are kept after all were forgotten", n)
	}
}

// The figures are those of a process that holds many sources with events of their own, once ten minutes are over, and
// not the sum of what the types say.
func TestASourceThatDidLittleTakesLittleRoom(t *testing.T) {
	for _, c := range []struct {
		name string
		most int64
		acts []func(at time.Time) *ocsf.Event
	}{
		{"one ticket", 220, []func(time.Time) *ocsf.Event{
			func(at time.Time) *ocsf.Event {
				return kerberos(at, desk, "TGS", "eva", "HTTP/intranet.client.local", aes, "")
			}}},
		{"some tickets", 240, []func(time.Time) *ocsf.Event{
			func(at time.Time) *ocsf.Event {
				return kerberos(at, desk, "TGS", "eva", "HTTP/intranet.client.local", aes, "")
			},
			func(at time.Time) *ocsf.Event {
				return kerberos(at, desk, "TGS", "eva", "MSSQLSvc/sql1.client.local:1433", aes, "")
			},
			func(at time.Time) *ocsf.Event {
				return kerberos(at, desk, "TGS", "eva", "HTTP/wiki.client.local", aes, "")
			}}},
		{"a ticket and a search", 300, []func(time.Time) *ocsf.Event{
			func(at time.Time) *ocsf.Event {
				return kerberos(at, desk, "TGS", "eva", "HTTP/intranet.client.local", aes, "")
			},
			func(at time.Time) *ocsf.Event { return ldap(at, desk, "tree", "(objectCategory=computer)", 30) }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := New(detect.Context{Model: model()})
			quiet := func(*ocsf.Finding) {}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			const tenants, each = 5, maxSources
			for i := range tenants * each {
				for j, one := range c.acts {
					e := one(monday.Add(time.Duration(i)*time.Millisecond + time.Duration(j)*time.Microsecond))
					e.Tenant = tenant.ID("client" + strconv.Itoa(i/each))
					e.Src.IP = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
					d.Process(e, quiet)
				}
			}
			d.Advance(monday.Add(time.Hour), quiet)
			runtime.GC()
			runtime.ReadMemStats(&after)
			held := 0
			for _, ts := range d.tenants {
				held += len(ts.sources)
			}
			if held < tenants*each*9/10 {
				t.Fatalf("%d sources are held of %d", held, tenants*each)
			}
			size := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(held)
			t.Logf("%d bytes a source", size)
			if size > c.most {
				t.Errorf("%d bytes a source, at most %d are expected", size, c.most)
			}
		})
	}
}

// A flood does not fill the memory with the first events of each source.
func TestFirstEventsAreHeldOfSoManySourcesOnly(t *testing.T) {
	d := New(detect.Context{Model: model()})
	quiet := func(*ocsf.Finding) {}
	for i := range maxSources {
		d.Process(spoofed(i), quiet)
	}
	held := 0
	for _, s := range d.tenant("client").sources {
		if s.recent != nil {
			held += len(s.recent.Ahead)
		}
	}
	if held == 0 || held > maxAhead {
		t.Errorf("%d events are held, the limit is %d", held, maxAhead)
	}
	d.Advance(monday.Add(time.Hour), quiet)
	for _, s := range d.tenant("client").sources {
		if s.recent != nil {
			t.Fatal("events are held that no finding can begin with")
		}
	}
	if n := len(d.tenant("client").waiting); n > 0 {
		t.Errorf("%d sources wait for nothing", n)
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
