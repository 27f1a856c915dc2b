package sigma

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func TestExplainNamesWhatDoesNotHold(t *testing.T) {
	set, errs := compileOne(t, `detection:
  proc: {Image|endswith: '\cmd.exe', User: [joe, ann]}
  args:
    - Line|contains: foo
    - Line|re: 'b+'
    - Port|gte: 1024
  odd: {Name: 'a*b?c', Ip|cidr: 10.0.0.0/8, Gone: null, There|exists: true, When|hour: 3, A|fieldref: B}
  key: [needle]
  other: {Zone|neq: x}
  condition: proc and args
`)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	e := winEvent("Image", `C:\x.exe`, "User", "bob", "Line", strings.Repeat("y", 500), "Gone", "no", "Zone", "x", "User.0", "bob2")
	x := set.Explain(e, set.Rules()[0])
	if !x.Tried || x.Matches || len(x.Selections) != 5 || !strings.Contains(x.Why, "doesn't match") {
		t.Fatalf("%+v", x)
	}
	for i, parts := range [][]string{
		{`Image ends with "\\cmd.exe": the event has "C:\\x.exe"`, "none of 2 values of User fits", "and more"},
		{`Line holds "foo"`, `Line fits the expression "b+"`, "Port gte 1024: the event has no such field", "…"},
		{`Name fits "a*b?c"`, "Ip is in \"10.0.0.0/8\"", `Gone is absent: the event has "no"`, "and 3 more"},
		{`any field holds "needle"`},
		{`excluded: Zone is "x"`},
	} {
		for _, part := range parts {
			if s := x.Selections[i]; s.Holds || !strings.Contains(s.Why, part) {
				t.Errorf("%s: %q doesn't tell %q", s.Name, s.Why, part)
			}
		}
		if len(x.Selections[i].Why) > 1500 {
			t.Errorf("%d bytes are too much to read", len(x.Selections[i].Why))
		}
	}
	if x := set.Explain(&ocsf.Event{}, set.Rules()[0]); x.Tried || x.Matches || !strings.Contains(x.Why, "not tried") {
		t.Errorf("an event of no source: %+v", x)
	}
}

func TestForGivesTheRulesThatAreTried(t *testing.T) {
	set := corpusSet(t)
	e := &ocsf.Event{Source: "windows/security", Fields: ocsf.Fields{{Name: "EventID", Value: "4688"}}}
	list := set.For(e)
	if len(list) < 1000 {
		t.Errorf("%d rules are for process creation", len(list))
	}
	for i, r := range list {
		if i > 0 && list[i-1].ID >= r.ID || !set.Explain(e, r).Tried {
			t.Fatalf("%s is out of order or not tried", r.ID)
		}
	}
	if n := len(set.For(&ocsf.Event{Source: "nobody/knows"})); n != 0 {
		t.Errorf("%d rules are for a source that nobody knows", n)
	}
}

func TestMatchesStopsWhenAsked(t *testing.T) {
	set, _ := compileOne(t, "detection:\n  a: {A: x}\n  b: {B: x}\n  condition: 1 of them\n")
	batch := []*ocsf.Event{winEvent("A", "x", "B", "x"), winEvent("B", "x"), winEvent("A", "x")}
	var got []string
	for m := range set.Matches(batch) {
		got = append(got, strings.Join(m.Selections, "+"))
		if m.Event == 1 {
			break
		}
	}
	if strings.Join(got, " ") != "a+b b" {
		t.Errorf("got %v", got)
	}
}
