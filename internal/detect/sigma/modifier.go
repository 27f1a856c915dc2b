package sigma

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// modifiers are what stands behind the field name: `CommandLine|base64offset|contains`.
type modifiers struct {
	contains, startswith, endswith bool
	all, cased, neq, exists        bool
	re, cidr, fieldref, windash    bool
	flags                          string   // of re: i, m, s
	encode                         []string // wide, utf16, utf16be, base64, base64offset in their order
	compare                        string
}

// parseModifiers reads them and refuses what is unknown or doesn't go together.
func parseModifiers(list []string) (m modifiers, err error) {
	for _, name := range list {
		switch name {
		case "contains":
			m.contains = true
		case "startswith":
			m.startswith = true
		case "endswith":
			m.endswith = true
		case "all":
			m.all = true
		case "cased":
			m.cased = true
		case "neq":
			m.neq = true
		case "exists":
			m.exists = true
		case "re":
			m.re = true
		case "i", "ignorecase":
			m.flags += "i"
		case "m", "multiline":
			m.flags += "m"
		case "s", "dotall":
			m.flags += "s"
		case "cidr":
			m.cidr = true
		case "fieldref":
			m.fieldref = true
		case "windash":
			m.windash = true
		case "wide", "utf16le", "utf16", "utf16be", "base64", "base64offset":
			m.encode = append(m.encode, name)
		case "lt", "lte", "gt", "gte":
			m.compare = name
		case "expand":
		default:
			return m, fmt.Errorf("modifier %q is not supported", name)
		}
	}
	return m, m.check()
}

func (m *modifiers) check() error {
	special := 0
	for _, on := range [...]bool{m.re, m.cidr, m.exists, m.compare != ""} {
		if on {
			special++
		}
	}
	text := m.contains || m.startswith || m.endswith || m.windash || len(m.encode) > 0
	switch {
	case m.flags != "" && !m.re:
		return fmt.Errorf("modifiers i, m and s belong to re")
	case special > 1 || special == 1 && (text || m.fieldref):
		return fmt.Errorf("modifiers re, cidr, exists and lt, lte, gt, gte go with no other that changes the value")
	case m.fieldref && (m.windash || len(m.encode) > 0):
		return fmt.Errorf("modifier fieldref goes with startswith, endswith, contains, cased and neq only")
	case m.contains && (m.startswith || m.endswith):
		return fmt.Errorf("modifier contains doesn't go with startswith or endswith")
	case m.startswith && m.endswith:
		return fmt.Errorf("modifiers startswith and endswith don't go together: write two items")
	}
	return nil
}

// predicates turns one value into the predicates any of which answers it.
func (m *modifiers) predicates(field string, v *yaml.Node) ([]*predicate, error) {
	if len(v.Value) > MaxValue {
		return nil, fmt.Errorf("value of %d bytes, at most %d are read", len(v.Value), MaxValue)
	}
	switch {
	case m.exists:
		return m.existence(field, v)
	case m.re:
		return m.regex(field, v.Value)
	case m.cidr:
		return prefix(field, v.Value)
	case m.compare != "":
		n, err := strconv.ParseFloat(v.Value, 64)
		if err != nil {
			return nil, fmt.Errorf("modifier %s needs a number, not %q", m.compare, v.Value)
		}
		return []*predicate{{field: field, kind: kindCompare, op: m.compare, number: n}}, nil
	case m.fieldref:
		op := map[bool]string{m.startswith: "startswith", m.endswith: "endswith", m.contains: "contains"}[true]
		return []*predicate{{field: field, kind: kindFieldRef, op: op, other: v.Value, cased: m.cased}}, nil
	case v.Tag == "!!null":
		if m.contains || m.startswith || m.endswith || len(m.encode) > 0 {
			return nil, fmt.Errorf("null can't be searched for inside a value")
		}
		return []*predicate{{field: field, kind: kindNull}}, nil
	}
	return m.text(field, v)
}

func (m *modifiers) existence(field string, v *yaml.Node) ([]*predicate, error) {
	switch strings.ToLower(v.Value) {
	case "true", "yes":
		return []*predicate{{field: field, kind: kindExists}}, nil
	case "false", "no":
		return []*predicate{{field: field, kind: kindNull}}, nil
	}
	return nil, fmt.Errorf("modifier exists needs true or false, not %q", v.Value)
}

func (m *modifiers) regex(field, text string) ([]*predicate, error) {
	if len(text) > MaxRegex {
		return nil, fmt.Errorf("regular expression of %d bytes, at most %d are read", len(text), MaxRegex)
	}
	if m.flags != "" {
		text = "(?" + m.flags + ")" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("regular expression: %s (look-around and back-references are not supported)", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	q := &predicate{field: field, kind: kindRegex, re: re, cased: true}
	if lit := requiredLiteral(text); lit != "" {
		q.needs = []string{lit}
	}
	return []*predicate{q}, nil
}

func prefix(field, text string) ([]*predicate, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network in CIDR notation", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	return []*predicate{{field: field, kind: kindCIDR, net: p.Masked()}}, nil
}

// text handles strings, numbers and booleans: escapes, encodings, dashes, wildcards around.
func (m *modifiers) text(field string, v *yaml.Node) ([]*predicate, error) {
	list := []pattern{parsePattern(v.Value)}
	if v.Tag != "!!str" {
		list = scalarPatterns(v)
	}
	var err error
	for _, e := range m.encode {
		if list, err = encode(list, e); err != nil {
			return nil, err
		}
	}
	if m.windash {
		var dashed []pattern
		for _, p := range list {
			dashed = append(dashed, p.windash()...)
		}
		list = dashed
	}
	out := make([]*predicate, len(list))
	for i, p := range list {
		// A keyword is looked for anywhere in the message.
		inside := m.contains || field == ""
		out[i] = patternPredicate(field, p.around(inside || m.endswith, inside || m.startswith), m.cased)
	}
	return out, nil
}

// scalarPatterns returns the ways in which a number or boolean may stand in an event: as the rule writes it,
// and in decimal.
func scalarPatterns(v *yaml.Node) []pattern {
	out := []pattern{literalPattern(v.Value)}
	if v.Tag == "!!int" {
		if n, err := strconv.ParseInt(v.Value, 0, 64); err == nil {
			if s := strconv.FormatInt(n, 10); s != v.Value {
				out = append(out, literalPattern(s))
			}
		}
	}
	return out
}

func encode(list []pattern, how string) ([]pattern, error) {
	var out []pattern
	for _, p := range list {
		switch how {
		case "wide", "utf16le":
			out = append(out, p.wide(false, false))
			continue
		case "utf16be":
			out = append(out, p.wide(true, false))
			continue
		case "utf16":
			out = append(out, p.wide(false, true))
			continue
		}
		text, ok := p.plain()
		if !ok {
			return nil, fmt.Errorf("modifier %s can't encode a value with wildcards", how)
		}
		if text == "" {
			return nil, fmt.Errorf("modifier %s needs a value", how)
		}
		if how == "base64" {
			out = append(out, literalPattern(base64.StdEncoding.EncodeToString([]byte(text))))
			continue
		}
		for _, s := range base64Offsets(text) {
			out = append(out, literalPattern(s))
		}
	}
	return out, nil
}
