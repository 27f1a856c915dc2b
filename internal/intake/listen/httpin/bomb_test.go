package httpin

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// zeros gives so many zero bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBombsAreRefusedEarlyAndCheaply(t *testing.T) {
	packed := func(n int64, window int) string {
		var out bytes.Buffer
		e, err := zstd.NewWriter(&out, zstd.WithWindowSize(window))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(e, zeros(n)); err != nil {
			t.Fatal(err)
		}
		_ = e.Close()
		return out.String()
	}
	zero := strings.Repeat("\x00", 1<<20)
	for _, c := range []struct{ name, encoding, body string }{
		{"512 MiB of zeros in gzip", "gzip", strings.Repeat(gzipped(zero), 512)},
		{"8 MiB of zeros in deflate", "deflate", zlibbed(strings.Repeat(zero, 8))},
		{"512 MiB of zeros in zstd", "zstd", strings.Repeat(packed(16<<20, 8<<20), 32)},
		{"a zstd window of 128 MiB", "zstd", packed(8<<20, 128<<20)},
		{"16 MiB of short lines in gzip", "gzip", gzipped(strings.Repeat("a\n", 8<<20))},
	} {
		for _, path := range []string{"/ingest/ndjson", "/ingest/file", "/_bulk", "/x/_doc", "/_index_template/x"} {
			t.Run(c.name+path, func(t *testing.T) {
				s := &store{}
				h := handler(s, nil)
				method := "POST"
				warm := request(method, path, strings.NewReader(zstded("{}\n")), "Content-Encoding", "zstd")
				do(h, warm)
				s.calls = 0
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				begun := time.Now()
				w := do(h, request(method, path, strings.NewReader(c.body), "Content-Encoding", c.encoding))
				took := time.Since(begun)
				runtime.ReadMemStats(&after)
				if w.Code != 413 && w.Code != 400 || s.calls > 0 {
					t.Errorf("%d %.100s, %d calls", w.Code, w.Body, s.calls)
				}
				limit := 100 * time.Millisecond
				if raceEnabled {
					limit *= 10 // the detector's own cost
				}
				if took > limit {
					t.Errorf("refused after %s", took)
				}
				if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
					t.Errorf("%d bytes were allocated", got)
				}
				if h.memory.left != h.opt.MaxMemory {
					t.Errorf("%d bytes are not given back", h.opt.MaxMemory-h.memory.left)
				}
			})
		}
	}
}

func TestALineWithoutEndCostsNoMemory(t *testing.T) {
	s := &store{}
	h := handler(s, func(o *Options) { o.MaxMemory = 4 << 20 })
	r := request("POST", "/ingest/ndjson", io.MultiReader(strings.NewReader("a\n"), zeros(60<<20), strings.NewReader("\nb\n")))
	w := do(h, r)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"accepted":2,"refused":1`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := s.data(); len(got) != 2+keptOfLongLine+1+2 || !strings.HasSuffix(got, "\nb\n") {
		t.Errorf("%d bytes kept", len(got))
	}
}

func TestItemsCountAgainstTheMemory(t *testing.T) {
	h := handler(&store{}, func(o *Options) { o.MaxMemory = 4 << 20 })
	w := do(h, request("POST", "/_bulk", strings.NewReader(strings.Repeat("{\"delete\":{}}\n", 50_000))))
	if w.Code != 429 {
		t.Errorf("%d %s", w.Code, fmt.Sprintf("%.100s", w.Body))
	}
}
