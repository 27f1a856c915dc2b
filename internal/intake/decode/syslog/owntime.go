package syslog

import (
	"context"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// ownTimes reads the lines of a file that nothing dates by their messages alone: many of them tell their own time. A
// line whose header agrees with its message, but for the year, gives that year to others. Lines that no message dates
// are tried once more then.
type ownTimes struct {
	decoder *decoder
	nest    *decode.Nest
	left    []waitingLine // no message dates them
	size    int
	knew    bool           // a format knew the message at hand
	known   map[int64]bool // lines whose message a format knew and that have given no event yet
}

// newOwnTimes returns a reader of such lines. Formats are told that their records are carried, and not when.
func newOwnTimes(ctx context.Context, inner []decode.Stream, d *decoder) *ownTimes {
	o := &ownTimes{decoder: d, known: map[int64]bool{}}
	formats := slices.Clone(inner)
	for i := range formats {
		recognise := formats[i].Recognise
		formats[i].Recognise = func(name string, head []byte) bool {
			knows := recognise(name, head)
			o.knew = o.knew || knows
			return knows
		}
	}
	o.nest = decode.NewNest(decode.WithReceived(ctx, time.Time{}), formats, o)
	return o
}

func (o *ownTimes) add(h *header, n int64, raw []byte) error {
	o.knew = false
	c := carried(h, time.Time{}, n, raw)
	o.known[n] = true // before its event comes, which may be at once
	err := o.nest.Add(c)
	if !o.knew {
		delete(o.known, n)
	}
	return err
}

// headerAgrees is how far a header's date may be from the message's time, for relays that queue and clocks without a
// zone.
const headerAgrees = 2 * 24 * time.Hour

// Event takes what a format made of a message. Without a time it is none.
func (o *ownTimes) Event(e *ocsf.Event, n int64, raw []byte) {
	if !believable(e.Time) {
		o.Bad(n, "", raw)
		return
	}
	o.decoder.sink.Event(e, n, raw)
	delete(o.known, n)
	h := parse(trimmed(raw))
	if !h.dated || !h.noYear {
		return
	}
	if at, err := nearest(h.at, []int64{e.Time.Unix() / aDay}); err == nil && max(at.Sub(e.Time), e.Time.Sub(at)) <= headerAgrees {
		o.decoder.years.seen(at)
	}
}

// believable reports whether a message's time is one that its writer's clock told.
func believable(t time.Time) bool { return t.Year() > 1971 && t.Year() < 2100 }

// Bad takes a line that no message dates.
func (o *ownTimes) Bad(n int64, _ string, raw []byte) {
	if o.size += len(raw) + 48; o.size > maxWaiting {
		o.again(waitingLine{n, raw})
		return
	}
	o.left = append(o.left, waitingLine{n, append([]byte(nil), raw...)})
}

// again reads a line with what is known of years by now.
func (o *ownTimes) again(w waitingLine) {
	h := parse(trimmed(w.raw))
	at, err := o.decoder.when(&h)
	switch {
	case err != nil:
		o.decoder.sink.Bad(w.n, err.Error(), w.raw)
	case o.known[w.n]: // part of a record of several lines, which another of them gave: it is told as it stands
		o.decoder.sink.Event(event(&h, at), w.n, w.raw)
	default:
		if err = o.decoder.nest.Add(carried(&h, at, w.n, w.raw)); err != nil {
			o.decoder.sink.Bad(w.n, err.Error(), w.raw)
		}
	}
	delete(o.known, w.n)
}

// close gives what is left.
func (o *ownTimes) close() error {
	if err := o.nest.Flush(); err != nil {
		return err
	}
	for _, w := range o.left {
		o.again(w)
	}
	o.left = nil
	return nil
}
