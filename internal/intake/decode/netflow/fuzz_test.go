package netflow

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

func fuzzed(f *testing.F, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		h := collecting(t)
		for range 2 { // what it taught applies to itself
			_ = h.Datagram(router, now, p)
		}
		h.Flush()
		if s := h.Stats(); s.Flows != int64(len(h.events)) {
			t.Errorf("%+v with %d flows", s, len(h.events))
		}
	})
}

func FuzzV5(f *testing.F) {
	fuzzed(f, v5(60_000, 100, flow5(client, server, 40000, 80, 6, 2, 100, 100, 1, 60), flow5(server, client, 80, 40000, 6, 20, 100, 100, 1, 40)))
}

func FuzzV9(f *testing.F) {
	fuzzed(f, v9(60_000, template256(0), set(1, wire{}.u16(260, 4, 8, 1, 4, ieSamplingInterval, 4, 35, 1)), set(260, wire{}.u32(0, 100).u8(1)), set(256, flow9(client, server, 40000, 80, 6, 2, 100, 100, 1, 60))))
}

func FuzzIPFIX(f *testing.F) {
	fuzzed(f, v10(template256(2), set(3, wire{}.u16(260, 3, 1, ieSelectorID, 1, ieSamplingPackets, 4, ieSystemInit, 8)), set(260, wire{}.u8(0).u32(1).u64(9)), set(256, flow9(client, server, 40000, 80, 6, 2, 100, 100, 1, 60))),
		v10(set(2, wire{}.u16(300, 3, ieSrc6, 16, ieDst6, 16, 82, 0xffff)), set(300, wire{}.ip("2001:db8::1").ip("2001:db8::2").u8(2, 'e', 'n'))), v10(set(2, wire{}.u16(2, 0))))
}

func FuzzSFlow(f *testing.F) {
	fuzzed(f, sample(100, frame(client, server, 40000, 80, 2)), sample(1, frame("10.0.0.1", "10.0.0.2", 1, 2, 255)))
}

func FuzzFile(f *testing.F) {
	p := v9(60_000, template256(0), set(256, flow9(client, server, 40000, 80, 6, 2, 100, 100, 1, 60)))
	f.Add([]byte(append(wire{}.u32(uint32(len(p))), p...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		recognise("x", b)
		c := &decodetest.Collect{}
		_ = read(t.Context(), "x", bytes.NewReader(b), c)
		for _, e := range c.Events {
			decodetest.Check(t, e)
		}
	})
}

func FuzzLine(f *testing.F) {
	r := &record{exporter: router, src: netip.MustParseAddr(client), dst: netip.MustParseAddr(server), start: now.UnixNano(), end: now.UnixNano(), proto: 6, flags: 2, told: toldFlags, pkts: 1, bytes: 40}
	f.Add(string(r.appendLine(nil)))
	f.Add(string(Refused(router, errors.New("no"), []byte{1})))
	f.Fuzz(func(t *testing.T, line string) {
		c := &decodetest.Collect{}
		_ = decode.Objects(Objects()).Read(t.Context(), "", strings.NewReader(line), c)
		for _, e := range c.Events {
			decodetest.Check(t, e)
		}
	})
}
