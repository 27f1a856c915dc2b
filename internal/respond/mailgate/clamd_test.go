//go:build unix

package mailgate

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// sign is what the one signature of the test's own database looks for.
const sign = "breakwater-clamd-test-marker"

// startClamd starts Debian's ClamAV with a database of the test's own, and returns its address, and what
// halts it so that it takes messages and never answers, and what ends it.
func startClamd(t testing.TB) (address string, pause, stop func()) {
	t.Helper()
	program, err := exec.LookPath("clamd")
	if err != nil {
		t.Skip("no clamd: apt-get install clamav-daemon")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	for name, text := range map[string]string{
		"db/test.ndb": "Breakwater.Test:0:*:" + hex.EncodeToString([]byte(sign)) + "\n",
		// A clamd that is started by root goes over to User; it must read its own files.
		"clamd.conf": fmt.Sprintf("DatabaseDirectory %[1]s/db\nLocalSocket %[2]s\nForeground yes\nLogFile %[1]s/log\nTemporaryDirectory %[1]s\nStreamMaxLength 1M\n", dir, socket),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(program, "-c", filepath.Join(dir, "clamd.conf"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}
	t.Cleanup(func() {
		stop()
		if log, err := os.ReadFile(filepath.Join(dir, "log")); t.Failed() && err == nil {
			t.Logf("clamd says:\n%s", log)
		}
	})
	eventually(t, "clamd listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	pause = func() {
		if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	return "unix:" + socket, pause, stop
}

// TestClamdOfDebian asks a real daemon: what it finds is held, what it doesn't find passes, and without its answer, as it
// is down, is too slow or refuses the size, the message is called unscanned.
func TestClamdOfDebian(t *testing.T) {
	address, pause, stop := startClamd(t)
	encoded := base64.StdEncoding.EncodeToString([]byte("MZ" + strings.Repeat(" ", 100) + sign))
	attached := func(m *milter.Message, body string) *milter.Message {
		m.Raw = append(m.Raw[:len(m.Raw)-len("\r\nhello there, this is a text\r\n")], ("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/octet-stream; name=a.bin\r\n" +
			"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.bin\r\n\r\n" + body + "\r\n--b--\r\n")...)
		m.Headers = append(m.Headers, milter.Field{Name: "MIME-Version", Value: " 1.0"}, milter.Field{Name: "Content-Type", Value: " multipart/mixed; boundary=b"})
		return m
	}
	section := func(more string) string {
		return enforce + "  unscanned: accept\n  hold: {in: store, reinject: \"127.0.0.1:1\"}\n  clamd: \"" + address + "\"\n" + more
	}
	asking := func(o *Options) { o.Malware = Clamd(o.Settings.Clamd) }
	b := gate(t, section("  budget: {whole: 30s, clamd: 20s}\n"), asking)

	if d := b.Judge(t.Context(), attached(message("hello", "ann@acme.example"), encoded)); d.Action != milter.Discard {
		t.Errorf("a message with malware: %+v", d)
	}
	held := b.held(t, "acme")
	if len(held) != 1 || held[0].Verdict.Verdict != phish || held[0].Verdict.Reasons[0].Name != "malware" || !strings.Contains(held[0].Verdict.Reasons[0].Text, "Breakwater.Test") {
		t.Errorf("held: %+v", held)
	}
	if d := b.Judge(t.Context(), attached(message("hello", "ann@acme.example"), base64.StdEncoding.EncodeToString([]byte("MZ harmless")))); d.Action != milter.Pass || field(d, "X-Breakwater-Unscanned") != "" || !strings.HasPrefix(field(d, "X-Breakwater-Verdict"), clean) {
		t.Errorf("a message without: %+v", d)
	}
	if d := b.Judge(t.Context(), attached(message("hello", "ann@acme.example"), strings.Repeat("QUJD\r\n", 400_000))); d.Action != milter.Pass || field(d, "X-Breakwater-Unscanned") != "clamd" {
		t.Errorf("a message beyond the daemon's StreamMaxLength: %s %q", d.Action, d.Insert)
	}

	pause()
	slow := gate(t, section("  budget: {whole: 20s, clamd: 100ms}\n"), asking)
	began := time.Now()
	if d := slow.Judge(t.Context(), message("hello", "ann@acme.example")); d.Action != milter.Pass || field(d, "X-Breakwater-Unscanned") != "clamd" || field(d, "X-Breakwater-Verdict") == "" {
		t.Errorf("with a daemon that is stopped: %+v", d)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s with a budget of 100ms for the antivirus", took)
	}
	stop()
	if d := b.Judge(t.Context(), message("hello", "ann@acme.example")); d.Action != milter.Pass || field(d, "X-Breakwater-Unscanned") != "clamd" {
		t.Errorf("without the daemon: %+v", d)
	}
	if d := b.Judge(t.Context(), message("phish", "ann@acme.example")); d.Action != milter.Discard {
		t.Errorf("phishing without the daemon: %+v", d)
	}
	if n := b.Stats().Unscanned["clamd"]; n != 2 {
		t.Errorf("%d were counted as unscanned", n)
	}
	if len(b.passed) != 2 {
		t.Errorf("listed for a sweep: %+v", b.passed)
	}
}
