package entra

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// collect is a sink that keeps what it gets.
type collect struct {
	events  []*ocsf.Event
	records []int64
	bad     []string
}

func (c *collect) Event(e *ocsf.Event, n int64, _ []byte) {
	c.events = append(c.events, e)
	c.records = append(c.records, n)
}

func (c *collect) Bad(_ int64, reason string, _ []byte) { c.bad = append(c.bad, reason) }

// check holds what every event of every decoder must keep.
func check(t testing.TB, e *ocsf.Event) {
	t.Helper()
	if e.Source == "" || e.Layer == "" {
		t.Errorf("an event without source or layer: %+v", e)
	}
	if e.Time.Year() < 1971 || e.Time.Year() >= 2200 || e.Time.Location() != time.UTC {
		t.Errorf("implausible time %v", e.Time)
	}
	for i := 1; i < len(e.Fields); i++ {
		if e.Fields[i-1].Name > e.Fields[i].Name {
			t.Fatalf("fields out of order: %q after %q", e.Fields[i].Name, e.Fields[i-1].Name)
		}
	}
}

// samples returns the files of the sample data that match; without the data the test is skipped.
func samples(t *testing.T, match func(path string) bool) []string {
	t.Helper()
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = "../../../../../shared/data"
	}
	if _, err := os.Stat(root); err != nil {
		t.Skip("no sample data: set BREAKWATER_DATA to its folder")
	}
	var out []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && match(strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(root)+"/")) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Skip("the sample data has no file for this decoder")
	}
	return out
}
