package pcap

import (
	"container/list"
	"errors"
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
)

// How long a connection may be silent, and how long one that is over waits for stragglers. These are Zeek's
// tcp_inactivity_timeout, udp_inactivity_timeout and tcp_close_delay.
const (
	idleTCP   = 5 * time.Minute
	idleOther = time.Minute
	closing   = 5 * time.Second
)

// maxFragments is how many datagrams in fragments are remembered.
const maxFragments = 16_384

// key is a connection's identity, the same for both directions: a is the lesser side.
type key struct {
	a, b         netip.Addr
	aPort, bPort uint16
	proto        uint8
	kind         uint8 // ICMP: the request's type
	vlan         uint16
}

// fragmentKey is a datagram's identity, RFC 791 3.2.
type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
	proto    uint8
}

// table holds the open connections, in lists by how long each may be silent, those silent longest in front.
type table struct {
	sink      decode.Sink
	most      int
	flows     map[key]*list.Element
	tcp       list.List // of *flow
	other     list.List // of *flow
	over      list.List // of *flow: TCP connections that were closed or reset
	fragments map[fragmentKey]key
	tiny      map[fragmentKey]packet // first fragments that hold half of TCP's header
	now       time.Time              // the latest packet's
}

func newTable(sink decode.Sink, most int) *table {
	return &table{sink: sink, most: most, flows: map[key]*list.Element{}, fragments: map[fragmentKey]key{}, tiny: map[fragmentKey]packet{}}
}

// requests are the ICMP types that are answers, with the type that they answer.
var requests = map[uint8]uint8{0: 8, 14: 13, 16: 15, 18: 17}

var requestsV6 = map[uint8]uint8{129: 128, 134: 133, 136: 135}

// request returns the type that opens the exchange and whether the packet is its answer.
func (p *packet) request() (kind uint8, answer bool) {
	switch p.proto {
	case protoICMP:
		kind, answer = requests[p.kind]
	case protoICMPv6:
		kind, answer = requestsV6[p.kind]
	}
	if !answer {
		return p.kind, false
	}
	return kind, true
}

func (p *packet) key() key {
	kind, _ := p.request()
	k := key{a: p.src, b: p.dst, aPort: p.sport, bPort: p.dport, proto: p.proto, kind: kind, vlan: p.vlan}
	if c := k.a.Compare(k.b); c > 0 || c == 0 && k.aPort > k.bPort {
		k.a, k.b, k.aPort, k.bPort = k.b, k.a, k.bPort, k.aPort
	}
	return k
}

// add counts a packet to its connection.
func (t *table) add(p *packet) error {
	if y := p.time.Year(); y < 1971 || y >= 2100 {
		return errors.New("time of the packet: not within 1971 to 2099")
	}
	if p.tiny {
		whole, waits := t.whole(p)
		if waits {
			return nil
		}
		p = whole
	}
	k, err := t.place(p)
	if err != nil {
		return err
	}
	if p.time.After(t.now) {
		t.now = p.time
		t.expire()
	}
	el := t.flows[k]
	if el != nil && el.Value.(*flow).renewedBy(p) {
		t.end(el)
		el = nil
	}
	if el == nil {
		if len(t.flows) >= t.most {
			t.makeRoom()
		}
		f := newFlow(k, p)
		el = t.listOf(f).PushBack(f)
		t.flows[k] = el
	}
	f := el.Value.(*flow)
	was := t.listOf(f)
	f.add(p)
	if is := t.listOf(f); is != was {
		was.Remove(el)
		t.flows[k] = is.PushBack(f)
	} else {
		was.MoveToBack(el)
	}
	return nil
}

// whole joins the halves of a TCP header that two fragments split. The first waits for the second.
func (t *table) whole(p *packet) (whole *packet, waits bool) {
	id := fragmentKey{p.src, p.dst, p.id, p.proto}
	if !p.fragment {
		if len(t.tiny) >= maxFragments {
			clear(t.tiny)
		}
		t.tiny[id] = *p
		return nil, true
	}
	first, ok := t.tiny[id]
	if !ok {
		return p, false
	}
	delete(t.tiny, id)
	first.tiny, first.flags, first.more = false, p.flags, p.more
	return &first, false
}

// place returns the connection of a packet; fragments behind the first belong to that of the first.
func (t *table) place(p *packet) (key, error) {
	if !p.fragment && !p.more {
		return p.key(), nil
	}
	id := fragmentKey{p.src, p.dst, p.id, p.proto}
	if !p.fragment {
		if len(t.fragments) >= maxFragments {
			clear(t.fragments)
		}
		k := p.key()
		t.fragments[id] = k
		return k, nil
	}
	k, ok := t.fragments[id]
	if !ok {
		return key{}, errors.New("a fragment whose first was not seen")
	}
	if !p.more {
		delete(t.fragments, id)
	}
	return k, nil
}

func (t *table) listOf(f *flow) *list.List {
	switch {
	case f.key.proto != protoTCP:
		return &t.other
	case f.over():
		return &t.over
	}
	return &t.tcp
}

// expire ends the connections that were silent too long.
func (t *table) expire() {
	for _, x := range [...]struct {
		list  *list.List
		after time.Duration
	}{{&t.tcp, idleTCP}, {&t.other, idleOther}, {&t.over, closing}} {
		for el := x.list.Front(); el != nil && t.now.Sub(el.Value.(*flow).last) > x.after; el = x.list.Front() {
			t.end(el)
		}
	}
}

// makeRoom ends the connection that was silent longest.
func (t *table) makeRoom() {
	var oldest *list.Element
	for _, l := range [...]*list.List{&t.over, &t.other, &t.tcp} {
		if el := l.Front(); el != nil && (oldest == nil || el.Value.(*flow).last.Before(oldest.Value.(*flow).last)) {
			oldest = el
		}
	}
	t.end(oldest)
}

// end gives a connection's event and forgets it.
func (t *table) end(el *list.Element) {
	f := el.Value.(*flow)
	t.listOf(f).Remove(el)
	delete(t.flows, f.key)
	t.sink.Event(f.event(), f.number, nil)
}

// flush ends every connection.
func (t *table) flush() {
	for _, l := range [...]*list.List{&t.tcp, &t.other, &t.over} {
		for el := l.Front(); el != nil; el = l.Front() {
			t.end(el)
		}
	}
}
