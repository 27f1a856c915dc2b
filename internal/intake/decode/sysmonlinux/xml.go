package sysmonlinux

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var errXML = errors.New("the event's XML is broken")

// parse reads the fields of one event. The schema is flat: System holds elements with text or attributes, EventData
// holds Data with a name; what is nested otherwise is refused, as are documents with a DOCTYPE.
func parse(text string) (ocsf.Fields, error) {
	fields := make(ocsf.Fields, 0, 40)
	add := func(name, value string) error {
		if len(fields) >= decode.MaxFields {
			return errors.New("an event of more than 4096 fields")
		}
		fields = append(fields, ocsf.Field{Name: name, Value: value})
		return nil
	}
	var path [4]string // elements that are open
	depth := 0
	data := ""
	for {
		i := strings.IndexByte(text, '<')
		if i < 0 {
			break
		}
		inside := text[:i]
		text = text[i+1:]
		end := tagEnd(text)
		if end < 0 {
			return nil, errXML
		}
		tag := text[:end]
		text = text[end+1:]
		switch {
		case strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "?"):
			return nil, errXML
		case strings.HasPrefix(tag, "/"):
			if depth == 0 || path[depth-1] != strings.TrimSpace(tag[1:]) {
				return nil, errXML
			}
			name := path[depth-1]
			depth--
			switch {
			case depth == 2 && name == "Data" && data != "":
				if err := add(data, unescape(inside)); err != nil {
					return nil, err
				}
			case depth == 2 && path[1] == "System":
				if value := strings.TrimSpace(unescape(inside)); value != "" {
					if err := add(name, value); err != nil {
						return nil, err
					}
				}
			}
			data = ""
		default:
			closed := strings.HasSuffix(tag, "/")
			name, rest, _ := strings.Cut(strings.TrimSuffix(tag, "/"), " ")
			if depth >= 3 || name == "" {
				return nil, errXML
			}
			data = ""
			for rest = strings.TrimSpace(rest); rest != ""; {
				var key, value string
				var ok bool
				if key, value, rest, ok = attribute(rest); !ok {
					return nil, errXML
				}
				switch {
				case depth == 2 && path[1] == "System":
					if err := add(name+"_"+key, value); err != nil {
						return nil, err
					}
				case depth == 2 && name == "Data" && key == "Name":
					data = strings.ReplaceAll(value, " ", "") // Sigma writes names without blanks
				}
			}
			if closed && data != "" {
				if err := add(data, ""); err != nil {
					return nil, err
				}
			}
			if !closed {
				path[depth] = name
				depth++
			}
		}
	}
	if depth != 0 {
		return nil, errXML
	}
	return fields, nil
}

// tagEnd returns where a tag ends; a > in an attribute's quotes does not end it.
func tagEnd(s string) int {
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		case c == '<':
			return -1
		}
	}
	return -1
}

func attribute(s string) (key, value, rest string, ok bool) {
	key, s, ok = strings.Cut(s, "=")
	if key = strings.TrimSpace(key); !ok || key == "" || s == "" || s[0] != '"' && s[0] != '\'' {
		return "", "", "", false
	}
	i := strings.IndexByte(s[1:], s[0])
	if i < 0 {
		return "", "", "", false
	}
	return key, unescape(s[1 : 1+i]), strings.TrimSpace(s[i+2:]), true
}

// unescape gives back the five named characters and numbered ones. What is neither stays as it is: Sysmon copies
// command lines.
func unescape(s string) string {
	i := strings.IndexByte(s, '&')
	if i < 0 {
		return s
	}
	var b strings.Builder
	for i >= 0 {
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s[:min(len(s), 12)], ';')
		if r, ok := entity(s[1:max(1, end)]); end > 1 && ok {
			b.WriteRune(r)
			s = s[end+1:]
		} else {
			b.WriteByte('&')
			s = s[1:]
		}
		i = strings.IndexByte(s, '&')
	}
	b.WriteString(s)
	return b.String()
}

func entity(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseInt(digits, base, 32)
	if err != nil || n < 0 || !utf8.ValidRune(rune(n)) || n < 0x20 && n != '\t' && n != '\n' && n != '\r' {
		return 0, false
	}
	return rune(n), true
}
