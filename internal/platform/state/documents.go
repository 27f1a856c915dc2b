package state

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"
)

// MaxDocument is the largest configuration document that is kept, as config.MaxBytes.
const MaxDocument = 8 << 20

// Document is a configuration as it was declared.
type Document struct {
	Number  int64  // from 1, growing by 1 with each that is applied
	Version string // of its content, as tenant.Model says it
	Name    string // of the file
	Text    []byte // YAML
	Applied time.Time
	By      string
}

type documentRow struct {
	bun.BaseModel `bun:"table:documents"`
	Number        string `bun:"number,pk"` // twelve digits
	Version       string `bun:"version,notnull"`
	Name          string `bun:"name,notnull"`
	Text          []byte `bun:"text,notnull"`
	Applied       int64  `bun:"applied,notnull"`
	AppliedBy     string `bun:"applied_by,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (*documentRow) ofTheInstallation() {}

// ApplyDocument stores a configuration as the latest and returns its number. A document of the same text as the
// latest is not stored again.
func (s *Store) ApplyDocument(ctx context.Context, d Document) (number int64, err error) {
	if len(d.Text) > MaxDocument {
		return 0, fmt.Errorf("storing the configuration %s: it has %d bytes, more than %d: split it", d.Name, len(d.Text), MaxDocument)
	}
	err = s.write(ctx, "storing the configuration "+d.Name, func(ctx context.Context, tx bun.Tx) error {
		latest, err := s.documents(ctx, tx, 1)
		if err != nil {
			return err
		}
		number = 1
		if len(latest) > 0 {
			if number = latest[0].Number; string(latest[0].Text) == string(d.Text) {
				return nil
			}
			number++
		}
		row := &documentRow{Number: fmt.Sprintf("%012d", number), Version: d.Version, Name: d.Name, Text: d.Text, Applied: micros(s.opt.Now()), AppliedBy: d.By}
		// A damaged row may hold the number: what was lost gives way.
		if _, err := put(ctx, tx, replace, row); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{At: s.opt.Now(), Who: d.By, What: "configuration apply", Of: d.Version})
	})
	return number, err
}

// LatestDocument returns the configuration that holds; ErrNotFound before the first.
func (s *Store) LatestDocument(ctx context.Context) (Document, error) {
	d, err := s.documents(ctx, s.r, 1)
	if err == nil && len(d) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Document{}, err
	}
	return d[0], nil
}

// Documents lists the latest configurations, newest first, at most so many.
func (s *Store) Documents(ctx context.Context, limit int) ([]Document, error) {
	return s.documents(ctx, s.r, limit)
}

func (s *Store) documents(ctx context.Context, db bun.IDB, limit int) ([]Document, error) {
	var out []Document
	err := every(ctx, s, db, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("number DESC") }, func(r *documentRow) bool {
		n, err := strconv.ParseInt(r.Number, 10, 64)
		if err == nil {
			out = append(out, Document{n, r.Version, r.Name, r.Text, moment(r.Applied), r.AppliedBy})
		}
		return len(out) < limit
	})
	return out, err
}
