package remotetool

import (
	"fmt"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func BenchmarkFlood(b *testing.B) {
	events := make([]*ocsf.Event, 50_000)
	for i := range events {
		events[i] = act(monday, "command", "screenconnect", foreign, device(fmt.Sprintf("WS-%d", i)))
	}
	for b.Loop() {
		d := New(detect.Context{Model: model()})
		for _, e := range events {
			d.Process(e, func(*ocsf.Finding) {})
		}
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
}
