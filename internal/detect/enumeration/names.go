package enumeration

import (
	"net/netip"
	"strings"
)

// reverseAddr returns the address that a PTR question is about (RFC 1035 section 3.5, RFC 3596 section 2.5).
func reverseAddr(name string) (netip.Addr, bool) {
	if rest, ok := cutSuffixFold(name, ".in-addr.arpa"); ok {
		parts := strings.SplitN(rest, ".", 5)
		if len(parts) != 4 {
			return netip.Addr{}, false
		}
		var b [4]byte
		for i, part := range parts {
			if b[3-i], ok = octet(part); !ok {
				return netip.Addr{}, false
			}
		}
		return netip.AddrFrom4(b), true
	}
	rest, ok := cutSuffixFold(name, ".ip6.arpa")
	if !ok || len(rest) != 63 {
		return netip.Addr{}, false
	}
	var b [16]byte
	for i := range 32 {
		c := rest[2*i]
		if i < 31 && rest[2*i+1] != '.' {
			return netip.Addr{}, false
		}
		n := strings.IndexByte("0123456789abcdef", c|0x20)
		if c >= '0' && c <= '9' {
			n = int(c - '0')
		}
		if n < 0 {
			return netip.Addr{}, false
		}
		b[15-i/2] |= byte(n) << (4 * (i % 2))
	}
	return netip.AddrFrom16(b), true
}

func octet(s string) (byte, bool) {
	if s == "" || len(s) > 3 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return byte(n), n < 256
}

func cutSuffixFold(s, suffix string) (string, bool) {
	if len(s) < len(suffix) || !strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return "", false
	}
	return s[:len(s)-len(suffix)], true
}

// memberServices are the services that members of a domain and its common programs look for by themselves: they are
// one thing, however many of them are asked.
var memberServices = map[string]bool{"_ldap": true, "_kerberos": true, "_gc": true, "_kpasswd": true, "_vlmcs": true, "_sip": true, "_sips": true,
	"_sipinternal": true, "_sipinternaltls": true, "_sipexternal": true, "_sipfederationtls": true, "_autodiscover": true, "_ntp": true,
	"_imap": true, "_imaps": true, "_pop3": true, "_pop3s": true, "_submission": true, "_caldav": true, "_caldavs": true, "_carddav": true, "_carddavs": true}

// serviceName returns the service and transport of an SRV name (RFC 2782), _ldap._tcp, or "" where it is none.
func serviceName(name string) string {
	if len(name) < 5 || name[0] != '_' {
		return ""
	}
	service, rest, ok := strings.Cut(name, ".")
	if !ok || len(rest) < 4 || rest[0] != '_' {
		return ""
	}
	proto, _, _ := strings.Cut(rest, ".")
	service = strings.ToLower(service)
	if memberServices[service] {
		return "what members of a domain look for"
	}
	return service + "." + strings.ToLower(proto)
}

// parentOf returns the name above a name, in lower case; "" where there is none with two labels.
func parentOf(name string) string {
	_, rest, ok := strings.Cut(name, ".")
	if !ok || !strings.Contains(rest, ".") {
		return ""
	}
	return strings.ToLower(rest)
}
