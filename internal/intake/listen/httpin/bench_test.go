package httpin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// diskBus compresses each batch, appends it to a file, and waits for fsync.
type diskBus struct {
	bus.Bus
	enc  *zstd.Encoder
	mu   sync.Mutex
	file *os.File
}

func (d *diskBus) Publish(_ context.Context, b *bus.Batch) (uint64, error) {
	var raw []byte
	for i := range b.Frames {
		raw = append(raw, b.Frames[i].Data...)
	}
	packed := d.enc.EncodeAll(raw, nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.file.Write(packed); err != nil {
		return 0, err
	}
	return 1, d.file.Sync()
}

// BenchmarkDurable sends 1 KiB records over loopback through the gate to a bus that waits for fsync, with the
// senders in this process; an operation is a record.
func BenchmarkDurable(b *testing.B) {
	line := func(i int) string {
		s := fmt.Sprintf(`{"@timestamp":"2026-03-02T01:02:03.%06dZ","uid":"%016x","cmd":"`, i%1e6, uint64(i)*0x9e3779b97f4a7c15)
		for len(s) < 1020 {
			s += fmt.Sprintf("powershell.exe -File job-%x.ps1 ", uint32(len(s)*i)*2654435761)
		}
		return s[:1020] + "\"}\n"
	}
	const perRequest = 200
	var lines, bulk bytes.Buffer
	for i := range perRequest {
		_, _ = lines.WriteString(line(i))
		_, _ = bulk.WriteString("{\"create\":{\"_index\":\"winlogbeat-8\"}}\n" + line(i))
	}
	for _, c := range []struct{ name, path, encoding, body string }{
		{"ndjson", "/ingest/ndjson", "", lines.String()},
		{"ndjson+gzip", "/ingest/ndjson", "gzip", gzipped(lines.String())},
		{"bulk", "/_bulk?filter_path=errors,items.*.error,items.*.status", "", bulk.String()},
	} {
		b.Run(c.name, func(b *testing.B) {
			file, err := os.Create(filepath.Join(b.TempDir(), "bus"))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
			if err != nil {
				b.Fatal(err)
			}
			gate := listen.NewGate(&diskBus{enc: enc, file: file}, listen.GateOptions{})
			server := httptest.NewServer(New(Options{Submit: gate, Authenticate: func(_ context.Context, token string) (*listen.Binding, error) {
				return &listen.Binding{Sensor: token, Tenant: tenant.ID(token)}, nil
			}}))
			defer server.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			var left atomic.Int64
			left.Store(int64(b.N))
			b.SetBytes(1023)
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range 32 {
				wg.Go(func() {
					for left.Add(-perRequest) > -perRequest {
						r, err := http.NewRequest("POST", server.URL+c.path, strings.NewReader(c.body))
						if err != nil {
							b.Error(err)
							return
						}
						r.Header.Set("Authorization", fmt.Sprintf("Bearer tenant-%d", i%8))
						if c.encoding != "" {
							r.Header.Set("Content-Encoding", c.encoding)
						}
						resp, err := client.Do(r)
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
						if resp.StatusCode != 200 {
							b.Errorf("%d", resp.StatusCode)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			if err := gate.Close(context.Background()); err != nil {
				b.Error(err)
			}
			var records uint64
			for _, l := range gate.Stats().Lanes {
				records += l.Records
			}
			b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
