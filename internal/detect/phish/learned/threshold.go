package learned

import (
	"cmp"
	"math"
	"slices"
)

// thresholds sets both thresholds on held-out mail, and tells what they give. The limit lies where the wanted share of
// legitimate mail does, and higher the more of the phishing is of a make of which no legitimate mail was seen. It is an
// even chance, as the threshold is without a model: reasons that training says nothing of, a partner's new habits above
// all, then weigh what they weigh without one.
func (m *Model) thresholds(held []point, r *Report) {
	var hamPrior, spamPrior, ham []float64
	var n [2]float64
	lone := 0.0
	for i := range held {
		h := &held[i]
		n[btoi(h.phish)]++
		if h.phish {
			spamPrior = append(spamPrior, h.prior.Odds)
			lone += h.lone
			continue
		}
		hamPrior = append(hamPrior, h.prior.Odds)
		e := evidence(h)
		if h.prior.Idle {
			e = -mostHam
		}
		ham = append(ham, e)
	}
	m.limit = cut(ham, m.WantedFPR)
	m.limit += loneAll * lone / n[1]
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
		r.LogLoss -= math.Log(p) / (2 * n[k])
		scores, phish = append(scores, sigmoid(o)), append(phish, h.phish)
	}
	strict := max(cut(odds[0], m.WantedFPR/10), 0)
	m.Threshold, m.StrictThreshold = sigmoid(0), min(sigmoid(strict), 1-1e-12)
	r.FPR, r.Recall = share(odds[0], 0), share(odds[1], 0)
	r.StrictFPR, r.Strict = share(odds[0], strict), share(odds[1], strict)
	r.Prior = share(spamPrior, cut(hamPrior, m.WantedFPR))
	r.Bins = Reliability(scores, phish)
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
