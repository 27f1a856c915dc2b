package firstcontact

import (
	"fmt"
	"net/netip"
	"runtime"
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

// flood is one event of a spoofed source within the partner's network to a host that nobody reached before.
func flood(e *ocsf.Event, i int, at time.Time) {
	e.Time = at
	e.Src.IP = netip.AddrFrom4([4]byte{10, 64 + byte(i>>16), byte(i >> 8), byte(i)})
	e.Dst.IP = netip.AddrFrom4([4]byte{10, 128 + byte(i>>15)&63, byte(i >> 7), byte(i)})
	e.Dst.Port = uint16(i % 7)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAMillionSpoofedSourcesAMinuteNeitherFillMemoryNorDriveOutWhatWasLearned(t *testing.T) {
	if testing.Short() {
		t.Skip("half a million events")
	}
	d := New(detect.Context{Model: model()})
	quiet := func(*ocsf.Finding) {}
	for i := range 60 { // what the partner does every day
		at := monday.Add(time.Duration(i-60) * 12 * time.Hour)
		d.Process(reaches(at, "10.9.0.4", fmt.Sprintf("10.1.0.%d", i%4+1), 3389), quiet)
		d.Process(signIn(at, "kim", "198.51.100.7"), quiet)
	}
	before := heap()
	e := reaches(monday, "10.9.0.4", "10.1.2.1", 445)
	s := signIn(monday, "kim", "198.51.100.7")
	const minute = 1_000_000 // so many
	for i := range minute / 2 {
		at := monday.Add(time.Duration(i) * time.Minute / minute)
		flood(e, i, at)
		d.Process(e, quiet)
		if i%10 == 0 { // and as many names as sign in
			s.Time, s.User.Name, s.Src.IP = at, fmt.Sprintf("ghost%d", i), e.Src.IP
			d.Process(s, quiet)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 96<<20 {
		t.Errorf("the flood took %d MiB", grown>>20)
	}
	r, h := d.relations[relationKey{"client", "isl"}], d.houses["partner isl"]
	if len(r.Pairs.Seen) > MaxPairs || len(r.Source.Seen) > MaxPairs || len(r.Windows) > MaxSources || len(h.Actors) > MaxActors || len(h.Past[dimNetwork].Seen) > MaxNetworks || len(d.stories) > MaxStories {
		t.Errorf("%d pairs, %d sources, %d windows, %d actors, %d networks, %d stories", len(r.Pairs.Seen), len(r.Source.Seen), len(r.Windows), len(h.Actors), len(h.Past[dimNetwork].Seen), len(d.stories))
	}
	now := minuteOf(monday.Add(2 * time.Minute))
	for i := range 4 {
		c, _ := met(reaches(monday, "10.9.0.4", fmt.Sprintf("10.1.0.%d", i+1), 3389))
		if _, pair := c.keys(); r.Pairs.is(pair, now) == fresh {
			t.Errorf("host %d was forgotten", i+1)
		}
	}
	if x := h.Actors[hash("kim")]; x == nil || !x.warm(now) {
		t.Error("the technician was forgotten")
	}
	// A day later what came but once gives way, and new hosts can be met again.
	c, _ := met(reaches(monday, "10.9.0.4", "10.99.99.99", 3389))
	_, pair := c.keys()
	if got := r.Pairs.see(pair, minuteOf(monday.Add(25*time.Hour)), MaxPairs); got != fresh {
		t.Errorf("after a day there is no room: %d", got)
	}
	runtime.KeepAlive(d)
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

// BenchmarkUsualFlows is what a partner's flows mostly are: known hosts and services, seen again and again, some for the
// first time in the hour, one in a thousand new.
func BenchmarkUsualFlows(b *testing.B) {
	var events []*ocsf.Event
	for i := range 200_000 {
		to := netip.AddrFrom4([4]byte{10, 1, byte(i % 13), byte(i % 251)})
		if i%1000 == 0 {
			to = netip.AddrFrom4([4]byte{10, 2, byte(i >> 16), byte(i / 1000)})
		}
		events = append(events, reaches(monday.Add(time.Duration(i)*100*time.Millisecond), fmt.Sprintf("10.9.0.%d", i%8), to.String(), uint16(443+i%5)))
	}
	for b.Loop() {
		d := New(detect.Context{Model: model()})
		for _, e := range events {
			d.Process(e, func(*ocsf.Finding) {})
		}
	}
	b.ReportMetric(float64(len(events)*b.N)/b.Elapsed().Seconds(), "flows/s")
}

// BenchmarkFlowsOfNobody is the cost of events without a partner.
func BenchmarkFlowsOfNobody(b *testing.B) {
	e := reaches(monday, "10.9.0.4", "10.1.2.1", 445, func(e *ocsf.Event) { e.Partner, e.Trust = "", "" })
	d := New(detect.Context{Model: model()})
	for b.Loop() {
		d.Process(e, func(*ocsf.Finding) {})
	}
}

// BenchmarkSignIns is the cost of a partner's sign-in.
func BenchmarkSignIns(b *testing.B) {
	d := New(detect.Context{Model: model()})
	e := signIn(monday, "kim", "198.51.100.7", agent(browser), resource("mail"))
	i := 0
	for b.Loop() {
		e.Time = monday.Add(time.Duration(i) * time.Second)
		i++
		d.Process(e, func(*ocsf.Finding) {})
	}
}

// BenchmarkSpoofedSources is a flood of sources and hosts, each of them new.
func BenchmarkSpoofedSources(b *testing.B) {
	d := New(detect.Context{Model: model()})
	for i := range 60 {
		d.Process(reaches(monday.Add(time.Duration(i-60)*12*time.Hour), "10.9.0.4", "10.1.0.1", 3389), func(*ocsf.Finding) {})
	}
	e, i := reaches(monday, "10.9.0.4", "10.1.2.1", 445), 0
	for b.Loop() {
		flood(e, i, monday.Add(time.Duration(i)*time.Microsecond))
		i++
		d.Process(e, func(*ocsf.Finding) {})
	}
}
