package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tarOf writes a tar as somebody would who wants a restore to write elsewhere.
func tarOf(t testing.TB, entries ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if h.Typeflag == tar.TypeReg {
			h.Size = 5
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, "owned"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "hostile.tar")
	put1(t, name, b.Bytes())
	return name
}

// TestTraversalThroughABorgArchive has archives that borg's own extract writes, or reads, outside by.
func TestTraversalThroughABorgArchive(t *testing.T) {
	needs(t, "borg")
	outside, repo := t.TempDir(), filepath.Join(t.TempDir(), "repo")
	host := filepath.Join(t.TempDir(), "of the host.txt")
	put1(t, host, []byte("the host's own"))
	env := []string{"BORG_BASE_DIR=" + t.TempDir(), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes"}
	if out, err := tool(t, outside, env, "borg", "init", "-e", "none", repo); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, entries := range map[string][]tar.Header{
		"a link and what lies below it": {{Name: "x", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "x/owned.txt", Typeflag: tar.TypeReg}},
		"a link far above":              {{Name: "a/x", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "a/x/b/c/owned.txt", Typeflag: tar.TypeReg}},
		"a hard link out":               {{Name: "y", Typeflag: tar.TypeReg}, {Name: "h", Typeflag: tar.TypeLink, Linkname: "../../../../../../../.." + host}},
	} {
		archive := strings.ReplaceAll(name, " ", "-")
		if out, err := tool(t, outside, env, "borg", "import-tar", repo+"::"+archive, tarOf(t, entries...)); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		o := run(t, drill(t, "{name: office, kind: borg, repository: %q, snapshot: %s}", repo, archive))
		if o.Restored || !strings.Contains(o.Problem, "the backup is hostile") {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("a restore wrote outside: %v %v", left, err)
	}
	odd := tarOf(t, tar.Header{Name: "d/\n \xff.txt", Typeflag: tar.TypeReg}, tar.Header{Name: "real", Typeflag: tar.TypeReg},
		tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "real"}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"})
	if out, err := tool(t, outside, env, "borg", "import-tar", repo+"::odd", odd); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if o := run(t, drill(t, "{name: office, kind: borg, repository: %q, snapshot: odd}", repo)); !o.OK() || o.Files != 3 {
		t.Errorf("odd names and links that harm nobody: %+v", o)
	}
	if o := run(t, drill(t, "{name: office, kind: borg, repository: %q, snapshot: odd, limits: {files: 2}}", repo)); o.Restored || !strings.Contains(o.Problem, "limit of 2") {
		t.Errorf("more files than are allowed: %+v", o)
	}
}

func TestLayout(t *testing.T) {
	type entry struct {
		name     string
		symbolic bool
		target   string
	}
	for name, c := range map[string]struct {
		entries []entry
		want    string
	}{
		"folders, files and a link":            {[]entry{{"a", false, ""}, {"a/b", false, ""}, {"a/l", true, ""}}, ""},
		"a link after what lies below it":      {[]entry{{"x/b", false, ""}, {"x", true, ""}}, "as a link and as a folder"},
		"a link spelt otherwise":               {[]entry{{"./x/", true, ""}, {"/x//b", false, ""}}, "as a link and as a folder"},
		"a name that is only alike":            {[]entry{{"x", true, ""}, {"xy/b", false, ""}}, ""},
		"a path that leads up":                 {[]entry{{"a/../../b", false, ""}}, "outside"},
		"a hard link up":                       {[]entry{{"h", false, "../etc/passwd"}}, "outside"},
		"a hard link to a file of the archive": {[]entry{{"h", false, "a/b"}}, ""},
		"too many":                             {[]entry{{"a", false, ""}, {"b", false, ""}, {"c", false, ""}, {"d", false, ""}}, "limit of 3"},
	} {
		l := newLayout(3)
		var err error
		for _, e := range c.entries {
			err = errors.Join(err, l.add(e.name, e.symbolic, e.target))
		}
		err = errors.Join(err, l.check())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestALinkInsteadOfTheFolder backs up the link that leads to the data, and not the data: comparing with the live files
// through it would pass for ever.
func TestALinkInsteadOfTheFolder(t *testing.T) {
	needs(t, "restic")
	live := house(t)
	link := filepath.Join(t.TempDir(), "office")
	if err := os.Symlink(live, link); err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(t.TempDir(), "repo")
	t.Setenv("DRILL_TEST_PASSPHRASE", "correct horse")
	env := []string{"RESTIC_PASSWORD=correct horse", "RESTIC_CACHE_DIR=" + t.TempDir()}
	for _, args := range [][]string{{"-r", repo, "init"}, {"-r", repo, "backup", link}} {
		if out, err := tool(t, live, env, "restic", args...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	o := run(t, drill(t, "{name: office, kind: restic, repository: %q, password: {env: DRILL_TEST_PASSPHRASE}, manifest: %q, root: %q}", repo, manifestOf(t, live), link))
	if o.OK() {
		t.Errorf("the live files passed for restored ones: %+v", o)
	}
}

func TestProgramsAreNotLookedForAmongWhatIsRestored(t *testing.T) {
	got := searched(strings.Join([]string{"/usr/bin", ".", "", "bin", "/bin", "../x"}, string(filepath.ListSeparator)))
	if want := "/usr/bin" + string(filepath.ListSeparator) + "/bin"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// fake writes a program in shell that stands for a backup program.
func fake(t testing.TB, name, text string) string {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return bin
}

func TestTheEnvironmentOfAProgram(t *testing.T) {
	t.Setenv("DRILL_TEST_SECRET", "not for everybody")
	t.Setenv("DRILL_TEST_PASSED", "for it")
	out := filepath.Join(t.TempDir(), "environment")
	bin := fake(t, "restic", "env > "+out+"\nexit 1\n")
	ask := func(more string) *Outcome {
		return run(t, drill(t, "{name: office, kind: restic, repository: /none, programs: %q%s}", bin, more))
	}
	ask(", environment: [DRILL_TEST_PASSED]")
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got), "DRILL_TEST_PASSED=for it\n") || strings.Contains(string(got), "DRILL_TEST_SECRET") {
		t.Errorf("the program was given\n%s", got)
	}
	if o := ask(", environment: [DRILL_TEST_NONE]"); !strings.Contains(o.Problem, "DRILL_TEST_NONE is not set") {
		t.Errorf("%+v", o)
	}
	for _, bad := range []string{"PATH", "A=B", ""} {
		if _, err := ParseDrill(fmt.Appendf(nil, "{name: x, kind: restic, repository: /r, environment: [%q]}", bad)); err == nil {
			t.Errorf("environment: %q was taken", bad)
		}
	}
}

// TestRecordsOfAProgramThatFloods ends a program that writes a record without an end.
func TestRecordsOfAProgramThatFloods(t *testing.T) {
	p := &program{dir: fake(t, "flood", "exec cat /dev/zero\n"), home: t.TempDir()}
	err := p.records(context.Background(), t.TempDir(), '\n', func([]byte) error { return nil }, "flood")
	if err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("%v", err)
	}
	refused := errors.New("enough")
	p = &program{dir: fake(t, "lines", "while :; do echo x; done\n"), home: t.TempDir()}
	if err := p.records(context.Background(), t.TempDir(), '\n', func([]byte) error { return refused }, "lines"); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
}

func TestASnapshotOfTheFuture(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]any{2 * time.Hour: nil, time.Minute: 0.0, -3 * time.Hour: 3.0} {
		o := &Outcome{Drill: &Drill{Name: "x", Kind: KindTree}, At: now, SnapshotAt: now.Add(ahead), Restored: true}
		if got := o.Items("acme")[0].Values["rpo_hours"]; got != want {
			t.Errorf("%s ahead: rpo_hours is %v, want %v", ahead, got, want)
		}
	}
}

func TestFilesThatAreNotEncryptedByOthers(t *testing.T) {
	noise := random1(t, 20_000)
	stream := append([]byte(nil), noise...)
	for i := 0; i < len(stream); i += 188 {
		stream[i] = 'G'
	}
	head := func(h string) []byte { return append([]byte(h), noise...) }
	for name, data := range map[string][]byte{
		"a picture of the web.jpg": head("RIFF\x00\x00\x10\x00WEBPVP8 "), "a video.ts": stream, "a table.xls": head("PK\x03\x04"), "an old document.doc": head("PK\x03\x04"),
		"a document with a password.docx": head("\xd0\xcf\x11\xe0"), "packed.log": head("\x1f\x8b"), "telephone.jpg": head("\x00\x00\x00\x18ftypheic"), "form.pdf": head("\n\n%PDF-1.7"),
	} {
		if looksEncrypted(name, data) {
			t.Errorf("%s is taken for encrypted", name)
		}
	}
	for _, name := range []string{"letter.docx", "photo.jpg", "code.ts", "table.xls", "a.log", "x.zip", "y.pdf"} {
		if !looksEncrypted(name, append([]byte{0x93, 0x07}, noise...)) {
			t.Errorf("%s holds random bytes and is not taken for encrypted", name)
		}
	}
}
