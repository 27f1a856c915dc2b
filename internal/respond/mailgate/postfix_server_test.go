package mailgate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// patience is how long a test waits for what must happen; the machine may be busy with other tests.
const patience = 30 * time.Second

// eventually polls until a condition holds, or fails with what was waited for.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	clock := time.NewTicker(20 * time.Millisecond)
	defer clock.Stop()
	for end := time.Now().Add(patience); !ok(); <-clock.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// postfix is a mail server of a test's own: its own folders, on loopback alone, and nothing leaves it.
type postfix struct {
	t        testing.TB
	dir      string
	smtp     string // with the milter
	unjudged string // without
}

// needPostfix skips a test that cannot have a mail server.
func needPostfix(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a mail server of the test's own needs root")
	}
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Skip("no postfix: apt-get install postfix")
	}
}

// freePort returns an address on loopback that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startPostfix starts a mail server for acme.example and borg.example that asks a milter.
func startPostfix(t testing.TB, milterAt, whenDead string) *postfix {
	t.Helper()
	needPostfix(t)
	dir, err := os.MkdirTemp("", "bwpf")
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t: t, dir: dir, smtp: freePort(t), unjudged: freePort(t)}
	t.Cleanup(func() { os.RemoveAll(dir) })
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
		p.write("conf/"+name, string(b))
	}
	p.write("conf/main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/maillog
maillog_file_prefixes = %[1]s, /var, /dev/stdout, /tmp
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
smtpd_milters = inet:%[2]s
non_smtpd_milters = inet:%[2]s
milter_protocol = 6
milter_default_action = %[3]s
milter_connect_timeout = 5s
milter_command_timeout = 10s
milter_content_timeout = 20s
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.1
`, dir, milterAt, whenDead))
	var boxes strings.Builder
	for _, a := range []string{"ann@acme.example", "tag@acme.example", "forged@acme.example", "held@acme.example", "strict@acme.example",
		"many@acme.example", "dead@acme.example", "load@acme.example", "bob@borg.example"} {
		name, domain, _ := strings.Cut(a, "@")
		fmt.Fprintf(&boxes, "%s %s/%s/\n", a, domain, name)
	}
	p.write("conf/boxes", boxes.String())
	_, port, _ := net.SplitHostPort(p.smtp)
	_, plain, _ := net.SplitHostPort(p.unjudged)
	p.write("conf/master.cf", fmt.Sprintf(`127.0.0.1:%s inet n - n - - smtpd
127.0.0.1:%s inet n - n - - smtpd -o smtpd_milters=
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`, port, plain))
	p.run("postfix", "-c", filepath.Join(dir, "conf"), "start")
	t.Cleanup(func() {
		out, err := exec.Command("postfix", "-c", filepath.Join(dir, "conf"), "stop").CombinedOutput()
		if err != nil {
			t.Errorf("stopping the mail server: %v: %s", err, out)
		}
		if t.Failed() {
			t.Logf("the mail server's log:\n%s", p.log())
		}
	})
	eventually(t, "the mail server listens", func() bool {
		c, err := net.DialTimeout("tcp", p.smtp, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return p
}

func (p *postfix) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *postfix) run(program string, args ...string) string {
	p.t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
	return string(out)
}

func (p *postfix) log() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "maillog"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// queue lists the queue ids with their marks: ! is held.
func (p *postfix) queue() []string {
	p.t.Helper()
	var out []string
	for line := range strings.Lines(p.run("postqueue", "-c", filepath.Join(p.dir, "conf"), "-p")) {
		if line[0] != ' ' && line[0] != '-' && line[0] != '(' && line[0] != '\n' && !strings.HasPrefix(line, "Mail queue") {
			out = append(out, strings.Fields(line)[0])
		}
	}
	return out
}

// box returns the messages of a mailbox.
func (p *postfix) box(address string) []string {
	p.t.Helper()
	name, domain, _ := strings.Cut(address, "@")
	var out []string
	for _, sub := range []string{"new", "cur"} {
		files, _ := filepath.Glob(filepath.Join(p.dir, "mail", domain, name, sub, "*"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				p.t.Fatal(err)
			}
			out = append(out, string(b))
		}
	}
	return out
}

// arrives waits for the n messages of a mailbox.
func (p *postfix) arrives(address string, n int) []string {
	p.t.Helper()
	var got []string
	eventually(p.t, fmt.Sprintf("%d messages for %s\n%s", n, address, p.log()), func() bool { got = p.box(address); return len(got) >= n })
	return got
}

// hold is the part of the mail section that lets this mail server's held mail go.
func (p *postfix) hold() string {
	return fmt.Sprintf("release: [postsuper, -c, %[1]s/conf, -H, \"{id}\"], delete: [postsuper, -c, %[1]s/conf, -d, \"{id}\"], reinject: %[2]q", p.dir, p.unjudged)
}

// send gives the mail server a message, as a client from outside would.
func (p *postfix) send(from string, to []string, text string) error {
	return sendAs(p.smtp, from, to, text, "192.0.2.7")
}

func sendAs(address, from string, to []string, text, client string) error {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		return err
	}
	if err := c.Hello("mail.sender.example"); err != nil {
		return err
	}
	if client != "" {
		id, err := c.Text.Cmd("XCLIENT ADDR=%s NAME=mail.sender.example", client)
		if err != nil {
			return err
		}
		c.Text.StartResponse(id)
		_, _, err = c.Text.ReadResponse(220)
		c.Text.EndResponse(id)
		if err != nil {
			return err
		}
		id, err = c.Text.Cmd("EHLO mail.sender.example")
		if err != nil {
			return err
		}
		c.Text.StartResponse(id)
		_, _, err = c.Text.ReadResponse(250)
		c.Text.EndResponse(id)
		if err != nil {
			return err
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit()
	return nil
}

// letter is a message as it stands on the wire.
func letter(subject, id string, more ...string) string {
	var b bytes.Buffer
	for _, f := range more {
		b.WriteString(f + "\r\n")
	}
	fmt.Fprintf(&b, "From: Eve <eve@sender.example>\r\nTo: somebody\r\nSubject: %s\r\nMessage-ID: <%s@sender.example>\r\nDate: Mon, 4 May 2026 09:59:00 +0000\r\n\r\nhello there\r\n", subject, id)
	return b.String()
}

// listen starts a milter for a gate.
func listen(t testing.TB, address string, judge func(context.Context, *milter.Message) milter.Decision, failed func(*milter.Message, string) milter.Decision) *milter.Server {
	t.Helper()
	s, err := milter.Listen(address, milter.Options{Judge: judge, Failed: failed})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.Close(ctx)
		if err := <-done; err != nil {
			t.Errorf("the milter: %v", err)
		}
	})
	return s
}
