package listen

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// answers gives one answer after the other, then nil.
type answers struct {
	list []error
	keys []string
}

func (a *answers) Submit(_ context.Context, frames ...bus.Frame) error {
	a.keys = append(a.keys, frames[0].Key)
	if len(a.list) == 0 {
		return nil
	}
	err := a.list[0]
	a.list = a.list[1:]
	return err
}

func TestInsistWaitsForWhatWaitingMends(t *testing.T) {
	large := &TooLarge{}
	for _, c := range []struct {
		name   string
		given  []error
		want   error
		calls  int
		waited int64
		key    string // of the last call
	}{
		{"taken at once", nil, nil, 1, 0, "k"},
		{"busy twice", []error{&Busy{Retry: time.Nanosecond}, &Busy{Retry: time.Nanosecond}}, nil, 3, 2, "k"},
		{"too large for ever", []error{large}, large, 1, 0, "k"},
		{"a key of other data", []error{ErrKeyReused}, nil, 2, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			to, busy := &answers{list: c.given}, atomic.Int64{}
			frame := bus.Frame{Key: "k"}
			err := Insist(t.Context(), to, slog.New(slog.DiscardHandler), &busy, frame)
			if !errors.Is(err, c.want) || len(to.keys) != c.calls || busy.Load() != c.waited || to.keys[len(to.keys)-1] != c.key {
				t.Errorf("%v after %q, waited %d times", err, to.keys, busy.Load())
			}
		})
	}
}

func TestInsistEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var busy atomic.Int64
	if err := Insist(ctx, &answers{list: []error{&Busy{Retry: time.Hour}}}, slog.New(slog.DiscardHandler), &busy, bus.Frame{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
