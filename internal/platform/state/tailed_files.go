package state

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// MaxTailHead is how many of a file's first bytes are kept to know it again.
const MaxTailHead = 1024

// TailOffset is how far a growing file has been taken in.
type TailOffset struct {
	Sensor   string
	Path     string
	Identity string // of the file as the system tells it (device and inode, say): a rotated file keeps it
	Offset   int64
	Head     []byte // the file's first bytes, at most MaxTailHead: an identity that was given again is found out
	Changed  time.Time
}

type tailRow struct {
	bun.BaseModel `bun:"table:tail_offsets"`
	Sensor        string `bun:"sensor,pk"`
	Path          string `bun:"path,pk"`
	Identity      string `bun:"identity,pk"`
	Position      int64  `bun:"position,notnull"`
	Head          []byte `bun:"head,notnull"`
	Changed       int64  `bun:"changed,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (*tailRow) ofTheInstallation() {}

// PutTailOffsets stores offsets, all or none.
func (s *Store) PutTailOffsets(ctx context.Context, list []TailOffset) error {
	rows := make([]*tailRow, len(list))
	for i, o := range list {
		if o.Offset < 0 || len(o.Head) > MaxTailHead {
			return fmt.Errorf("storing the offset of %s: offset %d, %d bytes of head; the least is 0, the most %d", o.Path, o.Offset, len(o.Head), MaxTailHead)
		}
		rows[i] = &tailRow{Sensor: o.Sensor, Path: o.Path, Identity: o.Identity, Position: o.Offset, Head: o.Head, Changed: micros(s.opt.Now())}
	}
	return s.write(ctx, "storing the offsets of files", func(ctx context.Context, tx bun.Tx) error {
		_, err := put(ctx, tx, replace, rows...)
		return err
	})
}

// TailOffsets lists the offsets of a sensor's files, by path, the last changed first.
func (s *Store) TailOffsets(ctx context.Context, sensor string) ([]TailOffset, error) {
	var out []TailOffset
	err := every(ctx, s, s.r, func(q *bun.SelectQuery) *bun.SelectQuery {
		return byKey("sensor", sensor)(q).Order("path", "changed DESC", "identity")
	}, func(r *tailRow) bool {
		out = append(out, TailOffset{r.Sensor, r.Path, r.Identity, r.Position, r.Head, moment(r.Changed)})
		return true
	})
	return out, err
}

// DropTailOffset forgets a file that is gone.
func (s *Store) DropTailOffset(ctx context.Context, sensor, path, identity string) error {
	return s.write(ctx, "forgetting the offset of "+path, func(ctx context.Context, tx bun.Tx) error {
		_, err := remove[tailRow](ctx, tx, "sensor = ? AND path = ? AND identity = ?", sensor, path, identity)
		return err
	})
}

type takenFileRow struct {
	bun.BaseModel `bun:"table:taken_files"`
	Path          string `bun:"path,pk"`
	Hash          string `bun:"hash,pk"` // hexadecimal
	Taken         int64  `bun:"taken,notnull"`
	Sum           int64  `bun:"sum,notnull"`
}

func (*takenFileRow) ofTheInstallation() {}

// TakeFile notes that a dropped file was taken in whole.
func (s *Store) TakeFile(ctx context.Context, path string, hash []byte) error {
	return s.write(ctx, "noting that "+path+" was taken", func(ctx context.Context, tx bun.Tx) error {
		_, err := put(ctx, tx, replace, &takenFileRow{Path: path, Hash: hexadecimal(hash), Taken: micros(s.opt.Now())})
		return err
	})
}

// FileTaken says when a file of that path and content was taken in; the zero time: never.
func (s *Store) FileTaken(ctx context.Context, path string, hash []byte) (time.Time, error) {
	var at time.Time
	err := every(ctx, s, s.r, func(q *bun.SelectQuery) *bun.SelectQuery {
		return byKey("path", path)(q).Where("hash = ?", hexadecimal(hash))
	}, func(r *takenFileRow) bool {
		at = moment(r.Taken)
		return false
	})
	return at, err
}
