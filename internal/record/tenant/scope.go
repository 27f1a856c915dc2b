package tenant

import "slices"

// Scope is the set of tenants that a caller may see. The zero Scope sees nothing, so that a reader who
// forgets to ask for one gets nothing rather than everything. Every read of stored data takes one.
type Scope struct {
	all bool
	ids []ID
}

// ScopeAll sees every tenant; it is for the operator of the whole installation.
func ScopeAll() Scope { return Scope{all: true} }

// ScopeOf sees just the tenants named.
func ScopeOf(ids ...ID) Scope {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return Scope{ids: slices.Compact(ids)}
}

// Sees reports whether the scope includes the tenant.
func (s Scope) Sees(id ID) bool {
	if s.all {
		return true
	}
	_, ok := slices.BinarySearch(s.ids, id)
	return ok
}

// Intersect returns what both scopes see.
func (s Scope) Intersect(o Scope) Scope {
	if s.all {
		return o
	}
	if o.all {
		return s
	}
	var ids []ID
	for _, id := range s.ids {
		if o.Sees(id) {
			ids = append(ids, id)
		}
	}
	return Scope{ids: ids}
}
