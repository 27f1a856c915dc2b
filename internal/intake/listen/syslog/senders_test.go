package syslog

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// program finds a sender, or skips the test and says how to get it.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		if path := filepath.Join(dir, name); isProgram(path) {
			return path
		}
	}
	t.Skipf("no %s: apt-get install -y %s", name, pkg)
	return ""
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// shortDir is a folder whose name is short enough for the path of a Unix socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// daemon runs a syslog daemon in the foreground until the test ends.
func daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(name), out.String())
		}
	})
}

// say sends messages into the Unix socket of a daemon once it is there.
func say(t *testing.T, socket string, messages ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("unixgram", socket)
		if err == nil {
			defer conn.Close()
			for _, m := range messages {
				if _, err := conn.Write([]byte(m)); err != nil {
					t.Fatal(err)
				}
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-tick.C
	}
}

func port(l *Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// messages are what every sender is given: plain ones, and one of 2,000 bytes.
func messages(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("<86>%s sshd[4711]: Failed password for root, attempt %d.", time.Now().UTC().Format(time.Stamp), i))
	}
	return append(out, fmt.Sprintf("<86>%s sshd[4711]: %s attempt long.", time.Now().UTC().Format(time.Stamp), strings.Repeat("x", 2000)))
}

func allCame(t *testing.T, to *collector, n int) {
	t.Helper()
	to.until(t, fmt.Sprintf("%d messages", n+1), func() bool {
		all := strings.Join(to.lines(), "\n") + "\n"
		for i := range n {
			if !strings.Contains(all, fmt.Sprintf("attempt %d.\n", i)) {
				return false
			}
		}
		return strings.Contains(all, "attempt long.\n")
	})
	for _, line := range to.lines() {
		if !strings.HasPrefix(line, "<86>") || strings.Count(line, "<86>") != 1 {
			t.Errorf("not one message: %q", line)
		}
	}
}

func TestRsyslogSends(t *testing.T) {
	rsyslogd := program(t, "rsyslogd", "rsyslog")
	for _, c := range []struct{ name, network, action string }{
		{"UDP", "udp", `protocol="udp"`},
		{"TCP with newlines", "tcp", `protocol="tcp" TCP_Framing="traditional"`},
		{"TCP, counted", "tcp", `protocol="tcp" TCP_Framing="octet-counted"`},
		{"TCP, counted, RFC 5424", "tcp", `protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := newCollector()
			l := start(t, Config{Network: c.network, BySource: anyone}, to)
			rsyslog(t, rsyslogd, "", fmt.Sprintf(`target="127.0.0.1" port="%s" %s`, port(l), c.action), func(socket string) {
				say(t, socket, messages(20)...)
				allCame(t, to, 20)
			})
		})
	}
}

func rsyslog(t *testing.T, rsyslogd, global, action string, then func(socket string)) {
	t.Helper()
	dir := shortDir(t)
	conf, socket := filepath.Join(dir, "r.conf"), filepath.Join(dir, "s")
	text := fmt.Sprintf(`global(workDirectory="%s" %s)
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="%s" UseSysTimeStamp="off" RateLimit.Interval="0" RateLimit.Burst="0")
action(type="omfwd" %s)
`, dir, global, socket, action)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon(t, rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	then(socket)
}

func TestRsyslogSendsOverTLS(t *testing.T) {
	rsyslogd := program(t, "rsyslogd", "rsyslog rsyslog-gnutls rsyslog-openssl")
	for _, driver := range []string{"gtls", "ossl"} {
		t.Run(driver, func(t *testing.T) {
			if found, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_" + driver + ".so"); len(found) == 0 {
				t.Skipf("no %s driver: apt-get install -y rsyslog-gnutls rsyslog-openssl", driver)
			}
			ca, dir := newAuthority(t), shortDir(t)
			client := ca.issue(t, "relay.example")
			write(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", ca.cert.Raw)
			write(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", client.Certificate[0])
			key, err := x509.MarshalECPrivateKey(client.PrivateKey.(*ecdsa.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "key.pem"), "EC PRIVATE KEY", key)
			to := newCollector()
			bind := Certificates{Names: map[string]listen.Binding{"relay.example": {Sensor: "relay", Tenant: "acme"}}, Verified: true}
			l := start(t, Config{Network: "tls", ByCertificate: bind.Bind,
				TLS: &TLS{Certificates: []tls.Certificate{ca.issue(t, "server.example")}, Clients: ClientsMustHaveCertificates, Authorities: ca.pool}}, to)
			global := fmt.Sprintf(`DefaultNetstreamDriverCAFile="%[1]s/ca.pem" DefaultNetstreamDriverCertFile="%[1]s/cert.pem" DefaultNetstreamDriverKeyFile="%[1]s/key.pem"`, dir)
			action := fmt.Sprintf(`target="127.0.0.1" port="%s" protocol="tcp" TCP_Framing="octet-counted" StreamDriver="%s" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="server.example"`, port(l), driver)
			rsyslog(t, rsyslogd, global, action, func(socket string) {
				say(t, socket, messages(20)...)
				allCame(t, to, 20)
			})
			if f := to.frames[0]; f.Sensor != "relay" || !f.Authenticated {
				t.Errorf("%+v", f)
			}
		})
	}
}

func write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSyslogNGSends(t *testing.T) {
	ng := program(t, "syslog-ng", "syslog-ng-core")
	for _, c := range []struct{ name, network, destination string }{
		{"UDP", "udp", `network("127.0.0.1" port(%s) transport("udp"))`},
		{"TCP with newlines", "tcp", `network("127.0.0.1" port(%s) transport("tcp"))`},
		{"TCP, counted, RFC 5424", "tcp", `syslog("127.0.0.1" port(%s) transport("tcp"))`},
	} {
		t.Run(c.name, func(t *testing.T) {
			to, dir := newCollector(), shortDir(t)
			l := start(t, Config{Network: c.network, BySource: anyone}, to)
			conf, socket := filepath.Join(dir, "ng.conf"), filepath.Join(dir, "s")
			text := fmt.Sprintf("@version: 3.38\nsource s { unix-dgram(\"%s\"); };\ndestination d { %s; };\nlog { source(s); destination(d); };\n", socket, fmt.Sprintf(c.destination, port(l)))
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			daemon(t, ng, "-F", "--no-caps", "-f", conf, "-R", filepath.Join(dir, "persist"), "-p", filepath.Join(dir, "pid"), "-c", filepath.Join(dir, "ctl"))
			say(t, socket, messages(20)...)
			allCame(t, to, 20)
		})
	}
}

func TestLoggerSends(t *testing.T) {
	logger := program(t, "logger", "bsdutils")
	for _, c := range []struct{ network, args string }{
		{"udp", "--udp --rfc3164"}, {"udp", "--udp --rfc5424"}, {"tcp", "--tcp --rfc3164"}, {"tcp", "--tcp --rfc5424 --octet-count"},
	} {
		t.Run(c.args, func(t *testing.T) {
			to := newCollector()
			l := start(t, Config{Network: c.network, BySource: anyone}, to)
			args := append(strings.Fields(c.args), "--server", "127.0.0.1", "--port", port(l), "-t", "app", "-p", "auth.warning", "hello there")
			if out, err := exec.Command(logger, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			to.until(t, "the message", func() bool { return len(to.lines()) == 1 })
			if got := to.lines()[0]; !strings.HasPrefix(got, "<36>") || !strings.HasSuffix(got, "hello there") {
				t.Errorf("%q", got)
			}
		})
	}
}
