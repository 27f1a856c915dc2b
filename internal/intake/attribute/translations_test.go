package attribute

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// natted is a flow from behind a translation, as the firewall that translates tells it.
func natted(t time.Time, proto, inside, outside, dst string, edit ...func(*ocsf.Event)) *ocsf.Event {
	in, out := netip.MustParseAddrPort(inside), netip.MustParseAddrPort(outside)
	e := &ocsf.Event{Tenant: "acme", Time: t, Class: ocsf.ClassNetworkActivity, Src: ocsf.Endpoint{IP: in.Addr(), Port: in.Port()},
		NAT: &ocsf.Translation{Proto: proto, Inside: ocsf.Endpoint{IP: in.Addr(), Port: in.Port()}, Outside: ocsf.Endpoint{IP: out.Addr(), Port: out.Port()},
			Start: true, End: true, Lasted: time.Minute}}
	if dst != "" {
		to := netip.MustParseAddrPort(dst)
		e.Dst = ocsf.Endpoint{IP: to.Addr(), Port: to.Port()}
	}
	for _, f := range edit {
		f(e)
	}
	stamp(e)
	return e
}

func begins(e *ocsf.Event) { e.NAT.End, e.NAT.Lasted = false, 0 }
func stops(e *ocsf.Event)  { e.NAT.Start, e.NAT.Lasted = false, 0 }
func of(id tenant.ID) func(*ocsf.Event) {
	return func(e *ocsf.Event) { e.Tenant = id }
}

// seen is a flow as a sensor outside of the translation sees it.
func seen(t time.Time, proto, src, dst string) ocsf.Event {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	return ocsf.Event{Tenant: "acme", Time: t, Class: ocsf.ClassNetworkActivity, Flow: &ocsf.Flow{Proto: proto},
		Src: ocsf.Endpoint{IP: from.Addr(), Port: from.Port()}, Dst: ocsf.Endpoint{IP: to.Addr(), Port: to.Port()}}
}

func TestATranslationNamesWhoWasBehindAnAddress(t *testing.T) {
	const out, dst = "10.20.9.8:40000", "10.20.1.1:445"
	noon := at("12:00:00")
	one := natted(noon, "tcp", "10.77.0.5:51000", out, dst)
	two := natted(noon, "tcp", "10.77.0.6:51000", "10.20.9.8:40001", dst)
	for name, c := range map[string]struct {
		event ocsf.Event
		known []*ocsf.Event
		want  string
	}{
		"by port and time":                     {seen(noon.Add(30*time.Second), "tcp", out, dst), []*ocsf.Event{one, two}, "10.77.0.5"},
		"the other port is the other's":        {seen(noon.Add(30*time.Second), "tcp", "10.20.9.8:40001", dst), []*ocsf.Event{one, two}, "10.77.0.6"},
		"another port is nobody's: shared":     {seen(noon, "tcp", "10.20.9.8:40002", dst), []*ocsf.Event{one, two}, "shared by 2"},
		"another protocol is another port":     {seen(noon, "udp", out, dst), []*ocsf.Event{one, two}, "shared by 2"},
		"another time: shared":                 {seen(noon.Add(20*time.Minute), "tcp", out, dst), []*ocsf.Event{one, two}, "shared by 2"},
		"hours later nothing is known":         {seen(noon.Add(5*time.Hour), "tcp", out, dst), []*ocsf.Event{one, two}, ""},
		"one inside address alone shares none": {seen(noon.Add(20*time.Minute), "tcp", out, dst), []*ocsf.Event{one}, ""},
		"clocks a minute apart":                {seen(noon.Add(-time.Minute), "tcp", out, dst), []*ocsf.Event{one, two}, "10.77.0.5"},
		"clocks a minute apart, and two had the port": {seen(noon.Add(90*time.Second), "tcp", out, dst),
			[]*ocsf.Event{one, natted(at("12:02:00"), "tcp", "10.77.0.6:51000", out, dst)}, "shared by 2"},
		"the port changed hands": {seen(at("12:02:10"), "tcp", out, dst),
			[]*ocsf.Event{one, natted(at("12:02:00"), "tcp", "10.77.0.6:51000", out, dst)}, "10.77.0.6"},
		"it changed hands within a second": {seen(at("12:01:00").Add(time.Millisecond), "tcp", out, dst),
			[]*ocsf.Event{one, natted(at("12:01:00").Add(time.Millisecond), "tcp", "10.77.0.6:51000", out, dst)}, "10.77.0.6"},
		"one port, two destinations": {seen(noon.Add(time.Second), "tcp", out, "10.20.1.2:445"),
			[]*ocsf.Event{one, natted(noon, "tcp", "10.77.0.6:51000", out, "10.20.1.2:445")}, "10.77.0.6"},
		"one port, two holders, and none for this destination": {seen(noon.Add(time.Second), "tcp", out, "10.20.1.3:445"),
			[]*ocsf.Event{one, natted(noon, "tcp", "10.77.0.6:51000", out, "10.20.1.2:445")}, "shared by 2"},
		"a beginning alone": {seen(at("12:40:00"), "tcp", out, dst), []*ocsf.Event{natted(noon, "tcp", "10.77.0.5:51000", out, "", begins)}, "10.77.0.5"},
		"a beginning is not believed for ever": {seen(at("13:10:00"), "tcp", out, dst),
			[]*ocsf.Event{natted(noon, "tcp", "10.77.0.5:51000", out, "", begins)}, ""},
		"a beginning and its end": {seen(at("12:40:00"), "tcp", out, dst),
			[]*ocsf.Event{natted(noon, "tcp", "10.77.0.5:51000", out, "", begins), natted(at("12:10:00"), "tcp", "10.77.0.5:51000", out, "", stops)}, ""},
		"before the end": {seen(at("12:09:00"), "tcp", out, dst),
			[]*ocsf.Event{natted(noon, "tcp", "10.77.0.5:51000", out, "", begins), natted(at("12:10:00"), "tcp", "10.77.0.5:51000", out, "", stops)}, "10.77.0.5"},
		"the next beginning ends the one before": {seen(at("12:20:00"), "tcp", out, dst),
			[]*ocsf.Event{natted(noon, "tcp", "10.77.0.5:51000", out, "", begins), natted(at("12:10:00"), "tcp", "10.77.0.6:51000", out, "", begins)}, "10.77.0.6"},
		"another tenant's translation says nothing": {seen(noon, "tcp", out, dst),
			[]*ocsf.Event{natted(noon, "tcp", "10.77.0.5:51000", out, dst, of("borg")), natted(noon, "tcp", "10.77.0.6:51000", "10.20.9.8:4", dst, of("borg"))}, ""},
		"ICMP by its destination": {seen(noon, "icmp", "10.20.9.8:0", "10.20.1.1:0"),
			[]*ocsf.Event{natted(noon, "icmp", "10.77.0.5:0", "10.20.9.8:0", "10.20.1.1:0"), natted(noon, "icmp", "10.77.0.6:0", "10.20.9.8:0", "10.20.1.2:0")}, "10.77.0.5"},
		"ICMP to nobody that was told of": {seen(noon, "icmp", "10.20.9.8:0", "10.20.1.9:0"),
			[]*ocsf.Event{natted(noon, "icmp", "10.77.0.5:0", "10.20.9.8:0", "10.20.1.1:0"), natted(noon, "icmp", "10.77.0.6:0", "10.20.9.8:0", "10.20.1.2:0")}, "shared by 2"},
		"IPv6":                            {seen(noon, "udp", "[2001:db8:20::8]:7", "[2001:db8:20::1]:53"), []*ocsf.Event{natted(noon, "udp", "[2001:db8:77::5]:7", "[2001:db8:20::8]:7", "")}, "2001:db8:77::5"},
		"an event without a protocol":     {seen(noon, "", out, dst), []*ocsf.Event{one}, "10.77.0.5"},
		"a translation to itself is none": {seen(noon, "tcp", out, dst), []*ocsf.Event{natted(noon, "tcp", out, out, dst)}, ""},
		"a broken counter is none": {seen(noon, "tcp", out, dst), []*ocsf.Event{natted(noon, "tcp", "10.77.0.5:1", out, dst,
			func(e *ocsf.Event) { e.NAT.Lasted = 100 * 24 * time.Hour })}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := attributed(t, model(), c.event, c.known...)
			if got := behind(e); got != c.want {
				t.Errorf("behind the address: %q, want %q", got, c.want)
			}
		})
	}
}

func behind(e *ocsf.Event) string {
	switch {
	case e.Inside.IsValid():
		return e.Inside.String()
	case e.SharedBy > 0:
		return fmt.Sprintf("shared by %d", e.SharedBy)
	}
	return ""
}

func TestAHiddenSessionIsNamedThroughTheTranslation(t *testing.T) {
	const out, dst = "10.20.9.8:40000", "10.20.1.1:445"
	noon := at("12:00:00")
	lease := leased("acme", at("11:00:00"), "vpn", "10.20.77.5", "nw-ann", from("198.51.100.7"), device("pc1"))
	nat := natted(noon, "tcp", "10.20.77.5:51000", out, dst)
	e := attributed(t, model(), seen(noon.Add(time.Second), "tcp", out, dst), lease, nat)
	if e.Owner.Name != "nw-ann" || e.OwnerHost != "pc1" || e.OwnerFrom != ip("198.51.100.7") || e.Trust != "nw-acme" || e.Session == "" || e.SharedBy != 0 {
		t.Errorf("owner %s %s from %s, trust %s, session %q: want nw-ann pc1 from 198.51.100.7 by nw-acme and the session", e.Owner, e.OwnerHost, e.OwnerFrom, e.Trust, e.Session)
	}
	inside := attributed(t, model(), seen(noon.Add(time.Second), "tcp", "10.20.77.5:51000", dst), lease, nat)
	if inside.Session != e.Session || inside.Inside.IsValid() {
		t.Errorf("seen inside: session %q, inside %s; outside: session %q: want one session", inside.Session, inside.Inside, e.Session)
	}
	e = attributed(t, model(), seen(noon, "tcp", out, dst), natted(noon, "tcp", "10.99.0.5:51000", out, dst))
	if e.Trust != "nw-acme" || e.Rule != "network 10.99.0.0/24 behind a translation" || e.OwnerFrom != ip("10.99.0.5") {
		t.Errorf("trust %s by %q, from %s: want nw-acme by the network behind the translation", e.Trust, e.Rule, e.OwnerFrom)
	}
	whole := leased("acme", at("11:00:00"), "nat", "10.20.9.9", "", from("10.20.77.5"))
	e = attributed(t, model(), seen(noon, "tcp", "10.20.9.9:1", dst), lease, whole)
	if e.Owner.Name != "nw-ann" || e.Inside != ip("10.20.77.5") {
		t.Errorf("owner %s, inside %s: want nw-ann behind the translation of a whole address", e.Owner, e.Inside)
	}
}

func TestALogonFromASharedAddressIsNotAllWhoComeFromIt(t *testing.T) {
	noon := at("12:00:00")
	logon := &ocsf.Event{Tenant: "acme", Time: noon, Class: ocsf.ClassAuthentication, User: ocsf.User{Name: "nw-ann"}, Src: ocsf.Endpoint{IP: ip("192.168.50.8")}}
	stamp(logon)
	event := seen(noon.Add(time.Minute), "tcp", "192.168.50.8:40009", "10.20.1.1:445")
	if e := attributed(t, model(), event, logon); e.Owner.Name != "nw-ann" {
		t.Errorf("owner %q without translations, want nw-ann", e.Owner.Name)
	}
	e := attributed(t, model(), event, logon, natted(noon, "tcp", "10.77.0.5:1", "192.168.50.8:1", ""), natted(noon, "tcp", "10.77.0.6:1", "192.168.50.8:2", ""))
	if e.Owner.Name != "" || e.SharedBy != 2 {
		t.Errorf("owner %q, shared by %d: want nobody and 2", e.Owner.Name, e.SharedBy)
	}
}

// traffic is hours of translations on a few ports of two addresses.
func traffic(seed uint64, n int) []*ocsf.Event {
	r := rand.New(rand.NewPCG(seed, 5))
	var out []*ocsf.Event
	for i := range n {
		e := natted(at("08:00:00").Add(time.Duration(r.IntN(3*3600))*time.Second), []string{"tcp", "udp"}[r.IntN(2)],
			fmt.Sprintf("10.77.0.%d:5000", 1+r.IntN(6)), fmt.Sprintf("10.20.9.%d:%d", 8+r.IntN(2), 40000+r.IntN(5)), "")
		switch r.IntN(4) {
		case 0:
			begins(e)
		case 1:
			stops(e)
		default:
			e.NAT.Lasted = time.Duration(r.IntN(600)) * time.Second
		}
		if r.IntN(2) == 0 {
			e.Dst = ocsf.Endpoint{IP: ip("10.20.1.1"), Port: uint16(r.IntN(2))}
		}
		if r.IntN(8) == 0 {
			e = leased("acme", e.Time, "vpn", fmt.Sprintf("10.77.0.%d", 1+r.IntN(6)), "nw-ann")
		}
		e.Raw.Record = int64(i)
		stamp(e)
		if out = append(out, e); r.IntN(10) == 0 {
			out = append(out, e) // delivered twice
		}
	}
	return out
}

// answers asks who was behind every address and port at many times.
func answers(s *Sessions) (out []string) {
	a := New(model(), s)
	for _, proto := range []string{"tcp", "udp", ""} {
		for addr := 8; addr < 10; addr++ {
			for port := 40000; port < 40006; port++ {
				for t := at("07:50:00"); t.Before(at("13:00:00")); t = t.Add(7 * time.Minute) {
					e := seen(t, proto, fmt.Sprintf("10.20.9.%d:%d", addr, port), "10.20.1.1:1")
					a.Attribute(&e)
					out = append(out, fmt.Sprint(behind(&e), " ", e.Owner.Name, " ", e.Session))
				}
			}
		}
	}
	return out
}

func TestTranslationsMayComeInAnyOrderAndInSteps(t *testing.T) {
	for seed := range uint64(5) {
		events := traffic(seed, 300)
		want := answers(sealed(events...))
		named := 0
		for _, a := range want {
			if a[0] == '1' {
				named++
			}
		}
		if named < len(want)/10 {
			t.Fatalf("seed %d: only %d of %d questions have an answer, which shows too little", seed, named, len(want))
		}
		r := rand.New(rand.NewPCG(seed, 6))
		for range 3 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			s := NewSessions()
			for i, e := range events {
				s.Learn(e)
				switch {
				case r.IntN(40) == 0:
					s.Refresh()
				case i == len(events)/2:
					s = carried(t, s)
				}
			}
			s.Refresh()
			if !slices.Equal(want, answers(s)) {
				t.Fatalf("seed %d: in another order and in steps the answers differ", seed)
			}
		}
	}
}

func TestARecordThatComesLateChangesOnlyThePastThatWasAskedFor(t *testing.T) {
	noon := at("12:00:00")
	s := sealed(natted(noon, "tcp", "10.77.0.5:1", "10.20.9.8:1", ""))
	a := New(model(), s)
	e := seen(noon, "tcp", "10.20.9.8:40000", "10.20.1.1:445")
	a.Attribute(&e)
	for _, c := range []struct {
		port uint16
		want int
	}{{40001, 0}, {40000, 1}, {40000, 0}} {
		late := natted(noon, "tcp", "10.77.0.6:1", fmt.Sprintf("10.20.9.8:%d", c.port), "", func(e *ocsf.Event) { e.Raw.Record = int64(c.want) })
		s.Learn(late)
		got := s.Refresh()
		if len(got) != c.want || c.want == 1 && (got[0].Addr != ip("10.20.9.8") || got[0].From.After(noon)) {
			t.Errorf("port %d: changes %v, want %d", c.port, got, c.want)
		}
	}
	if a.Attribute(&e); e.Inside != ip("10.77.0.6") {
		t.Errorf("inside %s after the late record, want 10.77.0.6", e.Inside)
	}
	s.Learn(leased("acme", at("11:00:00"), "vpn", "10.77.0.6", "nw-ann"))
	var of []string
	for _, x := range s.Refresh() {
		of = append(of, x.Addr.String())
	}
	if want := []string{"10.20.9.8", "10.77.0.6"}; !slices.Equal(of, want) {
		t.Errorf("the holder of the inside address changed that of %v, want %v", of, want)
	}
}

func TestTranslationsAreBounded(t *testing.T) {
	const limit = 2000
	make1 := func(i int) *ocsf.Event {
		e := natted(at("08:00:00").Add(time.Duration(i)*time.Second), "tcp", fmt.Sprintf("10.77.%d.%d:5", i/200%200, i%200), fmt.Sprintf("10.20.9.8:%d", 1024+i%60000), "")
		return e
	}
	var events []*ocsf.Event
	for i := range 5 * limit {
		events = append(events, make1(i))
	}
	count := func(s *Sessions) (n int) {
		for _, x := range s.nat {
			for _, o := range x.addrs {
				n += len(o.fresh)
				for _, run := range o.runs {
					n += len(run)
				}
			}
		}
		return n
	}
	var want []string
	for round := range 3 {
		s := NewSessions()
		s.maxNAT = limit
		for i, e := range events {
			s.Learn(e)
			if i%700 == 0 && round == 1 {
				s.Refresh()
			}
			if n := count(s); i%100 == 0 && n > limit+limit/4 {
				t.Fatalf("%d translations are kept after %d, at most %d may be", n, i, limit+limit/4)
			}
		}
		s.Seal()
		if n := count(s); n != limit || s.nat["acme"].count != limit {
			t.Fatalf("%d translations are kept and counted as %d, want the latest %d", n, s.nat["acme"].count, limit)
		}
		var got []string
		a := New(model(), s)
		for i := 0; i < len(events); i += 37 {
			e := seen(at("08:00:00").Add(time.Duration(i)*time.Second), "tcp", fmt.Sprintf("10.20.9.8:%d", 1024+i%60000), "10.20.1.1:1")
			a.Attribute(&e)
			got = append(got, behind(&e))
		}
		if got[len(got)-1] == "" || got[0] != "" {
			t.Errorf("the latest is %q and the first %q: want the latest to be known alone", got[len(got)-1], got[0])
		}
		if want == nil {
			want = got
		} else if !slices.Equal(want, got) {
			t.Error("in another order other translations are kept")
		}
		rand.New(rand.NewPCG(uint64(round), 9)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	s := NewSessions()
	for _, e := range events {
		s.Learn(e)
	}
	s.Refresh()
	s.Forget(day(12))
	if len(s.nat) != 0 {
		t.Errorf("%d tenants have translations two days later", len(s.nat))
	}
	for i := range 3 * maxOutside {
		s.Learn(natted(at("08:00:00"), "tcp", "10.77.0.1:5", netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(i >> 8), byte(i)}), 9).String(), ""))
	}
	if n := len(s.nat["acme"].addrs); n > maxOutside {
		t.Errorf("%d outside addresses are kept, at most %d may be", n, maxOutside)
	}
}

func TestForgettingTranslationsLeavesLaterAnswersAlone(t *testing.T) {
	events := traffic(3, 400)
	want, s := answers(sealed(events...)), sealed(events...)
	s.Forget(at("10:00:00"))
	got := answers(s)
	i := 0
	for range 3 * 2 * 6 {
		for x := at("07:50:00"); x.Before(at("13:00:00")); x = x.Add(7 * time.Minute) {
			if !x.Before(at("10:00:00")) && got[i] != want[i] {
				t.Fatalf("at %s the answer was %q and is %q", x, want[i], got[i])
			}
			i++
		}
	}
}

func TestHandshakesOfOneKeyAreOneSession(t *testing.T) {
	wg := func(clock string) *ocsf.Event {
		return leased("acme", at(clock), "vpn", "10.99.0.7", "nw-ann", numbered("wg0/key"), from("198.51.100.7"), func(l *ocsf.Lease) { l.Lasts = 9 * time.Minute })
	}
	s := sealed(wg("10:00:00"), wg("10:02:05"), wg("10:10:00"), wg("10:30:00"))
	for _, c := range []struct{ clock, want string }{
		{"10:00:00", "acme:vpn:10.99.0.7@" + fmt.Sprint(at("10:00:00").Unix())}, {"10:18:59", "acme:vpn:10.99.0.7@" + fmt.Sprint(at("10:00:00").Unix())},
		{"10:20:00", ""}, {"10:31:00", "acme:vpn:10.99.0.7@" + fmt.Sprint(at("10:30:00").Unix())}, {"10:40:00", ""},
	} {
		l, _ := s.Holder("acme", ip("10.99.0.7"), at(c.clock))
		if l.ID != c.want {
			t.Errorf("at %s session %q, want %q", c.clock, l.ID, c.want)
		}
	}
}

func BenchmarkLearnTranslations(b *testing.B) {
	events := make([]*ocsf.Event, 100_000)
	for i := range events {
		events[i] = natted(at("08:00:00").Add(time.Duration(i)*time.Millisecond), "tcp", fmt.Sprintf("10.77.%d.%d:5", i/200%200, i%200), fmt.Sprintf("10.20.9.8:%d", 1024+i%60000), "")
	}
	s := NewSessions()
	n := 0
	for b.Loop() {
		e := *events[n%len(events)]
		e.Time = at("08:00:00").Add(time.Duration(n) * time.Millisecond)
		s.Learn(&e)
		if n++; n%500 == 0 {
			s.Refresh()
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "translations/s")
}
