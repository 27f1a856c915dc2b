package sigma

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

const head = "title: T\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {product: windows, service: security}\nlevel: high\n"

func compileOne(t *testing.T, detection string) (*RuleSet, []LoadError) {
	t.Helper()
	return Compile([]Document{{Name: "t.yml", Data: []byte(head + detection)}})
}

func winEvent(fields ...string) *ocsf.Event {
	e := &ocsf.Event{Source: "windows/security"}
	for i := 0; i+1 < len(fields); i += 2 {
		e.Fields = append(e.Fields, ocsf.Field{Name: fields[i], Value: fields[i+1]})
	}
	e.Fields.Sort()
	return e
}

// TestLanguage goes through the language: a detection, events that match, events that don't.
func TestLanguage(t *testing.T) {
	ev := winEvent
	sel := func(s string) string { return "detection:\n  sel:\n    " + s + "\n  condition: sel\n" }
	for _, c := range []struct {
		name, detection string
		yes, no         []*ocsf.Event
	}{
		{"text ignores case", sel(`A: FooBar`), []*ocsf.Event{ev("A", "fOObAR")}, []*ocsf.Event{ev("A", "foobarx"), ev("B", "foobar"), ev()}},
		{"cased doesn't", sel(`A|cased: Foo`), []*ocsf.Event{ev("A", "Foo")}, []*ocsf.Event{ev("A", "foo")}},
		{"cased and contains", sel(`A|contains|cased: Foo`), []*ocsf.Event{ev("A", "xFoox")}, []*ocsf.Event{ev("A", "xfoox")}},
		{"field names ignore case and spaces", sel(`Threat Name: x`), []*ocsf.Event{ev("threatname", "x"), ev("Threat Name", "X")}, nil},
		{"a list is any of its values", sel(`A: [x, 'y*', 3]`), []*ocsf.Event{ev("A", "x"), ev("A", "yes"), ev("A", "3")}, []*ocsf.Event{ev("A", "z")}},
		{"a mapping is all of its items", "detection:\n  sel: {A: x, B: y}\n  condition: sel\n", []*ocsf.Event{ev("A", "x", "B", "y")}, []*ocsf.Event{ev("A", "x")}},
		{"a list of mappings is any of them", "detection:\n  sel:\n    - A: x\n    - B: y\n  condition: sel\n", []*ocsf.Event{ev("A", "x"), ev("B", "y")}, []*ocsf.Event{ev("A", "y")}},
		{"null is an absent field", sel(`A: null`), []*ocsf.Event{ev("B", "x"), ev()}, []*ocsf.Event{ev("A", ""), ev("A", "x")}},
		{"an empty text is a field without text", sel(`A: ''`), []*ocsf.Event{ev("A", "")}, []*ocsf.Event{ev("A", "x"), ev()}},
		{"null in a list", sel(`A: [null, '']`), []*ocsf.Event{ev("A", ""), ev()}, []*ocsf.Event{ev("A", "x")}},
		{"exists", sel(`A|exists: true`), []*ocsf.Event{ev("A", ""), ev("A", "x")}, []*ocsf.Event{ev("B", "x")}},
		{"exists false", sel(`A|exists: false`), []*ocsf.Event{ev("B", "x")}, []*ocsf.Event{ev("A", "")}},
		{"neq", sel(`A|neq: x`), []*ocsf.Event{ev("A", "y"), ev()}, []*ocsf.Event{ev("A", "X")}},
		{"neq of a list is none of it", sel(`A|neq: [x, y]`), []*ocsf.Event{ev("A", "z")}, []*ocsf.Event{ev("A", "x"), ev("A", "y")}},
		{"contains", sel(`A|contains: 'b\'`), []*ocsf.Event{ev("A", `ab\c`)}, []*ocsf.Event{ev("A", "abc")}},
		{"startswith", sel(`A|startswith: 'C:\Win'`), []*ocsf.Event{ev("A", `c:\windows`)}, []*ocsf.Event{ev("A", `xc:\windows`)}},
		{"endswith", sel(`A|endswith: '\cmd.exe'`), []*ocsf.Event{ev("A", `C:\CMD.EXE`)}, []*ocsf.Event{ev("A", `xcmd.exe`)}},
		{"contains all", sel(`A|contains|all: [foo, bar]`), []*ocsf.Event{ev("A", "barfoo")}, []*ocsf.Event{ev("A", "foo")}},
		{"short literal", sel(`A|contains: 'x'`), []*ocsf.Event{ev("A", "axb")}, []*ocsf.Event{ev("A", "ab")}},
		{"wildcards inside", sel(`A: 'a*long literal?z'`), []*ocsf.Event{ev("A", "a--long literal-z")}, []*ocsf.Event{ev("A", "a--long literalz")}},
		{"re keeps case and is unanchored", sel(`A|re: 'Fo+$'`), []*ocsf.Event{ev("A", "xFooo")}, []*ocsf.Event{ev("A", "xfooo"), ev("A", "Foox")}},
		{"re i", sel(`A|re|i: 'classes[0-9]'`), []*ocsf.Event{ev("A", "CLASSES7"), ev("A", "claſſes7")}, []*ocsf.Event{ev("A", "classes")}},
		{"re m", sel(`A|re|m: '^b$'`), []*ocsf.Event{ev("A", "a\nb\nc")}, []*ocsf.Event{ev("A", "ab")}},
		{"re s", sel(`A|re|s: 'a.b'`), []*ocsf.Event{ev("A", "a\nb")}, []*ocsf.Event{ev("A", "ab")}},
		{"cidr 4", sel(`A|cidr: 10.0.0.0/8`), []*ocsf.Event{ev("A", "10.2.3.4"), ev("A", "::ffff:10.1.1.1")}, []*ocsf.Event{ev("A", "11.0.0.1"), ev("A", "-")}},
		{"cidr 6", sel(`A|cidr: 'fe80::/10'`), []*ocsf.Event{ev("A", "fe80::1"), ev("A", "fe80::1%eth0")}, []*ocsf.Event{ev("A", "2001:db8::1")}},
		{"numbers", sel(`A|gte: 10`) + "", []*ocsf.Event{ev("A", "10"), ev("A", "0x10")}, []*ocsf.Event{ev("A", "9"), ev("A", "x")}},
		{"lt", sel(`A|lt: 1.5`), []*ocsf.Event{ev("A", "1")}, []*ocsf.Event{ev("A", "1.5")}},
		{"hexadecimal numbers in both writings", sel(`A: 0x1f`), []*ocsf.Event{ev("A", "0x1F"), ev("A", "31")}, []*ocsf.Event{ev("A", "30")}},
		{"booleans", sel(`A: true`), []*ocsf.Event{ev("A", "True")}, []*ocsf.Event{ev("A", "false")}},
		{"base64", sel(`A|base64|contains: foo`), []*ocsf.Event{ev("A", "xZm9vx")}, []*ocsf.Event{ev("A", "foo")}},
		{"wide base64offset", sel(`A|wide|base64offset|contains: 'ping'`), []*ocsf.Event{ev("A", "cABpAG4AZwA="), ev("A", "eHAAaQBuAGcA")}, []*ocsf.Event{ev("A", "ping")}},
		{"utf16be", sel(`A|utf16be|base64offset|contains: 'ping'`), []*ocsf.Event{ev("A", "AHAAaQBuAGc=")}, []*ocsf.Event{ev("A", "cABpAG4AZwA=")}},
		{"windash", sel(`A|contains|windash: ' -f '`), []*ocsf.Event{ev("A", "x /f y"), ev("A", "x –F y")}, []*ocsf.Event{ev("A", "x f y")}},
		{"fieldref", sel(`A|fieldref: B`), []*ocsf.Event{ev("A", "x", "B", "X")}, []*ocsf.Event{ev("A", "x", "B", "y"), ev("A", "x")}},
		{"fieldref endswith", sel(`A|fieldref|endswith: B`), []*ocsf.Event{ev("A", `d\u`, "B", "u")}, []*ocsf.Event{ev("A", "u1", "B", "u")}},
		{"keywords look everywhere", "detection:\n  keywords: [foo, 'b*r']\n  condition: keywords\n", []*ocsf.Event{ev("Z", "xfoox"), ev("Q", "beer")}, []*ocsf.Event{ev("Z", "fo")}},
		{"all keywords", "detection:\n  keywords:\n    '|all': [foo, bar]\n  condition: keywords\n", []*ocsf.Event{ev("Z", "foo", "Y", "bar")}, []*ocsf.Event{ev("Z", "foo")}},
		{"list indices are left out", sel(`a.b: x`), []*ocsf.Event{ev("a.0.b", "y", "a.1.b", "x")}, []*ocsf.Event{ev("a.0.c", "x")}},
		{"an object is searched as a whole", sel(`a|contains: needle`), []*ocsf.Event{ev("a.0.b.c", "a needle")}, []*ocsf.Event{ev("ab", "needle")}},
		{"keywords look into every field behind nested ones", "detection:\n  k: [needle]\n  s: {a.b.c: x}\n  t: {a.b: x}\n  u: {a: x}\n  condition: k or s and t and u\n", []*ocsf.Event{ev("a.b.c", "q", "b", "q", "z", "a needle"), ev("a.b.c", "x")}, []*ocsf.Event{ev("a.b.c", "q", "z", "x")}},
		{"a name beside nested ones keeps its value", "detection:\n  s: {EventCode: '7'}\n  t: {EventID: '7', a.b: x, a: x}\n  condition: s and t\n", []*ocsf.Event{ev("a.b", "x", "eventcode", "7")}, []*ocsf.Event{ev("a.b", "x", "eventcode", "8")}},
		{"shippers' containers", sel(`Image: x`), []*ocsf.Event{ev("winlog.event_data.Image", "x"), ev("Event.EventData.Image", "x")}, nil},
		{"the event's time", sel(`breakwater.time|hour: 10`), []*ocsf.Event{{Source: "windows/security", Time: day}}, []*ocsf.Event{{Source: "windows/security", Time: day.Add(time.Hour)}, ev("A", "x")}},
		{"4688 under Sysmon's names", sel(`Image: x`), []*ocsf.Event{ev("EventID", "4688", "NewProcessName", "x")}, []*ocsf.Event{ev("EventID", "4689", "NewProcessName", "x")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, errs := compileOne(t, c.detection)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			for _, e := range c.yes {
				expectMatch(t, set, e, true)
			}
			for _, e := range c.no {
				expectMatch(t, set, e, false)
			}
		})
	}
}

func expectMatch(t *testing.T, set *RuleSet, e *ocsf.Event, want bool) {
	t.Helper()
	got := false
	set.Match([]*ocsf.Event{e}, func(int, *Rule) { got = true })
	if slow := len(plainMatches(set, e)) > 0; got != want || slow != want {
		t.Errorf("%v: fast %v, plain %v, want %v", e.Fields, got, slow, want)
	}
}

func TestConditions(t *testing.T) {
	det := "detection:\n  s_a: {A: x}\n  s_b: {B: x}\n  f_c: {C: x}\n  _d: {D: x}\n  condition: "
	a, b, c, d := []string{"A", "x"}, []string{"B", "x"}, []string{"C", "x"}, []string{"D", "x"}
	ev := func(parts ...[]string) *ocsf.Event {
		var all []string
		for _, p := range parts {
			all = append(all, p...)
		}
		return winEvent(all...)
	}
	for _, x := range []struct {
		condition string
		yes, no   []*ocsf.Event
	}{
		{"s_a and s_b", []*ocsf.Event{ev(a, b)}, []*ocsf.Event{ev(a), ev(b)}},
		{"s_a or s_b and f_c", []*ocsf.Event{ev(a), ev(b, c)}, []*ocsf.Event{ev(b)}},
		{"(s_a or s_b) and f_c", []*ocsf.Event{ev(a, c)}, []*ocsf.Event{ev(a)}},
		{"s_a and not f_c", []*ocsf.Event{ev(a)}, []*ocsf.Event{ev(a, c)}},
		{"NOT s_a AND NOT s_b", []*ocsf.Event{ev(c), ev()}, []*ocsf.Event{ev(a)}},
		{"1 of s_*", []*ocsf.Event{ev(a), ev(b)}, []*ocsf.Event{ev(c)}},
		{"any of *_a", []*ocsf.Event{ev(a)}, []*ocsf.Event{ev(b)}},
		{"all of s_*", []*ocsf.Event{ev(a, b)}, []*ocsf.Event{ev(a)}},
		{"1 of them", []*ocsf.Event{ev(c)}, []*ocsf.Event{ev(d)}},
		{"all of them", []*ocsf.Event{ev(a, b, c)}, []*ocsf.Event{ev(a, b)}},
		{"2 of them", []*ocsf.Event{ev(a, c)}, []*ocsf.Event{ev(a), ev(a, d)}},
		{"1 of _*", []*ocsf.Event{ev(d)}, []*ocsf.Event{ev(a)}},
		{"s_a and not 1 of f_*", []*ocsf.Event{ev(a)}, []*ocsf.Event{ev(a, c)}},
		{"[s_a, s_b and f_c]", []*ocsf.Event{ev(a), ev(b, c)}, []*ocsf.Event{ev(b)}},
	} {
		t.Run(x.condition, func(t *testing.T) {
			set, errs := compileOne(t, det+x.condition+"\n")
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			for _, e := range x.yes {
				expectMatch(t, set, e, true)
			}
			for _, e := range x.no {
				expectMatch(t, set, e, false)
			}
		})
	}
}

func TestRefusalsSayWhyAndWhere(t *testing.T) {
	sel := func(s string) string { return head + "detection:\n  sel:\n    " + s + "\n  condition: sel\n" }
	deep := head + "detection:\n  sel: {A: x}\n  condition: " + strings.Repeat("(", 100) + "sel" + strings.Repeat(")", 100) + "\n"
	for _, c := range []struct {
		name, doc, want string
		line            int
	}{
		{"correlation", "title: C\ncorrelation: {type: event_count}\n", "correlation: no timespan", 2},
		{"filter", "title: F\nlogsource: {product: windows}\nfilter: {rules: [x]}\n", "filter: one condition is needed", 3},
		{"collection", "action: global\n", "rule collections", 1},
		{"placeholder", sel(`A|expand: '%admins%'`), "placeholder %admins%", 7},
		{"unknown modifier", sel(`A|near: x`), `modifier "near"`, 7},
		{"base64 with wildcard", sel(`A|base64: 'x*'`), "wildcards", 7},
		{"look-around", sel(`A|re: '(?=x)'`), "look-around", 7},
		{"bad network", sel(`A|cidr: 10.0.0.0/40`), "CIDR", 7},
		{"number wanted", sel(`A|lt: x`), "needs a number", 7},
		{"unknown selection", head + "detection:\n  sel: {A: x}\n  condition: sel and foo\n", `names "foo"`, 7},
		{"pattern fits nothing", head + "detection:\n  sel: {A: x}\n  condition: 1 of foo*\n", `no selection fits "foo*"`, 7},
		{"old aggregation", head + "detection:\n  sel: {A: x}\n  condition: sel | count() > 5\n", "correlation rules", 7},
		{"open parenthesis", head + "detection:\n  sel: {A: x}\n  condition: (sel\n", "closing parenthesis", 7},
		{"nested too deep", deep, "nested deeper", 7},
		{"no condition", head + "detection:\n  sel: {A: x}\n", "no condition", 6},
		{"no title", "id: x\nlogsource: {product: windows}\n", "no title", 1},
		{"no log source", "title: T\nid: x\ndetection: {}\n", "no logsource", 1},
		{"bad level", strings.Replace(head, "high", "urgent", 1) + "detection: {}\n", "unknown level", 4},
		{"key twice", head + "detection:\n  sel: {A: x, A: y}\n  condition: sel\n", "there twice", 6},
		{"not YAML", "title: [\n", "", 0},
		{"alias", head + "detection:\n  sel: &a {A: x}\n  b: *a\n  condition: sel\n", "aliases", 7},
		{"empty", "# nothing\n", "no rule", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, errs := Compile([]Document{{Name: "x.yml", Data: []byte(c.doc)}})
			if set.Len() != 0 || len(errs) != 1 {
				t.Fatalf("%d rules, errors %v", set.Len(), errs)
			}
			e := errs[0]
			if e.File != "x.yml" || !strings.Contains(e.Reason, c.want) || c.line != 0 && e.Line != c.line {
				t.Errorf("%v (line %d), want %q at line %d", e, e.Line, c.want, c.line)
			}
		})
	}
}

func TestSeveralRulesInOneFileAreIndependent(t *testing.T) {
	good := head + "detection:\n  sel: {A: x}\n  condition: sel\n"
	bad := strings.Replace(good, "condition: sel", "condition: nope", 1)
	other := strings.Replace(good, "11111111", "22222222", 1)
	set, errs := Compile([]Document{{Name: "x.yml", Data: []byte(good + "---\n" + bad + "---\n" + other + "---\n" + good)}})
	if set.Len() != 2 || len(errs) != 2 {
		t.Fatalf("%d rules, errors %v", set.Len(), errs)
	}
	if !strings.Contains(errs[1].Reason, "is already that of") {
		t.Error(errs[1])
	}
}

func TestBombLargeRuleIsRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString(head + "detection:\n  sel:\n    A|base64offset|contains:\n")
	for range 60_000 {
		b.WriteString("      - ab\n")
	}
	b.WriteString("  condition: sel\n")
	for _, doc := range []string{b.String(), strings.Repeat("#", MaxDocument+1), head + "detection:\n  sel: " + strings.Repeat("[", 200) + "x" + strings.Repeat("]", 200) + "\n  condition: sel\n"} {
		set, errs := Compile([]Document{{Name: "x.yml", Data: []byte(doc)}})
		if set.Len() != 0 || len(errs) != 1 {
			t.Errorf("%d rules, errors %v", set.Len(), errs)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(head + "detection:\n  sel: {A: x}\n  condition: sel\n")
	f.Add(head + "detection:\n  sel:\n    A|re|i: 'a(b|c)+'\n    B|contains|all: [x, 'y*']\n  k: [foo, {C: null}]\n  condition: 1 of * and not (sel or k)\n")
	f.Add("title: C\ncorrelation: {}\n---\naction: global\n")
	f.Add(head + "detection:\n  sel:\n    A|wide|base64offset|contains: x\n    D|fieldref|startswith: E\n    F|cidr: ::1/3\n  condition: all of sel*\n")
	f.Add("a: &a [*a]\n")
	e := winEvent("A", "xab foo", "B", "xy", "EventID", "4688", "D", "x")
	f.Fuzz(func(t *testing.T, text string) {
		set, errs := Compile([]Document{{Name: "f.yml", Data: []byte(text)}})
		if set.Len() == 0 && len(errs) == 0 {
			t.Fatal("neither a rule nor an error")
		}
		for _, x := range []*ocsf.Event{e, winEvent()} {
			var fast []string
			set.Match([]*ocsf.Event{x}, func(_ int, r *Rule) { fast = append(fast, r.ID) })
			if slow := plainMatches(set, x); strings.Join(fast, ",") != strings.Join(slow, ",") {
				t.Fatalf("fast %v, plain %v", fast, slow)
			}
		}
	})
}
