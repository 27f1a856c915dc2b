package fanout

import "slices"

// How habits are learned and forgotten.
const (
	habitDays   = 28        // active days that are remembered: a habit given up for so long is none any more
	habitAfter  = 20 * 3600 // seconds until what was seen becomes habit: a nightly job may begin some hours early
	learnedDays = 2         // active days that make a habit
	quantilePct = 90        // what is usual: this part of the active days reached no more
)

// habit is how many things one identity touched within a window, on each of its last active days. What is younger
// than a night is kept apart, so that no wave of today counts as today's habit; nothing depends on when a day begins.
type habit struct {
	Days  []int  // highest windows of earlier active days, oldest first, at most habitDays
	Day   int64  // number of the newest of them since 1970
	Fresh []peak // highest windows of the last hours
}

type peak struct {
	Hour int64 // since 1970
	Most int
}

// age turns what is old enough into habit.
func (h *habit) age(now int64) {
	i := 0
	for ; i < len(h.Fresh) && now-h.Fresh[i].Hour*3600 >= habitAfter; i++ {
		day := h.Fresh[i].Hour / 24
		if len(h.Days) > 0 && h.Day == day {
			h.Days[len(h.Days)-1] = max(h.Days[len(h.Days)-1], h.Fresh[i].Most)
			continue
		}
		h.Days, h.Day = append(h.Days, h.Fresh[i].Most), day
		if len(h.Days) > habitDays {
			h.Days = slices.Delete(h.Days, 0, 1)
		}
	}
	if i > 0 {
		h.Fresh = slices.Delete(h.Fresh, 0, i)
	}
}

// see notes a window.
func (h *habit) see(now int64, n int) {
	hour := now / 3600
	for len(h.Fresh) > 0 && h.Fresh[len(h.Fresh)-1].Hour > hour+1 { // a clock was ahead
		h.Fresh = h.Fresh[:len(h.Fresh)-1]
	}
	if last := len(h.Fresh) - 1; last >= 0 && h.Fresh[last].Hour >= hour {
		h.Fresh[last].Most = max(h.Fresh[last].Most, n)
		return
	}
	h.Fresh = append(h.Fresh, peak{hour, n})
}

// highest is the highest window of the days remembered.
func (h *habit) highest() int {
	if len(h.Days) == 0 {
		return 0
	}
	return slices.Max(h.Days)
}

// usual is what nine of ten active days did not pass.
func (h *habit) usual() int {
	if len(h.Days) == 0 {
		return 0
	}
	d := slices.Clone(h.Days)
	slices.Sort(d)
	return d[(len(d)-1)*quantilePct/100]
}

// learned reports whether there were enough active days to speak of a habit.
func (h *habit) learned() bool { return len(h.Days) >= learnedDays }
