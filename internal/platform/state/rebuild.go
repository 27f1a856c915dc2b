package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// A rebuild has two names, so that a crash at any moment leaves it to be begun again or to be finished: the file
// being written, and the whole file that waits to take the place of the damaged one.
const (
	rebuilding = ".rebuilding"
	rebuilt    = ".rebuilt"
)

var sides = []string{"-wal", "-shm", "-journal"}

// rebuild writes every row that can be read into a new file and keeps the damaged one aside.
func (s *Store) rebuild(reason error) error {
	path := s.path() + rebuilding
	for _, side := range append([]string{""}, sides...) {
		if err := os.Remove(path + side); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing what is left of a rebuild: %w", err)
		}
	}
	kept, lost, err := s.rescueInto(path)
	if err != nil {
		return fmt.Errorf("rebuilding %s (%w): %w", s.path(), reason, err)
	}
	if err := os.Rename(path, s.path()+rebuilt); err != nil {
		return err
	}
	var words []string
	for name, n := range kept {
		words = append(words, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(words)
	s.damage("%s is damaged (%s); kept: %s; could not be read: %d records. Look through tokens, users and alert levels: what changed last may be missing",
		s.path(), strings.TrimPrefix(reason.Error(), errDamaged.Error()+": "), strings.Join(words, ", "), lost)
	return s.finishRebuild()
}

// finishRebuild puts a whole rebuilt file into its place, where there is one. The log of the damaged file goes
// first: SQLite must never apply it to the new one.
func (s *Store) finishRebuild() error {
	if _, err := os.Stat(s.path() + rebuilt); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	aside := s.path() + ".damaged-" + s.opt.Now().UTC().Format("20060102T150405.000000Z")
	for _, side := range append(slices.Clone(sides), "") {
		if err := os.Rename(s.path()+side, aside+side); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keeping the damaged file aside: %w", err)
		}
	}
	if err := os.Rename(s.path()+rebuilt, s.path()); err != nil {
		return err
	}
	syncFolder(s.dir)
	s.damage("the damaged file is kept as %s; it may be deleted once nothing is missed", aside)
	return nil
}

// syncFolder makes renames lasting where the system offers it; Windows has no such call and needs none.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// rescueInto reads the damaged file and its log as pages, without trusting any of SQLite's own structures, and
// stores each row whose checksum says that it is whole.
func (s *Store) rescueInto(path string) (kept map[string]int, lost int, err error) {
	src, err := openPages(s.path())
	if err != nil {
		return nil, 0, err
	}
	defer src.close()
	db, err := s.pool(path, 1, false)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	ctx := context.Background()
	if err := s.migrate(ctx, db); err != nil {
		return nil, 0, err
	}
	// A row may be met before the one that it refers to.
	if _, err := db.ExecContext(ctx, "PRAGMA foreign_keys = 0"); err != nil {
		return nil, 0, err
	}
	byWidth := map[int][]*table{}
	for _, model := range models[1:] { // the new file has migrations of its own
		t := tables[reflect.TypeOf(model)]
		byWidth[len(t.columns)] = append(byWidth[len(t.columns)], t)
	}
	migrationsTable := tables[reflect.TypeFor[migrationRow]()]
	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		lost, err = src.records(func(values []any) (bool, error) {
			for _, t := range byWidth[len(values)] {
				row := reflect.New(t.model)
				if t.fill(row.Elem(), values) {
					return true, s.rescue(ctx, tx, t, row)
				}
			}
			return migrationsTable.fill(reflect.New(migrationsTable.model).Elem(), values) || ofSQLite(values), nil
		})
		if err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*sessionRow)(nil)).Where(`"user" NOT IN (SELECT name FROM users)`).Exec(ctx)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	kept = map[string]int{}
	for _, model := range models[1:] {
		n, err := db.NewSelect().Model(reflect.New(reflect.TypeOf(model)).Interface()).Count(ctx)
		if err != nil {
			return nil, 0, err
		}
		if n > 0 {
			kept[tables[reflect.TypeOf(model)].name] = int(n)
		}
	}
	return kept, lost, nil
}

// rescue stores a row over what an older page said of the same key. Two whole tokens never share a hash, so the
// unique index can only be hit by a copy of the same token.
func (s *Store) rescue(ctx context.Context, tx bun.Tx, t *table, row reflect.Value) error {
	q := tx.NewInsert().Model(row.Interface()).On("CONFLICT (?) DO UPDATE", bun.List(idents(t.keys)))
	for _, c := range t.columns {
		q = q.Set("?0 = EXCLUDED.?0", bun.Ident(c.name))
	}
	if _, err := q.Exec(ctx); err != nil {
		return fmt.Errorf("writing %s: %w", t.name, err)
	}
	return nil
}

// ofSQLite tells the rows of the schema, which have no checksum.
func ofSQLite(values []any) bool {
	kind, _ := values[0].(string)
	return len(values) == 5 && (kind == "table" || kind == "index")
}
