// Package vpn decodes what VPN gateways log: OpenVPN servers (log, status file, management interface), WireGuard
// (kernel messages, `wg show all dump`, the exporter's metrics), Cisco ASA (syslog), Palo Alto GlobalProtect (CSV
// export) and Windows' Network Policy Server. Logons come out as authentication events, sessions as tunnel events "open" and "close" that
// carry an ocsf.Lease: who held which inner address, and from where they came. Every other line comes out as an
// event "other", so that nothing is dropped silently.
//
// Each line is read by itself, so the order of lines, and how they are spread over files, change nothing. What
// one line leaves out and another tells is joined later, in event time, by the id of the lease (attribute):
//
//   - an end record may lack the inner address (ASA never has it);
//   - OpenVPN names the account where it logs on, and later only the certificate, or nobody; the record of the
//     logon carries a lease without an address, neither start nor end;
//   - OpenVPN tells the inner address up to three times; "MULTI: Learn" is the start, the others only say who
//     holds the address.
//
// Times without a zone are UTC. A line that cannot be read goes to the sink with its reason and the file goes on.
package vpn

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Streams returns the formats of this package. Each recognises its own files by their content only.
func Streams() []decode.Stream {
	return []decode.Stream{
		{Name: "openvpn", Recognise: isOpenVPN, Read: readOpenVPN},
		{Name: "cisco/asa", Recognise: isASA, Read: readASA},
		{Name: "globalprotect", Recognise: isGlobalProtect, Read: readGlobalProtect},
		{Name: "openvpn/status", Recognise: isStatus, Read: readStatus},
		{Name: "openvpn/management", Recognise: isManagement, Read: readManagement},
		{Name: "wireguard/kernel", Recognise: isKernel, Read: readKernel},
		{Name: "wireguard/dump", Recognise: isDump, Read: readDump},
		{Name: "wireguard/exporter", Recognise: isMetrics, Read: readMetrics},
		{Name: "windows/nps", Recognise: isNPS, Read: readNPS},
	}
}

// sessionID names the sessions of an account from one place, which is what both their start and their end tell;
// it is empty where a line leaves one out.
func sessionID(user string, from netip.Addr) string {
	if user == "" || !from.IsValid() {
		return ""
	}
	return strings.ToLower(user) + "/" + from.String()
}

// newEvent returns an access event; its class is tunnel activity "other" until a message says better.
func newEvent(source string, t time.Time) *ocsf.Event {
	return &ocsf.Event{Time: t, Source: source, Layer: tenant.LayerAccess, Class: ocsf.ClassTunnelActivity, Activity: "other"}
}

// opened makes the event the start of the session.
func opened(e *ocsf.Event, l *ocsf.Lease) {
	e.Class, e.Activity, e.Status = ocsf.ClassTunnelActivity, "open", ocsf.StatusSuccess
	l.Start, e.Lease = true, l
}

// closed makes the event the end of the session.
func closed(e *ocsf.Event, l *ocsf.Lease) {
	e.Class, e.Activity = ocsf.ClassTunnelActivity, "close"
	l.End, e.Lease = true, l
}

// account splits DOMAIN\name; a principal name stays whole.
func account(s string) ocsf.User {
	s = strings.Trim(s, "'\"<> ")
	if s == "" || strings.Trim(s, "*") == "" { // gateways mask names they do not know
		return ocsf.User{}
	}
	if domain, name, ok := strings.Cut(s, `\`); ok {
		return ocsf.User{Name: name, Domain: domain}
	}
	return ocsf.User{Name: s}
}

// addr reads an address; the unspecified one is none.
func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.Trim(s, "<>[]() ,"))
	if err != nil || a.IsUnspecified() {
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
