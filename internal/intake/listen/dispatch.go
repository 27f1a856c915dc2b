package listen

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// probeEvery is how often one submission is let through to see whether a full disk has room again.
const probeEvery = time.Second

// diskState is whether the bus takes anything.
type diskState struct {
	full  bool
	probe time.Time // when the next submission may try
}

func busyFull() *Busy {
	return &Busy{Reason: "the disk has no room left; reading goes on", Retry: 5 * time.Second, Full: true}
}

// dispatch gives lanes their turns until the gate is closed and nothing waits.
func (g *Gate) dispatch() {
	defer close(g.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		g.mu.Lock()
		next := g.start(time.Now())
		over := g.closing && g.publishing == 0 && len(g.turns) == 0
		g.mu.Unlock()
		if over {
			return
		}
		timer.Reset(next)
		select {
		case <-g.wake:
		case <-timer.C:
		}
	}
}

// start begins to write the batches that are due, as many as may be written at once, and returns how long the
// next one has to wait for company.
func (g *Gate) start(now time.Time) time.Duration {
	next := time.Hour
	for range len(g.turns) {
		if g.publishing >= g.opt.Publishers {
			return time.Hour // the end of one wakes dispatch
		}
		l := g.turns[0]
		g.turns = append(g.turns[:0], g.turns[1:]...)
		if len(l.queue) == 0 { // withdrawn
			l.queued = false
			continue
		}
		if wait := l.due.Sub(now); wait > 0 && !l.full() && !g.closing {
			next = min(next, wait)
			g.turns = append(g.turns, l)
			continue
		}
		l.queued, l.writing = false, true
		g.publishing++
		pieces := l.take(g)
		go g.publish(l, pieces)
	}
	return next
}

// full reports whether waiting would not make the lane's next batch larger.
func (l *lane) full() bool {
	return l.records >= bus.MaxRecords || l.bytes >= bus.MaxBytes
}

// take removes the pieces of the next batch from the queue: one at least.
func (l *lane) take(g *Gate) []piece {
	records, bytes, n := 0, 0, 0
	for n < len(l.queue) {
		f := &l.queue[n].frame
		if n > 0 && (records+f.Records > bus.MaxRecords || bytes+len(f.Data) > bus.MaxBytes) {
			break
		}
		records += f.Records
		bytes += len(f.Data)
		n++
	}
	pieces := slices.Clone(l.queue[:n])
	clear(l.queue[:n]) // the data may go once it is written
	l.queue = l.queue[n:]
	for _, p := range pieces {
		g.unqueue(l, p)
		p.of.taken++
	}
	return pieces
}

// publish writes one batch and gives its pieces their outcome.
func (g *Gate) publish(l *lane, pieces []piece) {
	b := &bus.Batch{Lane: l.name, Frames: make([]bus.Frame, len(pieces))}
	var got counter
	for i, p := range pieces {
		b.Frames[i] = p.frame
		got.records += uint64(p.frame.Records)
		got.bytes += uint64(len(p.frame.Data))
	}
	// Counted before the write: the pipeline may be done with the batch before Publish returns.
	g.mu.Lock()
	l.unfinished += int(got.records)
	g.unfinished += int(got.records)
	g.mu.Unlock()

	_, err := g.bus.Publish(g.ctx, b)

	g.mu.Lock()
	defer g.mu.Unlock()
	g.publishing--
	l.writing = false
	switch {
	case err == nil:
		g.batches++
		g.disk.full = false
		l.accepted.records += got.records
		l.accepted.bytes += got.bytes
	case errors.Is(err, bus.ErrFull):
		l.refused[ReasonFull] += got.records
		err = busyFull()
	default:
		g.failed++
		l.refused[ReasonFailed] += got.records
		err = fmt.Errorf("writing %d records of %s to the bus: %w", got.records, l.name, err)
	}
	if err != nil {
		g.doneWith(l, int(got.records))
	}
	g.settle(pieces, err)
	if busy, ok := err.(*Busy); ok {
		g.disk = diskState{full: true, probe: time.Now().Add(probeEvery)}
		g.failWaiting(busy)
	}
	if len(l.queue) > 0 && !l.queued {
		l.due = time.Time{} // it has waited while its lane's last batch was written
		l.queued = true
		g.turns = append(g.turns, l)
	}
	g.look()
}

func (g *Gate) settle(pieces []piece, err error) {
	for _, p := range pieces {
		s := p.of
		s.left--
		if err != nil && s.err == nil {
			s.err = err
			g.withdraw(s, err) // the rest would be acknowledged to nobody
			continue
		}
		if s.left == 0 {
			g.finish(s)
		}
	}
}

// failWaiting refuses everything that waits.
func (g *Gate) failWaiting(busy *Busy) {
	reason := ReasonFull
	if g.closing {
		reason = ReasonStopping
	}
	for _, l := range g.lanes {
		l.refused[reason] += uint64(l.records)
		for len(l.queue) > 0 {
			g.withdraw(l.queue[0].of, busy)
		}
	}
}
