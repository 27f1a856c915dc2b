package sigma

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseDetection reads the selections and the condition over them into the rule.
func parseDetection(r *Rule, det *yaml.Node, values placeholders) error {
	p := &detectionParser{holds: values}
	var cond *yaml.Node
	for i := 0; i+1 < len(det.Content); i += 2 {
		name, body := det.Content[i].Value, det.Content[i+1]
		switch name {
		case "condition":
			cond = body
			continue
		case "timeframe":
			return at(body, "timeframe belongs to aggregations, which are not supported: use a correlation rule")
		}
		x, err := p.selection(body)
		if err != nil {
			return err
		}
		if len(r.selections) == MaxSelections {
			return at(body, "more than %d selections", MaxSelections)
		}
		r.selections = append(r.selections, selection{name, x, x.size()})
	}
	if len(r.selections) == 0 {
		return at(det, "the detection has no selection")
	}
	if cond == nil {
		return at(det, "the detection has no condition")
	}
	list := texts(cond)
	if len(list) == 0 {
		return at(cond, "the condition is empty")
	}
	var kids []*expr
	parts := MaxParts
	for _, text := range list {
		x, err := parseCondition(text, r.selections, &parts)
		if err != nil {
			return at(cond, "%w", err)
		}
		kids = append(kids, x)
	}
	r.Conditions = list
	r.cond = join(opOr, kids)
	return nil
}

type detectionParser struct {
	values int
	holds  placeholders
}

// selection reads one selection: a mapping (all of its items), a list of mappings or keywords (any of them),
// or one keyword.
func (p *detectionParser) selection(n *yaml.Node) (*expr, error) {
	switch n.Kind {
	case yaml.MappingNode:
		return p.mapping(n)
	case yaml.ScalarNode:
		return p.item("", n)
	}
	if len(n.Content) == 0 {
		return nil, at(n, "an empty list selects nothing")
	}
	var kids []*expr
	for _, c := range n.Content {
		x, err := p.selection(c)
		if err != nil {
			return nil, err
		}
		kids = append(kids, x)
	}
	return join(opOr, kids), nil
}

func (p *detectionParser) mapping(n *yaml.Node) (*expr, error) {
	if len(n.Content) == 0 {
		return nil, at(n, "an empty mapping selects nothing")
	}
	var kids []*expr
	for i := 0; i+1 < len(n.Content); i += 2 {
		x, err := p.item(n.Content[i].Value, n.Content[i+1])
		if err != nil {
			return nil, err
		}
		kids = append(kids, x)
	}
	return join(opAnd, kids), nil
}

// item reads `field|modifiers: value or values`.
func (p *detectionParser) item(key string, v *yaml.Node) (*expr, error) {
	parts := strings.Split(key, "|")
	field := parts[0]
	m, err := parseModifiers(parts[1:])
	if err != nil {
		return nil, at(v, "field %q: %w", field, err)
	}
	m.values = p.holds
	if field == "" && (m.what != "" && m.what != "re" || m.compare != "" || m.part != "") {
		return nil, at(v, "these modifiers need a field name")
	}
	values := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		values = v.Content
	}
	if len(values) == 0 {
		return nil, at(v, "field %q has an empty list of values", field)
	}
	var kids []*expr
	for _, one := range values {
		if one.Kind != yaml.ScalarNode {
			return nil, at(one, "field %q: a value or a list of values was expected", field)
		}
		if field == "" && one.Tag == "!!null" {
			return nil, at(one, "null is no keyword")
		}
		x, err := p.value(field, &m, one)
		if err != nil {
			return nil, at(one, "field %q: %w", field, err)
		}
		kids = append(kids, x)
	}
	o := opOr
	if m.all {
		o = opAnd
	}
	x := join(o, kids)
	if m.neq {
		x = &expr{op: opNot, kids: []*expr{x}}
	}
	return x, nil
}

func (p *detectionParser) value(field string, m *modifiers, v *yaml.Node) (*expr, error) {
	preds, err := m.predicates(field, v)
	if err != nil {
		return nil, err
	}
	if p.values += len(preds); p.values > MaxValues {
		return nil, fmt.Errorf("the rule has more than %d values", MaxValues)
	}
	var kids []*expr
	for _, q := range preds {
		kids = append(kids, &expr{op: opAtom, pred: q})
	}
	return join(opOr, kids), nil
}
