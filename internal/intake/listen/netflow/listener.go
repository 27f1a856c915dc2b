// Package netflow takes export datagrams of NetFlow, IPFIX and sFlow over UDP, has a translator make self-contained
// lines of flows of them, and hands these on as frames. It knows none of the formats: the translator is given.
//
// Exporters neither ask for an acknowledgement nor send again, so what can be promised is this: a sender that nothing
// binds to a sensor is refused and counted; what finds no room in the bounded queue behind the translator is dropped
// and counted, and so is what the kernel dropped before (on Linux). A datagram that can't be read goes on as a line
// that says why, and becomes a dead letter; beyond MaxRefused a second they are only counted. A crash loses what was
// received and not yet submitted, which includes the moments in which a flow waits for its opposite direction. A stop
// in order loses nothing that was read.
//
// A sender's address proves nothing over UDP: its frames are marked as not authenticated.
package netflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// The limits that hold where a field of Config is zero.
const (
	DefaultGather       = 20 * time.Millisecond
	DefaultQueueBytes   = 32 << 20
	DefaultSocketBuffer = 16 << 20
)

// MaxRefused is how many datagrams a second that can't be read are handed on with their bytes.
const MaxRefused = 20

// maxDatagram is the most that UDP carries.
const maxDatagram = 64 << 10

// advanceEvery is how often flows that wait for their opposite direction are looked at while nothing comes.
const advanceEvery = 100 * time.Millisecond

// drainTime bounds how long a stop reads what the socket still holds.
const drainTime = time.Second

// Translator makes lines of flows of datagrams, and gives them to the emit that it was made with.
type Translator interface {
	// Datagram takes one datagram; an error says why it can't be read.
	Datagram(from netip.Addr, received time.Time, datagram []byte) error
	// Advance gives the flows that have waited long enough.
	Advance(now time.Time)
	// Flush gives all that wait.
	Flush()
}

// Config is one listener.
type Config struct {
	Name    string // in stats and logs
	Address string // host:port of UDP

	// BySource binds a sender by its address. What it binds is never authenticated.
	BySource func(netip.AddrPort) (*listen.Binding, bool)
	// Translator returns what makes lines, each without its line end, and gives them to emit, on the caller's goroutine.
	Translator func(emit func(exporter netip.Addr, line []byte)) Translator
	// Refused returns the line of a datagram that can't be read.
	Refused func(from netip.Addr, reason error, datagram []byte) []byte

	Gather       time.Duration // lines that come within it form one frame
	QueueBytes   int           // lines that wait, a sensor
	SocketBuffer int           // bytes of the socket's buffer that are asked for
	Log          *slog.Logger
}

func (c *Config) defaults() error {
	if c.BySource == nil || c.Translator == nil || c.Refused == nil {
		return fmt.Errorf("flow collector %s: it needs a binding of senders and a translator", c.Name)
	}
	if c.Gather <= 0 {
		c.Gather = DefaultGather
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = DefaultQueueBytes
	}
	if c.SocketBuffer <= 0 {
		c.SocketBuffer = DefaultSocketBuffer
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("listener", c.Name)
	return nil
}

// Stats counts what a listener did since it began.
type Stats struct {
	Datagrams     int64 // received of senders that are bound
	Flows         int64 // lines handed on
	Bytes         int64 // of these
	Frames        int64
	Bad           int64 // datagrams that can't be read
	Dropped       int64 // lines that found no room, or no time at a stop
	KernelDropped int64 // datagrams that the kernel dropped before they were read (on Linux)
	Unbound       int64 // datagrams of senders that nothing binds
	Busy          int64 // how often a frame had to wait for room behind us
}

type counters struct {
	datagrams, flows, bytes, frames, bad, dropped, kernel, unbound, busy atomic.Int64
}

// Listener is a running listener.
type Listener struct {
	config     Config
	to         listen.Submitter
	translator Translator
	count      counters
	socket     *net.UDPConn

	flushing bool // of the receiving goroutine, as are queues and bound
	queues   map[listen.Binding]*queue
	bound    map[netip.Addr]*queue // which queue an exporter's lines go to; nil: none

	stopping chan struct{}
	ctx      context.Context // ends when the stop has run out of time
	abandon  context.CancelFunc
	once     sync.Once
	running  sync.WaitGroup
}

// Listen begins to listen. Close must be called.
func Listen(c Config, to listen.Submitter) (*Listener, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{}
	p, err := lc.ListenPacket(context.Background(), "udp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("flow collector %s on udp %s: %w", c.Name, c.Address, err)
	}
	l := &Listener{config: c, to: to, socket: p.(*net.UDPConn), stopping: make(chan struct{}),
		queues: map[listen.Binding]*queue{}, bound: map[netip.Addr]*queue{}}
	l.ctx, l.abandon = context.WithCancel(context.Background())
	l.translator = c.Translator(l.line)
	listen.EnlargeBuffer(l.socket, c.SocketBuffer)
	l.running.Go(l.receive)
	return l, nil
}

// Addr is where the listener listens.
func (l *Listener) Addr() net.Addr { return l.socket.LocalAddr() }

// Stats returns the counts.
func (l *Listener) Stats() Stats {
	c := &l.count
	return Stats{Datagrams: c.datagrams.Load(), Flows: c.flows.Load(), Bytes: c.bytes.Load(), Frames: c.frames.Load(), Bad: c.bad.Load(),
		Dropped: c.dropped.Load(), KernelDropped: c.kernel.Load(), Unbound: c.unbound.Load(), Busy: c.busy.Load()}
}

// Close stops in order: what has arrived is read, flows that wait are given, all is handed on. Where the context ends
// first the rest is given up and counted as dropped, and the context's error is returned.
func (l *Listener) Close(ctx context.Context) error {
	l.once.Do(func() {
		close(l.stopping)
		_ = l.socket.SetReadDeadline(time.Now())
	})
	done := make(chan struct{})
	go func() { l.running.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("stopping flow collector %s: %w", l.config.Name, ctx.Err())
		l.abandon()
		l.socket.Close()
		<-done
	}
	l.abandon()
	l.socket.Close()
	return err
}

func (l *Listener) stopped() bool {
	select {
	case <-l.stopping:
		return true
	default:
		return false
	}
}

// receive reads datagrams until the listener stops, and then what the socket still holds.
func (l *Listener) receive() {
	defer func() {
		l.flushing = true // nothing more comes in, so that there is time to wait for room
		l.translator.Flush()
		for _, q := range l.queues {
			close(q.ended)
		}
	}()
	buf := make([]byte, maxDatagram)
	side := make([]byte, listen.SideSize)
	var lost listen.KernelDrops
	var until, advance time.Time
	var quiet refusals
	for {
		now := time.Now()
		if l.stopped() {
			if until.IsZero() {
				until = now.Add(drainTime)
			}
			if now.After(until) {
				return
			}
			_ = l.socket.SetReadDeadline(now.Add(l.config.Gather))
		} else if now.After(advance) {
			advance = now.Add(advanceEvery)
			l.translator.Advance(now)
			_ = l.socket.SetReadDeadline(advance.Add(time.Millisecond))
			if l.stopped() { // the deadline that a stop set must not be put off
				continue
			}
		}
		n, sn, _, from, err := l.socket.ReadMsgUDPAddrPort(buf, side)
		switch {
		case errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil || !until.IsZero() && errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil || n <= 0: // the time to look, or an ICMP answer to nobody
			continue
		}
		l.count.kernel.Add(lost.Since(side[:sn]))
		addr := from.Addr().Unmap().WithZone("")
		if l.queueOf(addr) == nil {
			l.count.unbound.Add(1)
			if quiet.tell(now, time.Minute) {
				l.config.Log.Warn("flow exports refused: nothing binds their sender to a sensor", "peer", addr.String())
			}
			continue
		}
		l.count.datagrams.Add(1)
		if err := l.translator.Datagram(addr, now, buf[:n]); err != nil {
			l.count.bad.Add(1)
			if quiet.room(now) {
				l.line(addr, l.config.Refused(addr, err, buf[:n]))
			}
		}
	}
}

// maxBound bounds how many senders' bindings are remembered.
const maxBound = 4096

// queueOf returns the queue of a sender's sensor; nil where nothing binds it.
func (l *Listener) queueOf(addr netip.Addr) *queue {
	if q, ok := l.bound[addr]; ok {
		return q
	}
	var q *queue
	if b, ok := l.config.BySource(netip.AddrPortFrom(addr, 0)); ok && b != nil {
		unproven := *b
		unproven.Authenticated = false
		if q = l.queues[unproven]; q == nil {
			q = newQueue(l, unproven)
			l.queues[unproven] = q
		}
	}
	if len(l.bound) >= maxBound {
		clear(l.bound)
	}
	l.bound[addr] = q
	return q
}

// line takes a line of an exporter from the translator, on the receiving goroutine.
func (l *Listener) line(exporter netip.Addr, line []byte) {
	if q := l.queueOf(exporter); q != nil {
		q.put(exporter, line)
	}
}

// refusals spaces out what is told of senders and datagrams that are refused.
type refusals struct {
	told   time.Time
	second time.Time
	count  int
}

func (r *refusals) tell(now time.Time, every time.Duration) bool {
	if now.Sub(r.told) < every {
		return false
	}
	r.told = now
	return true
}

func (r *refusals) room(now time.Time) bool {
	if now.Sub(r.second) >= time.Second || now.Before(r.second) {
		r.second, r.count = now, 0
	}
	r.count++
	return r.count <= MaxRefused
}
