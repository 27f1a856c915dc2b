package hop

import (
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func machineLogon(after time.Duration, account, from string) *ocsf.Event {
	return &ocsf.Event{Tenant: "north", Time: time.Date(2026, 9, 7, 9, 0, 0, 0, time.UTC).Add(after), Layer: tenant.LayerEndpoint, Class: ocsf.ClassAuthentication,
		Activity: "logon", Status: ocsf.StatusSuccess, Device: "dc-1", User: ocsf.User{Name: account}, Src: ocsf.Endpoint{IP: netip.MustParseAddr(from)}}
}

func TestMachineAccountsNameTheirAddresses(t *testing.T) {
	refused := machineLogon(0, "WEB-1$", "10.0.0.7")
	refused.Status = ocsf.StatusFailure
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"a machine account", []*ocsf.Event{machineLogon(0, "WEB-1$", "10.0.0.7")}, "web-1"},
		{"with its realm, from a mapped address", []*ocsf.Event{machineLogon(0, "WEB-1$@NORTH.LAN", "::ffff:10.0.0.7")}, "web-1"},
		{"a person", []*ocsf.Event{machineLogon(0, "kim", "10.0.0.7")}, ""},
		{"one that was refused", []*ocsf.Event{refused}, ""},
		{"two at once are a translated address", []*ocsf.Event{machineLogon(0, "WEB-1$", "10.0.0.7"), machineLogon(time.Minute, "WEB-2$", "10.0.0.7")}, ""},
		{"the next holder of the address", []*ocsf.Event{machineLogon(0, "WEB-1$", "10.0.0.7"), machineLogon(30*time.Hour, "WEB-2$", "10.0.0.7")}, "web-2"},
		{"one that nobody tells of", []*ocsf.Event{machineLogon(0, "WEB-1$", "10.0.0.8")}, ""},
	} {
		g := NewGraph()
		for _, e := range c.events {
			g.Add(e)
		}
		b, err := g.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		again := NewGraph()
		if err := again.Restore(b); err != nil {
			t.Fatal(err)
		}
		for _, g := range []*Graph{g, again} {
			if got := g.HostNames()("north", netip.MustParseAddr("10.0.0.7")); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
			if got := g.HostNames()("south", netip.MustParseAddr("10.0.0.7")); got != "" {
				t.Errorf("%s: another tenant's address is %q", c.name, got)
			}
		}
	}
}

func TestMachinesAreForgottenAndBounded(t *testing.T) {
	g := NewGraph()
	g.flows.most = 32
	for i := range 100 {
		e := machineLogon(time.Duration(i)*time.Minute, "WEB-1$", "10.0.0.7")
		e.Src.IP = netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
		g.Add(e)
	}
	if n := len(g.flows.machines); n > 32 {
		t.Errorf("%d machines are kept", n)
	}
	g.Forget(machineLogon(100*time.Minute, "x", "10.0.0.7").Time)
	if n := len(g.flows.machines); n != 0 {
		t.Errorf("%d machines outlive their time", n)
	}
}
