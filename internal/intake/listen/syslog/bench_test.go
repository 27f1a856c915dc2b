package syslog

import (
	"context"
	"net"
	"strings"
	"testing"
)

// BenchmarkTCP is how fast one connection becomes frames where nothing behind makes it wait.
func BenchmarkTCP(b *testing.B) {
	to := newCollector()
	l, err := Listen(Config{Name: "b", Network: "tcp", Address: "127.0.0.1:0", BySource: anyone}, to)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	const n = 10_000
	text := []byte(strings.Repeat("<134>1 2026-01-02T03:04:05.678Z web1 app 4711 ID47 - "+strings.Repeat("x", 200)+"\n", n))
	b.SetBytes(int64(len(text)))
	sent := int64(0)
	for b.Loop() {
		if _, err := conn.Write(text); err != nil {
			b.Fatal(err)
		}
		for sent += n; l.Stats().Messages < sent; {
			<-to.came
		}
		to.mu.Lock()
		to.frames = nil
		to.mu.Unlock()
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "messages/s")
	conn.Close()
	if err := l.Close(context.Background()); err != nil {
		b.Error(err)
	}
}
