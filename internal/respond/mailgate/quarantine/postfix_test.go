package quarantine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// mailServer is a Postfix of the test's own, on loopback alone; nothing leaves it. What comes by one port is held, what
// comes by the other is delivered.
type mailServer struct {
	t                     testing.TB
	dir, holding, passing string
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startPostfix(t testing.TB) *mailServer {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a mail server of the test's own needs root")
	}
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Skip("no postfix: apt-get install postfix")
	}
	dir, err := os.MkdirTemp("", "bwq")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &mailServer{t, dir, freePort(t), freePort(t)}
	for _, d := range []string{"", "conf", "conf/dynamicmaps.cf.d", "conf/postfix-files.d", "spool", "data", "mail"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.run("chown", "postfix", filepath.Join(dir, "data"))
	p.run("chown", "nobody", filepath.Join(dir, "mail"))
	for _, name := range []string{"dynamicmaps.cf", "postfix-files"} {
		b, err := os.ReadFile("/etc/postfix/" + name)
		if err != nil {
			t.Skipf("postfix is installed in a way that this test does not know: %v", err)
		}
		p.write(name, string(b))
	}
	p.write("main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/maillog
maillog_file_prefixes = %[1]s, /var, /tmp
myhostname = mx.acme.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
local_recipient_maps =
virtual_mailbox_domains = acme.example, borg.example
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = texthash:%[1]s/conf/boxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
default_transport = error:no outbound
relay_transport = error:no outbound
disable_dns_lookups = yes
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
`, dir))
	p.write("boxes", "ann@acme.example acme.example/ann/\nbob@borg.example borg.example/bob/\n")
	_, holding, _ := net.SplitHostPort(p.holding)
	_, passing, _ := net.SplitHostPort(p.passing)
	p.write("master.cf", fmt.Sprintf(`127.0.0.1:%s inet n - n - - smtpd -o smtpd_client_restrictions=static:HOLD
127.0.0.1:%s inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`, holding, passing))
	p.run("postfix", "-c", filepath.Join(dir, "conf"), "start")
	t.Cleanup(func() {
		if out, err := exec.Command("postfix", "-c", filepath.Join(dir, "conf"), "stop").CombinedOutput(); err != nil {
			t.Errorf("stopping the mail server: %v: %s", err, out)
		}
	})
	p.eventually("the mail server listens", func() bool {
		c, err := net.DialTimeout("tcp", p.holding, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return p
}

func (p *mailServer) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "conf", name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *mailServer) run(program string, args ...string) string {
	p.t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
	return string(out)
}

func (p *mailServer) eventually(what string, ok func() bool) {
	p.t.Helper()
	clock := time.NewTicker(20 * time.Millisecond)
	defer clock.Stop()
	for end := time.Now().Add(30 * time.Second); !ok(); <-clock.C {
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(p.dir, "maillog"))
			p.t.Fatalf("not within 30 s: %s\n%s", what, log)
		}
	}
}

// queue lists the queue ids; ! marks what is held.
func (p *mailServer) queue() (out []string) {
	p.t.Helper()
	for line := range strings.Lines(p.run("postqueue", "-c", filepath.Join(p.dir, "conf"), "-p")) {
		if line[0] != ' ' && line[0] != '-' && line[0] != '(' && line[0] != '\n' && !strings.HasPrefix(line, "Mail queue") {
			out = append(out, strings.Fields(line)[0])
		}
	}
	return out
}

func (p *mailServer) box(domain, name string) (out []string) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.dir, "mail", domain, name, "new", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

// hold sends a message that the mail server holds, and returns its queue id and text.
func (p *mailServer) hold(subject string, to ...string) (id, text string) {
	p.t.Helper()
	before := strings.Join(p.queue(), " ")
	text = "From: Eve <eve@sender.example>\r\nTo: somebody\r\nSubject: " + subject + "\r\nMessage-ID: <" + subject + "@sender.example>\r\nDate: Mon, 4 May 2026 09:59:00 +0000\r\n\r\nhello there\r\n"
	if err := smtp.SendMail(p.holding, nil, "eve@sender.example", to, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
	p.eventually("it is held", func() bool {
		for _, q := range p.queue() {
			if one, held := strings.CutSuffix(q, "!"); held && !strings.Contains(before, one) {
				id = one
			}
		}
		return id != ""
	})
	return id, text
}

func (p *mailServer) commands(said *[]string) *Commands {
	conf := filepath.Join(p.dir, "conf")
	return &Commands{ReleaseBy: []string{"postsuper", "-c", conf, "-H", "{id}"}, DeleteBy: []string{"postsuper", "-c", conf, "-d", "{id}"},
		Said: func(_ Item, _, output string) { *said = append(*said, output) }}
}

// giveBack is a Mover that gives a message back by SMTP, as package mailgate does.
type giveBack struct{ at string }

func (g giveBack) Release(_ context.Context, it Item, raw []byte) error {
	return smtp.SendMail(g.at, nil, it.EnvelopeFrom, it.Recipients, append([]byte("X-Breakwater-Released: "+it.Name+"\r\n"), raw...))
}
func (giveBack) Delete(context.Context, Item) error { return nil }

func TestPostfixReleasesAndDeletesWhatItHolds(t *testing.T) {
	p := startPostfix(t)
	var said []string
	s, d := newDesk(t, Movers{MTA: p.commands(&said)})
	all := tenant.ScopeAll()
	put := func(id tenant.ID, queueID, text string, to ...string) string {
		return keep(t, box(t, s, string(id)), Item{Place: PlaceMTA, QueueID: queueID, EnvelopeFrom: "eve@sender.example", Recipients: to}, text)
	}
	id, text := p.hold("one", "ann@acme.example")
	one := put("acme", id, text, "ann@acme.example")
	id, text = p.hold("two", "ann@acme.example")
	two := put("acme", id, text, "ann@acme.example")
	id, text = p.hold("three", "ann@acme.example")
	three := put("acme", id, text, "ann@acme.example")

	must(d.Release(t.Context(), all, "ana", one))
	p.run("postqueue", "-c", filepath.Join(p.dir, "conf"), "-f")
	p.eventually("the released arrives", func() bool { return len(p.box("acme.example", "ann")) == 1 })
	if got := p.box("acme.example", "ann")[0]; !strings.Contains(got, "Subject: one\n") || !strings.HasSuffix(got, "\n\nhello there\n") {
		t.Errorf("arrived is %s", got)
	}
	must(d.Delete(t.Context(), all, "ana", two))
	p.eventually("the deleted is gone", func() bool { return len(p.queue()) == 1 })
	if len(said) != 2 || !strings.HasSuffix(said[0], "Released from hold: 1 message") || !strings.HasSuffix(said[1], "Deleted: 1 message") {
		t.Errorf("postsuper said %q", said)
	}

	// What was dealt with at the mail server by hand can't be released any more, and is told; deleting it tidies up.
	p.run("postsuper", "-c", filepath.Join(p.dir, "conf"), "-d", must(d.Get(all, three)).QueueID)
	if _, err := d.Release(t.Context(), all, "ana", three); !errors.Is(err, ErrGone) || !errors.Is(err, ErrMove) {
		t.Errorf("releasing what is gone: %v", err)
	}
	if it := must(d.Get(all, three)); it.State != StateHeld || it.Problem == "" {
		t.Errorf("it is %s, problem %q", it.State, it.Problem)
	}
	if it := must(d.Delete(t.Context(), all, "ana", three)); it.State != StateDeleted {
		t.Errorf("it is %s", it.State)
	}
	if n := len(p.box("acme.example", "ann")); n != 1 {
		t.Errorf("%d messages arrived", n)
	}
}

// TestIsolationInThePostfixQueue: one queue file for two tenants; each decides for its own recipients.
func TestIsolationInThePostfixQueue(t *testing.T) {
	p := startPostfix(t)
	var said []string
	s, d := newDesk(t, Movers{MTA: p.commands(&said), Store: giveBack{p.passing}})
	id, text := p.hold("both", "ann@acme.example", "bob@borg.example")
	one := keep(t, box(t, s, "acme"), Item{Place: PlaceMTA, QueueID: id, EnvelopeFrom: "eve@sender.example", Recipients: []string{"ann@acme.example"}}, text)
	two := keep(t, box(t, s, "borg"), Item{Place: PlaceMTA, QueueID: id, EnvelopeFrom: "eve@sender.example", Recipients: []string{"bob@borg.example"}}, text)
	must(d.Release(t.Context(), tenant.ScopeOf("acme"), "ana", one))
	p.eventually("ann has it", func() bool { return len(p.box("acme.example", "ann")) == 1 })
	if got := p.box("acme.example", "ann")[0]; !strings.Contains(got, "X-Breakwater-Released: "+one) || !strings.Contains(got, "Return-Path: <eve@sender.example>") {
		t.Errorf("arrived is %s", got)
	}
	if q := p.queue(); len(q) != 1 || q[0] != id+"!" {
		t.Errorf("the queue is %v: borg has not decided", q)
	}
	must(d.Delete(t.Context(), tenant.ScopeOf("borg"), "bo", two))
	p.eventually("the queue is empty", func() bool { return len(p.queue()) == 0 })
	if n := len(p.box("borg.example", "bob")); n != 0 {
		t.Errorf("bob has %d", n)
	}
	if n := len(p.box("acme.example", "ann")); n != 1 {
		t.Errorf("ann has %d", n)
	}
}
