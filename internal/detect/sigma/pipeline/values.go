package pipeline

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// mapValues replaces values of the items that a step wants: f returns what stands in a value's place, and false
// where it stays.
func (w *work) mapValues(s *step, f func(*item, *yaml.Node) ([]*yaml.Node, bool, error)) error {
	return w.eachItem(s, func(it *item) (element, bool, error) {
		c := it.clone()
		c.values = nil
		changed := false
		for _, v := range it.values {
			to, ok, err := f(it, v)
			if err != nil {
				return it, false, err
			}
			if !ok {
				to = []*yaml.Node{v}
			}
			changed = changed || ok
			c.values = append(c.values, to...)
			if len(c.values) > MaxItemValues {
				return it, false, refuse(it.line, "field %q gets more than %d values", it.field, MaxItemValues)
			}
		}
		if !changed {
			return it, false, nil
		}
		for _, v := range c.values {
			if len(v.Value) > MaxText {
				return it, false, refuse(it.line, "field %q gets a value of more than %d bytes", it.field, MaxText)
			}
		}
		if len(c.values) == 0 {
			return nil, true, nil
		}
		c.list = c.list || len(c.values) > 1
		return c, true, nil
	})
}

// settled puts the wildcards of contains, startswith and endswith into the values of items that a step is about to
// change, where any of its values would change: they are what pySigma's pipelines see and replace.
func (w *work) settled(s *step, changes func(*item, *yaml.Node) bool) {
	for _, sel := range w.selections {
		sel.root.items(func(it *item) bool {
			if s.wants(w, it) && slices.ContainsFunc(it.values, func(v *yaml.Node) bool { return changes(it, v) }) {
				it.settle()
			}
			return true
		})
	}
}

// replaceString replaces what a regular expression finds in strings and numbers.
type replaceString struct {
	re               *regexp.Regexp
	with             string
	skip, interprets bool
}

func (t replaceString) apply(w *work, s *step) error {
	w.settled(s, func(it *item, v *yaml.Node) bool { _, ok := t.replaced(it, v); return ok })
	return w.mapValues(s, func(it *item, v *yaml.Node) ([]*yaml.Node, bool, error) {
		to, ok := t.replaced(it, v)
		return []*yaml.Node{text(to, v.Line)}, ok, nil
	})
}

func (t replaceString) replaced(it *item, v *yaml.Node) (string, bool) {
	number := v.Tag == "!!int" || v.Tag == "!!float"
	if !it.isText(v) && (!number || it.has(typed...)) {
		return "", false
	}
	list := it.effective(v)
	if !t.skip {
		before := shown(list)
		after := t.re.ReplaceAllString(before, t.with)
		return written(reread(after, hasEscapes(list))), after != before
	}
	changed := false
	var out []part
	for _, p := range list {
		after := t.re.ReplaceAllString(p.text, t.with)
		switch {
		case p.wild != 0 || after == p.text:
			out = append(out, p)
			continue
		case t.interprets:
			out = append(out, reread(after, hasEscapes([]part{p}))...)
		default:
			out = append(out, part{text: after})
		}
		changed = true
	}
	return written(out), changed
}

// mapString puts other strings in the place of whole values.
type mapString struct{ to map[string][]*yaml.Node }

func (a *args) stringMapping(key string) map[string][]*yaml.Node {
	n := a.get(key)
	if n == nil || n.Kind != yaml.MappingNode {
		a.fail(a.n, "%s needs mapping: from values to a value or a list", a.kind)
		return nil
	}
	out := map[string][]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out[n.Content[i].Value] = scalars(n.Content[i+1])
	}
	return out
}

func (t mapString) apply(w *work, s *step) error {
	find := func(it *item, v *yaml.Node) ([]*yaml.Node, bool) {
		if !it.isText(v) {
			return nil, false
		}
		to, ok := t.to[shown(it.effective(v))]
		return to, ok
	}
	w.settled(s, func(it *item, v *yaml.Node) bool { _, ok := find(it, v); return ok })
	return w.mapValues(s, func(it *item, v *yaml.Node) ([]*yaml.Node, bool, error) {
		to, ok := find(it, v)
		var out []*yaml.Node
		for _, x := range to {
			out = append(out, text(x.Value, v.Line))
		}
		return out, ok, nil
	})
}

// setValue sets every value to one.
type setValue struct{ value *yaml.Node }

func (a *args) setValue() transformation {
	v := *a.scalar("value")
	switch a.choice("force_type", "", "str", "num") {
	case "str":
		v.Tag = "!!str"
	case "num":
		if _, err := strconv.ParseFloat(v.Value, 64); err != nil {
			a.fail(a.n, "set_value: %q is no number", v.Value)
		}
		v.Tag = "!!float"
		if _, err := strconv.Atoi(v.Value); err == nil {
			v.Tag = "!!int"
		}
	}
	return setValue{&v}
}

func (t setValue) apply(w *work, s *step) error {
	return w.eachItem(s, func(it *item) (element, bool, error) {
		c, v := it.clone(), *t.value
		v.Line = it.line
		// What the modifiers made of the old values says nothing of the new one.
		c.mods = slices.DeleteFunc(c.mods, func(m string) bool { return m != "neq" && m != "cased" })
		c.values, c.list = []*yaml.Node{&v}, false
		return c, true, nil
	})
}

// convertType makes strings of numbers, or numbers of strings.
type convertType struct{ to string }

func (t convertType) apply(w *work, s *step) error {
	return w.mapValues(s, func(it *item, v *yaml.Node) ([]*yaml.Node, bool, error) {
		number := v.Tag == "!!int" || v.Tag == "!!float"
		switch {
		case v.Tag == "!!null" || it.has(typed...):
			return nil, false, nil
		case t.to == "str" && !it.isText(v):
			return []*yaml.Node{text(v.Value, v.Line)}, true, nil
		case t.to == "num" && !number:
			if _, err := strconv.ParseFloat(v.Value, 64); err != nil || it.has(encoding...) || it.has("contains", "startswith", "endswith") {
				return nil, false, refuse(v.Line, "value %q of field %q can't be made a number", v.Value, it.field)
			}
			tag := "!!float"
			if _, err := strconv.Atoi(v.Value); err == nil {
				tag = "!!int"
			}
			return []*yaml.Node{{Kind: yaml.ScalarNode, Tag: tag, Value: v.Value, Line: v.Line}}, true, nil
		}
		return nil, false, nil
	})
}

// changeCase changes the case of strings, which matters where an item is cased.
type changeCase struct{ method string }

func (t changeCase) apply(w *work, s *step) error {
	return w.mapValues(s, func(it *item, v *yaml.Node) ([]*yaml.Node, bool, error) {
		if !it.isText(v) {
			return nil, false, nil
		}
		to := v.Value
		switch t.method {
		case "lower":
			to = strings.ToLower(to)
		case "upper":
			to = strings.ToUpper(to)
		default:
			to = snake(to)
		}
		return []*yaml.Node{text(to, v.Line)}, to != v.Value, nil
	})
}

func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// toRegex writes strings as regular expressions.
type toRegex struct{ method string }

func (t toRegex) apply(w *work, s *step) error {
	return w.eachItem(s, func(it *item) (element, bool, error) {
		if it.has(encoding...) || slices.ContainsFunc(it.values, func(v *yaml.Node) bool { return !it.isText(v) || v.Value == "" }) {
			return it, false, nil
		}
		c := it.clone()
		for i, v := range it.values {
			var b strings.Builder
			b.WriteString("^")
			for _, p := range it.effective(v) {
				switch p.wild {
				case '*':
					b.WriteString("(?s:.*)")
				case '?':
					b.WriteString("(?s:.)")
				default:
					b.WriteString(regexp.QuoteMeta(p.text))
				}
			}
			c.values[i] = text(b.String()+"$", v.Line)
		}
		c.drop("contains", "startswith", "endswith", "cased")
		c.mods = append(c.mods, "re")
		if t.method != "plain" {
			c.mods = append(c.mods, "i")
		}
		return c, true, nil
	})
}

// placeholders fills %names% in, of items with the modifier expand: with values, or with wildcards.
type placeholders struct {
	include, exclude []string
	all, wildcard    bool
}

func (a *args) placeholders(wildcard bool) transformation {
	t := placeholders{wildcard: wildcard}
	in, ex := a.get("include"), a.get("exclude")
	a.need(in == nil || ex == nil, "%s takes include or exclude, not both", a.kind)
	if in != nil {
		t.include = values(in)
	}
	if ex != nil {
		t.exclude = values(ex)
	}
	t.all = in == nil
	return t
}

func (t placeholders) handles(name string) bool {
	return (t.all || contains(t.include, name)) && !contains(t.exclude, name)
}

func (t placeholders) apply(w *work, s *step) error {
	return w.expand(s, func(it *item, name string) ([]string, bool, error) {
		switch {
		case !t.handles(name):
			return nil, false, nil
		case t.wildcard:
			return []string{"*"}, true, nil
		}
		list, ok := w.vars[name]
		if !ok {
			return nil, false, refuse(it.line, "placeholder %%%s%% of field %q has no value: set it under vars, or with --placeholders", name, it.field)
		}
		return list, true, nil
	})
}

// fillKnown fills in what a file of placeholders names, and leaves the rest for the rule's reader to refuse.
func fillKnown(w *work, vars map[string][]string) error {
	return w.expand(&step{}, func(_ *item, name string) ([]string, bool, error) {
		list, ok := vars[name]
		return list, ok, nil
	})
}

// expand puts values in the place of placeholders; several placeholders in one value make every combination. The
// modifier goes with the last placeholder.
func (w *work) expand(s *step, valuesOf func(*item, string) ([]string, bool, error)) error {
	err := w.mapValues(s, func(it *item, v *yaml.Node) ([]*yaml.Node, bool, error) {
		if !it.has("expand") || v.Tag == "!!null" {
			return nil, false, nil
		}
		pieces := placeholderPieces(v.Value)
		out, changed := []string{""}, false
		for i, p := range pieces {
			options := []string{p}
			if i%2 == 1 {
				list, ok, err := valuesOf(it, p)
				if err != nil {
					return nil, false, err
				}
				options = []string{"%" + p + "%"}
				if ok {
					options, changed = make([]string, len(list)), true
					for j, x := range list {
						options[j] = it.inserted(x)
					}
				}
			}
			if len(out)*len(options) > MaxItemValues {
				return nil, false, refuse(it.line, "field %q gets more than %d values", it.field, MaxItemValues)
			}
			var next []string
			for _, a := range out {
				for _, b := range options {
					next = append(next, a+b)
				}
			}
			out = next
		}
		if !changed {
			return nil, false, nil
		}
		nodes := make([]*yaml.Node, len(out))
		for i, x := range out {
			nodes[i] = text(x, v.Line)
		}
		return nodes, true, nil
	})
	if err != nil {
		return err
	}
	for _, sel := range w.selections {
		sel.root.items(func(it *item) bool {
			open := slices.ContainsFunc(it.values, func(v *yaml.Node) bool { return len(placeholderPieces(v.Value)) > 1 })
			if it.has("expand") && !open {
				it.drop("expand")
				for i, v := range it.values {
					if strings.Contains(v.Value, `\%`) {
						it.values[i] = text(strings.ReplaceAll(v.Value, `\%`, "%"), v.Line)
					}
				}
			}
			return true
		})
	}
	return nil
}

// placeholderPieces splits a value: text, name, text, name, …, text. A percent sign behind a backslash is text.
func placeholderPieces(s string) []string {
	var out []string
	from := 0
	for at := 0; at < len(s); at++ {
		if s[at] == '\\' {
			at++
			continue
		}
		if s[at] != '%' {
			continue
		}
		n := strings.IndexAny(s[at+1:], "% \t\r\n\\")
		if n <= 0 || s[at+1+n] != '%' {
			continue
		}
		out = append(out, s[from:at], s[at+1:at+1+n])
		from = at + n + 2
		at = from - 1
	}
	return append(out, s[from:])
}

// inserted returns a placeholder's value as it is put into a value of the item. In a regular expression it means
// itself, and its wildcards what they mean elsewhere.
func (it *item) inserted(value string) string {
	if it.has("re") {
		var b strings.Builder
		for _, p := range parts(value) {
			switch p.wild {
			case '*':
				b.WriteString(".*")
			case '?':
				b.WriteString(".")
			default:
				b.WriteString(regexp.QuoteMeta(p.text))
			}
		}
		value = b.String()
	}
	return strings.ReplaceAll(value, "%", `\%`)
}
