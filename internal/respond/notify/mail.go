package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// The ways in which a mail server is spoken to.
const (
	StartTLS = "starttls" // without the server's STARTTLS nothing is sent
	TLS      = "tls"      // from the first byte
	Plain    = "none"     // for a server on this machine
)

// Mail delivers messages by SMTP: text and a short HTML part without links or pictures. The Message-ID comes from the
// notification's id, so that a second delivery after a crash is recognised as the same mail.
type Mail struct {
	Host     string
	Port     int
	TLS      string
	Username string // empty: no authentication
	Password []byte
	From     string   // a bare address
	To       []string // bare addresses
	Private  bool     // the server may have a private or loopback address

	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *tls.Config
}

// Check says what is wrong with the settings, if anything.
func (m *Mail) Check() error {
	for _, a := range append([]string{m.From}, m.To...) {
		if strings.ContainsAny(a, "\r\n<> \x00") || !strings.Contains(a, "@") {
			return fmt.Errorf("%q is no bare mail address", a)
		}
	}
	switch {
	case len(m.To) == 0:
		return errors.New("a mail channel needs a receiver")
	case m.TLS != StartTLS && m.TLS != TLS && m.TLS != Plain:
		return fmt.Errorf("%q is no way to speak to a mail server: use starttls, tls or none", m.TLS)
	case m.Username != "" && m.TLS == Plain:
		return errors.New("a password isn't sent without TLS: use starttls or tls")
	}
	return nil
}

// Deliver implements Transport.
func (m *Mail) Deliver(ctx context.Context, msg *Message) error {
	if err := m.Check(); err != nil {
		return &Refused{err.Error()}
	}
	text, err := m.compose(msg)
	if err != nil {
		return &Refused{err.Error()}
	}
	err = m.send(ctx, text)
	var code *textproto.Error
	// RFC 5321 4.2.1: 5yz is final. A refused sign-in may be mended on our side.
	if errors.As(err, &code) && code.Code >= 550 && code.Code != 554 {
		return &Refused{err.Error()}
	}
	return err
}

func (m *Mail) send(ctx context.Context, text []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("mailing by %s: %w", m.Host, err)
		}
	}()
	dial := m.dial
	if dial == nil {
		dial = (&bounded.Dialer{Private: m.Private}).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(m.Host, strconv.Itoa(m.Port)))
	if err != nil {
		return err
	}
	defer conn.Close()
	wire := conn
	stop := context.AfterFunc(ctx, func() { _ = wire.SetDeadline(time.Unix(1, 0)) }) // ends what is being waited for
	defer stop()
	conn = bounded.LimitConn(conn, 256<<10)
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if m.roots != nil {
		conf = m.roots.Clone()
	}
	conf.ServerName = m.Host
	if m.TLS == TLS {
		conn = tls.Client(conn, conf)
	}
	c, err := smtp.NewClient(conn, m.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Hello(domainOf(m.From)); err != nil {
		return err
	}
	if m.TLS == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errors.New("the server offers no STARTTLS, and nothing is sent in the clear; use tls, or another server")
		}
		if err := c.StartTLS(conf); err != nil {
			return err
		}
	}
	if m.Username != "" {
		if err := c.Auth(smtp.PlainAuth("", m.Username, strings.TrimSpace(string(m.Password)), m.Host)); err != nil {
			return err
		}
	}
	if err := c.Mail(m.From); err != nil {
		return err
	}
	for _, to := range m.To {
		if err := c.Rcpt(to); err != nil {
			return err
		}
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

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

var page = template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html><body><h2>{{.Title}}</h2>
<p>Severity: <b>{{.Severity}}</b></p>
{{range .Text}}<p>{{.}}</p>
{{end}}{{with .Outcomes}}<table border="1" cellpadding="4"><tr><th>Organisation</th><th>Outcome</th></tr>
{{range .}}<tr><td>{{.Tenant}}</td><td>{{.Outcome}}</td></tr>
{{end}}</table>
{{end}}<p>{{.Kind}} {{.Subject}}</p></body></html>
`))

// compose writes the mail (RFC 5322, with parts by RFC 2046 5.1.4).
func (m *Mail) compose(msg *Message) ([]byte, error) {
	var b Body
	if err := json.Unmarshal(msg.Body, &b); err != nil {
		return nil, fmt.Errorf("reading the notification %s: %w", msg.ID, err)
	}
	var out bytes.Buffer
	boundary := "bw-" + hash("boundary", msg.ID)
	subject := oneLine(msg.Subject)
	if r := []rune(subject); len(r) > 200 {
		subject = string(r[:200]) + "…"
	}
	for _, h := range [][2]string{
		{"From", "<" + m.From + ">"},
		{"To", "<" + strings.Join(m.To, ">, <") + ">"},
		{"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", msg.Created.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + hash("mail", msg.ID) + "@" + domainOf(m.From) + ">"},
		{"X-Breakwater-Notification", oneLine(msg.ID)},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: no out-of-office answers
		{"MIME-Version", "1.0"},
		{"Content-Type", `multipart/alternative; boundary="` + boundary + `"`},
	} {
		out.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	var text, html bytes.Buffer
	fmt.Fprintf(&text, "%s\n\nSeverity: %s\n\n", b.Title, b.Severity)
	for _, line := range b.Text {
		fmt.Fprintf(&text, "%s\n\n", line)
	}
	fmt.Fprintf(&text, "%s %s\n", b.Kind, b.Subject)
	if err := page.Execute(&html, b); err != nil {
		return nil, fmt.Errorf("writing the notification %s: %w", msg.ID, err)
	}
	for _, part := range []struct {
		kind string
		text []byte
	}{{"text/plain", text.Bytes()}, {"text/html", html.Bytes()}} {
		fmt.Fprintf(&out, "\r\n--%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary, part.kind)
		w := quotedprintable.NewWriter(&out)
		if _, err := w.Write(bytes.ReplaceAll(part.text, []byte("\n"), []byte("\r\n"))); err != nil {
			return nil, fmt.Errorf("writing the notification %s: %w", msg.ID, err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("writing the notification %s: %w", msg.ID, err)
		}
	}
	fmt.Fprintf(&out, "\r\n--%s--\r\n", boundary)
	return out.Bytes(), nil
}
