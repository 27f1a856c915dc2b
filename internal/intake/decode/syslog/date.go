package syslog

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

var months = map[string]time.Month{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}

// stamp reads the date at the beginning of s and returns what follows it. It reads
//
//	2026-09-21T14:58:56.123+02:00   2026-09-21 14:58:56 (also with a comma before the fraction)
//	Sep 21 14:58:56 (no year)   Sep 21 2026 14:58:56   Sep 21 14:58:56 2026   2026 Sep 21 14:58:56
//	Mon Sep 21 14:58:56 2026   21 Sep 2026 14:58:56
//
// What has no zone is UTC; the result is too.
func stamp(s string) (at time.Time, noYear bool, rest string, ok bool) {
	if len(s) >= 19 && s[4] == '-' && s[7] == '-' && (s[10] == 'T' || s[10] == ' ') {
		at, rest, ok = isoStamp(s)
		return at, false, rest, ok
	}
	year, s, _ := leadingYear(s)
	if len(s) > 5 && weekday(s[:3]) {
		s = strings.TrimLeft(strings.TrimPrefix(s[3:], ","), " ")
	}
	day, dayFirst := 0, false
	if d, after, has := number(s, 2); has && strings.HasPrefix(after, " ") {
		day, s, dayFirst = d, after[1:], true
	}
	if len(s) < 4 || s[3] != ' ' {
		return time.Time{}, false, s, false
	}
	month := months[strings.ToLower(s[:3])]
	if month == 0 {
		return time.Time{}, false, s, false
	}
	rest = strings.TrimLeft(s[3:], " ")
	if !dayFirst {
		var has bool
		if day, rest, has = number(rest, 2); !has || !strings.HasPrefix(rest, " ") {
			return time.Time{}, false, s, false
		}
		rest = rest[1:]
	}
	if year == 0 {
		year, rest, _ = leadingYear(rest)
	}
	clock, rest, has := clockTime(rest)
	if !has {
		return time.Time{}, false, s, false
	}
	if year == 0 && strings.HasPrefix(rest, " ") {
		if y, after, has := leadingYear(rest[1:] + " "); has {
			year, rest = y, strings.TrimSuffix(" "+after, " ")
		}
	}
	base := year
	if base == 0 {
		base = 2000 // a leap year: whether the day is there is known once the year is
	}
	t := time.Date(base, month, day, 0, 0, 0, 0, time.UTC)
	if day < 1 || t.Day() != day {
		return time.Time{}, false, s, false
	}
	return t.Add(clock), year == 0, rest, true
}

// leadingYear reads "2026 "; the year is 0 where there is none.
func leadingYear(s string) (int, string, bool) {
	if y, after, ok := number(s, 4); ok && y >= 1970 && y < 2200 && strings.HasPrefix(after, " ") {
		return y, strings.TrimLeft(after, " "), true
	}
	return 0, s, false
}

func isoStamp(s string) (time.Time, string, bool) {
	i := 19
	frac := ""
	if i+1 < len(s) && (s[i] == '.' || s[i] == ',') && digit(s[i+1]) {
		for i++; i < len(s) && digit(s[i]); i++ {
		}
		frac = "." + s[20:min(i, 29)]
	}
	rest, zone := s[i:], "Z"
	switch {
	case strings.HasPrefix(rest, "Z"):
		rest = rest[1:]
	case len(rest) >= 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		zone, rest = rest[:6], rest[6:]
	case len(rest) >= 5 && (rest[0] == '+' || rest[0] == '-') && digit(rest[1]) && digit(rest[2]) && digit(rest[3]) && digit(rest[4]):
		zone, rest = rest[:3]+":"+rest[3:5], rest[5:]
	}
	if rest != "" && rest[0] != ' ' && rest[0] != ':' {
		return time.Time{}, s, false
	}
	t, err := time.Parse(time.RFC3339Nano, s[:10]+"T"+s[11:19]+frac+zone)
	return t.UTC(), rest, err == nil
}

func epoch(sec, frac string) (time.Time, bool) {
	s, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	n, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
	t := time.Unix(s, n).UTC()
	return t, t.Year() >= 1971 && t.Year() < 2100
}

// zones are abbreviations that may follow a date. They say too little to be used: CST is three zones.
var zones = []string{"UTC", "GMT", "CET", "CEST", "MET", "MEST", "WET", "WEST", "EET", "EEST", "BST", "IST", "MSK", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "JST", "AEST", "AEDT", "SGT"}

// zone takes a zone's abbreviation away.
func zone(s string) string {
	word, ok := strings.CutPrefix(s, " ")
	if !ok {
		return s
	}
	end := strings.IndexAny(word, " :")
	if end > 0 && slices.Contains(zones, word[:end]) {
		return word[end:]
	}
	return s
}

func weekday(s string) bool {
	switch strings.ToLower(s) {
	case "mon", "tue", "wed", "thu", "fri", "sat", "sun":
		return true
	}
	return false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// number reads at most n digits.
func number(s string, n int) (int, string, bool) {
	v, i := 0, 0
	for i < len(s) && i < n && digit(s[i]) {
		v, i = v*10+int(s[i]-'0'), i+1
	}
	return v, s[i:], i > 0
}

// clockTime reads 14:58:56 with any fraction.
func clockTime(s string) (time.Duration, string, bool) {
	if len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return 0, s, false
	}
	end := 8
	if end+1 < len(s) && (s[end] == '.' || s[end] == ',') && digit(s[end+1]) {
		for end++; end < len(s) && digit(s[end]); end++ {
		}
	}
	t, err := time.Parse("15:04:05", strings.Replace(s[:end], ",", ".", 1))
	if err != nil {
		return 0, s, false
	}
	return t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), s[end:], true
}

var errNoYear = errors.New("no year: the line's date has none, no line of the file has one, and nobody knows when it was received")

// years gives dates without a year the one that puts them nearest to when they were received, or in a file of
// unknown age to a date that has one. Such lines of a file wait until all of it was read.
type years struct {
	received time.Time // zero for files
	days     []int64   // of the dates that have a year, since 1970
	sorted   bool
	waiting  []waitingLine
	size     int
	closed   bool
}

type waitingLine struct {
	n   int64
	raw []byte
}

// Limits on what a file of unknown age may have waiting.
const (
	maxWaiting = 8 << 20
	maxDays    = 100_000
)

const aDay = 24 * 60 * 60

// seen tells of a date that has a year.
func (y *years) seen(t time.Time) {
	day := t.Unix() / aDay
	if !y.received.IsZero() || len(y.days) > 0 && y.days[len(y.days)-1] == day || len(y.days) >= maxDays {
		return
	}
	y.days, y.sorted = append(y.days, day), false
}

// keep makes a line wait; false: it must be decided now.
func (y *years) keep(n int64, raw []byte) bool {
	if y.closed || y.size+len(raw) > maxWaiting {
		y.closed = true
		return false
	}
	y.size += len(raw) + 48
	y.waiting = append(y.waiting, waitingLine{n, bytes.Clone(raw)})
	return true
}

// close returns the lines that waited; from now on none does.
func (y *years) close() []waitingLine {
	w := y.waiting
	y.waiting, y.closed = nil, true
	return w
}

// place gives a date of the year 2000 its year.
func (y *years) place(t time.Time) (time.Time, error) {
	if !y.received.IsZero() {
		return nearest(t, []int64{y.received.Unix() / aDay})
	}
	if len(y.days) == 0 || !y.closed {
		return time.Time{}, errNoYear
	}
	if !y.sorted {
		slices.Sort(y.days)
		y.days, y.sorted = slices.Compact(y.days), true
	}
	return nearest(t, y.days)
}

// nearest puts a date within half a year of one of the days, which are sorted; of two years equally near, the
// earlier.
func nearest(t time.Time, days []int64) (time.Time, error) {
	year := func(day int64) int { return time.Unix(day*aDay, 0).UTC().Year() }
	var best time.Time
	least := int64(184)
	for y := max(year(days[0])-1, 1971); y <= min(year(days[len(days)-1])+1, 2099); y++ {
		d := time.Date(y, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
		if d.Day() != t.Day() {
			continue
		}
		day := d.Unix() / aDay
		i, _ := slices.BinarySearch(days, day)
		for _, known := range days[max(i-1, 0):min(i+1, len(days))] {
			if away := max(known-day, day-known); away < least {
				least, best = away, d
			}
		}
	}
	if best.IsZero() {
		return time.Time{}, errors.New("no such day in the year of the lines around it")
	}
	return best, nil
}
