package zeek

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
)

// BenchmarkConnJSON reads conn records as Zeek writes them with LogAscii::use_json, through the framing of JSON lines.
func BenchmarkConnJSON(b *testing.B) {
	const lines = 10_000
	var text bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&text, `{"ts":1713484795.94%04d,"uid":"CYl7H53iN6mY9%05d","id.orig_h":"192.0.2.%d","id.orig_p":%d,"id.resp_h":"198.51.100.%d","id.resp_p":445,"proto":"tcp","service":"smb","duration":0.403788,"orig_bytes":54,"resp_bytes":957,"conn_state":"SF","local_orig":true,"local_resp":false,"missed_bytes":0,"history":"ShADadFf","orig_pkts":5,"orig_ip_bytes":322,"resp_pkts":6,"resp_ip_bytes":1277}`+"\n", i, i, i%250, 20000+i, i%200)
	}
	s := decode.Objects(Objects())
	b.ReportAllocs()
	b.SetBytes(int64(text.Len()))
	start := cpu()
	for b.Loop() {
		if err := s.Read(context.Background(), "conn.log", bytes.NewReader(text.Bytes()), discard{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*lines/(cpu()-start).Seconds(), "flows/CPU-s")
}
