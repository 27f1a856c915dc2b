package learned

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Example is one message to learn from.
type Example struct {
	Vector *Vector
	Prior  float64 // log odds of the reasons drawn by hand, without the base rate
	Phish  bool
	Time   time.Time
}

// Folds is in how many blocks of time each class is cut for cross-validation.
const Folds = 5

// epochs is how often training passes over the messages.
const epochs = 4

// Report is what cross-validation found.
type Report struct {
	Ham, Spam int
	HeldOut   int     // messages judged by a model that had not seen their block of time
	Recall    float64 // at Threshold
	FPR       float64
	Strict    float64 // recall at StrictThreshold
	StrictFPR float64
	LogLoss   float64 // of the held-out probabilities, classes weighing alike
	Prior     float64 // recall of the reasons drawn by hand alone at the same FPR
}

// ErrTooFew is returned where there are not enough messages of each class to hold some out.
var ErrTooFew = errors.New("too few messages: training needs at least 20 of each class")

// Train learns a model and sets its thresholds so that a share fpr of the held-out legitimate mail lies above them.
// Equal examples give an equal model. The held-out scores come from cross-validation over blocks of time: mail of one
// week resembles itself, and a random split would flatter.
func Train(ctx context.Context, examples []Example, fpr float64) (*Model, *Report, error) {
	if fpr <= 0 || fpr >= 0.5 {
		return nil, nil, fmt.Errorf("a false positive rate of %g: use one above 0 and below 0.5", fpr)
	}
	r := &Report{}
	for i := range examples {
		if examples[i].Phish {
			r.Spam++
		} else {
			r.Ham++
		}
	}
	if r.Ham < 20 || r.Spam < 20 {
		return nil, nil, fmt.Errorf("%w, and there are %d legitimate and %d phishing", ErrTooFew, r.Ham, r.Spam)
	}
	block := blocks(examples)
	held := make([]point, 0, len(examples))
	for f := range Folds {
		m := New()
		if err := m.fit(ctx, examples, func(i int) bool { return block[i] != f }); err != nil {
			return nil, nil, err
		}
		for i := range examples {
			if block[i] == f {
				held = append(held, point{m.damped(examples[i].Vector), examples[i].Prior, examples[i].Phish})
			}
		}
	}
	m := New()
	if err := m.fit(ctx, examples, func(int) bool { return true }); err != nil {
		return nil, nil, err
	}
	m.stack = calibrate(held)
	m.WantedFPR = fpr
	r.HeldOut = len(held)
	m.thresholds(held, r)
	return m, r, nil
}

// point is a held-out message.
type point struct {
	learned, prior float64
	phish          bool
}

// blocks cuts each class into Folds runs of time.
func blocks(examples []Example) []int {
	order := make([]int, len(examples))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return examples[a].Time.Compare(examples[b].Time) })
	total := map[bool]int{}
	for i := range examples {
		total[examples[i].Phish]++
	}
	out := make([]int, len(examples))
	at := map[bool]int{}
	for _, i := range order {
		p := examples[i].Phish
		out[i] = at[p] * Folds / total[p]
		at[p]++
	}
	return out
}

// fit learns the messages that take chooses, in a shuffled order, both classes weighing alike.
func (m *Model) fit(ctx context.Context, examples []Example, take func(int) bool) error {
	var list []int
	count := map[bool]float64{}
	for i := range examples {
		if take(i) {
			list = append(list, i)
			count[examples[i].Phish]++
			m.see(examples[i].Vector)
		}
	}
	m.Ham, m.Spam = int(count[false]), int(count[true])
	if m.Ham == 0 || m.Spam == 0 {
		return ErrTooFew
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range epochs {
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for k, i := range list {
			if k%256 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			e := &examples[i]
			y := 0.0
			if e.Phish {
				y = 1
			}
			m.step(e.Vector, y, math.Sqrt(float64(len(list))/(2*count[e.Phish])))
		}
	}
	return nil
}

// calibrate fits the shares of the learned and of the prior to held-out messages by logistic regression (Platt
// scaling with two inputs), both classes weighing alike. Neither share is negative: each speaks for itself.
func calibrate(held []point) [4]float64 {
	count := map[bool]float64{}
	for _, h := range held {
		count[h.phish]++
	}
	c := [4]float64{0, 0.5, 0.5, 0}
	for range 2000 {
		var g [3]float64
		for _, h := range held {
			y := 0.0
			if h.phish {
				y = 1
			}
			d := (sigmoid(c[0]+c[1]*h.learned+c[2]*h.prior) - y) / count[h.phish]
			g[0] += d
			g[1] += d * h.learned
			g[2] += d * h.prior
		}
		g[1] += 0.002 * (c[1] - 0.5)
		g[2] += 0.002 * (c[2] - 0.5)
		c[0] -= 0.3 * g[0]
		c[1] = max(0.05, min(3, c[1]-0.1*g[1]))
		c[2] = max(0.2, min(1, c[2]-0.1*g[2]))
	}
	return c
}

// thresholds sets both thresholds on the held-out legitimate mail, and tells what they give.
func (m *Model) thresholds(held []point, r *Report) {
	var ham, spam, hamPrior, spamPrior []float64
	for _, h := range held {
		o := m.odds(h.learned, h.prior)
		p := max(1e-15, min(1-1e-15, sigmoid(o)))
		if h.phish {
			spam, spamPrior = append(spam, o), append(spamPrior, h.prior)
			r.LogLoss -= math.Log(p)
		} else {
			ham, hamPrior = append(ham, o), append(hamPrior, h.prior)
			r.LogLoss -= math.Log(1 - p)
		}
	}
	r.LogLoss /= float64(max(1, len(held)))
	at := max(cut(ham, m.WantedFPR), lowest)
	strict := max(cut(ham, m.WantedFPR/10), lowest)
	// The scale is moved so that the threshold is an even chance, as it is without a model: reasons that training says
	// nothing of, a partner's new habits above all, then weigh what they weigh without one.
	m.stack[0] -= at + Base
	m.Threshold, m.StrictThreshold = sigmoid(0), sigmoid(strict-at)
	r.FPR, r.Recall = share(ham, at), share(spam, at)
	r.StrictFPR, r.Strict = share(ham, strict), share(spam, strict)
	r.Prior = share(spamPrior, cut(hamPrior, m.WantedFPR))
}

// lowest is the least threshold, in log odds without the base rate. Where the mail of training is easy to tell apart
// the cut would lie so low that any mail of another kind, which training has not seen, lay above it.
const lowest = 1.4

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
