package fleet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// What makes an operator who came from a new place with one factor more than somebody at a new desk.
const (
	SitFor       = 24 * time.Hour // how long after the sign-in what comes from the address belongs to it
	ReadOut      = 2              // customers that are read out or get orders
	SettledAfter = 24 * time.Hour // how long a console must have been heard before a place is new
)

// sitting is somebody at a console from a new place, with one factor.
type sitting struct {
	Who       string
	Last      int64
	Customers []string
	Ordered   []string
	Operators []string // made, or signed in as, from the same address
	Finding   *ocsf.Finding
}

// second are names of columns that say whether a second factor was used.
var second = [...]string{"second_factor", "mfa", "mfa_used", "two_factor", "2fa", "secondfactor", "twofactor", "Second Factor", "MFA", "MFA Used", "Two Factor", "additional_factor", "multi_factor"}

// oneFactor reports whether a record says that no second factor was used. A record that doesn't tell says nothing.
func oneFactor(e *ocsf.Event) bool {
	for _, name := range second {
		v, ok := e.Fields.Get(name)
		if !ok {
			continue
		}
		switch strings.ToLower(v) {
		case "false", "no", "none", "0", "off", "not used", "disabled":
			return true
		}
		return false
	}
	return false
}

// known reports whether an address is the tenant's own or one from which the account got in before.
func (d *Detector) known(e *ocsf.Event, who string) bool {
	ip := e.Src.IP.Unmap()
	if t := d.model.Tenant(e.Tenant); t != nil && slices.ContainsFunc(t.Networks, func(n netip.Prefix) bool { return n.Contains(ip) }) {
		return true
	}
	_, ok := d.s.Places[placeKey(e.Tenant, who, ip)]
	return ok
}

func placeKey(id tenant.ID, who string, ip netip.Addr) string {
	who, _, _ = strings.Cut(strings.ToLower(who), "@")
	if _, after, ok := strings.Cut(who, `\`); ok {
		who = after
	}
	return string(id) + "\x00" + who + "\x00" + ip.String()
}

// settle learns from where an account of the house gets in, at its directory.
func (d *Detector) settle(e *ocsf.Event) {
	if e.Status == ocsf.StatusFailure || !e.Src.IP.IsValid() || e.User.Name == "" || e.Cloud.ServicePrin || e.Partner != "" {
		return
	}
	d.place(e, e.User.Name)
}

func (d *Detector) place(e *ocsf.Event, who string) {
	if d.s.Began[e.Tenant] == 0 {
		d.s.Began[e.Tenant] = e.Time.Unix()
	}
	detect.MakeRoom(d.s.Places, MaxPlaces, func(t int64) int64 { return t })
	d.s.Places[placeKey(e.Tenant, who, e.Src.IP.Unmap())] = e.Time.Unix()
}

// operator looks at one line of a console's audit.
func (d *Detector) operator(e *ocsf.Event, emit detect.Emit) {
	r := e.Remote
	if r.Operator == "" || !e.Src.IP.IsValid() || e.Status == ocsf.StatusFailure || r.Target != "" {
		return
	}
	key := string(e.Tenant) + "\x00" + e.Src.IP.Unmap().String()
	s := d.s.Sits[key]
	if s != nil && e.Time.Unix()-s.Last > int64(SitFor/time.Second) {
		delete(d.s.Sits, key)
		s = nil
	}
	who := strings.ToLower(r.Operator)
	if r.Act == "login" {
		began := d.s.Began[e.Tenant]
		switch {
		case s != nil:
			if who != s.Who {
				add(&s.Operators, who, 16)
			}
		case oneFactor(e) && !d.known(e, who) && began != 0 && e.Time.Unix()-began >= int64(SettledAfter/time.Second):
			detect.MakeRoom(d.s.Sits, MaxPlaces, func(s *sitting) int64 { return s.Last })
			s = &sitting{Who: strings.Clone(who)}
			f := &ocsf.Finding{Tenant: e.Tenant, Layer: tenant.LayerAccess, Detector: d.Name(), Rule: "fleet/operator", Technique: "T1078", Outcome: ocsf.OutcomeSucceeded,
				Title: "An operator of the platform from a new place with one factor, who then works at several customers"}
			f.AddEntity(ocsf.EntityUser, who, ocsf.RoleActor)
			f.AddEntity(ocsf.EntityIP, e.Src.IP.Unmap().String(), ocsf.RoleInfrastructure)
			f.AddEvidence(e)
			f.Identify(e.Time, who, e.Src.IP.String())
			s.Finding = f
			d.s.Sits[key] = s
		default:
			d.place(e, who)
			return
		}
		s.Last = e.Time.Unix()
		d.sat(s, e, emit)
		return
	}
	if s == nil {
		return
	}
	s.Last = e.Time.Unix()
	customer := strings.ToLower(r.Company)
	switch {
	case r.Act == "settings":
		if text := strings.ToLower(e.Fields.Value("event") + " " + e.Fields.Value("action") + " " + e.Fields.Value("Event")); strings.Contains(text, "operator") || strings.Contains(text, "user") || strings.Contains(text, "admin") || strings.Contains(text, "role") || strings.Contains(text, "technician") {
			add(&s.Operators, strings.ToLower(e.Fields.Value("object")+" "), 16)
		}
	case customer != "" && (r.Act == "command" || r.Act == "install" || r.Act == "file"):
		add(&s.Ordered, customer, 64)
	case customer != "":
		add(&s.Customers, customer, 64)
	}
	d.sat(s, e, emit)
}

// sat tells of a sitting where it does more than one's work.
func (d *Detector) sat(s *sitting, e *ocsf.Event, emit detect.Emit) {
	f := s.Finding
	if len(f.Evidence) == 0 || f.Evidence[0].Event != e {
		f.AddEvidence(e)
	}
	signs := 0
	for _, yes := range [...]bool{len(s.Customers) >= ReadOut, len(s.Ordered) >= ReadOut, len(s.Operators) > 0} {
		if yes {
			signs++
		}
	}
	if signs == 0 && len(s.Ordered) == 0 {
		return
	}
	f.Severity, f.Confidence = ocsf.SeverityLow, 45
	switch {
	case signs >= 2:
		f.Severity, f.Confidence = ocsf.SeverityHigh, 80
	case signs == 1:
		f.Severity, f.Confidence = ocsf.SeverityMedium, 60
	}
	f.Reason = fmt.Sprintf("%s signed in to the console from %s without a second factor, where neither this account nor the house was known to work; from there %d customers were read out, %d got orders, and %d other operators were made or used.",
		s.Who, e.Src.IP.Unmap(), len(s.Customers), len(s.Ordered), len(s.Operators))
	emit(f.Clone())
}
