package backup

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// Manifest holds the SHA-256 of files by their path, with slashes and relative to the folder that it describes.
type Manifest map[string][sha256.Size]byte

// maxManifest bounds the files of a manifest.
const maxManifest = 20_000_000

// ReadManifest reads lines as sha256sum writes them: hash, two characters, path; a line that begins with a backslash
// has \\, \n and \r in its path written so. Empty lines and those that begin with # are passed by.
func ReadManifest(r io.Reader) (Manifest, error) {
	m := Manifest{}
	lines := bounded.NewLineReader(r, 64<<10)
	for {
		line, n, tooLong, err := lines.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the manifest: %w", err)
		}
		text := string(line)
		if strings.TrimSpace(text) == "" || text[0] == '#' {
			continue
		}
		text, escaped := strings.CutPrefix(text, `\`)
		if tooLong || len(text) < 67 || text[64] != ' ' || text[65] != ' ' && text[65] != '*' {
			return nil, fmt.Errorf("line %d of the manifest is not HASH, two spaces, PATH, as sha256sum writes it", n)
		}
		name := text[66:]
		if escaped {
			name = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(name)
		}
		name = path.Clean(strings.TrimPrefix(name, "/"))
		if !inside(name) || name == "." {
			return nil, fmt.Errorf("line %d of the manifest: %q is no path below the folder", n, name)
		}
		var sum [sha256.Size]byte
		if _, err := hex.Decode(sum[:], []byte(text[:64])); err != nil {
			return nil, fmt.Errorf("line %d of the manifest does not begin with a SHA-256 of 64 hexadecimal digits", n)
		}
		if len(m) >= maxManifest {
			return nil, fmt.Errorf("the manifest has more than %d files", maxManifest)
		}
		m[name] = sum
	}
	if len(m) == 0 {
		return nil, errors.New("the manifest names no file")
	}
	return m, nil
}

// WriteTo writes the manifest as sha256sum does, by path.
func (m Manifest) WriteTo(w io.Writer) (int64, error) {
	b := bufio.NewWriter(w)
	var n int64
	for _, name := range sortedNames(m) {
		sum, mark := m[name], ""
		if strings.ContainsAny(name, "\\\n\r") {
			name, mark = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name), `\`
		}
		k, err := fmt.Fprintf(b, "%s%x  %s\n", mark, sum, name)
		n += int64(k)
		if err != nil {
			return n, fmt.Errorf("writing the manifest: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return n, fmt.Errorf("writing the manifest: %w", err)
	}
	return n, nil
}

// MakeManifest hashes every regular file below a folder. Links are not followed. What cannot be read is told and left
// out: a manifest that names it would make every drill fail.
func MakeManifest(ctx context.Context, dir string, told func(name string, err error)) (Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("making a manifest of %s: %w", dir, err)
	}
	defer root.Close()
	m := Manifest{}
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			told(name, err)
			return nil
		}
		if !e.Type().IsRegular() {
			return nil
		}
		if len(m) >= maxManifest {
			return fmt.Errorf("more than %d files", maxManifest)
		}
		sum, _, err := hashIn(ctx, root, name, nil)
		if err != nil {
			told(name, err)
			return nil
		}
		m[name] = sum
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("making a manifest of %s: %w", dir, err)
	}
	return m, nil
}

// hashIn hashes a regular file below a root, which no link leads out of; also, where it is set, gets the bytes too.
func hashIn(ctx context.Context, root *os.Root, name string, also io.Writer) (sum [sha256.Size]byte, n int64, err error) {
	f, err := root.Open(name)
	if err != nil {
		return sum, 0, err
	}
	defer f.Close()
	h := sha256.New()
	var w io.Writer = h
	if also != nil {
		w = io.MultiWriter(h, also)
	}
	n, err = io.Copy(w, &stoppable{ctx, f})
	if err != nil {
		return sum, n, err
	}
	return [sha256.Size]byte(h.Sum(nil)), n, nil
}

// stoppable reads until its context ends.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// draw returns n files of the manifest, each day others: those whose path's hash with the day comes first. Canaries are
// always among them.
func (m Manifest) draw(n int, day string, canaries []string) Manifest {
	type drawn struct {
		name string
		rank [sha256.Size]byte
	}
	all := make([]drawn, 0, len(m))
	for name := range m {
		all = append(all, drawn{name, sha256.Sum256([]byte(day + "\x00" + name))})
	}
	slices.SortFunc(all, func(a, b drawn) int {
		return cmp.Or(slices.Compare(a.rank[:], b.rank[:]), strings.Compare(a.name, b.name))
	})
	out := Manifest{}
	for _, c := range canaries {
		if sum, ok := m[cleaned(c)]; ok {
			out[cleaned(c)] = sum
		}
	}
	for _, d := range all {
		if len(out) >= max(n, len(canaries)) {
			break
		}
		out[d.name] = m[d.name]
	}
	return out
}

// cleaned is a path within a backup as a manifest spells it.
func cleaned(p string) string { return path.Clean(strings.TrimPrefix(p, "/")) }

func sortedNames(m Manifest) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
