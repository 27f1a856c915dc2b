package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"github.com/uptrace/bun"
	"modernc.org/sqlite"
)

// wholeCheckBytes is up to which size indexes are compared with their tables too, which reads the file twice.
const wholeCheckBytes = 64 << 20

// errDamaged says that the file must be rebuilt.
var errDamaged = errors.New("damaged")

// checkAndRepair leaves a file whose every row is whole. The caller is alone with it.
func (s *Store) checkAndRepair() error {
	if err := s.finishRebuild(); err != nil {
		return err
	}
	reason := s.checkLog()
	if reason == nil {
		reason = s.checkFile()
	}
	if !errors.Is(reason, errDamaged) {
		return reason
	}
	return s.rebuild(reason)
}

// checkFile reads everything once: the structure by SQLite's own check, the content by the rows' checksums.
func (s *Store) checkFile() (err error) {
	info, err := os.Stat(s.path())
	fresh := errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0
	if err != nil && !fresh {
		return err
	}
	if !fresh {
		if err := s.checkHeader(); err != nil {
			return err
		}
	}
	db, err := s.pool(s.path(), 1, false)
	if err != nil {
		return err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = asDamage(e)
		}
	}()
	ctx := context.Background()
	if !fresh {
		check := "PRAGMA integrity_check(1)"
		if info.Size() > wholeCheckBytes {
			check = "PRAGMA quick_check(1)"
		}
		var verdict string
		if err := db.NewRaw(check).Scan(ctx, &verdict); err != nil {
			return asDamage(err)
		}
		if verdict != "ok" {
			return fmt.Errorf("%w: %s", errDamaged, verdict)
		}
	}
	if err := s.migrate(ctx, db); err != nil {
		return asDamage(err)
	}
	bad := 0
	for _, model := range models {
		n, err := s.badRows(ctx, db, tables[reflect.TypeOf(model)])
		if err != nil {
			return asDamage(err)
		}
		bad += n
	}
	if bad > 0 {
		return fmt.Errorf("%w: %d rows don't match their checksums", errDamaged, bad)
	}
	return nil
}

// checkHeader looks at what SQLite believes without a check: a file too short to be one is taken for a new one, and
// one whose version says so (section 1.3.3 of the file format) for read-only, or for one without a log.
func (s *Store) checkHeader() error {
	if _, err := os.Stat(s.path() + "-journal"); err == nil {
		return nil // a crash while the file was made; SQLite rolls it back
	}
	f, err := os.Open(s.path())
	if err != nil {
		return err
	}
	defer f.Close()
	var head [100]byte
	if _, err := io.ReadFull(f, head[:]); errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the file ends within its header", errDamaged)
	} else if err != nil {
		return err
	}
	if head[18] != 2 || head[19] != 2 {
		return fmt.Errorf("%w: its header says version %d and %d, not 2", errDamaged, head[18], head[19])
	}
	return nil
}

func (s *Store) badRows(ctx context.Context, db *bun.DB, t *table) (bad int, err error) {
	row := reflect.New(t.model)
	rows, err := db.NewSelect().Model(row.Interface()).Rows(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", t.name, err)
	}
	defer rows.Close()
	values, at := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range values {
		at[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(at...); err != nil {
			return bad, fmt.Errorf("reading %s: %w", t.name, err)
		}
		if !t.fill(row.Elem(), values) {
			bad++
		}
	}
	return bad, rows.Err()
}

// asDamage tells a file that must be rebuilt from a disk, a folder or a program that is at fault: rebuilding would
// not help those, and might lose what is there.
func asDamage(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	const shortRead, corruptFS = 522, 8458 // SQLITE_IOERR_SHORT_READ, SQLITE_IOERR_CORRUPTFS
	switch code := e.Code(); {
	case code == shortRead, code == corruptFS:
		return fmt.Errorf("%w: %w", errDamaged, err)
	default:
		switch code & 0xff {
		case 1, 8, 11, 17, 19, 20, 24, 26: // ERROR, READONLY, CORRUPT, SCHEMA, CONSTRAINT, MISMATCH, FORMAT, NOTADB
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return err
}
