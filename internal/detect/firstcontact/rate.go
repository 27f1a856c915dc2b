package firstcontact

// maxWindow is the greatest number of hosts that windows are told apart by.
const maxWindow = 64

// onward is how likely a window that reached as many hosts as none before it reaches one more, where nothing is
// known: most visits that go to a new place end there.
const onward = 0.7

// maxRate is the count of windows at which the counts are halved, so that they follow a change of habits.
const maxRate = 4096

// rate is a trust's own distribution of first contacts: of its source-hours, how many reached at least so many new hosts
// within HitWindow.
type rate struct {
	Hours   float64            // hours in which a source was at work
	Reached [maxWindow]float64 // [n-1]: windows that reached n new hosts or more
}

// work counts an hour of a source.
func (r *rate) work() {
	if r.Hours++; r.Hours >= maxRate {
		r.Hours /= 2
		for i := range r.Reached {
			r.Reached[i] /= 2
		}
	}
}

// count takes in how far a window came.
func (r *rate) count(w *window) {
	for n := min(w.hosts(), maxWindow); w.Counted < n; w.Counted++ {
		r.Reached[w.Counted]++
	}
}

// before is how many windows reached n hosts or more beside the present one, which was counted up to that many.
func (r *rate) before(n, counted int) float64 {
	if n <= counted {
		return max(r.Reached[n-1]-1, 0)
	}
	return r.Reached[n-1]
}

// tail is how likely a source-hour is to reach n new hosts or more: the product of the shares of those that reached
// k which went on to k+1, each smoothed with what is usual where nothing is known. The present window, which was counted
// up to that many hosts, is left out.
func (r *rate) tail(n, counted int) float64 {
	of, p, prior := r.Hours, 1.0, ignorance
	for k := 1; k <= min(n, maxWindow); k++ {
		went := r.before(k, counted)
		p *= min((went+strength*prior)/(of+strength), 1)
		of, prior = went, onward
	}
	return p
}

// largestBefore is the greatest window so far beside the present one, which was counted up to that many hosts.
func (r *rate) largestBefore(counted int) int {
	for n := maxWindow; n > 0; n-- {
		if r.before(n, counted) > 0 {
			return n
		}
	}
	return 0
}
