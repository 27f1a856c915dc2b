package notify

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// smtpd speaks just enough SMTP to one client at a time. Answers replace what it says to a command.
type smtpd struct {
	conf     *tls.Config
	implicit bool
	noTLS    bool
	answers  map[string]string
	commands chan string
	mails    chan string
}

func (s *smtpd) start(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.commands, s.mails = make(chan string, 100), make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			if s.implicit {
				c = tls.Server(c, s.conf)
			}
			s.serve(c, s.implicit)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *smtpd) serve(c net.Conn, secure bool) {
	r := bufio.NewReader(c)
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	say("220 test")
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return
		}
		text = strings.TrimRight(text, "\r\n")
		s.commands <- text
		verb := strings.ToUpper(strings.SplitN(text, " ", 2)[0])
		if a := s.answers[verb]; a != "" {
			say(a)
			continue
		}
		switch verb {
		case "EHLO":
			if !secure && !s.noTLS {
				say("250-test\r\n250 STARTTLS")
			} else {
				say("250-test\r\n250 AUTH PLAIN")
			}
		case "STARTTLS":
			say("220 go")
			s.serveTLS(c)
			return
		case "AUTH":
			say("235 ok")
		case "DATA":
			say("354 go")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(line)
			}
			s.mails <- b.String()
			say("250 queued")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// serveTLS goes on within TLS; the greeting isn't given again.
func (s *smtpd) serveTLS(c net.Conn) {
	t := tls.Server(c, s.conf)
	if t.Handshake() == nil {
		s.serve(&mute{Conn: t, skip: true}, true)
	}
}

type mute struct {
	net.Conn
	skip bool
}

func (m *mute) Write(p []byte) (int, error) {
	if m.skip {
		m.skip = false
		return len(p), nil
	}
	return m.Conn.Write(p)
}

func mailTo(t *testing.T, s *smtpd, how string) *Mail {
	t.Helper()
	cert := httptest.NewTLSServer(nil)
	t.Cleanup(cert.Close)
	s.conf = &tls.Config{Certificates: cert.TLS.Certificates}
	m := &Mail{Host: "example.com", Port: s.start(t), TLS: how, Username: "bw", Password: []byte("geheim\n"), From: "bw@msp.example", To: []string{"it@acme.example", "soc@acme.example"},
		roots: cert.Client().Transport.(*http.Transport).TLSClientConfig}
	m.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&bounded.Dialer{Private: true}).DialContext(ctx, network, strings.Replace(address, "example.com", "127.0.0.1", 1))
	}
	return m
}

func sample(t *testing.T) *Message {
	t.Helper()
	list := NewPlanner([]Channel{one("m", "acme")}, Rules{}).Plan(view(drawn("c", noon, "acme=succeeded")), noon)
	if len(list) != 1 {
		t.Fatalf("%d messages", len(list))
	}
	return &list[0]
}

func TestMailIsSentOverTLSAlone(t *testing.T) {
	for _, how := range []string{StartTLS, TLS} {
		s := &smtpd{implicit: how == TLS}
		m := mailTo(t, s, how)
		msg := sample(t)
		if err := m.Deliver(t.Context(), msg); err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		got := <-s.mails
		parsed, err := mail.ReadMessage(strings.NewReader(got))
		if err != nil {
			t.Fatal(err)
		}
		h := parsed.Header
		id := h.Get("Message-Id")
		if !strings.HasSuffix(id, "@msp.example>") || h.Get("To") != "<it@acme.example>, <soc@acme.example>" || h.Get("Auto-Submitted") != "auto-generated" || !strings.Contains(h.Get("Subject"), "critical") {
			t.Errorf("%s: %v", how, h)
		}
		again, err := m.compose(msg)
		if err != nil || !strings.Contains(string(again), "Message-ID: "+id+"\r\n") {
			t.Errorf("%s: a second delivery has another Message-ID (%v)", how, err)
		}
		_, params, err := mime.ParseMediaType(h.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		r := multipart.NewReader(parsed.Body, params["boundary"])
		for _, want := range []string{"text/plain", "text/html"} {
			p, err := r.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(quotedprintable.NewReader(p))
			if err != nil || !strings.HasPrefix(p.Header.Get("Content-Type"), want) || !strings.Contains(string(b), "acme succeeded") {
				t.Errorf("%s: %s %v %s", how, want, err, b)
			}
		}
	}
}

func TestMailWithoutSTARTTLSIsNotSent(t *testing.T) {
	s := &smtpd{noTLS: true}
	err := mailTo(t, s, StartTLS).Deliver(t.Context(), sample(t))
	var refused *Refused
	if err == nil || !strings.Contains(err.Error(), "offers no STARTTLS") || errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	for len(s.commands) > 0 {
		if c := <-s.commands; strings.HasPrefix(c, "AUTH") || strings.HasPrefix(c, "MAIL") {
			t.Errorf("in the clear: %s", c)
		}
	}
}

func TestMailAnswers(t *testing.T) {
	for _, c := range []struct {
		verb, answer string
		final        bool
	}{{"RCPT", "550 no such user", true}, {"RCPT", "450 later", false}, {"AUTH", "535 wrong password", false}, {"DATA", "554 not now", false}, {"MAIL", "552 too large", true}} {
		s := &smtpd{answers: map[string]string{c.verb: c.answer}}
		err := mailTo(t, s, StartTLS).Deliver(t.Context(), sample(t))
		var refused *Refused
		if err == nil || errors.As(err, &refused) != c.final || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s → %s: %v", c.verb, c.answer, err)
		}
	}
}

func TestMailToAServerThatHangsEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := &Mail{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: StartTLS, From: "a@b.example", To: []string{"c@d.example"}, Private: true}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.Deliver(ctx, sample(t)); err == nil {
		t.Error("delivered to nobody")
	}
}

func TestBombMailServerThatTalksForEver(t *testing.T) {
	s := &smtpd{answers: map[string]string{"EHLO": strings.Repeat("250-x\r\n", 1<<20)}}
	if err := mailTo(t, s, StartTLS).Deliver(t.Context(), sample(t)); !errors.Is(err, bounded.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

func TestSSRFMailReachesNoPrivateServer(t *testing.T) {
	s := &smtpd{}
	m := mailTo(t, s, StartTLS)
	m.dial, m.Host = nil, "127.0.0.1"
	if err := m.Deliver(t.Context(), sample(t)); !errors.Is(err, bounded.ErrAddressRefused) {
		t.Errorf("%v", err)
	}
}

func TestMailSettings(t *testing.T) {
	good := Mail{Host: "h", TLS: TLS, From: "a@b.example", To: []string{"c@d.example"}}
	for name, change := range map[string]func(*Mail){
		"no receiver":           func(m *Mail) { m.To = nil },
		"a receiver with a CR":  func(m *Mail) { m.To = []string{"a@b\r\nBcc: x@y"} },
		"a sender with a name":  func(m *Mail) { m.From = "A <a@b.example>" },
		"no way":                func(m *Mail) { m.TLS = "ssl" },
		"a password, in clear":  func(m *Mail) { m.TLS, m.Username = Plain, "u" },
		"a receiver that isn't": func(m *Mail) { m.To = []string{"postmaster"} },
	} {
		m := good
		change(&m)
		if err := m.Check(); err == nil {
			t.Errorf("%s: taken", name)
		}
		var refused *Refused
		if err := m.Deliver(t.Context(), &Message{}); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func TestXSSMailEscapesWhatOthersWrote(t *testing.T) {
	m := &Mail{From: "a@b.example", To: []string{"c@d.example"}}
	b := Body{Title: "<script>alert(1)</script>", Text: []string{`<img src="https://evil.example/x">`}}
	text, err := m.compose(&Message{ID: "x", Subject: "a\r\nBcc: x@y.example", Body: b.encode()})
	if err != nil {
		t.Fatal(err)
	}
	_, html, _ := strings.Cut(string(text), "text/html")
	if strings.Contains(html, "<script") || strings.Contains(html, "<img") || strings.Contains(string(text), "\r\nBcc:") {
		t.Error(fmt.Sprint(string(text)))
	}
}
