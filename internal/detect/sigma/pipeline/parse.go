package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads one pipeline in YAML. Its errors are *Error with file, line and what can't be done.
func Parse(file string, data []byte) (*Pipeline, error) {
	root, err := document(file, data)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{Name: file, file: file}
	if n := scalarText(root, "name"); n != "" {
		p.Name = n
	} else if n := scalarText(root, "title"); n != "" {
		p.Name = n
	}
	r := &reader{file: file}
	for _, key := range [...]string{"priority", "order"} {
		if v := member(root, key); v != nil {
			if p.Priority, err = strconv.Atoi(v.Value); err != nil {
				return nil, r.at(v, "%s is a whole number, not %q", key, v.Value)
			}
		}
	}
	if v := member(root, "vars"); v != nil {
		if p.vars, err = r.variables(v); err != nil {
			return nil, err
		}
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, v := root.Content[i], root.Content[i+1]
		switch key.Value {
		case "name", "title", "priority", "order", "vars", "allowed_backends", "backends", "description", "author", "date", "id", "references":
		case "transformations":
			p.steps, err = r.steps(v, 0)
		case "logsources", "fieldmappings", "defaultindex", "logsourcemerging":
		case "postprocessing", "finalizers":
			if len(v.Content) > 0 {
				err = r.at(key, "%s change the text of queries, and there is none: rules are matched as they are. Take %s out", key.Value, key.Value)
				if first := v.Content[0]; scalarText(first, "type") != "" {
					err = r.at(first, "%s: type %s changes the text of queries, and there is none: rules are matched as they are. Take it out", key.Value, scalarText(first, "type"))
				}
			}
		default:
			err = r.at(key, "unknown key %q: a pipeline has name, priority, vars, transformations", key.Value)
		}
		if err != nil {
			return nil, err
		}
	}
	if member(root, "logsources") != nil || member(root, "fieldmappings") != nil {
		s, err := r.logsources(root)
		if err != nil {
			return nil, err
		}
		p.steps = append(p.steps, s...)
	}
	if len(p.steps) == 0 && len(p.vars) == 0 {
		return nil, &Error{File: file, At: root.Line, Reason: "neither transformations nor vars nor logsources: this is no pipeline"}
	}
	return p, nil
}

// ParsePlaceholders reads a file of values for placeholders: a mapping from each name to a value or a list. Every
// %name% of it is filled in after all pipelines have run, and pipelines find the same values as their variables.
func ParsePlaceholders(file string, data []byte) (*Pipeline, error) {
	root, err := document(file, data)
	if err != nil {
		return nil, err
	}
	r := &reader{file: file}
	if v := member(root, "vars"); v != nil && len(root.Content) == 2 && v.Kind == yaml.MappingNode {
		root = v
	}
	vars, err := r.variables(root)
	if err != nil {
		return nil, err
	}
	return &Pipeline{Name: file, file: file, vars: vars, fill: true}, nil
}

// document reads the one mapping of a file, without aliases, in depth and size bounded.
func document(file string, data []byte) (*yaml.Node, error) {
	if len(data) > MaxFile {
		return nil, &Error{File: file, Reason: fmt.Sprintf("%d bytes, at most %d are read", len(data), MaxFile)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &Error{File: file, Reason: "the file is empty"}
		}
		var line int
		if _, scanErr := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); scanErr != nil {
			line = 0
		}
		return nil, &Error{File: file, At: line, Reason: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if err := dec.Decode(&more); err == nil {
		return nil, &Error{File: file, At: more.Line, Reason: "a second document: one pipeline a file"}
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, &Error{File: file, At: root.Line, Reason: "a mapping of keys and values was expected"}
	}
	r := &reader{file: file}
	return root, r.check(root, 0)
}

type reader struct {
	file  string
	count int
}

func (r *reader) at(n *yaml.Node, format string, args ...any) error {
	return &Error{File: r.file, At: n.Line, Reason: fmt.Sprintf(format, args...)}
}

func (r *reader) check(n *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return r.at(n, "nested deeper than %d", maxDepth)
	case n.Kind == yaml.AliasNode:
		return r.at(n, "YAML aliases are not supported in pipelines")
	case n.Kind == yaml.MappingNode:
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if seen[k.Tag+k.Value] {
				return r.at(k, "key %q is there twice", k.Value)
			}
			seen[k.Tag+k.Value] = true
		}
	}
	for _, c := range n.Content {
		if err := r.check(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) variables(n *yaml.Node) (map[string][]string, error) {
	if n.Kind != yaml.MappingNode {
		return nil, r.at(n, "a mapping from names to values was expected")
	}
	if len(n.Content)/2 > MaxVariables {
		return nil, r.at(n, "more than %d names", MaxVariables)
	}
	out := map[string][]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		values := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			values = v.Content
		}
		if len(values) == 0 || len(values) > MaxListValues {
			return nil, r.at(v, "%s has %d values: 1 to %d are read", key.Value, len(values), MaxListValues)
		}
		name := strings.Trim(key.Value, "%")
		for _, one := range values {
			if one.Kind != yaml.ScalarNode || one.Tag == "!!null" || len(one.Value) > MaxText {
				return nil, r.at(one, "%s: texts and numbers of at most %d bytes were expected", key.Value, MaxText)
			}
			out[name] = append(out[name], one.Value)
		}
	}
	return out, nil
}

func (r *reader) steps(n *yaml.Node, depth int) ([]*step, error) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, r.at(n, "transformations are a list")
	}
	if depth > MaxNesting {
		return nil, r.at(n, "transformations nested deeper than %d", MaxNesting)
	}
	var out []*step
	for _, c := range n.Content {
		if r.count++; r.count > MaxSteps {
			return nil, r.at(c, "more than %d transformations", MaxSteps)
		}
		s, err := r.step(c, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// conditionKeys are the keys of a step beside those of its transformation.
var conditionKeys = []string{
	"id", "type", "rule_conditions", "rule_cond_op", "rule_cond_not", "rule_cond_expr",
	"detection_item_conditions", "detection_item_cond_op", "detection_item_cond_not", "detection_item_cond_expr",
	"field_name_conditions", "field_name_cond_op", "field_name_cond_not", "field_name_cond_expr",
}

func (r *reader) step(n *yaml.Node, depth int) (*step, error) {
	if n.Kind != yaml.MappingNode {
		return nil, r.at(n, "a transformation is a mapping with a type")
	}
	s := &step{id: scalarText(n, "id"), line: n.Line}
	var err error
	if s.rule, err = readConditions(r, n, "rule", r.ruleCondition); err != nil {
		return nil, err
	}
	if s.item, err = readConditions(r, n, "detection_item", r.itemCondition); err != nil {
		return nil, err
	}
	if s.field, err = readConditions(r, n, "field_name", r.fieldCondition); err != nil {
		return nil, err
	}
	a := &args{r: r, n: n, kind: scalarText(n, "type"), depth: depth, known: slices.Clone(conditionKeys)}
	s.do = a.transformation()
	return s, a.done()
}

// readConditions reads one of the three sets of conditions of a step.
func readConditions[C any](r *reader, n *yaml.Node, kind string, read func(*args) C) (conditions[C], error) {
	c := conditions[C]{names: map[string]C{}}
	prefix := map[string]string{"rule": "rule_cond", "detection_item": "detection_item_cond", "field_name": "field_name_cond"}[kind]
	one := func(def *yaml.Node) (C, error) {
		a := &args{r: r, n: def, kind: scalarText(def, "type"), known: []string{"type"}}
		x := read(a)
		return x, a.done()
	}
	list := member(n, kind+"_conditions")
	expr := member(n, prefix+"_expr")
	if list != nil {
		for i, def := range list.Content {
			if list.Kind == yaml.MappingNode {
				if i%2 == 0 {
					continue
				}
			}
			x, err := one(def)
			if err != nil {
				return c, err
			}
			if list.Kind == yaml.MappingNode {
				c.names[list.Content[i-1].Value] = x
			}
			c.list = append(c.list, x)
		}
	}
	switch op := scalarText(n, prefix+"_op"); op {
	case "", "and":
	case "or":
		c.any = true
	default:
		return c, r.at(member(n, prefix+"_op"), "%s_op is and or or, not %q", prefix, op)
	}
	switch not := scalarText(n, prefix+"_not"); not {
	case "", "false":
	case "true":
		c.negate = true
	default:
		return c, r.at(member(n, prefix+"_not"), "%s_not is true or false, not %q", prefix, not)
	}
	if expr == nil {
		return c, nil
	}
	x, err := parseBoolean(expr.Value)
	if err != nil {
		return c, r.at(expr, "%s_expr: %v", prefix, err)
	}
	if x.hasQuantifier() || len(c.names) == 0 || member(n, prefix+"_op") != nil {
		return c, r.at(expr, "%s_expr takes names of conditions that are given as a mapping, with and, or, not", prefix)
	}
	used := map[string]bool{}
	x.names(func(name string) {
		if _, ok := c.names[name]; !ok {
			err = r.at(expr, "%s_expr names %q, which no condition is called", prefix, name)
		}
		used[name] = true
	})
	if err == nil && len(used) < len(c.names) {
		err = r.at(expr, "%s_expr does not name every condition", prefix)
	}
	c.expr = x
	return c, err
}

func (r *reader) ruleCondition(a *args) ruleCondition {
	switch a.kind {
	case "logsource":
		c := isLogsource{a.text("category"), a.text("product"), a.text("service")}
		a.need(c != isLogsource{}, "logsource needs a category, product or service")
		return c
	case "contains_field":
		return containsField{a.required("field")}
	case "contains_detection_item":
		return containsItem{a.required("field"), a.scalar("value")}
	case "is_sigma_rule":
		return isKind{}
	case "is_sigma_correlation_rule":
		return isKind{correlation: true}
	case "rule_attribute":
		return hasAttribute{a.required("attribute"), a.choice("op", "eq", "ne", "gte", "gt", "lte", "lt", "in", "not_in"), a.scalar("value")}
	case "tag":
		return isTagged{a.required("tag")}
	case "processing_item_applied":
		return wasApplied{a.required("processing_item_id")}
	case "processing_state":
		return a.state()
	}
	a.unknown("rule condition")
	return nil
}

func (a *args) state() hasState {
	return hasState{a.required("key"), a.choice("op", "eq", "ne", "gte", "gt", "lte", "lt"), a.scalar("val")}
}

func (r *reader) itemCondition(a *args) itemCondition {
	c := valueCondition{}
	switch a.kind {
	case "processing_item_applied":
		return itemApplied{a.required("processing_item_id")}
	case "processing_state":
		return a.state()
	case "match_string":
		c.is = matchesString(a.regex("pattern"), a.flag("negate"))
	case "match_value":
		c.is = equalsValue(a.scalar("value"))
	case "contains_wildcard":
		c.is = containsWildcard
	case "is_null":
		c.is = isNull
	default:
		a.unknown("detection item condition")
	}
	c.all = a.choice("cond", "any", "all") == "all"
	return c
}

func (r *reader) fieldCondition(a *args) fieldCondition {
	switch a.kind {
	case "include_fields", "exclude_fields":
		c := fieldNames{plain: a.texts("fields"), exclude: a.kind == "exclude_fields"}
		if a.choice("mode", "plain", "re") == "re" {
			for _, text := range c.plain {
				c.exprs = append(c.exprs, a.compile("^(?:"+text+")"))
			}
			c.plain = nil
		}
		return c
	case "processing_item_applied":
		return itemApplied{a.required("processing_item_id")}
	case "processing_state":
		return a.state()
	}
	a.unknown("field name condition")
	return nil
}

// args reads the keys of one transformation or condition, and keeps the first thing that is wrong.
type args struct {
	r     *reader
	n     *yaml.Node
	kind  string
	depth int
	known []string
	err   error
}

func (a *args) fail(n *yaml.Node, format string, args ...any) {
	if a.err == nil {
		a.err = a.r.at(n, format, args...)
	}
}

func (a *args) need(ok bool, format string, args ...any) {
	if !ok {
		a.fail(a.n, format, args...)
	}
}

func (a *args) unknown(what string) {
	if a.kind == "" {
		a.fail(a.n, "a %s needs a type", what)
		return
	}
	a.fail(a.n, "%s %q is not supported", what, a.kind)
}

// done refuses keys that nobody asked for, and returns the first thing that was wrong.
func (a *args) done() error {
	if a.err == nil && a.n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(a.n.Content); i += 2 {
			if k := a.n.Content[i]; !slices.Contains(a.known, k.Value) {
				a.fail(k, "%s has no key %q", a.kind, k.Value)
			}
		}
	}
	return a.err
}

func (a *args) get(key string) *yaml.Node {
	a.known = append(a.known, key)
	return member(a.n, key)
}

func (a *args) text(key string) string { a.get(key); return scalarText(a.n, key) }

func (a *args) required(key string) string {
	v := a.text(key)
	a.need(v != "", "%s needs %s", a.kind, key)
	return v
}

func (a *args) scalar(key string) *yaml.Node {
	v := a.get(key)
	if v == nil || v.Kind != yaml.ScalarNode {
		a.fail(a.n, "%s needs %s, one value", a.kind, key)
		return text("", a.n.Line)
	}
	return v
}

// choice returns one of the words; the first is the default.
func (a *args) choice(key string, words ...string) string {
	v := a.text(key)
	if v == "" {
		return words[0]
	}
	a.need(slices.Contains(words, v), "%s: %s is one of %s, not %q", a.kind, key, strings.Join(words, ", "), v)
	return v
}

func (a *args) flag(key string) bool { return a.choice(key, "false", "true") == "true" }

func (a *args) texts(key string) []string {
	v := a.get(key)
	if v == nil {
		a.fail(a.n, "%s needs %s", a.kind, key)
		return nil
	}
	return values(v)
}

func values(n *yaml.Node) []string {
	var out []string
	for _, c := range scalars(n) {
		out = append(out, c.Value)
	}
	return out
}

// maxRegex bounds a regular expression of a pipeline, in bytes.
const maxRegex = 4096

// regex reads a regular expression that must match from the beginning, as Python's re.match does.
func (a *args) regex(key string) *regexp.Regexp { return a.compile("^(?:" + a.required(key) + ")") }

var nothing = regexp.MustCompile(`^\b$`)

func (a *args) compile(text string) *regexp.Regexp {
	if len(text) > maxRegex {
		a.fail(a.n, "regular expression of %d bytes, at most %d are read", len(text), maxRegex)
		return nothing
	}
	re, err := regexp.Compile(text)
	if err != nil {
		a.fail(a.n, "regular expression: %s (look-around and back-references are not supported)", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return nothing
	}
	return re
}
