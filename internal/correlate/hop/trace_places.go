package hop

import (
	"net/netip"
	"slices"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// point is the place that a trace starts from.
func (ix *traceIndex) point(p TracePoint) Place {
	if p.Addr.IsValid() {
		return ix.place(p.Tenant, p.Addr)
	}
	return ix.named(p.Tenant, Short(p.Host))
}

// named is the place of a host that a tenant's telemetry names as a source: its own where it reports there, else that
// of the one partner where it does, else nobody's.
func (ix *traceIndex) named(id tenant.ID, host string) Place {
	if _, err := netip.ParseAddr(host); err == nil || ix.reports(id, host) {
		return ix.host(id, host)
	}
	homes := map[tenant.ID]bool{}
	for _, t := range ix.trusts[id] {
		if p := ix.model.Partner(t.Partner); p != nil && p.Tenant != "" && ix.reports(p.Tenant, host) {
			homes[p.Tenant] = true
		}
	}
	for home := range homes {
		if len(homes) == 1 {
			return ix.host(home, host)
		}
	}
	return Place{Host: host, view: id}
}

// reports reports whether a host is known as a tenant's.
func (ix *traceIndex) reports(id tenant.ID, host string) bool {
	_, own := ix.flows.hosts[tenantHost{id, host}]
	_, leased := ix.flows.names[tenantHost{id, host}]
	return own || leased
}

// host is the place of a tenant's host: its address where the telemetry tells exactly one.
func (ix *traceIndex) host(id tenant.ID, host string) Place {
	if a, err := netip.ParseAddr(host); err == nil {
		return ix.place(id, a)
	}
	if a := ix.flows.names[tenantHost{id, host}].addr; a.IsValid() {
		return ix.place(id, a)
	}
	return Place{Tenant: id, Host: host}
}

// place says whose an address is that a tenant's telemetry names. The tenant's own networks come first, since its
// sensor decides what private space means there; a partner's longer prefix within them is a pool that is lent, unless
// the partner as a tenant declares that address itself.
func (ix *traceIndex) place(id tenant.ID, a netip.Addr) Place {
	a = a.Unmap()
	k := tenantAddr{id, a}
	p, known := ix.places[k]
	if !known {
		p = ix.whose(id, a)
		ix.places[k] = p
	}
	return p
}

func (ix *traceIndex) whose(id tenant.ID, a netip.Addr) Place {
	m := ix.model
	own, declares := -1, false
	if t := m.Tenant(id); t != nil {
		own, declares = longest(t.Networks, a), len(t.Networks) > 0
	}
	in, partner := ix.lent(id, a)
	if in > own {
		home := tenant.ID("")
		if p := m.Partner(partner); p != nil {
			home = p.Tenant
		}
		switch {
		case own < 0 && home == "":
			return Place{Partner: partner, Addr: a}
		case own < 0 || (m.Tenant(home) != nil && longest(m.Tenant(home).Networks, a) >= 0):
			return Place{Tenant: home, Addr: a}
		}
		return Place{Tenant: id, Partner: partner, Addr: a}
	}
	if own >= 0 {
		return Place{Tenant: id, Addr: a}
	}
	if to, ok := ix.entered(id, a); ok {
		return ix.place(to, a)
	}
	switch {
	case ix.known(id, a):
		return Place{Tenant: id, Addr: a}
	case a.IsPrivate() && !declares:
		return Place{Tenant: id, Addr: a}
	case a.IsPrivate():
		return Place{Addr: a, view: id}
	}
	if to, ok := ix.only(a, func(tenant.ID) bool { return true }); ok {
		return ix.place(to, a)
	}
	return Place{Addr: a}
}

// lent returns the longest prefix of the trusts into a tenant that holds the address, and whose it is.
func (ix *traceIndex) lent(id tenant.ID, a netip.Addr) (bits int, partner tenant.PartnerID) {
	bits = -1
	for _, t := range ix.trusts[id] {
		if n := longest(t.Networks, a); n > bits || (n == bits && n >= 0 && t.Partner < partner) {
			bits, partner = n, t.Partner
		}
	}
	return bits, partner
}

// known reports whether those whom the tenant enters as a partner declare the address as its own: what it leaves by.
func (ix *traceIndex) known(id tenant.ID, a netip.Addr) bool {
	p := ix.model.PartnerOf(id)
	return p != nil && slices.ContainsFunc(ix.model.Trusts, func(t tenant.Trust) bool { return t.Partner == p.ID && longest(t.Networks, a) >= 0 })
}

// entered returns the one tenant whose address it is among those that a tenant enters as a partner.
func (ix *traceIndex) entered(id tenant.ID, a netip.Addr) (tenant.ID, bool) {
	goes := map[tenant.ID]bool{}
	for i := range ix.model.Trusts {
		t := &ix.model.Trusts[i]
		if p := ix.model.Partner(t.Partner); p != nil && p.Tenant == id {
			goes[t.Tenant] = true
		}
	}
	return ix.only(a, func(to tenant.ID) bool { return goes[to] })
}

// only returns the tenant with the longest prefix that holds the address, where it is only one.
func (ix *traceIndex) only(a netip.Addr, of func(tenant.ID) bool) (tenant.ID, bool) {
	best, bits, n := tenant.ID(""), -1, 0
	for i := range ix.model.Tenants {
		t := &ix.model.Tenants[i]
		if !of(t.ID) {
			continue
		}
		switch l := longest(t.Networks, a); {
		case l > bits:
			best, bits, n = t.ID, l, 1
		case l == bits && l >= 0:
			n++
		}
	}
	return best, n == 1 && bits >= 0
}

// longest returns the length of the longest of the prefixes that holds the address, or -1.
func longest(list []netip.Prefix, a netip.Addr) int {
	best := -1
	for _, p := range list {
		if p.Contains(a) {
			best = max(best, p.Bits())
		}
	}
	return best
}
