package listen

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// diskBus is a bus that does what costs: it compresses each batch, appends it to a file and waits for fsync.
type diskBus struct {
	bus.Bus
	enc  *zstd.Encoder
	mu   sync.Mutex
	file *os.File
	seq  uint64
}

func newDiskBus(tb testing.TB) *diskBus {
	f, err := os.Create(filepath.Join(tb.TempDir(), "bus"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	if err != nil {
		tb.Fatal(err)
	}
	return &diskBus{enc: enc, file: f}
}

func (d *diskBus) Publish(_ context.Context, b *bus.Batch) (uint64, error) {
	var raw []byte
	for i := range b.Frames {
		raw = binary.AppendUvarint(raw, uint64(len(b.Frames[i].Data)))
		raw = append(raw, b.Frames[i].Data...)
	}
	packed := d.enc.EncodeAll(raw, nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.file.Write(packed); err != nil {
		return 0, err
	}
	d.seq++
	return d.seq, d.file.Sync()
}

// event is a record of 1 KiB that compresses about as logs do.
func event(r *rand.Rand) []byte {
	b := fmt.Appendf(nil, `{"@timestamp":"2026-03-02T01:02:03.%06dZ","host":{"name":"ws-%04d"},"event":{"code":%d},"uid":"%016x%016x","cmd":"`, r.IntN(1e6), r.IntN(5000), r.IntN(5000), r.Uint64(), r.Uint64())
	for len(b) < 1020 {
		b = fmt.Appendf(b, `powershell.exe -File C:\\scripts\\job-%x.ps1 `, r.Uint32())
	}
	return append(b[:1020], "\"}\n"...)
}

// BenchmarkGate submits 1 KiB records of several lanes from several senders a lane; an operation is a record.
func BenchmarkGate(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ lanes, senders, perRequest, publishers int }{
		{1, 16, 100, 1},
		{1, 16, 500, 1},
		{8, 8, 100, 1},
		{8, 8, 100, 2},
		{8, 8, 100, 4},
		{8, 8, 100, 8},
		{8, 4, 500, 2},
		{8, 4, 500, 4},
		{100, 2, 10, 4},
	} {
		b.Run(fmt.Sprintf("lanes=%d/senders=%d/records=%d/publishers=%d", c.lanes, c.lanes*c.senders, c.perRequest, c.publishers), func(b *testing.B) {
			g := NewGate(newDiskBus(b), GateOptions{Publishers: c.publishers})
			data := make([][]byte, 64)
			for i := range data {
				var buf bytes.Buffer
				for range c.perRequest {
					buf.Write(event(r))
				}
				data[i] = buf.Bytes()
			}
			b.SetBytes(1023)
			var left, busy atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for l := range c.lanes {
				for s := range c.senders {
					wg.Go(func() {
						for i := l*31 + s; left.Add(-int64(c.perRequest)) > -int64(c.perRequest); i++ {
							f := bus.Frame{Tenant: tenant.ID(fmt.Sprint("t", l)), Data: data[i%len(data)], Records: c.perRequest}
							for g.Submit(context.Background(), f) != nil {
								busy.Add(1)
								time.Sleep(time.Millisecond)
							}
						}
					})
				}
			}
			wg.Wait()
			b.StopTimer()
			_ = g.Close(context.Background())
			s := g.Stats()
			var records uint64
			for _, l := range s.Lanes {
				records += l.Records
			}
			b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(records)/float64(s.Batches), "events/batch")
			b.ReportMetric(float64(busy.Load()), "busy")
		})
	}
}
