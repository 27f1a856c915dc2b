package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/scenario"
)

// sampled is set where the race detector makes a scan take long: then what is scanned is smaller.
var sampled = raceEnabled && os.Getenv("BREAKWATER_LONG") == ""

// TestAnyOrderGivesTheSameAnswer permutes what a scan is given, and expects the same findings, incidents and
// campaigns. Where a record was read is all that may differ.
func TestAnyOrderGivesTheSameAnswer(t *testing.T) {
	t.Parallel()
	seeds := []uint64{3}
	if os.Getenv("BREAKWATER_LONG") != "" {
		seeds = []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	}
	for _, seed := range seeds {
		o := scenario.Options{Kind: "island-hop", Clients: 4, Days: 4, Seed: seed}
		if sampled {
			o.Clients, o.Days = 3, 3
		}
		dir := filepath.Join(t.TempDir(), "written")
		if _, err := scenario.Write(t.Context(), o, dir); err != nil {
			t.Fatal(err)
		}
		want := answer(t, dir, 0)
		if len(want["campaigns"].([]any)) == 0 {
			t.Fatalf("seed %d has no campaign: there is nothing to compare", seed)
		}
		for _, c := range []struct {
			name   string
			change func(r *rand.Rand, name string, data []byte) map[string][]byte
			budget int
		}{
			{"batch borders", same, 1 << 20},
			{"files in another order", renamed, 0},
			{"lines in another order", shuffled, 0},
			{"files cut in two", split, 0},
			{"files delivered twice", twice, 0},
		} {
			t.Run(fmt.Sprintf("%s/%d", c.name, seed), func(t *testing.T) {
				t.Parallel()
				other := filepath.Join(t.TempDir(), "changed")
				rewrite(t, dir, other, rand.New(rand.NewPCG(seed, 1)), c.change)
				if diff := cmp.Diff(want, answer(t, other, c.budget)); diff != "" {
					t.Errorf("the answer differs (- as written, + changed):\n%.4000s", diff)
				}
			})
		}
	}
}

// answer scans a folder and returns what was concluded, without where it was read.
func answer(t *testing.T, dir string, budget int) map[string]any {
	t.Helper()
	s, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	s.SortBudget = budget
	r, err := app.Scan(context.Background(), s, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{"campaigns": r.Campaigns, "incidents": r.Incidents, "findings": r.List, "coverage": r.Coverage, "unparsed": r.Unparsed})
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	forget(v, "file", "record")
	return v
}

// forget drops keys at any depth.
func forget(v any, keys ...string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range keys {
			delete(v, k)
		}
		for _, x := range v {
			forget(x, keys...)
		}
	case []any:
		for _, x := range v {
			forget(x, keys...)
		}
	}
}

// rewrite copies a scenario, with its telemetry changed; the names that change returns are of the same folder.
func rewrite(t *testing.T, from, to string, r *rand.Rand, change func(*rand.Rand, string, []byte) map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		files := map[string][]byte{filepath.Base(p): data}
		if strings.HasPrefix(rel, "telemetry") {
			files = change(r, filepath.Base(p), data)
		}
		folder := filepath.Join(to, filepath.Dir(rel))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func same(_ *rand.Rand, name string, data []byte) map[string][]byte {
	return map[string][]byte{name: data}
}

// renamed puts a part of its own into the name, as rotation does, so that files are walked in another order.
func renamed(r *rand.Rand, name string, data []byte) map[string][]byte {
	return map[string][]byte{part(name, r.IntN(1000)): data}
}

func part(name string, n int) string {
	ext := filepath.Ext(name)
	if ext == ".eml" || !strings.Contains(name, ".") || len(name) > 30 { // a message: its name says nothing
		return fmt.Sprintf("%03d-%s", n, name)
	}
	return fmt.Sprintf("%s.%03d%s", strings.TrimSuffix(name, ext), n, ext)
}

func shuffled(r *rand.Rand, name string, data []byte) map[string][]byte {
	head, lines := linesOf(name, data)
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return map[string][]byte{name: glue(head, lines)}
}

// split deals the lines to two files. Equal lines stay together: the same line in two files is one that was
// delivered twice, and in one file one that was written twice.
func split(r *rand.Rand, name string, data []byte) map[string][]byte {
	head, lines := linesOf(name, data)
	if len(lines) == 0 {
		return map[string][]byte{name: data}
	}
	to := map[string]int{}
	var halves [2][][]byte
	for _, l := range lines {
		i, ok := to[string(l)]
		if !ok {
			i = r.IntN(2)
			to[string(l)] = i
		}
		halves[i] = append(halves[i], l)
	}
	return map[string][]byte{part(name, 1): glue(head, halves[0]), part(name, 2): glue(head, halves[1])}
}

func twice(_ *rand.Rand, name string, data []byte) map[string][]byte {
	return map[string][]byte{name: data, part(name, 2): data}
}

// linesOf cuts a log into what must stand first and the lines that may stand anywhere. Messages have none.
func linesOf(name string, data []byte) (head, lines [][]byte) {
	ext := filepath.Ext(name)
	if ext != ".log" && ext != ".jsonl" && ext != ".csv" {
		return [][]byte{data}, nil
	}
	for l := range bytes.Lines(data) {
		if bytes.HasPrefix(l, []byte("#")) || ext == ".csv" && len(head) == 0 {
			head = append(head, l)
		} else {
			lines = append(lines, l)
		}
	}
	return head, lines
}

func glue(head, lines [][]byte) []byte {
	return append(bytes.Join(head, nil), bytes.Join(lines, nil)...)
}
