package state

import (
	"context"
	"fmt"
	"reflect"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// own is a row that belongs to the installation and not to a tenant.
type own interface{ ofTheInstallation() }

// tenants' rows are read by scoped alone. A row says itself whether a scope sees it, from its checked content: an
// index that was damaged can then hide a row, and never show it to another tenant.
type tenantRow interface{ seenBy(tenant.Scope) bool }

// spanning rows may belong to several tenants; they have an empty tenant column.
type spanning interface{ spansTenants() }

type narrow func(*bun.SelectQuery) *bun.SelectQuery

// every reads whole rows of the installation in the order of the query, until each returns false.
func every[T any, P interface {
	*T
	own
}](ctx context.Context, s *Store, db bun.IDB, q narrow, each func(*T) bool) error {
	return read(ctx, s, db, q, each)
}

// scoped reads the whole rows that a scope sees, in the order of the query, until each returns false. The condition
// comes from the scope alone; the query can only narrow it.
func scoped[T any, P interface {
	*T
	tenantRow
}](ctx context.Context, s *Store, db bun.IDB, scope tenant.Scope, q narrow, each func(*T) bool) error {
	if !scope.Sees(nobody) {
		seen, err := s.seen(ctx, db, tables[reflect.TypeFor[T]()], scope)
		if err != nil {
			return err
		}
		if _, ok := any(P(nil)).(spanning); ok {
			seen = append(seen, "")
		}
		if len(seen) == 0 {
			return nil
		}
		inner := q
		q = func(sq *bun.SelectQuery) *bun.SelectQuery { return inner(sq).Where("tenant IN (?)", bun.List(seen)) }
	}
	return read(ctx, s, db, q, func(row *T) bool { return !P(row).seenBy(scope) || each(row) })
}

// few reads rows whose tenants stand in a list; there are few of them, so that each is looked at.
func few[T any, P interface {
	*T
	tenantRow
}](ctx context.Context, s *Store, db bun.IDB, scope tenant.Scope, q narrow, each func(*T) bool) error {
	return read(ctx, s, db, q, func(row *T) bool { return !P(row).seenBy(scope) || each(row) })
}

// nobody is a tenant that can't exist (CheckTenant refuses it): who sees it sees everything.
const nobody = tenant.ID("\x00")

// seen lists the tenants of a table that a scope includes, by jumping from one to the next in the index.
func (s *Store) seen(ctx context.Context, db bun.IDB, t *table, scope tenant.Scope) ([]tenant.ID, error) {
	var all []tenant.ID
	err := db.NewRaw(`WITH RECURSIVE known(id) AS (SELECT min(tenant) FROM ?0
		UNION ALL SELECT (SELECT min(tenant) FROM ?0 WHERE tenant > known.id) FROM known WHERE known.id IS NOT NULL)
		SELECT id FROM known WHERE id IS NOT NULL`, bun.Ident(t.name)).Scan(ctx, &all)
	if err != nil {
		return nil, fmt.Errorf("listing the tenants of %s: %w", t.name, err)
	}
	var out []tenant.ID
	for _, id := range all {
		if scope.Sees(id) {
			out = append(out, id)
		}
	}
	return out, nil
}

// read is the one place where rows come in: values are taken as they lie, checked, and only then believed.
func read[T any](ctx context.Context, s *Store, db bun.IDB, q narrow, each func(*T) bool) error {
	t := tables[reflect.TypeFor[T]()]
	rows, err := q(db.NewSelect().Model((*T)(nil))).Rows(ctx)
	if err != nil {
		return fmt.Errorf("reading %s: %w", t.name, err)
	}
	defer rows.Close()
	values, at := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range values {
		at[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(at...); err != nil {
			return fmt.Errorf("reading %s: %w", t.name, err)
		}
		row := new(T)
		if !t.fill(reflect.ValueOf(row).Elem(), values) {
			s.damage("a row of %s does not match its checksum and is left out", t.name)
			continue
		}
		if !each(row) {
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", t.name, err)
	}
	return nil
}

// conflict says what becomes of a row whose key is taken.
type conflict int

const (
	refuse  conflict = iota // ErrExists
	ignore                  // the stored row stays
	replace                 // the new row stays
)

// Limits of one INSERT.
const (
	maxInsertRows  = 500
	maxInsertBytes = 4 << 20
)

// put seals and stores rows, and returns how many were stored.
func put[T any](ctx context.Context, db bun.IDB, on conflict, rows ...*T) (int, error) {
	t := tables[reflect.TypeFor[T]()]
	stored := 0
	for len(rows) > 0 {
		n, size := 0, 0
		for n < len(rows) && n < maxInsertRows && size < maxInsertBytes {
			v := reflect.ValueOf(rows[n]).Elem()
			t.seal(v)
			for _, c := range t.columns {
				if k := v.Field(c.field).Kind(); k == reflect.String || k == reflect.Slice {
					size += v.Field(c.field).Len()
				}
			}
			n++
		}
		chunk := rows[:n]
		q := db.NewInsert().Model(&chunk)
		switch on {
		case refuse, ignore:
			q = q.On("CONFLICT DO NOTHING")
		case replace:
			q = q.On("CONFLICT (?) DO UPDATE", bun.List(idents(t.keys)))
			for _, c := range t.columns {
				q = q.Set("?0 = EXCLUDED.?0", bun.Ident(c.name))
			}
		}
		res, err := q.Exec(ctx)
		if err != nil {
			return stored, fmt.Errorf("writing %s: %w", t.name, err)
		}
		affected, err := res.RowsAffected()
		if err != nil {
			return stored, fmt.Errorf("writing %s: %w", t.name, err)
		}
		if on == refuse && int(affected) < n {
			return stored, ErrExists
		}
		stored += int(affected)
		rows = rows[n:]
	}
	return stored, nil
}

func idents(names []string) []bun.Ident {
	out := make([]bun.Ident, len(names))
	for i, n := range names {
		out[i] = bun.Ident(n)
	}
	return out
}

func remove[T any](ctx context.Context, db bun.IDB, where string, args ...any) (int, error) {
	t := tables[reflect.TypeFor[T]()]
	res, err := db.NewDelete().Model((*T)(nil)).Where(where, args...).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("deleting from %s: %w", t.name, err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}
