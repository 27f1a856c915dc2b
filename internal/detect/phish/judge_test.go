package phish

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// TestEveryReasonIsListed: each name in the code has a row in Priors, each row stands in docs/mail.md with its
// weight, and none is listed that no code gives.
func TestEveryReasonIsListed(t *testing.T) {
	used := map[string]bool{"learned": true}
	named := regexp.MustCompile(`(?:name: |\.say\(|p\.add\(|p\.addClass\(|p\.context\(|\badd\()"([a-z][a-z0-9-]+)"`)
	list, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		src, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(src), -1) {
			used[m[1]] = true
		}
	}
	for i := range lures {
		used[lures[i].name] = true
	}
	for i := range carried {
		used[carried[i].reason] = true
	}
	if len(lures) > maxLures {
		t.Fatalf("%d stories, room for %d", len(lures), maxLures)
	}
	doc, err := os.ReadFile("../../../docs/mail.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range Priors {
		p := &Priors[i]
		if !used[p.Name] {
			t.Errorf("%s is listed and never given", p.Name)
		}
		delete(used, p.Name)
		row := "| `" + p.Name + "` | " + strconv.FormatFloat(p.Weight, 'g', -1, 64) + " | " + p.Means + " | " + p.Source + " |\n"
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/mail.md has no row %s", row)
		}
	}
	for n := range used {
		t.Errorf("%s is given and not listed", n)
	}
	for n := range persuasion {
		if priorsByName[n] == nil {
			t.Errorf("%s speaks of persuasion and is no reason", n)
		}
	}
}

func TestJudge(t *testing.T) {
	const own = "joe@alderbrook.com"
	html := field("header.content-type", "text/html; charset=utf-8")
	tests := []struct {
		name    string
		event   *ocsf.Event
		verdict string
		reason  string
	}{
		{"an ordinary question", mailTo("alder", "ann@quiet.example", own, "Lunch on Friday?", "Shall we meet at noon in the usual place?"), Clean, ""},
		{"a service's honest reset", mailTo("alder", "no-reply@ledger.example", own, "Reset your password", "reset your password: https://ledger.example/reset?t=1"), Clean, ""},
		{"advertising alone", mailTo("alder", "news@shop.example", own, "50% off today only!", "special offer, limited time, order now, free trial https://shop.example/sale", html), Clean, ""},
		{"mailbox quota", mailTo("alder", "x@freebox.example", own, "Mailbox full", "your mailbox is full, verify your mailbox at https://mailbox-quota.web.app/x within 24 hours"), Phish, "sign-in-elsewhere"},
		{"a brand's name", mailTo("alder", "x@qzx7k2.top", own, "Your account is on hold", "dear customer, payment declined, update your payment https://netflix-billing.qzx7k2.top/x", named("Netflix")), Phish, "brand-name"},
		{"German parcel", mailTo("alder", "paket@zufall.example", own, "Ihr Paket wartet", "sehr geehrter kunde, ihre sendung konnte nicht zugestellt werden, versandkosten hier bezahlen https://dhl.zufall-paket.web.app/x", named("DHL Paket")), Phish, "brand-name"},
		{"French refund", mailTo("alder", "a@hasard.example", own, "Remboursement", "cher client, vous êtes éligible à un remboursement, votre compte sera crédité, confirmez vos coordonnées https://ameli.hasard.web.app/x", named("Assurance Maladie")), Phish, "lure-refund"},
		{"extortion without a link", mailTo("alder", "x@freebox.example", own, "I recorded you", "i recorded a video of you through your webcam, pay me in bitcoin to this bitcoin wallet or i send the video to all your contacts"), Phish, "lure-extortion"},
		{"mixed alphabets", mailTo("alder", "x@freebox.example", own, "Аccount nоtice for your аccount", "verify your account at https://a.web.app/x", named("РayPal Sеrvice")), Phish, "subject-disguised-letters"},
		{"unread to its end", mailTo("alder", "x@freebox.example", own, "x", "hello", problem("broken: a part")), Suspicious, "unparsable"},
		{"a bounce", mailTo("alder", "mailer-daemon@relay.example", own, "Undelivered Mail", "your parcel your package delivery attempt could not be delivered", field("header.content-type", "multipart/report; report-type=delivery-status")), Clean, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newTest()
			v := d.Judge(tt.event)
			has := tt.reason == ""
			for _, r := range v.Reasons {
				has = has || r.Name == tt.reason
			}
			if v.Verdict != tt.verdict || !has || v.Threshold != Threshold || (v.Verdict == Phish) != (v.Score >= Threshold) {
				t.Errorf("%s %.3f %+v", v.Verdict, v.Score, v.Reasons)
			}
			if len(d.state.Mail) != 0 {
				t.Error("judging changed the state")
			}
		})
	}
}

func TestAJudgedMessageIsTakenAsJudged(t *testing.T) {
	d := newTest()
	e := mailTo("alder", "ann@quiet.example", "joe@alderbrook.com", "Lunch", "https://lunch.quiet.example/x")
	e.Mail.Verdict = &ocsf.MailVerdict{Verdict: Phish, Score: 0.97, Threshold: 0.5, Rule: "phish/commodity",
		Reasons: []ocsf.MailReason{{Name: "link-bare-address", Weight: 4.2, Text: "as the gateway saw it", Apex: "quiet.example"}}, Points: 42}
	got := findings(d, e)
	if len(got) != 1 || got[0].Severity != ocsf.SeverityMedium || !strings.Contains(got[0].Reason, "as the gateway saw it") {
		t.Fatalf("%+v", got)
	}
	if d.state.Mail["alder"].Lures["quiet.example"] == 0 {
		t.Error("contacts with the link's place are not watched")
	}
	lure := mailTo("alder", "x@freebox.example", "joe@alderbrook.com", "Mailbox full", "verify your mailbox at https://mailbox-quota.web.app/x within 24 hours")
	lure.Mail.Verdict = &ocsf.MailVerdict{Verdict: Clean, Threshold: 0.9}
	if got := findings(newTest(), lure); len(got) != 0 {
		t.Errorf("judged clean and told all the same: %s", got[0].Reason)
	}
}

func TestPhishIsNotLearned(t *testing.T) {
	d := newTest()
	e := mailTo("alder", "x@freebox.example", "joe@alderbrook.com", "x", "https://place.example/x")
	for range 5 {
		d.Learn(e, ocsf.MailVerdict{Verdict: Phish})
	}
	if len(d.state.Mail["alder"].Sites) != 0 {
		t.Error("a lure's place became ordinary")
	}
	d.Learn(e, ocsf.MailVerdict{Verdict: Clean})
	if len(d.state.Mail["alder"].Sites) == 0 {
		t.Error("clean mail teaches nothing")
	}
}

func TestReasonsAreStrongestFirst(t *testing.T) {
	v := newTest().Judge(mailTo("alder", "x@qzx7k2.top", "joe@alderbrook.com", "Your account is on hold!", "dear customer, verify your account at https://1.2.3.4/x within 24 hours", named("PayPal")))
	for i := 1; i < len(v.Reasons); i++ {
		if v.Reasons[i].Weight > v.Reasons[i-1].Weight {
			t.Errorf("%v after %v", v.Reasons[i], v.Reasons[i-1])
		}
	}
	if len(v.Reasons) < 4 {
		t.Errorf("%d reasons", len(v.Reasons))
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("a@b.example", "Name", "Subject", "text https://x.example/y", "https://x.example/y")
	f.Add("@", "\xff", "Аcc", "$", "://")
	f.Add("", "", "", "€ ", "http://[::1")
	f.Fuzz(func(t *testing.T, from, name, subject, text, url string) {
		d := New(detect.Context{Model: testModel()})
		e := &ocsf.Event{Tenant: "alder", Mail: &ocsf.Mail{From: from, FromName: name, Subject: subject, Text: text, MessageID: from, To: []string{name}, Links: []ocsf.Link{{URL: url, Host: hostIn(url), Text: name}}}}
		if v := d.Judge(e); !(v.Score >= 0 && v.Score <= 1) || v.Verdict == "" {
			t.Fatalf("%+v", v)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	d := newTest()
	findings(d, usualMail("alder", "alderbrook.com")...)
	e := mailTo("alder", "x@qzx7k2.top", "joe@alderbrook.com", "Your account is on hold!", strings.Repeat("dear customer, verify your account at https://netflix.qzx7k2.top/x within 24 hours. ", 20), named("PayPal"))
	b.ReportAllocs()
	for b.Loop() {
		d.Judge(e)
	}
}
