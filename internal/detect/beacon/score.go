package beacon

import (
	"math"
	"slices"
)

// Figures of the published score (RITA's default configuration and the pull requests 69, 742, 792, 793 and 794 of
// activecm/rita-legacy, which describe the method).
const (
	weight          = 0.25 // of each of the four scores
	minHoursSeen    = 6    // the duration counts where contacts fell into more hours than this
	idealRun        = 12   // consecutive hours that give the consistency its full score
	bimodalHours    = 11   // hours seen from which two levels are looked for
	bimodalPart     = 0.05 // of the busiest hour: how wide one level is
	bimodalOutliers = 1    // hours that may lie on no level
)

// Scores are the four parts of the published beacon score, and their mean, each from 0 to 1.
type Scores struct {
	Timestamps float64 // how regular the intervals are
	Sizes      float64 // how equal the sent bytes are
	Histogram  float64 // how even the hours are
	Duration   float64 // how much of the time is covered
	Total      float64
}

// Sample is what the score is made of.
type Sample struct {
	Intervals []float64 // seconds between contacts that followed one another
	Sizes     []float64 // bytes that the source sent; empty where no sensor tells
	Hours     []int     // contacts of each hour looked at, oldest first
	Covered   float64   // part of the time looked at that lies between the first and the last contact, 0 to 1
}

// Score computes the published score: the mean of four, by RITA's method (activecm/rita v5, analysis of beacons).
// Where no size is known the mean is that of the other three.
func Score(s Sample) Scores {
	out := Scores{
		Timestamps: evenness(s.Intervals, 0),
		Sizes:      evenness(s.Sizes, 1),
		Histogram:  max(flatness(s.Hours), twoLevels(s.Hours)),
		Duration:   persistence(s.Hours, s.Covered),
	}
	sum := out.Timestamps + out.Histogram + out.Duration
	if len(s.Sizes) == 0 {
		out.Total = sum / 3
	} else {
		out.Total = weight * (sum + out.Sizes)
	}
	return out
}

// evenness is the mean of two scores over values: how symmetric their middle half lies (Bowley's skewness), and how
// small their median deviation from the median is, as part of the median. Small stands for the second where the
// median is below one, since parts of it mean nothing there.
func evenness(values []float64, small float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Clone(values)
	slices.Sort(v)
	q1, q2, q3 := quantile(v, 0.25), quantile(v, 0.5), quantile(v, 0.75)
	skew := 0.0
	// Where a quartile is the median the measure says 1 or -1 of what is one sharp spike.
	if q1 != q2 && q2 != q3 {
		skew = (q1 + q3 - 2*q2) / (q3 - q1)
	}
	dispersion := small
	if q2 >= 1 {
		for i, x := range v {
			v[i] = math.Abs(x - q2)
		}
		slices.Sort(v)
		dispersion = max(0, (q2-quantile(v, 0.5))/q2)
	}
	return (1 - math.Abs(skew) + dispersion) / 2
}

// quantile returns a quantile of sorted values, between two of them where it falls there.
func quantile(sorted []float64, p float64) float64 {
	at := float64(len(sorted)-1) * p
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (sorted[i+1]-sorted[i])*(at-float64(i))
}

// flatness is one less the coefficient of variation of the hours, and not below 0.
func flatness(hours []int) float64 {
	sum := 0
	for _, n := range hours {
		sum += n
	}
	if sum == 0 {
		return 0
	}
	mean, dev := float64(sum)/float64(len(hours)), 0.0
	for _, n := range hours {
		dev += (float64(n) - mean) * (float64(n) - mean)
	}
	return max(0, 1-math.Sqrt(dev/float64(len(hours)))/mean)
}

// twoLevels is the part of the hours with contacts that lie on the two commonest levels: a beacon that changes its
// pace once, or takes turns. Levels are as wide as a twentieth of the busiest hour.
func twoLevels(hours []int) float64 {
	seen := 0
	for _, n := range hours {
		if n > 0 {
			seen++
		}
	}
	if seen < bimodalHours {
		return 0
	}
	width := int(math.Ceil(float64(slices.Max(hours)) * bimodalPart))
	levels := map[int]int{}
	for _, n := range hours {
		if n > 0 {
			levels[n/width]++
		}
	}
	first, second := 0, 0
	for _, n := range levels {
		switch {
		case n > first:
			first, second = n, first
		case n > second:
			second = n
		}
	}
	return min(1, float64(first+second)/float64(seen-bimodalOutliers))
}

// persistence is the larger of how much of the time the contacts cover, and of their longest run of consecutive
// hours, where a run may go on from the last hour to the first.
func persistence(hours []int, covered float64) float64 {
	seen := hoursSeen(hours)
	if seen <= minHoursSeen {
		return 0
	}
	run, longest := 0, 0
	for i := range 2 * len(hours) {
		if hours[i%len(hours)] == 0 {
			run = 0
			continue
		}
		run++
		longest = max(longest, min(run, len(hours)))
	}
	return max(min(1, covered), min(1, float64(longest)/idealRun))
}

// hoursSeen counts the hours in which there was a contact.
func hoursSeen(hours []int) (n int) {
	for _, h := range hours {
		if h > 0 {
			n++
		}
	}
	return n
}
