package sigma

import (
	"encoding/base64"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// This file is the language a second time, as plainly as it can be written: no index, no tree of tokens, no choice of
// kinds. Rules are structures, not text; values become regular expressions character by character; a base64 text is
// found by what two different neighbourhoods have in common. The compiled engine must give the same answers.

// naiveItem is `field|modifiers: values`.
type naiveItem struct {
	field  string
	mods   []string
	values []any // string, int, bool, nil
}

func (it *naiveItem) has(mod string) bool {
	for _, m := range it.mods {
		if m == mod {
			return true
		}
	}
	return false
}

// naiveEvent gives the values of each field by its name in lower case.
type naiveEvent map[string][]string

func (it *naiveItem) holds(e naiveEvent, known map[string][]string) bool {
	hits := 0
	for _, v := range it.values {
		if it.one(v, e, known) {
			hits++
		}
	}
	answer := hits > 0
	if it.has("all") {
		answer = hits == len(it.values)
	}
	return answer != it.has("neq")
}

// one answers the question for one value of the rule.
func (it *naiveItem) one(v any, e naiveEvent, known map[string][]string) bool {
	values, there := e[strings.ToLower(it.field)]
	if it.field == "" {
		for _, list := range e {
			values = append(values, list...)
		}
	}
	if it.has("exists") {
		return there == v.(bool)
	}
	if v == nil {
		return !there
	}
	for _, text := range values {
		if it.value(v, text, e, known) {
			return true
		}
	}
	return false
}

func (it *naiveItem) value(v any, text string, e naiveEvent, known map[string][]string) bool {
	has := it.has
	for _, part := range []string{"minute", "hour", "day", "week", "month", "year"} {
		if has(part) {
			t, err := time.Parse("2006-01-02 15:04:05", strings.TrimSpace(text))
			if err != nil {
				return false
			}
			_, week := t.ISOWeek()
			n := map[string]int{"minute": t.Minute(), "hour": t.Hour(), "day": t.Day(), "week": week, "month": int(t.Month()), "year": t.Year()}[part]
			return it.number(float64(n), float64(v.(int)))
		}
	}
	switch {
	case has("lt") || has("lte") || has("gt") || has("gte"):
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64) // decoders keep spaces
		return err == nil && it.number(n, float64(v.(int)))
	case has("cidr"):
		_, network, err := net.ParseCIDR(v.(string))
		ip := net.ParseIP(text)
		return err == nil && ip != nil && network.Contains(ip)
	case has("re"):
		flags := "(?"
		for _, f := range []string{"i", "m", "s"} {
			if has(f) {
				flags += f
			}
		}
		return regexp.MustCompile(strings.Replace(flags+")", "(?)", "", 1) + v.(string)).MatchString(text)
	case has("fieldref"):
		for _, other := range e[strings.ToLower(v.(string))] {
			a, b := text, other
			if !has("cased") {
				a, b = strings.ToLower(a), strings.ToLower(b)
			}
			if has("contains") && strings.Contains(a, b) || has("startswith") && strings.HasPrefix(a, b) ||
				has("endswith") && strings.HasSuffix(a, b) || !has("contains") && !has("startswith") && !has("endswith") && a == b {
				return true
			}
		}
		return false
	}
	for _, fits := range it.forms(fmt.Sprint(v), known) {
		if fits(text) {
			return true
		}
	}
	return false
}

func (it *naiveItem) number(n, want float64) bool {
	switch {
	case it.has("lt"):
		return n < want
	case it.has("lte"):
		return n <= want
	case it.has("gt"):
		return n > want
	case it.has("gte"):
		return n >= want
	}
	return n == want
}

// forms returns questions, one of which is answered by yes if the value fits the text.
func (it *naiveItem) forms(value string, known map[string][]string) (out []func(text string) bool) {
	list := []string{value}
	if it.has("expand") {
		list = slices.Clone(known[strings.Trim(value, "%")])
	}
	before, after, cased := it.field == "", it.field == "", it.has("cased")
	encoded := false
	for _, mod := range it.mods {
		switch mod {
		case "contains":
			before, after = true, true
		case "startswith":
			after = true
		case "endswith":
			before = true
		case "wide", "utf16", "utf16be", "base64", "base64offset":
			var next []string
			for _, v := range list {
				next = append(next, naiveEncode(v, mod)...)
			}
			list, encoded = next, true
			cased = cased || strings.HasPrefix(mod, "base64")
		}
	}
	for _, v := range list {
		if encoded { // may be no UTF-8, which regular expressions don't take
			out = append(out, func(text string) bool {
				if !cased {
					text, v = naiveLower(text), naiveLower(v)
				}
				return before && after && strings.Contains(text, v) || !before && strings.HasPrefix(text, v) && (after || text == v) ||
					before && !after && strings.HasSuffix(text, v)
			})
			continue
		}
		body := naivePattern(v, it.has("windash"))
		if before {
			body = ".*" + body
		}
		if after {
			body += ".*"
		}
		flags := "(?is)"
		if cased {
			flags = "(?s)"
		}
		out = append(out, regexp.MustCompile(flags+`\A(?:`+body+`)\z`).MatchString)
	}
	return out
}

// naiveLower lowers the letters of ASCII.
func naiveLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// naivePattern reads the escapes and wildcards of a value.
func naivePattern(v string, windash bool) string {
	out := ""
	runes := []rune(v)
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && regexp.MustCompile(`^[\pL\p{Nd}_]$`).MatchString(string(runes[i]))
	}
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '\\' && i+1 < len(runes) && strings.ContainsRune(`*?\`, runes[i+1]):
			i++
			out += regexp.QuoteMeta(string(runes[i]))
		case c == '*':
			out += ".*"
		case c == '?':
			out += "."
		case windash && strings.ContainsRune("-/–—―", c) && !word(i-1) && word(i+1):
			out += "[-/–—―]"
		default:
			out += regexp.QuoteMeta(string(c))
		}
	}
	return out
}

func naiveEncode(v, how string) []string {
	var b []byte
	switch how {
	case "base64":
		return []string{base64.StdEncoding.EncodeToString([]byte(v))}
	case "base64offset":
		var out []string
		for shift := range 3 {
			in := func(fill byte) string {
				fillers := strings.Repeat(string([]byte{fill}), 3)
				return base64.StdEncoding.EncodeToString([]byte(fillers[:shift] + v + fillers[:(6-shift-len(v)%3)%3]))
			}
			// What the neighbours' bits reach differs between all zeros and all ones.
			a, b, common := in(0x00), in(0xff), ""
			for i := range a {
				if a[i] == b[i] {
					common += a[i : i+1]
				}
			}
			if common != "" {
				out = append(out, common)
			}
		}
		return out
	case "utf16":
		b = append(b, 0xff, 0xfe)
	}
	for _, u := range utf16.Encode([]rune(v)) {
		if how == "utf16be" {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return []string{string(b)}
}

// naiveSelection is any of its maps, each all of its items; keywords are maps with one item without a field.
type naiveSelection struct {
	name string
	maps [][]naiveItem
}

func (s *naiveSelection) holds(e naiveEvent, known map[string][]string) bool {
	for _, m := range s.maps {
		all := true
		for i := range m {
			all = all && m[i].holds(e, known)
		}
		if all {
			return true
		}
	}
	return false
}

// naiveCondition is a condition as a tree and as text.
type naiveCondition struct {
	text  string
	holds func(truth map[string]bool) bool
}
