package mailauth

import (
	"bytes"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/foxcpp/go-mockdns"
)

// byLibrary verifies with go-msgauth.
func byLibrary(t testing.TB, z map[string]mockdns.Zone, raw []byte) []*dkim.Verification {
	t.Helper()
	dns := &mockdns.Resolver{Zones: z}
	v, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return dns.LookupTXT(t.Context(), name) },
	})
	if err != nil {
		return nil
	}
	return v
}

// The verifier here and that of go-msgauth must say the same of every message that a server could have sent: the
// library is what others rely on, and this one is here since ARC needs the same steps, which it does not export.
func agree(t testing.TB, c *Checker, z map[string]mockdns.Zone, raw []byte) {
	t.Helper()
	theirs := byLibrary(t, z, raw)
	m := readMessage(raw)
	at, _ := m.all("dkim-signature", scanSignatures)
	if m.problem != "" || len(at) != len(theirs) {
		return
	}
	for i, field := range at {
		s := parseSignature(m, field, true, false)
		if s.limit >= 0 || !s.expires.IsZero() {
			continue // of l= the library wants nothing; it reads the clock itself
		}
		result, why := c.verify(t.Context(), m, &s)
		if (result == Pass) != (theirs[i].Err == nil) {
			t.Errorf("signature %d: %s (%s) here, %v by the library, of\n%q", i, result, why, theirs[i].Err, raw)
		}
	}
}

var bodies = []string{
	"", "\r\n", "\r\n\r\n", " \r\n", "a", "a\r\n", "a \r\n\r\n \r\n", " a  b\t\tc \r\n", "\r\n\r\na\r\n", "a\r\n\r\n\r\nb\r\n\r\n",
	"\t\r\na", "a\nb\n", "a\r\n.\r\n", strings.Repeat("x", 20_000), strings.Repeat("word  ", 5000), strings.Repeat("\r\n", 9000) + "x",
	strings.Repeat("abc def \r\n", 3000), "ü\r\n\x00\x01\xff\r\n",
}

func TestDKIM_saysWhatTheLibrarySays(t *testing.T) {
	z := zones(t, nil, "partner.example")
	c := checker(t, z)
	heads := []string{
		"From: a@partner.example\r\n",
		"From:a@partner.example\r\nSubject:\r\nTo: \r\n",
		"fRoM : a@partner.example \r\nsubject:  a\r\n\tb \r\n  c\r\nTo: x\r\nTo: y\r\n",
		"From: a@partner.example\r\nSubject: =?utf-8?q?x?=\xff\xfe\r\nDate: b=abc; b = def\r\n",
	}
	for _, head := range heads {
		for _, body := range bodies {
			for _, canon := range []dkim.Canonicalization{"simple", "relaxed"} {
				raw := signed(t, head+"\r\n"+body, "partner.example", withEd25519, func(o *dkim.SignOptions) {
					o.HeaderCanonicalization, o.BodyCanonicalization = canon, canon
				})
				if v := byLibrary(t, z, []byte(raw)); len(v) != 1 || v[0].Err != nil {
					t.Fatalf("the library does not verify what it signed: %+v", v)
				}
				if r := c.Check(t.Context(), Envelope{}, []byte(raw)); r.DKIM[0].Result != Pass {
					t.Errorf("%s: %+v of\n%.300q", canon, r.DKIM[0], raw)
				}
				for _, edit := range [][2]string{{" ", "  "}, {"\r\n\r\n", "\r\n\r\n\r\n"}, {"a", "b"}, {"x", "y"}, {"To", "Cc"}, {"b=", "b= "}, {"; ", ";"}, {"\r\n ", " "}} {
					agree(t, c, z, []byte(strings.Replace(raw, edit[0], edit[1], 1)))
					if i := strings.LastIndex(raw, edit[0]); i >= 0 {
						agree(t, c, z, []byte(raw[:i]+edit[1]+raw[i+len(edit[0]):]))
					}
				}
				agree(t, c, z, []byte(raw+" \r\n"))
				agree(t, c, z, []byte(raw+"\r\n"))
			}
		}
	}
}
