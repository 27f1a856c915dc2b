package attribute

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// sourceKey names a session as its source does. A source may name a later session the same: an account and where
// it comes from, or a client's address and port.
type sourceKey struct {
	tenant tenant.ID
	id     string
}

// endKey is the end of a session that a record without an address may tell of.
type endKey struct {
	sourceKey
	at int64 // Unix, nanoseconds
}

// step is a record of a session that some record names without its address; on is empty for that record.
type step struct {
	mark
	on holderKey
}

// waiting is a session that has no end yet for its end.
type waiting struct {
	on     holderKey
	from   time.Time
	device string
}

// placing finds the address of end records that have none.
type placing struct {
	marks  map[holderKey][]mark // in order
	starts map[holderKey][]mark // of marks, as far as asked for
	placed map[holderKey][]mark // what was found
}

// place gives every end record without an address to the session that it ends: of those that its source names so
// and that are open then, the one that began when the record says, else the last.
func (s *Sessions) place(k sourceKey, starts map[holderKey][]mark) map[holderKey][]mark {
	var steps []step
	for _, m := range s.unplaced[k] {
		if m.lease.End {
			steps = append(steps, step{mark: m})
		}
	}
	if len(steps) == 0 {
		return nil
	}
	p := placing{marks: s.marks, starts: starts, placed: map[holderKey][]mark{}}
	for on := range s.named[k] {
		for _, m := range s.marks[on] {
			if m.lease.ID == k.id {
				steps = append(steps, step{m, on})
			}
		}
	}
	p.pair(k.id, steps)
	return p.placed
}

func (p *placing) pair(id string, list []step) {
	slices.SortFunc(list, func(a, b step) int { return cmp.Or(a.mark.compare(b.mark), a.on.addr.Compare(b.on.addr)) })
	list = slices.CompactFunc(list, func(a, b step) bool { return a.id == b.id && a.on == b.on }) // delivered twice
	var open []waiting
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].at.Equal(list[0].at) {
			n++
		}
		var left []step
		for _, x := range list[:n] { // ends first
			switch {
			case x.lease.Start:
				open = enter(open, x)
			case x.on.addr.IsValid():
				open = slices.DeleteFunc(open, func(b waiting) bool { return b.on == x.on })
			case !p.end(id, &open, x):
				left = append(left, x)
			}
		}
		for _, x := range left { // it may have begun in the same second
			p.end(id, &open, x)
		}
		list = list[n:]
	}
}

// enter adds a session, unless the record is another one of its start.
func enter(open []waiting, x step) []waiting {
	i := slices.IndexFunc(open, func(b waiting) bool { return b.on == x.on })
	if i >= 0 && x.at.Sub(open[i].from) < sameStart {
		return open
	}
	if i >= 0 {
		open = slices.Delete(open, i, i+1)
	}
	return append(open, waiting{x.on, x.at, x.lease.Device})
}

// end closes the session that an end record is of; false where none is.
func (p *placing) end(id string, open *[]waiting, x step) bool {
	*open = slices.DeleteFunc(*open, func(b waiting) bool { return x.at.Sub(b.from) > LongestSession || p.taken(id, b, x.at) })
	best := -1
	for i, b := range *open {
		if !sameDevice(b.device, x.lease.Device) || x.lasted > 0 && x.at.Sub(b.from) > x.lasted+sameStart {
			continue // no session is older than its own end says
		}
		if best < 0 || x.lasted == 0 || away(x, b) <= away(x, (*open)[best]) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	on := (*open)[best].on
	x.lease.Addr = on.addr
	p.placed[on] = append(p.placed[on], x.mark)
	*open = slices.Delete(*open, best, best+1)
	return true
}

// away is how far the beginning that an end record tells lies from that of a session.
func away(x step, b waiting) time.Duration { return (x.at.Sub(b.from) - x.lasted).Abs() }

// taken reports whether another session was given the address before the time.
func (p *placing) taken(id string, b waiting, at time.Time) bool {
	starts, known := p.starts[b.on]
	if !known {
		for _, m := range p.marks[b.on] {
			if m.lease.Start {
				starts = append(starts, m)
			}
		}
		p.starts[b.on] = starts
	}
	i, _ := slices.BinarySearchFunc(starts, at, func(m mark, t time.Time) int { return m.at.Compare(t) })
	return i > 0 && starts[i-1].lease.ID != id && starts[i-1].at.After(b.from)
}

// openers sorts the records that say by which account a session was opened.
func (s *Sessions) openers(k sourceKey) []mark {
	var out []mark
	for _, m := range s.unplaced[k] {
		if !m.lease.End && m.lease.Holder.Name != "" {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, mark.compare)
	return out
}

// openedBy gives a session the account that logged on for it just before, where the source names the account only
// then.
func (x *interval) openedBy(logons []mark) {
	i, _ := slices.BinarySearchFunc(logons, x.from.Add(grace), func(m mark, t time.Time) int { return m.at.Compare(t) })
	if i > 0 && x.from.Sub(logons[i-1].at) < sameStart {
		x.lease.Holder = logons[i-1].lease.Holder
	}
}

// keepEnd remembers a session by its end, for records that tell of it without an address; of two that a source
// names alike and that end at once, the one with the lower address is answered.
func (s *Sessions) keepEnd(k sourceKey, x interval) {
	e := endKey{k, x.to.UnixNano()}
	list := s.ends[e]
	i, _ := slices.BinarySearchFunc(list, x, func(a, b interval) int { return a.lease.Addr.Compare(b.lease.Addr) })
	s.ends[e] = slices.Insert(list, i, x)
}

// dropEnd takes back what keepEnd remembered.
func (s *Sessions) dropEnd(k sourceKey, x interval) {
	e := endKey{k, x.to.UnixNano()}
	list := slices.DeleteFunc(s.ends[e], func(o interval) bool { return o.lease.Addr == x.lease.Addr })
	if s.ends[e] = list; len(list) == 0 {
		delete(s.ends, e)
	}
}

// complete fills in what a record leaves to others of its session: the address, and the account in full.
func (x *interval) complete(l *ocsf.Lease) {
	if !located(l) {
		l.Addr = x.lease.Addr
	}
	if x.source != "" && x.source == l.ID && x.lease.Holder.Name != "" {
		l.Holder = x.lease.Holder
	}
}

func located(l *ocsf.Lease) bool { return l.Addr.IsValid() && !l.Addr.IsUnspecified() }

func sameDevice(a, b string) bool { return strings.EqualFold(a, b) || a == "" || b == "" }
