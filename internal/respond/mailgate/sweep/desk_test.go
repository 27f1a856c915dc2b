//go:build unix

package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

const phishText = "From: Support <help@evil.example>\r\nTo: ana@acme.example\r\nSubject: Your mailbox is full\r\nMessage-ID: <p1@evil.example>\r\nDate: Mon, 01 Jun 2026 11:00:00 +0000\r\n\r\n" +
	"Your mailbox is full and will be closed today. Sign in at https://login.evil.example/mail to keep it.\r\n"

// reportOf is a mail to the reports' mailbox with messages attached.
func reportOf(head string, attached ...string) string {
	s := head + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"rb\"\r\n\r\n--rb\r\nContent-Type: text/plain\r\n\r\nIs this one bad?\r\n"
	for _, a := range attached {
		s += "--rb\r\n" + a + "\r\n"
	}
	return s + "--rb--\r\n"
}

func byAna(extra string) string {
	return "From: Ana <ana@acme.example>\r\nTo: report@acme.example\r\nSubject: Fwd: Your mailbox is full\r\nMessage-ID: <r1@acme.example>\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n" + extra
}

func attachedMail(s string) string { return "Content-Type: message/rfc822\r\n\r\n" + s }

func TestReportsAreTakenApart(t *testing.T) {
	outlook := "-----Original Message-----\r\nFrom: Support <help@evil.example>\r\nSent: Monday\r\nTo: ana@acme.example\r\nSubject: Your mailbox is full\r\n\r\nSign in at https://login.evil.example/mail\r\n"
	german := "Schau mal\r\n\r\n________________________________\r\nVon: Support <help@evil.example>\r\nGesendet: Montag, 1. Juni 2026 11:00\r\nAn: ana@acme.example\r\nBetreff: Ihr Postfach ist voll\r\n\r\nhttps://login.evil.example/mail\r\n"
	gmail := "---------- Forwarded message ---------\r\nFrom: Support <help@evil.example>\r\nDate: Mon, 1 Jun 2026 11:00:00 +0000\r\nSubject: Your mailbox is full\r\nTo: <ana@acme.example>\r\n\r\nhttps://login.evil.example/mail\r\n"
	html := "<html><p>see</p><div>-----Original Message-----</div><div>From: Support &lt;help@evil.example&gt;</div><div>Subject: Your mailbox is full</div><br><p>https://login.evil.example/mail</p></html>"
	for name, test := range map[string]struct {
		raw       string
		messages  int
		inline    bool
		automatic string
		has, note string
	}{
		"a message attached":                      {reportOf(byAna(""), attachedMail(phishText)), 1, false, "", phishText[:40], ""},
		"two of them":                             {reportOf(byAna(""), attachedMail(phishText), attachedMail(phishText)), 2, false, "", "", ""},
		"an .eml file in base64":                  {reportOf(byAna(""), "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"Mail.EML\"\r\nContent-Transfer-Encoding: base64\r\n\r\nRnJvbTogYUBiLmV4YW1wbGUNCg0KeA=="), 1, false, "", "From: a@b.example", ""},
		"a message beneath another part":          {reportOf(byAna(""), "Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n"+attachedMail(phishText)+"\r\n--in--"), 1, false, "", "", ""},
		"forwarded in the text by Outlook":        {byAna("") + "\r\n" + outlook, 1, true, "", "From: Support <help@evil.example>", ""},
		"forwarded in the text, in German":        {byAna("Content-Type: text/plain; charset=utf-8\r\n") + "\r\n" + german, 1, true, "", "https://login.evil.example/mail", ""},
		"forwarded in the text by Gmail":          {byAna("") + "\r\n" + gmail, 1, true, "", "Date: Mon, 1 Jun 2026", ""},
		"forwarded in HTML":                       {byAna("Content-Type: text/html\r\n") + "\r\n" + html, 1, true, "", "https://login.evil.example/mail", ""},
		"nothing but words":                       {byAna("") + "\r\nWhat is this?\r\n", 0, false, "", "", ""},
		"a message in Outlook's own format":       {reportOf(byAna(""), "Content-Type: application/vnd.ms-outlook\r\n\r\nxx"), 0, false, "", "", "Outlook's own format"},
		"an automatic answer":                     {byAna("Auto-Submitted: auto-replied\r\n") + "\r\nI am away\r\n", 0, false, "auto-replied", "", ""},
		"our own thanks":                          {byAna("X-Breakwater-Thanks: 1\r\n") + "\r\nThank you\r\n", 0, false, "our own", "", ""},
		"a bounce":                                {byAna("Return-Path: <>\r\n") + "\r\nno such user\r\n", 0, false, "return path", "", ""},
		"a list's mail":                           {byAna("List-Id: <l.acme.example>\r\n") + "\r\nx\r\n", 0, false, "list", "", ""},
		"no header":                               {"\r\n\r\nx", 0, false, "", "", "header"},
		"a boundary that is never reached":        {byAna("Content-Type: multipart/mixed; boundary=never\r\n") + "\r\nx\r\n", 0, false, "", "", "part can't be read"},
		"a person who writes Auto-Submitted: no":  {reportOf(byAna("Auto-Submitted: no\r\n"), attachedMail(phishText)), 1, false, "", "", ""},
		"a broken line in the header of the part": {reportOf(byAna("this is no field\r\n"), attachedMail(phishText)), 1, false, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := ReadReport([]byte(test.raw))
			if len(r.Messages) != test.messages {
				t.Fatalf("%d messages, notes %q", len(r.Messages), r.Notes)
			}
			if test.messages > 0 && (r.Messages[0].Inline != test.inline || !strings.Contains(string(r.Messages[0].Raw), test.has)) {
				t.Errorf("got %v %q", r.Messages[0].Inline, r.Messages[0].Raw)
			}
			if (test.automatic == "") != (r.Automatic == "") || !strings.Contains(r.Automatic, test.automatic) {
				t.Errorf("automatic: %q", r.Automatic)
			}
			if !strings.Contains(strings.Join(r.Notes, "; "), test.note) {
				t.Errorf("notes %q", r.Notes)
			}
			if name != "no header" && r.Reporter != "ana@acme.example" {
				t.Errorf("the reporter is %q", r.Reporter)
			}
		})
	}
}

func TestBombReportsEndAtTheirCaps(t *testing.T) {
	deep := attachedMail(phishText)
	for i := range 40 {
		deep = fmt.Sprintf("Content-Type: multipart/mixed; boundary=d%[1]dx\r\n\r\n--d%[1]dx\r\n%[2]s\r\n--d%[1]dx--", i, deep)
	}
	if r := ReadReport([]byte(reportOf(byAna(""), deep))); len(r.Messages) != 0 || len(r.Notes) == 0 {
		t.Errorf("40 levels: %d messages, %q", len(r.Messages), r.Notes)
	}
	if r := ReadReport([]byte(reportOf(byAna(""), slices.Repeat([]string{attachedMail(phishText)}, 500)...))); len(r.Messages) != maxReported || len(r.Notes) == 0 {
		t.Errorf("500 messages: %d taken, %q", len(r.Messages), r.Notes)
	}
	if r := ReadReport([]byte(strings.Repeat("A: b\r\n", 300_000) + "\r\nx")); len(r.Messages) != 0 || len(r.Notes) == 0 {
		t.Errorf("300,000 fields: %q", r.Notes)
	}
}

func FuzzReadReport(f *testing.F) {
	f.Add([]byte(reportOf(byAna(""), attachedMail(phishText))))
	f.Add([]byte(byAna("") + "\r\n-----Original Message-----\r\nFrom: a@b.example\r\nSubject: x\r\n\r\ny"))
	f.Add([]byte(byAna("Content-Type: text/html\r\n") + "\r\n<p>Begin forwarded message:<br>From: a<br>Subject: b<br><br>c"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\n----"))
	f.Add([]byte("Content-Transfer-Encoding: base64\nContent-Type: message/rfc822\n\nQQ=="))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := ReadReport(raw)
		if len(r.Messages) > maxReported || len(r.Notes) > 20 {
			t.Errorf("%d messages, %d notes", len(r.Messages), len(r.Notes))
		}
		for _, m := range r.Messages {
			if len(m.Raw) == 0 {
				t.Error("an empty message")
			}
		}
	})
}

// office is a desk with all that it speaks to.
type office struct {
	desk    *Desk
	told    []*Report
	sent    []Thanks
	offered []*Report
	events  []*Report
	box     *quarantine.Box
	now     time.Time
	sendErr error
}

func (o *office) Send(_ context.Context, x Thanks) error {
	o.sent = append(o.sent, x)
	return o.sendErr
}

func openOffice(t *testing.T, state string, box *quarantine.Box) *office {
	t.Helper()
	o := &office{now: noon, box: box}
	d, err := OpenDesk(DeskOptions{Tenant: "acme", Domains: []string{"acme.example"}, State: state, Sender: o, Keep: box, Now: func() time.Time { return o.now },
		Judge: func(_ context.Context, id tenant.ID, raw []byte) ocsf.MailVerdict {
			if id == "acme" && strings.Contains(string(raw), "evil.example") {
				return ocsf.MailVerdict{Verdict: "phish", Score: .98}
			}
			return ocsf.MailVerdict{Verdict: "clean", Score: .01}
		},
		Publish: func(_ context.Context, r *Report) error { o.events = append(o.events, r); return nil },
		Offer:   func(_ context.Context, r *Report) error { o.offered = append(o.offered, r); return nil },
		Told:    func(r *Report) { o.told = append(o.told, r) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	o.desk = d
	return o
}

func openBox(t *testing.T) *quarantine.Box {
	t.Helper()
	s, err := quarantine.Open(t.TempDir(), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b, err := s.Box("acme")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func takenOf(key, raw string) Taken {
	return Taken{Tenant: "acme", Mailbox: "phish/report", Key: fmt.Sprintf("%064s", key), Date: noon, Raw: []byte(raw)}
}

func TestAReportIsJudgedKeptAnsweredAndOffered(t *testing.T) {
	state := t.TempDir()
	o := openOffice(t, state, openBox(t))
	taken := takenOf("1", reportOf(byAna(""), attachedMail(phishText)))
	if err := o.desk.Handle(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	if len(o.told) != 1 || o.told[0].Verdict.Verdict != "phish" || o.told[0].Problem != "" || !o.told[0].Thanked || o.told[0].MessageID != "p1@evil.example" {
		t.Fatalf("told %+v", o.told)
	}
	if it, err := o.box.Get(o.told[0].HeldAs); err != nil || it.Place != quarantine.PlaceReport || it.Recipients[0] != "ana@acme.example" || it.Hosts[0] != "login.evil.example" {
		t.Errorf("kept as %+v, %v", it, err)
	}
	if len(o.sent) != 1 || o.sent[0].To != "ana@acme.example" || o.sent[0].InReplyTo != "<r1@acme.example>" || !strings.Contains(o.sent[0].Text[0], "very probably phishing") {
		t.Errorf("sent %+v", o.sent)
	}
	if len(o.events) != 1 || o.events[0].Event.Tenant != "acme" {
		t.Errorf("published %+v", o.events)
	}
	if len(o.offered) != 1 || o.offered[0].Similar.Apply || !slices.Contains(o.offered[0].Similar.Criteria.Indicators, "<p1@evil.example>") ||
		!slices.Contains(o.offered[0].Similar.Criteria.Indicators, "https://login.evil.example/mail") {
		t.Errorf("offered %+v", o.offered)
	}

	// A process that was stopped before the end was noted is given it again: nobody is thanked twice.
	if _, err := OpenDesk(DeskOptions{Tenant: "acme", State: state, Judge: o.desk.o.Judge}); !errors.Is(err, ErrBusy) {
		t.Errorf("a second desk beside the first: %v", err)
	}
	if err := o.desk.Close(); err != nil {
		t.Fatal(err)
	}
	again := openOffice(t, state, o.box)
	if err := again.desk.Handle(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	if len(again.sent) != 0 || again.told[0].HeldAs != o.told[0].HeldAs || len(o.box.List(quarantine.Filter{})) != 1 {
		t.Errorf("after a start: sent %v, kept as %q", again.sent, again.told[0].HeldAs)
	}
}

func TestOutsidersAndMachinesAreNotThanked(t *testing.T) {
	fail := "Received: from x.example (x.example [203.0.113.5]) by mx.acme.example; Mon, 01 Jun 2026 12:00:00 +0000\r\nAuthentication-Results: mx.acme.example; dmarc=fail header.from=acme.example\r\n"
	attached := attachedMail(phishText)
	for name, test := range map[string]struct {
		raw           string
		kept, offered int
		problem       string
	}{
		"of another domain":      {reportOf(strings.Replace(byAna(""), "ana@acme.example", "ana@acme.example.evil.example", 1), attached), 1, 0, "not of the tenant's domains"},
		"with a forged sender":   {reportOf(fail+byAna(""), attached), 1, 0, "fails DMARC"},
		"of two senders":         {reportOf(strings.Replace(byAna(""), "ana@acme.example>", "ana@acme.example>, <b@x.example>", 1), attached), 1, 0, "not of the tenant's domains"},
		"sent by a machine":      {reportOf(byAna("Auto-Submitted: auto-generated\r\n"), attached), 1, 1, ""},
		"an answer of a machine": {byAna("Auto-Submitted: auto-replied\r\n") + "\r\naway\r\n", 0, 0, "no report"},
	} {
		t.Run(name, func(t *testing.T) {
			o := openOffice(t, t.TempDir(), openBox(t))
			if err := o.desk.Handle(t.Context(), takenOf("1", test.raw)); err != nil {
				t.Fatal(err)
			}
			if len(o.sent) != 0 || len(o.box.List(quarantine.Filter{})) != test.kept || len(o.offered) != test.offered || len(o.events) != test.offered {
				t.Errorf("sent %d, kept %d, offered %d, published %d", len(o.sent), len(o.box.List(quarantine.Filter{})), len(o.offered), len(o.events))
			}
			if len(o.told) != 1 || !strings.Contains(o.told[0].Problem, test.problem) {
				t.Errorf("told %+v", o.told)
			}
		})
	}
}

func TestAFloodOfReportsIsPutAside(t *testing.T) {
	o := openOffice(t, t.TempDir(), openBox(t))
	for i := range reportsEach + 10 {
		if err := o.desk.Handle(t.Context(), takenOf(fmt.Sprint(i), reportOf(byAna(fmt.Sprintf("X-N: %d\r\n", i)), attachedMail(phishText)))); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.sent) != thanksEach || len(o.events) != reportsEach || o.told[len(o.told)-1].Problem == "" {
		t.Errorf("%d thanks, %d published, at last %q", len(o.sent), len(o.events), o.told[len(o.told)-1].Problem)
	}
	o.now = o.now.Add(2 * time.Hour)
	if err := o.desk.Handle(t.Context(), takenOf("x", reportOf(byAna(""), attachedMail(phishText)))); err != nil || len(o.events) != reportsEach+1 {
		t.Errorf("two hours later %d are published, %v", len(o.events), err)
	}
}

func TestOurAnswerIsKnownAsOurs(t *testing.T) {
	raw := MailSender{}.compose(Thanks{To: "ana@acme.example", Subject: "see https://evil.example/\r\nBcc: x@y.example", Text: []string{"Thank you."}, Key: "k", Time: noon})
	if r := ReadReport(raw); r.Automatic == "" {
		t.Error("our own answer would be answered")
	}
	if strings.Contains(string(raw), "\r\nBcc:") || strings.Contains(string(raw), "https://evil") {
		t.Errorf("the subject is not harmless:\n%s", raw)
	}
}

func TestMailIsTakenInOnceOverCutsAndStarts(t *testing.T) {
	for name, capability := range map[string]string{"with MOVE": fullServer, "with COPY": copyServer} {
		t.Run(name, func(t *testing.T) {
			d := startDovecot(t, capability)
			cut := startCutter(t, d.port)
			box := d.box(cut.port(), "report")
			box.Kind = "reports"
			c := d.client("report")
			state := t.TempDir()
			handled := map[string]int{}
			fail := 0
			taker := func() *Taker {
				k, err := NewTaker(TakerOptions{Tenant: "acme", Mailbox: box, State: state, Handle: func(_ context.Context, m Taken) error {
					if fail > 0 && strings.Contains(string(m.Raw), "stubborn") {
						fail--
						return errors.New("the judge is away")
					}
					handled[m.Key]++
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				return k
			}
			cuts := 0
			for n, some := 1, true; some; n++ {
				if n > 60 {
					t.Fatal("a pass has more than 60 commands")
				}
				some = false
				for _, after := range []bool{false, true} {
					clear(handled)
					d.put(c, "INBOX", letterText(fmt.Sprintf("a%d%v@x.example", n, after), "ana@acme.example", "a", "x"), noon, imap.FlagSeen)
					d.put(c, "INBOX", letterText(fmt.Sprintf("b%d%v@x.example", n, after), "ana@acme.example", "b", "x"), noon)
					cut.set(n, after)
					_, _ = taker().Take(t.Context())
					if cut.wasCut() {
						some = true
						cuts++
					}
					cut.set(0, false)
					res, err := taker().Take(t.Context())
					if err != nil || len(res.Problems) > 0 {
						t.Fatalf("cut at line %d: %+v, %v", n, res, err)
					}
					if in, h := d.folder(c, "INBOX"), d.folder(c, "Handled"); len(in) != 0 || subjects(h) != "a, b" {
						t.Errorf("cut at line %d (server got it: %v): inbox %q, handled %q", n, after, subjects(in), subjects(h))
					}
					for k, times := range handled {
						if times != 1 {
							t.Errorf("cut at line %d: %s was handled %d times", n, k, times)
						}
					}
					if len(handled) != 2 {
						t.Errorf("cut at line %d: %d were handled", n, len(handled))
					}
					empty(t, d, "report")
				}
			}
			if cuts < 10 {
				t.Errorf("only %d cuts happened", cuts)
			}

			d.put(c, "INBOX", letterText("s@x.example", "ana@acme.example", "stubborn", "x"), noon)
			d.put(c, "INBOX", letterText("t@x.example", "ana@acme.example", "other", "x"), noon)
			fail = 1000
			for i := range takeTries {
				if res, err := taker().Take(t.Context()); err != nil || res.Left != 1 {
					t.Fatalf("try %d: %+v, %v", i, res, err)
				}
			}
			if got := subjects(d.folder(c, "INBOX")); got != "stubborn" {
				t.Errorf("while it fails the inbox holds %q", got)
			}
			if res, err := taker().Take(t.Context()); err != nil || res.Given != 1 || len(d.folder(c, "INBOX")) != 0 {
				t.Errorf("after %d tries: %+v, %v", takeTries, res, err)
			}
		})
	}
}
