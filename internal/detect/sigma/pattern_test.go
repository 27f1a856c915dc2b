package sigma

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEscapesFollowTheSpecification(t *testing.T) {
	star, anyone := token{kind: tokStar}, token{kind: tokAny}
	lit := func(s string) token { return token{tokLiteral, s} }
	for _, c := range []struct {
		name, in string
		want     pattern
	}{
		{"plain text", `abc`, pattern{lit("abc")}},
		{"empty", ``, nil},
		{"wildcards", `a*b?c`, pattern{lit("a"), star, lit("b"), anyone, lit("c")}},
		{"escaped wildcards are literal", `a\*b\?`, pattern{lit("a*b?")}},
		{"backslash before other characters is itself", `C:\Windows`, pattern{lit(`C:\Windows`)}},
		{"two backslashes are one", `\\srv\share`, pattern{lit(`\srv\share`)}},
		{"two backslashes and a star are one and a wildcard", `dir\\*`, pattern{lit(`dir\`), star}},
		{"three backslashes are two", `\\\srv`, pattern{lit(`\\srv`)}},
		{"four backslashes are two", `\\\\srv`, pattern{lit(`\\srv`)}},
		{"backslash at the end is itself", `dir\`, pattern{lit(`dir\`)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, parsePattern(c.in), cmp.AllowUnexported(token{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPatternsMatchWholeValues(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"abc", "abc", true}, {"abc", "abcd", false}, {"a*c", "abbc", true}, {"a*c", "ac", true}, {"a?c", "ac", false},
		{"a?c", "aéc", true}, {"a??c", "aéc", false}, {"*b*", "abc", true}, {"*", "", true}, {"?", "", false}, {"", "", true},
		{"", "x", false}, {"*a*a*", "aa", true}, {"*a*a*", "a", false}, {"*x", "xxy", false}, {"a*?b", "aéb", true},
	} {
		if got := parsePattern(c.pattern).match([]byte(c.value)); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.value, got)
		}
	}
}

func TestBase64OffsetFindsTextAtEveryOffset(t *testing.T) {
	if d := cmp.Diff([]string{"Zm9v", "Zvb", "mb2"}, base64Offsets("foo")); d != "" {
		t.Error(d)
	}
}

func TestWindashReplacesOptionDashesOnly(t *testing.T) {
	forms, err := parsePattern(" -f a-b").windash().written()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range forms {
		s, _ := p.plain()
		got = append(got, s)
	}
	if d := cmp.Diff([]string{" -f a-b", " /f a-b", " –f a-b", " —f a-b", " ―f a-b"}, got); d != "" {
		t.Error(d)
	}
	if n := parsePattern("a-b").windash().dashCount(); n != 0 {
		t.Errorf("a value without an option has %d dashes", n)
	}
}

// FuzzFastEqualsSlow holds the kinds of predicates and the index to the plain way of matching a pattern.
func FuzzFastEqualsSlow(f *testing.F) {
	for _, s := range [][2]string{
		{`*\powershell.exe`, `C:\Windows\PowerShell.EXE`}, {`?:\Program Files\\*`, `C:\Program Files\x`}, {`*mimi*katz*`, `MIMIkatz`},
		{``, ``}, {`*`, `x`}, {`a\*b`, `A*B`}, {`*é?*`, "xÉy"}, {`*İ*`, "i̇"}, {`*abc`, "\xffABC"}, {`????`, `abcd`}, {`*abcd*`, `xxabcdabcd`},
		{"*\xff*", "é\xff"}, {`abcdefghij*`, `ABCDEFGHIJK`}, {`*K*`, "\u212a"}, {`*sekurlsa*`, "x SEKURLSA::"}, {`*kerberos::*`, "\u212aerberos::"}, {`*ABCDEFG*`, "..abcdefg"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		if len(text) > 200 || len(value) > 2000 {
			return
		}
		p := parsePattern(text)
		low := appendLower(nil, value)
		want := p.lower(false).match(low)
		q := patternPredicate("F", p, false)
		got := q.kind == kindExists || q.holds(value, low)
		if got != want {
			t.Fatalf("kind %d: %v, want %v", q.kind, got, want)
		}
		list := literalsOfPredicate(q)
		if len(list) == 0 {
			return
		}
		for i := range list {
			list[i].atoms = []int32{0}
		}
		x := newIndex(list)
		found := len(x.find(low, nil)) > 0
		if found && !x.mayHold(value) {
			t.Fatalf("the index passes over %q, which is in %q", list[0].text, value)
		}
		if want && !found {
			t.Fatalf("the index misses %q in %q", list[0].text, low)
		}
		if list[0].kind == q.kind && found != want {
			t.Fatalf("the index says %v where it settles the question, want %v", found, want)
		}
		if !bytes.Equal(low, appendLower(nil, value)) {
			t.Fatal("lower case is not stable")
		}
	})
}
