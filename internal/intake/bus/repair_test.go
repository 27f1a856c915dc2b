package bus

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// files are the regular files below a folder, by their path from there.
type files map[string][]byte

func load(t testing.TB, dir string) files {
	t.Helper()
	got := files{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		got[name], err = os.ReadFile(path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func (f files) store(t testing.TB, dir string) {
	t.Helper()
	for name, b := range f {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// small makes a store of several blocks with a few small messages each.
func small(t testing.TB) (files, map[uint64]Batch) {
	t.Helper()
	dir := t.TempDir()
	want := map[uint64]Batch{}
	// A floor makes the next block begin.
	for run := range 3 {
		j, _ := open(t, dir, Options{Floor: uint64(run * 5)})
		for n := range 4 {
			b := batch(run*4+n, 20)
			want[publish(t, j, b)] = *b
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f := load(t, dir)
	if len(want) != 12 || len(f) < 6 {
		t.Fatalf("%d messages in the files %q", len(want), slices.Sorted(maps.Keys(f)))
	}
	return f, want
}

// lacks checks that got has all of want except at most some, and nothing else, and says how many are missing.
func lacks(got, want map[uint64]Batch) (missing int, err error) {
	for place, b := range got {
		if !reflect.DeepEqual(want[place], b) {
			return 0, fmt.Errorf("place %d holds what was not published there: lane %q, %d frames", place, b.Lane, len(b.Frames))
		}
	}
	return len(want) - len(got), nil
}

// without reads a store after it was mended, with no server over it.
func without(t testing.TB, dir string, floor uint64) (map[uint64]Batch, *JetStream, []string) {
	t.Helper()
	d := &damages{}
	j := prepare(dir, Options{Damage: d.add, Log: quiet()}, shared(t))
	if err := j.mended(floor); err != nil {
		t.Fatal(err)
	}
	return readAll(t, j, 0), j, d.all()
}

// once makes one sealer for the thousands of stores that are opened here.
var once = sync.OnceValues(newSealer)

func shared(t testing.TB) *sealer {
	t.Helper()
	s, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func isBlock(name string) bool { return strings.HasSuffix(name, blockSuffix) }

// with opens a store with the server over it, reads it, publishes, and looks at what server and files say of each other.
func with(t testing.TB, dir string) (got map[uint64]Batch, next uint64, said []string) {
	t.Helper()
	j, d := open(t, dir, Options{})
	got = readAll(t, j, 0)
	s, err := j.engine.js.Stream(t.Context(), streamName)
	if err != nil {
		t.Fatal(err)
	}
	state := s.CachedInfo().State
	_, last := j.Span()
	if int(state.Msgs) != len(got) || state.LastSeq != last {
		t.Errorf("the server has %d messages up to place %d, its files %d up to %d", state.Msgs, state.LastSeq, len(got), last)
	}
	for place := range got {
		if _, err := s.GetMsg(t.Context(), place); err != nil {
			t.Errorf("the server does not give place %d: %v", place, err)
		}
	}
	next = publish(t, j, batch(1000, 10))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return got, next, d.all()
}

// crashed makes every second store one that was not closed in order: the server's index is not there.
func crashed(t testing.TB, dir, damaged string, i int) {
	t.Helper()
	if i%2 == 0 || strings.HasSuffix(damaged, indexName) {
		return
	}
	if err := os.Remove(filepath.Join(blockDir(dir), indexName)); err != nil {
		t.Fatal(err)
	}
}

func TestFlippedBytesInAnyFileCostOneRecordAtMost(t *testing.T) {
	f, want := small(t)
	stride := 11
	if os.Getenv("BREAKWATER_LONG") != "" {
		stride = 1
	}
	root := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(f)) {
		for i := 0; i < len(f[name]); i += stride {
			dir := filepath.Join(root, "store")
			f.store(t, dir)
			bad := slices.Clone(f[name])
			bad[i] ^= byte(1 << (i % 8))
			files{name: bad}.store(t, dir)
			crashed(t, dir, name, i)
			got, _, said := without(t, dir, 0)
			missing, err := lacks(got, want)
			most := 0
			if isBlock(name) {
				most = 1
			}
			if err != nil || missing > most {
				t.Fatalf("%s, byte %d: %d messages are lost, %v; reported: %q", name, i, missing, err, said)
			}
			if len(said) == 0 {
				t.Fatalf("%s, byte %d: %d messages are lost and nothing is reported", name, i, missing)
			}
			if _, _, again := without(t, dir, 0); len(again) > 0 {
				t.Fatalf("%s, byte %d: mended once, it is reported again: %q", name, i, again)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTheServerGoesOnOverFlippedBytes(t *testing.T) {
	f, want := small(t)
	stride := 61
	if os.Getenv("BREAKWATER_LONG") != "" {
		stride = 7
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		for i := 0; i < len(f[name]); i += stride {
			dir := t.TempDir()
			f.store(t, dir)
			bad := slices.Clone(f[name])
			bad[i] ^= byte(1 << (i % 8))
			files{name: bad}.store(t, dir)
			crashed(t, dir, name, i)
			got, next, said := with(t, dir)
			missing, err := lacks(got, want)
			if err != nil || missing > 1 || len(said) == 0 {
				t.Fatalf("%s, byte %d: %d messages are lost, %v; reported: %q", name, i, missing, err, said)
			}
			if next <= 14 {
				t.Fatalf("%s, byte %d: a new message takes the place %d, which was given before", name, i, next)
			}
			got, _, said = with(t, dir)
			delete(got, next)
			if still, err := lacks(got, want); err != nil || still != missing || len(said) > 0 {
				t.Fatalf("%s, byte %d, opened again: %d messages are lost, before %d, %v; reported: %q", name, i, still, missing, err, said)
			}
		}
	}
}

func TestTruncatedFilesKeepWhatIsWhole(t *testing.T) {
	f, want := small(t)
	stride := 53
	if os.Getenv("BREAKWATER_LONG") != "" {
		stride = 1
	}
	root := t.TempDir()
	for _, indexed := range []bool{true, false} {
		for _, name := range slices.Sorted(maps.Keys(f)) {
			for cut := 0; cut < len(f[name]); cut += stride {
				dir := filepath.Join(root, "store")
				f.store(t, dir)
				if !indexed {
					if err := os.Remove(filepath.Join(blockDir(dir), indexName)); err != nil {
						t.Fatal(err)
					}
				}
				files{name: f[name][:cut]}.store(t, dir)
				got, j, said := without(t, dir, 14)
				missing, err := lacks(got, want)
				if err != nil {
					t.Fatalf("%s, cut at %d: %v", name, cut, err)
				}
				lost := 0
				if isBlock(name) {
					lost = len(whole(t, f[name], name)) - len(whole(t, f[name][:cut], name))
				}
				if missing != lost || isBlock(name) && missing == 0 && cut > recordMin {
					t.Fatalf("%s, cut at %d: %d messages are lost, want %d; reported: %q", name, cut, missing, lost, said)
				}
				if _, last := j.Span(); last < 14 {
					t.Fatalf("%s, cut at %d: new messages come after place %d, though 14 was given", name, cut, last)
				}
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// whole gives the places of the messages that stand whole in a block.
func whole(t testing.TB, buf []byte, name string) (places []uint64) {
	t.Helper()
	var index uint32
	if _, err := fmt.Sscanf(filepath.Base(name), "%d", &index); err != nil {
		t.Fatal(err)
	}
	f, err := newFrame(index)
	if err != nil {
		t.Fatal(err)
	}
	for len(buf) > 0 {
		e, err := f.parse(buf)
		if err != nil {
			return places
		}
		if !e.marker {
			places = append(places, e.place)
		}
		buf = buf[e.size:]
	}
	return places
}

func TestTheServerGoesOnOverTruncatedFiles(t *testing.T) {
	f, want := small(t)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		for cut := 0; cut < len(f[name]); cut += 97 {
			dir := t.TempDir()
			f.store(t, dir)
			files{name: f[name][:cut]}.store(t, dir)
			got, next, said := with(t, dir)
			missing, err := lacks(got, want)
			if err != nil || len(said) == 0 && isBlock(name) || next <= 14 {
				t.Fatalf("%s, cut at %d: %d messages are lost, %v; next place %d; reported: %q", name, cut, missing, err, next, said)
			}
			if !isBlock(name) && missing > 0 {
				t.Fatalf("%s, cut at %d: %d messages are lost", name, cut, missing)
			}
		}
	}
}

func TestMissingFilesAreNoReasonToRefuse(t *testing.T) {
	f, want := small(t)
	for name := range f {
		dir := t.TempDir()
		f.store(t, dir)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		got, next, said := with(t, dir)
		missing, err := lacks(got, want)
		lost := 0
		if isBlock(name) {
			lost = 4
		}
		if err != nil || missing != lost || next <= 14 {
			t.Errorf("without %s, %d messages are lost, want %d, %v; next place %d; reported: %q", name, missing, lost, err, next, said)
		}
		if len(said) == 0 && (isBlock(name) || strings.Contains(name, "meta")) {
			t.Errorf("without %s, nothing is reported", name)
		}
	}
}

// A damage of many bytes that wipes out record borders costs the records it touches.
func TestWipedRangesCostWhatTheyTouch(t *testing.T) {
	f, want := small(t)
	for name := range f {
		if !isBlock(name) {
			continue
		}
		for from := 0; from+300 < len(f[name]); from += 31 {
			dir := t.TempDir()
			f.store(t, dir)
			bad := slices.Clone(f[name])
			clear(bad[from : from+300])
			files{name: bad}.store(t, dir)
			got, _, said := without(t, dir, 0)
			missing, err := lacks(got, want)
			if err != nil || missing < 1 || missing > 3 || len(said) == 0 {
				t.Fatalf("%s, wiped from %d: %d messages are lost, %v; reported: %q", name, from, missing, err, said)
			}
		}
	}
}

func TestDamagedBytesAreKeptAside(t *testing.T) {
	f, _ := small(t)
	dir := t.TempDir()
	f.store(t, dir)
	name := filepath.Join("jetstream", "$G", "streams", streamName, "msgs", "1.blk")
	bad := slices.Clone(f[name])
	bad[len(bad)/2] ^= 1
	files{name: bad}.store(t, dir)
	_, _, said := without(t, dir, 0)
	var kept []byte
	for name, b := range load(t, setAside(dir)) {
		if name != "places" {
			kept = b
		}
	}
	if len(kept) == 0 || !strings.Contains(string(bad), string(kept)) || len(said) != 1 || !strings.Contains(said[0], setAside(dir)) {
		t.Errorf("%d bytes are kept; reported: %q", len(kept), said)
	}
}

// Damage that comes while the bus runs costs one record, though the server would cut the block.
func TestDamageWhileInUseCostsOneRecord(t *testing.T) {
	dir := t.TempDir()
	j, d := open(t, dir, Options{})
	want := map[uint64]Batch{}
	for n := range 20 {
		b := batch(n, 2000)
		want[publish(t, j, b)] = *b
	}
	path := filepath.Join(blockDir(dir), "1.blk")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	buf, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{buf[len(buf)/2] ^ 4}, int64(len(buf)/2)); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	for range 2 {
		missing, err := lacks(readAll(t, j, 0), want)
		if err != nil || missing != 1 {
			t.Errorf("%d messages are lost, %v", missing, err)
		}
	}
	if said := d.all(); len(said) != 1 {
		t.Errorf("one damage, read twice, is reported as %q", said)
	}
	_ = j.Close()
	got, _, _ := with(t, dir)
	if missing, err := lacks(got, want); err != nil || missing != 1 {
		t.Errorf("after a restart, %d messages are lost, %v", missing, err)
	}
}

func TestAReaderThatFollowsIsNotHeldUpByALeap(t *testing.T) {
	f, _ := small(t)
	dir := t.TempDir()
	f.store(t, dir)
	name := filepath.Join("jetstream", "$G", "streams", streamName, "msgs", "3.blk")
	files{name: append(slices.Clone(f[name]), 'x')}.store(t, dir)
	j, _ := open(t, dir, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var places []uint64
	got := make(chan uint64, 20)
	go func() {
		_ = j.Read(ctx, 12, true, func(m *Message) error { got <- m.Seq; return nil })
	}()
	next := publish(t, j, batch(1, 1))
	for len(places) == 0 || places[len(places)-1] != next {
		places = append(places, <-got)
	}
	if want := []uint64{13, 14, 14 + leap + 1}; !slices.Equal(places, want) {
		t.Errorf("places %d, want %d", places, want)
	}
}
