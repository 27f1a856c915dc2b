package sigma

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// parsed is what the documents of one or more files hold.
type parsed struct {
	rules        []*Rule
	correlations []*Correlation
	filters      []*Filter
}

func (p *parsed) len() int { return len(p.rules) + len(p.correlations) + len(p.filters) }

// add reads one document of whatever kind.
func (p *parsed) add(n *yaml.Node, d *Document, values placeholders) error {
	if err := admitted(n, d.Prepare); err != nil {
		return err
	}
	switch {
	case entry(n, "correlation") != nil:
		c, err := parseCorrelation(n)
		if err != nil {
			return err
		}
		c.File, c.License = d.Name, cmp.Or(c.License, d.License)
		p.correlations = append(p.correlations, c)
	case entry(n, "filter") != nil:
		f, err := parseFilter(n, values)
		if err != nil {
			return err
		}
		f.File = d.Name
		p.filters = append(p.filters, f)
	default:
		r, err := parseRule(n, values)
		if err != nil {
			return err
		}
		r.File, r.License = d.Name, cmp.Or(r.License, d.License)
		p.rules = append(p.rules, r)
	}
	return nil
}

// parseCorrelation reads a correlation rule; the rules it names are looked up later.
func parseCorrelation(n *yaml.Node) (*Correlation, error) {
	head, err := parseHead(n, false)
	if err != nil {
		return nil, err
	}
	body := entry(n, "correlation")
	if body.Kind != yaml.MappingNode {
		return nil, at(body, "correlation: a mapping was expected")
	}
	if v := entry(n, "detection"); v != nil {
		return nil, at(v, "a document is a detection or a correlation; put the detection into one of its own, after ---")
	}
	c := &Correlation{Rule: *head, Type: CorrelationType(scalar(body, "type"))}
	if c.ID == "" {
		c.ID = madeID(&c.Rule, body)
	}
	known := []string{"type", "rules", "group-by", "timespan", "condition", "aliases", "generate"}
	for i := 0; i+1 < len(body.Content); i += 2 {
		if k := body.Content[i]; !slices.Contains(known, k.Value) {
			return nil, at(k, "correlation: unknown key %q", k.Value)
		}
	}
	switch c.Type {
	case EventCount, ValueCount, Temporal, TemporalOrdered, ValueSum, ValueAvg, ValuePercentile, ValueMedian:
	case "":
		return nil, at(body, "correlation: no type")
	default:
		return nil, at(entry(body, "type"), "correlation: unknown type %q", c.Type)
	}
	if c.Rules, err = listOf(body, "rules", MaxCorrelated); err != nil {
		return nil, err
	}
	if c.GroupBy, err = listOf(body, "group-by", MaxGroupBy); err != nil {
		return nil, err
	}
	if err = c.parseTimespan(body); err != nil {
		return nil, err
	}
	if err = c.parseAliases(entry(body, "aliases")); err != nil {
		return nil, err
	}
	switch g := entry(body, "generate"); {
	case g == nil:
	case g.Kind == yaml.ScalarNode && g.ShortTag() == "!!bool":
		c.Generate = g.Value == "true" || g.Value == "True" || g.Value == "TRUE"
	default:
		return nil, at(g, "correlation: generate is true or false")
	}
	return c, c.parseCondition(body)
}

func scalar(m *yaml.Node, key string) string {
	if v := entry(m, key); v != nil && v.Kind == yaml.ScalarNode && v.ShortTag() != "!!null" {
		return v.Value
	}
	return ""
}

// listOf reads a text or a list of texts, each once.
func listOf(m *yaml.Node, key string, most int) ([]string, error) {
	v := entry(m, key)
	if v == nil {
		return nil, nil
	}
	list := texts(v)
	if v.Kind == yaml.MappingNode || v.Kind == yaml.SequenceNode && len(list) != len(v.Content) {
		return nil, at(v, "%s: a text or a list of texts was expected", key)
	}
	if len(list) > most {
		return nil, at(v, "%s: %d entries, at most %d are read", key, len(list), most)
	}
	for i, s := range list {
		if s == "" || len(s) > maxValue {
			return nil, at(v, "%s: entry %d is empty or longer than %d bytes", key, i+1, maxValue)
		}
		if slices.Contains(list[:i], s) {
			return nil, at(v, "%s: %q is there twice", key, s)
		}
	}
	return list, nil
}

// parseTimespan reads a number and a letter (specification, "Time Selection").
func (c *Correlation) parseTimespan(body *yaml.Node) error {
	v := entry(body, "timespan")
	text := scalar(body, "timespan")
	if text == "" {
		return at(body, "correlation: no timespan")
	}
	unit, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !ok || err != nil {
		return at(v, "correlation: timespan %q: write a number and one of s, m, h, d", text)
	}
	if n == 0 || n > uint64(MaxTimespan/unit) {
		return at(v, "correlation: timespan %q: use more than nothing and at most %d days", text, MaxTimespan/(24*time.Hour))
	}
	c.Timespan = time.Duration(n) * unit
	return nil
}

// parseAliases reads names for fields that are called otherwise by each rule (specification, "Field Name Aliases").
func (c *Correlation) parseAliases(n *yaml.Node) error {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return at(n, "aliases: a mapping was expected")
	}
	c.aliases = map[string]map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, fields := n.Content[i].Value, n.Content[i+1]
		if fields.Kind != yaml.MappingNode || len(fields.Content) == 0 {
			return at(fields, "aliases: %s: a mapping of rules to fields was expected", name)
		}
		c.aliases[name] = map[string]string{}
		for j := 0; j+1 < len(fields.Content); j += 2 {
			rule, field := fields.Content[j].Value, fields.Content[j+1]
			if field.Kind != yaml.ScalarNode || field.Value == "" || len(field.Value) > maxValue {
				return at(field, "aliases: %s: the name of a field was expected for %s", name, rule)
			}
			c.aliases[name][rule] = field.Value
		}
	}
	return nil
}

func (c *Correlation) parseCondition(body *yaml.Node) error {
	cond := entry(body, "condition")
	temporal := c.Type == Temporal || c.Type == TemporalOrdered
	switch {
	case cond != nil && cond.Kind == yaml.ScalarNode && cond.ShortTag() != "!!null":
		if !temporal {
			return at(cond, "condition: only temporal and temporal_ordered take a condition over rule names")
		}
		return c.parseNamedCondition(cond)
	case len(c.Rules) == 0:
		return at(body, "correlation: no rules")
	case cond == nil && temporal:
		c.bounds = bounds{low: float64(len(c.Rules)), below: true, wholeText: "all of them"}
	case cond == nil || cond.Kind != yaml.MappingNode:
		return at(body, "correlation: no condition")
	default:
		if err := c.parseBoundsOf(cond); err != nil {
			return err
		}
	}
	if temporal {
		c.bounds.withoutUpper(float64(len(c.Rules)))
		if c.bounds.least() > float64(len(c.Rules)) {
			return at(body, "condition: %s of %d rules can never hold", &c.bounds, len(c.Rules))
		}
	}
	if c.Type != TemporalOrdered {
		return nil
	}
	if c.deferred() {
		return at(cond, "condition: an ordered correlation counts rules from below: use gte, or a condition over their names")
	}
	var err error
	if c.ways, err = waysOfCount(len(c.Rules), int(c.bounds.least())); err != nil {
		return at(cond, "%w", err)
	}
	return nil
}

// parseBoundsOf reads field, percentile and the bounds.
func (c *Correlation) parseBoundsOf(cond *yaml.Node) (err error) {
	var beside []string
	if c.Type == ValueCount || c.Type.numeric() {
		beside = []string{"field"}
		if c.fields, err = listOf(cond, "field", MaxGroupBy); err != nil {
			return err
		}
		if len(c.fields) == 0 {
			return at(cond, "condition: %s needs a field", c.Type)
		}
		if len(c.fields) > 1 && c.Type != ValueCount {
			return at(cond, "condition: %s takes one field", c.Type)
		}
	}
	if c.Type == ValuePercentile {
		beside = append(beside, "percentile")
		text := scalar(cond, "percentile")
		if c.percentile, err = strconv.ParseFloat(text, 64); err != nil || !(c.percentile > 0 && c.percentile <= 100) {
			return at(cond, "condition: percentile %q: write which percentile is meant, a number above 0 and up to 100", text)
		}
	}
	if c.bounds, err = parseBounds(cond, !c.Type.numeric(), beside...); err != nil || c.Type.numeric() {
		return err
	}
	if c.bounds.least() > MaxWindow {
		return at(cond, "condition: %s: a window holds at most %d matches, so it would never hold", &c.bounds, MaxWindow)
	}
	if c.bounds.above && (c.bounds.high < 1 || c.bounds.highStrict && c.bounds.high <= 1) {
		return at(cond, "condition: %s: what never occurs can't be found; a window begins with a match", &c.bounds)
	}
	return nil
}

// parseNamedCondition reads a condition over rule names; where the rule lists none, those of the condition are its.
func (c *Correlation) parseNamedCondition(cond *yaml.Node) error {
	listed := len(c.Rules) > 0
	used := map[int]bool{}
	ways, err := waysOf(cond.Value, func(name string) (int, error) {
		i := slices.Index(c.Rules, name)
		if i < 0 && listed {
			return 0, fmt.Errorf("condition names %q, which isn't among the rules", name)
		}
		if i < 0 {
			if len(c.Rules) == MaxCorrelated {
				return 0, fmt.Errorf("condition: more than %d rules", MaxCorrelated)
			}
			c.Rules, i = append(c.Rules, name), len(c.Rules)
		}
		used[i] = true
		return i, nil
	})
	if err != nil {
		return at(cond, "%w", err)
	}
	for i, r := range c.Rules {
		if !used[i] {
			return at(cond, "condition: %q is among the rules and not in the condition", r)
		}
	}
	c.ways, c.bounds.wholeText = ways, cond.Value
	return nil
}
