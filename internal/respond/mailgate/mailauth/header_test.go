package mailauth

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/foxcpp/go-mockdns"
	"github.com/google/go-cmp/cmp"
)

func TestHeader_isWhatAReaderUnderstands(t *testing.T) {
	z := zones(t, map[string]mockdns.Zone{
		"partner.example.":        txt("v=spf1 ip4:192.0.2.1 -all"),
		"_dmarc.partner.example.": txt("v=DMARC1; p=reject"),
	}, "partner.example", "list.example")
	raw := seal(t, signed(t, letter, "partner.example"), "list.example", "none", "spf=pass")
	r := check(t, z, envelope("192.0.2.1", "mx.partner.example", "joe@partner.example"), raw)
	tag := r.DKIM[0].Tag
	if strings.ContainsAny(tag, "/=") {
		tag = `"` + tag + `"`
	}
	want := "mx.client.example;\r\n" +
		"\tspf=pass smtp.mailfrom=joe@partner.example;\r\n" +
		"\tdkim=pass header.d=partner.example header.s=r header.a=rsa-sha256 header.b=" + tag + ";\r\n" +
		"\tarc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.1;\r\n" +
		"\tdmarc=pass header.from=partner.example policy.dmarc=none"
	if diff := cmp.Diff(want, r.Header("mx.client.example")); diff != "" {
		t.Error(diff)
	}
	id, claims, ok := ParseResults(r.Header("mx.client.example"))
	if !ok || id != "mx.client.example" || claims.Get("spf") != Pass || claims.Get("dkim") != Pass || claims.Get("arc") != Pass || claims.Get("dmarc") != Pass {
		t.Errorf("read again: %q %+v %v", id, claims, ok)
	}
	if got := Strip([]Field{{HeaderName, r.Header("mx.client.example")}}, "mx.client.example"); len(got) != 1 {
		t.Error("our own field, come back from outside, is left")
	}

	var m ocsf.Mail
	r.Apply(&m)
	wantMail := ocsf.Mail{SPF: "pass", DKIM: "pass", DKIMDomain: "partner.example", DMARC: "pass", ARC: "pass", ARCDomain: "list.example"}
	if diff := cmp.Diff(wantMail, m, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestApply_replacesWhatAHeaderSaid(t *testing.T) {
	m := ocsf.Mail{SPF: "pass", DKIM: "pass", DKIMDomain: "bank.example", DMARC: "pass", ARC: "pass", ARCDomain: "evil.example"}
	r := Results{SPF: SPF{Result: Fail}, DKIM: []DKIM{{Result: Policy, Domain: "a.example"}}, DMARC: DMARC{Result: Fail}, ARC: ARC{Result: TempError}}
	r.Apply(&m)
	want := ocsf.Mail{SPF: "fail", DKIM: "none", DKIMDomain: "a.example", DMARC: "fail"}
	if diff := cmp.Diff(want, m, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestHeader_senderCannotWriteInIt(t *testing.T) {
	evil := "x\r\nBcc: all@client.example\r\n; dkim=pass header.d=bank.example \"(\x00ü"
	r := Results{
		Client:   netip.MustParseAddr("fe80::1%eth0"),
		MailFrom: evil + "@partner.example",
		SPF:      SPF{Result: PermError, Domain: evil, Identity: "mailfrom", Reason: evil + `\"`},
		DKIM:     []DKIM{{Result: Fail, Domain: evil, Selector: evil, Algorithm: evil, Tag: evil, Reason: evil}},
		ARC:      ARC{Result: Fail, Reason: evil},
		DMARC:    DMARC{Result: Fail, From: evil, Applied: evil, Reason: evil},
	}
	for _, identity := range []string{"mailfrom", "helo"} {
		r.SPF.Identity = identity
		v := r.Header("mx.client.example" + evil)
		for _, line := range strings.Split(v, "\r\n")[1:] {
			if !strings.HasPrefix(line, "\t") || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("a line of the sender's: %q", line)
			}
		}
		_, claims, ok := ParseResults(v)
		if !ok || len(claims) != 4 || claims.Get("dkim") != Fail || claims.Get("spf") != PermError || claims.Get("arc") != Fail || claims.Get("dmarc") != Fail {
			t.Errorf("%q reads as %+v (%v)", v, claims, ok)
		}
	}
}

func TestHeader_nothingIsNone(t *testing.T) {
	r := check(t, nil, Envelope{}, "Subject: x\r\n\r\n")
	want := "mx;\r\n\tspf=none reason=\"no domain name to ask for\";\r\n\tdkim=none;\r\n\tdmarc=permerror reason=\"there is no From field\""
	if diff := cmp.Diff(want, r.Header("mx")); diff != "" {
		t.Error(diff)
	}
}
