package auditd

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// escaped are the fields that the kernel and the daemon's library write in hexadecimal where the value holds a space,
// a quote or a control character, and in quotes where not (lib/typetab.h, AUPARSE_TYPE_ESCAPED and its kin).
var escaped = map[string]bool{
	"comm": true, "ocomm": true, "exe": true, "name": true, "cwd": true, "cmd": true, "proctitle": true, "key": true, "acct": true,
	"grp": true, "path": true, "dir": true, "watch": true, "data": true, "file": true, "vm": true, "root_dir": true, "new_group": true,
	"old": true, "new": true, "device": true, "ID": true, "sw": true, "table": true, "id": true,
}

// bare reads a value that stands without quotes.
func (r *record) bare(name, value string) string {
	switch {
	case value == "(null)":
		return ""
	case r.typ == "EXECVE" && isArgument(name), escaped[name] && !numeric(r.typ, name):
		return decodeHex(name, value)
	}
	return value
}

// numeric are fields that share a name with an escaped one and are numbers in some records.
func numeric(typ, name string) bool {
	switch name {
	case "old", "new", "id":
		return true // of configuration changes, accounts and audit rules; names are quoted there
	case "data":
		return typ == "NETFILTER_PKT"
	}
	return false
}

// isArgument tells a0, a12 and a3[1] from a3_len and argc.
func isArgument(name string) bool {
	if len(name) < 2 || name[0] != 'a' || name[1] < '0' || name[1] > '9' {
		return false
	}
	return strings.Trim(name[1:], "0123456789[]") == ""
}

// decodeHex gives the text of hexadecimal digits; anything else stays as it is. Zero bytes part arguments and become
// spaces; other bytes that are no text become U+FFFD.
func decodeHex(name, value string) string {
	if len(value) < 2 || len(value)%2 != 0 {
		return value
	}
	for i := 0; i < len(value); i++ { // the kernel writes capitals
		if c := value[i]; (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return value
		}
	}
	b, err := hex.DecodeString(value)
	if err != nil {
		return value
	}
	text := strings.TrimRight(string(b), "\x00")
	if name == "proctitle" {
		text = strings.ReplaceAll(text, "\x00", " ")
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	return text
}

// socketAddress reads a struct sockaddr in hexadecimal. Port and address stand in network order; the family in the
// machine's, which is little on every machine that Linux's audit is common on, and is read either way.
func socketAddress(saddr string) (netip.AddrPort, bool) {
	b, err := hex.DecodeString(saddr)
	if err != nil || len(b) < 8 {
		return netip.AddrPort{}, false
	}
	family := int(b[0]) | int(b[1])
	if b[0] != 0 && b[1] != 0 {
		return netip.AddrPort{}, false
	}
	port := uint16(b[2])<<8 | uint16(b[3])
	switch {
	case family == 2:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port), true
	case family == 10 && len(b) >= 24:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), port), true
	}
	return netip.AddrPort{}, false
}
