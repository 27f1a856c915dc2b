package coverage

import (
	"math"
	"time"
)

// WarmUp is how long a sensor must be heard before its rhythm by the hours of the week counts as known.
const WarmUp = 8 * 24 * time.Hour

const (
	// beat is the grain of arrivals: what comes within one is one sign of life. Batches and backlogs come in bursts
	// whose inner gaps say nothing.
	beat = 10 * time.Second
	// fewBeats is how many signs of life are needed before a pause can be told from a single delivery.
	fewBeats = 5
	// backlog is how old an event may be on receipt and still be a sign of life. Daily exports are just within.
	backlog = 26 * time.Hour
	// maxStep is how far one tick carries the clock at most; a larger jump is the wall clock's or a sleeping
	// machine's.
	maxStep = time.Minute
	// slack multiplies the longest usual pause.
	slack, slackWarming = 3, 4

	week = 7 * 24
)

// rhythm is how a sensor uses to send: for each hour of the week, the longest pause that touches it. A pause that
// was called silence counts as half again what was usual, so that one outage doesn't hide the next; what isn't seen
// again a week later is forgotten by quarters.
type rhythm struct {
	usual   [week]uint8   // longest pause, see pack
	seen    [week]uint8   // longest pause of the hour in this week's turn
	longest time.Duration // of all, while warming up
	heard   time.Duration // since the first sign of life
	quiet   time.Duration // since the last
	beats   uint8         // signs of life, up to fewBeats
	sinceB  time.Duration // since the last one that counted as a beat
	hour    uint8         // of the week, of the last sign of life or tick
}

// pack keeps a duration in a byte, rounded up by at most 9 %: from 10 s to far beyond a year.
func pack(d time.Duration) uint8 {
	if d <= beat {
		return 0
	}
	return uint8(min(255, math.Ceil(8*math.Log2(float64(d)/float64(beat)))))
}

func unpack(b uint8) time.Duration {
	if b == 0 {
		return 0
	}
	return time.Duration(float64(beat) * math.Exp2(float64(b)/8))
}

// hourOf returns the hour of the week in UTC.
func hourOf(at time.Time) uint8 {
	at = at.UTC()
	return uint8(int(at.Weekday())*24 + at.Hour())
}

// heard takes an arrival as a sign of life, and the pause before it as a part of the rhythm.
func (t *Table) heard(r *row, at, received time.Time) {
	if received.After(r.received) {
		r.received = received.UTC()
	}
	if at.Before(received.Add(-backlog)) {
		return
	}
	if r.silent {
		t.end(r, received)
	}
	r.sign = received.UTC()
	h := &r.rhythm
	if !r.alive {
		r.alive = true
		h.hour, h.beats, h.sinceB = hourOf(received), 1, 0
		return
	}
	if h.quiet > beat {
		h.learn(h.quiet, t)
	}
	if h.sinceB >= beat {
		h.sinceB = 0
		h.beats = min(h.beats+1, fewBeats)
	}
	h.quiet = 0
}

// learn takes a pause that has just ended, at every hour that it touched.
func (h *rhythm) learn(pause time.Duration, t *Table) {
	h.longest = max(h.longest, pause)
	if limit := h.limit(t.opt); h.heard >= WarmUp && pause > limit {
		pause = limit / 2 // half again what was usual
	}
	p := pack(pause)
	into := t.ticked.Sub(t.ticked.Truncate(time.Hour))
	hours := 1
	if h.quiet > into {
		hours = min(week, 1+int((h.quiet-into+time.Hour-1)/time.Hour))
	}
	for i := range hours {
		k := (int(h.hour) + week - i) % week
		h.usual[k], h.seen[k] = max(h.usual[k], p), max(h.seen[k], p)
	}
}

// limit is how long a sensor may pause in the hour that it is in.
func (h *rhythm) limit(opt Options) time.Duration {
	if h.heard < WarmUp {
		return min(max(opt.Floor, slackWarming*h.longest), opt.Cap)
	}
	usual := unpack(h.usual[h.hour])
	for _, near := range []int{1, week - 1} {
		// Short pauses move by some minutes; those that last for hours end at an hour that is theirs.
		if n := unpack(h.usual[(int(h.hour)+near)%week]); n <= time.Hour {
			usual = max(usual, n)
		}
	}
	return min(max(opt.Floor, slack*usual), opt.Cap)
}

// limit returns how long the row's sensor may pause now; false while too little is known to say.
func (t *Table) limit(r *row) (time.Duration, bool) {
	if !r.alive || r.rhythm.beats < fewBeats {
		return 0, false
	}
	return r.rhythm.limit(t.opt), true
}

// tick moves the clock to now, and every rhythm with it.
func (t *Table) tick(now time.Time) {
	step := min(max(now.Sub(t.ticked), 0), maxStep, t.opt.Floor/2)
	if t.ticked.IsZero() {
		step = 0
	}
	t.ticked = now
	t.clock += step
	hour := hourOf(now)
	for i := range t.rows {
		r := &t.rows[i]
		if !r.alive {
			continue
		}
		h := &r.rhythm
		h.heard += step
		h.quiet += step
		h.sinceB += step
		if h.hour != hour {
			h.turn(hour)
		}
		if limit, ok := t.limit(r); ok && !r.silent && h.quiet > limit {
			r.silent = true
		}
	}
}

// turn begins another hour: what the last one no longer shows is forgotten by a quarter.
func (h *rhythm) turn(hour uint8) {
	old := h.hour
	if h.quiet < time.Hour && h.seen[old] < h.usual[old] {
		h.usual[old] = min(h.usual[old]-1, pack((3*unpack(h.usual[old])+unpack(h.seen[old]))/4))
	}
	h.hour = hour
	h.seen[hour] = 0
}
