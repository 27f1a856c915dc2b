package order

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// MaxWindow is how many events a Window holds before it lets the oldest arrivals go early.
const MaxWindow = 200_000

// Window holds live events for a short while after they came, so that what several sources sent at about the same
// moment leaves in event time. An event leaves when it has settled, and with it everything of the same or an
// earlier time. The zero value is usable.
type Window struct {
	held []waiting
}

type waiting struct {
	arrived time.Duration // on the caller's monotonic clock
	event   *ocsf.Event
}

// Add takes an event that came at a moment of the caller's clock, which never runs backwards.
func (w *Window) Add(e *ocsf.Event, arrived time.Duration) {
	w.held = append(w.held, waiting{arrived, e})
}

// Len is how many events wait.
func (w *Window) Len() int { return len(w.held) }

// Oldest returns when the event that waits longest came.
func (w *Window) Oldest() (arrived time.Duration, ok bool) {
	if len(w.held) == 0 {
		return 0, false
	}
	return slices.MinFunc(w.held, func(a, b waiting) int { return cmp.Compare(a.arrived, b.arrived) }).arrived, true
}

// Release returns, in event time, the events that came before settled, and those of no later time that came since.
func (w *Window) Release(settled time.Duration) []*ocsf.Event {
	if n := len(w.held); n > MaxWindow {
		slices.SortStableFunc(w.held, func(a, b waiting) int { return cmp.Compare(a.arrived, b.arrived) })
		settled = max(settled, w.held[n-MaxWindow].arrived)
	}
	var upTo time.Time
	found := false
	for _, x := range w.held {
		if x.arrived <= settled && (!found || x.event.Time.After(upTo)) {
			upTo, found = x.event.Time, true
		}
	}
	if !found {
		return nil
	}
	var out []*ocsf.Event
	w.held = slices.DeleteFunc(w.held, func(x waiting) bool {
		if x.event.Time.After(upTo) {
			return false
		}
		out = append(out, x.event)
		return true
	})
	slices.SortFunc(out, Compare)
	return out
}

// Drain returns everything that waits, in event time.
func (w *Window) Drain() []*ocsf.Event { return w.Release(1<<63 - 1) }

// Waiting returns what waits without letting it go.
func (w *Window) Waiting() []*ocsf.Event {
	out := make([]*ocsf.Event, len(w.held))
	for i, x := range w.held {
		out[i] = x.event
	}
	slices.SortFunc(out, Compare)
	return out
}

// Compare orders events as Sorter does: by time, id, file and record.
func Compare(a, b *ocsf.Event) int {
	return cmp.Or(a.Time.Compare(b.Time), slices.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Raw.File, b.Raw.File), cmp.Compare(a.Raw.Record, b.Raw.Record))
}

// EncodeEvents writes events one after another; DecodeEvents reads them.
func EncodeEvents(list []*ocsf.Event) ([]byte, error) {
	var out []byte
	for _, e := range list {
		data, err := e.AppendBinary(make([]byte, 4))
		if err != nil {
			return nil, fmt.Errorf("encoding event %s: %w", e.ID, err)
		}
		n := len(data) - 4
		data[0], data[1], data[2], data[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
		out = append(out, data...)
	}
	return out, nil
}

// DecodeEvents reads what EncodeEvents wrote.
func DecodeEvents(b []byte) ([]*ocsf.Event, error) {
	var out []*ocsf.Event
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, fmt.Errorf("an event is cut short: %d bytes are left", len(b))
		}
		n := int(b[0]) | int(b[1])<<8 | int(b[2])<<16 | int(b[3])<<24
		if n < 0 || n > len(b)-4 {
			return nil, fmt.Errorf("an event of %d bytes is cut short at %d", n, len(b)-4)
		}
		e := &ocsf.Event{}
		if err := e.UnmarshalBinary(b[4 : 4+n : 4+n]); err != nil {
			return nil, fmt.Errorf("decoding an event: %w", err)
		}
		out, b = append(out, e), b[4+n:]
	}
	return out, nil
}
