package tail

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
)

// memory keeps places as a database would.
type memory struct {
	mu     sync.Mutex
	places map[string]Place
	saves  int
	fail   bool
}

func (m *memory) Load(sensor, path string) (Place, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.places[sensor+" "+path]
	return p, ok, nil
}

func (m *memory) Save(sensor string, places map[string]Place) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail {
		return errors.New("the disk is full")
	}
	m.saves++
	for path, p := range places {
		m.places[sensor+" "+path] = p
	}
	return nil
}

// collector keeps frames, and says Busy while it is told to.
type collector struct {
	mu     sync.Mutex
	frames []bus.Frame
	busy   bool
	asked  int
}

func (c *collector) Submit(_ context.Context, frames ...bus.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.busy {
		return &listen.Busy{Reason: "test", Retry: time.Millisecond}
	}
	c.frames = append(c.frames, frames...)
	return nil
}

func (c *collector) lines() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.frames {
		n := f.First
		for line := range strings.Lines(string(f.Data)) {
			out = append(out, fmt.Sprintf("%s %d %s", f.Name, n, strings.TrimSuffix(line, "\n")))
			n++
		}
	}
	return out
}

type rig struct {
	t       *testing.T
	dir     string
	memory  *memory
	to      *collector
	pattern string
	fromEnd bool
	tailer  *Tailer
	stop    func()
}

func newRig(t *testing.T, pattern string) *rig {
	r := &rig{t: t, dir: t.TempDir(), memory: &memory{places: map[string]Place{}}, to: &collector{}, pattern: pattern, stop: func() {}}
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) start() {
	r.t.Helper()
	tl, err := New(Config{Sources: []Source{{Binding: listen.Binding{Sensor: "s", Tenant: "acme"}, Pattern: filepath.Join(r.dir, filepath.FromSlash(r.pattern)), FromEnd: r.fromEnd}},
		Offsets: r.memory, Poll: time.Millisecond, Search: 5 * time.Millisecond}, r.to)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tl.Run(ctx) }()
	r.tailer = tl
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
		r.stop = func() {}
	}
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) rename(from, to string) {
	r.t.Helper()
	if err := os.Rename(filepath.Join(r.dir, from), filepath.Join(r.dir, to)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) truncate(name string) {
	r.t.Helper()
	if err := os.Truncate(filepath.Join(r.dir, name), 0); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("%s did not come about; got %q", what, r.to.lines())
		}
	}
}

// expect waits for as many lines and then compares them, in any order of files.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d lines", len(want)), func() bool { return len(r.to.lines()) >= len(want) })
	got := r.to.lines()
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		r.t.Fatalf("(-want +got):\n%s", d)
	}
}

// remembered waits until what was handed on is remembered.
func (r *rig) remembered(name string, offset int64) {
	r.t.Helper()
	r.until("the offset of "+name, func() bool {
		p, _, _ := r.memory.Load("s", filepath.Join(r.dir, name))
		return p.Offset == offset
	})
}

func TestLinesAreHandedOnAsTheyCome(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("a.log", "one\ntw")
	r.start()
	r.expect("a.log 1 one")
	r.write("a.log", "o\nthree\n")
	r.write("b.log", "other\n")
	r.write("c.log.gz", "packed\n")
	r.write(".hidden.log", "hidden\n")
	r.expect("a.log 1 one", "a.log 2 two", "a.log 3 three", "b.log 1 other")
	if f := r.to.frames[0]; f.Sensor != "s" || f.Tenant != "acme" || f.Key == "" || f.Received.IsZero() || f.Whole {
		t.Errorf("%+v", f)
	}
}

func TestARestartNeitherRepeatsNorSkips(t *testing.T) {
	r := newRig(t, "a.log")
	r.write("a.log", "one\ntwo\nhal")
	r.start()
	r.expect("a.log 1 one", "a.log 2 two")
	r.remembered("a.log", 8)
	r.stop()
	r.write("a.log", "f\nfour\n")
	r.start()
	r.expect("a.log 1 one", "a.log 2 two", "a.log 3 half", "a.log 4 four")
}

func TestWhatWasNotRememberedComesAgainUnderItsKey(t *testing.T) {
	r := newRig(t, "a.log")
	r.write("a.log", "one\ntwo\n")
	r.start()
	r.expect("a.log 1 one", "a.log 2 two")
	r.remembered("a.log", 8)
	r.stop()
	path := "s " + filepath.Join(r.dir, "a.log")
	p := r.memory.places[path]
	p.Offset, p.Lines = 0, 0 // as if it had ended between Submit and Save
	r.memory.places[path] = p
	r.start()
	r.expect("a.log 1 one", "a.log 2 two", "a.log 1 one", "a.log 2 two")
	if a, b := r.to.frames[0], r.to.frames[1]; a.Key != b.Key || a.First != b.First {
		t.Errorf("%q and %q", a.Key, b.Key)
	}
}

func TestTheKeyIsRememberedBeforeAnythingBearsIt(t *testing.T) {
	r := newRig(t, "a.log")
	r.write("a.log", "one\n")
	r.to.busy = true
	r.start()
	r.until("a refusal", func() bool { return r.tailer.Stats().Busy > 0 })
	p, ok, _ := r.memory.Load("s", filepath.Join(r.dir, "a.log"))
	if !ok || p.Key == "" || p.Offset != 0 {
		t.Errorf("%+v", p)
	}
	r.to.mu.Lock()
	r.to.busy = false
	r.to.mu.Unlock()
	r.expect("a.log 1 one")
}

func TestRotationByRenaming(t *testing.T) {
	for _, pattern := range []string{"app.log", "app.log*"} {
		t.Run(pattern, func(t *testing.T) {
			r := newRig(t, pattern)
			r.write("app.log", "one\n")
			r.start()
			r.expect("app.log 1 one")
			r.rename("app.log", "app.log.1")
			r.write("app.log.1", "two\n") // the writer has not noticed yet
			r.write("app.log", "three\n")
			r.expect("app.log 1 one", "app.log 2 two", "app.log 1 three")
			r.rename("app.log.1", "app.log.2")
			r.rename("app.log", "app.log.1")
			r.write("app.log", "four\n")
			r.expect("app.log 1 one", "app.log 2 two", "app.log 1 three", "app.log 1 four")
		})
	}
}

func TestARenamedFileIsFollowedOnce(t *testing.T) {
	r := newRig(t, "app.log")
	tl, err := New(Config{Sources: []Source{{Binding: listen.Binding{Sensor: "s"}, Pattern: filepath.Join(r.dir, "app.log")}}, Offsets: r.memory}, r.to)
	if err != nil {
		t.Fatal(err)
	}
	s := tl.sets[0]
	s.buf, s.begun, s.places = make([]byte, 1<<10), map[string]Place{}, map[string]Place{}
	step := func() {
		t.Helper()
		if err := s.search(context.Background(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	r.write("app.log", "one\n")
	step()
	r.rename("app.log", "app.log.1")
	r.write("app.log.1", "two\n") // and the new file comes before anybody looks
	r.write("app.log", "three\n")
	step()
	r.write("app.log.1", "late\n")
	step()
	r.expect("app.log 1 one", "app.log 2 two", "app.log 1 three", "app.log 3 late")
	for _, f := range append(s.retired, s.files[filepath.Join(r.dir, "app.log")]) {
		f.close()
	}
}

func TestRotationWhileNobodyWatched(t *testing.T) {
	for _, pattern := range []string{"app.log", "app.log*"} {
		t.Run(pattern, func(t *testing.T) {
			r := newRig(t, pattern)
			r.write("app.log", "one\n")
			r.start()
			r.expect("app.log 1 one")
			r.remembered("app.log", 4)
			r.stop()
			r.write("app.log", "two\n")
			r.rename("app.log", "app.log.1")
			r.write("app.log", "three\n")
			r.start()
			name := "app.log" // after a restart a file is called what it is called then, where the pattern names it
			if pattern == "app.log*" {
				name = "app.log.1"
			}
			r.expect("app.log 1 one", name+" 2 two", "app.log 1 three")
			r.remembered("app.log.1", 8)
			r.remembered("app.log", 6)
			r.stop()
			r.write("app.log.1", "late\n")
			r.start()
			r.expect("app.log 1 one", name+" 2 two", "app.log 1 three", name+" 3 late")
		})
	}
}

func TestRotationByCopyingAndTruncating(t *testing.T) {
	r := newRig(t, "app.log")
	r.write("app.log", "one\ntwo\n")
	r.start()
	r.expect("app.log 1 one", "app.log 2 two")
	r.truncate("app.log")
	r.write("app.log", "three\n")
	r.expect("app.log 1 one", "app.log 2 two", "app.log 1 three")
	r.stop()
	r.truncate("app.log")
	r.write("app.log", "a longer line than all before\nfive\n")
	r.start()
	r.expect("app.log 1 one", "app.log 2 two", "app.log 1 three", "app.log 1 a longer line than all before", "app.log 2 five")
	keys := map[string]bool{}
	for _, f := range r.to.frames {
		keys[f.Key[:20]] = true
	}
	if len(keys) != 3 {
		t.Errorf("%d keys for three contents", len(keys))
	}
}

func TestHeaderLinesComeWithEveryLaterPart(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("conn.log", "#separator \\x09\n#fields\tts\n")
	r.start()
	r.expect(`conn.log 1 #separator \x09`, "conn.log 2 #fields\tts")
	r.write("conn.log", "1\n")
	r.expect(`conn.log 1 #separator \x09`, "conn.log 2 #fields\tts", "conn.log 3 1")
	r.remembered("conn.log", int64(len("#separator \\x09\n#fields\tts\n1\n")))
	r.stop()
	r.write("conn.log", "2\n")
	r.start()
	r.until("the fourth line", func() bool { return len(r.to.lines()) == 4 })
	for i, f := range r.to.frames {
		want := "#separator \\x09\n#fields\tts\n"
		if f.First == 1 {
			want = ""
		}
		if string(f.Head) != want {
			t.Errorf("frame %d from line %d: head %q", i, f.First, f.Head)
		}
	}
}

func TestWhatAFileHeldAtTheStartMayBeLeftOut(t *testing.T) {
	r := newRig(t, "*.log")
	r.fromEnd = true
	r.write("a.log", "old\nolder\nhal")
	r.start()
	r.until("the first look", func() bool { return r.tailer.Stats().Files == 1 })
	r.remembered("a.log", 10)
	r.write("b.log", "new file\n")
	r.write("a.log", "f\n")
	r.expect("a.log 1 half", "b.log 1 new file")
}

func TestALineLongerThanABatchIsCut(t *testing.T) {
	r := newRig(t, "a.log")
	r.start()
	r.write("a.log", "one\n"+strings.Repeat("x", 3<<20)+"\nthree\n")
	r.until("three lines", func() bool { return len(r.to.lines()) == 3 })
	got := r.to.lines()
	if got[0] != "a.log 1 one" || got[2] != "a.log 3 three" || !strings.HasSuffix(got[1], "x"+CutMark) || len(got[1]) > bus.MaxBytes+20 || r.tailer.Stats().Cut != 1 {
		t.Errorf("%.30q %.30q (%d bytes) %q, %+v", got[0], got[1], len(got[1]), got[2], r.tailer.Stats())
	}
}

func TestFramesAreBatchesAndTheirLinesCount(t *testing.T) {
	r := newRig(t, "a.log")
	var want []string
	for i := range 4321 {
		r.write("a.log", fmt.Sprintf("%d\n", i))
		want = append(want, fmt.Sprintf("a.log %d %d", i+1, i))
	}
	r.start()
	r.expect(want...)
	for _, f := range r.to.frames {
		if f.Records > bus.MaxRecords || strings.Count(string(f.Data), "\n") != f.Records {
			t.Errorf("a frame of %d records", f.Records)
		}
	}
}

func TestManyFilesShareFewSubmissions(t *testing.T) {
	r := newRig(t, "**/*.log")
	const n = 2000
	for i := range n {
		r.write(fmt.Sprintf("d%d/%d.log", i%10, i), "x\n")
	}
	r.start()
	r.until("all files", func() bool { return len(r.to.lines()) == n })
	r.to.mu.Lock()
	defer r.to.mu.Unlock()
	if r.to.asked > 10 {
		t.Errorf("%d submissions", r.to.asked)
	}
}

func TestNothingIsHandedOnThatCannotBeRemembered(t *testing.T) {
	r := newRig(t, "a.log")
	r.memory.fail = true
	r.write("a.log", "one\n")
	r.start()
	r.until("the first look", func() bool { return r.tailer.Stats().Files == 1 })
	r.stop()
	if got := r.to.lines(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestPatternsFindWhatTheyName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.log", "x/b.log", "x/y/c.log", "x/y/d.txt", "x/.e.log", "x/f.log.gz", "z/b.log/g.log"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "x/y/d.txt"), filepath.Join(dir, "link.log")); err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string][]string{
		"a.log": {"a.log"}, "*.log": {"a.log", "link.log"}, "**/*.log": {"a.log", "link.log", "x/b.log", "x/y/c.log", "z/b.log/g.log"}, "x/*.log": {"x/b.log"},
		"*/*/c.lo[gk]": {"x/y/c.log"}, "x/**": {"x/b.log", "x/y/c.log", "x/y/d.txt"}, "none/*": nil, "?.log": {"a.log"},
	} {
		p, err := compile(dir + "/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		list, _ := p.find(100)
		var got []string
		for _, f := range list {
			rel, _ := filepath.Rel(dir, f.path)
			got = append(got, filepath.ToSlash(rel))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, d)
		}
	}
	for _, bad := range []string{"/a/b**", "/a/["} {
		if _, err := compile(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// FuzzTail holds that lines come out once each, in order, however the writing was cut up by polls and restarts.
func FuzzTail(f *testing.F) {
	f.Add([]byte("#h\none\ntwo\n\nlast"), uint8(3))
	f.Add([]byte("\n\n\r\n\x00"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, n uint8) {
		path := filepath.Join(t.TempDir(), "a.log")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		m, to := &memory{places: map[string]Place{}}, &collector{}
		tl, err := New(Config{Sources: []Source{{Pattern: path}}, Offsets: m}, to)
		if err != nil {
			t.Fatal(err)
		}
		s := tl.sets[0]
		s.buf, s.begun, s.places = make([]byte, 16), map[string]Place{}, map[string]Place{}
		for at := 0; at < len(data); at += int(n) + 1 {
			out, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write(data[at:min(at+int(n)+1, len(data))]); err != nil {
				t.Fatal(err)
			}
			out.Close()
			if err := s.search(context.Background(), time.Now()); err != nil {
				t.Fatal(err)
			}
			if at%2 == 1 && !maps.Equal(s.places, map[string]Place{}) {
				t.Fatal("places wait beyond a look")
			}
		}
		for _, x := range s.files {
			x.close()
		}
		var got, want []string
		for _, fr := range to.frames {
			got = append(got, strings.SplitAfter(strings.TrimSuffix(string(fr.Data), "\n"), "\n")...)
		}
		for i := range got {
			got[i] = strings.TrimSuffix(got[i], "\n")
		}
		for line := range strings.Lines(string(data)) {
			if whole, ok := strings.CutSuffix(line, "\n"); ok {
				want = append(want, whole)
			} else if len(line) >= 16 {
				want = append(want, line)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%q\nwant %q", got, want)
		}
		for i := range got {
			if cutAt, cut := strings.CutSuffix(got[i], CutMark); cut && strings.HasPrefix(want[i], cutAt) {
				continue
			}
			if got[i] != want[i] {
				t.Fatalf("%q\nwant %q", got, want)
			}
		}
	})
}

// BenchmarkRestingFiles is one search over files that have nothing new.
func BenchmarkRestingFiles(b *testing.B) {
	dir := b.TempDir()
	const n = 10_000
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.log", i)), []byte("one line\n"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	tl, err := New(Config{Sources: []Source{{Pattern: filepath.Join(dir, "*.log")}}, Offsets: &memory{places: map[string]Place{}}}, &collector{})
	if err != nil {
		b.Fatal(err)
	}
	s := tl.sets[0]
	s.buf, s.begun, s.places = make([]byte, bus.MaxBytes), map[string]Place{}, map[string]Place{}
	now := time.Now()
	if err := s.search(context.Background(), now); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		now = now.Add(2 * warm)
		if err := s.search(context.Background(), now); err != nil {
			b.Fatal(err)
		}
	}
	for _, f := range s.files {
		f.close()
	}
}
