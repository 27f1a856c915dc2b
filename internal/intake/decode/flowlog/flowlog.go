// Package flowlog decodes the flow logs of cloud networks: AWS VPC flow logs (the default format, custom formats with
// their header line, and the messages of CloudWatch Logs), Azure NSG flow logs of versions 1 and 2 and VNet flow
// logs, GCP VPC flow logs and firewall rule logs.
//
// Out come network events. AWS and GCP write one direction of a connection; such a record stays as it is, with the
// packets of its source, and what it can't tell accuses nobody:
//
//   - refused (REJECT, denied): state REJ, status failure;
//   - AWS, TCP, accepted, with flags: SYN-ACK marks the answering side (history H); one packet that is a lone SYN was
//     not answered (S0); a record with a SYN whose packets are longer than a SYN can be carried data, so the
//     connection was established (S1, with FIN SF, with RST RSTO);
//   - AWS without flags, GCP: TCP with at least four packets longer than a SYN can be, to a port below 32768 from one
//     above, was established (S1); else OTH;
//   - other accepted records: UDP SHR, ICMP the field icmp_type "unknown". No detector takes either for a failure.
//
// Azure from version 2 on counts both directions: SF, S1 where something came back, S0 where nothing did; the record
// of a beginning has no counts and no Flow. AWS records without data (NODATA, SKIPDATA) are passed over: they are no
// event and no fault. Times are UTC, exact to what the source gives.
//
// Sources: Amazon VPC User Guide "Flow log records"; Microsoft "Flow logging for network security groups" and
// "Virtual network flow logs"; Google Cloud "VPC Flow Logs record format" and "Firewall Rules Logging".
package flowlog

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Streams returns the formats that are lines.
func Streams() []decode.Stream { return []decode.Stream{awsStream()} }

// Objects returns the formats that are JSON. No record of another format matches one of them.
func Objects() []decode.Object { return []decode.Object{awsObject(), azureObject(), gcpObject()} }

func newEvent(source string, t time.Time) *ocsf.Event {
	e := &ocsf.Event{}
	begin(e, source, t)
	return e
}

func begin(e *ocsf.Event, source string, t time.Time) {
	e.Source, e.Time, e.Layer, e.Class, e.Activity = source, t, tenant.LayerNetwork, ocsf.ClassNetworkActivity, "other"
}

func addField(e *ocsf.Event, name, value string) {
	if value != "" {
		e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
	}
}

func refuse(e *ocsf.Event) {
	e.Activity, e.Status = "refuse", ocsf.StatusFailure
	e.Flow.State, e.Flow.OrigPkts = "REJ", max(e.Flow.OrigPkts, 1)
}

// longest is how long a packet without data can be: headers with all options of a SYN.
func longest(src netip.Addr) int64 {
	if src.Is4() {
		return 60
	}
	return 80
}

// oneWay gives an accepted flow of which one direction was counted, with its headers, what can be told of it.
func oneWay(e *ocsf.Event) {
	f := e.Flow
	e.Activity, e.Status = "open", ocsf.StatusSuccess
	switch f.Proto {
	case "tcp":
		f.State = "OTH"
		if f.OrigPkts >= 4 && f.OrigBytes > longest(e.Src.IP)*f.OrigPkts && e.Dst.Port < 32768 && e.Src.Port >= 32768 {
			f.State = "S1"
		}
	case "udp":
		f.State = "SHR"
	case "icmp", "icmp6":
		addField(e, "icmp_type", "unknown")
	}
}

func protocol(s string) string {
	switch s = strings.ToLower(s); s {
	case "6", "t":
		return "tcp"
	case "17", "u":
		return "udp"
	case "1":
		return "icmp"
	case "58":
		return "icmp6"
	case "47":
		return "gre"
	case "50":
		return "esp"
	}
	return s
}

func hasPorts(proto string) bool { return proto != "icmp" && proto != "icmp6" }

// values reads the values of one record and keeps the first that was wrong.
type values struct{ err error }

func (v *values) wrong(name, text, want string) {
	if v.err == nil {
		v.err = fmt.Errorf("%s: %s is not %s", name, quote(text), want)
	}
}

func (v *values) addr(name, s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		v.wrong(name, s, "an address")
		return a
	}
	return a.Unmap().WithZone("")
}

// number reads a count; an empty one is 0.
func (v *values) number(name, s string, limit int64) int64 {
	if s == "" || s == "-" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > limit {
		v.wrong(name, s, "a number up to "+strconv.FormatInt(limit, 10))
		return 0
	}
	return n
}

func (v *values) port(name, s string) uint16 { return uint16(v.number(name, s, 1<<16-1)) }

const most = 1 << 62

// seconds reads a time of 1971 to 2099.
func (v *values) seconds(name, s string) time.Time {
	n := v.number(name, s, 1<<40)
	t := time.Unix(n, 0).UTC()
	if v.err == nil && (t.Year() < 1971 || t.Year() >= 2100) {
		v.wrong(name, s, "a time")
	}
	return t
}

func quote(s string) string { return strconv.QuoteToASCII(s[:min(len(s), 40)]) }
