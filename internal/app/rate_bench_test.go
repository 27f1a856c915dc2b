package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// BenchmarkLive measures the pipeline behind the bus, from messages in memory to what detectors hold: with -cpuprofile it
// tells where the time goes. BREAKWATER_FEED names a folder with breakwater.yaml, and *.jsonl by tenant and sensor
// (TENANT.SENSOR.jsonl) as tools/serveload writes them.
func BenchmarkLive(b *testing.B) {
	dir := os.Getenv("BREAKWATER_FEED")
	if dir == "" {
		b.Skip("set BREAKWATER_FEED to a folder that `serveload feed DIR` wrote")
	}
	s, err := NewSetup(Options{Paths: []string{dir}})
	if err != nil {
		b.Fatal(err)
	}
	batches, records := feedOf(b, dir)
	b.ReportAllocs()
	for b.Loop() {
		queue := newMemoryBus()
		l, err := newLive(liveOptions{setup: s, bus: queue, dir: b.TempDir(), settle: 300 * time.Millisecond, log: slog.New(slog.DiscardHandler),
			bad: func([]badRecord, uint64) error { return nil }})
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- l.run(ctx) }()
		for i := range batches {
			if _, err := queue.Publish(ctx, &batches[i]); err != nil {
				b.Fatal(err)
			}
		}
		_, last := queue.Span()
		for uint64(l.stats.seq.Load()) < last || l.stats.waiting.Load() > 0 { // the answer follows within two seconds
			time.Sleep(time.Millisecond)
		}
		stop()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		if got := l.stats.records.Load(); got != int64(records) {
			b.Fatalf("%d of %d records were taken", got, records)
		}
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "events/s")
}

// feedOf reads the files of a feed as batches of 500 lines, of all sensors in turn.
func feedOf(b *testing.B, dir string) (list []bus.Batch, records int) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(names) == 0 {
		b.Fatalf("no *.jsonl in %s: %v", dir, err)
	}
	type turn struct {
		n     int
		batch bus.Batch
	}
	var turns []turn
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		base := filepath.Base(name)
		ext := filepath.Ext(base[:len(base)-len(".jsonl")])
		id, sensor := base[:len(base)-len(".jsonl")-len(ext)], ext[1:]
		for n := 0; len(text) > 0; n++ {
			end, lines := 0, 0
			for end < len(text) && lines < 500 {
				i := slices.Index(text[end:], '\n') + 1
				end, lines = end+i, lines+1
			}
			f := bus.Frame{Sensor: sensor, Tenant: tenant.ID(id), Authenticated: true, Received: time.Now().UTC(), First: 1, Key: base + string(rune('0'+n)), Data: text[:end], Records: lines}
			turns = append(turns, turn{n, bus.Batch{Lane: id, Frames: []bus.Frame{f}}})
			text, records = text[end:], records+lines
		}
	}
	slices.SortStableFunc(turns, func(x, y turn) int { return x.n - y.n })
	for _, x := range turns {
		list = append(list, x.batch)
	}
	return list, records
}
