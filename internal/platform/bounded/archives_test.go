package bounded

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

// entry is one member of an archive under test.
type entry struct {
	name string
	data []byte
}

func gz(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func zst(data []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func tarOf(entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o600, Size: int64(len(e.data)), Typeflag: tar.TypeReg})
		w.Write(e.data)
	}
	w.Close()
	return b.Bytes()
}

func zipOf(entries ...entry) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, _ := w.Create(e.name)
		f.Write(e.data)
	}
	w.Close()
	return b.Bytes()
}

// walked is what a walk gave.
type walked struct {
	paths    []string
	names    []string
	content  map[string]string
	problems []string
	stats    Stats
	err      error
}

func collect(limits Limits, run func(Limits, func(File) error) (Stats, error)) *walked {
	out := &walked{content: map[string]string{}}
	limits.Problem = func(path, why string) { out.problems = append(out.problems, path+": "+why) }
	out.stats, out.err = run(limits, func(f File) error {
		out.paths = append(out.paths, f.Path)
		out.names = append(out.names, f.Name)
		data, err := io.ReadAll(f.Reader)
		out.content[f.Path] = string(data)
		return err
	})
	return out
}

// unpackAll unpacks one stream called in.
func unpackAll(data []byte, limits Limits) *walked {
	return collect(limits, func(l Limits, visit func(File) error) (Stats, error) {
		return Unpack(context.Background(), "in", bytes.NewReader(data), l, visit)
	})
}

// walkAll walks a folder with paths shown relative to it.
func walkAll(t *testing.T, dir string, limits Limits, paths ...string) *walked {
	t.Helper()
	t.Chdir(dir)
	return collect(limits, func(l Limits, visit func(File) error) (Stats, error) {
		return Walk(context.Background(), paths, l, visit)
	})
}

func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestUnpack_readsThroughByContentNotByName(t *testing.T) {
	line := []byte("one line\n")
	for _, c := range []struct {
		name string
		data []byte
		want []string
	}{
		{"plain", line, []string{"in"}},
		{"empty", nil, []string{"in"}},
		{"gzip", gz(line), []string{"in"}},
		{"two gzip members", append(gz([]byte("one ")), gz([]byte("line\n"))...), []string{"in"}},
		{"zstd", zst(line), []string{"in"}},
		{"zstd after a skippable frame", append([]byte("\x50\x2a\x4d\x18\x02\x00\x00\x00ab"), zst(line)...), []string{"in"}},
		{"tar", tarOf(entry{"a/b.log", line}), []string{"in!a/b.log"}},
		{"tar.gz", gz(tarOf(entry{"a.log", line})), []string{"in!a.log"}},
		{"tar.zst", zst(tarOf(entry{"a.log", line}, entry{"b.log", line})), []string{"in!a.log", "in!b.log"}},
		{"zip", zipOf(entry{"a.log", line}), []string{"in!a.log"}},
		{"zip in tar.zst in zip", zipOf(entry{"x", zst(tarOf(entry{"y", zipOf(entry{"z", gz(line)})}))}), []string{"in!x!y!z"}},
		{"a Windows zip", zipOf(entry{`dir\a.log`, line}), []string{"in!dir/a.log"}},
		{"a zip after other bytes", zipOf(entry{"a", append([]byte("stub"), zipOf(entry{"b", line})...)}), []string{"in!a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := unpackAll(c.data, Limits{})
			if got.err != nil || len(got.problems) > 0 {
				t.Fatalf("err %v, problems %q", got.err, got.problems)
			}
			equal(t, "paths", got.paths, c.want)
			for path, content := range got.content {
				if content != string(line) && c.name != "empty" && c.name != "a zip after other bytes" {
					t.Errorf("%s holds %q", path, content)
				}
			}
		})
	}
}

func TestUnpack_saysWhatIsBrokenAndGoesOn(t *testing.T) {
	noise := make([]byte, 600_000)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	const cut = ": truncated: it ends before its end, and what came before was read"
	broken := gz(noise)
	broken[len(broken)-5] ^= 1
	for _, c := range []struct {
		name     string
		data     []byte
		paths    []string
		problems []string
		atLeast  int64 // bytes delivered all the same
	}{
		{"truncated gzip", half(gz(noise)), []string{"in"}, []string{"in" + cut}, 90_000},
		{"truncated zstd", half(zst(noise)), []string{"in"}, []string{"in" + cut}, 250_000},
		{"gzip with a wrong checksum", broken, []string{"in"}, []string{"in: damaged: the checksum differs from the content"}, 200_000},
		{"gzip that is only a header", gz(noise)[:8], nil, []string{"in" + cut}, 0},
		{"truncated tar", half(tarOf(entry{"a", noise})), []string{"in!a"}, []string{"in!a" + cut, "in" + cut}, 90_000},
		{"truncated zip", half(zipOf(entry{"a", noise})), nil, []string{"in: no readable zip: truncated or damaged"}, 0},
		{"a truncated gzip between two files", tarOf(entry{"a", []byte("a")}, entry{"b", half(gz(noise))}, entry{"c", []byte("c")}),
			[]string{"in!a", "in!b", "in!c"}, []string{"in!b" + cut}, 90_000},
		{"xz", []byte("\xfd7zXZ\x00 and so on"), nil, []string{"in: xz is not read; unpack it first"}, 0},
		{"7z", []byte("7z\xbc\xaf\x27\x1c and so on"), nil, []string{"in: 7z is not read; unpack it first"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := unpackAll(c.data, Limits{})
			if got.err != nil {
				t.Fatal(got.err)
			}
			equal(t, "paths", got.paths, c.paths)
			equal(t, "problems", got.problems, c.problems)
			if got.stats.Bytes < c.atLeast {
				t.Errorf("%d bytes delivered, want at least %d", got.stats.Bytes, c.atLeast)
			}
			if got.stats.Problems != len(c.problems) {
				t.Errorf("stats count %d problems", got.stats.Problems)
			}
		})
	}
}

func TestUnpack_halfALineAtACutIsLeftOut(t *testing.T) {
	var text, long strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "line %d of a log, %d\n", i, i*i%7919)
	}
	for i := range 200_000 {
		fmt.Fprintf(&long, "%d ", i*i%7919)
	}
	cutOf := func(b []byte) []byte { return b[:len(b)*2/3] }
	whole := func(got, of string) bool {
		return len(got) > len(of)/3 && strings.HasPrefix(of, got) && strings.HasSuffix(got, "\n")
	}
	for _, c := range []struct {
		name   string
		data   []byte
		limits Limits
		ok     func(got string) bool
	}{
		{"gzip", cutOf(gz([]byte(text.String()))), Limits{}, func(got string) bool { return whole(got, text.String()) }},
		{"zstd", cutOf(zst([]byte(text.String()))), Limits{}, func(got string) bool { return whole(got, text.String()) }},
		{"tar", cutOf(tarOf(entry{"a", []byte(text.String())})), Limits{}, func(got string) bool { return whole(got, text.String()) }},
		{"at the cap", []byte(text.String()), Limits{MaxFileBytes: 300_001}, func(got string) bool { return whole(got, text.String()) && len(got) > 299_900 }},
		{"a cap at the end of a line", []byte("one\ntwo\nthree\n"), Limits{MaxFileBytes: 8}, func(got string) bool { return got == "one\ntwo\n" }},
		{"UTF-16", gz([]byte(utf16Of(text.String(), true)))[:40_000], Limits{}, func(got string) bool {
			all, _ := lines(strings.NewReader(got), 0)
			return len(all) > 1000 && strings.HasPrefix(text.String(), strings.Join(all, "\n")+"\n")
		}},
		{"what has no lines is given as it is", []byte("one"), Limits{MaxFileBytes: 2}, func(got string) bool { return got == "on" }},
		{"a line longer than is held back", cutOf(gz([]byte("one\n" + long.String()))), Limits{}, func(got string) bool { return len(got) > 200_000 }},
		{"a whole one without an end", gz([]byte("one\ntwo")), Limits{}, func(got string) bool { return got == "one\ntwo" }},
		{"a whole one without an end, of a wrong checksum", func() []byte { b := gz([]byte("one\ntwo")); b[len(b)-5] ^= 1; return b }(), Limits{}, func(got string) bool { return got == "one\ntwo" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := unpackAll(c.data, c.limits)
			for _, content := range got.content {
				if !c.ok(content) {
					t.Errorf("%d bytes, ending in %q", len(content), content[max(0, len(content)-40):])
				}
			}
			if len(got.content) != 1 || len(got.problems) > 2 {
				t.Errorf("%q, problems %q", got.paths, got.problems)
			}
		})
	}
}

func TestUnpack_encryptedMemberIsAProblem(t *testing.T) {
	data := zipOf(entry{"a", []byte("a")}, entry{"b", []byte("b")})
	data[bytes.Index(data, []byte("PK\x01\x02"))+8] |= 1
	got := unpackAll(data, Limits{})
	equal(t, "paths", got.paths, []string{"in!b"})
	equal(t, "problems", got.problems, []string{"in!a: encrypted: unpack it first"})
}

func TestUnpack_readerGivesTheSameInSmallReads(t *testing.T) {
	text := strings.Repeat("a line\n", 20_000) + strings.Repeat("x", 100_000) + "\nlast"
	_, err := Unpack(context.Background(), "in", strings.NewReader(text), Limits{}, func(f File) error {
		if err := iotest.TestReader(f.Reader, []byte(text)); err != nil {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnpack_errorOfVisitEndsItUnchanged(t *testing.T) {
	stop := errors.New("stop")
	seen := 0
	_, err := Unpack(context.Background(), "in", bytes.NewReader(tarOf(entry{"a", nil}, entry{"b", nil})), Limits{}, func(File) error {
		seen++
		return stop
	})
	if err != stop || seen != 1 {
		t.Errorf("err %v after %d visits", err, seen)
	}
}

func TestUnpack_endOfContextEndsReading(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	data := gz(bytes.Repeat([]byte("x"), 1<<20))
	_, err := Unpack(ctx, "in", bytes.NewReader(data), Limits{}, func(f File) error {
		cancel()
		if _, err := io.ReadAll(f.Reader); !errors.Is(err, context.Canceled) {
			t.Errorf("reading gave %v", err)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Unpack gave %v", err)
	}
}

func TestUnpack_readerIsDeadAfterItsVisit(t *testing.T) {
	var kept io.Reader
	_, err := Unpack(context.Background(), "in", bytes.NewReader([]byte("x")), Limits{}, func(f File) error {
		kept = f.Reader
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("reading after the visit gave %v", err)
	}
}

func TestUnpack_nestingUpToTheCap(t *testing.T) {
	data := []byte("x")
	for range 4 {
		data = zipOf(entry{"a", data})
	}
	if got := unpackAll(data, Limits{}); len(got.problems) > 0 || len(got.paths) != 1 {
		t.Errorf("four levels: %q, problems %q", got.paths, got.problems)
	}
	got := unpackAll(gz(data), Limits{})
	equal(t, "five levels", got.problems, []string{"in!a!a!a: archives nested deeper than 4"})
}

func TestUnpack_nestedZipGoesThroughADiskFileThatIsRemoved(t *testing.T) {
	noise := make([]byte, memorySpool+memorySpool/2)
	for i, x := 0, uint32(7); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	inner := zipOf(entry{"big", noise})
	dir := t.TempDir()
	got := unpackAll(tarOf(entry{"a.zip", inner}), Limits{SpoolDir: dir})
	if len(got.problems) > 0 || got.content["in!a.zip!big"] != string(noise) {
		t.Errorf("problems %q, paths %q", got.problems, got.paths)
	}
	got = unpackAll(tarOf(entry{"a.zip", inner}, entry{"b", nil}), Limits{SpoolDir: dir, MaxSpoolBytes: memorySpool + 1})
	equal(t, "paths", got.paths, []string{"in!b"})
	equal(t, "problems", got.problems, []string{fmt.Sprintf("in!a.zip: a zip of more than %d bytes within another archive: unpack it first", memorySpool+1)})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
