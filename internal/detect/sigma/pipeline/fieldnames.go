package pipeline

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fieldMap is a mapping from field names to one or several.
type fieldMap struct {
	order    []string // as it was written: of prefixes, the first that fits counts
	to       map[string][]string
	keywords []string // where keywords go; nil: they stay
}

func (a *args) fieldMapping(key string, mayKeywords bool) fieldMap {
	m := fieldMap{to: map[string][]string{}}
	n := a.get(key)
	if n == nil || n.Kind != yaml.MappingNode {
		a.fail(a.n, "%s needs mapping: from names to a name or a list", a.kind)
		return m
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		to := values(v)
		for _, x := range v.Content {
			if x.Kind != yaml.ScalarNode {
				a.fail(x, "%s: a name or a list of names was expected", a.kind)
			}
		}
		if v.Kind == yaml.MappingNode || v.Tag == "!!null" {
			a.fail(v, "%s: a name or a list of names was expected", a.kind)
		}
		for _, t := range to {
			if t == "" || strings.Contains(t, "|") {
				a.fail(v, "%s: %q is no field name", a.kind, t)
			}
		}
		if k.Tag == "!!null" {
			if !mayKeywords {
				a.fail(k, "%s: null is no prefix", a.kind)
			}
			m.keywords = to
			continue
		}
		m.order = append(m.order, k.Value)
		m.to[k.Value] = to
	}
	return m
}

// mapFields gives fields other names.
type mapFields struct {
	fieldMap
	prefix bool
}

func (t mapFields) names(field string) ([]string, bool) {
	if field == "" {
		return t.keywords, t.keywords != nil
	}
	if !t.prefix {
		to, ok := t.to[field]
		return to, ok
	}
	for _, p := range t.order {
		if rest, ok := strings.CutPrefix(field, p); ok {
			var out []string
			for _, to := range t.to[p] {
				out = append(out, to+rest)
			}
			return out, true
		}
	}
	return nil, false
}

func (t mapFields) apply(w *work, s *step) error { return w.mapFields(s, t.names) }

// affixFields puts something before or behind every field name.
type affixFields struct{ prefix, suffix string }

func (t affixFields) apply(w *work, s *step) error {
	return w.mapFields(s, func(field string) ([]string, bool) { return []string{t.prefix + field + t.suffix}, field != "" })
}

// mapFields maps the fields of items, of references, of the list of fields, and of correlations.
func (w *work) mapFields(s *step, names func(string) ([]string, bool)) error {
	named := func(field string) ([]string, bool) {
		to, ok := names(field)
		if !ok || !s.wantsField(w, field) {
			return []string{field}, false
		}
		w.track(field, to, s.id)
		return to, true
	}
	if list := member(w.rule, "fields"); list != nil && list.Kind == yaml.SequenceNode {
		list.Content = mapScalars(list.Content, named)
	}
	if err := w.mapCorrelation(named); err != nil {
		return err
	}
	return w.eachItem(s, func(it *item) (element, bool, error) {
		changed := false
		if it.has("fieldref") {
			it = it.clone()
			it.values = mapScalars(it.values, func(f string) ([]string, bool) {
				to, ok := named(f)
				changed = changed || ok
				return to, ok
			})
			it.list = it.list || len(it.values) > 1
		}
		to, ok := named(it.field)
		if !ok {
			return it, changed, nil
		}
		if len(to) == 0 {
			return nil, true, nil
		}
		return it.called(to), true, nil
	})
}

// track remembers which step made a field name, for conditions on it.
func (w *work) track(from string, to []string, id string) {
	if id == "" {
		return
	}
	for _, name := range to {
		if w.fields[name] == nil {
			w.fields[name] = map[string]bool{}
		}
		for earlier := range w.fields[from] {
			w.fields[name][earlier] = true
		}
		w.fields[name][id] = true
	}
}

func mapScalars(list []*yaml.Node, named func(string) ([]string, bool)) []*yaml.Node {
	var out []*yaml.Node
	for _, v := range list {
		to, ok := named(v.Value)
		if v.Kind != yaml.ScalarNode || !ok {
			out = append(out, v)
			continue
		}
		for _, name := range to {
			out = append(out, text(name, v.Line))
		}
	}
	return out
}

// called returns the item under one other name, or any of several.
func (it *item) called(names []string) element {
	g := &group{or: true, line: it.line}
	for _, name := range names {
		c := it.clone()
		if c.field == "" && !c.has(typed...) && !c.has("contains") {
			// A keyword is looked for anywhere in a message; in a field it must be allowed to stand anywhere too.
			c.drop("startswith", "endswith")
			c.mods = append([]string{"contains"}, c.mods...)
			if i := slices.IndexFunc(c.mods, func(m string) bool { return slices.Contains(encoding, m) }); i >= 0 {
				c.mods = append(c.mods[1:], "contains") // after the encoding, as it is written
			}
		}
		c.field = name
		g.kids = append(g.kids, c)
	}
	if len(g.kids) == 1 {
		return g.kids[0]
	}
	return g
}

// mapCorrelation maps what a correlation rule asks of events: group-by, aliases and the field of its condition. A
// name that is an alias is no field.
func (w *work) mapCorrelation(named func(string) ([]string, bool)) error {
	c := member(w.rule, "correlation")
	if c == nil || c.Kind != yaml.MappingNode {
		return nil
	}
	aliases := map[string]bool{}
	if a := member(c, "aliases"); a != nil && a.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(a.Content); i += 2 {
			aliases[a.Content[i].Value] = true
			rules := a.Content[i+1]
			for j := 1; rules.Kind == yaml.MappingNode && j < len(rules.Content); j += 2 {
				if err := mapOne(rules.Content, j, named); err != nil {
					return err
				}
			}
		}
	}
	fields := func(f string) ([]string, bool) {
		if aliases[f] {
			return nil, false
		}
		return named(f)
	}
	if g := member(c, "group-by"); g != nil && g.Kind == yaml.SequenceNode {
		g.Content = mapScalars(g.Content, fields)
	} else if g != nil && g.Kind == yaml.ScalarNode {
		put(c, "group-by", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: g.Line, Content: mapScalars([]*yaml.Node{g}, fields)})
	}
	cond := member(c, "condition")
	f := member(cond, "field")
	switch {
	case f == nil:
	case f.Kind == yaml.SequenceNode:
		for i := range f.Content {
			if err := mapOne(f.Content, i, fields); err != nil {
				return err
			}
		}
	default:
		one := []*yaml.Node{f}
		if err := mapOne(one, 0, fields); err != nil {
			return err
		}
		put(cond, "field", one[0])
	}
	return nil
}

func mapOne(list []*yaml.Node, i int, named func(string) ([]string, bool)) error {
	v := list[i]
	if v.Kind != yaml.ScalarNode {
		return nil
	}
	to, ok := named(v.Value)
	switch {
	case !ok:
	case len(to) != 1:
		return refuse(v.Line, "field %q maps to %d fields, and a correlation can ask for one here", v.Value, len(to))
	default:
		list[i] = text(to[0], v.Line)
	}
	return nil
}

// splitHashes makes one item of each kind of hash from values such as "MD5=0123…" of a field Hashes.
type splitHashes struct {
	algorithms []string
	prefix     string
	drop       bool
}

var hashBySize = map[int]string{32: "MD5", 40: "SHA1", 64: "SHA256", 128: "SHA512"}

func (t splitHashes) apply(w *work, s *step) error {
	return w.eachItem(s, func(it *item) (element, bool, error) {
		by := map[string]*item{}
		g := &group{or: true, line: it.line}
		for _, v := range it.values {
			if !it.isText(v) {
				return it, false, nil
			}
			value := strings.Trim(v.Value, "*")
			algorithm := hashBySize[len(value)]
			for _, sep := range [...]string{"|", "="} {
				if a, rest, ok := strings.Cut(value, sep); ok {
					algorithm, value = strings.ToUpper(strings.TrimLeft(a, "*")), rest
					break
				}
			}
			if !contains(t.algorithms, algorithm) {
				continue
			}
			name := t.prefix
			if !t.drop {
				name += algorithm
			}
			if by[name] == nil {
				by[name] = &item{field: name, line: it.line, list: true, applied: it.applied}
				g.kids = append(g.kids, by[name])
			}
			by[name].values = append(by[name].values, text(value, v.Line))
		}
		if len(g.kids) == 0 {
			return it, false, refuse(it.line, "field %q has no hash of %s", it.field, strings.Join(t.algorithms, ", "))
		}
		return g, true, nil
	})
}
