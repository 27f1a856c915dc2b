package listen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// memory is a bus that keeps batches, each after a while.
type memory struct {
	bus.Bus
	takes time.Duration
	gate  chan struct{} // where set, each Publish waits for one value

	mu      sync.Mutex
	err     error
	batches []bus.Batch
	at      []time.Duration
	start   time.Time
	writing int
	most    int
}

func (m *memory) Publish(ctx context.Context, b *bus.Batch) (uint64, error) {
	m.mu.Lock()
	m.writing++
	m.most = max(m.most, m.writing)
	m.mu.Unlock()
	defer func() { m.mu.Lock(); m.writing--; m.mu.Unlock() }()
	if m.takes > 0 {
		time.Sleep(m.takes)
	}
	if m.gate != nil {
		select {
		case <-m.gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return 0, m.err
	}
	m.batches = append(m.batches, *b)
	m.at = append(m.at, time.Since(m.start))
	return uint64(len(m.batches)), nil
}

func (m *memory) fail(err error) { m.mu.Lock(); m.err = err; m.mu.Unlock() }

// shown is a batch a line: lane, and the data of its frames.
func (m *memory) shown() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, b := range m.batches {
		line := b.Lane + ":"
		for _, f := range b.Frames {
			line += " " + strings.ReplaceAll(string(f.Data), "\n", ";")
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func (m *memory) records() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.batches {
		for _, f := range b.Frames {
			n += f.Records
		}
	}
	return n
}

func open(t *testing.T, m *memory, opt GateOptions) *Gate {
	m.start = time.Now()
	g := NewGate(m, opt)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		_ = g.Close(ctx)
	})
	return g
}

func frame(lane, data string) bus.Frame {
	return bus.Frame{Sensor: "s-" + lane, Tenant: tenant.ID(lane), Data: []byte(data), Records: countRecords([]byte(data))}
}

func lines(n int, size int) string {
	return strings.Repeat(strings.Repeat("x", size-1)+"\n", n)
}

func asBusy(t *testing.T, err error) *Busy {
	t.Helper()
	var b *Busy
	if !errors.As(err, &b) {
		t.Fatalf("%v, want busy", err)
	}
	return b
}

func TestFramesSubmittedTogetherBecomeOneBatchALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		g := open(t, m, GateOptions{})
		var wg sync.WaitGroup
		for i, at := range []time.Duration{0, 4 * time.Millisecond, 9 * time.Millisecond, 11 * time.Millisecond} {
			for _, lane := range []string{"a", "b"} {
				wg.Go(func() {
					time.Sleep(at)
					if err := g.Submit(t.Context(), frame(lane, fmt.Sprintf("%d\n", i))); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		got := strings.Split(m.shown(), "\n")
		slices.Sort(got)
		if d := cmp.Diff([]string{"a: 0; 1; 2;", "a: 3;", "b: 0; 1; 2;", "b: 3;"}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if m.at[0] != 10*time.Millisecond {
			t.Errorf("the first was written after %s, want 10ms", m.at[0])
		}
	})
}

func TestWhatComesDuringAWriteGoesTogetherWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{takes: 100 * time.Millisecond}
		g := open(t, m, GateOptions{})
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				if err := g.Submit(t.Context(), frame("a", fmt.Sprintf("%d\n", i))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(m.batches); n != 2 || m.at[1] != 210*time.Millisecond {
			t.Errorf("%d batches at %v: %s", n, m.at, m.shown())
		}
	})
}

func TestABatchKeepsItsLimitsAndNothingIsLostOrTurnedAround(t *testing.T) {
	for _, c := range []struct {
		name    string
		frames  []bus.Frame
		batches int
	}{
		{"as many records as fit", []bus.Frame{frame("a", lines(1000, 10))}, 1},
		{"one record more", []bus.Frame{frame("a", lines(1001, 10))}, 2},
		{"two frames that fit together", []bus.Frame{frame("a", lines(500, 10)), frame("a", lines(500, 10))}, 1},
		{"two frames that don't", []bus.Frame{frame("a", lines(501, 10)), frame("a", lines(500, 10))}, 2},
		{"more bytes than fit", []bus.Frame{frame("a", lines(100, 100<<10))}, 10},
		{"a record as large as a batch", []bus.Frame{frame("a", lines(1, 1<<20)), frame("a", "x\n")}, 2},
		{"a record larger than a batch goes alone", []bus.Frame{frame("a", "1\n"+lines(1, 6<<20)+"3\n")}, 3},
		{"a whole file larger than a batch goes alone", []bus.Frame{frame("a", "1\n"), {Tenant: "a", Whole: true, Data: []byte(lines(9000, 700))}, frame("a", "3\n")}, 3},
		{"empty lines count for nothing", []bus.Frame{frame("a", strings.Repeat("\n \r\n", 3000)+"1\n")}, 1},
		{"nothing at all is acknowledged", []bus.Frame{frame("a", "\n\n")}, 0},
		{"no line end at the end", []bus.Frame{frame("a", lines(1000, 10)+"x")}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				g := open(t, m, GateOptions{})
				var want bytes.Buffer
				for _, f := range c.frames {
					want.Write(f.Data)
				}
				if err := g.Submit(t.Context(), c.frames...); err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				for _, b := range m.batches {
					records, size := 0, 0
					for _, f := range b.Frames {
						records += f.Records
						size += len(f.Data)
						got.Write(f.Data)
					}
					if records > bus.MaxRecords || size > bus.MaxBytes && records > 1 {
						t.Errorf("a batch of %d records and %d bytes", records, size)
					}
				}
				if len(m.batches) != c.batches {
					t.Errorf("%d batches, want %d", len(m.batches), c.batches)
				}
				if strings.ReplaceAll(got.String(), "\n", "") != strings.ReplaceAll(want.String(), "\n", "") && c.batches > 0 && c.name != "empty lines count for nothing" {
					t.Error("the bus holds something else than was submitted")
				}
			})
		})
	}
}

func TestPartsOfAFrameKnowTheirPlace(t *testing.T) {
	f := frame("a", "\n"+lines(2500, 10))
	f.First, f.Head = 8, []byte("#fields\tts\n")
	parts, err := cutAll([]bus.Frame{f})
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for _, p := range parts {
		got += fmt.Sprintf("%d+%d %s", p.First, p.Records, p.Head)
	}
	if want := "8+1000 #fields\tts\n1009+1000 #fields\tts\n2009+500 #fields\tts\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestARecordThatFitsNowhereIsRefusedWithWhatToDo(t *testing.T) {
	for _, f := range []bus.Frame{
		{Sensor: "s", Tenant: "a", Whole: true, Data: make([]byte, MaxSingle+1)},
		{Sensor: "s", Tenant: "a", Data: []byte("x\n" + lines(1, MaxSingle+1))},
		{Sensor: "s", Tenant: "a", Head: make([]byte, 1), Data: []byte(lines(1, MaxSingle))},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{}
			g := open(t, m, GateOptions{})
			var large *TooLarge
			if err := g.Submit(t.Context(), frame("a", "1\n"), f); !errors.As(err, &large) || !strings.Contains(err.Error(), "split the file") {
				t.Errorf("%v", err)
			}
			if m.records() != 0 || g.Stats().Lanes["a"].Refused[ReasonTooLarge] == 0 {
				t.Errorf("%d records kept, %v", m.records(), g.Stats().Lanes["a"])
			}
		})
	}
}

func TestLanesHaveTheirTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{takes: 10 * time.Millisecond}
		g := open(t, m, GateOptions{Publishers: 1})
		var wg sync.WaitGroup
		wg.Go(func() { _ = g.Submit(t.Context(), frame("noisy", lines(50_000, 100))) })
		wg.Go(func() {
			time.Sleep(20 * time.Millisecond)
			for range 5 {
				was := time.Now()
				if err := g.Submit(t.Context(), frame("quiet", "x\n")); err != nil {
					t.Error(err)
				}
				if took := time.Since(was); took > 40*time.Millisecond {
					t.Errorf("a quiet lane waited %s behind a noisy one", took)
				}
			}
		})
		wg.Wait()
		if m.records() != 50_005 || m.most != 1 {
			t.Errorf("%d records, %d at once", m.records(), m.most)
		}
	})
}

func TestWaitingFramesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{gate: make(chan struct{})}
		g := open(t, m, GateOptions{LaneBytes: 4 << 20, AllBytes: 16 << 20, Publishers: 1})
		submit := func(lane string) error {
			ctx, stop := context.WithCancel(t.Context())
			t.Cleanup(stop)
			out := make(chan error, 1)
			go func() { out <- g.Submit(ctx, frame(lane, lines(1, 1<<20))) }()
			synctest.Wait()
			select {
			case err := <-out:
				return err
			default:
				return nil
			}
		}
		taken := 0
		for taken < 100 && submit("noisy") == nil {
			taken++
		}
		if taken < 3 || taken > 5 {
			t.Errorf("one lane got %d MiB in, want its 4", taken)
		}
		for i := range 200 { // many noisy ones
			_ = submit(fmt.Sprint("n", i%10))
		}
		if got := g.Stats().WaitingBytes; got > 16<<20 || got < 8<<20 {
			t.Errorf("%d bytes wait", got)
		}
		if b := asBusy(t, submit("noisy")); b.Full || b.Retry <= 0 || !strings.Contains(b.Reason, "wait for the disk") {
			t.Errorf("%+v", b)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		if err := g.Submit(ctx, frame("quiet", "x\n")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a quiet lane is refused while noisy ones fill the rest: %v", err)
		}
		close(m.gate)
	})
}

func TestAFullDiskRefusesAllAtOnceUntilTheBusTakesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{takes: 5 * time.Millisecond, err: fmt.Errorf("publish: %w", bus.ErrFull)}
		g := open(t, m, GateOptions{Publishers: 1})
		var wg sync.WaitGroup
		for i := range 20 { // one is written, the others wait: all get the answer
			wg.Go(func() {
				err := g.Submit(t.Context(), frame(fmt.Sprint(i), "x\n"))
				if b := asBusy(t, err); !b.Full || b.Retry <= 0 {
					t.Errorf("%+v", b)
				}
			})
		}
		wg.Wait()
		was := time.Now()
		if b := asBusy(t, g.Submit(t.Context(), frame("a", "x\n"))); !b.Full || time.Since(was) > 0 {
			t.Errorf("%+v after %s", b, time.Since(was))
		}
		if !g.Stats().Full {
			t.Error("stats don't say that the disk is full")
		}
		m.fail(nil)
		deadline := time.Now().Add(2 * time.Second)
		for g.Submit(t.Context(), frame("a", "y\n")) != nil {
			if time.Now().After(deadline) {
				t.Fatal("intake has not recovered")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := g.Submit(t.Context(), frame("b", "z\n")); err != nil || m.shown() != "a: y;\nb: z;" {
			t.Errorf("%v, %s", err, m.shown())
		}
	})
}

func TestAnErrorOfTheBusReachesItsOwnSendersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		m := &memory{err: broken}
		g := open(t, m, GateOptions{})
		err := g.Submit(t.Context(), frame("a", "x\n"))
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "1 records of a") {
			t.Errorf("%v", err)
		}
		m.fail(nil)
		if err := g.Submit(t.Context(), frame("a", "y\n")); err != nil || m.shown() != "a: y;" {
			t.Errorf("%v %q", err, m.shown())
		}
		if s := g.Stats(); s.Failed != 1 || s.Batches != 1 || s.Lanes["a"].Refused[ReasonFailed] != 1 || s.Unfinished != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestACallerWhoLeavesTakesBackWhatIsNotBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{gate: make(chan struct{})}
		g := open(t, m, GateOptions{Publishers: 1})
		go func() { _ = g.Submit(t.Context(), frame("a", "first\n")) }()
		time.Sleep(20 * time.Millisecond)
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		err := g.Submit(ctx, frame("a", "second\n"), frame("b", "third\n"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if s := g.Stats(); s.WaitingBytes != 0 {
			t.Errorf("%d bytes wait for nobody", s.WaitingBytes)
		}
		close(m.gate)
		if err := g.Submit(t.Context(), frame("a", "fourth\n")); err != nil || m.shown() != "a: first;\na: fourth;" {
			t.Errorf("%v %q", err, m.shown())
		}
		gone, stop2 := context.WithCancel(t.Context())
		stop2()
		if err := g.Submit(gone, frame("a", "fifth\n")); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

func TestCloseWritesWhatWaitsAndTakesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{takes: 50 * time.Millisecond, start: time.Now()}
		g := NewGate(m, GateOptions{})
		out := make(chan error, 1)
		go func() { out <- g.Submit(t.Context(), frame("a", lines(5000, 10))) }()
		time.Sleep(time.Millisecond)
		if err := g.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-out; err != nil || m.records() != 5000 {
			t.Errorf("%v, %d records", err, m.records())
		}
		if b := asBusy(t, g.Submit(t.Context(), frame("a", "x\n"))); !b.Full {
			t.Errorf("%+v", b)
		}
	})
}

func TestCloseGivesUpOnAStuckBusAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{gate: make(chan struct{})}
		g := NewGate(m, GateOptions{Publishers: 1})
		out := make(chan error, 2)
		go func() { out <- g.Submit(t.Context(), frame("a", "x\n")) }()
		go func() { out <- g.Submit(t.Context(), frame("b", "x\n")) }()
		time.Sleep(20 * time.Millisecond)
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := g.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 were refused") {
			t.Errorf("%v", err)
		}
		for range 2 {
			if err := <-out; err == nil {
				t.Error("acknowledged without being written")
			}
		}
	})
}

func TestQuotasHoldALaneToItsOwnRate(t *testing.T) {
	for _, c := range []struct {
		name  string
		quota Quota
		want  int // records in 10 s, with what the start gives
	}{
		{"events", Quota{EventsPerSecond: 100}, 1200},
		{"bytes", Quota{BytesPerSecond: 100 * (100 + 256)}, 1200}, // a frame weighs its data and 256 bytes
		{"none", Quota{}, 10000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				g := open(t, m, GateOptions{Linger: time.Nanosecond, Quota: func(lane string) Quota {
					if lane == "a" {
						return c.quota
					}
					return Quota{}
				}})
				for range 10_000 {
					if err := g.Submit(t.Context(), frame("a", lines(1, 100))); err != nil && (asBusy(t, err).Full || asBusy(t, err).Retry <= 0) {
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond)
				}
				got := m.records()
				if got < c.want*98/100 || got > c.want*102/100 {
					t.Errorf("%d records in 10 s, want about %d", got, c.want)
				}
				if refused := g.Stats().Lanes["a"].Refused[ReasonQuota]; int(refused)+got != 10_000 {
					t.Errorf("%d taken, %d refused", got, refused)
				}
				if err := g.Submit(t.Context(), frame("b", "x\n")); err != nil {
					t.Errorf("another lane: %v", err)
				}
			})
		})
	}
}

func TestASubmissionLargerThanItsQuotaPassesAndIsPaidForAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		g := open(t, m, GateOptions{Quota: func(string) Quota { return Quota{EventsPerSecond: 100} }})
		if err := g.Submit(t.Context(), frame("a", lines(1000, 10))); err != nil {
			t.Fatal(err)
		}
		b := asBusy(t, g.Submit(t.Context(), frame("a", "x\n")))
		if b.Retry < 7*time.Second || b.Retry > 9*time.Second {
			t.Errorf("try again in %s, want 8 s: 1000 of 100 a second, 200 at once", b.Retry)
		}
		time.Sleep(b.Retry)
		if err := g.Submit(t.Context(), frame("a", "x\n")); err != nil {
			t.Errorf("after the wait it was told: %v", err)
		}
	})
}
