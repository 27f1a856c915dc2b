package pipeline

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// work is one rule while it is being changed: its head stays a YAML tree, its detections become groups of items.
type work struct {
	rule       *yaml.Node
	vars       map[string][]string
	container  *yaml.Node // the mapping that holds selections: detection, or filter; nil in correlations
	selections []*selection
	conditions []*yaml.Node // the scalars that hold conditions

	applied map[string]bool            // ids of steps that were applied to the rule
	fields  map[string]map[string]bool // by field name: ids of steps that made it
	state   map[string]*yaml.Node
	added   int // selections that were added without a name
}

// selection is one named part of the detection.
type selection struct {
	name string
	key  *yaml.Node
	root *group
}

// group is several items or groups, linked by and or or.
type group struct {
	or   bool
	line int
	kids []element
}

type element interface{ isElement() }

func (*group) isElement() {}
func (*item) isElement()  {}

// item is one field with its modifiers and values; without a field, keywords.
type item struct {
	field   string
	mods    []string
	values  []*yaml.Node
	list    bool // the values were written as a list
	line    int
	applied map[string]bool
}

// open reads a rule's tree. What is malformed stays as it is, so that the rule's own reader says what is wrong.
func open(rule *yaml.Node, vars map[string][]string) (*work, error) {
	w := &work{rule: rule, vars: vars, applied: map[string]bool{}, fields: map[string]map[string]bool{}, state: map[string]*yaml.Node{}}
	for _, name := range [...]string{"detection", "filter"} {
		if c := member(rule, name); c != nil && c.Kind == yaml.MappingNode {
			w.container = c
		}
	}
	if w.container == nil {
		return w, nil
	}
	for i := 0; i+1 < len(w.container.Content); i += 2 {
		key, body := w.container.Content[i], w.container.Content[i+1]
		switch key.Value {
		case "condition":
			w.conditions = scalars(body)
		case "rules", "timeframe":
		default:
			root, ok := readGroup(body, 0)
			if !ok {
				return nil, refuse(body.Line, "selection %q is no mapping, list or value", key.Value)
			}
			w.selections = append(w.selections, &selection{key.Value, key, root})
		}
	}
	return w, nil
}

func scalars(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.ScalarNode {
		return []*yaml.Node{n}
	}
	var out []*yaml.Node
	for _, c := range n.Content {
		if c.Kind == yaml.ScalarNode {
			out = append(out, c)
		}
	}
	return out
}

// readGroup reads a selection: a mapping is all of its items, a list any of its mappings or keywords.
func readGroup(n *yaml.Node, depth int) (*group, bool) {
	g := &group{line: n.Line}
	if depth > maxDepth {
		return nil, false
	}
	switch n.Kind {
	case yaml.ScalarNode:
		g.kids = []element{&item{values: []*yaml.Node{n}, line: n.Line}}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			it, ok := readItem(n.Content[i], n.Content[i+1])
			if !ok {
				return nil, false
			}
			g.kids = append(g.kids, it)
		}
	case yaml.SequenceNode:
		g.or = true
		keywords := &item{line: n.Line, list: true}
		for _, c := range n.Content {
			if c.Kind == yaml.ScalarNode {
				keywords.values = append(keywords.values, c)
				continue
			}
			kid, ok := readGroup(c, depth+1)
			if !ok {
				return nil, false
			}
			g.kids = append(g.kids, kid)
		}
		if len(keywords.values) > 0 {
			g.kids = append(g.kids, keywords)
		}
	default:
		return nil, false
	}
	return g, true
}

func readItem(key, value *yaml.Node) (*item, bool) {
	parts := strings.Split(key.Value, "|")
	it := &item{field: parts[0], mods: parts[1:], line: key.Line}
	switch value.Kind {
	case yaml.ScalarNode:
		it.values = []*yaml.Node{value}
	case yaml.SequenceNode:
		it.list, it.values = true, slices.Clone(value.Content)
		for _, v := range it.values {
			if v.Kind != yaml.ScalarNode {
				return nil, false
			}
		}
	default:
		return nil, false
	}
	return it, true
}

func (it *item) has(mod ...string) bool {
	return slices.ContainsFunc(it.mods, func(m string) bool { return slices.Contains(mod, m) })
}

func (it *item) drop(mod ...string) {
	it.mods = slices.DeleteFunc(slices.Clone(it.mods), func(m string) bool { return slices.Contains(mod, m) })
}

func (it *item) mark(id string) {
	if id == "" {
		return
	}
	it.applied = maps.Clone(it.applied)
	if it.applied == nil {
		it.applied = map[string]bool{}
	}
	it.applied[id] = true
}

// clone returns a copy that shares nothing that is changed.
func (it *item) clone() *item {
	c := *it
	c.mods, c.values = slices.Clone(it.mods), slices.Clone(it.values)
	return &c
}

// each calls do for every item, and puts what it returns in the item's place: nil drops it.
func (g *group) each(do func(*item) (element, error)) error {
	kept := g.kids[:0:0]
	for _, k := range g.kids {
		switch k := k.(type) {
		case *group:
			before := len(k.kids)
			if err := k.each(do); err != nil {
				return err
			}
			if len(k.kids) > 0 || before == 0 {
				kept = append(kept, k)
			}
		case *item:
			r, err := do(k)
			if err != nil {
				return err
			}
			if r != nil {
				kept = append(kept, r)
			}
		}
	}
	g.kids = kept
	return nil
}

// items calls do for every item and stops where it returns false.
func (g *group) items(do func(*item) bool) bool {
	for _, k := range g.kids {
		switch k := k.(type) {
		case *group:
			if !k.items(do) {
				return false
			}
		case *item:
			if !do(k) {
				return false
			}
		}
	}
	return true
}

// anyItem reports whether the rule has an item of which that is true.
func (w *work) anyItem(is func(*item) bool) bool {
	for _, s := range w.selections {
		if !s.root.items(func(it *item) bool { return !is(it) }) {
			return true
		}
	}
	return false
}

// close writes the selections back into the rule's tree.
func (w *work) close() error {
	if w.container == nil {
		return nil
	}
	if err := w.withoutEmpty(); err != nil {
		return err
	}
	nodes, err := writeSelections(w.selections)
	if err != nil {
		return err
	}
	var content []*yaml.Node
	for i := 0; i+1 < len(w.container.Content); i += 2 {
		switch key := w.container.Content[i]; key.Value {
		case "condition", "rules", "timeframe":
			content = append(content, key, w.container.Content[i+1])
		}
	}
	w.container.Content = append(nodes, content...)
	return nil
}

func writeSelections(list []*selection) ([]*yaml.Node, error) {
	var out []*yaml.Node
	for _, s := range list {
		body, err := s.root.node()
		if err != nil {
			return nil, err
		}
		out = append(out, s.key, body)
	}
	return out, nil
}

// withoutEmpty takes selections of which nothing is left out of the conditions, as pySigma does.
func (w *work) withoutEmpty() error {
	gone := map[string]bool{}
	w.selections = slices.DeleteFunc(w.selections, func(s *selection) bool {
		// What the rule itself left empty is for its reader to refuse.
		if len(s.root.kids) > 0 || !w.droppedFrom(s) {
			return false
		}
		gone[s.name] = true
		return true
	})
	if len(gone) == 0 {
		return nil
	}
	names := make([]string, len(w.selections))
	for i, s := range w.selections {
		names[i] = s.name
	}
	kept := 0
	for _, c := range w.conditions {
		x, err := parseBoolean(c.Value)
		if err != nil {
			return refuse(c.Line, "condition: %v", err)
		}
		if x = x.without(gone, names); x != nil {
			c.Value = x.String()
			kept++
		} else {
			c.Value = ""
		}
	}
	if kept < len(w.conditions) {
		return refuse(w.rule.Line, "the pipelines left nothing of a condition")
	}
	return nil
}

// droppedFrom reports whether the selection once held items: an empty mapping or list that the rule wrote is told
// by its node.
func (w *work) droppedFrom(s *selection) bool {
	body := member(w.container, s.name)
	return body == nil || len(body.Content) > 0 || body.Kind == yaml.ScalarNode
}

// node writes the group as a mapping or, where something in it is any of several, as a list of mappings.
func (g *group) node() (*yaml.Node, error) {
	if n := g.simple(); n != nil {
		return n, nil
	}
	rows, err := g.rows()
	if err != nil {
		return nil, err
	}
	if len(rows) == 1 {
		return mapping(rows[0], g.line), nil
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: g.line}
	for _, r := range rows {
		list.Content = append(list.Content, mapping(r, g.line))
	}
	return list, nil
}

// simple writes what is nothing but keywords, which need no mapping.
func (g *group) simple() *yaml.Node {
	if len(g.kids) != 1 {
		return nil
	}
	it, ok := g.kids[0].(*item)
	if !ok || it.field != "" || len(it.mods) > 0 {
		return nil
	}
	if !it.list && len(it.values) == 1 {
		return it.values[0]
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: it.line, Content: it.values}
}

// rows returns the group as alternatives, each of which is items that all must hold.
func (g *group) rows() ([][]*item, error) {
	out := [][]*item{{}}
	if g.or {
		out = nil
	}
	for _, k := range g.kids {
		part := [][]*item{}
		switch k := k.(type) {
		case *item:
			part = [][]*item{{k}}
		case *group:
			var err error
			if part, err = k.rows(); err != nil {
				return nil, err
			}
		}
		if g.or {
			if out = append(out, part...); len(out) > MaxItemValues {
				return nil, refuse(g.line, "more than %d alternatives of one selection", MaxItemValues)
			}
			continue
		}
		if len(part) > 1 && len(out)*len(part) > MaxAlternatives {
			return nil, refuse(g.line, "fields that map to several make more than %d alternatives of one selection", MaxAlternatives)
		}
		var product [][]*item
		for _, a := range out {
			for _, b := range part {
				product = append(product, append(slices.Clone(a), b...))
			}
		}
		out = product
	}
	return out, nil
}

func mapping(items []*item, line int) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: line}
	for _, it := range items {
		key := strings.Join(append([]string{it.field}, it.mods...), "|")
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: it.line})
		if len(it.values) == 1 && !it.list {
			n.Content = append(n.Content, it.values[0])
			continue
		}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: it.line, Content: it.values})
	}
	return n
}

// member returns the value of a key of a mapping, or nil.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// put sets a key of a mapping to a text.
func put(n *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content[i+1] = value
			return
		}
	}
	n.Content = append(n.Content, text(key, n.Line), value)
}

func text(value string, line int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Line: line}
}

// scalarText returns the text of a key, or "".
func scalarText(n *yaml.Node, key string) string {
	if v := member(n, key); v != nil && v.Kind == yaml.ScalarNode && v.Tag != "!!null" {
		return v.Value
	}
	return ""
}
