package ocsf

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// linkServices put their own address before the one that a reader ends at, and keep that in a parameter: gateways that
// rewrite the links of all mail (Safe Links, Proofpoint, Mimecast and others), and sites that pass readers on.
var linkServices = []struct{ host, param string }{
	{"safelinks.protection.outlook.com", "url"}, {"safelinks.office.com", "url"}, {"linkprotect.cudasvc.com", "a"}, {"google.com", "q"}, {"google.com", "url"},
	{"bing.com", "u"}, {"protect2.fireeye.com", "u"}, {"l.facebook.com", "u"}, {"lm.facebook.com", "u"}, {"linkedin.com", "url"}, {"slack-redir.net", "url"},
	{"trendmicro.com", "url"}, {"protection.sophos.com", "u"}, {"deref-gmx.net", "redirectUrl"}, {"deref-web.de", "redirectUrl"}, {"deref-mail.com", "redirectUrl"},
	{"clicktime.symantec.com", "u"}, {"youtube.com", "q"}, {"steamcommunity.com", "url"}, {"hornetsecurity.com", "url"}, {"urlsand.esvalabs.com", "u"}, {"vk.com", "to"},
	{"mimecast.com", "domain"}, {"urldefense.proofpoint.com", "u"}, {"urldefense.com", "u"}, {"amazon.com", "url"}, {"googleadservices.com", "adurl"},
	{"doubleclick.net", "adurl"}, {"doubleclick.net", "destinationURL"},
}

// Target returns where a link leads as far as it tells itself, with the host, once up to three services that rewrite
// links are undone; rewritten is false where there are none, and then these are the link's own. No link is fetched.
func (l *Link) Target() (address, host string, rewritten bool) {
	address, host = l.URL, l.Host
	if host == "" {
		host = hostOfLink(address)
	}
	for range 3 {
		inner := innerLink(address, host)
		h := hostOfLink(inner)
		if h == "" {
			break
		}
		address, host, rewritten = inner, h, true
	}
	return address, host, rewritten
}

func innerLink(raw, host string) string {
	below := func(domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }
	switch {
	case below("urldefense.com") && strings.Contains(raw, "/v3/__"):
		_, rest, _ := strings.Cut(raw, "/v3/__")
		inner, _, _ := strings.Cut(rest, "__;")
		if !strings.Contains(inner, "://") { // it writes one slash of the two
			inner = strings.Replace(inner, ":/", "://", 1)
		}
		return inner
	case below("secure-web.cisco.com"):
		if i := strings.LastIndex(raw, "/http"); i > 8 {
			if u, err := url.PathUnescape(raw[i+1:]); err == nil {
				return u
			}
		}
	case below("url.avanan.click"), below("mimecastprotect.com"):
		if _, rest, ok := strings.Cut(raw, "___"); ok {
			inner, _, _ := strings.Cut(rest, "___")
			return inner
		}
	}
	if strings.IndexByte(raw, '?') < 0 {
		return ""
	}
	for _, s := range linkServices {
		if !below(s.host) {
			continue
		}
		v := parameter(raw, s.param)
		switch {
		case v == "":
			continue
		case s.param == "domain":
			return "http://" + v + "/"
		case strings.HasPrefix(s.host, "urldefense"): // version 2 writes % as - and / as _
			if u, err := url.QueryUnescape(strings.NewReplacer("-", "%", "_", "/").Replace(v)); err == nil && strings.Contains(u, "://") {
				return u
			}
		case s.host == "bing.com" && strings.HasPrefix(v, "a1"), s.host == "protection.sophos.com":
			if d, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimPrefix(v, "a1"), "=")); err == nil {
				return string(d)
			}
		}
		if strings.HasPrefix(v, "http://") || strings.HasPrefix(v, "https://") {
			return v
		}
	}
	return ""
}

// parameter returns a parameter of an address, whatever its case, decoded.
func parameter(raw, key string) string {
	_, q, _ := strings.Cut(raw, "?")
	for q != "" {
		var pair string
		pair, q, _ = strings.Cut(q, "&")
		if k, v, ok := strings.Cut(strings.TrimPrefix(pair, "amp;"), "="); ok && strings.EqualFold(k, key) {
			if u, err := url.QueryUnescape(v); err == nil {
				return u
			}
			return v
		}
	}
	return ""
}

// hostOfLink returns the host of an absolute web address in lower case; "" where it has none that can be a host.
func hostOfLink(raw string) string {
	_, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, `/?#\`); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if strings.HasPrefix(rest, "[") {
		rest, _, _ = strings.Cut(rest[1:], "]")
	} else {
		rest, _, _ = strings.Cut(rest, ":")
	}
	rest = strings.TrimSuffix(strings.ToLower(rest), ".")
	if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return ""
	}
	return rest
}
