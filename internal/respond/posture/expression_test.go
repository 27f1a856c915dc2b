package posture

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func speak(t testing.TB) (one, all *language) {
	t.Helper()
	one, all, err := languages()
	if err != nil {
		t.Fatal(err)
	}
	return one, all
}

func factVars(i *evidence.Item, settings map[string]any) map[string]any {
	return map[string]any{"item": itemForCEL(i), "now": noon, "settings": settings, "tenant": &celTenant{ID: "acme", Role: "client"}}
}

func TestExpressionsAreCheckedWhenLoaded(t *testing.T) {
	one, all := speak(t)
	for _, c := range []struct{ text, want string }{
		{"item.subjct == ''", "undefined field 'subjct'"},
		{"item.subject + 1 == ''", "no matching overload"},
		{"item.subject", "gives a string where a bool is needed"},
		{"items.size() > 0", "undeclared reference to 'items'"},
		{"settings.days > 1", "settings.days has no default"},
		{"now - item.at < duration('35d')", "invalid duration"},
		{"item.at < timestamp('yesterday')", "invalid timestamp"},
		{"item.subject.matches('(')", "invalid matches argument"},
		{"true &&", "Syntax error"},
		{strings.Repeat("true && ", 600) + "true", "size"},
		{strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), "recursion"},
		{"[1].exists(a, [1].exists(b, [1].exists(c, [1].exists(d, d == a))))", "nesting limit"},
		{"[[1]]" + strings.Repeat(".map(x, x + x)", 40) + ".size() > 0", "nesting limit"}, // doubles each time
	} {
		if _, err := one.compile(c.text, cel.BoolType, map[string]any{"minimum": int64(1)}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %v, want an error with %q", c.text, err, c.want)
		}
	}
	if _, err := all.compile("item.subject == ''", cel.BoolType, nil); err == nil {
		t.Error("an expression over all facts can name one of them")
	}
}

func TestExpressionsAnswer(t *testing.T) {
	one, _ := speak(t)
	item := &evidence.Item{Tenant: "acme", Partner: "msp", Kind: "network.rule", Subject: "Web", At: noon.Add(-48 * time.Hour), Values: map[string]any{
		"n": int64(3), "f": 2.5, "s": "a,b", "t": noon.Add(-time.Hour), "l": []any{"x", "y"}, "ns": []any{int64(1), 2.5}, "m": map[string]any{"k": true},
	}}
	for _, c := range []struct {
		text    string
		want    bool
		missing string
	}{
		{"item.values.n == 3 && item.values.n > 2.5", true, ""},
		{"item.values.f < 3", true, ""},
		{"now - item.at == days(2)", true, ""},
		{"item.values.t < now", true, ""},
		{"item.values.m.k", true, ""},
		{"has(item.values.no) && item.values.no", false, ""},
		{"item.values.no || true", true, ""}, // what it doesn't need may be missing
		{"item.values.no", false, "does not tell no"},
		{"!item.values.no", false, "does not tell no"},
		{"item.values.s > 3", false, "another type"},
		{"item.values.n", false, "must say true or false"},
		{"sum(item.values.ns) == 3.5", true, ""},
		{"sum(item.values.l) == 3.5", false, "takes a list of numbers"},
		{"item.values.s.split(',').join('+') == 'a+b'", true, ""},
		{"item.subject.lowerAscii() == 'web' && ' a '.trim() == 'a'", true, ""},
		{"item.values.s.replace(',', ';') == 'a;b'", true, ""},
		{"'ab'.replace('', 'x') == 'xaxbx'", true, ""},
		{"item.values.l.all(x, x in ['x', 'y'])", true, ""},
		{"tenant.role == 'client' && item.partner == 'msp' && item.trust == ''", true, ""},
		{"settings.minimum == 1", true, ""},
		{"math.greatest(1, item.values.n) == 3", true, ""},
	} {
		x, err := one.compile(c.text, cel.BoolType, map[string]any{"minimum": int64(1)})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got, err := x.holds(t.Context(), factVars(item, map[string]any{"minimum": int64(1)}))
		reason, ok := isMissing(err)
		switch {
		case c.missing == "" && err != nil, got != c.want:
			t.Errorf("%s: got %v, %v; want %v", c.text, got, err, c.want)
		case c.missing != "" && (!ok || !strings.Contains(reason, c.missing)):
			t.Errorf("%s: got %v, want it to be missing for %q", c.text, err, c.missing)
		}
	}
}

// TestBombExpressions holds that no expression which loads can take minutes or gigabytes.
func TestBombExpressions(t *testing.T) {
	one, all := speak(t)
	long := &evidence.Item{Values: map[string]any{"s": strings.Repeat("a", maxValueText), "l": make([]any, maxValueCount)}}
	for i := range long.Values["l"].([]any) {
		long.Values["l"].([]any)[i] = int64(i)
	}
	for _, text := range []string{
		"item.values.s.replace('a', item.values.s).size() > 0",
		"item.values.l.map(x, item.values.s).join('').size() > 0",
		"item.values.l.all(x, item.values.l.all(y, item.values.l.exists(z, z == x + y)))",
		"item.values.l.map(x, item.values.s + item.values.s).size() > 0",
		"item.values.l.all(x, !item.values.s.matches('(a|aa)+$b'))",
	} {
		x, err := one.compile(text, cel.BoolType, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.holds(t.Context(), factVars(long, nil)); err == nil {
			t.Errorf("%s ran to its end", text)
		} else if _, ok := isMissing(err); !ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	x, err := all.compile("items.all(i, items.all(j, i.subject == j.subject))", cel.BoolType, nil)
	if err != nil {
		t.Fatal(err)
	}
	items := make([]*celItem, maxTogether)
	for i := range items {
		items[i] = &celItem{}
	}
	vars := map[string]any{"items": items, "now": noon, "settings": map[string]any{}, "tenant": &celTenant{}}
	if _, err := x.holds(t.Context(), vars); err == nil || !strings.Contains(err.Error(), "more steps") {
		t.Errorf("all against all: got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.holds(ended, vars); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context has ended: got %v", err)
	}
}
