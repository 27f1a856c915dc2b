package windows

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// record is one event while its parts are filled in.
type record struct {
	e       *ocsf.Event
	id      int
	channel string // lower case
}

// s returns the first of the named fields that says something; "-" says nothing.
func (r *record) s(names ...string) string {
	for _, n := range names {
		switch v := r.e.Fields.Value(n); v {
		case "", "-", "(null)", "N/A":
		default:
			return v
		}
	}
	return ""
}

// what sets class and activity.
func (r *record) what(c ocsf.ClassUID, activity string) {
	r.e.Class, r.e.Activity = c, activity
}

// user reads the account of the fields <prefix>UserName, <prefix>DomainName and <prefix>UserSid.
func (r *record) user(prefix string) ocsf.User {
	return ocsf.User{Name: r.s(prefix + "UserName"), Domain: r.s(prefix + "DomainName"), UID: sid(r.s(prefix+"UserSid", prefix+"Sid"))}
}

// sid drops the null SID, which stands for nobody.
func sid(s string) string {
	if s == "S-1-0-0" {
		return ""
	}
	return s
}

// account splits DOMAIN\name.
func account(s string) ocsf.User {
	if domain, name, ok := strings.Cut(s, `\`); ok {
		return ocsf.User{Name: name, Domain: domain}
	}
	return ocsf.User{Name: s}
}

// addr reads an address; IPv4 mapped into IPv6 comes out as IPv4, zones are dropped.
func addr(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
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

// endpoint reads an address and a port from the named fields; an unspecified address is none.
func (r *record) endpoint(ip, prt string) ocsf.Endpoint {
	a := addr(r.s(ip))
	if a.IsUnspecified() {
		a = netip.Addr{}
	}
	return ocsf.Endpoint{IP: a, Port: port(r.s(prt))}
}

// pid writes a process id in decimal; Security events have it in hexadecimal.
func pid(s string) string {
	if strings.HasPrefix(s, "0x") {
		if n, err := strconv.ParseUint(s[2:], 16, 64); err == nil {
			return strconv.FormatUint(n, 10)
		}
	}
	return s
}

func hashes(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// protocol names the IP protocol of its number.
func protocol(s string) string {
	switch s {
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "1", "58":
		return "icmp"
	}
	return strings.ToLower(s)
}

// audited returns the status that the audit policy wrote: Security events say by keyword whether what they
// report succeeded.
func (r *record) audited() ocsf.Status {
	switch k := r.s("EventType", "Keywords"); {
	case k == "AUDIT_SUCCESS" || strings.EqualFold(k, "Audit Success") || k == "0x8020000000000000" || k == "-9214364837600034816":
		return ocsf.StatusSuccess
	case k == "AUDIT_FAILURE" || strings.EqualFold(k, "Audit Failure") || k == "0x8010000000000000" || k == "-9218868437227405312":
		return ocsf.StatusFailure
	}
	return ocsf.StatusUnknown
}

// code sets the status from a result code: zero is success.
func code(s string) ocsf.Status {
	switch s {
	case "":
		return ocsf.StatusUnknown
	case "0", "0x0", "0x00000000":
		return ocsf.StatusSuccess
	}
	return ocsf.StatusFailure
}
