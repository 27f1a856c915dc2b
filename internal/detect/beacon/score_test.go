package beacon

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func repeat(n int, v float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func level(n, v int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestEvennessIsAsComputedByHand(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		small  float64
		want   float64
	}{
		{"nothing", nil, 0, 0},
		{"always the same", repeat(9, 60), 0, 1},
		// Quartiles 2, 3, 4: no skew. Deviations 0 1 1 2 2, median 1, of 3: 2/3.
		{"one to five", []float64{5, 1, 4, 2, 3}, 0, (1 + 2.0/3) / 2},
		// Quartiles 10, 20, 60: skew (10+60-40)/50 = 0.6. Deviations 0 10 10 40 80, median 10, of 20: 0.5.
		{"skewed", []float64{10, 10, 20, 60, 100}, 0, (1 - 0.6 + 0.5) / 2},
		// Q1 is the median: one spike counts as no skew. Median 10, deviations 0 0 0 10 20: no dispersion.
		{"a spike with a tail", []float64{10, 10, 10, 20, 30}, 0, 1},
		{"a median below one", []float64{0, 0, 0, 0}, 0, 0.5},
		{"no bytes at all", []float64{0, 0, 0, 0}, 1, 1},
		// Quartiles 1, 2, 10 and the deviations 0 1 1 8 98: median 1, of 2: 0.5; skew (1+10-4)/9 = 7/9.
		{"very skewed", []float64{1, 1, 2, 10, 100}, 0, (1 - 7.0/9 + 0.5) / 2},
	} {
		if got := evenness(c.values, c.small); !near(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestHistogramAndDurationAreAsComputedByHand(t *testing.T) {
	half := append(level(12, 4), level(12, 0)...)
	two := append(level(12, 12), level(12, 3)...)
	long := append(level(3, 1), append(level(15, 0), level(6, 1)...)...)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"flat hours", flatness(level(24, 7)), 1},
		{"no hours", flatness(nil), 0},
		{"half of the day: deviation is the mean", flatness(half), 0},
		{"two levels: mean 7.5, deviation 4.5", flatness(two), 1 - 4.5/7.5},
		{"two levels fill the hours", twoLevels(two), 1},
		{"half of the day at one level", twoLevels(half), 1},
		{"ten hours are too few for levels", twoLevels(append(level(10, 4), level(14, 0)...)), 0},
		// Width ceil(120/20) = 6; every level has one hour but one, which has two: (2+1)/(12-1).
		{"hours that rise", twoLevels([]int{1, 13, 25, 37, 49, 61, 73, 85, 97, 109, 111, 120}), 3.0 / 11},
		{"six hours last too short", persistence(append(level(6, 9), level(18, 0)...), 0.3), 0},
		{"seven hours of twelve", persistence(append(level(7, 9), level(17, 0)...), 0.3), 7.0 / 12},
		{"coverage counts where it is more", persistence(append(level(7, 9), level(17, 0)...), 0.8), 0.8},
		{"a run goes on over midnight", persistence(long, 0), 9.0 / 12},
	} {
		if !near(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestScoreIsTheMeanOfWhatIsKnown(t *testing.T) {
	s := Sample{Intervals: repeat(99, 60), Sizes: repeat(99, 300), Hours: append(level(12, 60), level(12, 0)...), Covered: 0.5}
	// Intervals 1, sizes 1, hours max(0, 1), duration max(0.5, 12/12).
	if got := Score(s); !near(got.Total, 1) {
		t.Errorf("%+v", got)
	}
	s.Hours = append(level(9, 60), level(15, 0)...)
	// Hours: nine of 24, mean 22.5, deviation 29.05: 0; duration 9/12. (1+1+0+0.75)/4.
	if got := Score(s); !near(got.Total, 0.6875) {
		t.Errorf("%+v", got)
	}
	s.Sizes = nil
	if got := Score(s); !near(got.Total, 1.75/3) {
		t.Errorf("without sizes: %+v", got)
	}
}

// TestScoreKeepsItsBounds tries what no sensor should send.
func TestScoreKeepsItsBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		s := Sample{Covered: r.Float64() * 3}
		for range r.IntN(40) {
			s.Intervals = append(s.Intervals, math.Floor(r.ExpFloat64()*float64(r.IntN(1000))))
		}
		for range r.IntN(40) {
			s.Sizes = append(s.Sizes, float64(r.IntN(1+r.IntN(5000))))
		}
		for range r.IntN(25) {
			s.Hours = append(s.Hours, r.IntN(1+r.IntN(70000)))
		}
		x := Score(s)
		for _, v := range []float64{x.Timestamps, x.Sizes, x.Histogram, x.Duration, x.Total} {
			if math.IsNaN(v) || v < 0 || v > 1 {
				t.Fatalf("%+v gives %+v", s, x)
			}
		}
	}
}
