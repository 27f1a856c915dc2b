package attribute

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const pool = "10.99.0.7"

// asked returns who held the address at each clock time of the 10th, as holder/device or "-".
func asked(s *Sessions, addr string, clocks ...string) string {
	var out []string
	for _, c := range clocks {
		l, ok := s.Holder("acme", ip(addr), at(c))
		switch {
		case !ok:
			out = append(out, "-")
		case l.Device != "":
			out = append(out, l.Holder.Name+"/"+l.Device)
		default:
			out = append(out, l.Holder.Name)
		}
	}
	return strings.Join(out, " ")
}

func sealed(events ...*ocsf.Event) *Sessions {
	s := NewSessions()
	a := New(model(), s)
	for _, e := range events {
		a.Learn(e)
	}
	s.Seal()
	return s
}

func vpn(clock, who string, edit ...func(*ocsf.Lease)) *ocsf.Event {
	return leased("acme", at(clock), "vpn", pool, who, edit...)
}

func TestASessionEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		ask    string
		want   string
	}{
		{"at its end record", []*ocsf.Event{vpn("09:00:00", "ann"), vpn("10:00:00", "ann", end)},
			"08:59:58 08:59:59 09:00:00 10:00:00 10:00:01 10:00:02", "- ann ann ann ann -"},
		{"where the record came before its start", []*ocsf.Event{vpn("10:00:00", "ann", end), vpn("09:00:00", "ann")}, "09:30:00 10:30:00", "ann -"},
		{"at the next session on its address", []*ocsf.Event{vpn("09:00:00", "ann"), vpn("10:00:00", "bob")}, "09:59:59 10:00:00 10:00:01", "ann bob bob"},
		{"in the second in which the next one begins", []*ocsf.Event{vpn("09:00:00", "ann"), vpn("10:00:00", "ann", end), vpn("10:00:00", "bob"), vpn("11:00:00", "bob", end)},
			"09:59:59 10:00:00 10:30:00 11:00:02", "ann bob bob -"},
		{"in the second in which its holder comes again", []*ocsf.Event{vpn("09:00:00", "ann"), vpn("10:00:00", "ann", end), vpn("10:00:00", "ann"), vpn("11:00:00", "ann", end)},
			"10:00:00 10:30:00 11:00:02", "ann ann -"},
		{"in the second in which it began", []*ocsf.Event{vpn("09:00:00", "ann"), vpn("09:00:00", "ann", end)}, "09:00:00 09:00:01 09:00:02", "ann ann -"},
		{"in the second in which it began, after another of its holder", []*ocsf.Event{vpn("08:00:00", "ann", numbered("1")), vpn("09:00:00", "ann", numbered("2")), vpn("09:00:00", "ann", end, numbered("2"))},
			"08:30:00 09:00:02", "ann -"},
		{"never by another's end", []*ocsf.Event{vpn("09:00:00", "ann"), vpn("10:00:00", "bob", end)}, "10:30:00", "ann"},
		{"never by the late end of the session before it", []*ocsf.Event{vpn("08:00:00", "ann", numbered("1")), vpn("09:00:00", "ann", numbered("2")), vpn("09:00:30", "ann", end, numbered("1")), vpn("10:00:00", "ann", end, numbered("2"))},
			"09:30:00 10:00:02", "ann -"},
		{"soon after a reconnection, by its own end", []*ocsf.Event{vpn("09:00:00", "ann", numbered("1")), vpn("09:01:00", "ann", numbered("2")), vpn("09:01:05", "ann", end, numbered("1"))}, "09:30:00", "ann"},
		{"by an end whose number the reader could not know", []*ocsf.Event{vpn("09:00:00", "ann", numbered("1")), vpn("10:00:00", "ann", end, numbered("?"))}, "09:30:00 10:30:00", "ann -"},
		{"once, where its end is told twice", []*ocsf.Event{vpn("09:00:00", "ann"), vpn("10:00:00", "ann", end), vpn("10:00:00", "ann", end), vpn("10:00:00", "ann")}, "10:30:00", "ann"},
		{"with the name in other letters", []*ocsf.Event{vpn("09:00:00", "ANN"), vpn("10:00:00", "ann", end)}, "09:30:00 10:30:00", "ANN -"},
		{"of another device of the same person", []*ocsf.Event{vpn("09:00:00", "ann", device("pc1")), vpn("10:00:00", "ann", end, device("pc2"))}, "10:30:00", "ann/pc1"},
		{"without a beginning: nothing is known", []*ocsf.Event{vpn("10:00:00", "ann", end)}, "09:00:00 10:00:00", "- -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := asked(sealed(c.events...), pool, strings.Fields(c.ask)...); got != c.want {
				t.Errorf("at %s: %s, want %s", c.ask, got, c.want)
			}
		})
	}
}

func TestASessionIsNotBelievedForEver(t *testing.T) {
	start, mine := day(1), func(n int, kind, who string, edit ...func(*ocsf.Lease)) *ocsf.Event {
		return leased("acme", day(n), kind, pool, who, edit...)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		lasts  time.Duration
	}{
		{"without an end", []*ocsf.Event{mine(1, "vpn", "ann")}, MaxSession},
		{"with an end after three days", []*ocsf.Event{mine(1, "vpn", "ann"), mine(4, "vpn", "ann", end)}, 3 * MaxSession},
		{"with an end after ten days, which is another's", []*ocsf.Event{mine(1, "vpn", "ann"), mine(11, "vpn", "ann", end)}, MaxSession},
		{"without an end, where the next one comes after three days", []*ocsf.Event{mine(1, "vpn", "ann"), mine(4, "vpn", "bob")}, MaxSession},
		{"as a DHCP lease that is renewed after four days", []*ocsf.Event{mine(1, "dhcp", "", device("pc1")), mine(5, "dhcp", "", device("pc1"))}, 4 * MaxSession},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sealed(c.events...)
			want, ok := s.Holder("acme", ip(pool), start)
			if !ok {
				t.Fatal("nobody at the start")
			}
			if got, ok := s.Holder("acme", ip(pool), start.Add(c.lasts-time.Second)); !ok || got != want {
				t.Errorf("before the end %v, %v", got, ok)
			}
			if got, ok := s.Holder("acme", ip(pool), start.Add(c.lasts+2*time.Second)); ok && got == want {
				t.Errorf("still held after the end")
			}
		})
	}
}

func TestTwoStartRecordsOfOneSessionAreOne(t *testing.T) {
	s := sealed(vpn("09:00:00", "ann"), vpn("09:00:40", "ann", device("pc1"), from("198.51.100.77")), vpn("10:00:00", "ann", end))
	l, _ := s.Holder("acme", ip(pool), at("09:00:10"))
	if l.Device != "pc1" || l.Public != ip("198.51.100.77") || !strings.HasSuffix(l.ID, fmt.Sprint(at("09:00:00").Unix())) {
		t.Errorf("%+v", l)
	}
	if later, _ := s.Holder("acme", ip(pool), at("09:30:00")); later != l {
		t.Errorf("%+v and %+v", l, later)
	}
}

func TestADHCPLeaseTellsTheDeviceAndNotThePerson(t *testing.T) {
	dhcp := func(clock, dev string, edit ...func(*ocsf.Lease)) *ocsf.Event {
		return leased("acme", at(clock), "dhcp", pool, "", append(edit, device(dev))...)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		ask    string
		want   string
	}{
		{"a lease alone", []*ocsf.Event{dhcp("09:00:00", "pc1"), dhcp("10:00:00", "pc1", end)}, "09:30:00 10:30:00", "/pc1 -"},
		{"it does not end a VPN session", []*ocsf.Event{vpn("09:00:00", "ann"), dhcp("09:00:01", "pc1"), vpn("10:00:00", "ann", end)}, "09:30:00 10:30:00", "ann /pc1"},
		{"a VPN session does not end it", []*ocsf.Event{dhcp("09:00:00", "pc1"), vpn("09:10:00", "ann"), vpn("09:20:00", "ann", end)}, "09:05:00 09:15:00 09:30:00", "/pc1 ann /pc1"},
		{"who logs on from the address is still asked", []*ocsf.Event{dhcp("09:00:00", "pc1"), logon("10:00:00", "nw-ann", pool)}, "09:15:00 10:10:00", "/pc1 nw-ann/pc1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := asked(sealed(c.events...), pool, strings.Fields(c.ask)...); got != c.want {
				t.Errorf("at %s: %s, want %s", c.ask, got, c.want)
			}
		})
	}
}

// logon is a partner's account that logs on from an address.
func logon(clock, who, src string, edit ...func(*ocsf.Event)) *ocsf.Event {
	e := &ocsf.Event{Tenant: "acme", Time: at(clock), Class: ocsf.ClassAuthentication, User: ocsf.User{Name: who}, Src: ocsf.Endpoint{IP: ip(src)}}
	for _, f := range edit {
		f(e)
	}
	stamp(e)
	return e
}

func TestAPartnersLogonTellsWhoHoldsAPoolAddress(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		ask    string
		want   string
	}{
		{"half an hour before and after", []*ocsf.Event{logon("10:00:00", "nw-ann", pool)}, "09:29:58 09:30:00 10:30:00 10:30:02", "- nw-ann nw-ann -"},
		{"logons within an hour are one stay", []*ocsf.Event{logon("10:00:00", "nw-ann", pool), logon("11:00:00", "NW-Ann", pool)}, "10:45:00", "nw-ann"},
		{"an hour of silence and more is a gap", []*ocsf.Event{logon("10:00:00", "nw-ann", pool), logon("11:10:00", "nw-ann", pool)}, "10:35:00", "-"},
		{"the next account takes over where it logs on", []*ocsf.Event{logon("10:00:00", "nw-ann", pool), logon("10:05:00", "nw-bob", pool), logon("10:10:00", "nw-ann", pool)},
			"09:45:00 10:04:59 10:05:01 10:09:59 10:10:01 10:30:00", "nw-ann nw-ann nw-bob nw-bob nw-ann nw-ann"},
		{"a session of the gateway comes first", []*ocsf.Event{logon("10:00:00", "nw-ann", pool), vpn("09:00:00", "bob"), vpn("10:10:00", "bob", end)}, "10:00:00 10:20:00", "bob nw-ann"},
		{"an RDP logon too", []*ocsf.Event{logon("10:00:00", "nw-ann", pool, func(e *ocsf.Event) { e.Class = ocsf.ClassRDPActivity })}, "10:10:00", "nw-ann"},
		{"not a refused one", []*ocsf.Event{logon("10:00:00", "nw-ann", pool, func(e *ocsf.Event) { e.Status = ocsf.StatusFailure })}, "10:10:00", "-"},
		{"not the tenant's own account", []*ocsf.Event{logon("10:00:00", "jo", pool)}, "10:10:00", "-"},
		{"not a sign-in to the cloud", []*ocsf.Event{logon("10:00:00", "nw-ann", pool, func(e *ocsf.Event) { e.Cloud = &ocsf.Cloud{} })}, "10:10:00", "-"},
		{"not a file that was opened", []*ocsf.Event{logon("10:00:00", "nw-ann", pool, func(e *ocsf.Event) { e.Class = ocsf.ClassFileActivity })}, "10:10:00", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := asked(sealed(c.events...), pool, strings.Fields(c.ask)...); got != c.want {
				t.Errorf("at %s: %s, want %s", c.ask, got, c.want)
			}
		})
	}
	for addr, why := range map[string]string{"10.20.0.7": "the tenant's own", "::ffff:10.20.0.7": "the tenant's own, written as IPv6", "198.51.100.77": "a public one"} {
		if got := asked(sealed(logon("10:00:00", "nw-ann", addr)), addr, "10:00:00"); got != "-" {
			t.Errorf("a logon from %s (%s) makes %s its holder", addr, why, got)
		}
	}
}

func TestWhoseSessionItIsDecidesOverASharedPool(t *testing.T) {
	flow := ocsf.Event{Class: ocsf.ClassNetworkActivity, Flow: &ocsf.Flow{}, Time: at("10:00:00"), Src: ocsf.Endpoint{IP: ip(pool)}, Dst: ocsf.Endpoint{IP: ip("10.20.0.1")}}
	const network = "network 10.99.0.0/24"
	for _, c := range []struct {
		name  string
		known *ocsf.Event
		rule  string
	}{
		{"a pool address with no session is attributed by its prefix", vpn("11:00:00", "ann"), network},
		{"a partner's session", vpn("09:00:00", "nw-ann", from("198.51.100.77")), "session of nw-ann (account nw-*)"},
		{"a shared pool address whose session names nobody declared is not attributed by its prefix", vpn("09:00:00", "jo", from("198.51.100.77")), ""},
		{"unless the session came from the partner's own network", vpn("09:00:00", "jo", from("203.0.113.7")), network},
		{"or nobody knows from where it came, and the declaration is all there is", vpn("09:00:00", "jo"), network},
		{"a DHCP lease names no person and leaves it to the prefix", leased("acme", at("09:00:00"), "dhcp", pool, "", device("pc1")), network},
		{"a partner's logon", logon("09:50:00", "nw-ann", pool), "session of nw-ann (account nw-*)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if e := attributed(t, model(), flow, c.known); e.Rule != c.rule {
				t.Errorf("trust %q by %q, want %q", e.Trust, e.Rule, c.rule)
			}
		})
	}
}

func TestAnEventTellsWhoHeldItsAddress(t *testing.T) {
	open := vpn("09:00:00", "nw-ann", device("pc1"), from("198.51.100.77"))
	e := attributed(t, model(), ocsf.Event{Time: at("10:00:00"), Src: ocsf.Endpoint{IP: ip(pool)}}, open)
	if e.Owner.Name != "nw-ann" || e.OwnerFrom != ip("198.51.100.77") || e.OwnerHost != "pc1" || e.Session != fmt.Sprintf("acme:vpn:%s@%d", pool, at("09:00:00").Unix()) {
		t.Errorf("%+v", e.Attribution)
	}
	for name, known := range map[string]*ocsf.Event{"DHCP": leased("acme", at("09:00:00"), "dhcp", pool, "", device("pc1")), "a logon": logon("10:00:00", "nw-ann", pool)} {
		if e := attributed(t, model(), ocsf.Event{Time: at("10:00:00"), Src: ocsf.Endpoint{IP: ip(pool)}}, known); e.Session != "" {
			t.Errorf("%s gave the session %q", name, e.Session)
		}
	}
}

func TestALeaseRecordBelongsToItsOwnSession(t *testing.T) {
	ann := []*ocsf.Event{vpn("09:00:00", "nw-ann", numbered("1")), vpn("10:00:00", "nw-ann", end, numbered("1"))}
	late := vpn("10:00:20", "nw-ann", end, numbered("1"))
	bob := []*ocsf.Event{vpn("10:00:00", "nw-bob", numbered("2")), vpn("11:00:00", "nw-bob", end, numbered("2"))}
	id := func(clock string) string { return fmt.Sprintf("acme:vpn:%s@%d", pool, at(clock).Unix()) }
	all := append(append([]*ocsf.Event{late}, ann...), bob...)
	for _, c := range []struct {
		name  string
		event *ocsf.Event
		want  string
	}{
		{"its start", ann[0], id("09:00:00")},
		{"its end in the second in which the next begins", ann[1], id("09:00:00")},
		{"its end that comes late", late, id("09:00:00")},
		{"the start of the next", bob[0], id("10:00:00")},
		{"the end of the next", bob[1], id("10:00:00")},
		{"a stranger's end", vpn("10:30:00", "eve", end), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if e := attributed(t, model(), *c.event, all...); e.Session != c.want {
				t.Errorf("%q, want %q", e.Session, c.want)
			}
		})
	}
}

func TestRecordsThatTellNothingAreNotLearned(t *testing.T) {
	s := NewSessions()
	for _, l := range []*ocsf.Lease{nil, {Start: true}, {Start: true, Addr: netip.IPv4Unspecified()}, {Addr: ip(pool)}} {
		s.Learn(&ocsf.Event{Tenant: "acme", Time: day(1), Lease: l})
	}
	if len(s.fresh) != 0 {
		t.Errorf("%v", s.fresh)
	}
	if _, ok := s.Holder("acme", ip(pool), day(1)); ok {
		t.Error("a store that was not sealed answers")
	}
	a := New(model(), nil)
	a.Learn(vpn("09:00:00", "ann"))
	a.Attribute(vpn("09:00:00", "ann"))
}

func TestAnyOrderOfLearningGivesTheSameIntervals(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		var events []*ocsf.Event
		for i := range 40 {
			clock := fmt.Sprintf("%02d:%02d:%02d", 8+r.IntN(2), r.IntN(10), r.IntN(3))
			who := []string{"nw-ann", "nw-bob", "jo"}[r.IntN(3)]
			kind := []string{"vpn", "vpn", "dhcp", "logon"}[r.IntN(4)]
			var edit []func(*ocsf.Lease)
			if r.IntN(2) == 0 {
				edit = append(edit, end)
			}
			if r.IntN(3) == 0 {
				edit = append(edit, numbered(fmt.Sprint(r.IntN(4))))
			}
			if r.IntN(3) == 0 {
				edit = append(edit, device(fmt.Sprint("pc", r.IntN(3))))
			}
			e := leased("acme", at(clock), kind, pool, who, edit...)
			if kind == "logon" {
				e = logon(clock, who, pool)
			}
			e.Raw.Record = int64(i)
			stamp(e)
			events = append(events, e)
		}
		want := sealed(events...)
		for range 3 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			got := sealed(append(events, events[:5]...)...) // and some are delivered twice
			opt := cmp.Options{cmp.AllowUnexported(interval{}, holderKey{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}
			if d := cmp.Diff(want.sealed, got.sealed, opt); d != "" {
				t.Fatalf("seed %d: sessions differ:\n%s", seed, d)
			}
			if d := cmp.Diff(want.shown, got.shown, opt); d != "" {
				t.Fatalf("seed %d: logons differ:\n%s", seed, d)
			}
		}
		for _, list := range []map[holderKey][]interval{want.sealed, want.shown} {
			for k, l := range list {
				for i, x := range l {
					if x.to.Before(x.from) || i > 0 && x.from.Before(l[i-1].to) {
						t.Fatalf("seed %d: %v: interval %d overlaps or runs backwards: %v", seed, k, i, l)
					}
				}
			}
		}
	}
}

func TestIsolationALeaseOfOneTenantNeverAnswersForAnother(t *testing.T) {
	s := sealed(vpn("09:00:00", "nw-ann"), logon("09:00:00", "nw-bob", "10.98.0.1"), leased("acme", at("09:00:00"), "dhcp", "10.98.0.2", "", device("pc1")))
	for _, addr := range []string{pool, "10.98.0.1", "10.98.0.2"} {
		if _, ok := s.Holder("acme", ip(addr), at("09:10:00")); !ok {
			t.Errorf("%s has no holder at the tenant that told", addr)
		}
		for _, other := range []tenant.ID{"borg", "north", "", "ACME"} {
			if l, ok := s.Holder(other, ip(addr), at("09:10:00")); ok {
				t.Errorf("%s at %q is held by %+v", addr, other, l)
			}
		}
	}
	e := attributed(t, model(), ocsf.Event{Tenant: "borg", Time: at("09:10:00"), Src: ocsf.Endpoint{IP: ip(pool)}}, vpn("09:00:00", "nw-ann"))
	if e.Owner.Name != "" || e.Session != "" || e.Trust != "" {
		t.Errorf("%+v", e.Attribution)
	}
}

func TestIsolationOneAddressMeansEachTenantsOwn(t *testing.T) {
	for _, c := range []struct {
		tenant    tenant.ID
		src       string
		trust     tenant.TrustID
		direction ocsf.Direction
	}{
		{"acme", "10.20.0.5", "", ocsf.DirectionInternal},
		{"borg", "10.20.0.5", "", ocsf.DirectionInternal},
		{"north", "10.20.0.5", "", ocsf.DirectionIn},
		{"acme", "192.168.7.5", "nw-acme", ocsf.DirectionIn},
		{"borg", "192.168.7.5", "", ocsf.DirectionIn},
		{"borg", "172.16.5.5", "nw-borg", ocsf.DirectionIn},
		{"acme", "172.16.5.5", "", ocsf.DirectionIn},
		{"nobody", "172.16.5.5", "", ""},
	} {
		e := attributed(t, model(), ocsf.Event{Tenant: c.tenant, Src: ocsf.Endpoint{IP: ip(c.src)}})
		if e.Trust != c.trust || e.Direction != c.direction || e.Tenant != c.tenant {
			t.Errorf("%s from %s: trust %q, direction %q", c.tenant, c.src, e.Trust, e.Direction)
		}
	}
	e := attributed(t, model(), ocsf.Event{Tenant: "borg", Remote: &ocsf.RemoteSession{Tool: "screenconnect", Instance: "abc123"}, User: ocsf.User{Name: "svc-backup"},
		Cloud: &ocsf.Cloud{AppID: appID}, Src: ocsf.Endpoint{Host: "jump1.northwind.example", IP: ip("203.0.113.7")}})
	if e.Trust != "" {
		t.Errorf("acme's declarations gave borg the trust %q by %q", e.Trust, e.Rule)
	}
}

func TestOwnIsWhatTheTenantDeclares(t *testing.T) {
	a := New(model(), nil)
	for addr, want := range map[string]bool{"10.20.0.1": true, "::ffff:10.20.0.1": true, "10.21.0.1": false, "2001:db8:20::1": true} {
		if got := a.Own("acme", ip(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if a.Own("nobody", ip("10.20.0.1")) {
		t.Error("an unknown tenant owns an address")
	}
}

func TestAttributingAgainGivesTheSame(t *testing.T) {
	s := sealed(vpn("09:00:00", "nw-ann", from("198.51.100.77")))
	a := New(model(), s)
	e := ocsf.Event{Tenant: "acme", Time: at("10:00:00"), Src: ocsf.Endpoint{IP: ip(pool)}}
	a.Attribute(&e)
	once := e.Attribution
	a.Attribute(&e)
	if e.Attribution != once || once.Trust != "nw-acme" {
		t.Errorf("%+v, then %+v", once, e.Attribution)
	}
	e.Src.IP, e.Time = ip("192.0.2.1"), day(1)
	a.Attribute(&e)
	if e.Attribution != (ocsf.Attribution{Direction: ocsf.DirectionIn}) {
		t.Errorf("an attribution outlives what it rested on: %+v", e.Attribution)
	}
}
