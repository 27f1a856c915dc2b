package ocsf

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

func TestLinksThatServicesRewroteLeadToTheirTarget(t *testing.T) {
	const evil = "https://login.evil.example/a?b=c&d=e"
	safe := "https://nam02.safelinks.protection.outlook.com/?url=" + url.QueryEscape(evil) + "&data=05%7C"
	for name, c := range map[string]struct{ link, want, host string }{
		"Safe Links":        {safe, evil, "login.evil.example"},
		"Proofpoint v3":     {"https://urldefense.com/v3/__" + evil + "__;!!abc$", evil, "login.evil.example"},
		"with one slash":    {"https://urldefense.com/v3/__https:/login.evil.example/a__;!!abc$", "https://login.evil.example/a", "login.evil.example"},
		"Proofpoint v2":     {"https://urldefense.proofpoint.com/v2/url?u=https-3A__login.evil.example_a&d=x", "https://login.evil.example/a", "login.evil.example"},
		"Google":            {"https://www.google.com/url?sa=t&q=" + url.QueryEscape(evil), evil, "login.evil.example"},
		"Bing":              {"https://www.bing.com/ck/a?!&&u=a1" + base64.RawURLEncoding.EncodeToString([]byte(evil)), evil, "login.evil.example"},
		"Cisco":             {"https://secure-web.cisco.com/1abc/" + url.PathEscape(evil), evil, "login.evil.example"},
		"one within one":    {"https://l.facebook.com/l.php?u=" + url.QueryEscape(safe), evil, "login.evil.example"},
		"a plain link":      {evil, evil, "login.evil.example"},
		"another's url=":    {"https://shop.example/?url=" + url.QueryEscape(evil), "", "shop.example"},
		"a name that ends":  {"https://notgoogle.com/url?q=" + url.QueryEscape(evil), "", "notgoogle.com"},
		"no address inside": {"https://www.google.com/search?q=weather", "", "www.google.com"},
		"no host inside":    {"https://www.google.com/url?q=https%3A%2F%2F", "", "www.google.com"},
		"nothing":           {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := Link{URL: c.link}
			got, host, rewritten := l.Target()
			want := c.want
			if want == "" {
				want = c.link
			}
			if got != want || host != c.host || rewritten != (want != c.link) {
				t.Errorf("got %q, %q, %v", got, host, rewritten)
			}
		})
	}
	e := &Event{Mail: &Mail{Links: []Link{{URL: safe, Host: "nam02.safelinks.protection.outlook.com"}}}}
	seen := map[Observable]bool{}
	for o := range e.Observables {
		seen[o] = true
	}
	for _, o := range []Observable{{EntityURL, evil}, {EntityDomain, "login.evil.example"}, {EntityURL, safe}, {EntityDomain, "nam02.safelinks.protection.outlook.com"}} {
		if !seen[o] {
			t.Errorf("%v is not observed", o)
		}
	}
}

func FuzzLinkTarget(f *testing.F) {
	for _, s := range []string{"", "https://urldefense.com/v3/__", "https://google.com/?q=https://google.com/?q=https://google.com/?q=", "https://secure-web.cisco.com/http%", "https://bing.com/?u=a1%", "https://url.avanan.click/___x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l := Link{URL: s}
		address, host, rewritten := l.Target()
		if !rewritten && address != s {
			t.Errorf("%q became %q", s, address)
		}
		if rewritten && (host == "" || !strings.Contains(address, "://")) {
			t.Errorf("%q leads to %q at %q", s, address, host)
		}
	})
}
