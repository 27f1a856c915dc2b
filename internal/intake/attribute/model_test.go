package attribute

import (
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const (
	homeTenant = "11111111-aaaa-4bbb-8ccc-000000000001"
	ownTenant  = "22222222-aaaa-4bbb-8ccc-000000000002"
	elsewhere  = "33333333-aaaa-4bbb-8ccc-000000000003"
	appID      = "44444444-aaaa-4bbb-8ccc-000000000004"
	hex32      = "0123456789abcdef0123456789abcdef"
)

func ip(s string) netip.Addr       { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// day is midnight UTC of a day in March 2026; at is a time of the 10th.
func day(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }

func at(clock string) time.Time {
	t, err := time.Parse(time.TimeOnly, clock)
	if err != nil {
		panic(err)
	}
	return day(10).Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second)
}

// model is a provider with two clients that share private address space, and a maker that reaches one of them.
func model() *tenant.Model {
	return &tenant.Model{
		Tenants: []tenant.Tenant{
			{ID: "north", Name: "Northwind IT", Networks: []netip.Prefix{prefix("10.50.0.0/16")}},
			{ID: "acme", Name: "Acme Manufacturing", Aliases: []string{"ACME-DE", "Group"}, Networks: []netip.Prefix{prefix("10.20.0.0/16"), prefix("2001:db8:20::/48")}},
			{ID: "borg", Name: "Borg Dairies", Aliases: []string{"Group"}, Networks: []netip.Prefix{prefix("10.20.0.0/16")}},
		},
		Partners: []tenant.Partner{{ID: "northwind", Name: "Northwind", Tenant: "north"}, {ID: "maker", Name: "Maker"}},
		Trusts: []tenant.Trust{
			{
				ID: "nw-acme", Partner: "northwind", Tenant: "acme",
				Networks:    []netip.Prefix{prefix("203.0.113.0/24"), prefix("10.99.0.0/24"), prefix("192.168.7.0/24"), prefix("2001:db8:99::/48")},
				Accounts:    []string{"nw-*", "svc-backup", "@northwind.example", `acme\ext-*`},
				MailDomains: []string{"northwind.example"},
				RemoteTools: []tenant.RemoteTool{
					{Tool: "screenconnect", Instance: "ABC123", Hosts: []string{"help.northwind.example"}},
					{Tool: "anydesk", Hosts: []string{"relay.northwind.example"}},
					{Tool: "teamviewer"},
				},
				JumpHosts:       []string{"jump1.northwind.example", "198.51.100.9"},
				CloudPrincipals: []tenant.CloudPrincipal{{HomeTenant: homeTenant}, {AppID: appID}, {AccountID: "123456789012"}, {Role: "PartnerAdmin"}},
			},
			{
				ID: "maker-acme", Partner: "maker", Tenant: "acme",
				Networks: []netip.Prefix{prefix("203.0.113.64/28")}, Accounts: []string{"nw-plc-*", "operator@maker.example"},
				ValidFrom: day(5), ValidUntil: day(20),
			},
			{ID: "nw-borg", Partner: "northwind", Tenant: "borg", Networks: []netip.Prefix{prefix("172.16.5.0/24")}, Accounts: []string{"nw-*"}},
		},
	}
}

// leased is an event of who got or left an address.
func leased(id tenant.ID, t time.Time, kind, addr, holder string, edit ...func(*ocsf.Lease)) *ocsf.Event {
	e := &ocsf.Event{Tenant: id, Time: t, Class: ocsf.ClassTunnelActivity,
		Lease: &ocsf.Lease{Kind: kind, Addr: ip(addr), Holder: ocsf.User{Name: holder}, Start: true}}
	for _, f := range edit {
		f(e.Lease)
	}
	stamp(e)
	return e
}

func end(l *ocsf.Lease)                 { l.Start, l.End = false, true }
func device(d string) func(*ocsf.Lease) { return func(l *ocsf.Lease) { l.Device = d } }
func from(a string) func(*ocsf.Lease)   { return func(l *ocsf.Lease) { l.Public = ip(a) } }
func numbered(id string) func(*ocsf.Lease) {
	return func(l *ocsf.Lease) { l.ID = id }
}

// stamp gives the event an id, so that different events have different ones.
func stamp(e *ocsf.Event) {
	if b, err := e.MarshalBinary(); err == nil {
		for i, c := range b {
			e.ID[i%len(e.ID)] = e.ID[i%len(e.ID)]*31 + c
		}
	}
}

// attributed returns the event after attribution by the model and what the records tell of sessions.
func attributed(t *testing.T, m *tenant.Model, e ocsf.Event, known ...*ocsf.Event) *ocsf.Event {
	t.Helper()
	s := NewSessions()
	a := New(m, s)
	for _, k := range known {
		a.Learn(k)
	}
	s.Seal()
	if e.Time.IsZero() {
		e.Time = at("12:00:00")
	}
	if e.Tenant == "" {
		e.Tenant = "acme"
	}
	a.Attribute(&e)
	return &e
}
