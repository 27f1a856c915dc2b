// Package attribute says through whose trust an event came: it fills Event.Attribution from the declared trust
// relationships valid at the event's time and from the sessions known to it (who held an address when). The
// event's tenant is set before and never changed here; the tenant's own meaning of RFC 1918 space decides.
//
// Attribution is a pure function of (event, trusts, sessions): nothing is guessed, and every attribution names
// its rule. An event that no rule covers keeps an empty trust.
package attribute

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gaissmai/bart"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Attributor attributes events. It is safe for concurrent use once sessions are sealed.
type Attributor struct {
	model    *tenant.Model
	tenants  map[tenant.ID]*space
	sessions *Sessions
	company  map[string][]tenant.ID // a client's name as remote tools write it → the tenants that bear it
}

// space is what one tenant declares of those who come in.
type space struct {
	own      bart.Lite
	prefixes bart.Table[[]*tenant.Trust]
	exact    map[string][]*tenant.Trust
	patterns []accountPattern // in the order in which they are tried
	windows  bool             // some account is declared as domain\name
	mail     map[string][]*tenant.Trust
	rmm      map[toolKey][]*tenant.Trust
	cloud    map[string][]*tenant.Trust // kind=value
	jump     map[string][]*tenant.Trust
	out      map[tenant.ID][]*tenant.Trust // trusts by which this tenant, as partner, enters others
}

type accountPattern struct {
	glob  string
	trust *tenant.Trust
}

// compare puts the most specific glob first, by how many characters it fixes; of equally specific ones that which
// became valid last, then the lowest trust id.
func (p accountPattern) compare(q accountPattern) int {
	fixed := func(glob string) int { return len(glob) - strings.Count(glob, "*") }
	return cmp.Or(fixed(q.glob)-fixed(p.glob), q.trust.ValidFrom.Compare(p.trust.ValidFrom), cmp.Compare(p.trust.ID, q.trust.ID))
}

// toolKey is what a trust declares of a remote tool: an instance, a relay host, or the product as such.
type toolKey struct{ tool, instance, host string }

// anyInstance stands in the key of a relay host that is declared beside an instance: it serves records that do
// not tell their instance.
const anyInstance = "*"

// New builds an attributor for a model and the sessions learned so far; sessions may be nil.
func New(m *tenant.Model, s *Sessions) *Attributor {
	a := &Attributor{model: m, tenants: map[tenant.ID]*space{}, sessions: s, company: map[string][]tenant.ID{}}
	for i := range m.Tenants {
		t := &m.Tenants[i]
		sp := &space{exact: map[string][]*tenant.Trust{}, mail: map[string][]*tenant.Trust{}, rmm: map[toolKey][]*tenant.Trust{},
			cloud: map[string][]*tenant.Trust{}, jump: map[string][]*tenant.Trust{}, out: map[tenant.ID][]*tenant.Trust{}}
		for _, p := range t.Networks {
			sp.own.Insert(p.Masked())
		}
		a.tenants[t.ID] = sp
		for _, n := range append([]string{t.Name, string(t.ID)}, t.Aliases...) {
			if k := strings.ToLower(n); !slices.Contains(a.company[k], t.ID) {
				a.company[k] = append(a.company[k], t.ID)
			}
		}
	}
	for i := range m.Trusts {
		a.declare(&m.Trusts[i])
	}
	for _, sp := range a.tenants {
		slices.SortStableFunc(sp.patterns, accountPattern.compare)
	}
	return a
}

func (a *Attributor) declare(t *tenant.Trust) {
	if p := a.model.Partner(t.Partner); p != nil && p.Tenant != "" {
		if from := a.tenants[p.Tenant]; from != nil {
			from.out[t.Tenant] = append(from.out[t.Tenant], t)
		}
	}
	sp := a.tenants[t.Tenant]
	if sp == nil {
		return
	}
	for _, p := range t.Networks {
		list, _ := sp.prefixes.Get(p.Masked())
		sp.prefixes.Insert(p.Masked(), append(list, t))
	}
	for _, acc := range t.Accounts {
		acc = strings.ToLower(acc)
		if strings.HasPrefix(acc, "@") {
			acc = "*" + acc
		}
		sp.windows = sp.windows || strings.Contains(acc, `\`)
		if strings.Contains(acc, "*") {
			sp.patterns = append(sp.patterns, accountPattern{acc, t})
		} else {
			sp.exact[acc] = append(sp.exact[acc], t)
		}
	}
	for _, d := range t.MailDomains {
		sp.mail[strings.ToLower(d)] = append(sp.mail[strings.ToLower(d)], t)
	}
	for _, r := range t.RemoteTools {
		sp.declareTool(t, r)
	}
	for _, c := range t.CloudPrincipals {
		for kind, v := range map[string]string{"home_tenant": c.HomeTenant, "app_id": c.AppID, "account_id": c.AccountID, "role": c.Role} {
			if v != "" {
				k := kind + "=" + strings.ToLower(v)
				sp.cloud[k] = append(sp.cloud[k], t)
			}
		}
	}
	for _, h := range t.JumpHosts {
		sp.jump[strings.ToLower(h)] = append(sp.jump[strings.ToLower(h)], t)
	}
}

func (sp *space) declareTool(t *tenant.Trust, r tenant.RemoteTool) {
	put := func(k toolKey) { sp.rmm[k] = append(sp.rmm[k], t) }
	if r.Instance != "" {
		put(toolKey{tool: r.Tool, instance: strings.ToLower(r.Instance)})
	} else if len(r.Hosts) == 0 {
		put(toolKey{tool: r.Tool})
	}
	for _, h := range r.Hosts {
		put(toolKey{r.Tool, anyInstance, strings.ToLower(h)})
		if r.Instance == "" {
			put(toolKey{r.Tool, "", strings.ToLower(h)})
		}
	}
}

// Attribute fills e.Attribution. Its answer for the same event, model and sessions is always the same.
func (a *Attributor) Attribute(e *ocsf.Event) {
	e.Attribution = ocsf.Attribution{}
	sp := a.tenants[e.Tenant]
	if sp == nil {
		return
	}
	a.owner(e)
	e.Direction = sp.direction(e)
	for _, rule := range rules {
		t, why, dir := rule(a, sp, e)
		if t == nil {
			continue
		}
		e.Trust, e.Partner, e.Rule = t.ID, t.Partner, why
		if dir != "" {
			e.Direction = dir
		}
		return
	}
}

// Learn takes what an event tells of who holds an address: a lease, or a partner's account that logs on from
// an address outside the tenant's own networks. It is called before the sessions are sealed.
func (a *Attributor) Learn(e *ocsf.Event) {
	if a.sessions == nil {
		return
	}
	if e.Lease != nil || e.NAT != nil {
		a.sessions.Learn(e)
		return
	}
	sp := a.tenants[e.Tenant]
	if sp == nil || e.Cloud != nil || !e.Src.IP.IsPrivate() || e.User.Name == "" || sp.own.Contains(e.Src.IP.Unmap()) || e.Status == ocsf.StatusFailure {
		return
	}
	if e.Class != ocsf.ClassAuthentication && e.Class != ocsf.ClassRDPActivity {
		return
	}
	if t, _ := sp.account(e.User, e.Time); t != nil {
		a.sessions.LearnLogon(e)
	}
}

// Own reports whether addr lies in the tenant's declared networks.
func (a *Attributor) Own(id tenant.ID, addr netip.Addr) bool {
	sp := a.tenants[id]
	return sp != nil && sp.own.Contains(addr.Unmap())
}

// owner tells who held the source address at the time, and from where they came.
func (a *Attributor) owner(e *ocsf.Event) {
	if a.sessions == nil {
		return
	}
	if l := e.Lease; l != nil {
		if x, ok := a.sessions.session(e.Tenant, l, e.Time); ok && x.Kind != "dhcp" {
			e.Session = x.ID
		}
		return
	}
	if !e.Src.IP.IsValid() {
		return
	}
	b := a.sessions.Behind(e)
	if b.Inside.IsValid() {
		a.hidden(e, b.Inside)
		return
	}
	l, ok := a.sessions.Holder(e.Tenant, e.Src.IP, e.Time)
	if ok && l.Kind == "nat" && l.Public.IsValid() {
		a.hidden(e, l.Public)
		e.Session = cmp.Or(e.Session, l.ID)
		return
	}
	e.SharedBy = uint16(b.SharedBy)
	if ok && !(l.Kind == "logon" && e.SharedBy > 0) { // who logs on from a shared address is not all who come from it
		e.Owner, e.OwnerFrom, e.OwnerHost = l.Holder, l.Public, l.Device
		if l.Kind != "dhcp" && l.Kind != "logon" {
			e.Session = l.ID
		}
	}
}

// hidden tells who held an address that a translation hid. Where nobody is known to have, the address itself is
// where they came from.
func (a *Attributor) hidden(e *ocsf.Event, inside netip.Addr) {
	e.Inside, e.OwnerFrom = inside, inside
	l, ok := a.sessions.Holder(e.Tenant, inside, e.Time)
	if !ok || l.Kind == "nat" {
		return
	}
	e.Owner, e.OwnerHost = l.Holder, l.Device
	if l.Public.IsValid() {
		e.OwnerFrom = l.Public
	}
	if l.Kind != "dhcp" && l.Kind != "logon" {
		e.Session = l.ID
	}
}

func (sp *space) direction(e *ocsf.Event) ocsf.Direction {
	if m := e.Mail; m != nil {
		return ocsf.DirectionIn
	}
	src, dst := e.Src.IP.Unmap(), e.Dst.IP.Unmap()
	switch {
	case !src.IsValid():
		return ocsf.DirectionUnknown
	case !sp.own.Contains(src):
		return ocsf.DirectionIn
	case dst.IsValid() && !sp.own.Contains(dst):
		return ocsf.DirectionOut
	}
	return ocsf.DirectionInternal
}

// choose returns the trust valid at t; of several, the one that became valid last, then the lowest id.
func choose(list []*tenant.Trust, t time.Time) *tenant.Trust {
	var best *tenant.Trust
	for _, x := range list {
		if !x.ValidAt(t) {
			continue
		}
		if best == nil || x.ValidFrom.After(best.ValidFrom) || (x.ValidFrom.Equal(best.ValidFrom) && x.ID < best.ID) {
			best = x
		}
	}
	return best
}
