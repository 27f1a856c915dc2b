package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// slack is how far a finding's span may reach beyond the label's.
const slack = time.Minute

// capture is one input of a lab: what one sensor gave, in one format, or all of one format together.
type capture struct {
	name  string
	files []string
	logs  []string // the conn logs that count its flows
}

// captures lists what a lab holds: conn logs, packet captures and export datagrams, each alone and together.
func (l *lab) captures(t *testing.T) []capture {
	t.Helper()
	var pcaps []string
	for _, log := range l.logs {
		if p := strings.TrimSuffix(log, ".conn.jsonl") + ".pcap"; fileThere(p) {
			pcaps = append(pcaps, p)
		}
	}
	out := []capture{{"conn logs together", l.logs, l.logs}}
	if len(pcaps) == len(l.logs) {
		out = append(out, capture{"captures together", pcaps, l.logs})
	}
	for _, log := range l.logs {
		out = append(out, capture{filepath.Base(log), []string{log}, []string{log}})
	}
	for _, p := range pcaps {
		out = append(out, capture{filepath.Base(p), []string{p}, []string{strings.TrimSuffix(p, ".pcap") + ".conn.jsonl"}})
	}
	exports, err := filepath.Glob(filepath.Join(filepath.Dir(l.dir), "netflow", "*.dgrams"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range exports {
		sensor, _, _ := strings.Cut(filepath.Base(p), "-v")
		if log := filepath.Join(l.dir, sensor+".conn.jsonl"); filepath.Base(l.dir) == "lab" && fileThere(log) {
			out = append(out, capture{filepath.Base(p), []string{p}, []string{log}})
		}
	}
	return out
}

func fileThere(path string) bool { _, err := os.Stat(path); return err == nil }

// targets reads a label's dst_range: addresses, and ranges of the last number.
func targets(t *testing.T, list string) map[netip.Addr]bool {
	t.Helper()
	out := map[netip.Addr]bool{}
	for _, word := range strings.Fields(list) {
		first, last, ranged := strings.Cut(word, "-")
		a, err := netip.ParseAddr(first)
		if err != nil {
			t.Fatalf("dst_range %q: %v", list, err)
		}
		out[a] = true
		for n := ""; ranged && n != last; {
			a = a.Next()
			out[a] = true
			n = fmt.Sprint(a.As4()[3])
		}
	}
	return out
}

// ownFlows counts the label's flows in conn logs, each flow once.
func ownFlows(t *testing.T, logs []string, want labelled) int {
	t.Helper()
	seen := map[string]bool{}
	for _, log := range logs {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var c struct {
				TS   float64 `json:"ts"`
				Src  string  `json:"id.orig_h"`
				Dst  string  `json:"id.resp_h"`
				From int     `json:"id.orig_p"`
				To   int     `json:"id.resp_p"`
			}
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatalf("%s: %v", log, err)
			}
			at := time.Unix(0, int64(c.TS*1e9))
			if a, err := netip.ParseAddr(c.Dst); err == nil && c.Src == want.src && want.targets[a] &&
				!at.Before(want.start.Add(-time.Second)) && !at.After(want.end.Add(time.Second)) {
				seen[fmt.Sprint(c.Src, c.From, c.Dst, c.To)] = true
			}
		}
	}
	return len(seen)
}

// tells reports whether the finding is the label's: its source, its span, its targets.
func (f *scannedFinding) tells(want labelled) bool {
	if f.Detector != "recon" || !f.source(want.src) || f.Time.Before(want.start.Add(-slack)) || f.End.After(want.end.Add(slack)) ||
		f.Time.After(want.end.Add(slack)) || f.End.Before(want.start.Add(-slack)) {
		return false
	}
	var in, all int
	for _, e := range f.Entities {
		if a, err := netip.ParseAddr(e.Value); err == nil && e.Role == ocsf.RoleTarget {
			all++
			if want.targets[a] {
				in++
			}
		}
	}
	return all > 0 && in*10 >= all*9
}

// distance is how far the finding's span is from the label's.
func (f *scannedFinding) distance(want labelled) time.Duration {
	return f.Time.Sub(want.start).Abs() + f.End.Sub(want.end).Abs()
}

// TestNetworkEvaluation holds what a scan of each capture says against the labels: every scan with five flows or
// more in it is a finding of its own, its span within a minute of the label's, nine of ten of its targets the
// label's, and at most one other source is alarmed.
func TestNetworkEvaluation(t *testing.T) {
	var table strings.Builder
	table.WriteString("| lab | input | scans of 5 flows or more | found | missed | other sources | of these alarmed |\n| --- | --- | ---: | ---: | --- | ---: | --- |\n")
	for _, l := range labs(t) {
		for _, c := range l.captures(t) {
			t.Run(filepath.Base(l.dir)+"/"+c.name, func(t *testing.T) {
				s := l.scan(t, c.files)
				used := map[string]bool{}
				due, found := 0, 0
				var missed []string
				for _, want := range l.labels {
					n := ownFlows(t, c.logs, want)
					if n < 5 {
						continue
					}
					due++
					best := -1
					for i := range s.findings {
						f := &s.findings[i]
						if f.tells(want) && !used[f.ID] && (best < 0 || f.distance(want) < s.findings[best].distance(want)) {
							best = i
						}
					}
					if best < 0 {
						missed = append(missed, want.id)
						t.Errorf("%s (%d flows): %s was not found as the label says; %s", want.id, n, want.src, s.near(want))
						continue
					}
					f := &s.findings[best]
					used[f.ID] = true
					if want.authorised != (f.Suppressed != nil) {
						t.Errorf("%s: authorised %t, but %s is suppressed by %+v", want.id, want.authorised, f.Rule, f.Suppressed)
					}
					found++
				}
				var others, alarmed []string
				for _, f := range s.findings {
					for _, e := range f.Entities {
						if f.Detector == "recon" && f.Severity > ocsf.SeverityInformational && e.Role == ocsf.RoleSource && e.Type == ocsf.EntityIP && !l.scanner(e.Value) && !slices.Contains(alarmed, e.Value) {
							alarmed = append(alarmed, e.Value)
							others = append(others, e.Value+" ("+strings.TrimPrefix(f.Rule, "recon/")+")")
						}
					}
				}
				if len(others) > 1 {
					t.Errorf("other sources alarmed: %v", others)
				}
				fmt.Fprintf(&table, "| %s | %s | %d | %d | %s | %d | %s |\n", filepath.Base(l.dir), c.name, due, found, strings.Join(missed, " "), l.otherSources(t, c.logs), strings.Join(others, " "))
			})
		}
	}
	fmt.Print(table.String())
}

func (l *lab) scanner(addr string) bool {
	return slices.ContainsFunc(l.labels, func(x labelled) bool { return x.src == addr })
}

// otherSources counts the sources in conn logs that no label calls a scanner.
func (l *lab) otherSources(t *testing.T, logs []string) int {
	t.Helper()
	seen := map[string]bool{}
	for _, log := range logs {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var c struct {
				Src string `json:"id.orig_h"`
			}
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatalf("%s: %v", log, err)
			}
			if !l.scanner(c.Src) {
				seen[c.Src] = true
			}
		}
	}
	return len(seen)
}

// near lists the findings about the label's source.
func (s *scanned) near(want labelled) string {
	var b strings.Builder
	for _, f := range s.findings {
		if f.Detector == "recon" && f.source(want.src) {
			fmt.Fprintf(&b, "\n   %s %s %s (label %s, %s)", f.Time.Format("15:04:05"), f.End.Format("15:04:05"), f.Rule, want.start.Format("15:04:05"), want.end.Format("15:04:05"))
		}
	}
	return b.String()
}

// TestPublicCaptures holds a scan of third parties' captures against what their own tests expect: the source that
// scans is named by a finding about reconnaissance, and where nothing is expected nothing pages anybody.
func TestPublicCaptures(t *testing.T) {
	cases := 0
	err := filepath.WalkDir(dataRoot(t, "network"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "EXPECTED.tsv" {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
			cols := strings.Split(line, "\t")
			cases++
			t.Run(cols[0], func(t *testing.T) { public(t, filepath.Join(filepath.Dir(p), cols[0]), cols[1]) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("cases", cases)
	if cases == 0 {
		t.Fatal("no third party's expectation was tried")
	}
}

func public(t *testing.T, path, expected string) {
	var out, errw bytes.Buffer
	if code := run(t.Context(), []string{"scan", path, "-o", "jsonl"}, &console{strings.NewReader(""), &out, &errw}); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &errw)
	}
	var found []scannedFinding
	for line := range bytes.Lines(out.Bytes()) {
		var f scannedFinding
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		found = append(found, f)
	}
	if strings.HasPrefix(expected, "no ") {
		for _, f := range found {
			if f.Severity >= ocsf.SeverityMedium {
				t.Errorf("%s %s pages somebody, expected %s", f.Severity, f.Rule, expected)
			}
		}
		if src, dst, ok := strings.Cut(expected, " -> "); ok && strings.Contains(expected, "beacon") {
			src, dst = src[strings.LastIndexByte(src, ' ')+1:], strings.Fields(dst)[0]
			if !slices.ContainsFunc(found, func(f scannedFinding) bool {
				return f.Detector == "beacon" && f.source(src) && slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool { return e.Value == dst })
			}) {
				t.Errorf("%s -> %s is not named as beacon", src, dst)
			}
		}
		return
	}
	src := strings.Fields(expected)[0]
	if !slices.ContainsFunc(found, func(f scannedFinding) bool { return f.Detector == "recon" && f.source(src) }) {
		t.Errorf("nothing names %s, expected %s", src, expected)
	}
	for _, f := range found {
		if f.Detector == "recon" && f.Severity > ocsf.SeverityLow && !f.source(src) {
			t.Errorf("%s %s accuses another than %s", f.Severity, f.Rule, src)
		}
	}
}
