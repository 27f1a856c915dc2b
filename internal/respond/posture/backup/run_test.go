package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// house writes a small office's files.
func house(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "office")
	words := strings.Repeat("The quarter closed better than planned, see the table below.\n", 200)
	for i := range 12 {
		put1(t, filepath.Join(dir, "letters", fmt.Sprintf("letter %02d.txt", i)), []byte(fmt.Sprint(i, words)))
		put1(t, filepath.Join(dir, "sheets", fmt.Sprintf("sheet%02d.xlsx", i)), append([]byte("PK\x03\x04"), random1(t, 20_000)...))
	}
	put1(t, filepath.Join(dir, "canary", "do-not-touch.docx"), append([]byte("PK\x03\x04"), random1(t, 4000)...))
	put1(t, filepath.Join(dir, "odd", "a\nb \\ [c]*.txt"), []byte(words))
	put1(t, filepath.Join(dir, "big.bin"), random1(t, 3<<20))
	return dir
}

func put1(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func random1(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// manifestOf writes a folder's manifest into a file beside it.
func manifestOf(t testing.TB, dir string) string {
	t.Helper()
	m, err := MakeManifest(context.Background(), dir, func(name string, err error) { t.Errorf("%s: %v", name, err) })
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "manifest.sha256")
	put1(t, name, b.Bytes())
	return name
}

func drill(t testing.TB, text string, args ...any) *Drill {
	t.Helper()
	d, err := ParseDrill([]byte(fmt.Sprintf(text, args...)))
	if err != nil {
		t.Fatal(err)
	}
	d.Scratch = t.TempDir()
	return d
}

// run runs a drill and sees that its scratch folder is gone after.
func run(t testing.TB, d *Drill) *Outcome {
	t.Helper()
	o, err := d.Run(context.Background(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(d.Scratch)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("the scratch folder still holds %v", left)
	}
	return o
}

func needs(t testing.TB, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			t.Skipf("%s is not installed: apt-get install restic borgbackup postgresql", n)
		}
	}
}

func tool(t testing.TB, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestTree(t *testing.T) {
	dir := house(t)
	manifest := manifestOf(t, dir)
	ask := func() *Outcome {
		return run(t, drill(t, "{name: office, kind: tree, repository: %q, manifest: %q, canaries: [canary/do-not-touch.docx]}", dir, manifest))
	}
	if o := ask(); !o.OK() || o.Compared != 27 || o.Files != 27 || o.Extra != 0 || o.Problem != "" {
		t.Errorf("a whole tree: %+v", o)
	}
	if err := os.Remove(filepath.Join(dir, "letters", "letter 03.txt")); err != nil {
		t.Fatal(err)
	}
	put1(t, filepath.Join(dir, "letters", "letter 04.txt"), []byte("changed"))
	put1(t, filepath.Join(dir, "letters", "letter 05.txt"), random1(t, 12_000))
	put1(t, filepath.Join(dir, "letters", "HOW TO RESTORE FILES.txt"), []byte("pay"))
	o := ask()
	if o.OK() || o.Missing != 1 || o.Changed != 2 || o.Extra != 1 || o.Encrypted != 1 || len(o.Signs) != 2 {
		t.Errorf("one missing, one changed, one encrypted: %+v", o)
	}
	for _, want := range []string{"letters/letter 03.txt is missing", "letters/letter 04.txt is changed", "letters/letter 05.txt is changed"} {
		if !slices.Contains(o.Examples, want) {
			t.Errorf("%q is not among %q", want, o.Examples)
		}
	}
	put1(t, filepath.Join(dir, "canary", "do-not-touch.docx"), random1(t, 4000))
	if o := ask(); o.CanariesBroken != 1 || o.Encrypted != 2 {
		t.Errorf("a canary was encrypted: %+v", o)
	}
	values := ask().Items("acme")[0].Values
	if values["missing"] != int64(1) || values["canaries_broken"] != int64(1) || values["restored"] != true || values["read_data"] != true {
		t.Errorf("%v", values)
	}
}

func TestATreeOfRansomedFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	for i := range 12 {
		put1(t, filepath.Join(dir, fmt.Sprintf("letter%d.txt.q7x", i)), random1(t, 9000))
	}
	o := run(t, drill(t, "{name: x, kind: tree, repository: %q}", dir))
	if o.OK() || o.Encrypted != 12 || len(o.Signs) != 1 {
		t.Errorf("%+v", o)
	}
}

// TestHostileTree has links out of the tree, to a device and in a circle, and a pipe: none is followed or copied.
func TestHostileTree(t *testing.T) {
	dir := house(t)
	secret := filepath.Join(t.TempDir(), "secret.txt")
	put1(t, secret, []byte("secret"))
	for name, to := range map[string]string{"out": secret, "up": "../../..", "zero": "/dev/zero", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Dir(secret), filepath.Join(dir, "letters", "dir")); err != nil {
		t.Fatal(err)
	}
	o := run(t, drill(t, "{name: office, kind: tree, repository: %q}", dir))
	if !o.OK() || o.Files != 27 {
		t.Errorf("%+v", o)
	}
	o = run(t, drill(t, "{name: office, kind: tree, repository: %q, paths: [letters/dir/secret.txt, out]}", dir))
	if o.Files != 0 || o.Restored {
		t.Errorf("a link out of the tree was followed: %+v", o)
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("%q %v", b, err)
	}
}

func TestLimits(t *testing.T) {
	dir := house(t)
	for name, c := range map[string]struct{ limits, want string }{
		"bytes": {"{bytes: 100000}", "limit of 100000 bytes"},
		"files": {"{files: 5}", "limit of 5 files"},
		"time":  {"{time: 1ns}", "longer than the drill's limit of 1ns"},
	} {
		o := run(t, drill(t, "{name: office, kind: tree, repository: %q, limits: %s}", dir, c.limits))
		if o.Restored || !strings.Contains(o.Problem, c.want) {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// TestAProgramThatGoesOnIsEnded has a program that starts another, which would outlive it.
func TestAProgramThatGoesOnIsEnded(t *testing.T) {
	bin := t.TempDir()
	mark := filepath.Join(t.TempDir(), "mark")
	if err := os.WriteFile(filepath.Join(bin, "restic"), []byte("#!/bin/sh\nsleep 600 &\necho $! > "+mark+"\nwait\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := drill(t, "{name: office, kind: restic, repository: /none, limits: {time: 1s}, programs: %q}", bin)
	begin := time.Now()
	o := run(t, d)
	if o.Restored || !strings.Contains(o.Problem, "longer than the drill's limit of 1s") || time.Since(begin) > time.Minute {
		t.Errorf("%+v after %s", o, time.Since(begin))
	}
	pid, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
	if err == nil && !strings.Contains(string(status), ") Z ") {
		t.Errorf("its child goes on: %s", status)
	}
}

func TestResticIsRestored(t *testing.T) {
	needs(t, "restic")
	dir, repo := house(t), filepath.Join(t.TempDir(), "repo")
	pass := filepath.Join(t.TempDir(), "pass")
	put1(t, pass, []byte("correct horse\n"))
	env := []string{"RESTIC_PASSWORD_FILE=" + pass, "RESTIC_CACHE_DIR=" + t.TempDir()}
	must := func(args ...string) {
		t.Helper()
		if out, err := tool(t, dir, env, "restic", args...); err != nil {
			t.Fatalf("restic %v: %v\n%s", args, err, out)
		}
	}
	must("-r", repo, "init")
	must("-r", repo, "backup", dir)
	manifest := manifestOf(t, dir)
	text := "{name: office, kind: restic, repository: %q, password: {file: %q}, manifest: %q, root: %q, canaries: [canary/do-not-touch.docx]%s}"
	ask := func(more string) *Outcome { return run(t, drill(t, text, repo, pass, manifest, dir, more)) }
	o := ask("")
	if !o.OK() || o.Compared != 27 || o.Problem != "" || time.Since(o.SnapshotAt) > time.Hour || o.Took <= 0 {
		t.Fatalf("a whole repository: %+v", o)
	}
	if o := ask(", sample: 5"); !o.OK() || o.Compared != 5 || o.Files != 5 {
		t.Errorf("a sample: %+v", o)
	}
	if o := ask(", snapshot: 00000000"); o.Restored || o.Problem == "" {
		t.Errorf("no such snapshot: %+v", o)
	}
	flip(t, largest(t, filepath.Join(repo, "data")))
	if out, err := tool(t, dir, env, "restic", "-r", repo, "--no-cache", "check"); err != nil {
		t.Errorf("restic's check without reading the data found the flipped byte (it used not to): %v\n%s", err, out)
	}
	if o := ask(""); o.OK() {
		t.Errorf("a flipped byte in a pack was not found: %+v", o)
	}
}

func TestBorgIsRestored(t *testing.T) {
	needs(t, "borg")
	dir, repo := house(t), filepath.Join(t.TempDir(), "repo")
	t.Setenv("DRILL_TEST_PASSPHRASE", "correct horse")
	env := []string{"BORG_PASSPHRASE=correct horse", "BORG_BASE_DIR=" + t.TempDir()}
	for _, args := range [][]string{{"init", "-e", "repokey", repo}, {"create", "--compression", "none", repo + "::first", "."}} {
		if out, err := tool(t, dir, env, "borg", args...); err != nil {
			t.Fatalf("borg %v: %v\n%s", args, err, out)
		}
	}
	manifest := manifestOf(t, dir)
	ask := func(more string) *Outcome {
		return run(t, drill(t, "{name: office, kind: borg, repository: %q, password: {env: DRILL_TEST_PASSPHRASE}, manifest: %q%s}", repo, manifest, more))
	}
	o := ask("")
	if !o.OK() || o.Compared != 27 || time.Since(o.SnapshotAt).Abs() > time.Hour {
		t.Fatalf("a whole repository: %+v", o)
	}
	if o := ask(", sample: 4, snapshot: first"); !o.OK() || o.Compared != 4 || o.Files != 4 {
		t.Errorf("a sample: %+v", o)
	}
	if o := ask(", snapshot: second"); o.Restored || !strings.Contains(o.Problem, "no such archive") {
		t.Errorf("no such archive: %+v", o)
	}
	flip(t, largest(t, filepath.Join(repo, "data")))
	if o := ask(""); o.OK() {
		t.Errorf("a flipped byte in a segment was not found: %+v", o)
	}
	t.Setenv("DRILL_TEST_PASSPHRASE", "wrong")
	if o := ask(""); o.Restored || o.Problem == "" {
		t.Errorf("a wrong passphrase: %+v", o)
	}
}

// within lists the processes that work in a folder or in what it was, where the system tells.
func within(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	found, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range found {
		if at, err := os.Readlink(link); err == nil && strings.HasPrefix(at, dir+"/") {
			out = append(out, link+" → "+at)
		}
	}
	return out
}

func largest(t testing.TB, dir string) string {
	t.Helper()
	var name string
	var size int64
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > size {
			name, size = p, info.Size()
		}
		return err
	})
	if err != nil || name == "" {
		t.Fatalf("no file in %s: %v", dir, err)
	}
	return name
}

// flip turns one bit in the middle of a file.
func flip(t testing.TB, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPostgreSQLIsRestored(t *testing.T) {
	needs(t, "psql", "pg_dump")
	as := ""
	if isRoot() {
		as = ", as_user: postgres"
		if _, err := accountOf("postgres"); err != nil {
			t.Skip("there is no user postgres: apt-get install postgresql")
		}
	}
	if _, err := (&program{dir: serverPrograms()}).find("initdb"); err != nil {
		t.Skip("initdb is not installed: apt-get install postgresql")
	}
	const schema = `SET standard_conforming_strings = on;
CREATE TABLE public.orders (id integer, what text);
COPY public.orders (id, what) FROM stdin;
1	C:\\temp
2	it's
3	\N
\.
CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql AS $_$ SELECT 1 $_$;
`
	dump := filepath.Join(t.TempDir(), "shop.sql")
	put1(t, dump, []byte(schema))
	open, err := os.MkdirTemp("", "drill-") // the server's user has to come to it, and t.TempDir is closed
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(open)
	if err := os.Chmod(open, 0o711); err != nil {
		t.Fatal(err)
	}
	ask := func(rows, more string) *Outcome {
		d := drill(t, "{name: shop, kind: pg_dump, repository: %q, rows: {%s}%s%s}", dump, rows, as, more)
		d.Scratch = open
		return run(t, d)
	}
	o := ask("public.orders: 3", "")
	if !o.OK() || o.RowsCompared != 1 || o.Problem != "" {
		t.Fatalf("a whole dump: %+v", o)
	}
	if o := ask("public.orders: 4, public.none: 1", ""); o.OK() || o.RowsWrong != 2 || len(o.Examples) != 2 {
		t.Errorf("a table short and one missing: %+v", o)
	}
	for name, text := range map[string]string{
		"a program of psql's":       schema + "\\! touch " + filepath.Join(t.TempDir(), "x") + "\n",
		"a program of the server's": schema + "COPY public.orders FROM PROGRAM 'touch /tmp/breakwater-drill-x';\n",
		"a file of the server's":    schema + "COPY public.orders TO '/tmp/breakwater-drill-x';\n",
		"cut off":                   schema[:150],
		"psql is made to misread":   "SET standard_conforming_strings = off;\nSELECT 'a\\'b', ' \\! touch /tmp/breakwater-drill-x\n';\n",
	} {
		put1(t, dump, []byte(text))
		if o := ask("", ""); o.Restored || o.Problem == "" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if _, err := os.Stat("/tmp/breakwater-drill-x"); err == nil {
		t.Error("a dump wrote outside the scratch folder")
	}
	put1(t, dump, []byte("DO $$ BEGIN LOOP END LOOP; END $$;\n"))
	if o := ask("", ", limits: {time: 12s}"); o.Restored || !strings.Contains(o.Problem, "longer than the drill's limit") {
		t.Errorf("a dump that never ends: %+v", o)
	}
	if left := within(t, open); len(left) > 0 {
		t.Errorf("processes of the server go on: %v", left)
	}
}
