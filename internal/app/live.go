package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/correlate/coverage"
	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/order"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Times of the live pipeline.
const (
	tick            = 25 * time.Millisecond
	drawLeast       = 150 * time.Millisecond // between two answers
	drawCounts      = 2 * time.Second        // between two answers of which only counts differ
	checkpointLeast = 15 * time.Second
	quiet           = 300 * time.Millisecond // without a message, a rebuild disturbs nobody
	impatient       = 5 * time.Second        // after which a debt is paid although messages come
	maxRebuild      = 2 * time.Minute        // of work; beyond it a debt is written off
	forgetEvery     = time.Hour
	listenEvery     = 10 * time.Second // for silence
)

// Answer is what serve knows at one moment. It is never changed once it is given out.
type Answer struct {
	Version  uint64
	Result   *campaign.Result
	Model    *tenant.Model
	Coverage []coverage.Row
	Silences []coverage.Silence
	Seq      uint64 // of the last message that it rests on
	Settled  bool   // nothing waits, and the order is that of a scan
}

// liveOptions are what the live pipeline is given.
type liveOptions struct {
	setup       *Setup
	bus         bus.Bus
	checkpoints *checkpoints // nil: those of dir
	dir         string       // of checkpoints and sorted runs
	key         [16]byte
	every       time.Duration // between checkpoints, at least; 0: checkpointLeast
	settle      time.Duration // how long an event waits for earlier ones
	busBytes    int64         // what the bus may take before old messages are let go
	horizon     time.Duration // what is older than this is forgotten by detectors and graph
	log         *slog.Logger
	bad         func([]badRecord, uint64) error // keeps bad records of a message; must be idempotent
	progressed  func(lane string, records int)
	answered    func(*Answer)
	observe     func(*ocsf.Event)      // told of each event once it is attributed; nil: nobody
	beside      func() []*ocsf.Finding // what is found beside the pipeline; nil: nothing
}

// live runs a core over the bus.
type live struct {
	liveOptions
	current  atomic.Pointer[Setup]
	answer   atomic.Pointer[Answer]
	commands chan func()
	ended    chan struct{}
	start    time.Time

	core       *core
	waiting    []pendingBad
	drawn      time.Duration // when, on the pipeline's clock
	drawTook   time.Duration
	drawnAt    int64 // events at that time
	changed    bool  // findings changed since
	heard      time.Duration
	kept       time.Duration // last checkpoint
	keptSeq    uint64
	keptDebt   bool
	keeping    bool
	writing    sync.WaitGroup
	snapTook   time.Duration
	forgot     time.Duration
	listened   time.Duration
	indebted   time.Duration // since when there is a debt; 0: none
	rebuilt    time.Duration // end of the last rebuild
	rebuildIn  time.Duration // how long it took
	rebuilds   chan *rebuild
	building   bool
	writtenOff int64         // since it was told last
	toldOff    time.Duration // when that was
	perRecord  time.Duration // measured cost of a rebuild

	stats struct {
		rebuilds, writtenOff, checkpoints, draws atomic.Int64
		seq, records, events, repeats, waiting   atomic.Int64
		debt                                     atomic.Int64
		drawMicros, snapMicros, lagMicros        atomic.Int64
		copyMicros                               atomic.Int64 // how long the last copy for a question held the pipeline
	}
}

type pendingBad struct {
	seq  uint64
	list []badRecord
}

// newLive restores the newest checkpoint that is whole.
func newLive(o liveOptions) (*live, error) {
	l := &live{liveOptions: o, commands: make(chan func()), ended: make(chan struct{}), start: time.Now(), rebuilds: make(chan *rebuild, 1), perRecord: 15 * time.Microsecond}
	l.current.Store(o.setup)
	damaged := func(what string) { o.log.Warn("damaged file", "what", what) }
	l.every = cmp.Or(l.every, checkpointLeast)
	var err error
	if l.checkpoints == nil {
		if l.checkpoints, err = openCheckpoints(o.dir, damaged); err != nil {
			return nil, err
		}
	}
	for n := len(l.checkpoints.list); n > 0 && l.core == nil; n = len(l.checkpoints.list) {
		seq := l.checkpoints.list[n-1].Seq
		c, err := l.load(seq)
		if err != nil {
			damaged(fmt.Sprintf("checkpoint %d can't be used, an older one is taken: %v", seq, err))
			l.checkpoints.drop(seq)
			continue
		}
		l.core = c
	}
	if l.core == nil {
		if l.core, err = newCore(o.setup, o.key); err != nil {
			return nil, err
		}
	}
	l.core.observe = o.observe
	l.keptSeq, l.keptDebt = l.core.seq, l.core.debt.Events > 0
	l.changed = true
	l.draw()
	l.count()
	return l, nil
}

// load makes a core of the checkpoint of a place.
func (l *live) load(seq uint64) (*core, error) {
	k, err := l.checkpoints.load(seq)
	if err != nil {
		return nil, err
	}
	c, err := newCore(l.current.Load(), l.key)
	if err != nil {
		return nil, err
	}
	if err := c.restore(k); err != nil {
		return nil, err
	}
	if err := c.seen.Restore(k.seen); err != nil {
		l.log.Warn("what was delivered is looked up on the bus, so that repeats are known", "checkpoint", seq, "why", err)
		if err := l.remember(c, k.head); err != nil {
			l.log.Warn("repeats of what was delivered before the restart may be shown twice", "checkpoint", seq, "why", err)
		}
	}
	return c, nil
}

// What remember reads at most: retries are of the last minutes.
const (
	rememberRecords = 500_000
	rememberWithin  = 10 * time.Second
)

// remember learns from the bus which events were delivered before a checkpoint.
func (l *live) remember(c *core, h checkpointHead) error {
	after := uint64(0)
	for _, x := range l.checkpoints.list {
		if h.Records-x.Records >= rememberRecords {
			after = x.Seq
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), rememberWithin)
	defer cancel()
	d := newFrameDecoder(l.current.Load())
	err := l.bus.Read(ctx, after, false, func(m *bus.Message) error {
		if m.Seq > h.Seq {
			return errEnough
		}
		for i, e := range d.message(m).events {
			c.seen.First(e, order.PlaceOf(m.Seq, i))
		}
		return ctx.Err()
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// now is the pipeline's clock: it never steps, whatever is done to the system's.
func (l *live) now() time.Duration { return time.Since(l.start) }

// job is a message on its way through a decoder.
type job struct {
	message *bus.Message
	done    chan *delivery
}

// decoders is how many messages are decoded at a time.
const decoders = 2

// run takes messages until the context ends, and then keeps a last checkpoint.
func (l *live) run(ctx context.Context) error {
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ordered, work := make(chan *job, 4), make(chan *job, 4)
	var group sync.WaitGroup
	for range decoders {
		group.Go(func() { l.decode(work) })
	}
	after := l.core.seq
	group.Go(func() {
		defer close(work)
		defer close(ordered)
		hand := func(j *job, to ...chan *job) error {
			for _, to := range to {
				select {
				case to <- j:
				case <-reading.Done():
					return reading.Err()
				}
			}
			return nil
		}
		each := func(m *bus.Message) error {
			after = m.Seq
			return hand(&job{m, make(chan *delivery, 1)}, work, ordered)
		}
		// Damage may have taken the newest messages; nothing comes for their places then, and nobody must wait for it.
		_, last := l.bus.Span()
		err := l.bus.Read(reading, after, false, each)
		if err == nil && last > after {
			j := &job{nil, make(chan *delivery, 1)}
			j.done <- &delivery{seq: last, at: time.Now()}
			err, after = hand(j, ordered), last
		}
		if err == nil {
			err = l.bus.Read(reading, after, true, each)
		}
		if err != nil && reading.Err() == nil {
			stop(fmt.Errorf("reading the bus: %w", err))
		}
	})
	err := l.loop(reading, ordered)
	close(l.ended)
	stop(nil)
	for range ordered { // the reader may be about to hand on one more
	}
	group.Wait()
	return errors.Join(err, l.last())
}

func (l *live) decode(work <-chan *job) {
	d := newFrameDecoder(l.current.Load())
	for j := range work {
		if s := l.current.Load(); s != d.setup {
			d = newFrameDecoder(s)
		}
		j.done <- d.message(j.message)
	}
}

func (l *live) loop(ctx context.Context, ordered <-chan *job) error {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		case j, ok := <-ordered:
			if !ok {
				ordered = nil
				continue
			}
			l.accept(<-j.done)
			if l.core.window.Len() < 20_000 {
				continue // the clock does the rest
			}
		case f := <-l.commands:
			f()
		case r := <-l.rebuilds:
			l.takeOver(ctx, r)
		case <-clock.C:
		}
		l.step(ctx)
	}
}

func (l *live) accept(d *delivery) {
	l.heard = l.now()
	l.core.accept(d, l.heard)
	l.stats.lagMicros.Store(time.Since(d.at).Microseconds())
	if len(d.bad) > 0 {
		l.waiting = append(l.waiting, pendingBad{d.seq, d.bad})
	}
	if l.progressed != nil {
		l.progressed(d.lane, d.records)
	}
}

// step does what is due.
func (l *live) step(ctx context.Context) {
	now := l.now()
	l.core.release(now - l.settle)
	l.changed = l.core.engine.Changed() || l.changed
	l.keepBad()
	since := now - l.drawn
	if a := l.answer.Load(); (l.changed || l.settled() && !a.Settled) && since >= max(drawLeast, 4*l.drawTook) ||
		(l.core.events != l.drawnAt || a.Seq != l.core.seq) && since >= max(drawCounts, 10*l.drawTook) {
		l.draw()
	}
	if (l.core.seq != l.keptSeq || l.keptDebt && l.core.debt.Events == 0) && !l.keeping && now-l.kept >= max(l.every, 20*l.snapTook) {
		l.keep()
	}
	if now-l.listened >= listenEvery {
		l.listen()
	}
	if now-l.forgot >= forgetEvery {
		l.forget()
	}
	l.payDebt(ctx)
	l.count()
}

func (l *live) count() {
	c, s := l.core, &l.stats
	s.seq.Store(int64(c.seq))
	s.records.Store(c.records)
	s.events.Store(c.events)
	s.repeats.Store(c.repeats)
	s.waiting.Store(int64(c.window.Len()))
	s.debt.Store(c.debt.Events)
}

// draw publishes a new answer. Where drawing fails the last one stays.
func (l *live) draw() {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("no answer could be drawn, which is a bug of ours; the last one stays", "what", p, "stack", string(debug.Stack()))
			l.changed, l.drawnAt, l.drawn = false, l.core.events, l.now()
		}
	}()
	began := l.now()
	c := l.core
	result, rows := c.draw()
	if l.beside != nil {
		addPosture(result, c.setup.Model, l.beside())
	}
	a := &Answer{Version: 1, Result: result, Model: c.setup.Model, Coverage: rows, Silences: c.silences, Seq: c.seq, Settled: l.settled()}
	if old := l.answer.Load(); old != nil {
		a.Version = old.Version + 1
	}
	l.answer.Store(a)
	l.changed, l.drawnAt, l.drawn = false, c.events, l.now()
	l.drawTook = l.drawn - began
	l.stats.draws.Add(1)
	l.stats.drawMicros.Store(l.drawTook.Microseconds())
	if l.answered != nil {
		l.answered(a)
	}
}

// settled reports whether the answer would be that of a scan of everything that was sent.
func (l *live) settled() bool {
	_, last := l.bus.Span()
	return l.core.seq >= last && l.core.window.Len() == 0 && l.core.debt.Events == 0 && !l.building
}

// keepBad hands bad records on. What can't be kept now is tried again.
func (l *live) keepBad() {
	for len(l.waiting) > 0 {
		if err := l.bad(l.waiting[0].list, l.waiting[0].seq); err != nil {
			l.log.Error("records that could not be read can't be kept yet", "err", err)
			return
		}
		l.waiting = l.waiting[1:]
	}
	l.waiting = nil
}

// listen looks for sensors that have fallen silent, or are back.
func (l *live) listen() {
	l.listened = l.now()
	old := l.core.silences
	l.core.silences = l.core.coverage.Silent(time.Now())
	if !slices.Equal(old, l.core.silences) {
		l.changed = true
	}
}

// keep writes a checkpoint beside the pipeline.
func (l *live) keep() {
	if len(l.waiting) > 0 {
		return // a checkpoint must not be ahead of what is kept
	}
	began := l.now()
	k, err := l.core.snapshot(time.Now())
	if err != nil {
		l.log.Error("making a checkpoint", "err", err)
		l.kept = l.now()
		return
	}
	l.snapTook = l.now() - began
	l.stats.snapMicros.Store(l.snapTook.Microseconds())
	l.keeping = true
	l.writing.Go(func() {
		err := l.checkpoints.write(k)
		go l.do(func() { l.keptIt(k.head, err) })
	})
}

func (l *live) keptIt(h checkpointHead, err error) {
	l.keeping, l.kept = false, l.now()
	if err != nil {
		l.log.Error("writing a checkpoint", "err", err)
		return
	}
	l.checkpoints.add(h)
	l.keptSeq, l.keptDebt = h.Seq, !h.clean()
	l.stats.checkpoints.Add(1)
	l.trim()
}

// trim lets go of messages that no checkpoint needs once the bus has grown over its limit.
func (l *live) trim() {
	if l.busBytes <= 0 || l.bus.Bytes() <= l.busBytes || len(l.checkpoints.list) == 0 {
		return
	}
	first, _ := l.bus.Span()
	oldest := l.checkpoints.list[0].Seq
	if first > oldest && len(l.checkpoints.list) > 2 { // already trimmed to it: rebuilds reach back less far
		l.checkpoints.drop(oldest)
		oldest = l.checkpoints.list[0].Seq
	}
	if oldest < first {
		return
	}
	if err := l.bus.Trim(context.Background(), oldest); err != nil {
		l.log.Error("letting go of old messages", "err", err)
	}
}

// do runs a function on the pipeline's goroutine; it is lost once the pipeline has ended.
func (l *live) do(f func()) {
	select {
	case l.commands <- f:
	case <-l.ended:
	}
}

// doWithin runs a function on the pipeline's goroutine and waits until it is done. Where the pipeline takes no request
// before the context ends, the function is not run at all.
func (l *live) doWithin(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case l.commands <- func() { defer close(done); f() }:
		<-done
		return nil
	case <-l.ended:
		return busy("the server is stopping", 5*time.Second)
	case <-ctx.Done():
		return busy("the pipeline is busy; try again", 5*time.Second)
	}
}

// last takes what waits and keeps a checkpoint, at an orderly stop.
func (l *live) last() error {
	l.writing.Wait()
	l.keepBad()
	if len(l.waiting) > 0 || l.core.seq == l.keptSeq && !l.keptDebt {
		return nil
	}
	k, err := l.core.snapshot(time.Now())
	if err == nil {
		err = l.checkpoints.write(k)
	}
	if err != nil {
		return fmt.Errorf("keeping a last checkpoint (the next start replays from an earlier one): %w", err)
	}
	return nil
}

// forget drops what is older than the horizon, so that months of watching take no more memory than some.
func (l *live) forget() {
	l.forgot = l.now()
	latest := l.core.taken()
	if l.horizon <= 0 || latest.IsZero() {
		return
	}
	before := latest.Add(-l.horizon)
	l.core.engine.Forget(before)
	l.core.graph.Forget(before)
	l.core.held = nil
	l.core.telemetry.Forget(before)
	l.core.sessions.Forget(before)
}

// reload goes on with another setup: the state is carried over, and no event is missed.
func (l *live) reload(s *Setup) error {
	k, err := l.core.snapshot(time.Now())
	if err != nil {
		return err
	}
	c, err := newCore(s, l.key)
	if err != nil {
		return err
	}
	seen := l.core.seen
	if err := c.restore(k); err != nil {
		return fmt.Errorf("carrying the state over: %w", err)
	}
	c.seen, c.observe = seen, l.observe
	l.current.Store(s)
	l.core, l.changed = c, true
	return nil
}

// lag is how far the answer is behind what was accepted; 0 where it rests on everything.
func (l *live) lag(last uint64) time.Duration {
	if uint64(l.stats.seq.Load()) >= last {
		return 0
	}
	return time.Duration(l.stats.lagMicros.Load()) * time.Microsecond
}
