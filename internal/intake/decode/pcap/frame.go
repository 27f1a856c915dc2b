package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// packet is what is read of one frame.
type packet struct {
	time     time.Time
	number   int64
	src, dst netip.Addr
	proto    uint8 // IP protocol number
	sport    uint16
	dport    uint16
	vlan     uint16 // the innermost tag; 0 without
	payload  int64  // bytes behind the transport's header, on the wire
	flags    uint8  // of TCP
	seq      uint32 // of TCP
	kind     uint8  // ICMP type
	code     uint8  // ICMP code

	fragment bool // a fragment behind the first: it has no transport header
	more     bool // further fragments follow
	tiny     bool // TCP's header is split: a first fragment without flags, or the second with them
	offset   uint16
	id       uint32
}

// The flags of TCP, RFC 9293 3.1.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// IP protocol numbers.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// errNotIP is returned for frames of other protocols.
var errNotIP = errors.New("not IP")

const (
	maxTags       = 8 // VLAN tags of a frame
	maxExtensions = 8 // extension headers of an IPv6 packet
)

// frame reads a frame of the link type; length is what it had on the wire.
func (p *packet) frame(link layers.LinkType, b []byte, length int) error {
	skip := 0
	switch link {
	case layers.LinkTypeEthernet:
		if len(b) >= 8 && len(b) < 14 && p.more { // RFC 1858 2: nobody but who wants to pass a filter sends these
			p.tiny, p.seq = true, binary.BigEndian.Uint32(b[4:])
			p.sport, p.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
			return nil
		}
		if len(b) < 14 {
			return errors.New("the Ethernet header is cut short")
		}
		return p.tagged(binary.BigEndian.Uint16(b[12:]), b[14:], length-14)
	case layers.LinkTypeLinuxSLL:
		if len(b) < 16 {
			return errors.New("cooked header is cut short")
		}
		return p.tagged(binary.BigEndian.Uint16(b[14:]), b[16:], length-16)
	case 276: // Linux cooked, version 2
		if len(b) < 20 {
			return errors.New("cooked header is cut short")
		}
		return p.tagged(binary.BigEndian.Uint16(b), b[20:], length-20)
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		skip = 4 // the address family's number differs between systems; the IP version does not
	case layers.LinkTypeRaw, 12, 14, layers.LinkTypeIPv4, layers.LinkTypeIPv6:
	default:
		return fmt.Errorf("link type %d is not read", uint16(link))
	}
	if len(b) <= skip {
		return errors.New("frame is empty")
	}
	switch b[skip] >> 4 {
	case 4:
		return p.ipv4(b[skip:], length-skip)
	case 6:
		return p.ipv6(b[skip:], length-skip)
	}
	return errNotIP
}

// tagged reads what stands behind an EtherType.
func (p *packet) tagged(ether uint16, b []byte, length int) error {
	for range maxTags {
		switch ether {
		case 0x0800:
			return p.ipv4(b, length)
		case 0x86dd:
			return p.ipv6(b, length)
		case 0x8100, 0x88a8, 0x9100:
			if len(b) < 4 {
				return errors.New("VLAN tag is cut short")
			}
			p.vlan, ether = binary.BigEndian.Uint16(b)&0xfff, binary.BigEndian.Uint16(b[2:])
			b, length = b[4:], length-4
		default:
			return errNotIP
		}
	}
	return fmt.Errorf("more than %d VLAN tags", maxTags)
}

func (p *packet) ipv4(b []byte, length int) error {
	if len(b) < 20 {
		return errors.New("IPv4 header is cut short")
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>4 != 4 || head < 20 {
		return errors.New("IPv4 header: its version or length is wrong")
	}
	if total == 0 {
		total = length // left to the network card
	}
	if total < head {
		return fmt.Errorf("IPv4 total length: %d is less than the header's %d", total, head)
	}
	p.src, p.dst, p.proto = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), b[9]
	frag := binary.BigEndian.Uint16(b[6:])
	p.fragment, p.more, p.id = frag&0x1fff != 0, frag&0x2000 != 0, uint32(binary.BigEndian.Uint16(b[4:]))
	p.offset = frag & 0x1fff
	return p.transport(b[min(head, len(b)):min(len(b), max(total, head))], total-head)
}

func (p *packet) ipv6(b []byte, length int) error {
	if len(b) < 40 {
		return errors.New("IPv6 header is cut short")
	}
	if b[0]>>4 != 6 {
		return errors.New("IPv6 header: its version is wrong")
	}
	rest := int(binary.BigEndian.Uint16(b[4:]))
	if rest == 0 {
		rest = max(length-40, 0) // a jumbogram or left to the network card
	}
	p.src, p.dst, p.proto = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), b[6]
	b = b[40:min(len(b), 40+rest)]
	for range maxExtensions {
		var size int
		switch p.proto {
		case 0, 43, 60, 135: // hop-by-hop, routing, destination options, mobility: RFC 8200 4.1, RFC 6275 6.1
			if len(b) < 2 {
				return errors.New("IPv6 extension header is cut short")
			}
			size = (int(b[1]) + 1) * 8
		case 44: // fragment: RFC 8200 4.5
			if len(b) < 8 {
				return errors.New("IPv6 fragment header is cut short")
			}
			frag := binary.BigEndian.Uint16(b[2:])
			p.fragment, p.more, p.id = frag&0xfff8 != 0, frag&1 != 0, binary.BigEndian.Uint32(b[4:])
			p.offset = frag >> 3
			size = 8
		case 51: // authentication: RFC 4302 2.2
			if len(b) < 2 {
				return errors.New("IPv6 extension header is cut short")
			}
			size = (int(b[1]) + 2) * 4
		default:
			return p.transport(b, rest)
		}
		next := b[0]
		if size > rest || size > len(b) {
			return errors.New("IPv6 extension header is cut short")
		}
		if p.proto, b, rest = next, b[size:], rest-size; p.fragment {
			return p.transport(b, rest)
		}
	}
	return fmt.Errorf("more than %d IPv6 extension headers", maxExtensions)
}

// transport reads the ports and flags; length is what stands behind the IP header on the wire.
func (p *packet) transport(b []byte, length int) error {
	if p.fragment {
		p.payload = int64(length)
		if p.proto == protoTCP {
			p.payload = int64(max(0, min(length, int(p.offset)*8+length-20))) // the header's rest is none
		}
		if p.proto == protoTCP && p.offset == 1 && len(b) > 5 {
			p.tiny, p.flags = true, b[5]
		}
		return nil
	}
	head := 0
	switch p.proto {
	case protoTCP:
		if len(b) >= 8 && len(b) < 14 && p.more { // RFC 1858 2: nobody but who wants to pass a filter sends these
			p.tiny, p.seq = true, binary.BigEndian.Uint32(b[4:])
			p.sport, p.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
			return nil
		}
		if len(b) < 14 {
			return errors.New("TCP header is cut short")
		}
		p.seq, p.flags = binary.BigEndian.Uint32(b[4:]), b[13]
		if head = int(b[12]>>4) * 4; head < 20 {
			return fmt.Errorf("TCP data offset: %d bytes are less than the header's 20", head)
		}
	case protoUDP:
		if len(b) < 8 {
			return errors.New("UDP header is cut short")
		}
		head = 8
	case protoICMP, protoICMPv6:
		if len(b) < 2 {
			return errors.New("ICMP header is cut short")
		}
		p.kind, p.code, head = b[0], b[1], 8
	default:
		p.payload = int64(length)
		return nil
	}
	if p.proto == protoTCP || p.proto == protoUDP {
		p.sport, p.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	p.payload = int64(max(length-head, 0))
	return nil
}
