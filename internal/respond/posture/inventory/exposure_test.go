package inventory

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

func flow(id tenant.ID, src, dst, state, host string, at int) *ocsf.Event {
	d := netip.MustParseAddrPort(dst)
	return &ocsf.Event{Tenant: id, Class: ocsf.ClassNetworkActivity, Time: fileTime.Add(time.Duration(at) * time.Minute), Src: ocsf.Endpoint{IP: netip.MustParseAddr(src)},
		Dst: ocsf.Endpoint{IP: d.Addr(), Port: d.Port(), Domain: host}, Flow: &ocsf.Flow{Proto: "tcp", State: state, RespBytes: 100}}
}

func TestConsolesThatTheInternetReaches(t *testing.T) {
	m := &tenant.Model{
		Tenants: []tenant.Tenant{{ID: "acme", Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("10.0.0.0/8")}}, {ID: "other"}},
		Trusts: []tenant.Trust{{ID: "t", Partner: "p", Tenant: "acme", Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
			RemoteTools: []tenant.RemoteTool{{Tool: "screenconnect", Hosts: []string{"Help.acme.example"}}}}},
	}
	x := NewExposures(m, "acme", nil)
	for _, e := range []*ocsf.Event{
		flow("acme", "8.8.8.8", "198.51.100.7:8040", "SF", "", 1),
		flow("acme", "203.0.113.9", "198.51.100.7:8040", "SF", "", 2),
		flow("acme", "9.9.9.9", "198.51.100.7:8040", "SF", "", 3),
		flow("acme", "203.0.113.9", "198.51.100.8:3389", "S1", "", 4),
		flow("acme", "8.8.8.8", "198.51.100.9:443", "SF", "help.acme.example", 5),
		flow("acme", "8.8.8.8", "198.51.100.10:443", "SF", "www.acme.example", 6), // a web site
		flow("acme", "8.8.8.8", "198.51.100.11:5900", "S0", "", 7),                // nobody answered
		flow("acme", "8.8.8.8", "198.51.100.11:5900", "REJ", "", 7),
		flow("acme", "10.1.1.1", "198.51.100.12:5900", "SF", "", 8), // from inside
		flow("acme", "198.51.100.7", "8.8.8.8:5900", "SF", "", 9),   // outwards
		flow("other", "8.8.8.8", "198.51.100.13:5900", "SF", "", 10),
	} {
		x.Add(e)
	}
	var got []string
	for _, i := range x.Items() {
		v := i.Values
		if i.Kind == KindExposure {
			got = append(got, fmt.Sprintf("%s %v sources %v undeclared %v example %v host %v last %s", i.Subject, v["products"], v["sources"], v["undeclared"], v["example"], v["host"], i.At.Format("15:04")))
		} else {
			got = append(got, fmt.Sprintf("%s %v %s", i.Subject, v["flows"], i.At.Format("15:04")))
		}
	}
	want := []string{
		"198.51.100.7:8040 [ConnectWise ScreenConnect] sources 3 undeclared 2 example 8.8.8.8 host <nil> last 08:03",
		"198.51.100.8:3389 [Remote Desktop xrdp] sources 1 undeclared 0 example 203.0.113.9 host <nil> last 08:04",
		"198.51.100.9:443 [] sources 1 undeclared 1 example 8.8.8.8 host help.acme.example last 08:05",
		"flows from outside 8 08:07",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestExposuresAreBounded(t *testing.T) {
	x := NewExposures(nil, "acme", nil)
	for i := range maxExposures + 5 {
		e := flow("acme", "8.8.8.8", "198.51.100.7:5900", "SF", "", 1)
		e.Dst.IP = netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)})
		x.Add(e)
	}
	for i := range maxSources + 5 {
		e := flow("acme", "8.8.8.8", "172.16.0.0:5900", "SF", "", 1)
		e.Src.IP = netip.AddrFrom4([4]byte{9, 9, byte(i >> 8), byte(i)})
		x.Add(e)
	}
	items := x.Items()
	if len(items) != maxExposures+1 || x.Dropped() != 5 || items[0].Values["sources"] != int64(maxSources) {
		t.Errorf("%d facts, %d dropped, %v sources", len(items), x.Dropped(), items[0].Values["sources"])
	}
}

func TestWhatIsDeclaredIsJudgedByInstanceRelayAndTime(t *testing.T) {
	m := declaredModel()
	for _, c := range []struct {
		tenant                tenant.ID
		tool, instance, relay string
		at                    time.Time
		sanctioned, foreign   product.State
	}{
		{"acme", "screenconnect", "0a1b2c3d4e5f6071", "", fileTime, product.Yes, product.No},
		{"acme", "screenconnect", "ffffffffffffffff", "", fileTime, product.No, product.Yes},
		{"acme", "screenconnect", "", "a.help.msp.example", fileTime, product.Yes, product.No},
		{"acme", "screenconnect", "", "evil.example", fileTime, product.No, product.Yes},
		{"acme", "screenconnect", "", "", fileTime, product.NotKnown, product.NotKnown},
		{"acme", "anydesk", "", "", fileTime, product.Yes, product.No},
		{"acme", "rustdesk", "", "", fileTime, product.No, product.NotKnown},
		{"acme", "teamviewer", "", "", fileTime, product.No, product.NotKnown},
		{"acme", "teamviewer", "", "", fileTime.AddDate(0, -2, 0), product.Yes, product.No},
		{"acme", "teamviewer", "", "", time.Time{}, product.NotKnown, product.NotKnown},
		{"msp", "anydesk", "", "", fileTime, product.Yes, product.No}, // its own tool
		{"msp", "rustdesk", "", "", fileTime, product.No, product.NotKnown},
		{"nobody", "anydesk", "", "", fileTime, product.NotKnown, product.NotKnown},
	} {
		v := NewDeclared(m, c.tenant).Judge(c.tool, c.instance, c.relay, c.at)
		if v.Sanctioned != c.sanctioned || v.Foreign != c.foreign {
			t.Errorf("%s %s %q %q: %+v", c.tenant, c.tool, c.instance, c.relay, v)
		}
		if (c.tenant == "msp" || v.Sanctioned != product.Yes) != (v.Trust == "") {
			t.Errorf("%s %s: trust %q", c.tenant, c.tool, v.Trust)
		}
	}
	if v := NewDeclared(nil, "acme").Judge("anydesk", "", "", fileTime); v.Sanctioned != product.NotKnown {
		t.Errorf("without a model: %+v", v)
	}
}
