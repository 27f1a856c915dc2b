package pipeline

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// part is a piece of a Sigma value: literal text, or a wildcard.
type part struct {
	text string
	wild byte // '*', '?', or 0 for text
}

// parts reads a Sigma value (Sigma rules specification, "Escaping"): a backslash is one unless it stands before a
// wildcard or another backslash.
func parts(s string) []part {
	var out []part
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, part{text: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			i++
			lit.WriteByte(s[i])
		case c == '*' || c == '?':
			flush()
			out = append(out, part{wild: c})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return out
}

// written returns the value that reads as these parts.
func written(list []part) string {
	var b strings.Builder
	for _, p := range list {
		if p.wild != 0 {
			b.WriteByte(p.wild)
			continue
		}
		b.WriteString(escaped(p.text))
	}
	return b.String()
}

// escaped returns a value that reads as that text and nothing else.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(text)
}

// shown returns the parts as regular expressions of pipelines see them: text as it is, wildcards as * and ?, literal
// stars escaped.
func shown(list []part) string {
	var b strings.Builder
	for _, p := range list {
		if p.wild != 0 {
			b.WriteByte(p.wild)
			continue
		}
		b.WriteString(strings.NewReplacer(`*`, `\*`, `?`, `\?`).Replace(p.text))
	}
	return b.String()
}

// reread is the way back from shown after a replacement. A backslash before a star is an escape only where the
// value had an escaped wildcard before; else it is a path before a wildcard.
func reread(s string, hadEscapes bool) []part {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		wild := i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '?')
		if wild && hadEscapes {
			b.WriteByte('\\')
			i++
			b.WriteByte(s[i])
			continue
		}
		b.WriteString(`\\`)
	}
	return parts(b.String())
}

func hasWildcard(list []part) bool {
	return slices.ContainsFunc(list, func(p part) bool { return p.wild != 0 })
}

func hasEscapes(list []part) bool {
	return slices.ContainsFunc(list, func(p part) bool { return strings.ContainsAny(p.text, "*?") })
}

// typed modifiers make something else of a value than text: it is no string of Sigma then.
var typed = []string{"re", "cidr", "exists", "fieldref", "lt", "lte", "gt", "gte", "minute", "hour", "day", "week", "month", "year"}

// encoding modifiers change the text in ways that can't be written as a value: it stays with them.
var encoding = []string{"base64", "base64offset", "wide", "utf16", "utf16le", "utf16be", "windash"}

// isText reports whether a value of the item is a string to Sigma.
func (it *item) isText(v *yaml.Node) bool {
	return v.Tag != "!!null" && v.Tag != "!!bool" && v.Tag != "!!int" && v.Tag != "!!float" && !it.has(typed...)
}

// effective returns the parts of a value with the wildcards that contains, startswith and endswith put around it,
// which is what pySigma's pipelines see. Where the value is encoded afterwards, they are left out.
func (it *item) effective(v *yaml.Node) []part {
	list := parts(v.Value)
	if it.has(encoding...) {
		return list
	}
	star := part{wild: '*'}
	if it.has("contains", "endswith") && (len(list) == 0 || list[0] != star) {
		list = append([]part{star}, list...)
	}
	if it.has("contains", "startswith") && (len(list) == 0 || list[len(list)-1] != star) {
		list = append(list, star)
	}
	return list
}

// settle writes the item without contains, startswith and endswith: the wildcards stand in the values.
func (it *item) settle() {
	if it.has(encoding...) || !it.has("contains", "startswith", "endswith") || it.has(typed...) {
		return
	}
	values := make([]*yaml.Node, len(it.values))
	for i, v := range it.values {
		values[i] = v
		if v.Tag != "!!null" {
			values[i] = text(written(it.effective(v)), v.Line)
		}
	}
	it.values = values
	it.drop("contains", "startswith", "endswith")
}
