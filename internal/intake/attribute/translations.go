package attribute

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of what is remembered of translated addresses. Ports come and go by the million.
const (
	// MaxTranslations is how many translations are remembered, in equal shares of the tenants that have any; of one
	// tenant's, the latest. One takes 40 bytes.
	MaxTranslations = 1 << 20
	// maxOutside is how many outside addresses of one tenant are remembered; those that come later are left out.
	maxOutside = 4096
	// maxSharers is how far the inside addresses that share one are counted.
	maxSharers = 1024
)

// MaxTranslation is how long a translation is believed whose end nobody tells.
const MaxTranslation = time.Hour

// translation is one record of a port of an outside address.
type translation struct {
	port     uint32 // protocol and port
	inside   uint32 // index of the inside address
	peer     uint32 // hash of whom it talked to; 0: not told
	told     told
	from, to int64 // Unix, nanoseconds
}

// told is what a record tells of a translation.
type told uint32

const (
	toldWhole told = iota
	toldEnd        // before a beginning of the same moment
	toldStart
)

func (t translation) compare(u translation) int {
	return cmp.Or(cmp.Compare(t.port, u.port), cmp.Compare(t.from, u.from), cmp.Compare(t.told, u.told), cmp.Compare(t.to, u.to),
		cmp.Compare(t.inside, u.inside), cmp.Compare(t.peer, u.peer))
}

// until is when the record stops to say anything.
func (t translation) until() int64 {
	if t.told == toldStart {
		return t.from + int64(MaxTranslation)
	}
	return t.to
}

// outside is one address behind which others are hidden.
type outside struct {
	inside  []netip.Addr
	index   map[netip.Addr]uint32
	runs    [][]translation // each in order, the older ones at least twice as long as the next
	fresh   []translation   // since the last settling
	sharers map[int64][]uint32
}

// translated is what is remembered of one tenant.
type translated struct {
	addrs map[netip.Addr]*outside
	count int
	floor int64 // what began before it was dropped for want of room
}

// quarter is the unit of time in which sharers are counted, and sharing for how many of them an address is taken to
// be shared by the same.
const (
	quarter = int64(15 * time.Minute)
	sharing = 4
)

// learnTranslation takes a translation record.
func (s *Sessions) learnTranslation(id tenant.ID, e *ocsf.Event) {
	x := e.NAT
	in, out := x.Inside.IP.Unmap(), x.Outside.IP.Unmap()
	if !in.IsValid() || !out.IsValid() || in == out || !x.Start && !x.End || x.Lasted < 0 || x.Lasted > LongestSession {
		return
	}
	t := s.nat[id]
	if t == nil {
		t = &translated{addrs: map[netip.Addr]*outside{}}
		s.nat[tenant.ID(strings.Clone(string(id)))] = t
	}
	r := translation{port: portKey(x.Proto, x.Outside.Port), peer: peerOf(e.Dst.IP, e.Dst.Port), from: e.Time.UnixNano()}
	switch r.to = r.from; {
	case x.Start && x.End:
		r.to += int64(x.Lasted)
	case x.Start:
		r.told = toldStart
	default:
		r.told = toldEnd
	}
	if r.from < t.floor {
		return
	}
	o := t.addrs[out]
	if o == nil {
		if len(t.addrs) >= maxOutside {
			return
		}
		o = &outside{index: map[netip.Addr]uint32{}, sharers: map[int64][]uint32{}}
		t.addrs[out] = o
	}
	r.inside = o.place(in)
	o.fresh = append(o.fresh, r)
	o.share(r)
	s.touched[natKey{id, out}] = true
	if t.count++; t.count > s.share()+s.share()/4 {
		s.trim(id)
	}
}

// natKey names an outside address.
type natKey struct {
	tenant tenant.ID
	addr   netip.Addr
}

// share is how many translations a tenant may have.
func (s *Sessions) share() int { return max(s.maxNAT/max(len(s.nat), 1), 1) }

// place returns the index of an inside address.
func (o *outside) place(in netip.Addr) uint32 {
	i, ok := o.index[in]
	if !ok {
		i = uint32(len(o.inside))
		o.inside = append(o.inside, in)
		o.index[in] = i
	}
	return i
}

// share counts who shared the address when: at both ends of what the record tells.
func (o *outside) share(r translation) {
	first, last := r.from/quarter, r.to/quarter
	o.sharer(first, r.inside)
	if last != first {
		o.sharer(last, r.inside)
	}
}

func (o *outside) sharer(q int64, in uint32) {
	list := o.sharers[q]
	if i, known := slices.BinarySearch(list, in); !known && len(list) < maxSharers {
		o.sharers[q] = slices.Insert(list, i, in)
	}
}

// portKey is a protocol and a port in one number. ICMP has no port that both sides agree on.
func portKey(proto string, port uint16) uint32 {
	switch p := strings.ToLower(proto); {
	case p == "tcp":
		return 1<<16 | uint32(port)
	case p == "udp":
		return 2<<16 | uint32(port)
	case strings.HasPrefix(p, "icmp"):
		return 3 << 16
	}
	return 4<<16 | uint32(port)
}

// peerOf is a hash of whom a connection goes to (FNV-1a, 32 bits); never 0 for somebody.
func peerOf(a netip.Addr, port uint16) uint32 {
	if !a.IsValid() {
		return 0
	}
	h := uint32(2166136261)
	b := a.Unmap().As16()
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	for _, c := range [...]byte{byte(port >> 8), byte(port)} {
		h = (h ^ uint32(c)) * 16777619
	}
	return max(h, 1)
}

// settle puts fresh records in order. Runs are merged when they have become about as long as the one before, so that
// each record is moved a number of times that grows as the logarithm of all.
func (o *outside) settle() (dropped int) {
	if len(o.fresh) == 0 {
		return 0
	}
	before := len(o.fresh)
	slices.SortFunc(o.fresh, translation.compare)
	run := slices.Clone(slices.Compact(o.fresh))
	o.fresh = nil
	dropped = before - len(run)
	for n := len(o.runs); n > 0 && len(o.runs[n-1]) < 2*len(run); n = len(o.runs) {
		longer := o.runs[n-1]
		o.runs = o.runs[:n-1]
		before = len(longer) + len(run)
		run = merged(longer, run)
		dropped += before - len(run)
	}
	o.runs = append(o.runs, run)
	return dropped
}

// merged joins two lists in order; what stands in both is there once.
func merged(a, b []translation) []translation {
	out := make([]translation, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].compare(b[0]); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// trim drops the translations of a tenant that began first, down to its share. Whatever it drops would be dropped
// from all of them together, so that the order in which they came changes nothing.
func (s *Sessions) trim(id tenant.ID) {
	t, limit := s.nat[id], s.share()
	for _, o := range t.addrs {
		t.count -= o.settle()
	}
	if t.count <= limit {
		return
	}
	starts := make([]int64, 0, t.count)
	for _, o := range t.addrs {
		for _, run := range o.runs {
			for i := range run {
				starts = append(starts, run[i].from)
			}
		}
	}
	slices.Sort(starts)
	t.floor = starts[len(starts)-limit]
	if i, _ := slices.BinarySearch(starts, t.floor); len(starts)-i > limit+limit/4 {
		t.floor++ // so many of one moment that they would not fit
	}
	t.keep(func(r translation) bool { return r.from >= t.floor })
}

// keep drops all other translations, and what only they needed.
func (t *translated) keep(want func(translation) bool) {
	t.count = 0
	for addr, o := range t.addrs {
		n := &outside{index: map[netip.Addr]uint32{}, sharers: map[int64][]uint32{}}
		for _, list := range [...][]translation{slices.Concat(o.runs...), o.fresh} {
			for _, r := range list {
				if want(r) {
					r.inside = n.place(o.inside[r.inside])
					n.fresh = append(n.fresh, r)
					n.share(r)
				}
			}
		}
		n.settle()
		if len(n.runs) == 0 {
			delete(t.addrs, addr)
			continue
		}
		t.count += len(n.runs[0])
		t.addrs[addr] = n
	}
}

// forgetTranslations drops what no answer for the time or later rests on.
func (s *Sessions) forgetTranslations(before time.Time) {
	limit := before.UnixNano() - (sharing+1)*quarter
	for id, t := range s.nat {
		t.keep(func(r translation) bool { return r.until() >= limit })
		if len(t.addrs) == 0 {
			delete(s.nat, id)
		}
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	for k, t := range s.asked {
		if t < limit {
			delete(s.asked, k)
		}
	}
}
