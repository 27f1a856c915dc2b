package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// recorded returns the folders of telemetry that this test can stream.
func recorded(t *testing.T) []string {
	data := cmp.Or(os.Getenv("BREAKWATER_DATA"), "../../../shared/data")
	found, _ := filepath.Glob(filepath.Join(data, "scenario", "*", ConfigName))
	if len(found) == 0 {
		t.Skipf("no scenario with a %s below %s: set BREAKWATER_DATA to the folder of test data", ConfigName, data)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

func testLive(t *testing.T, s *Setup, b bus.Bus, dir string) *live {
	t.Helper()
	l, err := newLive(liveOptions{setup: s, bus: b, dir: dir, every: 300 * time.Millisecond, settle: 20 * time.Millisecond, log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		bad: func([]badRecord, uint64) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// until waits for the answer that satisfies a condition.
func until(t *testing.T, l *live, what string, ok func(*Answer) bool) *Answer {
	t.Helper()
	end := time.Now().Add(2 * time.Minute)
	for {
		if a := l.answer.Load(); ok(a) {
			return a
		}
		if time.Now().After(end) {
			a := l.answer.Load()
			t.Fatalf("%s: not within two minutes (answer %d, seq %d, settled %v)", what, a.Version, a.Seq, a.Settled)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// essence is what must be equal between a scan and a live answer: the places of evidence differ.
func essence(r *campaign.Result) []string {
	var out []string
	for _, f := range r.List {
		out = append(out, fmt.Sprintf("finding %s %s %s %s %s %d %v %s", f.ID, f.Tenant, f.Rule, f.Severity, f.Outcome, f.Count, f.Suppressed != nil, f.Reason))
	}
	for _, x := range r.Incidents {
		out = append(out, fmt.Sprintf("incident %s %s %v", x.ID, x.Tenant, x.Findings))
	}
	for _, c := range r.Campaigns {
		out = append(out, fmt.Sprintf("campaign %s %s %v %s", c.ID, c.Partner, c.FirstFoothold.Time, c.Summary))
		for _, x := range c.Tenants {
			out = append(out, fmt.Sprintf(" %s %s %v", x.Tenant, x.Outcome, x.Findings))
		}
	}
	return out
}

func TestLiveIsScan(t *testing.T) {
	for _, dir := range recorded(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			s, err := NewSetup(Options{Paths: []string{dir}})
			if err != nil {
				t.Fatal(err)
			}
			scanned, err := Scan(t.Context(), s, []string{dir})
			if err != nil {
				t.Fatal(err)
			}
			feed, err := ReadFeed(t.Context(), s, dir)
			if err != nil {
				t.Fatal(err)
			}
			want := essence(scanned)
			for name, order := range map[string]func([]Fed){
				"in order": func([]Fed) {},
				"our clock stepped back by an hour": func(list []Fed) {
					for i := range list {
						list[i].Frame.Received = list[i].At.Add(-time.Hour)
					}
				},
				"our clock stepped on by a day": func(list []Fed) {
					for i := range list {
						list[i].Frame.Received = list[i].At.Add(24 * time.Hour)
					}
				},
				"file by file": func(list []Fed) {
					slices.SortStableFunc(list, func(a, b Fed) int { return strings.Compare(a.Frame.Name, b.Frame.Name) })
				},
			} {
				t.Run(name, func(t *testing.T) {
					list := slices.Clone(feed)
					order(list)
					got := stream(t, s, list)
					if diff := gocmp.Diff(want, essence(got.Result)); diff != "" {
						t.Errorf("live (+) is not scan (-): %s", diff)
					}
					var n int64
					for _, row := range got.Coverage {
						n += row.Events
					}
					if n != scanned.Input.Events {
						t.Errorf("%d events are counted, %d were scanned", n, scanned.Input.Events)
					}
				})
			}
		})
	}
}

// stream sends a feed in chunks of random size, stops and starts in between, and returns the settled answer.
func stream(t *testing.T, s *Setup, list []Fed) *Answer {
	t.Helper()
	b, dir := newMemoryBus(), t.TempDir()
	r := rand.New(rand.NewPCG(1, uint64(len(list))))
	l := testLive(t, s, b, dir)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	stops := 3
	for len(list) > 0 {
		n := min(len(list), 1+r.IntN(1500))
		for _, f := range Join(list[:n]) {
			f.Received = cmp.Or(f.Received, time.Now())
			if _, err := b.Publish(t.Context(), &bus.Batch{Lane: string(f.Tenant), Frames: []bus.Frame{f}}); err != nil {
				t.Fatal(err)
			}
		}
		list = list[n:]
		if stops > 0 && r.IntN(10) == 0 {
			stops--
			crashed := t.TempDir() // what a kill would have left: no last checkpoint
			if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			stop()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if stops%2 == 0 {
				dir = crashed
			}
			l = testLive(t, s, b, dir)
			ctx, stop = context.WithCancel(t.Context())
			go func() { done <- l.run(ctx) }()
		}
	}
	_, last := b.Span()
	a := until(t, l, "the answer settles", func(a *Answer) bool { return a.Seq >= last && a.Settled })
	t.Logf("%d rebuilds, %d draws, %d written off, draw %d µs, snapshot %d µs", l.stats.rebuilds.Load(), l.stats.draws.Load(), l.stats.writtenOff.Load(), l.stats.drawMicros.Load(), l.stats.snapMicros.Load())
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return a
}
