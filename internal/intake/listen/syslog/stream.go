package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// readSize is how much is read of a connection at once.
const readSize = 32 << 10

// drainTime is how long a connection that never pauses is still read when the listener stops.
const drainTime = time.Second

func (l *Listener) listenStream() error {
	if l.config.Network == "tls" {
		c, err := l.config.TLS.config()
		if err != nil {
			return err
		}
		l.tls = c
	}
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 30 * time.Second, Count: 4}}
	var err error
	if l.stream, err = lc.Listen(context.Background(), "tcp", l.config.Address); err != nil {
		return err
	}
	l.running.Go(l.accept)
	return nil
}

func (l *Listener) accept() {
	for {
		conn, err := l.stream.Accept()
		if err != nil {
			if l.stopped() || errors.Is(err, net.ErrClosed) {
				return
			}
			// Most likely there are no descriptors left; connections that end give some back.
			l.config.Log.Warn("accepting syslog connections", "error", err)
			t := time.NewTimer(100 * time.Millisecond)
			select {
			case <-t.C:
			case <-l.stopping:
				t.Stop()
			}
			continue
		}
		if !l.admit(conn) {
			conn.Close()
			continue
		}
		l.running.Go(func() {
			l.serve(conn)
			l.leave(conn)
		})
	}
}

// admit keeps the number of connections, and before any handshake the senders that nothing could bind, out.
func (l *Listener) admit(conn net.Conn) bool {
	if l.config.ByCertificate == nil || l.tls == nil || l.tls.ClientAuth == tls.NoClientCert {
		if _, ok := l.source(conn.RemoteAddr()); !ok {
			l.count.unbound.Add(1)
			l.config.Log.Warn("syslog connection refused: nothing binds its sender to a sensor", "peer", conn.RemoteAddr().String())
			return false
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.config.MaxConnections || l.stopped() {
		l.count.refused.Add(1)
		return false
	}
	l.conns[conn] = struct{}{}
	l.count.connections.Add(1)
	return true
}

func (l *Listener) leave(conn net.Conn) {
	l.mu.Lock()
	delete(l.conns, conn)
	l.mu.Unlock()
	l.count.connections.Add(-1)
	conn.Close()
}

// source binds by address.
func (l *Listener) source(addr net.Addr) (*listen.Binding, bool) {
	if l.config.BySource == nil {
		return nil, false
	}
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return nil, false
	}
	b, ok := l.config.BySource(netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()))
	if !ok || b == nil {
		return nil, false
	}
	unproven := *b
	unproven.Authenticated = false
	return &unproven, true
}

func (l *Listener) serve(raw net.Conn) {
	conn, binding := raw, (*listen.Binding)(nil)
	if l.tls != nil {
		secured := tls.Server(raw, l.tls)
		ctx, cancel := context.WithTimeout(l.ctx, l.config.Handshake)
		err := secured.HandshakeContext(ctx)
		cancel()
		if err == nil {
			binding, err = l.certified(secured)
		}
		if err != nil {
			l.count.refused.Add(1)
			l.config.Log.Warn("syslog connection refused", "peer", raw.RemoteAddr().String(), "error", err)
			return
		}
		conn = secured
	}
	if binding == nil {
		var ok bool
		if binding, ok = l.source(raw.RemoteAddr()); !ok {
			l.count.unbound.Add(1)
			l.config.Log.Warn("syslog connection refused: nothing binds its sender to a sensor", "peer", raw.RemoteAddr().String())
			return
		}
	}
	c := connection{l: l, conn: conn, framer: framer{max: l.config.MaxMessage}, frames: frames{binding: *binding, peer: raw.RemoteAddr().String()}}
	c.run()
	if secured, ok := conn.(*tls.Conn); ok {
		_ = secured.SetWriteDeadline(time.Now().Add(time.Second))
		_ = secured.CloseWrite()
	}
}

// connection reads one sender.
type connection struct {
	l      *Listener
	conn   net.Conn
	framer framer
	frames frames
	begun  time.Time // of the message that is not whole yet; zero: none
	until  time.Time // of draining; zero: not stopping
	closed bool      // by the sender
}

func (c *connection) run() {
	buf := make([]byte, readSize)
	for {
		ended := c.read(buf, c.patience())
		// What comes within moments goes with it; while it is handed on nothing is read.
		for gather := c.frames.first.Add(c.l.config.Gather); !ended && c.gathering() && time.Now().Before(gather); {
			if c.waitOver(c.readUntil(buf, gather)) {
				ended = true
			}
		}
		if ended {
			c.framer.end(c.closed, c.keep)
		}
		c.l.submit(c.frames.take())
		if ended || c.l.ctx.Err() != nil {
			return
		}
	}
}

// gathering reports whether a frame has begun and has room.
func (c *connection) gathering() bool {
	return c.frames.records > 0 && c.frames.records < bus.MaxRecords && len(c.frames.full) == 0 && len(c.frames.data) < bus.MaxBytes/2
}

// patience is until when the next bytes must come.
func (c *connection) patience() time.Time {
	now := time.Now()
	if c.l.stopped() {
		if c.until.IsZero() {
			c.until = now.Add(drainTime)
		}
		return now.Add(c.l.config.Gather)
	}
	if !c.begun.IsZero() {
		return c.begun.Add(unfinished)
	}
	return now.Add(c.l.config.Idle)
}

// read reads once; it reports whether the connection is over.
func (c *connection) read(buf []byte, deadline time.Time) (ended bool) {
	err := c.readUntil(buf, deadline)
	if err == nil {
		return !c.until.IsZero() && time.Now().After(c.until)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.l.stopped() && c.until.IsZero() {
		return false // a stop has woken it: what has arrived is still to be read
	}
	return true
}

// waitOver tells the end of a connection from the end of gathering.
func (c *connection) waitOver(err error) bool {
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func (c *connection) readUntil(buf []byte, deadline time.Time) error {
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	if c.l.stopped() { // the stop may have set its deadline just before ours
		_ = c.conn.SetReadDeadline(time.Now().Add(c.l.config.Gather))
	}
	n, err := c.conn.Read(buf)
	c.closed = err == io.EOF
	if n > 0 {
		c.framer.feed(buf[:n], c.keep)
		if !c.framer.open() {
			c.begun = time.Time{}
		} else if c.begun.IsZero() {
			c.begun = time.Now()
		}
	}
	return err
}

func (c *connection) keep(msg []byte, cut bool) {
	if cut {
		c.l.count.cut.Add(1)
	}
	c.begun = time.Time{}
	c.frames.add(msg, cut, time.Now())
}
