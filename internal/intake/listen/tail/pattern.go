package tail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pattern finds files.
type pattern struct {
	root     string
	segments []string
}

// compile checks a pattern and takes apart what is fixed in it.
func compile(text string) (pattern, error) {
	volume := filepath.VolumeName(text)
	parts := strings.Split(strings.Trim(filepath.ToSlash(text[len(volume):]), "/"), "/")
	for _, s := range parts {
		if s == "**" {
			continue
		}
		if strings.Contains(s, "**") {
			return pattern{}, errors.New("** stands beside other characters; write it alone between slashes")
		}
		if _, err := filepath.Match(s, ""); err != nil {
			return pattern{}, err
		}
	}
	if parts[len(parts)-1] == "**" {
		parts = append(parts, "*")
	}
	fixed := 0
	for fixed < len(parts)-1 && !strings.ContainsAny(parts[fixed], `*?[\`) {
		fixed++
	}
	return pattern{root: volume + string(filepath.Separator) + filepath.Join(parts[:fixed]...), segments: parts[fixed:]}, nil
}

// found is one file that a pattern names.
type found struct {
	path string
	info fs.FileInfo
}

// maxFolders is how deep ** goes.
const maxFolders = 64

// find returns the regular files, sorted by path, at most limit of them, and how many more there were. Folders that
// can't be read are as if they were empty: they may come back.
func (p pattern) find(limit int) (list []found, more int) {
	seen := map[string]bool{}
	var walk func(dir string, segments []string, depth int)
	walk = func(dir string, segments []string, depth int) {
		if depth > maxFolders {
			return
		}
		if segments[0] == "**" {
			walk(dir, segments[1:], depth)
		}
		if segment := segments[0]; len(segments) == 1 && !strings.ContainsAny(segment, `*?[\`) { // no need to list the folder
			if info, err := os.Stat(filepath.Join(dir, segment)); err == nil && info.Mode().IsRegular() && !seen[filepath.Join(dir, segment)] {
				seen[filepath.Join(dir, segment)] = true
				list = append(list, found{filepath.Join(dir, segment), info})
			}
			return
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			switch {
			case segments[0] == "**":
				if e.IsDir() {
					walk(name, segments, depth+1)
				}
			case !matches(segments[0], e.Name()):
			case len(segments) > 1:
				walk(name, segments[1:], depth+1)
			case e.IsDir() || compressed(e.Name()) || seen[name]:
			case len(list) >= limit:
				more++
			default:
				if info, err := regular(name, e); err == nil {
					seen[name] = true
					list = append(list, found{name, info})
				}
			}
		}
	}
	walk(p.root, p.segments, 0)
	slices.SortFunc(list, func(a, b found) int { return strings.Compare(a.path, b.path) })
	return list, more
}

// matches doesn't let a pattern that begins with a wildcard name hidden files, as shells do.
func matches(segment, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(segment, ".") {
		return false
	}
	ok, err := filepath.Match(segment, name)
	return ok && err == nil
}

// regular follows a link to a file, since container runtimes give logs their names by links.
func regular(name string, e fs.DirEntry) (fs.FileInfo, error) {
	info, err := e.Info()
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		info, err = os.Stat(name)
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, fs.ErrInvalid
	}
	return info, err
}

// compressed reports whether a rotated file was packed: its lines were read before.
func compressed(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".gz", ".bz2", ".xz", ".zst", ".zip", ".lz4", ".lzma", ".7z", ".z", ".tgz":
		return true
	}
	return false
}
