package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// logsourceMapping is a log source configuration of the form that sigmac had and SigmaHQ's tests/thor.yml has:
// entries name a log source, and say by which conditions, field names and other log source its events are found.
// Several entries for one log source are alternatives. Where they lead to different log sources, the rule is tried
// on all events of what these have in common, and the channel is asked for as a condition.
type logsourceMapping struct {
	entries []logsourceEntry
	fields  fieldMap // for every rule
}

type logsourceEntry struct {
	of         isLogsource
	rewrite    *changeLogsource
	conditions []*yaml.Node // key, value, …
	fields     fieldMap
	channels   []string
	line       int
}

func (r *reader) logsources(root *yaml.Node) ([]*step, error) {
	m := logsourceMapping{}
	var err error
	if m.fields, err = r.fieldmappings(root); err != nil {
		return nil, err
	}
	line := root.Line
	list := member(root, "logsources")
	if list != nil {
		line = list.Line
		if list.Kind != yaml.MappingNode {
			return nil, r.at(list, "logsources are a mapping from names to log sources")
		}
		if len(list.Content)/2 > MaxSteps {
			return nil, r.at(list, "more than %d log sources", MaxSteps)
		}
		for i := 0; i+1 < len(list.Content); i += 2 {
			e, err := r.logsourceEntry(list.Content[i+1])
			if err != nil {
				return nil, err
			}
			m.entries = append(m.entries, e)
		}
	}
	return []*step{{id: "logsources", line: line, do: m}}, nil
}

func (r *reader) logsourceEntry(n *yaml.Node) (e logsourceEntry, err error) {
	a := &args{r: r, n: n, kind: "a log source"}
	e.line = n.Line
	e.of = isLogsource{a.text("category"), a.text("product"), a.text("service")}
	a.need(e.of != isLogsource{}, "a log source needs a category, product or service")
	if c := a.get("conditions"); c != nil {
		for i := 0; i+1 < len(c.Content); i += 2 {
			if _, ok := readItem(c.Content[i], c.Content[i+1]); !ok {
				a.fail(c.Content[i+1], "conditions: a value or a list of values was expected")
			}
		}
		e.conditions = c.Content
	}
	if to := a.get("rewrite"); to != nil {
		b := &args{r: r, n: to, kind: "rewrite"}
		e.rewrite = &changeLogsource{b.text("category"), b.text("product"), b.text("service")}
		b.need(*e.rewrite != changeLogsource{}, "rewrite needs a category, product or service")
		if err := b.done(); err != nil {
			return e, err
		}
	}
	if s := a.get("sources"); s != nil {
		for _, name := range values(s) {
			if channel, ok := strings.CutPrefix(name, "WinEventLog:"); ok {
				e.channels = append(e.channels, channel)
			}
		}
	}
	a.get("index") // of the system that the file was written for
	a.get("fieldmappings")
	if err = a.done(); err == nil {
		e.fields, err = r.fieldmappings(n)
	}
	return e, err
}

func (r *reader) fieldmappings(n *yaml.Node) (fieldMap, error) {
	if member(n, "fieldmappings") == nil {
		return fieldMap{}, nil
	}
	a := &args{r: r, n: n, kind: "fieldmappings"}
	m := a.fieldMapping("fieldmappings", false)
	return m, a.err
}

// apply takes the entries of the rule's log source, then those of the log source that these lead to.
func (m logsourceMapping) apply(w *work, s *step) error {
	if w.container == nil || member(w.rule, "logsource") == nil {
		return nil
	}
	if len(m.fields.to) > 0 {
		if err := (mapFields{fieldMap: m.fields}).apply(w, s); err != nil {
			return err
		}
	}
	var ways []logsourceEntry
	for _, e := range m.entries {
		if !e.of.fits(member(w.rule, "logsource")) || e.rewrite == nil && len(e.conditions) == 0 && len(e.fields.to) == 0 {
			continue
		}
		if i := slices.IndexFunc(ways, func(x logsourceEntry) bool { return x.alike(e) }); i >= 0 {
			if joined, ok := ways[i].joined(e); ok {
				ways[i] = joined
				continue
			}
		}
		ways = append(ways, e)
	}
	switch len(ways) {
	case 0:
		return nil
	case 1:
		return ways[0].apply(w, s)
	}
	return m.variants(w, s, ways)
}

// alike reports whether two ways differ in their conditions alone.
func (e logsourceEntry) alike(o logsourceEntry) bool {
	sameRewrite := e.rewrite == o.rewrite || e.rewrite != nil && o.rewrite != nil && *e.rewrite == *o.rewrite
	return sameRewrite && slices.Equal(e.fields.order, o.fields.order) &&
		!slices.ContainsFunc(e.fields.order, func(f string) bool { return !slices.Equal(e.fields.to[f], o.fields.to[f]) })
}

// joined returns both ways as one where their one condition is on the same field: event id 12, 13 or 14.
func (e logsourceEntry) joined(o logsourceEntry) (logsourceEntry, bool) {
	if len(e.conditions) != 2 || len(o.conditions) != 2 || e.conditions[0].Value != o.conditions[0].Value {
		return e, false
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: e.line}
	list.Content = append(slices.Clone(scalars(e.conditions[1])), scalars(o.conditions[1])...)
	e.conditions = []*yaml.Node{e.conditions[0], list}
	return e, true
}

// apply changes the rule for the only way that there is.
func (e logsourceEntry) apply(w *work, s *step) error {
	if len(e.fields.to) > 0 {
		if err := (mapFields{fieldMap: e.fields}).apply(w, s); err != nil {
			return err
		}
	}
	if len(e.conditions) > 0 {
		if err := (addCondition{fields: e.conditions}).apply(w, s); err != nil {
			return err
		}
	}
	if e.rewrite != nil {
		return e.rewrite.apply(w, s)
	}
	return nil
}

// variants makes one copy of the selections for each way, and a condition that is any of theirs.
func (m logsourceMapping) variants(w *work, s *step, ways []logsourceEntry) error {
	original, conditions := w.selections, make([]*boolean, len(w.conditions))
	for i, c := range w.conditions {
		x, err := parseBoolean(c.Value)
		if err != nil {
			return refuse(c.Line, "condition: %v", err)
		}
		conditions[i] = x
	}
	line := w.container.Line
	var all []*selection
	alternatives := make([][]string, len(conditions))
	common := ways[0].rewritten(w)
	for n, way := range ways {
		prefix := fmt.Sprintf("way%d-", n+1)
		w.selections = nil
		for _, sel := range original {
			name := variantName(prefix, sel.name)
			w.selections = append(w.selections, &selection{name, text(name, sel.key.Line), sel.root.clone()})
		}
		if len(way.fields.to) > 0 {
			if err := (mapFields{fieldMap: way.fields}).apply(w, s); err != nil {
				return err
			}
		}
		extra := &group{line: line}
		for i := 0; i+1 < len(way.conditions); i += 2 {
			it, _ := readItem(way.conditions[i], way.conditions[i+1])
			it.line = line
			extra.kids = append(extra.kids, it)
		}
		if channels := m.channels(way.rewritten(w)); len(channels) > 0 {
			it := &item{field: "Channel", line: line, list: true}
			for _, c := range channels {
				it.values = append(it.values, text(escaped(c), line))
			}
			extra.kids = append(extra.kids, it)
		}
		gate := ""
		if len(extra.kids) > 0 {
			name := "_" + prefix + "source"
			gate = name + " and "
			w.selections = append(w.selections, &selection{name, text(name, line), extra})
		}
		all = append(all, w.selections...)
		for i, c := range conditions {
			alternatives[i] = append(alternatives[i], "("+gate+c.renamed(prefix).inner()+")")
		}
		common = common.common(way.rewritten(w))
	}
	w.selections = all
	for i, c := range w.conditions {
		c.Value = strings.Join(alternatives[i], " or ")
	}
	if common == (changeLogsource{}) {
		return refuse(w.rule.Line, "its log source maps to several that have nothing in common")
	}
	return common.apply(w, s)
}

// rewritten returns the log source that a way leads to.
func (e logsourceEntry) rewritten(w *work) changeLogsource {
	if e.rewrite != nil {
		return *e.rewrite
	}
	src := member(w.rule, "logsource")
	return changeLogsource{scalarText(src, "category"), scalarText(src, "product"), scalarText(src, "service")}
}

func (t changeLogsource) common(o changeLogsource) changeLogsource {
	same := func(a, b string) string {
		if strings.EqualFold(a, b) {
			return a
		}
		return ""
	}
	return changeLogsource{same(t.category, o.category), same(t.product, o.product), same(t.service, o.service)}
}

// channels returns the Windows channels that the file gives for a log source.
func (m logsourceMapping) channels(of changeLogsource) []string {
	for _, e := range m.entries {
		if len(e.channels) > 0 && strings.EqualFold(e.of.product, of.product) && strings.EqualFold(e.of.service, of.service) && strings.EqualFold(e.of.category, of.category) {
			return e.channels
		}
	}
	return nil
}

// clone returns a copy of the group and all in it.
func (g *group) clone() *group {
	c := &group{or: g.or, line: g.line}
	for _, k := range g.kids {
		switch k := k.(type) {
		case *group:
			c.kids = append(c.kids, k.clone())
		case *item:
			c.kids = append(c.kids, k.clone())
		}
	}
	return c
}
