package state

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Delivery is how far a notification has come.
type Delivery string

// The states of a delivery.
const (
	Pending Delivery = "pending" // due at Next
	Sending Delivery = "sending" // begun; whether it arrived is not known
	Sent    Delivery = "sent"
	Failed  Delivery = "failed" // given up
)

// Notification is a message that is to leave the house.
type Notification struct {
	ID        string    // stable: the same cause gives the same id, and is stored once
	Tenant    tenant.ID // whom it is about; empty: the installation
	Channel   string
	Subject   string
	Body      []byte // JSON, at most 1 MiB
	State     Delivery
	Attempts  int
	Created   time.Time
	Next      time.Time // when to try (again)
	LastError string
}

// maxNotification bounds a body.
const maxNotification = 1 << 20

type notificationRow struct {
	bun.BaseModel `bun:"table:notifications"`
	ID            string `bun:"id,pk"`
	Tenant        string `bun:"tenant,notnull"`
	Channel       string `bun:"channel,notnull"`
	Subject       string `bun:"subject,notnull"`
	Body          []byte `bun:"body,notnull"`
	State         string `bun:"state,notnull"`
	Attempts      int64  `bun:"attempts,notnull"`
	Created       int64  `bun:"created,notnull"`
	Next          int64  `bun:"next,notnull"`
	LastError     string `bun:"last_error,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (r *notificationRow) seenBy(scope tenant.Scope) bool {
	return scope.Sees(nobody) || r.Tenant != "" && scope.Sees(tenant.ID(r.Tenant))
}

func (r *notificationRow) notification() Notification {
	return Notification{r.ID, tenant.ID(r.Tenant), r.Channel, r.Subject, r.Body, Delivery(r.State), int(r.Attempts), moment(r.Created), moment(r.Next), r.LastError}
}

// QueueNotifications stores notifications as pending, and returns how many are new: one whose id was ever stored is
// ignored, whatever has become of it.
func (s *Store) QueueNotifications(ctx context.Context, list []Notification) (added int, err error) {
	now := s.opt.Now()
	rows := make([]*notificationRow, len(list))
	for i, n := range list {
		if n.ID == "" || len(n.Body) > maxNotification {
			return 0, fmt.Errorf("queueing a notification on %s: it needs an id and a body of at most %d bytes; this one is %q with %d", n.Channel, maxNotification, n.ID, len(n.Body))
		}
		next := n.Next
		if next.IsZero() {
			next = now
		}
		rows[i] = &notificationRow{ID: n.ID, Tenant: string(n.Tenant), Channel: n.Channel, Subject: n.Subject, Body: n.Body, State: string(Pending), Created: micros(now), Next: micros(next)}
	}
	err = s.write(ctx, "queueing notifications", func(ctx context.Context, tx bun.Tx) error {
		added, err = put(ctx, tx, ignore, rows...)
		return err
	})
	return added, err
}

// DueNotifications lists what is to be tried at that time, the longest due first, at most so many. What a crash left
// as sending is not listed: ResumeNotifications decides about that.
func (s *Store) DueNotifications(ctx context.Context, at time.Time, limit int) ([]Notification, error) {
	return s.notifications(ctx, tenant.ScopeAll(), limit, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("state = ? AND next <= ?", string(Pending), micros(at)).Order("next", "id")
	})
}

// ResumeNotifications makes what was being sent when the process ended pending again, and returns how many those
// are. The receiver may get them twice, with the same id.
func (s *Store) ResumeNotifications(ctx context.Context) (int, error) {
	var rows []*notificationRow
	err := s.write(ctx, "resuming notifications", func(ctx context.Context, tx bun.Tx) error {
		err := scoped(ctx, s, tx, tenant.ScopeAll(), func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("state = ?", string(Sending)) }, func(r *notificationRow) bool {
			r.State, r.Next = string(Pending), micros(s.opt.Now())
			rows = append(rows, r)
			return true
		})
		if err != nil {
			return err
		}
		_, err = put(ctx, tx, replace, rows...)
		return err
	})
	return len(rows), err
}

// BeginNotification notes that an attempt begins. It reports false where the notification is not pending any more:
// another sender has it.
func (s *Store) BeginNotification(ctx context.Context, id string) (mine bool, err error) {
	err = s.changeNotification(ctx, id, func(r *notificationRow) bool {
		if mine = r.State == string(Pending); mine {
			r.State = string(Sending)
			r.Attempts++
		}
		return mine
	})
	return mine, err
}

// EndNotification notes how an attempt ended: sent; failed for good, with the reason; or pending again at next.
func (s *Store) EndNotification(ctx context.Context, id string, to Delivery, reason string, next time.Time) error {
	return s.changeNotification(ctx, id, func(r *notificationRow) bool {
		r.State, r.LastError, r.Next = string(to), reason, micros(next)
		return true
	})
}

func (s *Store) changeNotification(ctx context.Context, id string, change func(*notificationRow) bool) error {
	return s.write(ctx, "noting the delivery of "+id, func(ctx context.Context, tx bun.Tx) error {
		row, err := one(ctx, scoped[notificationRow], s, tx, tenant.ScopeAll(), byKey("id", id))
		if err != nil || !change(row) {
			return err
		}
		_, err = put(ctx, tx, replace, row)
		return err
	})
}

// Notifications lists the newest, newest first, at most so many.
func (s *Store) Notifications(ctx context.Context, scope tenant.Scope, limit int) ([]Notification, error) {
	return s.notifications(ctx, scope, limit, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("created DESC", "id") })
}

func (s *Store) notifications(ctx context.Context, scope tenant.Scope, limit int, q narrow) ([]Notification, error) {
	var out []Notification
	err := scoped(ctx, s, s.r, scope, q, func(r *notificationRow) bool {
		out = append(out, r.notification())
		return len(out) < limit
	})
	return out, err
}
