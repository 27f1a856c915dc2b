package netflow

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// now is when the tests' datagrams are exported.
var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

var router = netip.MustParseAddr("198.51.100.7")

// wire builds datagrams in network byte order.
type wire []byte

func (w wire) u8(v ...uint8) wire { return append(w, v...) }
func (w wire) u16(v ...uint16) wire {
	for _, x := range v {
		w = binary.BigEndian.AppendUint16(w, x)
	}
	return w
}
func (w wire) u32(v ...uint32) wire {
	for _, x := range v {
		w = binary.BigEndian.AppendUint32(w, x)
	}
	return w
}
func (w wire) u64(v ...uint64) wire {
	for _, x := range v {
		w = binary.BigEndian.AppendUint64(w, x)
	}
	return w
}
func (w wire) ip(s string) wire { a := netip.MustParseAddr(s); return append(w, a.AsSlice()...) }

func set(id uint16, body wire) wire {
	return append(wire{}.u16(id, uint16(len(body)+4)), body...)
}

// v9 makes a datagram of NetFlow v9 whose exporter has been up for uptime ms.
func v9(uptime uint32, sets ...wire) []byte {
	w := wire{}.u16(9, uint16(len(sets))).u32(uptime, uint32(now.Unix()), 1, 0)
	return append(w, slices.Concat(sets...)...)
}

// v10 makes a message of IPFIX.
func v10(sets ...wire) []byte {
	body := slices.Concat(sets...)
	return append(wire{}.u16(10, uint16(16+len(body))).u32(uint32(now.Unix()), 0, 0), body...)
}

// template256 is a template for flow9's records.
func template256(set9 uint16) wire {
	return set(set9, wire{}.u16(256, 10, ieSrc4, 4, ieDst4, 4, ieStartUptime, 4, ieEndUptime, 4, ieOctetDelta, 4, iePacketDelta, 4, ieSrcPort, 2, ieDstPort, 2, ieProtocol, 1, ieTCPFlags, 1))
}

func flow9(src, dst string, sport, dport uint16, proto, flags uint8, first, last, pkts, bytes uint32) wire {
	return wire{}.ip(src).ip(dst).u32(first, last, bytes, pkts).u16(sport, dport).u8(proto, flags)
}

// flow5 is a record of NetFlow v5.
func flow5(src, dst string, sport, dport uint16, proto, flags uint8, first, last, pkts, bytes uint32) wire {
	return wire{}.ip(src).ip(dst).u32(0).u16(1, 2).u32(pkts, bytes, first, last).u16(sport, dport).u8(0, flags, proto, 0).u16(0, 0, 0, 0)
}

func v5(uptime uint32, sampling uint16, records ...wire) []byte {
	w := wire{}.u16(5, uint16(len(records))).u32(uptime, uint32(now.Unix()), 0, 0).u16(0, sampling)
	return append(w, slices.Concat(records...)...)
}

// harness is a translator whose flows are read back.
type harness struct {
	*Translator
	t      testing.TB
	events []*ocsf.Event
	lines  []string
}

func collecting(t testing.TB) *harness {
	h := &harness{t: t}
	h.Translator = New(Options{Emit: func(_ netip.Addr, line []byte) {
		var p fastjson.Parser
		o, err := decode.ParseJSON(&p, line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !isLine(o) {
			t.Fatalf("%s is not known again", line)
		}
		e := &ocsf.Event{Fields: o.Fields()}
		if err := fill(o, e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		decodetest.Check(t, e)
		h.events, h.lines = append(h.events, e), append(h.lines, string(line))
	}})
	return h
}

func (h *harness) take(datagrams ...[]byte) *harness {
	h.t.Helper()
	for _, p := range datagrams {
		if err := h.Datagram(router, now, p); err != nil {
			h.t.Fatal(err)
		}
	}
	return h
}

func (h *harness) flows() []string {
	h.Flush()
	var out []string
	for _, e := range h.events {
		out = append(out, show(e))
	}
	return out
}

func show(e *ocsf.Event) string {
	f := e.Flow
	return fmt.Sprintf("%s %s:%d > %s:%d %s %q %d/%d", f.Proto, e.Src.IP, e.Src.Port, e.Dst.IP, e.Dst.Port, f.State, f.History, f.OrigPkts, f.RespPkts)
}
