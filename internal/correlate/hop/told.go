package hop

import (
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Told is a hop that another organisation answered from its own telemetry: somebody came from From to a place that
// our trace had ended at.
type Told struct {
	By         string // who answered, as messages name it
	Tenant     tenant.ID
	To         netip.Addr // the address that was asked for
	From       netip.Addr
	FromHost   string // used where From is invalid
	Partner    tenant.PartnerID
	Start, End time.Time // by Tenant's clock
	Kind       string
	Port       uint16
	User       string
	File       string  // the answer's file
	Share      float64 // how sure who answered is, 0 to 1
}

// Learn adds a told hop, so that later traces go on from there. It is no part of a snapshot: whoever traces gives the
// answers along.
func (g *Graph) Learn(t Told) {
	g.flows.told = append(g.flows.told, &t)
	g.flows.index = nil
}

// answered makes an edge of what was told.
func (ix *traceIndex) answered(t *Told) *edge {
	from := Place{Partner: t.Partner, Host: Short(t.FromHost)}
	if home := ix.home(t.Partner); home != "" && !t.From.IsValid() {
		from = ix.host(home, from.Host)
	} else if t.From.IsValid() {
		from = ix.theirs(t, t.From, t.Kind != flowNAT)
	}
	return &edge{from: from, to: ix.theirs(t, t.To, false), start: ix.common(t.Tenant, t.Start), end: ix.common(t.Tenant, t.End), port: t.Port, kind: t.Kind,
		user: t.User, told: true, share: t.Share, by: t.By, file: t.File, record: 1}
}

// home is the tenant that a partner is, or that is named where a partner should be.
func (ix *traceIndex) home(p tenant.PartnerID) tenant.ID {
	if x := ix.model.Partner(p); x != nil {
		return x.Tenant
	}
	if ix.model.Tenant(tenant.ID(p)) != nil {
		return tenant.ID(p)
	}
	return ""
}

// theirs is the place that who answered means by an address: private space is its own, whatever it means to us.
func (ix *traceIndex) theirs(t *Told, a netip.Addr, outside bool) Place {
	a, home := a.Unmap(), ix.home(t.Partner)
	switch p := ix.place(t.Tenant, a); {
	case p.Partner == t.Partner, home != "" && p.Tenant == home:
		return p
	case home != "" && (a.IsPrivate() || !outside):
		return ix.place(home, a)
	case outside && !a.IsPrivate():
		return p // somebody else's, or the Internet's
	}
	return Place{Partner: t.Partner, Addr: a}
}
