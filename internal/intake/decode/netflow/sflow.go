package netflow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/netsampler/goflow2/v2/decoders/sflow"
)

// Sizes of sFlow v5 (sflow.org/sflow_version_5.txt).
const (
	sflowHeader4 = 28 // with the agent's address of IPv4
	sflowHeader6 = 40
	maxSamples   = 1000
)

// isSFlow reports whether a datagram begins like one of sFlow v5.
func isSFlow(p []byte) bool {
	return len(p) >= sflowHeader4 && binary.BigEndian.Uint32(p) == 5 && (p[7] == 1 || p[7] == 2) && p[4]|p[5]|p[6] == 0
}

// sflow5 reads a datagram of sFlow v5. Its samples are single packets; those of one connection are put together while
// they wait for the opposite direction. They carry no time: it is that of receipt.
func (t *Translator) sflow5(e *exporter, received int64, p []byte) error {
	head, agent := sflowHeader4, address(p[8:12])
	if p[7] == 2 {
		if head = sflowHeader6; len(p) < head {
			return errors.New("shorter than a header")
		}
		agent = address(p[8:24])
	}
	h := p[head-16 : head]
	id := domainID{50, binary.BigEndian.Uint32(h)} // a number that no NetFlow version has
	t.stats.Lost += e.domain(id).lost(binary.BigEndian.Uint32(h[4:]), 1)
	samples := binary.BigEndian.Uint32(h[12:])
	if samples > maxSamples {
		return fmt.Errorf("%d samples are announced", samples)
	}
	p = p[head:]
	var first error
	for ; samples > 0; samples-- {
		if len(p) < 8 {
			return errors.Join(first, errors.New("fewer samples than are announced"))
		}
		format, n := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
		if uint64(n) > uint64(len(p)-8) {
			return errors.Join(first, fmt.Errorf("a sample of %d bytes where %d are left", n, len(p)-8))
		}
		if format == sflow.SAMPLE_FORMAT_FLOW || format == sflow.SAMPLE_FORMAT_EXPANDED_FLOW {
			if err := t.sample(e, &sflow.SampleHeader{Format: format, Length: n}, received, record{exporter: e.addr, agent: agent, domain: id.id}, p[8:8+n]); err != nil && first == nil {
				first = err
			}
		}
		p = p[8+n:]
	}
	return first
}

// sample makes a record of the packet of one flow sample.
func (t *Translator) sample(e *exporter, head *sflow.SampleHeader, received int64, r record, body []byte) error {
	count := 28
	if head.Format == sflow.SAMPLE_FORMAT_EXPANDED_FLOW {
		count = 40
	}
	// goflow2 allocates what the count asks for, up to 128 GB; each record has a header of 8 bytes.
	if len(body) < count+4 || uint64(binary.BigEndian.Uint32(body[count:]))*8 > uint64(len(body)-count-4) {
		return errors.New("a flow sample is cut short")
	}
	x, err := sflow.DecodeSample(head, bytes.NewBuffer(body))
	if err != nil {
		return err
	}
	var list []sflow.FlowRecord
	switch x := x.(type) {
	case sflow.FlowSample:
		list, r.sampling, r.in, r.out = x.Records, x.SamplingRate, x.Input&0x3fffffff, x.Output&0x3fffffff
	case sflow.ExpandedFlowSample:
		list, r.sampling, r.in, r.out = x.Records, x.SamplingRate, x.InputIfValue, x.OutputIfValue
	}
	if received == 0 {
		t.stats.Untimed++
		return errors.New("sFlow carries no time, and a file doesn't tell when its datagrams were received")
	}
	r.version, r.told, r.pkts = version5, oneSample|toldFlags, 1
	r.start, r.end = received, received
	for _, x := range list {
		if !r.packet(x.Data) {
			continue
		}
		t.take(&r)
		return nil
	}
	t.stats.Skipped++
	return nil
}

// packet takes what a flow record tells of the packet; false where that is no address.
func (r *record) packet(data any) bool {
	var base *sflow.SampledIPBase
	switch x := data.(type) {
	case sflow.SampledHeader:
		return r.frame(x.Protocol, x.HeaderData)
	case sflow.SampledIPv4:
		base = &x.SampledIPBase
	case sflow.SampledIPv6:
		base = &x.SampledIPBase
	default:
		return false
	}
	r.src, r.dst, r.proto, r.bytes = address(base.SrcIP), address(base.DstIP), uint8(base.Protocol), uint64(base.Length)
	r.ports(uint16(base.SrcPort), uint16(base.DstPort))
	r.flags = uint8(base.TcpFlags)
	return r.src.IsValid() && r.dst.IsValid()
}

// ports takes ports, or what stands in their place of ICMP.
func (r *record) ports(src, dst uint16) {
	if r.icmp() {
		r.kind, r.code, r.told = uint8(src), uint8(dst), r.told|toldICMP
		return
	}
	r.sport, r.dport = src, dst
}

// Header protocols of sFlow, and EtherTypes.
const (
	headEthernet = 1
	headIPv4     = 11
	headIPv6     = 12
	etherIPv4    = 0x0800
	etherIPv6    = 0x86dd
	etherVLAN    = 0x8100
	etherQinQ    = 0x88a8
)

// frame reads the beginning of a packet: Ethernet with VLAN tags, IP, ports and flags.
func (r *record) frame(protocol uint32, p []byte) bool {
	ether := uint16(0)
	switch protocol {
	case headEthernet:
		if len(p) < 14 {
			return false
		}
		ether, p = binary.BigEndian.Uint16(p[12:]), p[14:]
		for ; (ether == etherVLAN || ether == etherQinQ) && len(p) >= 4; p = p[4:] {
			r.vlan, ether = binary.BigEndian.Uint16(p)&0xfff, binary.BigEndian.Uint16(p[2:])
		}
	case headIPv4:
		ether = etherIPv4
	case headIPv6:
		ether = etherIPv6
	}
	switch ether {
	case etherIPv4:
		return r.ipv4(p)
	case etherIPv6:
		return r.ipv6(p)
	}
	return false
}

func (r *record) ipv4(p []byte) bool {
	if len(p) < 20 || p[0]>>4 != 4 {
		return false
	}
	n := int(p[0]&0xf) * 4
	r.src, r.dst, r.proto, r.bytes = address(p[12:16]), address(p[16:20]), p[9], uint64(binary.BigEndian.Uint16(p[2:]))
	if binary.BigEndian.Uint16(p[6:])&0x1fff != 0 || n < 20 || n > len(p) {
		return false // a later fragment has no ports
	}
	r.transport(p[n:])
	return true
}

func (r *record) ipv6(p []byte) bool {
	if len(p) < 40 || p[0]>>4 != 6 {
		return false
	}
	r.src, r.dst, r.bytes = address(p[8:24]), address(p[24:40]), 40+uint64(binary.BigEndian.Uint16(p[4:]))
	next := p[6]
	p = p[40:]
	for range 8 { // extension headers, RFC 8200 4: hop-by-hop, routing, destination options; fragment
		switch {
		case (next == 0 || next == 43 || next == 60) && len(p) >= 8 && len(p) >= 8+8*int(p[1]):
			next, p = p[0], p[8+8*int(p[1]):]
		case next == 44 && len(p) >= 8:
			if binary.BigEndian.Uint16(p[2:])&0xfff8 != 0 {
				return false
			}
			next, p = p[0], p[8:]
		default:
			r.proto = next
			r.transport(p)
			return true
		}
	}
	return false
}

func (r *record) transport(p []byte) {
	switch {
	case r.icmp() && len(p) >= 2:
		r.ports(uint16(p[0]), uint16(p[1]))
	case (r.proto == protoTCP || r.proto == protoUDP || r.proto == 132) && len(p) >= 4:
		r.ports(binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:]))
	}
	if r.proto == protoTCP && len(p) >= 14 {
		r.flags = p[13]
	}
}
