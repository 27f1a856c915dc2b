package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/app"
)

// leastOutcomes is the share of tenants whose outcome must be right in every scenario.
const leastOutcomes = 0.95

// TestScenarioFoldersAreJudgedRight judges every folder that has a truth.json and a configuration, whoever wrote it.
func TestScenarioFoldersAreJudgedRight(t *testing.T) {
	var dirs []string
	err := filepath.WalkDir(dataRoot(t, "scenario"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "truth.json" {
			return err
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(p), app.ConfigName)); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("cases", len(dirs))
	if len(dirs) == 0 {
		t.Fatal("no folder with truth.json and breakwater.yaml")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			v, err := judge(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%s (%s): %d events, campaigns %d of %d, provider %d, foothold %d, outcomes %d of %d, high findings %d, worst tenant-week %d\n",
				v.Name, v.Kind, v.Events, v.Got, v.Want, v.Provider, v.Foothold, v.Right, v.Tenants, v.High, v.WorstWeek)
			if v.Got != v.Want || v.Provider != v.Want || v.Foothold != v.Want || float64(v.Right) < leastOutcomes*float64(v.Tenants) {
				t.Errorf("%s", strings.Join(v.Wrong, "\n"))
				if len(v.Wrong) == 0 {
					t.Errorf("%d campaigns, not %d", v.Got, v.Want)
				}
			}
			if v.Want == 0 && v.WorstWeek > 1 {
				t.Errorf("nothing happened here, and one tenant had %d high findings in a week", v.WorstWeek)
			}
		})
	}
}

// TestRecordedDailyLifeIsNoCampaign scans what was recorded where nothing of an island hop is in it, without any
// configuration, and prints what is found beside.
func TestRecordedDailyLifeIsNoCampaign(t *testing.T) {
	root := dataRoot(t, "")
	cases := 0
	for _, pattern := range []string{"endpoint/otrf-background.jsonl.zst", "mail/ham-modern.tar.zst", "network/public/rita-*.conn.log.gz"} {
		paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			cases++
			t.Run(filepath.Base(p), func(t *testing.T) {
				s, err := app.NewSetup(app.Options{Paths: []string{p}})
				if err != nil {
					t.Fatal(err)
				}
				r, err := app.Scan(t.Context(), s, []string{p})
				if err != nil {
					t.Fatal(err)
				}
				if r.Input.Events == 0 {
					t.Fatal("no event was read")
				}
				if len(r.Campaigns) > 0 {
					t.Errorf("%d campaigns: %s", len(r.Campaigns), r.Campaigns[0].Summary)
				}
				counts := map[string]int{}
				for _, f := range r.List {
					counts[string(f.Layer)+" "+f.Severity.String()]++
				}
				var words []string
				for k, n := range counts {
					words = append(words, fmt.Sprintf("%s %d", k, n))
				}
				slices.Sort(words)
				fmt.Printf("%s: %d events, %d incidents, findings: %s\n", filepath.Base(p), r.Input.Events, len(r.Incidents), strings.Join(words, ", "))
			})
		}
	}
	fmt.Println("cases", cases)
	if cases == 0 {
		t.Fatal("none of the recordings is there")
	}
}
