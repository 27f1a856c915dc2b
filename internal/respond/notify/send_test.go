package notify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// box is an outbox in memory.
type box struct {
	mu    sync.Mutex
	rows  map[string]*boxed
	order []string
}

type boxed struct {
	Message
	state  State
	next   time.Time
	reason string
}

func (b *box) queue(list ...Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows == nil {
		b.rows = map[string]*boxed{}
	}
	for _, m := range list {
		if b.rows[m.ID] == nil {
			b.rows[m.ID] = &boxed{Message: m, state: Pending}
			b.order = append(b.order, m.ID)
		}
	}
}

func (b *box) Due(_ context.Context, at time.Time, limit int) (out []Message, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var due []*boxed
	for _, id := range b.order {
		if r := b.rows[id]; r.state == Pending && !r.next.After(at) {
			due = append(due, r)
		}
	}
	slices.SortStableFunc(due, func(x, y *boxed) int { return x.next.Compare(y.next) })
	for _, r := range due[:min(len(due), limit)] {
		out = append(out, r.Message)
	}
	return out, nil
}

func (b *box) Begin(_ context.Context, id string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rows[id]
	if r.state != Pending {
		return false, nil
	}
	r.state = "sending"
	r.Attempts++
	return true, nil
}

func (b *box) End(_ context.Context, id string, to State, reason string, next time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rows[id]
	r.state, r.reason, r.next = to, reason, next
	return nil
}

func (b *box) states() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, id := range b.order {
		out = append(out, fmt.Sprintf("%s %s %d", id, b.rows[id].state, b.rows[id].Attempts))
	}
	return strings.Join(out, "; ")
}

// receiver answers as do says.
type receiver struct {
	mu  sync.Mutex
	got []string
	do  func(ctx context.Context, m *Message) error
}

func (r *receiver) Deliver(ctx context.Context, m *Message) error {
	r.mu.Lock()
	r.got = append(r.got, m.ID)
	do := r.do
	r.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(ctx, m)
}

func TestSenderTriesUntilItArrivesOrIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := &box{}
		b.queue(Message{ID: "ok", Channel: "good"}, Message{ID: "late", Channel: "late"}, Message{ID: "no", Channel: "no"}, Message{ID: "old", Channel: "dead"}, Message{ID: "gone", Channel: "unknown"}, Message{ID: "boom", Channel: "boom"})
		for _, r := range b.rows {
			r.Created = start
		}
		dead := &receiver{do: func(context.Context, *Message) error { return errors.New("connection refused") }}
		tries := 0
		s := &Sender{Outbox: b, Every: 5 * time.Second, Channels: map[string]Transport{
			"good": &receiver{},
			"late": &receiver{do: func(context.Context, *Message) error {
				if tries++; tries < 4 {
					return errors.New("503")
				}
				return nil
			}},
			"no":   &receiver{do: func(context.Context, *Message) error { return &Refused{"410"} }},
			"dead": dead,
			"boom": &receiver{do: func(context.Context, *Message) error { panic("a bug") }},
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		time.Sleep(2 * time.Minute) // in the bubble's time
		synctest.Wait()
		if got := b.states(); !strings.HasPrefix(got, "ok sent 1; late sent 4; no failed 1; old pending 4; gone failed 0; boom pending 4") {
			t.Error(got)
		}
		time.Sleep(74 * time.Hour)
		synctest.Wait()
		cancel()
		<-done
		if n := b.rows["old"].Attempts; b.rows["old"].state != Failed || n < 70 || n > 90 || b.rows["old"].reason != "connection refused" {
			t.Errorf("a dead receiver: %+v", b.rows["old"])
		}
	})
}

func TestADeadChannelHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &box{}
		for i := range 3000 {
			b.queue(Message{ID: fmt.Sprint("d", i), Channel: "dead", Created: time.Now()})
		}
		hangs := &receiver{do: func(ctx context.Context, _ *Message) error { <-ctx.Done(); return ctx.Err() }}
		good := &receiver{}
		s := &Sender{Outbox: b, Channels: map[string]Transport{"dead": hangs, "good": good}, Every: 15 * time.Second}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		time.Sleep(5 * time.Minute)
		b.queue(Message{ID: "g", Channel: "good", Created: time.Now()})
		queued := time.Now()
		s.Wake()
		for {
			synctest.Wait()
			good.mu.Lock()
			n := len(good.got)
			good.mu.Unlock()
			if n == 1 || time.Since(queued) > time.Minute {
				break
			}
			time.Sleep(time.Second)
		}
		if d := time.Since(queued); d > 30*time.Second {
			t.Errorf("the other channel waited %s", d)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		goroutines := runtime.NumGoroutine()
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 || runtime.NumGoroutine() > goroutines+2 {
			t.Errorf("in 6 hours the heap grew by %d bytes, goroutines from %d to %d", grown, goroutines, runtime.NumGoroutine())
		}
		hangs.mu.Lock()
		if n := len(hangs.got); n < 6 || n > 60 {
			t.Errorf("the dead receiver was asked %d times in 6 hours", n)
		}
		hangs.mu.Unlock()
		// It comes back, and gets all of it.
		hangs.mu.Lock()
		hangs.do = nil
		hangs.mu.Unlock()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		cancel()
		<-done
		sent := 0
		for _, r := range b.rows {
			if r.state == Sent {
				sent++
			}
		}
		if sent != 3001 {
			t.Errorf("%d of 3001 sent", sent)
		}
	})
}

func TestWaitGrowsToAnHour(t *testing.T) {
	last := time.Duration(0)
	for n := 1; n < 40; n++ {
		d := wait(n, "id", errors.New("x"))
		if d < last || d > time.Hour || n == 1 && (d < 10*time.Second || d > 12*time.Second) {
			t.Errorf("after %d failures %s", n, d)
		}
		last = d
	}
	if last != time.Hour {
		t.Errorf("at last %s", last)
	}
	for after, want := range map[time.Duration]time.Duration{time.Second: 10 * time.Second, time.Minute: time.Minute, 24 * time.Hour: time.Hour} {
		if got := wait(3, "id", fmt.Errorf("x: %w", &Later{After: after, Err: errors.New("429")})); got != want {
			t.Errorf("asked to wait %s: %s", after, got)
		}
	}
}
