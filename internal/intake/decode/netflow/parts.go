package netflow

import "time"

// A connection's next part begins where the last ended, but for clocks and pauses.
const (
	partOverlap  = int64(time.Second)
	partPauseTCP = int64(2 * time.Hour) // connections are held open
	partPauseAny = int64(2 * time.Minute)
	lasting      = int64(5 * time.Second) // what ended sooner, without the exporter saying why, has no further part
)

// part is what is known of a connection of which more may come.
type part struct {
	uid     uint64
	end     int64
	number  uint16
	forward bool // the key's a began it
}

// parts remembers connections in two generations, so that the memory is bounded and what is in use stays.
type parts struct {
	young, old map[key]part
}

func (p *parts) get(k *key) (part, bool) {
	if x, ok := p.young[*k]; ok {
		return x, true
	}
	x, ok := p.old[*k]
	return x, ok
}

func (p *parts) put(k *key, x part) {
	if len(p.young) >= MaxParts/2 {
		p.old, p.young = p.young, nil
	}
	if p.young == nil {
		p.young = map[key]part{}
	}
	p.young[*k] = x
}

func (p *parts) drop(k *key) {
	delete(p.young, *k)
	delete(p.old, *k)
}

// goesOn reports whether a record is the next part of a connection, rather than a new one between the same ports.
func (r *record) goesOn(x *part) bool {
	pause := partPauseAny
	if r.proto == protoTCP {
		pause = partPauseTCP
		if r.is(toldFlags) && r.flags&flagSYN != 0 || r.is(toldRFlags) && r.rflags&flagSYN != 0 {
			return false
		}
	}
	return r.start >= x.end-partOverlap && r.start-x.end <= pause
}

// unfinished reports whether more may come of a connection.
func (r *record) unfinished() bool {
	switch {
	case r.reason == endActiveTimeout:
		return true
	case r.reason == endOfFlow || r.is(oneSample):
		return false
	case r.proto == protoTCP && (r.flags|r.rflags)&(flagFIN|flagRST) != 0:
		return false
	}
	return r.end-r.start >= lasting
}

// whole gives a flow: it names the connection, and knows the parts of a long one again.
func (t *Translator) whole(r *record, k *key) {
	_, forward := r.key()
	x, known := t.parts.get(k)
	switch {
	case known && r.goesOn(&x):
		if forward != x.forward {
			if r.is(bothWays) || r.is(turned) {
				r.swap()
			} else {
				r.swap()
				r.told |= turned
			}
		}
		x.end = max(x.end, r.end)
		if x.number < 1<<16-1 {
			x.number++
		}
		r.uid, r.part = x.uid, x.number
	default:
		x = part{uid: k.hash(r.start), end: r.end, number: 1, forward: forward}
		r.uid = x.uid
	}
	if r.unfinished() {
		t.parts.put(k, x)
	} else if known {
		t.parts.drop(k)
	}
	t.stats.Flows++
	t.line = r.appendLine(t.line[:0])
	if t.opt.Emit != nil {
		t.current = r.datagram
		t.opt.Emit(r.exporter, t.line)
	}
}
