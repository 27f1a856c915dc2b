package mailauth

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/foxcpp/go-mockdns"
)

func TestDKIM_aSignaturePassesUntilSomethingSignedChanges(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*dkim.SignOptions)
	}{
		{"rsa relaxed/relaxed", func(*dkim.SignOptions) {}},
		{"rsa simple/simple", func(o *dkim.SignOptions) {
			o.HeaderCanonicalization, o.BodyCanonicalization = "simple", "simple"
		}},
		{"ed25519 relaxed/simple", func(o *dkim.SignOptions) { withEd25519(o); o.BodyCanonicalization = "simple" }},
		{"ed25519 simple/relaxed", func(o *dkim.SignOptions) { withEd25519(o); o.HeaderCanonicalization = "simple" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := checker(t, zones(t, nil, "partner.example"))
			raw := signed(t, letter, "partner.example", tt.change)
			result := func(raw string) DKIM {
				t.Helper()
				return c.Check(t.Context(), Envelope{}, []byte(raw)).DKIM[0]
			}
			got := result(raw)
			if got.Result != Pass || !got.Aligned || got.Domain != "partner.example" || got.Tag == "" || got.Signed.IsZero() {
				t.Fatalf("as it was sent: %+v, want an aligned pass", got)
			}
			if got := result(strings.ReplaceAll(raw, "\r\n", "\n")); got.Result != Pass {
				t.Errorf("with LF for CRLF: %+v, want pass", got)
			}
			if got := result(raw + "\r\n\r\n"); got.Result != Pass {
				t.Errorf("with empty lines after it: %+v, want pass: both canonicalisations leave them out", got)
			}
			for what, edit := range map[string][2]string{
				"body":                   {"lost the", "won the"},
				"end of the body":        {"Joe.\r\n", "Joe.\r\nPS: pay here\r\n"},
				"signed header field":    {"dinner", "invoice"},
				"display name":           {"From: Joe", "From: The Boss"},
				"second From over it":    {"From: Joe", "From: Boss <boss@client.example>\r\nFrom: Joe"},
				"second From below it":   {"To: Suzie", "From: Boss <boss@client.example>\r\nTo: Suzie"},
				"name of a signed field": {"Subject:", "Subjekt:"},
			} {
				if !strings.Contains(raw, edit[0]) {
					t.Fatalf("the letter has no %q", edit[0])
				}
				if got := result(strings.Replace(raw, edit[0], edit[1], 1)); got.Result != Fail || got.Reason == "" {
					t.Errorf("%s changed: %+v, want fail with its reason", what, got)
				}
			}
			if got := result(strings.Replace(raw, "by mx.partner.example", "by other", 1)); got.Result != Pass {
				t.Errorf("an unsigned field changed: %+v, want pass", got)
			}
		})
	}
}

func TestDKIM_spacesCountInSimpleAlone(t *testing.T) {
	c := checker(t, zones(t, nil, "partner.example"))
	for _, canon := range []struct {
		name dkim.Canonicalization
		want Result
	}{{"relaxed", Pass}, {"simple", Fail}} {
		raw := signed(t, letter, "partner.example", func(o *dkim.SignOptions) {
			o.HeaderCanonicalization, o.BodyCanonicalization = canon.name, canon.name
		})
		for _, edit := range [][2]string{{"To: Suzie", "TO:  Suzie"}, {"Hi.\r\n", "Hi. \r\n"}, {"are you", "Are  you"}} {
			changed := strings.Replace(raw, edit[0], edit[1], 1)
			if changed == raw {
				continue
			}
			if got := c.Check(t.Context(), Envelope{}, []byte(changed)).DKIM[0]; got.Result != canon.want {
				t.Errorf("%s, %q for %q: %+v, want %s", canon.name, edit[1], edit[0], got, canon.want)
			}
		}
	}
}

// The signatures of RFC 8463 A.3.
func TestDKIM_examplesOfTheStandards(t *testing.T) {
	const rest = "From: Joe SixPack <joe@football.example.com>\nTo: Suzie Q <suzie@shopping.example.net>\nSubject: Is dinner ready?\n" +
		"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\nMessage-ID: <20030712040037.46341.5F8J@football.example.com>\n\n" +
		"Hi.\n\nWe lost the game.  Are you hungry yet?\n\nJoe.\n"
	const key = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOK" +
		"b2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBf" +
		"O2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
	const both = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
` + rest
	r := check(t, map[string]mockdns.Zone{
		"brisbane._domainkey.football.example.com.": txt("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
		"test._domainkey.football.example.com.":     txt(key),
	}, Envelope{}, both)
	if len(r.DKIM) != 2 || r.DKIM[0].Result != Pass || r.DKIM[1].Result != Pass {
		t.Errorf("RFC 8463 A.3: %+v, want two passes", r.DKIM)
	}
}

func TestDKIM_whatVoidsASignature(t *testing.T) {
	weak := base64.StdEncoding.EncodeToString(shortRSA(t, 512))
	big := base64.StdEncoding.EncodeToString(shortRSA(t, 16384))
	good := keyRecord(t, rsaKey())
	raw := signed(t, letter, "partner.example")
	ed := signed(t, letter, "partner.example", withEd25519)
	at := "r._domainkey.partner.example."
	for _, tt := range []struct {
		name   string
		raw    string
		key    mockdns.Zone
		want   Result
		reason string
	}{
		{"key revoked", raw, txt("v=DKIM1; p="), PermError, "revoked"},
		{"no key", raw, mockdns.Zone{}, PermError, "no key"},
		{"DNS fails", raw, mockdns.Zone{Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}, TempError, "could not be had"},
		{"two keys", raw, txt(good, good), PermError, "more than one"},
		{"key of 512 bits", raw, txt("p=" + weak), PermError, "512 bits"},
		{"key of 16384 bits", raw, txt("p=" + big), PermError, "16384 bits"},
		{"record of 5 KiB", raw, txt(good + "; n=" + strings.Repeat("x", 5<<10)), PermError, "4 KiB"},
		{"key for something else", raw, txt(good + "; s=tlsrpt"), PermError, "not for mail"},
		{"key for other hashes", raw, txt(good + "; h=sha1"), PermError, "SHA-256"},
		{"key of another version", raw, txt("v=DKIM2" + good[7:]), PermError, "version"},
		{"key of another kind", raw, txt(keyRecord(t, edKey)), PermError, "another kind"},
		{"key of no kind", raw, txt("v=DKIM1; k=dsa; p=AAAA"), PermError, "unknown kind"},
		{"another RSA key", raw, txt(keyRecord(t, mustRSA(t))), Fail, "does not fit"},
		{"key that is no base64", raw, txt("p=!!!"), PermError, "base64"},
		{"a record that is none", raw, txt("hello"), PermError, "tag"},
		{"a test key counts", raw, txt(good + "; t=y"), Pass, ""},
		{"version 2", strings.Replace(raw, "v=1;", "v=2;", 1), txt(good), PermError, "v="},
		{"sha1", strings.Replace(raw, "a=rsa-sha256", "a=rsa-sha1", 1), txt(good), PermError, "too weak"},
		{"a tag twice", strings.Replace(raw, "v=1;", "v=1; v=1;", 1), txt(good), PermError, "twice"},
		{"a tag without =", strings.Replace(raw, "v=1;", "v=1; hello;", 1), txt(good), PermError, "without ="},
		{"no From in h=", strings.NewReplacer("h=From:", "h=Date:", ":From;", ";").Replace(raw), txt(good), PermError, "From"},
		{"another c=", strings.Replace(raw, "c=relaxed/relaxed", "c=relaxed/nowsp", 1), txt(good), PermError, "c="},
		{"bh= of another size", strings.Replace(raw, "bh=", "bh=AAAA", 1), txt(good), PermError, "bh="},
		{"d= that is no domain", strings.Replace(raw, "d=partner.example", "d=partner", 1), txt(good), PermError, "d="},
		{"i= of another", strings.Replace(raw, "v=1;", "v=1; i=@client.example;", 1), txt(good), PermError, "i="},
		{"x= before t=", strings.Replace(raw, "v=1;", "v=1; x=5;", 1), txt(good), PermError, "before"},
		{"q= unknown", strings.Replace(raw, "v=1;", "v=1; q=http;", 1), txt(good), PermError, "q="},
		{"too many names in h=", strings.Replace(raw, "h=From:", "h="+strings.Repeat("x:", 200)+"From:", 1), txt(good), PermError, "200"},
		{"ed25519 says rsa", strings.NewReplacer("a=ed25519", "a=rsa", "s=e;", "s=r;").Replace(ed), txt(good), Fail, "does not fit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := check(t, map[string]mockdns.Zone{at: tt.key}, Envelope{}, tt.raw).DKIM[0]
			if got.Result != tt.want || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("got %+v, want %s with %q", got, tt.want, tt.reason)
			}
		})
	}
	if got := check(t, map[string]mockdns.Zone{at: txt(good + "; t=y")}, Envelope{}, raw).DKIM[0]; !got.Testing {
		t.Errorf("a key with t=y: %+v, want Testing", got)
	}
}

func mustRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// shortRSA is the DER form of a public key of a size that nobody should use; the number is no product of primes.
func shortRSA(t testing.TB, bits int) []byte {
	t.Helper()
	k := rsaKey().PublicKey
	k.N = new(big.Int).Set(k.N)
	k.N.SetBit(k.N, 2048, 0)
	if bits < 2048 {
		k.N.Rsh(k.N, uint(2048-bits))
	} else {
		k.N.Lsh(k.N, uint(bits-2048))
	}
	k.N.SetBit(k.N, 0, 1)
	der, err := x509.MarshalPKIXPublicKey(&k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestDKIM_timesAreReported(t *testing.T) {
	z := zones(t, nil, "partner.example")
	sign := func(expires time.Time) string {
		return signBy(t, letter, "DKIM-Signature", fmt.Sprintf("v=1; a=rsa-sha256; c=relaxed/relaxed; d=partner.example; s=r; t=%d; x=%d; h=from:subject; bh={bh};",
			now.Add(-48*time.Hour).Unix(), expires.Unix()), rsaKey())
	}
	for _, tt := range []struct {
		expires time.Time
		want    Result
	}{{now.Add(time.Second), Pass}, {now.Add(-time.Second), Fail}} {
		got := check(t, z, Envelope{}, sign(tt.expires)).DKIM[0]
		if got.Result != tt.want || got.Expired != (tt.want == Fail) || !got.Expires.Equal(tt.expires) || !got.Signed.Equal(now.Add(-48*time.Hour)) {
			t.Errorf("expires %s: %+v, want %s", tt.expires, got, tt.want)
		}
	}
}

func TestDKIM_bodyLengthDoesNotHideAnAddedEnd(t *testing.T) {
	z := zones(t, map[string]mockdns.Zone{"_dmarc.partner.example.": txt("v=DMARC1; p=reject")}, "partner.example")
	m := readMessage([]byte(letter))
	_, length := m.bodySum(true, -1)
	raw := signBy(t, letter, "DKIM-Signature", fmt.Sprintf("v=1; a=rsa-sha256; c=relaxed/relaxed; d=partner.example; s=r; l=%d; h=from:subject; bh={bh};", length), rsaKey())
	if r := check(t, z, Envelope{}, raw); r.DKIM[0].Result != Pass || !strings.Contains(r.DKIM[0].Reason, "l=") || r.DMARC.Result != Pass {
		t.Errorf("l= over the whole body: %+v, %+v, want pass with a word on l=", r.DKIM, r.DMARC)
	}
	r := check(t, z, Envelope{}, raw+"PS: new bank details\r\n")
	if d := r.DKIM[0]; d.Result != Policy || !d.Partial || r.DMARC.Result != Fail {
		t.Errorf("an end added: %+v, %+v, want policy, and DMARC fail", d, r.DMARC)
	}
	if r := check(t, z, Envelope{}, strings.Replace(raw, "lost", "won ", 1)); r.DKIM[0].Result != Fail {
		t.Errorf("signed part changed: %+v, want fail", r.DKIM)
	}
	short := letter[:len(letter)-20]
	if r := check(t, z, Envelope{}, strings.Replace(raw, letter, short, 1)); r.DKIM[0].Result != Fail {
		t.Errorf("a body shorter than l=: %+v, want fail", r.DKIM)
	}
}

func TestDKIM_ofSeveralTheAlignedPassDecides(t *testing.T) {
	z := zones(t, nil, "partner.example", "list.example", "mail.partner.example")
	raw := signed(t, signed(t, letter, "partner.example"), "list.example", withEd25519)
	r := check(t, z, Envelope{}, raw)
	if d := r.Deciding(); d.Domain != "partner.example" || d.Result != Pass {
		t.Errorf("list over partner: %+v decides, want partner's", d)
	}
	broken := strings.Replace(raw, "s=r;", "s=x;", 1)
	if d := ptr(check(t, z, Envelope{}, broken)).Deciding(); d.Domain != "list.example" {
		t.Errorf("partner's without a key: %+v decides, want the list's pass", d)
	}
	if d := ptr(check(t, z, Envelope{}, letter)).Deciding(); d.Result != None {
		t.Errorf("no signature: %+v, want none", d)
	}
	// Beyond the limit the aligned one is still found.
	many := signed(t, letter, "mail.partner.example")
	for range 9 {
		many = signed(t, many, "list.example", withEd25519)
	}
	r = check(t, z, Envelope{}, many)
	if len(r.DKIM) != MaxSignatures || r.Unverified != 5 || r.DKIM[0].Domain != "mail.partner.example" || r.DKIM[0].Result != Pass {
		t.Errorf("ten signatures: %d verified, %d not, first %+v; want 5, 5 and the aligned one", len(r.DKIM), r.Unverified, r.DKIM[0])
	}
}

func ptr(r Results) *Results { return &r }

func TestDKIM_strictKeyForbidsSubdomains(t *testing.T) {
	sign := func(i string) string {
		return signBy(t, letter, "DKIM-Signature", "v=1; a=rsa-sha256; d=partner.example; i="+i+"; s=r; h=from; bh={bh};", rsaKey())
	}
	z := map[string]mockdns.Zone{"r._domainkey.partner.example.": txt(keyRecord(t, rsaKey()) + "; t=y:s")}
	for i, want := range map[string]Result{"joe@partner.example": Pass, "@Partner.Example": Pass, "joe@sub.partner.example": PermError} {
		if got := check(t, z, Envelope{}, sign(i)).DKIM[0]; got.Result != want {
			t.Errorf("i=%s: %+v, want %s", i, got, want)
		}
	}
}

func TestBomb_headersCostLittle(t *testing.T) {
	c := checker(t, zones(t, nil, "partner.example"))
	sig, _, _ := strings.Cut(signed(t, letter, "partner.example"), "From:")
	for name, raw := range map[string]string{
		"200,000 fields":           strings.Repeat("X: y\r\n", 200_000) + letter,
		"a field of 200,000 folds": "X: y\r\n" + strings.Repeat(" y\r\n", 200_000) + letter,
		"200,000 signatures":       strings.Repeat("DKIM-Signature: v=1\r\n", 200_000) + letter,
		"2,000 signed signatures":  strings.Repeat(sig, 400) + letter,
		"a signature of 1 MiB":     "DKIM-Signature: v=1; h=" + strings.Repeat("a:", 1<<19) + "\r\n" + letter,
		"2,000 seals":              strings.Repeat("ARC-Seal: i=1; cv=none\r\n", 1900) + letter,
		"From of 1 MiB":            "From: " + strings.Repeat("a@b.example,", 80_000) + "\r\n" + letter,
		"no header at all":         "\r\n" + letter,
		"one line of 4 MiB":        strings.Repeat("a", 4<<20),
		"a body of empty lines":    letter + strings.Repeat("\r\n", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			in := []byte(raw)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			started := time.Now()
			r := c.Check(t.Context(), Envelope{}, in)
			took := time.Since(started)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("one Check allocates %d bytes, want at most 16 MiB", n)
			}
			t.Logf("%s, %d bytes", took, after.TotalAlloc-before.TotalAlloc)
			for _, d := range r.DKIM {
				if d.Result == Pass {
					t.Errorf("passes with %+v", d)
				}
			}
		})
	}
}

func TestMessage_isCutAtTheFirstEmptyLine(t *testing.T) {
	m := readMessage([]byte("From x Mon Jan 1\nA: 1\n b\nNo colon here\nB:2\r\n\nbody\n"))
	var names []string
	for i := range m.fields {
		names = append(names, string(m.fields[i].raw))
	}
	want := []string{"A: 1\n b", "No colon here", "B:2"}
	if strings.Join(names, "|") != strings.Join(want, "|") || !bytes.Equal(m.body, []byte("body\n")) {
		t.Errorf("fields %q, body %q; want %q, %q", names, m.body, want, "body\n")
	}
}
