package inventory

import (
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// Declared is what a model declares of one tenant's remote tools: those of the trusts into it, and those that it uses
// itself as somebody's partner.
type Declared struct {
	known bool
	tools map[string][]declaredTool
}

type declaredTool struct {
	tenant.RemoteTool
	trust *tenant.Trust
	own   bool // the tenant is the partner
}

// NewDeclared looks a tenant up in a model. Without a model, or without the tenant in it, nothing is known.
func NewDeclared(m *tenant.Model, id tenant.ID) *Declared {
	d := &Declared{tools: map[string][]declaredTool{}}
	if m == nil || m.Tenant(id) == nil {
		return d
	}
	d.known = true
	self := m.PartnerOf(id)
	for i := range m.Trusts {
		t := &m.Trusts[i]
		own := self != nil && t.Partner == self.ID
		if t.Tenant != id && !own {
			continue
		}
		for _, r := range t.RemoteTools {
			name := remotetool.Normalise(r.Tool)
			d.tools[name] = append(d.tools[name], declaredTool{r, t, own})
		}
	}
	return d
}

// Verdict is what was declared of one installation.
type Verdict struct {
	Sanctioned product.State
	Foreign    product.State    // the product is declared and this instance is not
	Trust      tenant.TrustID   // that declares it; empty: none, or not this instance
	Partner    tenant.PartnerID // whose it is then
}

// Judge says whether a tool was declared at a time; instance and relay may be empty where they are not known, and the
// time zero: then only trusts without begin and end count for sure.
func (d *Declared) Judge(tool, instance, relay string, at time.Time) Verdict {
	if !d.known {
		return Verdict{}
	}
	unsure, other := false, false
	for _, r := range d.tools[remotetool.Normalise(tool)] {
		if !r.own {
			bounded := !r.trust.ValidFrom.IsZero() || !r.trust.ValidUntil.IsZero()
			if at.IsZero() && bounded {
				unsure = true
				continue
			}
			if !at.IsZero() && !r.trust.ValidAt(at) {
				continue
			}
		}
		switch r.covers(instance, relay) {
		case product.Yes:
			v := Verdict{Sanctioned: product.Yes, Foreign: product.No}
			if !r.own {
				v.Trust, v.Partner = r.trust.ID, r.trust.Partner
			}
			return v
		case product.No:
			other = true
		default:
			unsure = true
		}
	}
	switch {
	case unsure:
		return Verdict{}
	case other:
		return Verdict{Sanctioned: product.No, Foreign: product.Yes}
	}
	return Verdict{Sanctioned: product.No}
}

// covers compares an installation with one declared tool.
func (r *declaredTool) covers(instance, relay string) product.State {
	if r.Instance == "" && len(r.Hosts) == 0 {
		return product.Yes
	}
	if instance != "" && r.Instance != "" {
		if strings.EqualFold(instance, r.Instance) {
			return product.Yes
		}
		return product.No
	}
	if relay != "" && len(r.Hosts) > 0 {
		for _, h := range r.Hosts {
			if tenant.WithinDomain(relay, strings.ToLower(h)) {
				return product.Yes
			}
		}
		return product.No
	}
	return product.NotKnown
}
