package pcap

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/intake/decode/zeek"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func tuple(e *ocsf.Event) string {
	s := fmt.Sprintf("%s %s %s", e.Flow.Proto, e.Src, e.Dst)
	if e.Flow.Proto == "icmp" {
		s += " type " + e.Fields.Value("icmp_type") + e.Fields.Value("id.orig_p")
	}
	return s
}

// Captures beside a conn log of the same sensor give the same connections, with the same start and state.
func TestCapturesGiveTheFlowsOfTheConnLogsBesideThem(t *testing.T) {
	logOf := func(path string) string { return strings.TrimSuffix(path, ".pcap") + ".conn.jsonl" }
	cases := decodetest.Samples(t, func(path string) bool { return strings.HasSuffix(path, ".pcap") && strings.Contains(path, "/lab/") })
	for _, path := range cases {
		want := connLog(t, logOf(path))
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c := &decodetest.Collect{}
		if err := read(context.Background(), path, bytes.NewReader(b), c); err != nil {
			t.Fatal(err)
		}
		for _, reason := range c.Reasons {
			t.Errorf("%s: %s", path, reason)
		}
		have := map[string][]*ocsf.Event{}
		for _, e := range c.Events {
			decodetest.Check(t, e)
			have[tuple(e)] = append(have[tuple(e)], e)
		}
		same, history, counts := 0, 0, 0
		for _, w := range want {
			found := false
			for i, e := range have[tuple(w)] {
				if d := e.Time.Sub(w.Time).Abs(); d > 50*time.Millisecond || e.Flow.State != w.Flow.State {
					continue
				}
				found = true
				if e.Flow.History == w.Flow.History {
					history++
				}
				if e.Flow.OrigPkts == w.Flow.OrigPkts && e.Flow.RespPkts == w.Flow.RespPkts && e.Flow.OrigBytes == w.Flow.OrigBytes && e.Flow.RespBytes == w.Flow.RespBytes {
					counts++
				}
				have[tuple(w)] = append(have[tuple(w)][:i:i], have[tuple(w)][i+1:]...)
				break
			}
			if found {
				same++
				continue
			}
			t.Logf("%s: the log's %s %v %+v; the capture has", path, tuple(w), w.Time, w.Flow)
			for _, e := range have[tuple(w)] {
				t.Logf("    %v %+v", e.Time, e.Flow)
			}
		}
		t.Logf("%s: %d flows of the capture, %d of the log; %d agree, %d in history too, %d in packets and bytes", path, len(c.Events), len(want), same, history, counts)
		if same*100 < len(want)*99 || len(c.Events)*99 > len(want)*100 {
			t.Errorf("%s: %d of %d flows agree, %d are in the capture; at least 99 %% must", path, same, len(want), len(c.Events))
		}
	}
}

func connLog(t *testing.T, path string) (out []*ocsf.Event) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var p fastjson.Parser
	for line := range bytes.Lines(b) {
		o, err := decode.ParseJSON(&p, line)
		if err != nil {
			t.Fatal(err)
		}
		e := &ocsf.Event{Fields: o.Fields()}
		if err := zeek.Objects()[0].Decode(o, e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}
