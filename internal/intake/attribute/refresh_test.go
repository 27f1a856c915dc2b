package attribute

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// stays are days of sessions on a few addresses: with ends and without, told of by address or by the source's name
// alone, several times, and by logons. They come in nearly the order of time.
func stays(seed uint64, n int) []*ocsf.Event {
	r := rand.New(rand.NewPCG(seed, 11))
	var out []*ocsf.Event
	t := day(1)
	for i := range n {
		t = t.Add(time.Duration(r.ExpFloat64() * float64(40*time.Minute)))
		at := t.Truncate(time.Second)
		if r.IntN(10) == 0 {
			at = at.Add(-time.Duration(r.IntN(3600*30)) * time.Second)
		}
		addr := fmt.Sprintf("10.99.0.%d", 1+r.IntN(4))
		who := []string{"nw-ann", "nw-bob", "jo"}[r.IntN(3)]
		source := fmt.Sprintf("%s/%d", who, r.IntN(2))
		var edit []func(*ocsf.Lease)
		if r.IntN(3) > 0 {
			edit = append(edit, numbered(source))
		}
		if r.IntN(4) == 0 {
			edit = append(edit, device(fmt.Sprint("pc", r.IntN(2))))
		}
		kind := "vpn"
		bareEnd, opener := false, false
		switch r.IntN(8) {
		case 0:
			kind = "dhcp"
		case 1, 2:
			edit = append(edit, end)
		case 3:
			bareEnd = true
		case 4:
			opener = true
		}
		e := leased("acme", at, kind, addr, who, edit...)
		switch {
		case bareEnd:
			end(e.Lease)
			e.Lease.Addr, e.Lease.ID = netip.Addr{}, source
			if r.IntN(2) == 0 {
				e.Flow = &ocsf.Flow{Duration: time.Duration(r.IntN(300)) * time.Minute}
			}
		case opener:
			e.Lease.Addr, e.Lease.ID, e.Lease.Start = netip.Addr{}, source, false
			e.Lease.Holder.Name = who + "@northwind.example"
		case r.IntN(6) == 0:
			e = &ocsf.Event{Tenant: "acme", Time: at, Class: ocsf.ClassAuthentication, User: ocsf.User{Name: who}, Src: ocsf.Endpoint{IP: ip(addr), Host: fmt.Sprint("pc", r.IntN(2))}}
		}
		e.Raw.Record = int64(i)
		stamp(e)
		out = append(out, e)
		if r.IntN(15) == 0 {
			out = append(out, out[r.IntN(len(out))]) // delivered twice
		}
	}
	return out
}

// moment is one question that Holder can be asked.
type moment struct {
	addr netip.Addr
	at   time.Time
}

// book asks for every address at fifty minutes or so, and around every record.
func book(s *Sessions, events []*ocsf.Event) map[moment]string {
	out := map[moment]string{}
	ask := func(a netip.Addr, t time.Time) {
		l, ok := s.Holder("acme", a, t)
		out[moment{a, t}] = fmt.Sprintf("%v %+v", ok, l)
	}
	for i := range 4 {
		a := netip.AddrFrom4([4]byte{10, 99, 0, byte(1 + i)})
		for t := day(1).Add(-24 * time.Hour); t.Before(day(14)); t = t.Add(50 * time.Minute) {
			ask(a, t)
		}
		for _, e := range events {
			for d := -1; d <= 2; d += 3 {
				ask(a, e.Time.Add(time.Duration(d)*time.Second))
			}
		}
	}
	for i, e := range events { // and each lease record for its own session
		if e.Lease != nil {
			l := *e.Lease
			x, ok := s.session("acme", &l, e.Time)
			out[moment{at: e.Time.Add(time.Duration(i))}] = fmt.Sprintf("%v %+v %+v", ok, x, l)
		}
	}
	return out
}

func differ(a, b map[moment]string) string {
	for k, v := range a {
		if b[k] != v {
			return fmt.Sprintf("%s at %s: %s, not %s", k.addr, k.at, v, b[k])
		}
	}
	return ""
}

func TestRefreshInStepsAnswersAsSealingOnce(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 12))
		events := stays(seed, 120)
		a := New(model(), NewSessions())
		before := book(a.sessions, events)
		for i := 0; i < len(events); {
			n := min(len(events), i+1+r.IntN(12))
			for _, e := range events[i:n] {
				a.Learn(e)
			}
			i = n
			if r.IntN(6) == 0 { // what was learned and not yet taken in survives a restart too
				a = New(model(), carried(t, a.sessions))
			}
			changed := map[netip.Addr]time.Time{}
			for _, c := range a.sessions.Refresh() {
				changed[c.Addr] = c.From
				if c.Tenant != "acme" {
					t.Fatalf("seed %d: a change at %s", seed, c.Tenant)
				}
			}
			if r.IntN(3) > 0 && i < len(events) {
				continue
			}
			now := book(a.sessions, events)
			if d := differ(book(sealed(events[:i]...), events), now); d != "" {
				t.Fatalf("seed %d, after %d events: %s", seed, i, d)
			}
		}
		a = New(model(), NewSessions())
		for i := 0; i < len(events); {
			n := min(len(events), i+1+r.IntN(12))
			for _, e := range events[i:n] {
				a.Learn(e)
			}
			i = n
			changed := map[netip.Addr]time.Time{}
			for _, c := range a.sessions.Refresh() {
				changed[c.Addr] = c.From
			}
			now := book(a.sessions, events)
			for k, v := range now {
				if from, ok := changed[k.addr]; before[k] != v && k.addr.IsValid() && (!ok || k.at.Before(from)) {
					t.Fatalf("seed %d, after %d events: %s at %s changed from %s to %s, and the changes say %s", seed, i, k.addr, k.at, before[k], v, from)
				}
			}
			before = now
		}
	}
}

func TestLearningAgainChangesNothing(t *testing.T) {
	events := stays(1, 100)
	a := New(model(), NewSessions())
	for range 3 {
		for i, e := range events {
			a.Learn(e)
			if i%30 == 0 {
				a.sessions.Refresh()
			}
		}
	}
	a.sessions.Refresh()
	marks := func(s *Sessions) (n int) {
		for _, l := range s.marks {
			n += len(l)
		}
		for _, l := range s.unplaced {
			n += len(l)
		}
		for _, l := range s.logons {
			n += len(l)
		}
		return n
	}
	once := sealed(events...)
	if got, want := marks(a.sessions), marks(once); got != want {
		t.Errorf("%d records are kept, not %d", got, want)
	}
	for _, e := range events {
		a.Learn(e)
	}
	if c := a.sessions.Refresh(); len(c) > 0 {
		t.Errorf("what was known changed %v", c)
	}
	if d := differ(book(once, events), book(a.sessions, events)); d != "" {
		t.Error(d)
	}
}

func carried(t *testing.T, s *Sessions) *Sessions {
	t.Helper()
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	out := NewSessions()
	if err := out.Restore(b); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRestoredSessionsAnswerAlikeAndNonsenseIsRefused(t *testing.T) {
	for seed := range uint64(4) {
		events := stays(seed, 150)
		s := sealed(events...)
		if d := differ(book(s, events), book(carried(t, s), events)); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
	if err := NewSessions().Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense was taken for sessions")
	}
}

func TestForgettingLeavesLaterAnswersAlone(t *testing.T) {
	for seed := range uint64(4) {
		var events []*ocsf.Event
		for week := range 6 { // the same days again and again
			for _, e := range stays(seed*10+uint64(week), 80) {
				e.Time = e.Time.AddDate(0, 0, 7*week-21)
				stamp(e)
				events = append(events, e)
			}
		}
		before := day(4)
		whole, a := sealed(events...), New(model(), NewSessions())
		for i, e := range events {
			a.Learn(e)
			if i%40 == 0 {
				a.sessions.Refresh()
				a.sessions.Forget(before)
			}
		}
		a.sessions.Refresh()
		a.sessions.Forget(before)
		for k, v := range book(whole, nil) {
			if l, ok := a.sessions.Holder("acme", k.addr, k.at); !k.at.Before(before) && fmt.Sprintf("%v %+v", ok, l) != v {
				t.Fatalf("seed %d: %s at %s: %v %+v, not %s", seed, k.addr, k.at, ok, l, v)
			}
		}
		kept := 0
		for _, l := range a.sessions.marks {
			kept += len(l)
		}
		all := 0
		for _, l := range whole.marks {
			all += len(l)
		}
		if kept*10 > all*9 {
			t.Errorf("seed %d: %d of %d records are kept", seed, kept, all)
		}
		a.sessions.Forget(day(1).AddDate(1, 0, 0))
		if n := len(a.sessions.marks) + len(a.sessions.logons) + len(a.sessions.unplaced) + len(a.sessions.sealed) + len(a.sessions.shown) + len(a.sessions.ends) + len(a.sessions.named); n != 0 {
			t.Errorf("seed %d: %d entries outlive everything", seed, n)
		}
	}
}

func TestLogonsThatTellNothingGo(t *testing.T) {
	s, all := NewSessions(), NewSessions()
	for i := range 3 * maxLogons {
		e := &ocsf.Event{Tenant: "acme", Time: day(10).Add(time.Duration(i) * 5 * time.Second), User: ocsf.User{Name: "nw-ann"}, Src: ocsf.Endpoint{IP: ip(pool)}}
		if i%2000 == 1999 {
			e.User.Name = "nw-bob"
		}
		e.ID[0], e.ID[1] = byte(i>>8), byte(i)
		s.LearnLogon(e)
		all.LearnLogon(e)
	}
	s.Seal()
	k := holderKey{tenant: "acme", addr: ip(pool)}
	if n := len(s.logons[k]); n > maxLogons/10 {
		t.Errorf("%d logons are kept", n)
	}
	var marks []mark
	for _, m := range all.fresh {
		marks = append(marks, m.mark)
	}
	want := spans(marks)
	if got := s.shown[k]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the stays differ:\n%v\n%v", got, want)
	}
}

func BenchmarkRefresh(b *testing.B) {
	s := NewSessions()
	learn := func(i int) {
		a := netip.AddrFrom4([4]byte{10, 99, byte(i / 4 % 64), byte(i % 250)})
		s.Learn(&ocsf.Event{ID: ocsf.EventID{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}, Tenant: "acme", Time: day(1).Add(time.Duration(i) * time.Minute),
			Lease: &ocsf.Lease{Kind: "vpn", ID: fmt.Sprint(i / 2), Addr: a, Holder: ocsf.User{Name: "ann"}, Start: i%2 == 0, End: i%2 == 1}})
	}
	for i := range 200_000 {
		learn(i)
	}
	s.Seal()
	i := 200_000
	for b.Loop() {
		learn(i)
		s.Refresh()
		i++
	}
}
