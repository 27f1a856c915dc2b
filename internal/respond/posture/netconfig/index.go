package netconfig

import "slices"

// index finds the boxes that hold a point without looking at them all. Each box lies in cells of a grid over service,
// source and destination; a cell is a block aligned to a power of two, of a few sizes for each dimension, so that a
// point is looked up once for each combination of sizes that is in use (the tuple space search of Srinivasan, Suri
// and Varghese, "Packet Classification using Tuple Space Search", SIGCOMM 1999, with widened sizes). What a cell
// holds is a candidate alone: the box itself decides.
type index struct {
	boxes  []indexed
	tuples []tuple
	known  map[tuple]int
	cells  map[uint64]int32 // the last entry of a cell
	chain  []link
	filter []uint64 // bits of the cells that are not empty, once there are many: most look-ups find nothing
	total  int
	looked int64 // candidates compared so far
}

type indexed struct {
	box   *box
	rule  *rule
	order int
}

// tuple is how many low bits a cell leaves open in each dimension; 128: all.
type tuple struct{ svc, src, dst uint8 }

// link is one box of a cell.
type link struct {
	box  int32
	next int32 // the entry before it, or -1
}

// cell mixes a tuple and its blocks into one number, by the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast
// Splittable Pseudorandom Number Generators", OOPSLA 2014). Cells that fall together give more candidates, no wrong
// answer.
func cell(k int, svc uint64, src, dst u128) uint64 {
	h := uint64(k)
	for _, n := range [...]uint64{svc, src.hi, src.lo, dst.hi, dst.lo} {
		h = (h ^ n) + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// Sizes of cells: bits left open, the smallest first.
var (
	addressSizes = []uint8{0, 8, 16, 24, 32, 64, 80, 96, 112, 128}
	serviceSizes = []uint8{0, 4, 8, 16, 128}
)

// Bounds of an index.
const (
	cellsPerBox  = 64
	cellsInAll   = 4_000_000
	blocksPerDim = 32
)

func newIndex() *index {
	return &index{known: map[tuple]int{}, cells: map[uint64]int32{}}
}

// blocks cuts a set into aligned blocks of one size, at most so many.
func blocks(s set, sizes []uint8, most int) (size uint8, list []u128) {
	for _, size := range sizes {
		if size == 128 {
			break
		}
		if list = blocksOf(s, size, most); list != nil {
			return size, list
		}
	}
	return 128, []u128{{}}
}

func blocksOf(s set, size uint8, most int) []u128 {
	var list []u128
	for _, sp := range s {
		from, to := sp.lo.shiftRight(uint(size)), sp.hi.shiftRight(uint(size))
		if n := to.minus(from); n.hi > 0 || n.lo >= uint64(most) {
			return nil
		}
		for at := from; ; at = at.next() {
			if n := len(list); n == 0 || list[n-1] != at {
				if list = append(list, at); len(list) > most {
					return nil
				}
			}
			if at == to {
				break
			}
		}
	}
	return list
}

// add takes a box in. Boxes are added in the order of their rules.
func (x *index) add(b *box, r *rule, order int) {
	id := int32(len(x.boxes))
	x.boxes = append(x.boxes, indexed{b, r, order})
	most := [3]int{blocksPerDim, blocksPerDim, blocksPerDim}
	var t tuple
	var lists [3][]u128
	for {
		t.svc, lists[0] = blocks(b[dimSvc], serviceSizes, most[0])
		t.src, lists[1] = blocks(b[dimSrc], addressSizes, most[1])
		t.dst, lists[2] = blocks(b[dimDst], addressSizes, most[2])
		n := len(lists[0]) * len(lists[1]) * len(lists[2])
		if n <= cellsPerBox && x.total+n <= cellsInAll || n == 1 {
			x.total += n
			break
		}
		widest := 0
		for d := range lists {
			if len(lists[d]) > len(lists[widest]) {
				widest = d
			}
		}
		most[widest] = len(lists[widest]) / 2
	}
	k, ok := x.known[t]
	if !ok {
		k = len(x.tuples)
		x.known[t] = k
		x.tuples = append(x.tuples, t)
	}
	for _, svc := range lists[0] {
		for _, src := range lists[1] {
			for _, dst := range lists[2] {
				c := cell(k, svc.lo, src, dst)
				last, ok := x.cells[c]
				if !ok {
					last = -1
					x.note(c)
				}
				x.cells[c] = int32(len(x.chain))
				x.chain = append(x.chain, link{id, last})
			}
		}
	}
}

// A filter is made when an index has so many cells that looking them up misses the processor's cache; its bits are
// 1 MiB, which fits one.
const (
	filterFrom = 4096
	filterBits = 1 << 23
)

// note sets a cell's bit in the filter.
func (x *index) note(c uint64) {
	if x.filter == nil {
		if len(x.cells) < filterFrom {
			return
		}
		x.filter = make([]uint64, filterBits/64)
		for k := range x.cells {
			x.filter[k%filterBits/64] |= 1 << (k % 64)
		}
	}
	x.filter[c%filterBits/64] |= 1 << (c % 64)
}

// may reports whether a cell can hold anything.
func (x *index) may(c uint64) bool {
	return x.filter == nil || x.filter[c%filterBits/64]&(1<<(c%64)) != 0
}

// each calls visit for every box that holds the point, in no order, until it returns false.
func (x *index) each(p *point, visit func(indexed) bool) {
	for k, t := range x.tuples {
		c := cell(k, p[dimSvc].shiftRight(uint(t.svc)).lo, p[dimSrc].shiftRight(uint(t.src)), p[dimDst].shiftRight(uint(t.dst)))
		if !x.may(c) {
			continue
		}
		at, ok := x.cells[c]
		for ok && at >= 0 {
			x.looked++
			id := x.chain[at].box
			if x.boxes[id].box.contains(p) && !visit(x.boxes[id]) {
				return
			}
			at = x.chain[at].next
		}
	}
}

// first returns the earliest rule whose box holds the point, or nil.
func (x *index) first(p *point) *indexed {
	var best *indexed
	x.each(p, func(i indexed) bool {
		if best == nil || i.order < best.order {
			best = &i
		}
		return true
	})
	return best
}

// Bounds of one question about a rule.
const (
	maxSteps  = 256        // boxes that are taken out of a rule before it is left undecided
	maxLooked = 20_000_000 // comparisons for one policy, about a second; what is left then is undecided
)

// coveredBy reports whether the boxes lie wholly within those of the index, and which rules hold them: the one that
// holds all, else those that together do. decided is false where that would take too many steps.
func (x *index) coveredBy(boxes []box) (by []*rule, covered, decided bool) {
	rest := slices.Clone(boxes)
	for steps := 0; len(rest) > 0; steps++ {
		if steps == maxSteps || x.looked > maxLooked {
			return nil, false, false
		}
		piece := rest[len(rest)-1]
		p := piece.corner()
		var best *indexed
		whole := false
		x.each(&p, func(i indexed) bool {
			c := i.box.covers(&piece)
			if best == nil || c && !whole || c == whole && i.order < best.order {
				best, whole = &i, c
			}
			return true
		})
		if best == nil {
			return nil, false, true // this very packet reaches the rule
		}
		rest = subtractBox(rest[:len(rest)-1], &piece, best.box)
		if len(rest) > maxPieces {
			return nil, false, false
		}
		if !slices.Contains(by, best.rule) {
			by = append(by, best.rule)
		}
	}
	slices.SortFunc(by, func(a, b *rule) int { return int(a.line - b.line) })
	return by, true, true
}
