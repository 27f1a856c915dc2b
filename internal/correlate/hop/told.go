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
	To         Place // the place that was asked for
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

// answered makes an edge of what was told. An address that our model does not place belongs to who answered.
func (ix *traceIndex) answered(t *Told) *edge {
	from := Place{Partner: t.Partner, Host: Short(t.FromHost)}
	if t.From.IsValid() {
		from = Place{Partner: t.Partner, Addr: t.From.Unmap()}
		if p := ix.model.Partner(t.Partner); p != nil && p.Tenant != "" {
			from = ix.place(p.Tenant, t.From)
		} else if in := ix.place(t.Tenant, t.From); in.Tenant == "" && in.Partner != "" {
			from = in
		}
	} else if p := ix.model.Partner(t.Partner); p != nil && p.Tenant != "" {
		from = ix.host(p.Tenant, from.Host)
	}
	return &edge{from: from, to: t.To, start: ix.common(t.Tenant, t.Start), end: ix.common(t.Tenant, t.End), port: t.Port, kind: t.Kind,
		user: t.User, told: true, share: t.Share, by: t.By, file: t.File, record: 1}
}
