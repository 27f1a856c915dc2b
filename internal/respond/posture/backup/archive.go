package backup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// layout is what an archive says that it will write, looked through before anything is. A program that restores
// follows a link which the archive itself has made: an archive with the link x → /etc and the file x/passwd writes
// outside (borg 1.2 does, with what `borg import-tar` takes from a hostile tar). Likewise a hard link to a file that
// lies outside makes a file of the host's a part of what was restored, and a comparison would be with that.
type layout struct {
	most    int64
	entries int64
	links   map[string]bool // symbolic links
	parents map[string]bool // folders that something lies in
}

func newLayout(most int64) *layout {
	return &layout{most: most, links: map[string]bool{}, parents: map[string]bool{}}
}

// add takes one entry. The target is that of a hard link; empty for anything else.
func (l *layout) add(name string, symbolic bool, target string) error {
	if l.entries++; l.entries > l.most {
		return fmt.Errorf("the backup holds more files than the drill's limit of %d", l.most)
	}
	for _, p := range [...]string{name, target} {
		if !inside(p) || strings.ContainsRune(p, 0) {
			return fmt.Errorf("the backup is hostile: it would reach %q, which is outside what is restored", lastWords(p))
		}
	}
	name = cleaned(name)
	if symbolic {
		l.links[name] = true
	}
	for dir := path.Dir(name); dir != "." && dir != "/" && !l.parents[dir]; dir = path.Dir(dir) {
		l.parents[dir] = true
	}
	return nil
}

// check says whether anything would be written through a link.
func (l *layout) check() error {
	for name := range l.links {
		if l.parents[name] {
			return fmt.Errorf("the backup is hostile: it holds %q both as a link and as a folder, and would write through the link", lastWords(name))
		}
	}
	return nil
}

// maxEntry bounds what a program writes about one file of an archive.
const maxEntry = 256 << 10

// records runs a program and gives what it writes, parted at the byte end, to each. An error of each ends the program
// and is returned.
func (p *program) records(ctx context.Context, dir string, end byte, each func([]byte) error, name string, args ...string) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	told := make(chan error, 1)
	go func() {
		in := bufio.NewScanner(r)
		in.Buffer(make([]byte, 0, 64<<10), maxEntry)
		in.Split(func(data []byte, atEnd bool) (int, []byte, error) {
			if i := bytes.IndexByte(data, end); i >= 0 {
				return i + 1, data[:i], nil
			}
			if atEnd && len(data) > 0 {
				return len(data), data, nil
			}
			return 0, nil, nil
		})
		var err error
		for err == nil && in.Scan() {
			err = each(in.Bytes())
		}
		err = errors.Join(err, in.Err())
		if err != nil {
			cancel()
		}
		_ = r.CloseWithError(err)
		told <- err
	}()
	err := p.runTo(inner, dir, w, name, args...)
	_ = w.Close()
	if bad := <-told; bad != nil && ctx.Err() == nil {
		return bad
	}
	return err
}

// lookedBorg looks through an archive of borg's.
func (p *program) lookedBorg(ctx context.Context, s *scratch, most int64, archive string) error {
	l := newLayout(most)
	var first []byte
	odd := false
	// Of each entry two records: its sort with the target of a link, and its path.
	err := p.records(ctx, s.dir, 0, func(rec []byte) error {
		if odd = !odd; odd {
			first = append(first[:0], rec...)
			return nil
		}
		if len(first) == 0 {
			return errors.New("borg's list of an archive cannot be read")
		}
		symbolic, target := first[0] == 'l', ""
		if !symbolic {
			target = string(first[1:])
		}
		return l.add(string(rec), symbolic, target)
	}, "borg", "list", "--format", "{type}{source}{NUL}{bpath}{NUL}", archive)
	if err != nil {
		return err
	}
	if odd {
		return errors.New("borg's list of an archive is cut off")
	}
	return l.check()
}

// lookedRestic looks through a snapshot of restic's.
func (p *program) lookedRestic(ctx context.Context, s *scratch, most int64, repo, snapshot string) error {
	l := newLayout(most)
	err := p.records(ctx, s.dir, '\n', func(line []byte) error {
		var node struct {
			Path   string `json:"path"`
			Type   string `json:"type"`
			Struct string `json:"struct_type"`
		}
		if len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
		if err := json.Unmarshal(line, &node); err != nil {
			return errors.New("restic's list of a snapshot cannot be read")
		}
		if node.Struct != "node" {
			return nil
		}
		return l.add(node.Path, node.Type == "symlink", "")
	}, "restic", "-r", repo, "--no-lock", "--no-cache", "--json", "ls", snapshot)
	if err != nil {
		return err
	}
	return l.check()
}
