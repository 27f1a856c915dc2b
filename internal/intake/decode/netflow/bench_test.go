package netflow

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// BenchmarkTranslator is how fast exported records become lines, on one core.
func BenchmarkTranslator(b *testing.B) {
	const each = 28
	for _, version := range []string{"v5", "v9"} {
		b.Run(version, func(b *testing.B) {
			var list [][]byte
			for i := range 12_000 { // more than are held: none is taken for a repetition
				var records []wire
				for k := range each / 2 {
					src := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(k)}).String()
					make := flow9
					if version == "v5" {
						make = flow5
					}
					records = append(records, make(src, server, uint16(1024+i), 443, 6, 27, uint32(i), uint32(i+50), 9, 900), make(server, src, 443, uint16(1024+i), 6, 27, uint32(i), uint32(i+50), 9, 900))
				}
				if version == "v5" {
					list = append(list, v5(60_000, 0, records...))
				} else {
					list = append(list, v9(60_000, template256(0), set(256, slices.Concat(records...))))
				}
			}
			bytes := 0
			tr := New(Options{Emit: func(_ netip.Addr, line []byte) { bytes += len(line) }})
			n, at := 0, now
			for b.Loop() {
				if err := tr.Datagram(router, at, list[n%len(list)]); err != nil {
					b.Fatal(err)
				}
				n++
				at = at.Add(200 * time.Microsecond) // 140,000 records a second
			}
			if s := tr.Stats(); s.Repeated*100 > s.Records && n < len(list) {
				b.Fatalf("%+v", s)
			}
			b.ReportMetric(float64(n*each)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
