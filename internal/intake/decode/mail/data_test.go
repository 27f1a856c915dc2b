package mail

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// corpora are the archives of real messages, below the data folder's mail.
var corpora = []string{"phish.tar.zst", "ham-modern.tar.zst"}

// corpus returns the messages of an archive, or skips where there is no data folder.
func corpus(t testing.TB, name string) (out [][]byte) {
	t.Helper()
	dir := os.Getenv("BREAKWATER_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no data at %s; set BREAKWATER_DATA to the data folder", dir)
	}
	f, err := os.Open(filepath.Join(dir, "mail", name))
	if err != nil {
		t.Fatalf("opening a corpus of the data folder: %v", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	tr := tar.NewReader(z)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		raw, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw)
	}
}

// BenchmarkCorpus decodes real mail: what one core does in a second.
func BenchmarkCorpus(b *testing.B) {
	for _, name := range corpora {
		b.Run(name, func(b *testing.B) {
			list := corpus(b, name)
			var bytes int64
			for _, raw := range list {
				bytes += int64(len(raw))
			}
			b.SetBytes(bytes)
			b.ReportAllocs()
			used := cpuTime()
			for b.Loop() {
				for _, raw := range list {
					Message(raw)
				}
			}
			b.ReportMetric(float64(b.N*len(list))/b.Elapsed().Seconds(), "messages/s")
			if used = cpuTime() - used; used > 0 {
				b.ReportMetric(float64(b.N*len(list))/used.Seconds(), "messages/CPU-s")
			}
		})
	}
}

// TestRealMailIsReadInTime: every real message becomes an event with a bounded effort.
func TestRealMailIsReadInTime(t *testing.T) {
	for _, name := range corpora {
		list := corpus(t, name)
		bad, slow := 0, time.Duration(0)
		for _, raw := range list {
			start := time.Now()
			e, _ := Message(raw)
			slow = max(slow, time.Since(start))
			if e == nil {
				bad++
			}
		}
		t.Logf("%s: %d messages, %d without a time, slowest %s", name, len(list), bad, slow)
		if bad*20 > len(list) {
			t.Errorf("%s: %d of %d messages are no events", name, bad, len(list))
		}
	}
}
