package sigma

import (
	"math"
	"strconv"
	"strings"
)

// number is a value that lt, lte, gt and gte compare: whole numbers exactly, others as floating point.
type number struct {
	float    bool
	whole    int64
	fraction float64
}

// parseNumber reads a number in decimal, or in hexadecimal where it begins with 0x; infinities are none.
func parseNumber(s string) (number, bool) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{whole: n}, true
	}
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		n, err := strconv.ParseUint(s[2:], 16, 64)
		if err != nil || n > math.MaxInt64 {
			return number{float: true, fraction: float64(n)}, err == nil
		}
		return number{whole: int64(n)}, true
	}
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return number{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return number{}, false
	}
	return number{float: true, fraction: f}, true
}

// compare returns -1, 0 or 1 as a is less than, equal to or greater than b.
func (a number) compare(b number) int {
	if !a.float && !b.float {
		switch {
		case a.whole < b.whole:
			return -1
		case a.whole > b.whole:
			return 1
		}
		return 0
	}
	x, y := a.value(), b.value()
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (a number) value() float64 {
	if a.float {
		return a.fraction
	}
	return float64(a.whole)
}

// String writes the number so that different ones have different texts.
func (a number) String() string {
	if a.float {
		return strconv.FormatFloat(a.fraction, 'g', -1, 64) + "f"
	}
	return strconv.FormatInt(a.whole, 10)
}
