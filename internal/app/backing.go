package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/alertlevel"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// board holds the newest answer and wakes those who wait for it.
type board struct {
	mu      sync.Mutex
	answer  *Answer
	changed chan struct{}
}

func newBoard() *board { return &board{changed: make(chan struct{})} }

// post makes an answer the newest.
func (b *board) post(a *Answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = a
	close(b.changed)
	b.changed = make(chan struct{})
}

// read returns the newest answer, which may be nil, and what is closed when there is another.
func (b *board) read() (*Answer, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answer, b.changed
}

// Result implements api.Live.
func (w *watch) Result() (*campaign.Result, *tenant.Model, uint64) {
	a, _ := w.board.read()
	if a == nil {
		return nil, nil, 0
	}
	return a.Result, a.Model, a.Version
}

// Wait implements api.Live.
func (w *watch) Wait(ctx context.Context, since uint64) (uint64, error) {
	for {
		a, changed := w.board.read()
		if a != nil && a.Version > since {
			return a.Version, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Coverage implements api.Live.
func (w *watch) Coverage(scope tenant.Scope) []api.Row {
	a, _ := w.board.read()
	out := []api.Row{}
	if a == nil {
		return out
	}
	for _, r := range a.Coverage {
		if r.Tenant == "" && !scope.Sees("") || r.Tenant != "" && !scope.Sees(r.Tenant) {
			continue
		}
		out = append(out, api.Row{Tenant: r.Tenant, Layer: r.Layer, Sensor: r.Sensor, Events: r.Events, First: some(r.First), Last: some(r.Last),
			Late: r.Late, Unparsed: r.Unparsed, Authenticated: r.Authenticated, SilentSince: some(r.SilentSince)})
	}
	return out
}

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Status implements api.Live.
func (w *watch) Status() api.Status {
	s, l := &w.live.stats, w.live
	_, last := w.bus.Span()
	st := api.Status{Ready: true, Started: w.started, Waiting: max(0, int64(last)-s.seq.Load()), Counters: map[string]int64{
		"records": s.records.Load(), "events": s.events.Load(), "repeats": s.repeats.Load(), "settling": s.waiting.Load(),
		"out_of_order": s.debt.Load(), "rebuilds": s.rebuilds.Load(), "written_off": s.writtenOff.Load(), "checkpoints": s.checkpoints.Load(),
		"answers": s.draws.Load(), "settled": 0, "bus_bytes": w.bus.Bytes(), "bus_last": int64(last), "done": s.seq.Load(),
	}}
	a, _ := w.board.read()
	if a == nil {
		return st
	}
	if a.Settled && a.Seq >= last {
		st.Counters["settled"] = 1
	}
	var received time.Time
	for _, r := range a.Coverage {
		if r.Received.After(received) {
			received = r.Received
		}
	}
	st.LastEvent = some(received)
	st.Lag = api.Duration(l.lag(last))
	return st
}

// bindingOf says whose sender a token is.
func (w *watch) bindingOf(p *authz.Principal) *listen.Binding {
	b := &listen.Binding{Sensor: p.Sensor, Tenant: p.Tenant, Authenticated: true}
	if s := w.live.current.Load(); s.Config != nil {
		if x, ok := s.Config.SensorNamed(p.Sensor); ok {
			b.Layer = x.Layer
		}
	}
	return b
}

// letters implements api.Deadletters.
type letters struct {
	store *state.Store
	gate  listen.Submitter
	w     *watch
}

func shown(d *state.DeadLetter, raw bool) api.Deadletter {
	out := api.Deadletter{ID: d.ID.String(), At: d.Time, Tenant: d.Tenant, Sensor: d.Sensor, Reason: d.Reason, Bytes: int64(len(d.Raw))}
	if raw {
		out.Raw = d.Raw
	}
	return out
}

// List lists the letters that wait, in the order in which they came; those that were replayed can still be shown.
func (l *letters) List(ctx context.Context, scope tenant.Scope, q api.DeadletterQuery) ([]api.Deadletter, bool, error) {
	if q.Tenant != "" {
		scope = scope.Intersect(tenant.ScopeOf(q.Tenant))
	}
	ask := state.DeadLetterQuery{Sensor: q.Sensor, Waiting: true, Limit: q.Limit + 1}
	if q.After != "" {
		id, err := state.ParseDeadLetterID(q.After)
		if err != nil {
			return nil, false, api.ErrNotFound
		}
		ask.After = &id
	}
	list, err := l.store.DeadLetters(ctx, scope, ask)
	if err != nil {
		return nil, false, err
	}
	more := len(list) > q.Limit
	out := make([]api.Deadletter, 0, len(list))
	for i := range list[:min(len(list), q.Limit)] {
		out = append(out, shown(&list[i], false))
	}
	return out, more, nil
}

// Show returns one letter with what came.
func (l *letters) Show(ctx context.Context, scope tenant.Scope, text string) (api.Deadletter, error) {
	id, err := state.ParseDeadLetterID(text)
	if err != nil {
		return api.Deadletter{}, api.ErrNotFound
	}
	d, err := l.store.DeadLetter(ctx, scope, id)
	if errors.Is(err, state.ErrNotFound) {
		return api.Deadletter{}, api.ErrNotFound
	}
	return shown(&d, true), err
}

// Replay submits letters again as their sensors' records; one that is replayed twice is one record.
func (l *letters) Replay(ctx context.Context, scope tenant.Scope, by *authz.Principal, texts []string) (int, error) {
	var ids []state.DeadLetterID
	var frames []bus.Frame
	for _, text := range texts {
		id, err := state.ParseDeadLetterID(text)
		if err != nil {
			return 0, api.ErrNotFound
		}
		d, err := l.store.DeadLetter(ctx, scope, id)
		if errors.Is(err, state.ErrNotFound) {
			return 0, api.ErrNotFound
		}
		if err != nil {
			return 0, err
		}
		b := l.w.bindingOf(&authz.Principal{Sensor: d.Sensor, Tenant: d.Tenant})
		frames = append(frames, bus.Frame{Sensor: d.Sensor, Tenant: d.Tenant, Layer: b.Layer, Authenticated: true, Received: time.Now().UTC(),
			First: 1, Key: "replay " + text, Data: append(d.Raw, '\n'), Records: 1})
		ids = append(ids, id)
	}
	if err := l.gate.Submit(ctx, frames...); err != nil {
		return 0, fmt.Errorf("sending records again: %w", err)
	}
	return l.store.MarkReplayed(ctx, scope, ids, by.ID)
}

// levels implements api.Levels on the book of the answers' goroutine.
type levels struct{ t *teller }

func shownLevel(id tenant.ID, level alertlevel.Level, e *alertlevel.Entry) api.Level {
	return api.Level{Tenant: id, Level: string(level), Reason: e.Reason, By: e.By, Campaign: e.Campaign, Since: some(e.From), Until: some(e.Until)}
}

// List lists the level of each tenant of the scope.
func (l levels) List(_ context.Context, scope tenant.Scope) ([]api.Level, error) {
	out := []api.Level{}
	a, _ := l.t.w.board.read()
	if a == nil {
		return out, nil
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	now := time.Now()
	for i := range a.Model.Tenants {
		if id := a.Model.Tenants[i].ID; scope.Sees(id) {
			level, e := l.t.book.Why(id, now)
			out = append(out, shownLevel(id, level, &e))
		}
	}
	return out, nil
}

// Set raises a level by hand.
func (l levels) Set(ctx context.Context, scope tenant.Scope, by *authz.Principal, want api.Level) (api.Level, error) {
	if !scope.Sees(want.Tenant) || l.t.w.live.current.Load().Model.Tenant(want.Tenant) == nil {
		return api.Level{}, api.ErrNotFound
	}
	level, err := alertlevel.Parse(want.Level)
	if err != nil {
		return api.Level{}, err
	}
	var until time.Time
	if want.Until != nil {
		until = *want.Until
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	now := time.Now().UTC()
	e, err := l.t.book.Raise(want.Tenant, level, want.Reason, by.ID, now, until)
	if err != nil {
		return api.Level{}, err
	}
	if err := l.t.keepLevel(ctx, &e); err != nil {
		return api.Level{}, err
	}
	running, why := l.t.book.Why(want.Tenant, now)
	return shownLevel(want.Tenant, running, &why), nil
}

// End ends every level of a tenant that runs.
func (l levels) End(ctx context.Context, scope tenant.Scope, by *authz.Principal, id tenant.ID, reason string) (api.Level, error) {
	if !scope.Sees(id) || l.t.w.live.current.Load().Model.Tenant(id) == nil {
		return api.Level{}, api.ErrNotFound
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	now := time.Now().UTC()
	for _, e := range l.t.book.List(tenant.ScopeOf(id)) {
		if !e.Runs(now) {
			continue
		}
		if ended, ok := l.t.book.End(scope, e.ID, by.ID, now); ok {
			if err := l.t.keepLevel(ctx, &ended); err != nil {
				return api.Level{}, err
			}
		}
	}
	if err := l.t.w.store.Audit(ctx, state.AuditEntry{At: now, Who: by.ID, What: "ended the alert level: " + reason, Of: string(id), Tenant: id}); err != nil {
		return api.Level{}, err
	}
	level, e := l.t.book.Why(id, now)
	return shownLevel(id, level, &e), nil
}
