package config

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// units of sizes, the longest suffix first.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// parseSize reads 20GiB, 1.5MB or a bare number of bytes.
func parseSize(s string) (int64, bool) {
	unit := int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = strings.TrimRight(number, " "), u.bytes
			break
		}
	}
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n * unit, n <= math.MaxInt64/unit
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f*float64(unit) >= math.MaxInt64 {
		return 0, false
	}
	return int64(f * float64(unit)), true
}

// parseDuration reads what Go's time.ParseDuration does, and whole days as 3d.
func parseDuration(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

// size reads the size at key into to, which keeps its value where the key is missing.
func (o *object) size(key string, to *int64, least, most int64) {
	it := o.text(key)
	if it.text == "" {
		return
	}
	n, ok := parseSize(it.text)
	switch {
	case !ok:
		it.fail(fmt.Sprintf("%q is no size", printable(it.text)), "write 512MiB, 20GiB, or a number of bytes")
	case n < least || n > most:
		it.fail(fmt.Sprintf("%s is out of bounds", printable(it.text)), fmt.Sprintf("write %s to %s", sizeText(least), sizeText(most)))
	default:
		*to = n
	}
}

func sizeText(n int64) string {
	for _, u := range []int{3, 2, 1, 0} {
		if b := units[u].bytes; n >= b && n%b == 0 {
			return fmt.Sprintf("%d%s", n/b, units[u].suffix)
		}
	}
	return strconv.FormatInt(n, 10)
}

// duration reads the duration at key into to, which keeps its value where the key is missing.
func (o *object) duration(key string, to *time.Duration, least, most time.Duration) {
	it := o.text(key)
	if it.text == "" {
		return
	}
	d, ok := parseDuration(it.text)
	switch {
	case !ok:
		it.fail(fmt.Sprintf("%q is no duration", printable(it.text)), "write 300ms, 90s, 2m, 72h or 3d")
	case d < least || d > most:
		it.fail(fmt.Sprintf("%s is out of bounds", printable(it.text)), fmt.Sprintf("write %s to %s", least, most))
	default:
		*to = d
	}
}

// count reads the whole number at key into to, which keeps its value where the key is missing.
func (o *object) count(key string, to *int64, least, most int64) {
	it := o.text(key)
	if it.text == "" {
		return
	}
	n, err := strconv.ParseInt(it.text, 10, 64)
	if err != nil || n < least || n > most {
		it.fail(fmt.Sprintf("%q is no such number", printable(it.text)), fmt.Sprintf("write a whole number of %d to %d", least, most))
		return
	}
	*to = n
}

// yes reads true or false.
func (o *object) yes(key string) bool {
	it := o.text(key)
	switch it.text {
	case "true":
		return true
	case "false", "":
	default:
		it.fail(fmt.Sprintf("%q is neither true nor false", printable(it.text)), "write true or false")
	}
	return false
}

// file reads the name of a file, relative to the folder of the configuration.
func (it item) file() string {
	if it.text == "" || filepath.IsAbs(it.text) {
		return it.text
	}
	return filepath.Join(absolute(filepath.Dir(it.r.name)), it.text)
}
