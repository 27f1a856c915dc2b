package sigma

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// TestPackRaisesNothingHighInQuietTime runs the pack over telemetry of a provider and its clients in which
// nothing happens: patch nights, rollouts, help-desk sessions.
func TestPackRaisesNothingHighInQuietTime(t *testing.T) {
	root := filepath.Join(filepath.Dir(dataDir(t)), "scenario")
	set, files, events, hits := pack(t), 0, 0, map[string]int{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		kind := filepath.Base(filepath.Dir(name))
		if err == nil && d.IsDir() && name != root && filepath.Dir(name) == root && !quiet(name) {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".jsonl") || kind != "windows" && kind != "entra" {
			return err
		}
		list := decoded(t, name)
		files, events = files+1, events+len(list)
		set.Match(list, func(i int, r *Rule) {
			hits[r.File]++
			if r.severity() >= ocsf.SeverityHigh {
				t.Errorf("%s: %s (%s): %s", filepath.Base(name), r.Title, r.Level, list[i].Detail())
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cases %d, events %d, matches %v", files, events, hits)
	if files == 0 {
		t.Error("the folder is there and holds no case")
	}
}

// quiet reports whether a scenario's truth says that nothing happens in it.
func quiet(dir string) bool {
	truth, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	return err == nil && strings.Contains(string(truth), `"false-alarm"`)
}
