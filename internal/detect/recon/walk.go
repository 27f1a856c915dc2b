package recon

import "math"

// The walk's parameters: how often a first contact of an honest source and of a scanner is answered, and the
// limits for a detection of 99 % at 1 % of false alarms (Jung et al. 2004, section 5).
const (
	honestAnswered  = 0.8
	scannerAnswered = 0.2
)

var (
	walkStep  = float32(math.Log((1 - scannerAnswered) / (1 - honestAnswered)))
	walkLimit = float32(math.Log(0.99 / 0.01))
)

// A walk is the logarithm of a likelihood ratio. With these parameters an answer takes back what a failure adds, so
// that it is a whole number of steps, and walkSteps of them reach the limit. At the benign limit it starts again, so
// that what a source did honestly for hours does not cover what it begins to do. Beyond the scanner's limit it stops
// soon: nothing more is to be said, and the next scan begins with a new walk.
const (
	stepFailed   = 1
	stepAnswered = -1
	walkSteps    = 4
	walkMost     = 7
)

// walks are a source's two walks: the lower four bits are that over hosts, the upper four that over services.
type walks uint8

const (
	overHosts    = 0
	overServices = 4
)

// step moves one of the walks and reports whether it says scanner.
func (w *walks) step(which uint, by int) (scanner bool) {
	n := w.steps(which) + by
	if n <= -walkSteps {
		n = 0
	}
	n = min(n, walkMost)
	*w = *w&^(15<<which) | walks(n&15)<<which
	return n >= walkSteps
}

func (w walks) steps(which uint) int { return int(int8(w>>which<<4) >> 4) }

// slow adds up what failed over days: a sum that halves every two days.
type slow struct {
	Fails, OK float32
	At, Start int64
}

const slowHalfLife = 48 * hour

func (w *slow) decay(now int64) {
	if now > w.At && w.At != 0 {
		f := float32(math.Exp2(-float64(now-w.At) / float64(slowHalfLife)))
		w.Fails *= f
		w.OK *= f
	}
	w.At = now
}

// due reports whether more failed over days than chance and staleness explain.
func (w *slow) due() bool { return w.Fails >= slowClear && w.Fails > w.OK }

func (w *slow) answered(now int64) {
	if w.Fails > 0 {
		w.decay(now)
		w.OK++
	}
}

func (w *slow) failed(now int64) {
	w.decay(now)
	if w.Fails < 0.5 {
		w.Start, w.OK = now, 0
	}
	w.Fails++
}
