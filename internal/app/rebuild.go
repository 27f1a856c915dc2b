package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/order"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// rebuild is a core made anew from an earlier checkpoint, with everything since in full order.
type rebuild struct {
	core    *core
	err     error
	took    time.Duration
	records int64
}

// What bounds the way from a rebuilt core to where the live one is by then.
const (
	maxUnderLoad  = time.Second // of work, while messages come
	catchUpWindow = 2000        // events that are put into order at a time
	nearlyRecords = 2000        // what may be left for the pipeline itself to catch up with
)

// rebuildBudget is what a rebuild may hold in memory of events to be sorted.
const rebuildBudget = 48 << 20

// payDebt begins a rebuild where there is a debt that can be paid at a price that is due.
func (l *live) payDebt(ctx context.Context) {
	c, now := l.core, l.now()
	if c.debt.Events == 0 {
		l.indebted = 0
		return
	}
	if l.indebted == 0 {
		l.indebted = max(now, 1)
	}
	if l.building || l.keeping {
		return
	}
	base, ok := l.checkpoints.base(c.debt.Since)
	if first, _ := l.bus.Span(); !ok && first > 1 {
		l.writeOff("the bus reaches back less far")
		return
	}
	cost := time.Duration(c.records-base.Records) * l.perRecord
	if cost > maxRebuild {
		l.writeOff("a rebuild would take too long")
		return
	}
	if now-l.heard >= quiet { // nobody is held up
		if l.rebuilt > 0 && now-l.rebuilt < max(l.rebuildIn/4, quiet) {
			return
		}
	} else if cost > maxUnderLoad || now-l.indebted < impatient || l.rebuilt > 0 && now-l.rebuilt < max(10*l.rebuildIn, 10*cost, time.Second) {
		return
	}
	l.building = true
	seq, seen, records := c.seq, c.seen, c.records-base.Records
	go func() {
		began := l.now()
		n, err := l.build(ctx, base, ok, seq, seen)
		if err == nil {
			err = l.nearly(ctx, n, seen)
		}
		l.rebuilds <- &rebuild{core: n, err: err, took: l.now() - began, records: records}
	}()
}

func (l *live) writeOff(why string) {
	n := l.core.debt.Events
	l.stats.writtenOff.Add(n)
	l.writtenOff += n
	if now := l.now(); l.toldOff == 0 || now-l.toldOff >= time.Minute {
		l.log.Info("events that came out of order stay as they were taken", "events", l.writtenOff, "since", l.core.debt.Since, "why", why)
		l.writtenOff, l.toldOff = 0, now
	}
	l.core.debt = debt{}
}

// errEnough ends the reading of a bus early.
var errEnough = errors.New("enough was read")

// build makes a core of a checkpoint, or of nothing, and the messages after it up to a place: a scan of the bus.
func (l *live) build(ctx context.Context, base checkpointHead, fromBase bool, upTo uint64, seen *order.Seen) (*core, error) {
	c, err := newCore(l.current.Load(), l.key)
	if err != nil {
		return nil, err
	}
	sorter := order.NewSorter(l.dir, rebuildBudget)
	defer sorter.Close()
	if fromBase {
		k, err := l.checkpoints.load(base.Seq)
		if err != nil {
			return nil, err
		}
		if err := c.restore(k); err != nil {
			return nil, err
		}
		for _, e := range c.window.Drain() {
			if err := sorter.Add(e); err != nil {
				return nil, err
			}
		}
	}
	d := newFrameDecoder(l.current.Load())
	err = l.bus.Read(ctx, c.seq, false, func(m *bus.Message) error {
		if m.Seq > upTo {
			return errEnough
		}
		out := d.message(m)
		for i, e := range out.events {
			if seen.Repeats(e, order.PlaceOf(m.Seq, i)) {
				continue
			}
			c.attributor.Learn(e)
			if err := sorter.Add(e); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("reading the bus again: %w", err)
	}
	c.seq = upTo
	c.sessions.Refresh()
	if err := sorter.Merge(func(e *ocsf.Event) error { c.guarded(e); return ctx.Err() }); err != nil {
		return nil, err
	}
	c.debt = debt{} // what was taken now was in order
	return c, nil
}

// catchUp takes the messages between a core and a place as they came, and returns how many records those were.
func (l *live) catchUp(ctx context.Context, c *core, upTo uint64, seen *order.Seen) (records int64, err error) {
	d := newFrameDecoder(l.current.Load())
	began := l.now()
	err = l.bus.Read(ctx, c.seq, false, func(m *bus.Message) error {
		if m.Seq > upTo {
			return errEnough
		}
		out := d.message(m)
		records += int64(out.records)
		for i, e := range out.events {
			if !seen.Repeats(e, order.PlaceOf(m.Seq, i)) {
				c.attributor.Learn(e)
				c.window.Add(e, l.now())
			}
		}
		if c.window.Len() >= catchUpWindow {
			c.release(l.now())
		}
		return ctx.Err()
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err != nil {
		return records, fmt.Errorf("catching up after putting events into order: %w", err)
	}
	c.seq = upTo
	if records > 1000 {
		l.log.Debug("caught up", "records", records, "took", l.now()-began)
	}
	return records, nil
}

// nearly catches up with the live core beside it until little is left.
func (l *live) nearly(ctx context.Context, c *core, seen *order.Seen) error {
	before := int64(1) << 62
	for {
		n, err := l.catchUp(ctx, c, uint64(l.stats.seq.Load()), seen)
		if err != nil || n <= nearlyRecords {
			return err
		}
		if n > before-before/4 {
			return errors.New("messages come about as fast as they are caught up with")
		}
		before = n
	}
}

// takeOver lets a rebuilt core go on where the live one is, once it has taken the messages that came meanwhile.
func (l *live) takeOver(ctx context.Context, r *rebuild) {
	defer func() { l.building, l.rebuilt = false, l.now() }()
	l.rebuildIn = r.took
	if r.err != nil {
		if ctx.Err() == nil {
			l.log.Warn("events could not be put into order; it will be tried again", "why", r.err)
		}
		return
	}
	old, c := l.core, r.core
	if r.records > 1000 {
		l.perRecord = (l.perRecord + r.took/time.Duration(r.records)) / 2
	}
	if _, err := l.catchUp(ctx, c, old.seq, old.seen); err != nil {
		l.log.Error("events stay in the order in which they were taken", "err", err)
		return
	}
	c.observe = l.observe
	c.settle()
	c.seq, c.records, c.events, c.repeats, c.from, c.to = old.seq, old.records, old.events, old.repeats, old.from, old.to
	c.seen, c.coverage, c.silences = old.seen, old.coverage, old.silences
	l.core, l.changed, l.indebted = c, true, 0
	l.stats.rebuilds.Add(1)
	l.kept = -l.every - 20*l.snapTook // a clean checkpoint is worth keeping at once
}
