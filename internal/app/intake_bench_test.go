package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/intake/listen/httpin"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// BenchmarkIntake measures HTTP intake alone: requests of 250 lines of 1 KiB from ten tenants over loopback, each
// acknowledged when it is on disk. Nothing reads the bus. The senders are in the same process.
func BenchmarkIntake(b *testing.B) {
	const lines, tenants = 250, 10
	quiet := slog.New(slog.DiscardHandler)
	queue, err := bus.Open(b.TempDir(), bus.Options{Log: quiet, MinFree: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer queue.Close()
	gate := listen.NewGate(queue, listen.GateOptions{})
	defer gate.Close(context.Background())
	server := httptest.NewServer(httpin.New(httpin.Options{Submit: gate, Log: quiet, Authenticate: func(_ context.Context, token string) (*listen.Binding, error) {
		return &listen.Binding{Sensor: "bench", Tenant: tenant.ID(token), Authenticated: true}, nil
	}}))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	bodies := make([][]byte, 32)
	for n := range bodies {
		bodies[n] = requestBody(n, lines)
	}
	var next atomic.Int64
	b.SetParallelism(16)
	b.SetBytes(lines * 1024)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := next.Add(1)
			r, err := http.NewRequest(http.MethodPost, server.URL+"/ingest/ndjson", bytes.NewReader(bodies[n%int64(len(bodies))]))
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("Authorization", fmt.Sprintf("Bearer tenant-%d", n%tenants))
			r.Header.Set("Idempotency-Key", fmt.Sprint(n))
			answer, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK || !strings.Contains(string(text), `"accepted":250`) {
				b.Errorf("status %d: %s", answer.StatusCode, text)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "events/s")
}

// requestBody returns lines of 1 KiB each.
func requestBody(n, lines int) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range lines {
		start := b.Len()
		fmt.Fprintf(&b, `{"_path":"conn","ts":%d.%06d,"uid":"C%016x","id.orig_h":"10.1.2.%d","id.resp_h":"198.18.0.%d","note":"`, 1770000000+n, i, n*1000+i, i%200, n%250)
		for b.Len()-start < 1020 {
			if r.IntN(6) == 0 {
				fmt.Fprintf(&b, "%08x ", r.Uint32())
			}
			b.WriteString(fillers[r.IntN(len(fillers))])
		}
		b.Truncate(start + 1020)
		b.WriteString("\"}\n")
	}
	return b.Bytes()
}

var fillers = []string{"account ", "service ", "policy ", "session ", "network ", "logon ", "request ", "audit ", "process ", "security ", "system ", "update ", "token ", "group ", "object "}
