// Package syslog takes syslog messages over UDP, TCP and TLS, and hands them on as frames of lines, nothing parsed:
// one message, one line. A line break within a message becomes #012, as rsyslog writes it; a message longer than
// the limit is cut, counted, and ends in CutMark.
//
// Syslog has no acknowledgement, so what can be promised is this. Over TCP and TLS a connection isn't read while its
// frames can't be kept: the sender's window closes and the sender queues; nothing that was read is dropped, save
// where a stop runs out of time. Over UDP a bounded queue stands in between; what doesn't fit is counted, and so is
// what the kernel dropped (on Linux). A crash loses what was received and not yet submitted, at most one frame a
// connection; a sender that must not lose it uses a protocol that acknowledges.
//
// A sender is bound to its sensor by its certificate, or by its address, which proves nothing: such frames are
// marked as not authenticated. A sender without a binding is refused and counted.
package syslog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// The limits that hold where a field of Config is zero.
const (
	DefaultMaxMessage     = 64 << 10
	DefaultMaxConnections = 1000
	DefaultIdle           = 24 * time.Hour
	DefaultHandshake      = 10 * time.Second
	DefaultGather         = 10 * time.Millisecond
	DefaultQueueBytes     = 16 << 20
	DefaultSocketBuffer   = 8 << 20
)

// unfinished is how long a sender may take from the first byte of a message to its last.
const unfinished = time.Minute

// Config is one listener.
type Config struct {
	Name    string // in stats and logs
	Network string // udp, tcp or tls
	Address string // host:port
	TLS     *TLS   // for tls

	// BySource binds a sender by its address: over UDP, TCP, and TLS without a client certificate. What it binds
	// is never authenticated. Nil: no sender is bound so.
	BySource func(netip.AddrPort) (*listen.Binding, bool)
	// ByCertificate binds a TLS client by its certificate; see Certificates.
	ByCertificate func(*x509.Certificate) (*listen.Binding, error)

	MaxMessage     int           // bytes of a message; what is beyond is cut
	MaxConnections int           // at a time; more are refused
	Idle           time.Duration // a connection on which nothing came for so long is closed; plain syslog loses the next message then, so it is long
	Handshake      time.Duration // for a TLS handshake
	Gather         time.Duration // messages that come within it form one frame
	QueueBytes     int           // UDP messages that wait, a sensor
	SocketBuffer   int           // bytes of the UDP socket's buffer that are asked for
	Log            *slog.Logger
}

func (c *Config) defaults() error {
	if c.Network != "udp" && c.Network != "tcp" && c.Network != "tls" {
		return fmt.Errorf("syslog listener %s: %q is no network; write udp, tcp or tls", c.Name, c.Network)
	}
	if c.Network == "tls" && c.TLS == nil {
		return fmt.Errorf("syslog listener %s: tls needs a certificate", c.Name)
	}
	if c.BySource == nil && c.ByCertificate == nil {
		return fmt.Errorf("syslog listener %s: nothing binds its senders to a sensor", c.Name)
	}
	set(&c.MaxMessage, DefaultMaxMessage)
	set(&c.MaxConnections, DefaultMaxConnections)
	set(&c.Idle, DefaultIdle)
	set(&c.Handshake, DefaultHandshake)
	set(&c.Gather, DefaultGather)
	set(&c.QueueBytes, DefaultQueueBytes)
	set(&c.SocketBuffer, DefaultSocketBuffer)
	if c.MaxMessage > bus.MaxBytes {
		return fmt.Errorf("syslog listener %s: messages of %d bytes are more than a batch holds; at most %d", c.Name, c.MaxMessage, bus.MaxBytes)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("listener", c.Name)
	return nil
}

func set[N int | time.Duration](field *N, value N) {
	if *field <= 0 {
		*field = value
	}
}

// Stats counts what a listener did since it began.
type Stats struct {
	Messages      int64 // handed on
	Bytes         int64 // of these, as lines
	Frames        int64
	Cut           int64 // messages beyond the limit, or broken off
	Dropped       int64 // messages that found no room (UDP), or no time at a stop
	KernelDropped int64 // datagrams that the kernel dropped before they were read (UDP on Linux)
	Unbound       int64 // datagrams and connections of senders that nothing binds
	Refused       int64 // connections beyond the limit, and handshakes that failed
	Busy          int64 // how often a frame had to wait for room behind us
	Connections   int64 // open now
}

type counters struct {
	messages, bytes, frames, cut, dropped, kernel, unbound, refused, busy, connections atomic.Int64
}

// Listener is a running listener.
type Listener struct {
	config Config
	to     listen.Submitter
	count  counters

	stream net.Listener
	packet *net.UDPConn
	tls    *tls.Config

	stopping chan struct{}   // closed at the beginning of an orderly stop
	ctx      context.Context // ends when the stop has run out of time
	abandon  context.CancelFunc
	once     sync.Once
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// Listen begins to listen. Close must be called.
func Listen(c Config, to listen.Submitter) (*Listener, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	l := &Listener{config: c, to: to, stopping: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	l.ctx, l.abandon = context.WithCancel(context.Background())
	var err error
	if c.Network == "udp" {
		err = l.listenPacket()
	} else {
		err = l.listenStream()
	}
	if err != nil {
		l.abandon()
		return nil, fmt.Errorf("syslog listener %s on %s %s: %w", c.Name, c.Network, c.Address, err)
	}
	return l, nil
}

// Addr is where the listener listens.
func (l *Listener) Addr() net.Addr {
	if l.packet != nil {
		return l.packet.LocalAddr()
	}
	return l.stream.Addr()
}

// Stats returns the counts.
func (l *Listener) Stats() Stats {
	c := &l.count
	return Stats{
		Messages: c.messages.Load(), Bytes: c.bytes.Load(), Frames: c.frames.Load(), Cut: c.cut.Load(), Dropped: c.dropped.Load(),
		KernelDropped: c.kernel.Load(), Unbound: c.unbound.Load(), Refused: c.refused.Load(), Busy: c.busy.Load(), Connections: c.connections.Load(),
	}
}

// Close stops in order: no new senders, what has arrived is read and handed on. Where the context ends first the
// rest is given up and counted as dropped, and the context's error is returned.
func (l *Listener) Close(ctx context.Context) error {
	l.once.Do(func() {
		close(l.stopping)
		if l.stream != nil {
			l.stream.Close()
		}
		if l.packet != nil {
			_ = l.packet.SetReadDeadline(time.Now().Add(l.config.Gather))
		}
		l.mu.Lock()
		for c := range l.conns {
			_ = c.SetReadDeadline(time.Now().Add(l.config.Gather)) // wakes those that wait; they drain by themselves
		}
		l.mu.Unlock()
	})
	done := make(chan struct{})
	go func() { l.running.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("stopping syslog listener %s: %w", l.config.Name, ctx.Err())
		l.abandon()
		l.closeAll()
		<-done
	}
	l.abandon()
	if l.packet != nil {
		l.packet.Close()
	}
	return err
}

func (l *Listener) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
	if l.packet != nil {
		l.packet.Close()
	}
}

func (l *Listener) stopped() bool {
	select {
	case <-l.stopping:
		return true
	default:
		return false
	}
}

// frames collects messages of one sender.
type frames struct {
	binding listen.Binding
	peer    string
	data    []byte
	records int
	first   time.Time // when the oldest message came
	full    []bus.Frame
}

// add takes one message.
func (f *frames) add(msg []byte, cut bool, now time.Time) (bytes int) {
	if f.records >= bus.MaxRecords || f.records > 0 && len(f.data)+len(msg)+len(CutMark)+1 > bus.MaxBytes {
		f.seal()
	}
	if f.records == 0 {
		f.first = now
	}
	before := len(f.data)
	f.data = appendRecord(f.data, msg, cut)
	f.records++
	return len(f.data) - before
}

// seal makes a frame of what was collected.
func (f *frames) seal() {
	if f.records == 0 {
		return
	}
	b := &f.binding
	f.full = append(f.full, bus.Frame{
		Sensor: b.Sensor, Tenant: b.Tenant, Layer: b.Layer, Authenticated: b.Authenticated,
		Received: f.first, Peer: f.peer, First: 1, Data: f.data, Records: f.records,
	})
	f.data, f.records = nil, 0
}

// take returns the frames and begins anew.
func (f *frames) take() []bus.Frame {
	f.seal()
	full := f.full
	f.full = nil
	return full
}

// submit hands frames on, one after the other, and waits as long as it is told to. It gives up only where a stop has
// run out of time.
func (l *Listener) submit(list []bus.Frame) {
	for i := range list {
		f := &list[i]
		if err := listen.Insist(l.ctx, l.to, l.config.Log, &l.count.busy, *f); err != nil {
			l.count.dropped.Add(int64(f.Records))
			continue
		}
		l.count.frames.Add(1)
		l.count.messages.Add(int64(f.Records))
		l.count.bytes.Add(int64(len(f.Data)))
	}
}
