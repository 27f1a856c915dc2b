package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// hidden reports whether a rune can change what a reader sees without being seen: control characters, marks
// that turn the reading direction (Unicode TR 36 §2.5), zero-width and tag characters, line separators. Tabs
// and line ends are left to the caller.
func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\r' || r == '\t':
		return false
	case r < 0x20, r >= 0x7F && r <= 0x9F, r == 0xAD, r == 0x61C, r == 0x180E:
		return true
	case r >= 0x200B && r <= 0x200F, r >= 0x2028 && r <= 0x202E, r >= 0x2060 && r <= 0x206F:
		return true
	case r == 0xFEFF, r >= 0xFFF9 && r <= 0xFFFB, r >= 0xE0000 && r <= 0xE007F:
		return true
	}
	return false
}

// visible returns b with every hidden rune written as \uXXXX. Inside a JSON string that is the same value,
// elsewhere it is what a reader should see.
func visible(b []byte) []byte {
	if bytes.IndexFunc(b, func(r rune) bool { return hidden(r) || r == utf8.RuneError }) < 0 {
		return b
	}
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, "\uFFFD"...)
		case hidden(r):
			out = appendEscape(out, r)
		default:
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return out
}

func appendEscape(out []byte, r rune) []byte {
	if r > 0xFFFF {
		hi, lo := (r-0x10000)>>10+0xD800, (r-0x10000)&0x3FF+0xDC00
		return fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}

// plain returns s as one visible line: hidden runes as \uXXXX, line ends and tabs as \n, \r and \t.
func plain(s string) string {
	if strings.ContainsAny(s, "\n\r\t") {
		s = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
	}
	return string(visible([]byte(s)))
}

// write sends b to w with hidden runes made visible.
func write(w io.Writer, b []byte) error {
	_, err := w.Write(visible(b))
	return err
}

// minute and second print a time for prose and for tables, always UTC; the zero time is "unknown" in prose.
func minute(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func second(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// stamp prints a time for machines (RFC 3339, UTC), "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// count returns "1 thing", "2 things", "12,345 things"; many is the plural.
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(int64(n)) + " " + many
}

// grouped prints a number with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// days prints a dwell time: "47 days", "3.5 days", "5 hours".
func days(d float64) string {
	switch {
	case d <= 0:
		return "less than an hour"
	case d < 1:
		h := int(d*24 + 0.5)
		if h == 0 {
			return "less than an hour"
		}
		return count(h, "hour", "hours")
	case d < 10:
		s := strconv.FormatFloat(d, 'f', 1, 64)
		if s == "1.0" {
			return "1 day"
		}
		return strings.TrimSuffix(s, ".0") + " days"
	}
	return strconv.FormatFloat(d, 'f', 0, 64) + " days"
}

// bytesOf prints a size with a decimal unit.
func bytesOf(n int64) string {
	const units = "kMGT"
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n)/1000, 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + units[i:i+1] + "B"
}

// list joins words as a sentence does: "a, b and c"; past most it ends in "and N more".
func list(words []string, most int) string {
	if len(words) > most {
		return strings.Join(words[:most], ", ") + " and " + grouped(int64(len(words)-most)) + " more"
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// runeWidth is how many terminal columns a rune takes: 0 for combining marks, 2 for East Asian wide forms and
// pictographs (Unicode TR 11), else 1.
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && r <= 0x115F, r >= 0x2E80 && r <= 0xA4CF, r >= 0xAC00 && r <= 0xD7A3, r >= 0xF900 && r <= 0xFAFF,
		r >= 0xFE30 && r <= 0xFE6F, r >= 0xFF00 && r <= 0xFF60, r >= 0xFFE0 && r <= 0xFFE6, r >= 0x1F300 && r <= 0x1FAFF,
		r >= 0x20000 && r <= 0x3FFFD:
		return 2
	}
	return 1
}

func width(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// clip cuts s to at most n columns, the last one an ellipsis where something was cut.
func clip(s string, n int) string {
	if width(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used+runeWidth(r) > n-1 {
			return s[:i] + "…"
		}
		used += runeWidth(r)
	}
	return s
}

// wrap breaks s into lines of at most n columns (at least 2), at spaces where it can; a word that fits no line is
// broken hard.
func wrap(s string, n int) []string {
	n = max(n, 2)
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(s) {
		start, wide := 0, 0
		for i, r := range word {
			w := runeWidth(r)
			if wide+w > n {
				if used > 0 {
					lines, line, used = append(lines, line), "", 0
				}
				lines, start, wide = append(lines, word[start:i]), i, 0
			}
			wide += w
		}
		switch word = word[start:]; {
		case used == 0:
			line, used = word, wide
		case used+1+wide > n:
			lines, line, used = append(lines, line), word, wide
		default:
			line, used = line+" "+word, used+1+wide
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// Visible returns text or JSON with every rune that changes what a reader sees without being seen as \uXXXX: in
// JSON that is the same value. It is for what others wrote and a terminal shows.
func Visible(b []byte) []byte { return visible(b) }
