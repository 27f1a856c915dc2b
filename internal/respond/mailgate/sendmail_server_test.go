//go:build linux

package mailgate

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// besidePostfix is where `tools/sendmail-beside dist/sendmail` puts the programs.
const besidePostfix = "../../../dist/sendmail/bin"

// sendmailProgram finds one of the programs of tools/sendmail-beside.
func sendmailProgram(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	p, err := filepath.Abs(filepath.Join(besidePostfix, name))
	if err != nil {
		return "", err
	}
	_, err = os.Stat(p)
	return p, err
}

// sendmail is a mail server of a test's own: its own folders, on loopback alone. All that it lets through goes to inbox.
type sendmail struct {
	t       testing.TB
	dir     string
	program string
	smtp    string
	inbox   *inbox
}

// inbox is a mail server that takes everything, and says what it took.
type inbox struct {
	mu   sync.Mutex
	list []arrived
}

type arrived struct {
	to   []string
	text string
}

// NewSession implements smtp.Backend.
func (i *inbox) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &visit{i: i}, nil }

type visit struct {
	i  *inbox
	to []string
}

func (v *visit) Reset()                                      { v.to = nil }
func (v *visit) Logout() error                               { return nil }
func (v *visit) Mail(string, *gosmtp.MailOptions) error      { return nil }
func (v *visit) Rcpt(to string, _ *gosmtp.RcptOptions) error { v.to = append(v.to, to); return nil }

func (v *visit) Data(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err
	}
	v.i.mu.Lock()
	defer v.i.mu.Unlock()
	v.i.list = append(v.i.list, arrived{v.to, strings.ReplaceAll(string(text), "\r\n", "\n")})
	return nil
}

// of returns the messages that somebody got.
func (i *inbox) of(address string) (out []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, a := range i.list {
		if slices.Contains(a.to, address) {
			out = append(out, a.text)
		}
	}
	return out
}

func openInbox(t testing.TB) (*inbox, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &inbox{}
	s := gosmtp.NewServer(i)
	s.Domain = "localhost"
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return i, port
}

// startSendmail starts a mail server that asks a milter; flag is what it does without an answer: "F=T, " for 4xx, "" for
// delivery.
func startSendmail(t testing.TB, milterAt, flag string) *sendmail {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a mail server of the test's own needs root")
	}
	program, err := sendmailProgram("debian-sendmail")
	if err != nil {
		t.Skip("Sendmail is not installed beside Postfix: tools/sendmail-beside dist/sendmail")
	}
	make, err := sendmailProgram("debian-sendmail-cf")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "bwsm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &sendmail{t: t, dir: dir, smtp: freePort(t)}
	var sink string
	s.inbox, sink = openInbox(t)
	if err := os.Mkdir(filepath.Join(dir, "queue"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.smtp)
	_, milterPort, _ := net.SplitHostPort(milterAt)
	s.write("switch", "hosts files\naliases files\n")
	s.write("test.mc", fmt.Sprintf("OSTYPE(`linux')dnl\n"+
		"define(`ALIAS_FILE', `')dnl\n"+
		"DAEMON_OPTIONS(`Name=MTA, Port=%[2]s, Addr=127.0.0.1')dnl\n"+
		"define(`QUEUE_DIR', `%[1]s/queue')dnl\n"+
		"define(`confPID_FILE', `%[1]s/pid')dnl\n"+
		"define(`STATUS_FILE', `%[1]s/statistics')dnl\n"+
		"define(`confSERVICE_SWITCH_FILE', `%[1]s/switch')dnl\n"+
		"define(`confDONT_PROBE_INTERFACES', `True')dnl\n"+
		"define(`confDOMAIN_NAME', `mx.acme.example')dnl\n"+
		"define(`confTO_IDENT', `0')dnl\n"+
		"define(`SMART_HOST', `relay:[127.0.0.1]')dnl\n"+ // whatever the address, nothing leaves this machine
		"define(`RELAY_MAILER_ARGS', `TCP $h %[3]s')dnl\n"+
		"FEATURE(`no_default_msa')dnl\nFEATURE(`nocanonify')dnl\nFEATURE(`accept_unresolvable_domains')dnl\n"+
		"INPUT_MAIL_FILTER(`breakwater', `S=inet:%[4]s@127.0.0.1, %[5]sT=S:10s;R:10s;E:60s')dnl\n"+
		"MAILER(`smtp')dnl\n", dir, port, sink, milterPort, flag))
	cf, err := exec.Command(make, filepath.Join(dir, "test.mc")).Output()
	if err != nil {
		t.Fatalf("writing sendmail.cf: %v", err)
	}
	s.write("sendmail.cf", string(cf))
	// Sendmail waits a minute for a host name with a dot in it. It gets one that only it sees.
	s.program = filepath.Join(dir, "sendmail")
	s.write("sendmail", fmt.Sprintf("#!/bin/sh\nexec unshare --uts sh -c 'hostname mx.acme.example; exec \"$0\" \"$@\"' %s -C %s/sendmail.cf \"$@\"\n", program, dir))
	if err := os.Chmod(s.program, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("unshare", "--uts", "hostname", "mx.acme.example").CombinedOutput(); err != nil {
		t.Skipf("no own host name for Sendmail, without which it waits a minute: the test needs CAP_SYS_ADMIN: %v: %s", err, out)
	}
	c := exec.Command(s.program, "-bD", "-X", filepath.Join(dir, "traffic"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // with those that serve connections
		_ = c.Wait()
		if t.Failed() {
			t.Logf("the mail server said:\n%s\n%s", s.read("said"), s.read("traffic"))
		}
	})
	eventually(t, "the mail server listens", func() bool {
		c, err := net.DialTimeout("tcp", s.smtp, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return s
}

func (s *sendmail) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sendmail) read(name string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// queue lists the envelopes that wait: qf before the id of those to send, hf of those in quarantine.
func (s *sendmail) queue() (out []string) {
	s.t.Helper()
	list, err := os.ReadDir(filepath.Join(s.dir, "queue"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range list {
		if strings.HasPrefix(f.Name(), "qf") || strings.HasPrefix(f.Name(), "hf") {
			out = append(out, f.Name())
		}
	}
	return out
}

// arrives waits for the n messages that somebody is to get.
func (s *sendmail) arrives(address string, n int) (got []string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d messages for %s", n, address), func() bool { got = s.inbox.of(address); return len(got) >= n })
	return got
}

func (s *sendmail) send(to []string, text string) error {
	return sendAs(s.smtp, "eve@sender.example", to, text, "")
}

// hold is the part of the mail section that lets this mail server's held mail go, by the script of docs/mail.md.
func (s *sendmail) hold() string {
	s.t.Helper()
	doc, err := os.ReadFile("../../../docs/mail.md")
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "```sh\n#!/bin/sh\n# breakwater-held")
	text, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		s.t.Fatal("docs/mail.md has no script breakwater-held")
	}
	text = "#!/bin/sh\n# breakwater-held" + text
	text = strings.ReplaceAll(text, "/usr/sbin/sendmail", s.program)
	text = strings.ReplaceAll(text, "/var/spool/mqueue", filepath.Join(s.dir, "queue"))
	s.write("breakwater-held", text)
	name := filepath.Join(s.dir, "breakwater-held")
	if err := os.Chmod(name, 0o755); err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("release: [%[1]s, release, \"{id}\"], delete: [%[1]s, delete, \"{id}\"]", name)
}
