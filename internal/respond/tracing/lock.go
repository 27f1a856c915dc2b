package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// lockPause is between two tries for a lock that somebody else holds.
const lockPause = 20 * time.Millisecond

// errHeld says that another process, or another part of this one, holds a lock.
var errHeld = errors.New("it is held by somebody else")

// lockFile holds a file alone, and waits until it may or the context ends.
func lockFile(ctx context.Context, name string) (io.Closer, error) {
	clock := time.NewTicker(lockPause)
	defer clock.Stop()
	for {
		c, err := tryLock(name)
		if !errors.Is(err, errHeld) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is held by another command; try again when it has ended: %w", name, ctx.Err())
		case <-clock.C:
		}
	}
}
