// Package learned is the part of the mail score that is trained on a site's own mail: hashed features of a message
// go in, log odds of phishing come out. It is a regularised logistic regression learned one message at a time
// (FTRL-Proximal: McMahan and others, Ad Click Prediction, KDD 2013), brought to a probability together with the
// score drawn by hand on mail that was held out (Platt 1999), and held on a leash: what it says shrinks where a
// message's words were hardly seen in training, and never exceeds what so much training can support.
//
// A Model is read from files of anybody without harm: versioned, capped in size, checked by a sum and value by value.
// No file is opened here. A Model is not safe for concurrent use while it learns; Odds alone is.
package learned

import "math"

// The parameters of FTRL-Proximal, as the paper recommends them for features of unit size.
const (
	alpha = 0.3
	beta  = 1.0
	l1    = 0.02
	l2    = 0.5
)

// Model is what training has learned. Make it with New or Train, or read it with Read.
type Model struct {
	Threshold       float64 // probability from which a message is phish, at WantedFPR
	StrictThreshold float64 // the same at a tenth of it
	WantedFPR       float64
	Ham, Spam       int // messages learned

	z, n  []float32
	df    []uint8    // in how many messages a feature was seen, at most 255
	stack [4]float64 // intercept, share of the learned, share of the prior, share of both agreeing
}

// New returns a model that knows nothing: its odds are the prior's.
func New() *Model {
	return &Model{z: make([]float32, size), n: make([]float32, size), df: make([]uint8, size), stack: [4]float64{0, 0.5, 1, 0}}
}

// weight is the weight of a feature, by the closed form of the paper's algorithm 1.
func (m *Model) weight(i uint32) float64 {
	z := float64(m.z[i])
	if math.Abs(z) <= l1 {
		return 0
	}
	return -(z - math.Copysign(l1, z)) / ((beta+math.Sqrt(float64(m.n[i])))/alpha + l2)
}

// margin is the sum of the weights of a message's features.
func (m *Model) margin(v *Vector) float64 {
	sum := 0.0
	for k, i := range v.index {
		sum += m.weight(i) * float64(v.value[k])
	}
	return sum
}

// known is the share of the message's words that at least two messages of training had.
func (m *Model) known(v *Vector) float64 {
	if v.words == 0 {
		return 0.5
	}
	seen := 0
	for _, i := range v.index[:v.words] {
		if m.df[i] >= 2 {
			seen++
		}
	}
	return float64(seen) / float64(v.words)
}

// damped is the margin as far as training supports it. A message whose words are new gets less of it (half known:
// half), and no message more than the logarithm of how many messages the smaller class had.
func (m *Model) damped(v *Vector) float64 {
	limit := math.Log1p(float64(min(m.Ham, m.Spam)))
	share := min(1, m.known(v)/familiar)
	return max(-limit, min(limit, share*m.margin(v)))
}

// familiar is the share of known words from which on a message counts as of a kind that training has seen.
const familiar = 0.8

// odds returns the log odds of phishing for a message whose hand-drawn reasons come to prior (log odds without the
// base rate), where phishing and other mail were equally frequent.
func (m *Model) odds(learned, prior float64) float64 {
	return m.stack[0] + m.stack[1]*learned + m.stack[2]*prior
}

// Odds returns the log odds of phishing for a message whose hand-drawn reasons come to prior. Trained, they are 0 at
// Threshold.
func (m *Model) Odds(v *Vector, prior float64) float64 { return Base + m.odds(m.damped(v), prior) }

// Base is the log odds of phishing before anything is known of a message: one in 55.
const Base = -4.0

// Learn takes one message into the model. Weight is what the message counts; 1 is usual.
func (m *Model) Learn(v *Vector, phish bool, weight float64) {
	y := 0.0
	if phish {
		y = 1
		m.Spam++
	} else {
		m.Ham++
	}
	m.step(v, y, weight)
	m.see(v)
}

func (m *Model) see(v *Vector) {
	for _, i := range v.index {
		if m.df[i] < math.MaxUint8 {
			m.df[i]++
		}
	}
}

func (m *Model) step(v *Vector, y, weight float64) {
	p := sigmoid(m.margin(v))
	for k, i := range v.index {
		g := weight * (p - y) * float64(v.value[k])
		w := m.weight(i)
		n := float64(m.n[i])
		s := (math.Sqrt(n+g*g) - math.Sqrt(n)) / alpha
		m.z[i] += float32(g - s*w)
		m.n[i] += float32(g * g)
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
