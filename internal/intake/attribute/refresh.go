package attribute

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Change says from when on what Holder answers for an address may be another than before.
type Change struct {
	Tenant tenant.ID
	Addr   netip.Addr
	From   time.Time
}

// Seal turns what was learned into intervals that do not overlap. A session ends at its end record, at the next
// session on the same address, or after MaxSession. The order of learning does not matter.
func (s *Sessions) Seal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sort()
	s.sealAll()
	var none changes
	s.settleTranslations(&none)
	for id := range s.nat {
		s.trim(id)
	}
}

// Refresh takes in what was learned since the last Seal or Refresh, makes anew only the intervals that it touches, and
// returns the addresses whose past changed, by tenant and address. After it Holder answers as after a Seal of
// everything. Nothing may be asked meanwhile.
func (s *Sessions) Refresh() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) == 0 && len(s.touched) == 0 {
		return nil
	}
	var out changes
	if len(s.fresh) > 0 {
		d := s.sort()
		for k := range d.logons {
			s.show(k, &out)
		}
		s.sealTouched(d, &out)
		s.through(&out)
	}
	s.settleTranslations(&out)
	return out.list()
}

// touched is what new marks belong to, with how many marks each had before.
type touched struct {
	addrs, logons map[holderKey]int
	sources       map[sourceKey]int
	openers       map[sourceKey]bool // sources of which it was told who opened a session, or anything without an address at all
}

// sort puts what was learned where it belongs, in order. What was delivered before touches nothing.
func (s *Sessions) sort() touched {
	d := touched{map[holderKey]int{}, map[holderKey]int{}, map[sourceKey]int{}, map[sourceKey]bool{}}
	fresh := s.fresh
	s.fresh = nil
	for _, m := range fresh {
		switch {
		case m.logon:
			put(s.logons, d.logons, m.on, m.mark)
		case m.source.id != "":
			if !m.lease.End || len(s.unplaced[m.source]) == 0 {
				d.openers[m.source] = true
			}
			put(s.unplaced, d.sources, m.source, m.mark)
		default:
			put(s.marks, d.addrs, m.on, m.mark)
			s.name(m.on, m.lease.ID)
		}
	}
	for k, n := range d.logons {
		settle(s.logons, d.logons, k, n)
		s.logons[k] = thin(s.logons[k])
	}
	for k, n := range d.sources {
		settle(s.unplaced, d.sources, k, n)
	}
	for k, n := range d.addrs {
		settle(s.marks, d.addrs, k, n)
	}
	return d
}

func put[K comparable](m map[K][]mark, touched map[K]int, k K, x mark) {
	list := m[k]
	if _, begun := touched[k]; !begun {
		touched[k] = len(list)
		list = slices.Clip(list)
	}
	m[k] = append(list, x)
}

// settle orders a list to which something was added, and takes its key out where all of that was there before.
func settle[K comparable](m map[K][]mark, touched map[K]int, k K, before int) {
	list := m[k]
	slices.SortFunc(list, mark.compare)
	list = slices.CompactFunc(list, func(a, b mark) bool { return a == b })
	if m[k] = list; len(list) == before {
		delete(touched, k)
	}
}

// maxLogons is how many logons are kept of one address before those that tell nothing go.
const maxLogons = 4096

// thin drops logons between two others of the same account so close that the stay is the same without them.
func thin(list []mark) []mark {
	if len(list) <= maxLogons {
		return list
	}
	kept := list[:1:1]
	for i := 1; i < len(list); i++ {
		m, before := list[i], kept[len(kept)-1]
		if i+1 < len(list) && m.lease == before.lease && list[i+1].lease == m.lease && list[i+1].at.Sub(before.at) <= Around {
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

func (s *Sessions) name(on holderKey, id string) {
	if id == "" || on.dhcp {
		return
	}
	k := sourceKey{on.tenant, id}
	if s.named[k] == nil {
		s.named[k] = map[holderKey]bool{}
	}
	s.named[k][on] = true
}

func (s *Sessions) sealAll() {
	clear(s.shown)
	clear(s.sealed)
	clear(s.ends)
	clear(s.placed)
	var none changes
	for k := range s.logons {
		s.show(k, &none)
	}
	starts := map[holderKey][]mark{}
	for k := range s.unplaced {
		if p := s.place(k, starts); len(p) > 0 {
			s.placed[k] = p
		}
	}
	opened := map[sourceKey][]mark{}
	for k := range s.marks {
		s.seal(k, opened, &none)
	}
}

// sealTouched seals the addresses with new marks, and those whose sessions end otherwise for it.
func (s *Sessions) sealTouched(d touched, out *changes) {
	for on := range d.addrs { // an end without an address looks at all sessions of its name, and at who took their addresses
		for i := 0; i < len(s.marks[on]) && !on.dhcp && len(s.unplaced) > 0; i++ {
			if k := (sourceKey{on.tenant, s.marks[on][i].lease.ID}); s.unplaced[k] != nil {
				d.sources[k] = 0
			}
		}
	}
	starts := map[holderKey][]mark{}
	for k := range d.sources {
		before, now := s.placed[k], s.place(k, starts)
		for _, of := range [...]map[holderKey][]mark{before, now} {
			for on := range of {
				if !slices.Equal(before[on], now[on]) {
					d.addrs[on] = 0
				}
			}
		}
		if s.placed[k] = now; len(now) == 0 {
			delete(s.placed, k)
		}
		if d.openers[k] {
			for on := range s.named[k] {
				d.addrs[on] = 0
			}
		}
	}
	opened := map[sourceKey][]mark{}
	for on := range d.addrs {
		s.seal(on, opened, out)
	}
}

// seal makes the sessions of one address anew; opened holds what openers said of a source.
func (s *Sessions) seal(k holderKey, opened map[sourceKey][]mark, out *changes) {
	marks := slices.Clone(s.marks[k])
	if !k.dhcp && len(s.placed) > 0 {
		for id := range idsOf(s.marks[k]) {
			marks = append(marks, s.placed[sourceKey{k.tenant, id}][k]...)
		}
	}
	old := s.sealed[k]
	for i := range old {
		if old[i].ended {
			s.dropEnd(sourceKey{k.tenant, old[i].source}, old[i])
		}
	}
	list := sessions(k, marks)
	for i := range list {
		x := &list[i]
		named := sourceKey{k.tenant, x.source}
		if k.dhcp || s.unplaced[named] == nil {
			continue
		}
		if _, known := opened[named]; !known {
			opened[named] = s.openers(named)
		}
		x.openedBy(opened[named])
		if x.ended {
			s.keepEnd(named, *x)
		}
	}
	out.compare(k, old, list)
	s.sealed[k] = list
}

// idsOf returns the names that a source gives to the sessions of one address.
func idsOf(marks []mark) map[string]bool {
	out := map[string]bool{}
	for i := range marks {
		if id := marks[i].lease.ID; id != "" {
			out[id] = true
		}
	}
	return out
}

// show makes anew who logged on from one address.
func (s *Sessions) show(k holderKey, out *changes) {
	list := spans(s.logons[k])
	out.compare(k, s.shown[k], list)
	s.shown[k] = list
}

// changes collects the earliest change of each address.
type changes map[holderKey]time.Time

// compare notes from when on two answers for an address differ.
func (c *changes) compare(k holderKey, old, now []interval) {
	i := 0
	for i < len(old) && i < len(now) && old[i] == now[i] {
		i++
	}
	var from time.Time
	switch {
	case i == len(old) && i == len(now):
		return
	case i < len(old) && i < len(now) && old[i].lease == now[i].lease && old[i].source == now[i].source && old[i].from.Equal(now[i].from):
		if from = old[i].to; now[i].to.Before(from) {
			from = now[i].to // it is one session, and only its end moved
		}
	default:
		for _, list := range [...][]interval{old, now} {
			if i < len(list) && (from.IsZero() || list[i].from.Before(from)) {
				from = list[i].from
			}
		}
		from = from.Add(-grace)
	}
	k.dhcp = false
	c.note(k, from)
}

// note keeps the earliest change of an address.
func (c *changes) note(k holderKey, from time.Time) {
	if *c == nil {
		*c = changes{}
	}
	if t, ok := (*c)[k]; !ok || from.Before(t) {
		(*c)[k] = from
	}
}

func (c changes) list() []Change {
	out := make([]Change, 0, len(c))
	for k, from := range c {
		out = append(out, Change{k.tenant, k.addr, from})
	}
	slices.SortFunc(out, func(a, b Change) int { return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), a.Addr.Compare(b.Addr)) })
	return out
}

// settled is how long before a time marks are kept for the answers at that time: an end finds its session among those
// of LongestSession, and which session another end found may hang on that.
const settled = 2*LongestSession + MaxSession

// Forget drops what no answer for the time or later rests on. Records that come later than that about sessions of
// before are taken as if their session was never told of.
func (s *Sessions) Forget(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetTranslations(before)
	limit := before.Add(-settled)
	tell := false
	for k, marks := range s.marks {
		i := firstFrom(marks, limit)
		if n := begun(s.sealed[k], limit.Add(-1)); i < len(marks) && n >= 0 {
			i = firstFrom(marks, s.sealed[k][n].from) // whose late end must not be taken for the next one's
		}
		tell = cut(s.marks, k, i) || tell
	}
	for k, marks := range s.unplaced {
		tell = cut(s.unplaced, k, firstFrom(marks, limit)) || tell
	}
	for k, marks := range s.logons {
		i := firstFrom(marks, limit)
		if i > 0 && i < len(marks) && marks[i].at.Sub(marks[i-1].at) <= 2*Around && strings.EqualFold(marks[i].lease.Holder.Name, marks[i-1].lease.Holder.Name) {
			i-- // one stay, of which the earlier logons told more
			if n := begun(s.shown[k], marks[i].at); n >= 0 {
				marks[i].lease = s.shown[k][n].lease
			}
		}
		tell = cut(s.logons, k, i) || tell
	}
	if !tell {
		return
	}
	clear(s.named)
	for k, marks := range s.marks {
		for i := range marks {
			s.name(k, marks[i].lease.ID)
		}
	}
	s.sealAll()
}

// firstFrom returns the place of the first mark at the time or later; marks are in order.
func firstFrom(marks []mark, t time.Time) int {
	i, _ := slices.BinarySearchFunc(marks, t, func(m mark, t time.Time) int { return m.at.Compare(t) })
	return i
}

func cut[K comparable](m map[K][]mark, k K, first int) bool {
	if first == 0 {
		return false
	}
	if m[k] = slices.Clone(m[k][first:]); len(m[k]) == 0 {
		delete(m, k)
	}
	return true
}
