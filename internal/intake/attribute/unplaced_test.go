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
)

// start is a start record of ann's sessions from one place, on an address of the pool.
func start(clock, addr string, edit ...func(*ocsf.Lease)) *ocsf.Event {
	return leased("acme", at(clock), "vpn", addr, "ann", append([]func(*ocsf.Lease){numbered("ann/198.51.100.77"), from("198.51.100.77")}, edit...)...)
}

// bare is the end record of one, which has no address; lasted is what it says of the duration, empty for nothing.
func bare(clock, lasted string, edit ...func(*ocsf.Lease)) *ocsf.Event {
	e := start(clock, pool, append(edit, end, func(l *ocsf.Lease) { l.Addr = netip.Addr{} })...)
	if lasted != "" {
		d, err := time.ParseDuration(lasted)
		if err != nil {
			panic(err)
		}
		e.Flow = &ocsf.Flow{Duration: d}
	}
	stamp(e)
	return e
}

const other = "10.99.0.8"

func TestAnEndWithoutAnAddressFindsItsSession(t *testing.T) {
	bob := func(clock string) *ocsf.Event {
		return leased("acme", at(clock), "vpn", pool, "bob", numbered("bob/1"))
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string // holders of the pool's two addresses at 10:30, and at 12:30
	}{
		{"the only one", []*ocsf.Event{start("09:00:00", pool), bare("10:00:00", "")}, "- - - -"},
		{"the one that began last", []*ocsf.Event{start("08:00:00", pool), start("09:00:00", other), bare("10:00:00", "")}, "ann - ann -"},
		{"then the one before it", []*ocsf.Event{start("08:00:00", pool), start("09:00:00", other), bare("10:00:00", ""), bare("12:00:00", "")}, "ann - - -"},
		{"the one that lasted so long", []*ocsf.Event{start("08:00:00", pool), start("09:00:00", other), bare("10:00:00", "2h0m5s"), bare("12:00:00", "3h0m5s")}, "- ann - -"},
		{"none that is older than the end says", []*ocsf.Event{start("08:00:00", pool), bare("10:00:00", "1h")}, "ann - ann -"},
		{"one that is younger, since a reconnection begins anew", []*ocsf.Event{start("09:00:00", pool), bare("10:00:00", "5h")}, "- - - -"},
		{"none whose address was given to another", []*ocsf.Event{start("08:00:00", other), start("09:00:00", pool), bob("09:30:00"), bare("10:00:00", "")}, "bob - bob -"},
		{"none of another name", []*ocsf.Event{start("09:00:00", pool), bare("10:00:00", "", numbered("bob/1"))}, "ann - ann -"},
		{"none of another device", []*ocsf.Event{start("09:00:00", pool, device("pc1")), bare("10:00:00", "", device("pc2"))}, "ann/pc1 - ann/pc1 -"},
		{"none that began later", []*ocsf.Event{bare("08:00:00", ""), start("09:00:00", pool)}, "ann - ann -"},
		{"the older one, in the second in which the next begins", []*ocsf.Event{start("09:00:00", pool), bare("10:00:00", "1h"), start("10:00:00", pool)}, "ann - ann -"},
		{"in the second in which it began", []*ocsf.Event{start("10:00:00", pool), bare("10:00:00", "")}, "- - - -"},
		{"once, though it is told by several start records", []*ocsf.Event{start("09:00:00", pool), start("09:00:01", pool), start("08:00:00", other), bare("10:00:00", ""), bare("12:00:00", "")}, "- ann - -"},
		{"once, though it is delivered twice", []*ocsf.Event{start("09:00:00", pool), start("08:00:00", other), bare("10:00:00", ""), bare("10:00:00", "")}, "- ann - ann"},
		{"not one that another end closed already", []*ocsf.Event{start("08:00:00", other), start("09:00:00", pool), start("09:30:00", pool, end), bare("10:00:00", "")}, "- - - -"},
		{"none after a week", []*ocsf.Event{leased("acme", at("10:15:00").Add(-8*MaxSession), "vpn", pool, "ann", numbered("ann/198.51.100.77")), bare("10:00:00", "")}, "- - - -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sealed(c.events...)
			got := strings.Join([]string{asked(s, pool, "10:30:00"), asked(s, other, "10:30:00"), asked(s, pool, "12:30:00"), asked(s, other, "12:30:00")}, " ")
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestTheLogonNamesTheHolder(t *testing.T) {
	const peer = "198.51.100.77:40000"
	opener := func(clock, who string) *ocsf.Event {
		return leased("acme", at(clock), "vpn", pool, who, numbered(peer), func(l *ocsf.Lease) { l.Start, l.Addr = false, netip.Addr{} })
	}
	cert := func(clock string, edit ...func(*ocsf.Lease)) *ocsf.Event {
		return leased("acme", at(clock), "vpn", pool, "laptop-17", append(edit, numbered(peer))...)
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string // at 09:30 and 10:30
	}{
		{"of the session that it opens", []*ocsf.Event{opener("09:00:00", "nw-ann"), cert("09:00:02"), cert("10:00:00", end)}, "nw-ann -"},
		{"of one that ends without an address", []*ocsf.Event{opener("09:00:00", "nw-ann"), cert("09:00:02"), cert("10:00:00", end, func(l *ocsf.Lease) { l.Addr = netip.Addr{} })}, "nw-ann -"},
		{"of each session its own", []*ocsf.Event{opener("09:00:00", "nw-ann"), cert("09:00:02"), cert("10:00:00", end), opener("10:10:00", "nw-bob"), cert("10:10:01")}, "nw-ann nw-bob"},
		{"not of one before it", []*ocsf.Event{cert("09:00:00"), opener("09:10:00", "nw-ann")}, "laptop-17 laptop-17"},
		{"not of one long after it", []*ocsf.Event{opener("08:00:00", "nw-ann"), cert("09:00:00")}, "laptop-17 laptop-17"},
		{"where nobody else is named", []*ocsf.Event{opener("09:00:00", "nw-ann"), leased("acme", at("09:00:02"), "vpn", pool, "", numbered(peer)), leased("acme", at("10:00:00"), "vpn", pool, "", numbered(peer), end)}, "nw-ann -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := asked(sealed(c.events...), pool, "09:30:00", "10:30:00"); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestALeaseRecordIsCompletedFromItsSession(t *testing.T) {
	const peer = "198.51.100.77:40000"
	opener := leased("acme", at("09:00:00"), "vpn", pool, "nw-ann", numbered(peer), func(l *ocsf.Lease) { l.Start, l.Addr = false, netip.Addr{} })
	begins := leased("acme", at("09:00:02"), "vpn", pool, "laptop-17", numbered(peer))
	holds := leased("acme", at("09:00:03"), "vpn", pool, "laptop-17", numbered(peer), func(l *ocsf.Lease) { l.Start = false })
	ends := leased("acme", at("10:00:00"), "vpn", pool, "laptop-17", numbered(peer), end, func(l *ocsf.Lease) { l.Addr = netip.Addr{} })
	stray := leased("acme", at("11:00:00"), "vpn", pool, "laptop-17", numbered(peer), end, func(l *ocsf.Lease) { l.Addr = netip.Addr{} })
	elsewhere := leased("borg", at("10:00:00"), "vpn", pool, "laptop-17", numbered(peer), end, func(l *ocsf.Lease) { l.Addr = netip.Addr{} })
	a := New(model(), sealed(ends, holds, opener, begins, stray, elsewhere))
	session := fmt.Sprintf("acme:vpn:%s@%d", pool, at("09:00:02").Unix())
	for _, c := range []struct {
		name             string
		e                *ocsf.Event
		addr, who, named string
		start            bool
	}{
		{"the start", begins, pool, "nw-ann", session, true},
		{"another record of the start", holds, pool, "nw-ann", session, false},
		{"the end", ends, pool, "nw-ann", session, false},
		{"an end of nothing", stray, "invalid IP", "laptop-17", "", false},
		{"another tenant's end at the same time", elsewhere, "invalid IP", "laptop-17", "", false},
		{"the logon", opener, "invalid IP", "nw-ann", "", false},
	} {
		for range 2 { // attributing again gives the same
			a.Attribute(c.e)
			if l := c.e.Lease; l.Addr.String() != c.addr || l.Holder.Name != c.who || c.e.Session != c.named || l.Start != c.start {
				t.Errorf("%s: %+v in %q", c.name, l, c.e.Session)
			}
		}
	}
}

func TestAnyOrderOfUnplacedRecordsGivesTheSameIntervals(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 11))
		var events []*ocsf.Event
		for i := range 40 {
			clock := fmt.Sprintf("%02d:%02d:%02d", 8+r.IntN(3), r.IntN(10), r.IntN(3))
			e := leased("acme", at(clock), "vpn", []string{pool, other}[r.IntN(2)], []string{"ann", "bob"}[r.IntN(2)], numbered(fmt.Sprint(r.IntN(3))))
			switch r.IntN(5) {
			case 0:
				e.Lease.Start, e.Lease.End = false, true
			case 1:
				e.Lease.Start = false
			case 2:
				e.Lease.Start, e.Lease.Addr = false, netip.Addr{}
			case 3:
				e.Lease.Start, e.Lease.End, e.Lease.Addr = false, true, netip.Addr{}
				e.Flow = &ocsf.Flow{Duration: time.Duration(r.IntN(3)) * time.Hour}
			}
			e.Raw.Record = int64(i)
			stamp(e)
			events = append(events, e)
		}
		want := sealed(events...)
		opt := cmp.Options{cmp.AllowUnexported(interval{}, holderKey{}, endKey{}, sourceKey{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}
		for range 3 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			got := sealed(append(events, events[:5]...)...) // and some are delivered twice
			if d := cmp.Diff(want.sealed, got.sealed, opt); d != "" {
				t.Fatalf("seed %d: sessions differ:\n%s", seed, d)
			}
			if d := cmp.Diff(want.ends, got.ends, opt); d != "" {
				t.Fatalf("seed %d: ends differ:\n%s", seed, d)
			}
		}
		want.Seal()
		if d := cmp.Diff(want.sealed, sealed(events...).sealed, opt); d != "" {
			t.Fatalf("seed %d: sealing again gives something else:\n%s", seed, d)
		}
	}
}
