package recon

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The figures are those of a process that holds many sources, not the sum of what the types say.
func TestStateOfASourceIsSmallAndBounded(t *testing.T) {
	for _, c := range []struct {
		name  string
		hosts int
		state string
		most  float64
	}{
		{"1 host", 1, "SF", 150},
		{"2 hosts", 2, "SF", 175},
		{"4 hosts", 4, "SF", 200},
		{"8 hosts", 8, "SF", 260},
		{"2 hosts of which none answered", 2, "S0", 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := New(detect.Context{Model: model()})
			events := make([]*ocsf.Event, 0, c.hosts)
			for i := range c.hosts {
				e := flow(noon, "10.9.0.4", fmt.Sprintf("10.250.2.%d", i+1), 443, "tcp", c.state)
				e.Trust = ""
				events = append(events, e)
			}
			quiet := func(*ocsf.Finding) {}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			const tenants, each = 8, 25_000
			for i := range tenants * each {
				for j, e := range events {
					e.Tenant = tenant.ID("client" + strconv.Itoa(i/each))
					e.Src = ocsf.Endpoint{IP: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Port: uint16(j)}
					e.Time = noon.Add(time.Duration(i) * time.Millisecond)
					d.Process(e, quiet)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			held := 0
			for _, ts := range d.tenants {
				ts.all(func(sourceKey, *source) { held++ })
			}
			if held != tenants*each {
				t.Fatalf("%d sources are held of %d", held, tenants*each)
			}
			size := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / float64(held)
			t.Logf("%.0f bytes a source", size)
			if size > c.most {
				t.Errorf("%.0f bytes a source, at most %.0f are expected", size, c.most)
			}
		})
	}
}

func TestStateIsBounded(t *testing.T) {
	d := New(detect.Context{Model: model()})
	e := flow(noon, "10.9.0.4", "10.1.2.1", 443, "tcp", "SF")
	s := &known{}
	for i := range 3 * maxContacts {
		s.put(uint64(i)*0x9e3779b97f4a7c15, int64(noon.UnixNano()))
	}
	if s.used > maxContacts || len(s.slots) > 4*maxContacts {
		t.Errorf("%d contacts in %d slots", s.used, len(s.slots))
	}
	ts := d.tenant("client")
	for i := range maxSources + 10 {
		e.Src.IP = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		e.Trust, e.Direction = "isl-client", ocsf.DirectionIn
		d.Process(e, func(*ocsf.Finding) {})
	}
	if len(ts.sources) > maxSources {
		t.Errorf("%d sources", len(ts.sources))
	}
}

// The file was written by the version before sources became small, in the middle of mixed. It is read, and the rest is
// found as if nothing had happened.
func TestStateOfAnEarlierVersionIsRead(t *testing.T) {
	file, err := os.Open("testdata/state-written-before-sources-were-small.gob.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	state, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	events := mixed()
	last := map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	d := New(detect.Context{Model: model()})
	for _, e := range events[:len(events)/2] {
		d.Process(e, emit)
	}
	d = New(detect.Context{Model: model()})
	if err := d.Restore(state); err != nil {
		t.Fatal(err)
	}
	for _, e := range events[len(events)/2:] {
		d.Process(e, emit)
	}
	d.Advance(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), emit)
	want := run(model(), events)
	if diff := cmp.Diff(want, sorted(last), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" || len(want) < 3 {
		t.Errorf("%d findings: %s", len(want), diff)
	}
}
