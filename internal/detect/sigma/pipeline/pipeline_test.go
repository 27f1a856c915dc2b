package pipeline

import (
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// compact writes a tree on one line, in its order; texts that would read as something else are quoted.
func compact(n *yaml.Node) string {
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, n.Content[i].Value+": "+compact(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, c := range n.Content {
			parts = append(parts, compact(c))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if n.Tag == "!!str" {
		return "'" + n.Value + "'"
	}
	return n.Value
}

func tree(t testing.TB, text string) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Content[0]
}

func parsed(t testing.TB, text string) *Pipeline {
	t.Helper()
	p, err := Parse("p.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const head = "title: t\nid: 1\nlevel: high\nstatus: test\ntags: [attack.t1059]\nlogsource: {product: windows, category: process_creation}\n"

// TestTransformations stands for pySigma's "Processing Pipelines", section by section.
func TestTransformations(t *testing.T) {
	for _, c := range []struct{ name, steps, detection, want string }{
		{"field_name_mapping to one", "[{type: field_name_mapping, mapping: {Image: exe}}]",
			"{sel: {Image|endswith: '\\a.exe', Other: 1}, condition: sel}", `{sel: {exe|endswith: '\a.exe', Other: 1}, condition: 'sel'}`},
		{"field_name_mapping to several is any of them", "[{type: field_name_mapping, mapping: {A: [X, Y]}}]",
			"{sel: {A: 1, B: 2}, condition: sel}", `{sel: [{X: 1, B: 2}, {Y: 1, B: 2}], condition: 'sel'}`},
		{"two fields of one mapping may become the same", "[{type: field_name_mapping, mapping: {A: X, B: X}}]",
			"{sel: {A: 1, B: 2}, condition: sel}", `{sel: {X: 1, X: 2}, condition: 'sel'}`},
		{"field_name_mapping maps references", "[{type: field_name_mapping, mapping: {B: Y}}]",
			"{sel: {A|fieldref: B}, condition: sel}", `{sel: {A|fieldref: 'Y'}, condition: 'sel'}`},
		{"field_name_mapping of keywords", "[{type: field_name_mapping, mapping: {null: message}}]",
			"{sel: [foo, bar], condition: sel}", `{sel: {message|contains: ['foo', 'bar']}, condition: 'sel'}`},
		{"keywords that must all be there", "[{type: field_name_mapping, mapping: {null: message}}]",
			"{sel: {'|all': [foo, bar]}, condition: sel}", `{sel: {message|contains|all: ['foo', 'bar']}, condition: 'sel'}`},
		{"field_name_prefix_mapping takes the first prefix that fits", "[{type: field_name_prefix_mapping, mapping: {win.: windows., w: v}}]",
			"{sel: {win.a: 1, wb: 2}, condition: sel}", `{sel: {windows.a: 1, vb: 2}, condition: 'sel'}`},
		{"field_name_prefix leaves keywords", "[{type: field_name_prefix, prefix: p.}]",
			"{sel: {a: 1}, k: [x], condition: sel or k}", `{sel: {p.a: 1}, k: ['x'], condition: 'sel or k'}`},
		{"field_name_suffix under a field name condition", "[{type: field_name_suffix, suffix: .raw, field_name_conditions: [{type: include_fields, fields: [a]}]}]",
			"{sel: {a: 1, b: 2}, condition: sel}", `{sel: {a.raw: 1, b: 2}, condition: 'sel'}`},
		{"exclude_fields by regular expression, from the beginning", "[{type: field_name_prefix, prefix: p., field_name_conditions: [{type: exclude_fields, mode: re, fields: ['x.*', 'b']}]}]",
			"{sel: {xa: 1, ax: 2}, condition: sel}", `{sel: {xa: 1, p.ax: 2}, condition: 'sel'}`},
		{"add_condition", "[{type: add_condition, name: only, conditions: {EventID: [1, 4688]}}]",
			"{sel: {a: 1}, condition: sel or sel}", `{sel: {a: 1}, only: {EventID: [1, 4688]}, condition: 'only and (sel or sel)'}`},
		{"add_condition, negated and from the log source", "[{type: add_condition, negated: true, template: true, conditions: {index: '$product-${category}'}}]",
			"{sel: {a: 1}, condition: sel}", `{sel: {a: 1}, _cond_1: {index: 'windows-process_creation'}, condition: 'not _cond_1 and (sel)'}`},
		{"drop_detection_item under a condition on values", "[{type: drop_detection_item, detection_item_conditions: [{type: match_string, cond: any, pattern: '.*bad'}]}]",
			"{sel: {a: [good, bad], b: good}, condition: sel}", `{sel: {b: 'good'}, condition: 'sel'}`},
		{"a selection of which nothing is left goes out of the condition", "[{type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [a]}]}]",
			"{sel: {b: 1}, filter_x: {a: 1}, condition: sel and not 1 of filter_* and not filter_x}", `{sel: {b: 1}, condition: 'sel'}`},
		{"replace_string works on the text with its wildcards", "[{type: replace_string, regex: '^\\*\\\\', replacement: '*/'}]",
			"{sel: {a|endswith: '\\x.exe', b|contains: y}, condition: sel}", `{sel: {a: '*/x.exe', b|contains: 'y'}, condition: 'sel'}`},
		{"replace_string with groups", "[{type: replace_string, regex: '(\\w+)-(\\w+)', replacement: '\\2-\\g<1>'}]",
			"{sel: {a: one-two}, condition: sel}", `{sel: {a: 'two-one'}, condition: 'sel'}`},
		{"replace_string that skips wildcards", "[{type: replace_string, regex: 'a', replacement: '*', skip_special: true}]",
			"{sel: {f: 'a*b'}, condition: sel}", `{sel: {f: '\**b'}, condition: 'sel'}`},
		{"replace_string that skips wildcards and makes some", "[{type: replace_string, regex: 'a', replacement: '*', skip_special: true, interpret_special: true}]",
			"{sel: {f: 'a?b'}, condition: sel}", `{sel: {f: '*?b'}, condition: 'sel'}`},
		{"replace_string leaves regular expressions and networks", "[{type: replace_string, regex: '1', replacement: '2'}]",
			"{sel: {a|re: '1', b|cidr: 1.0.0.0/8, c: 11}, condition: sel}", `{sel: {a|re: '1', b|cidr: '1.0.0.0/8', c: '22'}, condition: 'sel'}`},
		{"map_string to several", "[{type: map_string, mapping: {one: [1a, 1b], two: '2'}}]",
			"{sel: {a: [one, two, three]}, condition: sel}", `{sel: {a: ['1a', '1b', '2', 'three']}, condition: 'sel'}`},
		{"set_value", "[{type: set_value, value: 5, field_name_conditions: [{type: include_fields, fields: [a]}]}]",
			"{sel: {a|contains|all: [x, y], b: z}, condition: sel}", `{sel: {a: 5, b: 'z'}, condition: 'sel'}`},
		{"set_value as text", "[{type: set_value, value: 5, force_type: str}]", "{sel: {a: x}, condition: sel}", `{sel: {a: '5'}, condition: 'sel'}`},
		{"convert_type", "[{type: convert_type, target_type: str}]", "{sel: {a: [1, null, x]}, condition: sel}", `{sel: {a: ['1', null, 'x']}, condition: 'sel'}`},
		{"case", "[{type: case, method: upper}]", "{sel: {a|cased: [x, 1]}, condition: sel}", `{sel: {a|cased: ['X', 1]}, condition: 'sel'}`},
		{"regex", "[{type: regex, method: ignore_case_flag}]", "{sel: {a|contains: 'x.*y'}, condition: sel}", `{sel: {a|re|i: '^(?s:.*)x\.(?s:.*)y(?s:.*)$'}, condition: 'sel'}`},
		{"hashes_fields", "[{type: hashes_fields, valid_hash_algos: [MD5, SHA1], field_prefix: File, field_name_conditions: [{type: include_fields, fields: [Hashes]}]}]",
			"{sel: {Hashes|contains: ['MD5=0123', 'IMPHASH=9', 'SHA1=4567', 'MD5=89ab']}, condition: sel}", `{sel: [{FileMD5: ['0123', '89ab']}, {FileSHA1: ['4567']}], condition: 'sel'}`},
		{"state, set and asked for", "[{type: set_state, key: k, val: v, rule_conditions: [{type: logsource, product: windows}]}, {type: field_name_prefix, prefix: p., rule_conditions: [{type: processing_state, key: k, val: v}]}]",
			"{sel: {a: 1}, condition: sel}", `{sel: {p.a: 1}, condition: 'sel'}`},
		{"a step asks whether another was applied to the item", "[{id: m, type: field_name_mapping, mapping: {a: x}}, {type: set_value, value: 2, detection_item_conditions: [{type: processing_item_applied, processing_item_id: m}]}]",
			"{sel: {a: 1, b: 1}, condition: sel}", `{sel: {x: 2, b: 1}, condition: 'sel'}`},
		{"a step asks which step made a field name", "[{id: m, type: field_name_mapping, mapping: {a: x}}, {type: field_name_suffix, suffix: .s, field_name_conditions: [{type: processing_item_applied, processing_item_id: m}]}]",
			"{sel: {a: 1, b: 1}, condition: sel}", `{sel: {x.s: 1, b: 1}, condition: 'sel'}`},
		{"nest", "[{type: nest, rule_conditions: [{type: tag, tag: attack.t1059}], items: [{type: field_name_prefix, prefix: a.}, {type: field_name_prefix, prefix: b.}]}]",
			"{sel: {f: 1}, condition: sel}", `{sel: {b.a.f: 1}, condition: 'sel'}`},
		{"null and empty text are kept", "[{type: field_name_prefix, prefix: p.}]", "{sel: {a: null, b: '', c: [null, '']}, condition: sel}",
			`{sel: {p.a: null, p.b: '', p.c: [null, '']}, condition: 'sel'}`},
		{"lists of mappings with keywords among them", "[{type: field_name_prefix, prefix: p.}]", "{sel: [{a: 1}, {b: 2, c: 3}, word], condition: sel}",
			`{sel: [{p.a: 1}, {p.b: 2, p.c: 3}, {: ['word']}], condition: 'sel'}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := tree(t, head+"detection: "+c.detection)
			p := parsed(t, "transformations: "+c.steps)
			if err := NewChain(p).Apply(rule); err != nil {
				t.Fatal(err)
			}
			if got := compact(member(rule, "detection")); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	const admins = "vars: {admins: [bob, 'al*'], dc: dc1}\ntransformations: "
	for _, c := range []struct{ name, pipeline, detection, want string }{
		{"value_placeholders", admins + "[{type: value_placeholders}]", "{sel: {u|expand: '%admins%'}, condition: sel}", `{sel: {u: ['bob', 'al*']}, condition: 'sel'}`},
		{"every combination of several in one value", admins + "[{type: value_placeholders}]", "{sel: {u|expand|contains: '%admins%@%dc%'}, condition: sel}", `{sel: {u|contains: ['bob@dc1', 'al*@dc1']}, condition: 'sel'}`},
		{"include leaves the others", admins + "[{type: value_placeholders, include: [dc]}]", "{sel: {u|expand: ['%admins%', '%dc%']}, condition: sel}", `{sel: {u|expand: ['%admins%', 'dc1']}, condition: 'sel'}`},
		{"exclude, then wildcards", admins + "[{type: value_placeholders, exclude: [admins]}, {type: wildcard_placeholders}]", "{sel: {u|expand: ['%admins%', '%dc%']}, condition: sel}", `{sel: {u: ['*', 'dc1']}, condition: 'sel'}`},
		{"a value with percent signs is no placeholder", "vars: {a: '%SystemRoot%'}\ntransformations: [{type: value_placeholders}, {type: value_placeholders}]", "{sel: {u|expand: '%a%\\x'}, condition: sel}", `{sel: {u: '%SystemRoot%\x'}, condition: 'sel'}`},
		{"an escaped percent sign is text", admins + "[{type: value_placeholders}]", "{sel: {u|expand: '5\\%dc%dc%'}, condition: sel}", `{sel: {u: '5%dcdc1'}, condition: 'sel'}`},
		{"in a regular expression a value means itself", "vars: {a: 'x.y*'}\ntransformations: [{type: value_placeholders}]", "{sel: {u|re|expand: '^%a%$'}, condition: sel}", `{sel: {u|re: '^x\.y.*$'}, condition: 'sel'}`},
		{"without expand a percent sign is one", admins + "[{type: value_placeholders}]", "{sel: {u: '%dc%'}, condition: sel}", `{sel: {u: '%dc%'}, condition: 'sel'}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := tree(t, head+"detection: "+c.detection)
			if err := NewChain(parsed(t, c.pipeline)).Apply(rule); err != nil {
				t.Fatal(err)
			}
			if got := compact(member(rule, "detection")); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestPlaceholderFilesFillWhatTheyNameAndLeaveTheRest(t *testing.T) {
	p, err := ParsePlaceholders("v.yml", []byte("'%dc%': dc1\nadmins: [bob]\n"))
	if err != nil {
		t.Fatal(err)
	}
	rule := tree(t, head+"detection: {sel: {a|expand: '%dc%', b|expand: '%other%'}, condition: sel}")
	if err := NewChain(p).Apply(rule); err != nil {
		t.Fatal(err)
	}
	if got, want := compact(member(rule, "detection")), `{sel: {a: 'dc1', b|expand: '%other%'}, condition: 'sel'}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRuleConditions(t *testing.T) {
	for _, c := range []struct {
		conditions string
		holds      bool
	}{
		{"rule_conditions: [{type: logsource, product: windows}]", true},
		{"rule_conditions: [{type: logsource, product: Windows, category: process_creation}]", true},
		{"rule_conditions: [{type: logsource, product: linux}]", false},
		{"rule_conditions: [{type: logsource, product: linux}, {type: logsource, product: windows}]", false},
		{"rule_conditions: [{type: logsource, product: linux}, {type: logsource, product: windows}]\n  rule_cond_op: or", true},
		{"rule_conditions: [{type: logsource, product: linux}]\n  rule_cond_not: true", true},
		{"rule_conditions: {a: {type: logsource, product: windows}, b: {type: tag, tag: attack.t9999}}\n  rule_cond_expr: a and not b", true},
		{"rule_conditions: {a: {type: logsource, product: windows}, b: {type: tag, tag: attack.t9999}}\n  rule_cond_expr: not (a or b)", false},
		{"rule_conditions: [{type: contains_field, field: a}]", true},
		{"rule_conditions: [{type: contains_field, field: z}]", false},
		{"rule_conditions: [{type: contains_detection_item, field: a, value: 1}]", true},
		{"rule_conditions: [{type: contains_detection_item, field: a, value: '1'}]", false},
		{"rule_conditions: [{type: contains_detection_item, field: b, value: '*x'}]", true},
		{"rule_conditions: [{type: tag, tag: attack.t1059}]", true},
		{"rule_conditions: [{type: is_sigma_rule}]", true},
		{"rule_conditions: [{type: is_sigma_correlation_rule}]", false},
		{"rule_conditions: [{type: rule_attribute, attribute: level, op: gte, value: medium}]", true},
		{"rule_conditions: [{type: rule_attribute, attribute: level, op: gt, value: high}]", false},
		{"rule_conditions: [{type: rule_attribute, attribute: status, value: test}]", true},
		{"rule_conditions: [{type: rule_attribute, attribute: tags, op: in, value: attack.t1059}]", true},
		{"rule_conditions: [{type: rule_attribute, attribute: title, op: ne, value: t}]", false},
		{"rule_conditions: [{type: rule_attribute, attribute: none, value: t}]", false},
		{"rule_conditions: [{type: processing_item_applied, processing_item_id: nobody}]", false},
		{"detection_item_conditions: [{type: is_null}]", false},
		{"detection_item_conditions: [{type: match_value, value: 1}]", true},
		{"detection_item_conditions: [{type: contains_wildcard}]\n  detection_item_cond_not: true", true},
		{"detection_item_conditions: [{type: match_string, pattern: x, negate: true, cond: all}]", true},
	} {
		t.Run(strings.ReplaceAll(c.conditions, "\n  ", " "), func(t *testing.T) {
			rule := tree(t, head+"detection: {sel: {a: 1, b|endswith: x}, condition: sel}")
			if err := NewChain(parsed(t, "transformations:\n- type: field_name_mapping\n  mapping: {a: changed}\n  "+c.conditions)).Apply(rule); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(compact(rule), "changed"); got != c.holds {
				t.Errorf("applied %v, want %v", got, c.holds)
			}
		})
	}
}

func TestHeadsOfRulesChange(t *testing.T) {
	rule := tree(t, head+"fields: [a, b]\ndetection: {sel: {a: 1}, condition: sel}")
	p := parsed(t, `transformations:
- {type: change_logsource, service: sysmon, product: windows}
- {type: set_custom_attribute, attribute: site, value: x}
- {type: add_field, field: c}
- {type: remove_field, field: b}
- {type: field_name_mapping, mapping: {a: d}}
`)
	if err := NewChain(p).Apply(rule); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"logsource": "{product: 'windows', service: 'sysmon'}", "site": "'x'", "fields": "['d', 'c']"} {
		if got := compact(member(rule, key)); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
}

func TestCorrelationsAndFiltersAreMappedToo(t *testing.T) {
	p := parsed(t, "transformations: [{type: field_name_mapping, mapping: {user: account, ip: [a, b], bytes: size}}]")
	rule := tree(t, "title: c\ncorrelation: {type: value_sum, rules: [r], group-by: [user, who, ip], aliases: {who: {r: user}}, condition: {field: bytes, gte: 5}}")
	if err := NewChain(p).Apply(rule); err != nil {
		t.Fatal(err)
	}
	want := "{type: 'value_sum', rules: ['r'], group-by: ['account', 'who', 'a', 'b'], aliases: {who: {r: 'account'}}, condition: {field: 'size', gte: 5}}"
	if got := compact(member(rule, "correlation")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	rule = tree(t, "title: f\nlogsource: {product: windows}\nfilter: {rules: [r], sel: {user: bob}, condition: not sel}")
	if err := NewChain(p).Apply(rule); err != nil {
		t.Fatal(err)
	}
	if got, want := compact(member(rule, "filter")), "{sel: {account: 'bob'}, rules: ['r'], condition: 'not sel'}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var e *Error
	if err := NewChain(p).Apply(tree(t, "title: c\ncorrelation:\n  condition: {field: ip}")); !errors.As(err, &e) || e.Line() != 3 {
		t.Errorf("a field that maps to two gives %v", err)
	}
}

func TestPrioritiesOrderPipelines(t *testing.T) {
	late := parsed(t, "name: late\npriority: 50\ntransformations: [{type: field_name_prefix, prefix: late.}]")
	early := parsed(t, "name: early\npriority: 10\ntransformations: [{type: field_name_prefix, prefix: early.}]")
	rule := tree(t, head+"detection: {sel: {a: 1}, condition: sel}")
	if err := NewChain(late, early).Apply(rule); err != nil {
		t.Fatal(err)
	}
	if got := compact(member(rule, "detection")); !strings.Contains(got, "late.early.a") {
		t.Errorf("got %s", got)
	}
}

func TestLogsourcesOfSigmac(t *testing.T) {
	const mapping = `title: site
order: 20
logsources:
  one: {category: process_creation, product: windows, conditions: {EventID: 1}, rewrite: {product: windows, service: sysmon}}
  two:
    category: process_creation
    product: windows
    conditions: {EventID: 4688}
    rewrite: {product: windows, service: security}
    fieldmappings: {Image: NewProcessName}
  pipe1: {category: pipe_created, product: windows, conditions: {EventID: 17}, rewrite: {product: windows, service: sysmon}}
  pipe2: {category: pipe_created, product: windows, conditions: {EventID: 18}, rewrite: {product: windows, service: sysmon}}
  sysmon: {product: windows, service: sysmon, sources: ['WinEventLog:Sysmon/Operational']}
  security: {product: windows, service: security, sources: ['WinEventLog:Security']}
`
	for _, c := range []struct{ name, rule, want string }{
		{"ways to several log sources are alternatives", "logsource: {product: windows, category: process_creation}\ndetection: {sel_a: {Image: x}, _b: {c: 1}, condition: 1 of sel_* and not _b}",
			"{logsource: {product: 'windows'}, detection: {way1-sel_a: {Image: 'x'}, _way1-b: {c: 1}, _way1-source: {EventID: 1, Channel: ['Sysmon/Operational']}, " +
				"way2-sel_a: {NewProcessName: 'x'}, _way2-b: {c: 1}, _way2-source: {EventID: 4688, Channel: ['Security']}, " +
				"condition: '(_way1-source and (1 of way1-sel_* and not _way1-b)) or (_way2-source and (1 of way2-sel_* and not _way2-b))'}}"},
		{"ways to one log source are one condition", "logsource: {product: windows, category: pipe_created}\ndetection: {sel: {a: x}, condition: sel}",
			"{logsource: {product: 'windows', service: 'sysmon'}, detection: {sel: {a: 'x'}, _cond_1: {EventID: [17, 18]}, condition: '_cond_1 and (sel)'}}"},
		{"a log source that only has sources stays", "logsource: {product: windows, service: security}\ndetection: {sel: {a: x}, condition: sel}",
			"{logsource: {product: 'windows', service: 'security'}, detection: {sel: {a: 'x'}, condition: 'sel'}}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := tree(t, c.rule)
			if err := NewChain(parsed(t, mapping)).Apply(rule); err != nil {
				t.Fatal(err)
			}
			if got := compact(rule); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatIsNotSupportedIsRefusedByName(t *testing.T) {
	for _, c := range []struct{ pipeline, want string }{
		{"finalizers: [{type: template, template: x}]", "p.yml:1: finalizers: type template"},
		{"postprocessing:\n- {type: embed, prefix: x}", "p.yml:2: postprocessing: type embed"},
		{"transformations:\n- {type: query_expression_placeholders, expression: x}", `p.yml:2: transformation "query_expression_placeholders"`},
		{"transformations: [{type: field_name_transform}]", `transformation "field_name_transform" is not supported`},
		{"transformations: [{id: x}]", "a transformation needs a type"},
		{"transformations: [{type: field_name_prefix, prefix: a, sufix: b}]", `has no key "sufix"`},
		{"transformations: [{type: field_name_prefix}]", "needs prefix"},
		{"transformations: [{type: field_name_mapping, mapping: {a: {b: c}}}]", "a name or a list of names"},
		{"transformations: [{type: field_name_prefix, prefix: a, rule_conditions: [{type: sunny}]}]", `rule condition "sunny"`},
		{"transformations: [{type: field_name_prefix, prefix: a, rule_conditions: [{type: logsource}]}]", "needs a category, product or service"},
		{"transformations: [{type: field_name_prefix, prefix: a, rule_cond_op: xor}]", "and or or"},
		{"transformations: [{type: field_name_prefix, prefix: a, rule_conditions: {x: {type: is_sigma_rule}}, rule_cond_expr: x and y}]", `names "y"`},
		{"transformations: [{type: replace_string, regex: '(?=x)', replacement: y}]", "look-around"},
		{"transformations: [{type: value_placeholders, include: [a], exclude: [b]}]", "not both"},
		{"colour: red", `unknown key "colour"`},
		{"name: empty", "no pipeline"},
		{"[a]", "a mapping"},
		{"", "empty"},
		{"name: [", "p.yml"},
		{"a: &x 1\nb: *x", "aliases"},
		{"name: a\nname: b", "twice"},
		{"name: a\n---\nname: b", "one pipeline a file"},
		{"priority: soon\ntransformations: []", "whole number"},
		{"vars: {a: [{b: c}]}", "texts and numbers"},
		{"logsources: {a: {conditions: {b: c}}}", "needs a category, product or service"},
		{"logsources: {a: {product: windows, colour: red}}", `has no key "colour"`},
	} {
		if _, err := Parse("p.yml", []byte(c.pipeline)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.pipeline, err, c.want)
		}
	}
}

func TestRulesAreRefusedWithTheirLine(t *testing.T) {
	for _, c := range []struct {
		pipeline, rule, want string
		line                 int
	}{
		{"transformations: [{type: value_placeholders}]", "detection:\n  sel:\n    a|expand: '%none%'\n  condition: sel", "placeholder %none%", 3},
		{"name: site\ntransformations: [{id: guard, type: rule_failure, message: not here}]", "title: x\ndetection: {sel: {a: 1}, condition: sel}", "pipeline site, guard: not here", 1},
		{"transformations: [{type: detection_item_failure, message: no field a, field_name_conditions: [{type: include_fields, fields: [a]}]}]", "detection:\n  sel:\n    b: 1\n    a: 1\n  condition: sel", "no field a", 4},
		{"transformations: [{type: drop_detection_item}]", "detection: {sel: {a: 1}, condition: sel}", "left nothing of a condition", 1},
		{"transformations: [{type: set_custom_attribute, attribute: author, value: me}]", "title: x", "can't be set", 1},
		{"transformations: [{type: convert_type, target_type: num}]", "detection:\n  sel: {a: [1,\n    x]}\n  condition: sel", `"x" of field "a"`, 3},
	} {
		err := NewChain(parsed(t, c.pipeline)).Apply(tree(t, c.rule))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || e.Line() != c.line {
			t.Errorf("%s: error %v at line %v, want %q at %d", c.pipeline, err, e, c.want, c.line)
		}
	}
}

func TestBombFieldsThatMultiplyAreRefused(t *testing.T) {
	var names, items []string
	for i := range 12 {
		f := string(rune('a' + i))
		names = append(names, f+": ["+f+"1, "+f+"2]")
		items = append(items, f+": 1")
	}
	p := parsed(t, "transformations: [{type: field_name_mapping, mapping: {"+strings.Join(names, ", ")+"}}]")
	err := NewChain(p).Apply(tree(t, "detection: {sel: {"+strings.Join(items, ", ")+"}, condition: sel}"))
	if err == nil || !strings.Contains(err.Error(), "alternatives") {
		t.Errorf("4096 alternatives give %v", err)
	}
	v, err := ParsePlaceholders("v.yml", []byte("x: ["+strings.Repeat("v,", 500)+"v]"))
	if err != nil {
		t.Fatal(err)
	}
	err = NewChain(v).Apply(tree(t, "detection: {sel: {a|expand: '%x%%x%%x%'}, condition: sel}"))
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("125 million values give %v", err)
	}
}

func TestAnEmptyChainChangesNothing(t *testing.T) {
	rule := tree(t, head+"detection: {sel: [], condition: sel}")
	before := compact(rule)
	if err := NewChain().Apply(rule); err != nil || compact(rule) != before {
		t.Errorf("error %v, rule %s", err, compact(rule))
	}
}
