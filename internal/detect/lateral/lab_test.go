package lateral

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/attribute"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/zeek"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// labSink gives what is decoded its tenant.
type labSink struct {
	t      *testing.T
	tenant tenant.ID
	events []*ocsf.Event
	file   string
}

func (s *labSink) Event(e *ocsf.Event, n int64, _ []byte) {
	e.Tenant, e.Raw = s.tenant, ocsf.RawRef{File: s.file, Record: n}
	s.events = append(s.events, e)
}

func (s *labSink) Bad(n int64, reason string, _ []byte) {
	s.t.Errorf("%s, record %d: %s", s.file, n, reason)
}

// TestOnwardHopsOfTheLab takes the recorded captures of several organisations, in which sessions go on from host to
// host, and looks for them where a sensor saw them. Which session went on is what the labels of kind interactive-hop
// say: one that ends at a host from which another begins.
func TestOnwardHopsOfTheLab(t *testing.T) {
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	root = filepath.Join(root, "network", "lab")
	labels, err := os.ReadFile(filepath.Join(root, "labels.tsv"))
	if err != nil {
		t.Skipf("no data at %s: set BREAKWATER_DATA to the folder that holds network/lab", root)
	}
	cfg, err := config.Load(filepath.Join(root, "breakwater.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "*.conn.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no conn logs in %s: %v", root, err)
	}
	s := &labSink{t: t}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s.file = filepath.Base(name)
		sensor, ok := cfg.SensorOf(config.Origin{Path: s.file, Field: func(string) string { return "" }})
		if !ok {
			t.Fatalf("no sensor is declared for %s", s.file)
		}
		s.tenant, _ = sensor.TenantFor(func(string) string { return "" })
		if err := decode.Objects(zeek.Objects()).Read(context.Background(), s.file, bytes.NewReader(raw), s); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortStableFunc(s.events, func(a, b *ocsf.Event) int { return cmp.Or(a.Time.Compare(b.Time), bytes.Compare(a.ID[:], b.ID[:])) })
	by := attribute.New(cfg.Model, attribute.NewSessions())
	g := detect.NewEngine("lab", New(detect.Context{Model: cfg.Model}))
	for _, e := range s.events {
		by.Attribute(e)
		g.Process(e)
	}
	g.Finish()
	sessions := map[string]string{} // end → from where, as labelled
	for line := range strings.Lines(string(labels)) {
		if c := strings.Split(strings.TrimSpace(line), "\t"); len(c) > 9 && c[3] == "interactive-hop" {
			sessions[c[2]] = c[1]
		}
	}
	hops := 0
	for end, origin := range sessions {
		before, ok := sessions[origin]
		if !ok {
			continue
		}
		hops++
		found := slices.ContainsFunc(g.Findings(), func(f *ocsf.Finding) bool {
			return f.Rule == "lateral/onward-hop" && f.Partner != "" && hasEntity(f, ocsf.RoleSource, origin) && hasEntity(f, ocsf.RoleTarget, end) && strings.Contains(f.Reason, "from "+before)
		})
		if !found {
			t.Errorf("the way %s → %s → %s is not found", before, origin, end)
		}
	}
	if hops == 0 {
		t.Fatal("no labelled session goes on")
	}
	for _, f := range g.Findings() {
		t.Logf("%s %s %s: %s", f.Severity, f.Rule, f.Tenant, f.Reason)
		if f.Rule == "lateral/onward-hop" && !slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool { _, ok := sessions[e.Value]; return e.Role == ocsf.RoleSource && ok }) {
			t.Errorf("nobody landed there by the labels: %s", f.Reason)
		}
	}
}

func hasEntity(f *ocsf.Finding, role, value string) bool {
	return slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool { return e.Role == role && e.Value == value })
}
