package mailauth

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

func TestDMARC_alignment(t *testing.T) {
	temporary := mockdns.Zone{Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}
	type want struct {
		result  Result
		record  string
		policy  string
		applied string
		by      string
	}
	for _, tt := range []struct {
		name  string
		from  string            // value of From
		sign  string            // domain of a right signature
		path  string            // domain of the envelope, whose SPF passes
		dmarc map[string]string // records
		want  want
	}{
		{"by signature", "joe@a.example", "a.example", "", map[string]string{"a.example": "p=reject"}, want{Pass, "a.example", "reject", "none", "dkim"}},
		{"by envelope", "joe@a.example", "", "a.example", map[string]string{"a.example": "p=reject"}, want{Pass, "a.example", "reject", "none", "spf"}},
		{"by neither", "joe@a.example", "evil.example", "evil.example", map[string]string{"a.example": "p=reject"}, want{Fail, "a.example", "reject", "reject", ""}},
		{"no record", "joe@a.example", "a.example", "a.example", nil, want{None, "", "", "", ""}},
		{"relaxed: a subdomain signs", "joe@a.example", "mail.a.example", "", map[string]string{"a.example": "p=reject"}, want{Pass, "a.example", "reject", "none", "dkim"}},
		{"relaxed: the parent signs", "joe@news.a.example", "a.example", "", map[string]string{"a.example": "p=reject"}, want{Pass, "a.example", "reject", "none", "dkim"}},
		{"relaxed: a sister signs", "joe@news.a.example", "mail.a.example", "", map[string]string{"a.example": "p=reject"}, want{Pass, "a.example", "reject", "none", "dkim"}},
		{"strict: a subdomain does not", "joe@a.example", "mail.a.example", "", map[string]string{"a.example": "p=quarantine; adkim=s"}, want{Fail, "a.example", "quarantine", "quarantine", ""}},
		{"strict: the same does", "joe@a.example", "a.example", "", map[string]string{"a.example": "p=quarantine; adkim=S"}, want{Pass, "a.example", "quarantine", "none", "dkim"}},
		{"strict envelope", "joe@a.example", "", "bounce.a.example", map[string]string{"a.example": "p=reject; aspf=s"}, want{Fail, "a.example", "reject", "reject", ""}},
		{"strict for one is relaxed for the other", "joe@a.example", "", "bounce.a.example", map[string]string{"a.example": "p=reject; adkim=s"}, want{Pass, "a.example", "reject", "none", "spf"}},
		{"a public suffix is no organisation", "joe@a.co.uk", "b.co.uk", "b.co.uk", map[string]string{"a.co.uk": "p=reject", "co.uk": "p=none"}, want{Fail, "a.co.uk", "reject", "reject", ""}},
		{"who signs as the public suffix proves nothing", "joe@a.co.uk", "co.uk", "co.uk", map[string]string{"a.co.uk": "p=reject"}, want{Fail, "a.co.uk", "reject", "reject", ""}},
		{"a private suffix is none either", "joe@a.github.io", "b.github.io", "", map[string]string{"a.github.io": "p=reject"}, want{Fail, "a.github.io", "reject", "reject", ""}},
		{"below a public suffix", "joe@x.a.co.uk", "a.co.uk", "", map[string]string{"a.co.uk": "p=reject"}, want{Pass, "a.co.uk", "reject", "none", "dkim"}},
		{"policy for subdomains", "joe@x.a.example", "", "", map[string]string{"a.example": "p=reject; sp=quarantine"}, want{Fail, "a.example", "quarantine", "quarantine", ""}},
		{"sp is not for the domain itself", "joe@a.example", "", "", map[string]string{"a.example": "p=reject; sp=none"}, want{Fail, "a.example", "reject", "reject", ""}},
		{"a subdomain's own record", "joe@x.a.example", "", "", map[string]string{"a.example": "p=reject", "x.a.example": "p=none"}, want{Fail, "x.a.example", "none", "none", ""}},
		{"np for a name that is none", "joe@ghost.a.example", "", "", map[string]string{"a.example": "p=none; sp=none; np=reject"}, want{Fail, "a.example", "reject", "reject", ""}},
		{"np is not for a name that is", "joe@real.a.example", "", "", map[string]string{"a.example": "p=none; np=reject"}, want{Fail, "a.example", "none", "none", ""}},
		{"pct=0 is the next milder policy", "joe@a.example", "", "", map[string]string{"a.example": "p=reject; pct=0"}, want{Fail, "a.example", "reject", "quarantine", ""}},
		{"pct=0 of quarantine", "joe@a.example", "", "", map[string]string{"a.example": "p=quarantine; pct=0"}, want{Fail, "a.example", "quarantine", "none", ""}},
		{"t=y tests", "joe@a.example", "", "", map[string]string{"a.example": "p=reject; t=y"}, want{Fail, "a.example", "reject", "quarantine", ""}},
		{"a pct that is none is 100", "joe@a.example", "", "", map[string]string{"a.example": "p=reject; pct=many"}, want{Fail, "a.example", "reject", "reject", ""}},
		{"unknown tags are passed over", "joe@a.example", "", "", map[string]string{"a.example": "p=reject; rf=iodef; x=y"}, want{Fail, "a.example", "reject", "reject", ""}},
		{"upper case", "Joe@A.EXAMPLE", "a.example", "", map[string]string{"a.example": "p=REJECT"}, want{Pass, "a.example", "reject", "none", "dkim"}},
		{"no policy but an address for reports", "joe@a.example", "", "", map[string]string{"a.example": "rua=mailto:d@a.example"}, want{Fail, "a.example", "none", "none", ""}},
		{"no policy", "joe@a.example", "", "", map[string]string{"a.example": "adkim=s"}, want{PermError, "a.example", "", "", ""}},
		{"a record with a mistake", "joe@a.example", "", "", map[string]string{"a.example": "p=reject; p=none"}, want{PermError, "a.example", "", "", ""}},
		{"two records", "joe@a.example", "a.example", "", map[string]string{"a.example": "p=reject|p=none"}, want{None, "", "", "", ""}},
		{"DNS fails", "joe@servfail.example", "", "", nil, want{TempError, "", "", "", ""}},
		{"a key that cannot be had now", "joe@tempkey.example", "", "", map[string]string{"tempkey.example": "p=reject"}, want{TempError, "tempkey.example", "reject", "none", ""}},
		{"group syntax", "Team: joe@a.example;", "a.example", "", map[string]string{"a.example": "p=reject"}, want{Pass, "a.example", "reject", "none", "dkim"}},
		{"an empty group", "undisclosed:;", "a.example", "a.example", map[string]string{"a.example": "p=reject"}, want{PermError, "", "", "", ""}},
		{"two addresses of one domain", "joe@a.example, ann@a.example", "a.example", "", map[string]string{"a.example": "p=reject"}, want{Pass, "a.example", "reject", "none", "dkim"}},
		{"two domains: the one that fails counts", "evil@evil.example, joe@a.example", "evil.example", "evil.example", map[string]string{"a.example": "p=reject", "evil.example": "p=none"}, want{Fail, "a.example", "reject", "reject", ""}},
		{"two domains: in either order", "joe@a.example, evil@evil.example", "evil.example", "evil.example", map[string]string{"a.example": "p=reject", "evil.example": "p=none"}, want{Fail, "a.example", "reject", "reject", ""}},
		{"five domains", "a@a.example,b@b.example,c@c.example,d@d.example,e@e.example", "a.example", "", map[string]string{"a.example": "p=none"}, want{PermError, "", "", "", ""}},
		{"no address", "Joe", "a.example", "a.example", map[string]string{"a.example": "p=reject"}, want{PermError, "", "", "", ""}},
		{"an address literal", "joe@[192.0.2.1]", "a.example", "a.example", nil, want{PermError, "", "", "", ""}},
		{"the name may look like an address", `"joe@a.example" <x@evil.example>`, "evil.example", "", map[string]string{"evil.example": "p=reject", "a.example": "p=reject"}, want{Pass, "evil.example", "reject", "none", "dkim"}},
		{"an international domain", "joe@münchen.example", "xn--mnchen-3ya.example", "", map[string]string{"xn--mnchen-3ya.example": "p=reject"}, want{Pass, "xn--mnchen-3ya.example", "reject", "none", "dkim"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := map[string]mockdns.Zone{
				"_dmarc.servfail.example.":      temporary,
				"r._domainkey.tempkey.example.": temporary,
				"real.a.example.":               {A: []string{"192.0.2.5"}},
			}
			if tt.path != "" {
				z[tt.path+"."] = txt("v=spf1 ip4:192.0.2.1 -all")
			}
			for d, records := range tt.dmarc {
				var all []string
				for _, r := range strings.Split(records, "|") {
					all = append(all, "v=DMARC1; "+r)
				}
				z["_dmarc."+d+"."] = txt(append(all, "unrelated")...)
			}
			raw := strings.Replace(letter, "From: Joe <joe@partner.example>", "From: "+tt.from, 1)
			if tt.sign != "" && tt.sign != "co.uk" {
				z["r._domainkey."+tt.sign+"."] = txt(keyRecord(t, rsaKey()))
				raw = signed(t, raw, tt.sign)
			}
			if tt.sign == "co.uk" {
				z["r._domainkey.co.uk."] = txt(keyRecord(t, rsaKey()))
				raw = signed(t, raw, tt.sign)
			}
			if strings.Contains(tt.from, "tempkey") {
				raw = signed(t, raw, "tempkey.example")
			}
			e := envelope("192.0.2.1", "mx.example", "")
			if tt.path != "" {
				e.MailFrom = "bounce@" + tt.path
			}
			got := check(t, z, e, raw).DMARC
			if have := (want{got.Result, got.Record, got.Policy, got.Applied, got.By}); have != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestDMARC_fromFieldsThatNobodyMaySend(t *testing.T) {
	z := zones(t, map[string]mockdns.Zone{
		"_dmarc.partner.example.": txt("v=DMARC1; p=reject"), "_dmarc.evil.example.": txt("v=DMARC1; p=none"),
	}, "evil.example")
	twice := signed(t, "From: evil@evil.example\r\n"+letter, "evil.example")
	if got := check(t, z, Envelope{}, twice).DMARC; got.Result != Fail || got.From != "partner.example" || len(got.Domains) != 2 {
		t.Errorf("two From fields: %+v, want the failure of the second", got)
	}
	missing := strings.Replace(letter, "From:", "Fron:", 1)
	if got := check(t, z, Envelope{}, missing).DMARC; got.Result != PermError || !strings.Contains(got.Reason, "no From") {
		t.Errorf("no From: %+v, want permerror", got)
	}
}

func TestDMARC_samplingIsTheSameAtASecondTry(t *testing.T) {
	rec := dmarcRecord{percent: 50}
	hit := 0
	for i := range 1000 {
		raw := []byte(strings.Repeat("x", i))
		first := rec.applied("reject", raw)
		if first != rec.applied("reject", raw) {
			t.Fatalf("message %d is sampled once and once not", i)
		}
		if first == "reject" {
			hit++
		}
	}
	if hit < 400 || hit > 600 {
		t.Errorf("%d of 1000 messages are sampled at pct=50", hit)
	}
}

func TestFrom_findsEveryDomainThatAReaderMightShow(t *testing.T) {
	for value, want := range map[string]string{
		"joe@a.example":       "a.example",
		"Joe <joe@a.example>": "a.example",
		`"Joe, Jr. <x@evil.example>" <joe@a.example>`:       "a.example",
		"joe@a.example (eve@evil.example)":                  "a.example",
		"Joe (a (nested) <x@evil.example>) <joe@a.example>": "a.example",
		"<joe@a.example> <x@evil.example>":                  "a.example evil.example",
		"<joe@a.example>, x@b.example":                      "a.example b.example",
		"joe @ a . example":                                 "a.example",
		"G: joe@a.example, x@b.example;":                    "a.example b.example",
		"<@relay.example,@r2.example:joe@a.example>":        "a.example",
		"joe@a.example; x@b.example":                        "a.example b.example",
		`"joe@evil.example"@a.example`:                      "a.example",
		"<joe@a.example":                                    "a.example",
		"Joe <joe@a.example.>":                              "a.example",
		"joe@a.example\r\n ,x@b.example":                    "a.example b.example",
		"=?utf-8?q?x=40evil.example?= <joe@a.example>":      "a.example",
		"":  "",
		"@": "",
	} {
		m := readMessage([]byte("From: " + value + "\r\n\r\n"))
		got := m.from()
		if strings.Join(got.domains, " ") != want {
			t.Errorf("%q: %q, want %q", value, got.domains, want)
		}
		if len(got.domains) == 0 && got.problem == "" {
			t.Errorf("%q: no domain and no word on why", value)
		}
	}
	if got := readMessage([]byte("From: a@b.example\r\nFROM : c@d.example\r\n\r\n")).from(); !slices.Equal(got.domains, []string{"b.example", "d.example"}) {
		t.Errorf("two fields: %+v", got)
	}
}
