// Package authz says who may see and do what: principals with a role and a scope, tokens for senders and programs,
// passwords for people. Secrets are kept as hashes and are never logged.
//
// A bearer token or a password comes in, a Principal goes out. What can't be verified is ErrDenied, without a reason;
// what can't be looked up because the state does not answer is another error, so that a sender tries again. A token
// revoked by any process is refused within two seconds, and where the state can't be asked for that long, every
// token is.
package authz

import "github.com/breakwater-project/breakwater/internal/record/tenant"

// Role is what a principal may do, within its scope of tenants.
type Role string

// The roles, least first. Each may do what those before it may, but for RoleSensor, which may only send.
const (
	RoleSensor  Role = "sensor"  // sends telemetry, and sees nothing
	RoleViewer  Role = "viewer"  // sees findings, incidents, campaigns and coverage
	RoleAnalyst Role = "analyst" // also judges: alert levels, dead letters, acknowledgements
	RoleAdmin   Role = "admin"   // also declares: tenants, trusts, senders, tokens, users
)

// Principal is who asks.
type Principal struct {
	ID     string // of the token or user; shown in the audit
	Role   Role
	Scope  tenant.Scope // what the principal may see; empty for senders
	Tenant tenant.ID    // of a sender that speaks for one tenant
	Sensor string       // of a sender
}

// May reports whether the principal may do what the role least allows.
func (p *Principal) May(least Role) bool {
	rank := map[Role]int{RoleViewer: 1, RoleAnalyst: 2, RoleAdmin: 3}
	return p != nil && rank[p.Role] > 0 && rank[least] > 0 && rank[p.Role] >= rank[least]
}
