package mailauth

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// domainOf returns a name as DNS asks it: lower case, A-labels, no trailing dot. It returns "" where the name
// could not stand in DNS as a mail domain: no dot, a label that is empty or longer than 63 octets, more than 253
// in all, other characters than letters, digits, hyphens and underscores, or an address.
func domainOf(s string) string {
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	if s == "" || len(s) > 1000 {
		return ""
	}
	ascii, upper := true, false
	for i := 0; i < len(s); i++ {
		ascii = ascii && s[i] < 0x80
		upper = upper || 'A' <= s[i] && s[i] <= 'Z'
	}
	if !ascii {
		a, err := idna.Lookup.ToASCII(s)
		if err != nil {
			return ""
		}
		s = a
	} else if upper {
		s = strings.ToLower(s)
	}
	if !plausibleName(s) || strings.IndexByte(s, '.') < 0 {
		return ""
	}
	last := s[strings.LastIndexByte(s, '.')+1:]
	if '0' <= last[0] && last[0] <= '9' { // no top-level domain begins with a digit: an address
		return ""
	}
	return s
}

// plausibleName tells whether DNS can be asked that name, which is in lower case.
func plausibleName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	label := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
			continue
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0
}

// organisation returns the organisational domain: the public suffix and one label (RFC 7489 3.2). A public suffix
// itself, and a name that the list does not know, is its own.
func organisation(domain string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}

// aligned tells whether a proven domain speaks for a From domain: the same organisation, or the same name where the
// record asks for strict alignment (RFC 7489 3.1).
func aligned(proven, from string, strict bool) bool {
	if proven == "" || from == "" {
		return false
	}
	return proven == from || !strict && organisation(proven) == organisation(from)
}
