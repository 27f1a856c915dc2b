package state

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MaxDeadLetter is how much of a record is kept; the rest is cut off.
const MaxDeadLetter = 64 << 10

// DeadLetterID is where a record stood: its message's place on the bus, and its number within the message. A record
// that is read again after a restart has the same id.
type DeadLetterID struct {
	Seq   uint64
	Index uint32
}

// String is the id as users see and write it: 1f-3.
func (id DeadLetterID) String() string { return fmt.Sprintf("%x-%d", id.Seq, id.Index) }

// ParseDeadLetterID reads what String wrote.
func ParseDeadLetterID(text string) (DeadLetterID, error) {
	seq, index, ok := strings.Cut(text, "-")
	s, err1 := strconv.ParseUint(seq, 16, 64)
	i, err2 := strconv.ParseUint(index, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return DeadLetterID{}, fmt.Errorf("%q is no dead letter's id: write it as the list shows it, such as 1f-3", text)
	}
	return DeadLetterID{s, uint32(i)}, nil
}

// key sorts as text in the order of the bus.
func (id DeadLetterID) key() string { return fmt.Sprintf("%016x-%08x", id.Seq, id.Index) }

// DeadLetter is a record that could not be taken in, with the reason.
type DeadLetter struct {
	ID       DeadLetterID
	Tenant   tenant.ID // empty: nobody knows whose it is; only a scope of everything sees it
	Sensor   string
	Time     time.Time
	Reason   string
	Raw      []byte // at most MaxDeadLetter
	Cut      bool   // Raw is the beginning of a longer record
	Replayed time.Time
}

type deadLetterRow struct {
	bun.BaseModel `bun:"table:dead_letters"`
	ID            string `bun:"id,pk"`
	Tenant        string `bun:"tenant,notnull"`
	Sensor        string `bun:"sensor,notnull"`
	Time          int64  `bun:"time,notnull"`
	Reason        string `bun:"reason,notnull"`
	Raw           []byte `bun:"raw,notnull"`
	Cut           bool   `bun:"cut,notnull"`
	Replayed      int64  `bun:"replayed,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (r *deadLetterRow) seenBy(scope tenant.Scope) bool {
	return scope.Sees(nobody) || r.Tenant != "" && scope.Sees(tenant.ID(r.Tenant))
}

func (r *deadLetterRow) letter() (DeadLetter, bool) {
	seq, index, _ := strings.Cut(r.ID, "-")
	s, err1 := strconv.ParseUint(seq, 16, 64)
	i, err2 := strconv.ParseUint(index, 16, 32)
	return DeadLetter{DeadLetterID{s, uint32(i)}, tenant.ID(r.Tenant), r.Sensor, moment(r.Time), r.Reason, r.Raw, r.Cut, moment(r.Replayed)}, err1 == nil && err2 == nil
}

// droppedLettersRow counts what was over a sensor's bound. Through is the last of them, so that one read again after
// a restart is not counted twice.
type droppedLettersRow struct {
	bun.BaseModel `bun:"table:dropped_dead_letters"`
	Sensor        string `bun:"sensor,pk"`
	Dropped       int64  `bun:"dropped,notnull"`
	Through       string `bun:"through,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (*droppedLettersRow) ofTheInstallation() {}

// letterCounts remembers how many letters each sensor has; serve alone adds them.
type letterCounts struct {
	sync.Mutex
	of map[string]int
}

// AddDeadLetters stores letters in the order of the bus, all or none. Those that are stored already are ignored;
// those over a sensor's bound are counted and dropped: a flood can't push out what came before it.
func (s *Store) AddDeadLetters(ctx context.Context, letters []DeadLetter) error {
	s.letters.Lock()
	defer s.letters.Unlock()
	bySensor := map[string][]*deadLetterRow{}
	var sensors []string
	for _, l := range letters {
		if l.Tenant != "" {
			if err := CheckTenant(l.Tenant); err != nil {
				return err
			}
		}
		if len(l.Raw) > MaxDeadLetter {
			l.Raw, l.Cut = l.Raw[:MaxDeadLetter], true
		}
		row := &deadLetterRow{ID: l.ID.key(), Tenant: string(l.Tenant), Sensor: l.Sensor, Time: micros(l.Time), Reason: l.Reason, Raw: l.Raw, Cut: l.Cut, Replayed: micros(l.Replayed)}
		if bySensor[l.Sensor] == nil {
			sensors = append(sensors, l.Sensor)
		}
		bySensor[l.Sensor] = append(bySensor[l.Sensor], row)
	}
	counts := map[string]int{}
	err := s.write(ctx, "storing dead letters", func(ctx context.Context, tx bun.Tx) error {
		for _, sensor := range sensors {
			n, err := s.addOfSensor(ctx, tx, sensor, bySensor[sensor])
			if err != nil {
				return err
			}
			counts[sensor] = n
		}
		return nil
	})
	for _, sensor := range sensors {
		if err != nil {
			delete(s.letters.of, sensor) // nobody knows; count anew
		} else {
			s.letters.of[sensor] = counts[sensor]
		}
	}
	return err
}

// addOfSensor returns how many letters the sensor has then.
func (s *Store) addOfSensor(ctx context.Context, tx bun.Tx, sensor string, rows []*deadLetterRow) (int, error) {
	n, ok := s.letters.of[sensor]
	if !ok {
		stored, err := tx.NewSelect().Model((*deadLetterRow)(nil)).Where("sensor = ?", sensor).Count(ctx)
		if err != nil {
			return 0, fmt.Errorf("counting dead letters: %w", err)
		}
		n = int(stored)
	}
	for len(rows) > 0 {
		room := s.opt.DeadLettersPerSensor - n
		if room <= 0 {
			return n, s.dropLetters(ctx, tx, sensor, rows)
		}
		chunk := rows[:min(room, len(rows), maxInsertRows)]
		stored, err := put(ctx, tx, ignore, chunk...)
		if err != nil {
			return n, err
		}
		n += stored
		rows = rows[len(chunk):]
	}
	return n, nil
}

func (s *Store) dropLetters(ctx context.Context, tx bun.Tx, sensor string, rows []*deadLetterRow) error {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	var stored []string
	if err := tx.NewSelect().Model((*deadLetterRow)(nil)).Column("id").Where("id IN (?)", bun.List(ids)).Scan(ctx, &stored); err != nil {
		return fmt.Errorf("looking for dead letters: %w", err)
	}
	known := map[string]bool{}
	for _, id := range stored {
		known[id] = true
	}
	count := &droppedLettersRow{Sensor: sensor}
	if err := every(ctx, s, tx, byKey("sensor", sensor), func(r *droppedLettersRow) bool { count = r; return false }); err != nil {
		return err
	}
	through := count.Through
	for _, id := range ids {
		if id > through && !known[id] {
			count.Dropped++
			count.Through = max(count.Through, id)
		}
	}
	_, err := put(ctx, tx, replace, count)
	return err
}

// DeadLetterQuery narrows a list; its zero value is all that the scope sees.
type DeadLetterQuery struct {
	Sensor  string
	After   *DeadLetterID // only those that stand later on the bus
	Waiting bool          // only those that were not replayed
	Limit   int           // 0: 1,000
}

// DeadLetters lists letters in the order of the bus.
func (s *Store) DeadLetters(ctx context.Context, scope tenant.Scope, q DeadLetterQuery) ([]DeadLetter, error) {
	if q.Limit <= 0 {
		q.Limit = 1000
	}
	var out []DeadLetter
	err := scoped(ctx, s, s.r, scope, func(sq *bun.SelectQuery) *bun.SelectQuery {
		if q.Sensor != "" {
			sq = byKey("sensor", q.Sensor)(sq)
		}
		if q.After != nil {
			sq = sq.Where("id > ?", q.After.key())
		}
		if q.Waiting {
			sq = sq.Where("replayed = 0")
		}
		return sq.Order("id")
	}, func(r *deadLetterRow) bool {
		if l, ok := r.letter(); ok {
			out = append(out, l)
		}
		return len(out) < q.Limit
	})
	return out, err
}

// DeadLetter returns one letter; ErrNotFound where the scope sees none of that id.
func (s *Store) DeadLetter(ctx context.Context, scope tenant.Scope, id DeadLetterID) (DeadLetter, error) {
	row, err := one(ctx, scoped[deadLetterRow], s, s.r, scope, byKey("id", id.key()))
	if err != nil {
		return DeadLetter{}, err
	}
	l, ok := row.letter()
	if !ok {
		return DeadLetter{}, ErrNotFound
	}
	return l, nil
}

// MarkReplayed notes that letters were sent through the pipeline again, and returns how many the scope saw.
func (s *Store) MarkReplayed(ctx context.Context, scope tenant.Scope, ids []DeadLetterID, by string) (marked int, err error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = id.key()
	}
	err = s.write(ctx, "marking dead letters as replayed", func(ctx context.Context, tx bun.Tx) error {
		now := micros(s.opt.Now())
		for len(keys) > 0 {
			chunk := keys[:min(len(keys), maxInsertRows)]
			keys = keys[len(chunk):]
			var rows []*deadLetterRow
			err := scoped(ctx, s, tx, scope, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("id IN (?)", bun.List(chunk)) }, func(r *deadLetterRow) bool {
				r.Replayed = now
				rows = append(rows, r)
				return true
			})
			if err != nil {
				return err
			}
			if _, err := put(ctx, tx, replace, rows...); err != nil {
				return err
			}
			marked += len(rows)
		}
		return audit(ctx, tx, AuditEntry{At: s.opt.Now(), Who: by, What: "dead letters replay", Of: strconv.Itoa(marked) + " records"})
	})
	return marked, err
}

// DeadLetterCount is how many letters a sensor has of a tenant.
type DeadLetterCount struct {
	Tenant  tenant.ID
	Sensor  string
	Kept    int
	Waiting int   // of those kept, how many were not replayed
	Dropped int64 // over the sensor's bound, of all its tenants; 0 unless the scope is everything
}

// DeadLetterCounts counts letters by tenant and sensor. Counting reads no content: what is damaged counts too.
func (s *Store) DeadLetterCounts(ctx context.Context, scope tenant.Scope) ([]DeadLetterCount, error) {
	var rows []struct {
		Tenant, Sensor string
		Kept, Waiting  int
	}
	err := s.r.NewSelect().Model((*deadLetterRow)(nil)).ColumnExpr("tenant, sensor, count(*) AS kept, sum(CASE WHEN replayed = 0 THEN 1 ELSE 0 END) AS waiting").
		Group("tenant", "sensor").Order("sensor", "tenant").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("counting dead letters: %w", err)
	}
	dropped := map[string]int64{}
	if scope.Sees(nobody) {
		err := every(ctx, s, s.r, func(q *bun.SelectQuery) *bun.SelectQuery { return q }, func(r *droppedLettersRow) bool {
			dropped[r.Sensor] = r.Dropped
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	var out []DeadLetterCount
	for _, r := range rows {
		if !(&deadLetterRow{Tenant: r.Tenant}).seenBy(scope) {
			continue
		}
		out = append(out, DeadLetterCount{tenant.ID(r.Tenant), r.Sensor, r.Kept, r.Waiting, dropped[r.Sensor]})
		delete(dropped, r.Sensor) // once a sensor
	}
	return out, nil
}
