package app

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestCapturesTellTheScansThatConnLogsTell scans the packet captures of recordings that hold both, and the conn logs
// of the same sensors: the findings must be the same.
func TestCapturesTellTheScansThatConnLogsTell(t *testing.T) {
	root := cmp.Or(os.Getenv("BREAKWATER_DATA"), "../../../shared/data")
	cases := 0
	_ = filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		captures, _ := filepath.Glob(filepath.Join(dir, "*.pcap"))
		logs, _ := filepath.Glob(filepath.Join(dir, "*.conn.jsonl"))
		config := filepath.Join(dir, ConfigName)
		if _, err := os.Stat(config); err != nil || len(captures) == 0 || len(captures) != len(logs) {
			return nil
		}
		cases++
		want := told(t, config, logs)
		if diff := gocmp.Diff(want, told(t, config, captures)); diff != "" {
			t.Errorf("%s: the captures (+) tell other than the logs (-): %s", dir, diff)
		}
		t.Logf("%s: %d findings from each", dir, len(want))
		return nil
	})
	if cases == 0 {
		t.Skipf("no folder with captures, conn logs and a %s below %s: set BREAKWATER_DATA to the folder of test data", ConfigName, root)
	}
}

// told returns what is found in the files, but for ids, which rest on times that logs round.
func told(t *testing.T, config string, paths []string) (out []string) {
	t.Helper()
	s, err := NewSetup(Options{ConfigPath: config, Paths: paths})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Scan(t.Context(), s, paths)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.List {
		if f.Layer == "network" && strings.HasPrefix(f.Rule, "recon/") {
			out = append(out, fmt.Sprintf("%s %s %s %s suppressed %v", f.Tenant, f.Rule, f.Severity, f.Title, f.Suppressed != nil))
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		t.Errorf("nothing is found in %v", paths)
	}
	return out
}
