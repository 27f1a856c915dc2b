package netflow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

const client, server = "10.0.0.1", "10.9.0.2"

func TestBothDirectionsBecomeOneConnection(t *testing.T) {
	type side struct {
		flags       uint8
		first, last uint32
		pkts, bytes uint32
		absent      bool
	}
	const S, A, P, F, R = flagSYN, flagACK, flagPSH, flagFIN, flagRST
	for _, c := range []struct {
		name       string
		proto      uint8
		port       uint16
		orig, resp side
		want       string
	}{
		{"closed by both", 6, 80, side{flags: S | A | P | F, first: 100, last: 200, pkts: 5, bytes: 400}, side{flags: S | A | P | F, first: 101, last: 199, pkts: 4, bytes: 900}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 SF "ShADadFf" 5/4`},
		{"started within one millisecond", 6, 80, side{flags: S | A | P | F, first: 100, last: 200, pkts: 5, bytes: 400}, side{flags: S | A | P | F, first: 100, last: 199, pkts: 4, bytes: 900}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 SF "ShADadFf" 5/4`},
		{"refused", 6, 80, side{flags: S, first: 100, last: 100, pkts: 1, bytes: 44}, side{flags: R | A, first: 100, last: 100, pkts: 1, bytes: 40}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 REJ "Sr" 1/1`},
		{"refused, by a clock that is behind", 6, 80, side{flags: S, first: 100, last: 100, pkts: 1, bytes: 44}, side{flags: R | A, first: 99, last: 99, pkts: 1, bytes: 40}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 REJ "Sr" 1/1`},
		{"unanswered", 6, 80, side{flags: S, first: 100, last: 3100, pkts: 3, bytes: 180}, side{absent: true}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 S0 "S" 3/0`},
		{"half-open probe", 6, 80, side{flags: S | R, first: 100, last: 101, pkts: 2, bytes: 84}, side{flags: S | A, first: 100, last: 100, pkts: 1, bytes: 44}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 RSTO "ShR" 2/1`},
		{"reset by the server", 6, 80, side{flags: S | A | P, first: 100, last: 150, pkts: 3, bytes: 300}, side{flags: S | A | R, first: 101, last: 150, pkts: 3, bytes: 130}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 RSTR "ShADr" 3/3`},
		{"FIN probe", 6, 80, side{flags: F, first: 100, last: 100, pkts: 1, bytes: 40}, side{flags: R | A, first: 100, last: 100, pkts: 1, bytes: 40}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 OTH "Fr" 1/1`},
		{"Xmas probe", 6, 80, side{flags: F | P | 32, first: 100, last: 100, pkts: 1, bytes: 40}, side{absent: true}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 OTH "F" 1/0`},
		{"NULL probe", 6, 80, side{flags: 0, first: 100, last: 100, pkts: 1, bytes: 40}, side{absent: true}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 OTH "" 1/0`},
		{"one direction of a connection", 6, 80, side{flags: S | A | P | F, first: 100, last: 200, pkts: 5, bytes: 400}, side{absent: true}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 OTH "SADF" 5/0`},
		{"the other direction of it", 6, 80, side{absent: true}, side{flags: S | A | P | F, first: 100, last: 200, pkts: 5, bytes: 400}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 OTH "^hdf" 0/5`},
		{"SYN-ACK alone", 6, 80, side{absent: true}, side{flags: S | A, first: 100, last: 200, pkts: 3, bytes: 132}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 OTH "^h" 0/3`},
		{"RST alone", 6, 80, side{absent: true}, side{flags: R | A, first: 100, last: 100, pkts: 1, bytes: 40}, `tcp 10.0.0.1:40000 > 10.9.0.2:80 OTH "^r" 0/1`},
		{"UDP, answered", 17, 53, side{first: 100, last: 100, pkts: 1, bytes: 60}, side{first: 102, last: 102, pkts: 1, bytes: 90}, `udp 10.0.0.1:40000 > 10.9.0.2:53 SF "Dd" 1/1`},
		{"UDP, unanswered", 17, 161, side{first: 100, last: 100, pkts: 1, bytes: 60}, side{absent: true}, `udp 10.0.0.1:40000 > 10.9.0.2:161 S0 "D" 1/0`},
		{"UDP, answer alone", 17, 53, side{absent: true}, side{first: 100, last: 100, pkts: 1, bytes: 90}, `udp 10.0.0.1:40000 > 10.9.0.2:53 SHR "^d" 0/1`},
		{"an answer long after", 17, 123, side{first: 100, last: 100, pkts: 1, bytes: 60}, side{first: 5099, last: 5099, pkts: 1, bytes: 90}, `udp 10.0.0.1:40000 > 10.9.0.2:123 SF "Dd" 1/1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var records []wire
			if !c.orig.absent {
				records = append(records, flow9(client, server, 40000, c.port, c.proto, c.orig.flags, c.orig.first, c.orig.last, c.orig.pkts, c.orig.bytes))
			}
			if !c.resp.absent {
				records = append(records, flow9(server, client, c.port, 40000, c.proto, c.resp.flags, c.resp.first, c.resp.last, c.resp.pkts, c.resp.bytes))
			}
			for range 2 { // in either order
				h := collecting(t).take(v9(60_000, template256(0), set(256, slices.Concat(records...))))
				if d := cmp.Diff([]string{c.want}, h.flows()); d != "" {
					t.Error(d)
				}
				slices.Reverse(records)
			}
		})
	}
}

func TestConnectionsOfTheSamePortsArePairedByTime(t *testing.T) {
	h := collecting(t).take(v9(90_000, template256(0), set(256, slices.Concat(
		flow9(server, client, 53, 40000, 17, 0, 30_001, 30_001, 3, 90),
		flow9(client, server, 40000, 53, 17, 0, 30_000, 30_000, 3, 60),
		flow9(client, server, 40000, 53, 17, 0, 20_000, 20_000, 2, 60), // unanswered
		flow9(client, server, 40000, 53, 17, 0, 10_000, 10_000, 1, 60),
		flow9(server, client, 53, 40000, 17, 0, 10_004, 10_004, 1, 90),
	))))
	want := []string{`udp 10.0.0.1:40000 > 10.9.0.2:53 SF "Dd" 1/1`, `udp 10.0.0.1:40000 > 10.9.0.2:53 S0 "D" 2/0`, `udp 10.0.0.1:40000 > 10.9.0.2:53 SF "Dd" 3/3`}
	if d := cmp.Diff(want, h.flows()); d != "" {
		t.Error(d)
	}
}

func TestUptimeWraps(t *testing.T) {
	for _, c := range []struct {
		name          string
		uptime, first uint32
		want          time.Duration // before the export
	}{
		{"as it should", 60_000, 59_000, time.Second},
		{"before a wrap", 500, 1<<32 - 500, time.Second},
		{"before the boot, as from a capture", 19, 1<<32 - 944_617, 944_636 * time.Millisecond},
		{"after the header was filled", 60_000, 60_250, -250 * time.Millisecond},
		{"twenty days ago", 1_728_000_001, 1, 20 * 24 * time.Hour},
	} {
		h := collecting(t).take(v5(c.uptime, 0, flow5(client, server, 4000, 53, 17, 0, c.first, c.first, 1, 60)))
		h.Flush()
		if got := now.Sub(h.events[0].Time); got != c.want {
			t.Errorf("%s: %v before the export, want %v", c.name, got, c.want)
		}
	}
}

func TestTimesOfIPFIX(t *testing.T) {
	at := now.Add(-10*time.Second + 123456*time.Microsecond)
	ntpOf := func(t time.Time) uint64 {
		return uint64(t.Unix()+2_208_988_800)<<32 | uint64(t.Nanosecond())<<32/1e9
	}
	for _, c := range []struct {
		name string
		ie   uint16
		size uint16
		body wire
		want time.Duration // how far from at
		took time.Duration
	}{
		{"seconds", ieStartSeconds, 4, wire{}.u32(uint32(at.Unix()), uint32(at.Unix())+2), -123456 * time.Microsecond, 2 * time.Second},
		{"milliseconds", ieStartMillis, 8, wire{}.u64(uint64(at.UnixMilli()), uint64(at.UnixMilli())+1500), -456 * time.Microsecond, 1500 * time.Millisecond},
		{"microseconds", ieStartMicros, 8, wire{}.u64(ntpOf(at), ntpOf(at.Add(time.Second))), 0, time.Second},
		{"nanoseconds", ieStartNanos, 8, wire{}.u64(ntpOf(at), ntpOf(at.Add(time.Second))), 0, time.Second},
		{"before the export", ieStartDelta, 4, wire{}.u32(9_876_544, 8_876_544), 0, time.Second},
	} {
		h := collecting(t).take(v10(set(2, wire{}.u16(300, 5, ieSrc6, 16, ieDst6, 16, c.ie, c.size, c.ie+1, c.size, ieProtocol, 1)),
			set(300, slices.Concat(wire{}.ip("2001:db8::1").ip("2001:db8::2"), c.body, wire{47}))))
		h.Flush()
		if len(h.events) != 1 {
			t.Fatalf("%s: %d flows", c.name, len(h.events))
		}
		if got := h.events[0].Time.Sub(at); got < c.want-time.Microsecond || got > c.want+time.Microsecond {
			t.Errorf("%s: %v off, want %v", c.name, got, c.want)
		}
		if took := h.events[0].Flow.Duration; took < c.took-time.Microsecond || took > c.took+time.Microsecond {
			t.Errorf("%s: took %v, want %v", c.name, took, c.took)
		}
	}
}

func TestTimesThatAreMissing(t *testing.T) {
	body := set(2, wire{}.u16(300, 3, ieSrc4, 4, ieDst4, 4, ieProtocol, 1))
	h := collecting(t).take(v10(body, set(300, wire{}.ip(client).ip(server).u8(47))))
	h.Flush()
	if e := h.events[0]; !e.Time.Equal(now) || e.Fields.Value("clock") != "export" {
		t.Errorf("%v, clock %q", e.Time, e.Fields.Value("clock"))
	}
	p := v5(1000, 0, flow5(client, server, 4000, 53, 17, 0, 900, 950, 1, 60))
	binary.BigEndian.PutUint32(p[8:], 3600) // the exporter's clock was never set
	h = collecting(t).take(p)
	h.Flush()
	if e := h.events[0]; !e.Time.Equal(now.Add(-50*time.Millisecond)) && !e.Time.Equal(now) || e.Fields.Value("clock") != "received" {
		t.Errorf("%v, clock %q", e.Time, e.Fields.Value("clock"))
	}
}

func TestSamplingMultipliesAndAMissingAnswerSaysNothing(t *testing.T) {
	option9 := []wire{set(1, wire{}.u16(260, 4, 8, 1, 4, ieSamplingInterval, 4, 35, 1)), set(260, wire{}.u32(0, 100).u8(1))}
	option10 := []wire{set(3, wire{}.u16(260, 3, 1, ieSelectorID, 1, ieSamplingPackets, 4, ieSamplingSpace, 4)), set(260, wire{}.u8(0).u32(1, 99))}
	f := set(256, flow9(client, server, 40000, 80, 6, flagSYN, 100, 100, 2, 88))
	for _, c := range []struct {
		name string
		p    []byte
	}{
		{"v5", v5(60_000, 1<<14|100, flow5(client, server, 40000, 80, 6, flagSYN, 100, 100, 2, 88))},
		{"v9 options", v9(60_000, template256(0), option9[0], option9[1], f)},
		{"IPFIX selector", v10(template256(2), option10[0], option10[1], f)},
		{"in the record", v10(set(2, wire{}.u16(300, 7, ieSrc4, 4, ieDst4, 4, ieProtocol, 1, ieTCPFlags, 1, iePacketDelta, 4, ieSamplingInterval, 4, ieDstPort, 2)), set(300, wire{}.ip(client).ip(server).u8(6, flagSYN).u32(2, 100).u16(80)))},
	} {
		h := collecting(t).take(c.p)
		h.Flush()
		if len(h.events) != 1 || h.events[0].Flow.OrigPkts != 200 || h.events[0].Flow.State != "OTH" || h.events[0].Fields.Value("sampling") != "100" {
			t.Errorf("%s: %v", c.name, h.lines)
		}
	}
}

func TestBiflowsAreTakenAsTheyAre(t *testing.T) {
	const ent = 0x8000
	tmpl := set(2, wire{}.u16(300, 10, ieSrc4, 4, ieDst4, 4, ieSrcPort, 2, ieDstPort, 2, ieProtocol, 1, ieTCPFlags, 1, iePacketDelta, 4,
		ent|iePacketDelta, 4).u32(reverse).u16(ent|ieTCPFlags, 1).u32(reverse).u16(ieBiflowDirection, 1))
	body := func(direction uint8) wire {
		return set(300, wire{}.ip(server).ip(client).u16(80, 40000).u8(6, flagSYN|flagACK).u32(1, 2).u8(flagSYN|flagRST, direction))
	}
	h := collecting(t).take(v10(tmpl, body(1)), v10(body(2)))
	want := []string{`tcp 10.9.0.2:80 > 10.0.0.1:40000 RSTR "ShAr" 1/2`, `tcp 10.0.0.1:40000 > 10.9.0.2:80 RSTO "ShR" 2/1`}
	if d := cmp.Diff(want, h.flows()); d != "" {
		t.Error(d)
	}
}

func TestFirewallEventsOfNSEL(t *testing.T) {
	tmpl := set(0, wire{}.u16(270, 12, ieSrc4, 4, ieDst4, 4, ieSrcPort, 2, ieDstPort, 2, ieProtocol, 1, ieFirewallEvent, 1, ieObservationMillis, 8,
		ieStartMillis, 8, ieInitiatorOctets, 4, ieResponderOctets, 4, iePostSrc4, 4, iePostSrcPort, 2))
	body := func(event uint8, out, in uint32) wire {
		at := uint64(now.UnixMilli())
		return set(270, wire{}.ip(client).ip("192.0.2.9").u16(40000, 443).u8(6, event).u64(at, at-2000).u32(out, in).ip("203.0.113.5").u16(61000))
	}
	h := collecting(t).take(v9(60_000, tmpl, body(1, 0, 0)), v9(60_000, body(3, 0, 0)), v9(60_000, body(2, 900, 4000)))
	got := h.flows()
	if len(got) != 2 || !strings.Contains(got[0], `S0 "S"`) || !strings.Contains(got[1], "10.0.0.1:40000 > 192.0.2.9:443 S") {
		t.Fatal(h.lines)
	}
	e := h.events[1]
	if e.Flow.Duration != 2*time.Second || e.NAT == nil || e.NAT.Inside != e.Src || e.NAT.Outside.IP.String() != "203.0.113.5" || e.NAT.Outside.Port != 61000 {
		t.Errorf("%v, %+v", e.Flow.Duration, e.NAT)
	}
}

func TestTranslatedDirectionsArePaired(t *testing.T) {
	tmpl := set(2, wire{}.u16(300, 10, ieSrc4, 4, ieDst4, 4, ieSrcPort, 2, ieDstPort, 2, ieProtocol, 1, ieTCPFlags, 1, iePacketDelta, 4, iePostSrc4, 4, iePostDst4, 4, ieStartMillis, 8))
	at := uint64(now.UnixMilli())
	h := collecting(t).take(v10(tmpl, set(300, slices.Concat(
		wire{}.ip("192.0.2.9").ip("203.0.113.5").u16(443, 40000).u8(6, flagSYN|flagACK|flagPSH).u32(4).ip("192.0.2.9").ip(client).u64(at),
		wire{}.ip(client).ip("192.0.2.9").u16(40000, 443).u8(6, flagSYN|flagACK|flagPSH).u32(5).ip("203.0.113.5").ip("192.0.2.9").u64(at-3),
	))))
	if d := cmp.Diff([]string{`tcp 10.0.0.1:40000 > 192.0.2.9:443 S1 "ShA" 5/4`}, h.flows()); d != "" {
		t.Error(d)
	}
	if e := h.events[0]; e.Fields.Value("post_src") != "203.0.113.5" || e.Fields.Value("post_dst") != "" {
		t.Errorf("%v", h.lines)
	}
}

func TestObservationPointsOfOneExporterCountOnce(t *testing.T) {
	tmpl := set(2, wire{}.u16(300, 8, ieSrc4, 4, ieDst4, 4, ieSrcPort, 2, ieDstPort, 2, ieProtocol, 1, iePacketDelta, 4, ieDirection, 1, ieStartMillis, 8))
	at := uint64(now.UnixMilli())
	one := func(direction uint8, pkts uint32) wire {
		return wire{}.ip(client).ip(server).u16(40000, 161).u8(17).u32(pkts).u8(direction).u64(at)
	}
	h := collecting(t).take(v10(tmpl, set(300, slices.Concat(one(0, 3), one(1, 4)))))
	if d := cmp.Diff([]string{`udp 10.0.0.1:40000 > 10.9.0.2:161 S0 "D" 4/0`}, h.flows()); d != "" || h.Stats().Repeated != 1 {
		t.Error(d, h.Stats())
	}
}

func TestPartsOfAConnectionKeepTheirName(t *testing.T) {
	const P, A, S, F = flagPSH, flagACK, flagSYN, flagFIN
	h := collecting(t)
	boot := now
	part := func(export, first, last uint32, out, in uint8) {
		t.Helper()
		p := v9(export, template256(0), set(256, slices.Concat(flow9(client, server, 40000, 3389, 6, out, first, last, 100, 9000),
			flow9(server, client, 3389, 40000, 6, in, first-1+first%2, last, 100, 9000)))) // in later parts either side may speak first
		at := boot.Add(time.Duration(export) * time.Millisecond)
		binary.BigEndian.PutUint32(p[8:], uint32(at.Unix()))
		if err := h.Datagram(router, at, p); err != nil {
			t.Fatal(err)
		}
	}
	part(61_000, 1001, 60_001, S|A|P, S|A|P)
	part(121_000, 60_100, 120_000, A|P, A|P)
	part(150_000, 120_500, 140_000, A|P|F, A|P|F)
	part(300_000, 200_001, 201_001, S|A|P|F, S|A|P|F)
	want := []string{`tcp 10.0.0.1:40000 > 10.9.0.2:3389 S1 "ShADad" 100/100`, `tcp 10.0.0.1:40000 > 10.9.0.2:3389 OTH "ADad" 100/100`,
		`tcp 10.0.0.1:40000 > 10.9.0.2:3389 OTH "ADadFf" 100/100`, `tcp 10.0.0.1:40000 > 10.9.0.2:3389 SF "ShADadFf" 100/100`}
	if d := cmp.Diff(want, h.flows()); d != "" {
		t.Error(d)
	}
	uid := func(i int) string { return h.events[i].Fields.Value("uid") }
	if uid(0) != uid(1) || uid(1) != uid(2) || uid(2) == uid(3) || h.events[2].Fields.Value("part") != "3" {
		t.Errorf("uids %s %s %s %s", uid(0), uid(1), uid(2), uid(3))
	}
}

func TestTemplatesComeLateChangeAndAreWithdrawn(t *testing.T) {
	f := flow9(client, server, 40000, 161, 17, 0, 100, 100, 1, 60)
	h := collecting(t).take(v9(60_000, set(256, f)))
	if s := h.Stats(); s.Records != 0 || s.Waiting != int64(len(f)) {
		t.Fatalf("%+v", s)
	}
	h.take(v9(60_000, template256(0)))
	if s := h.Stats(); s.Records != 1 || s.Waiting != 0 {
		t.Fatalf("late: %+v", s)
	}
	h.take(v9(60_000, set(0, wire{}.u16(256, 3, ieDst4, 4, ieSrc4, 4, ieProtocol, 1)), set(256, wire{}.ip(client).ip(server).u8(47))))
	if got := h.flows(); len(got) != 2 || got[1] != `ip-47 10.9.0.2:0 > 10.0.0.1:0 OTH "" 0/0` && got[1] != `gre 10.9.0.2:0 > 10.0.0.1:0 OTH "" 0/0` {
		t.Fatalf("changed: %v", got)
	}
	i := collecting(t).take(v10(template256(2), set(256, f)), v10(set(2, wire{}.u16(256, 0))), v10(set(256, f)))
	if s := i.Stats(); s.Records != 1 || s.Waiting == 0 || s.Templates != 0 {
		t.Errorf("withdrawn: %+v", s)
	}
	i.take(v10(template256(2)), v10(set(2, wire{}.u16(2, 0))))
	if s := i.Stats(); s.Records != 2 || s.Templates != 0 {
		t.Errorf("all withdrawn: %+v", s)
	}
	i.take(v10(set(256, f)))
	i.Advance(now.Add(PendingFor + time.Minute))
	if s := i.Stats(); s.NoTemplate != 1 || s.Waiting != 0 {
		t.Errorf("never came: %+v", s)
	}
}

func TestTemplatesOutliveARestart(t *testing.T) {
	option := []wire{set(3, wire{}.u16(260, 2, 1, 143, 4, ieSystemInit, 8)), set(260, wire{}.u32(0).u64(uint64(now.Add(-time.Minute).UnixMilli())))}
	h := collecting(t).take(v10(template256(2), option[0], option[1]))
	changes := h.Changes()
	if h.take(v10(template256(2), option[0], option[1])); changes == 0 || h.Changes() != changes {
		t.Errorf("changes %d, and %d after the same again", changes, h.Changes())
	}
	data, err := h.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	i := collecting(t)
	if err := i.Restore(data); err != nil {
		t.Fatal(err)
	}
	i.take(v10(set(256, flow9(client, server, 40000, 161, 17, 0, 59_000, 59_500, 1, 60))))
	i.Flush()
	if len(i.events) != 1 || !i.events[0].Time.Equal(now.Add(-time.Second)) {
		t.Errorf("%v", i.lines)
	}
	again, err := i.Snapshot()
	if err != nil || !bytes.Equal(data, again) && len(data) != len(again) {
		t.Errorf("%s\n%s\n%v", data, again, err)
	}
	for _, bad := range []string{"", "{}", `{"version":1,"exporters":[{"addr":"192.0.2.1","domains":[{"version":9,"templates":{"256":{"fields":[]}}}]}]}`, `{"version":1,"exporters":[{"addr":"192.0.2.1","domains":[{"version":9,"templates":{"256":null}}]}]}`} {
		if err := i.Restore([]byte(bad)); err == nil {
			t.Errorf("%q was restored", bad)
		}
	}
}

func TestICMP(t *testing.T) {
	h := collecting(t).take(v5(60_000, 0, flow5(client, server, 0, 0x0800, 1, 0, 100, 100, 1, 84), flow5(server, client, 0, 0, 1, 0, 100, 100, 1, 84),
		flow5(server, client, 0, 0x0800, 1, 0, 100, 100, 2, 168), flow5(client, server, 0, 0x0303, 1, 0, 200, 200, 3, 168), flow5("10.9.0.3", client, 0, 0, 1, 0, 100, 100, 1, 84)))
	got := h.flows()
	slices.Sort(got)
	want := []string{`icmp 10.0.0.1:0 > 10.9.0.2:0 OTH "D" 3/0`, `icmp 10.0.0.1:0 > 10.9.0.2:0 OTH "Dd" 1/1`, `icmp 10.0.0.1:0 > 10.9.0.3:0 OTH "^d" 0/1`, `icmp 10.9.0.2:0 > 10.0.0.1:0 OTH "D" 2/0`}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWithoutFlagsTheSizesTell(t *testing.T) {
	tmpl := set(2, wire{}.u16(300, 8, ieSrc4, 4, ieDst4, 4, ieSrcPort, 2, ieDstPort, 2, ieProtocol, 1, iePacketDelta, 4, ieOctetDelta, 4, ieStartMillis, 8))
	one := func(src, dst string, sport, dport uint16, pkts, bytes uint32, at int64) wire {
		return wire{}.ip(src).ip(dst).u16(sport, dport).u8(6).u32(pkts, bytes).u64(uint64(now.UnixMilli() + at))
	}
	h := collecting(t).take(v10(tmpl, set(300, slices.Concat(
		one(client, server, 40000, 80, 3, 180, 0),
		one(client, server, 40001, 81, 1, 44, 1), one(server, client, 81, 40001, 1, 40, 1),
		one(client, server, 40002, 82, 9, 4000, 2), one(server, client, 82, 40002, 8, 5000, 3),
	))))
	want := []string{`tcp 10.0.0.1:40000 > 10.9.0.2:80 S0 "S" 3/0`, `tcp 10.0.0.1:40001 > 10.9.0.2:81 REJ "Sr" 1/1`, `tcp 10.0.0.1:40002 > 10.9.0.2:82 SF "ShADad" 9/8`}
	if d := cmp.Diff(want, h.flows()); d != "" {
		t.Error(d)
	}
}

func TestLossIsKnownBySequenceNumbers(t *testing.T) {
	f := flow9(client, server, 40000, 161, 17, 0, 100, 100, 1, 60)
	two := set(256, slices.Concat(f, f))
	numbered := func(p []byte, at int, sequence uint32) []byte {
		binary.BigEndian.PutUint32(p[at:], sequence)
		return p
	}
	for name, c := range map[string]struct {
		list [][]byte
		want int64
	}{
		"v5, all there":                   {[][]byte{numbered(v5(0, 0, flow5(client, server, 1, 2, 17, 0, 0, 0, 1, 60)), 16, 7), numbered(v5(0, 0, flow5(client, server, 1, 2, 17, 0, 0, 0, 1, 60)), 16, 8)}, 0},
		"v5, ten records missing":         {[][]byte{numbered(v5(0, 0, flow5(client, server, 1, 2, 17, 0, 0, 0, 1, 60)), 16, 7), numbered(v5(0, 0, flow5(client, server, 1, 2, 17, 0, 0, 0, 1, 60)), 16, 18)}, 10},
		"v9, one missing":                 {[][]byte{numbered(v9(0, template256(0)), 12, 1), numbered(v9(0, two), 12, 3)}, 1},
		"v9, out of order":                {[][]byte{numbered(v9(0, template256(0)), 12, 4), numbered(v9(0, two), 12, 3)}, 0},
		"v9, counter wraps":               {[][]byte{numbered(v9(0, template256(0)), 12, 1<<32-1), numbered(v9(0, two), 12, 0)}, 0},
		"IPFIX by the book":               {[][]byte{numbered(v10(template256(2), two), 8, 10), numbered(v10(set(256, f)), 8, 12)}, 0},
		"IPFIX that counts itself":        {[][]byte{numbered(v10(template256(2), two), 8, 2), numbered(v10(set(256, f)), 8, 3)}, 0},
		"IPFIX, five records are missing": {[][]byte{numbered(v10(template256(2), two), 8, 10), numbered(v10(two), 8, 17)}, 5},
		"IPFIX of an exporter begun anew": {[][]byte{numbered(v10(template256(2), two), 8, 1<<31), numbered(v10(two), 8, 0)}, 0},
	} {
		if s := collecting(t).take(c.list...).Stats(); s.Lost != c.want {
			t.Errorf("%s: %d lost, want %d", name, s.Lost, c.want)
		}
	}
}

// sample makes a datagram of sFlow with one sampled frame.
func sample(rate uint32, frame wire) []byte {
	padded := append(slices.Clone(frame), make([]byte, (4-len(frame)%4)%4)...)
	raw := append(wire{}.u32(1, uint32(len(frame)+4), 4, uint32(len(frame))), padded...)
	body := append(wire{}.u32(1, 0, rate, 0, 0, 3, 4, 1, 1, uint32(len(raw))), raw...)
	return append(wire{}.u32(5, 1).ip("192.0.2.250").u32(0, 1, 1000, 1, 1, uint32(len(body))), body...)
}

func frame(src, dst string, sport, dport uint16, flags uint8) wire {
	ip := append(wire{}.u8(0x45, 0).u16(60, 0, 0).u8(64, 6).u16(0).ip(src).ip(dst), wire{}.u16(sport, dport).u32(0, 0).u8(0x50, flags).u16(0, 0, 0)...)
	return append(make(wire, 12), append(wire{}.u16(0x8100, 7, 0x0800), ip...)...)
}

func TestSamplesOfSFlow(t *testing.T) {
	h := collecting(t).take(sample(100, frame(client, server, 40000, 80, flagSYN)), sample(100, frame(server, client, 80, 40000, flagSYN|flagACK)),
		sample(100, frame(client, server, 40000, 80, flagACK)), sample(100, frame(client, server, 40001, 80, flagSYN)))
	want := []string{`tcp 10.0.0.1:40000 > 10.9.0.2:80 S1 "ShA" 200/100`, `tcp 10.0.0.1:40001 > 10.9.0.2:80 OTH "S" 100/0`}
	if d := cmp.Diff(want, h.flows()); d != "" {
		t.Error(d)
	}
	if e := h.events[0]; e.Fields.Value("agent") != "192.0.2.250" || e.Fields.Value("vlan") != "7" || !e.Time.Equal(now) || e.Fields.Value("sampling") != "100" {
		t.Errorf("%s", h.lines[0])
	}
}

func TestHostileDatagramsAreErrors(t *testing.T) {
	huge := sample(1, frame(client, server, 1, 2, 2))
	binary.BigEndian.PutUint32(huge[28:], 3) // an expanded sample, for whose count of records goflow2 would allocate
	binary.BigEndian.PutUint32(huge[28+8+40:], 1<<32-1)
	for name, p := range map[string][]byte{
		"empty": {}, "short": {0, 5}, "another protocol": []byte("GET / HTTP/1.1\r\n\r\n                  "),
		"v5 with too many records": v5(0, 0)[:24], "v5 that announces 65535": append(wire{}.u16(5, 65535), make([]byte, 100)...),
		"a set beyond the end": v9(0, wire{}.u16(256, 400, 0)), "a set without length": v9(0, wire{}.u16(256, 0, 0, 0)),
		"IPFIX longer than it is": append(wire{}.u16(10, 400), make([]byte, 30)...), "a template of 65535 fields": v9(0, set(0, wire{}.u16(256, 65535))),
		"options of 65535 fields": v10(set(3, wire{}.u16(256, 65535, 1))), "more scopes than fields": v10(set(3, wire{}.u16(256, 1, 65535, 1, 1))),
		"an sFlow sample of 4 billion records": huge, "sFlow of 4 billion samples": append(wire{}.u32(5, 1, 0, 0, 1, 1, 1<<32-1), make([]byte, 8)...),
		"a set of no meaning": v9(0, set(77, wire{1, 2, 3, 4})), "a variable length beyond the end": v10(set(2, wire{}.u16(300, 2, ieSrc4, 4, 82, 0xffff)), set(300, wire{}.ip(client).u8(255, 255, 255, 1))),
	} {
		h := collecting(t)
		if err := h.Datagram(router, now, p); err == nil {
			t.Errorf("%s: no error", name)
		}
		if s := h.Stats(); s.Bad != 1 || s.Records != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	// A template of no length would be read for ever.
	h := collecting(t).take(v9(0, set(0, wire{}.u16(256, 0)), set(256, wire{1, 2, 3, 4})), v9(0, set(0, wire{}.u16(256, 1, ieSrc4, 0)), set(256, wire{1, 2, 3, 4})))
	if s := h.Stats(); s.Templates != 0 || s.Records != 0 {
		t.Errorf("%+v", s)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	h := collecting(t)
	for i := range uint32(MaxExporters + 100) {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if err := h.Datagram(from, now.Add(time.Duration(i)*time.Microsecond), v9(0, template256(0))); err != nil {
			t.Fatal(err)
		}
	}
	if s := h.Stats(); s.Exporters != MaxExporters || s.Templates != MaxExporters {
		t.Errorf("exporters: %+v", s)
	}
	h = collecting(t)
	for i := range uint16(MaxTemplates + 50) {
		h.take(v9(0, set(0, wire{}.u16(256+i, 1, ieSrc4, 4))))
	}
	if s := h.Stats(); s.Templates != MaxTemplates || s.TooMany != 50 {
		t.Errorf("templates: %+v", s)
	}
	h = collecting(t)
	for range 2 * MaxPendingOne / 60_000 {
		h.take(v9(0, set(300, make(wire, 60_000))))
	}
	if s := h.Stats(); s.Waiting > MaxPendingOne || s.NoRoom == 0 {
		t.Errorf("waiting for templates: %+v", s)
	}
	h = collecting(t)
	h.pairs.most = 1000
	for i := range uint16(2000) {
		h.take(v5(0, 0, flow5(client, server, i, 99, 17, 0, 0, 0, 1, 60)))
	}
	if s := h.Stats(); h.pairs.count != 1000 || s.Early != 1000 || len(h.events) != 1000 {
		t.Errorf("waiting for opposites: %d, %+v", h.pairs.count, s)
	}
	for i := range uint32(MaxParts * 2) {
		h.parts.put(&key{aPort: uint16(i), bPort: uint16(i >> 16)}, part{})
	}
	if n := len(h.parts.young) + len(h.parts.old); n > MaxParts {
		t.Errorf("%d parts", n)
	}
}

func TestALineThatIsRefusedSaysWhy(t *testing.T) {
	c := &decodetest.Collect{}
	line := Refused(router, errors.New("why \"not\"\x00"), []byte{1, 2, 3})
	if err := decode.Objects(Objects()).Read(t.Context(), "", bytes.NewReader(append(line, '\n')), c); err != nil {
		t.Fatal(err)
	}
	if len(c.Events) != 0 || len(c.Reasons) != 1 || !strings.Contains(c.Reasons[0], `why "not"`) {
		t.Errorf("%d events, bad %q of %s", len(c.Events), c.Reasons, line)
	}
}

func TestFilesAreKnownByTheirContent(t *testing.T) {
	prefixed := func(p []byte) []byte { return append(wire{}.u32(uint32(len(p))), p...) }
	for name, c := range map[string]struct {
		head []byte
		want bool
	}{
		"v5":    {prefixed(v5(0, 0, flow5(client, server, 1, 2, 6, 2, 0, 0, 1, 40))), true},
		"v9":    {prefixed(v9(0, template256(0))), true},
		"v10":   {prefixed(v10(template256(2))), true},
		"sFlow": {prefixed(sample(1, frame(client, server, 1, 2, 2))), true},
		"text":  {[]byte("\x00\x00\x00\x10hello, this is no export"), false},
		"empty": {nil, false}, "a length alone": {[]byte{0, 0, 0, 40}, false},
		"v5 without records": {prefixed(make([]byte, 40)), false},
	} {
		if got := recognise("x", c.head); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAFileThatIsCutShortGivesWhatWasInIt(t *testing.T) {
	p := v5(60_000, 0, flow5(client, server, 40000, 53, 17, 0, 100, 100, 1, 60))
	whole := append(wire{}.u32(uint32(len(p))), p...)
	for n := range len(whole) {
		c := &decodetest.Collect{}
		err := read(t.Context(), "x", bytes.NewReader(append(slices.Clone(whole), whole[:n]...)), c)
		if len(c.Events) != 1 || (err == nil) != (n == 0) {
			t.Fatalf("cut at %d: %d events, %v", n, len(c.Events), err)
		}
	}
	c := &decodetest.Collect{}
	late := v9(60_000, set(256, flow9(client, server, 40000, 161, 17, 0, 100, 100, 1, 60)))
	if err := read(t.Context(), "x", bytes.NewReader(append(wire{}.u32(uint32(len(late))), late...)), c); err != nil || len(c.Reasons) != 1 || !strings.Contains(c.Reasons[0], "template 256") {
		t.Errorf("%v, bad %v", err, c.Reasons)
	}
}
