package sigma

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/detecttest"
)

func fresh(t *testing.T) func() detect.Detector {
	set := ruleSet(t, certutil)
	return func() detect.Detector { return NewDetector(set, detect.Context{Model: detecttest.Model()}) }
}

func TestItKeepsThePromisesOfADetector(t *testing.T) { detecttest.Promises(t, fresh(t)) }

func TestStateStaysBoundedOverAYear(t *testing.T) { detecttest.StaysBounded(t, fresh(t), 30) }

func TestLateEventsGrowTheirDayWhileItIsOpenAndNeverReplaceIt(t *testing.T) {
	g := detect.NewEngine("v7", NewDetector(ruleSet(t, certutil), detect.Context{}))
	for i := range 3 {
		g.Process(run("a", "WS", "joe", day.Add(time.Duration(i)*time.Minute)))
	}
	g.Process(run("a", "WS", "joe", day.Add(30*time.Hour)))
	counts := func() (out []int) {
		for _, f := range g.Findings() {
			out = append(out, f.Count)
		}
		return out
	}
	g.ProcessLate(run("a", "WS", "joe", day.Add(-time.Minute)))
	if diff := cmp.Diff([]int{4, 1}, counts()); diff != "" {
		t.Errorf("while its day is open: %s", diff)
	}
	g.Process(run("b", "WS", "joe", day.Add(60*time.Hour)))
	for range 2 {
		g.ProcessLate(run("a", "WS", "joe", day.Add(5*time.Minute)))
	}
	if diff := cmp.Diff([]int{4, 2, 1, 1}, counts()); diff != "" {
		t.Errorf("after its day was closed: %s", diff)
	}
}
