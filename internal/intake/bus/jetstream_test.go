package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var received = time.Date(2026, 11, 22, 10, 30, 0, 123456789, time.UTC)

// batch gives a batch of one frame whose content its number decides.
func batch(n, bytesOf int) *Batch {
	line := fmt.Sprintf("%08d %s\n", n, strings.Repeat(fmt.Sprintf("%x", n*2654435761), bytesOf/8+1))
	return &Batch{Lane: fmt.Sprintf("tenant-%d", n%3), Frames: []Frame{{
		Sensor: "edge", Tenant: "acme", Layer: "network", Authenticated: n%2 == 0, Received: received.Add(time.Duration(n)),
		Peer: "192.0.2.7:40112", Name: "conn.log", Head: []byte("#fields ts"), First: int64(n), Key: fmt.Sprint("key-", n),
		Data: []byte(line), Records: 1,
	}}}
}

func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))
}

// damages collects what is reported.
type damages struct {
	mu   sync.Mutex
	text []string
}

func (d *damages) add(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text = append(d.text, s)
}

func (d *damages) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.text...)
}

func open(t testing.TB, dir string, o Options) (*JetStream, *damages) {
	t.Helper()
	d := &damages{}
	if o.Damage == nil {
		o.Damage = d.add
	}
	if o.Log == nil {
		o.Log = quiet()
	}
	if o.MinFree == 0 {
		o.MinFree = -1
	}
	j, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, d
}

func publish(t testing.TB, j *JetStream, b *Batch) uint64 {
	t.Helper()
	place, err := j.Publish(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// readAll gives what there is after a place.
func readAll(t testing.TB, j *JetStream, after uint64) map[uint64]Batch {
	t.Helper()
	got := map[uint64]Batch{}
	var last uint64
	if err := j.Read(t.Context(), after, false, func(m *Message) error {
		if m.Seq <= last {
			return fmt.Errorf("place %d came after %d", m.Seq, last)
		}
		last = m.Seq
		got[m.Seq] = m.Batch
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsPublishedIsReadInOrderAndAgainAfterARestart(t *testing.T) {
	dir := t.TempDir()
	j, d := open(t, dir, Options{})
	if first, last := j.Span(); first != 1 || last != 0 {
		t.Errorf("an empty bus spans %d to %d, want 1 to 0", first, last)
	}
	want := map[uint64]Batch{}
	for n := range 20 {
		b := batch(n, 300)
		want[publish(t, j, b)] = *b
	}
	if diff := cmp.Diff(want, readAll(t, j, 0)); diff != "" {
		t.Errorf("read differs from published (-want +got):\n%s", diff)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, d2 := open(t, dir, Options{})
	if diff := cmp.Diff(want, readAll(t, j, 0)); diff != "" {
		t.Errorf("after a restart, read differs from published (-want +got):\n%s", diff)
	}
	if place := publish(t, j, batch(20, 10)); place != 21 {
		t.Errorf("the first message after a restart takes place %d, want 21", place)
	}
	if got := readAll(t, j, 18); len(got) != 3 {
		t.Errorf("%d messages after place 18, want 3", len(got))
	}
	if all := append(d.all(), d2.all()...); len(all) > 0 {
		t.Errorf("damage reported of a sound store: %q", all)
	}
	if j.Bytes() < 1000 {
		t.Errorf("20 messages take %d bytes", j.Bytes())
	}
}

func TestReadersThatFollowGetEachMessageAtOnce(t *testing.T) {
	j, _ := open(t, t.TempDir(), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type arrival struct {
		seq uint64
		at  time.Time
	}
	got := make(chan arrival, 1)
	done := make(chan error, 1)
	go func() {
		done <- j.Read(ctx, 0, true, func(m *Message) error {
			got <- arrival{m.Seq, time.Now()}
			return nil
		})
	}()
	var worst time.Duration
	for n := range 50 {
		place := publish(t, j, batch(n, 100))
		acked := time.Now()
		select {
		case a := <-got:
			if a.seq != place {
				t.Fatalf("place %d came, want %d", a.seq, place)
			}
			worst = max(worst, a.at.Sub(acked))
		case <-time.After(10 * time.Second):
			t.Fatalf("place %d did not come within 10 s", place)
		}
	}
	t.Logf("worst delay from acknowledged to read: %s", worst)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled reader returns %v", err)
	}
}

func TestPublishersMayBeMany(t *testing.T) {
	j, _ := open(t, t.TempDir(), Options{})
	const publishers, each = 8, 20
	var mu sync.Mutex
	want := map[uint64]Batch{}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for n := range each {
				b := batch(p*each+n, 50)
				place, err := j.Publish(t.Context(), b)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[place] = *b
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(want) != publishers*each {
		t.Errorf("%d places for %d batches", len(want), publishers*each)
	}
	if diff := cmp.Diff(want, readAll(t, j, 0)); diff != "" {
		t.Errorf("read differs from published (-want +got):\n%s", diff)
	}
}

// noise gives bytes that do not compress.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	x := seed*0x9E3779B97F4A7C15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

func large(n int) *Batch {
	b := batch(n, 10)
	b.Frames[0].Data = noise(1<<20, uint64(n))
	return b
}

func TestTrimGivesRoomBackByBlocksAndHidesTheRest(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir, Options{})
	for n := range 30 {
		publish(t, j, large(n))
	}
	before := taken(dir)
	if err := j.Trim(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	if first, last := j.Span(); first != 21 || last != 30 {
		t.Errorf("it spans %d to %d, want 21 to 30", first, last)
	}
	if after := taken(dir); after > before/2+(4<<20) {
		t.Errorf("%d of %d bytes are left after two thirds were trimmed", after, before)
	}
	if got := readAll(t, j, 0); len(got) != 10 || got[20].Lane != "" {
		t.Errorf("%d messages are given, want 10, none of them trimmed", len(got))
	}
	if err := j.Trim(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	if first, last := j.Span(); first != 31 || last != 30 {
		t.Errorf("trimmed empty, it spans %d to %d, want 31 to 30", first, last)
	}
	if place := publish(t, j, batch(99, 10)); place != 31 {
		t.Errorf("after a trim, a message takes place %d, want 31", place)
	}
	_ = j.Close()
	j, d := open(t, dir, Options{})
	got := readAll(t, j, 30)
	if diff := cmp.Diff(map[uint64]Batch{31: *batch(99, 10)}, got); diff != "" {
		t.Errorf("after trim and restart (-want +got):\n%s", diff)
	}
	if len(d.all()) > 0 {
		t.Errorf("damage reported of a trimmed store: %q", d.all())
	}
}

func TestTrimmingBehindAReaderTakesNothingFromIt(t *testing.T) {
	j, d := open(t, t.TempDir(), Options{})
	const messages = 60
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan uint64, messages)
	done := make(chan error, 1)
	go func() {
		done <- j.Read(ctx, 0, true, func(m *Message) error {
			got <- m.Seq
			return j.Trim(ctx, m.Seq-1)
		})
	}()
	for n := range messages {
		publish(t, j, large(n))
	}
	for want := uint64(1); want <= messages; want++ {
		select {
		case place := <-got:
			if place != want {
				t.Fatalf("place %d came, want %d", place, want)
			}
		case err := <-done:
			t.Fatalf("the reader ended before place %d: %v", want, err)
		}
	}
	cancel()
	<-done
	if taken(j.dir) > 24<<20 || len(d.all()) > 0 {
		t.Errorf("%d bytes are left; reported: %q", taken(j.dir), d.all())
	}
}

func TestANewBlockWhoseNameIsNotSyncedIsNoticed(t *testing.T) {
	j, _ := open(t, t.TempDir(), Options{})
	for n := range 18 {
		publish(t, j, large(n))
	}
	list, err := blocks(blockDir(j.dir))
	if err != nil || len(list) < 2 {
		t.Fatalf("%d blocks, %v", len(list), err)
	}
	if j.newest != list[len(list)-1].index {
		t.Errorf("the name of block %d is synced, the newest is %d", j.newest, list[len(list)-1].index)
	}
}

func TestASlowReaderKeepsMemoryFlatAndOthersGoOn(t *testing.T) {
	j, _ := open(t, t.TempDir(), Options{})
	slow := make(chan struct{})
	var seen atomic.Int64
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		done <- j.Read(ctx, 0, true, func(*Message) error {
			seen.Add(1)
			select {
			case <-slow:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	for n := range 40 {
		publish(t, j, large(n))
	}
	if n := len(readAll(t, j, 0)); n != 40 {
		t.Errorf("beside a reader that stands, %d messages are read, want 40", n)
	}
	if seen.Load() != 1 {
		t.Errorf("a reader that took one message was given %d", seen.Load())
	}
	cancel()
	<-done
}

func TestOptionsBoundTheDisk(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir, Options{MinFree: 1 << 60})
	if _, err := j.Publish(t.Context(), batch(1, 10)); !errors.Is(err, ErrFull) {
		t.Errorf("without the free space asked for, Publish returns %v, want ErrFull", err)
	}
	_ = j.Close()
	j, _ = open(t, dir, Options{MaxBytes: 4 << 20})
	var err error
	var kept int
	for n := range 10 {
		if _, err = j.Publish(t.Context(), large(n)); err != nil {
			break
		}
		kept++
	}
	if !errors.Is(err, ErrFull) || kept == 0 || kept > 4 {
		t.Errorf("with 4 MiB, %d messages of 1 MiB were kept, then %v", kept, err)
	}
	if n := len(readAll(t, j, 0)); n != kept {
		t.Errorf("%d messages are read, %d were acknowledged", n, kept)
	}
}

func TestTooLargeIsSaid(t *testing.T) {
	j, _ := open(t, t.TempDir(), Options{})
	b := batch(1, 10)
	b.Frames[0].Data = noise(MaxPayload+1, 1)
	if _, err := j.Publish(t.Context(), b); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a batch over the limit gives %v, want ErrTooLarge", err)
	}
	b.Frames[0].Data = noise(MaxPayload-4096, 1)
	place := publish(t, j, b)
	if got := readAll(t, j, 0)[place]; !bytes.Equal(got.Frames[0].Data, b.Frames[0].Data) {
		t.Error("the largest batch is not read as it was published")
	}
}

func TestAClosedBusSaysSo(t *testing.T) {
	j, _ := open(t, t.TempDir(), Options{})
	reading := make(chan error, 1)
	started := make(chan struct{})
	publish(t, j, batch(1, 1))
	go func() {
		reading <- j.Read(context.Background(), 0, true, func(*Message) error { close(started); return nil })
	}()
	<-started
	for range 2 {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-reading; !errors.Is(err, ErrClosed) {
		t.Errorf("a reader of a closed bus returns %v", err)
	}
	if _, err := j.Publish(t.Context(), batch(1, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Publish on a closed bus returns %v", err)
	}
	if err := j.Trim(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("Trim on a closed bus returns %v", err)
	}
}

func TestNewPlacesComeAfterTheFloor(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir, Options{})
	publish(t, j, batch(1, 10))
	_ = j.Close()
	j, _ = open(t, dir, Options{Floor: 500})
	if place := publish(t, j, batch(2, 10)); place != 501 {
		t.Errorf("with a floor of 500, a message takes place %d", place)
	}
	_ = j.Close()
	j, d := open(t, dir, Options{Floor: 500})
	if place := publish(t, j, batch(3, 10)); place != 502 {
		t.Errorf("the next one takes place %d", place)
	}
	if diff := cmp.Diff(map[uint64]Batch{1: *batch(1, 10), 501: *batch(2, 10), 502: *batch(3, 10)}, readAll(t, j, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(d.all()) > 0 {
		t.Errorf("damage reported: %q", d.all())
	}
}

func TestSubjectsAreSafe(t *testing.T) {
	seen := map[string]string{}
	for lane, plain := range map[string]bool{
		"acme": true, "Acme-2_x": true, "": false, "a.b": false, "a:b": false, "sensor:x *": false, ">": false, strings.Repeat("a", 100): false,
	} {
		got := subjectOf(lane)
		if (got == subjectPrefix+lane) != plain || len(got) > maxSubject || !strings.HasPrefix(got, subjectPrefix) || strings.ContainsAny(got[len(subjectPrefix):], ".*> \x00") {
			t.Errorf("lane %q: subject %q", lane, got)
		}
		if other, twice := seen[got]; twice {
			t.Errorf("lanes %q and %q share the subject %q", lane, other, got)
		}
		seen[got] = lane
	}
}
