package phish

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

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

// sign is why a name that an event asks for matters.
type sign struct {
	rule, title, why string
	technique        ocsf.Technique
	severity         ocsf.Severity
	confidence       int
	apex             string
}

// touched says why a name matters: it carries a declared domain under a foreign apex, or a high finding of the last
// days in the same tenant's mail leads there.
func (d *Detector) touched(e *ocsf.Event, host string) (sign, bool) {
	if declared, apex, ok := d.names.underApex(host); ok {
		return sign{rule: "phish/victim-domain-contact", title: "Contact with a known organisation's domain under a foreign apex", technique: "T1566.002",
			severity: ocsf.SeverityHigh, confidence: 85, apex: apex,
			why: fmt.Sprintf("carries %s as labels under %s, a domain that nobody declared: a link of that kind was followed", declared, apex)}, true
	}
	s := d.state.Mail[e.Tenant]
	if s == nil || len(s.Lures) == 0 || host == "" {
		return sign{}, false
	}
	for _, name := range [...]string{host, apexOf(host)} {
		at, ok := s.Lures[name]
		if age := e.Time.Unix() - at; ok && age >= 0 && age < int64(flaggedFor/time.Second) {
			return sign{rule: "phish/link-followed", title: "A link of a phishing mail was followed", technique: "T1204.001", severity: ocsf.SeverityMedium, confidence: 70, apex: name,
				why: fmt.Sprintf("is where a phishing mail of %s leads", time.Unix(at, 0).UTC().Format("2 January 15:04 UTC"))}, true
		}
	}
	return sign{}, false
}

// contact looks at one DNS query, TLS name or HTTP host. One finding a tenant, source and apex within a day; an HTTP
// POST to such a name means that something was given away there.
func (d *Detector) contact(e *ocsf.Event, emit detect.Emit) {
	host := contactName(e)
	c, ok := d.touched(e, host)
	if !ok {
		return
	}
	src := sourceOf(e)
	key := string(e.Tenant) + "\x00" + src + "\x00" + c.apex
	o := d.state.Contacts[key]
	if o == nil || e.Time.Sub(o.Since) > openFor {
		f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: "phish", Rule: c.rule, Title: c.title, Technique: c.technique,
			Severity: c.severity, Confidence: c.confidence, Outcome: ocsf.OutcomeAttempted}
		if d.model != nil {
			f.Snapshot = d.model.Version
		}
		if f.Layer == "" {
			f.Layer = tenant.LayerNetwork
		}
		f.Reason = fmt.Sprintf("%s asked for %s, which %s.", src, host, c.why)
		f.Identify(e.Time.UTC().Truncate(openFor), src, c.apex)
		o = &open{Since: e.Time, Finding: f}
		d.open(d.state.Contacts, key, o)
	}
	f := o.Finding
	before := *f
	f.AddEvidence(e)
	d.contactEntities(f, e, host, c.apex)
	if posts(e) && f.Outcome != ocsf.OutcomeSucceeded {
		f.Outcome, f.Confidence, f.Severity = ocsf.OutcomeSucceeded, 90, ocsf.SeverityHigh
		f.Reason += fmt.Sprintf(" Something was sent there by HTTP POST at %s: take a password as given away.", e.Time.UTC().Format("15:04:05"))
	}
	if before.Count < ocsf.MaxEvidence || before.Outcome != f.Outcome || f.Count%100 == 0 {
		emit(f.Clone())
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
	if c, ok := d.touched(e, host); ok {
		return []string{host + " " + c.why}
	}
	if d.names.declared(host) {
		return []string{host + " is declared"}
	}
	return []string{host + " carries no declared domain as labels, and no phishing mail of the last days leads there"}
}
