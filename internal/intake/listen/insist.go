package listen

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// Pauses before frames are tried again.
const (
	leastPause  = 5 * time.Millisecond
	mostPause   = 30 * time.Second
	failedPause = time.Second // after an error that is no Busy
)

// Insist hands frames on for senders that can't be told to wait: it submits them again, with the pauses that it is
// told, until they are on disk or the context ends. How often it had to wait is added to busy.
//
// What no waiting mends is not waited for: frames that are too large are the error that Insist returns. A key that
// was used for other data, as when a file was written anew in place, is left out: the data counts.
func Insist(ctx context.Context, to Submitter, log *slog.Logger, busy *atomic.Int64, frames ...bus.Frame) error {
	for {
		err := to.Submit(ctx, frames...)
		var large *TooLarge
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &large):
			return err
		case errors.Is(err, ErrKeyReused):
			frames = slices.Clone(frames)
			for i := range frames {
				frames[i].Key = ""
			}
			continue
		}
		pause := failedPause
		var wait *Busy
		if errors.As(err, &wait) {
			pause = min(max(wait.Retry, leastPause), mostPause)
		} else {
			log.Error("handing telemetry on; it is tried again", "sensor", frames[0].Sensor, "tenant", frames[0].Tenant, "error", err)
		}
		busy.Add(1)
		if err := Pause(ctx, pause); err != nil {
			return err
		}
	}
}

// Pause waits, or returns the context's error as soon as it ends.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
