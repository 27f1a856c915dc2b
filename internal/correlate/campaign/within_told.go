package campaign

import "github.com/breakwater-project/breakwater/internal/record/tenant"

// WordsWithin returns the function that Within puts every text through before a caller with that scope sees it: what
// names others, or is an address of their own networks, becomes Elsewhere. It is for answers that are drawn beside a
// Result. The function is not safe for concurrent use. For a scope of everything it changes nothing.
func WordsWithin(scope tenant.Scope, m *tenant.Model) func(string) string {
	if SeesAll(scope) {
		return func(s string) string { return s }
	}
	return newView(scope, m).text
}
