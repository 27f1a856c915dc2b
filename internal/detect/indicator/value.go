package indicator

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var refanger = strings.NewReplacer("[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "(dot)", ".", "[:]", ":", "[://]", "://",
	"[@]", "@", "[at]", "@", "(at)", "@", "[/]", "/", `\.`, ".")

// refang undoes what people do to values so that nobody clicks them: hxxp and [.].
func refang(v string) string {
	v = strings.TrimSpace(v)
	if strings.ContainsAny(v, `[({\`) {
		if strings.Contains(v, `\.`) && strings.HasPrefix(v, `\\`) {
			return v
		}
		v = refanger.Replace(v)
	}
	if len(v) > 4 && (v[0] == 'h' || v[0] == 'H') {
		l := strings.ToLower(v[:min(len(v), 5)])
		switch {
		case strings.HasPrefix(l, "hxxp"), strings.HasPrefix(l, "htxp"), strings.HasPrefix(l, "httx"):
			v = "http" + v[4:]
		}
	}
	return v
}

// typeNames are what lists call the types, in lower case without separators.
var typeNames = map[string]ocsf.EntityType{
	"ip": ocsf.EntityIP, "ipaddr": ocsf.EntityIP, "ipaddress": ocsf.EntityIP, "ipv4": ocsf.EntityIP, "ipv4addr": ocsf.EntityIP, "ipv6": ocsf.EntityIP,
	"ipv6addr": ocsf.EntityIP, "ipsrc": ocsf.EntityIP, "ipdst": ocsf.EntityIP, "cidr": ocsf.EntityIP, "network": ocsf.EntityIP,
	"domain": ocsf.EntityDomain, "domainname": ocsf.EntityDomain, "hostname": ocsf.EntityDomain, "host": ocsf.EntityDomain, "fqdn": ocsf.EntityDomain,
	"url": ocsf.EntityURL, "uri": ocsf.EntityURL, "link": ocsf.EntityURL,
	"email": ocsf.EntityMailbox, "emailaddr": ocsf.EntityMailbox, "emailaddress": ocsf.EntityMailbox, "emailsrc": ocsf.EntityMailbox, "mailbox": ocsf.EntityMailbox,
	"hash": ocsf.EntityHash, "file": ocsf.EntityHash, "filehash": ocsf.EntityHash, "md5": ocsf.EntityHash, "sha1": ocsf.EntityHash, "sha256": ocsf.EntityHash,
	"subject": ocsf.EntitySubject, "emailsubject": ocsf.EntitySubject, "mailsubject": ocsf.EntitySubject,
	"sha512": ocsf.EntityHash, "filehashmd5": ocsf.EntityHash, "filehashsha1": ocsf.EntityHash, "filehashsha256": ocsf.EntityHash,
}

// typeOf reads a type's name; "" means that the value must tell.
func typeOf(name string) (ocsf.EntityType, error) {
	key := strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_ :.", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
	if key == "" {
		return "", nil
	}
	if t, ok := typeNames[key]; ok {
		return t, nil
	}
	return "", fmt.Errorf("indicators of type %q are not matched", clip(name, 40))
}

// normalise checks a value and brings it to the form in which it is matched. An empty type is told from it.
func normalise(t ocsf.EntityType, v string) (ocsf.EntityType, string, error) {
	v = refang(v)
	if v == "" {
		return t, "", fmt.Errorf("empty value")
	}
	if len(v) > maxValue {
		return t, "", fmt.Errorf("value longer than %d bytes", maxValue)
	}
	if t == "" {
		if t = guess(v); t == "" {
			return "", "", fmt.Errorf("%q is no address, domain, URL, e-mail address or hash", clip(v, 60))
		}
	}
	var ok bool
	bad := v
	switch t {
	case ocsf.EntityIP:
		return address(v)
	case ocsf.EntityDomain:
		v, ok = domain(v)
	case ocsf.EntityURL:
		v, ok = link(v)
	case ocsf.EntityMailbox:
		v, ok = mailbox(v)
	case ocsf.EntityHash:
		v = strings.ToLower(v)
		ok = isHash(v)
	case ocsf.EntitySubject:
		if v = subject(v); utf8.RuneCountInString(v) < minSubject {
			return t, "", fmt.Errorf("the subject %q is too short to mean one sending", clip(bad, 60))
		}
		ok = true
	}
	if !ok {
		return t, "", fmt.Errorf("%q is not a %s", clip(bad, 60), t)
	}
	return t, v, nil
}

// minSubject is how many characters a subject must have: shorter ones stand over honest mail every day.
const minSubject = 8

// subject is a mail's subject in the form in which it is matched: whatever its case, and runs of space are one.
func subject(v string) string { return strings.ToLower(strings.Join(strings.Fields(v), " ")) }

// address reads an address or a network. A network so wide that it names no one is refused.
func address(v string) (ocsf.EntityType, string, error) {
	if p, err := netip.ParsePrefix(v); err == nil {
		p = p.Masked()
		if p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16 {
			return ocsf.EntityIP, "", fmt.Errorf("network %s is too wide to mean anybody", p)
		}
		if p.IsSingleIP() {
			return ocsf.EntityIP, p.Addr().String(), nil
		}
		return ocsf.EntityIP, p.String(), nil
	}
	a, err := netip.ParseAddr(v)
	if err != nil || a.Zone() != "" {
		return ocsf.EntityIP, "", fmt.Errorf("%q is not an address", clip(v, 60))
	}
	a = a.Unmap()
	if a.IsUnspecified() || a.IsLoopback() {
		return ocsf.EntityIP, "", fmt.Errorf("address %s means no host", a)
	}
	return ocsf.EntityIP, a.String(), nil
}

func guess(v string) ocsf.EntityType {
	if _, err := netip.ParseAddr(v); err == nil {
		return ocsf.EntityIP
	}
	if _, err := netip.ParsePrefix(v); err == nil {
		return ocsf.EntityIP
	}
	if strings.Contains(v, "://") {
		return ocsf.EntityURL
	}
	if _, ok := mailbox(v); ok {
		return ocsf.EntityMailbox
	}
	if isHash(strings.ToLower(v)) {
		return ocsf.EntityHash
	}
	if _, ok := domain(v); ok {
		return ocsf.EntityDomain
	}
	return ""
}

func isHash(v string) bool {
	switch len(v) {
	case 32, 40, 64, 96, 128:
	default:
		return false
	}
	for i := range len(v) {
		if c := v[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// domain reads a name of at least two labels; a leading "*." or "." says what is meant anyway.
func domain(v string) (string, bool) {
	v = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(strings.ToLower(v), "."), "*"), ".")
	if len(v) > 253 || !strings.Contains(v, ".") {
		return v, false
	}
	digits := true
	for label := range strings.SplitSeq(v, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return v, false
		}
		digits = true
		for _, r := range label {
			switch {
			case r >= '0' && r <= '9':
			case r >= 'a' && r <= 'z', r == '-', r == '_', r >= 0x80:
				digits = false
			default:
				return v, false
			}
		}
	}
	return v, !digits // the last label of a name is never a number
}

func mailbox(v string) (string, bool) {
	v = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(v, "mailto:"), "MAILTO:"))
	local, host, ok := strings.Cut(v, "@")
	if !ok || local == "" || strings.ContainsAny(v, " \t<>,;/") {
		return v, false
	}
	_, ok = domain(host)
	return v, ok
}

// link brings a URL to the form in which both sides are compared: scheme and host in lower case, no fragment,
// no default port, "/" where there is no path.
func link(v string) (string, bool) {
	if !strings.Contains(v, "://") {
		v = "http://" + v
	}
	u, err := url.Parse(v)
	if err != nil || u.Hostname() == "" {
		return v, false
	}
	u.Fragment, u.RawFragment, u.User = "", "", nil
	u.Scheme = strings.ToLower(u.Scheme)
	u.Host = strings.ToLower(u.Host)
	if p := u.Port(); p == "80" && u.Scheme == "http" || p == "443" && u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":"+p)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), true
}
