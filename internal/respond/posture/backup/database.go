package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// database restores a dump of PostgreSQL into a server of its own: a cluster that is made in the scratch folder, is
// reached by a socket there alone, and is gone after. The dump runs as a role that may neither start programs nor read
// or write files on the server, and a plain dump is looked through for psql's own commands before, since those run here.
func (d *Drill) database(ctx context.Context, s *scratch, o *Outcome) (time.Time, error) {
	as, err := accountOf(d.AsUser)
	if err != nil {
		return time.Time{}, fmt.Errorf("as_user: %w", err)
	}
	if as == nil && isRoot() {
		return time.Time{}, errors.New("PostgreSQL's server refuses to be root: name a user under as_user, such as postgres")
	}
	dump := filepath.Join(s.dir, "home", "dump")
	at, err := copyDump(ctx, d.file(d.Repository), dump)
	if err != nil {
		return at, err
	}
	if err := os.Chmod(s.dir, 0o711); err != nil { // the server's user has to come to its own folder
		return at, err
	}
	if err := own(s.home(), as); err != nil {
		return at, err
	}
	p := &program{dir: d.file(d.Programs), home: s.home(), as: as}
	if p.dir == "" {
		p.dir = serverPrograms()
	}
	data, sock := filepath.Join(s.home(), "data"), s.home()
	if _, err := p.run(ctx, s.home(), "initdb", "-D", data, "-U", "owner", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"); err != nil {
		if errors.Is(err, fs.ErrPermission) && as != nil {
			return at, fmt.Errorf("%s cannot come to the scratch folder; name one under scratch whose parents let it pass: %w", d.AsUser, err)
		}
		return at, err
	}
	stop, err := p.serve(ctx, s.home(), data, sock)
	if err != nil {
		return at, err
	}
	defer stop()
	sql := func(user, db, text string) ([]byte, error) {
		return p.run(ctx, s.home(), "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", sock, "-U", user, "-d", db, "-c", text)
	}
	if err := ready(ctx, func() error { _, err := sql("owner", "postgres", "SELECT 1"); return err }); err != nil {
		return at, err
	}
	for _, text := range [...]string{"CREATE ROLE drill LOGIN", "CREATE DATABASE drill OWNER drill TEMPLATE template0"} {
		if _, err := sql("owner", "postgres", text); err != nil {
			return at, err
		}
	}
	plain, err := isPlain(dump)
	if err != nil {
		return at, err
	}
	if plain {
		if err := plainDump(ctx, dump, dump+".sql"); err != nil {
			return at, err
		}
		if err := own(s.home(), as); err != nil {
			return at, err
		}
		// In restricted mode (PostgreSQL of August 2025 and later) psql takes no command of its own.
		_, err = p.run(ctx, s.home(), "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", sock, "-U", "drill", "-d", "drill", "-c", `\restrict `+rand.Text(), "-f", dump+".sql")
	} else {
		_, err = p.run(ctx, s.home(), "pg_restore", "-h", sock, "-U", "drill", "-d", "drill", "--no-owner", "--no-privileges", "--exit-on-error", dump)
	}
	if err != nil {
		return at, err
	}
	for _, t := range slices.Sorted(maps.Keys(d.Rows)) {
		name, err := tableName(t)
		if err != nil {
			return at, err
		}
		o.RowsCompared++
		out, err := sql("drill", "drill", "SELECT count(*) FROM "+name)
		if err != nil {
			if ctx.Err() != nil {
				return at, err
			}
			o.RowsWrong++
			o.Examples = append(o.Examples, fmt.Sprintf("table %s cannot be counted: %v", t, err))
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
		if err != nil {
			return at, fmt.Errorf("counting the rows of %s: %w", t, err)
		}
		if n < d.Rows[t] {
			o.RowsWrong++
			o.Examples = append(o.Examples, fmt.Sprintf("table %s has %d rows where %d are wanted", t, n, d.Rows[t]))
		}
	}
	o.Examples = o.Examples[:min(len(o.Examples), maxExamples)]
	return at, nil
}

// copyDump copies the dump into the scratch folder, where the server's user may read it, and returns when it was written.
func copyDump(ctx context.Context, from, to string) (time.Time, error) {
	in, err := os.Open(from)
	if err != nil {
		return time.Time{}, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return time.Time{}, fmt.Errorf("%s is no file", from)
	}
	at := info.ModTime().UTC()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return at, err
	}
	if _, err := io.Copy(out, &stoppable{ctx, in}); err != nil {
		return at, errors.Join(err, out.Close())
	}
	return at, out.Close()
}

// serverPrograms is the newest folder of PostgreSQL's programs where Debian keeps them apart; empty: PATH decides.
func serverPrograms() string {
	if _, err := exec.LookPath("initdb"); err == nil {
		return ""
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1])
}

var number = regexp.MustCompile(`\d+`)

func version(p string) int {
	n, _ := strconv.Atoi(number.FindString(p))
	return n
}

// serve starts the server; stop ends it and waits until the processes of its sessions have ended too.
func (p *program) serve(ctx context.Context, dir, data, sock string) (stop func(), err error) {
	inner, cancel := context.WithCancel(ctx)
	cmd, err := p.command(inner, dir, "postgres", "-D", data, "-k", sock, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "unix_socket_permissions=0700", "-c", "max_connections=10")
	if err != nil {
		cancel()
		return nil, err
	}
	if p.as != nil || isRoot() {
		cmd.Args = append(cmd.Args, "-c", "unix_socket_permissions=0777") // its folder is closed to others, and we are another user
	}
	quit(cmd)
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	return func() { cancel(); _ = cmd.Wait() }, nil
}

// ready asks until the server answers, for up to half a minute.
func ready(ctx context.Context, ask func() error) error {
	end := time.NewTimer(30 * time.Second)
	defer end.Stop()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-end.C:
			return fmt.Errorf("the server of the drill does not answer: %w", err)
		case <-again.C:
		}
	}
}

// isPlain reports whether a dump is SQL as text: pg_dump's other formats begin with PGDMP or are a tar.
func isPlain(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var first [512]byte
	n, err := io.ReadFull(f, first[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		if errors.Is(err, io.EOF) {
			return false, errors.New("the dump is empty")
		}
		return false, err
	}
	return !bytes.HasPrefix(first[:n], []byte("PGDMP")) && !(n > 262 && string(first[257:262]) == "ustar"), nil
}

// tableName quotes schema.table or table for SQL.
func tableName(name string) (string, error) {
	parts := strings.Split(name, ".")
	if len(parts) > 2 {
		return "", fmt.Errorf("rows: write %q as schema.table", name)
	}
	for i, p := range parts {
		if p == "" || len(p) > 63 || strings.ContainsAny(p, "\x00\n\r") {
			return "", fmt.Errorf("rows: %q is no name of a table", name)
		}
		parts[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
	}
	return strings.Join(parts, "."), nil
}
