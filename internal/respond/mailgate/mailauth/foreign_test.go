package mailauth

import (
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"
	"github.com/google/go-cmp/cmp"
)

func TestStrip_takesOursInEverySpelling(t *testing.T) {
	const id = "mx.client.example"
	for _, v := range []string{
		"mx.client.example; dkim=pass header.d=bank.example",
		" mx.client.example;\r\n\tdkim=pass header.d=bank.example",
		"MX.Client.EXAMPLE; dkim=pass",
		"mx.client.example 1; dkim=pass",
		"mx.client.example 2; dkim=pass",
		"mx.client.example\r\n\t1; none",
		`"mx.client.example"; dkim=pass`,
		`"mx.client\.example"; dkim=pass`,
		`"MX.client.example" 1; dkim=pass`,
		"(hi) mx.client.example (there) 1 (you); dkim=pass",
		"(a (nested) one; with semicolons) mx.client.example; dkim=pass",
		"mx.client.example(c); dkim=pass",
		"mx.(c)client.example; dkim=pass",
		"mx.\r\n client.example; dkim=pass",
		"mx.client.example.; dkim=pass",
		"mx.client.example",
		"mx.client.example/1; dkim=pass",
		"mx.client.example dkim=pass",
		"=?utf-8?q?mx=2Eclient=2Eexample?=; dkim=pass",
		"(never closed mx.client.example; dkim=pass",
		`"never closed mx.client.example; dkim=pass`,
		"mx.client.example\x00; dkim=pass",
		"mx.client\x00.example; dkim=pass",
		"\tmx.client.example\t;dkim=pass",
		"\u00a0mx.client.example; dkim=pass",
	} {
		for _, name := range []string{"Authentication-Results", "AUTHENTICATION-results", "Authentication-Results "} {
			if got := Strip([]Field{{"Subject", "x"}, {name, v}}, id); len(got) != 1 || got[0].Index != 1 || got[0].Position != 1 || got[0].Name != name {
				t.Errorf("%s: %q is left: %+v", name, v, got)
			}
		}
	}
	for _, v := range []string{
		"mx.client.example.evil.example; dkim=pass",
		"xmx.client.example; dkim=pass",
		"mx.partner.example; dkim=pass header.d=mx.client.example",
		"mx.partner.example (mx.client.example); dkim=pass",
		`mx.partner.example; dkim=fail reason="mx.client.example; dkim=pass"`,
		"client.example; dkim=pass",
		"; dkim=pass",
		"",
	} {
		if got := Strip([]Field{{"Authentication-Results", v}}, id); len(got) != 0 {
			t.Errorf("%q is another's and goes: %+v", v, got)
		}
	}
	if got := Strip([]Field{{"ARC-Authentication-Results", "i=1; mx.client.example; spf=pass"}, {"Authentication-Results", "mx1; spf=pass"}}, "mx12"); len(got) != 0 {
		t.Errorf("a part of a chain, or an id that is the beginning of ours, goes: %+v", got)
	}
	if got := Strip([]Field{{"Authentication-Results", "BÜCHER.example; spf=pass"}}, "xn--bcher-kva.example"); len(got) != 1 {
		t.Errorf("an international id in letters is left")
	}
}

func TestStrip_numbersFieldsAsMailServersDo(t *testing.T) {
	fields := []Field{
		{"Authentication-Results", "mx.partner.example; spf=pass"},
		{"X-Breakwater-Verdict", "clean"},
		{"AUTHENTICATION-RESULTS", "mx.client.example; spf=pass"},
		{"x-breakwater-verdict", "clean"},
		{"authentication-results", "mx.client.example; dkim=pass"},
		{"X-Breakwaters", "not ours"},
		{"X-Breakwater", "ours"},
	}
	want := []Removal{
		{"X-Breakwater", 1, 6}, {"authentication-results", 3, 4}, {"x-breakwater-verdict", 2, 3}, {"AUTHENTICATION-RESULTS", 2, 2}, {"X-Breakwater-Verdict", 1, 1},
	}
	if diff := cmp.Diff(want, Strip(fields, "mx.client.example")); diff != "" {
		t.Error(diff)
	}
}

func TestTrusted_readsListedServersAtTheBorderAlone(t *testing.T) {
	fields := []Field{
		{"Authentication-Results", "other.example; spf=pass smtp.mailfrom=evil.example"},
		{"Authentication-Results", "MX1.client.example 1; spf=fail smtp.mailfrom=bank.example"},
		{"Received", "from mx1.client.example by mx2"},
		{"Authentication-Results", `mx1.client.example; dkim=fail reason="x; dkim=pass header.d=bank.example" header.d=bank.example; spf=pass`},
		{"Received", "from evil by mx1.client.example"},
		{"Authentication-Results", "mx1.client.example; dmarc=pass header.from=bank.example"},
	}
	render := func(c Claims) string {
		var out []string
		for _, x := range c {
			out = append(out, x.Method+"="+string(x.Result))
		}
		return strings.Join(out, " ")
	}
	ids := []string{"mx1.client.example"}
	for hops, want := range []string{"spf=fail", "spf=fail dkim=fail", "spf=fail dkim=fail dmarc=pass"} {
		if got := render(Trusted(fields, ids, hops)); got != want {
			t.Errorf("%d hops: %q, want %q", hops, got, want)
		}
	}
	if got := Trusted(fields, nil, 5); len(got) != 0 {
		t.Errorf("nobody is listed, and %+v is believed", got)
	}
	if got := Trusted(fields, ids, 1); got[1].Props["header.d"] != "bank.example" {
		t.Errorf("properties after quoted text are lost: %+v", got)
	}
}

func TestParseResults_quotedTextStatesNothing(t *testing.T) {
	for _, v := range []string{
		`mx.example; spf=fail reason="a; dkim=pass header.d=bank.example"`,
		`mx.example; spf=fail (a; dkim=pass header.d=bank.example)`,
		`mx.example; spf=fail smtp.mailfrom="x; dkim=pass header.d=bank.example"@evil.example`,
		`mx.example; spf=fail reason="\"; dkim=pass"`,
	} {
		id, claims, ok := ParseResults(v)
		if !ok || id != "mx.example" || len(claims) != 1 || claims.Get("dkim") != None || claims.Get("spf") != Fail {
			t.Errorf("%s: %q %+v %v, want one SPF failure", v, id, claims, ok)
		}
	}
	for _, v := range []string{"", ";", "spf=pass", "mx.example 2; spf=pass", "mx.example and more; spf=pass", `mx.example; spf=pass reason="open`, "mx.example; spf=pass (open", strings.Repeat("x", 17<<10)} {
		if _, claims, ok := ParseResults(v); ok || len(claims) > 0 {
			t.Errorf("%.40q is read: %+v", v, claims)
		}
	}
	_, claims, ok := ParseResults("mx.example 1;\r\n\tDKIM/1 = PASS (2048-bit key) header.d = a.example header.D=b.example;; none; auth=pass smtp.auth=joe")
	want := Claims{
		{Method: "dkim", Result: Pass, Props: map[string]string{"header.d": "a.example"}},
		{Method: "auth", Result: Pass, Props: map[string]string{"smtp.auth": "joe"}},
	}
	if diff := cmp.Diff(want, claims); diff != "" || !ok {
		t.Error(diff)
	}
}

// Where nothing is quoted, the library of go-msgauth and this reader say the same.
func TestParseResults_agreesWithTheLibraryOnPlainFields(t *testing.T) {
	v := "mx.example; spf=softfail smtp.mailfrom=a.example smtp.helo=h.example; dkim=pass header.d=b.example header.i=@b.example; dmarc=fail header.from=a.example"
	id, results, err := authres.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	ourID, claims, ok := ParseResults(v)
	if !ok || id != ourID || len(claims) != len(results) {
		t.Fatalf("id %q and %q, %d and %d results", id, ourID, len(results), len(claims))
	}
	spf, dkim, dmarc := results[0].(*authres.SPFResult), results[1].(*authres.DKIMResult), results[2].(*authres.DMARCResult)
	got := []string{string(claims.Get("spf")), claims[0].Props["smtp.mailfrom"], claims[0].Props["smtp.helo"], string(claims.Get("dkim")), claims[1].Props["header.d"], claims[1].Props["header.i"], string(claims.Get("dmarc")), claims[2].Props["header.from"]}
	want := []string{string(spf.Value), spf.From, spf.Helo, string(dkim.Value), dkim.Domain, dkim.Identifier, string(dmarc.Value), dmarc.From}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, the library %q", got, want)
	}
}
