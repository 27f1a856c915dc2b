package netflow

import (
	"cmp"
	"slices"
	"time"
)

// How near two records are that tell of one connection.
const (
	answers   = int64(5 * time.Second)       // an answer's record begins at most so long after the question's ended
	sameStart = int64(50 * time.Millisecond) // one direction told by two observation points of an exporter
)

// waiting holds the records of one connection until both directions are there.
type waiting struct {
	key  key
	due  int64
	list []record
}

// pairs holds records by connection, and gives each connection's when the first has waited long enough.
type pairs struct {
	hold   int64
	most   int
	count  int
	groups map[key]*waiting
	queue  []*waiting // in the order in which they are due, as good as
	head   int
	free   []*waiting
}

func (t *Translator) take(r *record) {
	t.stats.Records++
	if t.opt.each != nil {
		t.opt.each(r)
	}
	if r.event == flowCreated {
		t.stats.Skipped++ // NSEL tells it again, with counts, when it ends
		return
	}
	r.clamp()
	r.datagram = t.stats.Datagrams
	if r.told&bothWays != 0 {
		k, _ := r.key()
		t.whole(r, &k)
		return
	}
	r.at = t.now
	p := &t.pairs
	k, _ := r.key()
	g := p.groups[k]
	if g == nil {
		if n := len(p.free); n > 0 {
			g = p.free[n-1]
			p.free = p.free[:n-1]
		} else {
			g = &waiting{}
		}
		g.key, g.due = k, t.now+p.hold
		p.groups[k] = g
		p.queue = append(p.queue, g)
	}
	g.list = append(g.list, *r)
	p.count++
	for p.count > p.most {
		t.stats.Early += int64(len(p.queue[p.head].list))
		t.resolve(p.next(), true)
	}
}

// due gives what has waited long enough.
func (t *Translator) due() {
	p := &t.pairs
	for p.head < len(p.queue) && p.queue[p.head].due <= t.now {
		t.resolve(p.next(), false)
	}
}

// next takes the connection out whose turn it is.
func (p *pairs) next() *waiting {
	g := p.queue[p.head]
	p.queue[p.head] = nil
	if p.head++; p.head > 1024 && p.head*2 > len(p.queue) {
		p.queue = append(p.queue[:0], p.queue[p.head:]...)
		p.head = 0
	}
	delete(p.groups, g.key)
	p.count -= len(g.list)
	return g
}

// resolve pairs what is there of a connection. Where not all must go, a record that came late and has no opposite yet
// waits on.
func (t *Translator) resolve(g *waiting, all bool) {
	p := &t.pairs
	if len(g.list) == 1 {
		t.half(&g.list[0], &g.key)
	} else if rest := t.match(g, all); len(rest) > 0 {
		first := rest[0].at
		for i := range rest {
			first = min(first, rest[i].at)
		}
		n := &waiting{key: g.key, due: first + p.hold, list: rest}
		p.groups[g.key] = n
		p.queue = append(p.queue, n)
		p.count += len(rest)
	}
	if cap(g.list) <= 4 && len(p.free) < 4096 {
		g.list = g.list[:0]
		p.free = append(p.free, g)
	}
}

// less is a total order of records of one direction, so that what comes out doesn't depend on the order of datagrams.
func less(a, b *record) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), cmp.Compare(a.domain, b.domain), cmp.Compare(a.in, b.in),
		cmp.Compare(a.out, b.out), cmp.Compare(a.direction, b.direction), cmp.Compare(a.pkts, b.pkts), cmp.Compare(a.bytes, b.bytes),
		cmp.Compare(a.flags, b.flags), cmp.Compare(a.code, b.code), cmp.Compare(a.vlan, b.vlan), a.src.Compare(b.src), a.dst.Compare(b.dst),
		cmp.Compare(a.sport, b.sport), cmp.Compare(a.dport, b.dport))
}

// match gives the pairs of a connection's records in order of time, and those without opposite.
func (t *Translator) match(g *waiting, all bool) (rest []record) {
	var sides [2][]record
	for i := range g.list {
		r := &g.list[i]
		n := 0
		if _, forward := r.key(); !forward {
			n = 1
		}
		sides[n] = append(sides[n], *r)
	}
	for n := range sides {
		slices.SortFunc(sides[n], func(x, y record) int { return less(&x, &y) })
		sides[n] = t.once(sides[n])
	}
	alone := func(r *record) {
		if !all && t.now-r.at < t.pairs.hold {
			rest = append(rest, *r)
			return
		}
		t.half(r, &g.key)
	}
	a, b := sides[0], sides[1]
	for len(a) > 0 && len(b) > 0 {
		x, y := &a[0], &b[0]
		switch {
		case x.end+answers < y.start || len(a) > 1 && apart(&a[1], y) < apart(x, y):
			alone(x)
			a = a[1:]
		case y.end+answers < x.start || len(b) > 1 && apart(x, &b[1]) < apart(x, y):
			alone(y)
			b = b[1:]
		default:
			t.both(x, y, &g.key)
			a, b = a[1:], b[1:]
		}
	}
	for ; len(a) > 0; a = a[1:] {
		alone(&a[0])
	}
	for ; len(b) > 0; b = b[1:] {
		alone(&b[0])
	}
	return rest
}

func (r *record) answers() bool { _, answer := r.request(); return answer }

func apart(x, y *record) int64 {
	if d := x.start - y.start; d > 0 {
		return d
	}
	return y.start - x.start
}

// once leaves one of the records of a direction that tell of the same packets, seen at several observation points
// (ingress and egress, say), with the larger counts; and puts the packets that sFlow picked together.
func (t *Translator) once(list []record) []record {
	out := list[:0]
	for i := range list {
		r := list[i]
		if n := len(out); n > 0 {
			last := &out[n-1]
			switch {
			case r.is(oneSample) && last.is(oneSample) && r.start-last.end <= answers:
				last.add(&r)
				continue
			case !r.is(oneSample) && r.start-last.start <= sameStart && r.end-last.end <= sameStart && last.end-r.end <= sameStart &&
				(less(&r, last) == 0 || r.in != last.in || r.out != last.out || r.direction != last.direction || r.domain != last.domain):
				t.stats.Repeated++
				last.pkts, last.bytes = max(last.pkts, r.pkts), max(last.bytes, r.bytes)
				last.flags |= r.flags
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// add puts a further part of the same direction to a record.
func (r *record) add(x *record) {
	r.pkts, r.bytes = r.pkts+x.pkts, r.bytes+x.bytes
	r.flags |= x.flags
	r.end = max(r.end, x.end)
}

// both gives a connection of which both directions are there.
func (t *Translator) both(x, y *record, k *key) {
	if y.began(x) {
		x, y = y, x
	}
	r := *x
	r.rpkts, r.rbytes, r.rflags = y.pkts, y.bytes, y.flags
	r.told |= bothWays
	if y.is(toldFlags) {
		r.told |= toldRFlags
	}
	r.start, r.end = min(x.start, y.start), max(x.end, y.end)
	r.reason = max(x.reason, y.reason)
	if !r.xsrc.IsValid() && y.xdst.IsValid() { // the translation may stand in the answer's record alone
		r.xsrc, r.xsport = y.dst, y.dport
	}
	r.datagram = min(x.datagram, y.datagram)
	t.whole(&r, k)
}

// began reports whether the record's source began the connection, rather than that of the opposite one.
func (r *record) began(x *record) bool {
	switch {
	case r.icmp():
		if a, b := r.answers(), x.answers(); a != b {
			return b
		}
	case r.proto == protoTCP && r.is(toldFlags) && x.is(toldFlags):
		if a, b := r.asks(), x.asks(); a != b {
			return a
		}
		if r.flags&flagSYN == 0 && x.flags&flagSYN == 0 { // neither the beginning nor its time was seen
			if a, b := r.serves(), x.serves(); a != b {
				return b
			}
		}
	}
	if r.start != x.start {
		return r.start < x.start
	}
	return cmp.Or(cmp.Compare(x.sport, r.sport), r.src.Compare(x.src)) < 0
}

// The flags of TCP that tell who asks, RFC 9293 3.1.
const (
	flagFIN = 1
	flagSYN = 2
	flagRST = 4
	flagPSH = 8
	flagACK = 16
)

// asks reports whether a side sent SYN and never ACK: it began, whatever the clocks say.
func (r *record) asks() bool { return r.flags&(flagSYN|flagACK) == flagSYN }

// serves reports whether a record comes from a service's port to one that is nobody's.
func (r *record) serves() bool { return r.sport < 1024 && r.dport >= 1024 }

// half gives a connection of which one direction was seen.
func (t *Translator) half(r *record, k *key) {
	t.stats.Halves++
	if r.onlyAnswers() {
		r.swap()
		r.told |= turned
	}
	t.whole(r, k)
}

// onlyAnswers reports whether a half is the answering one.
func (r *record) onlyAnswers() bool {
	switch {
	case r.icmp():
		return r.is(toldICMP) && r.answers()
	case r.proto == protoUDP:
		return r.sport < 1024 && r.dport >= 32768
	case r.proto != protoTCP || !r.is(toldFlags):
		return r.serves()
	}
	asked := r.sport >= 1024 && r.dport < 1024 // the ports say that this side asked
	switch f := r.flags; {
	case f&flagSYN != 0 && f&flagACK == 0:
		return false
	case f&(flagPSH|flagFIN) == 0 && (f&(flagSYN|flagACK) == flagSYN|flagACK || f&flagRST != 0):
		return !asked // a SYN-ACK, or a RST, is an answer
	case f&flagACK != 0:
		return r.serves()
	}
	return false
}
