package sweep

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func ledger(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := OpenLedger(dir, "acme")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestDeliveredMailIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	l := ledger(t, dir)
	e := &ocsf.Event{Time: noon, Mail: &ocsf.Mail{MessageID: "p1@evil.example", From: "help@evil.example", Subject: "Full", BodyHash: "00112233445566778899",
		Links: []ocsf.Link{{URL: "https://login.evil.example/a", Host: "login.evil.example"}, {URL: "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwrapped.example%2Fx&data=1", Host: "eur01.safelinks.protection.outlook.com"}}, Attachments: []ocsf.Attachment{{SHA256: strings.Repeat("ab", 32)}}}}
	if err := l.Add(DeliveredOf(e, &ocsf.MailVerdict{Verdict: "phish", Score: .9}, []string{"ana@acme.example", "bo@acme.example"})); err != nil {
		t.Fatal(err)
	}
	e2 := &ocsf.Event{Time: noon.Add(time.Hour), Mail: &ocsf.Mail{MessageID: "c1@partner.example", From: "x@partner.example"}}
	if err := l.Add(DeliveredOf(e2, &ocsf.MailVerdict{Verdict: "clean"}, []string{"ana@acme.example"})); err != nil {
		t.Fatal(err)
	}
	if _, err := l.f.WriteString(`{"message_id":"cut`); err != nil { // a process that was stopped
		t.Fatal(err)
	}
	l = ledger(t, dir)
	if err := l.Add(DeliveredOf(e, &ocsf.MailVerdict{Verdict: "phish"}, []string{"ana@acme.example"})); err != nil { // a second report of the same
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		c    Criteria
		want int
	}{
		"by verdict":                   {Criteria{Verdict: "phish"}, 2},
		"by verdict and sender":        {Criteria{Verdict: "phish", From: []string{"partner.example"}}, 0},
		"by Message-ID":                {Criteria{MessageIDs: []string{"<c1@partner.example>"}}, 1},
		"by host":                      {Criteria{Indicators: []string{"evil.example"}}, 2},
		"by URL":                       {Criteria{Indicators: []string{"https://login.evil.example/a"}}, 2},
		"by host that a gateway hides": {Criteria{Indicators: []string{"wrapped.example"}}, 2},
		"by URL that a gateway hides":  {Criteria{Indicators: []string{"https://wrapped.example/x"}}, 2},
		"by attachment":                {Criteria{Indicators: []string{strings.Repeat("AB", 32)}}, 2},
		"by text":                      {Criteria{Indicators: []string{"00112233445566778899"}}, 2},
		"since later":                  {Criteria{Verdict: "phish", Since: noon.Add(time.Minute)}, 0},
	} {
		got, err := l.Find(test.c, 0)
		if err != nil || len(got) != test.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := l.Find(Criteria{}, 0); err == nil {
		t.Error("everything was listed")
	}
	other, err := OpenLedger(dir, "borg")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if got, err := other.Find(Criteria{Verdict: "phish"}, 0); err != nil || len(got) != 0 {
		t.Errorf("another tenant lists %v, %v", got, err)
	}
	info, err := os.Stat(l.path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the list: %v, %v", info.Mode(), err)
	}
}

func TestListsForGraph(t *testing.T) {
	var list []Listed
	for i := range 45 {
		list = append(list, Listed{Mailbox: "o'hara+x@acme.example", MessageID: fmt.Sprintf("it's %d&a=b@evil.example", i), Subject: "=cmd()"})
	}
	var b strings.Builder
	if err := WriteGraphSearch(&b, list); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 || strings.Count(lines[0], `"method"`) != 20 || strings.Count(lines[2], `"method"`) != 5 {
		t.Fatalf("%d batches:\n%s", len(lines), b.String())
	}
	_, rest, _ := strings.Cut(lines[0], `"url":"`)
	raw, _, _ := strings.Cut(rest, `"`)
	u, err := url.Parse(raw)
	if err != nil || u.Path != "/users/o'hara+x@acme.example/messages" || u.Query().Get("$filter") != "internetMessageId eq '<it''s 0&a=b@evil.example>'" {
		t.Errorf("the request is %q (%v): %q", raw, err, u.Query().Get("$filter"))
	}
	answers := `{"responses":[{"id":"2","status":200,"body":{"value":[{"id":"AAMk/1=","internetMessageId":"<it's 1&a=b@evil.example>"},{"id":"X","internetMessageId":"<other@x>"}]}},
{"id":"1","status":404,"body":{"error":{"code":"ErrorItemNotFound"}}},{"id":"3","status":200,"body":{"value":[]}}]}`
	b.Reset()
	found, problems, err := WriteGraphMoves(&b, list, strings.NewReader(answers), "junkemail")
	if err != nil || found != 1 || len(problems) != 1 || !strings.Contains(problems[0], "404") {
		t.Errorf("%d found, %q, %v", found, problems, err)
	}
	if !strings.Contains(b.String(), `/messages/AAMk%2F1=/move`) || !strings.Contains(b.String(), `"destinationId":"junkemail"`) || strings.Contains(b.String(), `/X/`) {
		t.Errorf("the moves are %s", b.String())
	}
	for _, bad := range []string{`{"responses":[{"id":"46","status":200}]}`, `{"responses":[{"id":"x","status":200}]}`, `nonsense`} {
		if _, _, err := WriteGraphMoves(&b, list, strings.NewReader(bad), "junkemail"); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	b.Reset()
	if err := WriteCSV(&b, list[:1]); err != nil || !strings.Contains(b.String(), "'=cmd()") || !strings.HasPrefix(b.String(), "mailbox,message_id,") {
		t.Errorf("%v: %s", err, b.String())
	}
}
