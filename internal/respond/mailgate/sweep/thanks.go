package sweep

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// thanksField marks our answers, so that one that comes back is known.
const thanksField = "X-Breakwater-Thanks"

// sendWithin is how long an answer may take to be sent.
const sendWithin = 30 * time.Second

// MailSender sends answers by SMTP.
type MailSender struct{ To config.MailThanks }

// Send implements Sender.
func (m MailSender) Send(ctx context.Context, t Thanks) error {
	if strings.ContainsAny(t.To, "\r\n<> \x00") || !strings.Contains(t.To, "@") {
		return fmt.Errorf("thanking: %q is no bare mail address", clip(t.To))
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	if err := m.send(ctx, t.To, m.compose(t)); err != nil {
		return fmt.Errorf("thanking by %s: %w", m.To.Host, err)
	}
	return nil
}

func (m MailSender) send(ctx context.Context, to string, text []byte) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(m.To.Host, strconv.Itoa(m.To.Port)))
	if err != nil {
		return err
	}
	wire := conn
	defer wire.Close()
	stop := context.AfterFunc(ctx, func() { wire.Close() })
	defer stop()
	conn = bounded.LimitConn(conn, 256<<10)
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: m.To.Host}
	if m.To.TLS == config.MailTLS {
		conn = tls.Client(conn, conf)
	}
	c, err := smtp.NewClient(conn, m.To.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello(m.To.From[strings.LastIndexByte(m.To.From, '@')+1:]); err != nil {
		return err
	}
	if m.To.TLS == config.MailStartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errors.New("the server offers no STARTTLS, and nothing is sent in the clear; use tls, or another server")
		}
		if err := c.StartTLS(conf); err != nil {
			return err
		}
	}
	if m.To.Username != "" {
		secret, err := readSmall(m.To.Password)
		if err != nil {
			return fmt.Errorf("reading the password: %w", err)
		}
		if err := c.Auth(smtp.PlainAuth("", m.To.Username, strings.TrimSpace(string(secret)), m.To.Host)); err != nil {
			return err
		}
	}
	// An empty return path: what can't be delivered comes back to nobody (RFC 3834 3.3).
	if err := c.Mail(""); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // it has the mail
	return nil
}

// compose writes the answer: text alone, marked as automatic (RFC 3834 3.1).
func (m MailSender) compose(t Thanks) []byte {
	var b bytes.Buffer
	subject := "Your report"
	if s := plainText(t.Subject); s != "" {
		subject += ": " + s
	}
	head := [][2]string{
		{"From", "<" + m.To.From + ">"},
		{"To", "<" + t.To + ">"},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", t.Time.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + fmt.Sprintf("%.32s", t.Key) + "@" + m.To.From[strings.LastIndexByte(m.To.From, '@')+1:] + ">"},
		{"Auto-Submitted", "auto-replied"},
		{"X-Auto-Response-Suppress", "All"},
		{thanksField, "1"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	}
	if id := t.InReplyTo; len(id) > 2 && len(id) < 500 && !strings.ContainsAny(id, " \r\n\t") {
		head = append(head, [2]string{"In-Reply-To", id}, [2]string{"References", id})
	}
	for _, h := range head {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.Join(t.Text, "\r\n\r\n") + "\r\n")) // a buffer takes it
	_ = w.Close()
	return b.Bytes()
}
