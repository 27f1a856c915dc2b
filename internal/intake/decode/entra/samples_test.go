package entra

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

func TestSamplesDecodeWithoutBadRecords(t *testing.T) {
	cases, bad := map[string]int{}, 0
	for _, path := range decodetest.Samples(t, func(p string) bool {
		return strings.HasPrefix(p, "scenario/") && strings.Contains(p, "/telemetry/") && (strings.Contains(p, "/entra/") || strings.Contains(p, "/cloud/")) ||
			strings.HasPrefix(p, "endpoint/cloud/") && strings.HasSuffix(p, ".json")
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
		bad += len(c.Reasons)
		for _, e := range c.Events {
			decodetest.Check(t, e)
			cases[e.Source]++
			if e.SourceID == "" || e.User.Name == "" || e.Cloud == nil || e.Cloud.Operation == "" {
				t.Errorf("%s: no id, user or operation: %+v %+v", path, e.User, e.Fields)
			}
		}
	}
	total := bad
	for _, n := range cases {
		total += n
	}
	t.Logf("cases %d, bad %d: %v", total, bad, cases)
	if bad*1000 > total {
		t.Errorf("%d of %d records are bad", bad, total)
	}
}
