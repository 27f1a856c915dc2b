package campaign

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var monday = time.Date(2026, 9, 7, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// world is two providers whose houses we hold, one whose house we don't, and the maker behind it. The first
// provider serves north, south, east and west, the second far and farther, the third south and west. Nobody serves
// alone.
func world() *tenant.Model {
	m := &tenant.Model{Version: "v1",
		Partners: []tenant.Partner{{ID: "isl", Name: "Island", Tenant: "provider"}, {ID: "two", Tenant: "provider-2"}, {ID: "dark"}, {ID: "maker"}}}
	for _, id := range []tenant.ID{"provider", "provider-2", "north", "south", "east", "west", "far", "farther", "alone", "alone-2"} {
		m.Tenants = append(m.Tenants, tenant.Tenant{ID: id, Domains: []string{string(id) + ".example"}})
	}
	serve := func(p tenant.PartnerID, nets string, clients ...tenant.ID) {
		for _, id := range clients {
			m.Trusts = append(m.Trusts, tenant.Trust{ID: tenant.TrustID(string(p) + "-" + string(id)), Partner: p, Tenant: id,
				Accounts: []string{string(p) + "-*"}, Networks: []netip.Prefix{netip.MustParsePrefix(nets)}, MailDomains: []string{string(p) + ".example"},
				RemoteTools: []tenant.RemoteTool{{Tool: "screenconnect", Instance: "0123456789abcdef"}}})
		}
	}
	serve("isl", "203.0.113.0/24", "north", "south", "east", "west")
	serve("two", "192.0.2.0/24", "far", "farther")
	serve("dark", "198.51.100.0/25", "south", "west")
	serve("maker", "198.51.100.128/25", "provider")
	return m
}

// story is what happened, from which Evidence is made.
type story struct {
	model    *tenant.Model
	events   []*ocsf.Event
	findings []*ocsf.Finding
}

// tell begins a story in which the named tenants send telemetry of the network every day.
func tell(seeing ...tenant.ID) *story {
	s := &story{model: world()}
	for _, id := range seeing {
		for d := -9; d <= 9; d++ {
			s.event(id, time.Duration(d)*day, tenant.LayerNetwork)
		}
	}
	return s
}

type change func(*ocsf.Event)

// event is one event, so long after Monday morning.
func (s *story) event(id tenant.ID, after time.Duration, l tenant.Layer, with ...change) *ocsf.Event {
	e := &ocsf.Event{Tenant: id, Time: monday.Add(after), Layer: l, Raw: ocsf.RawRef{File: string(id) + "/" + string(l) + ".log", Record: int64(len(s.events) + 1)}}
	for _, w := range with {
		w(e)
	}
	s.events = append(s.events, e)
	return e
}

// by attributes an event to a partner's trust.
func by(p tenant.PartnerID) change {
	return func(e *ocsf.Event) {
		e.Partner, e.Trust, e.Direction = p, tenant.TrustID(string(p)+"-"+string(e.Tenant)), ocsf.DirectionIn
	}
}

func user(name string) change { return func(e *ocsf.Event) { e.User.Name = name } }
func from(ip string) change   { return func(e *ocsf.Event) { e.Src.IP = netip.MustParseAddr(ip) } }
func on(device string) change { return func(e *ocsf.Event) { e.Device = device } }

// vpn is a session's beginning, by a device of the partner's.
func vpn(id, account, device string) change {
	return func(e *ocsf.Event) {
		e.Session, e.Lease = id, &ocsf.Lease{Kind: "vpn", ID: id, Start: true, Addr: netip.MustParseAddr("10.200.0.9"), Holder: ocsf.User{Name: account}, Device: device}
	}
}

func logon(session string, s ocsf.Status) change {
	return func(e *ocsf.Event) {
		e.Session, e.Class, e.Activity, e.Status, e.Device = session, ocsf.ClassAuthentication, "logon", s, "srv-1"
	}
}

func tool(act, instance, device string) change {
	return func(e *ocsf.Event) {
		e.Device, e.Remote = device, &ocsf.RemoteSession{Tool: "screenconnect", Act: act, Instance: instance}
	}
}

func signIn(account, ip string, s ocsf.Status) change {
	return func(e *ocsf.Event) {
		e.Class, e.Status, e.User.Name, e.Src.IP, e.Cloud = ocsf.ClassAuthentication, s, account, netip.MustParseAddr(ip), &ocsf.Cloud{Provider: "azure", AppName: "Portal"}
	}
}

func message(from string, to ...string) change {
	return func(e *ocsf.Event) { e.Mail = &ocsf.Mail{From: from, To: to, DMARC: "pass"} }
}

// find is a finding that rests on the events. The rule's first part is the detector.
func (s *story) find(rule string, sev ocsf.Severity, out ocsf.Outcome, on []*ocsf.Event, entities ...ocsf.Entity) *ocsf.Finding {
	e := on[0]
	f := &ocsf.Finding{Tenant: e.Tenant, Trust: e.Trust, Partner: e.Partner, Layer: e.Layer, Rule: rule, Title: rule, Reason: "it says so", Severity: sev, Outcome: out}
	f.Detector, _, _ = strings.Cut(rule, "/")
	for _, x := range on {
		f.AddEvidence(x)
	}
	for _, x := range entities {
		f.AddEntity(x.Type, x.Value, x.Role)
	}
	f.Identify(f.Time, fmt.Sprint(entities))
	s.findings = append(s.findings, f)
	return f
}

func one(e *ocsf.Event) []*ocsf.Event { return []*ocsf.Event{e} }

func actor(name string) ocsf.Entity {
	return ocsf.Entity{Type: ocsf.EntityUser, Value: name, Role: ocsf.RoleActor}
}

func infra(t ocsf.EntityType, value string) ocsf.Entity {
	return ocsf.Entity{Type: t, Value: value, Role: ocsf.RoleInfrastructure}
}

func target(t ocsf.EntityType, value string) ocsf.Entity {
	return ocsf.Entity{Type: t, Value: value, Role: ocsf.RoleTarget}
}

// evidence puts the story in order.
func (s *story) evidence() Evidence {
	slices.SortStableFunc(s.events, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	in := Evidence{Model: s.model, Findings: slices.Clone(s.findings), Graph: hop.NewGraph(), Telemetry: NewTelemetry()}
	for _, e := range s.events {
		in.Telemetry.Add(e)
		in.Graph.Add(e)
	}
	byTime(in.Findings)
	return in
}

func byTime(list []*ocsf.Finding) {
	slices.SortFunc(list, func(a, b *ocsf.Finding) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		if c := strings.Compare(string(a.Tenant), string(b.Tenant)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}

func (s *story) draw() *Result { return Draw(s.evidence()) }

// only returns the one campaign of the story.
func (s *story) only(t *testing.T) Campaign {
	t.Helper()
	r := s.draw()
	if len(r.Campaigns) != 1 {
		t.Fatalf("%d campaigns: %s", len(r.Campaigns), brief(r))
	}
	return r.Campaigns[0]
}

// brief is one line a campaign: its partner and what it did to whom.
func brief(r *Result) string {
	var out []string
	for _, c := range r.Campaigns {
		var ids []string
		for _, t := range c.Tenants {
			if t.Outcome == Succeeded || t.Outcome == Attempted {
				ids = append(ids, string(t.Tenant))
			}
		}
		out = append(out, fmt.Sprintf("%s: %s", c.Partner, strings.Join(ids, " ")))
	}
	return strings.Join(out, "; ")
}

func outcomeOf(c Campaign, id tenant.ID) TenantOutcome {
	for _, t := range c.Tenants {
		if t.Tenant == id {
			return t
		}
	}
	return TenantOutcome{}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const evil = "fedcba9876543210" // the intruder's instance

// islandHop is the smallest whole story: a foreign tool on a technician's host, from which the intruder goes to
// north by the technician's VPN account and gets in, and to south where the logon fails.
func islandHop(seeing ...tenant.ID) *story {
	s := tell(seeing...)
	home := s.event("provider", 0, tenant.LayerEndpoint, tool("install", evil, "isl-ws3"))
	s.find("remotetool/foreign-instance", ocsf.SeverityHigh, ocsf.OutcomeSucceeded, one(home), infra(ocsf.EntityRMM, evil), target(ocsf.EntityHost, "isl-ws3"))
	s.event("provider", day, tenant.LayerEndpoint, tool("connect", evil, "isl-ws3"))
	for i, id := range []tenant.ID{"north", "south"} {
		at, session := day+time.Duration(i)*time.Hour+time.Minute, "vpn-"+string(id)
		s.event(id, at, tenant.LayerAccess, by("isl"), vpn(session, "isl-kim", "isl-ws3"))
		e := s.event(id, at+time.Minute, tenant.LayerEndpoint, by("isl"), from("10.200.0.9"), user("isl-kim"), logon(session, ocsf.Status(1+i)))
		s.find("recon/horizontal", ocsf.SeverityHigh, ocsf.OutcomeAttempted, one(e), ocsf.Entity{Type: ocsf.EntityIP, Value: "10.200.0.9", Role: ocsf.RoleSource}, actor("isl-kim"))
	}
	return s
}
