package attribute

import (
	"cmp"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// A rule names the trust by which an event came and why; nil where it does not apply. A direction is returned
// where the rule knows better than the addresses.
type rule func(a *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction)

// rules in the order in which they are tried: a principal that names itself before a session, a session before
// an address, since logs cut addresses and pools are shared.
var rules = []rule{byCloudPrincipal, byRemoteTool, byAccount, bySession, byNetwork, byJumpHost, byMailDomain, byCompany, byDestination}

func byCloudPrincipal(_ *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	c := e.Cloud
	if c == nil {
		return nil, "", ""
	}
	try := func(kind, value string) (*tenant.Trust, string, ocsf.Direction) {
		if value == "" {
			return nil, "", ""
		}
		if t := choose(sp.cloud[kind+"="+strings.ToLower(value)], e.Time); t != nil {
			return t, "cloud principal " + kind + " " + value, ocsf.DirectionIn
		}
		return nil, "", ""
	}
	for _, k := range [...][2]string{{"app_id", c.AppID}, {"account_id", c.AccountID}, {"role", e.Actor.Name}} {
		if t, why, d := try(k[0], k[1]); t != nil {
			return t, why, d
		}
	}
	if foreign(c.HomeTenant, c.ResourceTenant) {
		if t, why, d := try("home_tenant", c.HomeTenant); t != nil {
			return t, why, d
		}
	}
	if c.ServicePrin && foreign(c.AppOwnerTenant, c.ResourceTenant) {
		if t, why, d := try("home_tenant", c.AppOwnerTenant); t != nil {
			return t, why, d
		}
	}
	return sp.delegated(e)
}

// partnerAccount is how a provider's people appear in a customer's audit log under delegated administration:
// a name without meaning at the provider's own domain.
var partnerAccount = regexp.MustCompile(`^user_[0-9a-f]{32}@(.+)$`)

func (sp *space) delegated(e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	// Whoever acts, where the log tells: the user is then whom it is done to.
	m := partnerAccount.FindStringSubmatch(strings.ToLower(cmp.Or(e.Actor.Name, e.User.Name)))
	if m == nil {
		return nil, "", ""
	}
	if t := choose(sp.mail[m[1]], e.Time); t != nil {
		return t, "delegated account of " + m[1], ocsf.DirectionIn
	}
	return nil, "", ""
}

// foreign reports whether a principal of home acts in another cloud tenant; a log that names no resource tenant
// is the tenant's own, so that a named home that differs from nothing is not taken for foreign.
func foreign(home, resource string) bool {
	return home != "" && resource != "" && !strings.EqualFold(home, resource)
}

func byRemoteTool(_ *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	r := e.Remote
	if r == nil || r.Tool == "" {
		return nil, "", ""
	}
	for _, k := range toolKeys(r) {
		if t := choose(sp.rmm[k], e.Time); t != nil {
			return t, "remote tool " + k.String(), ocsf.DirectionIn
		}
	}
	return nil, "", ""
}

// toolKeys returns what may declare the tool of a session, most specific first. An instance that is known and not
// declared is not covered by one that is, even behind the same relay.
func toolKeys(r *ocsf.RemoteSession) []toolKey {
	var keys []toolKey
	instance := anyInstance
	if r.Instance != "" {
		keys, instance = append(keys, toolKey{tool: r.Tool, instance: strings.ToLower(r.Instance)}), ""
	}
	for host, ok := strings.ToLower(r.Relay), true; ok && host != ""; _, host, ok = strings.Cut(host, ".") {
		keys = append(keys, toolKey{r.Tool, instance, host})
	}
	return append(keys, toolKey{tool: r.Tool})
}

// String is how a rule names the declaration: tool/instance, tool/@host or tool.
func (k toolKey) String() string {
	switch {
	case k.host != "":
		return k.tool + "/@" + k.host
	case k.instance != "":
		return k.tool + "/" + k.instance
	}
	return k.tool
}

func byAccount(_ *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	if e.Mail != nil {
		return nil, "", ""
	}
	// The actor comes through the trust; an account that is only changed by somebody else does not.
	u := e.User
	if e.Class == ocsf.ClassAccountChange || e.Class == ocsf.ClassGroupManagement || u.Name == "" {
		u = e.Actor
	}
	t, pattern := sp.account(u, e.Time)
	if t == nil && e.Cloud != nil {
		t, pattern = sp.account(e.Actor, e.Time) // who has a service account, or another user, act for them
	}
	if t == nil && e.Lease != nil {
		t, pattern = sp.account(e.Lease.Holder, e.Time)
	}
	if t == nil {
		return nil, "", ""
	}
	return t, "account " + pattern, ocsf.DirectionIn
}

func (sp *space) account(u ocsf.User, at time.Time) (*tenant.Trust, string) {
	if u.Name == "" || u.Name == "-" {
		return nil, ""
	}
	names := [2]string{sp.qualified(u), strings.ToLower(u.Name)}
	if _, after, ok := strings.Cut(names[1], `\`); ok {
		names[1] = after
	}
	for _, name := range names {
		if t := choose(sp.exact[name], at); t != nil && name != "" {
			return t, name
		}
	}
	for _, p := range sp.patterns {
		name := names[1]
		if strings.Contains(p.glob, `\`) {
			name = names[0]
		}
		if p.trust.ValidAt(at) && tenant.MatchAccount(p.glob, name) {
			return p.trust, p.glob
		}
	}
	return nil, ""
}

// qualified returns the account as domain\name where the domain is known and some trust declares accounts so.
func (sp *space) qualified(u ocsf.User) string {
	switch {
	case !sp.windows:
		return ""
	case strings.Contains(u.Name, `\`):
		return strings.ToLower(u.Name)
	case u.Domain != "":
		return strings.ToLower(u.Domain + `\` + u.Name)
	}
	return ""
}

func bySession(_ *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	if e.Owner.Name == "" {
		return nil, "", ""
	}
	if t, pattern := sp.account(e.Owner, e.Time); t != nil {
		return t, "session of " + e.Owner.Name + " (account " + pattern + ")", ocsf.DirectionIn
	}
	return nil, "", ""
}

func (sp *space) network(addr netip.Addr, at time.Time) (*tenant.Trust, string) {
	if !addr.IsValid() {
		return nil, ""
	}
	if addr = addr.Unmap(); !sp.prefixes.Contains(addr) { // nearly all; it costs less than to ask which
		return nil, ""
	}
	// Longest prefix first; a shorter one serves where the longer's trust does not hold at the time.
	for p, list := range sp.prefixes.Supernets(netip.PrefixFrom(addr, addr.BitLen())) {
		if t := choose(list, at); t != nil {
			return t, p.String()
		}
	}
	return nil, ""
}

func byNetwork(_ *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	if e.Mail != nil {
		return nil, "", ""
	}
	if e.Owner.Name != "" && e.Lease == nil && !sp.declaredPool(e) {
		// The session names the holder, and the holder is nobody the trusts declare: the pool is shared, and
		// its address proves nothing.
		return nil, "", ""
	}
	t, p := sp.network(e.Src.IP, e.Time)
	if t == nil && e.Lease != nil {
		t, p = sp.network(e.Lease.Public, e.Time)
	}
	if t == nil && e.Inside.IsValid() {
		t, p = sp.network(e.Inside, e.Time)
		p += " behind a translation"
	}
	if t == nil {
		return nil, "", ""
	}
	return t, "network " + p, ocsf.DirectionIn
}

// declaredPool reports whether the declared prefix of a pool speaks for who holds an address of it: the session
// itself came from a declared network, or nobody knows from where it came and the declaration is all there is.
func (sp *space) declaredPool(e *ocsf.Event) bool {
	t, _ := sp.network(e.OwnerFrom, e.Time)
	return t != nil || !e.OwnerFrom.IsValid()
}

func byJumpHost(_ *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	if len(sp.jump) == 0 {
		return nil, "", ""
	}
	for _, h := range [...]string{e.Src.Host, addrText(e.Src.IP.Unmap())} {
		if h == "" {
			continue
		}
		h = strings.ToLower(h)
		if t := choose(sp.jump[h], e.Time); t != nil && !sp.own.Contains(e.Src.IP.Unmap()) {
			return t, "jump host " + h, ocsf.DirectionIn
		}
	}
	return nil, "", ""
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func byMailDomain(_ *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	if e.Mail == nil {
		return nil, "", ""
	}
	for _, from := range [...]string{e.Mail.From, e.Mail.EnvelopeFrom} {
		domain := from[strings.LastIndexByte(from, '@')+1:] // a quoted local part may hold an @ of its own
		for ok := domain != from; ok && domain != ""; {
			if t := choose(sp.mail[domain], e.Time); t != nil {
				return t, "mail domain " + domain, ocsf.DirectionIn
			}
			_, domain, ok = strings.Cut(domain, ".")
		}
	}
	return nil, "", ""
}

// byCompany attributes what a provider's own remote tool says it did at a client, by the client's name.
func byCompany(a *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	if e.Remote == nil || e.Remote.Company == "" {
		return nil, "", ""
	}
	var found *tenant.Trust
	for _, id := range a.company[strings.ToLower(e.Remote.Company)] {
		t := choose(sp.out[id], e.Time)
		if t != nil && found != nil {
			return nil, "", "" // two clients bear the name: it tells neither
		}
		found = cmp.Or(found, t)
	}
	if found == nil {
		return nil, "", ""
	}
	return found, "remote tool company " + e.Remote.Company, ocsf.DirectionOut
}

func byDestination(_ *Attributor, sp *space, e *ocsf.Event) (*tenant.Trust, string, ocsf.Direction) {
	if e.Flow == nil && e.Class != ocsf.ClassNetworkActivity {
		return nil, "", ""
	}
	if t, p := sp.network(e.Dst.IP, e.Time); t != nil {
		return t, "destination network " + p, ocsf.DirectionOut
	}
	return nil, "", ""
}
