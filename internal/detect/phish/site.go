package phish

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// apexOf returns the registered domain of a host, the host itself for addresses and bare names.
func apexOf(host string) string {
	if isIP(host) {
		return host
	}
	if a, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return a
	}
	return host
}

// perCustomer are platforms whose customers each have a host name of their own: what is new there is the host,
// not the platform.
var perCustomer = set("sharepoint.com", "screenconnect.com", "zendesk.com", "atlassian.net", "service-now.com", "freshdesk.com", "onmicrosoft.com",
	"teamviewer.com", "my.salesforce.com", "force.com", "slack.com", "dynamics.com", "googleusercontent.com", "sendgrid.net", "hubspotlinks.com",
	"list-manage.com", "webex.com", "zoom.us", "okta.com", "jotform.com", "egnyte.com", "sharefile.com", "citrixdata.com", "beyondtrustcloud.com",
	"myqnapcloud.com", "notion.site", "substack.com", "workdayjobs.com", "personio.de", "box.com", "jimdosite.com", "wixsite.com")

// siteOf returns what counts as one place on the web: the registered domain, or the full host on a platform where
// every customer has a name. The public suffix list knows hosting suffixes such as web.app already.
func siteOf(host string) string {
	a := apexOf(host)
	if perCustomer[a] {
		return strings.TrimPrefix(host, "www.")
	}
	return a
}

// freeHosts are places where anybody may put a page within minutes.
var freeHosts = []string{"web.app", "firebaseapp.com", "pages.dev", "workers.dev", "r2.dev", "github.io", "gitlab.io", "netlify.app", "vercel.app",
	"weebly.com", "weeblysite.com", "wixsite.com", "blogspot.com", "000webhostapp.com", "glitch.me", "ngrok.io", "ngrok-free.app", "trycloudflare.com",
	"ipfs.io", "dweb.link", "storage.googleapis.com", "amazonaws.com", "blob.core.windows.net", "web.core.windows.net", "azurewebsites.net",
	"azureedge.net", "azurefd.net", "forms.gle", "sites.google.com", "notion.site", "typeform.com", "jotform.com", "canva.site", "cloudfront.net",
	"herokuapp.com", "onrender.com", "surge.sh", "replit.app", "repl.co", "godaddysites.com", "square.site", "mystrikingly.com", "yolasite.com",
	"webflow.io", "framer.website", "duckdns.org", "ddns.net", "hopto.org", "zapto.org", "sytes.net", "cprapid.com", "linodeobjects.com",
	"digitaloceanspaces.com", "ondigitalocean.app", "fleek.co", "backblazeb2.com", "cloudwaysapps.com", "translate.goog", "appspot.com", "run.app",
	"wordpress.com", "webador.com", "carrd.co", "my.canva.site", "tempurl.host", "plesk.page", "nip.io", "sslip.io", "contaboserver.net"}

// shorteners hide where a link leads.
var shorteners = set("bit.ly", "tinyurl.com", "t.co", "is.gd", "v.gd", "cutt.ly", "rb.gy", "ow.ly", "buff.ly", "goo.gl", "rebrand.ly", "shorturl.at",
	"t.ly", "s.id", "qrco.de", "tiny.cc", "bl.ink", "shrtco.de", "urlz.fr", "u.to", "clck.ru", "lnkiy.in", "short.gy", "soo.gd", "bit.do",
	"x.gd", "n9.cl", "l.ead.me", "me-qr.com", "q-r.to", "tr.ee", "linktr.ee", "goo.su", "surl.li", "shorturl.asia", "2no.co", "vk.cc", "dub.sh")

// freemail are providers of personal mailboxes.
var freemail = set("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "yahoo.co.jp", "ymail.com", "aol.com",
	"icloud.com", "me.com", "proton.me", "protonmail.com", "gmx.de", "gmx.net", "gmx.com", "web.de", "mail.ru", "yandex.ru", "yandex.com", "t-online.de",
	"freenet.de", "orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "qq.com", "163.com", "126.com", "mail.com", "zoho.com", "tutanota.com", "tuta.io",
	"hotmail.fr", "hotmail.co.uk", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "libero.it", "seznam.cz", "naver.com", "fastmail.com", "hey.com", "outlook.de")

// commonSites carry links in all kinds of honest mail; a link there says nothing by its host.
var commonSites = set("google.com", "youtube.com", "microsoft.com", "office.com", "office365.com", "linkedin.com", "facebook.com", "instagram.com",
	"twitter.com", "x.com", "apple.com", "github.com", "wikipedia.org", "w3.org", "aka.ms", "live.com", "outlook.com", "adobe.com", "amazon.com", "amazon.de",
	"microsoftonline.com", "windows.net", "goo.gl", "gstatic.com", "vimeo.com", "xing.com", "whatsapp.com", "paypal.com", "ebay.com", "yahoo.com",
	"mozilla.org", "debian.org", "stackoverflow.com", "gitlab.com", "zoom.us", "medium.com", "cisco.com", "ietf.org", "kernel.org", "schema.org")

func set(list ...string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

func onFreeHost(host string) bool {
	for _, d := range freeHosts {
		if within(host, d) {
			return true
		}
	}
	return false
}

// within reports whether host is domain or below it.
func within(host, domain string) bool {
	return host == domain || len(host) > len(domain) && host[len(host)-len(domain)-1] == '.' && strings.HasSuffix(host, domain)
}

// rewriters are services that put their own address before the real one, and the parameter that keeps it.
var rewriters = []struct{ host, param string }{
	{"safelinks.protection.outlook.com", "url"}, {"safelinks.office.com", "url"}, {"linkprotect.cudasvc.com", "a"}, {"www.google.com", "q"},
	{"google.com", "q"}, {"google.com", "url"}, {"bing.com", "u"}, {"protect2.fireeye.com", "u"}, {"l.facebook.com", "u"}, {"lm.facebook.com", "u"},
	{"linkedin.com", "url"}, {"slack-redir.net", "url"}, {"trendmicro.com", "url"}, {"protection.sophos.com", "u"}, {"deref-gmx.net", "redirectUrl"},
	{"deref-web.de", "redirectUrl"}, {"deref-mail.com", "redirectUrl"}, {"clicktime.symantec.com", "u"}, {"youtube.com", "q"}, {"steamcommunity.com", "url"},
	{"hydra.hornetsecurity.com", "url"}, {"atpscan.global.hornetsecurity.com", "url"}, {"urlsand.esvalabs.com", "u"}, {"vk.com", "to"},
	{"mimecast.com", "domain"}, {"urldefense.proofpoint.com", "u"}, {"urldefense.com", "u"}, {"www.amazon.com", "url"}, {"mail.google.com", "q"},
	{"googleadservices.com", "adurl"}, {"doubleclick.net", "adurl"}, {"doubleclick.net", "destinationURL"},
}

// unwrap undoes link rewriting, up to three layers, and returns the address the reader ends at as far as the link
// itself tells, with its host. No link is fetched.
func unwrap(raw, host string) (target, targetHost string, rewritten bool) {
	for range 3 {
		inner := innerURL(raw, host)
		if inner == "" {
			break
		}
		h := hostIn(inner)
		if h == "" {
			break
		}
		raw, host, rewritten = inner, h, true
	}
	return raw, host, rewritten
}

func innerURL(raw, host string) string {
	switch {
	case within(host, "urldefense.com") && strings.Contains(raw, "/v3/__"):
		_, rest, _ := strings.Cut(raw, "/v3/__")
		inner, _, _ := strings.Cut(rest, "__;")
		return strings.Replace(inner, ":/", "://", btoi(!strings.Contains(inner, "://")))
	case within(host, "secure-web.cisco.com"):
		if i := strings.LastIndex(raw, "/http"); i > 8 {
			if u, err := url.PathUnescape(raw[i+1:]); err == nil {
				return u
			}
		}
	case within(host, "url.avanan.click"), within(host, "url.us.m.mimecastprotect.com"):
		if _, rest, ok := strings.Cut(raw, "___"); ok {
			inner, _, _ := strings.Cut(rest, "___")
			return inner
		}
	}
	if strings.IndexByte(raw, '?') < 0 {
		return ""
	}
	for _, r := range rewriters {
		if !within(host, r.host) {
			continue
		}
		v := queryValue(raw, r.param)
		switch {
		case v == "":
			continue
		case r.param == "domain":
			return "http://" + v + "/"
		case strings.HasPrefix(r.host, "urldefense"): // version 2 writes % as - and / as _
			u, err := url.QueryUnescape(strings.NewReplacer("-", "%", "_", "/").Replace(v))
			if err == nil && strings.Contains(u, "://") {
				return u
			}
		case r.host == "bing.com" && strings.HasPrefix(v, "a1"), r.host == "protection.sophos.com":
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

func queryValue(raw, key string) string {
	_, q, _ := strings.Cut(raw, "?")
	for q != "" {
		var kv string
		kv, q, _ = strings.Cut(q, "&")
		kv = strings.TrimPrefix(kv, "amp;")
		if k, v, ok := strings.Cut(kv, "="); ok && strings.EqualFold(k, key) {
			if u, err := url.QueryUnescape(v); err == nil {
				return u
			}
			return v
		}
	}
	return ""
}

// hostIn returns the host of an absolute web address.
func hostIn(raw string) string {
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
	return strings.TrimSuffix(strings.ToLower(rest), ".")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isIP(host string) bool {
	if host == "" || host[0] != '[' && strings.IndexByte(host, ':') < 0 && (host[len(host)-1] < '0' || host[len(host)-1] > '9') {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// publicIP reports whether host is an address that anybody on the Internet may serve.
func publicIP(host string) bool {
	if !isIP(host) {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && public(ip)
}

// privateIP reports whether host is an address that is not on the Internet.
func privateIP(host string) bool { return isIP(host) && !publicIP(host) }
