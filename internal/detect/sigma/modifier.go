package sigma

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// modifiers are what stands behind the field name: `CommandLine|wide|base64offset|contains`. Those that change a
// text do so in the order in which they are written (rules specification, "Value Modifiers").
type modifiers struct {
	all, neq, cased, expand bool
	chain                   []string // contains, startswith, endswith, windash, the encodings
	what                    string   // re, cidr, exists, fieldref; empty: a text, a number, null
	flags                   string   // of re: i, m, s
	compare                 string   // lt, lte, gt, gte
	part                    string   // of a time: minute … year
	values                  placeholders
}

// parseModifiers reads them and refuses what is unknown or doesn't go together.
func parseModifiers(list []string) (m modifiers, err error) {
	once := func(place *string, name string) error {
		if *place != "" && *place != name {
			return fmt.Errorf("modifiers %s and %s don't go together", *place, name)
		}
		*place = name
		return nil
	}
	if len(list) > maxModifiers {
		return m, fmt.Errorf("%d modifiers, at most %d are read", len(list), maxModifiers)
	}
	for _, name := range list {
		switch name {
		case "contains", "startswith", "endswith", "windash", "wide", "utf16le", "utf16", "utf16be", "base64", "base64offset":
			m.chain = append(m.chain, name)
		case "all":
			m.all = true
		case "cased":
			m.cased = true
		case "neq":
			m.neq = true
		case "expand":
			m.expand = true
		case "exists", "re", "cidr", "fieldref":
			err = once(&m.what, name)
		case "i", "ignorecase", "m", "multiline", "s", "dotall":
			m.flags += map[string]string{"ignorecase": "i", "multiline": "m", "dotall": "s", "i": "i", "m": "m", "s": "s"}[name]
		case "lt", "lte", "gt", "gte":
			err = once(&m.compare, name)
		case "minute", "hour", "day", "week", "month", "year":
			err = once(&m.part, name)
		default:
			return m, fmt.Errorf("modifier %q is not supported", name)
		}
		if err != nil {
			return m, err
		}
	}
	return m, m.check()
}

// maxModifiers bounds how many modifiers one field has.
const maxModifiers = 16

func (m *modifiers) check() error {
	numeric := m.compare != "" || m.part != ""
	switch {
	case m.flags != "" && m.what != "re":
		return fmt.Errorf("modifiers i, m and s belong to re")
	case m.what != "" && numeric:
		return fmt.Errorf("modifier %s doesn't go with lt, lte, gt, gte and parts of a time", m.what)
	case numeric && len(m.chain) > 0:
		return fmt.Errorf("modifiers lt, lte, gt, gte and parts of a time take a number, %s makes a text", m.chain[0])
	case (m.what == "cidr" || m.what == "exists") && len(m.chain) > 0:
		return fmt.Errorf("modifiers %s and %s don't go together", m.what, m.chain[0])
	case m.what == "exists" && m.expand:
		return fmt.Errorf("modifier exists takes true or false and nothing to expand")
	}
	if m.what != "" {
		for _, c := range m.chain {
			if c != "contains" && c != "startswith" && c != "endswith" {
				return fmt.Errorf("modifiers %s and %s don't go together", m.what, c)
			}
		}
	}
	return nil
}

// place tells where in the field the value of re and fieldref is expected: "" anywhere for re and everywhere for
// fieldref, or startswith, endswith, contains.
func (m *modifiers) place() string {
	place := ""
	for _, c := range m.chain {
		if place != "" && place != c {
			return "contains"
		}
		place = c
	}
	return place
}

// predicates turns one value into the predicates any of which answers it.
func (m *modifiers) predicates(field string, v *yaml.Node) ([]*predicate, error) {
	if len(v.Value) > MaxValue {
		return nil, fmt.Errorf("value of %d bytes, at most %d are read", len(v.Value), MaxValue)
	}
	switch {
	case m.what == "exists":
		return existence(field, v)
	case v.Tag == "!!null":
		if m.what != "" || m.compare != "" || m.part != "" || len(m.chain) > 0 || m.expand {
			return nil, fmt.Errorf("null goes with no modifier that looks into a value")
		}
		return []*predicate{{field: field, kind: kindNull}}, nil
	case m.what == "" && m.compare == "" && m.part == "":
		return m.text(field, v)
	}
	texts := []string{v.Value}
	if m.expand {
		var err error
		if texts, err = m.values.texts(v.Value, m.what == "re"); err != nil {
			return nil, err
		}
	}
	out := make([]*predicate, 0, len(texts))
	for _, text := range texts {
		q, err := m.special(field, text)
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, nil
}

func (m *modifiers) special(field, text string) (*predicate, error) {
	switch {
	case m.what == "re":
		return regexPredicate(field, text, m.flags, m.place())
	case m.what == "cidr":
		return networkPredicate(field, text)
	case m.what == "fieldref":
		name, ok := parsePattern(text).plain()
		if !ok || name == "" {
			return nil, fmt.Errorf("modifier fieldref needs the name of a field, not %q", text)
		}
		return &predicate{field: field, kind: kindFieldRef, op: m.place(), other: name, cased: m.cased}, nil
	}
	n, ok := parseNumber(text)
	if !ok {
		return nil, fmt.Errorf("modifier %s needs a number, not %q", m.compare+m.part, text)
	}
	if m.part != "" && (n.float || !partCanBe(m.part, n.whole)) {
		return nil, fmt.Errorf("modifier %s: %s is none", m.part, text)
	}
	op := m.compare
	if op == "" {
		op = "eq"
	}
	return &predicate{field: field, kind: kindCompare, op: op, part: m.part, number: n}, nil
}

func existence(field string, v *yaml.Node) ([]*predicate, error) {
	switch strings.ToLower(v.Value) {
	case "true", "yes":
		return []*predicate{{field: field, kind: kindExists}}, nil
	case "false", "no":
		return []*predicate{{field: field, kind: kindNull}}, nil
	}
	return nil, fmt.Errorf("modifier exists needs true or false, not %q", v.Value)
}

func networkPredicate(field, text string) (*predicate, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network in CIDR notation", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return &predicate{field: field, kind: kindCIDR, net: p.Masked()}, nil
}

// text handles strings, numbers and booleans: placeholders, and then the modifiers one after the other.
func (m *modifiers) text(field string, v *yaml.Node) (out []*predicate, err error) {
	var list []pattern
	switch {
	case m.expand:
		list, err = m.values.patterns(v.Value)
	case v.Tag == "!!str":
		list = []pattern{parsePattern(v.Value)}
	default:
		list = scalarPatterns(v)
	}
	cased := m.cased
	for _, how := range m.chain {
		if err != nil {
			return nil, err
		}
		switch how {
		case "contains", "startswith", "endswith":
			for i, p := range list {
				list[i] = p.around(how != "startswith", how != "endswith")
			}
		case "windash":
			for i, p := range list {
				list[i] = p.windash()
			}
		default:
			// Upper and lower case are different bytes in base64, so that its text is compared as it is.
			cased = cased || strings.HasPrefix(how, "base64")
			list, err = encode(list, how)
		}
	}
	for _, p := range list {
		if err == nil && p.singles() > maxSingles {
			err = fmt.Errorf("value with %d single-character wildcards, at most %d are read", p.singles(), maxSingles)
		}
		if err != nil {
			return nil, err
		}
		if field == "" { // a keyword is looked for anywhere in the message
			p = p.around(true, true)
		}
		forms := []pattern{p}
		if p.dashCount() == 1 { // written out they are found by the index
			if forms, err = p.written(); err != nil {
				return nil, err
			}
		}
		for _, f := range forms {
			out = append(out, patternPredicate(field, f, cased))
		}
	}
	return out, err
}

// scalarPatterns returns the ways in which a number or boolean may stand in an event: as the rule writes it,
// and in decimal.
func scalarPatterns(v *yaml.Node) []pattern {
	out := []pattern{literalPattern(v.Value)}
	decimal := ""
	switch v.Tag {
	case "!!int":
		if n, err := strconv.ParseInt(v.Value, 0, 64); err == nil {
			decimal = strconv.FormatInt(n, 10)
		}
	case "!!float":
		if n, ok := parseNumber(v.Value); ok && n.float {
			decimal = strconv.FormatFloat(n.fraction, 'f', -1, 64)
		}
	}
	if decimal != "" && decimal != v.Value {
		out = append(out, literalPattern(decimal))
	}
	return out
}

func encode(list []pattern, how string) ([]pattern, error) {
	var out []pattern
	for _, p := range list {
		forms, err := p.written()
		if err != nil {
			return nil, err
		}
		for _, f := range forms {
			switch how {
			case "wide", "utf16le":
				out = append(out, f.wide(false, false))
				continue
			case "utf16be":
				out = append(out, f.wide(true, false))
				continue
			case "utf16":
				out = append(out, f.wide(false, true))
				continue
			}
			text, ok := f.plain()
			switch {
			case !ok:
				return nil, fmt.Errorf("modifier %s can't encode a value with wildcards: put contains, startswith and endswith behind it", how)
			case text == "":
				return nil, fmt.Errorf("modifier %s needs a value", how)
			case how == "base64":
				out = append(out, literalPattern(base64.StdEncoding.EncodeToString([]byte(text))))
			default:
				for _, s := range base64Offsets(text) {
					out = append(out, literalPattern(s))
				}
			}
		}
		if len(out) > MaxValues {
			return nil, fmt.Errorf("the rule has more than %d values", MaxValues)
		}
	}
	return out, nil
}
