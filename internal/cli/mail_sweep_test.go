//go:build unix

package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// mailboxServer starts Debian's Dovecot over maildirs below the returned folder: any user, password secret.
func mailboxServer(t *testing.T) (dir string, port int, give func(path, text string)) {
	t.Helper()
	program, err := exec.LookPath("dovecot")
	if err != nil {
		if program = "/usr/sbin/dovecot"; os.Geteuid() != 0 {
			program = ""
		} else if _, err := os.Stat(program); err != nil {
			program = ""
		}
	}
	who, uerr := user.Lookup("mail")
	if program == "" || os.Geteuid() != 0 || uerr != nil {
		t.Skip("dovecot is not installed (Debian: dovecot-imapd), or this is not root: the commands are not tested against a real server")
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	if dir, err = os.MkdirTemp("", "bw-sweep-"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	give = func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, "mail", path)
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(filepath.Dir(filepath.Dir(path)), sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := filepath.WalkDir(filepath.Join(dir, "mail"), func(p string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Chown(p, uid, gid)
		}); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf("base_dir = %[1]s/run\nlog_path = %[1]s/log\nprotocols = imap\nlisten = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nmail_location = maildir:%[1]s/mail/%%u\nmail_uid = %[2]d\nmail_gid = %[3]d\n"+
		"first_valid_uid = 1\nfirst_valid_gid = 1\npassdb {\n driver = static\n args = password=secret\n}\nuserdb {\n driver = static\n args = uid=%[2]d gid=%[3]d home=%[1]s/mail\n}\nnamespace inbox {\n inbox = yes\n}\n"+
		"service imap-login {\n chroot =\n inet_listener imap {\n  port = %[4]d\n }\n inet_listener imaps {\n  port = 0\n }\n}\nservice anvil {\n chroot =\n}\nservice stats {\n chroot =\n}\n", dir, uid, gid, port)
	if err := os.WriteFile(filepath.Join(dir, "dovecot.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if log, _ := os.ReadFile(filepath.Join(dir, "log")); t.Failed() {
			t.Logf("dovecot said: %s", log)
		}
		_ = os.RemoveAll(dir)
	})
	eventually(t, "Dovecot greets", 30*time.Second, func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		n, _ := c.Read(make([]byte, 16))
		return n > 0
	})
	return dir, port, give
}

const sweptPhish = "Message-ID: <p1@evil.example>\nFrom: Support <help@evil.example>\nTo: ana@acme.example\nSubject: Your mailbox is full\nDate: Mon, 01 Jun 2026 12:00:00 +0000\n\n" +
	"Your mailbox is full and will be closed today. Sign in at https://login.acme.example.evil.example/mail to keep it.\n"

func TestDeliveredMailIsSweptReportedAndJournalled(t *testing.T) {
	dir, port, give := mailboxServer(t)
	give("ana/cur/1.M1.h:2,S", sweptPhish)
	give("ana/cur/2.M2.h:2,", strings.NewReplacer("p1@", "g1@", "help@evil.example", "jo@quiet.example", "Your mailbox is full", "Lunch", "Sign in", "Eat", "https://", "").Replace(sweptPhish))
	give("report/new/1.M1.h", "Message-ID: <r1@acme.example>\nFrom: ana@acme.example\nTo: report@acme.example\nSubject: bad?\nDate: Mon, 01 Jun 2026 13:00:00 +0000\nMIME-Version: 1.0\n"+
		"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"+sweptPhish+"\n--b--\n")
	give("journal/new/1.M1.h", "X-MS-Journal-Report:\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nSender: help@evil.example\nMessage-Id: <p1@evil.example>\n"+
		"To: ana@acme.example\nBcc: bo@acme.example\nBcc: x@elsewhere.example\n--b\nContent-Type: message/rfc822\n\n"+sweptPhish+"\n--b--\n")
	give("journal/new/2.M2.h", "X-MS-Journal-Report:\nContent-Type: text/plain\n\nbroken\n")
	box := func(name, kind, who string) string {
		return fmt.Sprintf("    - {name: %s, tenant: acme, kind: %s, host: 127.0.0.1, port: %d, tls: none, user: %s, password_file: pw}\n", name, kind, port, who)
	}
	file, data := filepath.Join(dir, "breakwater.yaml"), filepath.Join(dir, "data")
	for name, text := range map[string]string{file: "tenants: [{id: acme, role: client, domains: [acme.example]}]\nmail:\n  mailboxes:\n" + box("imap", "sweep", "ana") + box("phish", "reports", "report") + box("jour", "journal", "journal"),
		filepath.Join(dir, "pw"): "secret\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := []string{"--config", file, "--data", data, "--tenant", "acme"}
	command := func(words ...string) string { return must(t, append(append([]string{"mail"}, words...), at...)...) }
	moves := func(out string) (list []sweep.Move) {
		t.Helper()
		for line := range strings.Lines(out) {
			var m sweep.Move
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			list = append(list, m)
		}
		return list
	}

	if out := command("reports"); !strings.Contains(out, "phish") || !strings.Contains(out, "<p1@evil.example>") {
		t.Errorf("reports says\n%s", out)
	}
	if out := command("reports", "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("a second pass over reports says %s", out)
	}
	if out := command("journal", "take"); !strings.Contains(out, `"recipients":["ana@acme.example","bo@acme.example","x@elsewhere.example"]`) || !strings.Contains(out, `"verdict":"phish"`) {
		t.Errorf("journal take says\n%s", out)
	}
	if dead, err := filepath.Glob(filepath.Join(data, "mail", "journal", "acme", "*.eml")); err != nil || len(dead) != 1 {
		t.Errorf("dead letters: %v, %v", dead, err)
	}
	if out := command("sweep", "--verdict", "phish", "--list", "csv"); strings.Count(out, "<p1@evil.example>") != 2 || strings.Contains(out, "elsewhere") {
		t.Errorf("the list is\n%s", out)
	}
	if out := command("sweep", "--verdict", "phish", "--list", "graph"); !strings.Contains(out, `"url":"/users/bo@acme.example/messages?`) {
		t.Errorf("the requests are\n%s", out)
	}
	if l := moves(command("sweep", "--verdict", "phish", "-o", "jsonl")); len(l) != 1 || l[0].MessageID != "p1@evil.example" || l[0].State == sweep.Moved {
		t.Fatalf("the dry run says %+v", l)
	}
	if l := moves(command("sweep", "--indicator", "evil.example", "--apply", "-o", "jsonl")); len(l) != 1 || l[0].State != sweep.Moved {
		t.Fatalf("the sweep says %+v", l)
	}
	var runs []sweep.Run
	if err := json.Unmarshal([]byte(command("sweep", "list", "-o", "json")), &runs); err != nil || len(runs) != 1 || runs[0].Kind != sweep.KindSweep {
		t.Fatalf("the runs are %+v, %v", runs, err)
	}
	if out := command("sweep", "show", runs[0].ID); !strings.Contains(out, "Your mailbox is full") {
		t.Errorf("show says\n%s", out)
	}
	if l := moves(command("sweep", "undo", runs[0].ID, "-o", "jsonl")); len(l) != 1 || l[0].To != "INBOX" || l[0].State != sweep.Moved {
		t.Errorf("the undo says %+v", l)
	}
	if l, err := filepath.Glob(filepath.Join(dir, "mail", "ana", "cur", "*:2,S")); err != nil || len(l) != 1 {
		t.Errorf("after the undo the inbox holds %v, %v", l, err)
	}
}
