// Package tenant holds the organisations Breakwater speaks of and what they have declared of one another:
// tenants (whose telemetry we hold), partners (who have access to a tenant), and the trust relationships
// between them. It is pure data with look-ups by id; nothing here reads a clock or a file.
package tenant

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ID names a tenant: an organisation whose telemetry we hold.
type ID string

// PartnerID names a partner: an organisation with access to a tenant. It may itself be a tenant.
type PartnerID string

// TrustID names one trust relationship, partner → tenant (ATT&CK T1199).
type TrustID string

// Role says what a tenant is to the others.
type Role string

// The roles that a tenant may have.
const (
	RoleProvider Role = "provider"
	RoleClient   Role = "client"
	RoleBoth     Role = "both"
)

// Layer is where telemetry comes from; coverage is counted by layer.
type Layer string

// The five layers.
const (
	LayerMail     Layer = "mail"
	LayerNetwork  Layer = "network"
	LayerEndpoint Layer = "endpoint"
	LayerCloud    Layer = "cloud"
	LayerAccess   Layer = "access"
)

// Layers lists every layer in the order in which they are shown.
var Layers = []Layer{LayerMail, LayerNetwork, LayerEndpoint, LayerCloud, LayerAccess}

// Tenant is one organisation whose telemetry we hold.
type Tenant struct {
	ID       ID
	Name     string
	Aliases  []string
	Role     Role
	Domains  []string       // mail and web domains, lower case
	Networks []netip.Prefix // the tenant's own address space, in its own meaning of RFC 1918
}

// Partner is an organisation with access to one or more tenants.
type Partner struct {
	ID     PartnerID
	Name   string
	Tenant ID // set only where we hold the partner's own telemetry
}

// RemoteTool is one remote-support product that a trust declares, by instance and relay hosts.
type RemoteTool struct {
	Tool     string // product, lower case without spaces: screenconnect, anydesk, teamviewer …
	Instance string // the product's own instance id; empty declares the product as such
	Hosts    []string
}

// CloudPrincipal is one way in which a partner appears in a tenant's cloud logs; exactly one field is set.
type CloudPrincipal struct {
	HomeTenant string
	AppID      string
	AccountID  string
	Role       string
}

// Hours is a weekly window in UTC in which a trust is used; the zero value means any time.
type Hours struct {
	Days       [7]bool // by time.Weekday
	From, To   int     // minutes of the day; To before From passes midnight
	Restricted bool
}

// Contains reports whether t (taken in UTC) lies within the window.
func (h Hours) Contains(t time.Time) bool {
	if !h.Restricted {
		return true
	}
	t = t.UTC()
	m := t.Hour()*60 + t.Minute()
	if h.From <= h.To {
		return h.Days[t.Weekday()] && m >= h.From && m < h.To
	}
	if m >= h.From {
		return h.Days[t.Weekday()]
	}
	return m < h.To && h.Days[(t.Weekday()+6)%7]
}

// Trust is a declared trust relationship: partner → tenant with its accesses, owner and validity.
type Trust struct {
	ID              TrustID
	Partner         PartnerID
	Tenant          ID
	Owner           string
	Through         PartnerID // set where the partner comes by way of another partner
	Networks        []netip.Prefix
	Accounts        []string // exact, glob (isl-*) or @domain / *@domain
	MailDomains     []string
	RemoteTools     []RemoteTool
	JumpHosts       []string
	CloudPrincipals []CloudPrincipal
	Rights          []string
	Hours           Hours
	Destinations    []string
	ValidFrom       time.Time // zero: since ever
	ValidUntil      time.Time // zero: no end; exclusive
	Trace           TraceTerms
}

// TraceTerms say with whom trace requests about a trust are exchanged, and how. The peer is the Breakwater of the
// trust's other side: at a client the partner's, at a provider the client's.
type TraceTerms struct {
	Peer    string // fingerprint of its key, SHA256:…; empty: requests are exchanged with nobody
	Auto    bool   // answers go out without a person's approval
	Account bool   // answers may name accounts
}

// ValidAt reports whether the trust holds at time t.
func (t *Trust) ValidAt(at time.Time) bool {
	return (t.ValidFrom.IsZero() || !at.Before(t.ValidFrom)) && (t.ValidUntil.IsZero() || at.Before(t.ValidUntil))
}

// Approval allows one act of a partner for a time: who asked for it stands beside what it explains.
type Approval struct {
	Trust  TrustID
	Src    netip.Prefix
	Dst    netip.Prefix
	Kind   string // scan, …
	From   time.Time
	Until  time.Time
	Owner  string
	Reason string
}

// Covers reports whether the approval explains an act of that kind from src to dst at time t.
// An invalid dst is covered when src, kind and time are.
func (a *Approval) Covers(kind string, trust TrustID, src, dst netip.Addr, t time.Time) bool {
	return a.Kind == kind && a.Trust == trust &&
		a.Src.IsValid() && src.IsValid() && a.Src.Contains(src) &&
		(!a.Dst.IsValid() || !dst.IsValid() || a.Dst.Contains(dst)) &&
		!t.Before(a.From) && t.Before(a.Until)
}

// Model is everything declared, immutable once built; Version changes with its content.
type Model struct {
	Version   string
	Tenants   []Tenant
	Partners  []Partner
	Trusts    []Trust
	Approvals []Approval
}

// Tenant returns the tenant with that id, or nil.
func (m *Model) Tenant(id ID) *Tenant {
	if i := slices.IndexFunc(m.Tenants, func(t Tenant) bool { return t.ID == id }); i >= 0 {
		return &m.Tenants[i]
	}
	return nil
}

// Partner returns the partner with that id, or nil.
func (m *Model) Partner(id PartnerID) *Partner {
	if i := slices.IndexFunc(m.Partners, func(p Partner) bool { return p.ID == id }); i >= 0 {
		return &m.Partners[i]
	}
	return nil
}

// Trust returns the trust with that id, or nil.
func (m *Model) Trust(id TrustID) *Trust {
	if i := slices.IndexFunc(m.Trusts, func(t Trust) bool { return t.ID == id }); i >= 0 {
		return &m.Trusts[i]
	}
	return nil
}

// TrustsInto returns the trusts that lead into a tenant, in declared order.
func (m *Model) TrustsInto(id ID) []*Trust {
	var out []*Trust
	for i := range m.Trusts {
		if m.Trusts[i].Tenant == id {
			out = append(out, &m.Trusts[i])
		}
	}
	return out
}

// TrustsOf returns the trusts of a partner into all tenants, in declared order.
func (m *Model) TrustsOf(id PartnerID) []*Trust {
	var out []*Trust
	for i := range m.Trusts {
		if m.Trusts[i].Partner == id {
			out = append(out, &m.Trusts[i])
		}
	}
	return out
}

// PartnerOf returns the partner that is this tenant seen from outside, or nil.
func (m *Model) PartnerOf(id ID) *Partner {
	if i := slices.IndexFunc(m.Partners, func(p Partner) bool { return p.Tenant == id && id != "" }); i >= 0 {
		return &m.Partners[i]
	}
	return nil
}

// DomainOwner returns the tenant or partner whose declared domain equals or is a parent of host. The longest domain
// decides, so that a subsidiary may have a name below its parent's; of the same domain the tenant is the owner.
func (m *Model) DomainOwner(host string) (ID, PartnerID) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	var owner ID
	var partner PartnerID
	longest := 0
	for i := range m.Tenants {
		for _, d := range m.Tenants[i].Domains {
			if len(d) > longest && WithinDomain(host, d) {
				owner, longest = m.Tenants[i].ID, len(d)
			}
		}
	}
	for i := range m.Trusts {
		for _, d := range m.Trusts[i].MailDomains {
			if len(d) > longest && WithinDomain(host, d) {
				owner, partner, longest = "", m.Trusts[i].Partner, len(d)
			}
		}
	}
	return owner, partner
}

// WithinDomain reports whether host is domain or lies below it; both in lower case.
func WithinDomain(host, domain string) bool {
	return host == domain || (len(host) > len(domain) && strings.HasSuffix(host, domain) && host[len(host)-len(domain)-1] == '.')
}
