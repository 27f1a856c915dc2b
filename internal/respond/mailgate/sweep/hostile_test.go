package sweep

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-smtp"

	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// scripted is a server that answers each command by a function of its words; an empty answer closes the connection.
func scripted(t *testing.T, answer func(tag, line string) string) config.Mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=PLAIN] hello\r\n")
				for s := bufio.NewScanner(c); s.Scan(); {
					tag, rest, _ := strings.Cut(s.Text(), " ")
					out := answer(tag, rest)
					if out == "" {
						return
					}
					if _, err := fmt.Fprint(c, out); err != nil {
						return
					}
				}
			}()
		}
	}()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("tok\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Mailbox{Name: "imap", Tenant: "acme", Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: config.MailPlain, Users: []string{"ana@acme.example"}, Password: secret,
		Quarantine: "Q", Handled: "H"}
}

func TestBearerTokens(t *testing.T) {
	for mechanism, want := range map[string]string{
		config.OAuthXOAuth2: "XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user=ana@acme.example\x01auth=Bearer tok\x01\x01")),
		config.OAuthBearer:  "OAUTHBEARER ",
	} {
		t.Run(mechanism, func(t *testing.T) {
			var got string
			box := scripted(t, func(tag, line string) string {
				if strings.HasPrefix(line, "AUTHENTICATE") {
					got = line
					return tag + " OK [CAPABILITY IMAP4rev1 MOVE] welcome\r\n"
				}
				return "* LIST () \"/\" INBOX\r\n" + tag + " NO not now\r\n"
			})
			box.Token, box.Password, box.OAuth = box.Password, "", mechanism
			s, err := open(t.Context(), accounts([]config.Mailbox{box})[0])
			if err != nil {
				t.Fatal(err)
			}
			s.close()
			if !strings.HasPrefix(got, "AUTHENTICATE "+want) {
				t.Errorf("it says %q, want %q", got, want)
			}
			_, encoded, _ := strings.Cut(strings.TrimPrefix(got, "AUTHENTICATE "), " ")
			if raw, err := base64.StdEncoding.DecodeString(encoded); err != nil || !strings.Contains(string(raw), "auth=Bearer tok\x01\x01") || !strings.Contains(string(raw), "ana@acme.example") {
				t.Errorf("it says %q", raw)
			}
		})
	}
}

func TestBombServersEndAtTheirCaps(t *testing.T) {
	for name, test := range map[string]struct{ list, search, fetch, want string }{
		"a set of all numbers":         {search: "* SEARCH " + "1 2\r\n* ESEARCH (TAG \"%tag\") UID ALL 1:4294967294\r\n", want: ""},
		"folders without end":          {list: strings.Repeat("* LIST () \"/\" f\r\n", maxFolders+1), want: "more than"},
		"a literal beyond all reason":  {list: "* LIST () \"/\" {4000000000}\r\n" + strings.Repeat("x", 1<<20), want: "mailbox imap/"},
		"an answer to nobody":          {list: "T999 OK\r\n", want: "mailbox imap/"},
		"nonsense":                     {list: "\x00\xff)))\r\n", want: "mailbox imap/"},
		"a message it was not asked":   {search: "* SEARCH 1\r\n", fetch: "* 1 FETCH (UID 7 FLAGS ())\r\n", want: ""},
		"a message without its header": {search: "* SEARCH 1\r\n", fetch: "* 1 FETCH (UID 1 FLAGS ())\r\n", want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			box := scripted(t, func(tag, line string) string {
				switch verb, _, _ := strings.Cut(strings.TrimPrefix(line, "UID "), " "); verb {
				case "AUTHENTICATE":
					return tag + " OK [CAPABILITY IMAP4rev1 MOVE UIDPLUS] welcome\r\n"
				case "LIST":
					if test.list != "" {
						return test.list + tag + " OK\r\n"
					}
					return "* LIST () \"/\" INBOX\r\n" + tag + " OK done\r\n"
				case "SELECT", "EXAMINE":
					return "* 1 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n" + tag + " OK done\r\n"
				case "SEARCH":
					return strings.ReplaceAll(test.search, "%tag", tag) + tag + " OK done\r\n"
				case "FETCH":
					return test.fetch + tag + " OK done\r\n"
				}
				return tag + " OK done\r\n"
			})
			s := sweeper(t, t.TempDir(), box)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // a literal that never ends is waited for
			defer cancel()
			res, err := s.Run(ctx, Request{Criteria: Criteria{MessageIDs: []string{"x@y"}}})
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Messages) != 0 || !strings.Contains(strings.Join(res.Problems, "; "), test.want) {
				t.Errorf("found %v, problems %q", res.Messages, res.Problems)
			}
		})
	}
}

func TestBombSetsAreNotExpanded(t *testing.T) {
	for _, set := range []imap.UIDSet{{{Start: 1, Stop: 4294967295}}, {{Start: 5, Stop: 0}}, {{Start: 9, Stop: 2}}, {{Start: 1, Stop: maxUIDs}, {Start: 1, Stop: maxUIDs}}} {
		if list, err := expand(set); err == nil {
			t.Errorf("%v became %d numbers", set, len(list))
		}
	}
	if list, err := expand(imap.UIDSet{{Start: 4294967294, Stop: 4294967295}, {Start: 7, Stop: 7}}); err != nil || len(list) != 3 {
		t.Errorf("three numbers became %v, %v", list, err)
	}
}

type inbox struct{ got chan string }

func (b inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &letterbox{b, ""}, nil }

type letterbox struct {
	inbox
	env string
}

func (l *letterbox) Reset()        {}
func (l *letterbox) Logout() error { return nil }
func (l *letterbox) Mail(from string, _ *smtp.MailOptions) error {
	l.env = "from <" + from + ">"
	return nil
}
func (l *letterbox) Rcpt(to string, _ *smtp.RcptOptions) error {
	l.env += " to <" + to + ">"
	return nil
}

func TestAnswersAreSentFromNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := inbox{make(chan string, 1)}
	srv := smtp.NewServer(b)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	m := MailSender{config.MailThanks{From: "security@acme.example", Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: config.MailPlain}}
	if err := m.Send(t.Context(), Thanks{To: "ana@acme.example", Subject: "x", InReplyTo: "<r1@acme.example>", Text: []string{"Thank you."}, Key: "k", Time: noon}); err != nil {
		t.Fatal(err)
	}
	got := <-b.got
	if !strings.HasPrefix(got, "from <> to <ana@acme.example>") || !strings.Contains(got, "In-Reply-To: <r1@acme.example>") || !strings.Contains(got, "Auto-Submitted: auto-replied") {
		t.Errorf("sent %q", got)
	}
	if err := m.Send(t.Context(), Thanks{To: "ana@acme.example\r\nDATA"}); err == nil {
		t.Error("a line break in the address was sent")
	}
	m.To.TLS = config.MailStartTLS
	if err := m.Send(t.Context(), Thanks{To: "ana@acme.example", Key: "k"}); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("without STARTTLS: %v", err)
	}
}

// Data implements smtp.Session.
func (l *letterbox) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	l.got <- l.env + "\n" + string(raw)
	return err
}
