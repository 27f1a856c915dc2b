//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// answers is a mail server that takes what reporters are answered.
type answers struct {
	mu   sync.Mutex
	list []string
}

// NewSession implements smtp.Backend.
func (a *answers) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &thanked{a: a}, nil }

func (a *answers) got() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

type thanked struct {
	a  *answers
	to []string
}

func (s *thanked) Reset()                                      { s.to = nil }
func (s *thanked) Logout() error                               { return nil }
func (s *thanked) Mail(string, *gosmtp.MailOptions) error      { return nil }
func (s *thanked) Rcpt(to string, _ *gosmtp.RcptOptions) error { s.to = append(s.to, to); return nil }

func (s *thanked) Data(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err
	}
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	s.a.list = append(s.a.list, strings.Join(s.to, ",")+"\n"+string(text))
	return nil
}

func listenForAnswers(t *testing.T) (*answers, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &answers{}
	s := gosmtp.NewServer(a)
	s.Domain = "localhost"
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return a, l.Addr().(*net.TCPAddr).Port
}

// lureFor is phishing as it lies in a mailbox now.
func lureFor(to, id string) string {
	return "Received: from mail.evil.example (mail.evil.example [203.0.113.9]) by mx.acme.example; " + time.Now().UTC().Add(-time.Minute).Format(time.RFC1123Z) + "\nMessage-ID: <" + id + "@evil.example>\n" +
		"From: Support <help@evil.example>\nTo: " + to + "\nSubject: Your mailbox is full " + id + "\nDate: " + time.Now().UTC().Add(-time.Minute).Format(time.RFC1123Z) + "\n\n" +
		"Your mailbox is full and will be closed today. Sign in at https://login.acme.example.evil.example/mail to keep it.\n"
}

// delivered is a serve over mailboxes of a real IMAP server.
type delivered struct {
	t                 *testing.T
	dir, config, data string
	give              func(path, text string)
	s                 *served
}

func startDelivered(t *testing.T, own bool, mail func(box func(name, kind, user string) string) string, args ...string) *delivered {
	t.Helper()
	dir, port, give := mailboxServer(t)
	d := &delivered{t: t, dir: dir, config: filepath.Join(dir, "breakwater.yaml"), data: filepath.Join(dir, "data"), give: give}
	box := func(name, kind, user string) string {
		return fmt.Sprintf("    - {name: %s, tenant: acme, kind: %s, host: 127.0.0.1, port: %d, tls: none, user: %s, password_file: %s}\n", name, kind, port, user, filepath.Join(dir, "pw"))
	}
	d.write("pw", "secret\n")
	d.write("breakwater.yaml", "tenants:\n  - {id: acme, role: client, domains: [acme.example]}\n  - {id: borg, role: client, domains: [borg.example]}\nmail:\n  id: mx.acme.example\n  poll: 1s\n  budget: {whole: 5s, dns: 100ms}\n"+mail(box))
	d.s = begin(t, d.data, own, append([]string{"--config", d.config}, args...)...)
	return d
}

func (d *delivered) write(name, text string) string {
	d.t.Helper()
	name = filepath.Join(d.dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return name
}

func (d *delivered) restart(own bool, args ...string) {
	d.t.Helper()
	d.s.stop()
	d.s = begin(d.t, d.data, own, append([]string{"--config", d.config}, args...)...)
}

// files is how many messages a maildir's folder holds; "" is the inbox.
func (d *delivered) files(user, folder string) int {
	n := 0
	at := filepath.Join(d.dir, "mail", user)
	if folder != "" {
		at = filepath.Join(at, "."+folder)
	}
	for _, sub := range []string{"cur", "new"} {
		list, _ := os.ReadDir(filepath.Join(at, sub))
		n += len(list)
	}
	return n
}

// heldItem is what the API tells of a held message.
type heldItem struct {
	Name, Tenant, Place, State, Mailbox string
	MessageID                           string `json:"message_id"`
}

func (d *delivered) held(place string) (out []heldItem) {
	d.t.Helper()
	var list struct{ Messages []heldItem }
	if err := json.Unmarshal([]byte(d.s.body(d.t, "/api/v1/quarantine?limit=1000")), &list); err != nil {
		d.t.Fatal(err)
	}
	for _, it := range list.Messages {
		if it.Place == place {
			out = append(out, it)
		}
	}
	return out
}

func (d *delivered) runs() (out []sweep.Run) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.command("sweep", "list", "-o", "json")), &out); err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *delivered) command(words ...string) string {
	d.t.Helper()
	return must(d.t, slices.Concat([]string{"mail"}, words, []string{"--config", d.config, "--data", d.data, "--tenant", "acme"})...)
}

// counter is a metric's value, with its labels; 0 where it is not there.
func (d *delivered) counter(name string) int {
	for line := range strings.Lines(d.s.body(d.t, "/metrics")) {
		if rest, ok := strings.CutPrefix(line, "breakwater_"+name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return int(n)
		}
	}
	return 0
}

// TestServeDealsWithReportsOfUsers: a reported phish is judged, kept and thanked for once, and what is like it is offered
// for a sweep; a report that a cut leaves in the inbox is not dealt with twice.
func TestServeDealsWithReportsOfUsers(t *testing.T) {
	sink, port := listenForAnswers(t)
	d := startDelivered(t, false, func(box func(name, kind, user string) string) string {
		return fmt.Sprintf("  thanks: {from: security@acme.example, host: 127.0.0.1, port: %d, tls: none}\n  mailboxes:\n", port) + box("imap", "sweep", "ana") + box("phish", "reports", "report") +
			strings.Replace(box("broken", "reports", "other"), "pw}", "no-such-file}", 1)
	})
	d.give("ana/cur/1.M1.h:2,S", lureFor("ana@acme.example", "p1"))
	d.give("ana/cur/2.M2.h:2,", strings.NewReplacer("p1", "g1", "help@evil.example", "jo@quiet.example", "mailbox is full", "lunch", "Sign in at https://login.acme.example.evil.example/mail", "Eat").Replace(lureFor("ana@acme.example", "p1")))
	report := "Message-ID: <r1@acme.example>\nFrom: ana@acme.example\nTo: report@acme.example\nSubject: bad?\nDate: " + time.Now().UTC().Format(time.RFC1123Z) + "\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n" + lureFor("ana@acme.example", "p1") + "\n--b--\n"
	d.give("report/new/1.M1.h", report)
	eventually(t, "the reporter is answered", patience, func() bool { return len(sink.got()) == 1 })
	if got := sink.got()[0]; !strings.HasPrefix(got, "ana@acme.example\n") || !strings.Contains(got, "very probably phishing") {
		t.Errorf("the answer is\n%s", got)
	}
	eventually(t, "the sweep is offered", patience, func() bool { return d.counter(`mail_sweeps_total{tenant="acme",outcome="offered"}`) == 1 })
	runs := d.runs()
	if len(runs) != 1 || runs[0].Kind != sweep.KindOffer || len(runs[0].Moves) != 0 && len(runs[0].Moves) != 1 {
		t.Fatalf("the runs are %+v", runs)
	}
	if out := d.command("sweep", "show", runs[0].ID); !strings.Contains(out, "p1@evil.example") || strings.Contains(out, "g1@") {
		t.Errorf("the offer is\n%s", out)
	}
	if n := d.files("ana", ""); n != 2 {
		t.Errorf("an offer moved mail: the inbox has %d", n)
	}
	if list := d.held("report"); len(list) != 1 || list[0].MessageID != "p1@evil.example" || list[0].Tenant != "acme" {
		t.Errorf("held: %+v", list)
	}
	eventually(t, "the report is a finding", patience, func() bool { return strings.Contains(d.s.body(t, "/api/v1/findings"), "evil.example") })
	eventually(t, "the broken mailbox is told, and stops no other", patience, func() bool {
		return d.counter(`mail_mailbox_failing{tenant="acme",mailbox="broken",kind="reports"}`) == 1 && d.counter(`mail_mailbox_handled_total{tenant="acme",mailbox="phish",kind="reports"}`) == 1
	})
	if _, errs, code := perform(t, "mail", "reports", "--config", d.config, "--data", d.data, "--tenant", "acme"); code == exitDone || !strings.Contains(errs, "another process takes them already") {
		t.Errorf("reports beside serve: %d %s", code, errs)
	}
	eventually(t, "the report lies with what is handled", patience, func() bool { return d.files("report", "Handled") == 1 })

	// The report lies in the inbox again, as where a process was cut off before it was moved.
	d.give("report/new/2.M2.h", report)
	d.restart(false)
	eventually(t, "the report is moved again", patience, func() bool { return d.files("report", "") == 0 && d.files("report", "Handled") == 2 })
	if n := len(sink.got()); n != 1 {
		t.Errorf("%d answers", n)
	}
	if got, again := d.runs(), d.held("report"); len(got) != 1 || len(again) != 1 {
		t.Errorf("after the restart there are %d runs and %d held reports", len(got), len(again))
	}

	// The offer is accepted while serve runs; what is moved is held, and comes back by a release.
	d.command("sweep", "accept", runs[0].ID)
	if n := d.files("ana", ""); n != 1 {
		t.Errorf("after the sweep the inbox has %d", n)
	}
	var list []heldItem
	eventually(t, "what was swept is held", patience, func() bool { list = d.held("mailbox"); return len(list) == 1 && list[0].State == "held" })
	must(t, "mail", "quarantine", "release", list[0].Name, "--server", d.s.url, "--token", d.s.admin)
	if n := d.files("ana", ""); n != 2 {
		t.Errorf("after the release the inbox has %d", n)
	}
	if list = d.held("mailbox"); list[0].State != "released" {
		t.Errorf("after the release it is %+v", list)
	}
}

// TestServeTakesJournalsIn: a journal report by SMTP, and one in a mailbox, become findings and lists, once each.
func TestServeTakesJournalsIn(t *testing.T) {
	smtpPort := freePort(t)
	d := startDelivered(t, false, func(box func(name, kind, user string) string) string {
		return "  journal: {listen: \"127.0.0.1:" + smtpPort + "\", bindings: [{source: 127.0.0.1/32, tenant: acme}]}\n  mailboxes:\n" + box("jour", "journal", "journal")
	})
	report := func(id string) string {
		return strings.ReplaceAll("X-MS-Journal-Report:\nDate: "+time.Now().UTC().Format(time.RFC1123Z)+"\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nSender: help@evil.example\nMessage-Id: <"+id+"@evil.example>\n"+
			"To: ana@acme.example\nBcc: bo@acme.example\nBcc: x@elsewhere.example\n--b\nContent-Type: message/rfc822\n\n"+lureFor("ana@acme.example", id)+"\n--b--\n", "\n", "\r\n")
	}
	deliver := func(raw string) error {
		return smtp.SendMail("127.0.0.1:"+smtpPort, nil, "journal@acme.example", []string{"journal@collector.example"}, []byte(raw))
	}
	one := report("j1")
	for range 2 { // whoever did not hear the answer comes again
		if err := deliver(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := deliver("X-MS-Journal-Report:\r\nContent-Type: text/plain\r\n\r\nbroken\r\n"); err != nil {
		t.Errorf("a report that can't be read is bounced: %v", err)
	}
	d.give("journal/new/1.M1.h", report("j2"))
	eventually(t, "both are findings", patience, func() bool {
		f := d.s.body(t, "/api/v1/findings")
		return strings.Contains(f, "j1@evil.example") && strings.Contains(f, "j2@evil.example") || strings.Count(f, `"detector":"phish"`) >= 2
	})
	eventually(t, "the counters agree", patience, func() bool {
		return d.counter(`mail_journal_total{tenant="acme",outcome="phish"}`) == 2 && d.counter(`mail_journal_total{tenant="acme",outcome="again"}`) == 1 && d.counter(`mail_journal_total{tenant="acme",outcome="dead"}`) == 1
	})
	lists := func() string { return d.command("sweep", "--verdict", "phish", "--list", "csv") }
	if out := lists(); strings.Count(out, "<j1@evil.example>") != 2 || strings.Count(out, "<j2@evil.example>") != 2 || strings.Contains(out, "elsewhere") {
		t.Errorf("the list is\n%s", out)
	}
	before := d.s.body(t, "/api/v1/findings")
	d.restart(false)
	if err := deliver(one); err != nil {
		t.Fatal(err)
	}
	if n := d.counter(`mail_journal_total{tenant="acme",outcome="again"}`); n != 1 {
		t.Errorf("after the restart the copy is known %d times", n)
	}
	d.s.settled()
	if after := d.s.body(t, "/api/v1/findings"); strings.Count(after, `"id"`) != strings.Count(before, `"id"`) {
		t.Errorf("after the restart the findings differ:\n%s\nbefore:\n%s", after, before)
	}
}

// TestServeSweepsForNewIndicators: an indicator that a running serve is given sweeps what was delivered, holds it, and a
// kill in the middle leaves each message in one place; nothing is swept twice.
func TestServeSweepsForNewIndicators(t *testing.T) {
	list := filepath.Join(t.TempDir(), "indicators.txt")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first.example\n")
	args := []string{"--indicators", list}
	d := startDelivered(t, true, func(box func(name, kind, user string) string) string {
		return "  sweep: {on: [indicator], act: apply, most: 1000}\n  mailboxes:\n" + box("imap", "sweep", "ana")
	}, args...)
	const letters = 120
	for i := range letters {
		d.give(fmt.Sprintf("ana/cur/%d.M%d.h:2,S", i+1, i), lureFor("ana@acme.example", fmt.Sprintf("n%d", i)))
	}
	honest := strings.NewReplacer("evil.example", "quiet.example", "login.acme.example.", "").Replace(lureFor("ana@acme.example", "ok"))
	d.give("ana/cur/900.M900.h:2,S", honest)
	d.give("ana/cur/901.M901.h:2,S", strings.ReplaceAll(honest, "quiet.example", "first.example"))
	write("first.example\nevil.example\nacme.example\n")
	const folder = "Breakwater Quarantine"
	eventually(t, "messages are moved", patience, func() bool { return d.files("ana", folder) > 0 })
	d.s.kill()
	d.s = begin(t, d.data, true, append([]string{"--config", d.config}, args...)...)
	eventually(t, "all are moved", patience, func() bool { return d.files("ana", folder) == letters && d.files("ana", "") <= 2 })
	if n := d.files("ana", ""); n != 2 {
		t.Errorf("the inbox has %d; what was loaded at the first start, and the tenant's own, must not be swept for", n)
	}
	var held []heldItem
	eventually(t, "all are held", patience, func() bool { held = d.held("mailbox"); return len(held) == letters })
	seen := map[string]bool{}
	for _, it := range held {
		if seen[it.MessageID] || it.Tenant != "acme" {
			t.Errorf("held twice, or another tenant's: %+v", it)
		}
		seen[it.MessageID] = true
	}
	moved := map[string]int{}
	runs := d.runs()
	for _, r := range runs {
		var full sweep.Run
		if err := json.Unmarshal([]byte(d.command("sweep", "show", r.ID, "-o", "json")), &full); err != nil {
			t.Fatal(err)
		}
		for _, m := range full.Moves {
			if m.State == sweep.Moved {
				moved[m.MessageID]++
			}
		}
	}
	for id, n := range moved {
		if n != 1 {
			t.Errorf("%s was moved %d times", id, n)
		}
	}
	if len(moved) != letters {
		t.Errorf("%d messages were moved", len(moved))
	}
	must(t, "mail", "quarantine", "delete", held[0].Name, "--server", d.s.url, "--token", d.s.admin)
	if n := d.files("ana", folder); n != letters-1 {
		t.Errorf("after the delete the folder has %d", n)
	}
	eventually(t, "the sweep has ended", patience, func() bool { return d.counter("mail_sweeps_waiting") == 0 })
	d.restart(true, args...)
	eventually(t, "nothing waits after another start", patience, func() bool { return d.counter("mail_sweeps_waiting") == 0 && len(d.held("mailbox")) == letters })
	if got := d.runs(); len(got) != len(runs) {
		t.Errorf("a restart made another run: %d, before %d", len(got), len(runs))
	}

	// What is put back at the command line is called released.
	for _, r := range runs {
		_, errs, code := perform(t, "mail", "sweep", "undo", r.ID, "--config", d.config, "--data", d.data, "--tenant", "acme")
		if code != exitDone && !strings.Contains(errs, "1 messages of") { // the one that was deleted
			t.Errorf("undo of %s: %d %s", r.ID, code, errs)
		}
	}
	if n := d.files("ana", ""); n != letters+1 {
		t.Errorf("after the undo the inbox has %d", n)
	}
	eventually(t, "what was put back is released", patience, func() bool {
		n := 0
		for _, it := range d.held("mailbox") {
			if it.State == "released" {
				n++
			}
		}
		return n == letters-1
	})
}
