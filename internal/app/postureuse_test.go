package app

import (
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/hop"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

func flowIn(id tenant.ID, src string, port uint16, at time.Time) *ocsf.Event {
	return &ocsf.Event{Tenant: id, Time: at, Attribution: ocsf.Attribution{Direction: ocsf.DirectionIn}, Src: ocsf.Endpoint{IP: netip.MustParseAddr(src)}, Dst: ocsf.Endpoint{IP: netip.MustParseAddr("10.1.0.5"), Port: port},
		Flow: &ocsf.Flow{Proto: "tcp", State: "SF", RespBytes: 100}}
}

func TestExposuresOutliveWeeksAndRestartsAndThenGo(t *testing.T) {
	s := openPostureSite(t)
	x := newExposures(s.conf.Model)
	x.take(flowIn("acme", "192.0.2.77", 3389, june))
	x.take(flowIn("nobody", "192.0.2.77", 3389, june))
	undeclared := func(list []evidence.Item) (doors, n int64) {
		for _, it := range list {
			if v, ok := it.Values["undeclared"].(int64); ok {
				doors, n = doors+1, n+v
			}
		}
		return doors, n
	}
	if doors, n := undeclared(x.items("acme", nil, june)); doors != 1 || n != 1 {
		t.Fatalf("%d doors answer %d", doors, n)
	}
	l := &postureLedger{Tenant: "acme"}
	l.keepExposed(x.items("acme", nil, june))
	y := newExposures(s.conf.Model) // after a restart
	y.take(flowIn("acme", "203.0.113.5", 3389, june.Add(time.Hour)))
	kept := y.items("acme", l.exposed(), june.Add(time.Hour))
	if doors, n := undeclared(kept); doors != 1 || n != 1 {
		t.Errorf("after a restart in the same week %d doors answer %d undeclared", doors, n)
	}
	y.take(flowIn("acme", "203.0.113.5", 3389, june.AddDate(0, 0, 14))) // from a declared network, two weeks later
	if doors, n := undeclared(y.items("acme", kept, june.AddDate(0, 0, 14))); doors != 2 || n != 1 {
		t.Errorf("two weeks later %d doors answer %d undeclared", doors, n)
	}
	if doors, n := undeclared(y.items("acme", kept, june.AddDate(0, 0, 40))); doors != 1 || n != 0 {
		t.Errorf("what nobody tried for 35 days is still told: %d doors, %d", doors, n)
	}
	if got := y.items("borg", nil, june); len(got) != 0 {
		t.Errorf("borg's: %v", got)
	}
}

func TestUsesAreSessionsOfPartnersAndStrangers(t *testing.T) {
	s := &hop.Session{Tenant: "acme", Trust: "north-acme", Partner: "north", Kind: hop.KindVPN, User: "nw-jo", Addr: netip.MustParseAddr("10.9.0.4"), Public: netip.MustParseAddr("203.0.113.5"),
		Start: june, End: june.Add(time.Hour), Opened: ocsf.Evidence{File: "vpn.log", Record: 3},
		Acts: []hop.Act{{Kind: "connection", Target: "10.1.0.5", Got: true, File: "conn.log", Record: 9}, {Kind: "connection", Target: "10.1.0.5", Got: true}, {Kind: "logon", Target: "srv1", Got: true},
			{Kind: "failure", Target: "srv2"}, {Kind: "sign-in", Target: "Some App", Got: true}}}
	list := usesIn(s)
	if len(list) != 2 || list[0].Dst.String() != "10.1.0.5" || list[0].File != "conn.log" || list[1].Host != "srv1" || list[1].Record != 3 || list[0].Src.String() != "203.0.113.5" || list[1].Account != "nw-jo" {
		t.Errorf("%+v", list)
	}
	s.Public, s.Acts = netip.Addr{}, nil
	if list = usesIn(s); len(list) != 1 || list[0].Src.IsValid() {
		t.Errorf("the address of a VPN's pool is no place that somebody came from: %+v", list)
	}
	s.Kind, s.User, s.Public = hop.KindCloud, "app 7c2f9e10-4d3b-4a86-b5c7-08e1f2a3d4b5", netip.MustParseAddr("51.116.44.9")
	if list = usesIn(s); list[0].Src.IsValid() {
		t.Errorf("an application is held against the networks that people come from: %+v", list)
	}
	s.Kind, s.User, s.Public = hop.KindSource, "nw-jo", netip.Addr{}
	if list = usesIn(s); list[0].Src.String() != "10.9.0.4" {
		t.Errorf("%+v", list)
	}
}

func TestNamesGiveWayToPseudonyms(t *testing.T) {
	for _, c := range []struct{ text, name, want string }{
		{"jo.doe is admin", "jo.doe", "X is admin"},
		{"console: JO.DOE, again jo.doe", "jo.doe", "console: X, again X"},
		{"jo.doer and banjo.doe stay", "jo.doe", "jo.doer and banjo.doe stay"},
		{"İstanbul jo.doe", "jo.doe", "İstanbul X"},
		{"nothing", "jo.doe", "nothing"},
	} {
		if got := replaceWord(c.text, c.name, "X"); got != c.want {
			t.Errorf("%q without %q: %q, want %q", c.text, c.name, got, c.want)
		}
	}
}
