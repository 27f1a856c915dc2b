package remotetool

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

func TestSamplesDecodeWithoutBadRecords(t *testing.T) {
	cases, bad := 0, 0
	for _, path := range decodetest.Samples(t, func(p string) bool {
		return strings.HasPrefix(p, "scenario/") && strings.Contains(p, "/telemetry/") &&
			(strings.Contains(p, "/screenconnect/") || strings.Contains(p, "/teamviewer/") || strings.Contains(p, "/anydesk/") || strings.Contains(p, "/rmm/"))
	}) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var c decodetest.Collect
		if err := read(t, string(raw), &c); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, reason := range c.Reasons {
			t.Logf("%s: %s", path, reason)
		}
		for _, e := range c.Events {
			decodetest.Check(t, e)
			if r := e.Remote; r == nil || r.Act == "" || r.Operator == "" || r.SessionID == "" {
				t.Errorf("%s: incomplete session: %+v", path, r)
			}
		}
		cases, bad = cases+len(c.Events)+len(c.Reasons), bad+len(c.Reasons)
	}
	t.Logf("cases %d, bad %d", cases, bad)
	if bad*1000 > cases {
		t.Errorf("%d of %d records are bad", bad, cases)
	}
}

// read decodes with the one format that recognises the text.
func read(t testing.TB, text string, sink decode.Sink) error {
	t.Helper()
	var found []decode.Stream
	for _, s := range append(Streams(nil), decode.Objects(Objects(nil))) {
		if s.Recognise("x", []byte(text[:min(len(text), decode.MaxHead)])) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d formats recognise %.80q", len(found), text)
	}
	return found[0].Read(context.Background(), "x", strings.NewReader(text), sink)
}
