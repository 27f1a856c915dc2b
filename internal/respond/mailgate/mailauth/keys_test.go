package mailauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/foxcpp/go-mockdns"
)

// now is the time of all tests; signatures are made and expire around it.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

var edKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func keyRecord(t testing.TB, k crypto.Signer) string {
	t.Helper()
	if p, ok := k.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(p)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

func keyFile(k *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
}

// zones is a DNS with both keys for a domain, plus what the test adds.
func zones(t testing.TB, more map[string]mockdns.Zone, domains ...string) map[string]mockdns.Zone {
	t.Helper()
	z := map[string]mockdns.Zone{}
	for _, d := range domains {
		z["r._domainkey."+d+"."] = mockdns.Zone{TXT: []string{keyRecord(t, rsaKey())}}
		z["e._domainkey."+d+"."] = mockdns.Zone{TXT: []string{keyRecord(t, edKey)}}
	}
	for name, zone := range more {
		z[name] = zone
	}
	return z
}

func txt(records ...string) mockdns.Zone { return mockdns.Zone{TXT: records} }

func checker(t testing.TB, z map[string]mockdns.Zone) *Checker {
	t.Helper()
	c := New(Options{Resolver: &mockdns.Resolver{Zones: z}, Now: func() time.Time { return now }})
	t.Cleanup(c.Close)
	return c
}

func check(t testing.TB, z map[string]mockdns.Zone, e Envelope, raw string) Results {
	t.Helper()
	return checker(t, z).Check(context.Background(), e, []byte(raw))
}

func envelope(client, helo, from string) Envelope {
	return Envelope{Client: netip.MustParseAddr(client), Helo: helo, MailFrom: from}
}

const letter = "Received: from client1.partner.example [192.0.2.1]\r\n" +
	"\tby mx.partner.example; Fri, 11 Jul 2003 21:01:54 -0700\r\n" +
	"From: Joe <joe@partner.example>\r\n" +
	"To: Suzie Q <suzie@client.example>\r\n" +
	"Subject: Is  dinner\r\n ready?\r\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700\r\n" +
	"Message-ID: <20030712040037.46341.5F8J@partner.example>\r\n" +
	"\r\n" +
	"Hi.\r\n\r\nWe lost the  game.\t Are you hungry yet? \r\n\r\nJoe.\r\n\r\n\r\n"

var signedNames = []string{"From", "To", "Subject", "Date", "Message-ID", "From"}

// signed adds a signature of the library's.
func signed(t testing.TB, raw, domain string, change ...func(*dkim.SignOptions)) string {
	t.Helper()
	o := &dkim.SignOptions{
		Domain: domain, Selector: "r", Signer: rsaKey(), HeaderKeys: signedNames,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}
	for _, f := range change {
		f(o)
	}
	var b bytes.Buffer
	if err := dkim.Sign(&b, strings.NewReader(raw), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func withEd25519(o *dkim.SignOptions) { o.Signer, o.Selector = edKey, "e" }

// signBy makes a field with a signature of our own hand, for tags that the library does not write: tags is the
// list with {bh} in it, before b=.
func signBy(t testing.TB, raw, name, tags string, key crypto.Signer) string {
	t.Helper()
	m := readMessage([]byte(raw))
	field := name + ": " + tags + " b="
	with := readMessage([]byte(field + "\r\n" + raw))
	s := parseSignature(with, 0, name == "DKIM-Signature", false)
	sum, _ := m.bodySum(s.relaxedBody, s.limit)
	field = strings.Replace(field, "{bh}", base64.StdEncoding.EncodeToString(sum[:]), 1)
	with = readMessage([]byte(field + "\r\n" + raw))
	s = parseSignature(with, 0, name == "DKIM-Signature", false)
	s.cut = len(with.fields[0].value())
	s.end = s.cut
	return field + sign(t, key, s.data(nil, with)) + "\r\n" + raw
}

func sign(t testing.TB, key crypto.Signer, data []byte) string {
	t.Helper()
	sum := sha256.Sum256(data)
	hash := crypto.SHA256
	if _, ok := key.(ed25519.PrivateKey); ok {
		hash = 0
	}
	sig, err := key.Sign(rand.Reader, sum[:], hash)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sig)
}

// seal adds an ARC set as the server of that domain would (RFC 8617 5.1).
func seal(t testing.TB, raw, domain, cv, found string) string {
	t.Helper()
	return sealBy(t, raw, domain, cv, found, edKey, "e")
}

func sealBy(t testing.TB, raw, domain, cv, found string, key crypto.Signer, selector string) string {
	t.Helper()
	algorithm := "rsa-sha256"
	if _, ok := key.(ed25519.PrivateKey); ok {
		algorithm = "ed25519-sha256"
	}
	m := readMessage([]byte(raw))
	_, n := m.all("arc-seal", 100)
	i := n + 1
	aar := fmt.Sprintf("ARC-Authentication-Results: i=%d; %s; %s", i, domain, found)
	// The signature covers the message without the sets.
	withAMS := signBy(t, raw, "ARC-Message-Signature", fmt.Sprintf(
		"i=%d; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=r; h=from:to:subject:date:message-id; t=%d; bh={bh};", i, domain, now.Unix()), rsaKey())
	ams, _, _ := strings.Cut(withAMS, "\r\n")
	as := fmt.Sprintf("ARC-Seal: i=%d; a=%s; cv=%s; d=%s; s=%s; t=%d; b=", i, algorithm, cv, domain, selector, now.Unix())
	full := readMessage([]byte(as + "\r\n" + ams + "\r\n" + aar + "\r\n" + raw))
	var data []byte
	for k := 1; k <= i; k++ {
		for _, name := range []string{"arc-authentication-results", "arc-message-signature", "arc-seal"} {
			at, _ := full.all(name, 100)
			for _, f := range at {
				if instance(full.fields[f].value(), name == "arc-authentication-results") != k {
					continue
				}
				if name == "arc-seal" && k == i {
					data = relaxedValue(data, &full.fields[f], 0, 0)
				} else {
					data = relaxedField(data, &full.fields[f])
				}
			}
		}
	}
	return as + sign(t, key, data) + "\r\n" + ams + "\r\n" + aar + "\r\n" + raw
}
