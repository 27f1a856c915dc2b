package tenant

import "strings"

// MatchAccount reports whether an account name is covered by a pattern as trusts declare them: exact, with * for any
// run of characters, or @domain for everybody of a domain. Case does not matter.
func MatchAccount(pattern, name string) bool {
	pattern, name = strings.ToLower(pattern), strings.ToLower(name)
	if strings.HasPrefix(pattern, "@") {
		pattern = "*" + pattern
	}
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for i, p := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(name, p)
		}
		at := strings.Index(name, p)
		if at < 0 {
			return false
		}
		name = name[at+len(p):]
	}
	return name == ""
}
