package listen

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// MaxSingle is the most that one record or whole file may have, in bytes before compression, so that its message
// stays below bus.MaxPayload however badly it compresses.
const MaxSingle = 7 << 20

// The values that hold where a field of GateOptions is zero.
const (
	DefaultLinger     = 10 * time.Millisecond
	DefaultPublishers = 4
	DefaultLaneBytes  = 64 << 20
	DefaultAllBytes   = 256 << 20
	DefaultKeys       = 100_000
	DefaultAhead      = 300 * time.Millisecond
	DefaultAheadLeast = 5000
)

// GateOptions are the limits of a gate; a zero field takes the default.
type GateOptions struct {
	Linger     time.Duration // how long the first frame of a batch waits for company
	Publishers int           // batches written at once, of different lanes
	LaneBytes  int64         // waiting frames of one lane
	AllBytes   int64         // waiting frames of all lanes; from half of it on, each lane has its even share alone
	Keys       int           // acknowledged request keys that are remembered

	// Quota is asked for a lane's quota at each submission, so that it may change; nil: no lane has one.
	Quota func(lane string) Quota

	// Ahead is how far intake may run ahead of a working pipeline before lanes that hold more than their share
	// must wait, as time at the pipeline's own rate; at least AheadLeast records.
	Ahead      time.Duration
	AheadLeast int
}

// Gate is the one way to the bus. It makes batches of what all senders of a lane submit at the same time, so that
// they share one fsync; gives lanes their turns; and says Busy where a lane, or all, must wait.
//
// Frames of one lane reach the bus in the order of their Submit calls. What was submitted is kept once at least:
// a submission that is answered with an error other than *Busy or *TooLarge may be on the bus in part.
type Gate struct {
	bus  bus.Bus
	opt  GateOptions
	ctx  context.Context // ends what is being published, where Close runs out of time
	stop context.CancelFunc
	wake chan struct{} // tells dispatch to look again
	done chan struct{} // closed when dispatch has ended

	mu         sync.Mutex
	lanes      map[string]*lane
	turns      []*lane // those with something waiting and nothing being written, in the order of their turns
	waiting    int64   // bytes, of all lanes
	publishing int
	closing    bool
	disk       diskState
	keys       keyring
	pace       pace
	unfinished int // records published and not yet done, of all lanes
	batches    uint64
	failed     uint64
	repeated   uint64
}

// lane is what the gate knows of one tenant, or of one sensor that speaks for several.
type lane struct {
	name       string
	queue      []piece
	bytes      int64 // waiting
	records    int   // waiting
	due        time.Time
	queued     bool // it has a place in turns
	writing    bool
	seen       time.Time // the last submission, taken or not
	unfinished int       // records published and not yet done
	bucket     bucket
	accepted   counter
	refused    [reasons]uint64
}

type counter struct{ records, bytes uint64 }

// piece is a frame on its way to the bus.
type piece struct {
	frame bus.Frame
	of    *submission
	bytes int64
}

// submission is what one Submit call waits for.
type submission struct {
	left      int // pieces without an outcome
	taken     int // pieces that went into a batch
	err       error
	done      chan struct{} // closed when every piece has its outcome
	keys      []keyID
	followers int // calls that wait for this one because of its key
}

// NewGate returns a gate to a bus. Close must be called.
func NewGate(b bus.Bus, opt GateOptions) *Gate {
	opt = opt.withDefaults()
	g := &Gate{
		bus: b, opt: opt, wake: make(chan struct{}, 1), done: make(chan struct{}),
		lanes: map[string]*lane{}, keys: newKeyring(opt.Keys),
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	go g.dispatch()
	return g
}

func (o GateOptions) withDefaults() GateOptions {
	o.Linger = or(o.Linger, DefaultLinger)
	o.Publishers = or(o.Publishers, DefaultPublishers)
	o.LaneBytes = or(o.LaneBytes, DefaultLaneBytes)
	o.AllBytes = or(o.AllBytes, DefaultAllBytes)
	o.Keys = or(o.Keys, DefaultKeys)
	o.Ahead = or(o.Ahead, DefaultAhead)
	o.AheadLeast = or(o.AheadLeast, DefaultAheadLeast)
	return o
}

func or[T ~int | ~int64](v, instead T) T {
	if v <= 0 {
		return instead
	}
	return v
}

// Submit implements Submitter. Frames larger than a batch are cut at their line ends. A frame whose sensor had its
// key acknowledged before, with the same data, is acknowledged again and not kept twice; while the first is under
// way the call shares its outcome. The caller must not change the data afterwards.
//
// When the context ends first, what has not begun to be written is withdrawn.
func (g *Gate) Submit(ctx context.Context, frames ...bus.Frame) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("submitting to the bus: %w", err)
	}
	frames, err := cutAll(frames)
	if err != nil {
		g.refuseTooLarge(frames)
		return err
	}
	requests := requestsOf(frames)
	now := time.Now()

	g.mu.Lock()
	fresh, follow, err := g.recognise(frames, requests)
	if err != nil {
		g.mu.Unlock()
		return err
	}
	var own *submission
	if len(fresh) > 0 {
		if err := g.admit(fresh, now); err != nil {
			g.mu.Unlock()
			return err
		}
		own = g.enqueue(fresh, now)
		g.keys.begin(requests, own)
	}
	for _, s := range follow {
		s.followers++
	}
	g.mu.Unlock()

	return g.await(ctx, own, follow)
}

// admit refuses frames that must wait, and charges the quota of those that may pass.
func (g *Gate) admit(frames []bus.Frame, now time.Time) error {
	asks := g.asksOf(frames, now)
	for _, a := range asks {
		if reason, busy := g.mustWait(a, now); busy != nil {
			a.lane.refused[reason] += uint64(a.records)
			return busy
		}
	}
	if g.disk.full {
		g.disk.probe = now.Add(probeEvery) // this submission is the probe; the next waits for its outcome
	}
	for _, a := range asks {
		a.lane.bucket.take(a.records, a.bytes)
	}
	return nil
}

// ask is what one submission wants of one lane.
type ask struct {
	lane    *lane
	records int
	bytes   int64
}

func (g *Gate) asksOf(frames []bus.Frame, now time.Time) []ask {
	var asks []ask
next:
	for i := range frames {
		f := &frames[i]
		l := g.lane(laneOf(f))
		l.seen = now
		for j := range asks {
			if asks[j].lane == l {
				asks[j].records += f.Records
				asks[j].bytes += weight(f)
				continue next
			}
		}
		asks = append(asks, ask{l, f.Records, weight(f)})
	}
	return asks
}

func (g *Gate) mustWait(a ask, now time.Time) (Reason, *Busy) {
	switch {
	case g.closing:
		return ReasonStopping, &Busy{Reason: "intake is stopping", Retry: 5 * time.Second, Full: true}
	case g.disk.full && now.Before(g.disk.probe):
		return ReasonFull, busyFull()
	case a.lane.bytes > 0 && a.lane.bytes+a.bytes > g.opt.LaneBytes:
		return ReasonWaiting, &Busy{Reason: fmt.Sprintf("%d MiB of this tenant wait for the disk already", a.lane.bytes>>20), Retry: time.Second}
	case g.crowded(a):
		return ReasonWaiting, &Busy{Reason: fmt.Sprintf("%d MiB of all tenants wait for the disk already", g.waiting>>20), Retry: time.Second}
	}
	var quota Quota
	if g.opt.Quota != nil {
		quota = g.opt.Quota(a.lane.name)
	}
	if wait := a.lane.bucket.wait(quota, now); wait > 0 {
		return ReasonQuota, &Busy{Reason: "this tenant is over its quota", Retry: wait}
	}
	if wait := g.overShare(a.lane, now); wait > 0 {
		return ReasonShare, &Busy{Reason: "this tenant is over its share while others wait", Retry: wait}
	}
	return 0, nil
}

// crowded reports whether there is no room for the bytes among those of all lanes. The first half of the room is
// for whoever comes; the second is divided evenly, so that a few noisy lanes can't shut out the rest.
func (g *Gate) crowded(a ask) bool {
	half := g.opt.AllBytes / 2
	if g.waiting+a.bytes <= half || g.waiting == 0 {
		return false
	}
	lanes := int64(1)
	for _, l := range g.lanes {
		if l != a.lane && l.bytes > 0 {
			lanes++
		}
	}
	return g.waiting+a.bytes > g.opt.AllBytes || a.lane.bytes+a.bytes > half/lanes
}

func (g *Gate) enqueue(frames []bus.Frame, now time.Time) *submission {
	s := &submission{left: len(frames), done: make(chan struct{})}
	for i := range frames {
		f := frames[i]
		l := g.lane(laneOf(&f))
		if len(l.queue) == 0 {
			l.due = now.Add(g.opt.Linger)
		}
		w := weight(&f)
		l.queue = append(l.queue, piece{f, s, w})
		l.bytes += w
		l.records += f.Records
		g.waiting += w
		if !l.queued && !l.writing {
			l.queued = true
			g.turns = append(g.turns, l)
			g.look()
		} else if l.full() {
			g.look()
		}
	}
	return s
}

// await waits for the outcome of one's own submission and of those that carry one's keys.
func (g *Gate) await(ctx context.Context, own *submission, follow []*submission) error {
	var first error
	if own != nil {
		follow = append([]*submission{own}, follow...)
	}
	for _, s := range follow {
		select {
		case <-s.done:
			if s.err != nil && first == nil {
				first = s.err
			}
		case <-ctx.Done():
			g.leave(own, follow)
			return fmt.Errorf("waiting for the bus: %w", ctx.Err())
		}
	}
	return first
}

// leave takes a caller who waits no longer out of the count, and withdraws what nobody waits for.
func (g *Gate) leave(own *submission, follow []*submission) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range follow {
		if s != own {
			s.followers--
		}
	}
	if own == nil || own.taken > 0 || own.followers > 0 || own.left == 0 {
		return
	}
	g.withdraw(own, context.Canceled)
}

// withdraw takes what waits of a submission out of the queues.
func (g *Gate) withdraw(s *submission, err error) {
	if s.err == nil {
		s.err = err
	}
	for _, l := range g.lanes {
		kept := l.queue[:0]
		for _, p := range l.queue {
			if p.of != s {
				kept = append(kept, p)
				continue
			}
			g.unqueue(l, p)
			s.left--
		}
		clear(l.queue[len(kept):]) // the data may go
		l.queue = kept
	}
	if s.left == 0 {
		g.finish(s)
	}
}

func (g *Gate) unqueue(l *lane, p piece) {
	l.bytes -= p.bytes
	l.records -= p.frame.Records
	g.waiting -= p.bytes
}

// finish gives a submission's callers their answer.
func (g *Gate) finish(s *submission) {
	g.keys.end(s)
	close(s.done)
}

func (g *Gate) lane(name string) *lane {
	l := g.lanes[name]
	if l == nil {
		l = &lane{name: name}
		g.lanes[name] = l
	}
	return l
}

func (g *Gate) look() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Close takes nothing more, writes what waits, and returns when that is done. When the context ends first, the
// rest is refused. The bus stays open.
func (g *Gate) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closing = true
	g.mu.Unlock()
	g.look()
	defer g.stop()
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	left := 0
	for _, l := range g.lanes {
		left += l.records
	}
	g.failWaiting(&Busy{Reason: "intake is stopping", Retry: 5 * time.Second, Full: true})
	g.mu.Unlock()
	g.stop()
	g.look()
	return fmt.Errorf("writing the last records to the bus: %w; %d were refused, their senders will send them again", ctx.Err(), left)
}

// weight is what a waiting frame takes in memory, about.
func weight(f *bus.Frame) int64 { return int64(len(f.Data)+len(f.Head)) + 256 }

func laneOf(f *bus.Frame) string {
	return (&Binding{Sensor: f.Sensor, Tenant: f.Tenant}).Lane()
}
