package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"
)

// Transport delivers a message to its receiver. It returns a *Refused where trying again is of no use.
type Transport interface {
	Deliver(ctx context.Context, m *Message) error
}

// Refused is a receiver's final no.
type Refused struct{ Reason string }

// Error says why.
func (r *Refused) Error() string { return "refused for good: " + r.Reason }

// Later is a receiver's wish to be asked again after a while.
type Later struct {
	After time.Duration
	Err   error
}

// Error is that of the attempt.
func (l *Later) Error() string { return l.Err.Error() }

// Unwrap returns the error of the attempt.
func (l *Later) Unwrap() error { return l.Err }

// State is where a message stands in the outbox.
type State string

// The states in which an attempt may leave a message.
const (
	Pending State = "pending"
	Sent    State = "sent"
	Failed  State = "failed"
)

// Outbox keeps messages until they are delivered. It must keep an id once and for ever, whatever became of it.
type Outbox interface {
	// Due lists pending messages whose time has come, the longest due first, at most so many.
	Due(ctx context.Context, at time.Time, limit int) ([]Message, error)
	// Begin notes that an attempt begins; false where the message isn't pending any more.
	Begin(ctx context.Context, id string) (mine bool, err error)
	// End notes how an attempt ended: sent; failed, with the reason; or pending again at next. It is also called
	// without Begin, to put a message off.
	End(ctx context.Context, id string, to State, reason string, next time.Time) error
}

// Sender works an outbox: each channel for itself, one message at a time, in the order in which they are due.
type Sender struct {
	Outbox   Outbox
	Channels map[string]Transport
	Log      *slog.Logger     // nil: none
	Every    time.Duration    // between looks at the outbox; 2 s
	Timeout  time.Duration    // of one delivery; 20 s
	GiveUp   time.Duration    // after a message was made; 72 h
	Now      func() time.Time // nil: time.Now

	mu    sync.Mutex
	state map[string]*line
	wake  chan struct{}
}

// line is what the Sender knows of one channel.
type line struct {
	busy   bool
	failed int       // attempts in a row
	until  time.Time // not before
}

const (
	dueLimit  = 100
	firstWait = 10 * time.Second
	longest   = time.Hour
)

// Run works the outbox until the context ends, and returns when all deliveries have ended, which the context stops.
func (s *Sender) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	s.mu.Lock()
	s.state, s.wake = map[string]*line{}, make(chan struct{}, 1)
	s.mu.Unlock()
	for ctx.Err() == nil {
		list, err := s.Outbox.Due(ctx, s.now(), dueLimit)
		if err != nil && ctx.Err() == nil {
			s.log("reading the outbox", "error", err)
		}
		byChannel := map[string][]Message{}
		for _, m := range list {
			byChannel[m.Channel] = append(byChannel[m.Channel], m)
		}
		for name, messages := range byChannel {
			s.start(ctx, &wg, name, messages)
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-time.After(cmp.Or(s.Every, 2*time.Second)):
		}
	}
}

// Wake makes Run look at once; call it after queueing.
func (s *Sender) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway, or doesn't run
	}
}

func (s *Sender) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Sender) log(what string, args ...any) {
	if s.Log != nil {
		s.Log.Warn(what, args...)
	}
}

// start works off a channel's messages beside the others, unless it is at it already.
func (s *Sender) start(ctx context.Context, wg *sync.WaitGroup, name string, messages []Message) {
	s.mu.Lock()
	l := s.state[name]
	if l == nil {
		l = &line{}
		s.state[name] = l
	}
	idle := !l.busy
	l.busy = true
	s.mu.Unlock()
	if !idle {
		return
	}
	wg.Go(func() {
		full := s.channel(ctx, l, name, messages)
		s.mu.Lock()
		l.busy = false
		s.mu.Unlock()
		if full {
			s.Wake()
		}
	})
}

// channel tries messages in turn, until one fails; the others are then put off with it, so that they don't stand in
// the way of other channels. It reports whether there may be more to do at once.
func (s *Sender) channel(ctx context.Context, l *line, name string, messages []Message) bool {
	transport := s.Channels[name]
	for i := range messages {
		m := &messages[i]
		if ctx.Err() != nil {
			return false
		}
		switch {
		case transport == nil:
			s.end(ctx, m, Failed, "no channel of that name is configured any more", time.Time{})
		case s.now().Before(l.until):
			s.end(ctx, m, Pending, "the channel rests after a failure", l.until)
		default:
			if !s.attempt(ctx, l, transport, m) {
				return false
			}
		}
	}
	return len(messages) > 0
}

// attempt delivers one message; it returns false where the outbox itself fails.
func (s *Sender) attempt(ctx context.Context, l *line, transport Transport, m *Message) bool {
	mine, err := s.Outbox.Begin(ctx, m.ID)
	if err != nil {
		s.log("beginning a delivery", "channel", m.Channel, "notification", m.ID, "error", err)
		return false
	}
	if !mine {
		return true
	}
	m.Attempts++
	err = s.deliver(ctx, transport, m)
	var refused *Refused
	switch {
	case err == nil:
		l.failed, l.until = 0, time.Time{}
		s.end(ctx, m, Sent, "", time.Time{})
	case errors.As(err, &refused), s.now().Sub(m.Created) >= cmp.Or(s.GiveUp, 72*time.Hour):
		s.log("a notification was given up", "channel", m.Channel, "notification", m.ID, "tenant", string(m.Tenant), "error", err)
		s.end(ctx, m, Failed, err.Error(), time.Time{})
	default:
		l.failed++
		l.until = s.now().Add(wait(l.failed, m.ID, err))
		s.log("a notification will be tried again", "channel", m.Channel, "notification", m.ID, "tenant", string(m.Tenant), "at", l.until, "error", err)
		s.end(ctx, m, Pending, err.Error(), l.until)
	}
	return true
}

// deliver keeps a transport to its time, and to errors: a receiver's odd answer must not end the program.
func (s *Sender) deliver(ctx context.Context, t Transport, m *Message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, 20*time.Second))
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("delivering by %s: %v", m.Channel, v)
		}
	}()
	return t.Deliver(ctx, m)
}

// end notes an end also while Run is being stopped: what arrived is not to be sent again.
func (s *Sender) end(ctx context.Context, m *Message, to State, reason string, next time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.Outbox.End(ctx, m.ID, to, oneLine(reason), next); err != nil {
		s.log("noting a delivery", "channel", m.Channel, "notification", m.ID, "state", string(to), "error", err)
	}
}

// wait doubles from 10 s to an hour, spread by a fifth so that many servers don't come back as one; or is what the
// receiver asked for, within the same bounds.
func wait(failed int, id string, err error) time.Duration {
	var later *Later
	if errors.As(err, &later) {
		return min(max(later.After, firstWait), longest)
	}
	d := firstWait << min(failed-1, 9)
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	d += d / 5 * time.Duration(h.Sum32()%100) / 100
	return min(d, longest)
}
