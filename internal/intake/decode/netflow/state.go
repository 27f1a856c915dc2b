package netflow

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// told is what a line says that the outcome of a flow follows from.
type told struct {
	proto               uint8
	flags, rflags       decode.TCPFlags
	hasFlags, hasRFlags bool
	bytes, rbytes       int64
	half, turned        bool
	sampled             bool // packets were picked: a missing answer says nothing
	part                bool // the connection began before
	denied              bool // by the firewall that exports
	v6                  bool
}

// Sizes of headers. A TCP header has up to 40 bytes of options (RFC 9293 3.1).
const (
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
	tcpOptions = 40
	udpHeader  = 8
)

func (t *told) ip() int64 {
	if t.v6 {
		return ipv6Header
	}
	return ipv4Header
}

// payload estimates the bytes above the transport header of one side. A side of TCP that never pushed and sent no
// more than headers with options may have, sent none.
func (t *told) payload(bytes, packets int64, flags decode.TCPFlags) int64 {
	if packets > 1<<48 { // nobody counted that
		return bytes
	}
	switch t.proto {
	case protoTCP:
		if flags&decode.FlagPSH == 0 && bytes <= packets*(t.ip()+tcpHeader+tcpOptions) {
			return 0
		}
		return max(0, bytes-packets*(t.ip()+tcpHeader))
	case protoUDP, protoICMP, protoICMPv6:
		return max(0, bytes-packets*(t.ip()+udpHeader))
	}
	return max(0, bytes-packets*t.ip())
}

// outcome fills payload bytes, state and history; packets are there.
func (t *told) outcome(f *ocsf.Flow) {
	f.OrigBytes, f.RespBytes = t.payload(t.bytes, f.OrigPkts, t.flags), t.payload(t.rbytes, f.RespPkts, t.rflags)
	switch t.proto {
	case protoTCP:
		t.tcp(f)
	case protoUDP:
		t.udp(f)
	default:
		f.State = "OTH"
		if f.History = spoke(f); t.turned {
			f.History = "^" + f.History
		}
	}
	if t.part {
		// A later part is no beginning, whatever it looks like.
		f.State, f.History = "OTH", strings.TrimLeft(f.History, "^S")
	}
}

// spoke says which sides sent anything, in Zeek's letters.
func spoke(f *ocsf.Flow) (h string) {
	if f.OrigPkts > 0 {
		h = "D"
	}
	if f.RespPkts > 0 {
		h += "d"
	}
	return h
}

func (t *told) udp(f *ocsf.Flow) {
	f.History = spoke(f)
	switch {
	case t.turned:
		f.State, f.History = "SHR", "^d"
	case f.RespPkts > 0 && f.OrigPkts > 0:
		f.State = "SF"
	case t.sampled:
		f.State = "OTH"
	default:
		f.State = "S0"
	}
}

func (t *told) tcp(f *ocsf.Flow) {
	if t.flags == 0 && f.OrigPkts > 0 && t.bytes > f.OrigPkts*(t.ip()+tcpHeader) {
		// A NULL probe is a bare header; whatever is longer has flags, and the exporter doesn't tell them.
		t.hasFlags = false
	}
	switch {
	case t.turned:
		t.answersOnly(f)
	case t.denied:
		f.State, f.History = "S0", "S"
	case !t.hasFlags || f.RespPkts > 0 && !t.hasRFlags:
		t.bySize(f)
	default:
		t.byFlags(f)
	}
	if t.sampled && f.RespPkts == 0 && f.State != "OTH" {
		f.State = "OTH"
	}
}

func (t *told) byFlags(f *ocsf.Flow) {
	orig, resp := data(t.flags, f.OrigBytes), data(t.rflags, f.RespBytes)
	var turned bool
	f.State, f.History, turned = decode.TCPState(orig, resp)
	if turned { // the ports say otherwise, or the line would be turned already
		f.History = "SA"
		if resp&decode.FlagRST != 0 {
			f.History = "SAr"
		}
	}
}

// data makes the flag PSH say whether a side sent data: probes set it on empty packets, and not everybody pushes.
func data(f decode.TCPFlags, payload int64) decode.TCPFlags {
	if payload > 0 {
		return f | decode.FlagPSH
	}
	return f &^ decode.FlagPSH
}

// answersOnly describes a flow of which the answering side alone was seen.
func (t *told) answersOnly(f *ocsf.Flow) {
	h := []byte("^")
	if t.rflags&(decode.FlagSYN|decode.FlagACK) == decode.FlagSYN|decode.FlagACK {
		h = append(h, 'h')
	}
	if f.RespBytes > 0 {
		h = append(h, 'd')
	}
	if t.rflags&decode.FlagFIN != 0 {
		h = append(h, 'f')
	}
	if t.rflags&decode.FlagRST != 0 {
		h = append(h, 'r')
	}
	f.State, f.History = "OTH", string(h)
}

// retries is how many SYN a side sends without an answer: tcp_syn_retries of Linux and the first.
const retries = 7

// bySize tells the state of a connection whose flags are not told. History says only what is sure.
func (t *told) bySize(f *ocsf.Flow) {
	switch {
	case f.RespPkts == 0 && f.OrigBytes == 0 && f.OrigPkts <= retries:
		f.State, f.History = "S0", "S"
	case f.RespPkts == 0:
		f.State, f.History = "OTH", "AD"
	case f.OrigBytes == 0 && f.RespPkts <= f.OrigPkts && t.rbytes == f.RespPkts*(t.ip()+tcpHeader) && f.OrigPkts <= retries:
		f.State, f.History = "REJ", "Sr" // a SYN-ACK has options, a RST is a bare header
	case f.OrigBytes > 0 && f.RespBytes > 0:
		f.State, f.History = "SF", "ShADad"
	default:
		f.State, f.History = "S1", "ShA"
	}
}
