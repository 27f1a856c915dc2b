package netflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// receiver takes frames as the gate does.
type receiver struct {
	mu     sync.Mutex
	frames []bus.Frame
	busy   bool
	asked  int
	came   chan struct{}
}

func newReceiver() *receiver { return &receiver{came: make(chan struct{}, 1)} }

func (c *receiver) Submit(_ context.Context, frames ...bus.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	defer func() {
		select {
		case c.came <- struct{}{}:
		default:
		}
	}()
	if c.busy {
		return &listen.Busy{Reason: "test", Retry: 5 * time.Millisecond}
	}
	c.frames = append(c.frames, frames...)
	return nil
}

func (c *receiver) set(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = busy
}

func (c *receiver) lines() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.frames {
		for line := range strings.Lines(string(f.Data)) {
			out = append(out, fmt.Sprintf("%s %s %s %v: %s", f.Tenant, f.Sensor, f.Peer, f.Authenticated, strings.TrimSuffix(line, "\n")))
		}
	}
	return out
}

// until waits for a condition that Submit may bring about.
func (c *receiver) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-c.came:
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s did not come about; got %q", what, c.lines())
		}
	}
}

// echo makes a line of each word of a datagram; those that begin with = wait for Flush, one that begins with ! is bad.
type echo struct {
	emit func(netip.Addr, []byte)
	held []string
	from netip.Addr
}

func (e *echo) Datagram(from netip.Addr, _ time.Time, p []byte) error {
	e.from = from
	for _, word := range strings.Fields(string(p)) {
		switch word[0] {
		case '!':
			return errors.New("bad " + word)
		case '=':
			e.held = append(e.held, word)
		default:
			e.emit(from, []byte(word))
		}
	}
	return nil
}

func (e *echo) Advance(time.Time) {}

func (e *echo) Flush() {
	for _, word := range e.held {
		e.emit(e.from, []byte(word))
	}
}

func anyone(netip.AddrPort) (*listen.Binding, bool) {
	return &listen.Binding{Sensor: "edge", Tenant: "acme", Layer: tenant.LayerNetwork, Authenticated: true}, true
}

func start(t testing.TB, c Config, to listen.Submitter) *Listener {
	t.Helper()
	c.Name, c.Address = "test", "127.0.0.1:0"
	if c.BySource == nil {
		c.BySource = anyone
	}
	c.Translator = func(emit func(netip.Addr, []byte)) Translator { return &echo{emit: emit} }
	c.Refused = func(_ netip.Addr, reason error, p []byte) []byte { return []byte("refused " + reason.Error()) }
	l, err := Listen(c, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func send(t testing.TB, l *Listener, messages ...string) {
	t.Helper()
	conn, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, m := range messages {
		if _, err := conn.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFlowsAreHandedOnForTheSensorOfTheirExporter(t *testing.T) {
	to := newReceiver()
	l := start(t, Config{}, to)
	send(t, l, "one two", "three !four", "")
	to.until(t, "four lines", func() bool { return len(to.lines()) == 4 })
	want := []string{"acme edge 127.0.0.1 false: one", "acme edge 127.0.0.1 false: two", "acme edge 127.0.0.1 false: three", "acme edge 127.0.0.1 false: refused bad !four"}
	if d := cmp.Diff(want, to.lines()); d != "" {
		t.Error(d)
	}
	if s := l.Stats(); s.Datagrams != 2 || s.Flows != 4 || s.Bad != 1 || s.Dropped != 0 || s.Unbound != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAnExporterThatNothingBindsIsRefused(t *testing.T) {
	to := newReceiver()
	l := start(t, Config{BySource: func(netip.AddrPort) (*listen.Binding, bool) { return nil, false }}, to)
	send(t, l, "one", "two")
	to.until(t, "two refusals", func() bool { return l.Stats().Unbound == 2 })
	if n := len(to.lines()); n != 0 {
		t.Errorf("%d lines of nobody", n)
	}
}

func TestAStopHandsOnWhatWaits(t *testing.T) {
	to := newReceiver()
	to.set(true)
	l := start(t, Config{}, to)
	send(t, l, "one =two")
	to.until(t, "a first try", func() bool { to.mu.Lock(); defer to.mu.Unlock(); return to.asked > 0 })
	to.set(false)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"acme edge 127.0.0.1 false: one", "acme edge 127.0.0.1 false: =two"}, to.lines()); d != "" {
		t.Error(d)
	}
}

func TestAStopWaitsForRoomForWhatWaits(t *testing.T) {
	to := newReceiver()
	l := start(t, Config{QueueBytes: 500}, to)
	const n = 400
	send(t, l, strings.Repeat("=0123456789 ", n))
	to.until(t, "the datagram", func() bool { return l.Stats().Datagrams == 1 })
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Flows != n || s.Dropped != 0 || len(to.lines()) != n {
		t.Errorf("%+v, %d lines", s, len(to.lines()))
	}
}

func TestAStopThatRunsOutOfTimeCountsWhatIsLost(t *testing.T) {
	to := newReceiver()
	to.set(true)
	l := start(t, Config{}, to)
	send(t, l, "one two =three")
	to.until(t, "a first try", func() bool { to.mu.Lock(); defer to.mu.Unlock(); return to.asked > 0 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if s := l.Stats(); s.Dropped != 3 || s.Flows != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	to := newReceiver()
	to.set(true)
	l := start(t, Config{QueueBytes: 1000}, to)
	for range 100 {
		send(t, l, strings.Repeat("x", 100))
	}
	to.until(t, "drops", func() bool { s := l.Stats(); return s.Datagrams+s.KernelDropped == 100 && s.Dropped > 0 && s.Busy > 0 })
	to.set(false)
	to.until(t, "the rest", func() bool { s := l.Stats(); return s.Flows+s.Dropped == s.Datagrams && s.Flows > 0 })
	if s := l.Stats(); s.Flows > 10 {
		t.Errorf("%+v", s)
	}
}

func TestGarbageIsHandedOnWithMeasure(t *testing.T) {
	var r refusals
	at := time.Unix(1000, 0)
	passed := 0
	for range 3 * MaxRefused {
		if r.room(at) {
			passed++
		}
	}
	if passed != MaxRefused || !r.room(at.Add(time.Second)) {
		t.Errorf("%d passed within a second", passed)
	}
}

func TestTwoListenersCanNotShareAPort(t *testing.T) {
	l := start(t, Config{}, newReceiver())
	_, err := Listen(Config{Name: "b", Address: l.Addr().String(), BySource: anyone, Translator: l.config.Translator, Refused: l.config.Refused}, newReceiver())
	if err == nil || !strings.Contains(err.Error(), "flow collector b on udp") {
		t.Errorf("%v", err)
	}
	if _, err := Listen(Config{Name: "c", Address: "127.0.0.1:0"}, newReceiver()); err == nil {
		t.Error("a collector that binds nobody listens")
	}
}
