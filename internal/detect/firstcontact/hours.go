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

// kernel spreads a visit over the hours beside its own: who works at eight and at noon is not odd at ten.
var kernel = [...]float64{0.1, 0.2, 0.4, 0.2, 0.1}

// smooth is the weight of each hour of a kind of day: its own count, those beside it, and a little of the other kind.
func (h *hours) smooth(kind int) (w [24]float64) {
	for i := range w {
		for k, part := range kernel {
			at := (i + k + 24 - len(kernel)/2) % 24
			w[i] += part * (float64(h.Count[kind+at]) + nearKind*float64(h.Count[24-kind+at]))
		}
	}
	return w
}

// tail is how likely an hour as rare as that of t, or rarer, is among the hours of its kind of day. It is 1
// where nothing is known.
func (h *hours) tail(t time.Time) float64 {
	at := slot(t)
	weights := h.smooth(at / 24 * 24)
	limit := weights[at%24] + 1e-9
	var total, rare float64
	for _, w := range weights {
		total += w
		if w <= limit {
			rare += w + strength/24.0
		}
	}
	return min(rare/(total+strength), 1)
}
