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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// dataRoot is the folder of the data that is no part of the repository; the test is skipped where it is missing.
func dataRoot(t *testing.T, sub string) string {
	t.Helper()
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	root = filepath.Join(root, sub)
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no data at %s: set BREAKWATER_DATA to the folder that holds %s/", root, sub)
	}
	return root
}

// lab is a capture of several organisations with labelled scans.
type lab struct {
	dir    string
	logs   []string // conn logs
	labels []labelled
	setup  *app.Setup
}

// labelled is a scan of labels.tsv. Hops counts the scan itself: 1 means that the scanner is the origin.
type labelled struct {
	id, src, origin string
	start, end      time.Time
	authorised      bool
	hops            int
	targets         map[netip.Addr]bool
}

func labs(t *testing.T) []lab {
	t.Helper()
	var out []lab
	err := filepath.WalkDir(dataRoot(t, "network"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "labels.tsv" {
			return err
		}
		l := lab{dir: filepath.Dir(p), labels: readLabels(t, p)}
		l.logs, err = filepath.Glob(filepath.Join(l.dir, "*.conn.jsonl"))
		if _, missing := os.Stat(filepath.Join(l.dir, app.ConfigName)); err != nil || missing != nil || len(l.logs) == 0 {
			return err
		}
		if l.setup, err = app.NewSetup(app.Options{ConfigPath: filepath.Join(l.dir, app.ConfigName), Paths: []string{l.dir}}); err != nil {
			return err
		}
		out = append(out, l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("cases", len(out))
	if len(out) == 0 {
		t.Fatal("no folder with labels.tsv, breakwater.yaml and *.conn.jsonl")
	}
	return out
}

func readLabels(t *testing.T, path string) []labelled {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	head := strings.Split(lines[0], "\t")
	var out []labelled
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, v := range strings.Split(line, "\t") {
			row[head[i]] = v
		}
		if row["scanner"] != "yes" {
			continue
		}
		l := labelled{id: row["id"], src: row["src"], origin: row["origin_src"], authorised: row["authorised"] == "yes", targets: targets(t, row["dst_range"])}
		var errs [3]error
		l.start, errs[0] = seconds(row["start"])
		l.end, errs[1] = seconds(row["end"])
		l.hops, errs[2] = strconv.Atoi(row["hops"])
		for _, err := range errs {
			if err != nil {
				t.Fatalf("%s: %v in %q", path, err, line)
			}
		}
		out = append(out, l)
	}
	return out
}

func seconds(s string) (time.Time, error) {
	f, err := strconv.ParseFloat(s, 64)
	return time.Unix(0, int64(f*1e9)).UTC(), err
}

// scanned is what a scan said, read from its output as a user's program would.
type scanned struct {
	Incidents []campaign.Incident
	findings  []scannedFinding
}

type scannedFinding struct {
	ID         string
	Time, End  time.Time
	Detector   string
	Rule       string
	Severity   ocsf.Severity
	Entities   []ocsf.Entity
	Suppressed *ocsf.Suppression
}

func (l *lab) scan(t *testing.T, logs []string) scanned {
	t.Helper()
	output := func(format string) []byte {
		var out, errw bytes.Buffer
		args := append([]string{"scan", "--config", filepath.Join(l.dir, app.ConfigName), "-o", format}, logs...)
		if code := run(t.Context(), args, &console{strings.NewReader(""), &out, &errw}); code != exitDone {
			t.Fatalf("%v: exit code %d: %s", args, code, &errw)
		}
		return out.Bytes()
	}
	var s scanned
	if err := json.Unmarshal(output("json"), &struct{ Incidents *[]campaign.Incident }{&s.Incidents}); err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(output("jsonl")) {
		var f scannedFinding
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		s.findings = append(s.findings, f)
	}
	return s
}

func (f *scannedFinding) source(addr string) bool {
	return slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool { return e.Role == ocsf.RoleSource && e.Value == addr })
}

// of returns the findings about a labelled scan: its source, at its time.
func (s *scanned) of(l labelled) (out []scannedFinding) {
	for _, f := range s.findings {
		if f.Detector == "recon" && f.source(l.src) && !f.Time.After(l.end.Add(time.Second)) && !f.End.Before(l.start.Add(-time.Second)) {
			out = append(out, f)
		}
	}
	return out
}

// traces returns the traces of a source that explain one of the findings.
func (s *scanned) traces(src string, findings []scannedFinding) (out []campaign.IncidentTrace) {
	for _, n := range s.Incidents {
		if n.Trace == nil {
			continue
		}
		for _, tr := range append([]campaign.IncidentTrace{*n.Trace}, n.Trace.Others...) {
			if tr.Source.Entity.Value == src && slices.ContainsFunc(findings, func(f scannedFinding) bool { return slices.Contains(tr.Findings, f.ID) }) {
				out = append(out, tr)
			}
		}
	}
	return out
}

// TestLabScansAreFoundAndTracedBack holds a scan of every capture against its labels: each scan found by its source,
// the authorised one approved, every one traced back to the right host over the right number of hops, and at most one
// other source, of low severity.
func TestLabScansAreFoundAndTracedBack(t *testing.T) {
	for _, l := range labs(t) {
		t.Run(filepath.Base(l.dir), func(t *testing.T) {
			s := l.scan(t, l.logs)
			labelledSource := map[string]bool{}
			for _, want := range l.labels {
				labelledSource[want.src] = true
				found := s.of(want)
				if len(found) == 0 {
					t.Errorf("%s: %s was not found", want.id, want.src)
					continue
				}
				for _, f := range found {
					if (f.Suppressed != nil) != want.authorised {
						t.Errorf("%s: authorised %t, suppressed by %+v", want.id, want.authorised, f.Suppressed)
					}
				}
				traces := s.traces(want.src, found)
				if len(traces) == 0 && !want.authorised {
					t.Errorf("%s: no incident traces %s back", want.id, want.src)
				}
				for _, tr := range traces {
					if tr.Origin.Entity.Value != want.origin || len(tr.Hops) != want.hops || tr.Ask != "" {
						t.Errorf("%s: traced back to %s over %d hops (asks %q), want %s over %d", want.id, tr.Origin.Entity.Value, len(tr.Hops), tr.Ask, want.origin, want.hops)
					}
				}
			}
			others := map[string]ocsf.Severity{}
			for _, f := range s.findings {
				for _, e := range f.Entities {
					if f.Detector == "recon" && f.Suppressed == nil && e.Role == ocsf.RoleSource && !labelledSource[e.Value] {
						others[e.Value] = max(others[e.Value], f.Severity)
					}
				}
			}
			for src, severity := range others {
				if severity > ocsf.SeverityLow || len(others) > 1 {
					t.Errorf("beside the scanners: %s, %s", src, severity)
				}
			}
			fmt.Printf("%s: %d scans, %d other sources\n", filepath.Base(l.dir), len(l.labels), len(others))
		})
	}
}

// TestLabOneOrganisationAloneSaysWhomToAsk scans each organisation's logs without the others': a trace then ends at
// the first address of somebody else, and names that organisation.
func TestLabOneOrganisationAloneSaysWhomToAsk(t *testing.T) {
	for _, l := range labs(t) {
		t.Run(filepath.Base(l.dir), func(t *testing.T) {
			asked := 0
			for i := range l.setup.Model.Tenants {
				id := l.setup.Model.Tenants[i].ID
				var logs []string
				for _, p := range l.logs {
					if sensor, ok := l.setup.Config.SensorFor(filepath.Base(p)); ok && sensor.Tenant == id {
						logs = append(logs, p)
					}
				}
				if len(logs) == 0 {
					continue
				}
				s := l.scan(t, logs)
				for _, want := range l.labels {
					for _, tr := range s.traces(want.src, s.of(want)) {
						whose := l.owner(t, tr.Origin.Entity.Value)
						switch {
						case whose == id && tr.Ask != "":
							t.Errorf("%s alone, %s: asks %q for its own %s", id, want.id, tr.Ask, tr.Origin.Entity.Value)
						case whose == id && (tr.Origin.Entity.Value != want.origin || len(tr.Hops) != want.hops):
							t.Errorf("%s alone, %s: says it began at %s", id, want.id, tr.Origin.Entity.Value)
						case whose != id:
							asked++
							if p := l.setup.Model.PartnerOf(whose); p == nil || tr.Ask != string(p.ID) || tr.For != "address "+tr.Origin.Entity.Value || tr.From.After(want.start) || len(tr.Hops) > want.hops {
								t.Errorf("%s alone, %s: asks %q for %q from %s over %d hops, not %s for %s", id, want.id, tr.Ask, tr.For, tr.From, len(tr.Hops), whose, tr.Origin.Entity.Value)
							}
						}
					}
				}
			}
			if asked == 0 {
				t.Error("nobody was asked anything")
			}
			fmt.Printf("%s: %d traces end at another organisation\n", filepath.Base(l.dir), asked)
		})
	}
}

// owner is the tenant that declares the address.
func (l *lab) owner(t *testing.T, addr string) tenant.ID {
	t.Helper()
	a, err := netip.ParseAddr(addr)
	if err != nil {
		t.Fatalf("%q is no address", addr)
	}
	for _, x := range l.setup.Model.Tenants {
		if slices.ContainsFunc(x.Networks, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return x.ID
		}
	}
	return ""
}
