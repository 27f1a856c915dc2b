package phish

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// contactName returns the name that a DNS, TLS or HTTP event asks for, in lower case.
func contactName(e *ocsf.Event) string {
	h := e.Dst.Domain
	if h == "" && e.URL != "" {
		h = hostIn(e.URL)
	}
	h = strings.TrimSuffix(h, ".")
	for i := range len(h) {
		if h[i] >= 'A' && h[i] <= 'Z' {
			return strings.ToLower(h)
		}
	}
	return h
}

// contact looks at one DNS query, TLS name or HTTP host. One finding a tenant, source and apex within a day; an HTTP
// POST to such a name means that something was given away there.
func (d *Detector) contact(e *ocsf.Event, emit detect.Emit) {
	host := contactName(e)
	declared, apex, ok := d.names.underApex(host)
	if !ok {
		return
	}
	src := sourceOf(e)
	key := string(e.Tenant) + "\x00" + src + "\x00" + apex
	o := d.state.Contacts[key]
	if o == nil || e.Time.Sub(o.Since) > openFor {
		f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: "phish", Rule: "phish/victim-domain-contact",
			Title: "Contact with a known organisation's domain under a foreign apex", Technique: "T1566.002", Severity: ocsf.SeverityHigh, Confidence: 85,
			Outcome: ocsf.OutcomeAttempted}
		if d.model != nil {
			f.Snapshot = d.model.Version
		}
		if f.Layer == "" {
			f.Layer = tenant.LayerNetwork
		}
		f.Reason = fmt.Sprintf("%s asked for %s, which carries %s as labels under %s, a domain that nobody declared: a link of that kind was followed.", src, host, declared, apex)
		f.Identify(e.Time.UTC().Truncate(openFor), src, apex)
		o = &open{Since: e.Time, Finding: (*finding)(f)}
		d.open(d.state.Contacts, key, o)
	}
	f := (*ocsf.Finding)(o.Finding)
	before := *f
	f.AddEvidence(e)
	d.contactEntities(f, e, host, apex)
	if posts(e) && f.Outcome != ocsf.OutcomeSucceeded {
		f.Outcome, f.Confidence = ocsf.OutcomeSucceeded, 90
		f.Reason += fmt.Sprintf(" Something was sent there by HTTP POST at %s: take a password as given away.", e.Time.UTC().Format("15:04:05"))
	}
	if before.Count < ocsf.MaxEvidence || before.Outcome != f.Outcome || f.Count%100 == 0 {
		emit(clone(f))
	}
}

func (d *Detector) contactEntities(f *ocsf.Finding, e *ocsf.Event, host, apex string) {
	f.AddEntity(ocsf.EntityDomain, apex, ocsf.RoleInfrastructure)
	if len(f.Entities) > 40 {
		return
	}
	if host != apex {
		f.AddEntity(ocsf.EntityDomain, host, "")
	}
	for _, a := range e.Answers {
		if ip, err := netip.ParseAddr(a); err == nil && public(ip) {
			f.AddEntity(ocsf.EntityIP, ip.String(), ocsf.RoleInfrastructure)
		}
	}
	if e.Class != ocsf.ClassDNSActivity && public(e.Dst.IP) {
		f.AddEntity(ocsf.EntityIP, e.Dst.IP.String(), ocsf.RoleInfrastructure)
	}
	if e.Src.IP.IsValid() {
		f.AddEntity(ocsf.EntityIP, e.Src.IP.String(), ocsf.RoleTarget)
	}
	f.AddEntity(ocsf.EntityHost, firstName(e.Src.Host, e.Device), ocsf.RoleTarget)
	if n := firstName(e.Owner.Name, e.User.Name); n != "" {
		f.AddEntity(ocsf.EntityUser, n, ocsf.RoleTarget)
	}
}

func firstName(list ...string) string {
	for _, s := range list {
		if s != "" && s != "-" {
			return s
		}
	}
	return ""
}

func public(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !ip.IsUnspecified() && !ip.IsMulticast()
}

func sourceOf(e *ocsf.Event) string {
	if e.Src.IP.IsValid() {
		return e.Src.IP.String()
	}
	return firstName(e.Src.Host, e.Device, e.User.Name, "a host")
}

func posts(e *ocsf.Event) bool {
	if e.Class != ocsf.ClassHTTPActivity {
		return false
	}
	for _, v := range [...]string{e.Activity, e.Fields.Value("method"), e.Fields.Value("http.http_method"), e.Fields.Value("cs-method"), e.Fields.Value("http_method")} {
		if strings.EqualFold(v, "post") {
			return true
		}
	}
	return false
}

func (d *Detector) explainContact(e *ocsf.Event) []string {
	host := contactName(e)
	if host == "" {
		return nil
	}
	if declared, apex, ok := d.names.underApex(host); ok {
		return []string{fmt.Sprintf("%s carries the declared domain %s under %s, which nobody declared", host, declared, apex)}
	}
	if d.names.declared(host) {
		return []string{host + " is declared"}
	}
	return []string{host + " carries no declared domain as labels"}
}
