package beacon

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// way is between which sides a pair talks.
type way uint8

const (
	unseen  way = iota
	outward     // a host of the house and one of the Internet
	inward      // somebody of the Internet and a host of the house, or two of the Internet
	across      // over a declared trust
)

// The transports that are looked at. ICMP is not: what pings without end is monitoring.
const (
	tcp uint8 = iota + 1
	udp
)

// pairKey is a source, a destination and a service at one tenant. Fixed numbers hash and store faster than strings.
type pairKey struct{ Src, SrcLow, Dst, DstLow, Meta uint64 }

const namedPair = 1 << 63 // in Meta: the destination is the hash of a name

func (k pairKey) port() uint16 { return uint16(k.Meta) }
func (k pairKey) proto() uint8 { return uint8(k.Meta >> 16) }
func (k pairKey) tenant() int  { return int(uint16(k.Meta >> 32)) }
func (k pairKey) named() bool  { return k.Meta&namedPair != 0 }
func (k pairKey) src() netip.Addr {
	return unpack(k.Src, k.SrcLow)
}
func (k pairKey) dst() netip.Addr { return unpack(k.Dst, k.DstLow) }

// destination is the key without the source and the service. Addresses of a tenant's own space mean something only
// there.
func (k pairKey) destination(internet bool) destKey {
	d := destKey{k.Dst, k.DstLow, k.Meta & namedPair}
	if !internet && !k.named() {
		d.Meta |= uint64(k.tenant()) + 1
	}
	return d
}

// source is who asks for which service.
func (k pairKey) source() destKey {
	return destKey{k.Src, k.SrcLow, k.Meta &^ namedPair}
}

type destKey struct{ Hi, Low, Meta uint64 }

func pack(a netip.Addr) (hi, low uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func unpack(hi, low uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], low)
	return netip.AddrFrom16(b).Unmap()
}

// pairOf is the pair of an event's addresses.
func pairOf(id uint16, e *ocsf.Event, proto uint8) (k pairKey) {
	k.Src, k.SrcLow = pack(e.Src.IP)
	k.Dst, k.DstLow = pack(e.Dst.IP)
	k.Meta = uint64(id)<<32 | uint64(proto)<<16 | uint64(e.Dst.Port)
	return k
}

// byName is the same source and service at a name.
func (k pairKey) byName(name string) pairKey {
	h := xxh3.HashString128(name)
	k.Dst, k.DstLow, k.Meta = h.Hi, h.Lo, k.Meta|namedPair
	return k
}

// hash identifies a connection: the pair and the source's port. Kind keeps requests and connections apart.
func (k pairKey) hash(port uint16, kind byte) uint64 {
	var b [43]byte
	for i, x := range [...]uint64{k.Src, k.SrcLow, k.Dst, k.DstLow, k.Meta} {
		binary.LittleEndian.PutUint64(b[8*i:], x)
	}
	binary.LittleEndian.PutUint16(b[40:], port)
	b[42] = kind
	return xxh3.Hash(b[:])
}

// talked reports whether a flow carried something both ways, as far as the sensor tells. What nobody answers
// controls nobody; scans and dead pollers are other detectors' matter.
func talked(e *ocsf.Event) (proto uint8, ok bool) {
	f := e.Flow
	if h := f.History; h != "" && (h[0] == 'H' || h[0] == 'R' || h[0] == '^') {
		return 0, false // backscatter, or a connection whose direction was guessed
	}
	switch {
	case strings.EqualFold(f.Proto, "tcp"):
		proto = tcp
	case strings.EqualFold(f.Proto, "udp"):
		proto = udp
	default:
		return 0, false
	}
	answered := f.RespBytes > 0 || f.RespPkts > 0
	if proto == tcp {
		switch f.State {
		case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
			answered = f.OrigBytes > 0 || f.RespBytes > 0
		case "":
			answered = answered || e.Status == ocsf.StatusSuccess && f.OrigBytes > 0 // a firewall that counts one direction
		default:
			answered = false
		}
	}
	return proto, answered
}

// clockwork reports whether a flow is of a service that is asked at even times by what it is: names and the time.
// What is hidden inside them shows in other ways than by their rhythm.
func clockwork(f *ocsf.Flow, port uint16) bool {
	switch f.Service {
	case "dns", "ntp":
		return true
	case "", "-":
		return port == 53 || port == 123 || port == 853
	}
	return false
}

// crowd reports whether an address stands for many or for nobody.
func crowd(a netip.Addr) bool {
	return a.IsMulticast() || a.IsUnspecified() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.Is4() && a.As4() == [4]byte{255, 255, 255, 255}
}

// asks reports whether the event is a request whose destination's name another record can't know better: TLS and HTTP.
func asks(e *ocsf.Event) bool {
	if e.Dst.Domain == "" || len(e.Dst.Domain) > 253 {
		return false
	}
	switch e.Class {
	case ocsf.ClassHTTPActivity:
		return true
	case ocsf.ClassNetworkActivity:
		return e.Status != ocsf.StatusFailure
	}
	return false
}

// internet reports whether an address lies outside every private space and outside the tenant's networks.
func internet(networks []netip.Prefix, a netip.Addr) bool {
	if a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsLoopback() || shared.Contains(a) {
		return false
	}
	for _, p := range networks {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// shared is the space between a provider's translation and its customers (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// wayOf tells between which sides an event talks; unseen where that says nothing. Named is whether the destination is
// known by a name of the Internet, perhaps behind a proxy of the house.
func wayOf(networks []netip.Prefix, e *ocsf.Event, named bool) way {
	from, to := internet(networks, e.Src.IP), named || internet(networks, e.Dst.IP)
	switch {
	case e.Partner != "" && e.Direction != ocsf.DirectionOut && !(to && !from):
		return across
	case from:
		return inward
	case to:
		return outward
	}
	return unseen // within the house: pollers, printers, domain controllers
}

// house returns a tenant's networks.
func house(m *tenant.Model, id tenant.ID) []netip.Prefix {
	if t := m.Tenant(id); t != nil {
		return t.Networks
	}
	return nil
}
