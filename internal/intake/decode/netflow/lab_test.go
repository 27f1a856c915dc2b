package netflow

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// expected is a record as another decoder read it, without its times; the conn logs hold these.
type expected struct {
	Src, Dst     string
	Sport, Dport uint16
	Proto, Flags uint8
	Pkts, Bytes  uint64
}

func (x expected) String() string {
	if x.Proto == protoICMP { // the other decoder leaves it where v5 has ports
		x.Sport, x.Dport = 0, 0
	}
	return fmt.Sprintf("%d %s:%d > %s:%d flags %d, %d packets %d bytes", x.Proto, x.Src, x.Sport, x.Dst, x.Dport, x.Flags, x.Pkts, x.Bytes)
}

func readExpected(t *testing.T, path string) (out []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var x expected
		if err := json.Unmarshal(s.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		out = append(out, x.String())
	}
	return out
}

// readAll reads a file of datagrams, and returns its records too.
func readAll(t *testing.T, path string, each func(*record)) *decodetest.Collect {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &decodetest.Collect{}
	if err := read(context.WithValue(t.Context(), eachKey{}, each), path, f, c); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Events {
		decodetest.Check(t, e)
	}
	return c
}

func isDatagrams(path string) bool { return strings.HasSuffix(path, ".dgrams") }

func TestRecordedExportsAreReadAsAnotherDecoderReadsThem(t *testing.T) {
	for _, path := range decodetest.Samples(t, isDatagrams) {
		name := strings.TrimSuffix(path, ".dgrams") + ".jsonl"
		if _, err := os.Stat(name); err != nil {
			continue
		}
		want := readExpected(t, name)
		var got []string
		c := readAll(t, path, func(r *record) {
			x := expected{Src: r.src.String(), Dst: r.dst.String(), Sport: r.sport, Dport: r.dport, Proto: r.proto, Flags: r.flags, Pkts: r.pkts, Bytes: r.bytes}
			got = append(got, x.String())
		})
		if d := gocmp.Diff(want, got); d != "" || len(got) == 0 {
			t.Errorf("%s: (-want +got)\n%s", path, d)
		}
		if len(c.Reasons) != 0 {
			t.Errorf("%s: bad %v", path, c.Reasons)
		}
		t.Logf("%s: %d records are %d flows", filepath.Base(path), len(got), len(c.Events))
	}
}

// conn is a line of a conn log.
type conn struct {
	TS       float64 `json:"ts"`
	Orig     string  `json:"id.orig_h"`
	OrigPort uint16  `json:"id.orig_p"`
	Resp     string  `json:"id.resp_h"`
	RespPort uint16  `json:"id.resp_p"`
	Proto    string  `json:"proto"`
	State    string  `json:"conn_state"`
	History  string  `json:"history"`
	Duration float64 `json:"duration"`
	OrigPkts int64   `json:"orig_pkts"`
	RespPkts int64   `json:"resp_pkts"`
}

// TestExportsTellWhatTheConnLogOfTheSameTrafficTells holds direction, outcome, packets and times of paired records
// against the sensor's conn log, connection by connection.
func TestExportsTellWhatTheConnLogOfTheSameTrafficTells(t *testing.T) {
	for _, path := range decodetest.Samples(t, isDatagrams) {
		sensor, _, _ := strings.Cut(filepath.Base(path), "-v")
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "..", "lab", sensor+".conn.jsonl"))
		if err != nil {
			continue
		}
		var want, got []string
		times := map[string][]float64{}
		for line := range strings.Lines(string(text)) {
			var c conn
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
			if c.Proto == "icmp" {
				c.OrigPort, c.RespPort = 0, 0
			}
			k := fmt.Sprintf("%s %s:%d > %s:%d %s %d/%d", c.Proto, c.Orig, c.OrigPort, c.Resp, c.RespPort, outcome(c.Proto, c.State, c.History), c.OrigPkts, c.RespPkts)
			want = append(want, k)
			times[k] = append(times[k], c.TS)
		}
		tolerance := 0.002
		if strings.Contains(path, "-v9") {
			tolerance = 1 // the export's time has whole seconds
		}
		late := 0
		for _, e := range readAll(t, path, nil).Events {
			k := fmt.Sprintf("%s %s:%d > %s:%d %s %d/%d", e.Flow.Proto, e.Src.IP, e.Src.Port, e.Dst.IP, e.Dst.Port, outcome(e.Flow.Proto, e.Flow.State, e.Flow.History), e.Flow.OrigPkts, e.Flow.RespPkts)
			got = append(got, k)
			at := float64(e.Time.UnixNano()) / 1e9
			if list := times[k]; len(list) > 0 && !slices.ContainsFunc(list, func(ts float64) bool { return at > ts-tolerance && at < ts+tolerance }) {
				late++
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		// An exporter makes one flow of two connections where ports are used again at once, and other ones of ICMP errors.
		if d := differing(want, got); len(d)*100 > len(want) {
			t.Errorf("%s: %d of %d connections differ (- conn log, + export):\n%s", path, len(d), len(want), strings.Join(d, "\n"))
		}
		if late > 0 {
			t.Errorf("%s: %d flows begin at another time", path, late)
		}
	}
}

// differing returns what only one of two sorted lists holds.
func differing(a, b []string) (out []string) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			out, a = append(out, "- "+a[0]), a[1:]
		case len(a) == 0 || b[0] < a[0]:
			out, b = append(out, "+ "+b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return out
}

// outcome is what a detector makes of state and history: the letters' order is not told by cumulative flags.
func outcome(proto, state, history string) string {
	if proto != "tcp" {
		return state
	}
	begins := "middle"
	if strings.HasPrefix(history, "S") {
		begins = "SYN"
	}
	answer := "silent"
	if strings.ContainsAny(history, "hadfr") {
		answer = "answered"
	}
	return state + " " + begins + " " + answer
}

func TestOrderOfDatagramsDoesNotMatter(t *testing.T) {
	path := decodetest.Samples(t, func(p string) bool { return strings.HasSuffix(p, "-v5.dgrams") })[0]
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for p := text; len(p) > 4; {
		n := int(p[2])<<8 | int(p[3])
		list, p = append(list, p[4:4+n]), p[4+n:]
	}
	flows := func(order []int) []string {
		var out []string
		tr := New(Options{Hold: fileHold, Held: fileHeld, Emit: func(_ netip.Addr, line []byte) { out = append(out, string(line)) }})
		for _, i := range order {
			if err := tr.datagram(netip.Addr{}, 0, list[i]); err != nil {
				t.Fatal(err)
			}
		}
		tr.Flush()
		slices.Sort(out)
		return out
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	want := flows(order)
	slices.Reverse(order)
	if d := gocmp.Diff(want, flows(order)); d != "" {
		t.Errorf("backwards: %s", d)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(a*7919%104729%17, b*7919%104729%17) })
	if d := gocmp.Diff(want, flows(order)); d != "" {
		t.Errorf("shuffled: %s", d)
	}
}
