package posture

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// maxAge bounds what a control may call fresh: ten years.
const maxAge = 10 * 366 * 24 * time.Hour

// parseAge reads a whole number of hours, days or weeks: 36h, 35d, 8w. A day has 24 hours.
func parseAge(s string) (time.Duration, error) {
	unit := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if len(s) < 2 || unit[s[len(s)-1]] == 0 {
		return 0, fmt.Errorf("%q is no age; write hours, days or weeks, such as 36h, 35d or 8w", s)
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 20)
	d := time.Duration(n) * unit[s[len(s)-1]]
	if err != nil || d <= 0 || d > maxAge {
		return 0, fmt.Errorf("%q is no age between an hour and ten years; write such as 36h, 35d or 8w", s)
	}
	return d, nil
}

// ageText writes an age for people: whole days from two days on, hours below.
func ageText(d time.Duration) string {
	switch {
	case d < 0:
		return "in the future"
	case d < time.Hour:
		return "less than an hour"
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(math.Floor(d.Hours()/24)), "day")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
