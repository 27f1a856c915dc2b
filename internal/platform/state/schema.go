package state

import (
	"context"
	"fmt"
	"reflect"

	"github.com/uptrace/bun"
)

// tables is every model, by its type. Rows are recognised by their checksum, so a table's name and the order of its
// columns are part of the format: a migration that changes them seals the rows anew.
var tables = func() map[reflect.Type]*table {
	m := map[reflect.Type]*table{}
	for _, model := range models {
		t := describe(model)
		m[t.model] = t
	}
	return m
}()

var models = []any{
	migrationRow{}, tokenRow{}, tokenUseRow{}, stubTenantRow{}, bindingRow{}, userRow{}, sessionRow{}, documentRow{},
	alertLevelRow{}, deadLetterRow{}, droppedLettersRow{}, notificationRow{}, tailRow{}, takenFileRow{}, answerRow{},
	auditRow{},
}

type migrationRow struct {
	bun.BaseModel `bun:"table:migrations"`
	Version       string `bun:"version,pk"` // four digits
	What          string `bun:"what,notnull"`
	Applied       int64  `bun:"applied,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (*migrationRow) ofTheInstallation() {}

// migration is one step of the schema. Steps are never edited once released, only added to.
type migration struct {
	version, what string
	run           func(ctx context.Context, tx bun.Tx) error
}

var migrations = []migration{{"0001", "the first tables", firstTables}}

func firstTables(ctx context.Context, tx bun.Tx) error {
	for _, model := range models[1:] {
		q := tx.NewCreateTable().Model(reflect.New(reflect.TypeOf(model)).Interface())
		if _, ok := model.(sessionRow); ok {
			q = q.ForeignKey(`("user") REFERENCES "users" ("name") ON DELETE CASCADE`)
		}
		if _, err := q.Exec(ctx); err != nil {
			return err
		}
	}
	for _, x := range []struct {
		model   any
		columns []string
		unique  bool
	}{
		{(*tokenRow)(nil), []string{"hash"}, true},
		{(*tokenRow)(nil), []string{"changed"}, false},
		{(*sessionRow)(nil), []string{"expires"}, false},
		{(*sessionRow)(nil), []string{"user"}, false},
		{(*alertLevelRow)(nil), []string{"tenant", "since"}, false},
		{(*deadLetterRow)(nil), []string{"tenant", "id"}, false},
		{(*deadLetterRow)(nil), []string{"sensor", "id"}, false},
		{(*notificationRow)(nil), []string{"tenant", "id"}, false},
		{(*notificationRow)(nil), []string{"state", "next"}, false},
		{(*answerRow)(nil), []string{"tenant", "kind", "changed"}, false},
		{(*answerRow)(nil), []string{"kind", "changed"}, false},
		{(*auditRow)(nil), []string{"tenant", "id"}, false},
		{(*bindingRow)(nil), []string{"tenant"}, false},
	} {
		t := tables[reflect.TypeOf(x.model).Elem()]
		name := t.name
		for _, c := range x.columns {
			name += "_" + c
		}
		q := tx.NewCreateIndex().Model(x.model).Index(name).Column(x.columns...)
		if x.unique {
			q = q.Unique()
		}
		if _, err := q.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// migrate brings an empty or an older file to the present schema, each step in a transaction of its own.
func (s *Store) migrate(ctx context.Context, db *bun.DB) error {
	if _, err := db.NewCreateTable().Model((*migrationRow)(nil)).IfNotExists().Exec(ctx); err != nil {
		return fmt.Errorf("making the table of migrations: %w", err)
	}
	done := map[string]bool{}
	err := every(ctx, s, db, func(q *bun.SelectQuery) *bun.SelectQuery { return q }, func(m *migrationRow) bool {
		done[m.Version] = true
		return true
	})
	if err != nil {
		return err
	}
	newest := migrations[len(migrations)-1].version
	for v := range done {
		if v > newest {
			return fmt.Errorf("the state has schema %s and this program knows %s: use the newer Breakwater that wrote it", v, newest)
		}
	}
	for _, m := range migrations {
		if done[m.version] {
			continue
		}
		err := db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			if err := m.run(ctx, tx); err != nil {
				return err
			}
			_, err := put(ctx, tx, refuse, &migrationRow{Version: m.version, What: m.what, Applied: micros(s.opt.Now())})
			return err
		})
		if err != nil {
			return fmt.Errorf("migration %s (%s): %w", m.version, m.what, err)
		}
	}
	return nil
}
