package firstcontact

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// session returns who signs in and from which network, for records that say both.
func session(e *ocsf.Event) (who string, place netip.Addr, ok bool) {
	switch {
	case e.Lease != nil && e.Lease.Kind == "vpn" && e.Lease.Start:
		return strings.ToLower(e.Lease.Holder.Name), e.Lease.Public, e.Lease.Holder.Name != "" && e.Lease.Public.IsValid()
	case e.Cloud != nil && e.Class == ocsf.ClassAuthentication && e.Status == ocsf.StatusSuccess:
		who = e.User.Name
		if e.Cloud.ServicePrin {
			who = "app " + e.Cloud.AppID
		}
		return strings.ToLower(who), e.Src.IP, who != "" && e.Src.IP.IsValid()
	case e.Remote != nil && e.Remote.Act == "connect" && e.Remote.Operator != "":
		return strings.ToLower(e.Remote.Tool + " operator " + e.Remote.Operator), e.Src.IP, e.Src.IP.IsValid()
	}
	return "", netip.Addr{}, false
}

// network is the unit in which places are counted: /24 and /48, since providers and homes renumber within them.
func network(a netip.Addr) string {
	bits := 24
	if a = a.Unmap(); a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}

func (d *Detector) place(e *ocsf.Event, who string, from netip.Addr, emit detect.Emit) {
	from = from.Unmap()
	owner := "tenant " + string(e.Tenant) // whose people these are
	if e.Partner != "" {
		owner = "partner " + string(e.Partner)
	}
	net := network(from)
	acc, group, house := d.habit(d.accounts, owner+"\x00"+who, e.Time), d.habit(d.partners, owner, e.Time), d.habit(d.partners, "house "+string(e.Tenant), e.Time)
	known := acc.knows(net, e.Time) || group.knows(net, e.Time) || house.knows(net, e.Time)
	warm := acc.warm(e.Time)
	settled := group.warm(e.Time) || house.warm(e.Time)
	kept := acc.see(net, e.Time)
	kept = group.see(net, e.Time) && kept
	kept = house.see(net, e.Time) && kept
	if known || !kept || !settled || d.declared(e, from) {
		return
	}
	d.reportPlace(e, owner, who, from, warm, emit)
}

// declared reports whether the address lies in a network that the partner's trusts or the tenant declare.
func (d *Detector) declared(e *ocsf.Event, from netip.Addr) bool {
	if t := d.model.Tenant(e.Tenant); t != nil && slices.ContainsFunc(t.Networks, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return true
	}
	for _, t := range d.model.TrustsOf(e.Partner) {
		if slices.ContainsFunc(t.Networks, func(p netip.Prefix) bool { return p.Contains(from) }) {
			return true
		}
	}
	return false
}

func (d *Detector) habit(m map[string]*habit, key string, at time.Time) *habit {
	h := m[key]
	if h == nil {
		detect.MakeRoom(m, MaxKeys, func(h *habit) int64 { return h.Last })
		h = &habit{First: at, Places: map[string]time.Time{}}
		m[key] = h
	}
	h.Last = max(h.Last, at.Unix())
	return h
}

// knows reports whether the place was seen lately.
func (h *habit) knows(place string, at time.Time) bool {
	last, ok := h.Places[place]
	return ok && at.Sub(last) < ForgetAfter
}

// warm reports whether enough was seen for a new place to mean something.
func (h *habit) warm(at time.Time) bool {
	return h.Count >= WarmEvents && at.Sub(h.First) >= WarmTime
}

// see counts a session and remembers its place; false where there is no room for it, and it would be new each time.
func (h *habit) see(place string, at time.Time) bool {
	h.Count++
	if _, ok := h.Places[place]; !ok && len(h.Places) >= MaxPlaces {
		if at.Unix()-h.Tidied < 3600 {
			return false
		}
		h.Tidied = at.Unix()
		maps.DeleteFunc(h.Places, func(_ string, last time.Time) bool { return at.Sub(last) >= ForgetAfter })
		if len(h.Places) >= MaxPlaces {
			return false
		}
	}
	h.Places[place] = at
	return true
}

func (d *Detector) reportPlace(e *ocsf.Event, owner, who string, from netip.Addr, warm bool, emit detect.Emit) {
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "firstcontact/source",
		Title: "An account from a place where it was never seen", Technique: "T1078", Severity: ocsf.SeverityInformational,
		Confidence: 30, Outcome: ocsf.OutcomeSucceeded}
	app := e.Cloud != nil && e.Cloud.ServicePrin
	switch {
	case app && warm:
		f.Rule, f.Title, f.Technique = "firstcontact/app-source", "An app's credential from an address that never used it", "T1078.004"
		f.Severity, f.Confidence = ocsf.SeverityMedium, 60
	case e.Partner != "":
		f.Severity = ocsf.SeverityLow
	}
	f.AddEvidence(e)
	f.Identify(time.Unix(e.Time.Unix()/86400*86400, 0), owner, who, network(from))
	f.AddEntity(ocsf.EntityIP, from.String(), ocsf.RoleInfrastructure)
	if app {
		f.AddEntity(ocsf.EntityApp, e.Cloud.AppID, ocsf.RoleActor)
	} else {
		f.AddEntity(ocsf.EntityUser, who, ocsf.RoleActor)
	}
	f.Reason = fmt.Sprintf("%s came from %s; neither it nor anybody of the same organisation was seen there before.", who, from)
	if e.Cloud != nil {
		if e.Cloud.Country != "" {
			f.Reason += " Country " + e.Cloud.Country + "."
		}
		if strings.HasPrefix(e.Cloud.MFA, "single") {
			f.Reason += " One factor."
		}
	}
	if !warm {
		f.Reason += " It was seen too little before for this to weigh much."
	}
	emit(f)
}
