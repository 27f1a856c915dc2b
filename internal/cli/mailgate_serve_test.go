package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-milter"
)

// mailConfig declares two tenants and a gateway.
const mailConfig = `# breakwater.yaml
tenants:
  - {id: acme, role: client, domains: [acme.example], networks: [10.20.0.0/16]}
  - {id: northwind, role: provider, domains: [northwind.example], networks: [10.5.0.0/16]}
partners: [{id: northwind, name: Northwind IT, tenant: northwind}]
trusts: [{id: n-a, partner: northwind, tenant: acme, owner: it@acme.example, networks: [203.0.113.0/28], mail_domains: [northwind.example]}]
mail:
  id: mx.acme.example
  milter: [{listen: %q}]
  mode: enforce
  budget: {whole: 5s, dns: 100ms}
  policies: [{tenant: acme, phish: reject}]
`

// offer gives a milter one message from outside and returns the last word.
func offer(t *testing.T, address, subject, from, html string) ([]milter.ModifyAction, *milter.Action) {
	t.Helper()
	client := milter.NewClientWithOptions("tcp", address, milter.ClientOptions{ReadTimeout: patience, WriteTimeout: patience,
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptRemoveRcpt})
	c, err := client.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(_ *milter.Action, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Conn("unknown", milter.FamilyInet, 4242, "192.0.2.7"))
	must(c.Helo("mail.sender.test"))
	must(c.Mail(from, nil))
	must(c.Rcpt("ann@acme.example", nil))
	for _, f := range [][2]string{{"From", from}, {"To", "ann@acme.example"}, {"Subject", subject}, {"Message-ID", "<" + strings.ReplaceAll(subject, " ", ".") + "@sender.test>"},
		{"Date", time.Now().UTC().Format(time.RFC1123Z)}, {"MIME-Version", "1.0"}, {"Content-Type", "text/html; charset=utf-8"}} {
		must(c.HeaderField(f[0], f[1]))
	}
	must(c.HeaderEnd())
	must(c.BodyChunk([]byte(html)))
	mods, act, err := c.End()
	if err != nil {
		t.Fatal(err)
	}
	return mods, act
}

// body is what the server answers, as it stands.
func (s *served) body(t *testing.T, path string) string {
	t.Helper()
	a, err := s.ask("GET", path, s.admin, "")
	if err != nil {
		t.Fatal(err)
	}
	return a.body
}

// TestServeJudgesMail: a message that a mail server asks about is answered, shows itself as a finding, and what was
// learned of senders outlives a restart.
func TestServeJudgesMail(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	config, data := filepath.Join(dir, "breakwater.yaml"), filepath.Join(dir, "data")
	if err := os.WriteFile(config, fmt.Appendf(nil, mailConfig, address), 0o600); err != nil {
		t.Fatal(err)
	}
	s := begin(t, data, false, "--config", config)
	mods, act := offer(t, address, "minutes of our meeting", "tom@sender.test", "<p>The minutes are in the folder, as agreed.</p>")
	if act.Code != milter.ActContinue {
		t.Errorf("clean mail: %+v", act)
	}
	var inserted []string
	for _, m := range mods {
		inserted = append(inserted, m.HeaderName)
	}
	if got := strings.Join(inserted, " "); !strings.Contains(got, "X-Breakwater-Verdict") || !strings.Contains(got, "Authentication-Results") {
		t.Errorf("clean mail gets %s", got)
	}
	lure := `<p>Your mailbox password expires today. Verify your account now or lose access: <a href="https://acme.example.login-check.test/owa?u=ann@acme.example">https://acme.example/owa</a></p>`
	if _, act := offer(t, address, "Urgent: verify your password", "it@acme-example.test", lure); act.Code != milter.ActReplyCode || act.SMTPCode != 550 {
		t.Errorf("phish: %+v", act)
	}
	eventually(t, "the finding is shown", patience, func() bool { return strings.Contains(s.body(t, "/api/v1/findings"), "login-check.test") })
	metrics := s.body(t, "/metrics")
	for _, want := range []string{`breakwater_mail_messages_total{verdict="clean",action="pass",direction="inbound"} 1`, `breakwater_mail_messages_total{verdict="phish",action="reject",direction="inbound"} 1`,
		"breakwater_mail_answer_seconds_count 2", `breakwater_mail_unscanned_total{reason="time"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%s is not in the metrics", want)
		}
	}
	s.stop()
	habits, err := os.ReadFile(filepath.Join(data, "mail", "habits"))
	if err != nil || len(habits) < 100 {
		t.Fatalf("habits have %d bytes, %v", len(habits), err)
	}
	if err := os.WriteFile(filepath.Join(data, "mail", "habits"), habits[:len(habits)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	s = begin(t, data, false, "--config", config)
	if _, act := offer(t, address, "another", "tom@sender.test", "<p>The minutes are in the folder, as agreed.</p>"); act.Code != milter.ActContinue {
		t.Errorf("after a restart with damaged habits: %+v", act)
	}
	if aside, _ := filepath.Glob(filepath.Join(data, "mail", "habits.damaged-*")); len(aside) != 1 || !strings.Contains(s.log.String(), "habits of mail senders could not be read") {
		t.Errorf("the damaged file: %v", aside)
	}
	s.stop()
}
