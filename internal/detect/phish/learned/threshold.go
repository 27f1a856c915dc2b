package learned

import (
	"cmp"
	"math"
	"slices"
)

// spare is the recall that is given up for distance: where held-out mail is easy to tell apart, the threshold for the
// wanted rate lies close to legitimate mail, and mail of a kind that training does not show would lie above it.
const spare = 0.015

// thresholds sets both thresholds on held-out mail, and tells what they give. The intercept is set so that the
// threshold is an even chance, as it is without a model: reasons that training says nothing of, a partner's new habits
// above all, then weigh what they weigh without one.
func (m *Model) thresholds(held []point, r *Report) {
	var hamPrior, spamPrior []float64
	need := [2][]float64{} // the intercept from which on a message is above an even chance
	for i := range held {
		h := &held[i]
		k := btoi(h.phish)
		need[k] = append(need[k], m.intercept(h))
		if h.phish {
			spamPrior = append(spamPrior, h.prior.Odds)
		} else {
			hamPrior = append(hamPrior, h.prior.Odds)
		}
	}
	slices.Sort(need[0])
	slices.Sort(need[1])
	wanted := min(need[0][min(int(m.WantedFPR*float64(len(need[0]))), len(need[0])-1)], m.stack[0])
	if math.IsInf(wanted, 0) {
		wanted = m.stack[0]
	}
	wanted = math.Nextafter(wanted, math.Inf(-1)) - 1e-9
	found, _ := slices.BinarySearch(need[1], wanted)
	m.stack[0] = wanted
	if k := found - int(spare*float64(len(need[1]))) - 1; k >= 0 && need[1][k] < wanted && !math.IsInf(need[1][k], 0) {
		m.stack[0] = need[1][k] + 1e-9
	}
	var odds [2][]float64
	scores, phish := make([]float64, 0, len(held)), make([]bool, 0, len(held))
	for i := range held {
		h := &held[i]
		o := m.odds(h)
		k := btoi(h.phish)
		odds[k] = append(odds[k], o)
		p := max(1e-15, min(1-1e-15, sigmoid(o-Base)))
		if !h.phish {
			p = 1 - p
		}
		r.LogLoss -= math.Log(p) / (2 * float64(len(need[k])))
		scores, phish = append(scores, sigmoid(o)), append(phish, h.phish)
	}
	strict := max(cut(odds[0], m.WantedFPR/10), 0)
	m.Threshold, m.StrictThreshold = sigmoid(0), min(sigmoid(strict), 1-1e-12)
	r.FPR, r.Recall = share(odds[0], 0), share(odds[1], 0)
	r.StrictFPR, r.Strict = share(odds[0], strict), share(odds[1], strict)
	r.Prior = share(spamPrior, cut(hamPrior, m.WantedFPR))
	r.Bins = Reliability(scores, phish)
}

// intercept returns the intercept from which on the message is at an even chance or above.
func (m *Model) intercept(p *point) float64 {
	if p.support < 1e-9 {
		if shipped(p) >= 0 {
			return math.Inf(-1)
		}
		return math.Inf(1)
	}
	return -m.trained(p) - (1-p.support)/p.support*shipped(p)
}

// cut returns a value that at most a share of the list reaches.
func cut(list []float64, wanted float64) float64 {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b float64) int { return cmp.Compare(b, a) })
	k := int(wanted * float64(len(sorted)))
	if k >= len(sorted) {
		k = len(sorted) - 1
	}
	return math.Nextafter(sorted[k], math.Inf(1)) + 1e-9
}

func share(list []float64, at float64) float64 {
	n := 0
	for _, x := range list {
		if x >= at {
			n++
		}
	}
	return float64(n) / float64(max(1, len(list)))
}

// Bin is one line of a reliability table: of messages whose score lies in it, how many were phishing.
type Bin struct {
	From, To float64 // score
	Messages int
	Mean     float64 // score
	Phish    float64 // share of phishing, if one message in 55 were phishing
}

// binEdges divide scores where decisions are taken.
var binEdges = [...]float64{0, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 1}

// Reliability returns how far scores are probabilities (Murphy and Winkler 1977). The classes are weighed as if one
// message in 55 were phishing, which is the base rate of the score. Empty bins are left out.
func Reliability(scores []float64, phish []bool) []Bin {
	var n [2]float64
	for _, p := range phish {
		n[btoi(p)]++
	}
	rate := sigmoid(Base)
	weight := [2]float64{(1 - rate) / max(1, n[0]), rate / max(1, n[1])}
	var out []Bin
	for e := range len(binEdges) - 1 {
		b := Bin{From: binEdges[e], To: binEdges[e+1]}
		all, bad := 0.0, 0.0
		for i, s := range scores {
			if s < b.From || s >= b.To && !(b.To == 1 && s >= 1) {
				continue
			}
			k := btoi(phish[i])
			b.Messages++
			all += weight[k]
			b.Mean += weight[k] * s
			bad += weight[k] * float64(k)
		}
		if b.Messages > 0 {
			b.Mean, b.Phish = b.Mean/all, bad/all
			out = append(out, b)
		}
	}
	return out
}
