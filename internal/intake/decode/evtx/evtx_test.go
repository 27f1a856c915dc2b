package evtx

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/intake/decode/windows"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func decoded(t testing.TB, raw []byte) *decodetest.Collect {
	t.Helper()
	c := &decodetest.Collect{}
	if err := Stream().Read(context.Background(), "x.evtx", bytes.NewReader(raw), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEventsEqualTheirJSON holds every field of every recorded case to the JSON that another program made of it.
func TestEventsEqualTheirJSON(t *testing.T) {
	files, values, differ := 0, 0, 0
	for _, path := range decodetest.Samples(t, func(p string) bool {
		return strings.HasPrefix(p, "endpoint/regression/") && strings.HasSuffix(p, ".evtx")
	}) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(strings.TrimSuffix(path, ".evtx") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var want decodetest.Collect
		if err := decode.Objects(windows.Objects()).Read(context.Background(), path, bytes.NewReader(text), &want); err != nil {
			t.Fatal(err)
		}
		got := decoded(t, raw)
		files++
		if len(got.Events) != len(want.Events) || len(got.Reasons) > 0 {
			t.Errorf("%s: %d events and %q, the JSON has %d", path, len(got.Events), got.Reasons, len(want.Events))
			continue
		}
		for i, w := range want.Events {
			g := got.Events[i]
			decodetest.Check(t, g)
			if g.Source != w.Source || g.Device != w.Device || g.SourceID != w.SourceID || !g.Time.Truncate(time.Microsecond).Equal(w.Time) {
				t.Errorf("%s: event %d is %s %s %s %s, of the JSON %s %s %s %s", path, i, g.Source, g.Device, g.SourceID, g.Time, w.Source, w.Device, w.SourceID, w.Time)
			}
			values += len(w.Fields)
			for _, d := range differences(g.Fields, w.Fields) {
				differ++
				if differ < 20 {
					t.Errorf("%s: event %d: %s", path, i, d)
				}
			}
		}
	}
	t.Logf("cases %d, values %d, differing %d", files, values, differ)
}

// differences compares fields; the JSON has blanks at the ends of values cut.
func differences(got, want ocsf.Fields) (out []string) {
	seen := map[string]string{}
	for _, f := range got {
		seen[f.Name] = f.Value
	}
	for _, f := range want {
		v, ok := seen[f.Name]
		if !ok {
			out = append(out, f.Name+" is missing, the JSON has "+f.Value)
		} else if strings.TrimSpace(v) != strings.TrimSpace(f.Value) {
			out = append(out, f.Name+" is "+v+", the JSON has "+f.Value)
		}
		delete(seen, f.Name)
	}
	for name, v := range seen {
		out = append(out, name+" = "+v+" is not in the JSON")
	}
	return out
}

func TestSamplesDecodeWithoutBadRecords(t *testing.T) {
	n := 0
	for _, path := range decodetest.Samples(t, func(p string) bool { return strings.HasPrefix(p, "endpoint/evtx/") && strings.HasSuffix(p, ".evtx") }) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c := decoded(t, raw)
		n += len(c.Events)
		if len(c.Events) == 0 || len(c.Reasons) > 0 {
			t.Errorf("%s: %d events, bad: %q", path, len(c.Events), c.Reasons)
		}
		for _, e := range c.Events {
			decodetest.Check(t, e)
			for _, name := range []string{"Channel", "EventID", "Provider_Name", "Computer"} {
				if e.Fields.Value(name) == "" {
					t.Errorf("%s: no %s: %v", path, name, e.Fields)
				}
			}
		}
	}
	t.Logf("cases %d events", n)
}
