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
	pause := max(4*l.rebuildIn, 4*cost, time.Second)
	if now-l.heard >= quiet {
		pause = max(l.rebuildIn/4, quiet) // nobody is held up
	}
	if l.rebuilt > 0 && now-l.rebuilt < pause || now-l.heard < quiet && now-l.indebted < impatient {
		return
	}
	l.building = true
	seq, seen, records := c.seq, c.seen, c.records-base.Records
	go func() {
		began := l.now()
		n, err := l.build(ctx, base, ok, seq, seen)
		l.rebuilds <- &rebuild{core: n, err: err, took: l.now() - began, records: records}
	}()
}

func (l *live) writeOff(why string) {
	l.log.Info("events that came out of order stay as they were taken", "events", l.core.debt.Events, "since", l.core.debt.Since, "why", why)
	l.stats.writtenOff.Add(l.core.debt.Events)
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

// takeOver lets a rebuilt core go on where the live one is, once it has taken the messages that came meanwhile.
func (l *live) takeOver(ctx context.Context, r *rebuild) {
	defer func() { l.building, l.rebuilt = false, l.now() }()
	l.rebuildIn = r.took
	if r.err != nil {
		if ctx.Err() == nil {
			l.log.Error("putting events into order; it will be tried again", "err", r.err)
		}
		return
	}
	old, c := l.core, r.core
	if r.records > 1000 {
		l.perRecord = (l.perRecord + r.took/time.Duration(r.records)) / 2
	}
	d, arrived := newFrameDecoder(l.current.Load()), l.now()
	err := l.bus.Read(ctx, c.seq, false, func(m *bus.Message) error {
		if m.Seq > old.seq {
			return errEnough
		}
		out := d.message(m)
		for i, e := range out.events {
			if !old.seen.Repeats(e, order.PlaceOf(m.Seq, i)) {
				c.attributor.Learn(e)
				c.window.Add(e, arrived-l.settle)
			}
		}
		return ctx.Err()
	})
	if err != nil && !errors.Is(err, errEnough) {
		l.log.Error("catching up after putting events into order", "err", err)
		return
	}
	c.seq, c.records, c.events, c.repeats, c.from, c.to = old.seq, old.records, old.events, old.repeats, old.from, old.to
	c.seen, c.coverage, c.silences = old.seen, old.coverage, old.silences
	l.core, l.changed, l.indebted = c, true, 0
	c.settle()
	l.stats.rebuilds.Add(1)
	l.kept = -l.every - 20*l.snapTook // a clean checkpoint is worth keeping at once
}
