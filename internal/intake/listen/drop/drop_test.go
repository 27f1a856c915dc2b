package drop

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

type collector struct {
	mu     sync.Mutex
	frames []bus.Frame
	busy   int
}

func (c *collector) Submit(_ context.Context, frames ...bus.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy > 0 {
		c.busy--
		return &listen.Busy{Reason: "test", Retry: time.Millisecond}
	}
	c.frames = append(c.frames, frames...)
	return nil
}

// acme takes everything but what lies under nobody/.
func acme(rel string) (*listen.Binding, bool) {
	if strings.Contains(rel, "nobody/") {
		return nil, false
	}
	return &listen.Binding{Sensor: "drop:" + rel, Tenant: "acme"}, true
}

func newBox(t *testing.T, to listen.Submitter, limits bounded.Limits) (*Dropbox, string) {
	t.Helper()
	dir := t.TempDir()
	d, err := New(Config{Dir: dir, Bind: acme, Limits: limits}, to)
	if err != nil {
		t.Fatal(err)
	}
	return d, dir
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// lookAgain takes what is complete, as Run does.
func lookAgain(t *testing.T, d *Dropbox) {
	t.Helper()
	for _, rel := range d.complete() {
		if err := d.take(context.Background(), rel); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, want, got []string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAFileIsTakenOnceItIsComplete(t *testing.T) {
	to := &collector{}
	d, dir := newBox(t, to, bounded.Limits{})
	put(t, dir, "acme/vpn/asa.log", []byte("one\n"))
	for _, name := range []string{".dot", "x.tmp", "y.PART", ".sub/z.log"} {
		put(t, dir, name, []byte("half"))
	}
	lookAgain(t, d)
	if len(to.frames) != 0 {
		t.Fatal("a file was taken at the first look")
	}
	put(t, dir, "acme/vpn/asa.log", []byte("one\ntwo\n")) // still growing
	lookAgain(t, d)
	if len(to.frames) != 0 {
		t.Fatal("a file that grows was taken")
	}
	lookAgain(t, d)
	same(t, []string{".dot", ".sub/z.log", "taken/acme/vpn/asa.log", "x.tmp", "y.PART"}, files(t, dir))
	if len(to.frames) != 1 {
		t.Fatalf("%d frames", len(to.frames))
	}
	f := to.frames[0]
	if f.Sensor != "drop:acme/vpn/asa.log" || f.Tenant != "acme" || f.Name != "asa.log" || !f.Whole || f.Records != 1 || f.First != 1 || string(f.Data) != "one\ntwo\n" || f.Key == "" {
		t.Errorf("%+v", f)
	}
}

func archive(t *testing.T) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	for _, m := range []struct{ name, text string }{{"vpn/a.log", "a\n"}, {"nobody/b.log", "b\n"}, {"../../etc/c.log", "c\n"}, {"empty.log", ""}} {
		f, err := w.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(m.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func TestArchivesAreReadThrough(t *testing.T) {
	to := &collector{}
	d, dir := newBox(t, to, bounded.Limits{})
	put(t, dir, "in/case.zip", archive(t))
	lookAgain(t, d)
	lookAgain(t, d)
	var got []string
	for _, f := range to.frames {
		got = append(got, f.Sensor+" "+f.Name+" "+string(f.Data))
	}
	if len(got) < 1 || got[0] != "drop:in/case.zip!vpn/a.log a.log a\n" {
		t.Errorf("%q", got)
	}
	same(t, []string{"taken/in/case.zip", "taken/in/case.zip.reason.txt"}, files(t, dir))
	reason, err := os.ReadFile(filepath.Join(dir, "taken/in/case.zip.reason.txt"))
	if err != nil || !strings.Contains(string(reason), "in/case.zip!nobody/b.log: no sensor") {
		t.Errorf("%s %v", reason, err)
	}
}

func TestTraversalNamesInArchivesWriteNothing(t *testing.T) {
	to := &collector{}
	d, dir := newBox(t, to, bounded.Limits{})
	var tarred bytes.Buffer
	w := tar.NewWriter(&tarred)
	if err := w.WriteHeader(&tar.Header{Name: "../../../escape.log", Mode: 0o644, Size: 2, Format: tar.FormatUSTAR}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("x\n"))
	_ = w.Close()
	put(t, dir, "a.tar", tarred.Bytes())
	lookAgain(t, d)
	lookAgain(t, d)
	for _, name := range files(t, filepath.Dir(dir)) {
		if strings.Contains(name, "escape") {
			t.Errorf("%s was written", name)
		}
	}
	if d.Stats().Taken+d.Stats().Refused != 1 {
		t.Errorf("%+v", d.Stats())
	}
}

func TestWhatCannotBeReadIsRefusedWithItsReason(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	_ = z.Close()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nobody/x.log": {[]byte("x\n"), "no sensor of the configuration matches"},
		"empty.log":    {nil, "there is nothing in it"},
		"packed.7z":    {[]byte("7z\xbc\xaf\x27\x1c............"), "7z is not read"},
		"big.bin":      {bytes.Repeat([]byte{0, 1, 2, '\n'}, 2<<20), "not a record a line"},
		"array.json":   {[]byte("[" + strings.Repeat("{\"a\":1},\n", 1<<20) + "{}]"), "jq -c"},
		"pretty.json":  {[]byte("{\n" + strings.Repeat("\"a\":1,\n", 1<<20) + "\"b\":2}"), "jq -c"},
	} {
		t.Run(name, func(t *testing.T) {
			to := &collector{}
			d, dir := newBox(t, to, bounded.Limits{})
			put(t, dir, name, c.data)
			lookAgain(t, d)
			lookAgain(t, d)
			same(t, []string{"refused/" + name, "refused/" + name + reasonSuffix}, files(t, dir))
			reason, err := os.ReadFile(filepath.Join(dir, "refused", name+reasonSuffix))
			if err != nil || !strings.Contains(string(reason), c.want) || strings.Count(string(reason), "\n") != 1 || len(to.frames) != 0 {
				t.Errorf("%s %v", reason, err)
			}
		})
	}
	t.Run("TestBombRatio", func(t *testing.T) {
		to := &collector{}
		d, dir := newBox(t, to, bounded.Limits{MaxRatio: 10, RatioFrom: 1 << 20})
		put(t, dir, "bomb.gz", bomb.Bytes())
		lookAgain(t, d)
		lookAgain(t, d)
		reason, err := os.ReadFile(filepath.Join(dir, "refused/bomb.gz"+reasonSuffix))
		if err != nil {
			reason, err = os.ReadFile(filepath.Join(dir, "taken/bomb.gz"+reasonSuffix))
		}
		if err != nil || !strings.Contains(string(reason), "zip bomb") {
			t.Errorf("%s %v", reason, err)
		}
	})
}

func TestALargeFileOfLinesIsSplitWithItsHeader(t *testing.T) {
	to := &collector{busy: 3}
	d, dir := newBox(t, to, bounded.Limits{})
	const header = "#separator \\x09\n#fields\tts\n"
	var text strings.Builder
	text.WriteString(header)
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&text, "%d\t%s\n", i, strings.Repeat("x", 90))
	}
	text.WriteString("the last line has no newline")
	put(t, dir, "conn.log", []byte(text.String()))
	lookAgain(t, d)
	lookAgain(t, d)
	var all strings.Builder
	line, keys := int64(1), map[string]bool{}
	for _, f := range to.frames {
		if f.Whole || f.First != line || f.Records > bus.MaxRecords || len(f.Data) > bus.MaxBytes || string(f.Head) != map[bool]string{true: "", false: header}[line == 1] {
			t.Fatalf("a part from line %d (at %d) with %d records and head %q", f.First, line, f.Records, f.Head)
		}
		line += int64(f.Records)
		keys[f.Key] = true
		all.Write(f.Data)
	}
	if all.String() != text.String() || line != n+4 || len(keys) != len(to.frames) || d.Stats().Busy != 3 {
		t.Errorf("%d of %d bytes, %d lines, %d keys for %d frames", all.Len(), text.Len(), line, len(keys), len(to.frames))
	}
}

func TestTheHeaderOfACSVComesWithEveryPart(t *testing.T) {
	to := &collector{}
	d, dir := newBox(t, to, bounded.Limits{})
	put(t, dir, "vpn.csv", []byte("a,b\n"+strings.Repeat("1,2345678901234567890\n", 400_000)))
	lookAgain(t, d)
	lookAgain(t, d)
	if len(to.frames) < 2 || string(to.frames[1].Head) != "a,b\n" || to.frames[0].Head != nil {
		t.Errorf("%d frames", len(to.frames))
	}
}

func TestALargeMailboxIsSplitBetweenMails(t *testing.T) {
	to := &collector{}
	d, dir := newBox(t, to, bounded.Limits{})
	mail := "From a@b Thu Jan  1 00:00:00 2026\nSubject: x\n\n" + strings.Repeat("text\n", 100_000) + "\n"
	put(t, dir, "box", []byte(strings.Repeat(mail, 40)))
	lookAgain(t, d)
	lookAgain(t, d)
	total, mails := 0, 0
	for _, f := range to.frames {
		total += len(f.Data)
		mails += f.Records
		if !f.Whole || !strings.HasPrefix(string(f.Data), "From a@b") || len(f.Data) > maxWhole {
			t.Errorf("a part of %d bytes that begins with %.20q", len(f.Data), f.Data)
		}
	}
	if total != 40*len(mail) || mails != 40 || len(to.frames) < 2 {
		t.Errorf("%d bytes, %d mails in %d frames", total, mails, len(to.frames))
	}
}

func TestALineTooLongIsLeftOutAndSaid(t *testing.T) {
	to := &collector{}
	d, dir := newBox(t, to, bounded.Limits{})
	put(t, dir, "a.log", []byte("one\n"+strings.Repeat("x", 9<<20)+"\nthree\n"))
	lookAgain(t, d)
	lookAgain(t, d)
	var got []string
	for _, f := range to.frames {
		got = append(got, fmt.Sprintf("%d %s", f.First, f.Data))
	}
	same(t, []string{"1 one\n", "3 three\n"}, got)
	same(t, []string{"taken/a.log", "taken/a.log.reason.txt"}, files(t, dir))
}

func TestASecondRunIsTheSame(t *testing.T) {
	var keys [2][]string
	for i := range keys {
		to := &collector{}
		d, dir := newBox(t, to, bounded.Limits{})
		put(t, dir, "in/case.zip", archive(t))
		lookAgain(t, d)
		lookAgain(t, d)
		for _, f := range to.frames {
			keys[i] = append(keys[i], f.Key)
		}
	}
	same(t, keys[0], keys[1])
	if len(keys[0]) < 2 || keys[0][0] == keys[0][1] {
		t.Errorf("%q", keys[0])
	}
}

func TestFilesOfOneNameStandBesideEachOther(t *testing.T) {
	to := &collector{}
	d, dir := newBox(t, to, bounded.Limits{})
	for i := range 3 {
		put(t, dir, "a.log", []byte(fmt.Sprintf("%d\n", i)))
		lookAgain(t, d)
		lookAgain(t, d)
	}
	same(t, []string{"taken/a.log", "taken/a.log.1", "taken/a.log.2"}, files(t, dir))
}

func TestRunTakesFilesAndEndsWithItsContext(t *testing.T) {
	to := &collector{}
	dir := t.TempDir()
	d, err := New(Config{Dir: dir, Bind: acme, Poll: 2 * time.Millisecond}, to)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "a.log", []byte("one\n"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for d.Stats().Taken == 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the file was not taken")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// FuzzSplit holds that the parts of a file of lines are the file, in order, but for lines that are too long.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("#h\na\nb\n\nc"), uint8(3))
	f.Add([]byte("\n\n\n"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		to := &collector{}
		d := &Dropbox{to: to}
		r := &reading{d: d, ctx: context.Background()}
		b, _ := acme("x")
		s := splitter{r: r, binding: b, base: "x.log"}
		k := min(int(n), len(data))
		if err := s.lines("x.log", data[:k], bytes.NewReader(data[k:])); err != nil {
			t.Fatal(err)
		}
		var all []byte
		line := int64(1)
		for _, fr := range to.frames {
			if fr.First != line || fr.Records == 0 || fr.Records > bus.MaxRecords {
				t.Fatalf("%+v", fr)
			}
			line += int64(fr.Records)
			all = append(all, fr.Data...)
		}
		if !bytes.Equal(all, data) {
			t.Fatalf("%q\nwant %q", all, data)
		}
	})
}
