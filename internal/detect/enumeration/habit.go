package enumeration

import "slices"

// What makes a habit.
const (
	habitDays      = 8  // days that are remembered of one kind of act
	habitFrom      = 3  // days before the one at hand on which a source did it
	trustHabitFrom = 5  // the same for anybody of a trust: addresses of a pool change hands
	habitForget    = 60 // days after which a day counts no more
	dayLength      = 24 * hour
)

// habit is how much of one kind of act there was on the last days on which there was any.
type habit struct {
	Today dayPeak
	Past  []dayPeak // oldest first, at most habitDays
}

// dayPeak is the most of a day within one window. Told is a day on which it was reported as more than a remark: such
// a day is never learned from, so that an intruder does not become a habit.
type dayPeak struct {
	Day  int32 // days since 1970
	Peak int16 // at most maxThings
	Told bool
}

// see takes a measure of a day into account.
func (h *habit) see(day int64, measure int, told bool) {
	if today := int64(h.Today.Day); day != today {
		if h.Today.Peak > 0 && !h.Today.Told && day > today {
			if len(h.Past) >= habitDays {
				h.Past = slices.Delete(h.Past, 0, 1)
			}
			h.Past = append(h.Past[:len(h.Past):len(h.Past)], h.Today)
		}
		h.Today = dayPeak{Day: int32(day)}
	}
	h.Today.Peak = max(h.Today.Peak, int16(min(measure, maxThings)))
	h.Today.Told = h.Today.Told || told
}

// usual returns the second highest peak of the days before the given one, or that of the only one, and how many these
// were; 0 where they are fewer than least. One exceptional day does not raise it.
func (h *habit) usual(day int64, least int) (peak, days int) {
	if h == nil {
		return 0, 0
	}
	first, second := 0, 0
	take := func(p dayPeak) {
		if int64(p.Day) >= day || day-int64(p.Day) > habitForget || p.Told || p.Peak == 0 {
			return
		}
		days++
		if n := int(p.Peak); n > first {
			first, second = n, first
		} else {
			second = max(second, n)
		}
	}
	for _, p := range h.Past {
		take(p)
	}
	take(h.Today)
	if days < least {
		return 0, days
	}
	if days == 1 {
		return first, days
	}
	return second, days
}
