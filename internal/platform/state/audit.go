package state

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// AuditEntry says who did what, of what. Entries are added and never changed.
type AuditEntry struct {
	At     time.Time
	Who    string
	What   string
	Of     string
	Tenant tenant.ID // empty: the installation
}

type auditRow struct {
	bun.BaseModel `bun:"table:audit"`
	ID            string `bun:"id,pk"` // in order of time
	Tenant        string `bun:"tenant,notnull"`
	At            int64  `bun:"at,notnull"`
	Who           string `bun:"who,notnull"`
	What          string `bun:"what,notnull"`
	OfWhat        string `bun:"of_what,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (r *auditRow) seenBy(scope tenant.Scope) bool {
	return scope.Sees(nobody) || r.Tenant != "" && scope.Sees(tenant.ID(r.Tenant))
}

// Audit adds an entry.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	return s.write(ctx, "writing the audit", func(ctx context.Context, tx bun.Tx) error { return audit(ctx, tx, e) })
}

func audit(ctx context.Context, db bun.IDB, e AuditEntry) error {
	_, err := put(ctx, db, refuse, &auditRow{ID: ordered(e.At), Tenant: string(e.Tenant), At: micros(e.At), Who: e.Who, What: e.What, OfWhat: e.Of})
	return err
}

// AuditLog lists the newest entries, newest first, at most so many; those of the installation only where the scope
// is everything.
func (s *Store) AuditLog(ctx context.Context, scope tenant.Scope, limit int) ([]AuditEntry, error) {
	var out []AuditEntry
	err := scoped(ctx, s, s.r, scope, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("id DESC") }, func(r *auditRow) bool {
		out = append(out, AuditEntry{moment(r.At), r.Who, r.What, r.OfWhat, tenant.ID(r.Tenant)})
		return len(out) < limit
	})
	return out, err
}

// ordered is an id that no other has and that sorts by time.
func ordered(at time.Time) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%016x-%x", micros(at), b)
}
