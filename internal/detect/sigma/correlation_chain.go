package sigma

import "math"

// maxInstant bounds how many matches of one instant are put in order; log sources that keep whole seconds have many.
const maxInstant = 64

// chain follows rules that must occur one after the other. For each number of steps done it keeps the latest time at
// which such a chain began: a later beginning is within the timespan for longer, so no other is needed.
//
// Matches of one instant may stand in any order, as their source can't tell it; one event serves one step.
type chain struct {
	at    int64   // the instant of begun
	begun []int64 // by steps done, less one
	past  []int64 // the same before the instant
}

func newChain(steps int) chain {
	c := chain{at: never, begun: make([]int64, steps), past: make([]int64, steps)}
	for i := range c.begun {
		c.begun[i], c.past[i] = never, never
	}
	return c
}

// complete reports whether all steps were done by a chain that began at that time or later.
func (c *chain) complete(from int64) bool { return c.begun[len(c.begun)-1] >= from }

// extend takes in the matches of the latest instant, all of them each time one is added.
func (c *chain) extend(instant []inWindow, steps []int) {
	now := instant[len(instant)-1].at
	if now != c.at {
		copy(c.past, c.begun)
		c.at = now
	}
	copy(c.begun, c.past)
	for done := range steps {
		begin := now
		if done > 0 {
			if begin = c.past[done-1]; begin == never {
				continue
			}
		}
		// The steps that follow on those done before, as many as find an event each.
		serves := map[uint64]int{} // event → step
		for step := done; step < len(steps); step++ {
			if !assign(instant, steps, step, serves, map[uint64]bool{}) {
				break
			}
			c.begun[step] = max(c.begun[step], begin)
		}
	}
}

// assign gives the step an event of its own, and others new ones where need be (Kuhn's augmenting paths).
func assign(instant []inWindow, steps []int, step int, serves map[uint64]int, tried map[uint64]bool) bool {
	for i := range instant {
		m := &instant[i]
		if m.member != steps[step] || tried[m.serial] {
			continue
		}
		tried[m.serial] = true
		other, taken := serves[m.serial]
		if !taken || assign(instant, steps, other, serves, tried) {
			serves[m.serial] = step
			return true
		}
	}
	return false
}

// exactSum adds and takes away floating-point numbers without loss, so that a sum depends neither on the order of
// what came and went nor on a restart (Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997, section 2.4).
type exactSum struct {
	parts []float64 // that don't overlap, smallest first
}

// maxSummand bounds what is added, so that a window's sum never overflows.
const maxSummand = 1e290

func (s *exactSum) add(x float64) {
	kept := s.parts[:0]
	for _, y := range s.parts {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		high := x + y
		if low := y - (high - x); low != 0 {
			kept = append(kept, low)
		}
		x = high
	}
	if x != 0 || len(kept) == 0 {
		kept = append(kept, x)
	}
	s.parts = kept
}

// value returns the sum, rounded.
func (s *exactSum) value() float64 {
	n := len(s.parts)
	if n == 0 {
		return 0
	}
	// Parts don't overlap: only the first that rounds decides, and the sign of what follows where it is a tie.
	total := s.parts[n-1]
	i := n - 2
	low := 0.0
	for ; i >= 0; i-- {
		before := total
		y := s.parts[i]
		total = before + y
		if low = y - (total - before); low != 0 {
			break
		}
	}
	if i > 0 && (low < 0 && s.parts[i-1] < 0 || low > 0 && s.parts[i-1] > 0) {
		y := low * 2
		if x := total + y; y == x-total {
			total = x
		}
	}
	return total
}
