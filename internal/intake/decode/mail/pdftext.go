package mail

import (
	"bytes"
	"strconv"
	"strings"
)

// cmap maps the codes of a font to letters (9.10.3).
type cmap struct {
	wide    bool // two bytes a code
	letters map[uint32]string
}

const maxLetters = 20_000 // entries of all maps of one PDF

// addMap reads a ToUnicode map.
func (p *pdfFile) addMap(number int, d []byte) {
	if len(p.fonts) >= 64 || len(d) == 0 {
		return
	}
	m := cmap{letters: map[uint32]string{}}
	t := pdfTokens{d: d}
	var args []string // hexadecimal strings since the last operator
	list := -1        // where in args an array began
	for n := 0; n < 60_000 && len(m.letters) < maxLetters/4; n++ {
		kind, v := t.next()
		switch {
		case kind == 0:
			p.fonts[number] = m
			return
		case kind == tokenString:
			if len(args) < 1000 {
				args = append(args, string(v))
			}
		case kind == '[':
			list = len(args)
		case kind == ']':
			if list == 2 {
				for i, s := range args[2:] {
					m.set(args[0], uint32(i), s)
				}
			}
			args, list = args[:0], -1
		case kind == tokenWord && bytes.HasPrefix(v, []byte("begin")), kind == tokenWord && bytes.HasPrefix(v, []byte("end")):
			args, t.section = args[:0], string(v)
		}
		switch {
		case t.section == "begincodespacerange" && len(args) == 2:
			m.wide = m.wide || len(args[0]) == 2
			args = args[:0]
		case t.section == "beginbfchar" && len(args) == 2:
			m.set(args[0], 0, args[1])
			args = args[:0]
		case t.section == "beginbfrange" && len(args) == 3 && list < 0:
			from, to := code(args[0]), code(args[1])
			last := []rune(utf16Text([]byte(args[2]), true))
			for c := from; c <= to && c-from < 4096 && len(last) > 0 && len(m.letters) < maxLetters/4; c++ {
				m.letters[c] = string(last)
				last[len(last)-1]++
			}
			args = args[:0]
		}
	}
	p.fonts[number] = m
}

func (m *cmap) set(from string, offset uint32, letters string) {
	m.letters[code(from)+offset] = clip(utf16Text([]byte(letters), true), 16)
}

func code(s string) (v uint32) {
	for i := range min(len(s), 4) {
		v = v<<8 | uint32(s[i])
	}
	return v
}

// fontObjects notes which object is a font with a map, and by what names pages call fonts.
func (p *pdfFile) fontObjects(d []byte) {
	for at, n := 0, 0; n < 2000; n++ {
		i := bytes.Index(d[at:], []byte(" obj"))
		if i < 0 {
			break
		}
		at += i + 4
		end := bytes.Index(d[at:], []byte("endobj"))
		if end < 0 {
			end = len(d) - at
		}
		p.font(objectNumber(d[:at-4]), d[at:at+min(end, 4096)])
	}
	if !bytes.Contains(d, []byte(" obj")) {
		p.font(0, d[:min(len(d), 64<<10)])
	}
}

// font reads one object: a font's map, or names of fonts in resources.
func (p *pdfFile) font(number int, d []byte) {
	if number > 0 && len(p.toCode) < 500 {
		if i := bytes.Index(d, []byte("/ToUnicode")); i >= 0 {
			if n := reference(d[i+10:]); n > 0 {
				p.toCode[number] = n
			}
		}
	}
	for at, n := 0, 0; n < 64; n++ {
		i := bytes.Index(d[at:], []byte("/Font"))
		if i < 0 {
			break
		}
		at += i + 5
		v := bytes.TrimLeft(d[at:], " \r\n\t")
		if bytes.HasPrefix(v, []byte("<<")) {
			p.fontNames(v[2:])
		}
	}
	if trimmed := bytes.TrimLeft(d, " \r\n\t"); bytes.HasPrefix(trimmed, []byte("<</F")) || bytes.HasPrefix(trimmed, []byte("<< /F")) || bytes.HasPrefix(trimmed, []byte("<</TT")) {
		p.fontNames(trimmed[2:])
	}
}

// fontNames reads "/F1 5 0 R /F2 6 0 R".
func (p *pdfFile) fontNames(d []byte) {
	for n := 0; n < 64 && len(p.names) < 500; n++ {
		d = bytes.TrimLeft(d, " \r\n\t")
		if len(d) == 0 || d[0] != '/' {
			return
		}
		end := bytes.IndexAny(d, " \r\n\t")
		if end < 2 || end > 60 {
			return
		}
		name := string(d[1:end])
		number := reference(d[end:])
		if number == 0 {
			return
		}
		if _, ok := p.names[name]; !ok {
			p.names[name] = number
		}
		i := bytes.IndexByte(d[end:], 'R')
		if i < 0 {
			return
		}
		d = d[end+i+1:]
	}
}

// reference reads "12 0 R".
func reference(d []byte) int {
	d = bytes.TrimLeft(d[:min(len(d), 40)], " \r\n\t")
	end := 0
	for end < len(d) && d[end] >= '0' && d[end] <= '9' {
		end++
	}
	rest := bytes.TrimLeft(bytes.TrimLeft(d[end:], " \r\n\t"), "0123456789")
	if end == 0 || !bytes.HasPrefix(bytes.TrimLeft(rest, " \r\n\t"), []byte("R")) {
		return 0
	}
	n, _ := strconv.Atoi(string(d[:end]))
	return n
}

// text writes down what the pages say, and reads the addresses in it.
func (p *pdfFile) text() {
	var out strings.Builder
	for _, page := range p.pages {
		if out.Len() >= 2*maxAttached {
			break
		}
		p.page(page, &out)
		out.WriteByte('\n')
	}
	if out.Len() > 1 {
		s := p.b.cleanText(strings.ToValidUTF8(out.String(), "\uFFFD"))
		p.b.attachedText(s)
		p.b.textLinks(s)
	}
}

// page shows the text of one content stream (9.4.3).
func (p *pdfFile) page(d []byte, out *strings.Builder) {
	t := pdfTokens{d: d}
	var font cmap
	var name, number []byte
	var pending strings.Builder
	inArray := false
	for n := 0; n < 200_000 && out.Len() < 2*maxAttached; n++ {
		kind, v := t.next()
		switch kind {
		case 0:
			return
		case '[':
			inArray = true
		case ']':
			inArray = false
		case tokenName:
			name = v
		case tokenString:
			if pending.Len() < 4096 {
				pending.WriteString(font.decode(v))
			}
		case tokenWord:
			if inArray {
				if f, err := strconv.ParseFloat(string(v), 64); err == nil && f < -180 && pending.Len() > 0 {
					pending.WriteByte(' ')
				}
				continue
			}
			switch string(v) {
			case "Tf":
				font = p.fonts[p.toCode[p.names[string(name)]]]
			case "Tj", "TJ":
				out.WriteString(pending.String())
			case "'", "\"":
				out.WriteString("\n" + pending.String())
			case "Td", "TD":
				if y, err := strconv.ParseFloat(string(number), 64); err == nil && y == 0 {
					out.WriteByte(' ')
				} else {
					out.WriteByte('\n')
				}
			case "T*", "ET":
				out.WriteByte('\n')
			default:
				number = v
				continue
			}
			pending.Reset()
		}
	}
}

// decode returns what the codes of a string say; without a map they are Windows-1252.
func (m *cmap) decode(v []byte) string {
	if len(m.letters) == 0 {
		if bytes.IndexByte(v, 0) >= 0 { // codes of two bytes without a map say nothing
			return ""
		}
		return toUTF8(string(v))
	}
	var out strings.Builder
	if m.wide {
		for ; len(v) >= 2; v = v[2:] {
			out.WriteString(m.letters[uint32(v[0])<<8|uint32(v[1])])
		}
		return out.String()
	}
	for _, c := range v {
		out.WriteString(m.letters[uint32(c)])
	}
	return out.String()
}

// What a token of PDF is; others are the character itself.
const (
	tokenWord   = 'w'
	tokenName   = 'n'
	tokenString = 's'
)

// pdfTokens splits a content stream or a map.
type pdfTokens struct {
	d       []byte
	section string
}

func (t *pdfTokens) next() (kind byte, v []byte) {
	d := bytes.TrimLeft(t.d, " \r\n\t\x00\f")
	for len(d) > 0 && d[0] == '%' {
		i := bytes.IndexByte(d, '\n')
		if i < 0 {
			d = nil
			break
		}
		d = bytes.TrimLeft(d[i:], " \r\n\t\x00\f")
	}
	if len(d) == 0 {
		t.d = nil
		return 0, nil
	}
	switch c := d[0]; c {
	case '(':
		s, n := literalString(d[1:])
		t.d = d[1+n:]
		return tokenString, s
	case '<':
		if len(d) > 1 && d[1] == '<' {
			t.d = d[2:]
			return '{', nil
		}
		end := bytes.IndexByte(d, '>')
		if end < 0 {
			t.d = nil
			return 0, nil
		}
		t.d = d[end+1:]
		return tokenString, hexBytes(string(d[1:min(end, 32<<10)]))
	case '[', ']', '>', '{', '}', ')':
		t.d = d[1:]
		return c, nil
	}
	end := 1
	for end < len(d) && strings.IndexByte(" \r\n\t\x00\f()<>[]{}/%", d[end]) < 0 {
		end++
	}
	t.d = d[end:]
	if d[0] == '/' {
		return tokenName, d[1:end]
	}
	return tokenWord, d[:end]
}
