package firewall

import (
	"errors"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
)

var errNoYear = errors.New("no year in the date, and nobody knows when the line was received")

// layouts of dates with a year, as firewalls and the formats' documents write them. A zone's abbreviation says too
// little to be used: such a time is UTC.
var layouts = [...]string{
	"Jan _2 2006 15:04:05.999999999", "Jan _2 2006 15:04:05.999999999 MST", "Jan _2 2006 15:04:05.999999999 -0700", "Jan _2, 2006 15:04:05.999999999",
	"Mon Jan _2 15:04:05 2006", "Mon Jan _2 15:04:05 MST 2006", "2006/01/02 15:04:05.999999999", "2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02 15:04:05.999999999 -0700", "02 Jan 2006 15:04:05.999999999", "02/Jan/2006:15:04:05 -0700", "2006-01-02T15:04:05.999999999",
}

const noYear = "Jan _2 15:04:05.999999999"

// parse reads a date or a count of seconds, milliseconds, microseconds or nanoseconds since 1970.
func (c clock) parse(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if t, ok := epoch(s); ok {
		return t, nil
	}
	if t, ok := decode.ParseTime(s); ok {
		return t, nil
	}
	for _, l := range layouts {
		t, err := time.Parse(l, s)
		if err != nil {
			continue
		}
		if strings.HasSuffix(l, "MST") || strings.Contains(l, "MST ") {
			t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
		}
		if t = t.UTC(); t.Year() < 1971 || t.Year() >= 2100 {
			return t, errors.New("the clock was never set: the year is before 1971 or after 2099")
		}
		return t, nil
	}
	t, err := time.Parse("2006 "+noYear, "2000 "+s) // a leap year: whether the day is there is known once the year is
	if err != nil {
		return t, errors.New(quote(s) + " is not a time")
	}
	return c.near(t)
}

// near puts a date without a year nearest to the line's arrival.
func (c clock) near(t time.Time) (best time.Time, err error) {
	if c.received.IsZero() {
		return t, errNoYear
	}
	for y := c.received.Year() - 1; y <= c.received.Year()+1; y++ {
		d := time.Date(y, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
		if d.Day() == t.Day() && (best.IsZero() || d.Sub(c.received).Abs() < best.Sub(c.received).Abs()) {
			best = d
		}
	}
	if best.IsZero() {
		return t, errors.New("no such day in the year of the line's arrival")
	}
	return best, nil
}

// epoch reads ten, thirteen, sixteen or nineteen digits exactly.
func epoch(s string) (time.Time, bool) {
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || len(s) > 19 || n > (1<<63-10)/10 {
			return time.Time{}, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	var t time.Time
	switch len(s) {
	case 10:
		t = time.Unix(n, 0)
	case 13:
		t = time.UnixMilli(n)
	case 16:
		t = time.UnixMicro(n)
	case 19:
		t = time.Unix(0, n)
	default:
		return t, false
	}
	t = t.UTC()
	return t, t.Year() >= 1971 && t.Year() < 2100
}

// header reads what stands before a record: a date and a host, each of which may be missing. It has none of the
// priority that syslog sends; such lines are syslog's.
func (c clock) header(s string) (at time.Time, host string, err error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return at, "", errors.New("no time in the record, and no date before it")
	}
	word, rest, _ := strings.Cut(s, " ")
	if t, ok := decode.ParseTime(word); ok && len(word) >= 19 {
		return t, firstWord(rest), nil
	}
	for _, n := range [...]int{len("Jan 02 2006 15:04:05"), len("Jan 02 15:04:05")} {
		if len(s) < n || len(s) > n && s[n] != ' ' {
			continue
		}
		if t, err := c.parse(s[:n]); err == nil || err == errNoYear {
			return t, firstWord(s[n:]), err
		}
	}
	return at, "", errors.New("no time in the record, and no date before it")
}

func firstWord(s string) string {
	w, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return w
}
