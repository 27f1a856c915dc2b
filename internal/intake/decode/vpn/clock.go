package vpn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
)

var errNoYear = errors.New("no year: the line's date has none and no line of the file has one")

// stamp is a date as a line gives it.
type stamp struct {
	t      time.Time
	noYear bool
}

var months = map[string]time.Month{"Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12}

// parseStamp reads the date at the beginning of s and returns what follows it. It reads
//
//	2026-09-21 14:58:56        2026-09-21T14:58:56.123+02:00
//	Mon Sep 21 14:58:56 2026   Sep 21 2026 14:58:56   Sep 21 14:58:56 (no year)
//
// and takes what has no zone as UTC; abbreviations of zones say too little to be used.
func parseStamp(s string) (stamp, string, bool) {
	if len(s) >= 19 && s[4] == '-' && s[7] == '-' {
		return isoStamp(s)
	}
	if len(s) > 4 && s[3] == ' ' && weekday(s[:3]) {
		s = s[4:]
	}
	if len(s) < 15 || months[s[:3]] == 0 || s[3] != ' ' {
		return stamp{}, s, false
	}
	month := months[s[:3]]
	day, rest, ok := digits(strings.TrimLeft(s[3:], " "), 2)
	if !ok || !strings.HasPrefix(rest, " ") {
		return stamp{}, s, false
	}
	rest = rest[1:]
	year := 0
	if y, after, ok := digits(rest, 4); ok && y >= 1970 && strings.HasPrefix(after, " ") {
		year, rest = y, after[1:]
	}
	clock, rest, ok := clockTime(rest)
	if !ok {
		return stamp{}, s, false
	}
	if year == 0 {
		if y, after, ok := digits(strings.TrimPrefix(rest, " "), 4); ok && y >= 1970 && strings.HasPrefix(rest, " ") && (after == "" || after[0] == ' ' || after[0] == ':') {
			year, rest = y, after
		}
	}
	base := year
	if base == 0 {
		base = 2000 // a leap year: whether the day is there is known once the year is
	}
	t := time.Date(base, month, day, 0, 0, 0, 0, time.UTC)
	if day < 1 || t.Day() != day {
		return stamp{}, s, false
	}
	return stamp{t: t.Add(clock), noYear: year == 0}, rest, true
}

func isoStamp(s string) (stamp, string, bool) {
	i := 19
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		}
	}
	head, rest := s[:10]+"T"+s[11:i], s[i:]
	if s[10] != 'T' && s[10] != ' ' {
		return stamp{}, s, false
	}
	zone := ""
	switch {
	case strings.HasPrefix(rest, "Z"):
		zone, rest = "Z", rest[1:]
	case len(rest) >= 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		zone, rest = rest[:6], rest[6:]
	default:
		zone = "Z"
	}
	t, err := time.Parse(time.RFC3339Nano, head+zone)
	return stamp{t: t.UTC()}, rest, err == nil
}

func weekday(s string) bool {
	switch s {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// digits reads at most n digits.
func digits(s string, n int) (int, string, bool) {
	v, i := 0, 0
	for i < len(s) && i < n && s[i] >= '0' && s[i] <= '9' {
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
	if end < len(s) && s[end] == '.' {
		for end++; end < len(s) && s[end] >= '0' && s[end] <= '9'; end++ {
		}
	}
	t, err := time.Parse("15:04:05", s[:end])
	if err != nil {
		return 0, s, false
	}
	return t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), s[end:], true
}

// calendar gives dates without a year the year that puts them nearest to a date of the same file that has one, and
// never one from the machine's clock or from a file's time: the same lines always give the same events, in any
// order. Lines without a year therefore wait until the whole file was read.
type calendar struct {
	days     map[int64]struct{} // those of the dates with a year, since 1970
	sorted   []int64
	waiting  []undated
	size     int
	complete bool // no line needs to wait any more
}

// undated is a line that waits for its year.
type undated struct {
	n   int64
	raw []byte
}

// maxUndated is how many bytes of lines without a year wait; what comes after takes its year from the dates seen
// by then.
const maxUndated = 8 << 20

// lines calls each for every line; the lines without a year come last.
func (c *calendar) lines(ctx context.Context, r io.Reader, sink decode.Sink, each func(n int64, raw []byte) error) error {
	err := decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		err := each(n, raw)
		if err != errNoYear || c.complete {
			return err
		}
		const overhead = 48
		if c.size += len(raw) + overhead; c.size <= maxUndated {
			c.waiting = append(c.waiting, undated{n, bytes.Clone(raw)})
			return nil
		}
		c.complete = true
		return each(n, raw)
	})
	if err != nil {
		return err
	}
	c.complete = true
	for _, l := range c.waiting {
		if err := each(l.n, l.raw); err != nil {
			sink.Bad(l.n, err.Error(), l.raw)
		}
	}
	return nil
}

const aDay = 24 * 60 * 60 // seconds

// date returns when a stamp was, or errNoYear where that can't be said yet, or ever.
func (c *calendar) date(s stamp) (time.Time, error) {
	if s.noYear {
		return c.nearest(s.t)
	}
	if s.t.Year() < 1971 || s.t.Year() >= 2100 {
		return time.Time{}, errors.New("the clock was never set: the year is before 1971 or after 2099")
	}
	day := s.t.Unix() / aDay
	if _, known := c.days[day]; !known {
		if c.days == nil {
			c.days = map[int64]struct{}{}
		}
		c.days[day], c.sorted = struct{}{}, nil
	}
	return s.t, nil
}

// nearest puts a date without a year within half a year of a day that is known; of two years equally near, the
// earlier.
func (c *calendar) nearest(t time.Time) (time.Time, error) {
	if len(c.days) == 0 || !c.complete {
		return time.Time{}, errNoYear
	}
	if c.sorted == nil {
		c.sorted = slices.Sorted(maps.Keys(c.days))
	}
	year := func(day int64) int { return time.Unix(day*aDay, 0).UTC().Year() }
	var best time.Time
	least := int64(184)
	for y := max(year(c.sorted[0])-1, 1971); y <= min(year(c.sorted[len(c.sorted)-1])+1, 2099); y++ {
		d, ok := inYear(t, y)
		if !ok {
			continue
		}
		day := d.Unix() / aDay
		i, _ := slices.BinarySearch(c.sorted, day)
		for _, known := range c.sorted[max(i-1, 0):min(i+1, len(c.sorted))] {
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

func inYear(t time.Time, year int) (time.Time, bool) {
	d := time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	return d, d.Day() == t.Day()
}
