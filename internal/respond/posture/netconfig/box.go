package netconfig

// The dimensions of a packet's first sight: where it comes in and goes out, from whom to whom, for which service.
// A service is protocol<<16 | port, so that protocols and ports are one line of numbers; for ICMP it is
// protocol<<16 | type<<8 | code; for protocols with neither, all 65,536 of them.
const (
	dimSvc = iota // first: what is cut apart by service stays readable
	dimSrc
	dimDst
	dimIn
	dimOut
	dimSport
	dims
)

// box is a product of sets: all packets whose every dimension lies in the set of that dimension.
type box [dims]set

var everything = box{full, full, full, full, full, full}

// point is one packet.
type point [dims]u128

func (b *box) contains(p *point) bool {
	for d := range b {
		if !b[d].contains(p[d]) {
			return false
		}
	}
	return true
}

func (b *box) covers(c *box) bool {
	for d := range b {
		if !b[d].covers(c[d]) {
			return false
		}
	}
	return true
}

func (b *box) empty() bool {
	for d := range b {
		if b[d].empty() {
			return true
		}
	}
	return false
}

// with is the box whose dimension d is cut to s.
func (b box) with(d int, s set) box {
	b[d] = intersect(b[d], s)
	return b
}

func intersectBox(a, b *box) (c box, ok bool) {
	for d := range a {
		if c[d] = intersect(a[d], b[d]); c[d].empty() {
			return c, false
		}
	}
	return c, true
}

// corner is a packet of the box: the lowest of each dimension.
func (b *box) corner() (p point) {
	for d := range b {
		p[d] = b[d][0].lo
	}
	return p
}

// subtractBox appends to out the parts of a that b does not hold: at most one for each dimension, disjoint.
func subtractBox(out []box, a, b *box) []box {
	if _, ok := intersectBox(a, b); !ok {
		return append(out, *a)
	}
	rest := *a
	for d := range rest {
		if left := subtractSet(rest[d], b[d]); !left.empty() {
			part := rest
			part[d] = left
			out = append(out, part)
			rest[d] = intersect(rest[d], b[d])
		}
	}
	return out
}

// maxPieces bounds into how many boxes one rule may fall apart.
const maxPieces = 512

// without is the boxes less others. ok is false where they fall apart into too many pieces; then the pieces are
// those that were there before.
func without(boxes, others []box) (left []box, ok bool) {
	left = boxes
	for i := range others {
		var next []box
		for j := range left {
			if next = subtractBox(next, &left[j], &others[i]); len(next) > maxPieces {
				return left, false
			}
		}
		left = next
	}
	return left, true
}

// product is what lies in a box of each; ok is false where there would be too many.
func product(a, b []box) (out []box, ok bool) {
	if len(a) == 1 && a[0].full() {
		return b, true
	}
	if len(b) == 1 && b[0].full() {
		return a, true
	}
	for i := range a {
		for j := range b {
			if c, meet := intersectBox(&a[i], &b[j]); meet {
				if out = append(out, c); len(out) > maxBoxes {
					return nil, false
				}
			}
		}
	}
	return out, true
}

func (b *box) full() bool {
	for d := range b {
		if !b[d].isFull() {
			return false
		}
	}
	return true
}

// maxBoxes bounds the boxes of one rule: those of a set of pairs, say.
const maxBoxes = 20_000

// byFamily splits boxes into those of IPv4 and those of IPv6: no packet goes from one to the other.
func byFamily(boxes []box) []box {
	out := make([]box, 0, len(boxes)*2)
	for _, b := range boxes {
		for _, family := range []set{v4All, v6All} {
			if c := b.with(dimSrc, family).with(dimDst, family); !c.empty() {
				out = append(out, c)
			}
		}
	}
	return out
}
