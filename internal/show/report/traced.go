package report

import (
	"fmt"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// traced says in one line how far back an incident was traced, and whom to ask where our telemetry ends; "" where
// nothing was traced.
func (n namer) traced(t *campaign.IncidentTrace) string {
	if t == nil {
		return ""
	}
	whose := n.tenant(t.Origin.Tenant)
	if t.Origin.Tenant == "" && t.Ask != "" {
		whose = n.partner(tenant.PartnerID(t.Ask))
	}
	s := fmt.Sprintf("traced back to %s (%s) over %s", short(t.Origin.Entity.Value), whose, count(len(t.Hops), "hop", "hops"))
	if t.Ask != "" {
		s += fmt.Sprintf("; ask %s for %s", n.asked(t.Ask), short(t.For))
	}
	if k := len(t.Others); k > 0 {
		s += fmt.Sprintf("; %s", count(k, "more source", "more sources"))
	}
	return s
}

// asked names whom a trace request goes to: a partner, or a tenant for whom no partner is declared.
func (n namer) asked(id string) string {
	if n.model.Partner(tenant.PartnerID(id)) == nil {
		return n.tenant(tenant.ID(id))
	}
	return n.partner(tenant.PartnerID(id))
}

// Traced returns the line of an incident's trace for the page.
func (p *page) Traced(t *campaign.IncidentTrace) string { return p.names.traced(t) }

// Traces returns an incident's traces in one list.
func (p *page) Traces(t *campaign.IncidentTrace) []campaign.IncidentTrace {
	return append([]campaign.IncidentTrace{*t}, t.Others...)
}
