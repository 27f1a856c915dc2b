package netflow

import (
	"net/netip"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// maxPeers bounds how many exporters' frames are collected apart, a sensor; further ones share a frame without peer.
const maxPeers = 1000

// overhead is what a line costs beside its bytes.
const overhead = 16

// queue holds the lines of one sensor until they are handed on, so that a sensor whose tenant must wait holds up no
// other.
type queue struct {
	l       *Listener
	binding listen.Binding
	wake    chan struct{}
	ended   chan struct{}
	room    chan struct{} // told when something was handed on

	mu    sync.Mutex
	peers map[netip.Addr]*lines
	order []*lines
	bytes int // collected, and being handed on
}

// lines collects the lines of one exporter.
type lines struct {
	peer    string
	data    []byte
	records int
	first   time.Time // when the oldest came
	full    []bus.Frame
}

func newQueue(l *Listener, b listen.Binding) *queue {
	q := &queue{l: l, binding: b, wake: make(chan struct{}, 1), ended: make(chan struct{}), room: make(chan struct{}, 1), peers: map[netip.Addr]*lines{}}
	l.running.Go(q.run)
	return q
}

// put takes one line, or counts it where there is no room.
func (q *queue) put(from netip.Addr, line []byte) {
	q.mu.Lock()
	for q.bytes > 0 && q.bytes+len(line)+1+overhead > q.l.config.QueueBytes {
		q.mu.Unlock()
		if !q.l.flushing || !q.roomier() {
			q.l.count.dropped.Add(1)
			return
		}
		q.mu.Lock()
	}
	x := q.peers[from]
	if x == nil {
		peer := from.String()
		if len(q.peers) >= maxPeers {
			from, peer = netip.Addr{}, ""
			x = q.peers[from]
		}
		if x == nil {
			x = &lines{peer: peer}
			q.peers[from] = x
			q.order = append(q.order, x)
		}
	}
	idle := q.bytes == 0 || x.records == 0
	if x.records >= bus.MaxRecords || len(x.data)+len(line)+1 > bus.MaxBytes {
		q.seal(x)
	}
	if x.records == 0 {
		x.first = time.Now()
	}
	x.data = append(append(x.data, line...), '\n')
	x.records++
	q.bytes += len(line) + 1 + overhead
	q.mu.Unlock()
	if idle {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// roomier waits until something was handed on; false where a stop has run out of time.
func (q *queue) roomier() bool {
	select {
	case <-q.room:
		return true
	case <-q.l.ctx.Done():
		return false
	}
}

// seal makes a frame of what was collected of one exporter.
func (q *queue) seal(x *lines) {
	if x.records == 0 {
		return
	}
	b := &q.binding
	x.full = append(x.full, bus.Frame{Sensor: b.Sensor, Tenant: b.Tenant, Layer: b.Layer, Authenticated: b.Authenticated,
		Received: x.first, Peer: x.peer, First: 1, Data: x.data, Records: x.records})
	x.data, x.records = nil, 0
}

// run hands on what was collected, moments after its first line came.
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

// most is how many frames are submitted at a time: they share a write of the disk.
const most = 16

func (q *queue) handOn() {
	q.mu.Lock()
	var frames []bus.Frame
	for _, x := range q.order {
		q.seal(x)
		frames = append(frames, x.full...)
	}
	q.peers, q.order = map[netip.Addr]*lines{}, nil
	q.mu.Unlock()
	for len(frames) > 0 {
		n := min(most, len(frames))
		q.submit(frames[:n])
		frames = frames[n:]
	}
}

// submit hands frames on, and waits as long as it is told to. It gives up only where a stop has run out of time.
func (q *queue) submit(frames []bus.Frame) {
	l := q.l
	err := listen.Insist(l.ctx, l.to, l.config.Log, &l.count.busy, frames...)
	for i := range frames {
		f := &frames[i]
		if err != nil {
			l.count.dropped.Add(int64(f.Records))
		} else {
			l.count.frames.Add(1)
			l.count.flows.Add(int64(f.Records))
			l.count.bytes.Add(int64(len(f.Data)))
		}
		q.mu.Lock()
		q.bytes -= len(f.Data) + f.Records*overhead
		q.mu.Unlock()
	}
	select {
	case q.room <- struct{}{}:
	default:
	}
}
