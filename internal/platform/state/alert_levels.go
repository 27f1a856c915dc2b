package state

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// AlertLevel is a raised level of one tenant for a time.
type AlertLevel struct {
	ID      string // left out: RaiseAlertLevel makes one
	Tenant  tenant.ID
	Level   string
	From    time.Time
	Until   time.Time
	Reason  string
	By      string
	Ended   time.Time // zero: not before Until
	EndedBy string
}

type alertLevelRow struct {
	bun.BaseModel `bun:"table:alert_levels"`
	ID            string `bun:"id,pk"`
	Tenant        string `bun:"tenant,notnull"`
	Level         string `bun:"level,notnull"`
	Since         int64  `bun:"since,notnull"`
	Until         int64  `bun:"until,notnull"`
	Reason        string `bun:"reason,notnull"`
	RaisedBy      string `bun:"raised_by,notnull"`
	Ended         int64  `bun:"ended,notnull"`
	EndedBy       string `bun:"ended_by,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (r *alertLevelRow) seenBy(scope tenant.Scope) bool { return scope.Sees(tenant.ID(r.Tenant)) }

func (r *alertLevelRow) level() AlertLevel {
	return AlertLevel{r.ID, tenant.ID(r.Tenant), r.Level, moment(r.Since), moment(r.Until), r.Reason, r.RaisedBy, moment(r.Ended), r.EndedBy}
}

// RaiseAlertLevel stores a level, and returns its id. One with the id of a stored level changes that one, so that a
// campaign can prolong what it raised; one that was ended by hand stays ended.
func (s *Store) RaiseAlertLevel(ctx context.Context, l AlertLevel) (string, error) {
	if err := CheckTenant(l.Tenant); err != nil {
		return "", err
	}
	if !l.Until.After(l.From) {
		return "", fmt.Errorf("an alert level needs an end after its begin: %s is not after %s", l.Until, l.From)
	}
	if l.ID == "" {
		l.ID = ordered(s.opt.Now())
	}
	err := s.write(ctx, "raising the alert level of "+string(l.Tenant), func(ctx context.Context, tx bun.Tx) error {
		row := &alertLevelRow{ID: l.ID, Tenant: string(l.Tenant), Level: l.Level, Since: micros(l.From), Until: micros(l.Until), Reason: l.Reason, RaisedBy: l.By}
		var old *alertLevelRow
		if err := scoped(ctx, s, tx, tenant.ScopeAll(), byKey("id", l.ID), func(r *alertLevelRow) bool { old = r; return false }); err != nil {
			return err
		}
		if old != nil {
			if old.Tenant != row.Tenant {
				return fmt.Errorf("%s is the alert level of another tenant: choose another id", l.ID)
			}
			row.Ended, row.EndedBy = old.Ended, old.EndedBy
		}
		if _, err := put(ctx, tx, replace, row); err != nil {
			return err
		}
		if old != nil && old.level() == row.level() {
			return nil
		}
		return audit(ctx, tx, AuditEntry{At: s.opt.Now(), Who: l.By, What: "alert level " + l.Level, Of: l.ID, Tenant: l.Tenant})
	})
	return l.ID, err
}

// EndAlertLevel ends a level before its time; ErrNotFound where the scope sees none of that id.
func (s *Store) EndAlertLevel(ctx context.Context, scope tenant.Scope, id, by string) error {
	return s.write(ctx, "ending the alert level "+id, func(ctx context.Context, tx bun.Tx) error {
		row, err := one(ctx, scoped[alertLevelRow], s, tx, scope, byKey("id", id))
		if err != nil || row.Ended != 0 {
			return err
		}
		row.Ended, row.EndedBy = micros(s.opt.Now()), by
		if _, err := put(ctx, tx, replace, row); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{At: s.opt.Now(), Who: by, What: "alert level end", Of: id, Tenant: tenant.ID(row.Tenant)})
	})
}

// AlertLevels lists the levels that hold at a time.
func (s *Store) AlertLevels(ctx context.Context, scope tenant.Scope, at time.Time) ([]AlertLevel, error) {
	us := micros(at)
	return s.alertLevels(ctx, scope, 0, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("since <= ? AND until > ? AND (ended = 0 OR ended > ?)", us, us, us).Order("tenant", "since", "id")
	})
}

// AlertLevelHistory lists all levels, the newest first, at most so many.
func (s *Store) AlertLevelHistory(ctx context.Context, scope tenant.Scope, limit int) ([]AlertLevel, error) {
	return s.alertLevels(ctx, scope, limit, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("since DESC", "id DESC") })
}

func (s *Store) alertLevels(ctx context.Context, scope tenant.Scope, limit int, q narrow) ([]AlertLevel, error) {
	var out []AlertLevel
	err := scoped(ctx, s, s.r, scope, q, func(r *alertLevelRow) bool {
		out = append(out, r.level())
		return limit <= 0 || len(out) < limit
	})
	return out, err
}
