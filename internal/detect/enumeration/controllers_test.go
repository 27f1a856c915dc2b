package enumeration

import (
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

const (
	second4 = "10.1.1.12"    // of the second controller
	second6 = "fd00:1::1:12" // the same
)

// asks are hosts, one after the other, that do something at an address.
func asks(n int, at time.Time, one func(at time.Time, src string) *ocsf.Event) []*ocsf.Event {
	return each(n, at, time.Second, func(i int, at time.Time) *ocsf.Event {
		return one(at, []string{"10.1.2.40", "10.1.2.41", "10.1.2.42"}[i])
	})
}

func to(e *ocsf.Event, dst string) *ocsf.Event {
	e.Dst.IP = netip.MustParseAddr(dst)
	return e
}

func replicates(at time.Time, src string) []*ocsf.Event {
	return []*ocsf.Event{rpc(at, src, server, "drsuapi", "DRSGetNCChanges")}
}

func TestAControllerIsKnownByWhatItDoesForOthersAndByItsName(t *testing.T) {
	before, first, now := monday.Add(-days), monday.Add(-12*time.Hour), monday
	share := func(name string) func(time.Time, string) *ocsf.Event {
		return func(at time.Time, src string) *ocsf.Event { return mapping(at, src, second6, name) }
	}
	call := func(name string) func(time.Time, string) *ocsf.Event {
		return func(at time.Time, src string) *ocsf.Event { return rpc(at, src, second6, "netlogon", name) }
	}
	ping := func(at time.Time, src string) *ocsf.Event {
		return to(ldap(at, src, "base", `(&(DnsDomain=client.local)(Host=WS1)(NtVer=\06\00\00\00))`, 1), second6)
	}
	kdc := func(dst string) []*ocsf.Event {
		return []*ocsf.Event{to(kerberos(before, desk, "AS", "eva", "krbtgt/CLIENT.LOCAL", aes, ""), dst)}
	}
	answer := func(kind, name string, answers ...string) *ocsf.Event {
		return dns(first, "10.1.2.40", kind, name, "NOERROR", answers...)
	}
	zone := []*ocsf.Event{dns(before, desk, "A", "ws1.client.local", "NOERROR", "10.1.2.40"), dns(before, desk, "A", "ws2.client.local", "NOERROR", "10.1.2.41")}
	names := append(zone, answer("A", "dc2.client.local", second4), answer("AAAA", "DC2.client.local", second6))
	const found = "replication medium T1003.006"
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"nothing is known of it", nil, found},
		{"several members open its SYSVOL", asks(2, first, share("SYSVOL")), ""},
		{"several members open its NETLOGON", asks(2, first, share("netlogon")), ""},
		{"a single host opens its SYSVOL", asks(1, first, share("SYSVOL")), found},
		{"several hosts open another share of it", asks(3, first, share("Public")), found},
		{"several members prove passwords to it", asks(2, first, call("NetrLogonSamLogonEx")), ""},
		{"several hosts ask it what members may ask each other", asks(3, first, call("NetrLogonControl2Ex")), found},
		{"several members ask whether it is alive", asks(2, first, ping), ""},
		{"its other address answers for Kerberos, and the names of the two are one", append(kdc(second4), names...), ""},
		{"another host of another name answers for Kerberos", append(kdc("10.1.1.77"), names...), found},
		{"members find it by its name", append([]*ocsf.Event{answer("SRV", "_ldap._tcp.Site1._sites.dc._msdcs.client.local", "dc1.client.local", "dc2.client.local")}, names...), ""},
		{"a printer is found by its name", append([]*ocsf.Event{answer("SRV", "_ipp._tcp.client.local", "dc2.client.local")}, names...), found},
		{"a name that several hosts share tells nothing of one of them", append(kdc("10.1.1.20"), append(zone, answer("A", "files.client.local", "10.1.1.20", "10.1.1.21"),
			answer("AAAA", "files.client.local", second6))...), found},
		{"a name server of the Internet says so", append(kdc(second4), append(zone, to(answer("A", "dc2.client.local", second4), "198.51.7.53"),
			to(answer("AAAA", "dc2.client.local", second6), "198.51.7.53"))...), found},
		{"it signs in as a controller, which who stole its password can too", []*ocsf.Event{kerberos(before, "10.1.2.40", "AS", "DC2$", "krbtgt/CLIENT.LOCAL", aes, ""),
			audit(first, "dc2", second6, "4624", "logon", "TargetUserName", "DC2$")}, found},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, sorted(watched(5), c.events, replicates(now, second6)))); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestWhoTurnsOutToBeAControllerIsExplained(t *testing.T) {
	serves := func(at time.Time) []*ocsf.Event {
		return asks(2, at, func(at time.Time, src string) *ocsf.Event { return mapping(at, src, second6, "SYSVOL") })
	}
	const low, medium, told = "replication low T1003.006", "replication medium T1003.006", "replication informational T1003.006"
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"while the episode is open", sorted(replicates(monday, second6), serves(monday.Add(time.Minute))), told},
		{"long after, twice", sorted(replicates(monday, second6), replicates(monday.Add(4*time.Hour), second6), serves(monday.Add(days))), told + "; " + told},
		{"never", replicates(monday, second6), low},
		{"too late", sorted(replicates(monday, second6), serves(monday.Add(20*days))), low},
		{"another host", sorted(replicates(monday, desk), serves(monday.Add(time.Hour))), low},
		{"what was found when the tenant was known stays", sorted(watched(5), replicates(monday, second6), serves(monday.Add(time.Hour))), medium},
		{"what a partner did stays", sorted(replicates(monday, techie), asks(2, monday.Add(time.Hour), func(at time.Time, src string) *ocsf.Event { return mapping(at, src, techie, "SYSVOL") })), "replication high T1003.006"},
		{"who does more than replicate is not explained", sorted(enum4linux(monday, desk), replicates(monday.Add(time.Minute), desk),
			asks(2, monday.Add(time.Hour), func(at time.Time, src string) *ocsf.Event { return mapping(at, src, desk, "SYSVOL") })), medium},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, c.events)); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			// With a restart after each event, and asked at each, the same.
			kept := map[string]*ocsf.Finding{}
			emit := func(f *ocsf.Finding) { kept[f.ID] = f }
			d := New(detect.Context{Model: model()})
			for _, e := range c.events {
				d.Process(e, emit)
				d.Advance(e.Time, emit)
				b, err := d.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				d = New(detect.Context{Model: model()})
				if err := d.Restore(b); err != nil {
					t.Fatal(err)
				}
			}
			d.Conclude(emit)
			if got := brief(inOrder(kept)); got != c.want {
				t.Errorf("with restarts: got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestWhatIsLearnedOfControllersIsBounded(t *testing.T) {
	ts := newTenant("client", model())
	for i := range 3 * maxServers {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		ts.sawMember(netip.MustParseAddr("10.1.2.3"), a)
		ts.sawAddress(a.String()+".client.local", a)
		ts.sawAddress("one.client.local", a)
		ts.doubt(sourceKey{Addr: a}, &source{Class: internal, Episode: &episode{Kinds: []kindPeak{{Kind: kindReplication}}}})
	}
	if len(ts.members) > maxServers || len(ts.named) > maxNamed || len(ts.named["one.client.local"]) > maxAddresses || len(ts.names) > 2*maxNamed || len(ts.doubts) > maxDoubts {
		t.Errorf("%d members, %d names, %d addresses of one, %d addresses, %d doubts", len(ts.members), len(ts.named), len(ts.named["one.client.local"]), len(ts.names), len(ts.doubts))
	}
}
