package mail

import (
	"strconv"
	"strings"
	"time"
)

var months = map[string]time.Month{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8,
	"sep": 9, "oct": 10, "nov": 11, "dec": 12}

// zones are the obsolete zone names that RFC 5322 4.3 defines; others mean an unknown zone, taken as UTC.
var zones = map[string]int{"ut": 0, "gmt": 0, "utc": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7,
	"mdt": -6, "pst": -8, "pdt": -7, "cet": 1, "cest": 2, "met": 1, "mest": 2, "bst": 1, "ist": 5}

// parseDate reads a date of RFC 5322 3.3 and 4.3 and of mbox separators (asctime), with what real mail gets
// wrong: missing weekday or seconds, two-digit years, comments, missing zone (UTC then). The result is in UTC and
// within 1971 to 2099.
func parseDate(v string) (time.Time, bool) {
	if i := strings.IndexByte(v, '('); i >= 0 {
		v = v[:i]
	}
	if len(v) > 200 {
		return time.Time{}, false
	}
	var (
		day, year         = 0, 0
		month             time.Month
		hour, minute, sec = -1, 0, 0
		offset            int
		signed            bool
	)
	for _, w := range strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		switch {
		case strings.Contains(w, ":"):
			if hour >= 0 || !parseClock(w, &hour, &minute, &sec) {
				return time.Time{}, false
			}
		case (w[0] == '+' || w[0] == '-') && len(w) >= 4 && hour >= 0:
			n, err := strconv.Atoi(strings.ReplaceAll(w[1:], ":", ""))
			if err != nil || n/100 > 15 || n%100 > 59 {
				n = 0 // a zone that cannot be: the clock is taken as UTC
			}
			offset, signed = (n/100)*3600+(n%100)*60, true
			if w[0] == '-' {
				offset = -offset
			}
		case w[0] >= '0' && w[0] <= '9':
			n, err := strconv.Atoi(w)
			switch {
			case err != nil:
				if !parseDashed(w, &day, &month, &year) {
					return time.Time{}, false
				}
			case day == 0 && n >= 1 && n <= 31 && len(w) <= 2:
				day = n
			case year == 0 && (len(w) == 2 || len(w) == 4):
				year = n
			}
		default:
			l := strings.ToLower(w)
			if m, ok := months[l[:min(3, len(l))]]; ok && month == 0 && len(l) >= 3 {
				month = m
			} else if h, ok := zones[l]; ok && hour >= 0 && !signed {
				offset = h * 3600
			}
		}
	}
	if len(v) > 0 && year > 0 && year < 100 {
		year += 1900
		if year < 1970 {
			year += 100
		}
	}
	if day == 0 || month == 0 || hour < 0 || year < 1971 || year >= 2100 {
		return time.Time{}, false
	}
	t := time.Date(year, month, day, hour, minute, sec, 0, time.UTC) // second 60 is the next minute's first
	if time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Day() != day {
		return time.Time{}, false
	}
	return t.Add(-time.Duration(offset) * time.Second), true
}

func parseClock(w string, hour, minute, sec *int) bool {
	p := strings.Split(w, ":")
	if len(p) > 3 {
		return false
	}
	out := [...]*int{hour, minute, sec}
	limit := [...]int{23, 59, 60}
	for i, s := range p {
		s, _, _ = strings.Cut(s, ".")
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > limit[i] {
			return false
		}
		*out[i] = n
	}
	return true
}

// parseDashed reads 13-Nov-2023.
func parseDashed(w string, day *int, month *time.Month, year *int) bool {
	p := strings.Split(w, "-")
	if len(p) != 3 || len(p[1]) < 3 {
		return false
	}
	d, err1 := strconv.Atoi(p[0])
	y, err2 := strconv.Atoi(p[2])
	m, ok := months[strings.ToLower(p[1][:3])]
	if err1 != nil || err2 != nil || !ok || d < 1 || d > 31 {
		return false
	}
	*day, *month, *year = d, m, y
	return true
}
