// Package eve reads what Suricata writes as EVE JSON: objects with timestamp and event_type. Out come events of source
// suricata/<event_type>; all of Suricata's own fields stay beside under their names.
//
// A flow begins at flow.start and gets Zeek's conn_state. Of TCP it is told by the flags of both sides
// (tcp.tcp_flags_ts, tcp_flags_tc; the table stands at decode.TCPState); without them by flow.state: new is S0 (OTH
// where the server spoke), established and bypassed S1, closed SF. UDP is SF where both sides spoke, else S0; all else
// is OTH. Suricata's bytes have headers in them; a TCP side that never pushed counts none.
//
// Netflow records are half a connection each, in whichever order; they carry no Flow, so that an answered question does
// not look like an unanswered one. An alert is an event like others, with its signature in Fields and what it quotes of
// DNS, HTTP and TLS: what a signature is worth is for rules to say. Statistics and event types that are not known are
// kept with their fields.
//
// The source's id is flow_id with the event type, and with a hash of the fields where a flow has several records. A
// record without a time or with an address or port that is none is refused with the field and the reason.
package eve

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Objects returns the format.
func Objects() []decode.Object {
	return []decode.Object{{Name: "suricata", Match: match, Decode: fill}}
}

// match takes objects that name their type as Suricata does and hold what belongs to it.
func match(o *decode.JSON) bool {
	kind := o.Str("event_type")
	if kind == "" || !o.Has("timestamp") {
		return false
	}
	_, known := kinds[kind]
	return known && (o.Has("flow_id") || o.Has(kind)) || o.Has("flow_id") && o.Has("src_ip") && o.Has("dest_ip")
}

func fill(o *decode.JSON, e *ocsf.Event) (err error) {
	name := o.Str("event_type")
	if e.Time, err = moment(o, "timestamp"); err != nil {
		return err
	}
	e.Layer, e.Class, e.Source = tenant.LayerNetwork, ocsf.ClassBase, "suricata/"+clean(name)
	if e.Src, err = endpoint(o, "src_ip", "src_port"); err != nil {
		return err
	}
	if e.Dst, err = endpoint(o, "dest_ip", "dest_port"); err != nil {
		return err
	}
	if k, ok := kinds[name]; ok {
		e.Class, e.Activity = k.class, k.activity
		if k.fill != nil {
			if err := k.fill(o, e); err != nil {
				return err
			}
		}
	}
	if id := o.Str("flow_id"); id != "" {
		e.SourceID = id + "|" + name + "|" + e.Time.Format(time.RFC3339Nano)
		if e.Flow == nil {
			e.SourceID += "|" + digest(o.Fields())
		}
	}
	return nil
}

// digest tells records of one flow and moment apart: a packet may answer several questions.
func digest(fields ocsf.Fields) string {
	h := sha256.New()
	for _, f := range fields {
		fmt.Fprintf(h, "%d:%s%d:%s", len(f.Name), f.Name, len(f.Value), f.Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// moment reads a time; Suricata writes zones without a colon.
func moment(o *decode.JSON, name string) (time.Time, error) {
	v := o.Str(name)
	if t, err := time.Parse("2006-01-02T15:04:05.999999999-0700", v); err == nil && t.UTC().Year() >= 1971 && t.UTC().Year() < 2100 {
		return t.UTC(), nil
	}
	return o.Time(name)
}

func endpoint(o *decode.JSON, addrName, portName string) (ep ocsf.Endpoint, err error) {
	if v := o.Str(addrName); v != "" {
		if ep.IP, err = address(addrName, v); err != nil {
			return ep, err
		}
	}
	if v := o.Str(portName); v != "" {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil {
			return ep, fmt.Errorf("%s: %s is not a port", portName, quote(v))
		}
		ep.Port = uint16(n)
	}
	return ep, nil
}

func address(name, v string) (netip.Addr, error) {
	a, err := netip.ParseAddr(v)
	if err != nil {
		return a, fmt.Errorf("%s: %s is not an address", name, quote(v))
	}
	return a.Unmap().WithZone(""), nil
}

// clean keeps an event type to what a source may be called.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(s))
	if s == "" {
		return "unknown"
	}
	return s[:min(len(s), 64)]
}

func quote(v string) string { return strconv.QuoteToASCII(v[:min(len(v), 40)]) }
