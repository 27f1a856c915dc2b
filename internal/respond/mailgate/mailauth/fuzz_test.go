package mailauth

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/foxcpp/go-mockdns"
)

func FuzzCheck(f *testing.F) {
	z := zones(f, map[string]mockdns.Zone{
		"partner.example.":        txt("v=spf1 include:%{l}.partner.example mx a ptr exists:%{ir}.partner.example -all"),
		"_dmarc.partner.example.": txt("v=DMARC1; p=reject; np=reject; pct=50"),
	}, "partner.example", "one.example")
	c := New(Options{Resolver: &mockdns.Resolver{Zones: z}, Now: func() time.Time { return now }})
	f.Cleanup(c.Close)
	raw := signed(f, letter, "partner.example", withEd25519)
	sealed := seal(f, raw, "one.example", "none", "spf=pass")
	for _, s := range []string{letter, raw, sealed, seal(f, sealed, "one.example", "pass", "arc=pass"), "", "\n", ":", "From:\n", "DKIM-Signature:\nARC-Seal:\n\n",
		signBy(f, letter, "DKIM-Signature", "v=1; a=rsa-sha256; d=partner.example; s=r; l=3; x=99; h=from; bh={bh};", rsaKey())} {
		f.Add("192.0.2.1", "mx.partner.example", "joe@partner.example", s)
	}
	f.Add("::1", "[::1]", "<@a:b@c>", letter)
	f.Fuzz(func(t *testing.T, client, helo, from, raw string) {
		e := Envelope{Helo: helo, MailFrom: from}
		if strings.Contains(client, ":") {
			e = envelope("2001:db8::1", helo, from)
		} else if client != "" {
			e = envelope("192.0.2.1", helo, from)
		}
		r := c.Check(context.Background(), e, []byte(raw))
		if len(r.DKIM) > MaxSignatures {
			t.Errorf("%d signatures were verified", len(r.DKIM))
		}
		known := []Result{None, Pass, Fail, SoftFail, Neutral, Policy, TempError, PermError}
		for _, got := range []Result{r.SPF.Result, r.ARC.Result, r.DMARC.Result, r.Deciding().Result} {
			found := false
			for _, k := range known {
				found = found || k == got
			}
			if !found {
				t.Errorf("a result of %q", got)
			}
		}
		v := r.Header("mx.client.example")
		id, claims, ok := ParseResults(v)
		if !ok || id != "mx.client.example" || claims.Get("spf") != r.SPF.Result || claims.Get("dmarc") != r.DMARC.Result {
			t.Errorf("%q reads as %q %+v %v", v, id, claims, ok)
		}
		if r.DMARC.Result == Pass && r.DMARC.By == "" {
			t.Error("DMARC passes by nothing")
		}
	})
}

func FuzzForeign(f *testing.F) {
	for _, v := range []string{
		"mx.client.example; dkim=pass header.d=a.example", `"mx.client.example" 1; spf=fail reason="; dkim=pass"`, "(a(b)) mx.client.example(;); none",
		"=?utf-8?q?mx?=; x", "a/1 = b (", `x;y="`, "x; a==b=c; =d", "\x00;\x00", "i=1; mx; spf=pass",
	} {
		f.Add("Authentication-Results", v)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		fields := []Field{{name, value}, {"Authentication-Results", value}}
		for _, r := range Strip(fields, "mx.client.example") {
			if r.Index < 1 || r.Position < 0 || r.Position > 1 || fields[r.Position].Name != r.Name {
				t.Errorf("%+v of two fields", r)
			}
		}
		// What this reader takes for ours must go.
		if id, _, ok := ParseResults(value); ok && id == "mx.client.example" && len(Strip(fields[1:], "mx.client.example")) != 1 {
			t.Errorf("%q is read as ours and left", value)
		}
		if got := Trusted(fields, []string{"mx.client.example"}, 3); len(got) > maxClaims {
			t.Errorf("%d claims", len(got))
		}
		if claims, _ := parseClaims(value); len(claims) > maxClaims {
			t.Errorf("%d claims", len(claims))
		}
	})
}

func FuzzRecords(f *testing.F) {
	for _, s := range []string{
		"v=DMARC1; p=reject; sp=none; pct=5; adkim=s", "v = DMARC1 ;p=none", "v=DMARC1; rua=mailto:a@b", "v=DKIM1; k=rsa; p=", "v=DKIM1; k=ed25519; p=AAAA; t=y:s; h=sha256; s=*",
		keyRecord(f, edKey), keyRecord(f, rsaKey()), "p=!!", ";;=;", "a=b;a=b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if rec, is, problem := parseDMARC(s); is && problem == "" && (rec.policy == "" || rec.percent < 0 || rec.percent > 100 || rec.applied(rec.policy, []byte(s)) == "") {
			t.Errorf("%q is a record with %+v", s, rec)
		}
		if k := parseKey(s); k.problem == "" && (k.rsa == nil) == (k.ed25519 == nil) {
			t.Errorf("%q is %+v", s, k)
		}
		tags, err := parseTags([]byte(s))
		for _, tag := range tags {
			if err == nil && strings.TrimFunc(s[tag.start:tag.end], func(r rune) bool { return r < 0x80 && isSpace(byte(r)) }) != tag.value {
				t.Errorf("%q: the tag %+v is not where it says", s, tag)
			}
		}
	})
}

func FuzzFrom(f *testing.F) {
	for _, s := range []string{"Joe <joe@a.example>", `"x@y" <a@b.example>, (c) G: d@e.example;`, "<<a@b.example", "a@b.example>", `"\`, "(((", "@@@", "a@ü.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := readMessage([]byte("From: " + s + "\r\n\r\n"))
		got := m.from()
		for _, d := range got.domains {
			if domainOf(d) != d {
				t.Errorf("%q has the domain %q", s, d)
			}
		}
		if len(got.domains) == 0 && got.problem == "" || len(got.domains) > MaxFromDomains+1 {
			t.Errorf("%q: %+v", s, got)
		}
	})
}

// FuzzSigned signs any message with the library: what it verifies must pass here, changed or not.
func FuzzSigned(f *testing.F) {
	z := zones(f, nil, "partner.example")
	c := New(Options{Resolver: &mockdns.Resolver{Zones: z}, Now: func() time.Time { return now }})
	f.Cleanup(c.Close)
	for i, b := range bodies {
		f.Add("Subject: x\r\n y\r\n", b, uint8(i), uint16(i*37), byte(' '))
	}
	f.Fuzz(func(t *testing.T, head, body string, canon uint8, at uint16, with byte) {
		// Lone CR is no line end and does not come by SMTP (RFC 5321 2.3.8); the two treat it differently.
		head = strings.ReplaceAll(strings.ReplaceAll(head, "\r", ""), "\n\n", "\n")
		head = strings.ReplaceAll(strings.Trim(head, "\n"), "\n", "\r\n")
		body = strings.ReplaceAll(strings.ReplaceAll(body, "\r", ""), "\n", "\r\n")
		if with == '\r' || with == '\n' || len(head) > 4000 || !plainHead(head) {
			return
		}
		names := []dkim.Canonicalization{"simple", "relaxed"}
		raw := signed(t, "From: a@partner.example\r\n"+head+"\r\n\r\n"+body, "partner.example", withEd25519, func(o *dkim.SignOptions) {
			o.HeaderCanonicalization, o.BodyCanonicalization = names[canon&1], names[canon>>1&1]
		})
		agree(t, c, z, []byte(raw))
		if i := int(at); i < len(raw) && raw[i] != '\r' && raw[i] != '\n' {
			agree(t, c, z, []byte(raw[:i]+string(with)+raw[i+1:]))
		}
	})
}

// plainHead tells whether each line is a header field or continues one; of others the two readers may differ.
func plainHead(head string) bool {
	for i, line := range strings.Split(head, "\r\n") {
		name, _, ok := strings.Cut(line, ":")
		folded := i > 0 && strings.HasPrefix(line, " ") && strings.TrimSpace(line) != ""
		if !folded && (!ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "") {
			return false
		}
	}
	return true
}
