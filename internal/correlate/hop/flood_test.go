package hop

import (
	"fmt"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// BenchmarkAdd floods the graph: one session that does ever new things, and ever new sessions.
func BenchmarkAdd(b *testing.B) {
	for name, event := range map[string]func(i int) *ocsf.Event{
		"one session": func(i int) *ocsf.Event {
			return came(0, from("203.0.113.5"), host("srv-1"), program(fmt.Sprintf("run %d", i)))
		},
		"new sessions": func(i int) *ocsf.Event {
			return came(0, user(fmt.Sprintf("kim-%d", i)), from("198.51.100.7"), signIn("Portal", ocsf.StatusSuccess))
		},
		"logons": func(i int) *ocsf.Event {
			return came(0, from("203.0.113.5"), user("isl-kim"), host(fmt.Sprintf("srv-%d", i)), logon(ocsf.StatusSuccess))
		},
	} {
		events := make([]*ocsf.Event, 50_000)
		for i := range events {
			events[i] = event(i)
			events[i].Time = monday.Add(time.Duration(i) * time.Millisecond)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				g := NewGraph()
				for _, e := range events {
					e.Session = ""
					g.Add(e)
				}
			}
			b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
