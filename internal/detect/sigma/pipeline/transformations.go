package pipeline

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// transformation reads what a step does.
func (a *args) transformation() transformation {
	switch a.kind {
	case "field_name_mapping":
		return mapFields{a.fieldMapping("mapping", true), false}
	case "field_name_prefix_mapping":
		return mapFields{a.fieldMapping("mapping", false), true}
	case "field_name_prefix":
		return affixFields{prefix: a.required("prefix")}
	case "field_name_suffix":
		return affixFields{suffix: a.required("suffix")}
	case "drop_detection_item":
		return dropItem{}
	case "hashes_fields":
		return splitHashes{a.texts("valid_hash_algos"), a.text("field_prefix"), a.flag("drop_algo_prefix")}
	case "add_condition":
		return a.addCondition()
	case "change_logsource":
		t := changeLogsource{a.text("category"), a.text("product"), a.text("service")}
		a.need(t != changeLogsource{}, "change_logsource needs a category, product or service")
		return t
	case "replace_string":
		return replaceString{a.compile(a.required("regex")), a.replacement("replacement"), a.flag("skip_special"), a.flag("interpret_special")}
	case "map_string":
		return mapString{a.stringMapping("mapping")}
	case "set_value":
		return a.setValue()
	case "convert_type":
		return convertType{a.choice("target_type", "str", "num")}
	case "case":
		return changeCase{a.choice("method", "lower", "upper", "snake_case")}
	case "regex":
		return toRegex{a.choice("method", "ignore_case_brackets", "ignore_case_flag", "plain")}
	case "value_placeholders":
		return a.placeholders(false)
	case "wildcard_placeholders":
		return a.placeholders(true)
	case "set_state":
		return setState{a.required("key"), a.scalar("val")}
	case "set_custom_attribute":
		return setAttribute{a.required("attribute"), a.scalar("value")}
	case "add_field", "remove_field":
		return changeFields{a.kind, a.texts("field")}
	case "set_field":
		return changeFields{a.kind, a.texts("fields")}
	case "rule_failure":
		return failRule{a.required("message")}
	case "detection_item_failure":
		return failItem{a.required("message")}
	case "nest":
		items := a.get("items")
		if items == nil {
			a.need(false, "nest needs items")
			return nest{}
		}
		steps, err := a.r.steps(items, a.depth+1)
		if err != nil && a.err == nil {
			a.err = err
		}
		return nest{steps}
	case "query_expression_placeholders", "query_expression":
		a.fail(a.n, "transformation %q writes a piece of another system's query, and there is none: give the values with value_placeholders or --placeholders", a.kind)
		return nil
	}
	a.unknown("transformation")
	return nil
}

// eachItem calls do for every item that the step wants, and marks what do returns true for.
func (w *work) eachItem(s *step, do func(*item) (element, bool, error)) error {
	for _, sel := range w.selections {
		err := sel.root.each(func(it *item) (element, error) {
			if !s.wants(w, it) {
				return it, nil
			}
			e, changed, err := do(it)
			if changed && e != nil {
				markAll(e, s.id)
			}
			return e, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func markAll(e element, id string) {
	switch e := e.(type) {
	case *item:
		e.mark(id)
	case *group:
		e.items(func(it *item) bool { it.mark(id); return true })
	}
}

// dropItem takes items out.
type dropItem struct{}

func (dropItem) apply(w *work, s *step) error {
	return w.eachItem(s, func(*item) (element, bool, error) { return nil, true, nil })
}

// changeLogsource puts another log source in the place of the rule's.
type changeLogsource struct{ category, product, service string }

func (t changeLogsource) apply(w *work, _ *step) error {
	old := member(w.rule, "logsource")
	if old == nil { // a correlation
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: old.Line}
	for _, p := range [...][2]string{{"category", t.category}, {"product", t.product}, {"service", t.service}} {
		if p[1] != "" {
			n.Content = append(n.Content, text(p[0], old.Line), text(p[1], old.Line))
		}
	}
	put(w.rule, "logsource", n)
	return nil
}

// addCondition adds a selection that must hold too, or must not.
type addCondition struct {
	name     string
	fields   []*yaml.Node // key, value, key, value …
	template bool
	negated  bool
}

func (a *args) addCondition() transformation {
	t := addCondition{name: a.text("name"), template: a.flag("template"), negated: a.flag("negated")}
	c := a.get("conditions")
	if c == nil || c.Kind != yaml.MappingNode || len(c.Content) == 0 {
		a.fail(a.n, "add_condition needs conditions: a mapping from fields to values")
		return t
	}
	for i := 0; i+1 < len(c.Content); i += 2 {
		if _, ok := readItem(c.Content[i], c.Content[i+1]); !ok {
			a.fail(c.Content[i+1], "a value or a list of values was expected")
		}
	}
	t.fields = c.Content
	a.need(t.name == "" || !strings.ContainsAny(t.name, " \t\n()|*"), "name %q can't stand in a condition", t.name)
	return t
}

func (t addCondition) apply(w *work, s *step) error {
	if w.container == nil {
		return nil
	}
	name := t.name
	if name == "" {
		w.added++
		name = "_cond_" + strconv.Itoa(w.added)
	}
	line := w.container.Line
	g := &group{line: line}
	for i := 0; i+1 < len(t.fields); i += 2 {
		it, _ := readItem(t.fields[i], t.fields[i+1])
		it.line = line
		for j, v := range it.values {
			c := *v
			c.Line = line
			if t.template {
				c.Value = w.filled(c.Value)
			}
			it.values[j] = &c
		}
		it.mark(s.id)
		g.kids = append(g.kids, it)
	}
	w.add(name, g)
	not := ""
	if t.negated {
		not = "not "
	}
	for _, c := range w.conditions {
		if c.Value != "" {
			c.Value = not + name + " and (" + c.Value + ")"
		}
	}
	return nil
}

// add puts a selection there, in the place of one with the same name.
func (w *work) add(name string, g *group) {
	for _, s := range w.selections {
		if s.name == name {
			s.root = g
			return
		}
	}
	w.selections = append(w.selections, &selection{name, text(name, g.line), g})
}

// filled puts the rule's log source into a template.
func (w *work) filled(s string) string {
	src := member(w.rule, "logsource")
	var pairs []string
	for _, part := range [...]string{"category", "product", "service"} {
		pairs = append(pairs, "${"+part+"}", scalarText(src, part), "$"+part, scalarText(src, part))
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// setState keeps a value that later steps of the same rule may ask for.
type setState struct {
	key   string
	value *yaml.Node
}

func (t setState) apply(w *work, _ *step) error {
	w.state[t.key] = t.value
	return nil
}

// setAttribute sets a key at the rule's head; the words that the rule is known by can't be changed.
type setAttribute struct {
	name  string
	value *yaml.Node
}

func (t setAttribute) apply(w *work, _ *step) error {
	switch t.name {
	case "id", "title", "author", "license", "logsource", "detection", "correlation", "filter":
		return refuse(w.rule.Line, "%s of a rule can't be set as a custom attribute", t.name)
	}
	v := *t.value
	v.Line = w.rule.Line
	put(w.rule, t.name, &v)
	return nil
}

// changeFields changes the list of fields that a rule's author wants shown.
type changeFields struct {
	kind  string
	names []string
}

func (t changeFields) apply(w *work, _ *step) error {
	old := member(w.rule, "fields")
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: w.rule.Line}
	if old != nil && t.kind != "set_field" {
		for _, v := range scalars(old) {
			if t.kind == "add_field" || !contains(t.names, v.Value) {
				list.Content = append(list.Content, v)
			}
		}
	}
	if t.kind != "remove_field" {
		for _, n := range t.names {
			list.Content = append(list.Content, text(n, w.rule.Line))
		}
	}
	put(w.rule, "fields", list)
	return nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// failRule and failItem refuse rules that the pipeline's author says can't be.
type (
	failRule struct{ message string }
	failItem struct{ message string }
)

func (t failRule) apply(w *work, _ *step) error { return refuse(w.rule.Line, "%s", t.message) }

func (t failItem) apply(w *work, s *step) error {
	return w.eachItem(s, func(it *item) (element, bool, error) { return it, false, refuse(it.line, "%s", t.message) })
}

// nest runs steps of its own.
type nest struct{ steps []*step }

func (t nest) apply(w *work, _ *step) error {
	for _, s := range t.steps {
		if err := w.run(s); err != nil {
			return err
		}
	}
	return nil
}

// pythonReference finds \1 and \g<name> in a replacement.
var pythonReference = regexp.MustCompile(`\\(?:(\d{1,2})|g<([A-Za-z0-9_]+)>|(\\))`)

// replacement reads a replacement as Python's re.sub does, into Go's form.
func (a *args) replacement(key string) string {
	v := a.get(key)
	if v == nil || v.Kind != yaml.ScalarNode {
		a.fail(a.n, "%s needs %s", a.kind, key)
		return ""
	}
	s := strings.ReplaceAll(v.Value, "$", "$$")
	return pythonReference.ReplaceAllStringFunc(s, func(m string) string {
		sub := pythonReference.FindStringSubmatch(m)
		if sub[3] != "" {
			return `\`
		}
		return "${" + sub[1] + sub[2] + "}"
	})
}
