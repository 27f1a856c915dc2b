package lateral

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// relay looks whether a host asks, by DNS, TLS or HTTP, for the relay of a remote tool that no trust of the tenant
// declares. Products whose relay tells the instance are the remote-tool detector's; the others it judges only where
// they run, so that a house with network sensors alone would never hear of them. The products are public and mostly
// honest: the finding says that one is not sanctioned here, and no more.
func (d *Detector) relay(e *ocsf.Event, emit detect.Emit) {
	if e.Dst.Domain == "" || !remote(e.Src.IP) {
		return
	}
	switch e.Class {
	case ocsf.ClassDNSActivity, ocsf.ClassNetworkActivity, ocsf.ClassHTTPActivity:
	default:
		return
	}
	tool, instance, ok := remotetool.ByDomain(e.Dst.Domain)
	if !ok || tool == "screenconnect" || d.sanctioned(e.Tenant, tool) {
		return
	}
	a := &act{event: e, how: byTool, source: host{Addr: e.Src.IP}}
	d.complete(e.Tenant, &a.source)
	f := &ocsf.Finding{Tenant: e.Tenant, Layer: e.Layer, Detector: d.Name(), Rule: "lateral/new-relay"}
	f.Identify(time.Time{}, tool)
	known := d.seen(e.Time, "relay", string(e.Tenant), tool)
	o := d.s.Found[f.ID]
	if o == nil {
		if known {
			return // daily life, told when it began
		}
		o = &open{Finding: f, Kind: kindRelay, Used: tool, Warm: d.warm(e.Tenant, e.Time), Watched: e.Time.UnixNano() - d.s.First[e.Tenant]}
		d.open(o, emit)
	}
	o.Signs++
	o.Last = max(o.Last, e.Time.UnixNano())
	f = o.Finding
	f.AddEvidence(e)
	o.target(a.source)
	o.Details = worded(o.Details, e.Dst.Domain, 4)
	if len(f.Entities) < maxWords {
		f.AddEntity(entityOf(a.source), value(a.source), ocsf.RoleTarget)
		if instance != "" {
			f.AddEntity(ocsf.EntityDomain, e.Dst.Domain, "")
		}
	}
	d.grown(o, emit)
}

// sanctioned reports whether a trust into the tenant, or of the tenant as a partner, declares the product.
func (d *Detector) sanctioned(id tenant.ID, tool string) bool {
	for i := range d.model.Trusts {
		t := &d.model.Trusts[i]
		p := d.model.Partner(t.Partner)
		if t.Tenant != id && (p == nil || p.Tenant != id) {
			continue
		}
		for _, r := range t.RemoteTools {
			if r.Tool == tool {
				return true
			}
		}
	}
	return false
}
