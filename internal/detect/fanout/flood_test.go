package fanout

import (
	"fmt"
	"net/netip"
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
