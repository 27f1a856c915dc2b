package mailauth

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

func TestARC_wholeChainsPass(t *testing.T) {
	c := checker(t, zones(t, nil, "one.example", "two.example", "three.example"))
	one := seal(t, letter, "one.example", "none", "spf=pass smtp.mailfrom=partner.example; dmarc=pass header.from=partner.example")
	two := seal(t, one, "two.example", "pass", "arc=pass")
	// The third hop is a list: it changes the message, so that the signatures before its own break and its own holds.
	changed := strings.Replace(two, "Subject: Is", "Subject: [list] Is", 1) + "-- \r\nlist footer\r\n"
	three := seal(t, changed, "three.example", "pass", "arc=pass")
	for _, tt := range []struct {
		name   string
		raw    string
		chain  []string
		oldest int
	}{
		{"one hop", one, []string{"one.example"}, 0},
		{"two hops", two, []string{"one.example", "two.example"}, 0},
		{"a hop that changed the message", three, []string{"one.example", "two.example", "three.example"}, 3},
		{"folded anew on the way", strings.ReplaceAll(two, "; ", ";\r\n\t"), []string{"one.example", "two.example"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.Check(t.Context(), Envelope{}, []byte(tt.raw)).ARC
			if got.Result != Pass || !slices.Equal(got.Chain, tt.chain) || got.OldestPass != tt.oldest || got.Sealer != tt.chain[len(tt.chain)-1] {
				t.Fatalf("got %+v, want a pass of %v, whole from %d on", got, tt.chain, tt.oldest)
			}
			if said := got.Said[0]; said.Get("dmarc") != Pass || said.Get("spf") != Pass || said[1].Props["header.from"] != "partner.example" {
				t.Errorf("the first hop said %+v, want SPF and DMARC pass", said)
			}
		})
	}
	if got := c.Check(t.Context(), Envelope{}, []byte(letter)).ARC; got.Result != None || got.Sealer != "" {
		t.Errorf("without a chain: %+v, want none", got)
	}
}

// drop removes the fields of a name that hold a text.
func drop(raw, name, with string) string {
	var b strings.Builder
	for line := range strings.Lines(raw) {
		if !strings.HasPrefix(line, name) || !strings.Contains(line, with) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// pick returns the first field of a name that holds a text.
func pick(t *testing.T, raw, name, with string) string {
	t.Helper()
	for line := range strings.Lines(raw) {
		if strings.HasPrefix(line, name) && strings.Contains(line, with) {
			return line
		}
	}
	t.Fatalf("no %s with %q", name, with)
	return ""
}

func TestARC_brokenChainsFail(t *testing.T) {
	z := zones(t, map[string]mockdns.Zone{
		"e._domainkey.revoked.example.": txt("v=DKIM1; k=ed25519; p="),
		"r._domainkey.revoked.example.": txt(keyRecord(t, rsaKey())),
	}, "one.example", "two.example", "evil.example")
	c := checker(t, z)
	one := seal(t, letter, "one.example", "none", "dmarc=pass header.from=partner.example")
	two := seal(t, one, "two.example", "pass", "arc=pass")
	other := seal(t, strings.Replace(letter, "lost", "won ", 1), "one.example", "none", "dmarc=pass header.from=partner.example")
	var reused string // a good set on a message that it was not made for
	for _, name := range []string{"ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"} {
		reused += pick(t, one, name, "")
	}
	twenty := letter
	cv := "none"
	for range MaxInstances + 1 {
		twenty = seal(t, twenty, "one.example", cv, "arc=pass")
		cv = "pass"
	}
	for _, tt := range []struct {
		name   string
		raw    string
		reason string
	}{
		{"body changed", strings.Replace(two, "lost", "won ", 1), "body was changed"},
		{"subject changed", strings.Replace(two, "dinner", "invoice", 1), "does not fit"},
		{"what the first hop found is changed", strings.Replace(two, "dmarc=pass", "dmarc=fail", 1), "seal"},
		{"a tag twice in a signature", strings.Replace(two, "i=2; a=rsa-sha256; c=relaxed/relaxed", "i=2; a=rsa-sha256;  t=1; c=relaxed/relaxed", 1), "(i=)"},
		{"the second signature changed", strings.Replace(two, "i=2; a=rsa-sha256; c=relaxed/relaxed", "i=2; a=rsa-sha256; c=relaxed/simple", 1), "message signature 2"},
		{"an older signature changed", strings.Replace(two, "i=1; a=rsa-sha256; c=relaxed/relaxed", "i=1; a=rsa-sha256; c=relaxed/simple", 1), "seal"},
		{"no set 1", drop(drop(drop(two, "ARC-Seal", "i=1;"), "ARC-Message", "i=1;"), "ARC-Auth", "i=1;"), "out of order"},
		{"no seal 1", drop(two, "ARC-Seal", "i=1;"), "not complete"},
		{"no results 2", drop(two, "ARC-Auth", "i=2;"), "not complete"},
		{"no signature at all", drop(one, "ARC-Message", ""), "not complete"},
		{"instance 1 twice", pick(t, one, "ARC-Seal", "") + one, "instance"},
		{"instance 3 after 1", strings.ReplaceAll(two, "i=2;", "i=3;"), "out of order"},
		{"instance 0", strings.ReplaceAll(one, "i=1;", "i=0;"), "out of order"},
		{"no instance", strings.Replace(one, "ARC-Seal: i=1;", "ARC-Seal:", 1), "out of order"},
		{"an instance of words", strings.Replace(one, "ARC-Seal: i=1;", "ARC-Seal: i=one;", 1), "out of order"},
		{"cv=fail", seal(t, one, "two.example", "fail", "arc=fail"), "cv=fail"},
		{"cv=none in the second", seal(t, one, "two.example", "none", "arc=pass"), "cv="},
		{"cv=pass in the first", seal(t, letter, "one.example", "pass", "arc=pass"), "cv="},
		{"cv changed", strings.Replace(two, "cv=none", "cv=pass", 1), "cv="},
		{"a set of another message", reused + strings.Replace(letter, "lost", "won ", 1), "body was changed"},
		{"a signature of another message under a good seal", pick(t, other, "ARC-Seal", "") + pick(t, one, "ARC-Message", "") + pick(t, one, "ARC-Auth", "") + letter, "seal 1"},
		{"a good signature under another's name", strings.ReplaceAll(one, "d=one.example; s=e", "d=two.example; s=e"), "seal 1"},
		{"a sealer nobody knows", strings.ReplaceAll(one, "d=one.example; s=e", "d=none.example; s=e"), "no key"},
		{"a revoked key", seal(t, letter, "revoked.example", "none", "arc=none"), "revoked"},
		{"a seal with h=", strings.Replace(one, "ARC-Seal: i=1;", "ARC-Seal: i=1; h=from;", 1), "h="},
		{"21 hops", twenty, "more than 20"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.raw == one || tt.raw == two {
				t.Fatal("nothing was changed")
			}
			got := c.Check(t.Context(), Envelope{}, []byte(tt.raw)).ARC
			if got.Result != Fail || !strings.Contains(got.Reason, tt.reason) || got.Chain != nil || got.Said != nil {
				t.Errorf("got %+v, want fail with %q and nothing believed", got, tt.reason)
			}
		})
	}
	z["e._domainkey.one.example."] = mockdns.Zone{Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}
	if got := check(t, z, Envelope{}, two).ARC; got.Result != TempError || got.Sealer != "two.example" {
		t.Errorf("a key that cannot be had: %+v, want temperror", got)
	}
}

func TestARC_signatureThatLeavesTheEndOpenFails(t *testing.T) {
	c := checker(t, zones(t, nil, "one.example"))
	tags := "i=1; a=rsa-sha256; d=one.example; s=r; l=5; h=from; bh={bh};"
	signedOpen := signBy(t, letter, "ARC-Message-Signature", tags, rsaKey())
	ams, _, _ := strings.Cut(signedOpen, "\r\n")
	raw := "ARC-Authentication-Results: i=1; one.example; spf=pass\r\n" + letter
	full := readMessage([]byte("ARC-Seal: i=1; a=ed25519-sha256; cv=none; d=one.example; s=e; b=\r\n" + ams + "\r\n" + raw))
	data := relaxedField(relaxedField(nil, &full.fields[2]), &full.fields[1])
	data = relaxedValue(data, &full.fields[0], 0, 0)
	raw = string(full.fields[0].raw) + sign(t, edKey, data) + "\r\n" + ams + "\r\n" + raw
	if got := c.Check(t.Context(), Envelope{}, []byte(raw)).ARC; got.Result != Fail || !strings.Contains(got.Reason, "l=") {
		t.Errorf("got %+v, want fail because of l=", got)
	}
}
