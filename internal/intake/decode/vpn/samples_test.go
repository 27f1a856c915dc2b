package vpn

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

func TestSamplesDecodeWithoutBadRecords(t *testing.T) {
	cases, bad, starts, ends := 0, 0, 0, 0
	for _, path := range decodetest.Samples(t, func(p string) bool {
		return strings.HasPrefix(p, "scenario/") && strings.Contains(p, "/telemetry/") && strings.Contains(p, "/vpn/")
	}) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var c decodetest.Collect
		if err := read(t, raw, &c); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, reason := range c.Reasons {
			t.Logf("%s: %s", path, reason)
		}
		known := map[string]bool{}
		for _, e := range c.Events {
			decodetest.Check(t, e)
			if e.Lease == nil {
				continue
			}
			if !e.Lease.Addr.IsValid() && e.Lease.Start || !e.Lease.Public.IsValid() || e.Lease.Holder.Name == "" || e.Lease.ID == "" {
				t.Errorf("%s: incomplete lease %+v", path, e.Lease)
			}
			if e.Lease.Start {
				starts++
				known[e.Lease.ID] = true
			}
			if e.Lease.End {
				ends++
				if !known[e.Lease.ID] {
					t.Errorf("%s: the end of a session that never began: %+v", path, e.Lease)
				}
			}
		}
		cases, bad = cases+len(c.Events)+len(c.Reasons), bad+len(c.Reasons)
	}
	t.Logf("cases %d, bad %d, sessions begun %d, ended %d", cases, bad, starts, ends)
	if bad*1000 > cases {
		t.Errorf("%d of %d records are bad", bad, cases)
	}
}

// read decodes with the one format that recognises the bytes.
func read(t testing.TB, raw []byte, sink decode.Sink) error {
	t.Helper()
	var found []decode.Stream
	for _, s := range Streams() {
		if s.Recognise("x", raw[:min(len(raw), decode.MaxHead)]) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d formats recognise the file", len(found))
	}
	return found[0].Read(context.Background(), "x", bytes.NewReader(raw), sink)
}
