package sigma

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// naiveRule is a random rule in both forms.
type naiveRule struct {
	id   string
	sels []naiveSelection
	cond naiveCondition
}

func (r *naiveRule) holds(e naiveEvent, known map[string][]string) bool {
	truth := map[string]bool{}
	for i := range r.sels {
		truth[r.sels[i].name] = r.sels[i].holds(e, known)
	}
	return r.cond.holds(truth)
}

func (r *naiveRule) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "title: R\nid: %s\nlogsource: {product: windows, service: security}\ndetection:\n", r.id)
	for _, s := range r.sels {
		fmt.Fprintf(&b, "  %s:\n", s.name)
		for _, m := range s.maps {
			for i, it := range m {
				lead := "      "
				if i == 0 {
					lead = "    - "
				}
				key := strings.Join(append([]string{it.field}, it.mods...), "|")
				fmt.Fprintf(&b, "%s%s:\n", lead, strconv.Quote(key))
				for _, v := range it.values {
					text := fmt.Sprint(v)
					if s, ok := v.(string); ok {
						text = "'" + strings.ReplaceAll(s, "'", "''") + "'"
					}
					if v == nil {
						text = "null"
					}
					fmt.Fprintf(&b, "        - %s\n", text)
				}
			}
		}
	}
	fmt.Fprintf(&b, "  condition: %s\n", r.cond.text)
	return b.String()
}

// chance makes random rules and events from a small vocabulary, so that they meet.
type chance struct{ *rand.Rand }

var (
	chanceFields = []string{"Alpha", "Beta", "Gamma", "Delta"}
	chanceParts  = []string{"ab", "abcd", "PowerShell", "cmd", ".exe", "-enc", "/x", " ", "\\", "é", "É", "0", "42", "A", "long", "-", "C:", "Zürich"}
	chanceKnown  = map[string][]string{"admins": {"ab", "adm*", "cmd.exe"}, "hosts": {"abcd"}}
)

func (c chance) of(list []string) string { return list[c.IntN(len(list))] }

func (c chance) text(most int) string {
	out := ""
	for range c.IntN(most + 1) {
		out += c.of(chanceParts)
	}
	return out
}

// event returns an event in both forms; Delta may have two values.
func (c chance) event(hints []string) (*ocsf.Event, naiveEvent) {
	e, n := &ocsf.Event{Source: "windows/security"}, naiveEvent{}
	add := func(name, field, value string) {
		e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
		n[field] = append(n[field], value)
	}
	value := func() string {
		switch c.IntN(8) {
		case 0:
			return strconv.Itoa(c.IntN(60) - 5)
		case 1:
			return fmt.Sprintf("10.%d.0.%d", c.IntN(2), c.IntN(3))
		case 2:
			return fmt.Sprintf("20%02d-%02d-%02d %02d:%02d:09", c.IntN(4)+20, c.IntN(12)+1, c.IntN(28)+1, c.IntN(24), c.IntN(60))
		case 3, 4:
			if len(hints) > 0 {
				return c.of([]string{"", "ab", " "}) + c.of(hints) + c.of([]string{"", "x"})
			}
		}
		return c.text(4)
	}
	for i, f := range chanceFields {
		if c.IntN(5) == 0 {
			continue
		}
		if i == 3 {
			add(f+".0", "delta", value())
			add(f+".1", "delta", value())
			continue
		}
		add(f, strings.ToLower(f), value())
	}
	e.Fields.Sort()
	return e, n
}

func (c chance) item() (it naiveItem) {
	it.field = c.of(chanceFields)
	each := func(make func() any) {
		for range c.IntN(3) + 1 {
			it.values = append(it.values, make())
		}
	}
	plain := func() string { // neither wildcards nor escapes, never empty
		return strings.ReplaceAll(c.text(2), `\`, "") + c.of([]string{"ab", "cmd", "x"})
	}
	switch kind := c.IntN(24); kind {
	case 0:
		it.mods, it.values = []string{"exists"}, []any{c.IntN(2) == 0}
	case 1:
		it.values = []any{nil, c.text(2)}
	case 2:
		it.mods = []string{c.of([]string{"lt", "lte", "gt", "gte"})}
		each(func() any { return c.IntN(60) - 5 })
	case 3:
		it.mods = []string{"cidr"}
		each(func() any { return c.of([]string{"10.0.0.0/16", "10.1.0.1/32", "10.0.0.0/8", "::/0"}) })
	case 4, 5:
		it.mods = []string{"re"}
		for _, f := range []string{"i", "m", "s"} {
			if c.IntN(3) == 0 {
				it.mods = append(it.mods, f)
			}
		}
		each(func() any {
			return c.of([]string{"ab+", "^ab", "(abcd|PowerShell) ?", "[0-9]{2}$", "(?:exe|cmd).*ab", "a.c", "c[mM]d\\.exe", "(?:long|lang)er?", "powershell", "É", "\\\\"})
		})
	case 6:
		it.mods = []string{"fieldref"}
		if place := c.of([]string{"", "contains", "startswith", "endswith"}); place != "" {
			it.mods = append(it.mods, place)
		}
		it.values = []any{c.of(chanceFields)}
	case 7:
		part := c.of([]string{"minute", "hour", "day", "week", "month", "year"})
		it.mods = []string{part}
		if c.IntN(2) == 0 {
			it.mods = append(it.mods, c.of([]string{"lt", "lte", "gt", "gte"}))
		}
		n := map[string]int{"minute": c.IntN(60), "hour": c.IntN(24), "day": c.IntN(28) + 1, "week": c.IntN(52) + 1, "month": c.IntN(12) + 1, "year": 2020 + c.IntN(4)}[part]
		it.values = []any{n}
	case 8:
		it.mods = []string{"expand"}
		each(func() any { return c.of([]string{"%admins%", "%hosts%"}) })
	case 9:
		each(func() any { return c.IntN(60) - 5 })
	case 10, 11:
		if c.IntN(2) == 0 {
			it.mods = append(it.mods, c.of([]string{"wide", "utf16", "utf16be"}))
		}
		if c.IntN(2) == 0 || len(it.mods) == 0 {
			it.mods = append(it.mods, c.of([]string{"base64", "base64offset"}))
		}
		it.mods = append(it.mods, c.of([]string{"contains", "startswith", "endswith"}))
		each(func() any { return plain() })
	default:
		if kind < 15 {
			it.mods = append(it.mods, "windash")
		}
		if place := c.of([]string{"", "contains", "contains", "startswith", "endswith"}); place != "" {
			it.mods = append(it.mods, place)
		}
		if c.IntN(6) == 0 {
			it.mods = append(it.mods, "cased")
		}
		each(func() any {
			v := c.text(3)
			if c.IntN(3) == 0 {
				v = c.text(1) + c.of([]string{"*", "?", `\*`, `\\*`, "??", "*a*"}) + c.text(1)
			}
			return v
		})
	}
	if len(it.values) > 1 && !it.has("exists") && c.IntN(5) == 0 {
		it.mods = append(it.mods, "all")
	}
	if c.IntN(8) == 0 && !it.has("exists") {
		it.mods = append(it.mods, "neq")
	}
	return it
}

// condition returns a condition over selections in both forms.
func (c chance) condition(names []string, depth int) naiveCondition {
	if depth == 0 || c.IntN(3) == 0 {
		switch c.IntN(4) {
		case 0:
			pattern := c.of([]string{"them", "s*", "*_b", "_*", "s_a*", "*"})
			n := c.of([]string{"1", "any", "all"})
			var meant []string
			for _, name := range names {
				hidden := strings.HasPrefix(name, "_") && !strings.HasPrefix(pattern, "_")
				if !hidden && (pattern == "them" || pattern == "*" || strings.HasPrefix(pattern, "*") && strings.HasSuffix(name, pattern[1:]) ||
					strings.HasSuffix(pattern, "*") && strings.HasPrefix(name, pattern[:len(pattern)-1])) {
					meant = append(meant, name)
				}
			}
			if len(meant) > 0 {
				return naiveCondition{n + " of " + pattern, func(truth map[string]bool) bool {
					count := 0
					for _, name := range meant {
						if truth[name] {
							count++
						}
					}
					return n == "all" && count == len(meant) || n != "all" && count > 0
				}}
			}
		}
		name := c.of(names)
		return naiveCondition{name, func(truth map[string]bool) bool { return truth[name] }}
	}
	a, b := c.condition(names, depth-1), c.condition(names, depth-1)
	switch c.IntN(3) {
	case 0:
		return naiveCondition{"not (" + a.text + ")", func(t map[string]bool) bool { return !a.holds(t) }}
	case 1:
		return naiveCondition{"(" + a.text + ") and (" + b.text + ")", func(t map[string]bool) bool { return a.holds(t) && b.holds(t) }}
	}
	return naiveCondition{"(" + a.text + ") or (" + b.text + ")", func(t map[string]bool) bool { return a.holds(t) || b.holds(t) }}
}

func (c chance) rule(i int) *naiveRule {
	r := &naiveRule{id: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)}
	var names []string
	for _, name := range []string{"s_a", "s_b", "f_b", "_h"}[:c.IntN(3)+2] {
		s := naiveSelection{name: name}
		for range c.IntN(2) + 1 {
			var m []naiveItem
			seen := map[string]bool{}
			for range c.IntN(2) + 1 {
				it := c.item()
				if c.IntN(10) == 0 && len(it.values) > 0 && !it.has("exists") && !it.has("cidr") && !it.has("fieldref") && it.values[0] != nil {
					if _, text := it.values[0].(string); text {
						it.field = ""
					}
				}
				if key := it.field + "|" + strings.Join(it.mods, "|"); !seen[key] {
					seen[key] = true
					m = append(m, it)
				}
			}
			s.maps = append(s.maps, m)
		}
		r.sels, names = append(r.sels, s), append(names, name)
	}
	r.cond = c.condition(names, 2)
	return r
}

// hints are what events may hold so that rules match: the values of the rules without their wildcards.
func (r *naiveRule) hints() (out []string) {
	for _, s := range r.sels {
		for _, m := range s.maps {
			for _, it := range m {
				for _, v := range it.values {
					text, ok := v.(string)
					if !ok {
						continue
					}
					list := []string{strings.NewReplacer("*", "", "?", "z").Replace(text)}
					for _, mod := range it.mods {
						if strings.HasPrefix(mod, "base64") || strings.HasPrefix(mod, "utf16") || mod == "wide" {
							list = naiveEncode(list[0], mod)
						}
					}
					out = append(out, list...)
				}
			}
		}
	}
	return out
}

// TestCompiledEqualsNaive holds the compiled engine to the naive one on random rules and events: more than 10,000
// pairs, compiled together so that they share indexes and atoms.
func TestCompiledEqualsNaive(t *testing.T) {
	sets := 20
	if sampled {
		sets = 4
	}
	pairs, matches := 0, 0
	for seed := range sets {
		c := chance{rand.New(rand.NewPCG(uint64(seed), 7))}
		var rules []*naiveRule
		var docs []Document
		var hints []string
		for i := range 30 {
			r := c.rule(i)
			rules, hints = append(rules, r), append(hints, r.hints()...)
			docs = append(docs, Document{Name: r.id, Data: []byte(r.yaml())})
		}
		set, errs := Options{Placeholders: chanceKnown}.Compile(docs)
		if len(errs) > 0 {
			t.Fatalf("seed %d: %v\n%s", seed, errs[0], docs[0].Data)
		}
		for range 20 {
			e, n := c.event(hints)
			got := map[string]bool{}
			set.Match([]*ocsf.Event{e}, func(_ int, r *Rule) { got[r.ID] = true })
			for _, r := range rules {
				pairs++
				want := r.holds(n, chanceKnown)
				if want {
					matches++
				}
				if got[r.id] != want {
					t.Fatalf("seed %d: compiled %v, naive %v\n%s\n%q", seed, got[r.id], want, r.yaml(), e.Fields)
				}
			}
		}
	}
	t.Logf("%d pairs, %d match", pairs, matches)
	if !sampled && pairs < 10_000 || matches*20 < pairs {
		t.Errorf("%d pairs and %d matches prove too little", pairs, matches)
	}
}
