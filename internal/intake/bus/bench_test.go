package bus

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// logs gives a batch of a thousand log lines of 1 KiB.
func logs(seed int) *Batch {
	var data []byte
	for n := range MaxRecords {
		line := fmt.Sprintf(`{"ts":%d.%06d,"uid":"C%x","id.orig_h":"10.%d.%d.%d","id.orig_p":%d,"id.resp_h":"192.0.2.%d","host":"ws-%d.acme.example","user":"u%d","message":"`,
			1795000000+n, seed%1000000, noise(9, uint64(seed*1000+n)), seed%250, n%250, n%99, 1024+n, n%250, n%300, n%77)
		for len(line) < 1000 {
			line += fmt.Sprintf("field%d=%x status=ok action=allow ", len(line), noise(6, uint64(seed+len(line)*n)))
		}
		data = append(append(data, line[:1020]...), "\"}\n"...)
	}
	return &Batch{Lane: "acme", Frames: []Frame{{Sensor: "edge", Tenant: "acme", Received: received, Data: data, Records: MaxRecords}}}
}

func BenchmarkPublish(b *testing.B) {
	for _, publishers := range []int{1, 4} {
		b.Run(fmt.Sprintf("publishers=%d", publishers), func(b *testing.B) {
			j, _ := open(b, b.TempDir(), Options{})
			bs := []*Batch{logs(1), logs(2), logs(3), logs(4)}
			var n atomic.Int64
			b.SetParallelism(publishers)
			b.SetBytes(int64(len(bs[0].Frames[0].Data)))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := j.Publish(context.Background(), bs[n.Add(1)%4]); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N*MaxRecords)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(j.Bytes())/float64(b.N*MaxRecords), "B/event")
		})
	}
}

// BenchmarkPublishSmall: what a batch of one record costs, nearly all of it the disk's.
func BenchmarkPublishSmall(b *testing.B) {
	j, _ := open(b, b.TempDir(), Options{})
	one := batch(1, 1000)
	for b.Loop() {
		publish(b, j, one)
	}
}

func BenchmarkCatchUp(b *testing.B) {
	for _, c := range []struct {
		name     string
		batch    *Batch
		messages int
	}{{"1000 records", logs(1), 300}, {"1 record", batch(1, 100), 2000}} {
		b.Run(c.name, func(b *testing.B) {
			j, _ := open(b, b.TempDir(), Options{})
			for range c.messages {
				publish(b, j, c.batch)
			}
			b.ResetTimer()
			records := 0
			for range b.N {
				if err := j.Read(context.Background(), 0, false, func(m *Message) error {
					records += m.Frames[0].Records
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkOpenEmpty(b *testing.B) {
	dir := b.TempDir()
	j, _ := open(b, dir, Options{})
	_ = j.Close()
	for b.Loop() {
		j, _ := open(b, dir, Options{})
		b.StopTimer()
		_ = j.Close()
		b.StartTimer()
	}
}

func BenchmarkDelay(b *testing.B) {
	j, _ := open(b, b.TempDir(), Options{})
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan time.Time)
	done := make(chan error)
	go func() {
		done <- j.Read(ctx, 0, true, func(*Message) error { got <- time.Now(); return nil })
	}()
	one := batch(1, 1000)
	var total time.Duration
	for b.Loop() {
		publish(b, j, one)
		acked := time.Now()
		total += (<-got).Sub(acked)
	}
	cancel()
	<-done
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "us-ack-to-read")
}
