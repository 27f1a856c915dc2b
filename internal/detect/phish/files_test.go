package phish

import (
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func linkFrom(url, where string) func(*ocsf.Event) {
	return func(e *ocsf.Event) {
		e.Mail.Links = append(e.Mail.Links, ocsf.Link{URL: url, Host: hostIn(url), From: where})
		e.Fields = append(e.Fields, ocsf.Field{Name: "links.body", Value: "0"})
		e.Fields.Sort()
	}
}

// TestWhatTheDecoderSees: each thing that the decoder tells has its reason, and an honest twin that has none.
func TestWhatTheDecoderSees(t *testing.T) {
	const from, to = "x@freebox.example", "joe@alderbrook.com"
	msg := func(text string, change ...func(*ocsf.Event)) *ocsf.Event {
		return mailTo("alder", from, to, "Papers", text, append(change, dmarc(""))...)
	}
	tests := []struct {
		name   string
		event  *ocsf.Event
		reason string // "": none of the reasons that this table asks for
	}{
		{"HTML smuggling", msg("open it", file("a.html"), field("attachment.smuggle", "a.html")), "file-smuggles"},
		{"two endings", msg("open it", file("invoice.pdf.exe"), field("attachment.disguised", "invoice.pdf.exe")), "file-disguised"},
		{"a shortcut in an archive", msg("open it", file("a.zip"), field("attachment.shortcut", "a.zip!run.lnk")), "file-shortcut"},
		{"what a shortcut starts", msg("open it", file("a.zip"), field("attachment.command", "powershell -w hidden")), "file-command"},
		{"a disk image in an archive", msg("open it", file("a.zip"), field("attachment.image", "a.zip!a.vhd")), "file-disk-image"},
		{"a template from elsewhere", msg("open it", file("a.docx"), field("attachment.template", "https://evil.example/t.dotm")), "file-template"},
		{"a field that starts a program", msg("open it", file("a.docx"), field("attachment.dde", "a.docx")), "file-starts-program"},
		{"OneNote with a file to open", msg("open it", file("a.one"), field("attachment.embedded", "a.one!press.hta")), "file-runs"},
		{"a document with a file to open", msg("open it", file("a.docx"), field("attachment.embedded", "run.js")), "file-embedded"},
		{"a document with a sheet inside", msg("open it", file("a.docx"), field("attachment.embedded", "figures.xlsx")), ""},
		{"a PDF that starts something", msg("open it", file("a.pdf"), field("attachment.action", "launch")), "file-action"},
		{"a PDF form that reckons", msg("open it", file("a.pdf"), field("attachment.action", "javascript")), ""},
		{"another kind than its name says", msg("open it", file("a.pdf"), field("attachment.mismatch", "a.pdf: html")), "file-mismatch"},
		{"an archive in an archive", msg("open it", file("a.zip"), field("attachment.nested", "a.zip!b.zip")), "file-nested-archive"},
		{"macros under any name", msg("open it", file("a.doc"), field("attachment.macro", "a.doc")), "file-macro"},
		{"a document that asks for a sign-in", msg("see the document", file("a.pdf"), linkFrom("https://login.qzx7k2.top/a", "pdf"), field("attachment.text", "verify your account to view the document")), "file-asks"},
		{"a document with a number and a charge", msg("see the document", file("a.pdf"), field("attachment.text", "your card will be charged 499.00, call us on +1 808 555 0142")), "file-asks"},
		{"a document that asks for nothing", msg("see the document", file("a.pdf"), linkFrom("https://maps.quiet.example/a", "pdf"), field("attachment.text", "how to find our office")), ""},
		{"a code in a picture", msg("scan it", linkFrom("https://login.qzx7k2.top/a", "qr")), "link-qr"},
		{"a code drawn with characters", msg("scan it", field("body.textqr", "yes")), "link-drawn-code"},
		{"a code nobody can read", msg("scan it", field("qr.unread", "code.png")), "link-qr-unread"},
		{"an invitation of a stranger", msg("join", linkFrom("https://meet.qzx7k2.top/a", "calendar"), field("calendar.foreign", "yes"), field("calendar.organizer", "a@other.example")), "link-calendar-foreign"},
		{"an invitation of the sender", msg("join", linkFrom("https://meet.qzx7k2.top/a", "calendar"), field("calendar.organizer", from)), ""},
		{"a link that hides its host", msg("https://a.example/x", field("links.odd", "backslash,userinfo")), "link-disguised"},
		{"letters of two alphabets in a host", msg("https://a.example/x", field("links.odd", "mixed")), "link-disguised"},
		{"words cut by invisible signs", msg("hello", field("body.split", "7")), "text-cut"},
		{"writing that is turned", msg("hello", field("body.bidi", "2")), "text-turned"},
		{"writing from the right", msg("שלום", field("body.bidi", "2")), ""},
		{"letters of two alphabets", msg("hello", field("body.mixed", "4")), "text-disguised-letters"},
		{"UTF-7", msg("hello", field("body.charset", "utf-7")), "text-unusual-charset"},
		{"a field for a password", msg("hello", field("body.form", "yes"), field("body.input", "password")), "body-asks-password"},
		{"moves on by itself", msg("hello", field("body.refresh", "evil.example")), "body-moves-on"},
		{"how to paste and run", msg("to prove you are human press windows key + r, then ctrl + v and enter"), "text-run-command"},
		{"a developer's command", msg("run curl https://get.quiet.example/install.sh in your shell"), ""},
	}
	asked := map[string]bool{}
	for _, tt := range tests {
		asked[tt.reason] = true
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newTest().Judge(tt.event)
			has := tt.reason == ""
			for _, r := range v.Reasons {
				if tt.reason == "" && asked[r.Name] {
					t.Errorf("%s is said", r.Name)
				}
				has = has || r.Name == tt.reason
			}
			if !has {
				t.Errorf("%s is not said: %+v", tt.reason, v.Reasons)
			}
		})
	}
}

// TestAFileThatRunsIsPhishing: what runs is above the threshold without a word of text.
func TestAFileThatRunsIsPhishing(t *testing.T) {
	for _, f := range []string{"attachment.smuggle", "attachment.disguised", "attachment.command", "attachment.dde", "attachment.shortcut"} {
		if v := newTest().Judge(mailTo("alder", "x@freebox.example", "joe@alderbrook.com", "x", "", field(f, "a.zip!b"), dmarc(""))); v.Verdict != Phish {
			t.Errorf("%s: %s %.3f", f, v.Verdict, v.Score)
		}
	}
}

// TestPartnersAccountInAFile: a partner's invoice names an account as always, and one day another.
func TestPartnersAccountInAFile(t *testing.T) {
	d := newTest()
	invoice := func(n int, iban, text string) *ocsf.Event {
		return mailTo("alder", "ana@marrowstone-it.com", "joe@alderbrook.com", "Invoice", text, at(day0.AddDate(0, 0, n)), file("invoice.pdf"),
			field("attachment.text", "Invoice. Please pay within 30 days. Bank details: "+iban), field("header.x-mailer", "TicketDesk 9.2"))
	}
	for i := range 30 {
		d.Process(invoice(i, "DE89 3704 0044 0532 0130 00", "the invoice of this month"), func(*ocsf.Finding) {})
	}
	usual := d.Judge(invoice(31, "DE89 3704 0044 0532 0130 00", "the invoice of this month"))
	other := d.Judge(invoice(31, "GB29 NWBK 6016 1331 9268 19", "the invoice of this month; please note our new bank account"))
	silent := d.Judge(invoice(31, "GB29 NWBK 6016 1331 9268 19", "the invoice of this month"))
	if usual.Verdict != Clean || other.Verdict != Phish || silent.Score <= usual.Score {
		t.Errorf("usual %s %.3f, changed %s %.3f, changed without a word %s %.3f", usual.Verdict, usual.Score, other.Verdict, other.Score, silent.Verdict, silent.Score)
	}
}
