package netflow

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Objects returns the format of the lines that a Translator gives.
func Objects() []decode.Object {
	return []decode.Object{{Name: source, Match: isLine, Decode: fill}}
}

func isLine(o *decode.JSON) bool {
	return o.Str("source") == source && (o.Str("uid") != "" && o.Str("start") != "" || o.Str("refused") != "")
}

// fill makes the event of one of our lines.
func fill(o *decode.JSON, e *ocsf.Event) error {
	if why := o.Str("refused"); why != "" {
		return errors.New(why)
	}
	start, err := time.Parse(time.RFC3339Nano, o.Str("start"))
	if err != nil || start.Year() < 1971 || start.Year() >= 2100 {
		return fmt.Errorf("field start: no time within 1971 to 2099")
	}
	end, err := time.Parse(time.RFC3339Nano, o.Str("end"))
	if err != nil || end.Before(start) {
		return errors.New("field end: no time after start")
	}
	e.Source, e.Layer, e.Class, e.Time = "netflow/flow", tenant.LayerNetwork, ocsf.ClassNetworkActivity, start.UTC()
	if e.Src, err = endpoint(o, "src", "sport"); err != nil {
		return err
	}
	if e.Dst, err = endpoint(o, "dst", "dport"); err != nil {
		return err
	}
	e.Flow = &ocsf.Flow{Duration: end.Sub(start)}
	f := told{proto: uint8(o.Int("proto")), flags: decode.TCPFlags(o.Int("flags")), rflags: decode.TCPFlags(o.Int("rflags")),
		hasFlags: o.Has("flags"), hasRFlags: o.Has("rflags"), half: o.Str("half") == "true", turned: o.Str("turned") == "true",
		sampled: o.Int("sampling") > 1, part: o.Int("part") > 1, denied: o.Int("firewall_event") == flowDenied, v6: e.Src.IP.Is6()}
	for _, n := range [...]struct {
		name string
		to   *int64
	}{{"pkts", &e.Flow.OrigPkts}, {"rpkts", &e.Flow.RespPkts}, {"bytes", &f.bytes}, {"rbytes", &f.rbytes}} {
		if *n.to = o.Int(n.name); *n.to < 0 {
			return fmt.Errorf("field %s: a negative count", n.name)
		}
	}
	if err := translation(o, e); err != nil {
		return err
	}
	f.outcome(e.Flow)
	e.Flow.Proto = protocol(f.proto)
	e.Activity, e.Status = decode.FlowOutcome(e.Flow.State)
	return nil
}

// translation tells that the source was shown as another (source NAT): who was behind an address is known by it.
func translation(o *decode.JSON, e *ocsf.Event) error {
	if !o.Has("post_src") && !o.Has("post_sport") {
		return nil
	}
	outside := e.Src
	if o.Has("post_src") {
		x, err := endpoint(o, "post_src", "post_sport")
		if err != nil {
			return err
		}
		outside.IP = x.IP
	}
	if n := o.Int("post_sport"); n > 0 && n < 1<<16 {
		outside.Port = uint16(n)
	}
	e.NAT = &ocsf.Translation{Proto: protocol(uint8(o.Int("proto"))), Inside: e.Src, Outside: outside, Start: true, End: true, Lasted: e.Flow.Duration}
	return nil
}

func endpoint(o *decode.JSON, addr, port string) (ocsf.Endpoint, error) {
	a, err := netip.ParseAddr(o.Str(addr))
	if err != nil {
		return ocsf.Endpoint{}, fmt.Errorf("field %s: not an address", addr)
	}
	n := o.Int(port)
	if n < 0 || n > 1<<16-1 {
		return ocsf.Endpoint{}, fmt.Errorf("field %s: not a port", port)
	}
	return ocsf.Endpoint{IP: a.Unmap().WithZone(""), Port: uint16(n)}, nil
}

// protocols are the names of IP protocols, IANA's in lower case, but for ICMPv6 that Zeek calls icmp.
var protocols = map[uint8]string{protoICMP: "icmp", 2: "igmp", 4: "ipv4", protoTCP: "tcp", protoUDP: "udp", 41: "ipv6",
	47: "gre", 50: "esp", 51: "ah", protoICMPv6: "icmp", 89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp"}

func protocol(n uint8) string {
	if s, ok := protocols[n]; ok {
		return s
	}
	return fmt.Sprintf("ip-%d", n)
}
