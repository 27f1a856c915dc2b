package attribute

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// MaxSession is how long a session without an end is believed to last.
const MaxSession = 24 * time.Hour

// sameStart is how far two start records of one session may lie apart: products log several.
const sameStart = 2 * time.Minute

// Sessions remembers who held which address when, per tenant, as VPN, DHCP, RMM and NAT records tell. Learn may
// come in any order; Seal sorts, and only then may Holder be asked.
type Sessions struct {
	mu     sync.Mutex
	marks  map[holderKey][]mark
	logons map[holderKey][]mark // logons of partners' accounts from addresses that are not the tenant's own
	sealed map[holderKey][]interval
	shown  map[holderKey][]interval
}

type holderKey struct {
	tenant tenant.ID
	addr   netip.Addr
}

type mark struct {
	at    time.Time
	id    ocsf.EventID
	lease ocsf.Lease
}

type interval struct {
	from, to time.Time
	lease    ocsf.Lease
}

// NewSessions returns an empty store.
func NewSessions() *Sessions {
	return &Sessions{marks: map[holderKey][]mark{}, logons: map[holderKey][]mark{}}
}

// Learn takes the lease of an event, if it has one. It may be called by several goroutines.
func (s *Sessions) Learn(e *ocsf.Event) {
	if e.Lease == nil || !e.Lease.Addr.IsValid() || e.Lease.Addr.IsUnspecified() || (!e.Lease.Start && !e.Lease.End) {
		return
	}
	k := holderKey{e.Tenant, e.Lease.Addr.Unmap()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks[k] = append(s.marks[k], mark{e.Time, e.ID, *e.Lease})
}

// Around is how long before its first and after its last logon an address is believed to be held by who logged
// on from it, and how far apart two logons may lie.
const Around = 30 * time.Minute

// LearnLogon takes a logon of a partner's account from an address outside the tenant's own networks: where no
// gateway's log names the holder of a pool address, who logs on from it does.
func (s *Sessions) LearnLogon(e *ocsf.Event) {
	k := holderKey{e.Tenant, e.Src.IP.Unmap()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logons[k] = append(s.logons[k], mark{e.Time, e.ID, ocsf.Lease{Kind: "logon", Addr: e.Src.IP, Holder: e.User, Device: e.Src.Host}})
}

// sealLogons joins logons of one account from one address into spans.
func (s *Sessions) sealLogons() {
	s.shown = make(map[holderKey][]interval, len(s.logons))
	for k, marks := range s.logons {
		slices.SortFunc(marks, func(a, b mark) int {
			return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.lease.Holder.Name, b.lease.Holder.Name), cmp.Compare(a.id.String(), b.id.String()))
		})
		var list []interval
		for _, m := range marks {
			if n := len(list); n > 0 && list[n-1].lease.Holder.Name == m.lease.Holder.Name && m.at.Sub(list[n-1].to) <= Around {
				list[n-1].to = m.at.Add(Around)
				continue
			}
			list = append(list, interval{from: m.at.Add(-Around), to: m.at.Add(Around), lease: m.lease})
		}
		s.shown[k] = list
	}
}

// Seal turns what was learned into intervals. A session ends at its end record, at the next session on the
// same address, or after MaxSession.
func (s *Sessions) Seal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealLogons()
	s.sealed = make(map[holderKey][]interval, len(s.marks))
	for k, marks := range s.marks {
		slices.SortFunc(marks, func(a, b mark) int {
			if c := a.at.Compare(b.at); c != 0 {
				return c
			}
			if a.lease.End != b.lease.End { // an end comes before a start of the same second
				if a.lease.End {
					return -1
				}
				return 1
			}
			return cmp.Compare(a.id.String(), b.id.String())
		})
		var list []interval
		for _, m := range marks {
			n := len(list)
			open := n > 0 && list[n-1].to.IsZero()
			switch {
			case m.lease.Start && open && sameHolder(list[n-1].lease, m.lease) && m.at.Sub(list[n-1].from) < sameStart:
				merge(&list[n-1].lease, m.lease) // a second record of the same session
			case m.lease.Start:
				if open {
					list[n-1].to = m.at
				}
				list = append(list, interval{from: m.at, lease: identified(k, m)})
			case open && sameHolder(list[n-1].lease, m.lease):
				list[n-1].to = m.at
			}
		}
		for i := range list {
			if list[i].to.IsZero() || list[i].to.Sub(list[i].from) > 7*MaxSession {
				list[i].to = list[i].from.Add(MaxSession)
				if i+1 < len(list) && list[i+1].from.Before(list[i].to) {
					list[i].to = list[i+1].from
				}
			}
		}
		s.sealed[k] = list
	}
}

// identified gives a session that its source did not number an id of its own: kind, address and start.
func identified(k holderKey, m mark) ocsf.Lease {
	m.lease.ID = fmt.Sprintf("%s:%s:%s@%d", k.tenant, m.lease.Kind, k.addr, m.at.Unix())
	return m.lease
}

func sameHolder(a, b ocsf.Lease) bool {
	return a.Holder.Name == b.Holder.Name && (a.Device == b.Device || a.Device == "" || b.Device == "")
}

func merge(into *ocsf.Lease, l ocsf.Lease) {
	if !into.Public.IsValid() {
		into.Public = l.Public
	}
	if into.Device == "" {
		into.Device = l.Device
	}
	if into.Holder.Name == "" {
		into.Holder = l.Holder
	}
}

// Holder returns the lease of an address at a time.
func (s *Sessions) Holder(id tenant.ID, addr netip.Addr, at time.Time) (ocsf.Lease, bool) {
	k := holderKey{id, addr.Unmap()}
	if l, ok := holder(s.sealed[k], at); ok {
		return l, true
	}
	return holder(s.shown[k], at)
}

func holder(list []interval, at time.Time) (ocsf.Lease, bool) {
	i, found := slices.BinarySearchFunc(list, at, func(x interval, t time.Time) int { return x.from.Compare(t) })
	if !found {
		i--
	}
	// The session log and the sensor have different clocks: a second of grace on either side.
	if i+1 < len(list) && !found && list[i+1].from.Sub(at) <= time.Second && (i < 0 || at.After(list[i].to)) {
		return list[i+1].lease, true
	}
	if i < 0 || at.After(list[i].to.Add(time.Second)) {
		return ocsf.Lease{}, false
	}
	return list[i].lease, true
}
