package mail

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// hostOf returns the host of the part of a link between "//" and the path, as a browser would read it: whatever
// stands before "@" is only for show, a port is dropped, percent signs are undone, full-width signs become plain
// ones, numbers become an address (WHATWG URL 3.5). It is "" where there is none.
func hostOf(auth string) (host string, odd trick) {
	if i := strings.LastIndexByte(auth, '@'); i >= 0 {
		auth = auth[i+1:]
		odd |= trickUserinfo
	}
	if strings.HasPrefix(auth, "[") {
		in, _, _ := strings.Cut(auth[1:], "]")
		if ip, err := netip.ParseAddr(in); err == nil {
			return ip.Unmap().WithZone("").String(), odd
		}
		return "", odd
	}
	if i := strings.LastIndexByte(auth, ':'); i >= 0 {
		auth = auth[:i]
	}
	for range 3 { // browsers undo one layer; redirectors and mail gateways more
		if strings.IndexByte(auth, '%') < 0 {
			break
		}
		d, err := url.PathUnescape(auth)
		if err != nil {
			break
		}
		auth, odd = d, odd|trickEncoded
	}
	if i := strings.IndexAny(auth, "/?#\\@"); i >= 0 && odd&trickEncoded != 0 { // came out of the encoding
		auth = auth[:i]
	}
	h := strings.ToLower(auth)
	if len(h) > 1000 {
		return "", odd
	}
	ascii := true
	for i := range len(h) {
		if h[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if !ascii {
		h, odd = plainHost(h, odd)
	}
	if t := strings.TrimRight(h, "."); t != h {
		h, odd = t, odd|trickDot
	}
	if h == "" || len(h) > 253 || strings.ContainsFunc(h, notInHost) {
		return "", odd
	}
	if ip, ok := numericHost(h); ok {
		s := ip.String()
		if s != h {
			odd |= trickNumeric
		}
		return s, odd
	}
	return h, odd
}

// notInHost reports whether browsers refuse a host with that character.
func notInHost(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune("\"'<>{}|^`%\\/?#@[]:", r)
}

// plainHost makes a host with letters beyond ASCII the name that is looked up.
func plainHost(h string, odd trick) (string, trick) {
	for _, r := range h {
		if r == '。' || r == '．' || r == '｡' || r == '․' || r >= '\uff01' && r <= '\uff5e' || r >= 0x1d400 && r <= 0x1d7ff || r >= '\u2460' && r <= '\u24ff' {
			odd |= trickWide
			break
		}
	}
	h = strings.ReplaceAll(h, "․", ".")
	for label := range strings.SplitSeq(h, ".") {
		if mixedScripts(label) {
			odd |= trickMixed
		}
	}
	if a, err := idna.Lookup.ToASCII(h); err == nil {
		return a, odd
	}
	if a, err := idna.Punycode.ToASCII(h); err == nil {
		return a, odd
	}
	return strings.ToValidUTF8(h, ""), odd
}

// mixedScripts reports whether a word has Latin letters beside Cyrillic, Greek, Cherokee or Armenian ones.
func mixedScripts(word string) bool {
	latin, other := false, false
	for _, r := range word {
		switch {
		case r < 0x80:
			latin = latin || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		case r < 0x370:
			latin = latin || unicode.IsLetter(r)
		case r < 0x590, r >= 0x13a0 && r <= 0x13ff:
			other = other || unicode.IsLetter(r) && r != 'µ' && r != 'Ω'
		}
	}
	return latin && other
}

// numericHost reads the ways in which browsers take an IPv4 address: one to four parts, each decimal, octal with
// "0" or hexadecimal with "0x", the last filling the bytes that are left.
func numericHost(h string) (netip.Addr, bool) {
	last := h[strings.LastIndexByte(h, '.')+1:]
	if last == "" || (last[0] < '0' || last[0] > '9') {
		return netip.Addr{}, false
	}
	parts := strings.Split(h, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		base, digits := 10, p
		switch {
		case strings.HasPrefix(p, "0x"):
			base, digits = 16, p[2:]
		case len(p) > 1 && p[0] == '0':
			base, digits = 8, p[1:]
		}
		n, err := strconv.ParseUint(digits, base, 32)
		if digits == "" && base == 16 {
			n, err = 0, nil
		}
		if err != nil {
			return netip.Addr{}, false
		}
		if i < len(parts)-1 {
			if n > 255 {
				return netip.Addr{}, false
			}
			v = v<<8 | n
			continue
		}
		room := uint(8 * (5 - len(parts)))
		if n>>room != 0 {
			return netip.Addr{}, false
		}
		v = v<<room | n
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}
