package windows

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
		return strings.HasPrefix(p, "scenario/") && strings.Contains(p, "/windows/") && strings.HasSuffix(p, ".jsonl") ||
			strings.HasPrefix(p, "endpoint/regression/") && strings.HasSuffix(p, ".json")
	}) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var c decodetest.Collect
		err = decode.Objects(Objects()).Read(context.Background(), path, f, &c)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, reason := range c.Reasons {
			t.Logf("%s: %s", path, reason)
		}
		for _, e := range c.Events {
			decodetest.Check(t, e)
			for _, name := range []string{"Channel", "EventID", "Provider_Name", "Computer"} {
				if e.Fields.Value(name) == "" {
					t.Errorf("%s: no %s: %v", path, name, e.Fields)
				}
			}
			if _, has := e.Fields.Get("EventRecordID"); has == (e.SourceID == "") || e.Device == "" {
				t.Errorf("%s: no id or no device: %v", path, e.Fields)
			}
		}
		cases, bad = cases+len(c.Events)+len(c.Reasons), bad+len(c.Reasons)
	}
	t.Logf("cases %d, bad %d", cases, bad)
	if bad*1000 > cases {
		t.Errorf("%d of %d records are bad", bad, cases)
	}
}
