package listen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

func keyed(sensor, key, data string) bus.Frame {
	f := frame("a", data)
	f.Sensor, f.Key = sensor, key
	return f
}

func TestARepeatedRequestIsAcknowledgedAndKeptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{takes: 50 * time.Millisecond}
		g := open(t, m, GateOptions{})
		var wg sync.WaitGroup
		for i := range 20 { // before, during and after the first is written
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 5 * time.Millisecond)
				if err := g.Submit(t.Context(), keyed("s", "k", "x\n"), keyed("s", "k", "y\n")); err != nil {
					t.Error(err)
				}
				if m.records() == 0 {
					t.Error("acknowledged before it was written")
				}
			})
		}
		wg.Wait()
		if m.records() != 2 || g.Stats().Repeated != 38 {
			t.Errorf("%d records, %d repeated", m.records(), g.Stats().Repeated)
		}
	})
}

func TestAKeyMeansNothingWithoutItsSensor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		g := open(t, m, GateOptions{})
		for _, f := range []bus.Frame{keyed("s", "k", "x\n"), keyed("other", "k", "x\n"), keyed("s", "k2", "x\n"), keyed("s", "", "x\n"), keyed("s", "", "x\n")} {
			if err := g.Submit(t.Context(), f); err != nil {
				t.Error(err)
			}
		}
		if m.records() != 5 {
			t.Errorf("%d records", m.records())
		}
	})
}

func TestAKeyThatIsUsedForOtherDataIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		g := open(t, m, GateOptions{})
		if err := g.Submit(t.Context(), keyed("s", "k", "x\n")); err != nil {
			t.Fatal(err)
		}
		if err := g.Submit(t.Context(), keyed("s", "k", "y\n")); !errors.Is(err, ErrKeyReused) {
			t.Errorf("%v", err)
		}
	})
}

func TestARequestThatFailedMayBeSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{takes: 50 * time.Millisecond, err: errors.New("broken")}
		g := open(t, m, GateOptions{})
		var wg sync.WaitGroup
		for range 3 { // the first's outcome is everybody's
			wg.Go(func() {
				if err := g.Submit(t.Context(), keyed("s", "k", "x\n")); err == nil {
					t.Error("acknowledged")
				}
			})
		}
		wg.Wait()
		m.fail(nil)
		if err := g.Submit(t.Context(), keyed("s", "k", "x\n")); err != nil || m.records() != 1 {
			t.Errorf("%v, %d records", err, m.records())
		}
	})
}

func TestTheFirstMayLeaveWhileAnotherWaitsForItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{gate: make(chan struct{})}
		g := open(t, m, GateOptions{Publishers: 1})
		go func() { _ = g.Submit(t.Context(), frame("a", "before\n")) }()
		time.Sleep(20 * time.Millisecond)
		first, leave := context.WithCancel(t.Context())
		out := make(chan error, 2)
		go func() { out <- g.Submit(first, keyed("s", "k", "x\n")) }()
		synctest.Wait()
		go func() { out <- g.Submit(t.Context(), keyed("s", "k", "x\n")) }()
		synctest.Wait()
		leave()
		if err := <-out; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		close(m.gate)
		if err := <-out; err != nil || m.shown() != "a: before;\na: x;" {
			t.Errorf("%v %q", err, m.shown())
		}
	})
}

func TestKeysAreForgottenOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		g := open(t, m, GateOptions{Keys: 3, Linger: time.Nanosecond})
		send := func(k int) bool {
			before := m.records()
			if err := g.Submit(t.Context(), keyed("s", fmt.Sprint(k), "x\n")); err != nil {
				t.Fatal(err)
			}
			return m.records() > before
		}
		for _, c := range []struct {
			key  int
			kept bool
		}{{1, true}, {2, true}, {3, true}, {1, false}, {4, true}, {1, false}, {2, true}} {
			if got := send(c.key); got != c.kept {
				t.Errorf("key %d: kept %v, want %v", c.key, got, c.kept)
			}
		}
		if n := len(g.keys.entries); n != 3 {
			t.Errorf("%d keys are remembered", n)
		}
	})
}
