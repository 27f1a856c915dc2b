package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseHours reads a weekly window in UTC:
//
//	mon-fri 07:00-19:00              working days
//	mon-wed, fri 07:00-19:00         several days, one window
//	mon-thu 22:00-06:00              past midnight, counted to the day on which it begins
//	sat                              a whole day
//	07:00-19:00                      every day
//	always                           no restriction, as when hours is not given
//
// Parts are separated by commas and may each have a time, but all the same one: a trust has one window.
func ParseHours(s string) (tenant.Hours, error) {
	var h tenant.Hours
	text := strings.TrimSpace(strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), "utc"))
	if text == "always" {
		return h, nil
	}
	h.Restricted = true
	window := ""
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 {
			return tenant.Hours{}, fmt.Errorf("%q is no part of a weekly window", printable(part))
		}
		times := ""
		if strings.Contains(words[len(words)-1], ":") {
			times, words = words[len(words)-1], words[:len(words)-1]
		}
		if len(words) > 1 {
			return tenant.Hours{}, fmt.Errorf("%q is no time of day", printable(words[1]))
		}
		if err := addDays(&h, words); err != nil {
			return tenant.Hours{}, err
		}
		if times != "" && window != "" && times != window {
			return tenant.Hours{}, fmt.Errorf("two windows of the day, %s and %s, where a trust has one", window, printable(times))
		}
		if times != "" {
			window = times
		}
	}
	h.To = 24 * 60
	if window == "" {
		return h, nil
	}
	from, to, ok := strings.Cut(window, "-")
	var okFrom, okTo bool
	h.From, okFrom = minutes(from)
	h.To, okTo = minutes(to)
	if !ok || !okFrom || !okTo || h.From == 24*60 || h.From == h.To {
		return tenant.Hours{}, fmt.Errorf("%q is no window of the day", printable(window))
	}
	return h, nil
}

// addDays adds a day or a range of days, which may pass the weekend; no words mean every day.
func addDays(h *tenant.Hours, words []string) error {
	if len(words) == 0 || words[0] == "daily" {
		for i := range h.Days {
			h.Days[i] = true
		}
		return nil
	}
	first, last, isRange := strings.Cut(words[0], "-")
	if !isRange {
		last = first
	}
	a, b := slices.Index(weekdays, first), slices.Index(weekdays, last)
	if a < 0 || b < 0 {
		return fmt.Errorf("%q is no day", printable(words[0]))
	}
	for d := a; ; d = (d + 1) % 7 {
		h.Days[d] = true
		if d == b {
			return nil
		}
	}
}

// minutes reads HH:MM as minutes of the day, up to 24:00.
func minutes(s string) (int, bool) {
	hh, mm, ok := strings.Cut(s, ":")
	h, errH := strconv.ParseUint(hh, 10, 8)
	m, errM := strconv.ParseUint(mm, 10, 8)
	if !ok || len(hh) > 2 || len(mm) != 2 || errH != nil || errM != nil || m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, false
	}
	return int(h*60 + m), true
}

// hours reads the weekly window at key.
func (o *object) hours(key string) tenant.Hours {
	it := o.text(key)
	if it.text == "" {
		return tenant.Hours{}
	}
	h, err := ParseHours(it.text)
	if err != nil {
		it.fail(err.Error(), "write mon-fri 07:00-19:00 (UTC)")
	}
	return h
}
