// Package decodetest is what the tests of all decoders share: a sink that keeps what it gets, what every event must
// hold, and the recorded samples. Only tests import it.
package decodetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Collect is a sink that keeps what it gets.
type Collect struct {
	Events  []*ocsf.Event
	Records []int64
	Reasons []string // of what was bad
}

// Event keeps an event and the number of its record.
func (c *Collect) Event(e *ocsf.Event, n int64, _ []byte) {
	c.Events = append(c.Events, e)
	c.Records = append(c.Records, n)
}

// Bad keeps the reason why a record could not be read.
func (c *Collect) Bad(_ int64, reason string, _ []byte) { c.Reasons = append(c.Reasons, reason) }

// Check holds what every event of every decoder must keep.
func Check(t testing.TB, e *ocsf.Event) {
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

// Samples returns the files of the recorded data that match. Without the data the test is skipped; with it there must
// be a case.
func Samples(t *testing.T, match func(path string) bool) []string {
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
		t.Fatal("cases 0: the recorded data has no file for this decoder")
	}
	return out
}
