package mail

import (
	"net/url"
	"strconv"
	"strings"
)

// scriptWords are what a script does that builds something or moves on.
var scriptWords = [...]string{"atob(", "fromcharcode", "unescape(", "decodeuricomponent(", "document.write", "innerhtml", "mssaveoropenblob", "mssaveblob", "createobjecturl",
	"location.href", "location.replace", "location.assign", "location=", "location =", "eval(", "new function(", "window.open(", "new blob(", "navigator.clipboard", "execcommand("}

// page reads attached HTML or SVG: forms, scripts, what the scripts carry in coded form, text and links.
func (b *body) page(name, text string) {
	low := strings.ToLower(text)
	switch {
	case strings.Contains(low, `type="password"`), strings.Contains(low, "type='password'"), strings.Contains(low, "type=password"):
		b.traits["attachment.form"] = "password"
	case strings.Contains(low, "<form"), strings.Contains(low, "<input"):
		b.trait("attachment.form", "form")
	}
	script := strings.Contains(low, "<script") || strings.Contains(low, "javascript:") || strings.Contains(low, " onload") || strings.Contains(low, " onerror") || strings.Contains(low, " onclick")
	if script {
		for _, w := range scriptWords {
			if strings.Contains(low, w) {
				b.trait("attachment.script", name)
				break
			}
		}
	}
	b.smuggled(name, text, low, script)
	var shown strings.Builder
	b.html(text, &shown)
	b.attachedText(shown.String())
	if script {
		b.textLinks(strings.ReplaceAll(text, `\/`, "/"))
	}
}

// smuggled looks for a file or page that HTML carries within itself: a download made by script, or a long coded text
// beside what decodes it. What was coded is read as well.
func (b *body) smuggled(name, text, low string, script bool) {
	builds := strings.Contains(low, "createobjecturl") || strings.Contains(low, "mssave") || strings.Contains(low, "new blob(") ||
		strings.Contains(low, " download") && strings.Contains(low, "data:")
	decodes := strings.Contains(low, "atob") || strings.Contains(low, "fromcharcode") || strings.Contains(low, "unescape") || strings.Contains(low, "decodeuri") ||
		strings.Contains(low, "charcodeat") || strings.Contains(low, "parseint(")
	if !script && !builds {
		return
	}
	carried := 0
	b.nesting++
	if b.nesting <= 3 {
		carried = b.codedStrings(name, text)
	}
	b.nesting--
	if builds && script || decodes && carried >= 512 {
		b.trait("attachment.smuggle", name)
	}
}

const maxCoded = 64 // coded strings of one page that are decoded

// codedStrings decodes the strings of a script and reads what comes out. It returns how many bytes were coded.
func (b *body) codedStrings(name, text string) (carried int) {
	n := 0
	for i := 0; i < len(text) && n < maxCoded; {
		j := strings.IndexAny(text[i:], "\"'`")
		if j < 0 {
			break
		}
		i += j
		q := text[i]
		end := strings.IndexByte(text[i+1:], q)
		if end < 0 {
			i++
			continue
		}
		s := text[i+1 : i+1+end]
		if end < 12 || strings.IndexByte(s, '\n') >= 0 && !strings.ContainsAny(s, "+/=%\\") {
			i += 1 + b2i(end < 12)*end
			continue
		}
		i += end + 2
		if out := decoded(s); len(out) > 8 {
			n++
			carried += len(s)
			b.coded(name, out)
		}
	}
	carried += b.charCodes(name, text)
	return carried
}

// decoded undoes one string literal of a script, or returns nil where it is plain.
func decoded(s string) []byte {
	s = clip(s, 512<<10)
	if i := strings.Index(s, ";base64,"); i >= 0 && i < 100 {
		s = s[i+8:]
	}
	switch {
	case strings.Count(s, "%") >= 4 && strings.Count(s, "%")*6 > len(s):
		if d, err := url.PathUnescape(s); err == nil {
			return []byte(d)
		}
	case strings.Contains(s, `\x`) || strings.Contains(s, `\u00`):
		var out []byte
		for i := 0; i < len(s); i++ {
			switch {
			case i+3 < len(s) && s[i] == '\\' && s[i+1] == 'x' && hexDigit(s[i+2]) >= 0 && hexDigit(s[i+3]) >= 0:
				out = append(out, byte(hexDigit(s[i+2])<<4|hexDigit(s[i+3])))
				i += 3
			case i+5 < len(s) && s[i] == '\\' && s[i+1] == 'u' && hexDigit(s[i+4]) >= 0 && hexDigit(s[i+5]) >= 0:
				out = append(out, byte(hexDigit(s[i+4])<<4|hexDigit(s[i+5])))
				i += 5
			default:
				out = append(out, s[i])
			}
		}
		return out
	case len(s)%2 == 0 && len(s) >= 32 && allHex(s):
		return hexBytes(s)
	}
	if d, ok := looksBase64(strings.Map(dropSpace, s)); ok && len(s) >= 16 && (len(s) > 200 || readable(d) || sniff(d) != "") {
		return d
	}
	return nil
}

func dropSpace(r rune) rune {
	if r == '\n' || r == '\r' || r == ' ' || r == '\\' {
		return -1
	}
	return r
}

func allHex(s string) bool {
	for i := range len(s) {
		if hexDigit(s[i]) < 0 {
			return false
		}
	}
	return true
}

func readable(d []byte) bool {
	for _, c := range d {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// coded reads what a script's string becomes: a file, a page, or an address, also turned round.
func (b *body) coded(name string, out []byte) {
	what := sniff(out)
	switch {
	case what == "html":
		b.page(name, toUTF8(string(out)))
	case what != "":
		b.trait("attachment.smuggle", name)
		b.member(inside{name: name, level: 1}, "smuggled", func() []byte { return out })
	case readable(out):
		s := toUTF8(string(out))
		b.textLinks(s)
		if strings.Contains(s, "ptth") {
			b.textLinks(reversed(clip(s, 64<<10)))
		}
		if d, ok := looksBase64(strings.TrimSpace(s)); ok && readable(d) { // coded twice
			b.textLinks(toUTF8(string(d)))
		}
	}
}

// charCodes reads String.fromCharCode(104,116,…) and arrays of numbers.
func (b *body) charCodes(name, text string) (carried int) {
	for n := 0; n < 16; {
		i := strings.IndexAny(text, "([")
		if i < 0 {
			return carried
		}
		text = text[i+1:]
		end := strings.IndexAny(text, "()[]")
		if end < 0 {
			return carried
		}
		list := text[:end]
		text = text[end:] // an opening bracket begins another list
		if list == "" || list[0] < '0' || list[0] > '9' || strings.Count(list, ",") < 8 {
			continue
		}
		n++
		var out []byte
		for w := range strings.SplitSeq(clip(list, 256<<10), ",") {
			v, err := strconv.ParseInt(strings.TrimSpace(w), 0, 32)
			if err != nil || v < 0 || v > 255 {
				out = nil
				break
			}
			out = append(out, byte(v))
		}
		if len(out) > 8 {
			carried += len(list)
			b.coded(name, out)
		}
	}
	return carried
}
