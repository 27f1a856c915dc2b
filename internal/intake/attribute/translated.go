package attribute

import (
	"net/netip"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// apart is how far the clocks of a firewall and of another sensor may lie apart where only one inside address had the
// port around then.
const apart = 2 * time.Minute

// maxAsked is how many questions without an answer are remembered, so that a record that comes late is known to
// change the past.
const maxAsked = 1 << 16

// question is what was asked of a translated address.
type question struct {
	natKey
	port uint32
}

// Behind is who was behind an outside address: the inside address where a translation record fits by port and time,
// else by how many inside addresses it was shared then.
type Behind struct {
	Inside   netip.Addr
	SharedBy int // at most 1024; 0 where fewer than two are known
}

// Behind looks up who was behind the source of an event. The port must fit, and the time to a second; to two minutes
// where all records of that time name the same inside address. Of several that used one port at once (to different
// destinations), the one that talked to the event's destination. An event without protocol is taken for TCP, then UDP.
func (s *Sessions) Behind(e *ocsf.Event) Behind {
	if len(s.nat) == 0 || !e.Src.IP.IsValid() {
		return Behind{}
	}
	t := s.nat[e.Tenant]
	if t == nil {
		return Behind{}
	}
	addr := e.Src.IP.Unmap()
	at := e.Time.UnixNano()
	peer := peerOf(e.Dst.IP, e.Dst.Port)
	keys := portKeys(e)
	o := t.addrs[addr]
	if o != nil {
		for _, k := range keys {
			if in, ok := o.find(k, peer, at); ok {
				return Behind{Inside: in}
			}
		}
	}
	s.ask(e.Tenant, addr, keys, at)
	if o == nil {
		return Behind{}
	}
	if n := o.sharedAt(at); n > 1 {
		return Behind{SharedBy: n}
	}
	return Behind{}
}

// portKeys are the protocols and ports by which an event's source may be known.
func portKeys(e *ocsf.Event) []uint32 {
	proto := ""
	if e.Flow != nil {
		proto = e.Flow.Proto
	}
	if proto == "" {
		proto = e.Fields.Value("proto")
	}
	switch {
	case strings.HasPrefix(strings.ToLower(proto), "icmp"):
		return []uint32{portKey("icmp", 0)}
	case e.Src.Port == 0:
		return nil
	case proto != "":
		return []uint32{portKey(proto, e.Src.Port)}
	}
	return []uint32{portKey("tcp", e.Src.Port), portKey("udp", e.Src.Port)}
}

// ask remembers a question that had no answer, at its latest time.
func (s *Sessions) ask(id tenant.ID, addr netip.Addr, keys []uint32, at int64) {
	s.asking.Lock()
	defer s.asking.Unlock()
	for _, k := range keys {
		if len(s.asked) >= maxAsked {
			clear(s.asked)
		}
		q := question{natKey{id, addr}, k}
		if t, ok := s.asked[q]; !ok || at > t {
			s.asked[q] = at
		}
	}
}

// near returns the records of a port that may say something of a time, in order.
func (o *outside) near(port uint32, at int64) []translation {
	var out []translation
	last := at + int64(apart)
	for _, run := range o.runs {
		i := sort.Search(len(run), func(i int) bool { return run[i].port > port || run[i].port == port && run[i].from > last })
		for n := 0; i > 0 && n < maxNear; n++ {
			i--
			if run[i].port != port || run[i].from < at-int64(LongestSession) {
				break
			}
			out = append(out, run[i])
		}
	}
	slices.SortFunc(out, translation.compare)
	return out
}

// maxNear is how many records of one port are looked at: what lies further back has ended.
const maxNear = 64

// find returns the inside address that had a port at a time. It first asks who really had it, then who had it to a
// second, then who had it to two minutes.
func (o *outside) find(port, peer uint32, at int64) (netip.Addr, bool) {
	list := o.near(port, at)
	icmp := port == portKey("icmp", 0)
	for _, slack := range [...]int64{0, int64(grace), int64(apart)} {
		var fit []translation
		for i := range list {
			if from, to := list[i].from, ended(list, i); list[i].told != toldEnd && at >= from-slack && at <= to+slack {
				fit = append(fit, list[i])
			}
		}
		if those := talkedTo(fit, peer); len(those) > 0 || icmp {
			fit = those
		}
		if len(fit) == 0 {
			continue
		}
		for _, r := range fit[1:] {
			if r.inside != fit[0].inside {
				return netip.Addr{}, false
			}
		}
		return o.inside[fit[0].inside], true
	}
	return netip.Addr{}, false
}

// ended returns when a translation ended: as it says itself, or by the next record of the port that ends it.
func ended(list []translation, i int) int64 {
	r := list[i]
	if r.told != toldStart {
		return r.to
	}
	to := r.until()
	for _, n := range list[i+1:] {
		switch {
		case n.from >= to:
			return to
		case n.told == toldEnd && n.inside == r.inside:
			return n.from
		case n.told == toldStart && n.inside != r.inside && (n.peer == r.peer || n.peer == 0 || r.peer == 0):
			return n.from
		case n.told == toldWhole && n.inside != r.inside && (n.peer == r.peer || n.peer == 0 || r.peer == 0):
			return n.from
		}
	}
	return to
}

// talkedTo returns the translations that were for that destination.
func talkedTo(list []translation, peer uint32) (out []translation) {
	for _, r := range list {
		if peer != 0 && r.peer == peer {
			out = append(out, r)
		}
	}
	return out
}

// sharedAt counts the inside addresses that are known to have used the outside address in the hour or so before.
func (o *outside) sharedAt(at int64) int {
	var all []uint32
	for q := at/quarter - sharing; q <= at/quarter; q++ {
		all = append(all, o.sharers[q]...)
	}
	slices.Sort(all)
	return min(len(slices.Compact(all)), maxSharers)
}

// settleTranslations puts what was learned in order and notes whose past it changes: that of events that were asked
// about, and of all that come from an address behind which another's past changed.
func (s *Sessions) settleTranslations(out *changes) {
	for k := range s.touched {
		t := s.nat[k.tenant]
		if t == nil || t.addrs[k.addr] == nil {
			continue
		}
		o := t.addrs[k.addr]
		s.answered(k, o.fresh, out)
		t.count -= o.settle()
	}
	clear(s.touched)
}

// answered notes the questions that fresh records answer.
func (s *Sessions) answered(k natKey, fresh []translation, out *changes) {
	s.asking.Lock()
	defer s.asking.Unlock()
	if len(s.asked) == 0 {
		return
	}
	for _, r := range fresh {
		q := question{k, r.port}
		at, ok := s.asked[q]
		if !ok || at < r.from-int64(apart) {
			continue
		}
		out.note(holderKey{tenant: k.tenant, addr: k.addr}, time.Unix(0, r.from-int64(apart)).UTC())
		if at <= r.until()+int64(apart) {
			delete(s.asked, q)
		}
	}
}

// through notes the change of an inside address for all outside addresses that hide it.
func (s *Sessions) through(out *changes) {
	if len(s.nat) == 0 || len(*out) == 0 {
		return
	}
	var more changes
	for k, from := range *out {
		t := s.nat[k.tenant]
		if t == nil {
			continue
		}
		for addr, o := range t.addrs {
			if _, hides := o.index[k.addr]; hides {
				more.note(holderKey{tenant: k.tenant, addr: addr}, from)
			}
		}
	}
	for k, from := range more {
		out.note(k, from)
	}
}
