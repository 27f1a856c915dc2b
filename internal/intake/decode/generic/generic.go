// Package generic keeps JSON records of no known source: the time, the fields as they are, and the addresses,
// host and user under the names that most sources use, so that rules and indicators still see them. It comes
// last; whatever knows a record better has taken it before.
package generic

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var (
	timeFields = []string{"@timestamp", "timestamp", "time", "ts", "eventTime", "event_time", "EventTime", "date", "datetime", "created", "createdDateTime", "TimeGenerated"}
	srcFields  = []string{"src_ip", "source.ip", "src", "client_ip", "clientip", "sourceIPAddress", "remote_addr", "SourceIp", "ip"}
	dstFields  = []string{"dest_ip", "dst_ip", "destination.ip", "dst", "server_ip", "DestinationIp"}
	sptFields  = []string{"src_port", "source.port", "sport", "SourcePort"}
	dptFields  = []string{"dest_port", "dst_port", "destination.port", "dport", "DestinationPort"}
	hostFields = []string{"host.name", "hostname", "host", "computer", "Computer", "device", "device_name"}
	userFields = []string{"user.name", "user", "username", "userName", "UserId", "account", "actor"}
	nameFields = []string{"query", "dns.question.name", "domain", "server_name", "url.domain", "http.hostname"}
	urlFields  = []string{"url", "url.full", "uri", "http.url"}
)

// Object returns the format; it matches every object that has a time.
func Object() decode.Object {
	return decode.Object{Name: "json", Match: func(o *decode.JSON) bool { return o.First(timeFields...) != "" }, Decode: fill}
}

func fill(o *decode.JSON, e *ocsf.Event) error {
	t, err := o.Time(timeFields...)
	if err != nil {
		return err
	}
	e.Time, e.Source, e.Class, e.Layer = t, "json", ocsf.ClassBase, tenant.LayerEndpoint
	e.Src = ocsf.Endpoint{IP: addr(o.First(srcFields...)), Port: port(o.First(sptFields...))}
	e.Dst = ocsf.Endpoint{IP: addr(o.First(dstFields...)), Port: port(o.First(dptFields...)), Domain: strings.ToLower(o.First(nameFields...))}
	e.Device, e.User.Name, e.URL = o.First(hostFields...), o.First(userFields...), o.First(urlFields...)
	if e.Dst.IP.IsValid() {
		e.Layer, e.Class = tenant.LayerNetwork, ocsf.ClassNetworkActivity
	}
	return nil
}

func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func port(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
