package journal

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of the receiver.
const (
	maxConnections = 100 // at once
	maxEach        = 20  // of one address
	maxRcpt        = 100 // recipients of one message: journal addresses, not those of the mail
	ioWithin       = 2 * time.Minute
	handleWithin   = time.Minute
)

// Delivery is one copy that came.
type Delivery struct {
	Tenant   tenant.ID
	Client   netip.Addr // not valid where it came by a mailbox
	Envelope Envelope
	Report   *Report
	Whole    []byte // the copy as it came
}

// Options of a Server.
type Options struct {
	Config config.MailJournal
	Name   string // by which we greet
	// Handle deals with a copy. On an error the sender is told to come again; where the error is of ErrParse the copy
	// becomes a dead letter instead.
	Handle func(context.Context, Delivery) error
	Dead   *DeadLetters
	Told   func(tenant.ID) // hears of each new dead letter; nil: nobody does
	Log    *slog.Logger    // nil: none
}

// Server takes in journal copies by SMTP.
type Server struct {
	o       Options
	smtp    *smtp.Server
	l       net.Listener
	ctx     context.Context
	stop    context.CancelFunc
	mu      sync.Mutex
	from    map[netip.Addr]int
	all     int
	Counted Counters
}

// Counters say what a server did since its start.
type Counters struct {
	Taken, Dead, Later, Refused atomic.Int64
}

// Listen opens the receiver's port. Nothing is taken in until Serve is called.
func Listen(o Options) (*Server, error) {
	if o.Handle == nil || o.Dead == nil {
		return nil, errors.New("receiving journal reports: a handler and a folder for dead letters are needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, from: map[netip.Addr]int{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.session))
	s.smtp.Domain = o.Name
	s.smtp.MaxMessageBytes, s.smtp.MaxRecipients = o.Config.MaxMessage, maxRcpt
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = ioWithin, ioWithin
	s.smtp.EnableSMTPUTF8, s.smtp.EnableBINARYMIME = true, true
	s.smtp.ErrorLog = quiet{o.Log}
	if t := o.Config.TLS; t != nil {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("receiving journal reports: reading the certificate: %w", err)
		}
		s.smtp.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	l, err := net.Listen("tcp", o.Config.Listen)
	if err != nil {
		return nil, fmt.Errorf("receiving journal reports: %w; choose another mail.journal.listen, or stop what listens there", err)
	}
	s.l = l
	return s, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.l.Addr() }

// Serve takes copies in until Close.
func (s *Server) Serve() error {
	err := s.smtp.Serve(&door{s.l, s})
	if errors.Is(err, net.ErrClosed) || errors.Is(err, smtp.ErrServerClosed) || s.ctx.Err() != nil {
		return nil
	}
	return err
}

// Close ends the server. Copies that were not answered are sent again by their senders.
func (s *Server) Close() error {
	s.stop()
	err := s.smtp.Close()
	if cerr := s.l.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	return err
}

// tenantOf returns whose mail a sender brings: by the narrowest prefix that it lies in.
func (s *Server) tenantOf(a netip.Addr) (tenant.ID, bool) {
	best, id := -1, tenant.ID("")
	for _, b := range s.o.Config.Bindings {
		if b.Source.Contains(a) && b.Source.Bits() > best {
			best, id = b.Source.Bits(), b.Tenant
		}
	}
	return id, best >= 0
}

// door refuses senders before a word is exchanged: those who are bound to nobody, and who come too often at once.
type door struct {
	net.Listener
	s *Server
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		a := addressOf(c)
		if _, ok := d.s.tenantOf(a); !ok {
			d.s.Counted.Refused.Add(1)
			d.s.o.Log.Warn("a sender of journal reports is bound to no tenant", "client", a)
			turnAway(c, "554 5.7.1 You are not bound to a tenant here\r\n")
			continue
		}
		if !d.s.enter(a) {
			turnAway(c, "421 4.7.0 Too many connections\r\n")
			continue
		}
		return &counted{Conn: c, leave: func() { d.s.leave(a) }}, nil
	}
}

func turnAway(c net.Conn, why string) {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(c, why)
	_ = c.Close()
}

func addressOf(c net.Conn) netip.Addr {
	if t, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func (s *Server) enter(a netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxConnections || s.from[a] >= maxEach {
		return false
	}
	s.all++
	s.from[a]++
	return true
}

func (s *Server) leave(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.from[a]--; s.from[a] <= 0 {
		delete(s.from, a)
	}
}

type counted struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}

type quiet struct{ log *slog.Logger }

func (q quiet) Printf(f string, v ...any) { q.log.Debug("smtp: " + fmt.Sprintf(f, v...)) }
func (q quiet) Println(v ...any)          { q.log.Debug("smtp: " + fmt.Sprint(v...)) }

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	var a netip.Addr
	if t, ok := c.Conn().RemoteAddr().(*net.TCPAddr); ok {
		a = t.AddrPort().Addr().Unmap()
	}
	id, ok := s.tenantOf(a)
	if !ok {
		return nil, &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "You are not bound to a tenant here"}
	}
	return &session{s: s, client: a, tenant: id}, nil
}

type session struct {
	s      *Server
	client netip.Addr
	tenant tenant.ID
	env    Envelope
}

func (x *session) Reset()        { x.env = Envelope{} }
func (x *session) Logout() error { return nil }

func (x *session) Mail(from string, _ *smtp.MailOptions) error {
	x.env.From = from
	return nil
}

func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	x.env.To = append(x.env.To, to)
	return nil
}

var later = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "The message cannot be dealt with now; come again"}

// Data implements smtp.Session.
func (x *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err // too large, or cut off: the library answers
	}
	ctx, cancel := context.WithTimeout(x.s.ctx, handleWithin)
	defer cancel()
	err = x.s.take(ctx, Delivery{Tenant: x.tenant, Client: x.client, Envelope: x.env, Whole: raw})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errDisk):
		x.s.Counted.Later.Add(1)
		x.s.o.Log.Error("a journal report could not be kept", "tenant", x.tenant, "client", x.client, "err", err)
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "The message cannot be kept now; come again"}
	}
	x.s.Counted.Later.Add(1)
	x.s.o.Log.Warn("a journal report could not be dealt with", "tenant", x.tenant, "client", x.client, "err", err)
	return later
}

func (s *Server) take(ctx context.Context, d Delivery) error {
	dead, err := Take(ctx, d, s.o.Handle, s.o.Dead)
	if err != nil {
		return err
	}
	if dead {
		s.Counted.Dead.Add(1)
		s.o.Log.Warn("a journal report could not be read and is a dead letter", "tenant", d.Tenant, "client", d.Client)
		if s.o.Told != nil {
			s.o.Told(d.Tenant)
		}
	} else {
		s.Counted.Taken.Add(1)
	}
	return nil
}

// Take parses and handles a copy that came, from wherever; dead says that it could not be read and was kept as a dead
// letter. An error means that it is not dealt with, and must come again.
func Take(ctx context.Context, d Delivery, handle func(context.Context, Delivery) error, letters *DeadLetters) (dead bool, err error) {
	d.Report, err = Parse(d.Whole, d.Envelope)
	if err == nil {
		err = handle(ctx, d)
	}
	if errors.Is(err, ErrParse) {
		return true, letters.Keep(d, err.Error())
	}
	return false, err
}
