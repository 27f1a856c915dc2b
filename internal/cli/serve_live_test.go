package cli

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/app"
)

// way is one in which telemetry is sent.
type way struct {
	name string
	send func(t *testing.T) *served
}

// TestLiveOverHTTPIsScan sends the same folder to serve in ways that no two senders share, and expects what a scan of
// the folder says: findings, incidents, campaigns, and how many events each tenant sent.
func TestLiveOverHTTPIsScan(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"island-hop", "delegated-admin"} {
		dir := story(t, kind)
		want, feed := scanAnswer(t, dir), feedOf(t, dir)
		if len(want["campaigns"].([]any)) == 0 {
			t.Fatalf("%s has no campaign: there is nothing to compare", kind)
		}
		ways := []way{
			{"in time order across files", func(t *testing.T) *served {
				data, tokens := applied(t, dir, "")
				s := begin(t, data, false)
				for chunk := range slices.Chunk(feed, 250) {
					s.deliverAll(parcels(chunk), tokens)
				}
				return s
			}},
			{"file by file in random chunks", func(t *testing.T) *served {
				data, tokens := applied(t, dir, "")
				s := begin(t, data, false)
				s.deliverAll(shuffledParcels(feed, 7), tokens)
				return s
			}},
			{"through the drop folder", func(t *testing.T) *served {
				drop := t.TempDir()
				data, _ := applied(t, dir, "serve: {drop: {folder: "+drop+"}}\n")
				s := begin(t, data, false)
				if err := os.CopyFS(filepath.Join(drop, "telemetry"), os.DirFS(filepath.Join(dir, "telemetry"))); err != nil {
					t.Fatal(err)
				}
				eventually(t, "every dropped file is taken", patience, func() bool { return countFiles(t, drop, "taken") == countFiles(t, dir, "telemetry") })
				if n := countFiles(t, drop, "refused"); n > 0 {
					t.Fatalf("%d dropped files were refused", n)
				}
				return s
			}},
			{"half, killed while it takes, and the rest", func(t *testing.T) *served {
				data, tokens := applied(t, dir, "")
				s := begin(t, data, true)
				list := shuffledParcels(feed, 9)
				half := len(list) / 2
				s.deliverAll(list[:half-len(list)/8], tokens)
				done := make(chan []parcel)
				go func() {
					left, err := s.deliver(list[half-len(list)/8:half+len(list)/8], tokens)
					if err != nil && !cut(err) {
						t.Error(err)
					}
					done <- left
				}()
				eventually(t, "some of it is taken", patience, func() bool { return busSize(t, data) > 0 })
				s.kill()
				left := <-done
				s = begin(t, data, true)
				s.deliverAll(left, tokens) // what was not acknowledged, which may be there all the same
				s.deliverAll(list[half+len(list)/8:], tokens)
				return s
			}},
		}
		if sampled { // the race detector makes each way take long: two of them have what races
			if kind != "island-hop" {
				continue
			}
			ways = []way{ways[1], ways[3]}
		}
		for _, way := range ways {
			t.Run(kind+"/"+way.name, func(t *testing.T) {
				s := way.send(t)
				s.settled()
				if diff := cmp.Diff(want, s.concluded()); diff != "" {
					t.Errorf("live (+) is not scan (-):\n%.6000s", diff)
				}
				if letters := s.deadletters(); len(letters) > 0 {
					t.Errorf("%d dead letters; the first: %+v", len(letters), letters[0])
				}
				if n := s.everyEvent(); float64(n) != want["events"] {
					t.Errorf("coverage counts %d events, the scan %v", n, want["events"])
				}
				if code := s.stop(); code != exitDone {
					t.Errorf("exit code %d:\n%s", code, s.log)
				}
			})
		}
	}
}

// shuffledParcels cuts each file of a feed into parts of random size, in its own order, and deals the files' parts in
// random order of the files.
func shuffledParcels(feed []app.Fed, seed uint64) []parcel {
	r := rand.New(rand.NewPCG(seed, 1))
	byFile := map[string][]app.Fed{}
	var names []string
	for _, x := range feed {
		if byFile[x.Frame.Name] == nil {
			names = append(names, x.Frame.Name)
		}
		byFile[x.Frame.Name] = append(byFile[x.Frame.Name], x)
	}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var out []parcel
	for _, name := range names {
		list := byFile[name]
		slices.SortFunc(list, func(a, b app.Fed) int { return int(a.Frame.First - b.Frame.First) })
		for len(list) > 0 {
			n := min(len(list), 1+r.IntN(400))
			out = append(out, parcels(list[:n])...)
			list = list[n:]
		}
	}
	return out
}

// countFiles counts the telemetry below a folder; what drop writes beside it is left out.
func countFiles(t *testing.T, parts ...string) (n int) {
	t.Helper()
	_ = filepath.WalkDir(filepath.Join(parts...), func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.HasSuffix(e.Name(), ".reason.txt") {
			n++
		}
		return nil
	})
	return n
}

// busSize is how many bytes the bus has on disk.
func busSize(t *testing.T, data string) (n int64) {
	t.Helper()
	_ = filepath.WalkDir(filepath.Join(data, "bus"), func(_ string, e os.DirEntry, err error) error {
		if info, ierr := e.Info(); err == nil && ierr == nil && !e.IsDir() {
			n += info.Size()
		}
		return nil
	})
	return n
}
