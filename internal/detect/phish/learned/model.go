// Package learned is the part of the mail score that is trained on a site's own mail: hashed features of a message
// go in, log odds of phishing come out. It is a regularised logistic regression learned one message at a time
// (FTRL-Proximal: McMahan and others, Ad Click Prediction, KDD 2013), brought to a probability together with the
// score drawn by hand on mail that was held out (Platt 1999), and held on a leash:
//
//   - Two regressions share the work. In one a feature may speak for phishing only where it tells phishing from every
//     sort of legitimate mail that was seen, so that a word of all letters to customers does not do so because mailing
//     lists never use it. (The worst group counts: Sagawa and others, Distributionally Robust Neural Networks, 2020.)
//   - What words say shrinks where they were hardly seen, links and shape count less than they were fitted to, since they
//     change most from one kind of mail to the next, and nothing exceeds what so much training supports.
//   - Where hardly any legitimate mail was seen that is made like the message, more is asked for, and where that is so of
//     much of the phishing, of every message: a kind of legitimate mail is missing. The reasons drawn by hand then decide.
//   - A message that asks for nothing and leads nowhere is judged by the reasons drawn by hand alone.
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

// robustShare is what the regression counts whose features must tell phishing from every sort of legitimate mail.
const robustShare = 0.5

// Model is what training has learned. Make it with New or Train, or read it with Read.
type Model struct {
	Threshold       float64 // probability from which a message is phish, at WantedFPR
	StrictThreshold float64 // the same at a tenth of it
	WantedFPR       float64
	Ham, Spam       int  // messages learned
	Wordless        bool // words of text and subject are left out

	plain, robust weights
	df            []uint8 // in how many messages a feature was seen, at most 255
	barred        []bool  // features that the robust regression lets speak against phishing alone
	seats         [cells]uint64
	slope, limit  float64 // log odds by evidence, and the evidence that is an even chance
}

// weights are the state of one regression.
type weights struct{ z, n, w []float32 }

func newWeights() weights {
	return weights{make([]float32, size), make([]float32, size), make([]float32, size)}
}

// New returns a model that knows nothing: its odds are the prior's.
func New() *Model {
	return &Model{plain: newWeights(), robust: newWeights(), df: make([]uint8, size), barred: make([]bool, size), slope: 1, limit: startLimit}
}

// set brings the weight of a feature up to date, by the closed form of the paper's algorithm 1.
func (a *weights) set(i uint32) {
	z := float64(a.z[i])
	if math.Abs(z) <= l1 {
		a.w[i] = 0
		return
	}
	a.w[i] = float32(-(z - math.Copysign(l1, z)) / ((beta+math.Sqrt(float64(a.n[i])))/alpha + l2))
}

// step moves the weights by one message; barred features never come to speak for phishing.
func (a *weights) step(v *Vector, from int, y, weight float64, barred []bool) {
	p := sigmoid(a.margin(v, from, len(v.index)))
	for k := from; k < len(v.index); k++ {
		i := v.index[k]
		g := weight * (p - y) * float64(v.value[k])
		n := float64(a.n[i])
		s := (math.Sqrt(n+g*g) - math.Sqrt(n)) / alpha
		a.z[i] += float32(g - s*float64(a.w[i]))
		a.n[i] += float32(g * g)
		if barred != nil && barred[i] && a.z[i] < 0 {
			a.z[i] = 0
		}
		a.set(i)
	}
}

// margin is the sum of the weights of a message's features from one to another.
func (a *weights) margin(v *Vector, from, to int) float64 {
	sum := 0.0
	for k := from; k < to; k++ {
		sum += float64(a.w[v.index[k]]) * float64(v.value[k])
	}
	return sum
}

// first is where the features that the model uses begin.
func (m *Model) first(v *Vector) int {
	if m.Wordless {
		return v.links
	}
	return 0
}

// between is the log odds of a range of features, of both regressions.
func (m *Model) between(v *Vector, from, to int) float64 {
	return (1-robustShare)*m.plain.margin(v, from, to) + robustShare*m.robust.margin(v, from, to)
}

// known is the share of the message's words that at least two messages of training had.
func (m *Model) known(v *Vector) float64 {
	if m.Wordless {
		return 1
	}
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

// Limits on what is learned. Innocent words can be strewn in by anybody, so they count less.
const (
	leastKnown = 0.2 // what words count at least, however few of them were seen
	linkShare  = 0.5 // what links count of what they were fitted to
	shapeShare = 0.7 // what shape does
	mostHam    = 3.0 // the most that speaks for a message
)

// damped is the margin as far as training supports it: words by the share of them that was seen, links and shape by
// theirs, and no message more than the logarithm of how many messages the smaller class had.
func (m *Model) damped(v *Vector) float64 {
	sum := 0.0
	if !m.Wordless {
		sum = max(leastKnown, m.known(v)) * m.between(v, 0, v.links)
	}
	sum += linkShare*m.between(v, v.links, v.shape) + shapeShare*m.between(v, v.shape, len(v.index))
	limit := math.Log1p(float64(min(m.Ham, m.Spam)))
	return max(-min(limit, mostHam), min(limit, sum))
}

// Prior is what the reasons drawn by hand come to, without the base rate.
type Prior struct {
	Odds float64 // log odds
	Soft float64 // the part of them that honest advertising shows as well
	Firm float64 // the part of them that rests on what the tenant declared and on habits, of which training shows nothing
	Idle bool    // the message asks for nothing, leads nowhere and holds nothing
}

// What reasons count as evidence beside training, which holds their names among its features. Soft ones count against
// themselves, since training has counted them already.
const (
	deceitShare = 0.4
	softShare   = -0.1
)

// What a lone make asks for, in evidence: of the message itself, and of every message by how much of the phishing is so.
const (
	loneMessage = 1.0
	loneAll     = 7.5
)

// startLimit is the limit of a model that nothing set.
const startLimit = 1.5

// point is a message as the decision sees it.
type point struct {
	learned, lone float64
	prior         Prior
	phish         bool
}

func (m *Model) point(v *Vector, p Prior) point {
	return point{learned: m.damped(v), lone: m.lone(v), prior: p}
}

// evidence is what training and the reasons say together.
func evidence(p *point) float64 {
	return p.learned + deceitShare*(p.prior.Odds-p.prior.Soft-p.prior.Firm) + softShare*p.prior.Soft
}

// odds joins training and reasons. The rarer the make of the message in training, the less may what was learned take
// from what the reasons alone come to.
func (m *Model) odds(p *point) float64 {
	shipped := Base + p.prior.Odds
	if p.prior.Idle {
		return shipped
	}
	o := m.slope*(evidence(p)-loneMessage*p.lone-m.limit) + p.prior.Firm
	return o + p.lone*max(0, shipped-o)
}

// Odds returns the log odds of phishing for a message. They are 0 at Threshold.
func (m *Model) Odds(v *Vector, prior Prior) float64 {
	p := m.point(v, prior)
	return m.odds(&p)
}

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
	m.see(v, phish)
}

func (m *Model) see(v *Vector, phish bool) {
	for _, i := range v.index {
		if m.df[i] < math.MaxUint8 {
			m.df[i]++
		}
	}
	if !phish {
		m.seats[v.cell] |= 1 << v.seat
	}
}

func (m *Model) step(v *Vector, y, weight float64) {
	m.plain.step(v, m.first(v), y, weight, nil)
	m.robust.step(v, m.first(v), y, weight, m.barred)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
