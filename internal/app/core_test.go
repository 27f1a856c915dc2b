package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// setupOf is a setup of a configuration as serve makes it.
func setupOf(t *testing.T, yaml string) *Setup {
	t.Helper()
	s := &Setup{Model: &tenant.Model{Version: "none"}}
	if yaml != "" {
		f, err := config.Parse(ConfigName, []byte(yaml))
		if err != nil {
			t.Fatal(err)
		}
		s.Config, s.Model = f, f.Model
	}
	if err := s.loadRules(""); err != nil {
		t.Fatal(err)
	}
	return s
}

const twoTenants = `
tenants:
  - {id: acme, name: Acme, role: client, networks: [10.1.0.0/16]}
  - {id: borg, name: Borg, role: client, networks: [10.2.0.0/16]}
sensors:
  - {match: {exporter: relay}, name: relay, tenant_by: {field: site, map: {a: acme, b: borg}}}
`

// conn is a Zeek connection as JSON.
func conn(uid string, at time.Time) string {
	return fmt.Sprintf(`{"_path":"conn","ts":%d.%06d,"uid":"%s","id.orig_h":"10.1.0.4","id.orig_p":40000,"id.resp_h":"10.1.0.9","id.resp_p":443,"proto":"tcp","conn_state":"SF"}`+"\n",
		at.Unix(), at.Nanosecond()/1000, uid)
}

func lines(sensor string, id tenant.ID, key string, list ...string) bus.Frame {
	return bus.Frame{Sensor: sensor, Tenant: id, Authenticated: true, Received: time.Now(), First: 1, Key: key, Data: []byte(strings.Join(list, "")), Records: len(list)}
}

// running starts a live pipeline and returns how to send to it and how to wait for its settled answer.
func running(t *testing.T, s *Setup, bad func([]badRecord, uint64) error) (*live, *memoryBus, func(...bus.Frame) *Answer) {
	t.Helper()
	b := newMemoryBus()
	if bad == nil {
		bad = func([]badRecord, uint64) error { return nil }
	}
	l, err := newLive(liveOptions{setup: s, bus: b, dir: t.TempDir(), every: 100 * time.Millisecond, settle: 10 * time.Millisecond,
		log: slog.New(slog.NewTextHandler(io.Discard, nil)), bad: bad})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l, b, func(list ...bus.Frame) *Answer {
		t.Helper()
		var last uint64
		for _, f := range list {
			seq, err := b.Publish(t.Context(), &bus.Batch{Lane: "x", Frames: []bus.Frame{f}})
			if err != nil {
				t.Fatal(err)
			}
			last = seq
		}
		return until(t, l, "the answer settles", func(a *Answer) bool { return a.Seq >= last && a.Settled })
	}
}

func counted(a *Answer, id tenant.ID) (events, late, unparsed int64) {
	for _, r := range a.Coverage {
		if r.Tenant == id {
			events, late, unparsed = events+r.Events, late+r.Late, unparsed+r.Unparsed
		}
	}
	return events, late, unparsed
}

func TestARepeatedRequestCountsOnce(t *testing.T) {
	_, _, send := running(t, setupOf(t, twoTenants), nil)
	now := time.Now()
	same := `{"message":"the same","@timestamp":"` + now.UTC().Format(time.RFC3339) + `"}` + "\n"
	first := lines("fw", "acme", "", conn("C1", now), conn("C2", now))
	a := send(first, first, lines("fw", "acme", "k1", same, same), lines("fw", "acme", "k1", same, same), lines("fw", "acme", "k2", same),
		lines("plain", "acme", "", same, same), lines("plain", "acme", "", same, same))
	if n, _, _ := counted(a, "acme"); n != 7 {
		t.Errorf("%d events: two connections, two equal lines of one request, one of another, and two of a request without a key make 7", n)
	}
}

func TestLatenessIsAgainstTheSensorsOwnLatest(t *testing.T) {
	_, _, send := running(t, setupOf(t, twoTenants), nil)
	now := time.Now()
	a := send(lines("fw", "acme", "", conn("C1", now)), lines("fw", "acme", "", conn("C2", now.Add(-90*time.Second))),
		lines("fw", "acme", "", conn("C3", now.Add(-10*time.Minute))), lines("other", "acme", "", conn("C4", now.Add(-10*time.Minute))))
	if n, late, _ := counted(a, "acme"); n != 4 || late != 1 {
		t.Errorf("%d events, %d late; one is more than two minutes behind its own sensor", n, late)
	}
}

func TestAMapNamesItsTenantsAlone(t *testing.T) {
	var kept []badRecord
	_, _, send := running(t, setupOf(t, twoTenants+"  - {match: {path: \"theirs/*\"}, tenant: borg}\n"), func(list []badRecord, _ uint64) error { kept = append(kept, list...); return nil })
	record := func(site string) string {
		return fmt.Sprintf(`{"site":%q,"message":"m %s","@timestamp":"2026-09-07T10:00:00Z","tenant":"borg"}`+"\n", site, site)
	}
	named := lines("unknown", "", "", record("b"))
	named.Name = "theirs/x.json"
	a := send(lines("relay", "", "", record("a"), record("B"), record("c"), record("borg"), record("")), named)
	n, _, _ := counted(a, "acme")
	m, _, _ := counted(a, "borg")
	if n != 1 || m != 1 || len(kept) != 4 {
		t.Errorf("acme has %d, borg %d, %d are dead letters", n, m, len(kept))
	}
	for _, b := range kept {
		if b.tenant != "" || !strings.Contains(b.reason, "no tenant") && !strings.Contains(b.reason, "no sensor") {
			t.Errorf("%q is %q's: %s", b.raw, b.tenant, b.reason)
		}
	}
}

func TestWhatCannotBeReadIsKeptWithItsReason(t *testing.T) {
	var kept []badRecord
	_, _, send := running(t, setupOf(t, twoTenants), func(list []badRecord, _ uint64) error { kept = append(kept, list...); return nil })
	a := send(lines("fw", "acme", "", conn("C1", time.Now()), "{\"broken\n", conn("C2", time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC))), lines("fw", "acme", "", "just text\n", "more\n"))
	n, _, unparsed := counted(a, "acme")
	if n+unparsed != 5 || unparsed != int64(len(kept)) || unparsed < 3 {
		t.Errorf("%d events and %d unparsed of 5 records; %d kept", n, unparsed, len(kept))
	}
	for _, b := range kept {
		if b.reason == "" || len(bytes.TrimSpace(b.raw)) == 0 || b.sensor != "fw" {
			t.Errorf("%+v", b)
		}
	}
}

func TestAClockAheadHoldsNobodyUp(t *testing.T) {
	l, _, send := running(t, setupOf(t, twoTenants), nil)
	now := time.Now()
	a := send(lines("fw", "acme", "", conn("C1", now.Add(5*time.Hour))), lines("dns", "acme", "", conn("C2", now)), lines("fw2", "borg", "", conn("C3", now.Add(time.Second))))
	if n, late, _ := counted(a, "acme"); n != 2 || late != 0 {
		t.Errorf("%d events, %d late", n, late)
	}
	if n := l.stats.rebuilds.Load(); n != 0 {
		t.Errorf("%d rebuilds for a sensor whose clock is wrong", n)
	}
}

func TestAReloadCarriesTheStateOver(t *testing.T) {
	s := setupOf(t, twoTenants)
	l, _, send := running(t, s, nil)
	now := time.Now()
	before := send(lines("fw", "acme", "", conn("C1", now)))
	next := setupOf(t, twoTenants+"  - {match: {exporter: more}, tenant: acme}\n")
	if next.Model.Version == s.Model.Version {
		t.Fatal("the configurations have one version")
	}
	failed := make(chan error, 1)
	l.do(func() { failed <- l.reload(next) })
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	after := send(lines("fw", "acme", "", conn("C1", now)), lines("fw", "acme", "", conn("C2", now)))
	if n, _, _ := counted(after, "acme"); n != 2 {
		t.Errorf("%d events after the reload; one was there, is repeated, and one is new", n)
	}
	if before.Result.Input.Snapshot == after.Result.Input.Snapshot {
		t.Error("the answer does not tell that it rests on another configuration")
	}
}

func TestAFailingDetectorStopsNobody(t *testing.T) {
	s := setupOf(t, twoTenants)
	l, _, send := running(t, s, nil)
	var told []string
	broken := make(chan struct{})
	l.do(func() {
		l.core.failed = func(e *ocsf.Event, _ any) { told = append(told, e.SourceID) }
		l.core.telemetry = nil // whatever is taken fails
		close(broken)
	})
	<-broken
	b, err := l.bus.Publish(t.Context(), &bus.Batch{Lane: "acme", Frames: []bus.Frame{lines("fw", "acme", "", conn("C1", time.Now()), conn("C2", time.Now()))}})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Minute)
	for l.stats.seq.Load() < int64(b) || l.stats.waiting.Load() > 0 {
		if time.Now().After(end) {
			t.Fatal("the pipeline stands still")
		}
		time.Sleep(time.Millisecond)
	}
	mended := make(chan struct{})
	l.do(func() { l.core.telemetry = campaign.NewTelemetry(); close(mended) })
	<-mended
	a := send(lines("fw", "acme", "", conn("C3", time.Now())))
	if n, _, _ := counted(a, "acme"); n != 3 || len(told) != 2 {
		t.Errorf("%d events are counted, %v could not be taken", n, told)
	}
}
