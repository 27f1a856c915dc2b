package mail

import (
	"strconv"
	"strings"
)

// look is what styles do to text: whether it can be seen at all, and its colour on what ground.
type look struct {
	hidden           bool // for good: an element in it cannot be shown
	veiled           bool // visibility
	tiny             bool // font-size
	clear            bool // transparent letters
	fg, bg           [3]uint8
	fgKnown, bgKnown bool // bg unknown and not painted: white
	painted          bool // a ground was named
}

// unseen reports whether nobody sees text of this look.
func (l *look) unseen() bool {
	if l.hidden || l.veiled || l.tiny || l.clear {
		return true
	}
	if !l.fgKnown || l.painted && !l.bgKnown {
		return false
	}
	bg := l.bg
	if !l.painted {
		bg = [3]uint8{255, 255, 255}
	}
	d := 0
	for i := range bg {
		d += max(int(bg[i]), int(l.fg[i])) - min(int(bg[i]), int(l.fg[i]))
	}
	return d <= 12 // out of 765; pale grey print on white stays print
}

func (l *look) colour(v string) {
	c, state := parseColour(v)
	l.clear = state == colourNone
	switch state {
	case colourKnown:
		l.fg, l.fgKnown = c, true
	default:
		l.fgKnown = false
	}
}

func (l *look) background(v string) {
	c, state := parseColour(v)
	switch state {
	case colourKnown:
		l.bg, l.bgKnown, l.painted = c, true, true
	case colourOther:
		l.bgKnown, l.painted = false, true
	}
}

// style applies an inline style or the declarations of a rule.
func (l *look) style(s string) {
	var clipped, zeroBox, placed bool
	for n := 0; s != "" && n < 60; n++ {
		var d string
		d, s, _ = strings.Cut(s, ";")
		k, v, ok := strings.Cut(d, ":")
		if !ok {
			continue
		}
		k = strings.ToLower(strings.TrimSpace(k))
		v = strings.ToLower(strings.TrimSpace(v))
		if i := strings.IndexByte(v, '!'); i > 0 {
			v = strings.TrimSpace(v[:i])
		}
		switch k {
		case "display":
			l.hidden = l.hidden || v == "none"
		case "visibility":
			l.veiled = v == "hidden" || v == "collapse"
		case "mso-hide":
			l.hidden = l.hidden || v == "all"
		case "opacity":
			if f, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64); err == nil && f < 0.05 {
				l.hidden = true
			}
		case "font-size":
			if px, ok := length(v); ok {
				l.tiny = px <= 1.5
			} else {
				l.tiny = l.tiny && strings.HasSuffix(v, "%") // a share of nothing is nothing
			}
		case "font":
			for w := range strings.FieldsSeq(v) {
				w, _, _ = strings.Cut(w, "/")
				if px, ok := length(w); ok && w[len(w)-1] >= 'a' {
					l.tiny = px <= 1.5
				}
			}
		case "color", "-webkit-text-fill-color":
			l.colour(v)
		case "background-color":
			l.background(v)
		case "background":
			if strings.Contains(v, "url(") || strings.Contains(v, "gradient") {
				l.bgKnown, l.painted = false, true
			} else if w, _, _ := strings.Cut(v, " "); strings.HasPrefix(v, "rgb") {
				l.background(v)
			} else {
				l.background(w)
			}
		case "background-image":
			if v != "none" {
				l.bgKnown, l.painted = false, true
			}
		case "max-height", "max-width", "height", "width":
			if px, ok := length(v); ok && px == 0 {
				zeroBox = true
			}
		case "overflow", "overflow-x", "overflow-y":
			clipped = clipped || v == "hidden" || v == "clip"
		case "position":
			placed = v == "absolute" || v == "fixed"
		case "text-indent":
			if px, ok := length(v); ok && px <= -500 {
				l.hidden = true
			}
		case "transform":
			l.hidden = l.hidden || strings.Contains(v, "scale(0)")
		case "clip":
			l.hidden = l.hidden || strings.HasPrefix(v, "rect(0") && !strings.ContainsAny(v, "123456789")
		case "clip-path":
			l.hidden = l.hidden || strings.HasPrefix(v, "inset(50%") || strings.HasPrefix(v, "inset(100%") || strings.HasPrefix(v, "circle(0")
		case "left", "top", "right", "margin-left", "margin-top":
			if px, ok := length(v); ok && (px <= -900 || px >= 9000) && (placed || strings.HasPrefix(k, "margin") || strings.Contains(s, "absolute") || strings.Contains(s, "fixed")) {
				l.hidden = true
			}
		}
	}
	if clipped && zeroBox {
		l.hidden = true
	}
}

// length returns a CSS length in pixels; percentages and unknown units are none.
func length(v string) (px float64, ok bool) {
	end := 0
	for end < len(v) && (v[end] >= '0' && v[end] <= '9' || v[end] == '.' || v[end] == '-' || v[end] == '+') {
		end++
	}
	if end == 0 || end > 20 {
		return 0, false
	}
	f, err := strconv.ParseFloat(v[:end], 64)
	if err != nil {
		return 0, false
	}
	switch strings.TrimSpace(v[end:]) {
	case "", "px":
		return f, true
	case "pt":
		return f * 4 / 3, true
	case "em", "ex", "ch":
		return f * 16, f != 1
	case "rem":
		return f * 16, true
	case "%":
		return f * 16 / 100, f == 0
	case "vw", "vh":
		return f * 10, true
	case "cm":
		return f * 37.8, true
	case "mm":
		return f * 3.78, true
	case "in":
		return f * 96, true
	}
	return 0, false
}

// What a colour can be.
const (
	colourOther = iota // one that we do not know, or a picture
	colourKnown
	colourNone // transparent
)

var colourNames = map[string][3]uint8{"white": {255, 255, 255}, "black": {}, "red": {255, 0, 0}, "blue": {0, 0, 255}, "green": {0, 128, 0},
	"yellow": {255, 255, 0}, "gray": {128, 128, 128}, "grey": {128, 128, 128}, "silver": {192, 192, 192}, "snow": {255, 250, 250}, "ivory": {255, 255, 240},
	"navy": {0, 0, 128}, "whitesmoke": {245, 245, 245}, "ghostwhite": {248, 248, 255}, "lightgray": {211, 211, 211}, "lightgrey": {211, 211, 211}}

// parseColour reads #rgb, #rrggbb, rgb(), rgba() and the usual names.
func parseColour(v string) (c [3]uint8, state int) {
	v = strings.ToLower(strings.TrimSpace(v))
	if named, ok := colourNames[v]; ok {
		return named, colourKnown
	}
	switch {
	case v == "transparent":
		return c, colourNone
	case strings.HasPrefix(v, "#") && len(v) == 4:
		for i := range c {
			d := hexDigit(v[i+1])
			if d < 0 {
				return c, colourOther
			}
			c[i] = uint8(d * 17)
		}
		return c, colourKnown
	case strings.HasPrefix(v, "#") && len(v) >= 7:
		return hexColour(v[1:])
	case len(v) == 6:
		return hexColour(v)
	case strings.HasPrefix(v, "rgb"):
		_, in, _ := strings.Cut(v, "(")
		in, _, _ = strings.Cut(in, ")")
		f := strings.FieldsFunc(in, func(r rune) bool { return r == ',' || r == ' ' || r == '/' })
		if len(f) < 3 {
			return c, colourOther
		}
		if len(f) > 3 {
			if a, err := strconv.ParseFloat(strings.TrimSuffix(f[3], "%"), 64); err == nil && a < 0.05 {
				return c, colourNone
			}
		}
		for i := range c {
			n, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return c, colourOther
			}
			c[i] = uint8(max(0, min(255, n)))
		}
		return c, colourKnown
	}
	return c, colourOther
}

func hexColour(v string) (c [3]uint8, state int) {
	for i := range c {
		hi, lo := hexDigit(v[2*i]), hexDigit(v[2*i+1])
		if hi < 0 || lo < 0 {
			return c, colourOther
		}
		c[i] = uint8(hi<<4 | lo)
	}
	return c, colourKnown
}

// sheet holds the rules of a document's style elements that hide or colour, by ".class" or "#id". Rules for certain
// screens (@media) are not among them: they are for phones or for none.
type sheet map[string]string

const maxRules = 400

func (r *reader) readSheet(css string) {
	for n := 0; n < 2000; n++ {
		open := strings.IndexByte(css, '{')
		if open < 0 {
			return
		}
		selector := css[:open]
		if i := strings.LastIndex(selector, "*/"); i >= 0 {
			selector = selector[i+2:]
		}
		selector = strings.TrimSpace(selector)
		css = css[open+1:]
		if strings.HasPrefix(selector, "@") {
			css = afterBlock(css)
			continue
		}
		end := strings.IndexByte(css, '}')
		if end < 0 {
			return
		}
		rule := css[:end]
		css = css[end+1:]
		if !strings.ContainsAny(selector, ".#") {
			continue
		}
		for s := range strings.SplitSeq(selector, ",") {
			if s = strings.TrimSpace(s); strings.ContainsAny(s, " >:+~[") {
				continue
			}
			i := strings.LastIndexAny(s, ".#")
			if i < 0 || len(s)-i > 80 {
				continue
			}
			if r.sheet == nil {
				r.sheet = sheet{}
			}
			if key := strings.ToLower(s[i:]); len(r.sheet) < maxRules || r.sheet[key] != "" {
				r.sheet[key] = strings.Clone(rule)
			}
		}
	}
}

// afterBlock returns what follows a block whose brace is open.
func afterBlock(css string) string {
	depth := 1
	for i := range len(css) {
		switch css[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return css[i+1:]
			}
		}
	}
	return ""
}

func (s sheet) apply(l *look, a *attrs) {
	n := 0
	for c := range strings.FieldsSeq(a.class) {
		if n++; n > 8 {
			break
		}
		if rule := s["."+strings.ToLower(c)]; rule != "" {
			l.style(rule)
		}
	}
	if a.id != "" {
		if rule := s["#"+strings.ToLower(a.id)]; rule != "" {
			l.style(rule)
		}
	}
}
