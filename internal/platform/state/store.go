package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver called sqlite
)

// Names of the files within the data folder.
const (
	fileName = "state.db"
	lockName = "state.lock"
)

const (
	// busyWait is how long a statement waits for a writer of another process.
	busyWait = 10 * time.Second
	// openWait is how long Open waits for a process that is checking or rebuilding the file.
	openWait = 2 * time.Minute
	readers  = 4
)

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("not found") // also where the scope does not see it: nobody learns that it exists
	ErrExists   = errors.New("exists already")
)

// Options of a store; the zero value is right for everyday use.
type Options struct {
	// Damage is told, in one line, what was found damaged and what became of it. It may be called by several
	// goroutines. Left out, the lines go to the log.
	Damage func(string)
	// DeadLettersPerSensor bounds what is kept for each sensor; 0: 100,000.
	DeadLettersPerSensor int
	// Now is the clock; left out, time.Now.
	Now func() time.Time
}

// Store is the open control plane. Its methods may be called by several goroutines.
type Store struct {
	dir  string
	opt  Options
	lock *folderLock
	w, r *bun.DB // one connection that writes, several that read

	reported reported
	letters  letterCounts
}

// Open opens the state in the data folder, and makes both where they are missing. A damaged file does not stop it:
// what can be read again is kept, and what can't is reported.
func Open(dir string, opt Options) (*Store, error) {
	if opt.Damage == nil {
		opt.Damage = func(s string) { slog.Warn("state is damaged", "what", s) }
	}
	if opt.DeadLettersPerSensor <= 0 {
		opt.DeadLettersPerSensor = 100_000
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	s := &Store{dir: dir, opt: opt, reported: reported{seen: map[string]bool{}}, letters: letterCounts{of: map[string]int{}}}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("opening the state in %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open() (err error) {
	s.lock, err = openFolderLock(filepath.Join(s.dir, lockName))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.prepare(); err != nil {
		return err
	}
	if s.w, err = s.pool(s.path(), 1, false); err != nil {
		return err
	}
	s.r, err = s.pool(s.path(), readers, true)
	return err
}

func (s *Store) path() string { return filepath.Join(s.dir, fileName) }

// prepare leaves a whole file of the present schema, and a shared lock on the folder. Only who is alone checks and
// rebuilds: a process that comes while another works finds the file checked already.
func (s *Store) prepare() error {
	deadline := time.Now().Add(openWait)
	for {
		alone, err := s.lock.exclusive()
		if err != nil {
			return err
		}
		if alone {
			if err := s.checkAndRepair(); err != nil {
				return err
			}
			if err := s.lock.release(); err != nil {
				return err
			}
		}
		// Who comes between the release and here checks once more, while this process waits.
		switch shared, err := s.lock.shared(); {
		case err != nil:
			return err
		case shared:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("another process has been checking it for %s: wait for it, or end it", openWait)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// pool opens connections to a file. Each sets what it needs for itself, since SQLite keeps most settings a connection.
func (s *Store) pool(path string, n int, readOnly bool) (*bun.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := ownerOnly(abs); err != nil {
		return nil, err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") {
		abs = "/" + abs // a drive letter
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyWait.Milliseconds()),
		fmt.Sprintf("page_size(%d)", pageSize),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"secure_delete(1)",   // what was deleted must not rise again when pages are salvaged
		"cell_size_check(1)", // damage is found before it is acted on
		"trusted_schema(0)",
	}}
	if readOnly {
		q.Set("_query_only", "1")
		q.Set("_txlock", "deferred")
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: abs, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return bun.NewDB(db, sqlitedialect.New()), nil
}

// ownerOnly makes the file where it is missing, for its owner alone; SQLite gives its side files the same mode.
func ownerOnly(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			f.Close()
			return fmt.Errorf("closing %s to others: %w", path, err)
		}
	}
	return f.Close()
}

// Close waits for running calls and lets go of the files.
func (s *Store) Close() error {
	var errs []error
	if s.r != nil {
		errs = append(errs, s.r.Close())
	}
	if s.w != nil {
		errs = append(errs, s.w.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.close())
	}
	return errors.Join(errs...)
}

// write runs a transaction; it is on disk when write returns without an error.
func (s *Store) write(ctx context.Context, what string, do func(ctx context.Context, tx bun.Tx) error) error {
	if err := s.w.RunInTx(ctx, nil, do); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Size is what the state takes on disk, in bytes.
func (s *Store) Size() int64 {
	var n int64
	for _, side := range []string{"", "-wal"} {
		if info, err := os.Stat(s.path() + side); err == nil {
			n += info.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return n
		}
	}
	return n
}

// reported remembers which damage was told, so that a bad row is told once and not at every read.
type reported struct {
	sync.Mutex
	seen map[string]bool
}

const maxReported = 1000

func (s *Store) damage(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.reported.Lock()
	known := s.reported.seen[line] || len(s.reported.seen) >= maxReported
	if !known {
		s.reported.seen[line] = true
	}
	s.reported.Unlock()
	if !known {
		s.opt.Damage(line)
	}
}

// micros is a time as it is stored: microseconds since 1970, UTC; 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
