package pcap

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// letter is one of Zeek's history letters, as a bit.
type letter uint8

const (
	letterS letter = 1 << iota
	letterH
	letterA
	letterD
	letterF
	letterR
)

// side is what one side of a connection did.
type side struct {
	packets int64
	bytes   int64
	did     letter
	next    uint32 // sequence number that follows what was seen; counts nothing twice
	known   bool   // next is set
}

// flow is a connection as it is followed.
type flow struct {
	key          key
	src, dst     netip.Addr
	sport, dport uint16
	kind, code   uint8 // ICMP, of the first packet
	start, last  time.Time
	number       int64 // of the first packet
	turned       bool  // the first packet was an answer
	orig, resp   side
	history      []byte
}

// newFlow opens a connection with its first packet, which is not counted yet.
func newFlow(k key, p *packet) *flow {
	f := &flow{key: k, src: p.src, dst: p.dst, sport: p.sport, dport: p.dport, kind: p.kind, code: p.code,
		start: p.time, last: p.time, number: p.number, turned: p.answers()}
	if p.fragment { // its connection ended before it came
		f.sport, f.dport = k.aPort, k.bPort
		if p.src != k.a {
			f.sport, f.dport = k.bPort, k.aPort
		}
	}
	if f.turned {
		f.src, f.dst, f.sport, f.dport = f.dst, f.src, f.dport, f.sport
		f.history = append(f.history, '^')
	}
	if kind, answer := p.request(); answer {
		f.kind = kind
	}
	return f
}

// answers reports whether a connection's first packet is an answer, so that its originator is the other side.
func (p *packet) answers() bool {
	served := p.sport < 1024 && p.sport != 0
	switch p.proto {
	case protoTCP:
		switch {
		case p.flags&flagSYN != 0:
			return p.flags&flagACK != 0
		case p.flags&flagRST != 0:
			return p.flags&flagACK != 0 || served && p.dport >= 1024
		}
		return p.flags&flagACK != 0 && served && p.dport >= 1024
	case protoUDP:
		return served && p.dport >= 32768
	}
	_, answer := p.request()
	return answer
}

// over reports whether a TCP connection was reset or closed from both sides.
func (f *flow) over() bool {
	return (f.orig.did|f.resp.did)&letterR != 0 || f.orig.did&f.resp.did&letterF != 0
}

// renewedBy reports whether the packet begins another connection between the same ports.
func (f *flow) renewedBy(p *packet) bool {
	return f.key.proto == protoTCP && !p.fragment && p.flags&(flagSYN|flagACK|flagRST) == flagSYN && f.over()
}

// add counts a packet.
func (f *flow) add(p *packet) {
	if p.time.After(f.last) {
		f.last = p.time
	}
	s, low := &f.orig, byte(0)
	if p.src != f.src || !p.fragment && f.src == f.dst && p.sport != f.sport {
		s, low = &f.resp, 'a'-'A'
	}
	s.packets++
	if f.key.proto != protoTCP || p.fragment {
		s.bytes += p.payload
		if p.payload > 0 || f.key.proto != protoTCP {
			f.note(s, letterD, 'D'+low)
		}
		return
	}
	f.count(s, p)
	switch {
	case p.flags&(flagSYN|flagACK) == flagSYN|flagACK:
		f.note(s, letterH, 'H'+low)
	case p.flags&flagSYN != 0:
		f.note(s, letterS, 'S'+low)
	case p.flags&(flagFIN|flagRST) == 0 && p.payload == 0 && p.flags&flagACK != 0:
		f.note(s, letterA, 'A'+low)
	}
	if p.payload > 0 && p.flags&flagRST == 0 {
		f.note(s, letterD, 'D'+low)
	}
	if p.flags&flagFIN != 0 {
		f.note(s, letterF, 'F'+low)
	}
	if p.flags&flagRST != 0 {
		f.note(s, letterR, 'R'+low)
	}
}

// count adds the payload that was not seen before.
func (f *flow) count(s *side, p *packet) {
	if p.flags&flagRST != 0 {
		return
	}
	from := p.seq
	if p.flags&flagSYN != 0 {
		from++
	}
	end := from + uint32(p.payload)
	fresh := p.payload
	if s.known {
		// Serial numbers, RFC 1982: what lies up to half of the space ahead is new.
		ahead := int64(int32(end - s.next))
		fresh = min(fresh, max(ahead, 0))
		if ahead < 0 {
			end = s.next
		}
	}
	s.bytes += fresh
	s.next, s.known = end, true
}

func (f *flow) note(s *side, l letter, c byte) {
	if s.did&l == 0 {
		s.did |= l
		f.history = append(f.history, c)
	}
}

// state returns Zeek's conn_state; the package comment has the table.
func (f *flow) state() string {
	o, r := f.orig.did, f.resp.did
	switch f.key.proto {
	case protoTCP:
	case protoUDP:
		switch {
		case f.orig.packets > 0 && f.resp.packets > 0:
			return "SF"
		case f.orig.packets > 0:
			return "S0"
		}
		return "SHR"
	default:
		return "OTH"
	}
	met := r&(letterH|letterA|letterD|letterS) != 0 // the responder took part
	switch {
	case o&letterS == 0:
		return halfSeen(o, r)
	case r&letterR != 0 && met:
		return "RSTR"
	case r&letterR != 0:
		return "REJ"
	case o&letterR != 0 && met:
		return "RSTO"
	case o&letterR != 0:
		return "RSTOS0"
	case o&letterF != 0 && r&letterF != 0:
		return "SF"
	case o&letterF != 0 && met:
		return "S2"
	case o&letterF != 0:
		return "SH"
	case r&letterF != 0:
		return "S3"
	case met:
		return "S1"
	case o&(letterA|letterD|letterH) != 0:
		return "OTH" // the originator goes on as if it was answered: only its side was seen
	}
	return "S0"
}

// halfSeen returns the state of a connection whose SYN was not seen.
func halfSeen(o, r letter) string {
	switch {
	case r&letterH == 0 || o != 0:
		return "OTH"
	case r&letterR != 0:
		return "RSTRH"
	case r&letterF != 0:
		return "SHR"
	}
	return "OTH"
}

// protocols are the names of IP protocols, IANA's in lower case, but for ICMPv6 that Zeek calls icmp.
var protocols = map[uint8]string{protoICMP: "icmp", 2: "igmp", 4: "ipv4", protoTCP: "tcp", protoUDP: "udp", 41: "ipv6",
	47: "gre", 50: "esp", 51: "ah", protoICMPv6: "icmp", 89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp"}

func protocol(n uint8) string {
	if s, ok := protocols[n]; ok {
		return s
	}
	return "ip-" + strconv.Itoa(int(n))
}

// event returns the connection as an event.
func (f *flow) event() *ocsf.Event {
	e := &ocsf.Event{Time: f.start, Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Source: "pcap/conn",
		Src: ocsf.Endpoint{IP: f.src.Unmap(), Port: f.sport}, Dst: ocsf.Endpoint{IP: f.dst.Unmap(), Port: f.dport},
		Flow: &ocsf.Flow{Proto: protocol(f.key.proto), State: f.state(), History: string(f.history), Duration: max(f.last.Sub(f.start), 0),
			OrigBytes: f.orig.bytes, RespBytes: f.resp.bytes, OrigPkts: f.orig.packets, RespPkts: f.resp.packets}}
	e.Activity, e.Status = decode.FlowOutcome(e.Flow.State)
	e.SourceID = fmt.Sprintf("%d|%d|%d|%s|%s|%d|%d", f.start.UnixNano(), f.number, f.key.proto, netip.AddrPortFrom(e.Src.IP, f.sport), netip.AddrPortFrom(e.Dst.IP, f.dport), f.kind, f.key.vlan)
	if f.key.proto == protoICMP || f.key.proto == protoICMPv6 {
		e.Fields = append(e.Fields, ocsf.Field{Name: "icmp_code", Value: strconv.Itoa(int(f.code))}, ocsf.Field{Name: "icmp_type", Value: strconv.Itoa(int(f.kind))})
	}
	if f.key.vlan != 0 {
		e.Fields = append(e.Fields, ocsf.Field{Name: "vlan", Value: strconv.Itoa(int(f.key.vlan))})
	}
	e.Fields.Sort()
	return e
}
