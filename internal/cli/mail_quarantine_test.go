package cli

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// heldData is a data folder with four held messages, three of acme and one of borg, and a mail server that is two
// scripts which write down what they are asked.
type heldData struct {
	dir, config, asked string
	names              map[string]string
}

func holdMail(t *testing.T) *heldData {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the mail server's commands are shell scripts here")
	}
	root := t.TempDir()
	d := &heldData{dir: filepath.Join(root, "data"), config: filepath.Join(root, "breakwater.yaml"), asked: filepath.Join(root, "asked"), names: map[string]string{}}
	tool := filepath.Join(root, "queue")
	if err := os.WriteFile(tool, []byte("#!/bin/sh\necho \"$@\" >> "+d.asked+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.config, fmt.Appendf(nil, `tenants:
  - {id: acme, role: client, domains: [acme.example]}
  - {id: borg, role: client, domains: [borg.example]}
mail: {id: mx.acme.example, mode: enforce, hold: {release: [%[1]q, -H, "{id}"], delete: [%[1]q, -d, "{id}"]}}
`, tool), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "apply", "--data", d.dir, d.config)
	s, err := quarantine.Open(filepath.Join(d.dir, "quarantine"), 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []tenant.ID{"acme", "acme", "acme", "borg"} {
		b, err := s.Box(id)
		if err != nil {
			t.Fatal(err)
		}
		subject := fmt.Sprintf("Statement %d for you \x1b[31m", i)
		raw := fmt.Sprintf("From: Eve <eve@sender.example>\r\nTo: jo@%s.example\r\nSubject: %s\r\nMessage-ID: <%d@sender.example>\r\nDate: Mon, 4 May 2026 09:59:00 +0000\r\nContent-Type: text/html\r\n\r\n<p>Please <a href=\"https://evil.example/%d\">sign in \x1b]0;owned\x07</a></p><script>alert(1)</script>\r\n", id, subject, i, i)
		name, err := b.Keep(quarantine.Item{Time: time.Now().Add(-time.Duration(i) * time.Hour), Place: quarantine.PlaceMTA, QueueID: fmt.Sprintf("4QAbc%d", i), EnvelopeFrom: "eve@sender.example", From: "eve@sender.example",
			FromName: "Eve", Subject: subject, Recipients: []string{"jo@" + string(id) + ".example"}, Hosts: []string{"evil.example"},
			Verdict: &ocsf.MailVerdict{Verdict: "phish", Score: 0.97, Reasons: []ocsf.MailReason{{Name: "sign-in-elsewhere", Weight: 2.5, Text: "it asks for a sign-in"}}}}, []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		d.names[fmt.Sprint(id, i)] = name
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestMailQuarantineCommands does the same at a running server and with the folder of a stopped one: both answer alike.
func TestMailQuarantineCommands(t *testing.T) {
	for _, way := range []string{"server", "folder"} {
		t.Run(way, func(t *testing.T) {
			d := holdMail(t)
			at := []string{"--data", d.dir}
			by := whoami()
			if way == "server" {
				s := begin(t, d.dir, false)
				token, id := tokenFor(t, d.dir, "analyst")
				at, by = []string{"--server", s.url, "--token", token}, id
				viewer, _ := tokenFor(t, d.dir, "analyst", "--tenant", "borg")
				for _, verb := range []string{"show", "release", "delete", "similar", "report --missed"} { // another's, as if it never was
					args := append([]string{"mail", "quarantine"}, strings.Fields(verb)...)
					_, foreign, code := perform(t, append(args, d.names["acme0"], "--server", s.url, "--token", viewer)...)
					_, unknown, code2 := perform(t, append(args, "0123456789abcdef", "--server", s.url, "--token", viewer)...)
					if code != exitError || code2 != exitError || strings.ReplaceAll(foreign, d.names["acme0"], "0123456789abcdef") != unknown {
						t.Errorf("%s of another's: %d %q, of one that never was: %d %q", verb, code, foreign, code2, unknown)
					}
				}
				if _, errs, code := perform(t, "mail", "quarantine", "list", "--data", d.dir); code != exitError || !strings.Contains(errs, "--server") {
					t.Errorf("the folder of a server at work: %d %s", code, errs)
				}
				if out, errs, code := perform(t, "mail", "quarantine", "list", "--server", s.url, "--token", viewer, "-o", "csv"); code != exitDone || strings.Contains(out, "acme") || strings.Count(out, "\n") != 2 {
					t.Errorf("borg's list: %d %s %s", code, out, errs)
				}
			}
			do := func(args ...string) string {
				t.Helper()
				return must(t, append(append([]string{"mail", "quarantine"}, args...), at...)...)
			}
			if out := do("list"); strings.Count(out, "\n") != 5 || !strings.HasPrefix(out, "NAME ") || strings.Contains(out, "\x1b") {
				t.Errorf("list: %q", out)
			}
			if out := do("list", "--text", "statement 1", "-o", "jsonl"); strings.Count(out, "\n") != 1 || !strings.Contains(out, d.names["acme1"]) {
				t.Errorf("list: %q", out)
			}
			out := do("show", d.names["acme0"][:8])
			for _, want := range []string{"+2.5  it asks for a sign-in (sign-in-elsewhere)", "From: Eve <eve@sender.example>", "  | Please sign in", "leads to evil.example\n    https://evil.example/0", "recipients jo@acme.example"} {
				if !strings.Contains(out, want) {
					t.Errorf("show lacks %q:\n%s", want, out)
				}
			}
			if strings.ContainsAny(out, "\x1b\x07<>") && strings.Contains(out, "script") || strings.ContainsAny(out, "\x1b\x07") {
				t.Errorf("show drives the terminal, or shows markup: %q", out)
			}
			if out := do("similar", d.names["acme0"], "-o", "csv"); strings.Count(out, "\n") != 4 || !strings.Contains(out, "same link host evil.example") || !strings.Contains(out, "borg") {
				t.Errorf("similar: %s", out)
			}
			if errs := do2(t, at, "release", d.names["acme0"], "--false-alarm"); !strings.Contains(errs, "1 released") {
				t.Errorf("release: %s", errs)
			}
			if errs := do2(t, at, "delete", "--all-matching", "--tenant", "acme", "--yes"); !strings.Contains(errs, "2 deleted") {
				t.Errorf("delete: %s", errs)
			}
			do("report", "--missed", d.names["borg3"])
			asked, err := os.ReadFile(d.asked)
			if err != nil || string(asked) != "-H 4QAbc0\n-d 4QAbc1\n-d 4QAbc2\n" {
				t.Errorf("the mail server was asked %q, %v", asked, err)
			}
			audit := do("audit", d.names["acme0"], "-o", "csv")
			for _, want := range []string{"held,breakwater", "shown," + by, "release," + by, "released," + by, "false-alarm," + by} {
				if !strings.Contains(audit, want) {
					t.Errorf("the audit lacks %q:\n%s", want, audit)
				}
			}
			if out := do("list", "--state", "all", "-o", "csv"); strings.Count(out, ",deleted,") != 2 || strings.Count(out, ",released,") != 1 || strings.Count(out, ",held,") != 2 { // one is the column
				t.Errorf("in the end: %s", out)
			}
			_, errs, code := perform(t, append([]string{"mail", "quarantine", "release", d.names["acme0"]}, at...)...)
			if code != exitError || !strings.Contains(errs, "is released") {
				t.Errorf("a second release: %d %s", code, errs)
			}
		})
	}
}

// do2 returns what a command says beside its output.
func do2(t *testing.T, at []string, args ...string) string {
	t.Helper()
	_, errs, code := perform(t, append(append([]string{"mail", "quarantine"}, args...), at...)...)
	if code != exitDone {
		t.Fatalf("%v: %d %s", args, code, errs)
	}
	return errs
}

// TestMailQuarantineOfAServer: serve opens what is held, sets aside what is damaged, counts it, expires what is old, and
// shows the page.
func TestMailQuarantineOfAServer(t *testing.T) {
	d := holdMail(t)
	items := filepath.Join(d.dir, "quarantine", "tenants", "acme", "items")
	if err := os.WriteFile(filepath.Join(items, d.names["acme1"]+".json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(items, d.names["acme2"]+".json")
	raw, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Now().Add(30*24*time.Hour - 2*time.Hour).UTC().Format("2006-01-02T")
	if err := os.WriteFile(old, []byte(strings.Replace(string(raw), `"expires":"`+expires, `"expires":"2020-01-01T`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := begin(t, d.dir, false)
	eventually(t, "what is old has expired", patience, func() bool { return strings.Contains(s.log.String(), "held mail has expired") })
	if !strings.Contains(s.log.String(), "a file of the quarantine was set aside") || !strings.Contains(s.log.String(), d.names["acme1"]) {
		t.Errorf("the damaged record is not told:\n%s", s.log)
	}
	asked, err := os.ReadFile(d.asked)
	if err != nil || string(asked) != "-d 4QAbc2\n" {
		t.Errorf("the mail server was asked %q, %v", asked, err)
	}
	for path, want := range map[string]string{
		"/metrics":                               `breakwater_mail_held_messages{tenant="acme",state="held"} 1`,
		"/quarantine?state=all":                  "Statement 0 for you",
		"/quarantine/" + d.names["acme0"]:        "Please sign in",
		"/api/v1/quarantine?tenant=borg":         `"total":1`,
		"/api/v1/quarantine/" + d.names["borg3"]: `"links":[{"url":"https://evil.example/3"`,
	} {
		if a, err := s.ask(http.MethodGet, path, s.admin, ""); err != nil || !strings.Contains(a.body, want) {
			t.Errorf("%s lacks %q: %v\n%s", path, want, err, a.body)
		}
	}
	in, err := s.ask(http.MethodPost, "/login", "", "token="+s.admin, "Content-Type", "application/x-www-form-urlencoded")
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, _ := strings.Cut(in.header.Get("Set-Cookie"), ";")
	if a, err := s.ask(http.MethodGet, "/", "", "", "Cookie", cookie); err != nil || !strings.Contains(a.body, `<a href="/quarantine">Quarantine</a>`) {
		t.Errorf("the live page leads to no quarantine: %v %d", err, a.status)
	}
}
