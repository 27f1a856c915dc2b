package firstcontact

import (
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// manyHosts is a partner's source that reaches n hosts for the first time, one a millisecond, after days of work at others.
func manyHosts(n int) (out []*ocsf.Event) {
	for i := range 3 * WarmEvents {
		out = append(out, reaches(monday.Add(time.Duration(i-4*WarmEvents)*2*time.Hour), "10.9.0.4", "10.1.9.9", 445))
	}
	for i := range n {
		out = append(out, reaches(monday.Add(time.Duration(i)*time.Millisecond), "10.9.0.4", netip.AddrFrom4([4]byte{10, 2 + byte(i>>16), byte(i >> 8), byte(i)}).String(), 445))
	}
	return out
}

func TestATourOfManyHostsIsToldNowAndThen(t *testing.T) {
	d, told := New(detect.Context{Model: model()}), 0
	events := manyHosts(5000)
	for _, e := range events {
		d.Process(e, func(*ocsf.Finding) { told++ })
	}
	var last *ocsf.Finding
	d.Advance(monday.Add(time.Minute), func(f *ocsf.Finding) { last = f })
	if told > 10 || last == nil || last.Count < 4900 {
		t.Errorf("%d times while it went on, at last %+v", told, last)
	}
}

func BenchmarkManyHosts(b *testing.B) {
	events := manyHosts(50_000)
	for b.Loop() {
		d := New(detect.Context{Model: model()})
		for _, e := range events {
			d.Process(e, func(*ocsf.Finding) {})
		}
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "events/s")
}
