package mail

import (
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func TestOneCanonicalHost(t *testing.T) {
	tests := []struct{ in, host, odd string }{
		{"https://bank.example/", "bank.example", ""},
		{"HTTPS://Bank.Example./x", "bank.example", "dot"},
		{"https://bank.example@evil.example/x", "evil.example", "userinfo"},
		{"https://bank.example%2Fa@evil.example", "evil.example", "userinfo"},
		{`https:\\evil.example\a`, "evil.example", "backslash"},
		{`https://evil.example\@bank.example/`, "evil.example", "backslash"},
		{`//evil.example/x`, "evil.example", ""},
		{`/\evil.example/x`, "evil.example", "backslash"},
		{"https://%65vil.example/", "evil.example", "encoded"},
		{"https://%2565vil.example/", "evil.example", "encoded"},
		{"https://3232235777/x", "192.168.1.1", "numeric"},
		{"http://0xc0a80101/", "192.168.1.1", "numeric"},
		{"http://0300.0250.1.1/", "192.168.1.1", "numeric"},
		{"http://192.168.257/", "192.168.1.1", "numeric"},
		{"http://192.168.1.1/", "192.168.1.1", ""},
		{"http://[::ffff:192.0.2.1]/", "192.0.2.1", ""},
		{"http://[2001:DB8::1]:8080/", "2001:db8::1", ""},
		{"http://evil。example/", "evil.example", "wide"},
		{"http://ｅｖｉｌ．example/", "evil.example", "wide"},
		{"ht\ttp://ev\nil.example/", "evil.example", "control"},
		{"http://ev\u200bil.example/", "evil.example", "control"},
		{"http://bücher.example/", "xn--bcher-kva.example", ""},
		{"http://p\u0430ypal.example/", "xn--pypal-4ve.example", "mixed"},
		{"hxxps://evil.example/x", "evil.example", "hxxp"},
		{"WWW.evil.example", "www.evil.example", ""},
		{"javascript:alert(1)", "", "script"},
		{"vbscript:x", "", "script"},
		{"data:text/html,x", "", "data"},
		{"mailto:a@b.example", "", ""},
		{"#top", "", ""},
		{"http:///", "", ""},
		{"https://1.2.3.4.5/", "1.2.3.4.5", ""},
	}
	for _, tt := range tests {
		_, host, odd := canonical(tt.in)
		if host != tt.host || odd.String() != tt.odd {
			t.Errorf("%q: %q %q, want %q %q", tt.in, host, odd, tt.host, tt.odd)
		}
	}
}

func TestLinksInPlainText(t *testing.T) {
	tests := map[string]string{
		"see https://a.example/x, or http://b.example.":         "https://a.example/x http://b.example",
		"go to www.c.example now":                               "www.c.example",
		"log in at portal.example.com/login today":              "http://portal.example.com/login",
		"either and/or, 10/12, src/main.go/x, a@b.com/x, e.g./": "",
		"defanged hxxps://d.example/y":                          "hxxps://d.example/y",
		"(https://e.example/a(b))":                              "https://e.example/a(b))",
		"path /usr/lib/x.so/y and x=/a.com/b":                   "",
		"secure-files.co.uk/doc?id=1":                           "http://secure-files.co.uk/doc?id=1",
		"xhttps://f.example/z":                                  "https://f.example/z",
	}
	for in, want := range tests {
		if got := strings.Join(slices.Collect(urlsIn(in)), " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestHiddenTextIsNotShown(t *testing.T) {
	hidden := []string{
		`<div style="display:none">X</div>`, `<p style="font-size:0">X</p>`, `<p style="FONT-SIZE: 1px">X</p>`, `<span style="color:#fff">X</span>`,
		`<td style="background:#123456"><font color="#123457">X</font></td>`, `<p style="position:absolute;left:-9999px">X</p>`,
		`<p style="text-indent:-9999px">X</p>`, `<div style="height:0;overflow:hidden">X</div>`, `<p style="visibility:hidden">X</p>`,
		`<p style="opacity:0.01">X</p>`, `<p style="color:transparent">X</p>`, `<p style="color:rgba(0,0,0,0)">X</p>`, `<p hidden>X</p>`,
		`<style>.q{display:none}</style><p class="q">X</p>`, `<style>#z, .y {font-size:0px}</style><p id=z>X</p>`, `<p style="transform:scale(0)">X</p>`,
		`<template>X</template>`, `<script>X</script>`, `<p style="mso-hide:all">X</p>`,
	}
	shown := []string{
		`<p style="font-size:14px">X</p>`, `<td style="font-size:0"><div style="font-size:13px">X</div></td>`, `<p style="color:#000">X</p>`,
		`<table bgcolor="#000000"><tr><td><font color="white">X</font></td></tr></table>`, `<div style="background:url(a.png)"><p style="color:#fff">X</p></div>`,
		`<div style="visibility:hidden"><p style="visibility:visible">X</p></div>`, `<style>@media print{.q{display:none}}</style><p class="q">X</p>`,
		`<div style="display:none">a</div>X`, `<p style="color:#888">X</p>`, `<p style="line-height:0">X</p>`,
		`<table style="background-color:#222"><tr><td style="color:#fafafa">X</td></tr></table>`,
	}
	const pad = "<p>This is what the message says to everybody who reads it.</p>"
	for _, doc := range hidden {
		if e := decodeOne(t, head+"Content-Type: text/html\n\n"+pad+doc); strings.Contains(e.Mail.Text, "X") {
			t.Errorf("%s: shown", doc)
		}
	}
	for _, doc := range shown {
		if e := decodeOne(t, head+"Content-Type: text/html\n\n"+pad+doc); !strings.Contains(e.Mail.Text, "X") {
			t.Errorf("%s: not shown", doc)
		}
	}
}

func TestTextTricks(t *testing.T) {
	html := head + "Content-Type: text/html; charset=utf-8\n\n<p>Everybody who gets this message reads these words.</p>"
	tests := []struct{ name, raw, field, want, text string }{
		{"zero width", html + "pass\u200bword ver\u00adify", "body.split", "2", "password verify"},
		{"zero width between emoji", html + "👩\u200d💻 ok", "body.split", "", "ok"},
		{"mixed alphabets", html + "Your p\u0430ssword", "body.mixed", "1", ""},
		{"Greek in maths", html + "the angle α of 3 µm", "body.mixed", "", ""},
		{"letters in dress", html + "𝗣𝗮𝘆𝗽𝗮𝗹", "body.fancy", "6", "Paypal"},
		{"turned round", html + "\u202elapyaP\u202c", "body.bidi", "2", "Paypal"},
		{"hidden text is kept apart", html + "<p style='display:none'>the meeting notes of today</p>", "body.hiddentext", "the meeting notes of today", ""},
		{"refresh", html + `<meta http-equiv="refresh" content="0;URL='https://next.example/'">`, "body.refresh", "next.example", ""},
		{"password field", html + `<form action=https://c.example/><input type="password">`, "body.input", "password", ""},
		{"remote hosts", html + `<img src="https://t.example/p.gif"><div style="background:url('http://u.example/x.png')">`, "body.remote", "t.example,u.example", ""},
		{"utf-7", head + "Content-Type: text/plain; charset=utf-7\n\n+AFA-assword +AD0- x", "body.charset", "utf-7", "Password = x"},
		{"alternatives that differ", head + "Content-Type: multipart/alternative; boundary=b\n\n--b\n\nMeeting notes from yesterday about gardens and flowers\n--b\nContent-Type: text/html\n\n<p>Your mailbox is full, sign in here to keep your account</p>\n--b--", "body.alternative", "Meeting notes from yesterday about gardens and flowers", "mailbox is full"},
		{"alternatives that agree", head + "Content-Type: multipart/alternative; boundary=b\n\n--b\n\nYour mailbox is full, sign in here\n--b\nContent-Type: text/html\n\n<p>Your mailbox is full, sign in here</p>\n--b--", "body.alternative", "", "mailbox is full"},
		{"only hidden text is not hidden", head + "Content-Type: text/html\n\n<style>.a{display:none}</style><p class=a>Your mailbox is full, sign in here to keep your account</p>", "body.refresh", "", "mailbox is full"},
		{"odd links", html + `<a href="https://bank.example@1.1.1.1/">x</a><a href="http://0x7f.1/">y</a>`, "links.odd", "numeric,userinfo", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := decodeOne(t, tt.raw)
			if got := e.Fields.Value(tt.field); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.field, got, tt.want)
			}
			if !strings.Contains(e.Mail.Text, tt.text) {
				t.Errorf("text %q, want %q", e.Mail.Text, tt.text)
			}
		})
	}
}

func TestLinksWhereverTheyStand(t *testing.T) {
	const start = head + "Content-Type: text/html\n\n<p>Everybody who gets this message reads these words.</p>"
	tests := map[string]string{
		"srcdoc":             `<iframe srcdoc="&lt;a href='https://evil.example/'&gt;x&lt;/a&gt;">`,
		"map":                `<map><area href="https://evil.example/"></map>`,
		"handler":            `<div onclick="location='https://evil.example/'">x</div>`,
		"data page":          `<a href="data:text/html;base64,PGEgaHJlZj0iaHR0cHM6Ly9ldmlsLmV4YW1wbGUvIj54PC9hPg==">x</a>`,
		"script link":        `<a href="javascript:window.open('https://evil.example/')">x</a>`,
		"Outlook alone":      `<!--[if mso]><v:roundrect href="https://evil.example/">go</v:roundrect><![endif]-->`,
		"base":               `<base href="https://evil.example/a/"><a href="b">x</a>`,
		"button":             `<button formaction="https://evil.example/">x</button>`,
		"bare in HTML":       `go to evil.example.com/x now`,
		"entities":           `<a href="&#104;ttps:&sol;&sol;evil.example/">x</a>`,
		"object":             `<object data="https://evil.example/"></object>`,
		"animated SVG":       `<svg><a><set attributeName="href" to="https://evil.example/"/></a></svg>`,
		"picture with a alt": `<a href="https://evil.example/"><img alt="Sign in" src="cid:1"></a>`,
	}
	for name, doc := range tests {
		e := decodeOne(t, start+doc)
		if !slices.ContainsFunc(e.Mail.Links, func(l ocsf.Link) bool { return strings.HasPrefix(l.Host, "evil.example") }) {
			t.Errorf("%s: links %v", name, e.Mail.Links)
		}
	}
}
