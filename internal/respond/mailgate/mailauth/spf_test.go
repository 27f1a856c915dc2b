package mailauth

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

func TestSPF_saysWhoMaySend(t *testing.T) {
	many := "v=spf1"
	z := map[string]mockdns.Zone{}
	for i := range 11 {
		many += fmt.Sprintf(" include:i%d.many.example", i)
		z[fmt.Sprintf("i%d.many.example.", i)] = txt("v=spf1 ip4:203.0.113.1")
	}
	for name, record := range map[string]string{
		"ip":             "v=spf1 ip4:192.0.2.0/24 -all",
		"soft":           "v=spf1 ip4:203.0.113.9 ~all",
		"neutral":        "v=spf1 ?all",
		"noall":          "v=spf1 ip4:203.0.113.9",
		"v6":             "v=spf1 ip6:2001:db8::/32 -all",
		"inc":            "v=spf1 include:ip.example -all",
		"loop":           "v=spf1 include:loop.example -all",
		"ping":           "v=spf1 include:pong.example -all",
		"pong":           "v=spf1 include:ping.example -all",
		"redir":          "v=spf1 redirect=ip.example",
		"gone":           "v=spf1 include:nothing.example -all",
		"macro":          "v=spf1 exists:%{ir}.%{l1r-}._spf.%{d2} -all",
		"badmacro":       "v=spf1 exists:%{x}.example -all",
		"void":           "v=spf1 a:v1.example a:v2.example a:v3.example ip4:192.0.2.1 -all",
		"twovoid":        "v=spf1 a:v1.example a:v2.example ip4:192.0.2.1 -all",
		"typo":           "v=spf1 ipv4:192.0.2.1 -all",
		"mx":             "v=spf1 mx -all",
		"a":              "v=spf1 a:host.example -all",
		"many":           many,
		"helo":           "v=spf1 ip4:192.0.2.1 -all",
		"tempinc":        "v=spf1 include:servfail.example -all",
		"xn--mnchen-3ya": "v=spf1 ip4:192.0.2.1 -all",
	} {
		z[name+".example."] = mockdns.Zone{TXT: []string{"google-site-verification=1", record}, MX: []net.MX{{Host: "host.example.", Pref: 10}}}
	}
	z["host.example."] = mockdns.Zone{A: []string{"192.0.2.1"}}
	z["1.2.0.192.joe._spf.macro.example."] = mockdns.Zone{A: []string{"127.0.0.2"}}
	z["two.example."] = txt("v=spf1 -all", "v=spf1 +all")
	z["none.example."] = txt("hello")
	z["servfail.example."] = mockdns.Zone{Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}
	z["odd.example."] = mockdns.Zone{Err: errors.New("connection refused")}

	c := checker(t, z)
	for _, tt := range []struct {
		name     string
		client   string
		helo     string
		from     string
		want     Result
		domain   string
		identity string
	}{
		{"a listed address passes", "192.0.2.1", "mx.ip.example", "joe@ip.example", Pass, "ip.example", "mailfrom"},
		{"brackets are none of the address", "192.0.2.1", "mx", "<Joe@IP.Example>", Pass, "ip.example", "mailfrom"},
		{"another address fails", "198.51.100.1", "mx", "joe@ip.example", Fail, "ip.example", "mailfrom"},
		{"a tilde is a softfail", "192.0.2.1", "mx", "joe@soft.example", SoftFail, "soft.example", "mailfrom"},
		{"a question mark is neutral", "192.0.2.1", "mx", "joe@neutral.example", Neutral, "neutral.example", "mailfrom"},
		{"no match is neutral", "192.0.2.1", "mx", "joe@noall.example", Neutral, "noall.example", "mailfrom"},
		{"IPv6", "2001:db8::7", "mx", "joe@v6.example", Pass, "v6.example", "mailfrom"},
		{"IPv4 in IPv6 is IPv4", "::ffff:192.0.2.1", "mx", "joe@ip.example", Pass, "ip.example", "mailfrom"},
		{"include", "192.0.2.1", "mx", "joe@inc.example", Pass, "inc.example", "mailfrom"},
		{"redirect", "198.51.100.1", "mx", "joe@redir.example", Fail, "redir.example", "mailfrom"},
		{"an include that includes itself ends", "192.0.2.1", "mx", "joe@loop.example", PermError, "loop.example", "mailfrom"},
		{"a loop of two ends", "192.0.2.1", "mx", "joe@ping.example", PermError, "ping.example", "mailfrom"},
		{"an include of nothing is an error", "192.0.2.1", "mx", "joe@gone.example", PermError, "gone.example", "mailfrom"},
		{"macros: who and from where", "192.0.2.1", "mx", "joe@macro.example", Pass, "macro.example", "mailfrom"},
		{"macros: another person", "192.0.2.1", "mx", "eve@macro.example", Fail, "macro.example", "mailfrom"},
		{"an unknown macro", "192.0.2.1", "mx", "joe@badmacro.example", PermError, "badmacro.example", "mailfrom"},
		{"two void lookups are allowed", "192.0.2.1", "mx", "joe@twovoid.example", Pass, "twovoid.example", "mailfrom"},
		{"three are not", "192.0.2.1", "mx", "joe@void.example", PermError, "void.example", "mailfrom"},
		{"eleven lookups are too many", "192.0.2.1", "mx", "joe@many.example", PermError, "many.example", "mailfrom"},
		{"a misspelt mechanism", "192.0.2.1", "mx", "joe@typo.example", PermError, "typo.example", "mailfrom"},
		{"mx", "192.0.2.1", "mx", "joe@mx.example", Pass, "mx.example", "mailfrom"},
		{"a with a name", "192.0.2.1", "mx", "joe@a.example", Pass, "a.example", "mailfrom"},
		{"two records", "192.0.2.1", "mx", "joe@two.example", PermError, "two.example", "mailfrom"},
		{"no record", "192.0.2.1", "mx", "joe@none.example", None, "none.example", "mailfrom"},
		{"no domain", "192.0.2.1", "mx", "joe@nowhere.example", None, "nowhere.example", "mailfrom"},
		{"DNS fails", "192.0.2.1", "mx", "joe@servfail.example", TempError, "servfail.example", "mailfrom"},
		{"DNS of an include fails", "192.0.2.1", "mx", "joe@tempinc.example", TempError, "tempinc.example", "mailfrom"},
		{"a failure of no known kind is temporary", "192.0.2.1", "mx", "joe@odd.example", TempError, "odd.example", "mailfrom"},
		{"null path: the HELO name", "192.0.2.1", "helo.example", "<>", Pass, "helo.example", "helo"},
		{"null path, HELO of another", "198.51.100.1", "HELO.example.", "", Fail, "helo.example", "helo"},
		{"null path, HELO an address", "192.0.2.1", "[192.0.2.1]", "<>", None, "", "helo"},
		{"HELO without a dot", "192.0.2.1", "localhost", "<>", None, "", "helo"},
		{"path without a domain", "192.0.2.1", "mx", "joe", None, "", "mailfrom"},
		{"domain literal", "192.0.2.1", "mx", "joe@[192.0.2.1]", None, "", "mailfrom"},
		{"a domain that could not be", "192.0.2.1", "mx", "joe@a..example", None, "", "mailfrom"},
		{"an international domain", "192.0.2.1", "mx", "jö@München.example", Pass, "xn--mnchen-3ya.example", "mailfrom"},
		{"two at signs: the last counts", "192.0.2.1", "mx", `"a@ip.example"@soft.example`, SoftFail, "soft.example", "mailfrom"},
		{"source route", "192.0.2.1", "mx", "<@relay.example:joe@ip.example>", Pass, "ip.example", "mailfrom"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.Check(t.Context(), envelope(tt.client, tt.helo, tt.from), []byte(letter)).SPF
			if got.Result != tt.want || got.Domain != tt.domain || got.Identity != tt.identity {
				t.Errorf("got %+v, want %s of %q by %s", got, tt.want, tt.domain, tt.identity)
			}
		})
	}
	local := c.Check(t.Context(), Envelope{MailFrom: "joe@ip.example"}, []byte(letter)).SPF
	if local.Result != None || local.Reason == "" {
		t.Errorf("a message submitted locally has %+v, want none with its reason", local)
	}
	if got := c.Check(t.Context(), Envelope{Client: netip.MustParseAddr("fe80::1%eth0"), MailFrom: "joe@v6.example"}, []byte(letter)).SPF; got.Result != Fail {
		t.Errorf("an address with a zone has %+v, want fail", got)
	}
}
