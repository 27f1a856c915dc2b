package sweep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// Bounds of a conversation with a server.
const (
	dialWithin   = 20 * time.Second
	answerWithin = 2 * time.Minute // of one command without message bodies
	bodiesWithin = 5 * time.Minute // of one command with them
	maxAnswer    = 32 << 20        // bytes of an answer without message bodies
	maxSecret    = 64 << 10        // bytes of a password or token file
	maxFolders   = 5_000           // of one mailbox
	maxUIDs      = 2_000_000       // that one answer names
)

// account is one user's mailbox on a server.
type account struct {
	box  *config.Mailbox
	user string
}

// name is how an account is called in journals and answers.
func (a account) name() string { return a.box.Name + "/" + a.user }

// session is a signed-in connection. It belongs to one goroutine.
type session struct {
	acc   account
	c     *imapclient.Client
	meter *meter
	done  []func()
	at    string // the selected folder
	valid uint32 // its UIDVALIDITY
}

// meter bounds what a server may send while a command runs: a server that was taken over must not fill our memory.
type meter struct {
	net.Conn
	left atomic.Int64
}

var errFlood = errors.New("the server sent more than the command can answer")

func (m *meter) Read(p []byte) (int, error) {
	if m.left.Load() <= 0 {
		return 0, errFlood
	}
	n, err := m.Conn.Read(p)
	m.left.Add(-int64(n))
	return n, err
}

// open connects and signs in. The session ends with the context.
func open(ctx context.Context, a account) (*session, error) {
	s, err := connect(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("mailbox %s: %w", a.name(), err)
	}
	if err := s.signIn(); err != nil {
		s.close()
		return nil, fmt.Errorf("mailbox %s: signing in at %s: %w", a.name(), a.box.Host, err)
	}
	return s, nil
}

func connect(ctx context.Context, a account) (*session, error) {
	b := a.box
	conf, err := tlsOf(b)
	if err != nil {
		return nil, err
	}
	dctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(dctx, "tcp", net.JoinHostPort(b.Host, strconv.Itoa(b.Port)))
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	m := &meter{Conn: raw}
	m.left.Store(maxAnswer)
	s := &session{acc: a, meter: m}
	s.done = append(s.done, func() { raw.Close() })
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	s.done = append(s.done, func() { stop() })
	opt := &imapclient.Options{TLSConfig: conf}
	end := s.within(maxAnswer, dialWithin)
	defer end()
	switch b.TLS {
	case config.MailTLS:
		t := tls.Client(m, conf)
		if err := t.HandshakeContext(dctx); err != nil {
			s.close()
			return nil, fmt.Errorf("agreeing on TLS: %w", err)
		}
		s.c = imapclient.New(t, opt)
	case config.MailStartTLS:
		// The library's own STARTTLS upgrades its buffers while another goroutine reads them.
		t, err := startTLS(m, conf)
		if err != nil {
			s.close()
			return nil, err
		}
		s.c = imapclient.New(t, opt)
	default:
		if ip := net.ParseIP(b.Host); b.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			s.close()
			return nil, errors.New("a password isn't sent without TLS: set tls: tls or starttls")
		}
		s.c = imapclient.New(m, opt)
	}
	if err := s.c.WaitGreeting(); err != nil {
		s.close()
		return nil, fmt.Errorf("waiting for the server's greeting: %w", err)
	}
	return s, nil
}

// startTLS asks for TLS before the library sees the connection (RFC 9051 6.2.1). What the server sent in clear beyond
// its answer is refused: it could be an intruder's.
func startTLS(m *meter, conf *tls.Config) (net.Conn, error) {
	_ = m.SetDeadline(time.Now().Add(dialWithin))
	line, err := readLine(m)
	if err != nil {
		return nil, fmt.Errorf("waiting for the server's greeting: %w", err)
	}
	if !strings.HasPrefix(strings.ToUpper(line), "* OK") {
		return nil, fmt.Errorf("the server greets with %q where STARTTLS needs OK", clip(line))
	}
	if _, err := m.Write([]byte("S1 STARTTLS\r\n")); err != nil {
		return nil, fmt.Errorf("asking for STARTTLS: %w", err)
	}
	for {
		line, err := readLine(m)
		if err != nil {
			return nil, fmt.Errorf("asking for STARTTLS: %w", err)
		}
		up := strings.ToUpper(line)
		if strings.HasPrefix(up, "* ") {
			continue
		}
		if !strings.HasPrefix(up, "S1 OK") {
			return nil, fmt.Errorf("the server refuses STARTTLS (%s); use tls, or another server", clip(line))
		}
		break
	}
	t := tls.Client(m, conf)
	if err := t.Handshake(); err != nil {
		return nil, fmt.Errorf("agreeing on TLS: %w", err)
	}
	_ = m.SetDeadline(time.Time{})
	// The library waits for a greeting, which came before TLS.
	return &greeted{Conn: t, pre: strings.NewReader("* OK STARTTLS\r\n")}, nil
}

// readLine reads a line byte by byte, so that nothing after it is taken.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) < 8<<10 {
		if _, err := io.ReadFull(r, one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return strings.TrimRight(string(line), "\r"), nil
		}
		line = append(line, one[0])
	}
	return "", errors.New("a line is longer than 8 KiB")
}

type greeted struct {
	net.Conn
	pre *strings.Reader
}

func (g *greeted) Read(p []byte) (int, error) {
	if g.pre.Len() > 0 {
		return g.pre.Read(p)
	}
	return g.Conn.Read(p)
}

func tlsOf(b *config.Mailbox) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: b.Host}
	if b.CA != "" {
		pem, err := readSmall(b.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the certificates to trust: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading the certificates to trust: %s holds none (PEM)", b.CA)
		}
	}
	if b.Pin != "" {
		want, err := hex.DecodeString(b.Pin)
		if err != nil {
			return nil, fmt.Errorf("the pin is no SHA-256 in hex: %w", err)
		}
		conf.InsecureSkipVerify = true // the pin below decides, and nothing else
		conf.VerifyConnection = func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return errors.New("the server shows no certificate")
			}
			got := sha256.Sum256(cs.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(got[:], want) != 1 {
				return fmt.Errorf("the server's certificate is %x and not the pinned one; if it was renewed, put the new pin into the configuration", got)
			}
			return nil
		}
	}
	return conf, nil
}

func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(raw) > maxSecret {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxSecret)
	}
	return raw, err
}

// signIn reads the secret anew each time, so that a renewed token is used at once.
func (s *session) signIn() error {
	b := s.acc.box
	file := b.Password
	if b.Token != "" {
		file = b.Token
	}
	raw, err := readSmall(file)
	if err != nil {
		return fmt.Errorf("reading the password or token: %w", err)
	}
	secret := string(bytes.TrimRight(raw, "\r\n"))
	if secret == "" || strings.ContainsAny(secret, "\r\n\x00") {
		return fmt.Errorf("%s holds no secret of one line", file)
	}
	defer s.within(maxAnswer, dialWithin)()
	switch {
	case b.Token != "" && b.OAuth == config.OAuthBearer:
		err = s.c.Authenticate(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: s.acc.user, Token: secret, Host: b.Host, Port: b.Port}))
	case b.Token != "":
		err = s.c.Authenticate(xoauth2{s.acc.user, secret})
	case b.Master != "":
		err = s.login(s.acc.user+"*"+b.Master, secret)
	default:
		err = s.login(s.acc.user, secret)
	}
	if err != nil {
		return err
	}
	if s.c.Caps() == nil {
		return errors.New("the server does not say what it can do")
	}
	return nil
}

func (s *session) login(user, password string) error {
	caps := s.c.Caps()
	if caps.Has(imap.AuthCap("PLAIN")) {
		return s.c.Authenticate(sasl.NewPlainClient("", user, password))
	}
	if caps.Has(imap.CapLoginDisabled) {
		return errors.New("the server takes no password on this connection")
	}
	return s.c.Login(user, password).Wait()
}

// xoauth2 is Google's and Microsoft's way to sign in with a bearer token.
type xoauth2 struct{ user, token string }

// Start implements sasl.Client.
func (x xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next answers the server's account of an error with an empty line, after which it refuses.
func (x xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }

// within bounds the command that follows: what the server may send, and how long it may take. Call the result when the
// command has ended.
func (s *session) within(bytes int64, d time.Duration) func() {
	s.meter.left.Store(bytes)
	t := time.AfterFunc(d, func() { s.meter.Conn.Close() })
	return func() { t.Stop() }
}

// logout says good-bye and closes.
func (s *session) logout() {
	end := s.within(maxAnswer, 5*time.Second)
	_ = s.c.Logout().Wait()
	end()
	s.close()
}

func (s *session) close() {
	for i := len(s.done) - 1; i >= 0; i-- {
		s.done[i]()
	}
	if s.c != nil {
		_ = s.c.Close()
	}
}

// clip shortens what a server said for a message.
func clip(v string) string {
	v = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, v)
	if r := []rune(v); len(r) > 200 {
		v = string(r[:200]) + "…"
	}
	return v
}
