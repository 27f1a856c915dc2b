package sigma

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// FuzzCondition: whatever is written as a condition is refused with a reason or means the same to both ways of matching.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{"s_a", "1 of them", "all of s_*", "not (s_a or _h) and 2 of *", "((s_a))", "any of _*", "s_a and not not s_b", "s_a |", "of of of", "1 of *_b or", "S_A"} {
		f.Add(s, uint8(5))
	}
	f.Fuzz(func(t *testing.T, text string, truth uint8) {
		var fields []string
		var sels []selection
		for i, name := range []string{"s_a", "s_b", "f-c", "_h"} {
			field := string(rune('A' + i))
			x := &expr{op: opAtom, pred: patternPredicate(field, parsePattern("x"), false)}
			sels = append(sels, selection{name, x, 1})
			if truth>>i&1 == 1 {
				fields = append(fields, field, "x")
			}
		}
		parts := 1000
		x, err := parseCondition(text, sels, &parts)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "condition") {
				t.Fatalf("reason %q", err)
			}
			return
		}
		set := &RuleSet{slots: newSlots(), rules: []*Rule{{ID: "x", LogSource: LogSource{Product: "windows"}, selections: sels, cond: x}}}
		set.build()
		e := winEvent(fields...)
		got := false
		set.Match([]*ocsf.Event{e}, func(int, *Rule) { got = true })
		if want := len(plainMatches(set, e)) > 0; got != want {
			t.Fatalf("fast %v, plain %v", got, want)
		}
	})
}
