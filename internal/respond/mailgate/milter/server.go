package milter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-milter"
)

// Server listens for mail servers.
type Server struct {
	opt      Options
	listener net.Listener
	ctx      context.Context // ends when the server has closed
	end      context.CancelFunc
	slots    chan struct{}
	group    sync.WaitGroup

	mu      sync.Mutex
	open    map[*wire]bool
	closing bool

	messages, panics, refused atomic.Int64
}

// Stats counts since the start.
type Stats struct {
	Connections int   // open now
	Messages    int64 // answered
	Panics      int64 // caught
	Broken      int64 // connections that did not speak the protocol
}

// Listen opens an address: host:port, or unix:/path. A socket file that an earlier run left behind is replaced, and is
// readable and writable by its owner and group: the mail server's user must be in that group.
func Listen(address string, o Options) (*Server, error) {
	if o.Judge == nil || o.Failed == nil {
		return nil, errors.New("listening for a mail server: nobody decides about messages")
	}
	o.MaxMessage = cmp.Or(o.MaxMessage, DefaultMaxMessage)
	o.MaxConnections = cmp.Or(o.MaxConnections, DefaultMaxConnections)
	o.Idle = cmp.Or(o.Idle, DefaultIdle)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	network, address := split(address)
	if network == "unix" {
		if err := removeStale(address); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listening for a mail server on %s: %w", address, err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o660); err != nil {
			l.Close()
			return nil, fmt.Errorf("giving the mail server's group access to %s: %w", address, err)
		}
	}
	s := &Server{opt: o, listener: l, slots: make(chan struct{}, o.MaxConnections), open: map[*wire]bool{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s, nil
}

func split(address string) (network, rest string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}

// removeStale removes a socket nobody listens on any more; anything else at that place stays.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at %s: %w", path, err)
	}
	if st.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listening for a mail server on %s: a file that is no socket lies there; remove it or choose another path", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("listening for a mail server on %s: another program listens there", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the socket of an earlier run: %w", err)
	}
	return nil
}

// Addr returns the address that is listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Connections: len(s.open), Messages: s.messages.Load(), Panics: s.panics.Load(), Broken: s.refused.Load()}
}

// Serve takes connections until Close. Beyond MaxConnections a mail server waits at the door.
func (s *Server) Serve() error {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return nil
		}
		conn, err := s.listener.Accept()
		if err != nil {
			<-s.slots
			s.mu.Lock()
			closing := s.closing
			s.mu.Unlock()
			if closing {
				return nil
			}
			if passing(err) {
				continue
			}
			return fmt.Errorf("taking a mail server's connection: %w", err)
		}
		w := newWire(conn, s.opt.Idle)
		if !s.enter(w) {
			conn.Close()
			<-s.slots
			continue
		}
		go func() {
			defer func() { <-s.slots }()
			defer s.leave(w)
			s.talk(w)
		}()
	}
}

// passing reports whether an error of Accept goes away by itself: the client left, or descriptors are short.
func passing(err error) bool {
	var t interface{ Temporary() bool }
	if errors.As(err, &t) && t.Temporary() {
		time.Sleep(20 * time.Millisecond) // descriptors come back as connections end
		return true
	}
	return false
}

func (s *Server) enter(w *wire) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.open[w] = true
	s.group.Add(1)
	return true
}

func (s *Server) leave(w *wire) {
	w.Close()
	s.mu.Lock()
	delete(s.open, w)
	s.mu.Unlock()
	s.group.Done()
}

// The flags of protocol version 6 that are asked for where the mail server offers them: header values as they stand,
// and no answer to the pieces of a message, each of which would cost a round trip.
const (
	actions = milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptRemoveRcpt
	wishes  = milter.OptHeaderLeadingSpace | milter.OptNoHeaderReply | milter.OptNoEOHReply | milter.OptNoBodyReply |
		milter.OptNoUnknown | milter.OptNoData
)

// talk serves one connection. The library keeps no state of a connection beyond a message, so that each connection
// has a server of its own, with one handler.
func (s *Server) talk(w *wire) {
	offered, err := w.negotiation()
	if err != nil {
		if s.ctx.Err() == nil && !gone(err) {
			s.refused.Add(1)
			s.opt.Log.Warn("a connection to the milter is closed: it does not speak the protocol", "peer", w.RemoteAddr().String(), "err", err)
		}
		return
	}
	h := &handler{server: s, wire: w, can: actions & offered.actions, speaks: wishes & offered.protocol}
	one := &milter.Server{NewMilter: func() milter.Milter { return h }, Actions: h.can, Protocol: h.speaks}
	_ = one.Serve(&single{wire: w}) // it ends with the connection, and tells nothing else
}

// Close takes no more connections, waits until messages that are being handled are answered or the context ends, and
// closes all connections.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for w := range s.open {
		w.finish()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	done := make(chan struct{})
	go func() { s.group.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.mu.Lock()
		for w := range s.open {
			w.Close()
		}
		s.mu.Unlock()
		err = errors.Join(err, fmt.Errorf("closing the milter: messages were cut off: %w", ctx.Err()))
	}
	s.end()
	return err
}
