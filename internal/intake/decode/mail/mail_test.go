package mail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// sink collects what the decoder makes.
type sink struct {
	events []*ocsf.Event
	nums   []int64
	bad    []string
}

func (s *sink) Event(e *ocsf.Event, n int64, _ []byte) {
	s.events, s.nums = append(s.events, e), append(s.nums, n)
}
func (s *sink) Bad(_ int64, reason string, _ []byte) { s.bad = append(s.bad, reason) }

func decodeAll(t testing.TB, raw string) *sink {
	t.Helper()
	s := &sink{}
	if err := Stream().Read(context.Background(), "m", strings.NewReader(raw), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func decodeOne(t testing.TB, raw string) *ocsf.Event {
	t.Helper()
	s := decodeAll(t, raw)
	if len(s.events) != 1 {
		t.Fatalf("%d events, bad %q", len(s.events), s.bad)
	}
	return s.events[0]
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFullMessage(t *testing.T) {
	e := decodeOne(t, testdata(t, "partner.eml"))
	m := e.Mail
	got := map[string]any{"time": e.Time.Format(time.RFC3339), "id": e.SourceID[:strings.LastIndex(e.SourceID, "|")], "user": e.User.Name, "actor": e.Actor.Name, "src": e.Src.IP.String() + " " + e.Src.Host,
		"dst": e.Dst.Host, "from": m.From, "name": m.FromName, "envelope": m.EnvelopeFrom, "reply": m.ReplyTo, "to": strings.Join(m.To, " "), "subject": m.Subject,
		"auth": m.SPF + " " + m.DKIM + " " + m.DMARC + " " + m.DKIMDomain, "text": m.Text, "problems": len(m.ParseProblems), "status": e.Status.String(),
		"links": m.Links, "files": fmt.Sprint(len(m.Attachments), " ", m.Attachments[0].Name, " ", m.Attachments[0].Type, " ", m.Attachments[0].Size),
		"join": e.JoinKeys, "mailer": e.Fields.Value("header.x-mailer"), "origin": e.Fields.Value("origin.ip"), "hidden": e.Fields.Value("body.hidden")}
	want := map[string]any{"time": "2026-07-07T19:24:07Z", "id": "k3@harbour.example|6HFtcV|lea@reed.example", "user": "lea@reed.example", "actor": "jörg@harbour.example",
		"src": "203.0.113.37 out1.harbour.example", "dst": "mx2.reed.example", "from": "jörg@harbour.example", "name": "Jörg, Harbour", "envelope": "bounce@harbour.example",
		"reply": "desk@harbour.example", "to": "lea@reed.example max@reed.example", "subject": "Grüße über das Fest", "auth": "pass pass pass harbour.example",
		"text": "Hello Lea,\nthe list is here.\n> old words", "problems": 0, "status": "success",
		"links": []ocsf.Link{{URL: "https://plain.example/x", Host: "plain.example"}, {URL: "https://lists.harbour.example/a?b=1", Host: "lists.harbour.example", Text: "here"}},
		"files": "1 Übersicht.pdf application/pdf 9", "join": []ocsf.JoinKey{{Kind: "message-id", Value: "k3@harbour.example"}}, "mailer": "Mail 9", "origin": "192.168.1.5", "hidden": "11"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if want := sha256.Sum256([]byte("%PDF-1.4\n")); m.Attachments[0].SHA256 != hex.EncodeToString(want[:]) {
		t.Errorf("hash of the attachment: %s", m.Attachments[0].SHA256)
	}
}

const head = "Received: from out.a.example (out.a.example [198.51.100.9]) by mx.b.example with ESMTP id Q1; Tue, 7 Jul 2026 10:00:00 +0200\nFrom: A <a@a.example>\nTo: b@b.example\nDate: Tue, 7 Jul 2026 09:59:58 +0200\nMessage-ID: <1@a.example>\n"

func TestBorderDecides(t *testing.T) {
	tests := []struct {
		name, headers    string
		dmarc, host, spf string
		at               string
	}{
		{"result of the border counts", "Received: from x.a.example ([198.51.100.1]) by mx.b.example id 1; 7 Jul 2026 10:00:00 +0000\nAuthentication-Results: mx.b.example; dmarc=pass header.from=a.example; spf=fail smtp.mailfrom=a@a.example\n", "pass", "x.a.example", "fail", "10:00"},
		{"a sender's own result does not", "Received: from x.a.example ([198.51.100.1]) by mx.b.example id 1; 7 Jul 2026 10:00:00 +0000\nReceived: from y by x.a.example; 7 Jul 2026 09:00:00 +0000\nAuthentication-Results: mx.b.example; dmarc=pass header.from=a.example\n", "", "x.a.example", "", "10:00"},
		{"nor one in another's name", "Received: from x.a.example ([198.51.100.1]) by mx.b.example id 1; 7 Jul 2026 10:00:00 +0000\nAuthentication-Results: mail.a.example; dmarc=pass header.from=a.example\n", "", "x.a.example", "", "10:00"},
		{"the top-most of two counts", "Received: from x.a.example ([198.51.100.1]) by mx.b.example id 1; 7 Jul 2026 10:00:00 +0000\nAuthentication-Results: mx.b.example; dmarc=fail header.from=a.example\nAuthentication-Results: mx.b.example; dmarc=pass header.from=a.example\n", "fail", "x.a.example", "", "10:00"},
		{"Microsoft names no server", "Received: from EUR01.outlook.com (2603:10a6::1) by EUR02.outlook.com (2603::2) with HTTPS; 7 Jul 2026 10:00:03 +0000\nAuthentication-Results: spf=pass (sender IP is 198.51.100.1)\n smtp.mailfrom=a.example; dkim=none (message not signed)\n header.d=none;dmarc=bestguesspass action=none header.from=a.example;compauth=pass reason=109\nReceived: from x.a.example (198.51.100.1) by EUR01.mail.protection.outlook.com (10.0.0.1) with Microsoft SMTP; 7 Jul 2026 10:00:01 +0000\n", "none", "x.a.example", "pass", "10:00"},
		{"Google's inner hops are skipped", "Delivered-To: b@b.example\nReceived: by 2002:a05:6504:1 with SMTP id z; Tue, 7 Jul 2026 03:00:02 -0700 (PDT)\nReceived: from x.a.example (x.a.example. [198.51.100.1])\n by mx.google.com with ESMTPS id k; Tue, 07 Jul 2026 03:00:01 -0700 (PDT)\nReceived-SPF: softfail (google.com: domain of transitioning a@a.example) client-ip=198.51.100.1;\nAuthentication-Results: mx.google.com; dkim=pass header.i=@a.example header.s=s; spf=softfail (google.com: a; b) smtp.mailfrom=a@a.example; dmarc=pass (p=NONE) header.from=a.example\n", "pass", "x.a.example", "softfail", "10:00"},
		{"Received-SPF where nothing else is", "Received-SPF: Fail (mx: domain does not designate) client-ip=198.51.100.1\nReceived: from x.a.example ([198.51.100.1]) by mx.b.example id 1; 7 Jul 2026 10:00:00 +0000\n", "", "x.a.example", "fail", "10:00"},
		{"a receipt without a date falls back on Date", "Received: from x.a.example ([198.51.100.1]) by mx.b.example\n", "", "x.a.example", "", "08:00"},
		{"a clock never set is not believed", "Received: from x.a.example ([198.51.100.1]) by mx.b.example; Thu, 1 Jan 1970 00:00:00 +0000\n", "", "x.a.example", "", "08:00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := decodeOne(t, tt.headers+"From: a@a.example\nSubject: s\nDate: Tue, 7 Jul 2026 10:00:00 +0200\nMessage-ID: <1@a>\n\nhello\n")
			got := []string{e.Mail.DMARC, e.Mail.SendingHost, e.Mail.SPF, e.Time.Format("15:04")}
			if d := cmp.Diff([]string{tt.dmarc, tt.host, tt.spf, tt.at}, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestMbox(t *testing.T) {
	raw := "From a@a.example Tue Jul  7 10:00:00 2026\n" + head + "Subject: one\n\nFirst.\n>From the start\n>>From deeper\n\nFrom here on it is prose, not a separator.\n\n" +
		"From b@a.example Tue Jul  7 11:00:00 2026\r\nFrom: b@a.example\r\nTo: x@b.example\r\nSubject: two\r\n\r\nSecond\r\n"
	s := decodeAll(t, raw)
	if len(s.events) != 2 || s.nums[1] != 2 {
		t.Fatalf("%d events %v, bad %v", len(s.events), s.nums, s.bad)
	}
	if want := "First.\nFrom the start\n>From deeper\n\nFrom here on it is prose, not a separator."; s.events[0].Mail.Text != want {
		t.Errorf("text %q", s.events[0].Mail.Text)
	}
	if e := s.events[1]; e.Time.Format(time.RFC3339) != "2026-07-07T11:00:00Z" || e.Mail.EnvelopeFrom != "b@a.example" {
		t.Errorf("the separator's date and sender are not used: %s %s", e.Time, e.Mail.EnvelopeFrom)
	}
}

func TestRecognise(t *testing.T) {
	yes := map[string]string{
		"eml":           head + "\nx",
		"maildir":       "Return-Path: <a@a.example>\nDelivered-To: b@b.example\n\nx",
		"mbox":          "From a@a.example Tue Jul  7 10:00:00 2026\n" + head + "\nx",
		"byte mark":     "\xef\xbb\xbf\r\n" + head,
		"headers only":  "From: a@a.example\nDate: Tue, 7 Jul 2026 10:00:00 +0200",
		"long received": "Received: from a by b;\n" + strings.Repeat("\tmore\n", 500) + "Message-ID: <1@x>\nFrom: a@b.c\n",
	}
	no := map[string]string{
		"empty": "", "prose": "From here to there\nwe go: slowly\n", "syslog": "Jul  7 10:00:00 mx postfix/smtpd[1]: connect from out.a.example\nJul  7 10:00:01 mx postfix/qmgr[2]: 1: from=<a@a.example>\n",
		"csv": "From,To,Date\na@a.example,b@b.example,Tue\n", "json": `{"From":"a@a.example","Date":"x"}`, "yaml": "from: a@a.example\nto: b@b.example\ndate: 2026-07-07T10:00:00Z\nreceived:\n  - by mx\n",
		"http": "HTTP/1.1 200 OK\nDate: Tue, 7 Jul 2026 10:00:00 GMT\nContent-Type: text/plain\n\n", "http request": "Host: a.example\nContent-Type: x\nDate: Tue, 7 Jul 2026 10:00:00 GMT\n\n",
		"zeek": "#separator \\x09\n#fields\tts\tuid\n", "key values": "time: 10:00\nuser: bob\naction: login\n", "one header": "Subject: hello\n\nhello\n", "binary": "\x7fELF\x02\x01",
		"debian control": "Package: x\nMaintainer: A <a@a.example>\nVersion: 1\n", "git log": "commit 1234\nAuthor: A <a@a.example>\nDate:   Tue Jul 7 10:00:00 2026 +0200\n",
	}
	for name, s := range yes {
		if !recognise("x.log", []byte(s)) {
			t.Errorf("%s: not recognised", name)
		}
	}
	for name, s := range no {
		if recognise("x.eml", []byte(s)) {
			t.Errorf("%s: taken for mail", name)
		}
	}
}

// TestBadInput: what is malformed is an event with its problem, or told as bad; never an error, never lost.
func TestBadInput(t *testing.T) {
	tests := []struct {
		name, raw string
		problem   string // a part of one parse problem
		bad       string // a part of the reason, where no event can be made
		text      string
	}{
		{name: "no date at all", raw: "From: a@a.example\nSubject: x\n\nx", bad: "no usable date"},
		{name: "date of another calendar", raw: "From: a@a.example\nDate: Tue, 32 Foo 2026 10:00\n\nx", bad: "no usable date"},
		{name: "not mail", raw: "hello\nworld\n", bad: "no mail header"},
		{name: "no From", raw: "To: b@b.example\nDate: 7 Jul 2026 10:00:00 +0000\n\nx", problem: "no address in From", text: "x"},
		{name: "two From", raw: "From: a@a.example\nFrom: b@b.example\nDate: 7 Jul 2026 10:00:00 +0000\n\nx", problem: "more than one From", text: "x"},
		{name: "multipart without boundary", raw: head + "Content-Type: multipart/mixed\n\nhidden text", problem: "without a boundary", text: "hidden text"},
		{name: "boundary never comes", raw: head + "Content-Type: multipart/mixed; boundary=x\n\nhidden text", problem: "never comes", text: "hidden text"},
		{name: "multipart without end", raw: head + "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhello", problem: "without an end", text: "hello"},
		{name: "base64 with rubbish", raw: head + "Content-Transfer-Encoding: base64\n\naGVs!!!!bG8=****", problem: "many foreign characters", text: "hello"},
		{name: "quoted-printable cut short", raw: head + "Content-Transfer-Encoding: quoted-printable\n\nhel=6Co =3D =Z", text: "hello = =Z"},
		{name: "unknown encoding", raw: head + "Content-Transfer-Encoding: x-uue\n\nhello", problem: "a transfer encoding that nobody knows", text: "hello"},
		{name: "unknown charset", raw: head + "Content-Type: text/plain; charset=klingon\n\ngr\xfcn", problem: "a charset that nobody knows", text: "grün"},
		{name: "utf-8 that is none", raw: head + "Content-Type: text/plain; charset=utf-8\n\ngr\xfcn", text: "grün"},
		{name: "duplicate parameters", raw: head + "Content-Type: text/plain; charset=utf-8; charset=utf-8; x\n\nhello", text: "hello"},
		{name: "no blank line before the body", raw: head + strings.Repeat("just words\n", 30), problem: "without an end"},
		{name: "line that is no header", raw: "Received: x\n" + "oops\n" + head + "\nhello", problem: "header line that is none", text: "hello"},
		{name: "only a header", raw: head},
		{name: "encoded word with rubbish", raw: head + "Subject: =?utf-8?Q?=ZZ?= =?nope?B?x?=\n\nhello", text: "hello"},
		{name: "broken address", raw: "From: \"unclosed <a@a.example\nDate: 7 Jul 2026 10:00:00 +0000\n\nhello", text: "hello"},
		{name: "old Mac line ends", raw: strings.ReplaceAll(head, "\n", "\r") + "\rhello", bad: "no usable date"},
		{name: "HTML cut in a tag", raw: head + "Content-Type: text/html\n\n<p>hello</p><a href=\"http://x", text: "hello"},
		{name: "nul bytes", raw: head + "\nhel\x00lo", text: "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := decodeAll(t, tt.raw)
			if tt.bad != "" {
				if len(s.bad) != 1 || !strings.Contains(s.bad[0], tt.bad) {
					t.Fatalf("bad %q, %d events", s.bad, len(s.events))
				}
				return
			}
			if len(s.events) != 1 {
				t.Fatalf("%d events, bad %q", len(s.events), s.bad)
			}
			m := s.events[0].Mail
			if all := strings.Join(m.ParseProblems, "; "); !strings.Contains(all, tt.problem) || tt.problem == "" && all != "" {
				t.Errorf("problems %q, want %q", all, tt.problem)
			}
			if tt.text != "" && m.Text != tt.text {
				t.Errorf("text %q", m.Text)
			}
		})
	}
}

func TestHTML(t *testing.T) {
	doc := `<html><head><title>T</title><style>p{}</style><base href="https://base.example/dir"></head><body>
<p>Pay <b>now</b>&nbsp;or&#32;never</p><div style="display: none">filter words</div><span style="FONT-SIZE:0px">x<span>y</span>z</span>
<a href="https://evil.example/l?e=a">https://bank.example/</a><a href='//two.example/x'><img src="cid:1"></a>
<a href="mailto:a@b.example">mail</a><a href="javascript:alert(1)">js</a><a href="rel/page">rel</a><area href="https://map.example/">
<form action="https://collect.example/p"><input type=password></form><meta http-equiv=refresh content="0; url=https://next.example/n">
<a href=" ht&#116;ps://sp
ace.example\path ">s</a><a href="http://user@xn--bcher-kva.example:8080/p">u</a><a href="http://3232235777/x">n</a>
<blockquote>old<br>older</blockquote><script>var a="<a href='https://no.example'>"</script></body></html>`
	e := decodeOne(t, head+"Content-Type: text/html; charset=utf-8\n\n"+doc)
	var hosts []string
	for _, l := range e.Mail.Links {
		hosts = append(hosts, l.Host+"|"+l.Text)
	}
	want := []string{"evil.example|https://bank.example/", "two.example|", "|js", "base.example|rel", "map.example|", "collect.example|", "next.example|",
		"space.example|s", "xn--bcher-kva.example|u", "192.168.1.1|n"}
	if d := cmp.Diff(want, hosts); d != "" {
		t.Error(d)
	}
	text := e.Mail.Text
	for _, w := range []string{"Pay now or never", "> old", "> older"} {
		if !strings.Contains(text, w) {
			t.Errorf("text lacks %q: %q", w, text)
		}
	}
	for _, w := range []string{"filter", "xyz", "no.example", "p{}"} {
		if strings.Contains(text, w) {
			t.Errorf("text shows %q", w)
		}
	}
	if e.Fields.Value("body.form") == "" || e.Fields.Value("body.hidden") == "" {
		t.Error("form or hidden text not noted")
	}
}

func TestAttachmentTraits(t *testing.T) {
	zip := "PK\x03\x04\x14\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 8) + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x0b\x00\x00\x00" + "Invoice.exe"
	part := func(name, kind, body string) string {
		return head + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: " + kind + "; name=\"" + name + "\"\nContent-Disposition: attachment\n\n" + body + "\n--b--\n"
	}
	tests := []struct{ name, kind, body, field, want string }{
		{"a.zip", "application/zip", zip, "attachment.encrypted", "a.zip"},
		{"a.zip", "application/zip", zip, "attachment.member", "invoice.exe"},
		{"page.html", "text/html", `<form><input type="password"></form>`, "attachment.form", "password"},
		{"page.html", "text/html", `<script>eval(atob("x"))</script>`, "attachment.script", "page.html"},
		{"setup.bin", "application/octet-stream", "MZ\x90", "attachment.program", "setup.bin"},
		{"d.pdf", "application/pdf", "%PDF-1.4 /Encrypt 5 0 R", "attachment.encrypted", "d.pdf"},
		{"d.docx", "application/x", "PK\x03\x04 vbaProject.bin", "attachment.macro", "d.docx"},
		{"d.pdf", "application/pdf", "%PDF-1.4 /URI (https://in.example/x) ", "links.body", "0"},
	}
	for _, tt := range tests {
		e := decodeOne(t, part(tt.name, tt.kind, tt.body))
		if got := e.Fields.Value(tt.field); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.name, tt.field, got, tt.want)
		}
	}
}

func TestBodyHash(t *testing.T) {
	hash := func(text string) string { return decodeOne(t, head+"\n"+text).Mail.BodyHash }
	a := hash("Dear Ben,\n\nyour order 4711 waits at https://x.example/?u=ben for ben@b.example until Friday noon.\n")
	b := hash("Dear Lea,\nyour order  815 waits at https://x.example/?u=lea for\nlea@c.example until Friday noon.\n> old quote\n")
	c := hash("Dear Lea,\nyour order 8151 waits at https://x.example/?u=lea for lea@c.example until Friday noon.\n")
	if a != c {
		t.Error("the same text to two people differs")
	}
	if a == b {
		t.Error("numbers of another length are another text")
	}
	if hash("ok") != "" {
		t.Error("a text that says nothing has a hash")
	}
}

// TestSourceIDTellsMessagesApart: whoever knows a Message-ID and its date must not be able to hide a message
// behind it, and a copy of a message must be no second one.
func TestSourceIDTellsMessagesApart(t *testing.T) {
	const known = "From: A <a@a.example>\nReply-To: <a@a.example>\nTo: b@b.example\nSubject: the list\nDate: Tue, 7 Jul 2026 09:59:58 +0200\nMessage-ID: <1@a.example>\n\nHello,\nthe list is here.\n"
	id := func(raw string) string { return decodeOne(t, raw).SourceID }
	for name, other := range map[string]string{
		"another text":                   strings.Replace(known, "here", "at https://evil.example/", 1),
		"another sender":                 strings.Replace(known, "A <a@", "A <a@a.example.evil.example> <a@", 1),
		"another address to answer to":   strings.Replace(known, "<a@a.example>\nTo", "<a@evil.example>\nTo", 1),
		"another subject":                strings.Replace(known, "the list", "the bill", 1),
		"the same text as HTML":          strings.Replace(known, "\n\n", "\nContent-Type: text/html\n\n", 1),
		"another Message-ID":             strings.Replace(known, "<1@", "<2@", 1),
		"another From above the old one": "From: B <b@evil.example>\n" + known,
	} {
		if id(other) == id(known) {
			t.Errorf("%s: the same id %s", name, id(known))
		}
	}
	for name, other := range map[string]string{
		"other line ends":       strings.ReplaceAll(known, "\n", "\r\n"),
		"another folding":       strings.Replace(known, "the list\n", "the\n list\n", 1),
		"fields of a mailbox":   "X-UID: 7\nStatus: RO\n" + known,
		"an mbox's empty line":  known + "\n",
		"verdicts of a gateway": "Authentication-Results: mx.b.example; spf=pass\nX-Spam-Score: 1\n" + known,
	} {
		if id(other) != id(known) {
			t.Errorf("%s: another id, %s and %s", name, id(other), id(known))
		}
	}
	if got := id("From: A <a@a.example>\nDate: Tue, 7 Jul 2026 09:59:58 +0200\n\nx"); got != "" {
		t.Errorf("a message without an id has %q", got)
	}
}

// TestBombMessage: bounded time and a problem noted, whatever the message is made of.
func TestBombMessage(t *testing.T) {
	nested := func(n int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		b.WriteString("Content-Type: text/plain\n\nhello\n")
		return b.String()
	}
	rfc822 := head + strings.Repeat("Content-Type: message/rfc822\n\n", 5000)
	many := func(n int) string {
		return head + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", n) + "--b--\n"
	}
	limit := 2 * time.Second
	if raceEnabled {
		limit *= 15
	}
	tests := map[string]struct{ raw, problem string }{
		"nested 5000 deep":        {nested(5000), "nested deeper"},
		"messages in messages":    {rfc822, "nested deeper"},
		"200000 headers":          {head + strings.Repeat("X-A: b\n", 200_000) + "\nhello", "header section longer"},
		"one header of 8 MiB":     {head + "X-A: b\n" + strings.Repeat(" more\n", 1<<20) + "\nhello", "header section longer"},
		"100000 parts":            {many(100_000), "more than 512 parts"},
		"a line of dashes":        {head + "Content-Type: multipart/mixed; boundary=\"----\"\n\n" + strings.Repeat("-", 8<<20), "without parts"},
		"a million links":         {head + "Content-Type: text/html\n\n" + strings.Repeat("<a href=http://x.example/>x</a>", 300_000), ""},
		"a million bare links":    {head + "\n" + strings.Repeat("http://x.example/ www.y.example ", 300_000), ""},
		"addresses of colons":     {"From: a@a.example\nDate: 7 Jul 2026 10:00:00 +0000\nTo: " + strings.Repeat("a", 500_000) + "@" + strings.Repeat(":", 500_000) + "\n\nx", ""},
		"encoded words unclosed":  {head + "Subject: " + strings.Repeat("=?a?q?", 150_000) + "\n\nx", ""},
		"deep HTML":               {head + "Content-Type: text/html\n\n" + strings.Repeat("<div style=display:none><blockquote>", 200_000) + "x", ""},
		"one tag without an end":  {head + "Content-Type: text/html\n\n<a href=\"" + strings.Repeat("x", 8<<20), "HTML tag longer"},
		"parentheses in Received": {"Received: from a " + strings.Repeat("(", 900_000) + "\n" + head + "\nx", ""},
		"zip that points at itself": {head + "Content-Type: application/zip; name=a.zip\n\n" +
			strings.Repeat("PK\x03\x04\x14\x00\x08\x00"+strings.Repeat("\x00", 22), 30_000), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			s := decodeAll(t, tt.raw)
			if d := time.Since(start); d > limit {
				t.Errorf("took %s", d)
			}
			if len(s.events) != 1 {
				t.Fatalf("%d events, bad %q", len(s.events), s.bad)
			}
			if all := strings.Join(s.events[0].Mail.ParseProblems, "; "); !strings.Contains(all, tt.problem) {
				t.Errorf("problems %q, want %q", all, tt.problem)
			}
			if n := len(s.events[0].Mail.Links); n > MaxLinks {
				t.Errorf("%d links", n)
			}
		})
	}
}

func TestMessageLargerThanTheLimit(t *testing.T) {
	raw := append([]byte(head+"\n"), bytes.Repeat([]byte("0123456789abcde\n"), (65<<20)/16)...)
	s := &sink{}
	if err := Stream().Read(context.Background(), "m", bytes.NewReader(raw), s); err != nil {
		t.Fatal(err)
	}
	if len(s.events) != 1 || !strings.Contains(strings.Join(s.events[0].Mail.ParseProblems, ";"), "message larger") {
		t.Fatal("a message over the limit is not said to be one")
	}
}

func TestDates(t *testing.T) {
	tests := map[string]string{
		"Tue, 7 Jul 2026 21:24:07 +0200 (CEST)": "2026-07-07T19:24:07Z", "7 Jul 26 21:24 EST": "2026-07-08T02:24:00Z", "Tue Jul  7 10:00:00 2026": "2026-07-07T10:00:00Z",
		"Mon,13-Nov-2023 10:23:19 -0000": "2023-11-13T10:23:19Z", "Fri, 31 Dec 1999 23:59:60 GMT": "2000-01-01T00:00:00Z", "Tue, 07 Jul 2026 10:00:00 +9999": "2026-07-07T10:00:00Z",
		"Thu, 1 Jan 1970 00:00:00 +0000": "", "31 Feb 2026 10:00:00": "", "yesterday": "", "": "", "7 Jul 2026": "", "99 Jul 2026 10:00": "", "2026-07-07T10:00:00Z": "",
	}
	for in, want := range tests {
		got := ""
		if d, ok := parseDate(in); ok {
			got = d.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	tests := map[string]string{
		`"Doe, Jane" <Jane@A.Example>, bob@b.example`: "Doe, Jane <jane@a.example>; <bob@b.example>",
		`undisclosed-recipients:;`:                    "",
		`team: a@a.example, "B" <b@b.example>;`:       "<a@a.example>; B <b@b.example>",
		`jane@a.example (Jane Doe)`:                   "Jane Doe <jane@a.example>",
		`=?utf-8?B?SsO2cmc=?= <j@a.example>`:          "Jörg <j@a.example>",
		`"ceo@victim.example" <x@evil.example>`:       "ceo@victim.example <x@evil.example>",
		`Costco Support    ,_<x@evil.example>`:        "_ <x@evil.example>",
		`<<a@a.example>>`:                             "<a@a.example>",
		`nobody`:                                      "",
	}
	for in, want := range tests {
		var got []string
		for _, a := range parseAddresses(in, 10) {
			got = append(got, strings.TrimSpace(a.name+" <"+a.addr+">"))
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%s: %q, want %q", in, s, want)
		}
	}
}

func TestEncodedWords(t *testing.T) {
	for in, want := range map[string]string{
		"=?utf-8?B?SsO2cmc=?= x": "Jörg x", "=?utf-8?B?SsO2cmc==?=": "Jörg", "=?utf-8?B?SsO2 cmc=?=": "Jörg", "=?utf-8?Q?a_b?= =?utf-8?Q?c?=": "a bc", "=?nope?Q?a=FCb?=": "aüb",
		"=?utf-8?Q?open": "=?utf-8?Q?open", "plain": "plain", "=?": "=?", "gr\xfcn": "grün", "a\r\n\tb": "a   b",
	} {
		if got := decodeWords(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(head + "\nhello"))
	for _, name := range []string{"partner.eml"} {
		f.Add([]byte(testdata(f, name)))
	}
	f.Add([]byte("From a@b Tue Jul  7 10:00:00 2026\n" + head + "Content-Type: multipart/x; boundary=a\n\n--a\n\nx\n--a--"))
	f.Add([]byte(head + "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGEgaHJlZj1odHRwOi8veD4="))
	f.Add([]byte("Received: from a ([IPv6:2001:db8::1]) by b; x\nAuthentication-Results: a; spf=pass (x;y) z; dkim\n" + head + "To: a:b,<c@d>;\n\nwww.x.example"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		recognise("x", raw)
		s := &sink{}
		if err := Stream().Read(context.Background(), "x", bytes.NewReader(raw), s); err != nil {
			t.Fatal(err)
		}
		for _, e := range s.events {
			if e.Time.IsZero() || e.Mail == nil || len(e.Mail.Text) > MaxText || len(e.Mail.Links) > MaxLinks || len(e.Mail.ParseProblems) > MaxProblems {
				t.Fatal("a bound does not hold")
			}
			for i := 1; i < len(e.Fields); i++ {
				if e.Fields[i-1].Name > e.Fields[i].Name {
					t.Fatal("fields are not sorted")
				}
			}
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	raw := []byte(testdata(b, "partner.eml"))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, reason := Message(raw); reason != "" {
			b.Fatal(reason)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
