package netflow

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"
)

// Information elements by their numbers in IANA's registry "IP Flow Information Export (IPFIX) Entities"; those below
// 128 are NetFlow v9's (RFC 3954 8), and 33000 up are Cisco's of NSEL.
const (
	ieOctetDelta        = 1
	iePacketDelta       = 2
	ieProtocol          = 4
	ieTCPFlags          = 6
	ieSrcPort           = 7
	ieSrc4              = 8
	ieIngress           = 10
	ieDstPort           = 11
	ieDst4              = 12
	ieEgress            = 14
	ieEndUptime         = 21
	ieStartUptime       = 22
	iePostOctetDelta    = 23
	iePostPacketDelta   = 24
	ieSrc6              = 27
	ieDst6              = 28
	ieICMP4             = 32
	ieSamplingInterval  = 34
	ieSamplerID         = 48
	ieSamplerInterval   = 50
	ieVLAN              = 58
	ieIPVersion         = 60
	ieDirection         = 61
	ieOctetTotal        = 85
	iePacketTotal       = 86
	ieEndReason         = 136
	ieICMP6             = 139
	ieStartSeconds      = 150
	ieEndSeconds        = 151
	ieStartMillis       = 152
	ieEndMillis         = 153
	ieStartMicros       = 154
	ieEndMicros         = 155
	ieStartNanos        = 156
	ieEndNanos          = 157
	ieStartDelta        = 158
	ieEndDelta          = 159
	ieSystemInit        = 160
	ieDurationMillis    = 161
	ieDurationMicros    = 162
	ieICMP4Type         = 176
	ieICMP4Code         = 177
	ieICMP6Type         = 178
	ieICMP6Code         = 179
	ieUDPSrcPort        = 180
	ieUDPDstPort        = 181
	ieTCPSrcPort        = 182
	ieTCPDstPort        = 183
	iePostSrc4          = 225
	iePostDst4          = 226
	iePostSrcPort       = 227
	iePostDstPort       = 228
	ieInitiatorOctets   = 231
	ieResponderOctets   = 232
	ieFirewallEvent     = 233
	ieBiflowDirection   = 239
	iePostSrc6          = 281
	iePostDst6          = 282
	ieInitiatorPackets  = 298
	ieResponderPackets  = 299
	ieSelectorID        = 302
	ieSamplingPackets   = 305
	ieSamplingSpace     = 306
	ieSamplingSize      = 309
	ieSamplingPopulate  = 310
	ieSamplingProbable  = 311
	ieObservationMillis = 323
)

// reverse is the enterprise number under which an element counts for the opposite direction (RFC 5103 6.1).
const reverse = 29305

// Reasons for which a flow ended (RFC 5102 5.11.3) and firewall events (Cisco NSEL, IANA firewallEvent).
const (
	endActiveTimeout = 2
	endOfFlow        = 3

	flowCreated = 1
	flowDenied  = 3
)

// clock is what a datagram's header says of time.
type clock struct {
	export int64 // nanoseconds since 1970 of the header; 0 unset
	uptime uint32
	at     int64 // nanoseconds since 1970 of that uptime; 0 unknown
}

// isSet reports whether a time is one that a clock shows which was set: of 2000 to 2099, about.
func isSet(nanos int64) bool {
	const year = int64(365*24+6) * int64(time.Hour)
	return nanos > 30*year && nanos < 130*year-year/100
}

// relative returns the time at an uptime in milliseconds, which wraps at 2^32 (RFC 3954 5.1), as the one nearest to
// that of the header.
func (c *clock) relative(uptime uint32) int64 {
	return c.at + int64(int32(uptime-c.uptime))*1e6
}

// fields collects the values of one record that depend on each other.
type fields struct {
	record
	first, last     uint32 // uptimes
	hasFirst        bool
	hasLast         bool
	start, end      int64 // absolute, nanoseconds; 0 not told
	duration        int64
	deltaStart      uint32 // microseconds before the export
	deltaEnd        uint32
	hasDelta        bool
	observed        int64
	sampler         uint64
	interval, space uint64
	size, populate  uint64
	probability     float64
	systemInit      int64
	octets, packets uint64 // totals, in place of deltas
	swapped         bool   // biflowDirection: the reverse direction began
	version         uint8  // IP
}

func number(b []byte) (n uint64) {
	if len(b) > 8 {
		b = b[len(b)-8:]
	}
	switch len(b) {
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 1:
		return uint64(b[0])
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func address(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap()
}

// milliseconds and seconds that are told within the years a clock may show.
func epoch(n, unit uint64) int64 {
	if n > math.MaxInt64/unit {
		return 0
	}
	return int64(n * unit)
}

// ntp reads a time of 64 bits in NTP's form, RFC 7011 6.1.9.
func ntp(n uint64) int64 {
	const since1900 = 2_208_988_800
	s := int64(n>>32) - since1900
	if s < 0 {
		return 0
	}
	return s*1e9 + int64((n&math.MaxUint32)*1e9>>32)
}

// set takes one value. The hot elements of ordinary exporters come first.
func (f *fields) set(id uint16, b []byte) {
	switch id {
	case ieSrc4, ieSrc6:
		if a := address(b); !f.src.IsValid() || !a.IsUnspecified() {
			f.src = a
		}
	case ieDst4, ieDst6:
		if a := address(b); !f.dst.IsValid() || !a.IsUnspecified() {
			f.dst = a
		}
	case ieStartUptime:
		f.first, f.hasFirst = uint32(number(b)), true
	case ieEndUptime:
		f.last, f.hasLast = uint32(number(b)), true
	case ieOctetDelta:
		f.bytes = number(b)
	case iePacketDelta:
		f.pkts = number(b)
	case ieIngress:
		f.in = uint32(number(b))
	case ieEgress:
		f.out = uint32(number(b))
	case ieSrcPort, ieUDPSrcPort, ieTCPSrcPort:
		f.sport = uint16(number(b))
	case ieDstPort, ieUDPDstPort, ieTCPDstPort:
		f.dport = uint16(number(b))
	case ieProtocol:
		f.proto = uint8(number(b))
	case ieTCPFlags:
		f.flags, f.told = uint8(number(b)), f.told|toldFlags
	case ieIPVersion:
		f.version = uint8(number(b))
	case ieDirection:
		f.direction = uint8(number(b))
	case ieEndReason:
		f.reason = uint8(number(b))
	case ieVLAN:
		f.vlan = uint16(number(b)) & 0xfff
	default:
		if !f.setTime(id, b) && !f.setSampling(id, b) {
			f.setRare(id, b)
		}
	}
}

func (f *fields) setTime(id uint16, b []byte) bool {
	switch n := number(b); id {
	case ieStartSeconds:
		f.start = epoch(n, 1e9)
	case ieEndSeconds:
		f.end = epoch(n, 1e9)
	case ieStartMillis:
		f.start = epoch(n, 1e6)
	case ieEndMillis:
		f.end = epoch(n, 1e6)
	case ieStartMicros, ieStartNanos:
		f.start = ntp(n)
	case ieEndMicros, ieEndNanos:
		f.end = ntp(n)
	case ieStartDelta:
		f.deltaStart, f.hasDelta = uint32(n), true
	case ieEndDelta:
		f.deltaEnd, f.hasDelta = uint32(n), true
	case ieDurationMillis:
		f.duration = int64(n&math.MaxUint32) * 1e6
	case ieDurationMicros:
		f.duration = int64(n&math.MaxUint32) * 1e3
	case ieObservationMillis:
		f.observed = epoch(n, 1e6)
	case ieSystemInit:
		f.systemInit = epoch(n, 1e6)
	default:
		return false
	}
	return true
}

func (f *fields) setSampling(id uint16, b []byte) bool {
	switch n := number(b); id {
	case ieSamplingInterval, ieSamplerInterval:
		f.interval, f.space = 1, max(n, 1)-1
	case ieSamplerID, ieSelectorID:
		f.sampler = n
	case ieSamplingPackets:
		f.interval = n
	case ieSamplingSpace:
		f.space = n
	case ieSamplingSize:
		f.size = n
	case ieSamplingPopulate:
		f.populate = n
	case ieSamplingProbable:
		if len(b) == 8 {
			f.probability = math.Float64frombits(n)
		} else if len(b) == 4 {
			f.probability = float64(math.Float32frombits(uint32(n)))
		}
	default:
		return false
	}
	return true
}

func (f *fields) setRare(id uint16, b []byte) {
	switch n := number(b); id {
	case ieICMP4, ieICMP6:
		f.kind, f.code, f.told = uint8(n>>8), uint8(n), f.told|toldICMP
	case ieICMP4Type, ieICMP6Type:
		f.kind, f.told = uint8(n), f.told|toldICMP
	case ieICMP4Code, ieICMP6Code:
		f.code = uint8(n)
	case ieOctetTotal:
		f.octets = n
	case iePacketTotal:
		f.packets = n
	case iePostOctetDelta:
		if f.bytes == 0 {
			f.bytes = n
		}
	case iePostPacketDelta:
		if f.pkts == 0 {
			f.pkts = n
		}
	case iePostSrc4, iePostSrc6:
		f.xsrc = translated(b)
	case iePostDst4, iePostDst6:
		f.xdst = translated(b)
	case iePostSrcPort:
		f.xsport = uint16(n)
	case iePostDstPort:
		f.xdport = uint16(n)
	case ieInitiatorOctets:
		f.bytes, f.told = n, f.told|bothWays
	case ieResponderOctets:
		f.rbytes, f.told = n, f.told|bothWays
	case ieInitiatorPackets:
		f.pkts, f.told = n, f.told|bothWays
	case ieResponderPackets:
		f.rpkts, f.told = n, f.told|bothWays
	case ieFirewallEvent:
		f.event, f.told = uint8(n), f.told|bothWays
	case ieBiflowDirection:
		f.swapped = n == 2
	}
}

// translated reads an address after translation; exporters write zeros where nothing was translated.
func translated(b []byte) netip.Addr {
	if a := address(b); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

// setReverse takes a value of the opposite direction (RFC 5103).
func (f *fields) setReverse(id uint16, b []byte) {
	switch n := number(b); id {
	case ieOctetDelta, ieOctetTotal:
		f.rbytes, f.told = n, f.told|bothWays
	case iePacketDelta, iePacketTotal:
		f.rpkts, f.told = n, f.told|bothWays
	case ieTCPFlags:
		f.rflags, f.told = uint8(n), f.told|bothWays|toldRFlags
	}
}

// factor returns the sampling factor that the values tell; 0 where they tell none.
func (f *fields) factor() uint32 {
	n := uint64(0)
	switch {
	case f.probability > 0 && f.probability <= 1:
		n = uint64(math.Round(1 / f.probability))
	case f.size > 0 && f.populate > 0:
		n = f.populate / f.size
	case f.interval > 0 && f.space <= maxSampling:
		n = (f.interval + f.space) / f.interval
	}
	if n == 0 || n > maxSampling {
		return 0
	}
	return uint32(n)
}

// finish makes the record of its values; ok is false where they tell of no flow.
func (f *fields) finish(c *clock, received int64) (*record, bool) {
	r := &f.record
	if !r.src.IsValid() || !r.dst.IsValid() || r.src.Is4() != r.dst.Is4() {
		return nil, false
	}
	if r.pkts == 0 && f.packets > 0 {
		r.pkts = f.packets
	}
	if r.bytes == 0 && f.octets > 0 {
		r.bytes = f.octets
	}
	f.times(c, received)
	if r.icmp() && !r.is(toldICMP) && (r.dport != 0 || r.sport == 0) && r.told&bothWays == 0 {
		r.kind, r.code, r.told = uint8(r.dport>>8), uint8(r.dport), r.told|toldICMP // v5's way
	}
	if r.is(bothWays) && r.rpkts == 0 && r.rbytes > 0 {
		r.rpkts = 1
	}
	if f.swapped {
		r.swap()
	}
	return r, true
}

// swap exchanges the sides.
func (r *record) swap() {
	// An answer comes from where the question ended, and ends where it came from; translations are seen from behind.
	from, to := *r, r
	to.src, to.xsrc = from.dst, netip.Addr{}
	if from.xdst.IsValid() {
		to.src, to.xsrc = from.xdst, from.dst
	}
	to.dst, to.xdst = from.src, netip.Addr{}
	if from.xsrc.IsValid() {
		to.dst, to.xdst = from.xsrc, from.src
	}
	to.sport, to.xsport = from.dport, 0
	if from.xdport != 0 {
		to.sport, to.xsport = from.xdport, from.dport
	}
	to.dport, to.xdport = from.sport, 0
	if from.xsport != 0 {
		to.dport, to.xdport = from.xsport, from.sport
	}
	to.in, to.out = from.out, from.in
	r.pkts, r.rpkts, r.bytes, r.rbytes = r.rpkts, r.pkts, r.rbytes, r.bytes
	r.flags, r.rflags = r.rflags, r.flags
	mine, theirs := r.told&toldFlags, r.told&toldRFlags
	r.told &^= toldFlags | toldRFlags
	if mine != 0 {
		r.told |= toldRFlags
	}
	if theirs != 0 {
		r.told |= toldFlags
	}
}

// times settles when the flow was.
func (f *fields) times(c *clock, received int64) {
	r := &f.record
	switch {
	case f.start != 0 || f.end != 0:
		r.start, r.end = f.start, f.end
		if r.start == 0 {
			r.start = r.end - f.duration
		}
		if r.end == 0 {
			r.end = max(r.start+f.duration, f.observed)
		}
	case f.hasDelta && c.export != 0:
		r.start = c.export - int64(f.deltaStart)*1e3
		r.end = c.export - int64(f.deltaEnd)*1e3
	case (f.hasFirst || f.hasLast) && c.at != 0:
		if !f.hasFirst {
			f.first = f.last
		}
		if !f.hasLast {
			f.last = f.first
		}
		r.start, r.end = c.relative(f.first), c.relative(f.last)
	default:
		r.end = c.export
		if f.observed != 0 {
			r.end = f.observed
		} else {
			r.told |= exportTime
		}
		r.start = r.end - f.duration
		if f.hasFirst && f.hasLast { // uptimes without the boot's time: how long it took is known
			r.start = r.end - max(0, int64(int32(f.last-f.first)))*1e6
		}
	}
	if !isSet(r.start) || !isSet(r.end) {
		took := max(0, r.end-r.start)
		if took > int64(maxDuration) {
			took = 0
		}
		r.end = received
		r.start = r.end - took
		r.told |= receivedTime
	}
}
