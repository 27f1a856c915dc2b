package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// id reads an id: 1 to 64 letters, digits, dots, hyphens and underscores. Ids become parts of file names and
// addresses, hence no other characters.
func (it item) id() (string, bool) {
	if it.bad {
		return "", false
	}
	s := it.text
	valid := s != "" && len(s) <= 64 && isAlnum(s[0])
	for i := 0; i < len(s) && valid; i++ {
		valid = isAlnum(s[i]) || s[i] == '.' || s[i] == '-' || s[i] == '_'
	}
	if !valid {
		it.fail(fmt.Sprintf("%q is no id", printable(s)), "use at most 64 letters, digits, . - _ and begin with a letter or digit")
		return "", false
	}
	return s, true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// domain reads a domain as logs spell it: lower case, at least two labels, no scheme, wildcard or final dot.
func (it item) domain() (string, bool) {
	s := it.text
	wrong, todo := "", ""
	switch {
	case strings.Contains(s, "://") || strings.ContainsAny(s, "/:"):
		wrong, todo = "is an address and not a domain", "write the bare domain, such as example.com"
	case strings.Contains(s, "@"):
		wrong, todo = "is a mail address and not a domain", "write what follows the @"
	case strings.HasPrefix(s, "*.") || strings.HasPrefix(s, "."):
		wrong, todo = "has a wildcard", "write the domain alone: what lies below it is included"
	case s != strings.ToLower(s):
		wrong, todo = "is not in lower case", "write "+strings.ToLower(s)
	case strings.HasSuffix(s, "."):
		wrong, todo = "ends in a dot", "write "+strings.TrimRight(s, ".")
	case !isASCII(s):
		wrong, todo = "is not ASCII", "write it in its xn-- form, as logs do"
	case !strings.Contains(s, "."):
		wrong, todo = "is a single label and would claim every name below it", "write the whole domain"
	case !isHostName(s):
		wrong, todo = "is not a domain", "write it as example.com"
	default:
		return s, true
	}
	it.fail(fmt.Sprintf("%q %s", printable(s), wrong), todo)
	return "", false
}

// host reads a host name or an address; names come back in lower case.
func (it item) host() (string, bool) {
	if a, err := netip.ParseAddr(it.text); err == nil && a.Zone() == "" {
		return a.Unmap().String(), true
	}
	if s := strings.ToLower(it.text); isHostName(s) {
		return s, true
	}
	it.fail(fmt.Sprintf("%q is neither a host name nor an address", printable(it.text)), "write support.example.com or 192.0.2.10, without scheme and port")
	return "", false
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isHostName follows RFC 1123 2.1, with the underscore that real names have.
func isHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			if !isAlnum(label[i]) && label[i] != '-' && label[i] != '_' {
				return false
			}
		}
	}
	return true
}

// prefix reads a prefix or a single address. Host bits are cleared with a warning.
func (it item) prefix() (netip.Prefix, bool) {
	if it.bad {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(it.text)
	if err != nil {
		a, errAddr := netip.ParseAddr(it.text)
		if errAddr != nil || a.Zone() != "" {
			it.fail(fmt.Sprintf("%q is neither a prefix nor an address", printable(it.text)), "write 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32")
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			it.fail(fmt.Sprintf("%q is an IPv4-mapped prefix wider than IPv4", printable(it.text)), "write it as IPv4")
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if m := p.Masked(); m != p {
		it.warn(fmt.Sprintf("%s has bits set beyond its length and is read as %s", p, m), "write "+m.String())
		p = m
	}
	if p.Bits() == 0 {
		it.warn("covers every address", "declare the networks that are really used")
	}
	return p, true
}

// prefixes reads the list at key, without repeats.
func (o *object) prefixes(key string) []netip.Prefix {
	var out []netip.Prefix
	seen := map[netip.Prefix]bool{}
	for _, it := range o.texts(key) {
		if p, ok := it.prefix(); ok {
			if seen[p] {
				it.warn(p.String()+" is given twice", "keep one")
				continue
			}
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// values reads the list at key through read, without repeats.
func (o *object) values(key string, read func(item) (string, bool)) []string {
	var out []string
	seen := map[string]bool{}
	for _, it := range o.texts(key) {
		if s, ok := read(it); ok && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// account reads an account pattern and returns it in lower case: an exact name, a glob such as isl-*, or
// all accounts of a domain as @example.com or *@example.com.
func (it item) account() (string, bool) {
	s := strings.ToLower(it.text)
	switch domain, whole := strings.CutPrefix(strings.TrimPrefix(s, "*"), "@"); {
	case strings.Trim(s, "*@.\\") == "":
		it.fail(fmt.Sprintf("%q claims every account", printable(s)), "name the partner's accounts, such as isl-* or @partner.example")
	case strings.ContainsAny(s, "?[]{}, \t"):
		it.fail(fmt.Sprintf("%q is no account pattern", printable(s)), "write a name, a glob with * only, or @domain")
	case whole && !isHostName(domain):
		it.fail(fmt.Sprintf("%q is no domain of accounts", printable(s)), "write @example.com")
	default:
		return s, true
	}
	return "", false
}

// time reads a point in time (RFC 3339) or a day, which begins at midnight UTC. Empty gives the zero time.
func (it item) time() time.Time {
	if it.text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, it.text); err == nil && t.Year() >= 1970 {
			return t.UTC()
		}
	}
	it.fail(fmt.Sprintf("%q is no time", printable(it.text)), "write 2026-03-31 (midnight UTC) or 2026-03-31T18:00:00Z")
	return time.Time{}
}

// interval reads two times of which the first lies before the second.
func (o *object) interval(from, until string) (a, b time.Time) {
	a, b = o.text(from).time(), o.text(until).time()
	if !a.IsZero() && !b.IsZero() && !a.Before(b) {
		o.fail(until, fmt.Sprintf("lies not after %s (%s)", from, a.Format(time.RFC3339)), "swap them or correct one; the end is exclusive")
	}
	return a, b
}

// word reads a short lower-case name such as scan or reset-password.
func (it item) word() (string, bool) {
	if it.bad {
		return "", false
	}
	s := strings.ToLower(it.text)
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && !strings.ContainsRune("-_.:/", rune(s[i])) {
			it.fail(fmt.Sprintf("%q is not one word", printable(s)), "use letters, digits and hyphens")
			return "", false
		}
	}
	return s, s != ""
}

// plain takes the value as it stands.
func (it item) plain() (string, bool) { return it.text, it.text != "" }
