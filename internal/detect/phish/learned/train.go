package learned

import (
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
	Prior  Prior
	Phish  bool
	Time   time.Time
}

// Options say how to train.
type Options struct {
	FPR          float64 // wanted share of legitimate mail above the threshold, above 0 and below 0.5
	WithoutWords bool    // leave words out: links and shape alone, to see what they carry
}

// Folds is in how many blocks of time each sort of mail is cut for cross-validation.
const Folds = 5

// epochs is how often training passes over the messages.
const epochs = 8

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
	Carries   Groups  // by how much held-out phishing exceeds held-out legitimate mail, on average
	Bins      []Bin   // reliability of the held-out probabilities, at the base rate
}

// Groups are log odds by groups of features.
type Groups struct{ Words, Links, Shape float64 }

// ErrTooFew is returned where there are not enough messages of each class to hold some out.
var ErrTooFew = errors.New("too few messages: training needs at least 20 of each class")

// Train learns a model and sets its thresholds so that a share of the held-out legitimate mail lies above them. Equal
// examples give an equal model. The held-out scores come from cross-validation over blocks of time within each sort
// of mail: mail of one week resembles itself, and a random split would flatter.
func Train(ctx context.Context, examples []Example, o Options) (*Model, *Report, error) {
	if !(o.FPR > 0 && o.FPR < 0.5) {
		return nil, nil, fmt.Errorf("a false positive rate of %g: use one above 0 and below 0.5", o.FPR)
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
	var carries [2]Groups
	for f := range Folds {
		m := New()
		m.Wordless = o.WithoutWords
		if err := m.fit(ctx, examples, func(i int) bool { return block[i] != f }); err != nil {
			return nil, nil, err
		}
		for i := range examples {
			if block[i] != f {
				continue
			}
			e := &examples[i]
			p := m.point(e.Vector, e.Prior)
			p.phish = e.Phish
			held = append(held, p)
			m.carried(&carries, e)
		}
	}
	m := New()
	m.Wordless = o.WithoutWords
	if err := m.fit(ctx, examples, func(int) bool { return true }); err != nil {
		return nil, nil, err
	}
	m.slope = slopeOf(held)
	m.WantedFPR = o.FPR
	r.HeldOut = len(held)
	ham, spam := float64(r.Ham), float64(r.Spam)
	r.Carries = Groups{carries[1].Words/spam - carries[0].Words/ham, carries[1].Links/spam - carries[0].Links/ham, carries[1].Shape/spam - carries[0].Shape/ham}
	m.thresholds(held, r)
	return m, r, nil
}

// carried adds what each group of features says of a message to the sums of its class.
func (m *Model) carried(sums *[2]Groups, e *Example) {
	v, g := e.Vector, &sums[0]
	if e.Phish {
		g = &sums[1]
	}
	if !m.Wordless {
		g.Words += m.between(v, 0, v.links)
	}
	g.Links += m.between(v, v.links, v.shape)
	g.Shape += m.between(v, v.shape, len(v.index))
}

// blocks cuts each sort of each class into Folds runs of time, so that every block holds all sorts. Mail of one site
// is of all sorts at all times; where collections of different years are put together, blocks of time alone would
// hold whole collections out.
func blocks(examples []Example) []int {
	order := make([]int, len(examples))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return examples[a].Time.Compare(examples[b].Time) })
	var total, at [2][sorts]int
	of := func(i int) (int, int) { return btoi(examples[i].Phish), int(examples[i].Vector.cell) / cellsEach }
	for i := range examples {
		c, s := of(i)
		total[c][s]++
	}
	out := make([]int, len(examples))
	for _, i := range order {
		c, s := of(i)
		out[i] = at[c][s] * Folds / total[c][s]
		at[c][s]++
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fit learns the messages that take chooses, in a shuffled order, both classes weighing alike.
func (m *Model) fit(ctx context.Context, examples []Example, take func(int) bool) error {
	var list []int
	var count [2]float64
	for i := range examples {
		if take(i) {
			list = append(list, i)
			count[btoi(examples[i].Phish)]++
			m.see(examples[i].Vector, examples[i].Phish)
		}
	}
	m.Ham, m.Spam = int(count[0]), int(count[1])
	if m.Ham == 0 || m.Spam == 0 {
		return ErrTooFew
	}
	m.bar(examples, list)
	rng := rand.New(rand.NewPCG(1, 2))
	for range epochs {
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for k, i := range list {
			if k%256 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			e := &examples[i]
			y := float64(btoi(e.Phish))
			m.step(e.Vector, y, math.Sqrt(float64(len(list))/(2*count[btoi(e.Phish)])))
		}
	}
	return nil
}

// What bars a feature: a sort of at least sortOf legitimate messages has it, and phishing less than tells times as
// often.
const (
	sortOf = 30
	tells  = 1.22
)

// bar finds the features that do not tell phishing from every sort of legitimate mail.
func (m *Model) bar(examples []Example, list []int) {
	var n [sorts + 1]float64
	group := func(e *Example) int {
		if e.Phish {
			return sorts
		}
		return int(e.Vector.cell) / cellsEach
	}
	for _, i := range list {
		n[group(&examples[i])]++
	}
	in := make([]int, sorts+1)
	var df [][]uint16
	var of []float64
	for g := range n {
		in[g] = -1
		if n[g] >= sortOf || g == sorts {
			in[g] = len(df)
			df, of = append(df, make([]uint16, size)), append(of, n[g]+1)
		}
	}
	for _, i := range list {
		if k := in[group(&examples[i])]; k >= 0 {
			for _, f := range examples[i].Vector.index {
				if df[k][f] < math.MaxUint16 {
					df[k][f]++
				}
			}
		}
	}
	last := len(df) - 1
	for f := range m.barred {
		p := (float64(df[last][f]) + 0.5) / of[last]
		m.barred[f] = false
		for k := 0; k < last && m.df[f] > 0; k++ {
			if p < tells*(float64(df[k][f])+0.5)/of[k] {
				m.barred[f] = true
				break
			}
		}
	}
}

// slopeOf fits how sure the evidence is to held-out messages by logistic regression (Platt scaling), both classes
// weighing alike. The intercept is not used: the threshold sets it.
func slopeOf(held []point) float64 {
	var count [2]float64
	for i := range held {
		count[btoi(held[i].phish)]++
	}
	at, slope := 0.0, 1.0
	for range 2000 {
		gAt, gSlope := 0.0, 0.002*(slope-1)
		for i := range held {
			k := btoi(held[i].phish)
			z := evidence(&held[i])
			d := (sigmoid(at+slope*z) - float64(k)) / count[k]
			gAt += d
			gSlope += d * z
		}
		at -= 0.3 * gAt
		slope = max(0.5, min(3, slope-0.1*gSlope))
	}
	return slope
}
