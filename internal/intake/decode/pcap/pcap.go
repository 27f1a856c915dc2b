// Package pcap reads packet captures, pcap (micro- and nanoseconds, either byte order) and pcapng, and gives one
// event a connection, as a Zeek sensor at the same place would: endpoints, start, duration, payload bytes, packets,
// and Zeek's conn_state and history.
//
// In go Ethernet (with VLAN tags, also stacked), Linux cooked (v1, v2), BSD loopback and raw IP frames; frames that
// are not IP, such as ARP, belong to no connection and are passed over. Tunnels are not opened: GRE, ESP and others
// come out as flows of that protocol. Lengths are those of the IP header, so that packets cut by a snap length count
// in whole; payload is not kept.
//
// Out come events of source pcap/conn. The state is Zeek's:
//
//	S0      a SYN, no answer                      SF      established, both sides sent FIN
//	S1      established, not closed               S2, S3  established, only the originator (S2) or responder (S3) sent FIN
//	REJ     a SYN, answered by RST                RSTO, RSTR  established, then reset by the originator or responder
//	RSTOS0  a SYN, then RST of the originator     SH      a SYN, then FIN of the originator, no answer
//	RSTRH, SHR  a SYN-ACK whose SYN was not seen, then RST or FIN of the responder
//	OTH     no handshake was seen: middle of a connection, probes without SYN, backscatter
//
// UDP is S0 (one side spoke), SF (both did) or SHR (only the server's port spoke); all else is OTH. In one thing this
// is stricter than Zeek: a TCP connection without SYN stays OTH though it was closed or reset. History has S, H, A, D,
// F, R once a side (capital: originator), and ^ in front where the first packet was an answer (SYN-ACK, RST with ACK,
// data of a well-known port to a high one, a reply of ICMP), so that the originator is the other side and backscatter
// accuses nobody.
//
// Limits: MaxFlows open at a time (the one that was silent longest is given first), 5 minutes of silence end a TCP
// connection, 1 minute any other, 16,384 datagrams in fragments are remembered. A packet that cannot be read is
// counted with the reason; a capture that is cut short gives what was in it, and an error.
package pcap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
)

// MaxFlows is how many connections are followed at a time.
const MaxFlows = 200_000

// Stream returns the format of packet captures.
func Stream() decode.Stream {
	return decode.Stream{Name: "pcap", Recognise: recognise, Read: read}
}

// magics are the first bytes of pcap files, of either precision and byte order, and of pcapng's section header.
var magics = [][]byte{
	{0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0xc3, 0xd4}, {0x4d, 0x3c, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d}, sectionHeader,
}

var sectionHeader = []byte{0x0a, 0x0d, 0x0d, 0x0a}

func recognise(_ string, head []byte) bool {
	for _, m := range magics {
		if bytes.HasPrefix(head, m) {
			return true
		}
	}
	return false
}

// source gives the packets of either kind of file.
type source interface {
	next() (data []byte, ci gopacket.CaptureInfo, link layers.LinkType, err error)
}

type classic struct{ *pcapgo.Reader }

func (c classic) next() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
	data, ci, err := c.ZeroCopyReadPacketData()
	return data, ci, c.LinkType(), err
}

type nextGeneration struct{ *pcapgo.NgReader }

func (n nextGeneration) next() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
	data, ci, err := n.ZeroCopyReadPacketData()
	if err != nil {
		return nil, ci, 0, err
	}
	iface, err := n.Interface(ci.InterfaceIndex)
	return data, ci, iface.LinkType, err
}

func open(r io.Reader) (source, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	r = io.MultiReader(bytes.NewReader(head), r)
	if bytes.Equal(head, sectionHeader) {
		ng, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		return nextGeneration{ng}, err
	}
	p, err := pcapgo.NewReader(r)
	return classic{p}, err
}

func read(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	src, err := open(r)
	if err != nil {
		return fmt.Errorf("the capture's header: %w", err)
	}
	t := newTable(sink, MaxFlows)
	defer t.flush()
	for n := int64(1); ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		data, ci, link, err := src.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("packet %d: %w", n, err)
		}
		p := packet{time: ci.Timestamp.UTC(), number: n}
		switch err := p.frame(link, data, ci.Length); {
		case errors.Is(err, errNotIP):
		case err != nil:
			sink.Bad(n, err.Error(), data)
		default:
			if err := t.add(&p); err != nil {
				sink.Bad(n, err.Error(), data)
			}
		}
	}
}
