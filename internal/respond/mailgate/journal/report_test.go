package journal

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
)

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const original = `From: Eve <eve@partner.example>
To: Bo <bo@acme.example>
Subject: Invoice 4711
Message-ID: <abc@partner.example>
Date: Mon, 01 Jun 2026 12:00:00 +0000

Please pay.
--inner text that looks like a boundary
`

func exchange(envelope string, attached ...string) string {
	s := `From: Journal <journal@acme.example>
To: journal@collector.example
Subject: Invoice 4711
X-MS-Journal-Report:
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_b1"

--=_b1
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: 7bit

` + envelope + `
`
	for _, a := range attached {
		s += "--=_b1\n" + a
		if !strings.HasSuffix(a, "\n") {
			s += "\n"
		}
	}
	return crlf(s + "--=_b1--\n")
}

const envelopeText = `Sender: Eve@Partner.example
Subject: Invoice 4711
Message-Id: <abc@partner.example>
On-Behalf-Of: boss@partner.example
To: bo@acme.example, Expanded: all@acme.example
Cc: cy@acme.example
Bcc: dee@acme.example, Forwarded: old@acme.example
Recipient: eli@acme.example
`

func rfc822(s string) string { return "Content-Type: message/rfc822\n\n" + s }

func TestJournalReportsOfExchange(t *testing.T) {
	protectedText := strings.Replace(original, "\n\nPlease pay.", "\nContent-Class: rpmsg.message\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: application/x-microsoft-rpmsg-message\n\nAAAA\n--x--\n", 1)
	for name, test := range map[string]struct{ raw, unread string }{
		"as Microsoft 365 sends it":              {exchange(envelopeText, rfc822(original)), ""},
		"with the message in base64":             {exchange(envelopeText, "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString([]byte(crlf(original)))), ""},
		"with the message as a file":             {exchange(envelopeText, "Content-Type: application/octet-stream; name=\"x.eml\"\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString([]byte(crlf(original)))), ""},
		"with another message before it":         {exchange(envelopeText, rfc822("Subject: other\nMessage-ID: <other@x>\n\nx\n"), rfc822(original)), ""},
		"decrypted, beside what was protected":   {exchange(envelopeText, rfc822(protectedText), rfc822(original)), ""},
		"protected and not decrypted":            {exchange(envelopeText, rfc822(protectedText)), "rights-protected"},
		"without its mark":                       {strings.Replace(exchange(envelopeText, rfc822(original)), "X-MS-Journal-Report:\r\n", "", 1), ""},
		"without a Message-Id in the envelope":   {exchange(strings.Replace(envelopeText, "Message-Id: <abc@partner.example>\n", "", 1), rfc822(original)), ""},
		"with a picture beside the message":      {exchange(envelopeText, "Content-Type: image/png\n\nxx\n", rfc822(original)), ""},
		"with an envelope in quoted-printable":   {strings.Replace(exchange(strings.ReplaceAll(envelopeText, "@", "=40"), rfc822(original)), "Encoding: 7bit", "Encoding: quoted-printable", 1), ""},
		"with line feeds alone in the envelope":  {strings.ReplaceAll(exchange(envelopeText, rfc822(original)), "\r\n", "\n"), ""},
		"with a broken line in its own header":   {"broken line\r\n" + exchange(envelopeText, rfc822(original)), ""},
		"with an empty line before the original": {exchange(envelopeText, rfc822("\n"+original)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse([]byte(test.raw), Envelope{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind != Exchange || r.Sender != "eve@partner.example" || r.OnBehalfOf != "boss@partner.example" || r.MessageID != "abc@partner.example" || r.Subject != "Invoice 4711" {
				t.Errorf("got %+v", r)
			}
			want := []Recipient{{"bo@acme.example", "to", "all@acme.example"}, {"cy@acme.example", "cc", ""}, {"dee@acme.example", "bcc", "old@acme.example"}, {"eli@acme.example", "recipient", ""}}
			if !slices.Equal(r.Recipients, want) {
				t.Errorf("recipients %+v", r.Recipients)
			}
			if (r.Unread != "") != (test.unread != "") || !strings.Contains(r.Unread, test.unread) {
				t.Errorf("unread %q", r.Unread)
			}
			if got := strings.ReplaceAll(string(r.Raw), "\r\n", "\n"); test.unread == "" && strings.TrimSpace(got) != strings.TrimSpace(original) {
				t.Errorf("the original is %q", got)
			}
		})
	}
}

func TestTheOriginalIsGivenByteForByte(t *testing.T) {
	odd := crlf("From: a@b.example\nMessage-ID: <abc@partner.example>\nSubject:  two  spaces \n\n\tx \n\n")
	r, err := Parse([]byte(strings.Replace(exchange(envelopeText, "@@"), "@@\r\n", "Content-Type: message/rfc822\r\n\r\n"+odd+"\r\n", 1)), Envelope{})
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Raw) != odd {
		t.Errorf("got %q, want %q", r.Raw, odd)
	}
}

func TestRoutingCopies(t *testing.T) {
	for name, test := range map[string]struct {
		head string
		env  Envelope
		kind Kind
		want string
		from string
	}{
		"of Google":                    {"X-Gm-Original-To: Bo@acme.example\n", Envelope{"eve@partner.example", []string{"journal@collector.example"}}, Google, "bo@acme.example", "eve@partner.example"},
		"of Google, with a forged one": {"X-Gm-Original-To: bo@acme.example\nX-Gm-Original-To: boss@acme.example\n", Envelope{}, Google, "bo@acme.example", ""},
		"of Postfix":                   {"Return-Path: <eve@partner.example>\nX-Original-To: bo@acme.example\n", Envelope{}, Copy, "bo@acme.example", "eve@partner.example"},
		"of a server that says naught": {"", Envelope{"eve@partner.example", nil}, Copy, "bo@acme.example", "eve@partner.example"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := crlf(test.head + original)
			r, err := Parse([]byte(raw), test.env)
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind != test.kind || strings.Join(r.Addresses(), " ") != test.want || r.Sender != test.from || string(r.Raw) != raw || r.MessageID != "abc@partner.example" {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestWhatIsNoReportIsSaidToBeNone(t *testing.T) {
	for name, test := range map[string]struct{ raw, want string }{
		"nothing":                       {"", "no header"},
		"no header":                     {"\r\n\r\nx", "no header"},
		"a report without a message":    {exchange(envelopeText), "carries no message"},
		"a report without an envelope":  {exchange("Hello.", rfc822(original)), "names no envelope"},
		"a report without recipients":   {exchange("Sender: a@b.example\nMessage-Id: <abc@partner.example>\n", rfc822(original)), "names no recipient"},
		"a report that is no multipart": {"X-MS-Journal-Report:\r\nContent-Type: text/plain\r\n\r\nSender: x", "not a multipart"},
		"a report that was cut":         {exchange(envelopeText, rfc822(original))[:500], "reading its parts"},
		"a message for nobody":          {"Subject: x\r\n\r\nx", "neither a journal report"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse([]byte(test.raw), Envelope{})
			if !errors.Is(err, ErrParse) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %+v, %v; want %q", r, err, test.want)
			}
		})
	}
}

func TestBombReportsEndAtTheirCaps(t *testing.T) {
	many := strings.Repeat("--=_b1\nContent-Type: image/png\n\nx\n", 10_000)
	if _, err := Parse([]byte(exchange("Hello", strings.TrimPrefix(many, "--=_b1\n"))), Envelope{}); !errors.Is(err, ErrParse) {
		t.Errorf("10,000 parts: %v", err)
	}
	if _, err := Parse([]byte(strings.Repeat("A: b\r\n", 200_000)), Envelope{}); err == nil || !strings.Contains(err.Error(), "header is longer") {
		t.Errorf("200,000 header fields: %v", err)
	}
	r, err := Parse([]byte(exchange(envelopeText+strings.Repeat("Recipient: x@acme.example\n", 100_000), rfc822(original))), Envelope{})
	if err != nil || len(r.Recipients) != maxRecipients {
		t.Errorf("100,000 recipients: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(exchange(envelopeText, rfc822(original))), "a@b.example")
	f.Add([]byte(exchange(envelopeText)), "")
	f.Add([]byte(crlf("X-Gm-Original-To: bo@acme.example\n"+original)), "<>")
	f.Add([]byte("X-MS-Journal-Report:\r\nContent-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n"), "x")
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\nU2VuZGVyOiBhQGI=\n--b\nContent-Type: message/rfc822\n\nA: b\n--b--"), "")
	f.Fuzz(func(t *testing.T, raw []byte, from string) {
		r, err := Parse(raw, Envelope{From: from, To: []string{from}})
		if err != nil {
			if !errors.Is(err, ErrParse) || r != nil {
				t.Errorf("an error that is none of ours: %v", err)
			}
			return
		}
		if len(r.Recipients) == 0 || len(r.Raw) == 0 || len(r.Raw) > len(raw) {
			t.Errorf("a report of %d recipients and %d of %d bytes", len(r.Recipients), len(r.Raw), len(raw))
		}
		for _, x := range r.Recipients {
			if x.Address == "" || strings.ContainsAny(x.Address, " \r\n<>,") {
				t.Errorf("the recipient %q", x.Address)
			}
		}
	})
}
