package posture

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

const line = `{"kind":"test.fact","subject":"a","at":"2026-05-01T00:00:00Z","values":{"n":3,"f":2.5,"t":"2026-01-02T03:04:05Z","s":"x"}}` + "\n"

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, members map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range members {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func readFolder(t *testing.T, f Folder) *Reading {
	t.Helper()
	if f.Formats == nil {
		f.Formats = Formats(Knowledge{})
	}
	r, err := f.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func counts(r *Reading) map[tenant.ID]int {
	out := map[tenant.ID]int{}
	for _, e := range r.Tenants {
		out[e.Tenant] = len(e.Items)
	}
	return out
}

func reasons(r *Reading) string {
	var b strings.Builder
	for _, f := range r.Files {
		for _, p := range f.Problems {
			fmt.Fprintln(&b, filepath.Base(p.File)+":", p.Line, p.Reason)
		}
	}
	return b.String()
}

func TestAFolderIsReadByTenant(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "acme/facts.jsonl", line+line)
	put(t, dir, "acme/deep/er/facts.jsonl.gz", gzipped(t, line))
	put(t, dir, "borealis/all.zip", zipped(t, map[string]string{"x/facts.jsonl": line, "acme/facts.jsonl": line}))
	put(t, dir, "loose.jsonl", strings.Replace(line, `"subject"`, `"tenant":"acme","subject"`, 1)+line)
	r := readFolder(t, Folder{Dirs: []string{dir}})
	if d := cmp.Diff(map[tenant.ID]int{"acme": 4, "borealis": 2}, counts(r)); d != "" {
		t.Error(d)
	}
	if r.Bad != 1 || !strings.Contains(reasons(r), "nobody says which tenant") {
		t.Errorf("%d left out: %s", r.Bad, reasons(r))
	}
	i := r.Of("acme").Items[len(r.Of("acme").Items)-1]
	sum := sha256.Sum256([]byte(strings.Replace(line, `"subject"`, `"tenant":"acme","subject"`, 1) + line))
	if i.From.SHA256 != hex.EncodeToString(sum[:]) || i.From.Line != 1 || !strings.HasSuffix(i.From.File, "loose.jsonl") {
		t.Errorf("the fact comes from %+v", i.From)
	}
	want := map[string]any{"n": int64(3), "f": 2.5, "s": "x", "t": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if d := cmp.Diff(want, i.Values); d != "" {
		t.Error(d)
	}
	if got := counts(readFolder(t, Folder{Dirs: []string{dir}, Loose: "acme", Only: "acme"})); got["acme"] != 5 || len(got) != 1 {
		t.Errorf("of acme alone: %v", got)
	}
	given := filepath.Join(t.TempDir(), "given.zip")
	if err := os.WriteFile(given, []byte(zipped(t, map[string]string{"acme/facts.jsonl": line})), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := counts(readFolder(t, Folder{Dirs: []string{given}})); got["acme"] != 1 {
		t.Errorf("an archive given by itself: %v", got)
	}
}

// TestIsolationOfFolders holds that nothing in one tenant's folder becomes a fact about another.
func TestIsolationOfFolders(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "acme/facts.jsonl", line+strings.Replace(line, `"subject"`, `"tenant":"borealis","subject"`, 1))
	put(t, dir, "acme/evil.zip", zipped(t, map[string]string{"../borealis/facts.jsonl": line, "/borealis/facts.jsonl": line}))
	put(t, dir, "stranger/facts.jsonl", line)
	r := readFolder(t, Folder{Dirs: []string{dir}, Known: func(id tenant.ID) bool { return id == "acme" || id == "borealis" }})
	if d := cmp.Diff(map[tenant.ID]int{"acme": 3}, counts(r)); d != "" {
		t.Error(d)
	}
	for _, want := range []string{"a fact of the tenant borealis in what is acme's", "no tenant of the configuration"} {
		if !strings.Contains(reasons(r), want) {
			t.Errorf("%q is not said: %s", want, reasons(r))
		}
	}
	for _, i := range r.Of("acme").Items {
		if i.Tenant != "acme" {
			t.Errorf("a fact of %s among acme's", i.Tenant)
		}
	}
}

func TestBadFilesCostThemselvesAlone(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "acme/facts.jsonl", line+"{broken\n"+line+`{"kind":"test.fact","subject":"a"}`+"\n"+`{"kind":"test.fact","subject":"a","at":"2026-05-01T00:00:00Z","colour":1}`+"\n"+line)
	put(t, dir, "acme/torn.jsonl.gz", gzipped(t, line+strings.Repeat(line, 40))[:60])
	put(t, dir, "acme/poem.txt", "roses are red")
	put(t, dir, "acme/empty", "")
	put(t, dir, "acme/long.jsonl", line+`{"kind":"test.fact","subject":"`+strings.Repeat("x", maxRecord)+`"}`+"\n"+line)
	put(t, dir, "acme/deep.jsonl", line+`{"kind":"test.fact","subject":"a","at":"2026-05-01T00:00:00Z","values":{"l":`+strings.Repeat("[", 50)+strings.Repeat("]", 50)+"}}\n")
	r := readFolder(t, Folder{Dirs: []string{dir}})
	for _, want := range []string{
		"facts.jsonl: 2 no fact in JSON", "facts.jsonl: 4 at: say when", `facts.jsonl: 5 no fact in JSON: json: unknown field "colour"`,
		"poem.txt: 0 of no format", "long.jsonl: 2 a record of more than", "deep.jsonl: 2 values: values nested deeper", "torn.jsonl.gz: 0 truncated", "empty: 0 the file is empty",
	} {
		if !strings.Contains(reasons(r), want) {
			t.Errorf("%q is not said: %s", want, reasons(r))
		}
	}
	if got := counts(r)["acme"]; got != 6 {
		t.Errorf("%d facts were read, want 6", got)
	}
	if _, err := (&Folder{Dirs: []string{filepath.Join(dir, "nowhere")}}).Read(t.Context()); err == nil {
		t.Error("a folder that is not there was read")
	}
}

// reader makes a format that takes files which begin with its name.
func reader(name string, read func(context.Context, evidence.Input, evidence.Sink) error) evidence.Format {
	return evidence.Format{Name: name, Recognise: func(_ string, head []byte) bool { return bytes.HasPrefix(head, []byte("file")) }, Read: read}
}

func TestAFileOfAnotherFormatIsReadFromItsBeginning(t *testing.T) {
	text := "file" + strings.Repeat("0123456789", 20_000)
	dir := t.TempDir()
	put(t, dir, "acme/f", text)
	var got string
	fact := func(in evidence.Input) evidence.Item {
		return evidence.Item{Kind: "test.fact", Subject: "a", At: in.At}
	}
	looked := reader("first", func(_ context.Context, in evidence.Input, sink evidence.Sink) error {
		sink.Bad(1, "what another format would not mind")
		if _, err := io.CopyN(io.Discard, in.Reader, 150_000); err != nil {
			return err
		}
		return evidence.ErrNotThis
	})
	takes := reader("second", func(_ context.Context, in evidence.Input, sink evidence.Sink) error {
		b, err := io.ReadAll(in.Reader)
		got = string(b)
		return errors.Join(err, sink.Item(fact(in)))
	})
	r := readFolder(t, Folder{Dirs: []string{dir}, Formats: []evidence.Format{looked, takes}})
	if got != text || r.Files[0].Format != "second" || r.Bad != 0 || len(r.Of("acme").Items) != 1 {
		t.Errorf("read %d of %d bytes by %s, %d left out", len(got), len(text), r.Files[0].Format, r.Bad)
	}
	sum := sha256.Sum256([]byte(text))
	if r.Files[0].SHA256 != hex.EncodeToString(sum[:]) {
		t.Error("the hash is not that of the file")
	}
	late := reader("late", func(_ context.Context, in evidence.Input, sink evidence.Sink) error {
		return errors.Join(sink.Item(fact(in)), evidence.ErrNotThis)
	})
	panics := reader("panics", func(context.Context, evidence.Input, evidence.Sink) error { panic("a slice out of range") })
	for _, f := range []evidence.Format{late, panics} {
		r := readFolder(t, Folder{Dirs: []string{dir}, Formats: []evidence.Format{f}})
		if r.Bad != 1 || r.Files[0].Format != f.Name || !strings.Contains(reasons(r), "read only in part") {
			t.Errorf("%s: %s", f.Name, reasons(r))
		}
	}
}

func TestAFactKeepsItsTypesWhenItIsWritten(t *testing.T) {
	want := evidence.Item{Tenant: "acme", Partner: "p", Trust: "t", Kind: "test.fact", Subject: "s", At: noon, Values: map[string]any{
		"whole": 3.0, "part": 2.5, "n": int64(3), "t": noon, "l": []any{1.0, int64(1), map[string]any{"x": -4.0}}, "s": "<a&b>", "b": false, "big": 1e300,
	}}
	text, err := MarshalFact(&want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseFact(text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := MarshalFact(&evidence.Item{Kind: "test.fact", Subject: "s"}); err == nil {
		t.Error("a fact without a time was written")
	}
}

func FuzzNative(f *testing.F) {
	f.Add([]byte(line))
	f.Add([]byte(`{"kind":"test.fact","tenant":"t","partner":"p","trust":"x","subject":"s","at":"2026-05-01T00:00:00+02:00","by":"b","attachment":"a","sha256":"` + strings.Repeat("0", 64) + `","values":{"l":[1,2.5,{"m":null}]}}`))
	f.Add([]byte(`{"kind":"test.fact","subject":"s","at":"2026-05-01T00:00:00Z","values":{"n":1e999,"big":99999999999999999999}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := ParseFact(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("an error of more than one line: %q", err)
			}
			return
		}
		if i.Kind == "" || i.Subject == "" || i.At.IsZero() {
			t.Fatalf("taken without kind, subject or time: %+v", i)
		}
		var check func(v any)
		check = func(v any) {
			switch v := v.(type) {
			case bool, int64, float64, string, time.Time:
			case []any:
				for _, x := range v {
					check(x)
				}
			case map[string]any:
				for _, x := range v {
					check(x)
				}
			default:
				t.Fatalf("a value of type %T", v)
			}
		}
		check(i.Values)
	})
}
