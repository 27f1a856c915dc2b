package console

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

var _ api.QuarantinePages = (*Pages)(nil)

// TestXSSHeldMailIsShownAsText: whatever a message says in whichever place, the page's markup and policy stay the same.
func TestXSSHeldMailIsShownAsText(t *testing.T) {
	p := New(Options{})
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	bad := hostile + "\x1b[2J\u202e"
	mail := api.HeldMail{Name: "0123456789abcdef", Tenant: "acme", Time: at, Expires: at, State: "held", Place: "mta", QueueID: bad, Mailbox: bad, EnvelopeFrom: bad, Recipients: []string{bad}, From: bad,
		FromName: bad, Subject: bad, Verdict: "phish", Score: 0.9, Reasons: []api.HeldReason{{Name: bad, Weight: 2, Text: bad}}, By: bad, Problem: bad}
	text := api.HeldText{HeldMail: mail, Kept: true, Headers: []api.HeldHeader{{Name: hostile, Value: hostile}}, Text: hostile, Links: []api.HeldLink{{URL: "javascript:alert(1)" + bad, Host: bad, Text: bad, From: bad}},
		Attachments: []api.HeldFile{{Name: bad, Type: bad}}, Problems: []string{bad}}
	who := api.Visitor{Who: bad, Role: "analyst", May: true, At: at}
	list, err := p.Quarantine(api.QuarantineView{Visitor: who, State: "held", From: bad, Text: bad, Since: bad, Tenant: bad, Messages: []api.HeldMail{mail}, Total: 2, Next: bad, Query: "text=%22%3E%3Cscript%3E", Problem: bad})
	if err != nil {
		t.Fatal(err)
	}
	one, err := p.Held(api.HeldView{Visitor: who, Mail: text, Found: true, Similar: []api.HeldSimilar{{HeldMail: mail, Why: []string{bad}}}, Query: "text=%22%3E%3Cscript%3E", Problem: bad,
		Audit: []quarantine.Entry{{Time: at, Act: "failed", By: bad, Note: bad}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range map[string]api.Page{"list": list, "held": one} {
		body := string(page.Body)
		for _, no := range []string{"<script", "<img", "<iframe", " onerror=alert(2)>\"", "href=\"javascript", "\x1b", "style=", "href=\"http", "src=\""} {
			if strings.Contains(body, no) {
				t.Errorf("%s: the page holds %q", name, no)
			}
		}
		if n := strings.Count(body, "&lt;script&gt;"); n < 8 {
			t.Errorf("%s: only %d of what was written hostile is shown", name, n)
		}
		if !strings.Contains(page.Policy, hash(quarantineCSS)) || strings.Contains(page.Policy, "script-src") || strings.Contains(page.Policy, "unsafe") || !strings.HasPrefix(page.Policy, "default-src 'none'") {
			t.Errorf("%s: the policy is %s", name, page.Policy)
		}
	}
}

func TestQuarantineOffersWhatCanBeDone(t *testing.T) {
	p := New(Options{})
	buttons := func(v api.HeldView) string {
		v.Found = true
		page, err := p.Held(v)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, act := range []string{"release", "delete", "false-alarm", "missed"} {
			if strings.Contains(string(page.Body), "action=\"/quarantine/n/"+act+"\"") {
				out = append(out, act)
			}
		}
		return strings.Join(out, " ")
	}
	text := func(state, place, verdict, feedback string) api.HeldText {
		return api.HeldText{HeldMail: api.HeldMail{Name: "n", State: state, Place: place, Verdict: verdict, Feedback: feedback}, Kept: state != "deleted"}
	}
	for _, c := range []struct {
		mail api.HeldText
		may  bool
		want string
	}{
		{text("held", "mta", "phish", ""), true, "release delete false-alarm"},
		{text("held", "mta", "phish", ""), false, ""},
		{text("held", "mta", "suspicious", ""), true, "release delete false-alarm missed"},
		{text("held", "report", "clean", ""), true, "delete false-alarm missed"},
		{text("held", "report", "clean", "missed"), true, "delete false-alarm"},
		{text("releasing", "store", "phish", ""), true, "release delete false-alarm"},
		{text("deleting", "store", "phish", ""), true, "delete false-alarm"},
		{text("released", "store", "phish", "false-alarm"), true, "missed"},
		{text("deleted", "store", "phish", ""), true, ""},
	} {
		if got := buttons(api.HeldView{Visitor: api.Visitor{May: c.may}, Mail: c.mail}); got != c.want {
			t.Errorf("%s of %s (%s, %q), may %v: offered are %q, want %q", c.mail.State, c.mail.Place, c.mail.Verdict, c.mail.Feedback, c.may, got, c.want)
		}
	}
}

func TestQuarantineSaysWhyItIsEmpty(t *testing.T) {
	p := New(Options{})
	for want, v := range map[string]api.QuarantineView{
		"No mail is held.":     {State: "held"},
		"No mail is released.": {State: "released"},
		"Nothing matches.":     {State: "held", From: "x"},
		"3 messages deleted.":  {State: "held", Done: "deleted", Count: 3},
		"1 message released.":  {State: "held", Done: "released", Count: 1},
		"2 not done: it broke": {State: "held", Done: "released", Failed: 2, Problem: "it broke"},
	} {
		page, err := p.Quarantine(v)
		if err != nil || !strings.Contains(string(page.Body), want) {
			t.Errorf("%+v does not say %q, %v", v, want, err)
		}
	}
}

func TestProbabilitiesAndSizes(t *testing.T) {
	for p, want := range map[float64]string{0: "0 %", 0.004: "under 1 %", 0.5: "50 %", 0.987: "99 %", 0.994: "99.4 %", 0.9995: "over 99.9 %", 1: "over 99.9 %"} {
		if got := percent(p); got != want {
			t.Errorf("%v is %s, want %s", p, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 3 << 20: "3.0 MiB"} {
		if got := size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
