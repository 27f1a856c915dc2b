//go:build unix

package sweep

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// dovecot is a real IMAP server on loopback.
type dovecot struct {
	t           *testing.T
	dir         string
	port, ports int // plain with STARTTLS, and TLS
	pin         string
	cert        string
}

// The abilities of a server, as it tells of them.
const (
	fullServer   = "IMAP4rev1 SASL-IR LITERAL+ ENABLE IDLE SPECIAL-USE UIDPLUS MOVE ESEARCH"
	copyServer   = "IMAP4rev1 SASL-IR LITERAL+ ENABLE IDLE SPECIAL-USE UIDPLUS"
	simpleServer = "IMAP4rev1 SASL-IR"
)

// startDovecot starts Debian's Dovecot with a folder of its own, and stops it with the test.
func startDovecot(t *testing.T, capability string) *dovecot {
	t.Helper()
	program, err := exec.LookPath("dovecot")
	if err != nil {
		if p := "/usr/sbin/dovecot"; fileThere(p) {
			program = p
		} else {
			t.Skip("dovecot is not installed (Debian: dovecot-imapd): the sweep is not tested against a real server")
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can start Dovecot with its own folders: the sweep is not tested against a real server")
	}
	mailUser, err := user.Lookup("mail")
	if err != nil {
		t.Skip("there is no user mail to keep mailboxes under: the sweep is not tested against a real server")
	}
	dir, err := os.MkdirTemp("", "bw-dovecot-")
	if err != nil {
		t.Fatal(err)
	}
	d := &dovecot{t: t, dir: dir, port: freePort(t), ports: freePort(t)}
	uid, _ := strconv.Atoi(mailUser.Uid)
	gid, _ := strconv.Atoi(mailUser.Gid)
	for _, sub := range []string{"", "run", "mail"} {
		p := filepath.Join(dir, sub)
		if err := os.MkdirAll(p, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(dir, "mail"), uid, gid); err != nil {
		t.Fatal(err)
	}
	d.certificate()
	conf := fmt.Sprintf(`
base_dir = %[1]s/run
log_path = %[1]s/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_master_user_separator = *
mail_location = maildir:%[1]s/mail/%%u
mail_uid = %[2]d
mail_gid = %[3]d
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
imap_capability = %[4]s
mail_max_userip_connections = 100
login_trusted_networks = 127.0.0.0/8
passdb {
  driver = passwd-file
  master = yes
  args = %[1]s/masters
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=%[2]d gid=%[3]d home=%[1]s/mail/%%u-home
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    special_use = \Sent
    auto = create
  }
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %[5]d
  }
  inet_listener imaps {
    port = %[6]d
    ssl = yes
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`, dir, uid, gid, capability, d.port, d.ports)
	for name, text := range map[string]string{"dovecot.conf": conf, "masters": "sweeper:{PLAIN}master\n", "password": "secret\n", "master-password": "master\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("dovecot said:\n%s%s", out.Bytes(), log)
		}
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.port))
		if err == nil {
			one := make([]byte, 4)
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, err = c.Read(one)
			c.Close()
			if err == nil {
				return d
			}
		}
		select {
		case werr := <-ended:
			ended <- werr
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("dovecot ended: %v\n%s%s", werr, out.Bytes(), log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("dovecot does not answer: %v\n%s", err, out.Bytes())
		}
	}
}

func fileThere(name string) bool { _, err := os.Stat(name); return err == nil }

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (d *dovecot) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		d.t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	d.pin, d.cert = hex.EncodeToString(sum[:]), filepath.Join(d.dir, "cert.pem")
	for name, b := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(filepath.Join(d.dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// box is a mailbox entry for users of the server.
func (d *dovecot) box(port int, users ...string) config.Mailbox {
	return config.Mailbox{Name: "imap", Tenant: "acme", Kind: config.MailboxSweep, Host: "127.0.0.1", Port: port, TLS: config.MailPlain, Users: users,
		Password: filepath.Join(d.dir, "password"), Quarantine: "Breakwater Quarantine", Handled: "Handled"}
}

// client signs in as a user's own mail program.
func (d *dovecot) client(who string) *imapclient.Client {
	d.t.Helper()
	c, err := imapclient.DialInsecure(fmt.Sprintf("127.0.0.1:%d", d.port), nil)
	if err == nil {
		err = c.Login(who, "secret").Wait()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	return c
}

// note is a message of a mailbox, as a mail program sees it.
type note struct {
	subject, flags, date, raw string
}

// put appends a message to a folder.
func (d *dovecot) put(c *imapclient.Client, folder, raw string, when time.Time, flags ...imap.Flag) {
	d.t.Helper()
	a := c.Append(folder, int64(len(raw)), &imap.AppendOptions{Flags: flags, Time: when})
	_, err := a.Write([]byte(raw))
	if err == nil {
		err = a.Close()
	}
	if err == nil {
		_, err = a.Wait()
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// folder reads all messages of a folder; none where it does not exist.
func (d *dovecot) folder(c *imapclient.Client, name string) []note {
	d.t.Helper()
	sel, err := c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return nil
	}
	if sel.NumMessages == 0 {
		return nil
	}
	var all imap.UIDSet
	all.AddRange(1, 0)
	list, err := c.Fetch(all, &imap.FetchOptions{Flags: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	if err != nil {
		d.t.Fatal(err)
	}
	var out []note
	for _, m := range list {
		var flags []string
		for _, f := range m.Flags {
			if f != `\Recent` {
				flags = append(flags, string(f))
			}
		}
		slices.Sort(flags)
		raw := string(m.BodySection[0].Bytes)
		_, s, _ := strings.Cut(raw, "Subject: ")
		s, _, _ = strings.Cut(s, "\r\n")
		out = append(out, note{s, strings.Join(flags, " "), m.InternalDate.UTC().Format(time.RFC3339), raw})
	}
	return out
}

func subjects(list []note) string {
	var out []string
	for _, n := range list {
		out = append(out, n.subject)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// cutter passes connections on to the server and cuts them with the n-th line of a client's commands, before or after
// the server has got it.
type cutter struct {
	l     net.Listener
	mu    sync.Mutex
	lines int
	at    int  // 0: never
	after bool // the server gets the line; its answer does not come back
	cut   bool
}

func startCutter(t *testing.T, to int) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{l: l}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.pass(conn, to) })
		}
	})
	return c
}

func (c *cutter) port() int { return c.l.Addr().(*net.TCPAddr).Port }

func (c *cutter) set(at int, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines, c.at, c.after, c.cut = 0, at, after, false
}

func (c *cutter) wasCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

func (c *cutter) pass(in net.Conn, to int) {
	defer in.Close()
	out, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
	if err != nil {
		return
	}
	defer out.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	quiet := make(chan struct{})
	var silent sync.Once
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		buf := make([]byte, 32<<10)
		for {
			n, err := out.Read(buf)
			select {
			case <-quiet: // what the server answers now is lost on the way
			default:
				if n > 0 {
					if _, werr := in.Write(buf[:n]); werr != nil {
						return
					}
				}
			}
			if err != nil {
				in.Close()
				return
			}
		}
	}()
	context.AfterFunc(ctx, func() { silent.Do(func() { close(quiet) }) })
	buf := make([]byte, 32<<10)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			c.mu.Lock()
			before := c.lines
			c.lines += bytes.Count(buf[:n], []byte("\n"))
			cut := c.at > 0 && before < c.at && c.lines >= c.at
			c.cut = c.cut || cut
			after := c.after
			c.mu.Unlock()
			if cut && after {
				silent.Do(func() { close(quiet) })
				in.Close()
				_, _ = out.Write(buf[:n])
				// The server does what it was told, and then sees that nobody is there.
				if t, ok := out.(*net.TCPConn); ok {
					_ = t.CloseWrite()
				}
				<-answered
				return
			}
			if cut {
				return
			}
			if _, err := out.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
