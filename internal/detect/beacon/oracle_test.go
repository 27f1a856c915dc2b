package beacon

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/zeek"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func dataRoot(t testing.TB) string {
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no recordings at %s: set BREAKWATER_DATA", root)
	}
	return root
}

type collect struct {
	t      testing.TB
	events []*ocsf.Event
}

func (c *collect) Event(e *ocsf.Event, n int64, _ []byte) {
	e.Raw.Record = n
	c.events = append(c.events, e)
}
func (c *collect) Bad(n int64, reason string, _ []byte) { c.t.Errorf("%d: %s", n, reason) }

func connections(t testing.TB, path string) []*ocsf.Event {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if filepath.Ext(path) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	c := &collect{t: t}
	if err := zeek.Stream().Read(context.Background(), filepath.Base(path), bufio.NewReaderSize(r, decode.MaxHead), c); err != nil {
		t.Fatal(err)
	}
	return c.events
}

// The expectations name a beacon as "SOURCE -> DESTINATION is … (beacon".
var named = regexp.MustCompile(`(?m)^(\S+)\t.*?(\S+) -> (\S+) [^\t\n]*\(beacon`)

// ritas is what RITA's own test expects of the beacon's score over the three days of which one is here.
const ritas = 0.963

func TestRecordedBeaconsAreFoundAndNothingElsePages(t *testing.T) {
	folder := filepath.Join(dataRoot(t), "network", "public")
	expected, err := os.ReadFile(filepath.Join(folder, "EXPECTED.tsv"))
	if err != nil {
		t.Skip(err)
	}
	cases := named.FindAllStringSubmatch(string(expected), -1)
	if len(cases) == 0 {
		t.Skip("no expectation of a beacon")
	}
	for _, c := range cases {
		// A scan without configuration, and one that declares the sensor's own host.
		for name, networks := range map[string]string{"nothing declared": "10.0.0.0/8", "the host declared": c[3] + "/32"} {
			g := detect.NewEngine("v1", New(detect.Context{Model: &tenant.Model{Tenants: []tenant.Tenant{{ID: "house", Networks: prefixes(networks)}}}}))
			for _, e := range byTime(connections(t, filepath.Join(folder, c[1]))) {
				e.Tenant = "house"
				g.Process(e)
			}
			g.Finish()
			found := false
			for _, f := range g.Findings() {
				t.Logf("%s: %s: %s", name, f.Severity, f.Reason)
				if f.Severity > ocsf.SeverityLow {
					t.Errorf("%s: %s pages: %s", name, f.Title, f.Reason)
				}
				if f.Title == c[2]+" contacts "+c[3]+" at even times" {
					found = true
					score, err := strconv.ParseFloat(regexp.MustCompile(`score is ([0-9.]+) `).FindStringSubmatch(f.Reason)[1], 64)
					if err != nil || math.Abs(score-ritas) > 0.05 {
						t.Errorf("%s: the score is %v, RITA's is %v", name, score, ritas)
					}
				}
			}
			if !found {
				t.Errorf("%s: no beacon from %s to %s", name, c[2], c[3])
			}
		}
	}
}
