package bounded

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWalk_visitsInOrderOfNames(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"logs/b.log":           []byte("b"),
		"logs/a/z.log.gz":      gz([]byte("z")),
		"logs/.hidden":         []byte("h"),
		"logs/.git/config":     []byte("no"),
		"logs/c.tar.zst":       zst(tarOf(entry{"m.log", []byte("m")})),
		"logs/bad\xff\xfename": []byte("latin"),
	})
	got := walkAll(t, dir, Limits{}, "logs")
	if got.err != nil || len(got.problems) > 0 {
		t.Fatalf("err %v, problems %q", got.err, got.problems)
	}
	equal(t, "paths", got.paths, []string{"logs/.hidden", "logs/a/z.log.gz", "logs/b.log", "logs/bad\xff\xfename", "logs/c.tar.zst!m.log"})
	equal(t, "names", got.names, []string{".hidden", "z.log", "b.log", "bad\xff\xfename", "m.log"})
	if got.stats.Files != 5 || got.stats.ReadBytes != got.stats.TotalBytes || got.stats.Bytes != 9 {
		t.Errorf("stats %+v", got.stats)
	}
}

func TestWalk_visitsAFileOnceHoweverItIsNamed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"a/x": []byte("x"), "a/sub/y": []byte("y"), "b": []byte("b")})
	got := walkAll(t, dir, Limits{}, "a/x", "a", "a/sub", "./a/x", "b", filepath.Join(dir, "b"), "b")
	equal(t, "paths", got.paths, []string{"a/x", "a/sub/y", "b"})
	got = walkAll(t, dir, Limits{}, "a/sub", ".")
	equal(t, "paths", got.paths, []string{"a/sub/y", "a/x", "b"})
}

func TestWalk_missingPathIsAnErrorBeforeAnyVisit(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"a": nil})
	got := walkAll(t, dir, Limits{}, "a", "nothing")
	if got.err == nil || len(got.paths) > 0 || !strings.Contains(got.err.Error(), "reading nothing") {
		t.Errorf("err %v after %q", got.err, got.paths)
	}
}

func TestTraversal_linksOutOfTheFolderAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"secret/key": []byte("key"), "logs/a": []byte("a")})
	for link, target := range map[string]string{
		"logs/out-file": "../secret/key", "logs/out-dir": "../secret", "logs/in": "a", "logs/loop": ".", "logs/dead": "nowhere",
		"logs/absolute": filepath.Join(dir, "secret"),
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	got := walkAll(t, dir, Limits{}, "logs")
	equal(t, "paths", got.paths, []string{"logs/a"})
	const out = ": skipped: a symbolic link that leads out of the folder or nowhere"
	equal(t, "problems", got.problems, []string{"logs/absolute" + out, "logs/dead" + out, "logs/out-dir" + out, "logs/out-file" + out})
}

func TestTraversal_memberNamesAreOnlyNames(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, want string }{
		{"../../etc/passwd", "etc/passwd"},
		{"/etc/passwd", "etc/passwd"},
		{"a/../../b", "b"},
		{`..\..\windows\win.ini`, "windows/win.ini"},
		{"line\nbreak\x1b[2J", "line_break_[2J"},
		{"..", "unnamed"},
		{"", "unnamed"},
		{"./a//b", "a/b"},
	} {
		for kind, data := range map[string][]byte{"tar": tarOf(entry{c.name, []byte("x")}), "zip": zipOf(entry{c.name, []byte("x")})} {
			if kind == "tar" && c.name == "" {
				continue
			}
			write(t, dir, map[string][]byte{"in/a." + kind: data})
			got := walkAll(t, dir, Limits{}, "in/a."+kind)
			if strings.HasSuffix(c.name, "..") && len(got.paths) == 0 {
				continue
			}
			equal(t, kind+" "+c.name, got.paths, []string{"in/a." + kind + "!" + c.want})
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("something was written: %v, %v", entries, err)
	}
}

func TestTraversal_linksInArchivesAreLeftAlone(t *testing.T) {
	got := unpackAll(linkTar(), Limits{})
	equal(t, "paths", got.paths, []string{"in!plain"})
}

func TestWalk_unreadableFileIsAProblem(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("permissions don't hold for root")
	}
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"a": []byte("a"), "b": []byte("b")})
	if err := os.Chmod(filepath.Join(dir, "a"), 0); err != nil {
		t.Fatal(err)
	}
	got := walkAll(t, dir, Limits{}, ".")
	equal(t, "paths", got.paths, []string{"b"})
	equal(t, "problems", got.problems, []string{"a: permission denied"})
}

func TestWalk_capsFilesAndFolders(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"a": nil, "b": nil, "c": nil, "d/e/f/g": nil})
	got := walkAll(t, dir, Limits{MaxMembers: 2}, ".")
	equal(t, "paths", got.paths, []string{"a", "b"})
	equal(t, "problems", got.problems, []string{"c: more than 2 files: this and the rest are not read"})
	got = walkAll(t, dir, Limits{MaxFolders: 2}, ".")
	equal(t, "problems", got.problems, []string{"d/e/f: folders nested deeper than 2"})
}

func TestWalk_progressEndsAtTheTotal(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{
		"a": make([]byte, 3<<20), "b.zip": zipOf(entry{"x", make([]byte, 2<<20)}), "c.gz": gz(make([]byte, 5<<20)),
	})
	var last, total int64
	limits := Limits{Progress: func(read, of int64) {
		if read < last || read > of {
			t.Errorf("progress went from %d to %d of %d", last, read, of)
		}
		last, total = read, of
	}}
	got := walkAll(t, dir, limits, ".")
	if last != total || total == 0 || total != got.stats.TotalBytes {
		t.Errorf("ended at %d of %d, stats %+v", last, total, got.stats)
	}
}

func TestWalk_endsWithItsTime(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string][]byte{"a": []byte("a"), "b": []byte("b")})
	_, err := Walk(context.Background(), []string{dir}, Limits{MaxTime: time.Millisecond}, func(File) error {
		time.Sleep(20 * time.Millisecond)
		return nil
	})
	if err == nil || reason(err) != "out of time" {
		t.Errorf("err %v", err)
	}
}
