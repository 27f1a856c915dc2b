package listen

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestALaneOverItsShareWaitsOnlyWhileAWorkingPipelineIsBehind(t *testing.T) {
	for _, c := range []struct {
		name      string
		noisy     int           // records that the noisy lane has on the bus
		quiet     int           // records that the quiet one has
		quietSeen time.Duration // since it last submitted
		rate      int           // records that the pipeline did in a second
		ago       time.Duration // since it last did any
		busy      bool
	}{
		{"behind, and one holds nearly all", 20_000, 100, 0, 1000, 0, true},
		{"not behind by 0.3 s of its rate", 20_000, 100, 0, 100_000, 0, false},
		{"behind by more than 0.3 s of its rate", 40_000, 100, 0, 100_000, 0, true},
		{"not behind by 5,000 records", 4_000, 100, 0, 1000, 0, false},
		{"behind, and both hold the same", 10_000, 10_000, 0, 1000, 0, false},
		{"behind, and one holds a little more", 13_000, 9_000, 0, 1000, 0, false},
		{"the pipeline stands still", 20_000, 100, 0, 1000, 6 * time.Second, false},
		{"the pipeline never did anything", 20_000, 100, 0, 0, 0, false},
		{"the other has been silent", 20_000, 100, 6 * time.Second, 1000, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				g := open(t, m, GateOptions{LaneBytes: 1 << 30, AllBytes: 4 << 30})
				put := func(lane string, records int) {
					t.Helper()
					if err := g.Submit(t.Context(), frame(lane, lines(records, 2))); err != nil {
						t.Fatal(err)
					}
				}
				put("quiet", c.quiet)
				time.Sleep(c.quietSeen)
				put("noisy", c.noisy)
				g.Progress("of an earlier run", c.rate)
				time.Sleep(c.ago)
				if c.ago > 0 {
					put("quiet", 1)
				}
				err := g.Submit(t.Context(), frame("noisy", "x\n"))
				if (err != nil) != c.busy {
					t.Fatalf("noisy: %v", err)
				}
				if c.busy {
					if b := asBusy(t, err); b.Full || b.Retry < 50*time.Millisecond || b.Retry > 5*time.Second {
						t.Errorf("%+v", b)
					}
					if got := g.Stats().Lanes["noisy"].Refused[ReasonShare]; got != 1 {
						t.Errorf("%d refused", got)
					}
				}
				if err := g.Submit(t.Context(), frame("quiet", "x\n")); err != nil {
					t.Errorf("quiet: %v", err)
				}
			})
		})
	}
}

func TestALaneOverItsSharePassesOnceItIsWorkedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		g := open(t, m, GateOptions{})
		for lane, records := range map[string]int{"quiet": 10, "noisy": 10_000} {
			if err := g.Submit(t.Context(), frame(lane, lines(records, 2))); err != nil {
				t.Fatal(err)
			}
		}
		g.Progress("noisy", 1000)
		if err := g.Submit(t.Context(), frame("noisy", "x\n")); err == nil {
			t.Fatal("not refused at 9,000")
		}
		g.Progress("noisy", 4500)
		if err := g.Submit(t.Context(), frame("noisy", "x\n")); err != nil {
			t.Errorf("refused at 4,500: %v", err)
		}
		g.Progress("noisy", 1_000_000) // what an earlier run left counts as well
		if s := g.Stats(); s.Unfinished != 10 || s.Lanes["noisy"].Unfinished != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestOneLaneAloneIsNeverOverItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		g := open(t, m, GateOptions{})
		for range 20 {
			g.Progress("a", 10)
			if err := g.Submit(t.Context(), frame("a", lines(5000, 2))); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.records(); got != 100_000 {
			t.Errorf("%d records", got)
		}
	})
}
