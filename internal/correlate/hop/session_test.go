package hop

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var monday = time.Date(2026, 9, 7, 9, 0, 0, 0, time.UTC)

type change func(*ocsf.Event)

// came is an event at a client that came through the partner.
func came(after time.Duration, with ...change) *ocsf.Event {
	e := &ocsf.Event{Time: monday.Add(after), Tenant: "client", Layer: tenant.LayerNetwork, Raw: ocsf.RawRef{File: "a.log", Record: int64(after/time.Second) + 1}}
	e.Partner, e.Trust, e.Direction = "isl", "isl-client", ocsf.DirectionIn
	for _, w := range with {
		w(e)
	}
	return e
}

func from(ip string) change { return func(e *ocsf.Event) { e.Src.IP = netip.MustParseAddr(ip) } }
func user(u string) change  { return func(e *ocsf.Event) { e.User.Name = u } }
func host(h string) change  { return func(e *ocsf.Event) { e.Device = h } }

func nobodys(e *ocsf.Event) { e.Partner, e.Trust = "", "" }

// lease is the beginning or end of a VPN session; attribution has named it.
func lease(id string, start bool) change {
	return func(e *ocsf.Event) {
		e.Session, e.Layer = id, tenant.LayerAccess
		e.Lease = &ocsf.Lease{Kind: "vpn", ID: id, Addr: netip.MustParseAddr("10.200.0.9"), Public: netip.MustParseAddr("198.51.100.7"),
			Holder: ocsf.User{Name: "ISL-Kim"}, Device: "ISL-WS3.isl.example", Start: start, End: !start}
	}
}

func within(id string) change { return func(e *ocsf.Event) { e.Session = id } }

// desk is a connection in which somebody was at work.
func desk(to string) change {
	return func(e *ocsf.Event) {
		e.Dst = ocsf.Endpoint{IP: netip.MustParseAddr(to), Port: 3389}
		e.Flow = &ocsf.Flow{Proto: "tcp", State: "SF", Duration: time.Minute, OrigPkts: 50, RespPkts: 50}
	}
}

func logon(s ocsf.Status) change {
	return func(e *ocsf.Event) {
		e.Class, e.Layer, e.Activity, e.Status, e.Fields = ocsf.ClassAuthentication, tenant.LayerEndpoint, "logon", s, ocsf.Fields{{Name: "LogonType", Value: "10"}}
	}
}

func program(line string) change {
	return func(e *ocsf.Event) {
		e.Class, e.Layer, e.Process = ocsf.ClassProcessActivity, tenant.LayerEndpoint, &ocsf.Process{CommandLine: line}
	}
}

func tool(act, instance string) change {
	return func(e *ocsf.Event) {
		e.Layer, e.Remote = tenant.LayerEndpoint, &ocsf.RemoteSession{Tool: "screenconnect", Instance: instance, Act: act}
	}
}

func signIn(app string, s ocsf.Status) change {
	return func(e *ocsf.Event) {
		e.Class, e.Layer, e.Status, e.Cloud = ocsf.ClassAuthentication, tenant.LayerCloud, s, &ocsf.Cloud{AppName: app, Country: "DE", ErrorCode: "50126"}
	}
}

func call(operation string, s ocsf.Status) change {
	return func(e *ocsf.Event) {
		e.Class, e.Layer, e.Status, e.Cloud = ocsf.ClassAPIActivity, tenant.LayerCloud, s, &ocsf.Cloud{Operation: operation, Resource: "anna"}
	}
}

func graph(events ...*ocsf.Event) *Graph {
	g := NewGraph()
	for _, e := range events {
		g.Add(e)
	}
	return g
}

// brief is one line a session.
func brief(g *Graph) string {
	var out []string
	for _, s := range g.Sessions() {
		out = append(out, fmt.Sprintf("%s %s %s %d", s.Tenant, s.Kind, s.User, s.Events))
	}
	return strings.Join(out, "; ")
}

func TestWhatIsOneSession(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"a VPN session from its lease to its end", []*ocsf.Event{came(0, lease("vpn-1", true)), came(time.Hour, within("vpn-1"), from("10.200.0.9"), desk("10.1.0.5")), came(9*time.Hour, lease("vpn-1", false))},
			"client vpn isl-kim 3"},
		{"two leases of one account", []*ocsf.Event{came(0, lease("vpn-1", true)), came(time.Minute, lease("vpn-2", true))}, "client vpn isl-kim 1; client vpn isl-kim 1"},
		{"a lease of nobody's partner", []*ocsf.Event{came(0, lease("vpn-1", true), nobodys)}, ""},
		{"an address without a break", []*ocsf.Event{came(0, from("203.0.113.5")), came(29*time.Minute, from("203.0.113.5")), came(58*time.Minute, from("203.0.113.5"))}, "client source  3"},
		{"an address after a break", []*ocsf.Event{came(0, from("203.0.113.5")), came(30*time.Minute, from("203.0.113.5"))}, "client source  1; client source  1"},
		{"two addresses", []*ocsf.Event{came(0, from("203.0.113.5")), came(time.Minute, from("203.0.113.6"))}, "client source  1; client source  1"},
		{"one address at two tenants", []*ocsf.Event{came(0, from("203.0.113.5")), came(time.Minute, from("203.0.113.5"), func(e *ocsf.Event) { e.Tenant = "second" })}, "client source  1; second source  1"},
		{"an address of nobody's partner", []*ocsf.Event{came(0, from("203.0.113.5"), nobodys)}, ""},
		{"what goes out to the partner", []*ocsf.Event{came(0, from("203.0.113.5"), func(e *ocsf.Event) { e.Direction = ocsf.DirectionOut })}, ""},
		{"mail", []*ocsf.Event{came(0, func(e *ocsf.Event) { e.Mail = &ocsf.Mail{} })}, ""},
		{"an account at work, no address known", []*ocsf.Event{came(0, user("ISL-Kim"), program("cmd"), host("srv-1")), came(time.Minute, user("isl-kim"), program("whoami"), host("srv-2"))}, "client user isl-kim 2"},
		{"an account at work where a session logged on", []*ocsf.Event{came(0, from("203.0.113.5"), user("isl-kim"), host("SRV-1.client.example"), logon(ocsf.StatusSuccess)),
			came(time.Minute, user(`CLIENT\isl-kim`), host("srv-1"), program("whoami"))}, "client source isl-kim 2"},
		{"an account at work where a logon failed", []*ocsf.Event{came(0, from("203.0.113.5"), user("isl-kim"), host("srv-1"), logon(ocsf.StatusFailure)),
			came(time.Minute, user("isl-kim"), host("srv-1"), program("whoami"))}, "client source isl-kim 1; client user isl-kim 1"},
		{"a tool's instance at one host", []*ocsf.Event{came(0, tool("connect", "AB"), host("ws-1")), came(time.Minute, tool("command", "ab"), host("WS-1.client.example"))}, "client rmm  2"},
		{"a tool's instance at two hosts", []*ocsf.Event{came(0, tool("connect", "ab"), host("ws-1")), came(time.Minute, tool("connect", "ab"), host("ws-2"))}, "client rmm  1; client rmm  1"},
		{"two instances at one host", []*ocsf.Event{came(0, tool("connect", "ab"), host("ws-1")), came(time.Minute, tool("connect", "cd"), host("ws-1"))}, "client rmm  1; client rmm  1"},
		{"a foreign tool needs no partner", []*ocsf.Event{came(0, tool("connect", "ab"), host("ws-1"), nobodys)}, "client rmm  1"},
		{"an account in the cloud", []*ocsf.Event{came(0, user("Kim@isl.example"), from("198.51.100.7"), signIn("Portal", ocsf.StatusSuccess)), came(time.Minute, user("kim@isl.example"), from("198.51.100.7"), call("MailItemsAccessed", ocsf.StatusSuccess))},
			"client cloud kim@isl.example 2"},
		{"an account in the cloud from two addresses", []*ocsf.Event{came(0, user("kim"), from("198.51.100.7"), signIn("Portal", ocsf.StatusSuccess)), came(time.Minute, user("kim"), from("198.51.100.8"), signIn("Portal", ocsf.StatusSuccess))},
			"client cloud kim 1; client cloud kim 1"},
		{"an app in the cloud", []*ocsf.Event{came(0, from("198.51.100.7"), signIn("Portal", ocsf.StatusSuccess), func(e *ocsf.Event) { e.Cloud.ServicePrin, e.Cloud.AppID = true, "APP-1" })}, "client cloud app app-1 1"},
		{"nobody in the cloud", []*ocsf.Event{came(0, from("198.51.100.7"), call("x", ocsf.StatusSuccess))}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(graph(c.events...)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSessionTellsWhereItCameFrom(t *testing.T) {
	g := graph(came(0, lease("vpn-1", true)), came(time.Minute, within("vpn-1"), from("10.200.0.9"), desk("10.1.0.5")))
	s := g.Session("vpn-1")
	got := []string{string(s.Partner), string(s.Trust), s.User, s.Addr.String(), s.Public.String(), s.Origin, s.Opened.File, s.End.Sub(s.Start).String()}
	if diff := cmp.Diff([]string{"isl", "isl-client", "isl-kim", "10.200.0.9", "198.51.100.7", "isl-ws3", "a.log", "1m0s"}, got); diff != "" {
		t.Error(diff)
	}
	late := came(0, within("vpn-2"), from("10.200.0.9"))
	late.Owner, late.OwnerFrom, late.OwnerHost = ocsf.User{Name: "ISL-Kim"}, netip.MustParseAddr("198.51.100.7"), "ISL-WS3.isl.example"
	s = graph(late).Session("vpn-2")
	if s.User != "isl-kim" || s.Public.String() != "198.51.100.7" || s.Origin != "isl-ws3" || s.Addr.String() != "10.200.0.9" {
		t.Errorf("a session known by its traffic alone: %+v", s)
	}
}

func TestSessionNamesItselfOnItsEvents(t *testing.T) {
	a, b := came(0, from("203.0.113.5")), came(time.Minute, from("203.0.113.5"))
	graph(a, b)
	if want := fmt.Sprintf("client:source:203.0.113.5@%d", monday.Unix()); a.Session != want || b.Session != want {
		t.Errorf("%q and %q, not %q", a.Session, b.Session, want)
	}
}

func TestBothSidesOfARemoteToolSession(t *testing.T) {
	theirs := came(0, tool("connect", ""), func(e *ocsf.Event) {
		e.Tenant, e.Direction, e.Remote.Target, e.Remote.Operator = "provider", ocsf.DirectionOut, "WS-1", "Kim Lee"
	}, from("10.9.0.4"))
	ours := came(10*time.Second, tool("connect", "ab"), host("ws-1.client.example"))
	g := graph(theirs, ours)
	if got := brief(g); got != "provider rmm kim lee 1; client rmm  1" {
		t.Fatal(got)
	}
	p, c := g.Session(theirs.Session), g.Session(ours.Session)
	if !p.Out || c.Out || p.Addr.String() != "10.9.0.4" || c.Instance != "ab" {
		t.Errorf("%+v\n%+v", p, c)
	}
	if p.Acts[0].Target != c.Acts[0].Target {
		t.Errorf("one host is called %q and %q", p.Acts[0].Target, c.Acts[0].Target)
	}
}

func TestWhichActsGotSomething(t *testing.T) {
	flow := func(port uint16, state string, d time.Duration, pkts int64) change {
		return func(e *ocsf.Event) {
			desk("10.1.0.5")(e)
			e.Dst.Port, e.Flow.State, e.Flow.Duration, e.Flow.OrigPkts, e.Flow.RespPkts = port, state, d, pkts, 0
		}
	}
	changed := func(c ocsf.ClassUID) change {
		return func(e *ocsf.Event) { e.Class, e.Layer, e.Activity = c, tenant.LayerEndpoint, "create" }
	}
	for _, c := range []struct {
		name  string
		event *ocsf.Event
		want  string
	}{
		{"logon", came(0, from("203.0.113.5"), user("ISL-Kim"), host("SRV-1"), logon(ocsf.StatusSuccess)), "logon srv-1 got"},
		{"failed logon", came(0, from("203.0.113.5"), user("isl-kim"), host("srv-1"), logon(ocsf.StatusFailure)), "failure srv-1"},
		{"logoff", came(0, from("203.0.113.5"), host("srv-1"), logon(ocsf.StatusSuccess), func(e *ocsf.Event) { e.Activity = "logoff" }), ""},
		{"work on a desktop", came(0, from("203.0.113.5"), flow(3389, "SF", time.Minute, 50)), "connection 10.1.0.5 got"},
		{"work by a session still open", came(0, from("203.0.113.5"), flow(22, "S1", time.Minute, 50)), "connection 10.1.0.5 got"},
		{"a probe", came(0, from("203.0.113.5"), flow(3389, "S0", 0, 1)), ""},
		{"a banner read", came(0, from("203.0.113.5"), flow(22, "SF", 2*time.Second, 50)), ""},
		{"an idle connection", came(0, from("203.0.113.5"), flow(22, "SF", time.Hour, 8)), ""},
		{"a web page", came(0, from("203.0.113.5"), flow(443, "SF", time.Minute, 50)), ""},
		{"a program", came(0, from("203.0.113.5"), host("srv-1"), program("whoami")), "command srv-1 got"},
		{"an account made", came(0, from("203.0.113.5"), host("srv-1"), changed(ocsf.ClassAccountChange)), "change srv-1 got"},
		{"a service made", came(0, from("203.0.113.5"), host("srv-1"), changed(ocsf.ClassWindowsService)), "change srv-1 got"},
		{"a tool's session", came(0, tool("connect", "ab"), host("ws-1")), "connect ws-1 got"},
		{"the end of a tool's session", came(0, tool("disconnect", "ab"), host("ws-1")), ""},
		{"sign-in", came(0, user("kim"), signIn("Portal", ocsf.StatusSuccess)), "sign-in Portal got"},
		{"refused sign-in", came(0, user("kim"), signIn("Portal", ocsf.StatusFailure)), "failure Portal"},
		{"call", came(0, user("kim"), call("New-InboxRule", ocsf.StatusUnknown)), "call anna got"},
		{"refused call", came(0, user("kim"), call("New-InboxRule", ocsf.StatusFailure)), "call anna"},
		{"a lease", came(0, lease("vpn-1", true)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := graph(c.event).Sessions()[0]
			got := ""
			for _, a := range s.Acts {
				if got = a.Kind + " " + a.Target; a.Got {
					got += " got"
				}
				if a.File != "a.log" || a.Record != 1 || a.Session != s.ID {
					t.Errorf("its record is %s %d of %s", a.File, a.Record, a.Session)
				}
			}
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if s.Success.IsZero() == strings.HasSuffix(c.want, "got") {
				t.Errorf("success at %s", s.Success)
			}
		})
	}
}

func TestSessionKeepsEachActOnceAndLimitedMany(t *testing.T) {
	g := NewGraph()
	for i := range 3 * MaxActs {
		g.Add(came(time.Duration(i)*time.Second, from("203.0.113.5"), host("srv-1"), program("run "+strconv.Itoa(i/2))))
	}
	s := g.Sessions()[0]
	if len(s.Acts) != MaxActs || s.Events != 3*MaxActs || s.Acts[1].Detail != "run 1" || !s.Success.Equal(monday) {
		t.Errorf("%d acts of %d events, the second %q, success %s", len(s.Acts), s.Events, s.Acts[1].Detail, s.Success)
	}
}

func TestActThatWasRefusedFirstGotSomethingThen(t *testing.T) {
	s := graph(came(0, user("kim"), call("New-InboxRule", ocsf.StatusFailure)), came(time.Minute, user("kim"), call("New-InboxRule", ocsf.StatusSuccess))).Sessions()[0]
	if len(s.Acts) != 1 || !s.Acts[0].Got || !s.Acts[0].Time.Equal(s.Success) {
		t.Errorf("%+v, success %s", s.Acts, s.Success)
	}
}

func TestWhereThereIsNoRoomTheOldestSessionsGoAndAreCounted(t *testing.T) {
	g := NewGraph()
	g.most = 32
	for i := range 32 {
		g.Add(came(time.Duration(i)*time.Second, from(fmt.Sprintf("203.0.113.%d", i))))
	}
	g.Add(came(40*time.Second, from("203.0.113.1"))) // the second was seen again
	fresh := came(time.Minute, from("198.51.100.9"))
	g.Add(fresh)
	if g.Left != 3 || len(g.sessions) != 30 || fresh.Session == "" {
		t.Fatalf("%d went, %d are kept, the new one is %q", g.Left, len(g.sessions), fresh.Session)
	}
	for i := range 5 {
		_, open := g.running[fmt.Sprintf("source\x00client\x00203.0.113.%d", i)]
		if want := i == 1 || i == 4; open != want {
			t.Errorf("203.0.113.%d is kept: %v", i, open)
		}
	}
}

func TestSessionsComeByStartThenID(t *testing.T) {
	for range 20 {
		got := brief(graph(came(0, from("203.0.113.6")), came(0, user("kim"), signIn("Portal", ocsf.StatusSuccess)), came(0, from("203.0.113.5")), came(-time.Second, from("203.0.113.7"), user("first"))))
		if got != "client source first 1; client cloud kim 1; client source  1; client source  1" {
			t.Fatal(got)
		}
	}
}

func TestShort(t *testing.T) {
	for in, want := range map[string]string{"SRV-1.client.example": "srv-1", "srv-1.": "srv-1", `\\SRV-1`: "srv-1", "10.1.0.5": "10.1.0.5", "FD00::5": "fd00::5", "": ""} {
		if got := Short(in); got != want {
			t.Errorf("%q gives %q, not %q", in, got, want)
		}
	}
}

func TestOverlaps(t *testing.T) {
	at := func(m int) time.Time { return monday.Add(time.Duration(m) * time.Minute) }
	for _, c := range []struct {
		name           string
		a, b, from, to int
		slack          time.Duration
		want           bool
	}{
		{"one within the other", 0, 60, 10, 20, 0, true},
		{"one touches the other", 0, 10, 10, 20, 0, true},
		{"one after the other", 0, 10, 11, 20, 0, false},
		{"one soon after the other", 0, 10, 11, 20, time.Minute, true},
		{"one soon before the other", 12, 20, 0, 11, time.Minute, true},
	} {
		if got := Overlaps(at(c.a), at(c.b), at(c.from), at(c.to), c.slack); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
