package netflow

import (
	"cmp"
	"encoding/hex"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/zeebo/xxh3"
)

// What a record tells.
const (
	toldFlags  uint8 = 1 << iota // TCP flags of the direction at hand
	toldRFlags                   // TCP flags of the opposite direction
	bothWays                     // both directions are in it
	oneSample                    // it is one packet, picked by sFlow
	toldICMP
	exportTime   // it had no times: that of its export
	receivedTime // it had no times, and the exporter's clock is not set
	turned       // source and destination were exchanged: only answers were seen
)

// IP protocols.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// record is one flow as it was exported, of one direction or of both.
type record struct {
	exporter, agent netip.Addr
	src, dst        netip.Addr
	xsrc, xdst      netip.Addr // after translation; invalid where not told
	start, end      int64      // nanoseconds since 1970
	at              int64      // when it came, on the clock of the hold
	datagram        int64      // the ordinal of the datagram that told it
	pkts, bytes     uint64
	rpkts, rbytes   uint64
	domain          uint32
	in, out         uint32 // interfaces
	sampling        uint32 // 0 and 1: every packet was counted
	sport, dport    uint16
	xsport, xdport  uint16
	vlan            uint16
	part            uint16 // of a connection in parts: 2 for the second
	uid             uint64
	version, proto  uint8
	flags, rflags   uint8
	kind, code      uint8 // ICMP
	direction       uint8 // 0 ingress, 1 egress
	reason          uint8 // flowEndReason, 0 not told
	event           uint8 // firewallEvent, 0 not told
	told            uint8
}

func (r *record) is(bit uint8) bool { return r.told&bit != 0 }

// key is a connection's identity, the same for both directions: a is the lesser side, or of ICMP the one that asks.
type key struct {
	exporter     netip.Addr
	a, b         netip.Addr
	aPort, bPort uint16
	proto, kind  uint8
}

// requests are the ICMP types that answer, with the type that they answer (RFC 792, RFC 950, RFC 4443).
var (
	requests   = map[uint8]uint8{0: 8, 14: 13, 16: 15, 18: 17}
	requestsV6 = map[uint8]uint8{129: 128}
)

// request returns the ICMP type that opens the exchange, and whether the record is its answer.
func (r *record) request() (kind uint8, answer bool) {
	list := requests
	if r.proto == protoICMPv6 {
		list = requestsV6
	}
	if kind, answer = list[r.kind]; answer {
		return kind, true
	}
	return r.kind, false
}

func (r *record) icmp() bool { return r.proto == protoICMP || r.proto == protoICMPv6 }

// key returns the record's connection, by the addresses that both directions share: the inner source, and the
// destination behind a translation. Forward says that its source is the key's a.
func (r *record) key() (k key, forward bool) {
	src, dst, sport, dport := r.src, r.dst, r.sport, r.dport
	if r.xdst.IsValid() {
		dst = r.xdst
	}
	if r.xdport != 0 {
		dport = r.xdport
	}
	k = key{exporter: r.exporter, proto: r.proto}
	if r.icmp() { // two hosts may ask each other at once; the type tells who asks
		var answer bool
		if k.kind, answer = r.request(); answer {
			k.a, k.b = dst, src
			return k, false
		}
		k.a, k.b = src, dst
		return k, true
	}
	if c := cmp.Or(src.Compare(dst), cmp.Compare(sport, dport)); c > 0 {
		k.a, k.b, k.aPort, k.bPort = dst, src, dport, sport
		return k, false
	}
	k.a, k.b, k.aPort, k.bPort = src, dst, sport, dport
	return k, true
}

// hash identifies the connection that began then.
func (k *key) hash(start int64) uint64 {
	b := make([]byte, 0, 64)
	for _, a := range [...]netip.Addr{k.exporter, k.a, k.b} {
		x := a.As16()
		b = append(b, x[:]...)
	}
	b = append(b, byte(k.aPort>>8), byte(k.aPort), byte(k.bPort>>8), byte(k.bPort), k.proto, k.kind)
	return xxh3.HashSeed(b, uint64(start))
}

// clamp makes times and counts agree.
func (r *record) clamp() {
	if r.end < r.start {
		r.end = r.start
	}
	if r.end-r.start > int64(maxDuration) {
		r.start = r.end - int64(maxDuration)
	}
	f := uint64(max(r.sampling, 1))
	for _, n := range [...]*uint64{&r.pkts, &r.bytes, &r.rpkts, &r.rbytes} {
		if *n > math.MaxInt64/f {
			*n = math.MaxInt64
		} else {
			*n *= f
		}
	}
}

// maxDuration is how long one exported flow may have taken; a 32-bit uptime tells no longer ones.
const maxDuration = 49 * 24 * time.Hour

// source is the value of the field source by which our lines are known.
const source = "netflow"

// appendLine appends the record as a line of JSON without its line end. Fields that tell nothing are left out.
func (r *record) appendLine(b []byte) []byte {
	b = append(b, `{"source":"`+source+`","version":`...)
	b = strconv.AppendUint(b, uint64(r.version), 10)
	b = appendAddr(b, `,"exporter":"`, r.exporter)
	if r.agent != r.exporter {
		b = appendAddr(b, `,"agent":"`, r.agent)
	}
	b = appendCount(b, `,"domain":`, uint64(r.domain))
	var id [8]byte
	for i := range id {
		id[i] = byte(r.uid >> (56 - 8*i))
	}
	b = append(b, `,"uid":"`...)
	b = hex.AppendEncode(b, id[:])
	b = append(b, `","start":"`...)
	b = time.Unix(0, r.start).UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","end":"`...)
	b = time.Unix(0, r.end).UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","proto":`...)
	b = strconv.AppendUint(b, uint64(r.proto), 10)
	b = appendAddr(b, `,"src":"`, r.src)
	b = appendAddr(b, `,"dst":"`, r.dst)
	if r.icmp() {
		if r.is(toldICMP) {
			b = append(b, `,"icmp_type":`...)
			b = strconv.AppendUint(b, uint64(r.kind), 10)
			b = append(b, `,"icmp_code":`...)
			b = strconv.AppendUint(b, uint64(r.code), 10)
		}
	} else {
		b = appendCount(b, `,"sport":`, uint64(r.sport))
		b = appendCount(b, `,"dport":`, uint64(r.dport))
	}
	b = append(b, `,"pkts":`...)
	b = strconv.AppendUint(b, r.pkts, 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendUint(b, r.bytes, 10)
	b = append(b, `,"rpkts":`...)
	b = strconv.AppendUint(b, r.rpkts, 10)
	b = append(b, `,"rbytes":`...)
	b = strconv.AppendUint(b, r.rbytes, 10)
	if r.proto == protoTCP && r.is(toldFlags) {
		b = append(b, `,"flags":`...)
		b = strconv.AppendUint(b, uint64(r.flags), 10)
	}
	if r.proto == protoTCP && r.is(toldRFlags) {
		b = append(b, `,"rflags":`...)
		b = strconv.AppendUint(b, uint64(r.rflags), 10)
	}
	return append(r.appendRest(b), '}')
}

func (r *record) appendRest(b []byte) []byte {
	if !r.is(bothWays) {
		b = append(b, `,"half":true`...)
	}
	if r.is(turned) {
		b = append(b, `,"turned":true`...)
	}
	switch {
	case r.is(receivedTime):
		b = append(b, `,"clock":"received"`...)
	case r.is(exportTime):
		b = append(b, `,"clock":"export"`...)
	}
	if r.sampling > 1 {
		b = appendCount(b, `,"sampling":`, uint64(r.sampling))
	}
	b = appendCount(b, `,"part":`, uint64(r.part))
	if r.xsrc != r.src {
		b = appendAddr(b, `,"post_src":"`, r.xsrc)
	}
	if r.xdst != r.dst {
		b = appendAddr(b, `,"post_dst":"`, r.xdst)
	}
	if r.xsport != r.sport {
		b = appendCount(b, `,"post_sport":`, uint64(r.xsport))
	}
	if r.xdport != r.dport {
		b = appendCount(b, `,"post_dport":`, uint64(r.xdport))
	}
	b = appendCount(b, `,"in":`, uint64(r.in))
	b = appendCount(b, `,"out":`, uint64(r.out))
	b = appendCount(b, `,"vlan":`, uint64(r.vlan))
	b = appendCount(b, `,"end_reason":`, uint64(r.reason))
	return appendCount(b, `,"firewall_event":`, uint64(r.event))
}

func appendAddr(b []byte, name string, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	return append(a.AppendTo(append(b, name...)), '"')
}

func appendCount(b []byte, name string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendUint(append(b, name...), n, 10)
}
