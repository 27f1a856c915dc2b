package authz

import (
	"fmt"
	"strings"
)

// Roles lists every role, least first.
var Roles = []Role{RoleSensor, RoleViewer, RoleAnalyst, RoleAdmin}

// aliases are what other products call the same.
var aliases = map[string]Role{
	"ingest": RoleSensor, "sender": RoleSensor, "writer": RoleSensor, "write": RoleSensor,
	"reader": RoleViewer, "read": RoleViewer,
	"operator": RoleAnalyst,
}

// ParseRole reads a role by its name, or by what other products call it: ingest, sender, writer and write are sensor;
// reader and read are viewer; operator is analyst.
func ParseRole(text string) (Role, error) {
	for _, r := range Roles {
		if text == string(r) {
			return r, nil
		}
	}
	if r, ok := aliases[text]; ok {
		return r, nil
	}
	names := make([]string, len(Roles))
	for i, r := range Roles {
		names[i] = string(r)
	}
	return "", fmt.Errorf("%q is no role: use %s", text, strings.Join(names, ", "))
}
