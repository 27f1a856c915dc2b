package firstcontact

import "time"

// nearKind is how much an hour of the other kind of day (workday, weekend) tells of an hour.
const nearKind = 0.25

// maxHours is the count of visits at which a profile is halved, so that it follows a change of habits.
const maxHours = 2048

// hours is the profile of the hours of the week (UTC) at which a subject was active: 24 of workdays, 24 of weekends.
type hours struct {
	Count [48]uint16
	Last  int64 // the hour last counted, in hours since 1970
}

func slot(t time.Time) int {
	t = t.UTC()
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		return 24 + t.Hour()
	}
	return t.Hour()
}

// add counts the hour of t once; false where it was counted already.
func (h *hours) add(t time.Time) bool {
	hour := t.Unix() / 3600
	if hour == h.Last {
		return false
	}
	h.Last = hour
	h.Count[slot(t)]++
	total := 0
	for _, n := range h.Count {
		total += int(n)
	}
	if total >= maxHours {
		for i := range h.Count {
			h.Count[i] /= 2
		}
	}
	return true
}

// smooth is the weight of an hour: its own count, those beside it, and a little of the other kind of day.
func (h *hours) smooth(i int) float64 {
	kind, hour := i/24*24, i%24
	at := func(kind, hour int) float64 { return float64(h.Count[kind+(hour+24)%24]) }
	own := at(kind, hour)/2 + at(kind, hour-1)/4 + at(kind, hour+1)/4
	other := at(24-kind, hour)/2 + at(24-kind, hour-1)/4 + at(24-kind, hour+1)/4
	return own + nearKind*other
}

// tail is how likely an hour as rare as that of t, or rarer, is among the hours of its kind of day. It is 1
// where nothing is known.
func (h *hours) tail(t time.Time) float64 {
	at := slot(t)
	kind := at / 24 * 24
	var total, rare float64
	limit := h.smooth(at) + 1e-9
	for i := kind; i < kind+24; i++ {
		w := h.smooth(i)
		total += w
		if w <= limit {
			rare += w + strength/24.0
		}
	}
	return min(rare/(total+strength), 1)
}
