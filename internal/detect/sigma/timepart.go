package sigma

import (
	"strconv"
	"strings"
	"time"
)

// parts gives the least and the greatest number of each part of a time that rules may ask for (modifiers appendix,
// "Time Modifiers"; weeks are those of ISO 8601, of which a year may have 53).
var parts = map[string][2]int64{"minute": {0, 59}, "hour": {0, 23}, "day": {1, 31}, "week": {1, 53}, "month": {1, 12}, "year": {0, 9999}}

func partCanBe(part string, n int64) bool { return parts[part][0] <= n && n <= parts[part][1] }

// timePart returns a part of a time as the event writes it: the specification asks for no conversion between time
// zones, so 08:00+02:00 is at hour 8. Numbers that count seconds, or parts of them, since 1970 are UTC.
func timePart(text, part string) (int64, bool) {
	t, clock, ok := parseTime(strings.TrimSpace(text))
	if !ok || !clock && (part == "minute" || part == "hour") {
		return 0, false
	}
	switch part {
	case "minute":
		return int64(t.Minute()), true
	case "hour":
		return int64(t.Hour()), true
	case "day":
		return int64(t.Day()), true
	case "week":
		_, week := t.ISOWeek()
		return int64(week), true
	case "month":
		return int64(t.Month()), true
	}
	return int64(t.Year()), true
}

// parseTime reads 2006-01-02, alone or with a time of day behind a space or T, with "/" for "-" too, or a number of
// seconds, milliseconds, microseconds or nanoseconds since 1970, which are told apart by their size. What stands
// behind the minutes doesn't matter to any part.
func parseTime(s string) (t time.Time, clock, ok bool) {
	if len(s) < 10 || len(s) > 64 {
		return t, false, false
	}
	if s[4] != '-' && s[4] != '/' {
		return parseEpoch(s)
	}
	year, ok1 := digits(s[:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 || s[7] != s[4] || month < 1 || month > 12 || day < 1 || day > 31 {
		return t, false, false
	}
	if len(s) == 10 {
		return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC), false, true
	}
	if len(s) < 16 || s[10] != 'T' && s[10] != ' ' && s[10] != 't' || s[13] != ':' {
		return t, false, false
	}
	hour, ok1 := digits(s[11:13])
	minute, ok2 := digits(s[14:16])
	if !ok1 || !ok2 || hour > 23 || minute > 59 {
		return t, false, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, 0, 0, time.UTC), true, true
}

func parseEpoch(s string) (t time.Time, clock, ok bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if strings.Trim(fraction, "0123456789") != "" {
		return t, false, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 {
		return t, false, false
	}
	switch {
	case n < 1e11:
		return time.Unix(n, 0).UTC(), true, true
	case n < 1e14:
		return time.UnixMilli(n).UTC(), true, true
	case n < 1e17:
		return time.UnixMicro(n).UTC(), true, true
	}
	return time.Unix(0, n).UTC(), true, true
}

func digits(s string) (int, bool) {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
