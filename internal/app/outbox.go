package app

import (
	"context"
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/alertlevel"
	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/notify"
)

// outbox is the state's table of notifications as the sender asks for it.
type outbox struct{ store *state.Store }

// Due implements notify.Outbox.
func (o outbox) Due(ctx context.Context, at time.Time, limit int) ([]notify.Message, error) {
	list, err := o.store.DueNotifications(ctx, at, limit)
	if err != nil {
		return nil, err
	}
	return messages(list), nil
}

func messages(list []state.Notification) []notify.Message {
	out := make([]notify.Message, len(list))
	for i, n := range list {
		out[i] = notify.Message{ID: n.ID, Tenant: n.Tenant, Channel: n.Channel, Subject: n.Subject, Body: n.Body, Attempts: n.Attempts, Created: n.Created}
	}
	return out
}

// Begin implements notify.Outbox.
func (o outbox) Begin(ctx context.Context, id string) (bool, error) {
	return o.store.BeginNotification(ctx, id)
}

// End implements notify.Outbox.
func (o outbox) End(ctx context.Context, id string, to notify.State, reason string, next time.Time) error {
	return o.store.EndNotification(ctx, id, state.Delivery(to), reason, next)
}

// channels makes the planner and the sender of what the configuration names; both are nil where it names nobody.
func (t *teller) channels(ctx context.Context, n *config.Notify) error {
	list, rules, transports, err := notify.Open(*n)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return nil
	}
	t.planner = notify.NewPlanner(list, rules)
	if _, err := t.w.store.ResumeNotifications(ctx); err != nil {
		return fmt.Errorf("reading the outbox: %w", err)
	}
	before, err := t.w.store.Notifications(ctx, tenant.ScopeAll(), 10_000)
	if err != nil {
		return fmt.Errorf("reading the outbox: %w", err)
	}
	t.planner.Recall(messages(before))
	t.sender = &notify.Sender{Outbox: outbox{t.w.store}, Channels: transports, Log: t.log}
	return nil
}

// send delivers notifications until the context ends.
func (t *teller) send(ctx context.Context) error {
	if t.sender != nil {
		t.sender.Run(ctx)
	}
	return nil
}

// notify queues what is worth telling of an answer. The caller holds the lock of the book.
func (t *teller) notify(ctx context.Context, a *Answer) error {
	if t.planner == nil {
		return nil
	}
	now := time.Now().UTC()
	var ids []tenant.ID
	for i := range a.Model.Tenants {
		ids = append(ids, a.Model.Tenants[i].ID)
	}
	var running []alertlevel.Entry
	for _, e := range t.book.List(tenant.ScopeAll()) {
		if e.Runs(now) {
			running = append(running, e)
		}
	}
	_, last := t.w.bus.Span()
	list := t.planner.Plan(notify.View{
		Result: a.Result, Tenants: ids, Levels: running,
		Within:    func(r *campaign.Result, s tenant.Scope) *campaign.Result { return r.Within(s, a.Model) },
		Threshold: func(id tenant.ID) ocsf.Severity { return alertlevel.Threshold(t.book.At(id, now)) },
		Replaying: a.Seq+1 < last && !t.caughtUp,
	}, now)
	t.caughtUp = t.caughtUp || a.Seq+1 >= last
	if len(list) == 0 {
		return nil
	}
	rows := make([]state.Notification, len(list))
	for i, m := range list {
		rows[i] = state.Notification{ID: m.ID, Tenant: m.Tenant, Channel: m.Channel, Subject: m.Subject, Body: m.Body, State: state.Pending, Created: m.Created, Next: now}
	}
	if _, err := t.w.store.QueueNotifications(ctx, rows); err != nil {
		return fmt.Errorf("queueing notifications: %w", err)
	}
	t.sender.Wake()
	return nil
}

// matter queues what is told of one matter of a tenant that lies beside the conclusions. What was queued before is not
// queued again.
func (t *teller) matter(ctx context.Context, id tenant.ID, b notify.Body) error {
	if t.planner == nil {
		return nil
	}
	now := time.Now().UTC()
	b.Last = now
	var rows []state.Notification
	for _, m := range t.planner.Matter(id, b, now) {
		rows = append(rows, state.Notification{ID: m.ID, Tenant: m.Tenant, Channel: m.Channel, Subject: m.Subject, Body: m.Body, State: state.Pending, Created: m.Created, Next: now})
	}
	if len(rows) == 0 {
		return nil
	}
	if _, err := t.w.store.QueueNotifications(ctx, rows); err != nil {
		return fmt.Errorf("queueing notifications: %w", err)
	}
	t.sender.Wake()
	return nil
}
