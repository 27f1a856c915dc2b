package pipeline

import (
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// FuzzApply reads any pipeline and lets it change any rule: both may be refused, nothing may panic, and what comes
// out is a tree that can be written.
func FuzzApply(f *testing.F) {
	const rule = "title: t\nlogsource: {product: windows, category: c}\ndetection:\n  sel: {a|contains: x, b|re: y}\n  k: [w, {c: 1}]\n  condition: sel and not 1 of k*\n"
	for _, p := range []string{
		"transformations: [{type: field_name_mapping, mapping: {a: [x, y], null: m}}]",
		"vars: {v: [1, 2]}\ntransformations: [{type: value_placeholders}, {type: wildcard_placeholders}]",
		"transformations: [{type: replace_string, regex: '(.)', replacement: '\\1\\1', skip_special: true}, {type: drop_detection_item, detection_item_conditions: [{type: contains_wildcard}]}]",
		"transformations: [{type: add_condition, conditions: {a: b}, negated: true}, {type: regex}, {type: convert_type, target_type: str}, {type: hashes_fields, valid_hash_algos: [MD5]}]",
		"logsources: {a: {product: windows, conditions: {x: 1}, rewrite: {service: s}}, b: {category: c, conditions: {y: 1}, fieldmappings: {a: b}}}",
		"transformations: [{type: set_value, value: null, rule_conditions: {a: {type: is_sigma_rule}}, rule_cond_expr: 'not (a)'}]",
	} {
		f.Add(p, rule)
	}
	f.Fuzz(func(t *testing.T, pipeline, rule string) {
		p, err := Parse("p.yml", []byte(pipeline))
		var e *Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		var doc yaml.Node
		if yaml.Unmarshal([]byte(rule), &doc) != nil || len(doc.Content) == 0 || strings.ContainsAny(rule, "&*") && aliased(&doc) {
			return
		}
		if err := NewChain(p).Apply(doc.Content[0]); err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		compact(doc.Content[0])
	})
}

func aliased(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		return true
	}
	for _, c := range n.Content {
		if aliased(c) {
			return true
		}
	}
	return false
}

// FuzzPlaceholders reads any file of values.
func FuzzPlaceholders(f *testing.F) {
	f.Add("a: [1, b]\n'%c%': d")
	f.Add("vars: {a: b}")
	f.Add("- a")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePlaceholders("v.yml", []byte(text))
		var e *Error
		if err != nil && !errors.As(err, &e) || err == nil && p == nil {
			t.Fatalf("%v, %v", p, err)
		}
	})
}

// FuzzBoolean: what is written of a condition reads as the same condition.
func FuzzBoolean(f *testing.F) {
	for _, s := range []string{"a and not (b or c)", "1 of them", "not not all of x*", "a or b and c", "((a))", "of of of"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := parseBoolean(text)
		if err != nil {
			return
		}
		again, err := parseBoolean(x.String())
		if err != nil || again.String() != x.String() {
			t.Fatalf("%q is written as %q, which reads as %v (%v)", text, x, again, err)
		}
	})
}

// FuzzSigmaText: parts that are written read as the same text.
func FuzzSigmaText(f *testing.F) {
	for _, s := range []string{`a\*b*`, `\\\\`, `C:\x\*`, `\\*`, `?\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := parts(text)
		if again := parts(written(list)); shown(again) != shown(list) {
			t.Fatalf("%q is written as %q", text, written(list))
		}
	})
}
