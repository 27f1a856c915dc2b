package sigma

import (
	"strings"
	"testing"
)

// TestRegexFilterNeverLosesAMatch holds what is looked for before an expression runs to the expression itself.
func TestRegexFilterNeverLosesAMatch(t *testing.T) {
	values := []string{"", "a", "foo", "FOO bar", "fooBAR.exe", "x" + strings.Repeat("a", 20), strings.Repeat("é", 12), strings.Repeat("ab ", 9), "aaaaa\naaaaa",
		"deadbeefDEADBEEF0123", "&&set x=1&&cmd /c", "claſſ", "K\u212a", "p`a`b", "C:\\a.b.\"", "\xff\xfeabc", "net  config", "a\nb", "ABCabcABCabc", "(foo)"}
	for _, expr := range []string{"foo", "(?i)FOO.BAR", "fo{2}", "(foo|bar)+", "a{6,}", "[a-f]{6}", "(?i)[a-f0-9]{16}", ".{8,}", "(?s).{11}", ".{12}", "(?:a{6}|b)", "^a{6,}$", "(a{7})+",
		"é{6,}", "(?i)&&set.*cmd.*/c", "(?i)class", "k+", "(?i)K", "\\w+`(\\w+|-|.)`", "\\.[a-z]{1,6}\\.[ \"']", "x?foo|x?bar", "", "a*", "(?:)", "net\\s+config", "[\\x{fffd}]a", "\\(foo\\)", "a.b", "(?s)a.b", "(abc){2,3}", "(?:foo|FOO) (?:bar|baz)"} {
		q, err := regexPredicate("F", expr, "", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			low := appendLower(nil, v)
			want := q.re.MatchString(v)
			if got := q.holds(v, low); got != want {
				t.Errorf("%q on %q: %v, want %v", expr, v, got, want)
			}
			found := len(q.needs) == 0
			for _, n := range q.needs {
				found = found || strings.Contains(string(low), n)
			}
			if want && !found {
				t.Errorf("%q matches %q, which holds none of %q", expr, v, q.needs)
			}
		}
	}
}

// FuzzRegexFilter does so with expressions and values that nobody thought of.
func FuzzRegexFilter(f *testing.F) {
	for _, s := range [][2]string{{"(?i)s+x{6,}", "ſxxxxxx"}, {"[^a]{9}|b", "aaaaaaaaab"}, {"(?s).{6}\n", "abcdef\n"}, {"(a|b|c)d[ef]g?", "cdfg"}, {"\\pL{6}", "éééééé"}, {"(?U)a{6,8}?b", "aaaaaab"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, expr, value string) {
		if len(expr) > 100 || len(value) > 1000 {
			return
		}
		q, err := regexPredicate("F", expr, "", "")
		if err != nil {
			return
		}
		low := appendLower(nil, value)
		want := q.re.MatchString(value)
		if got := q.holds(value, low); got != want {
			t.Fatalf("%v, the expression says %v", got, want)
		}
		for _, n := range q.needs {
			if strings.Contains(string(low), n) {
				return
			}
		}
		if want && len(q.needs) > 0 {
			t.Fatalf("none of %q is in a value that matches", q.needs)
		}
	})
}
