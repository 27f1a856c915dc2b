package state

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Kind is what sort of answer the pipeline gave.
type Kind string

// The kinds of answers.
const (
	Finding  Kind = "finding"
	Incident Kind = "incident"
	Campaign Kind = "campaign"
)

// maxAnswer bounds an answer's JSON.
const maxAnswer = 8 << 20

// AnswerID names an answer.
type AnswerID struct {
	Kind Kind
	ID   string
}

// Answer is a finding, an incident or a campaign as JSON, with what lists need to know of it.
type Answer struct {
	AnswerID
	Tenants   []tenant.ID // whom it concerns; at least one
	FirstSeen time.Time
	Changed   time.Time
	Hash      string // of the content, as the caller takes it
	Body      []byte // JSON, at most 8 MiB
}

type answerRow struct {
	bun.BaseModel `bun:"table:answers"`
	Kind          string `bun:"kind,pk"`
	ID            string `bun:"id,pk"`
	Tenant        string `bun:"tenant,notnull"` // empty where there are several
	Tenants       string `bun:"tenants,notnull"`
	FirstSeen     int64  `bun:"first_seen,notnull"`
	Changed       int64  `bun:"changed,notnull"`
	Hash          string `bun:"hash,notnull"`
	Body          []byte `bun:"body,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (*answerRow) spansTenants() {}

// seenBy: one of its tenants is enough to be told of; Answers leaves out what a scope does not see as a whole,
// unless the caller promises to show each its own part.
func (r *answerRow) seenBy(scope tenant.Scope) bool {
	ids, err := tenantList(r.Tenants)
	if err != nil || len(ids) == 0 {
		return scope.Sees(nobody)
	}
	for _, id := range ids {
		if scope.Sees(id) {
			return true
		}
	}
	return false
}

func (r *answerRow) answer() Answer {
	ids, err := tenantList(r.Tenants)
	if err != nil {
		ids = nil
	}
	return Answer{AnswerID{Kind(r.Kind), r.ID}, ids, moment(r.FirstSeen), moment(r.Changed), r.Hash, r.Body}
}

// ChangeAnswers stores what is new or changed and deletes what was withdrawn, all in one transaction.
func (s *Store) ChangeAnswers(ctx context.Context, changed []Answer, withdrawn []AnswerID) error {
	rows := make([]*answerRow, len(changed))
	for i, a := range changed {
		if len(a.Tenants) == 0 || len(a.Body) > maxAnswer || a.ID == "" {
			return fmt.Errorf("storing the %s %q: it needs an id, a tenant and at most %d bytes; it has %d tenants and %d bytes", a.Kind, a.ID, maxAnswer, len(a.Tenants), len(a.Body))
		}
		for _, id := range a.Tenants {
			if err := CheckTenant(id); err != nil {
				return fmt.Errorf("storing the %s %q: %w", a.Kind, a.ID, err)
			}
		}
		one := ""
		if len(a.Tenants) == 1 {
			one = string(a.Tenants[0])
		}
		rows[i] = &answerRow{Kind: string(a.Kind), ID: a.ID, Tenant: one, Tenants: tenantJSON(a.Tenants), FirstSeen: micros(a.FirstSeen), Changed: micros(a.Changed), Hash: a.Hash, Body: a.Body}
	}
	return s.write(ctx, "storing answers", func(ctx context.Context, tx bun.Tx) error {
		for _, w := range withdrawn {
			if _, err := remove[answerRow](ctx, tx, "kind = ? AND id = ?", string(w.Kind), w.ID); err != nil {
				return err
			}
		}
		_, err := put(ctx, tx, replace, rows...)
		return err
	})
}

// AnswerQuery narrows a list of answers.
type AnswerQuery struct {
	Kind   Kind
	Since  time.Time // only those changed then or later; zero: all
	Limit  int       // 0: 1,000
	Offset int
	// Partly also gives answers of which the scope sees some tenants and not all. The caller must then show of
	// them only what belongs to those it sees: the body tells of all.
	Partly bool
}

// Answers lists answers, the last changed first.
func (s *Store) Answers(ctx context.Context, scope tenant.Scope, q AnswerQuery) ([]Answer, error) {
	if q.Limit <= 0 {
		q.Limit = 1000
	}
	var out []Answer
	skip := q.Offset
	err := scoped(ctx, s, s.r, scope, func(sq *bun.SelectQuery) *bun.SelectQuery {
		sq = sq.Where("kind = ?", string(q.Kind))
		if !q.Since.IsZero() {
			sq = sq.Where("changed >= ?", micros(q.Since))
		}
		return sq.Order("changed DESC", "id")
	}, func(r *answerRow) bool {
		a := r.answer()
		if !q.Partly && !seesEach(scope, a.Tenants) {
			return true
		}
		if skip > 0 {
			skip--
			return true
		}
		out = append(out, a)
		return len(out) < q.Limit
	})
	return out, err
}

// Answer returns one answer all of whose tenants the scope sees, with partly also one of which it sees some;
// ErrNotFound else.
func (s *Store) Answer(ctx context.Context, scope tenant.Scope, id AnswerID, partly bool) (Answer, error) {
	row, err := one(ctx, scoped[answerRow], s, s.r, scope, func(q *bun.SelectQuery) *bun.SelectQuery {
		return byKey("id", id.ID)(q).Where("kind = ?", string(id.Kind))
	})
	if err != nil {
		return Answer{}, err
	}
	a := row.answer()
	if !partly && !seesEach(scope, a.Tenants) {
		return Answer{}, ErrNotFound
	}
	return a, nil
}

// AnswerHashes returns the content hash of every whole answer, so that a restarted pipeline knows what has changed.
// One that is damaged is left out, and is thus written anew.
func (s *Store) AnswerHashes(ctx context.Context) (map[AnswerID]string, error) {
	out := map[AnswerID]string{}
	err := scoped(ctx, s, s.r, tenant.ScopeAll(), func(q *bun.SelectQuery) *bun.SelectQuery { return q }, func(r *answerRow) bool {
		out[AnswerID{Kind(r.Kind), r.ID}] = r.Hash
		return true
	})
	return out, err
}
