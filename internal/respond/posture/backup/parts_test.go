package backup

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDrill(t *testing.T) {
	for _, tt := range []struct{ name, text, err string }{
		{"restic", "{name: a, kind: restic, repository: /srv/repo, password: {file: pass}, manifest: m, sample: 20}", ""},
		{"a server", "{name: a, kind: borg, repository: 'ssh://b@host/./repo', password: {env: P}}", ""},
		{"nothing", "", "empty"},
		{"no name", "{kind: tree, repository: x}", "name:"},
		{"an unknown kind", "{name: a, kind: zip, repository: x}", `kind: "zip" is none of restic, borg, pg_dump, tree`},
		{"an unknown key", "{name: a, kind: tree, repository: x, passwort: y}", "passwort"},
		{"a flag for a repository", "{name: a, kind: borg, repository: --rsh=sh}", "repository:"},
		{"a flag for a snapshot", "{name: a, kind: restic, repository: r, snapshot: --host=x}", "snapshot:"},
		{"a way out", "{name: a, kind: tree, repository: x, paths: [a/../../etc]}", "no path within the backup"},
		{"canaries without a manifest", "{name: a, kind: tree, repository: x, canaries: [c]}", "canaries need a manifest"},
		{"rows of a tree", "{name: a, kind: tree, repository: x, rows: {a: 1}}", "are for databases"},
		{"two passwords", "{name: a, kind: restic, repository: r, password: {file: a, env: b}}", "not both"},
		{"a limit of nothing", "{name: a, kind: tree, repository: x, limits: {bytes: 0}}", "limits:"},
		{"a table with three names", "{name: a, kind: pg_dump, repository: x, rows: {a.b.c: 1}}", "schema.table"},
		{"a copy without a medium", "{name: a, kind: tree, repository: x, copies: [{name: b}]}", "copy 1 needs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseDrill([]byte(tt.text))
			switch {
			case tt.err == "" && err != nil:
				t.Error(err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestManifestReadsWhatItWrites(t *testing.T) {
	dir := house(t)
	name := manifestOf(t, dir)
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := ReadManifest(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m["odd/a\nb \\ [c]*.txt"]; !ok || len(m) != 27 {
		t.Errorf("%d files", len(m))
	}
	out, err := tool(t, dir, nil, "sha256sum", "-c", "--quiet", name) // the usual program reads it too
	if err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	var again bytes.Buffer
	if _, err := m.WriteTo(&again); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(text), again.String()); d != "" {
		t.Error(d)
	}
}

func TestManifestThatIsWrong(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		"":                               "names no file",
		"x":                              "line 1",
		hash + "  ../../etc/passwd\n":    "no path below",
		"# made by hand\n" + hash + " a": "line 2",
		strings.Repeat("zz", 32) + "  a": "hexadecimal",
	} {
		if _, err := ReadManifest(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestDrawTakesOthersEachDay(t *testing.T) {
	m := Manifest{}
	for _, n := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		m[n] = [32]byte{}
	}
	first, second := m.draw(5, "2026-06-01", []string{"z"}), m.draw(5, "2026-06-02", []string{"z"})
	if len(first) != 5 || len(second) != 5 {
		t.Errorf("%d and %d files", len(first), len(second))
	}
	if _, ok := first["z"]; !ok {
		t.Error("the canary is not among them")
	}
	if cmp.Equal(first, second) {
		t.Error("the same files on two days")
	}
	if !cmp.Equal(first, m.draw(5, "2026-06-01", []string{"z"})) {
		t.Error("other files on the same day")
	}
}

func TestSignsOfEncryption(t *testing.T) {
	prose := []byte(strings.Repeat("All work and no play makes a dull report. ", 400))
	noise := random1(t, 20_000)
	for _, c := range []struct {
		name string
		data []byte
		want bool
	}{
		{"a.txt", prose, false}, {"a.txt", noise, true}, {"a.docx", append([]byte("PK\x03\x04"), noise...), false}, {"a.docx", noise, true},
		{"a.pdf", append([]byte("%PDF-1.7"), noise...), false}, {"a.jpg", noise, true}, {"a.bin", noise, false}, {"a.txt", noise[:100], false},
		{"umlaut.txt", []byte(strings.Repeat("Gr\xfc\xdfe aus K\xf6ln, ", 300)), false}, {"utf16.csv", []byte("\xff\xfea\x00b\x00" + strings.Repeat("c\x00\n\x00", 400)), false},
		{"a.txt", noise[:1024], true}, {"a.sql", []byte(strings.Repeat("INSERT INTO t VALUES (E'\\\\x00ff');\n", 99)), false},
	} {
		if got := looksEncrypted(c.name, c.data[:min(len(c.data), lookedAt)]); got != c.want {
			t.Errorf("%s of %d bytes (%.2f bits): %v", c.name, len(c.data), bits(c.data), got)
		}
	}
	for name, want := range map[string]bool{
		"README.txt": false, "how_to_restore_files.txt": true, "HOW TO DECRYPT.html": true, "abc123-readme.txt": true, "Restore-My-Files.txt": true, "restore.sh": false,
		"DECRYPT_INSTRUCTIONS.html": true, "recovery-plan.docx": false, "!!! READ ME !!!.txt": true, "read me first.pdf": false,
	} {
		if demand.MatchString(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	var s signs
	for range 9 {
		s.look("backup.vmdk", noise) // disk images are random and are named so
	}
	for range 30 {
		s.look("a.txt", prose)
	}
	if words, n := s.words(); n != 0 || len(words) != 0 {
		t.Errorf("%v %d", words, n)
	}
	s.look(filepath.Join("x", "y.txt.lockbit"), noise)
	if words, n := s.words(); n != 1 || len(words) != 1 {
		t.Errorf("%v %d", words, n)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(strings.Repeat("ab", 32) + "  a/b\n"))
	f.Add([]byte(`\` + strings.Repeat("ab", 32) + ` *a\nb` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ReadManifest(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if _, err := m.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		again, err := ReadManifest(&b)
		if err != nil || !cmp.Equal(m, again) {
			t.Fatalf("%v became %v: %v", m, again, err)
		}
	})
}

func FuzzParseDrill(f *testing.F) {
	f.Add([]byte("{name: a, kind: restic, repository: /srv/repo, password: {file: pass}, manifest: m, sample: 20, limits: {time: 1h}}"))
	f.Add([]byte("name: shop\nkind: pg_dump\nrepository: shop.dump\nrows: {public.orders: 3}\ncopies: [{name: a, medium: tape, offline: true}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDrill(data)
		if err == nil && (d.Limits.Time <= 0 || strings.HasPrefix(d.Repository, "-")) {
			t.Fatalf("%+v", d)
		}
	})
}
