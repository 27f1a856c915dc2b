package syslog

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// maxPeers bounds how many senders' frames are collected apart, a sensor; further ones share a frame without peer.
const maxPeers = 1000

func (l *Listener) listenPacket() error {
	lc := net.ListenConfig{}
	p, err := lc.ListenPacket(context.Background(), "udp", l.config.Address)
	if err != nil {
		return err
	}
	l.packet = p.(*net.UDPConn)
	listen.EnlargeBuffer(l.packet, l.config.SocketBuffer)
	l.running.Go(l.receive)
	return nil
}

// receive reads datagrams until the listener stops, and then what the socket still holds.
func (l *Listener) receive() {
	queues := map[listen.Binding]*queue{}
	defer func() {
		for _, q := range queues {
			q.end()
		}
	}()
	buf := make([]byte, l.config.MaxMessage+1)
	side := make([]byte, listen.SideSize)
	var lost listen.KernelDrops
	var warned, until time.Time
	for {
		if l.stopped() { // what the socket holds is still read, as long as it comes without a pause
			if until.IsZero() {
				until = time.Now().Add(drainTime)
			}
			if time.Now().After(until) {
				return
			}
			_ = l.packet.SetReadDeadline(time.Now().Add(l.config.Gather))
		}
		n, sn, _, from, err := l.packet.ReadMsgUDPAddrPort(buf, side)
		switch {
		case err != nil && (!until.IsZero() && errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) || l.ctx.Err() != nil):
			return
		case err != nil || n <= 0: // an ICMP answer to nobody, say; datagrams go on
			continue
		}
		l.count.kernel.Add(lost.Since(side[:sn]))
		from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
		b, ok := l.bind(from)
		if !ok {
			l.count.unbound.Add(1)
			if now := time.Now(); now.Sub(warned) > time.Minute {
				warned = now
				l.config.Log.Warn("syslog datagrams refused: nothing binds their sender to a sensor", "peer", from.Addr().String())
			}
			continue
		}
		q := queues[b]
		if q == nil {
			q = newQueue(l, b)
			queues[b] = q
		}
		q.put(buf[:n], from.Addr())
	}
}

func (l *Listener) bind(from netip.AddrPort) (listen.Binding, bool) {
	if l.config.BySource == nil {
		return listen.Binding{}, false
	}
	b, ok := l.config.BySource(from)
	if !ok || b == nil {
		return listen.Binding{}, false
	}
	unproven := *b
	unproven.Authenticated = false
	return unproven, true
}

// queue holds the messages of one sensor until they are handed on, so that a sensor whose tenant must wait holds
// up no other.
type queue struct {
	l       *Listener
	binding listen.Binding
	wake    chan struct{}
	ended   chan struct{}

	mu    sync.Mutex
	peers map[netip.Addr]*frames
	order []*frames
	bytes int // collected, and being handed on
}

func newQueue(l *Listener, b listen.Binding) *queue {
	q := &queue{l: l, binding: b, wake: make(chan struct{}, 1), ended: make(chan struct{}), peers: map[netip.Addr]*frames{}}
	l.running.Go(q.run)
	return q
}

// overhead is what a message costs beside its bytes, so that many empty ones are bounded too.
const overhead = 64

// put takes one datagram, or counts it where there is no room.
func (q *queue) put(datagram []byte, from netip.Addr) {
	cut := len(datagram) > q.l.config.MaxMessage
	msg := trim(datagram[:min(len(datagram), q.l.config.MaxMessage)])
	if len(msg) == 0 {
		return
	}
	if cut {
		q.l.count.cut.Add(1)
	}
	q.mu.Lock()
	if q.bytes+len(msg)+overhead > q.l.config.QueueBytes {
		q.mu.Unlock()
		q.l.count.dropped.Add(1)
		return
	}
	f := q.peers[from]
	if f == nil {
		peer := from.String()
		if len(q.peers) >= maxPeers {
			from, peer = netip.Addr{}, ""
			f = q.peers[from]
		}
		if f == nil {
			f = &frames{binding: q.binding, peer: peer}
			q.peers[from] = f
			q.order = append(q.order, f)
		}
	}
	q.bytes += f.add(msg, cut, time.Now()) + overhead
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func trim(msg []byte) []byte {
	for len(msg) > 0 && (msg[len(msg)-1] == '\n' || msg[len(msg)-1] == '\r' || msg[len(msg)-1] == 0) {
		msg = msg[:len(msg)-1]
	}
	for len(msg) > 0 && (msg[0] == '\n' || msg[0] == '\r' || msg[0] == 0) {
		msg = msg[1:]
	}
	return msg
}

func (q *queue) end() { close(q.ended) }

// run hands on what was collected, moments after its first message came.
func (q *queue) run() {
	for {
		select {
		case <-q.wake:
		case <-q.ended:
			q.handOn()
			return
		}
		t := time.NewTimer(q.l.config.Gather)
		select {
		case <-t.C:
		case <-q.ended:
			t.Stop()
		}
		q.handOn()
	}
}

func (q *queue) handOn() {
	q.mu.Lock()
	order := q.order
	q.peers, q.order = map[netip.Addr]*frames{}, nil
	q.mu.Unlock()
	for _, f := range order {
		for _, frame := range f.take() {
			q.l.submit([]bus.Frame{frame})
			q.mu.Lock()
			q.bytes -= len(frame.Data) + frame.Records*overhead
			q.mu.Unlock()
		}
	}
}
