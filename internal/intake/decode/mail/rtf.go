package mail

import (
	"strconv"
	"strings"
)

// rtf reads Rich Text: what it says, field codes with addresses and DDE, embedded objects, remote templates, and the
// HTML that Outlook wraps in it.
func (b *body) rtf(f inside) {
	d := string(f.data[:min(len(f.data), inspectLimit)])
	var out, code, object strings.Builder
	type group struct{ skip, field, object, template bool }
	var (
		stack []group
		cur   group
		star  bool
		tmpl  strings.Builder
		html  bool
	)
	for i := 0; i < len(d); {
		c := d[i]
		switch c {
		case '{':
			if len(stack) < 200 {
				stack = append(stack, cur)
			}
			i++
			star = false
			continue
		case '}':
			if n := len(stack); n > 0 {
				cur, stack = stack[n-1], stack[:n-1]
			}
			i++
			continue
		case '\r', '\n':
			i++
			continue
		case '\\':
			word, arg, next := rtfWord(d, i+1)
			i = next
			switch word {
			case "*":
				star = true
				continue
			case "'":
				put(&out, &code, &tmpl, cur.skip, cur.field, cur.template, string(rune(arg)))
				continue
			case "\\", "{", "}":
				put(&out, &code, &tmpl, cur.skip, cur.field, cur.template, word)
				continue
			case "u":
				if arg < 0 {
					arg += 65536
				}
				put(&out, &code, &tmpl, cur.skip, cur.field, cur.template, string(rune(arg)))
				if i < len(d) && d[i] == '?' {
					i++
				}
				continue
			case "par", "line", "row":
				put(&out, &code, &tmpl, cur.skip, false, false, "\n")
			case "tab", "cell":
				put(&out, &code, &tmpl, cur.skip, false, false, " ")
			case "fldinst":
				cur.field, cur.skip = true, false
			case "objdata":
				cur.object, cur.skip = true, true
				b.trait("attachment.embedded", "rtf object")
			case "objupdate", "objautlink":
				b.trait("attachment.embedded", "rtf object")
			case "template":
				cur.template, cur.skip = true, true
			case "fonttbl", "colortbl", "stylesheet", "info", "pict", "themedata", "datastore", "listtable", "generator", "latentstyles":
				cur.skip = true
			case "fromhtml":
				html = true
			case "htmltag":
				if star && html {
					cur.skip = false
				}
			default:
				if star {
					cur.skip = true
				}
			}
			star = false
			continue
		}
		end := i + 1
		for end < len(d) && d[end] != '\\' && d[end] != '{' && d[end] != '}' && d[end] != '\r' && d[end] != '\n' {
			end++
		}
		if cur.object {
			if object.Len() < 512<<10 {
				object.WriteString(d[i:end])
			}
		} else {
			put(&out, &code, &tmpl, cur.skip, cur.field, cur.template, d[i:end])
		}
		i = end
	}
	b.rtfResult(f, toUTF8(out.String()), code.String(), tmpl.String(), object.String(), html)
}

func put(out, code, tmpl *strings.Builder, skip, field, template bool, s string) {
	switch {
	case template && tmpl.Len() < MaxURL:
		tmpl.WriteString(s)
	case field && code.Len() < 64<<10:
		code.WriteString(s)
	case !skip && out.Len() < 256<<10:
		out.WriteString(s)
	}
}

func (b *body) rtfResult(f inside, text, code, template, object string, html bool) {
	if html && strings.Contains(text, "<") {
		b.showHTML(text, 0)
	} else {
		b.attachedText(b.cleanText(text))
		b.textLinks(text)
	}
	b.fieldCodes(f, code)
	if template = strings.TrimSpace(template); strings.Contains(template, "//") || strings.HasPrefix(template, `\\`) {
		b.trait("attachment.template", template)
		b.link(template, "")
	}
	if object != "" {
		raw := hexBytes(object)
		b.stringsIn(raw)
		if i := strings.Index(string(raw), "Package\x00"); i >= 0 && i < 64 {
			b.olePackage(f, part(raw, int64(i)+8+8+4-4, int64(len(raw))))
		}
	}
}

// rtfWord reads a control word or symbol at position i, after the backslash.
func rtfWord(d string, i int) (word string, arg, next int) {
	if i >= len(d) {
		return "", 0, i
	}
	c := d[i]
	if c == '\'' {
		if i+2 < len(d) && hexDigit(d[i+1]) >= 0 && hexDigit(d[i+2]) >= 0 {
			return "'", hexDigit(d[i+1])<<4 | hexDigit(d[i+2]), i + 3
		}
		return "", 0, i + 1
	}
	end := i
	for end < len(d) && end-i < 32 && (d[end] >= 'a' && d[end] <= 'z' || d[end] >= 'A' && d[end] <= 'Z') {
		end++
	}
	if end == i {
		return d[i : i+1], 0, i + 1
	}
	word = d[i:end]
	num := end
	if num < len(d) && d[num] == '-' {
		num++
	}
	for num < len(d) && num-end < 11 && d[num] >= '0' && d[num] <= '9' {
		num++
	}
	if num > end {
		arg, _ = strconv.Atoi(d[end:num])
	}
	if num < len(d) && d[num] == ' ' {
		num++
	}
	return word, arg, num
}

// hexBytes decodes the hexadecimal digits in s, whatever stands between them.
func hexBytes(s string) []byte {
	out := make([]byte, 0, len(s)/2)
	hi := -1
	for i := range len(s) {
		d := hexDigit(s[i])
		switch {
		case d < 0:
		case hi < 0:
			hi = d
		default:
			out = append(out, byte(hi<<4|d))
			hi = -1
		}
	}
	return out
}
