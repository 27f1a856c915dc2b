package mailauth

import (
	"bytes"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

// BenchmarkCheck is one message with DNS answers at hand, by what proves it. Bodies are 20 KB of text.
func BenchmarkCheck(b *testing.B) {
	c := checker(b, zones(b, map[string]mockdns.Zone{
		"partner.example.":        txt("v=spf1 include:one.example ip4:192.0.2.0/24 -all"),
		"one.example.":            txt("v=spf1 ip4:203.0.113.0/24 -all"),
		"_dmarc.partner.example.": txt("v=DMARC1; p=reject"),
	}, "partner.example", "one.example", "two.example"))
	long := letter + strings.Repeat("A line of words as people write them, some seventy characters long.\r\n", 290)
	base64Long := letter + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 260)
	once := signed(b, long, "partner.example")
	sealed := seal(b, once, "one.example", "none", "dmarc=pass")
	for name, raw := range map[string]string{
		"unsigned": long, "rsa": once, "rsa-base64": signed(b, base64Long, "partner.example"),
		"ed25519": signed(b, long, "partner.example", withEd25519), "rsa-and-two-seals": seal(b, sealed, "two.example", "pass", "arc=pass"),
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(raw)
			e := envelope("192.0.2.1", "mx.partner.example", "joe@partner.example")
			if r := c.Check(b.Context(), e, in); r.SPF.Result != Pass || r.DMARC.Result != Pass {
				b.Fatalf("%+v", r)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				c.Check(b.Context(), e, in)
			}
		})
	}
}

// BenchmarkStrip is what the gate does with the header fields of each message.
func BenchmarkStrip(b *testing.B) {
	fields := Fields(bytes.Repeat([]byte("Authentication-Results: mx.partner.example; spf=pass\r\nReceived: x\r\nX-Any: y\r\n"), 10))
	b.ReportAllocs()
	for b.Loop() {
		if got := Strip(fields, "mx.client.example"); len(got) != 0 {
			b.Fatal(got)
		}
	}
}
