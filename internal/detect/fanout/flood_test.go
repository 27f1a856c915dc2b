package fanout

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// floods are what an intruder, or a broken program, can send without end: the i-th event of each.
var floods = map[string]func(i int) *ocsf.Event{
	"one account at many tenants": func(i int) *ocsf.Event {
		return signIn(monday, tenant.ID(fmt.Sprintf("tenant-%d", i%5000)), "kim@isl.example", "203.0.113.5", ocsf.StatusSuccess, ofPartner)
	},
	"a spray of 10,000 accounts": func(i int) *ocsf.Event {
		return signIn(monday, "client-0", fmt.Sprintf("user-%d", i%10_000), fmt.Sprintf("198.51.100.%d", i%7), ocsf.StatusFailure)
	},
	"failures of one account from one address": func(int) *ocsf.Event {
		return signIn(monday, "client-0", "anna", "198.51.100.7", ocsf.StatusFailure)
	},
	"failures from everywhere": func(i int) *ocsf.Event {
		return signIn(monday, "client-0", fmt.Sprintf("user-%d", i%6), netip.AddrFrom4([4]byte{45, byte(i >> 16), byte(i >> 8), byte(i)}).String(), ocsf.StatusFailure)
	},
	"one account fails and gets in, again and again": func(i int) *ocsf.Event {
		return signIn(monday, "client-0", fmt.Sprintf("user-%d", i/2%1000), netip.AddrFrom4([4]byte{45, 0, byte(i / 2 >> 8), byte(i / 2)}).String(), ocsf.Status(2-i%2))
	},
	"10,000 mailboxes": func(i int) *ocsf.Event {
		return signIn(monday, "client-0", "kim@isl.example", "203.0.113.5", ocsf.StatusSuccess, ofPartner, func(e *ocsf.Event) {
			e.Class, e.Cloud = ocsf.ClassAPIActivity, &ocsf.Cloud{Operation: "MailItemsAccessed", Resource: fmt.Sprintf("owner-%d", i%10_000)}
		})
	},
	"logons at 10,000 hosts": func(i int) *ocsf.Event {
		return signIn(monday, "client-0", "kim", "203.0.113.5", ocsf.StatusSuccess, ofPartner, func(e *ocsf.Event) {
			e.Layer, e.Cloud, e.Device = tenant.LayerEndpoint, nil, fmt.Sprintf("host-%d", i%10_000)
		})
	},
	"a script on 10,000 hosts of 1,000 tenants": func(i int) *ocsf.Event {
		return signIn(monday, tenant.ID(fmt.Sprintf("tenant-%d", i%1000)), "kim", "203.0.113.5", ocsf.StatusSuccess, ofPartner, func(e *ocsf.Event) {
			e.Class, e.Cloud, e.Device = ocsf.ClassProcessActivity, nil, fmt.Sprintf("host-%d", i%10_000)
			e.Process = &ocsf.Process{CommandLine: "powershell -File new.ps1"}
		})
	},
	"a script for each process": func(i int) *ocsf.Event {
		return signIn(monday, "client-0", "kim", "203.0.113.5", ocsf.StatusSuccess, ofPartner, func(e *ocsf.Event) {
			e.Class, e.Cloud, e.Device = ocsf.ClassProcessActivity, nil, "host"
			e.Process = &ocsf.Process{CommandLine: fmt.Sprintf("powershell -File n%c%c%c%c.ps1", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, 'a'+i/17576%26)}
		})
	},
	"logons that fail at 10,000 hosts": func(i int) *ocsf.Event {
		return signIn(monday, "client-0", "kim", "203.0.113.5", ocsf.StatusFailure, ofPartner, func(e *ocsf.Event) {
			e.Layer, e.Cloud, e.Device = tenant.LayerEndpoint, nil, fmt.Sprintf("host-%d", i%10_000)
		})
	},
}

// flood returns n events of a flood, one a millisecond.
func flood(event func(int) *ocsf.Event, n int) []*ocsf.Event {
	out := make([]*ocsf.Event, n)
	for i := range out {
		out[i] = event(i)
		out[i].Time = monday.Add(time.Duration(i) * time.Millisecond)
	}
	return out
}

// TestAFloodIsNotToldEventByEvent counts what is emitted: what holds through a flood is told by Advance.
func TestAFloodIsNotToldEventByEvent(t *testing.T) {
	for name, event := range floods {
		t.Run(name, func(t *testing.T) {
			d, n, size := New(detect.Context{Model: model()}), 0, 0
			emit := func(f *ocsf.Finding) { n, size = n+1, max(size, len(f.Entities)) }
			events := flood(event, 20_000)
			for _, e := range events {
				d.Process(e, emit)
			}
			if n > len(events) {
				t.Errorf("%d findings were told of %d events", n, len(events))
			}
			d.Advance(events[len(events)-1].Time, emit)
			if size > 600 {
				t.Errorf("a finding names %d things", size)
			}
		})
	}
}

func BenchmarkFlood(b *testing.B) {
	for name, event := range floods {
		events := flood(event, 100_000)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				g := detect.NewEngine("v1", New(detect.Context{Model: model()}))
				for _, e := range events {
					g.Process(e)
				}
				g.Finish()
			}
			b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkTypicalTraffic is mostly flows, as a network has them, with some processes and sign-ins.
func BenchmarkTypicalTraffic(b *testing.B) {
	events := make([]*ocsf.Event, 500_000)
	for i := range events {
		at := monday.Add(time.Duration(i) * 20 * time.Millisecond)
		switch {
		case i%100 == 0:
			events[i] = signIn(at, "client-0", fmt.Sprintf("user-%d", i%977), "198.51.100.7", ocsf.StatusSuccess)
		case i%50 == 1:
			events[i] = ran(at, "client-0", fmt.Sprintf(`"C:\\Windows\\system32\\svchost.exe" -k netsvcs -p -s %d`, i%300), 1)[0]
		default:
			events[i] = &ocsf.Event{Time: at, Tenant: "client-0", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Flow: &ocsf.Flow{Proto: "tcp", State: "SF"},
				Src: ocsf.Endpoint{IP: netip.MustParseAddr("10.1.0.7")}, Dst: ocsf.Endpoint{IP: netip.MustParseAddr("192.0.2.80"), Port: 443}}
			if i%10 == 0 {
				ofPartner(events[i])
			}
		}
	}
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		g := detect.NewEngine("v1", New(detect.Context{Model: model()}))
		for _, e := range events {
			g.Process(e)
		}
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()).Seconds()
	b.ReportMetric(float64(len(events)*b.N)/cpu, "events/CPU-s")
}
