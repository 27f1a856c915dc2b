package pcap

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var (
	client  = netip.MustParseAddrPort("192.0.2.10:40000")
	server  = netip.MustParseAddrPort("198.51.100.20:443")
	client6 = netip.MustParseAddrPort("[2001:db8::10]:40000")
	server6 = netip.MustParseAddrPort("[2001:db8:1::20]:443")
	begin   = time.Date(2026, 11, 1, 12, 0, 0, 123456000, time.UTC)
)

// frames is what a capture is made of; each entry is an Ethernet frame, 1 ms after the one before.
type frames [][]byte

func ether(kind uint16, body []byte) []byte {
	b := make([]byte, 14, 14+len(body))
	binary.BigEndian.PutUint16(b[12:], kind)
	return append(b, body...)
}

func ip(proto uint8, src, dst netip.Addr, fragment uint16, body []byte) []byte {
	if src.Is6() {
		b := make([]byte, 40)
		b[0], b[6], b[7] = 0x60, proto, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(body)))
		copy(b[8:], src.AsSlice())
		copy(b[24:], dst.AsSlice())
		return ether(0x86dd, append(b, body...))
	}
	b := make([]byte, 20)
	b[0], b[5], b[8], b[9] = 0x45, 7, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(body)))
	binary.BigEndian.PutUint16(b[6:], fragment)
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	return ether(0x0800, append(b, body...))
}

func segment(from, to netip.AddrPort, flags uint8, seq uint32, payload int) []byte {
	b := make([]byte, 20+payload)
	binary.BigEndian.PutUint16(b, from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint32(b[4:], seq)
	b[12], b[13] = 5<<4, flags
	return b
}

func datagram(from, to netip.AddrPort, payload int) []byte {
	return segment(from, to, 0, 0, payload)[:8+payload]
}

// talk makes the segments of a TCP connection: > from the client, < from the server, flags, payload.
func talk(c, s netip.AddrPort, script string) (out frames) {
	seqs := map[byte]uint32{'>': 0xfffffff0, '<': 5000} // the client's number wraps
	for _, word := range strings.Fields(script) {
		var payload int
		flags := uint8(0)
		name, size, sized := strings.Cut(word[1:], ":")
		if sized {
			fmt.Sscan(size, &payload)
		}
		for i, c := range "FSRPA" {
			if strings.ContainsRune(name, c) {
				flags |= 1 << i
			}
		}
		from, to := c, s
		if word[0] == '<' {
			from, to = s, c
		}
		seq := seqs[word[0]]
		out = append(out, ip(protoTCP, from.Addr(), to.Addr(), 0, segment(from, to, flags, seq, payload)))
		if strings.Contains(name, "=") { // sent again by the next word
			continue
		}
		if seqs[word[0]] = seq + uint32(payload); flags&(flagSYN|flagFIN) != 0 {
			seqs[word[0]]++
		}
	}
	return out
}

// capture writes the frames; snap bounds what is kept of each, 0 does not.
func capture(t testing.TB, fs frames, snap int, gap time.Duration) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, f := range fs {
		ci := gopacket.CaptureInfo{Timestamp: begin.Add(time.Duration(i) * gap), CaptureLength: len(f), Length: len(f)}
		if snap > 0 {
			ci.CaptureLength = min(snap, len(f))
		}
		if err := w.WritePacket(ci, f[:ci.CaptureLength]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func decoded(t testing.TB, b []byte) *decodetest.Collect {
	t.Helper()
	c := &decodetest.Collect{}
	if !recognise("x", b) {
		t.Fatal("the capture is not recognised")
	}
	if err := read(context.Background(), "x", bytes.NewReader(b), c); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Events {
		decodetest.Check(t, e)
	}
	return c
}

func show(e *ocsf.Event) string {
	f := e.Flow
	return fmt.Sprintf("%s %s > %s %s %q %d/%d bytes %d/%d packets %v", f.Proto, e.Src, e.Dst, f.State, f.History, f.OrigBytes, f.RespBytes, f.OrigPkts, f.RespPkts, f.Duration)
}

func TestStatesAreThoseOfZeek(t *testing.T) {
	const fw, back = "tcp 192.0.2.10:40000 > 198.51.100.20:443 ", "tcp 198.51.100.20:443 > 192.0.2.10:40000 "
	for _, c := range []struct{ name, script, want string }{
		{"closed", ">S <SA >A >PA:40 <A <PA:200 >A >FA <FA >A", fw + `SF "ShADadFf" 40/200 bytes 6/4 packets 9ms`},
		{"nobody answers", ">S", fw + `S0 "S" 0/0 bytes 1/0 packets 0s`},
		{"asked again", ">=S >=S >S", fw + `S0 "S" 0/0 bytes 3/0 packets 2ms`},
		{"refused", ">S <RA", fw + `REJ "Sr" 0/0 bytes 1/1 packets 1ms`},
		{"half-open probe", ">S <SA >R", fw + `RSTO "ShR" 0/0 bytes 2/1 packets 2ms`},
		{"reset by the server", ">S <SA >A >PA:5 <R", fw + `RSTR "ShADr" 5/0 bytes 3/2 packets 4ms`},
		{"open", ">S <SA >A", fw + `S1 "ShA" 0/0 bytes 2/1 packets 2ms`},
		{"client is done", ">S <SA >A >FA <A", fw + `S2 "ShAFa" 0/0 bytes 3/2 packets 4ms`},
		{"server is done", ">S <SA >A <FA >A", fw + `S3 "ShAf" 0/0 bytes 3/2 packets 4ms`},
		{"client resets alone", ">S >R", fw + `RSTOS0 "SR" 0/0 bytes 2/0 packets 1ms`},
		{"client ends alone", ">S >F", fw + `SH "SF" 0/0 bytes 2/0 packets 1ms`},
		{"one direction only", ">S >A >PA:10", fw + `OTH "SAD" 10/0 bytes 3/0 packets 2ms`},
		{"sent again counts once", ">S <SA >A >=PA:40 >PA:40 >PA:1", fw + `S1 "ShAD" 41/0 bytes 5/1 packets 5ms`},
		{"FIN probe", ">F", fw + `OTH "F" 0/0 bytes 1/0 packets 0s`},
		{"NULL probe refused", "> <RA", fw + `OTH "r" 0/0 bytes 1/1 packets 1ms`},
		{"backscatter of a flood", "<SA", fw + `OTH "^h" 0/0 bytes 0/1 packets 0s`},
		{"backscatter and its end", "<SA <R", fw + `RSTRH "^hr" 0/0 bytes 0/2 packets 1ms`},
		{"victim resets backscatter", "<SA >R", fw + `OTH "^hR" 0/0 bytes 1/1 packets 1ms`},
		{"refusal whose question was not seen", "<RA", fw + `OTH "^r" 0/0 bytes 0/1 packets 0s`},
		{"middle of a download", "<A:1000 >A", fw + `OTH "^dA" 0/1000 bytes 1/1 packets 1ms`},
		{"FIN probe from a well-known port", "<F", back + `OTH "F" 0/0 bytes 1/0 packets 0s`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := decoded(t, capture(t, talk(client, server, c.script), 0, time.Millisecond))
			if len(got.Events) != 1 || len(got.Reasons) != 0 {
				t.Fatalf("%d events, bad %v", len(got.Events), got.Reasons)
			}
			if s := show(got.Events[0]); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if e := got.Events[0]; !e.Time.Equal(begin) || got.Records[0] != 1 || e.SourceID == "" {
				t.Errorf("time %v, record %d, id %q", e.Time, got.Records[0], e.SourceID)
			}
		})
	}
}

func TestLengthsAreThoseOfTheWire(t *testing.T) {
	fs := talk(client, server, ">S <SA >A >PA:900 <PA:1200 >FA <FA")
	for _, snap := range []int{0, 96, 54, 48} { // 48: flags are there, the rest of the TCP header is not
		got := decoded(t, capture(t, fs, snap, time.Millisecond))
		if want := `tcp 192.0.2.10:40000 > 198.51.100.20:443 SF "ShADdFf" 900/1200 bytes 4/3 packets 6ms`; len(got.Events) != 1 || show(got.Events[0]) != want {
			t.Errorf("cut at %d: %d events, bad %v", snap, len(got.Events), got.Reasons)
		}
	}
	if got := decoded(t, capture(t, fs, 40, time.Millisecond)); len(got.Events) != 0 || len(got.Reasons) != 7 || got.Reasons[0] != "TCP header is cut short" {
		t.Errorf("cut before the flags: %d events, bad %v", len(got.Events), got.Reasons)
	}
}

func TestOtherProtocolsAndShapesOfFrames(t *testing.T) {
	c, s, dns := client.Addr(), server.Addr(), netip.AddrPortFrom(server.Addr(), 53)
	tagged := func(f []byte, tags ...uint16) []byte {
		out := bytes.Clone(f[:12])
		for _, tag := range tags {
			out = append(out, 0x81, 0, byte(tag>>8), byte(tag))
		}
		return append(out, f[12:]...)
	}
	syn := segment(client, server, flagSYN, 1, 0)
	tcp6 := segment(client6, server6, flagSYN, 1, 0)
	hopByHop := append([]byte{protoTCP, 0, 1, 4, 0, 0, 0, 0}, tcp6...)
	first := append([]byte{protoUDP, 0, 0, 1, 0, 0, 0, 9}, datagram(client6, server6, 24)...)
	rest := append([]byte{protoUDP, 0, 0, 32, 0, 0, 0, 9}, make([]byte, 16)...)
	for _, x := range []struct {
		name string
		in   frames
		want []string
		bad  []string
	}{
		{"UDP answered", frames{ip(protoUDP, c, s, 0, datagram(client, dns, 30)), ip(protoUDP, s, c, 0, datagram(dns, client, 90))},
			[]string{`udp 192.0.2.10:40000 > 198.51.100.20:53 SF "Dd" 30/90 bytes 1/1 packets 1ms`}, nil},
		{"UDP not answered", frames{ip(protoUDP, c, s, 0, datagram(client, dns, 0))}, []string{`udp 192.0.2.10:40000 > 198.51.100.20:53 S0 "D" 0/0 bytes 1/0 packets 0s`}, nil},
		{"UDP answer alone", frames{ip(protoUDP, s, c, 0, datagram(dns, client, 9))}, []string{`udp 192.0.2.10:40000 > 198.51.100.20:53 SHR "^d" 0/9 bytes 0/1 packets 0s`}, nil},
		{"ping and its answer", frames{ip(protoICMP, c, s, 0, []byte{8, 0, 0, 0, 0, 1, 0, 1, 1, 2}), ip(protoICMP, s, c, 0, []byte{0, 0, 0, 0, 0, 1, 0, 1, 1, 2})},
			[]string{`icmp 192.0.2.10 > 198.51.100.20 OTH "Dd" 2/2 bytes 1/1 packets 1ms`}, nil},
		{"answer to a ping alone", frames{ip(protoICMP, s, c, 0, []byte{0, 0, 0, 0, 0, 1, 0, 1})}, []string{`icmp 192.0.2.10 > 198.51.100.20 OTH "^d" 0/0 bytes 0/1 packets 0s`}, nil},
		{"port unreachable", frames{ip(protoICMP, s, c, 0, make([]byte, 36))[:14+20+36]}, []string{`icmp 192.0.2.10 > 198.51.100.20 OTH "^d" 0/28 bytes 0/1 packets 0s`}, nil},
		{"GRE", frames{ip(47, c, s, 0, make([]byte, 10))}, []string{`gre 192.0.2.10 > 198.51.100.20 OTH "D" 10/0 bytes 1/0 packets 0s`}, nil},
		{"tags", frames{tagged(ip(protoUDP, c, s, 0, datagram(client, dns, 1)), 7, 12), tagged(ip(protoUDP, c, s, 0, datagram(client, dns, 1)), 7, 13)},
			[]string{`udp 192.0.2.10:40000 > 198.51.100.20:53 S0 "D" 1/0 bytes 1/0 packets 0s`, `udp 192.0.2.10:40000 > 198.51.100.20:53 S0 "D" 1/0 bytes 1/0 packets 0s`}, nil},
		{"IPv6 behind an extension header", frames{ip(0, client6.Addr(), server6.Addr(), 0, hopByHop)}, []string{`tcp [2001:db8::10]:40000 > [2001:db8:1::20]:443 S0 "S" 0/0 bytes 1/0 packets 0s`}, nil},
		{"IPv6 fragments", frames{ip(44, client6.Addr(), server6.Addr(), 0, first), ip(44, client6.Addr(), server6.Addr(), 0, rest)},
			[]string{`udp [2001:db8::10]:40000 > [2001:db8:1::20]:443 S0 "D" 40/0 bytes 2/0 packets 1ms`}, nil},
		{"fragments", frames{ip(protoUDP, c, s, 0x2000, datagram(client, dns, 24)), ip(protoUDP, c, s, 4, make([]byte, 10)), ip(protoUDP, c, s, 4, make([]byte, 10))},
			[]string{`udp 192.0.2.10:40000 > 198.51.100.20:53 S0 "D" 34/0 bytes 2/0 packets 1ms`}, []string{"a fragment whose first was not seen"}},
		{"a TCP header in three pieces", frames{ip(protoTCP, c, s, 0x2000, syn[:8]), ip(protoTCP, c, s, 0x2001, syn[8:16]), ip(protoTCP, c, s, 2, syn[16:]), ip(protoTCP, s, c, 0, segment(server, client, flagRST|flagACK, 0, 0))},
			[]string{`tcp 192.0.2.10:40000 > 198.51.100.20:443 REJ "Sr" 0/0 bytes 2/1 packets 3ms`}, nil},
		{"half of a TCP header", frames{ip(protoTCP, c, s, 0x2000, syn[:8]), ip(protoTCP, c, s, 0x2003, syn[8:16])}, nil, []string{"a fragment whose first was not seen"}},
		{"ARP is passed over", frames{ether(0x0806, make([]byte, 28))}, nil, nil},
		{"broken headers", frames{{1, 2}, ether(0x0800, []byte{0x45}), ether(0x0800, make([]byte, 20)), ether(0x86dd, make([]byte, 8)), ip(protoTCP, c, s, 0, make([]byte, 20)), ip(protoUDP, c, s, 0, make([]byte, 4))}, nil,
			[]string{"the Ethernet header is cut short", "IPv4 header is cut short", "IPv4 header: its version or length is wrong", "IPv6 header is cut short", "TCP data offset: 0 bytes are less than the header's 20", "UDP header is cut short"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			got := decoded(t, capture(t, x.in, 0, time.Millisecond))
			var have []string
			for _, e := range got.Events {
				have = append(have, show(e))
			}
			if fmt.Sprint(have) != fmt.Sprint(x.want) || fmt.Sprint(got.Reasons) != fmt.Sprint(x.bad) {
				t.Errorf("got  %q, bad %q\nwant %q, bad %q", have, got.Reasons, x.want, x.bad)
			}
		})
	}
}

func TestSilenceAndNewConnectionsBetweenTheSamePorts(t *testing.T) {
	for _, c := range []struct {
		name, script string
		gap          time.Duration
		want         string
	}{
		{"refused twice", ">S <RA >S <RA", time.Millisecond, "REJ REJ"},
		{"closed, then again", ">S <SA >A >FA <FA >A >S <SA", time.Second, "SF S1"},
		{"silent for longer than five minutes", ">S <SA >A >PA:3", 301 * time.Second, "S0 OTH OTH OTH"},
		{"a straggler of a closed connection", ">S <SA >A >FA <FA >A", 2 * time.Second, "SF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var states []string
			for _, e := range decoded(t, capture(t, talk(client, server, c.script), 0, c.gap)).Events {
				states = append(states, e.Flow.State)
			}
			if got := strings.Join(states, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTheTableIsBounded(t *testing.T) {
	c := &decodetest.Collect{}
	tb := newTable(c, 10)
	for i := range 1000 {
		p := packet{time: begin.Add(time.Duration(i)), number: int64(i + 1), src: client.Addr(), dst: server.Addr(), proto: protoTCP, sport: uint16(2000 + i), dport: 22, flags: flagSYN}
		if err := tb.add(&p); err != nil {
			t.Fatal(err)
		}
		if len(tb.flows) > 10 {
			t.Fatalf("%d connections are open", len(tb.flows))
		}
	}
	for i := range 3 * maxFragments {
		_ = tb.add(&packet{time: begin, src: client.Addr(), dst: server.Addr(), proto: protoUDP, more: true, id: uint32(i)})
	}
	tb.flush()
	if len(c.Events) != 1001 || len(tb.flows) != 0 || len(tb.fragments) > maxFragments || c.Events[0].Src.Port != 2000 {
		t.Errorf("%d events, %d open, %d fragments, first %v", len(c.Events), len(tb.flows), len(tb.fragments), c.Events[0].Src)
	}
}

func TestCaptureThatIsCutShortGivesWhatWasInIt(t *testing.T) {
	b := capture(t, talk(client, server, ">S <RA >S"), 0, time.Millisecond)
	c := &decodetest.Collect{}
	err := read(context.Background(), "x", bytes.NewReader(b[:len(b)-5]), c)
	if err == nil || !strings.HasPrefix(err.Error(), "packet 3: ") || len(c.Events) != 1 || c.Events[0].Flow.State != "REJ" {
		t.Errorf("%v, %d events", err, len(c.Events))
	}
	if err := read(context.Background(), "x", bytes.NewReader(b[:10]), c); err == nil {
		t.Error("a header cut short is taken")
	}
}

// nextGen writes the frames as pcapng, Ethernet on one interface and raw IP on another.
func nextGen(t testing.TB, fs frames) []byte {
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := w.AddInterface(pcapgo.NgInterface{LinkType: layers.LinkTypeRaw, TimestampResolution: 9})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fs {
		ci := gopacket.CaptureInfo{Timestamp: begin.Add(time.Duration(i) * time.Millisecond), CaptureLength: len(f), Length: len(f)}
		if i%2 == 1 {
			f, ci.InterfaceIndex = f[14:], raw
			ci.CaptureLength, ci.Length = len(f), len(f)
		}
		if err := w.WritePacket(ci, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBothKindsOfFileGiveTheSame(t *testing.T) {
	fs := talk(client, server, ">S <SA >A >PA:40 <PA:9 >FA <FA >A")
	a, b := decoded(t, capture(t, fs, 0, time.Millisecond)), decoded(t, nextGen(t, fs))
	if len(a.Events) != 1 || len(b.Events) != 1 || show(a.Events[0]) != show(b.Events[0]) || a.Events[0].SourceID != b.Events[0].SourceID {
		t.Errorf("pcap %v, pcapng %v, bad %v", a.Events, b.Events, b.Reasons)
	}
}

func TestLinkTypes(t *testing.T) {
	inner := ip(protoTCP, client.Addr(), server.Addr(), 0, segment(client, server, flagSYN, 1, 0))[14:]
	cooked, cooked2 := make([]byte, 16), make([]byte, 20)
	cooked[14], cooked2[0] = 8, 8
	for _, c := range []struct {
		link layers.LinkType
		head []byte
		want string
	}{
		{layers.LinkTypeRaw, nil, ""}, {12, nil, ""}, {layers.LinkTypeIPv4, nil, ""}, {layers.LinkTypeNull, []byte{2, 0, 0, 0}, ""},
		{layers.LinkTypeLinuxSLL, cooked, ""}, {276, cooked2, ""}, {layers.LinkTypeIEEE802_11, nil, "link type 105 is not read"},
	} {
		var p packet
		err := p.frame(c.link, append(bytes.Clone(c.head), inner...), len(c.head)+len(inner))
		if c.want == "" && (err != nil || p.src != client.Addr() || p.dport != 443 || p.flags != flagSYN) || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("link type %d: %v, %+v", c.link, err, p)
		}
	}
}

func FuzzCapture(f *testing.F) {
	fs := append(talk(client, server, ">S <SA >A >PA:40 <PA:9 >FA <FA"), talk(client6, server6, "<SA >R")...)
	fs = append(fs, ip(protoUDP, client.Addr(), server.Addr(), 0x2000, datagram(client, server, 24)), ip(protoUDP, client.Addr(), server.Addr(), 4, make([]byte, 10)))
	fs = append(fs, ip(44, client6.Addr(), server6.Addr(), 0, append([]byte{0, 0, 0, 1, 0, 0, 0, 9}, make([]byte, 24)...)))
	f.Add(capture(f, fs, 0, time.Millisecond))
	f.Add(capture(f, fs, 60, time.Minute))
	f.Add(nextGen(f, fs))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &decodetest.Collect{}
		_ = read(context.Background(), "x", bytes.NewReader(b), c)
		for _, e := range c.Events {
			decodetest.Check(t, e)
			if e.Flow.Duration < 0 || e.Flow.OrigBytes < 0 || e.Flow.RespBytes < 0 || e.Flow.OrigPkts+e.Flow.RespPkts == 0 {
				t.Fatalf("impossible: %s", show(e))
			}
		}
	})
}

// FuzzFrame tries what stands in a packet under every link type.
func FuzzFrame(f *testing.F) {
	for _, x := range talk(client, server, ">S <SA") {
		f.Add(uint16(1), x, 60)
		f.Add(uint16(101), x[14:], 60)
	}
	f.Add(uint16(1), ip(0, client6.Addr(), server6.Addr(), 0, make([]byte, 80)), 94)
	f.Fuzz(func(t *testing.T, link uint16, b []byte, length int) {
		p := packet{time: begin}
		if p.frame(layers.LinkType(link), b, length) == nil {
			c := &decodetest.Collect{}
			tb := newTable(c, 4)
			_ = tb.add(&p)
			tb.flush()
		}
	})
}
