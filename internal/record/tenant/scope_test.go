package tenant

import (
	"strings"
	"testing"
)

// seen lists which of some tenants a scope includes.
func seen(s Scope) string {
	var out []string
	for _, id := range []ID{"", "acme", "borg", "ACME", "north"} {
		if s.Sees(id) {
			out = append(out, `"`+string(id)+`"`)
		}
	}
	return strings.Join(out, " ")
}

func TestIsolationAScopeSeesWhatItNames(t *testing.T) {
	const everything = `"" "acme" "borg" "ACME" "north"`
	ab := ScopeOf("borg", "acme", "borg")
	for _, c := range []struct {
		name  string
		scope Scope
		want  string
	}{
		{"the zero scope sees nothing", Scope{}, ""},
		{"a scope of none sees nothing", ScopeOf(), ""},
		{"a scope of some sees those, letter by letter", ab, `"acme" "borg"`},
		{"the whole", ScopeAll(), everything},
		{"some within the whole", ScopeAll().Intersect(ab), `"acme" "borg"`},
		{"the whole within some", ab.Intersect(ScopeAll()), `"acme" "borg"`},
		{"what two have in common", ab.Intersect(ScopeOf("north", "borg")), `"borg"`},
		{"two that have nothing in common", ab.Intersect(ScopeOf("north")), ""},
		{"nothing within some", Scope{}.Intersect(ab), ""},
		{"some within nothing", ab.Intersect(Scope{}), ""},
		{"nothing within the whole", Scope{}.Intersect(ScopeAll()), ""},
		{"the whole within nothing", ScopeAll().Intersect(Scope{}), ""},
		{"the whole within the whole", ScopeAll().Intersect(ScopeAll()), everything},
	} {
		if got := seen(c.scope); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestIsolationAScopeKeepsNoHoldOnItsCallersList(t *testing.T) {
	ids := []ID{"borg", "acme"}
	s := ScopeOf(ids...)
	ids[0], ids[1] = "north", "north"
	if got := seen(s); got != `"acme" "borg"` {
		t.Errorf("%s", got)
	}
}
