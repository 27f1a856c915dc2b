package entra

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
)

func TestSamplesDecodeWithoutBadRecords(t *testing.T) {
	cases, bad := map[string]int{}, 0
	for _, path := range samples(t, func(p string) bool {
		return strings.HasPrefix(p, "scenario/") && strings.Contains(p, "/telemetry/") && (strings.Contains(p, "/entra/") || strings.Contains(p, "/cloud/")) ||
			strings.HasPrefix(p, "endpoint/cloud/") && strings.HasSuffix(p, ".json")
	}) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var c collect
		err = decode.Objects(Objects()).Read(context.Background(), path, f, &c)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, reason := range c.bad {
			t.Logf("%s: %s", path, reason)
		}
		bad += len(c.bad)
		for _, e := range c.events {
			check(t, e)
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
