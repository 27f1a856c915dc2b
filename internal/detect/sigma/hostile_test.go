//go:build unix

package sigma

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// cpuTime is the CPU time that the process has used: other work on the machine doesn't count.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestBombHostileRulesAreRefusedQuickly gives the compiler what was written to exhaust it.
func TestBombHostileRulesAreRefusedQuickly(t *testing.T) {
	repeat := strings.Repeat
	selections := func(n int, condition string) string {
		var b strings.Builder
		b.WriteString(head + "detection:\n")
		for i := range n {
			fmt.Fprintf(&b, " s%d: {A: x}\n", i)
		}
		return b.String() + " condition: " + condition + "\n"
	}
	values := head + "detection:\n  s:\n    A:\n" + repeat("      - abcd\n", 15_000)
	bomb := "a0: &a0 [x]\n"
	for i := range 20 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, repeat(fmt.Sprintf("*a%d, ", i), 20)+"x")
	}
	sel := func(item string) string { return head + "detection:\n  s:\n    " + item + "\n  condition: s\n" }
	for _, c := range []struct{ name, doc, want string }{
		{"ten megabytes", head + repeat("# comment\n", 1<<20), "bytes"},
		{"a hundred thousand selections", selections(100_000, "1 of them"), "bytes"},
		{"as many selections as fit", selections(50_000, "1 of them"), "more than"},
		{"nested lists", head + "detection:\n  s: " + repeat("[", 200_000) + repeat("]", 200_000), ""},
		{"nested maps", head + "detection:\n  s: " + repeat("{a: ", 100_000) + repeat("}", 100_000), ""},
		{"nested blocks", head + "detection:\n" + deepBlocks(1200), ""},
		{"alias bomb", bomb + head + "detection:\n  s: *a20\n  condition: s\n", ""},
		{"alias bomb as merge", head + "detection:\n  s: &s {A: x, <<: *s}\n  condition: s\n", ""},
		{"brackets in the condition", selections(1, repeat("(", 8_000)+"s0"+repeat(")", 8_000)), "nested deeper"},
		{"not in the condition", selections(1, repeat("not ", 4_000)+"s0"), "nested deeper"},
		{"a long condition", selections(1, "s0"+repeat(" or s0", 200_000)), "bytes"},
		{"all of them, often", selections(4_000, "1 of them"+repeat(" or 1 of them", 1_000)), "parts"},
		{"a large selection, often", values + "  condition: s" + repeat(" or s", 3_000) + "\n", "parts"},
		{"counted repetitions", sel(`A|re: '(?:a{1,100}){1,10}(?:b{1,100}){1,10}(?:c{1,100}){1,10}(?:d{1,100}){1,10}(?:e{1,100}){1,10}'`), "instructions"},
		{"many repetitions", sel(`A|re: '` + repeat("x{1000}", 500) + `'`), "instructions"},
		{"a long expression", sel(`A|re: '` + repeat("(a|b)", 1000) + `'`), "bytes"},
		{"nested groups", sel(`A|re: '` + repeat("(", 1500) + repeat(")", 1500) + `'`), ""},
		{"single wildcards", sel(`A|contains: '` + repeat("?a", 8_000) + `'`), "wildcards"},
		{"dashes", sel(`A|windash|base64: '` + repeat("-a ", 1000) + `'`), "dashes"},
		{"modifiers", sel("A" + repeat("|contains", 100) + ": x"), "modifiers"},
		{"base64 over and over", sel("A|" + repeat("base64offset|", 14) + "contains: abcdefgh"), "values"},
		{"documents", repeat("a\n---\n", 150_000), ""},
		{"keys", head + "detection:\n  s: {" + repeat("A: x, ", 100_000) + "}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := cpuTime(t)
			set, errs := Compile([]Document{{Name: "h.yml", Data: []byte(c.doc)}})
			spent := cpuTime(t) - before
			if set.Len() != 0 || len(errs) == 0 {
				t.Fatalf("%d rules, %d errors", set.Len(), len(errs))
			}
			if last := errs[len(errs)-1]; last.Reason == "" || len(last.Reason) > 1000 || !strings.Contains(last.Reason, c.want) {
				t.Errorf("reason %.200q, want %q", last.Reason, c.want)
			}
			limit := time.Second
			if raceEnabled {
				limit *= 10
			}
			if spent > limit {
				t.Errorf("it took %v", spent)
			}
		})
	}
	known := map[string][]string{"x": make([]string, 300)}
	for i := range known["x"] {
		known["x"][i] = fmt.Sprint("v", i)
	}
	before := cpuTime(t)
	set, errs := Options{Placeholders: known}.Compile([]Document{{Name: "p.yml", Data: []byte(sel(`A|expand: '` + repeat("%x%", 8) + `'`))}})
	if spent := cpuTime(t) - before; set.Len() != 0 || len(errs) != 1 || spent > 10*time.Second {
		t.Errorf("placeholders: %d rules, %v, %v", set.Len(), errs, spent)
	}
}

// deepBlocks nests mappings by indentation, within a document's size.
func deepBlocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

// TestWorstValuesStayLinear gives expressions and wildcards that backtracking engines never finish a line that is four
// times as long: the time may grow about as much, not with its square.
func TestWorstValuesStayLinear(t *testing.T) {
	size, rounds := 64<<10, 3
	if raceEnabled {
		size = 16 << 10
	}
	// What an expression must hold stands before or behind the repeated text, where it doesn't help: else the value would
	// be told by that alone, and the expression never run.
	for _, c := range []struct{ name, item, before, unit, after string }{
		{"nested plus", `A|re: '^(a+)+$'`, "", "a", "!"},
		{"nested star", `A|re: '(x+x+)+y'`, "y", "x", "!"},
		{"overlapping alternatives", `A|re: '^(a|a|aa)*b$'`, "", "a", "b!"},
		{"dots", `A|re: '.*.*.*.*.*=.*;'`, ";", "a", "="},
		{"words", `A|re: '(\w+\s*)+:\d+$'`, ":1 ", "ab ", "!"},
		{"an address that never ends", `A|re: '^([a-z0-9._-]+)*@([a-z0-9-]+\.)+x$'`, "x", "a.", "@a."},
		{"a wide class, folded", `A|re|i: '(?:\pL+\.?){2,}@!'`, "@!", "Äs", "."},
		{"counted", `A|re: '(?:[a-z]{1,50}-){1,10}!'`, "", "abc-", "x!"},
		{"many stars", `A: '*a*a*a*a*a*a*a*a*b'`, "b", "a", "!"},
		{"stars and single wildcards", `A: '*a?a*?a?a*a?b'`, "b", "a", "!"},
		{"stars and single wildcards to the end", `A: '*a?a*?a?a*a?c*b'`, "", "a", "b"},
		{"a long literal that nearly fits", `A|contains: '` + strings.Repeat("a", 2000) + `b'`, "", "a", "!"},
		{"literals between single wildcards", `A|contains: '` + strings.Repeat("aaaaaaa?", 30) + `b'`, "", "a", "!"},
		{"windash", `A|windash|contains: '-a -b -a -b'`, "", "-a -b /a ", "!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, errs := compileOne(t, "detection:\n  s:\n    "+c.item+"\n  condition: s\n")
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			took := func(n int) time.Duration {
				e := winEvent("A", c.before+strings.Repeat(c.unit, n/len(c.unit))+c.after)
				best := time.Hour
				for range rounds {
					before := cpuTime(t)
					set.Match([]*ocsf.Event{e}, func(int, *Rule) {})
					best = min(best, cpuTime(t)-before)
				}
				return best
			}
			took(size)
			short, long := took(size), took(16*size)
			// Sixteen times the length: sixteen times the time, or 256 times if it grew with the square.
			if long > 64*short && long > 50*time.Millisecond {
				t.Errorf("%d bytes take %v, %d bytes %v", size, short, 16*size, long)
			}
			t.Logf("%v, %v", short, long)
		})
	}
}
