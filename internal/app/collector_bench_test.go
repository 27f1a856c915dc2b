package app

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// BenchmarkCollector measures a flow collector from its socket to the disk: datagrams of NetFlow v5 with 30 records,
// both directions of 15 connections, over loopback; the sender is in the same process and never has more under way
// than the kernel holds. Nothing reads the bus.
func BenchmarkCollector(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	queue, err := bus.Open(b.TempDir(), bus.Options{Log: quiet, MinFree: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer queue.Close()
	gate := listen.NewGate(queue, listen.GateOptions{})
	defer gate.Close(context.Background())
	w := &watch{opt: ServeOptions{Data: b.TempDir()}, log: quiet, gate: gate}
	c, err := w.collect(&config.NetFlow{Address: "127.0.0.1:0", Bindings: []config.Binding{{Source: "127.0.0.1", Sensor: "edge", Tenant: "acme"}}})
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.Dial("udp", c.listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	const records, ahead = 30, 50
	p := make([]byte, 24+48*records)
	n := int64(0)
	for b.Loop() {
		flows5(p, uint32(n))
		for l := c.listener.Stats(); n-l.Datagrams-l.KernelDropped > ahead; l = c.listener.Stats() {
			time.Sleep(50 * time.Microsecond)
		}
		if _, err := conn.Write(p); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.StopTimer()
	c.close(context.Background())
	l, t := c.listener.Stats(), c.translator.Stats()
	if t.Records != l.Datagrams*records || l.Flows+l.Dropped != t.Flows {
		b.Fatalf("%+v, %+v of %d datagrams", l, t, n)
	}
	b.ReportMetric(float64(t.Records)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(l.KernelDropped)/float64(n)*100, "%lost-by-kernel")
	b.ReportMetric(float64(l.Dropped)/float64(t.Flows)*100, "%dropped")
}

// flows5 fills a datagram of NetFlow v5 with connections that no other one has.
func flows5(p []byte, n uint32) {
	records := (len(p) - 24) / 48
	binary.BigEndian.PutUint16(p, 5)
	binary.BigEndian.PutUint16(p[2:], uint16(records))
	binary.BigEndian.PutUint32(p[4:], 60_000)
	binary.BigEndian.PutUint32(p[8:], uint32(time.Now().Unix()))
	binary.BigEndian.PutUint32(p[16:], n*uint32(records))
	for i := range records {
		r := p[24+48*i:]
		src := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}).As4()
		dst := [4]byte{172, 16, 0, byte(i / 2)}
		from, to := uint16(40000), uint16(443)
		if i%2 == 1 {
			src, dst, from, to = dst, src, to, from
		}
		copy(r, src[:])
		copy(r[4:], dst[:])
		binary.BigEndian.PutUint32(r[16:], 9)
		binary.BigEndian.PutUint32(r[20:], 900)
		binary.BigEndian.PutUint32(r[24:], 50_000)
		binary.BigEndian.PutUint32(r[28:], 50_100)
		binary.BigEndian.PutUint16(r[32:], from)
		binary.BigEndian.PutUint16(r[34:], to)
		r[37], r[38] = 27, 6
	}
}
