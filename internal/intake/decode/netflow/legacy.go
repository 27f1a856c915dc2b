package netflow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/netsampler/goflow2/v2/decoders/netflowlegacy"
)

// Sizes of NetFlow v5.
const (
	header5 = 24
	record5 = 48
	most5   = 30 // records of a datagram, Cisco's limit; some exporters fill a larger one
)

// version5 reads a datagram of NetFlow v5: header and records have fixed lengths.
func (t *Translator) version5(e *exporter, received int64, p []byte) error {
	if len(p) < header5 {
		return errors.New("shorter than a header")
	}
	// goflow2 allocates what the count asks for, whatever is there.
	if n := int(binary.BigEndian.Uint16(p[2:])); n == 0 || header5+n*record5 > len(p) {
		return fmt.Errorf("%d records are announced in %d bytes", n, len(p))
	}
	h := &t.legacy
	if err := netflowlegacy.DecodeMessageVersion(bytes.NewBuffer(p), h); err != nil {
		return err
	}
	c := clock{uptime: h.SysUptime, export: int64(h.UnixSecs)*1e9 + int64(h.UnixNSecs%1e9)}
	if isSet(c.export) {
		c.at = c.export
	}
	id := domainID{version5, uint32(h.EngineType)<<8 | uint32(h.EngineId)}
	t.stats.Lost += e.domain(id).lost(h.FlowSequence, uint32(h.Count))
	sampling := uint32(h.SamplingInterval & 0x3fff) // the two bits above say how packets are picked
	for i := range h.Records {
		x := &h.Records[i]
		f := &t.scratch
		*f = fields{first: x.First, last: x.Last, hasFirst: true, hasLast: true, record: record{
			exporter: e.addr, domain: id.id, version: version5,
			src: ip4(x.SrcAddr), dst: ip4(x.DstAddr), sport: x.SrcPort, dport: x.DstPort, proto: x.Proto,
			pkts: uint64(x.DPkts), bytes: uint64(x.DOctets), flags: x.TCPFlags, told: toldFlags,
			in: uint32(x.Input), out: uint32(x.Output), sampling: sampling,
		}}
		if r, ok := f.finish(&c, received); ok {
			t.take(r)
		} else {
			t.stats.Skipped++
		}
	}
	return nil
}

func ip4(a netflowlegacy.IPAddress) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}
