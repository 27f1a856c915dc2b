package app

import (
	"context"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// memoryBus is a bus for tests: messages in memory, which outlive the pipelines that read them.
type memoryBus struct {
	mu    sync.Mutex
	list  []*bus.Message
	first uint64
	more  chan struct{}
}

func newMemoryBus() *memoryBus { return &memoryBus{first: 1, more: make(chan struct{})} }

func (b *memoryBus) Publish(_ context.Context, x *bus.Batch) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seq := b.first + uint64(len(b.list))
	b.list = append(b.list, &bus.Message{Seq: seq, At: time.Now(), Batch: *x})
	close(b.more)
	b.more = make(chan struct{})
	return seq, nil
}

func (b *memoryBus) Read(ctx context.Context, after uint64, follow bool, each func(*bus.Message) error) error {
	for {
		b.mu.Lock()
		var m *bus.Message
		if i := max(after+1, b.first) - b.first; i < uint64(len(b.list)) {
			m = b.list[i]
		}
		more := b.more
		b.mu.Unlock()
		switch {
		case m != nil:
			if err := each(m); err != nil {
				return err
			}
			after = m.Seq
		case !follow:
			return nil
		default:
			select {
			case <-more:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (b *memoryBus) Span() (first, last uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first, b.first + uint64(len(b.list)) - 1
}

func (b *memoryBus) Trim(_ context.Context, upTo uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.list) > 0 && b.first <= upTo {
		b.list = b.list[1:]
		b.first++
	}
	return nil
}

func (b *memoryBus) Bytes() int64 { return 0 }
func (b *memoryBus) Close() error { return nil }

var _ bus.Bus = (*memoryBus)(nil)
