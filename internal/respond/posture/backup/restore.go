package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// restic restores by restic's own program, which checks the hash of all that it writes. It returns when the snapshot was
// made.
func (d *Drill) restic(ctx context.Context, s *scratch, names []string) (time.Time, error) {
	env, err := d.password("RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD")
	if err != nil {
		return time.Time{}, err
	}
	if env, err = d.passed(env); err != nil {
		return time.Time{}, err
	}
	p := &program{dir: d.file(d.Programs), env: append(env, "RESTIC_PROGRESS_FPS=0.01"), home: s.home()}
	repo := d.repository()
	which := d.Snapshot
	if which == "" {
		which = "latest"
	}
	out, err := p.run(ctx, s.dir, "restic", "-r", repo, "--no-lock", "--json", "snapshots", which)
	if err != nil {
		return time.Time{}, err
	}
	var list []struct {
		ID   string    `json:"id"`
		Time time.Time `json:"time"`
	}
	if err := json.Unmarshal(out, &list); err != nil || len(list) == 0 {
		return time.Time{}, errors.New("the repository holds no such snapshot")
	}
	newest := slices.MaxFunc(list, func(a, b struct {
		ID   string    `json:"id"`
		Time time.Time `json:"time"`
	}) int {
		return a.Time.Compare(b.Time)
	})
	if err := p.lookedRestic(ctx, s, d.Limits.Files, repo, newest.ID); err != nil {
		return newest.Time, err
	}
	args := []string{"-r", repo, "--no-lock", "--no-cache", "restore", newest.ID, "--target", s.restored()}
	for _, n := range names {
		args = append(args, "--include", "/"+literal(n))
	}
	if _, err := p.run(ctx, s.dir, "restic", args...); err != nil {
		return newest.Time, err
	}
	return newest.Time, nil
}

// literal is a path in which no character is a wildcard of restic's.
func literal(p string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}

// borg restores by borg's own program, which checks the MAC of every chunk.
func (d *Drill) borg(ctx context.Context, s *scratch, names []string) (time.Time, error) {
	env, err := d.password("", "BORG_PASSPHRASE")
	if err != nil {
		return time.Time{}, err
	}
	if env, err = d.passed(env); err != nil {
		return time.Time{}, err
	}
	p := &program{dir: d.file(d.Programs), home: s.home(), env: append(env, "BORG_BASE_DIR="+s.home(), "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes")}
	repo := d.repository()
	args := []string{"list", "--json"}
	if d.Snapshot == "" {
		args = append(args, "--last", "1")
	}
	out, err := p.run(ctx, s.dir, "borg", append(args, repo)...)
	if err != nil {
		return time.Time{}, err
	}
	var list struct {
		Archives []struct {
			Name  string `json:"name"`
			Start string `json:"start"`
		} `json:"archives"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return time.Time{}, fmt.Errorf("borg's list of archives cannot be read: %w", err)
	}
	i := len(list.Archives) - 1
	if d.Snapshot != "" {
		i = -1
		for k, a := range list.Archives {
			if a.Name == d.Snapshot {
				i = k
			}
		}
	}
	if i < 0 {
		return time.Time{}, errors.New("the repository holds no such archive")
	}
	at, err := time.Parse("2006-01-02T15:04:05.000000", list.Archives[i].Start) // local time of the program, which runs in UTC
	if err != nil {
		return time.Time{}, fmt.Errorf("borg's time of the archive: %w", err)
	}
	archive := repo + "::" + list.Archives[i].Name
	if err := p.lookedBorg(ctx, s, d.Limits.Files, archive); err != nil {
		return at, err
	}
	args = []string{"extract", "--noacls", "--noxattrs", "--noflags", archive} // an immutable file could not be removed
	for _, n := range names {
		args = append(args, "pp:"+n) // a path, whatever characters it has
	}
	if _, err := p.run(ctx, s.restored(), "borg", args...); err != nil {
		return at, err
	}
	return at, nil
}

// tree copies files as they are. Links, devices and pipes are left where they are. The snapshot's time is that of the
// newest file: nothing else says when the tree was last written.
func (d *Drill) tree(ctx context.Context, s *scratch, names []string) (newest time.Time, err error) {
	from, err := os.OpenRoot(d.file(d.Repository))
	if err != nil {
		return newest, err
	}
	defer from.Close()
	to, err := os.OpenRoot(s.restored())
	if err != nil {
		return newest, err
	}
	defer to.Close()
	if len(names) == 0 {
		names = []string{"."}
	}
	for _, top := range names {
		if _, err := from.Lstat(top); errors.Is(err, fs.ErrNotExist) {
			continue // missing, which the manifest will say
		}
		err := fs.WalkDir(from.FS(), top, func(name string, e fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return err
			}
			if e.IsDir() {
				return to.MkdirAll(name, 0o700)
			}
			if !e.Type().IsRegular() {
				return nil
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			if info.ModTime().After(newest) {
				newest = info.ModTime()
			}
			return copyFile(ctx, from, to, name)
		})
		if err != nil {
			return newest, fmt.Errorf("copying the tree: %w", err)
		}
	}
	return newest.UTC(), nil
}

func copyFile(ctx context.Context, from, to *os.Root, name string) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := to.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, &stoppable{ctx, in}); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}

// wanted are the paths to restore, relative and with slashes; none: everything.
func (d *Drill) wanted(sample Manifest) []string {
	var out []string
	for _, p := range d.Paths {
		out = append(out, cleaned(p))
	}
	if d.Sample > 0 {
		for name := range sample {
			out = append(out, path.Join(cleaned(d.Root), name))
		}
		slices.Sort(out)
	}
	return out
}

// described opens the folder of what was restored that the manifest describes. A link on the way leads nowhere outside:
// where a backup holds the link and not the folder, it would lead to the live files, which equal the manifest always.
func (d *Drill) described(s *scratch) (*os.Root, error) {
	all, err := os.OpenRoot(s.restored())
	if err != nil {
		return nil, err
	}
	defer all.Close()
	return all.OpenRoot(filepath.FromSlash(cleaned(d.Root)))
}
