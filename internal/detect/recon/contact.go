package recon

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// proto is the transport of a contact.
type proto uint8

const (
	tcp proto = iota + 1
	udp
	icmp
)

// answer is how a contact ended.
type answer uint8

const (
	answered answer = iota + 1
	failed
	probed // the handshake was cut before it was complete: nobody meant to talk
)

// contact is one flow as this package sees it.
type contact struct {
	src, dst      netip.Addr
	srcPort, port uint16
	proto         proto
	answer        answer
	time          int64
}

// service is what was asked of a host.
type service struct {
	Proto   proto
	Outside bool // the host lies in the Internet
	Port    uint16
}

// String returns the service as 445/tcp, or ping.
func (s service) String() string {
	switch s.Proto {
	case icmp:
		return "ping"
	case udp:
		return strconv.Itoa(int(s.Port)) + "/udp"
	}
	return strconv.Itoa(int(s.Port)) + "/tcp"
}

// contactOf reads a flow; ok is false where it tells nothing of who asked whom: half of it was seen, it began
// with an answer (backscatter), or it went to a group of hosts.
func contactOf(e *ocsf.Event) (c contact, ok bool) {
	f := e.Flow
	if f == nil || !e.Src.IP.IsValid() || !e.Dst.IP.IsValid() {
		return c, false
	}
	c = contact{src: e.Src.IP.Unmap(), dst: e.Dst.IP.Unmap(), srcPort: e.Src.Port, port: e.Dst.Port, time: e.Time.UnixNano()}
	if multicast(c.dst) || multicast(c.src) || c.src == c.dst {
		return c, false
	}
	switch f.Proto {
	case "tcp", "TCP":
		c.proto, c.answer = tcp, tcpAnswer(f, c.srcPort, c.port)
	case "udp", "UDP":
		c.proto = udp
		if c.dst.Is4() && c.dst.As4()[3] == 255 {
			return c, false // a directed broadcast
		}
		c.answer = udpAnswer(f, c.srcPort, c.port)
	case "icmp", "ICMP", "icmp6", "ipv6-icmp":
		c.proto, c.port, c.srcPort = icmp, 0, 0
		if !echo(e, c.dst) {
			return c, false
		}
		c.answer = failed
		if f.RespPkts > 0 || f.RespBytes > 0 {
			c.answer = answered
		}
	}
	if c.answer == failed && sampled(e) {
		return c, false
	}
	return c, c.answer != 0
}

// sampled reports whether the exporter looked at one packet of several only, so that an answer may have gone unseen.
// A TCP reset that it saw tells a failure all the same.
func sampled(e *ocsf.Event) bool {
	if e.Flow.RespPkts > 0 {
		return false
	}
	v, there := e.Fields.Get("sampling")
	return there && v != "" && v != "0" && v != "1"
}

func multicast(a netip.Addr) bool {
	return a.IsMulticast() || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// echo reports whether an ICMP flow is a request: echo, or timestamp, information and address mask, which scanners
// use where echo is filtered. Errors and answers are somebody else's doing.
func echo(e *ocsf.Event, dst netip.Addr) bool {
	for _, name := range [...]string{"id.orig_p", "icmp_type"} {
		if v, there := e.Fields.Get(name); there {
			if dst.Is6() {
				return v == "128"
			}
			return v == "8" || v == "13" || v == "15" || v == "17"
		}
	}
	return true
}

// tcpAnswer reads Zeek's state and history. Capital letters are the originator's: S SYN, H SYN-ACK, A ACK,
// D data, F FIN, R RST; a leading ^ says that Zeek turned the connection round.
func tcpAnswer(f *ocsf.Flow, from, to uint16) answer {
	h := f.History
	if len(h) > 0 && (h[0] == 'H' || h[0] == 'R' || h[0] == '^') {
		return 0
	}
	switch f.State {
	case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
		if f.State == "RSTO" && f.OrigBytes == 0 && h != "" && !strings.ContainsAny(h, "AD") {
			return probed // ShR: a half-open probe
		}
		return answered
	case "S0", "SH", "RSTOS0":
		if strings.ContainsAny(h, "AD") {
			return 0 // the originator goes on as if it was answered: only one direction was seen
		}
		return failed
	case "REJ":
		return failed
	case "OTH":
		// FIN, Xmas and NULL probes begin without SYN. Closing connections of before the sensor's start also
		// begin with FIN, but carry data or more packets.
		odd := h == "F" || h == "Fr" || h == "" || h == "-" || h == "r" || h == "Cr" || h == "C"
		// An ACK probe draws a reset or nothing. What is left of a closed connection looks alike, but its pair was
		// answered before; towards a client's port nobody probes.
		odd = odd || (h == "A" || h == "Ar") && to < from
		if odd && f.OrigBytes == 0 && f.RespBytes == 0 && f.OrigPkts > 0 && f.OrigPkts <= 2 {
			return failed
		}
	}
	return 0
}

func udpAnswer(f *ocsf.Flow, from, to uint16) answer {
	switch {
	case f.State == "SHR":
		return 0
	case f.RespPkts > 0 || f.RespBytes > 0 || f.State == "SF":
		return answered
	case from < 1024 && to >= 32768:
		return 0 // the answer of a server whose question was not seen
	}
	return failed
}

// pairHash and hostHash identify a service of a host, and a host.
func (c *contact) pairHash() uint64 {
	var b [19]byte
	dst := c.dst.As16()
	copy(b[:], dst[:])
	binary.LittleEndian.PutUint16(b[16:], c.port)
	b[18] = byte(c.proto)
	return xxh3.Hash(b[:])
}

func (c *contact) hostHash() uint64 {
	dst := c.dst.As16()
	return xxh3.HashSeed(dst[:], 1)
}

func hash32(b []byte) uint32 { return uint32(xxh3.Hash(b)) }
